"""Pruning: bounds on document frequencies, the order of the kept words, and invalid bounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topicnet.errors import CorpusError, InputError
from topicnet.text.vocabulary import Pruning

WORDS = ["cherry", "apple", "date", "banana"]


def kept(pruning: Pruning, frequencies: list[int], n_docs: int, words: list[str] = WORDS) -> list[str]:
    return [words[i] for i in pruning.keep(words, np.array(frequencies, dtype=np.intp), n_docs)]


@pytest.mark.parametrize(
    ("n_docs", "low", "high"),
    [
        (1, 1, 1),
        (5, 1, 5),
        (19, 1, 19),
        (20, 2, 10),
        (300, 2, 150),
        (10_000, 5, 5_000),
        (100_000, 16, 50_000),
    ],
)
def test_default_bounds_grow_with_the_corpus(n_docs: int, low: int, high: float) -> None:
    assert Pruning().bounds(n_docs) == (low, high)


@pytest.mark.parametrize(
    ("pruning", "bounds"),
    [
        (Pruning(min_df=3), (3, 150)),
        (Pruning(max_df=40), (2, 40)),
        (Pruning(min_df=0.1), (30, 150)),
        (Pruning(max_df=0.25), (2, 75)),
        (Pruning(min_df=1, max_df=1), (1, 1)),
        (Pruning(min_df=1.0, max_df=1.0), (300, 300)),
        (Pruning(min_df=0.0, max_df=0.0), (0, 0)),
    ],
)
def test_whole_numbers_count_documents_and_fractions_refer_to_all_documents(
    pruning: Pruning, bounds: tuple[float, float]
) -> None:
    assert pruning.bounds(300) == bounds


def test_given_bounds_hold_in_a_small_corpus_too() -> None:
    assert Pruning(min_df=2, max_df=0.5).bounds(6) == (2, 3)


def test_bounds_are_inclusive() -> None:
    assert kept(Pruning(min_df=2, max_df=4), [1, 2, 4, 5], 10) == ["apple", "date"]
    assert kept(Pruning(min_df=0.25, max_df=0.5), [1, 2, 4, 5], 8) == ["apple", "date"]


@pytest.mark.parametrize(("share", "df"), [(0.07, 7), (0.29, 29), (0.57, 57)])
def test_a_word_in_exactly_a_fraction_of_100_documents_is_kept_by_either_bound(share: float, df: int) -> None:
    assert kept(Pruning(min_df=share, max_df=1.0), [df], 100, ["word"]) == ["word"]
    assert kept(Pruning(min_df=1, max_df=share), [df], 100, ["word"]) == ["word"]


def test_words_are_in_alphabetical_order() -> None:
    assert kept(Pruning(min_df=1, max_df=1.0), [1, 2, 3, 4], 4) == sorted(WORDS)


def test_the_most_frequent_words_are_kept_and_the_alphabet_breaks_ties() -> None:
    everything = {"min_df": 1, "max_df": 1.0}
    assert kept(Pruning(**everything, max_vocab=2), [9, 1, 5, 9], 9) == ["banana", "cherry"]
    assert kept(Pruning(**everything, max_vocab=2), [3, 3, 3, 3], 9) == ["apple", "banana"]
    assert kept(Pruning(**everything, max_vocab=3), [7, 3, 3, 3], 9) == ["apple", "banana", "cherry"]
    assert kept(Pruning(**everything, max_vocab=4), [3, 3, 3, 3], 9) == sorted(WORDS)


@given(
    st.dictionaries(st.text("abé", min_size=1, max_size=4), st.integers(1, 30), min_size=1, max_size=20),
    st.integers(1, 15),
    st.integers(1, 30),
    st.integers(1, 20),
    st.randoms(use_true_random=False),
)
def test_what_is_kept_does_not_depend_on_the_order_of_the_words(frequency, low, high, most, random) -> None:
    pruning = Pruning(min_df=low, max_df=high, max_vocab=most)
    within = [word for word, df in frequency.items() if low <= df <= high]
    expected = sorted(sorted(within, key=lambda word: (-frequency[word], word))[:most])
    words = list(frequency)
    random.shuffle(words)
    if not within:
        with pytest.raises(CorpusError):
            kept(pruning, [frequency[word] for word in words], 30, words)
    else:
        assert kept(pruning, [frequency[word] for word in words], 30, words) == expected


def test_an_empty_vocabulary_gives_one_line_with_the_bounds_and_a_remedy() -> None:
    with pytest.raises(CorpusError) as caught:
        kept(Pruning(min_df=5, max_df=0.75), [1, 2, 3, 4], 8)
    message = str(caught.value)
    assert message.isprintable()
    assert "no word is left of 4" in message
    assert "4 in fewer than 5 document(s) (--min-df) and 0 in more than 6 (--max-df), of 8 documents" in message
    assert all(option in message for option in ("--min-df", "--max-df", "--lang", "--stop-words"))


@pytest.mark.parametrize("name", ["min_df", "max_df"])
@pytest.mark.parametrize("value", [0, -1, False, 1.5, -0.1, float("nan"), float("inf"), "2", [1]])
def test_an_invalid_bound_is_refused(name: str, value: object) -> None:
    with pytest.raises(InputError, match=name) as caught:
        Pruning(**{name: value})
    assert repr(value) in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("value", [0, -5])
def test_an_invalid_max_vocab_is_refused(value: int) -> None:
    with pytest.raises(InputError, match=f"max_vocab={value} given"):
        Pruning(max_vocab=value)
