"""Fingerprint of an image fit: everything that determines its result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from topicnet.errors import InputError
from topicnet.images.model.variants import resolve_parameters, variant_of
from topicnet.storage.mapped import array_checksum
from topicnet.training.checkpoint import Checkpoints, checkpoint_seconds

EXCLUDED = ("device", "random_state")  # the seed is recorded instead


def checkpoints_of(
    estimator: BaseEstimator, folder: Path, pixels: NDArray[Any], validation: NDArray[Any] | None, seed: int
) -> Checkpoints:
    """Return the checkpoints of a fit to images (n, P) and validation images (m, P), identified by its fingerprint.

    Raises
    ------
    InputError
        The estimator has no random state, so that no two fits are the same.
    """
    if estimator.random_state is None:
        raise InputError("checkpoints given with random_state=None, expected a number: it identifies the fit")
    arrays = {"images": pixels, "validation": np.empty(0) if validation is None else validation}
    fingerprint = {"estimator": type(estimator).__name__, "seed": seed}
    fingerprint |= {name: [str(array.dtype), array_checksum(array)] for name, array in arrays.items()}
    fingerprint |= {name: value for name, value in estimator.get_params().items() if name not in EXCLUDED}
    if estimator.image_shape_ is not None:
        fingerprint["shape"] = list(estimator.image_shape_)
    if variant_of(estimator.variant).latents == "categorical":  # versions before 0.3 had other defaults
        fingerprint["parameters"] = resolve_parameters(estimator.variant, estimator.parameters or {})
    return Checkpoints(folder, fingerprint, checkpoint_seconds())
