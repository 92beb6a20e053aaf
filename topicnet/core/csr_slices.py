"""Mini-batches sliced from CSR counts on the host, several per call to amortise the overhead of each call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from topicnet.storage.mapped import BYTES_HELD, ROW_BYTES, is_mapped

# Limits for the batches sliced in one call: nonzeros that fit in a second-level cache, and word starts of all batches.
NONZEROS_PER_CALL, WORDS_PER_CALL = 2**16, 2**19
MAPPED_DOCS = BYTES_HELD // ROW_BYTES // 2  # half, because the pages of the previous call may still be mapped


class CsrSlice(NamedTuple):
    """Nonzeros of one batch in row order and in column order; every array but `counts` is int32.

    Attributes
    ----------
    counts, rows, columns : ndarray
        (nnz,) count, document and word of each nonzero, in row order.
    starts : ndarray
        (B + 1,) position of each document's first nonzero in `counts`.
    rows_by_word, order : ndarray
        (nnz,) document of each nonzero in column order, and its position in `counts`.
    word_starts : ndarray
        (V + 1,) position of each word's first nonzero in `order`.
    """

    counts: NDArray[Any]
    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    starts: NDArray[np.int32]
    rows_by_word: NDArray[np.int32]
    order: NDArray[np.int32]
    word_starts: NDArray[np.int32]


def slice_rows(
    counts: csr_matrix, batches: Sequence[NDArray[np.int64]], rows: NDArray[np.int64] | None = None
) -> Iterator[CsrSlice]:
    """Yield the slice of the counts (D, V) for each batch.

    A batch holds row numbers, or positions in `rows` if that is given.

    Examples
    --------
    >>> counts = csr_matrix(np.array([[1, 0, 2], [0, 3, 0]]))
    >>> [part.counts.tolist() for part in slice_rows(counts, [np.array([1]), np.array([0])])]
    [[3], [1, 2]]
    """
    n_docs, n_words = counts.shape
    n_batches = WORDS_PER_CALL // max(1, n_words)
    if batches:
        batch_docs = max(1, len(batches[0]))
        n_batches = min(n_batches, NONZEROS_PER_CALL * n_docs // max(1, counts.nnz * batch_docs))
        if is_mapped(counts.data):
            n_batches = min(n_batches, MAPPED_DOCS // batch_docs)
    step = max(1, n_batches)
    for begin in range(0, len(batches), step):
        group = batches[begin : begin + step]
        index = np.concatenate(group)
        yield from _slice_group(counts[index if rows is None else rows[index]], [len(batch) for batch in group])


def _slice_group(part: csr_matrix, sizes: Sequence[int]) -> Iterator[CsrSlice]:
    """Yield one slice per batch from `part`, the rows of consecutive batches of the given sizes (in documents)."""
    n_words = part.shape[1]
    bounds = np.cumsum([0, *sizes])  # first document of each batch
    ends = part.indptr[bounds]  # first nonzero of each batch
    starts, columns = part.indptr.astype(np.int32, copy=False), part.indices.astype(np.int32, copy=False)
    rows = np.arange(len(starts) - 1, dtype=np.int32) - np.repeat(bounds[:-1], np.diff(bounds)).astype(np.int32)
    rows = np.repeat(rows, np.diff(starts))
    # One wide matrix with separate columns for each batch, so that a single call transposes all batches.
    column_offset = np.repeat(np.arange(len(sizes), dtype=np.int32) * np.int32(n_words), np.diff(ends))
    positions = np.arange(part.nnz, dtype=np.int32)
    wide = csr_matrix(
        (positions, columns + column_offset, starts), shape=(len(starts) - 1, n_words * len(sizes)), copy=False
    )
    by_word = wide.tocsc()
    for number, (begin, end) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)):
        first, last = ends[number : number + 2].tolist()
        yield CsrSlice(
            counts=part.data[first:last],
            rows=rows[first:last],
            columns=columns[first:last],
            starts=starts[begin : end + 1] - np.int32(first),
            rows_by_word=by_word.indices[first:last] - np.int32(begin),
            order=by_word.data[first:last] - np.int32(first),
            word_starts=by_word.indptr[number * n_words : (number + 1) * n_words + 1] - np.int32(first),
        )
