"""Checks of the parameter values that topic models share, without importing torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from topicnet.errors import InputError
from topicnet.training.checks import check_count, check_fraction, check_number

DECODERS = ("mixture", "product")
COUNTS = ("n_topics", "hidden_dim", "batch_size", "max_epochs", "patience")
NUMBERS = (
    "dropout", "learning_rate", "diversity_weight", "weight_decay", "validation_fraction", "kl_weight", "kl_warm_up",
    "mmd_weight", "mmd_warm_up",
)  # fmt: skip
OPTIONAL = ("max_epochs", "learning_rate", "diversity_weight")


def check_shared_values(values: Mapping[str, Any]) -> None:
    """Raise InputError if a parameter that several models have is out of its range."""
    for name, value in values.items():
        if name in OPTIONAL and value is None:
            continue
        if name in COUNTS:
            check_count(name, value)
        elif name in NUMBERS:
            check_number(name, value, above=0.0 if name == "learning_rate" else None)
        if name == "batch_size" and value < 2:
            raise InputError(f"batch_size={value} given, expected 2 or more documents")
        if name == "init" and value not in ("em", "random"):
            raise InputError(f"init={value!r} given, expected em or random")
        if name == "decoder" and value not in DECODERS:
            raise InputError(f"decoder={value!r} given, expected {' or '.join(DECODERS)}")
        if name in ("dropout", "validation_fraction"):
            check_fraction(name, value)
