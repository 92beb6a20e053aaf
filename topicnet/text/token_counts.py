"""Token ids of all documents, stored end to end: filters, iteration in blocks, and counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

TOKENS_AT_ONCE = 4_000_000


def token_blocks(tokens: NDArray[np.int32], lengths: NDArray[np.int64]) -> Iterator[tuple[slice, NDArray[np.int32]]]:
    """Yield rows of documents with their tokens, a few million tokens (and at least one document) at a time."""
    starts = starts_of(lengths)
    row = 0
    while row < len(lengths):
        stop = max(row + 1, int(np.searchsorted(starts, starts[row] + TOKENS_AT_ONCE, side="right")) - 1)
        yield slice(row, stop), np.asarray(tokens[starts[row] : starts[stop]])
        row = stop


def keep_tokens(
    codes: NDArray[np.int32], lengths: NDArray[np.int64], kept: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the tokens to keep, and how many each document has left."""
    positions = np.flatnonzero(kept)
    return codes[positions], np.diff(np.searchsorted(positions, starts_of(lengths)))


def starts_of(lengths: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the offsets of the documents, (D + 1,), as in the indptr of a CSR matrix."""
    return np.concatenate([[0], np.cumsum(lengths)])


def count_tokens(
    tokens: NDArray[np.int32], lengths: NDArray[np.int64], n_words: int, kind: Any = np.int32
) -> csr_matrix:
    """Count the tokens of each document: (D, n_words) in canonical CSR form."""
    ones = np.ones(len(tokens), dtype=kind)
    counts = csr_matrix((ones, tokens, starts_of(lengths)), shape=(len(lengths), n_words), copy=True)
    counts.sum_duplicates()
    return counts


def passage_lengths(
    lengths: NDArray[np.int64], size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Split documents into passages of about `size` tokens.

    A document of L tokens gives L / size passages, rounded half up, and at least one.

    Returns
    -------
    document, number, length : ndarray of shape (P,), int64
        The document of each passage, its number in the document (from 0), and its length in tokens.
    """
    pieces = np.maximum(1, (2 * lengths + size) // (2 * size))  # (D,)
    document = np.repeat(np.arange(len(lengths)), pieces)  # (P,)
    number = np.arange(len(document)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    begins = number * lengths[document] // pieces[document]
    return document, number, (number + 1) * lengths[document] // pieces[document] - begins
