"""One rank's part of a batch that is divided over the processes of a fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from topicnet.runtime.distributed import World


@dataclass(frozen=True)
class Shard:
    """This rank's documents of a batch that is divided over all ranks.

    Attributes
    ----------
    sizes : tuple of int
        Documents of each process, in order; they differ by one at most.
    """

    world: World
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, world: World, n_docs: int) -> Shard:
        """This rank's shard of a batch of `n_docs` documents."""
        each, more = divmod(n_docs, world.size)
        return cls(world, tuple(each + (rank < more) for rank in range(world.size)))

    def counts(self, like: Tensor) -> Tensor:
        """The sizes, (processes, 1), made where `like` is: nothing is copied there."""
        sizes = like.new_full((len(self.sizes), 1), self.sizes[-1])
        sizes[: self.n_docs % len(self.sizes)] += 1
        return sizes

    @property
    def n_docs(self) -> int:
        """Documents of all processes."""
        return sum(self.sizes)

    @property
    def begin(self) -> int:
        """Where this process's documents begin among them."""
        return sum(self.sizes[: self.world.rank])

    @property
    def mine(self) -> slice:
        """Which of them are this process's."""
        return slice(self.begin, self.begin + self.sizes[self.world.rank])

    @property
    def weight(self) -> float:
        """This rank's fraction of the documents: the weight of its mean in the mean over all."""
        return self.sizes[self.world.rank] / self.n_docs

    def gathered(self, rows: Tensor) -> Tensor:
        """The rows (b, n) of all processes (B, n); the gradient of each row is the sum of what all found for it."""
        everyone: Tensor = _Gathered.apply(rows, self)  # type: ignore[no-untyped-call]
        return everyone


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, shard: Shard) -> Tensor:
        ctx.shard = shard
        return shard.world.gather(rows, shard.sizes)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None]:
        shard: Shard = ctx.shard
        return shard.world.sum(upstream[0].clone(memory_format=torch.contiguous_format))[shard.mine], None
