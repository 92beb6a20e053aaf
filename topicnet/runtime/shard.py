"""One rank's part of a batch in distributed training."""

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
    world : World
        The processes.
    sizes : tuple of int
        Documents of each rank, in order; they differ by at most one.

    Examples
    --------
    >>> shard = Shard.of(World(rank=1, size=3), n_docs=11)
    >>> shard.sizes, shard.mine
    ((4, 4, 3), slice(4, 8, None))
    """

    world: World
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, world: World, n_docs: int) -> Shard:
        """Make this rank's shard of a batch of `n_docs` documents."""
        each, more = divmod(n_docs, world.size)
        return cls(world, tuple(each + (rank < more) for rank in range(world.size)))

    def counts(self, like: Tensor) -> Tensor:
        """Return the sizes, (processes, 1), made on the device of `like` without a copy from the host."""
        sizes = like.new_full((len(self.sizes), 1), self.sizes[-1])
        sizes[: self.n_docs % len(self.sizes)] += 1
        return sizes

    @property
    def n_docs(self) -> int:
        """Number of documents of all ranks."""
        return sum(self.sizes)

    @property
    def begin(self) -> int:
        """Position of this rank's first document in the batch."""
        return sum(self.sizes[: self.world.rank])

    @property
    def mine(self) -> slice:
        """Positions of this rank's documents in the batch."""
        return slice(self.begin, self.begin + self.sizes[self.world.rank])

    @property
    def weight(self) -> float:
        """This rank's fraction of the documents: the weight of its mean in the mean over the batch."""
        return self.sizes[self.world.rank] / self.n_docs

    def gathered(self, rows: Tensor) -> Tensor:
        """Gather the rows (b, n) of all ranks as (B, n), with the gradient of a row summed over ranks."""
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
