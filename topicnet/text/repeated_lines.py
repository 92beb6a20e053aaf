"""Search for lines that occur verbatim in many documents, such as signatures, disclaimers and headers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from topicnet.errors import InputError
from topicnet.text.corpus import Corpus
from topicnet.text.token_counts import token_blocks

FRACTION, DOCUMENTS, LARGE_FRACTION, FEWEST = 0.05, 20, 0.001, 3  # see `repeated_lines`
MAX_BINS = 2**25
MAX_WINDOWS = 20_000  # distinct windows that are joined into lines
MIN_CONTINUED = 0.5  # a line grows while at least this fraction of the documents that contain it contain the next word
MAX_GROWTH = 60  # most words that a line grows by on either side
EXAMPLES = 3
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class RepeatedLine:
    """Sequence of counted words that occurs in many documents.

    Attributes
    ----------
    words : tuple of str
        The words, in order.
    documents : int
        Upper bound on the number of documents that contain the whole line: the number that contain its rarest window.
    document_share : float
        `documents` as a fraction of all documents.
    examples : tuple of str
        Ids of documents that contain the beginning of the line.
    """

    words: tuple[str, ...]
    documents: int
    document_share: float
    examples: tuple[str, ...]


def repeated_lines(corpus: Corpus, top: int = 10, *, length: int = 4) -> list[RepeatedLine]:
    """Find lines of at least `length` counted words that occur in many documents, the most widespread first.

    "Many" is 5 % of the documents that contain words or 20 documents, whichever is less, but at least 3 documents and,
    in a large corpus, at least 0.1 %. Words that are not counted (stop words, rare words) are left out of lines.

    Parameters
    ----------
    corpus : Corpus
        Its tokens may be memory-mapped; they are read twice, block by block.
    top : int
        Return at most this many lines.
    length : int
        Fewest words in a line, 2 or more.

    Returns
    -------
    list of RepeatedLine

    Raises
    ------
    InputError
        `top` is below 1, or `length` below 2.
    """
    if top < 1 or length < 2:
        raise InputError(f"{top} lines of {length} words requested, expected at least 1 line of at least 2 words")
    lengths = np.asarray(corpus.counts.sum(1), dtype=np.int64).ravel()
    filled = int((lengths > 0).sum())
    fewest = max(FEWEST, min(math.ceil(FRACTION * filled), max(DOCUMENTS, math.ceil(LARGE_FRACTION * filled))))
    windows = _frequent(corpus.tokens, lengths, length, fewest)
    words = np.asarray(corpus.tokens)[windows["first"].to_numpy()[:, None] + np.arange(length)]
    lines = _join_windows([tuple(row) for row in words.tolist()], windows["documents"].to_list(), top)
    starts = [windows["hash"][i] for i, _, _ in lines]
    examples = _examples(corpus.tokens, lengths, length, starts)
    return [
        RepeatedLine(
            words=tuple(corpus.vocabulary[word] for word in line),
            documents=documents,
            document_share=documents / corpus.n_docs,
            examples=tuple(corpus.ids[row] for row in rows),
        )
        for (_, line, documents), rows in zip(lines, examples, strict=True)
    ]


def _windows(
    tokens: NDArray[np.int32], lengths: NDArray[np.int64], length: int
) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the hash, position and document of each window of `length` words within a document, block by block."""
    begin = 0
    for rows, block in token_blocks(tokens, lengths):
        part, documents = block.astype(np.uint64), np.repeat(np.arange(rows.start, rows.stop), lengths[rows])
        if len(part) >= length:
            last = len(part) - length + 1
            hashes = np.zeros(last, dtype=np.uint64)
            for i in range(length):  # unsigned numbers wrap around
                hashes = (hashes + part[i : last + i] + np.uint64(1)) * _MULTIPLIER
                hashes ^= hashes >> np.uint64(29)
            inside = np.flatnonzero(documents[:last] == documents[length - 1 :])
            yield hashes[inside], begin + inside, documents[inside]
        begin += len(part)


def _frequent(tokens: NDArray[np.int32], lengths: NDArray[np.int64], length: int, fewest: int) -> pl.DataFrame:
    """Return the windows that occur in at least `fewest` documents: hash, number of documents and first position.

    A first pass counts windows in bins, which several windows may share, so that the second pass holds only the
    windows that can be frequent.
    """
    n_bins = np.uint64(min(MAX_BINS, 2 ** max(10, len(tokens).bit_length())))
    bins = np.zeros(int(n_bins), dtype=np.uint32)
    for hashes, _, _ in _windows(tokens, lengths, length):
        used, counts = np.unique(hashes % n_bins, return_counts=True)
        bins[used] += counts.astype(np.uint32)
    found = pl.DataFrame(schema={"hash": pl.UInt64, "documents": pl.UInt32, "first": pl.Int64})
    for hashes, places, documents in _windows(tokens, lengths, length):
        likely = bins[hashes % n_bins] >= fewest
        block = pl.DataFrame({"hash": hashes[likely], "documents": documents[likely], "first": places[likely]})
        block = block.group_by("hash").agg(pl.col("documents").n_unique(), pl.col("first").min())
        found = pl.concat([found, block]).group_by("hash").agg(pl.col("documents").sum(), pl.col("first").min())
    kept = found.filter(pl.col("documents") >= fewest)
    return kept.sort("documents", "first", descending=[True, False]).head(MAX_WINDOWS)


def _join_windows(
    windows: list[tuple[int, ...]], documents: list[int], top: int
) -> list[tuple[int, tuple[int, ...], int]]:
    """Join overlapping windows into lines: (first window, words, number of documents of the rarest window).

    Windows are sorted by number of documents, largest first. Each window that is not part of a line yet starts one,
    which grows on both sides for as long as half of the documents of that window also contain the next word.
    """
    following: dict[tuple[int, ...], list[int]] = {}
    preceding: dict[tuple[int, ...], list[int]] = {}
    for i, words in enumerate(windows):
        following.setdefault(words[:-1], []).append(i)
        preceding.setdefault(words[1:], []).append(i)
    free = [True] * len(windows)

    def grow(chain: list[int], side: dict[tuple[int, ...], list[int]], overlap: slice, least: float) -> list[int]:
        while len(chain) < MAX_GROWTH:
            candidates = side.get(windows[chain[-1]][overlap], [])
            added = next((j for j in candidates if free[j] and documents[j] >= least), None)
            if added is None:
                break
            free[added] = False
            chain.append(added)
        return chain

    lines: list[tuple[int, tuple[int, ...], int]] = []
    for i in range(len(windows)):
        if free[i] and len(lines) < top:
            free[i] = False
            onward = grow([i], following, slice(1, None), MIN_CONTINUED * documents[i])
            chain = grow([i], preceding, slice(None, -1), MIN_CONTINUED * documents[i])[:0:-1] + onward
            line = (*windows[chain[0]], *(windows[j][-1] for j in chain[1:]))
            lines.append((chain[0], line, min(documents[j] for j in chain)))
    return sorted(lines, key=lambda line: -line[2])


def _examples(tokens: NDArray[np.int32], lengths: NDArray[np.int64], length: int, wanted: list[int]) -> list[list[int]]:
    """Return the first documents that contain each window."""
    rows: list[list[int]] = [[] for _ in wanted]
    for hashes, _, documents in _windows(tokens, lengths, length) if wanted else []:
        for one, own in zip(wanted, rows, strict=True):
            if len(own) < EXAMPLES:
                own.extend(np.unique(documents[hashes == np.uint64(one)])[: EXAMPLES - len(own)].tolist())
        if all(len(own) == EXAMPLES for own in rows):
            break
    return rows
