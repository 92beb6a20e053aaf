"""Lines that stand word for word in many documents: signatures, disclaimers, headers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from topicnet.errors import InputError
from topicnet.text.corpus import Corpus
from topicnet.text.token_counts import token_blocks

SHARE, DOCUMENTS, LARGE_SHARE, FEWEST = 0.05, 20, 0.001, 3  # see `repeated_lines`
MOST_BINS = 2**25
MOST_WINDOWS = 20_000  # different ones put together to lines
KEEPS = 0.5  # of the documents that hold a line, those that must hold the word it goes on with
LONGEST = 60  # words a line grows by to either side
EXAMPLES = 3
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class RepeatedLine:
    """Counted words that stand in the same order, next to each other, in many documents.

    Attributes
    ----------
    words : tuple of str
    documents : int
        At most so many hold the whole line: the fewest that hold any few words in a row of it.
    document_share : float
        Of all documents.
    examples : tuple of str
        Ids of documents that hold its beginning.
    """

    words: tuple[str, ...]
    documents: int
    document_share: float
    examples: tuple[str, ...]


def repeated_lines(corpus: Corpus, top: int = 10, *, length: int = 4) -> list[RepeatedLine]:
    """Lines of `length` counted words or more that many documents hold, those in most documents first.

    Many is a twentieth of the documents or 20 documents, whichever is less, but at least 3, and a thousandth of the
    documents of a large corpus. Words that are not counted (stop words, rare words) are left out of lines.

    Parameters
    ----------
    corpus : Corpus
        Its tokens may be memory-mapped; they are gone through in blocks, twice.
    top : int
        Most lines.
    length : int
        Fewest words of a line, 2 or more.

    Raises
    ------
    InputError
        `top` is below 1, or `length` below 2.
    """
    if top < 1 or length < 2:
        raise InputError(f"{top} lines of {length} words asked for, expected 1 or more, of 2 words or more")
    lengths = np.asarray(corpus.counts.sum(1), dtype=np.int64).ravel()
    filled = int((lengths > 0).sum())
    fewest = max(FEWEST, min(math.ceil(SHARE * filled), max(DOCUMENTS, math.ceil(LARGE_SHARE * filled))))
    windows = _frequent(corpus.tokens, lengths, length, fewest)
    words = np.asarray(corpus.tokens)[windows.first[:, None] + np.arange(length)]
    lines = _put_together([tuple(row) for row in words.tolist()], windows.documents.tolist(), top)
    starts = [windows.hashes[i] for i, _, _ in lines]
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


@dataclass(frozen=True)
class _Windows:
    """Different stretches of `length` words."""

    hashes: NDArray[np.uint64]
    documents: NDArray[np.int64]  # that hold each
    first: NDArray[np.int64]  # where each stands first


def _windows(
    tokens: NDArray[np.int32], lengths: NDArray[np.int64], length: int
) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]]:
    """Every window of `length` words inside a document, in blocks: its hash, its place and its document."""
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


def _frequent(tokens: NDArray[np.int32], lengths: NDArray[np.int64], length: int, fewest: int) -> _Windows:
    """The windows that `fewest` documents or more hold.

    A first pass counts them in bins that several may share, so that the second needs to hold only those that can be
    frequent.
    """
    n_bins = np.uint64(min(MOST_BINS, 2 ** max(10, len(tokens).bit_length())))
    bins = np.zeros(int(n_bins), dtype=np.uint32)
    for hashes, _, _ in _windows(tokens, lengths, length):
        where, often = np.unique(hashes % n_bins, return_counts=True)
        bins[where] += often.astype(np.uint32)
    found = _Windows(np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    for hashes, places, documents in _windows(tokens, lengths, length):
        likely = np.flatnonzero(bins[hashes % n_bins] >= fewest)
        likely = likely[np.lexsort((documents[likely], hashes[likely]))]
        likely = likely[_changes(hashes[likely], documents[likely])]  # once a document
        hashes = np.concatenate([found.hashes, hashes[likely]])
        weights = np.concatenate([found.documents, np.ones(len(likely), dtype=np.int64)])
        places = np.concatenate([found.first, places[likely]])
        distinct, at, which = np.unique(hashes, return_index=True, return_inverse=True)
        found = _Windows(distinct, np.bincount(which, weights, len(distinct)).astype(np.int64), places[at])
    kept = np.flatnonzero(found.documents >= fewest)
    kept = kept[np.lexsort((found.first[kept], -found.documents[kept]))][:MOST_WINDOWS]
    return _Windows(found.hashes[kept], found.documents[kept], found.first[kept])


def _changes(hashes: NDArray[np.uint64], documents: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of sorted pairs differ from the one before."""
    new = np.ones(len(hashes), dtype=bool)
    new[1:] = (hashes[1:] != hashes[:-1]) | (documents[1:] != documents[:-1])
    return new


def _put_together(
    windows: list[tuple[int, ...]], documents: list[int], top: int
) -> list[tuple[int, tuple[int, ...], int]]:
    """Lines of overlapping windows: the window each begins with, its words, and the documents of its rarest window.

    Windows come by their documents, most first; from each that is in no line yet, a line is grown to both sides for
    as long as half of its documents go on.
    """
    behind: dict[tuple[int, ...], list[int]] = {}
    before: dict[tuple[int, ...], list[int]] = {}
    for i, words in enumerate(windows):
        behind.setdefault(words[:-1], []).append(i)
        before.setdefault(words[1:], []).append(i)
    free = [True] * len(windows)

    def grow(chain: list[int], sides: dict[tuple[int, ...], list[int]], cut: slice, least: float) -> list[int]:
        while len(chain) < LONGEST:
            near = sides.get(windows[chain[-1]][cut], [])
            following = next((j for j in near if free[j] and documents[j] >= least), None)
            if following is None:
                break
            free[following] = False
            chain.append(following)
        return chain

    lines: list[tuple[int, tuple[int, ...], int]] = []
    for i in range(len(windows)):
        if free[i] and len(lines) < top:
            free[i] = False
            onward = grow([i], behind, slice(1, None), KEEPS * documents[i])
            chain = grow([i], before, slice(None, -1), KEEPS * documents[i])[:0:-1] + onward
            line = (*windows[chain[0]], *(windows[j][-1] for j in chain[1:]))
            lines.append((chain[0], line, min(documents[j] for j in chain)))
    return sorted(lines, key=lambda line: -line[2])


def _examples(
    tokens: NDArray[np.int32], lengths: NDArray[np.int64], length: int, wanted: list[np.uint64]
) -> list[list[int]]:
    """The first documents that hold each window."""
    rows: list[list[int]] = [[] for _ in wanted]
    for hashes, _, documents in _windows(tokens, lengths, length) if wanted else []:
        for one, own in zip(wanted, rows, strict=True):
            if len(own) < EXAMPLES:
                own.extend(np.unique(documents[hashes == one])[: EXAMPLES - len(own)].tolist())
        if all(len(own) == EXAMPLES for own in rows):
            break
    return rows
