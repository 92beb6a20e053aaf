"""Cut mini-batches from CSR counts on the host, several at a time: one alone costs more in calls than in work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from topicnet.storage.mapped import BYTES_HELD, ROW_BYTES, is_mapped

# Of the batches cut together: what a second-level cache holds, and the starts of all words in each of them.
NONZEROS_AT_ONCE, WORDS_AT_ONCE = 2**16, 2**19
MAPPED_DOCS = BYTES_HELD // ROW_BYTES // 2  # what was cut before may not have been given back yet


class CsrSlice(NamedTuple):
    """The nonzeros of some documents, by row and by column; all but the counts int32.

    Attributes
    ----------
    counts, rows, columns : ndarray
        (nnz,) each nonzero, row by row: its count, document and word.
    starts : ndarray
        (B + 1,) where each document begins among them.
    rows_by_word, order : ndarray
        (nnz,) each nonzero, word by word: its document, and its place in `counts`.
    word_starts : ndarray
        (V + 1,) where each word begins among these.
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
    """Cut the counts (D, V) of each batch, given by its rows, or by their positions in `rows`."""
    n_docs, n_words = counts.shape
    n_at_once = WORDS_AT_ONCE // max(1, n_words)
    if batches:
        a_batch = max(1, len(batches[0]))
        n_at_once = min(n_at_once, NONZEROS_AT_ONCE * n_docs // max(1, counts.nnz * a_batch))
        if is_mapped(counts.data):
            n_at_once = min(n_at_once, MAPPED_DOCS // a_batch)
    step = max(1, n_at_once)
    for begin in range(0, len(batches), step):
        together = batches[begin : begin + step]
        index = np.concatenate(together)
        yield from _slice_together(counts[index if rows is None else rows[index]], [len(batch) for batch in together])


def _slice_together(part: csr_matrix, sizes: Sequence[int]) -> Iterator[CsrSlice]:
    """Cut the counts of several batches, one after the other, with these numbers of documents."""
    n_words = part.shape[1]
    bounds = np.cumsum([0, *sizes])  # of the batches among these documents
    ends = part.indptr[bounds]  # and among their nonzeros
    starts, columns = part.indptr.astype(np.int32, copy=False), part.indices.astype(np.int32, copy=False)
    rows = np.arange(len(starts) - 1, dtype=np.int32) - np.repeat(bounds[:-1], np.diff(bounds)).astype(np.int32)
    rows = np.repeat(rows, np.diff(starts))
    # Side by side in one matrix, the words of each batch columns of their own, all are transposed at once.
    of_batch = np.repeat(np.arange(len(sizes), dtype=np.int32) * np.int32(n_words), np.diff(ends))
    places = np.arange(part.nnz, dtype=np.int32)
    wide = csr_matrix((places, columns + of_batch, starts), shape=(len(starts) - 1, n_words * len(sizes)), copy=False)
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
