"""The hot path: sparse batches, the sparse first layer, and the likelihood at the nonzeros.

No function here makes a (B, V) array. A batch carries its CSR pattern and the pattern of its transpose, so that
both directions of every product run over contiguous rows and give the same sums in the same order each time.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor

from topicnet.core.counter_rng import Noise
from topicnet.core.csr_slices import CsrSlice, slice_rows
from topicnet.core.row_subset import Rows
from topicnet.errors import InputError
from topicnet.runtime.distributed import World
from topicnet.runtime.seeding import draw_seed
from topicnet.runtime.shard import Shard
from topicnet.storage.mapped import BYTES_HELD, ROW_BYTES, release_pages

# Larger corpora are shuffled in runs of neighbours, some runs at a time: a disk reads runs, not rows.
SHUFFLED_NONZEROS = 100_000_000
RUN_DOCS, RUNS_MIXED = 64, 512
# Weights of more entries get gradients that are sparse in rows, on the CPU: all rows of a smaller one are moved sooner
# than those touched are gathered (measured: some 8,000 rows of 128 cost as much as 65,000 in one pass).
ROW_SPARSE_ENTRIES = 2**23
# Below this a probability counts as this: softmax underflows near 1e-38, and x / p must stay finite.
SMALLEST_PROBABILITY = 1e-30


# Take torch's one notice per process that CSR tensors are in beta; the three operations used are tested here.
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
    torch.sparse_csr_tensor(torch.tensor([0, 1]), torch.tensor([0]), torch.tensor([0]), (1, 1), check_invariants=False)


class Pattern(NamedTuple):
    """Positions of the nonzeros in one orientation: row starts (rows + 1,) and column ids (nnz,)."""

    starts: Tensor
    columns: Tensor
    shape: tuple[int, int]

    def matrix(self, values: Tensor) -> Tensor:
        """Return a torch CSR matrix with these values (nnz,), without copying."""
        return torch.sparse_csr_tensor(self.starts, self.columns, values, size=self.shape, check_invariants=False)

    def matmul(self, values: Tensor, dense: Tensor) -> Tensor:
        """Multiply the sparse matrix of these values (nnz,) by a dense one: (rows, H).

        A weighted sum of rows for each row: as such torch does it two to three times as fast as a CSR product.
        """
        return torch.embedding_bag(dense, self.columns, self.starts, False, 0, False, values, True)[0]

    def filled(self) -> tuple[Tensor, Pattern]:
        """The rows that hold anything (n,), int64, and the pattern of these alone."""
        held = self.starts.diff().nonzero().ravel()
        starts = torch.cat([self.starts.index_select(0, held), self.starts[-1:]])
        return held, Pattern(starts, self.columns, (len(held), self.shape[1]))


@dataclass(frozen=True)
class SparseBatch:
    """A sparse slice of the counts, on the device.

    Attributes
    ----------
    counts : Tensor
        (nnz,) the nonzero counts, row by row.
    rows : Tensor
        (nnz,) the row of each count, in [0, B).
    pattern, transposed : Pattern
        Positions of the counts in (B, V) and in (V, B).
    order : Tensor
        (nnz,) position in `counts` of each nonzero of the transpose.
    index : Tensor
        (B,) which documents of the corpus these are.
    noise : Noise
        Random numbers of these documents in this epoch.
    shard : Shard, optional
        Which part of a batch this is that is divided over several processes.
    """

    counts: Tensor
    rows: Tensor
    pattern: Pattern
    transposed: Pattern
    order: Tensor
    index: Tensor
    noise: Noise
    shard: Shard | None = None

    @classmethod
    def for_inference(cls, counts: csr_matrix, device: torch.device) -> SparseBatch:
        """Move all of the counts (B, V) to the device, for inference alone: without the transpose and the noise."""
        nothing = torch.empty(0, dtype=torch.int32, device=device)
        rows = np.repeat(np.arange(counts.shape[0], dtype=np.int32), np.diff(counts.indptr))
        return cls(
            counts=_moved(counts.data, torch.get_default_dtype(), device),
            rows=_moved(rows, torch.int32, device),
            pattern=_pattern(counts.indptr, counts.indices, (int(counts.shape[0]), int(counts.shape[1])), device),
            transposed=Pattern(nothing, nothing, (0, 0)),
            order=nothing,
            index=nothing,
            noise=Noise(nothing),
        )

    @classmethod
    def from_csr(cls, counts: csr_matrix, index: NDArray[np.int64], device: torch.device) -> SparseBatch:
        """Move the rows `index` of the counts (D, V) to the device."""
        (only,) = slice_rows(counts, [index])
        return cls.of(only, index, device)

    @classmethod
    def of(cls, part: CsrSlice, index: NDArray[np.int64], device: torch.device, seed: int = 0) -> SparseBatch:
        """Move what was cut to the device, the documents `index` of the corpus; the seed is that of the noise."""
        n_docs, n_words = len(part.starts) - 1, len(part.word_starts) - 1
        return cls(
            counts=_moved(part.counts, torch.get_default_dtype(), device),
            rows=_moved(part.rows, torch.int32, device),
            pattern=_pattern(part.starts, part.columns, (n_docs, n_words), device),
            transposed=_pattern(part.word_starts, part.rows_by_word, (n_words, n_docs), device),
            order=_moved(part.order, torch.int32, device),
            index=_moved(index, torch.int64, device),
            noise=Noise.of(seed, index, device),
        )

    @property
    def n_docs(self) -> int:
        """Number of documents in the batch, B."""
        return self.pattern.shape[0]

    def row_sums(self, values: Tensor) -> Tensor:
        """Sum values given at the nonzeros (nnz,) over each document: (B,)."""
        return torch.segment_reduce(values, "sum", offsets=self.pattern.starts, axis=0, unsafe=True)


def _moved(array: NDArray[Any], dtype: torch.dtype, device: torch.device) -> Tensor:
    # torch warns of arrays it could write to but must not: counts mapped from a file.
    here = torch.as_tensor(array if array.flags.writeable else array.copy())
    # Only from pinned memory does a copy go on while the host does.
    there = (here.pin_memory() if device.type == "cuda" else here).to(device, non_blocking=True)
    return there.to(dtype)


def _pattern(starts: NDArray[Any], columns: NDArray[Any], shape: tuple[int, int], device: torch.device) -> Pattern:
    """Move a pattern of nonzeros to the device; 32 bits are enough for a batch."""
    return Pattern(_moved(starts, torch.int32, device), _moved(columns, torch.int32, device), shape)


class SparseBatches:
    """Batches of about `batch_size` documents.

    The batches are of nearly equal size, so that none is left with the single document that batch
    normalisation cannot use.

    Parameters
    ----------
    documents : csr_matrix or Rows
        (D, V) counts, or some of the documents of a corpus; `SparseBatch.index` then counts among these.
    world : World, optional
        Processes that divide each batch, with about `batch_size` documents for each: only this rank's shard is built.
        Batches and noise are those of one process that takes as many documents at a time as all of these.

    Raises
    ------
    InputError
        There are more processes than documents.
    """

    def __init__(
        self, documents: csr_matrix | Rows, batch_size: int, device: torch.device, world: World | None = None
    ) -> None:
        if not isinstance(documents, Rows):
            documents = Rows(documents, np.arange(documents.shape[0]))
        self.documents: Rows = documents
        self.device = device
        self.world = world
        n_docs, n_processes = self.n_docs, 1 if world is None else world.size
        if n_docs < n_processes:
            raise InputError(f"{n_docs} documents given to {n_processes} processes: start no more than one for each")
        self.n_batches = max(1, -(-n_docs // (batch_size * n_processes)))
        while self.n_batches > 1 and n_docs // self.n_batches < max(2, n_processes):
            self.n_batches -= 1

    @property
    def n_docs(self) -> int:
        """Number of documents, D."""
        return self.documents.n_docs

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[SparseBatch]:
        """Every document once, in order, always with the same noise."""
        yield from self._cut(np.arange(self.n_docs), seed=0)

    def shuffled(self, rng: np.random.Generator, skip: int = 0) -> Iterator[SparseBatch]:
        """Every document once, in random order; of a corpus too large for that, in an order kind to the disk.

        The first batches may be skipped; the others are as they would have been.
        """
        near = self.documents.counts.nnz > SHUFFLED_NONZEROS
        order = _near_order(self.n_docs, rng) if near else rng.permutation(self.n_docs)
        yield from self._cut(order, draw_seed(rng), skip)

    def _cut(self, order: NDArray[np.int64], seed: int, skip: int = 0) -> Iterator[SparseBatch]:
        counts = self.documents.counts
        indexes = np.array_split(order, self.n_batches)[skip:]
        shards = [None if self.world is None else Shard.of(self.world, len(index)) for index in indexes]
        mine = [index if shard is None else index[shard.mine] for index, shard in zip(indexes, shards, strict=True)]
        touched = 0
        for batch, shard in zip(self._batches(mine, seed), shards, strict=True):
            yield batch if shard is None else replace(batch, shard=shard)
            touched += batch.n_docs
            if touched * ROW_BYTES > BYTES_HELD:
                release_pages(counts.data, counts.indices)
                touched = 0

    def _batches(self, indexes: Sequence[NDArray[np.int64]], seed: int) -> Iterator[SparseBatch]:
        parts = slice_rows(self.documents.counts, indexes, self.documents.rows)
        for part, index in zip(parts, indexes, strict=True):
            yield SparseBatch.of(part, index, self.device, seed)


def _near_order(n_docs: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """All documents in a random order that reads the disk in runs: runs shuffled, then documents of many runs."""
    runs = rng.permutation(-(-n_docs // RUN_DOCS))
    order = (runs[:, None] * RUN_DOCS + np.arange(RUN_DOCS)).ravel()
    order = order[order < n_docs]
    mixed = RUN_DOCS * RUNS_MIXED
    return np.concatenate([rng.permutation(order[begin : begin + mixed]) for begin in range(0, n_docs, mixed)])


def sparse_linear(batch: SparseBatch, values: Tensor, weight: Tensor) -> Tensor:
    """Multiply a sparse input by a dense weight.

    Parameters
    ----------
    batch : SparseBatch
        Positions of the input's nonzeros.
    values : Tensor
        (nnz,) the input's nonzero values; no gradient flows to them.
    weight : Tensor
        (V, H).

    Returns
    -------
    Tensor
        (B, H); an empty document gives a row of zeros. The gradient of a weight of more than `ROW_SPARSE_ENTRIES`
        entries is sparse: the rows of the words in the batch, each once.
    """
    product: Tensor = _SparseLinear.apply(weight, values, batch)  # type: ignore[no-untyped-call]
    return product


class _SparseLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, values: Tensor, batch: SparseBatch) -> Tensor:
        ctx.save_for_backward(values)
        ctx.batch = batch
        return batch.pattern.matmul(values, weight)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:
        (values,) = ctx.saved_tensors
        batch: SparseBatch = ctx.batch
        given, of_words = values.index_select(0, batch.order), upstream[0].contiguous()
        n_words, width = batch.pattern.shape[1], of_words.shape[1]
        if n_words * width <= ROW_SPARSE_ENTRIES or given.device.type != "cpu":
            return batch.transposed.matmul(given, of_words), None, None
        words, pattern = batch.transposed.filled()
        rows = pattern.matmul(given, of_words)
        sparse = torch.sparse_coo_tensor(words[None], rows, (n_words, width), is_coalesced=True, check_invariants=False)
        return sparse, None, None


def mixture_probabilities(theta: Tensor, beta_t: Tensor, pattern: Pattern) -> Tensor:
    """p(w|d) = sum_k theta_dk beta_kw at the nonzeros only.

    Parameters
    ----------
    theta : Tensor
        (B, K).
    beta_t : Tensor
        (V, K), contiguous: beta transposed.

    Returns
    -------
    Tensor
        (nnz,), at least `SMALLEST_PROBABILITY`.
    """
    if len(pattern.columns) == 0:  # which not every library for GPUs allows
        return theta.new_zeros(0)
    zeros = pattern.matrix(theta.new_zeros(len(pattern.columns)))
    sampled: Tensor = torch.sparse.sampled_addmm(zeros, theta.contiguous(), beta_t.t(), beta=0.0)
    return sampled.values().clamp_min(SMALLEST_PROBABILITY)


def mixture_log_likelihood(theta: Tensor, beta: Tensor, batch: SparseBatch) -> Tensor:
    """Multinomial log-likelihood of the counts under the mixture of topics, without its constant.

    sum_w x_dw log sum_k theta_dk beta_kw (Dieng et al. 2020, eq. 6; Miao et al. 2017, eq. 8), computed and
    differentiated at the nonzero counts only: O(nnz K) work, O(nnz + (B + V) K) memory.

    Parameters
    ----------
    theta : Tensor
        (B, K), rows sum to 1.
    beta : Tensor
        (K, V), rows sum to 1.

    Returns
    -------
    Tensor
        (B,) nats; 0 for an empty document.
    """
    likelihood: Tensor = _MixtureLogLikelihood.apply(theta, beta, batch)  # type: ignore[no-untyped-call]
    return likelihood


class _MixtureLogLikelihood(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, theta: Tensor, beta: Tensor, batch: SparseBatch) -> Tensor:
        beta_t = beta.t().contiguous()  # (V, K): a word's topics side by side
        p = mixture_probabilities(theta, beta_t, batch.pattern)  # (nnz,)
        ctx.save_for_backward(theta, beta_t, p)
        ctx.batch = batch
        return batch.row_sums(batch.counts * p.log())  # (B,)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, None]:
        theta, beta_t, p = ctx.saved_tensors
        batch: SparseBatch = ctx.batch
        ratio = upstream[0].index_select(0, batch.rows).mul_(batch.counts).div_(p)  # (nnz,)
        grad_theta = batch.pattern.matmul(ratio, beta_t)  # (B, K)
        grad_beta_t = batch.transposed.matmul(ratio.index_select(0, batch.order), theta)  # (V, K)
        return grad_theta, grad_beta_t.t(), None
