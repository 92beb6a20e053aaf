"""Tokens as numbers, documents end to end, and their counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

TOKENS_AT_ONCE = 4_000_000


def token_blocks(tokens: NDArray[np.int32], lengths: NDArray[np.int64]) -> Iterator[tuple[slice, NDArray[np.int32]]]:
    """Rows of documents and their tokens, a few million tokens (and at least a document) at a time."""
    starts = starts_of(lengths)
    row = 0
    while row < len(lengths):
        stop = max(row + 1, int(np.searchsorted(starts, starts[row] + TOKENS_AT_ONCE, side="right")) - 1)
        yield slice(row, stop), np.asarray(tokens[starts[row] : starts[stop]])
        row = stop


def only(
    codes: NDArray[np.int32], lengths: NDArray[np.int64], kept: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The tokens kept, and how many of them each document has."""
    at = np.flatnonzero(kept)
    return codes[at], np.diff(np.searchsorted(at, starts_of(lengths)))


def starts_of(lengths: NDArray[np.integer]) -> NDArray[np.int64]:
    """Where each document begins, and where the last ends: (D + 1,)."""
    return np.concatenate([[0], np.cumsum(lengths)])


def count_tokens(
    tokens: NDArray[np.int32], lengths: NDArray[np.int64], n_words: int, kind: Any = np.int32
) -> csr_matrix:
    """Count the tokens of each document, (D, n_words); every word once and in order."""
    ones = np.ones(len(tokens), dtype=kind)
    counts = csr_matrix((ones, tokens, starts_of(lengths)), shape=(len(lengths), n_words), copy=True)
    counts.sum_duplicates()
    return counts


def passage_lengths(
    lengths: NDArray[np.int64], size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Cut documents of these lengths into passages of about `size` tokens: document, number from 0 and length of each.

    A document of L tokens gives L / size passages, halves rounded up, and at least one.
    """
    pieces = np.maximum(1, (2 * lengths + size) // (2 * size))  # (D,)
    document = np.repeat(np.arange(len(lengths)), pieces)  # (P,)
    number = np.arange(len(document)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    begins = number * lengths[document] // pieces[document]
    return document, number, (number + 1) * lengths[document] // pieces[document] - begins
