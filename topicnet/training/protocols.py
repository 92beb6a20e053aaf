"""Interfaces that the training loop expects: batches, and objects whose state is saved in checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sized
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


class Batches(Sized, Protocol):
    """Batches of one data set, in order or shuffled.

    In distributed training, each batch holds the documents of one rank, and its `shard` describes the whole batch.
    """

    @property
    def n_docs(self) -> int:
        """Number of documents in all batches."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """Yield every document once, in order and with the same noise each time."""
        ...

    def shuffled(self, rng: np.random.Generator, skip: int = 0) -> Iterator[Any]:
        """Yield every document once, in random order and with new noise, both drawn from the generator.

        The first `skip` batches are left out without changing the others.
        """
        ...


class Optimizer(Protocol):
    """Optimiser of some parameters, whose state is saved in checkpoints."""

    def step(self, rate: float) -> None:
        """Update every parameter that has a gradient, with this learning rate, and drop the gradients."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Return the whole state by name; the tensors are not copied."""
        ...

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore a state returned by `state`, copied to the device."""
        ...


class Checkpointed(Protocol):
    """Object with state, as JSON values, that is saved in the checkpoints of a run."""

    def state(self) -> dict[str, Any]:
        """Return the state to save."""
        ...

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore a saved state."""
        ...
