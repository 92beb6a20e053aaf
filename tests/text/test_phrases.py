"""Phrases: planted ones are found and joined as gensim does, from left to right and never across a gap."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pytest
from gensim.models.phrases import FrozenPhrases, Phrases
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.examples import examples
from topicnet.errors import InputError
from topicnet.text.phrases import BREAK, Joiner, find_phrases

WORDS = "abcd"
documents = st.lists(st.lists(st.sampled_from(WORDS), max_size=20), max_size=6)
phrase_lists = st.lists(st.lists(st.sampled_from(WORDS), min_size=2, max_size=4).map(tuple), max_size=6, unique=True)


def numbered(phrases: Sequence[tuple[str, ...]]) -> dict[str, int]:
    return {name: code for code, name in enumerate([*WORDS, *map("_".join, phrases)])}


def join(phrases: Sequence[tuple[str, ...]], texts: list[list[str]]) -> list[list[str]]:
    """Join phrases by word number, and translate the result back to words."""
    codes = numbered(phrases)
    names = list(codes)
    starts = np.concatenate([[0], np.cumsum([len(text) for text in texts], dtype=np.int64)])
    flat = np.array([codes.get(word, BREAK) for text in texts for word in text], dtype=np.int32)
    joined, starts = Joiner(phrases, codes)(flat, starts)
    assert joined.dtype == np.int32
    assert starts[-1] == len(joined)
    named = [names[code] if code >= 0 else "-" for code in joined]
    return [named[begin:end] for begin, end in pairwise(starts)]


def read_from_the_left(phrases: Sequence[tuple[str, ...]], text: list[str]) -> list[str]:
    longest_first = sorted(phrases, key=len, reverse=True)
    joined, at = [], 0
    while at < len(text):
        fits = (phrase for phrase in longest_first if tuple(text[at : at + len(phrase)]) == phrase)
        phrase = next(fits, (text[at],))
        joined.append("_".join(phrase))
        at += len(phrase)
    return joined


@examples(50)
@given(phrase_lists, documents)
@example([("a", "a")], [["a"] * 7, ["a"], [], ["a"] * 4])
@example([("a", "b", "c"), ("b", "c"), ("c", "d", "a")], [list("abcda"), list("bcda"), list("ab"), list("cda")])
def test_phrases_are_joined_from_the_left_and_the_longest_first(
    phrases: list[tuple[str, ...]], texts: list[list[str]]
) -> None:
    assert join(phrases, texts) == [read_from_the_left(phrases, text) for text in texts]


@examples(50)
@given(documents.filter(any), st.floats(-0.9, 0.6))
def test_phrases_of_two_words_are_joined_as_gensim_joins_them(texts: list[list[str]], threshold: float) -> None:
    frozen = FrozenPhrases(Phrases(texts, min_count=1, threshold=threshold, scoring="npmi"))
    phrases = [tuple(name.split("_")) for name in frozen.phrasegrams]
    assert join(phrases, texts) == [frozen[text] if text else [] for text in texts]


def test_phrases_do_not_span_gaps() -> None:
    assert join([("a", "b")], [["a", "?", "b", "a", "b", "?"]]) == [["a", "-", "b", "a_b", "-"]]


def test_a_long_run_of_overlapping_phrases_is_joined_quickly() -> None:
    """Every phrase overlaps the previous one, so each choice depends on all earlier ones."""
    codes, starts = Joiner([("a", "a", "a")], {"a": 0, "a_a_a": 1})(
        np.zeros(300_001, dtype=np.int32), np.array([0, 300_001])
    )
    assert codes.tolist() == [1] * 100_000 + [0]
    assert starts.tolist() == [0, 100_001]


def test_a_phrase_of_unknown_words_is_skipped() -> None:
    codes = np.array([0, 1, 0, 5], dtype=np.int32)  # 5 is a word that was added after the joiner was made
    joiner = Joiner([("x", "y"), ("a", "b")], {"a": 0, "b": 1, "a_b": 2})
    assert joiner(codes, np.array([0, 4]))[0].tolist() == [2, 0, 5]


def test_a_phrase_of_one_word_or_without_a_number_is_refused() -> None:
    with pytest.raises(InputError, match="'a' given as a phrase, expected two words or more"):
        Joiner([("a",)], {"a": 0})
    with pytest.raises(InputError, match="'a_b' has no number"):
        Joiner([("a", "b")], {"a": 0, "b": 1})


# ---------------------------------------------------------------- finding


def planted(n: int = 300, seed: int = 0) -> list[list[str]]:
    """Generate random text that contains "prime minister", "new york city" and "bank of england"."""
    rng = np.random.default_rng(seed)
    filler = [f"w{i}" for i in range(60)] + ["minister", "city", "bank", "the", "of"]
    texts = []
    for number in range(n):
        text = rng.choice(filler, 30).tolist()
        for at, phrase in ((5, "prime minister"), (12, "new york city"), (20, "bank of england")):
            if (number + at) % 3 == 0:
                text[at:at] = phrase.split()
        texts.append(text)
    return texts


def test_exactly_the_planted_phrases_are_found() -> None:
    found = find_phrases(planted(), stop_words={"the", "of"})
    pairs = [("new", "york"), ("prime", "minister"), ("york", "city")]  # each 100 times
    assert set(found) == {*pairs, ("new", "york", "city")}
    assert find_phrases(planted(), stop_words={"the", "of"}, longest=2) == pairs


def test_an_iterator_of_documents_gives_the_same_phrases() -> None:
    def once() -> Iterator[list[str]]:
        yield from planted()

    assert find_phrases(once(), stop_words=["the", "of"]) == find_phrases(planted(), stop_words=["of", "the"])


def test_phrases_neither_contain_nor_span_stop_words() -> None:
    texts = [["kingdom", "of", "spain"] * 3, ["other", "words"]] * 40
    found = find_phrases(texts, stop_words={"of"}, min_count=5, threshold=-0.5)
    assert found == [("spain", "kingdom"), ("other", "words")]
    assert {("kingdom", "of"), ("of", "spain")} < set(find_phrases(texts, min_count=5, threshold=-0.5))


@examples(30)
@given(documents, st.integers(1, 4), st.floats(-0.5, 0.9))
def test_phrases_of_two_are_those_gensim_learns(texts: list[list[str]], min_count: int, threshold: float) -> None:
    learned = Phrases(min_count=min_count, threshold=threshold, scoring="npmi")
    learned.add_vocab(texts)
    expected = {tuple(name.split("_")): learned.vocab[name] for name in learned.export_phrases()}
    found = find_phrases(texts, min_count=min_count, threshold=threshold, longest=2)
    assert set(found) == set(expected)
    assert [expected[phrase] for phrase in found] == sorted(expected.values(), reverse=True)


def test_fewer_occurrences_suffice_in_a_small_text() -> None:
    texts = [["climate", "change", "aa", "bb"], ["aa", "cc"], ["bb", "cc"], ["cc", "aa", "bb"]] * 5
    assert ("climate", "change") in find_phrases(texts)
    assert ("climate", "change") not in find_phrases(texts, min_count=6)
    more = [["zz", "yy"], ["yy", "zz"]] * 200_000
    assert ("climate", "change") not in find_phrases(texts + more)


def test_no_text_has_no_phrases() -> None:
    assert find_phrases([]) == find_phrases([[], []]) == find_phrases([["a"]]) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [({"min_count": 0}, "0 times"), ({"threshold": 1.5}, "between -1 and 1"), ({"longest": 1}, "expected 2 or more")],
)
def test_values_out_of_range_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_phrases([["a", "b"]], **options)  # type: ignore[arg-type]
