"""Quick checks of the model, word-vector, device and engine options of a fit, without importing torch or polars."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from topicnet.errors import InputError
from topicnet.models.parameter_names import check_parameter_names
from topicnet.models.parameter_values import check_shared_values
from topicnet.runtime.device_names import check_device_name
from topicnet.runtime.extras import check_installed
from topicnet.workflows.config import FitConfig


def check_options(config: FitConfig) -> None:
    """Check the model, its parameters, word vectors, device and workers of a configuration.

    Raises
    ------
    InputError
        One of them is unknown, missing or out of its range; the fit itself would raise the same.
    """
    check_parameter_names(config.model, config.parameters)
    check_embeddings(config.parameters)
    check_shared_values(config.parameters)
    check_device_name(config.device)
    check_workers(config)


def check_workers(config: FitConfig) -> None:
    """Raise InputError if workers are given for an engine that starts none, or if Ray is not installed."""
    if config.engine == "ray":
        check_installed("--engine ray", ["ray"])
    if config.engine == "local" and config.workers is not None:
        raise InputError(f"--workers {config.workers} given without --engine ray: give both, or start with torchrun")


def check_embeddings(parameters: Mapping[str, Any]) -> None:
    """Raise InputError if the word vectors are neither "none" nor "train" nor a file that exists."""
    given = parameters.get("embeddings", "none")
    if given is None or given in ("none", "train"):
        if parameters.get("freeze_embeddings") is True and given != "train":
            raise InputError("freeze_embeddings given without embeddings: give word vectors to freeze, or leave it out")
        return
    if not isinstance(given, str):
        raise InputError(
            f"embeddings of type {type(given).__name__} given, expected none, train or a file of word vectors: an array"
            " fits the words of an estimator's own counts only"
        )
    if not Path(given).is_file():
        raise InputError(f"embeddings {given!r} given, expected none, train or a file of word vectors: check the path")
