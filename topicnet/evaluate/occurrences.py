"""How often the words of a topic occur together, in documents or in sliding windows.

Documents mark the set of a topic's words they hold, as bits. Windows are counted in one sweep: each word has the
stretches of windows that hold it, and only where a stretch opens or closes does the set of words present change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, csr_matrix

from topicnet.errors import InputError
from topicnet.storage.mapped import row_blocks

Counts: TypeAlias = csr_matrix | csr_array
_Sets: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64] | None]  # words as bits, and how often; None is once

NONZEROS_AT_ONCE = 10_000_000  # of documents looked at together
WORDS_AT_ONCE = 8  # two blocks of so many words have 2^16 sets of words present
EVENT_BITS = 5  # of a word among 16, and of whether it comes or goes


@dataclass(frozen=True)
class TokenStream:
    """A corpus as one row of word ids, documents end to end.

    Attributes
    ----------
    tokens : ndarray of int
        Word ids in reading order; an id below 0 holds a place and is no word.
    starts : (D + 1,) ndarray of int
        Where each document begins, and where the last ends.
    """

    tokens: NDArray[np.integer]
    starts: NDArray[np.integer]

    def __post_init__(self) -> None:
        starts = self.starts.astype(np.int64)  # differences of unsigned numbers would wrap around
        one_row = self.tokens.ndim == starts.ndim == 1 and len(starts) > 0
        if not one_row or starts[0] != 0 or starts[-1] != len(self.tokens) or (np.diff(starts) < 0).any():
            raise InputError(
                f"starts does not fit {self.tokens.size} tokens; expected (D + 1,) ascending from 0 to their number"
            )


@dataclass(frozen=True)
class Occurrences:
    """In how many places (documents or windows) the words of each topic occur, alone and in pairs.

    Attributes
    ----------
    n_places : int
        All of them, with or without the words.
    joint : (K, N, N) ndarray
        Places that hold both words of a topic; the diagonal: places that hold the one.
    """

    n_places: int
    joint: NDArray[np.int64]


def document_occurrences(topics: NDArray[np.integer], counts: Counts) -> Occurrences:
    """Count the documents that hold the words of each topic.

    Parameters
    ----------
    topics : (K, N) integer array
        Word ids below V; those below 0 occur nowhere.
    counts : (D, V) sparse matrix in CSR form
        A count above 0 is an occurrence.

    Returns
    -------
    Occurrences
        `n_places` is D: a document without any word is a place too.
    """
    joint = np.zeros((*topics.shape, topics.shape[1]), dtype=np.int64)
    for _, block in row_blocks(csr_matrix(counts, copy=False), NONZEROS_AT_ONCE):
        joint += _joint_in(topics, block)
    return Occurrences(counts.shape[0], joint)


def _joint_in(topics: NDArray[np.integer], counts: csr_matrix) -> NDArray[np.int64]:
    words = np.unique(topics[topics >= 0])
    word_at = np.where(counts.data > 0, _numbers(words, counts.shape[1])[counts.indices], -1)
    places = _word_by_word(word_at)
    docs = np.searchsorted(counts.indptr, places, side="right") - 1
    docs_of = _of_each(words, word_at[places], docs)

    def present(few: NDArray[np.integer]) -> _Sets:
        sets = np.zeros(counts.shape[0], dtype=np.int64)
        for bit, word in enumerate(few.tolist()):
            sets[docs_of[word]] |= 1 << bit
        return sets, None

    return _joint(topics, present)


def window_occurrences(topics: NDArray[np.integer], stream: TokenStream, size: int, *, exact: bool) -> Occurrences:
    """Count the windows of `size` tokens that hold the words of each topic.

    A window begins at every token that has `size - 1` more behind it in its document; a shorter document, and an
    empty one, is one window.

    Parameters
    ----------
    topics : (K, N) integer array
        Word ids; those below 0 occur nowhere.
    stream : TokenStream
    size : int
        Tokens of a window, 1 or more.
    exact : bool
        Whether a word that stands twice in a window is still in it when the first of the two has left. By definition
        (Röder, Both & Hinneburg 2015) it is; gensim, up to 4.4 at least, forgets it until it is met again, and so do
        the scores published with gensim.

    Returns
    -------
    Occurrences
        `n_places` is the number of windows.

    Raises
    ------
    InputError
        The size is no whole number from 1.
    """
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
        raise InputError(f"a window of {size} tokens was asked for, expected 1 or more")
    size = int(size)
    words = np.unique(topics[topics >= 0])
    highest = max(int(words.max(initial=0)), int(stream.tokens.max(initial=0)))
    word_at = np.where(stream.tokens >= 0, _numbers(words, highest + 1)[np.maximum(stream.tokens, 0)], -1)
    places = _word_by_word(word_at)
    word_of = word_at[places].astype(np.int64)

    starts = stream.starts.astype(np.int64)
    n_windows = np.maximum(np.diff(starts) - size + 1, 1)  # (D,)
    first_window = np.concatenate([[0], np.cumsum(n_windows)])
    doc = np.searchsorted(starts, places, side="right") - 1
    at = places - starts[doc]  # place within the document
    enters = np.maximum(at - size + 1, 0)  # the first window of the document with this occurrence, and the last
    leaves = at
    if not exact:  # gone with the earliest occurrence in that first window
        axis = word_of * (len(stream.tokens) + 1)
        leaves = at[np.searchsorted(axis + places, axis + starts[doc] + enters)]
    last = n_windows[doc] - 1
    opens = first_window[doc] + np.minimum(enters, last)
    closes = first_window[doc] + np.minimum(leaves, last) + 1
    n_places = int(first_window[-1])
    return Occurrences(n_places, _joint(topics, _present_in_windows(words, word_of, opens, closes, n_places)))


def _numbers(words: NDArray[np.integer], n_ids: int) -> NDArray[Any]:
    """(n_ids,) the number of each word id among `words`, -1 for the others; small integers, which sort fast."""
    number = np.full(n_ids, -1, dtype=np.int16 if words.size < 2**15 else np.int32)
    number[words] = np.arange(words.size)
    return number


def _word_by_word(word_at: NDArray[np.integer]) -> NDArray[np.intp]:
    """Places with a word, all of the first word before those of the second, each in reading order."""
    places = np.flatnonzero(word_at >= 0)
    return places[np.argsort(word_at[places], kind="stable")]


def _of_each(words: NDArray[np.integer], word_of: NDArray[np.integer], places: NDArray[Any]) -> dict[int, NDArray[Any]]:
    """The places of each word, which lie word by word; none under -1, which stands for all other words."""
    parts = np.split(places, np.searchsorted(word_of, np.arange(1, words.size)))
    return defaultdict(lambda: places[:0], zip(words.tolist(), parts, strict=False))


def _present_in_windows(
    words: NDArray[np.integer],
    word_of: NDArray[np.int64],
    opens: NDArray[np.integer],
    closes: NDArray[np.integer],
    n_places: int,
) -> Callable[[NDArray[np.integer]], _Sets]:
    """The sets of words present from each change to the next, and for how many places each holds."""
    # Each word on an axis of its own, one behind the other, so that one pass joins the stretches of all that touch.
    axis = word_of * (n_places + 1)
    ends = np.maximum.accumulate(axis + closes)
    fresh = np.ones(len(opens), dtype=bool)
    fresh[1:] = (axis + opens)[1:] > ends[:-1]
    last = np.append(fresh[1:], True)[: len(fresh)]
    bounds = _of_each(words, word_of[fresh], np.stack([opens[fresh], (ends - axis)[last]], axis=1).astype(np.int64))

    def present(few: NDArray[np.integer]) -> _Sets:
        # Place, word and whether it comes or goes in one number: numbers sort faster than their order is found.
        events = [bounds[word] << EVENT_BITS | [2 * bit, 2 * bit + 1] for bit, word in enumerate(few.tolist())]
        event = np.sort(np.concatenate(events), axis=None)
        places, code = event >> EVENT_BITS, event & ((1 << EVENT_BITS) - 1)
        change = np.array([sign * (1 << bit) for bit in range(len(few)) for sign in (1, -1)])
        return np.cumsum(change[code])[:-1], np.diff(places)

    return present


def _joint(topics: NDArray[np.integer], present: Callable[[NDArray[np.integer]], _Sets]) -> NDArray[np.int64]:
    """(K, N, N) places shared by the words of each topic, from the sets of so few words that 16 bits hold them."""
    n_topics, n_words = topics.shape
    blocks = [np.arange(n_words)]
    if n_words > 2 * WORDS_AT_ONCE:
        parts = np.array_split(np.arange(n_words), -(-n_words // WORDS_AT_ONCE))
        blocks = [np.append(one, other) for i, one in enumerate(parts) for other in parts[i + 1 :]]
    joint = np.zeros((n_topics, n_words, n_words), dtype=np.int64)
    for k, topic in enumerate(topics):
        for block in blocks:
            sets, n_places = present(topic[block])
            places_of = np.bincount(sets, weights=n_places, minlength=1)
            seen = np.flatnonzero(places_of)
            holds = (seen[:, None] >> np.arange(len(block))) & 1  # (sets, N)
            joint[k][np.ix_(block, block)] = np.rint((holds * places_of[seen, None]).T @ holds)
    return joint
