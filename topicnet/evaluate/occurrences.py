"""Co-occurrence counts of topic words, within documents or within sliding windows.

The set of a topic's words in each document is stored as bits. Windows are counted in one sweep: each word has intervals
of windows that contain it, and the set of words present changes only where an interval opens or closes.
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
_Sets: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64] | None]  # sets of words as bits, and counts (None: all 1)

NONZEROS_AT_ONCE = 10_000_000  # documents are processed in blocks of this many nonzeros
WORDS_AT_ONCE = 8  # words of a block; the words of two blocks have 2^16 subsets
EVENT_BITS = 5  # 4 bits for one of 16 words, 1 for entering or leaving


@dataclass(frozen=True)
class TokenStream:
    """Corpus in reading order: the word ids of all documents in one array.

    Parameters
    ----------
    tokens : ndarray of shape (n_tokens,), int
        Word ids in reading order. A negative id takes up a position in the text but is not a word.
    starts : ndarray of shape (D + 1,), int
        Position at which each document begins, and n_tokens at the end.

    Raises
    ------
    InputError
        If the arrays are not one-dimensional, or `starts` does not ascend from 0 to n_tokens.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.occurrences import TokenStream
    >>> stream = TokenStream(tokens=np.array([4, 0, 4, 7, 1]), starts=np.array([0, 3, 5]))
    >>> stream.tokens[stream.starts[1] : stream.starts[2]].tolist()
    [7, 1]
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
    """Numbers of contexts (documents or windows) that contain the words of each topic, alone and in pairs.

    Parameters
    ----------
    n_contexts : int
        All contexts, with or without the words.
    joint : ndarray of shape (K, N, N), int64
        Contexts that contain both words of a pair; on the diagonal, contexts that contain the word.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.occurrences import Occurrences
    >>> Occurrences(n_contexts=4, joint=np.array([[[2, 1], [1, 2]]])).joint.shape
    (1, 2, 2)
    """

    n_contexts: int
    joint: NDArray[np.int64]


def document_occurrences(topics: NDArray[np.integer], counts: Counts) -> Occurrences:
    """Count the documents that contain the words of each topic.

    Parameters
    ----------
    topics : ndarray of shape (K, N), int
        Word ids below V. Words with a negative id do not occur.
    counts : csr_matrix of shape (D, V)
        A count above 0 is an occurrence; a stored 0 is not.

    Returns
    -------
    Occurrences
        `n_contexts` is D, which includes empty documents.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_matrix
    >>> from topicnet.evaluate.occurrences import document_occurrences
    >>> document_occurrences(np.array([[0, 1]]), csr_matrix([[1, 2], [1, 0], [0, 0]])).joint.tolist()
    [[[2, 1], [1, 1]]]
    """
    joint = np.zeros((*topics.shape, topics.shape[1]), dtype=np.int64)
    for _, block in row_blocks(csr_matrix(counts, copy=False), NONZEROS_AT_ONCE):
        joint += _joint_in(topics, block)
    return Occurrences(counts.shape[0], joint)


def _joint_in(topics: NDArray[np.integer], counts: csr_matrix) -> NDArray[np.int64]:
    words = np.unique(topics[topics >= 0])
    word_at = np.where(counts.data > 0, _numbers(words, counts.shape[1])[counts.indices], -1)
    positions = _grouped_by_word(word_at)
    docs = np.searchsorted(counts.indptr, positions, side="right") - 1
    docs_of = _split_by_word(words, word_at[positions], docs)

    def present(few: NDArray[np.integer]) -> _Sets:
        sets = np.zeros(counts.shape[0], dtype=np.int64)
        for bit, word in enumerate(few.tolist()):
            sets[docs_of[word]] |= 1 << bit
        return sets, None

    return _joint(topics, present)


def window_occurrences(topics: NDArray[np.integer], stream: TokenStream, size: int, *, exact: bool) -> Occurrences:
    """Count the sliding windows of `size` tokens that contain the words of each topic.

    A window begins at each token that is followed by at least `size - 1` more tokens of its document. A shorter
    document, even an empty one, is a single window.

    Parameters
    ----------
    topics : ndarray of shape (K, N), int
        Word ids. Words with a negative id do not occur.
    stream : TokenStream
        The corpus in reading order.
    size : int
        Tokens of a window, 1 or more.
    exact : bool
        Count a word for as long as any copy of it is in the window, as defined by Röder, Both & Hinneburg (2015). If
        False, do as gensim (up to at least 4.4) and drop the word when its first copy leaves the window, until another
        copy enters; scores published with gensim are computed like this.

    Returns
    -------
    Occurrences
        `n_contexts` is the number of windows.

    Raises
    ------
    InputError
        If `size` is not a whole number of 1 or more.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.occurrences import TokenStream, window_occurrences
    >>> stream = TokenStream(tokens=np.array([0, 2, 1]), starts=np.array([0, 3]))
    >>> window_occurrences(np.array([[0, 1]]), stream, 2, exact=True).joint.tolist()
    [[[1, 0], [0, 1]]]
    """
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
        raise InputError(f"a window of {size} tokens given, expected a whole number of 1 or more")
    size = int(size)
    words = np.unique(topics[topics >= 0])
    highest = max(int(words.max(initial=0)), int(stream.tokens.max(initial=0)))
    word_at = np.where(stream.tokens >= 0, _numbers(words, highest + 1)[np.maximum(stream.tokens, 0)], -1)
    positions = _grouped_by_word(word_at)
    word_of = word_at[positions].astype(np.int64)

    starts = stream.starts.astype(np.int64)
    n_windows = np.maximum(np.diff(starts) - size + 1, 1)  # (D,)
    first_window = np.concatenate([[0], np.cumsum(n_windows)])
    doc = np.searchsorted(starts, positions, side="right") - 1
    at = positions - starts[doc]  # position within the document
    enters = np.maximum(at - size + 1, 0)  # first window of the document that contains this occurrence
    leaves = at  # last window that does
    if not exact:  # the word leaves with its earliest occurrence in that first window
        axis = word_of * (len(stream.tokens) + 1)
        leaves = at[np.searchsorted(axis + positions, axis + starts[doc] + enters)]
    last = n_windows[doc] - 1
    opens = first_window[doc] + np.minimum(enters, last)
    closes = first_window[doc] + np.minimum(leaves, last) + 1
    n_contexts = int(first_window[-1])
    return Occurrences(n_contexts, _joint(topics, _sets_in_windows(words, word_of, opens, closes, n_contexts)))


def _numbers(words: NDArray[np.integer], n_ids: int) -> NDArray[Any]:
    """Map each of `n_ids` ids to its index in `words`, or to -1: (n_ids,), in small integers, which sort fast."""
    number = np.full(n_ids, -1, dtype=np.int16 if words.size < 2**15 else np.int32)
    number[words] = np.arange(words.size)
    return number


def _grouped_by_word(word_at: NDArray[np.integer]) -> NDArray[np.intp]:
    """Sort the positions that hold a word by word, and by reading order within each word."""
    positions = np.flatnonzero(word_at >= 0)
    return positions[np.argsort(word_at[positions], kind="stable")]


def _split_by_word(
    words: NDArray[np.integer], word_of: NDArray[np.integer], values: NDArray[Any]
) -> dict[int, NDArray[Any]]:
    """Map each word id to its part of `values`, sorted by word; other ids, such as -1, map to an empty array."""
    parts = np.split(values, np.searchsorted(word_of, np.arange(1, words.size)))
    return defaultdict(lambda: values[:0], zip(words.tolist(), parts, strict=False))


def _sets_in_windows(
    words: NDArray[np.integer],
    word_of: NDArray[np.int64],
    opens: NDArray[np.integer],
    closes: NDArray[np.integer],
    n_contexts: int,
) -> Callable[[NDArray[np.integer]], _Sets]:
    """Return a function from words to the sets of them that successive windows contain, run-length encoded."""
    # Shift the intervals of each word to a separate range, so that one pass merges the overlapping ones of all words.
    axis = word_of * (n_contexts + 1)
    ends = np.maximum.accumulate(axis + closes)
    fresh = np.ones(len(opens), dtype=bool)
    fresh[1:] = (axis + opens)[1:] > ends[:-1]
    last = np.append(fresh[1:], True)[: len(fresh)]
    intervals = np.stack([opens[fresh], (ends - axis)[last]], axis=1).astype(np.int64)
    bounds = _split_by_word(words, word_of[fresh], intervals)

    def present(few: NDArray[np.integer]) -> _Sets:
        # Window, word and entering or leaving are packed into one number: sorting it is faster than an argsort.
        events = [bounds[word] << EVENT_BITS | [2 * bit, 2 * bit + 1] for bit, word in enumerate(few.tolist())]
        event = np.sort(np.concatenate(events), axis=None)
        windows, code = event >> EVENT_BITS, event & ((1 << EVENT_BITS) - 1)
        change = np.array([sign * (1 << bit) for bit in range(len(few)) for sign in (1, -1)])
        return np.cumsum(change[code])[:-1], np.diff(windows)

    return present


def _joint(topics: NDArray[np.integer], present: Callable[[NDArray[np.integer]], _Sets]) -> NDArray[np.int64]:
    """Count the contexts that the words of each topic share, (K, N, N), from sets of at most 16 words at a time."""
    n_topics, n_words = topics.shape
    blocks = [np.arange(n_words)]
    if n_words > 2 * WORDS_AT_ONCE:
        parts = np.array_split(np.arange(n_words), -(-n_words // WORDS_AT_ONCE))
        blocks = [np.append(one, other) for i, one in enumerate(parts) for other in parts[i + 1 :]]
    joint = np.zeros((n_topics, n_words, n_words), dtype=np.int64)
    for k, topic in enumerate(topics):
        for block in blocks:
            sets, n_contexts = present(topic[block])
            contexts_of = np.bincount(sets, weights=n_contexts, minlength=1)
            seen = np.flatnonzero(contexts_of)
            holds = (seen[:, None] >> np.arange(len(block))) & 1  # (sets, N)
            joint[k][np.ix_(block, block)] = np.rint((holds * contexts_of[seen, None]).T @ holds)
    return joint
