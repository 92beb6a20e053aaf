"""Sparse batches, the sparse input layer, and the mixture likelihood at the nonzero counts (the hot path).

No function here makes a (B, V) array. A batch carries its CSR pattern and that of its transpose, so that both
directions of every product run over contiguous rows and sum in the same order each time.
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

# Larger corpora are shuffled as runs of consecutive documents, `RUNS_MIXED` runs at a time, because a disk reads runs
# much faster than single rows.
SHUFFLED_NONZEROS = 100_000_000
RUN_DOCS, RUNS_MIXED = 64, 512
# On the CPU, weights with more entries than this get row-sparse gradients. For smaller weights it is faster to update
# all rows than to gather those touched (measured: some 8,000 rows of 128 cost as much as 65,000 in one pass).
ROW_SPARSE_ENTRIES = 2**23
# Lower bound for probabilities: softmax underflows near 1e-38, and x / p must stay finite.
SMALLEST_PROBABILITY = 1e-30


# Trigger torch's once-per-process beta warning for CSR tensors here, silenced; tests cover the operations used.
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
    torch.sparse_csr_tensor(torch.tensor([0, 1]), torch.tensor([0]), torch.tensor([0]), (1, 1), check_invariants=False)


class Pattern(NamedTuple):
    """Positions of the nonzeros of a sparse matrix, in CSR form.

    Attributes
    ----------
    starts : Tensor
        (rows + 1,) position of the first nonzero of each row.
    columns : Tensor
        (nnz,) column of each nonzero.
    shape : tuple of int
        Numbers of rows and columns.
    """

    starts: Tensor
    columns: Tensor
    shape: tuple[int, int]

    def matrix(self, values: Tensor) -> Tensor:
        """Return a torch CSR matrix with these values (nnz,), without copying."""
        return torch.sparse_csr_tensor(self.starts, self.columns, values, size=self.shape, check_invariants=False)

    def matmul(self, values: Tensor, dense: Tensor) -> Tensor:
        """Multiply the sparse matrix with these values (nnz,) by a dense one: (rows, H).

        Written as a weighted sum of embeddings, which torch computes two to three times faster than a CSR product.
        """
        return torch.embedding_bag(dense, self.columns, self.starts, False, 0, False, values, True)[0]

    def filled(self) -> tuple[Tensor, Pattern]:
        """Return the ids (n,) int64 of the nonempty rows, and the pattern of these rows alone."""
        nonempty = self.starts.diff().nonzero().ravel()
        starts = torch.cat([self.starts.index_select(0, nonempty), self.starts[-1:]])
        return nonempty, Pattern(starts, self.columns, (len(nonempty), self.shape[1]))


@dataclass(frozen=True)
class SparseBatch:
    """Mini-batch of sparse counts on the device.

    Attributes
    ----------
    counts : Tensor
        (nnz,) nonzero counts in row order.
    rows : Tensor
        (nnz,) row of each count, in [0, B).
    pattern, transposed : Pattern
        Positions of the counts in (B, V) and in (V, B).
    order : Tensor
        (nnz,) position in `counts` of each nonzero of the transpose.
    index : Tensor
        (B,) number of each document in the corpus.
    noise : Noise
        Random numbers of the documents in this epoch.
    shard : Shard, optional
        Part of a batch that this is, if the batch is divided over several processes.

    Examples
    --------
    >>> counts = csr_matrix(np.array([[1, 0, 2], [0, 3, 0]], dtype=np.float32))
    >>> batch = SparseBatch.from_csr(counts, np.array([0, 1]), torch.device("cpu"))
    >>> batch.row_sums(batch.counts)
    tensor([3., 3.])
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
        """Move all counts (B, V) to the device for inference only, without transpose and noise."""
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
        """Move a slice of the counts to the device, given its documents' numbers in the corpus and a noise seed."""
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
    # torch warns about read-only arrays, such as counts mapped from a file.
    here = torch.as_tensor(array if array.flags.writeable else array.copy())
    # Copies are asynchronous only from pinned memory.
    there = (here.pin_memory() if device.type == "cuda" else here).to(device, non_blocking=True)
    return there.to(dtype)


def _pattern(starts: NDArray[Any], columns: NDArray[Any], shape: tuple[int, int], device: torch.device) -> Pattern:
    """Move a pattern of nonzeros to the device as int32, which is wide enough for a batch."""
    return Pattern(_moved(starts, torch.int32, device), _moved(columns, torch.int32, device), shape)


class SparseBatches:
    """Batches of about `batch_size` documents, sliced on the host.

    All batches have nearly the same size, so that no last batch has a single document, which batch normalisation
    cannot use.

    Parameters
    ----------
    documents : csr_matrix or Rows
        (D, V) counts, or a subset of the documents of a corpus, within which `SparseBatch.index` then counts.
    batch_size : int
        Documents per batch and process.
    device : torch.device
        Device of the batches.
    world : World, optional
        Processes that divide each batch, with about `batch_size` documents each. Only this rank's shard is built.
        Batches and noise equal those of one process with a batch size of `batch_size` times the number of processes.

    Raises
    ------
    InputError
        There are more processes than documents.

    Examples
    --------
    >>> batches = SparseBatches(csr_matrix(np.eye(5, dtype=np.float32)), 2, torch.device("cpu"))
    >>> [batch.index.tolist() for batch in batches]
    [[0, 1, 2], [3, 4]]
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
            raise InputError(
                f"{n_docs} documents given to {n_processes} processes: start at most one process per document"
            )
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
        """Yield every document once, in order and with the same noise each time."""
        yield from self._cut(np.arange(self.n_docs), seed=0)

    def shuffled(self, rng: np.random.Generator, skip: int = 0) -> Iterator[SparseBatch]:
        """Yield every document once, in random order.

        A corpus with more than `SHUFFLED_NONZEROS` nonzeros is shuffled by blocks of consecutive documents.

        The first `skip` batches are left out without changing the others.
        """
        in_runs = self.documents.counts.nnz > SHUFFLED_NONZEROS
        order = _order_in_runs(self.n_docs, rng) if in_runs else rng.permutation(self.n_docs)
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


def _order_in_runs(n_docs: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Shuffle documents by blocks: first runs of consecutive documents, then the documents within groups of runs."""
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
        (nnz,) nonzero values of the input, which get no gradient.
    weight : Tensor
        (V, H).

    Returns
    -------
    Tensor
        (B, H); zeros for an empty document. The gradient of a weight with more than `ROW_SPARSE_ENTRIES` entries is
        sparse on the CPU: one row for each word in the batch.
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
    """Return p(w|d) = sum_k theta_dk beta_kw at the nonzero counts only.

    Parameters
    ----------
    theta : Tensor
        (B, K).
    beta_t : Tensor
        (V, K), contiguous: beta transposed.
    pattern : Pattern
        Positions of the nonzero counts in (B, V).

    Returns
    -------
    Tensor
        (nnz,), at least `SMALLEST_PROBABILITY`.
    """
    if len(pattern.columns) == 0:  # some GPU libraries reject an empty product
        return theta.new_zeros(0)
    zeros = pattern.matrix(theta.new_zeros(len(pattern.columns)))
    sampled: Tensor = torch.sparse.sampled_addmm(zeros, theta.contiguous(), beta_t.t(), beta=0.0)
    return sampled.values().clamp_min(SMALLEST_PROBABILITY)


def mixture_log_likelihood(theta: Tensor, beta: Tensor, batch: SparseBatch) -> Tensor:
    """Multinomial log-likelihood of the counts under a mixture of topics, without the multinomial coefficient.

    sum_w x_dw log sum_k theta_dk beta_kw (Dieng et al. 2020, eq. 6; Miao et al. 2017, eq. 8), computed and
    differentiated at the nonzero counts only: O(nnz K) work, O(nnz + (B + V) K) memory.

    Parameters
    ----------
    theta : Tensor
        (B, K), rows sum to 1.
    beta : Tensor
        (K, V), rows sum to 1.
    batch : SparseBatch
        The counts.

    Returns
    -------
    Tensor
        (B,) nats; 0 for an empty document.

    Examples
    --------
    >>> batch = SparseBatch.from_csr(csr_matrix(np.array([[1.0, 1.0]])), np.array([0]), torch.device("cpu"))
    >>> mixture_log_likelihood(torch.tensor([[1.0]]), torch.tensor([[0.5, 0.5]]), batch)
    tensor([-1.3863])
    """
    likelihood: Tensor = _MixtureLogLikelihood.apply(theta, beta, batch)  # type: ignore[no-untyped-call]
    return likelihood


class _MixtureLogLikelihood(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, theta: Tensor, beta: Tensor, batch: SparseBatch) -> Tensor:
        beta_t = beta.t().contiguous()  # (V, K): the topics of a word are contiguous
        p = mixture_probabilities(theta, beta_t, batch.pattern)  # (nnz,)
        ctx.save_for_backward(theta, beta_t, p)
        ctx.batch = batch
        return batch.row_sums(batch.counts * p.log())  # (B,)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor | None, None]:
        theta, beta_t, p = ctx.saved_tensors
        batch: SparseBatch = ctx.batch
        ratio = upstream[0].index_select(0, batch.rows).mul_(batch.counts).div_(p)  # (nnz,)
        grad_theta = batch.pattern.matmul(ratio, beta_t)  # (B, K)
        if not ctx.needs_input_grad[1]:  # fixed topics: a batch for inference has no transpose
            return grad_theta, None, None
        grad_beta_t = batch.transposed.matmul(ratio.index_select(0, batch.order), theta)  # (V, K)
        return grad_theta, grad_beta_t.t(), None
