"""Corpus: counts equal scikit-learn's, N documents give N rows, and a saved corpus loads unchanged."""

import datetime
import hashlib
import json
import shutil
import tempfile
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from sklearn.feature_extraction.text import CountVectorizer

from tests.support.examples import examples
from topicnet.errors import CorpusError, InputError
from topicnet.text import corpus as counts_module
from topicnet.text.corpus import COUNTS_FORMAT, Corpus
from topicnet.text.readers.read import Documents
from topicnet.text.tokens.languages import stop_words, tokenize
from topicnet.text.tokens.options import TextOptions
from topicnet.text.vocabulary import Pruning

AS_WRITTEN = TextOptions(missing=(), fold_letters=False)
EVERY_WORD = replace(AS_WRITTEN, lang="none", pruning=Pruning(min_df=1, max_df=1.0))
TEXTS = ["hello world", "", "Hello there, hello!", "12 34 x", "World of worlds"]
ARRAYS = ("data", "indices", "indptr", "tokens")
PARTS = (*(f"{name}.npy" for name in ARRAYS), "vocabulary.txt", "documents.parquet", "counts.json")

WORDS = "aa ab ba the The don't ÉTÉ é e\u0301te\u0301 x 12 \u200b , - İ \x00"
words = st.sampled_from([*WORDS.split(), "\n", "\u2028"])
documents = st.lists(st.lists(words, max_size=8).map(" ".join) | st.text(max_size=10), max_size=8)


def cut(text: str) -> list[str]:
    return tokenize(pl.Series([text], dtype=pl.String))[0].to_list()


def batch(texts: list[str], first: int = 1, metadata: list[dict[str, Any]] | None = None) -> Documents:
    ids = [str(n) for n in range(first, first + len(texts))]
    return Documents(ids, texts, metadata if metadata is not None else [{} for _ in texts])


def with_metadata(*rows: dict[str, Any]) -> Corpus:
    return Corpus.from_documents([batch(["hello world"] * len(rows), metadata=list(rows))], options=EVERY_WORD)


def reading_order(corpus: Corpus) -> list[list[str]]:
    """Return the counted words of each document, from `tokens` and the row sums of `counts`."""
    ends = np.cumsum(np.asarray(corpus.counts.sum(1)).ravel())
    parts = np.split(corpus.tokens, ends)
    assert parts.pop().size == 0  # nothing after the last document
    return [[corpus.vocabulary[i] for i in part] for part in parts]


def assert_same(left: Corpus, right: Corpus) -> None:
    np.testing.assert_array_equal(left.counts.toarray(), right.counts.toarray())
    np.testing.assert_array_equal(left.tokens, right.tokens)
    np.testing.assert_array_equal(left.status, right.status)
    assert left.vocabulary == right.vocabulary
    assert left.ids == right.ids
    assert left.texts == right.texts


def one_line(error: BaseException) -> str:
    assert str(error).isprintable()
    return str(error)


# ---------------------------------------------------------------- counting


@examples(30)
@given(documents, st.integers(1, 3), st.integers(1, 6), st.integers(1, 10), st.booleans())
@example(["aa ab", "", "aa"], 1, 6, 10, True)
def test_counts_are_those_of_scikit_learn(texts: list[str], low: int, high: int, most: int, grammar: bool) -> None:
    dropped = stop_words("en") if grammar else None
    options = replace(AS_WRITTEN, lang="en" if grammar else "none", pruning=Pruning(low, high, most))
    peer = CountVectorizer(
        tokenizer=cut, token_pattern=None, lowercase=False, stop_words=dropped, min_df=low, max_df=max(low, high)
    )
    try:
        expected = peer.fit_transform(texts) if low <= high else None
    except ValueError:  # no word is left
        expected = None
    if expected is None:
        with pytest.raises(CorpusError) as caught:
            Corpus.from_texts(texts, options=options)
        one_line(caught.value)
        return
    names = list(peer.get_feature_names_out())
    frequency = dict(zip(names, np.bincount(expected.indices, minlength=len(names)).tolist(), strict=True))
    chosen = sorted(sorted(names, key=lambda word: (-frequency[word], word))[:most])
    corpus = Corpus.from_texts(texts, options=options)
    assert corpus.vocabulary == chosen
    np.testing.assert_array_equal(
        corpus.counts.toarray(), expected[:, [names.index(word) for word in chosen]].toarray()
    )


@given(documents, st.lists(words.map(str.lower), unique=True, max_size=6))
def test_counts_over_a_given_vocabulary_are_those_of_scikit_learn(texts: list[str], vocabulary: list[str]) -> None:
    corpus = Corpus.from_texts(texts, options=AS_WRITTEN, vocabulary=vocabulary)
    assert corpus.vocabulary == vocabulary
    assert corpus.counts.shape == (len(texts), len(vocabulary))
    if vocabulary and texts:
        peer = CountVectorizer(tokenizer=cut, token_pattern=None, lowercase=False, vocabulary=vocabulary)
        np.testing.assert_array_equal(corpus.counts.toarray(), peer.transform(texts).toarray())


@examples(50)
@given(documents)
def test_n_texts_give_n_rows_with_their_tokens_in_reading_order(texts: list[str]) -> None:
    vocabulary = ["ab", "aa", "été"]
    corpus = Corpus.from_texts(texts, options=AS_WRITTEN, vocabulary=vocabulary)
    expected = [[word for word in cut(text) if word in vocabulary] for text in texts]
    assert reading_order(corpus) == expected
    assert corpus.n_docs == len(texts) == len(corpus.ids) == len(corpus.status) == len(corpus.excerpts)
    assert corpus.vocab_size == 3
    for row, document in zip(corpus.counts.toarray(), expected, strict=True):
        assert row.tolist() == [document.count(word) for word in vocabulary]
    for text, status, document in zip(texts, corpus.status, expected, strict=True):
        blank = all(c.isspace() and c not in "\x1c\x1d\x1e\x1f" for c in text)  # white space as Unicode defines it
        assert status == ("empty" if blank else "ok" if document else "oov")


@given(documents.filter(bool), st.data())
def test_batching_does_not_change_the_counts(texts: list[str], data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(texts)), max_size=4).map(sorted))
    bounds = list(zip([0, *cuts], [*cuts, len(texts)], strict=True))
    batches = [batch(texts[begin:end], begin + 1) for begin, end in bounds]  # some of them empty
    for vocabulary in (["aa", "été"], None):
        arguments: dict[str, Any] = {"options": EVERY_WORD, "vocabulary": vocabulary, "keep_texts": True}
        if vocabulary is None and not any(cut(text) for text in texts):
            continue
        whole = Corpus.from_documents([batch(texts)], **arguments)
        parts = Corpus.from_documents(batches, **arguments)
        assert_same(parts, whole)
        assert parts.excerpts == whole.excerpts


def test_the_checksum_of_a_corpus_does_not_depend_on_its_batches() -> None:
    whole = Corpus.from_documents([batch(TEXTS)], options=EVERY_WORD)
    parts = Corpus.from_documents([batch(TEXTS[:2]), batch(TEXTS[2:], 3)], options=EVERY_WORD)
    assert parts.source["sha256"] == whole.source["sha256"]


@pytest.mark.parametrize(
    ("ids", "texts"),
    [
        (["12"], ["hello world"]),  # the same characters, split elsewhere
        (["1"], ["2hello worlds"]),
        (["2"], ["2hello world"]),
        (["1", "2"], ["hello world", ""]),
    ],
)
def test_another_corpus_has_another_checksum(ids: list[str], texts: list[str]) -> None:
    corpus = Corpus.from_texts(["2hello world"], ids=["1"], options=EVERY_WORD)
    assert Corpus.from_texts(texts, ids=ids, options=EVERY_WORD).source["sha256"] != corpus.source["sha256"]


def test_the_arrays_are_32_bit_integers_in_canonical_order() -> None:
    corpus = Corpus.from_texts(TEXTS, options=EVERY_WORD)
    assert corpus.counts.dtype == corpus.tokens.dtype == np.int32
    assert corpus.counts.has_canonical_format
    assert corpus.counts.data.min() >= 1
    assert corpus.vocabulary == sorted(corpus.vocabulary) == ["hello", "of", "there", "world", "worlds"]
    assert corpus.counts.toarray().tolist() == [
        [1, 0, 0, 1, 0],
        [0, 0, 0, 0, 0],
        [2, 0, 1, 0, 0],
        [0, 0, 0, 0, 0],
        [0, 1, 0, 1, 1],
    ]
    assert corpus.status.tolist() == ["ok", "empty", "ok", "oov", "ok"]


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u00a0\u2003\u3000", "\x85\u2028"])
def test_white_space_alone_is_an_empty_document(text: str) -> None:
    assert Corpus.from_texts([text, "known"], vocabulary=["known"]).status.tolist() == ["empty", "ok"]


@pytest.mark.parametrize("text", ["..", "x", "12", "unknown", "\u200b"])
def test_text_without_a_known_word_is_out_of_vocabulary(text: str) -> None:
    assert Corpus.from_texts([text, "known"], vocabulary=["known"]).status.tolist() == ["oov", "ok"]


def test_fractions_refer_to_documents_with_words() -> None:
    texts = [f"common word{chr(97 + i)}word" for i in range(10)] + ["rare", "the"] + [""] * 100
    options = TextOptions(pruning=Pruning(min_df=1, max_df=0.5))
    assert "common" not in Corpus.from_texts(texts, options=options).vocabulary
    assert "common" in Corpus.from_texts(texts, options=TextOptions(pruning=Pruning(1, 10 / 11))).vocabulary


@pytest.mark.parametrize(
    ("options", "vocabulary"),
    [
        (TextOptions("en"), ["computer"]),
        (TextOptions("none"), ["computer", "don", "le", "the"]),
        (TextOptions("fr"), ["computer", "don", "the"]),
        (TextOptions("en", stop_words=("The", "Computer's")), ["don", "le"]),
        (TextOptions("en", stop_words=()), ["computer", "don", "le", "the"]),
    ],
)
def test_stop_words_of_the_language_or_those_given_are_not_counted(options: TextOptions, vocabulary: list[str]) -> None:
    texts = ["The computer don't", "le the computer"]
    if options.lang == "en" and options.stop_words is None:
        texts = [text.replace("le ", "") for text in texts]
    corpus = Corpus.from_texts(texts, options=options)
    assert corpus.vocabulary == vocabulary
    assert corpus.source["options"]["stop_words"] == options.dropped()


def test_stop_words_do_not_touch_a_given_vocabulary() -> None:
    assert Corpus.from_texts(["the the"], vocabulary=["the"], options=TextOptions("en")).counts.toarray() == [[2]]


def test_options_are_described_in_json_values() -> None:
    options = TextOptions("en", ("foo", "Bar baz"), Pruning(2, 0.5, 100), missing=())
    described = options.describe()
    assert json.loads(json.dumps(described)) == described
    assert described == {
        "tokenizer": "unicode-letters-2",
        "lang": "en",
        "stop_words": ["bar", "baz", "foo"],
        "min_df": 2,
        "max_df": 0.5,
        "max_vocab": 100,
    }


def test_an_unknown_language_is_refused_at_once() -> None:
    with pytest.raises(InputError, match="--lang th"):
        TextOptions("th")


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ([], "holds no documents"),
        (["", "12 x", "the"], "none of the 3 documents holds a word"),
        (["NA", "", "x"], "2 are empty or a marker"),
    ],
)
def test_a_corpus_without_words_is_refused_in_one_line(texts: list[str], said: str) -> None:
    with pytest.raises(CorpusError, match=said) as caught:
        Corpus.from_texts(texts)
    one_line(caught.value)


def test_no_documents_over_a_given_vocabulary_give_no_rows() -> None:
    corpus = Corpus.from_documents([], vocabulary=["aa", "bb"])
    assert corpus.counts.shape == (0, 2)
    assert corpus.ids == corpus.excerpts == corpus.status.tolist() == corpus.tokens.tolist() == []


# ---------------------------------------------------------------- excerpts and metadata


@given(st.text(max_size=300) | st.text(st.sampled_from("a \n\x1b\u202e\0é"), max_size=700))
def test_an_excerpt_is_short_and_holds_no_control_characters(text: str) -> None:
    excerpt = Corpus.from_texts([text], vocabulary=[]).excerpts[0]
    assert len(excerpt) <= 120
    assert not [c for c in excerpt if unicodedata.category(c) in ("Cc", "Cf", "Cs")]
    assert not set(excerpt) & set("\u2028\u2029")
    assert "  " not in excerpt


def test_an_excerpt_is_the_start_of_the_text() -> None:
    texts = ["  One\r\n\ttwo\x00\x1bthree  ", "x" * 500, "short", "é" * 121, ""]
    expected = ["One two three", "x" * 120, "short", "é" * 120, ""]
    assert Corpus.from_texts(texts, vocabulary=[]).excerpts == expected


def test_metadata_with_ragged_keys_and_mixed_types_has_one_row_per_document() -> None:
    corpus = with_metadata({}, {"a": 1, "b": True}, {"a": "x", "c": 1.5}, {"b": None, "c": 2})
    assert corpus.metadata.to_dict(as_series=False) == {
        "a": [None, "1", "x", None],
        "b": [None, True, None, None],
        "c": [None, None, 1.5, 2.0],
    }


def test_metadata_keys_that_come_late_are_kept() -> None:
    late = [batch(["hello"] * 200), batch(["world"], 201, [{"late": "x"}])]
    corpus = Corpus.from_documents(late, options=EVERY_WORD)
    assert corpus.metadata["late"].to_list() == [None] * 200 + ["x"]


def test_no_metadata_has_no_columns() -> None:
    assert Corpus.from_texts(TEXTS, options=EVERY_WORD).metadata.columns == []


# ---------------------------------------------------------------- from Python


def test_texts_are_numbered_from_1_or_have_the_ids_given() -> None:
    assert Corpus.from_texts(iter(TEXTS), options=EVERY_WORD).ids == ["1", "2", "3", "4", "5"]
    assert Corpus.from_texts(["aa", "bb"], ids=["x", 7], vocabulary=[]).ids == ["x", "7"]


@pytest.mark.parametrize("missing", [None, float("nan"), np.nan, pd.NaT, pd.NA], ids=str)
def test_a_missing_text_is_an_empty_document(missing: Any) -> None:
    corpus = Corpus.from_texts(["hello", missing], options=EVERY_WORD, keep_texts=True)
    assert corpus.status.tolist() == ["ok", "empty"]
    assert corpus.texts == ["hello", ""]


@pytest.mark.parametrize("dtype", ["object", "str", "string"])
def test_a_pandas_column_is_a_list_of_texts(dtype: str) -> None:
    column = pd.Series(["hello", None], dtype=dtype)
    assert Corpus.from_texts(column, options=EVERY_WORD).status.tolist() == ["ok", "empty"]


def test_one_bare_text_is_refused() -> None:
    with pytest.raises(InputError, match="one text was given, expected a list of texts") as caught:
        Corpus.from_texts("hello world")
    one_line(caught.value)


@pytest.mark.parametrize("kind", [str, Path])
def test_a_file_in_place_of_texts_is_refused(tmp_path: Path, kind: type) -> None:
    path = tmp_path / "news.csv"
    path.write_text("text\nhello\n", "utf-8")
    with pytest.raises(InputError, match="given, expected texts: read it first") as caught:
        Corpus.from_texts(kind(path))
    one_line(caught.value)


@pytest.mark.parametrize("wrong", [1, b"bytes", ["a", "list"], {"a": 1}, 1.5, np.array(["an", "array"])], ids=str)
def test_what_is_not_a_text_is_refused_with_its_place(wrong: Any) -> None:
    with pytest.raises(InputError, match=r"texts\[1\] is " + type(wrong).__name__) as caught:
        Corpus.from_texts(["hello", wrong])
    one_line(caught.value)


@pytest.mark.parametrize("ids", [["1"], ["1", "2", "3"], []])
def test_a_wrong_number_of_ids_is_refused(ids: list[str]) -> None:
    with pytest.raises(InputError, match=f"{len(ids)} ids were given for 2 texts") as caught:
        Corpus.from_texts(["hello", "world"], ids=ids)
    one_line(caught.value)


def test_a_lone_surrogate_in_a_text_is_replaced() -> None:
    corpus = Corpus.from_texts(["hello\ud800 world"], options=EVERY_WORD, keep_texts=True)
    assert corpus.vocabulary == ["hello", "world"]
    assert corpus.texts is not None
    assert corpus.texts[0].isprintable()


def test_a_lone_surrogate_in_an_id_is_replaced() -> None:
    corpus = Corpus.from_texts(["hello"], ids=["a\udc80b"], options=EVERY_WORD)
    assert corpus.ids[0].encode("utf-8")
    assert len(corpus.ids[0]) == 3


@pytest.mark.parametrize("place", ["text", "label"])
def test_a_lone_surrogate_in_a_pandas_table_is_replaced(place: str) -> None:
    table = pd.DataFrame({"text": ["hello", "world"], "label": ["x", "y"]}, dtype=object)
    table.loc[0, place] = "hello\ud800"
    corpus = Corpus.from_frame(table, options=EVERY_WORD)
    assert corpus.vocabulary == ["hello", "world"]
    assert corpus.metadata["label"][1] == "y"


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_a_table_gives_texts_ids_and_metadata(make: Callable[[Any], Any]) -> None:
    table = make(
        {
            "body": ["hello world", None, "hello"],
            "key": ["a", "b", "c"],
            "year": [2001, None, 2003],
            "label": ["x", "y", None],
        }
    )
    corpus = Corpus.from_frame(table, "body", "key", options=EVERY_WORD, keep_texts=True)
    assert corpus.ids == ["a", "b", "c"]
    assert corpus.texts == ["hello world", "", "hello"]
    assert corpus.status.tolist() == ["ok", "empty", "ok"]
    assert corpus.metadata.to_dict(as_series=False) == {"year": [2001, None, 2003], "label": ["x", "y", None]}


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_a_table_without_ids_is_numbered_and_whole_number_ids_are_plain(make: Callable[[Any], Any]) -> None:
    table = make({"text": ["hello", "world"], "n": [10, 20]})
    assert Corpus.from_frame(table, options=EVERY_WORD).ids == ["1", "2"]
    assert Corpus.from_frame(table, id_column="n", options=EVERY_WORD).ids == ["10", "20"]
    assert Corpus.from_frame(table, id_column="n", options=EVERY_WORD).metadata.columns == []


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_a_missing_id_is_not_the_word_none(make: Callable[[Any], Any]) -> None:
    """A document without an id gets its row number, so that two such documents have different ids."""
    table = make({"text": ["hello"] * 3, "key": ["a", None, None]})
    try:
        ids = Corpus.from_frame(table, id_column="key", options=EVERY_WORD).ids
    except InputError:
        return
    assert "None" not in ids


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("columns", [("body", None), ("text", "key")])
def test_a_missing_column_is_refused_and_the_existing_ones_are_named(make: Callable[[Any], Any], columns: Any) -> None:
    missing = columns[1] or columns[0]
    with pytest.raises(CorpusError, match=f"no column '{missing}' in the table; it has: text, label") as caught:
        Corpus.from_frame(make({"text": ["hello"], "label": ["x"]}), *columns)
    one_line(caught.value)


@pytest.mark.parametrize("table", [["hello"], {"text": ["hello"]}, pd.Series(["hello"]), None], ids=str)
def test_what_is_not_a_table_is_refused(table: Any) -> None:
    with pytest.raises(InputError, match="expected a pandas or polars DataFrame"):
        Corpus.from_frame(table)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_a_column_of_numbers_is_not_text(make: Callable[[Any], Any]) -> None:
    with pytest.raises(InputError, match=r"texts\[0\] is int, expected str"):
        Corpus.from_frame(make({"text": [1, 2]}))


def test_a_pandas_table_of_many_kinds_keeps_them() -> None:
    table = pd.DataFrame(
        {
            "text": pd.Series(["hello", pd.NA], dtype="string"),
            0: [1, 2],
            "when": pd.to_datetime(["2020-01-01", None]),
            "group": pd.Categorical(["x", None]),
            "count": pd.array([1, None], dtype="Int64"),
            "mixed": [1, "x"],
            "flag": [True, None],
            "share": [0.5, float("nan")],
        }
    ).set_axis([7, 3])
    corpus = Corpus.from_frame(table, options=EVERY_WORD)
    assert corpus.status.tolist() == ["ok", "empty"]
    assert corpus.metadata.to_dict(as_series=False) == {
        "0": [1, 2],
        "when": [datetime.datetime(2020, 1, 1), None],
        "group": ["x", None],
        "count": [1, None],
        "mixed": ["1", "x"],
        "flag": [True, None],
        "share": [0.5, None],
    }


@pytest.mark.parametrize(
    "values",
    [[Path("a"), Path("b")], [{1}, {2}], list(pd.period_range("2020", periods=2, freq="M")), [object(), 1]],
    ids=["paths", "sets", "periods", "mixed"],
)
def test_a_pandas_column_no_table_on_disk_can_hold_is_refused_or_saved(tmp_path: Path, values: list[Any]) -> None:
    """It must not be accepted at first and then fail when the run is saved, after the fit."""
    table = pd.DataFrame({"text": ["hello", "world"], "odd": pd.Series(values, dtype=object)})
    try:
        corpus = Corpus.from_frame(table, options=EVERY_WORD)
    except InputError as error:
        one_line(error)
        return
    corpus.save(tmp_path)
    assert Corpus.load(tmp_path).n_docs == 2


def test_two_pandas_columns_of_one_name_are_refused_in_one_line() -> None:
    table = pd.DataFrame([["hello", 1, 2]], columns=["text", "a", "a"])
    with pytest.raises(InputError) as caught:
        Corpus.from_frame(table, options=EVERY_WORD)
    one_line(caught.value)


# ---------------------------------------------------------------- on disk


def on_memory_map(array: Any) -> bool:
    while array is not None and not isinstance(array, np.memmap):
        array = getattr(array, "base", None)
    return array is not None


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "counts"
    Corpus.from_texts(TEXTS, options=EVERY_WORD).save(folder)
    return folder


def test_a_saved_corpus_loads_unchanged(tmp_path: Path) -> None:
    rows = [{"year": 2001, "label": "=x"}, {"year": None, "label": "é\n"}, {"late": 1.5}, {}, {"year": 7}]
    corpus = Corpus.from_documents([batch(TEXTS, metadata=rows)], options=EVERY_WORD, name="mine")
    corpus.save(tmp_path / "new" / "counts")
    again = Corpus.load(str(tmp_path / "new" / "counts"))
    assert_same(again, corpus)
    assert_frame_equal(again.metadata, corpus.metadata)
    assert again.source == corpus.source
    assert again.source["name"] == "mine"
    assert again.excerpts == [""] * 5


@examples(25)
@given(documents.filter(bool), st.booleans())
def test_any_saved_corpus_loads_unchanged(texts: list[str], keep_texts: bool) -> None:
    corpus = Corpus.from_texts(texts, vocabulary=["aa", "été"], keep_texts=keep_texts)
    with tempfile.TemporaryDirectory() as folder:
        corpus.save(Path(folder))
        assert_same(Corpus.load(folder), corpus)


@pytest.mark.parametrize("texts", [[], ["", "unknown"]])
def test_a_corpus_without_known_words_can_be_saved(tmp_path: Path, texts: list[str]) -> None:
    corpus = Corpus.from_texts(texts, vocabulary=["aa"])
    corpus.save(tmp_path)
    assert_same(Corpus.load(tmp_path), corpus)


def test_the_folder_holds_the_documented_files_and_no_pickles(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == sorted(PARTS)
    arrays = {name: np.load(saved / f"{name}.npy", allow_pickle=False) for name in ARRAYS}
    assert {name: array.dtype.name for name, array in arrays.items()} == dict.fromkeys(ARRAYS, "int32")
    assert (saved / "vocabulary.txt").read_bytes() == b"hello\nof\nthere\nworld\nworlds\n"
    assert pl.read_parquet(saved / "documents.parquet").to_dict(as_series=False) == {
        "doc_id": ["1", "2", "3", "4", "5"],
        "status": ["ok", "empty", "ok", "oov", "ok"],
        "n_tokens": [2, 0, 3, 0, 3],
    }
    header = json.loads((saved / "counts.json").read_text("utf-8"))
    assert header["format"] == COUNTS_FORMAT
    assert (header["n_docs"], header["vocab_size"]) == (5, 5)


def test_the_arrays_are_mapped_not_read(saved: Path) -> None:
    corpus = Corpus.load(saved)
    arrays = (corpus.counts.data, corpus.counts.indices, corpus.counts.indptr, corpus.tokens)
    assert all(on_memory_map(array) for array in arrays)
    assert not on_memory_map(np.zeros(3))
    assert corpus.counts.dtype == corpus.tokens.dtype == np.int32


def test_texts_are_on_disk_only_when_kept(tmp_path: Path) -> None:
    kept, left = tmp_path / "kept", tmp_path / "left"
    Corpus.from_texts(["secretsecret Bob", ""], options=EVERY_WORD, keep_texts=True).save(kept)
    corpus = Corpus.from_texts(["Xsecretsecret, Bob!", ""], options=EVERY_WORD)
    assert corpus.texts is None
    corpus.save(left)
    assert Corpus.load(kept).texts == ["secretsecret Bob", ""]
    assert Corpus.load(left).texts is None
    assert b"Bob!" not in b"".join(path.read_bytes() for path in left.iterdir())


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        Corpus.from_texts(TEXTS, options=EVERY_WORD).save(tmp_path / name)
    sums = [[hashlib.sha256((tmp_path / n / part).read_bytes()).digest() for part in PARTS] for n in ("one", "two")]
    assert sums[0] == sums[1]


@pytest.mark.parametrize("keep_texts", [False, True])
def test_metadata_named_like_our_columns_does_not_clash(tmp_path: Path, keep_texts: bool) -> None:
    row = {"doc_id": "mine", "text": "other", "status": "sold", "n_tokens": 99}
    corpus = Corpus.from_documents([batch(["hello world"], metadata=[row])], options=EVERY_WORD, keep_texts=keep_texts)
    corpus.save(tmp_path)
    again = Corpus.load(tmp_path)
    assert (again.ids, again.status.tolist(), again.texts) == (["1"], ["ok"], ["hello world"] if keep_texts else None)
    assert again.metadata.row(0) == ("mine", "other", "sold", 99)


def test_metadata_named_like_our_columns_and_like_their_escape_does_not_clash(tmp_path: Path) -> None:
    with_metadata({"text": "a", "text_": "b"}).save(tmp_path)
    assert sorted(Corpus.load(tmp_path).metadata.row(0)) == ["a", "b"]


def refusal(folder: Path) -> str:
    with pytest.raises(CorpusError) as caught:
        Corpus.load(folder)
    assert repr(str(folder)) in str(caught.value)
    return one_line(caught.value)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("damage", ["missing", "emptied", "cut", "junk", "folder"])
def test_a_damaged_folder_gives_a_one_line_error(saved: Path, part: str, damage: str) -> None:
    path = saved / part
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes({"emptied": b"", "cut": content[:-7], "junk": b"\x80junk\n" * 40}[damage])
    assert str(saved) in refusal(saved)


@pytest.mark.parametrize(
    "header",
    [
        "[]",
        "{}",
        "null",
        '{"format": "1"}',
        '{"format": 1}',
        '{"format": 1, "n_docs": "5", "vocab_size": 5, "source": {}}',
        '{"format": 1, "n_docs": -5, "vocab_size": 5, "source": {}}',
        '{"format": 1, "n_docs": 4, "vocab_size": 5, "source": {}}',
        '{"format": 1, "n_docs": 5, "vocab_size": 6, "source": {}}',
        '{"format": 1, "n_docs": 5, "vocab_size": 4, "source": {}}',
        '{"format": 1, "n_docs": 5, "vocab_size": 5, "source": 3}',
        "[" * 100_000,
    ],
    ids=lambda header: header[:70],
)
def test_a_foreign_header_gives_a_one_line_error(saved: Path, header: str) -> None:
    (saved / "counts.json").write_text(header)
    assert str(saved) in refusal(saved)


def test_a_newer_format_says_to_update(saved: Path) -> None:
    header = json.loads((saved / "counts.json").read_text("utf-8")) | {"format": COUNTS_FORMAT + 1}
    (saved / "counts.json").write_text(json.dumps(header))
    message = refusal(saved)
    assert f"format {COUNTS_FORMAT + 1}" in message
    assert "update topicnet" in message


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("indices", np.full(7, 99, dtype=np.int32)),
        ("indices", np.full(7, -1, dtype=np.int32)),
        ("indptr", np.array([0, 2, 2, 4, 4, 99], dtype=np.int32)),
        ("data", np.array([{}] * 7, dtype=object)),
        ("data", np.ones(3, dtype=np.int32)),
    ],
)
def test_inconsistent_arrays_are_refused(saved: Path, part: str, value: Any) -> None:
    np.save(saved / f"{part}.npy", value, allow_pickle=True)
    assert str(saved) in refusal(saved)


@pytest.mark.parametrize("value", [np.zeros(1, dtype=np.int32), np.full(8, 99, dtype=np.int32)], ids=["few", "high"])
def test_tokens_that_do_not_match_the_counts_are_refused(saved: Path, value: Any) -> None:
    np.save(saved / "tokens.npy", value)
    assert str(saved) in refusal(saved)


@pytest.mark.parametrize("table", [{"a": list("12345")}, {"doc_id": list("1234")}], ids=["foreign", "short"])
def test_a_foreign_table_of_documents_is_refused(saved: Path, table: dict[str, list[str]]) -> None:
    pl.DataFrame(table).write_parquet(saved / "documents.parquet")
    assert str(saved) in refusal(saved)


def test_a_missing_or_foreign_folder_is_refused(tmp_path: Path) -> None:
    assert str(tmp_path) in refusal(tmp_path / "nowhere")
    assert str(tmp_path) in refusal(tmp_path)
    (tmp_path / "file").write_text("x")
    assert str(tmp_path) in refusal(tmp_path / "file")


def test_a_mapped_corpus_outlives_its_folder(saved: Path) -> None:
    corpus = Corpus.load(saved)
    shutil.rmtree(saved)
    assert corpus.counts.sum() == 8
    assert counts_module.OK in corpus.status
