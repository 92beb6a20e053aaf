"""Document status: duplicates, short documents and row numbers as ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topicnet.errors import CorpusError, InputError
from topicnet.text.corpus import Corpus
from topicnet.text.readers.documents import Documents
from topicnet.text.status import free_row_ids
from topicnet.text.tokens.options import TextOptions, options_of
from topicnet.text.vocabulary import Pruning

EVERY = Pruning(1, 1.0)
TEXTS = ["red apple pie", "NA", "red apple pie", " red apple pie\n", "banana", "", "banana", "old apple tart", "the"]


def counted(texts: list[str | None], size: int | None = None, **options: object) -> Corpus:
    """Count texts in batches of a given size."""
    size = size or len(texts)
    batches = [
        Documents([str(n) for n in range(begin, begin + len(part))], part, [{}] * len(part))
        for begin in range(0, len(texts), size)
        for part in [[text or "" for text in texts[begin : begin + size]]]
    ]
    return Corpus.from_documents(batches, options=TextOptions(pruning=EVERY, **options))


@pytest.mark.parametrize("size", [1, 2, 9])
def test_duplicates_are_counted_and_the_first_named(size: int) -> None:
    corpus = counted(TEXTS, size)
    assert corpus.source["duplicates"] == {"count": 3, "example": [3, 1]}
    assert (corpus.status == "duplicate").sum() == 0


@pytest.mark.parametrize("size", [1, 4, 9])
def test_duplicates_that_are_dropped_keep_their_rows(size: int) -> None:
    corpus = counted(TEXTS, size, drop_duplicates=True)
    assert corpus.status[[0, 2, 3, 4, 6, 7, 8]].tolist() == [
        "ok",
        "duplicate",
        "duplicate",
        "ok",
        "duplicate",
        "ok",
        "oov",
    ]
    assert corpus.n_docs == len(TEXTS)
    assert corpus.lengths.tolist()[2:7] == [0, 0, 1, 0, 0]
    kept = Corpus.from_texts([TEXTS[row] for row in (0, 4, 7)], options=TextOptions(pruning=EVERY))
    assert corpus.vocabulary == [*kept.vocabulary[:2], "na", *kept.vocabulary[2:]]
    assert "3 left out as duplicates" in corpus.summary()


@pytest.mark.parametrize("texts", [["a", ""], ["x y", "x  y"], ["Case", "case"]])
def test_different_texts_are_not_duplicates(texts: list[str]) -> None:
    assert "duplicates" not in counted([*texts, "word"]).source


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize("phrases", [False, True])
def test_short_documents_have_no_tokens_and_no_words(folder: bool, phrases: bool, tmp_path: Path) -> None:
    options = TextOptions(pruning=EVERY, min_tokens=2, phrases=phrases)
    batch = Documents([str(n) for n in range(len(TEXTS))], TEXTS, [{}] * len(TEXTS))
    corpus = Corpus.from_documents([batch], options=options, folder=tmp_path if folder else None)
    assert corpus.status.tolist() == ["ok", "short", "ok", "ok", "short", "empty", "short", "ok", "oov"]
    assert "banana" not in corpus.vocabulary
    assert (np.asarray(corpus.counts.sum(0)).ravel() > 0).all()
    assert len(corpus.tokens) == corpus.lengths.sum() == 12
    assert corpus.lengths[corpus.status != "ok"].sum() == 0


@given(st.lists(st.lists(st.sampled_from(["ab", "cd", "ef"]), max_size=4).map(" ".join), min_size=1), st.integers(0, 4))
def test_short_refers_to_the_number_of_counted_words(texts: list[str], least: int) -> None:
    corpus = Corpus.from_texts(texts, options=TextOptions("none", min_tokens=least), vocabulary=["ab", "cd"])
    known = [sum(word in ("ab", "cd") for word in text.split()) for text in texts]
    expected = ["ok" if n and n >= least else "short" if n else "oov" if text else "empty"
                for n, text in zip(known, texts, strict=True)]  # fmt: skip
    assert corpus.status.tolist() == expected
    assert corpus.lengths.tolist() == [n if status == "ok" else 0 for n, status in zip(known, expected, strict=True)]


def test_a_saved_model_stores_min_tokens() -> None:
    assert options_of(TextOptions(min_tokens=5).describe()).min_tokens == 5
    assert options_of({"tokenizer": "unicode-letters-1"}).min_tokens == 0


def test_a_corpus_of_short_documents_is_refused() -> None:
    with pytest.raises(CorpusError, match="no document has 9 counted words or more: lower --min-tokens"):
        counted(TEXTS, min_tokens=9)


@pytest.mark.parametrize("wrong", [-1, 1.5, True])
def test_an_invalid_min_tokens_is_refused(wrong: object) -> None:
    with pytest.raises(InputError, match="min_tokens="):
        TextOptions(min_tokens=wrong)


def test_the_summary_gives_the_reasons() -> None:
    corpus = counted([*TEXTS, "pie pie", "two words"], min_tokens=2, drop_duplicates=True, vocabulary=("apple", "pie"))
    assert corpus.summary().startswith(
        "11 documents (1 empty, 4 with no known word, 1 below --min-tokens, 3 left out as duplicates)"
    )


@pytest.mark.parametrize(
    ("ids", "numbered", "expected"),
    [
        (["3", "2", "3"], [2], ["3", "2", "row 3"]),
        (["a", "2", "c"], [1], ["a", "2", "c"]),
        (["2", "2", "row 2"], [1], ["2", "_row 2", "row 2"]),
        (["1", "2", "3"], [0, 1, 2], ["1", "2", "3"]),
        (["7", "7"], [], ["7", "7"]),
    ],
)
def test_a_row_number_is_unique_among_ids(ids: list[str], numbered: list[int], expected: list[str]) -> None:
    flags = np.isin(np.arange(len(ids)), numbered)
    assert free_row_ids(pl.Series(ids), flags).to_list() == expected
    batch = [Documents(ids, ["some word"] * len(ids), [{}] * len(ids), numbered=numbered)]
    assert Corpus.from_documents(batch, options=TextOptions(pruning=EVERY)).ids == expected
