"""Subset of a corpus by row number, without copying the counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from topicnet.storage.mapped import BYTES_HELD, ROW_BYTES, is_mapped, release_pages, row_blocks

MAPPED_ROWS = BYTES_HELD // ROW_BYTES  # scattered rows to read before releasing their pages


@dataclass(frozen=True, eq=False)
class Rows:
    """Subset of the documents of a corpus.

    Attributes
    ----------
    counts : csr_matrix
        (D, V) all documents, in memory or mapped from a file.
    rows : ndarray of int64
        (n,) row numbers of the subset, ascending.

    Examples
    --------
    >>> rows = Rows.filled(csr_matrix(np.array([[0, 2], [0, 0], [1, 1]])))
    >>> rows.rows.tolist(), rows.column_sums().tolist()
    ([0, 2], [1.0, 3.0])
    """

    counts: csr_matrix
    rows: NDArray[np.int64]

    @classmethod
    def filled(cls, counts: csr_matrix) -> Rows:
        """Select the documents that contain words."""
        return cls(counts, np.flatnonzero(np.diff(counts.indptr)))

    @property
    def n_docs(self) -> int:
        """Number of documents in the subset, n."""
        return len(self.rows)

    @property
    def vocab_size(self) -> int:
        """Number of words, V."""
        return int(self.counts.shape[1])

    @property
    def nonzeros(self) -> int:
        """Number of nonzero counts in the subset."""
        indptr = self.counts.indptr
        return int((indptr[self.rows + 1].astype(np.int64) - indptr[self.rows]).sum())

    def take(self, positions: NDArray[np.int64]) -> Rows:
        """Select documents of the subset by their positions in `rows`."""
        return Rows(self.counts, self.rows[positions])

    def matrix(self) -> csr_matrix:
        """Return the counts (n, V) as a matrix of their own, float32."""
        if not is_mapped(self.counts.data):
            return self.counts[self.rows].astype(np.float32)
        parts = []
        for begin in range(0, max(1, self.n_docs), MAPPED_ROWS):
            parts.append(self.counts[self.rows[begin : begin + MAPPED_ROWS]].astype(np.float32))
            release_pages(self.counts.data, self.counts.indices)
        taken: csr_matrix = vstack(parts, format="csr")
        return taken

    def column_sums(self) -> NDArray[np.float64]:
        """Sum the counts of each word over the subset: (V,)."""
        selected = np.zeros(self.counts.shape[0], dtype=bool)
        selected[self.rows] = True
        sums = np.zeros(self.vocab_size)
        for where, block in row_blocks(self.counts):
            weight = np.where(np.repeat(selected[where], np.diff(block.indptr)), block.data, 0)
            sums += np.bincount(block.indices, weights=weight, minlength=self.vocab_size)
        return sums
