"""Phrases: words that stand together far more often than chance has it, found by gensim and joined to one word."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from topicnet.errors import InputError

JOINT = "_"  # "new_york"
FEWEST, MOST = 5, 20  # times a phrase must stand in the text, by default: MOST from a million words on
BREAKS_A_TIME = 1_000
BREAK = -1  # between documents, and in place of a stop word
_INSIDE, _BETWEEN = "\x1f", "\x1e"  # gensim writes phrases as text; these two stand in no word


def find_phrases(
    documents: Iterable[Sequence[str]],
    *,
    min_count: int | None = None,
    threshold: float = 0.5,
    stop_words: Collection[str] = (),
    longest: int = 3,
) -> list[tuple[str, ...]]:
    """Find phrases by gensim's `Phrases`: neighbours whose normalised PMI (Bouma 2009) is above a threshold.

    Phrases of three words are found by going through the text again with those of two joined, as gensim's manual
    advises; of five and more by a third time.

    Parameters
    ----------
    documents : iterable of lists of str
        The words of each document with the stop words at their places: two words that a stop word parts are no
        neighbours. Gone through once; 4 bytes a word are held.
    min_count : int, optional
        Times a phrase must stand in the text. By default 20, in less than a million words proportionally fewer, and 5
        at least.
    threshold : float
        Between -1 and 1: 0 is what chance gives, 1 words that never stand apart. At 0.5 "vice president", "special
        effects" and "cold war" are phrases and "good story" is none; at 0.7 mostly names are left.
    stop_words : collection of str
        Words that are never in a phrase.
    longest : int
        Most words of a phrase, 2 or more.

    Returns
    -------
    list of tuple of str
        The words of each phrase, the most frequent phrase first.

    Raises
    ------
    InputError
        A value that is out of its range.
    """
    if min_count is not None and min_count < 1:
        raise InputError(f"phrases that stand {min_count} times asked for, expected a whole number from 1")
    if not -1 <= threshold <= 1:
        raise InputError(f"a threshold of {threshold} given for phrases, expected one between -1 and 1, such as 0.5")
    if longest < 2:
        raise InputError(f"phrases of up to {longest} words asked for, expected 2 or more")
    stream, words = _coded(documents, frozenset(stop_words))
    if min_count is None:
        min_count = min(MOST, max(FEWEST, MOST * len(stream) // 1_000_000))
    found: dict[tuple[str, ...], int] = {}
    for _ in range((longest - 1).bit_length()):  # each time through the text doubles what can be joined
        before = len(found)
        found |= _pass(stream, words, list(found), min_count, threshold, longest)
        if len(found) == before:
            break
    return sorted(found, key=lambda phrase: (-found[phrase], phrase))


class Joiner:
    """Joins the phrases of a text that is held as numbers: left to right, and the longest phrase that begins at a word.

    Over phrases of two words this is what gensim's `FrozenPhrases` does.

    Parameters
    ----------
    phrases : iterable of tuple of str
        The words of each phrase.
    codes : mapping of str to int
        The number of every word, from 0, those of the joined words ("new_york") included. A phrase with a word that
        has no number is left out: it cannot stand in the text.

    Raises
    ------
    InputError
        A phrase of fewer than two words, or one whose joined word has no number.
    """

    def __init__(self, phrases: Iterable[Sequence[str]], codes: Mapping[str, int], joint: str = JOINT) -> None:
        # A tree of beginnings: the beginning (a, b) has a number, and (that number, c) leads to the one of (a, b, c).
        branches: list[dict[tuple[int, int], int]] = []
        joined: list[int] = []
        for phrase in phrases:
            if len(phrase) < 2:
                raise InputError(f"{joint.join(phrase)!r} given as a phrase, expected two words or more")
            if any(word not in codes for word in phrase):
                continue
            name = joint.join(phrase)
            if name not in codes:
                raise InputError(f"the phrase {name!r} has no number: give the words it is made of and its own")
            at = codes[phrase[0]]
            for depth, word in enumerate(phrase[1:]):
                if depth == len(branches):
                    branches.append({})
                step = (at, codes[word])
                if step not in branches[depth]:
                    branches[depth][step] = len(joined)
                    joined.append(BREAK)
                at = branches[depth][step]
            joined[at] = codes[name]
        self._levels = [_sorted(branch) for branch in branches]
        self._joined = np.array(joined, dtype=np.int32)  # by the number of a beginning; BREAK is no phrase
        first = [at for at, _ in branches[0]] if branches else []
        self._begins = np.zeros(max(first, default=-1) + 2, dtype=bool)  # by word; the last stands for all others
        self._begins[first] = True

    def __call__(
        self, codes: NDArray[np.int32], starts: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Join the phrases of documents; none reaches from one document into the next.

        Parameters
        ----------
        codes : (N,) ndarray of int32
            Word numbers of the documents, end to end; a negative number is no word and parts its neighbours.
        starts : (D + 1,) ndarray of int64
            Where each document begins, and where the last ends.

        Returns
        -------
        codes, starts
            The same with phrases joined; these may be the arrays given, where there was nothing to join.
        """
        at, lengths, into = self._matches(codes, starts)
        if len(at) == 0:
            return codes, starts
        taken = _taken(at, lengths)
        at, lengths, into = at[taken], lengths[taken], into[taken]
        result = np.array(codes)
        result[at] = into
        gone = np.repeat(at - np.cumsum(lengths - 1) + (lengths - 1) + 1, lengths - 1) + np.arange((lengths - 1).sum())
        kept = np.ones(len(codes), dtype=bool)
        kept[gone] = False
        return result[kept], starts - np.searchsorted(gone, starts)

    def _matches(
        self, codes: NDArray[np.int32], starts: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
        """Where a phrase could begin, how many words the longest one there has, and the joined word."""
        last = len(self._begins) - 1
        at = np.flatnonzero(self._begins[np.where((codes >= 0) & (codes < last), codes, last)])
        ends = starts[np.searchsorted(starts, at, side="right")]  # of the document of each
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


def _sorted(branch: dict[tuple[int, int], int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The steps of one depth of the tree as sorted keys, and where each leads."""
    keys = np.array([(at << 32) | word for at, word in branch], dtype=np.int64)
    order = np.argsort(keys)
    return keys[order], np.array(list(branch.values()), dtype=np.int64)[order]


def _taken(at: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the phrases that could be joined are, where several share words: as one reads from the left.

    A phrase that shares no word with any before it is taken. From one that is taken, the next that begins behind it is
    taken too; these steps are followed in strides of 1, 2, 4, ... until they lead to nothing new.
    """
    ends = at + lengths
    reach = np.concatenate([[-1], np.maximum.accumulate(ends)[:-1]])
    taken = at >= reach
    if taken.all():
        return taken
    stride = np.append(np.searchsorted(at, ends), len(at))  # the last leads to itself
    known = np.append(taken, True)
    while True:
        grown = known.copy()
        grown[stride[known]] = True
        if (grown == known).all():
            return known[:-1]
        known, stride = grown, stride[stride]


class _Codes(dict[str, int]):
    """Numbers of words in the order they are met; BREAK for those that part phrases."""

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


def _coded(documents: Iterable[Sequence[str]], stop_words: frozenset[str]) -> tuple[NDArray[np.int32], list[str]]:
    """All documents as one stream of numbers, a BREAK after each; and the words they stand for."""
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
    """Go through the text once, with the known phrases joined; returns the new ones and how often each stands."""
    from gensim.models.phrases import Phrases

    names = [*words, *map(_INSIDE.join, known)]
    joiner = Joiner(known, {name: code for code, name in enumerate(names)}, _INSIDE)
    stream, _ = joiner(stream, np.array([0, len(stream)]))
    learned = Phrases(min_count=min_count, threshold=threshold, scoring="npmi", delimiter=_BETWEEN)
    learned.add_vocab(_runs(stream, names))
    found = {tuple(name.replace(_BETWEEN, _INSIDE).split(_INSIDE)): name for name in learned.export_phrases()}
    return {phrase: learned.vocab[name] for phrase, name in found.items() if len(phrase) <= longest}


def _runs(stream: NDArray[np.int32], names: list[str]) -> Iterator[list[str]]:
    """The stretches of words between breaks."""
    table = np.array([*names, ""], dtype=object)  # the last is that of BREAK
    breaks = np.flatnonzero(stream == BREAK)
    begin = 0
    for at in range(0, len(breaks), BREAKS_A_TIME):  # the last token of the stream is a break
        ends = breaks[at : at + BREAKS_A_TIME] - begin
        part = table[stream[begin : begin + ends[-1]]].tolist()
        past = 0
        for end in ends.tolist():
            if end > past:
                yield part[past:end]
            past = end + 1
        begin += past
