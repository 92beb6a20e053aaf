"""The hot path: sparse batches, the sparse first layer, and the likelihood at the nonzeros.

No function here makes a (B, V) array. A batch carries its CSR pattern and the pattern of its transpose, so that
both directions of every product run over contiguous rows and give the same sums in the same order each time.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor
from torch.nn import functional

from topicnet.blocks import BYTES_HELD, ROW_BYTES, give_back
from topicnet.core.rows import Rows

# Larger corpora are shuffled in runs of neighbours, so many runs at a time: a disk reads runs, not rows.
SHUFFLED_NONZEROS = 100_000_000
RUN_DOCS, RUNS_MIXED = 64, 512
# Below this a probability counts as this: softmax underflows near 1e-38, and x / p must stay finite.
SMALLEST_PROBABILITY = 1e-30


def _announce_once() -> None:
    """Take torch's one notice per process that CSR tensors are in beta; the three operations used are tested here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
        one = torch.tensor([0])
        torch.sparse_csr_tensor(torch.tensor([0, 1]), one, one, size=(1, 1), check_invariants=False)


_announce_once()


class Pattern(NamedTuple):
    """Where the nonzeros of one orientation lie: row starts (rows + 1,) and column ids (nnz,)."""

    starts: Tensor
    columns: Tensor
    shape: tuple[int, int]

    def matrix(self, values: Tensor) -> Tensor:
        """Return a torch CSR matrix with these values (nnz,), without copying."""
        return torch.sparse_csr_tensor(self.starts, self.columns, values, size=self.shape, check_invariants=False)

    def times(self, values: Tensor, dense: Tensor) -> Tensor:
        """Multiply the sparse matrix of these values (nnz,) by a dense one: (rows, H).

        Added to zeros in place: the plain product makes a second array of the result's size.
        """
        zeros = dense.new_zeros(self.shape[0], dense.shape[1])
        return zeros.addmm_(self.matrix(values), dense.contiguous())


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
        Where the counts lie in (B, V) and in (V, B).
    order : Tensor
        (nnz,) position in `counts` of each nonzero of the transpose.
    index : Tensor
        (B,) which documents of the corpus these are.
    """

    counts: Tensor
    rows: Tensor
    pattern: Pattern
    transposed: Pattern
    order: Tensor
    index: Tensor

    @classmethod
    def from_csr(
        cls,
        counts: csr_matrix,
        index: NDArray[np.int64],
        device: torch.device,
        rows_of: NDArray[np.int64] | None = None,
    ) -> SparseBatch:
        """Move the rows `index` of the counts (D, V) to the device, or the rows `rows_of[index]`."""
        part = counts[index if rows_of is None else rows_of[index]]
        n_docs, n_words = part.shape
        positions = csr_matrix((np.arange(part.nnz), part.indices, part.indptr), shape=part.shape).tocsc()
        rows = np.repeat(np.arange(n_docs), np.diff(part.indptr))

        def move(array: NDArray[Any], dtype: torch.dtype) -> Tensor:
            return torch.as_tensor(array).to(device=device, dtype=dtype, non_blocking=True)

        return cls(
            counts=move(part.data, torch.get_default_dtype()),
            rows=move(rows, torch.int64),
            pattern=Pattern(move(part.indptr, torch.int64), move(part.indices, torch.int64), (n_docs, n_words)),
            transposed=Pattern(
                move(positions.indptr, torch.int64), move(positions.indices, torch.int64), (n_words, n_docs)
            ),
            order=move(positions.data, torch.int64),
            index=move(index, torch.int64),
        )

    @property
    def n_docs(self) -> int:
        """Number of documents in the batch, B."""
        return self.pattern.shape[0]

    def row_sums(self, values: Tensor) -> Tensor:
        """Sum values given at the nonzeros (nnz,) over each document: (B,)."""
        return torch.segment_reduce(values, "sum", offsets=self.pattern.starts, axis=0, unsafe=True)


class SparseBatches:
    """Documents cut into batches of about `batch_size`.

    The batches are of nearly equal size, so that none is left with the single document that batch
    normalisation cannot use.

    Parameters
    ----------
    documents : csr_matrix or Rows
        (D, V) counts, or some of the documents of a corpus; `SparseBatch.index` then counts among these.
    """

    def __init__(self, documents: csr_matrix | Rows, batch_size: int, device: torch.device) -> None:
        if not isinstance(documents, Rows):
            documents = Rows(documents, np.arange(documents.shape[0]))
        self.documents: Rows = documents
        self.device = device
        n_docs = self.n_docs
        self.n_batches = max(1, -(-n_docs // batch_size))
        while self.n_batches > 1 and n_docs // self.n_batches < 2:
            self.n_batches -= 1

    @property
    def n_docs(self) -> int:
        """Number of documents, D."""
        return self.documents.n_docs

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[SparseBatch]:
        """Every document once, in order."""
        yield from self._cut(np.arange(self.n_docs))

    def shuffled(self, rng: np.random.Generator) -> Iterator[SparseBatch]:
        """Every document once, in random order; of a corpus too large for that, in an order kind to the disk."""
        near = self.documents.counts.nnz > SHUFFLED_NONZEROS
        yield from self._cut(_near_order(self.n_docs, rng) if near else rng.permutation(self.n_docs))

    def _cut(self, order: NDArray[np.int64]) -> Iterator[SparseBatch]:
        counts, rows = self.documents.counts, self.documents.rows
        touched = 0
        for index in np.array_split(order, self.n_batches):
            yield SparseBatch.from_csr(counts, index, self.device, rows)
            touched += len(index)
            if touched * ROW_BYTES > BYTES_HELD:
                give_back(counts.data, counts.indices)
                touched = 0


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
        Where the input's nonzeros lie.
    values : Tensor
        (nnz,) the input's nonzero values; no gradient flows to them.
    weight : Tensor
        (V, H).

    Returns
    -------
    Tensor
        (B, H); an empty document gives a row of zeros.
    """
    product: Tensor = _SparseLinear.apply(weight, values, batch)  # type: ignore[no-untyped-call]
    return product


class _SparseLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, values: Tensor, batch: SparseBatch) -> Tensor:
        ctx.save_for_backward(values)
        ctx.batch = batch
        pattern = batch.pattern
        return functional.embedding_bag(
            pattern.columns, weight, pattern.starts[:-1], mode="sum", per_sample_weights=values
        )

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:
        (values,) = ctx.saved_tensors
        batch: SparseBatch = ctx.batch
        return batch.transposed.times(values[batch.order], upstream[0]), None, None


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
    return sampled_products(theta, beta_t, pattern).clamp_min(SMALLEST_PROBABILITY)


def sampled_products(rows: Tensor, columns_t: Tensor, pattern: Pattern) -> Tensor:
    """Entries of rows (B, K) @ columns_t.T (K, V) at the nonzeros of a pattern only: (nnz,)."""
    zeros = pattern.matrix(rows.new_zeros(len(pattern.columns)))
    sampled: Tensor = torch.sparse.sampled_addmm(zeros, rows.contiguous(), columns_t.t(), beta=0.0)
    return sampled.values()


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
        ratio = upstream[0][batch.rows] * batch.counts / p  # (nnz,)
        grad_theta = batch.pattern.times(ratio, beta_t)  # (B, K)
        grad_beta_t = batch.transposed.times(ratio[batch.order], theta)  # (V, K)
        return grad_theta, grad_beta_t.t(), None
