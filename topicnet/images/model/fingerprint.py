"""Whose the checkpoints of an image model are."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from topicnet.errors import InputError
from topicnet.training.checkpoint import Checkpoints, checkpoint_seconds

UNDECISIVE = ("device", "random_state")  # the seed is known by its number


def checkpoints_of(
    estimator: BaseEstimator, folder: Path, pixels: NDArray[Any], kept: NDArray[Any] | None, seed: int
) -> Checkpoints:
    """Those of a fit of an estimator to images (n, P) and validation images (m, P) with a seed.

    Raises
    ------
    InputError
        Its random state is not settled.
    """
    if estimator.random_state is None:
        raise InputError("checkpoints given with random_state=None, expected a number: the same fit is known by it")
    fingerprint = {"estimator": type(estimator).__name__, "seed": seed}
    fingerprint |= {"images": checksum(pixels), "validation": checksum(kept)}
    fingerprint |= {name: value for name, value in estimator.get_params().items() if name not in UNDECISIVE}
    return Checkpoints(folder, fingerprint, checkpoint_seconds())


def checksum(pixels: NDArray[Any] | None) -> str:
    """Of images, their kind and shape; of none, an empty one."""
    if pixels is None:
        return ""
    digest = hashlib.sha256(f"{pixels.dtype} {pixels.shape}".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()
