"""Tests of tables and lists in memory, converted as a whole or in batches."""

from __future__ import annotations

import datetime
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from topicnet.errors import CorpusError, InputError
from topicnet.text.readers.documents import Documents
from topicnet.text.readers.in_memory import documents_in_batches, documents_of_frame, documents_of_texts

DAY = datetime.date(1999, 1, 2)
COLUMNS: dict[str, list[Any]] = {
    "text": ["one", None, "three", "", "fünf"],
    "key": ["a", "b", "c", "d", "e"],
    "n": [1, 2, 3, 4, 5],
    "x": [0.5, None, 1.5, None, 2.5],
    "day": [DAY, None, DAY, DAY, None],
}
TEXTS = ["one", "", "three", "", "fünf"]


def dataset(columns: dict[str, list[Any]]) -> Any:
    datasets = pytest.importorskip("datasets")
    return datasets.Dataset.from_dict(columns)


TABLES = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "lazy": pl.LazyFrame,
    "arrow": pa.table,
    "datasets": dataset,
}


@pytest.fixture(params=TABLES)
def table(request: pytest.FixtureRequest) -> Any:
    return TABLES[request.param](COLUMNS)


def test_all_types_of_tables_give_the_same_documents(table):
    docs = documents_of_frame(table, "text", "key")
    assert (docs.ids, docs.texts) == (COLUMNS["key"], TEXTS)
    assert docs.metadata == [
        {"n": n, "x": x, "day": day} for n, x, day in zip(COLUMNS["n"], COLUMNS["x"], COLUMNS["day"], strict=True)
    ]


@pytest.mark.parametrize("batch_docs", [1, 2, 5, 9])
@pytest.mark.parametrize("key", ["key", None])
def test_batches_add_up_to_the_whole_in_order(table, batch_docs, key):
    batches = list(documents_in_batches(table, "text", key, batch_docs))
    assert [len(batch.ids) for batch in batches[:-1]] == [batch_docs] * (len(batches) - 1)
    assert 1 <= len(batches[-1].ids) <= batch_docs
    joined = Documents(
        [i for batch in batches for i in batch.ids],
        [text for batch in batches for text in batch.texts],
        [row for batch in batches for row in batch.metadata],
    )
    assert joined == documents_of_frame(table, "text", key)
    assert joined.ids == (COLUMNS["key"] if key else ["1", "2", "3", "4", "5"])


def test_a_missing_column_is_rejected_immediately(table):
    for columns in (("body", None), ("text", "nr")):
        with pytest.raises(CorpusError, match=r"no column '(body|nr)' in the table; it has: text, key, n, x, day"):
            documents_in_batches(table, *columns)


@pytest.mark.parametrize("kind", TABLES)
def test_an_empty_table_yields_nothing(kind):
    table = TABLES[kind]({"text": [], "n": []})
    assert list(documents_in_batches(table, "text", None)) == []
    assert documents_of_frame(table, "text", None) == Documents([], [], [])


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_with_only_texts_has_no_metadata(kind):
    assert documents_of_frame(TABLES[kind]({"text": ["a", "b"]}), "text", None) == Documents(
        ["1", "2"], ["a", "b"], [{}, {}]
    )


@pytest.mark.parametrize("kind", ["pandas", "polars", "lazy"])
def test_an_invalid_text_is_named_by_its_position(kind):
    table = TABLES[kind]({"text": [1, 2, 3]})
    with pytest.raises(InputError, match=r"texts\[0\] is int, expected str"):
        documents_of_frame(table, "text", None)
    mixed = pd.DataFrame({"text": ["a", "b", "c", 4]}, dtype=object)
    batches = documents_in_batches(mixed, "text", None, 2)
    assert next(batches).texts == ["a", "b"]
    with pytest.raises(InputError, match=r"texts\[3\] is int, expected str"):
        next(batches)


def test_duplicate_column_names_are_rejected():
    frame = pd.DataFrame([["a", 1, 2]], columns=["text", "n", "n"])
    with pytest.raises(CorpusError, match="several columns named 'n'"):
        documents_of_frame(frame, "text", None)


def test_pandas_missing_values_become_null():
    frame = pd.DataFrame({"text": ["a", pd.NA], "at": pd.to_datetime(["1999-01-02", None])})
    frame["n"] = pd.array([1, None], dtype="Int64")
    docs = documents_of_frame(frame, "text", None)
    assert docs.texts == ["a", ""]
    assert docs.metadata == [{"at": datetime.datetime(1999, 1, 2), "n": 1}, {"at": None, "n": None}]
    assert type(docs.metadata[0]["at"]) is datetime.datetime


def test_an_unknown_type_of_table_is_rejected():
    with pytest.raises(InputError, match="dict given, expected a pandas or polars DataFrame, a LazyFrame, a "):
        documents_of_frame({"text": ["a"]}, "text", None)


def test_batches_of_zero_documents_are_rejected():
    with pytest.raises(InputError, match="batch_docs is 0, expected at least 1"):
        documents_in_batches(pl.DataFrame(COLUMNS), "text", None, 0)


# --- datasets ---


def test_nested_columns_of_a_dataset_are_dropped():
    data = dataset({"text": ["a", "b"], "list": [[1], [2]], "dict": [{"a": 1}, {"a": 2}], "raw": [b"x", b"y"]})
    assert documents_of_frame(data, "text", None) == Documents(["1", "2"], ["a", "b"], [{}, {}])
    with pytest.raises(CorpusError, match="no column 'list' in the table; it has: text"):
        documents_of_frame(data, "list", None)


def test_a_dataset_is_read_as_plain_columns_in_slices(monkeypatch):
    datasets = pytest.importorskip("datasets")
    labels = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    data = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, 0, 1]}, features=labels)
    asked: list[Any] = []
    take = datasets.Dataset.__getitem__
    monkeypatch.setattr(datasets.Dataset, "__getitem__", lambda self, key: asked.append(key) or take(self, key))
    docs = list(documents_in_batches(data.with_format("numpy"), "text", None, 2))
    assert [batch.metadata for batch in docs] == [[{"label": 1}, {"label": 0}], [{"label": 1}]]
    assert asked == [slice(0, 2), slice(2, 4)]
    assert type(docs[0].metadata[0]["label"]) is int


def test_a_dataset_dict_is_rejected_with_its_splits():
    datasets = pytest.importorskip("datasets")
    splits = datasets.DatasetDict({"train": dataset({"text": ["a"]}), "test": dataset({"text": ["b"]})})
    with pytest.raises(InputError, match=r"DatasetDict given, expected one of its splits \(train, test\): name it"):
        documents_of_frame(splits, "text", None)


def test_a_streaming_dataset_is_rejected():
    with pytest.raises(InputError, match="IterableDataset given, expected a datasets"):
        documents_of_frame(dataset({"text": ["a"]}).to_iterable_dataset(), "text", None)


# --- lists ---


def test_lists_are_documents_numbered_from_one():
    assert documents_of_texts(["a", None, float("nan"), "\ud800"], None) == Documents(
        ["1", "2", "3", "4"], ["a", "", "", "?"], [{}] * 4
    )
    with pytest.raises(InputError, match=r"texts\[1\] is int, expected str"):
        documents_of_texts(["a", 2], None)
