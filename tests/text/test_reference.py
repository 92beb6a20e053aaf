"""A corpus over another vocabulary, and a part of a corpus, equal the same texts counted that way directly."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.examples import examples
from topicnet.errors import CorpusError
from topicnet.evaluate.coherence import c_npmi
from topicnet.evaluate.occurrences import TokenStream
from topicnet.text.corpus import Corpus
from topicnet.text.reference import Reference, reference_over
from topicnet.text.tokens.options import TextOptions
from topicnet.text.vocabulary import Pruning

EVERY_WORD = TextOptions(lang="none", pruning=Pruning(min_df=1, max_df=1.0))
TEXTS = ["goal match goal", "", "oven flour the oven", "12 !", "match oven", "zyzzyva"]

words = st.sampled_from(["aa", "bb", "cc", "dd", "ee", "the", ".", "7"])
texts = st.lists(st.lists(words, max_size=8).map(" ".join), min_size=1, max_size=8)
vocabularies = st.lists(st.sampled_from(["ee", "bb", "aa", "zz", "yy", "cc"]), min_size=1, max_size=6, unique=True)


def holds_a_word(corpus: Corpus) -> bool:
    return bool(len(corpus.tokens))


def assert_counted(found: Reference, expected: Corpus) -> None:
    """Check counts, word order and document boundaries against a corpus; other words only keep their positions."""
    assert found.counts.shape == expected.counts.shape
    np.testing.assert_array_equal(found.counts.toarray(), expected.counts.toarray())
    known = found.tokens >= 0
    np.testing.assert_array_equal(found.tokens[known], expected.tokens)
    lengths = np.asarray(expected.counts.sum(1)).ravel()
    documents = np.repeat(np.arange(len(lengths)), np.diff(found.starts))
    np.testing.assert_array_equal(np.bincount(documents[known], minlength=len(lengths)), lengths)


# ---------------------------------------------------------------- reference_over


@examples(40)
@given(texts, vocabularies)
@example(["aa bb", "", "dd", "bb the aa aa"], ["bb", "zz", "aa"])
def test_another_vocabulary_gives_the_counts_of_a_direct_count(given_texts: list[str], vocabulary: list[str]) -> None:
    counted = Corpus.from_texts(given_texts, vocabulary=["aa", "bb", "cc", "dd", "ee", "the"])
    expected = Corpus.from_texts(given_texts, vocabulary=vocabulary)
    if not holds_a_word(expected):
        with pytest.raises(CorpusError, match="holds a word of the model"):
            reference_over(counted, vocabulary)
        return
    found = reference_over(counted, vocabulary)
    assert_counted(found, expected)
    assert found.counts.has_canonical_format
    assert found.counts.data.min() >= 1


def test_the_same_vocabulary_keeps_the_counts() -> None:
    corpus = Corpus.from_texts(TEXTS, options=EVERY_WORD)
    found = reference_over(corpus, list(corpus.vocabulary))
    assert found.counts is corpus.counts
    assert_counted(found, corpus)
    assert found.name == "texts"


def test_a_reordered_vocabulary_reorders_the_columns() -> None:
    corpus = Corpus.from_texts(TEXTS, options=EVERY_WORD)
    turned = corpus.vocabulary[::-1]
    found = reference_over(corpus, turned)
    np.testing.assert_array_equal(found.counts.toarray(), corpus.counts.toarray()[:, ::-1])
    assert [turned[i] for i in found.tokens] == [corpus.vocabulary[i] for i in corpus.tokens]


def test_documents_without_a_known_word_stay_as_empty_rows() -> None:
    corpus = Corpus.from_texts(TEXTS, options=EVERY_WORD)
    found = reference_over(corpus, ["oven", "goal"])
    assert found.counts.toarray().tolist() == [[0, 2], [0, 0], [2, 0], [0, 0], [1, 0], [0, 0]]
    # "goal match goal", "", "oven flour the oven", "12 !", "match oven", "zyzzyva": every word keeps its position
    assert found.tokens.tolist() == [1, -1, 1, 0, -1, -1, 0, -1, 0, -1]
    assert found.starts.tolist() == [0, 3, 3, 7, 7, 9, 10]


def test_words_the_reference_never_saw_are_empty_columns() -> None:
    found = reference_over(Corpus.from_texts(["aa bb"], options=EVERY_WORD), ["yy", "bb", "zz"])
    assert found.counts.toarray().tolist() == [[0, 1, 0]]
    assert found.tokens.tolist() == [-1, 1]


def test_windows_are_as_wide_as_in_the_text() -> None:
    """As gensim counts windows over the same tokens, whether the model knows them or not."""
    from gensim.corpora import Dictionary
    from gensim.models import CoherenceModel

    rng = np.random.default_rng(0)
    names = [f"w{chr(97 + i)}" for i in range(26)]
    tokens = [[names[i] for i in rng.integers(26, size=60)] for _ in range(20)]
    vocabulary = names[:6]
    found = reference_over(Corpus.from_texts([" ".join(text) for text in tokens], options=EVERY_WORD), vocabulary)
    topics = np.array([[0, 1, 2], [3, 4, 5]])
    mine = c_npmi(topics, TokenStream(found.tokens, found.starts))
    model = CoherenceModel(
        topics=[[vocabulary[i] for i in topic] for topic in topics],
        texts=tokens,
        dictionary=Dictionary(tokens),
        coherence="c_npmi",
        processes=1,
    )
    assert mine == pytest.approx(model.get_coherence_per_topic(), abs=1e-6)
    known = found.tokens[found.tokens >= 0]
    ends = np.concatenate([[0], np.cumsum(np.asarray(found.counts.sum(1)).ravel())])
    assert abs(mine - c_npmi(topics, TokenStream(known, ends))).max() > 0.01  # else the known words move together


def test_a_saved_reference_gives_the_same_result(tmp_path: Path) -> None:
    corpus = Corpus.from_texts(TEXTS, options=EVERY_WORD)
    corpus.save(tmp_path)
    for vocabulary in (["oven", "match"], corpus.vocabulary):
        assert_counted(
            reference_over(Corpus.load(tmp_path), vocabulary), Corpus.from_texts(TEXTS, vocabulary=vocabulary)
        )


def test_an_opened_corpus_is_not_changed(tmp_path: Path) -> None:
    corpus = Corpus.from_texts(["bb aa bb"], options=EVERY_WORD)
    before = corpus.counts.copy(), corpus.tokens.copy()
    reference_over(corpus, ["bb"]).counts.data[:] = 99
    assert (corpus.counts != before[0]).nnz == 0
    np.testing.assert_array_equal(corpus.tokens, before[1])


@pytest.mark.parametrize(
    ("given_texts", "vocabulary", "message"),
    [
        ([], ["aa"], "no documents"),
        (["zyzzyva", "quux corge"], ["aa", "bb"], "none of the 2 documents of the reference 'texts'"),
        ([""], ["aa"], "none of the 1 documents"),
        (["", "zyzzyva"], ["zz"], "language of the fit"),
    ],
)
def test_a_reference_without_the_words_is_refused(given_texts: list[str], vocabulary: list[str], message: str) -> None:
    for counted_over in (vocabulary, ["quux", "zyzzyva"]):
        with pytest.raises(CorpusError, match=message):
            reference_over(Corpus.from_texts(given_texts, vocabulary=counted_over), vocabulary)


def test_counts_over_no_words_are_refused() -> None:
    with pytest.raises(CorpusError, match="none of the 1 documents"):
        reference_over(Corpus.from_texts(["aa"], vocabulary=[]), ["aa"])


# ---------------------------------------------------------------- Corpus.take


@examples(40)
@given(texts, st.data())
def test_a_part_equals_its_documents_counted_alone(given_texts: list[str], data: st.DataObject) -> None:
    vocabulary = ["aa", "bb", "cc", "ee"]
    rows = data.draw(st.lists(st.integers(0, len(given_texts) - 1), max_size=10))  # any order, some more than once
    corpus = Corpus.from_texts(given_texts, vocabulary=vocabulary, keep_texts=True)
    part = corpus.take(np.array(rows, dtype=np.intp), "a part")
    expected = Corpus.from_texts([given_texts[row] for row in rows], vocabulary=vocabulary, keep_texts=True)
    np.testing.assert_array_equal(part.counts.toarray(), expected.counts.toarray())
    np.testing.assert_array_equal(part.tokens, expected.tokens)
    np.testing.assert_array_equal(part.status, expected.status)
    assert part.vocabulary == vocabulary
    assert part.texts == expected.texts
    assert part.excerpts == expected.excerpts
    assert part.ids == [corpus.ids[row] for row in rows]
    assert part.n_docs == len(rows)


def with_columns() -> Corpus:
    frame = pl.DataFrame(
        {"text": TEXTS, "key": list("abcdef"), "label": ["sport", None, "food", "", "both", "none"], "year": range(6)}
    )
    return Corpus.from_frame(frame, id_column="key", options=EVERY_WORD)


def test_ids_and_metadata_stay_with_their_documents() -> None:
    part = with_columns().take(np.array([4, 0, 1]), "a part")
    assert part.ids == ["e", "a", "b"]
    assert part.metadata["label"].to_list() == ["both", "sport", None]
    assert part.metadata["year"].to_list() == [4, 0, 1]
    assert part.status.tolist() == ["ok", "ok", "empty"]
    assert part.texts is None


def test_a_part_has_its_own_name_and_the_source_of_the_whole() -> None:
    corpus = with_columns()
    part = corpus.take(np.array([0]), "a part")
    assert part.source == corpus.source | {"name": "a part"}
    assert corpus.source["name"] == "texts"


def test_a_part_of_saved_counts_can_be_saved(tmp_path: Path) -> None:
    """As `compare` does: split, save, and open memory-mapped."""
    with_columns().save(tmp_path / "whole")
    whole = Corpus.load(tmp_path / "whole")
    whole.take(np.array([2, 3, 0]), "a part").save(tmp_path / "part")
    part = Corpus.load(tmp_path / "part")
    np.testing.assert_array_equal(part.counts.toarray(), whole.counts.toarray()[[2, 3, 0]])
    assert [part.vocabulary[i] for i in part.tokens] == ["oven", "flour", "the", "oven", "goal", "match", "goal"]
    assert part.ids == ["c", "d", "a"]
    assert part.metadata["label"].to_list() == ["food", "", "sport"]


def test_taking_all_documents_gives_the_corpus(tmp_path: Path) -> None:
    corpus = with_columns()
    whole = corpus.take(np.arange(6), "texts")
    assert_counted(reference_over(whole, corpus.vocabulary), corpus)
    assert whole.metadata.equals(corpus.metadata)


def test_taking_no_document_keeps_words_and_columns(tmp_path: Path) -> None:
    part = with_columns().take(np.array([], dtype=np.intp), "nothing")
    assert part.n_docs == 0
    assert part.counts.shape == (0, part.vocab_size)
    assert part.metadata.columns == ["label", "year"]
    part.save(tmp_path)
    assert Corpus.load(tmp_path).n_docs == 0
