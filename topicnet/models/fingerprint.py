"""Fingerprint of a fit: everything that determines its result. Checkpoints with another fingerprint are rejected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from topicnet._version import __version__
from topicnet.runtime.distributed import current
from topicnet.storage.mapped import array_checksum


def fingerprint_of(model: str, parameters: Mapping[str, Any], seed: int, counts: csr_matrix) -> dict[str, Any]:
    """Collect everything that determines the result of a fit, as JSON values with checksums in place of arrays."""
    given = {
        name: value
        if isinstance(value, str | int | float | bool | None)
        else array_checksum(np.asarray(value), np.float64)
        for name, value in parameters.items()
        if name != "random_state"
    }
    arrays = ((counts.data, np.float32), (counts.indices, np.int32), (counts.indptr, np.int64))
    numbers = [*counts.shape, *(array_checksum(array, dtype) for array, dtype in arrays)]
    world = current()
    processes = 1 if world is None else world.size
    return given | {
        "topicnet": __version__, "processes": processes, "model": model, "seed": seed, "counts": numbers,
    }  # fmt: skip
