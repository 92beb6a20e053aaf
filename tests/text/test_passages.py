"""Passages: they contain the words of the documents in order, in nearly equal lengths; theta is merged again."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topicnet.errors import InputError
from topicnet.text import token_counts
from topicnet.text.corpus import Corpus
from topicnet.text.passages import Passages, document_theta, in_passages
from topicnet.text.tokens.options import TextOptions
from topicnet.text.vocabulary import Pruning
from topicnet.workflows.engine import check_size

EVERY_WORD = TextOptions(lang="none", pruning=Pruning(min_df=1, max_df=1.0))
VOCABULARY = ["aa", "bb", "cc"]
texts = st.lists(st.lists(st.sampled_from(VOCABULARY), max_size=30).map(" ".join), max_size=6)


def counted(given: list[str]) -> Corpus:
    return Corpus.from_texts(given, vocabulary=VOCABULARY, options=EVERY_WORD)


def lengths(corpus: Corpus) -> np.ndarray:
    return np.asarray(corpus.counts.sum(1)).ravel()


@given(texts, st.integers(1, 12))
def test_the_passages_of_a_document_contain_exactly_its_words(given: list[str], size: int) -> None:
    corpus = counted(given)
    cut = in_passages(corpus, size)
    assert cut.counts.shape == (cut.n_passages, 3)
    assert cut.counts.dtype == np.int32
    np.testing.assert_array_equal(np.asarray(cut.counts.sum(1)).ravel(), cut.n_tokens)
    summed = np.zeros(corpus.counts.shape, dtype=np.int64)
    np.add.at(summed, cut.document, cut.counts.toarray())
    np.testing.assert_array_equal(summed, corpus.counts.toarray())


@given(texts, st.integers(1, 12))
def test_passages_are_in_reading_order(given: list[str], size: int) -> None:
    corpus = counted(given)
    cut = in_passages(corpus, size)
    assert np.unique(cut.document).tolist() == list(range(corpus.n_docs))
    assert (np.diff(cut.document) >= 0).all()
    for row in range(corpus.n_docs):
        own = cut.number[cut.document == row]
        assert own.tolist() == list(range(1, len(own) + 1))
    for passage, part in enumerate(np.split(corpus.tokens, np.cumsum(cut.n_tokens))[:-1]):
        np.testing.assert_array_equal(np.bincount(part, minlength=3), cut.counts[[passage]].toarray()[0])


@given(texts, st.integers(1, 12))
def test_passages_have_nearly_equal_lengths_close_to_the_requested_size(given: list[str], size: int) -> None:
    corpus = counted(given)
    cut = in_passages(corpus, size)
    for row, length in enumerate(lengths(corpus)):
        own = cut.n_tokens[cut.document == row]
        assert len(own) == max(1, int(length / size + 0.5))
        assert own.max() - own.min() <= 1
        assert len(own) == 1 or abs(own - size).max() <= size / 2


@given(texts.filter(lambda given: any(given)), st.integers(0, 3))
def test_a_size_above_all_lengths_gives_the_corpus_itself(given: list[str], more: int) -> None:
    corpus = counted(given)
    cut = in_passages(corpus, int(lengths(corpus).max()) + more)
    np.testing.assert_array_equal(cut.counts.toarray(), corpus.counts.toarray())
    assert cut.document.tolist() == list(range(corpus.n_docs))
    assert set(cut.number) == {1}


def test_a_document_without_words_is_one_passage_without_words() -> None:
    cut = in_passages(counted(["aa bb cc aa", "", "zz"]), 2)
    assert cut.document.tolist() == [0, 0, 1, 2]
    assert cut.number.tolist() == [1, 2, 1, 1]
    assert cut.n_tokens.tolist() == [2, 2, 0, 0]
    assert cut.counts.toarray().tolist() == [[1, 1, 0], [1, 0, 1], [0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_block_size_does_not_change_the_passages(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = counted(["aa bb cc aa bb", "", "cc cc", "aa " * 9, ""])
    whole = in_passages(corpus, 3).counts
    monkeypatch.setattr(token_counts, "TOKENS_AT_ONCE", at_once)
    parts = in_passages(corpus, 3).counts
    np.testing.assert_array_equal(parts.toarray(), whole.toarray())
    parts.check_format(full_check=True)
    assert parts.has_canonical_format


def test_saved_counts_give_the_same_passages(tmp_path: Path) -> None:
    corpus = counted(["aa bb cc aa bb", "cc cc"])
    corpus.save(tmp_path / "counts")
    loaded = in_passages(Corpus.load(tmp_path / "counts"), 2)
    np.testing.assert_array_equal(loaded.counts.toarray(), in_passages(corpus, 2).counts.toarray())


@pytest.mark.parametrize("size", [0, -3, 2.5, True, "10"])
def test_an_invalid_size_is_refused(size: object) -> None:
    with pytest.raises(InputError, match="expected a whole number from 1"):
        in_passages(counted(["aa"]), size)  # type: ignore[arg-type]


# ---------------------------------------------------------------- theta


def of_theta(given: list[str], size: int, seed: int = 0) -> tuple[np.ndarray, Passages]:
    cut = in_passages(counted(given), size)
    theta = np.random.default_rng(seed).dirichlet(np.ones(4), cut.n_passages).astype(np.float32)
    return theta, cut


@given(texts.filter(bool), st.integers(1, 9), st.integers(0, 9))
def test_theta_of_a_document_is_the_mean_weighted_by_words(given: list[str], size: int, seed: int) -> None:
    theta, cut = of_theta(given, size, seed)
    merged = document_theta(theta, cut)
    assert merged.dtype == np.float32
    np.testing.assert_allclose(merged.sum(1), 1, atol=1e-5)
    for row in range(len(given)):
        own = cut.document == row
        weights = cut.n_tokens[own] if cut.n_tokens[own].any() else None
        np.testing.assert_allclose(merged[row], np.average(theta[own], axis=0, weights=weights), atol=1e-6)


def test_a_document_without_words_has_the_theta_of_its_passage_or_the_given_prior() -> None:
    theta, cut = of_theta(["aa bb cc aa", ""], 2)
    np.testing.assert_array_equal(document_theta(theta, cut)[1], theta[2])
    prior = np.full(4, 0.25, dtype=np.float32)
    merged = document_theta(theta, cut, prior)
    np.testing.assert_array_equal(merged[1], prior)
    np.testing.assert_array_equal(merged[0], document_theta(theta, cut)[0])


def test_no_documents_have_no_passages() -> None:
    cut = in_passages(counted([]), 5)
    assert cut.n_passages == 0
    assert document_theta(np.zeros((0, 4), dtype=np.float32), cut).shape == (0, 4)


def test_theta_of_a_wrong_shape_is_refused() -> None:
    theta, cut = of_theta(["aa bb cc aa", ""], 2)
    with pytest.raises(InputError, match=r"\(2, 4\) given for 3 passages"):
        document_theta(theta[:2], cut)
    with pytest.raises(InputError, match="expected one row per passage"):
        document_theta(theta[:, 0], cut)
    with pytest.raises(InputError, match=r"expected \(4,\)"):
        document_theta(theta, cut, np.ones(3) / 3)


# --- a few long documents ---

LONG = [" ".join(["aa bb", "aa cc", "aa dd"][i // 10] + " zz" * (i == 0) for i in range(30) for _ in range(10))]


def words_kept(documents: list[str], passages: int | None, **bounds: float) -> list[str]:
    options = TextOptions(lang="none", pruning=Pruning(passages=passages, **bounds))  # type: ignore[arg-type]
    return Corpus.from_texts(documents, options=options).vocabulary


def test_document_frequencies_of_a_long_document_are_those_of_its_passages() -> None:
    assert words_kept(LONG, None) == ["aa", "bb", "cc", "dd", "zz"]
    assert words_kept(LONG, 20) == ["bb", "cc", "dd", "zz"]  # all passages contain aa
    assert words_kept(LONG, 30, min_df=2, max_df=1.0) == ["aa", "bb", "cc", "dd"]
    assert words_kept(LONG * 2, 20, min_df=0.5, max_df=1.0) == ["aa"]
    assert words_kept([*LONG, ""], 20) == ["bb", "cc", "dd", "zz"]


def test_a_corpus_of_many_documents_counts_document_frequencies_over_documents() -> None:
    many = LONG * 20
    assert words_kept(many, 20, min_df=20, max_df=1.0) == words_kept(many, None, min_df=20, max_df=1.0)


def test_a_single_document_needs_two_passages() -> None:
    corpus = Corpus.from_texts(LONG, options=EVERY_WORD)
    check_size(corpus, 2, passages=300)
    with pytest.raises(
        InputError, match="give fewer than 2 passages of 3000 words, expected 2 or more: lower --passages"
    ):
        check_size(corpus, 2, passages=3000)
    with pytest.raises(InputError, match="or split long ones with --passages"):
        check_size(corpus, 2)
