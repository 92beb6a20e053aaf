"""Protocols of the training loop: batches and companions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sized
from typing import Any, Protocol

import numpy as np


class Batches(Sized, Protocol):
    """Batches of one data set, in order or shuffled.

    Where several processes train together, each batch holds the documents of one of them, and its `shard` says which.
    """

    @property
    def n_docs(self) -> int:
        """Number of documents in all batches."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """Every document once, always in the same order and with the same noise."""
        ...

    def shuffled(self, rng: np.random.Generator, skip: int = 0) -> Iterator[Any]:
        """Every document once, in random order, with noise of its own; all randomness comes from the generator.

        The first batches may be skipped: the others are as they would have been.
        """
        ...


class Companion(Protocol):
    """Part of a run whose state checkpoints keep, as JSON values."""

    def state(self) -> dict[str, Any]:
        """State to save."""
        ...

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore a saved state."""
        ...
