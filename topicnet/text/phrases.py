"""Phrase detection (collocations) with gensim, and joining of the words of a phrase into one, such as "new_york"."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from topicnet.errors import InputError

JOINT = "_"  # "new_york"
FEWEST, MOST = 5, 20  # bounds of the default `min_count`; MOST from a million words on
BREAKS_PER_STEP = 1_000
BREAK = -1  # between documents, and in place of a stop word
_INSIDE, _BETWEEN = "\x1f", "\x1e"  # delimiters for gensim, which returns phrases as strings; no word contains them


def find_phrases(
    documents: Iterable[Sequence[str]],
    *,
    min_count: int | None = None,
    threshold: float = 0.5,
    stop_words: Collection[str] = (),
    longest: int = 3,
) -> list[tuple[str, ...]]:
    """Find phrases with gensim's `Phrases`: neighbours whose normalised PMI (Bouma 2009) exceeds a threshold.

    Phrases of three or four words are found in a second pass over the text, with the phrases of the first pass joined,
    as gensim's manual advises; longer ones in further passes.

    Parameters
    ----------
    documents : iterable of lists of str
        The words of each document, stop words included: two words with a stop word between them are not neighbours.
        Iterated over once; 4 bytes per word are held in memory.
    min_count : int, optional
        Fewest occurrences of a phrase. By default 20, or proportionally fewer in a text of less than a million words,
        but at least 5.
    threshold : float
        Lowest score, from -1 to 1: independent words score 0, words that only occur together 1. At 0.5 "vice
        president", "special effects" and "cold war" are phrases and "good story" is not; at 0.7 mostly names are left.
    stop_words : collection of str
        Words that are never part of a phrase.
    longest : int
        Most words in a phrase, 2 or more.

    Returns
    -------
    list of tuple of str
        The words of each phrase, the most frequent phrase first.

    Raises
    ------
    InputError
        A value is out of range.
    """
    if min_count is not None and min_count < 1:
        raise InputError(f"phrases that occur {min_count} times requested, expected a whole number from 1")
    if not -1 <= threshold <= 1:
        raise InputError(f"a threshold of {threshold} given for phrases, expected one between -1 and 1, such as 0.5")
    if longest < 2:
        raise InputError(f"phrases of up to {longest} words requested, expected 2 or more")
    stream, words = _encode(documents, frozenset(stop_words))
    if min_count is None:
        min_count = min(MOST, max(FEWEST, MOST * len(stream) // 1_000_000))
    found: dict[tuple[str, ...], int] = {}
    for _ in range((longest - 1).bit_length()):  # each pass doubles the length of the phrases that can be found
        n_before = len(found)
        found |= _pass(stream, words, list(found), min_count, threshold, longest)
        if len(found) == n_before:
            break
    return sorted(found, key=lambda phrase: (-found[phrase], phrase))


class Joiner:
    """Greedy joiner of phrases in a sequence of word ids: from left to right, the longest phrase at each position.

    For phrases of two words it gives the same result as gensim's `FrozenPhrases`.

    Parameters
    ----------
    phrases : iterable of tuple of str
        The words of each phrase.
    codes : mapping of str to int
        The id of each word, from 0, including the joined words ("new_york"). A phrase with a word that has no id
        cannot occur in the text and is skipped.
    joint : str
        Delimiter between the words of a joined phrase.

    Raises
    ------
    InputError
        A phrase has fewer than two words, or its joined word has no id.
    """

    def __init__(self, phrases: Iterable[Sequence[str]], codes: Mapping[str, int], joint: str = JOINT) -> None:
        # A trie: each prefix, such as (a, b), has a number, and (that number, c) maps to the number of (a, b, c).
        branches: list[dict[tuple[int, int], int]] = []
        joined: list[int] = []
        for phrase in phrases:
            if len(phrase) < 2:
                raise InputError(f"{joint.join(phrase)!r} given as a phrase, expected two words or more")
            if any(word not in codes for word in phrase):
                continue
            name = joint.join(phrase)
            if name not in codes:
                raise InputError(f"the phrase {name!r} has no number: number the joined word as well as its parts")
            node = codes[phrase[0]]
            for depth, word in enumerate(phrase[1:]):
                if depth == len(branches):
                    branches.append({})
                step = (node, codes[word])
                if step not in branches[depth]:
                    branches[depth][step] = len(joined)
                    joined.append(BREAK)
                node = branches[depth][step]
            joined[node] = codes[name]
        self._levels = [_sorted_steps(branch) for branch in branches]
        self._joined = np.array(joined, dtype=np.int32)  # joined word of each prefix; BREAK if it is not a phrase
        first = [word for word, _ in branches[0]] if branches else []
        self._begins = np.zeros(max(first, default=-1) + 2, dtype=bool)  # by word; the last entry is for all others
        self._begins[first] = True

    def __call__(
        self, codes: NDArray[np.int32], starts: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Join the phrases within each document.

        Parameters
        ----------
        codes : ndarray of shape (N,), int32
            Word ids of the documents, end to end; no phrase spans a negative id.
        starts : ndarray of shape (D + 1,), int64
            Position at which each document begins, and the end of the last.

        Returns
        -------
        codes : ndarray of shape (M,), int32
            Word ids with phrases joined; the same array if there was nothing to join.
        starts : ndarray of shape (D + 1,), int64
            Positions in the new `codes`.
        """
        at, lengths, into = self._matches(codes, starts)
        if len(at) == 0:
            return codes, starts
        taken = _without_overlaps(at, lengths)
        at, lengths, into = at[taken], lengths[taken], into[taken]
        result = np.array(codes)
        result[at] = into
        removed = np.arange((lengths - 1).sum())
        removed += np.repeat(at - np.cumsum(lengths - 1) + (lengths - 1) + 1, lengths - 1)
        kept = np.ones(len(codes), dtype=bool)
        kept[removed] = False
        return result[kept], starts - np.searchsorted(removed, starts)

    def _matches(
        self, codes: NDArray[np.int32], starts: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
        """Return each position at which a phrase begins, the length of the longest one there, and its joined word."""
        last = len(self._begins) - 1
        at = np.flatnonzero(self._begins[np.where((codes >= 0) & (codes < last), codes, last)])
        ends = starts[np.searchsorted(starts, at, side="right")]  # end of the document at each position
        node = codes[at].astype(np.int64)
        places, found = at, np.arange(len(at))
        lengths, into = np.zeros(len(at), dtype=np.int64), np.zeros(len(at), dtype=np.int32)
        for depth, (keys, children) in enumerate(self._levels, 1):
            inside = places + depth < ends[found]
            places, found, node = places[inside], found[inside], node[inside]
            following = codes[places + depth].astype(np.int64)
            key = (node << 32) | following
            position = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
            hit = (keys[position] == key) & (following >= 0)
            places, found, node = places[hit], found[hit], children[position[hit]]
            whole = self._joined[node] != BREAK
            lengths[found[whole]] = depth + 1
            into[found[whole]] = self._joined[node[whole]]
        phrases = lengths > 0
        return at[phrases], lengths[phrases], into[phrases]


def _sorted_steps(branch: dict[tuple[int, int], int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the transitions at one depth of the trie as sorted keys, and the number of the prefix each leads to."""
    keys = np.array([(node << 32) | word for node, word in branch], dtype=np.int64)
    order = np.argsort(keys)
    return keys[order], np.array(list(branch.values()), dtype=np.int64)[order]


def _without_overlaps(at: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Choose the phrases to join where several overlap: greedily, from left to right.

    A phrase that overlaps no earlier one is taken, and after each phrase taken, the next one that begins behind its
    end. These links are followed in strides of 1, 2, 4, ... until no phrase is added.
    """
    ends = at + lengths
    reach = np.concatenate([[-1], np.maximum.accumulate(ends)[:-1]])
    taken = at >= reach
    if taken.all():
        return taken
    stride = np.append(np.searchsorted(at, ends), len(at))  # the last entry links to itself
    known = np.append(taken, True)
    while True:
        grown = known.copy()
        grown[stride[known]] = True
        if (grown == known).all():
            return known[:-1]
        known, stride = grown, stride[stride]


class _Codes(dict[str, int]):
    """Word ids in order of first appearance, with BREAK for words that cannot be part of a phrase."""

    def __init__(self, stop_words: frozenset[str]) -> None:
        super().__init__()
        self.stop_words = stop_words
        self.words: list[str] = []

    def __missing__(self, word: str) -> int:
        if word in self.stop_words or _INSIDE in word or _BETWEEN in word:
            self[word] = BREAK
        else:
            self[word] = len(self.words)
            self.words.append(word)
        return self[word]


def _encode(documents: Iterable[Sequence[str]], stop_words: frozenset[str]) -> tuple[NDArray[np.int32], list[str]]:
    """Return all documents as one stream of word ids, with a BREAK after each document, and the words."""
    codes = _Codes(stop_words)
    stream = array("i")
    for document in documents:
        stream.extend(map(codes.__getitem__, document))
        stream.append(BREAK)
    return np.frombuffer(stream, dtype=np.int32) if len(stream) else np.zeros(0, dtype=np.int32), codes.words


def _pass(
    stream: NDArray[np.int32],
    words: list[str],
    known: list[tuple[str, ...]],
    min_count: int,
    threshold: float,
    longest: int,
) -> dict[tuple[str, ...], int]:
    """Run gensim over the text with the known phrases joined, and return the phrases found with their counts."""
    from gensim.models.phrases import Phrases

    names = [*words, *map(_INSIDE.join, known)]
    joiner = Joiner(known, {name: code for code, name in enumerate(names)}, _INSIDE)
    stream, _ = joiner(stream, np.array([0, len(stream)]))
    learned = Phrases(min_count=min_count, threshold=threshold, scoring="npmi", delimiter=_BETWEEN)
    learned.add_vocab(_runs(stream, names))
    found = {tuple(name.replace(_BETWEEN, _INSIDE).split(_INSIDE)): name for name in learned.export_phrases()}
    return {phrase: learned.vocab[name] for phrase, name in found.items() if len(phrase) <= longest}


def _runs(stream: NDArray[np.int32], names: list[str]) -> Iterator[list[str]]:
    """Yield the runs of words between breaks."""
    table = np.array([*names, ""], dtype=object)  # the last entry is for BREAK, which is -1
    breaks = np.flatnonzero(stream == BREAK)
    begin = 0
    for at in range(0, len(breaks), BREAKS_PER_STEP):  # the stream ends with a break
        ends = breaks[at : at + BREAKS_PER_STEP] - begin
        part = table[stream[begin : begin + ends[-1]]].tolist()
        past = 0
        for end in ends.tolist():
            if end > past:
                yield part[past:end]
            past = end + 1
        begin += past
