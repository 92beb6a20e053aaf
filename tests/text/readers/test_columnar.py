"""Tests of the Parquet reader: typed columns, slices, size limits and damaged files."""

from __future__ import annotations

import datetime
import decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.readers import anything, numbers, read, refusal
from topicnet.text.readers import columnar
from topicnet.text.readers.parquet_footer import read_footer
from topicnet.text.readers.read import Documents, read_documents


def parquet(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pl.DataFrame(columns, schema_overrides=options.pop("kinds", None), strict=False).write_parquet(path, **options)
    return path


# --- Parquet ---

cells = st.one_of(st.none(), anything)


@given(
    st.lists(st.tuples(cells, st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))), max_size=30), st.integers(1, 9)
)
@examples(40)
def test_parquet_rows_are_read_as_written(tmp_path_factory, rows, group_rows):
    columns = {"n": [n for _, n in rows], "text": [text for text, _ in rows]}
    path = parquet(
        tmp_path_factory.mktemp("pq") / "a.parquet",
        columns,
        kinds={"n": pl.Int64, "text": pl.String},
        row_group_size=group_rows,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columnar, "_FIRST_ROWS", 3)
        patch.setattr(columnar, "_SLICE_BYTES", 100)
        docs = read(path, batch_docs=7)
    assert docs == Documents(numbers(len(rows)), [t or "" for t, _ in rows], [{"n": n} for _, n in rows])


def test_cells_of_every_type_are_converted(tmp_path):
    day, moment = datetime.date(1999, 1, 2), datetime.datetime(2000, 1, 2, 3, 4, 5)
    columns = {
        "id": [7, None], "text": ["a", None], "b": [True, None], "f": [0.5, float("nan")], "big": [2**64 - 1, 3],
        "day": [day, None], "at": [moment, None], "time": [moment.time(), None], "span": [moment - moment, None],
        "exact": [decimal.Decimal("1.50"), None], "kind": ["x", None], "none": [None, None],
        "list": [[1], None], "struct": [{"a": 1}, None], "bytes": [b"a", None], "pair": [[1, 2], [3, 4]],
    }  # fmt: skip
    kinds = {"big": pl.UInt64, "kind": pl.Categorical, "pair": pl.Array(pl.Int64, 2)}
    docs = read(parquet(tmp_path / "a.parquet", columns, kinds=kinds))
    assert (docs.ids, docs.texts) == (["7", "2"], ["a", ""])
    assert docs.metadata == [
        {"b": True, "f": 0.5, "big": str(2**64 - 1), "day": day, "at": moment, "time": "03:04:05",
         "span": "0:00:00", "exact": "1.50", "kind": "x", "none": None},
        {"b": None, "f": None, "big": 3, "day": None, "at": None, "time": None,
         "span": None, "exact": None, "kind": None, "none": None},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given_ids", "kind", "ids"),
    [
        ([1, 20], pl.Int32, ["1", "20"]),
        ([1.0, None], pl.Float64, ["1", "2"]),  # integers with a missing value, stored as floats by pandas
        ([1.5, 2.0], pl.Float64, ["1.5", "2"]),
        ([float("nan"), float("inf")], pl.Float64, ["1", "inf"]),
        ([-3.0, -0.5], pl.Float32, ["-3", "-0.5"]),
        (["a", ""], pl.String, ["a", "2"]),
        ([datetime.date(1999, 1, 2), None], pl.Date, ["1999-01-02", "2"]),
        ([True, False], pl.Boolean, ["True", "False"]),
    ],
)
def test_parquet_ids_become_text(tmp_path, given_ids, kind, ids):
    path = parquet(tmp_path / "a.parquet", {"key": given_ids, "text": ["a", "b"]}, kinds={"key": kind})
    assert read(path, id_column="key").ids == ids


@pytest.mark.parametrize("kind", [pl.Categorical, pl.Enum(["a", "b"]), pl.Binary])
def test_categorical_and_binary_texts_are_read(tmp_path, kind):
    texts = pl.Series("text", ["a", None, "b"]).cast(kind)
    assert read(parquet(tmp_path / "a.parquet", {"text": texts})).texts == ["a", "", "b"]


def test_one_column_can_be_text_and_id(tmp_path):
    assert read(parquet(tmp_path / "a.parquet", {"text": ["a"]}), id_column="text") == Documents(["a"], ["a"], [{}])


def test_a_table_without_rows_yields_nothing(tmp_path):
    assert list(read_documents(parquet(tmp_path / "a.parquet", {"text": []}, kinds={"text": pl.String}))) == []


@pytest.mark.parametrize("texts", [[1], [0.5], [["a"]], [True], [datetime.date(1999, 1, 2)]])
def test_a_column_that_is_not_text_is_rejected(tmp_path, texts):
    path = parquet(tmp_path / "a.parquet", {"text": texts})
    message = refusal(path)
    assert f"{path} has " in message
    assert "in the column 'text', expected text. Convert it, or name another" in message


def test_bytes_that_are_not_text_are_rejected(tmp_path):
    assert "is not a readable Parquet file (" in refusal(parquet(tmp_path / "a.parquet", {"text": [b"\xff"]}))


def test_a_missing_column_error_lists_the_columns(tmp_path):
    path = parquet(tmp_path / "a.parquet", {"body": ["a"], "n": [1]})
    assert refusal(path) == f"no column 'text' in {path}; it has: body, n. Name one with --text-column"
    assert "Name one with --id-column" in refusal(path, text_column="body", id_column="k")


def test_a_path_is_not_expanded(tmp_path):
    folder = tmp_path / "year=1999"
    folder.mkdir()
    assert read(parquet(folder / "a[1]*.parquet", {"text": ["a"]})) == Documents(["1"], ["a"], [{}])


def test_only_text_and_scalar_columns_are_loaded(tmp_path, monkeypatch):
    heights: list[int] = []
    rows = columnar._rows

    def watched(part: pl.DataFrame, *rest: Any) -> Any:
        heights.append(part.height)
        assert part.estimated_size() < 3_000_000
        return rows(part, *rest)

    monkeypatch.setattr(columnar, "_rows", watched)
    monkeypatch.setattr(columnar, "_SLICE_BYTES", 1_000_000)
    path = parquet(tmp_path / "a.parquet", {"text": ["x" * 10_000] * 1000, "list": [[1] * 9] * 1000})  # 10 MB
    assert len(read(path).ids) == 1000
    assert sum(heights) == 1000
    assert len(heights) >= 10


@pytest.mark.parametrize("damage", [lambda d: b"", lambda d: b"PAR1", lambda d: d[:-40], lambda d: b"text\na\n" * 50])
def test_a_damaged_parquet_file_is_rejected(tmp_path, damage):
    path = parquet(tmp_path / "a.parquet", {"text": ["some text"] * 50})
    path.write_bytes(damage(path.read_bytes()))
    assert f"{path} is not a readable Parquet file (" in refusal(path)


# --- size limits ---


def test_the_footer_states_rows_and_the_largest_group(tmp_path):
    columns = {"text": ["some text"] * 90 + ["a" * 5000] * 10, "list": [[1, 2]] * 100, "f": [0.5] * 100}
    footer = read_footer(parquet(tmp_path / "a.parquet", columns, row_group_size=10))
    assert footer is not None
    assert footer.n_rows == 100
    alone = read_footer(parquet(tmp_path / "b.parquet", {name: cells[90:] for name, cells in columns.items()}))
    assert alone is not None
    assert footer.largest_group == alone.largest_group > 0


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("MAX_GROUP_BYTES", 10, "has a row group of 0.0 GB, expected at most"),
        ("_FREE_ROWS", 10, "states 2,000,000 rows, expected at most"),
        ("_FREE_TEXT_BYTES", 10, "of text, expected at most 1 times its size. Drop the repeated rows"),
    ],
)
def test_a_file_over_a_size_limit_is_rejected(tmp_path, monkeypatch, limit, value, message):
    monkeypatch.setattr(columnar, limit, value)
    monkeypatch.setattr(columnar, "_MAX_PER_BYTE", 1)
    text = "a" * 10_000 if limit == "_FREE_TEXT_BYTES" else ""
    n_rows = 4_000 if limit == "_FREE_TEXT_BYTES" else 2_000_000
    path = tmp_path / "a.parquet"
    pl.select(text=pl.repeat(text, n_rows)).write_parquet(path)
    refused = refusal(path)
    assert f"{path} " in refused
    assert message in refused


@given(st.lists(st.tuples(st.integers(1, 250), st.integers(0, 255)), min_size=1, max_size=3))
@examples(40)
def test_a_changed_footer_is_read_or_rejected(tmp_path_factory, changes):
    path = parquet(tmp_path_factory.mktemp("pq") / "a.parquet", {"text": ["a", "b"], "n": [1, 2]})
    data = bytearray(path.read_bytes())
    for place, byte in changes:
        data[-min(place, len(data))] = byte
    path.write_bytes(data)
    try:
        footer = read_footer(path)
    except ValueError:
        assert "is not a readable Parquet file (" in refusal(path)
    else:
        assert footer is None or min(footer.n_rows, footer.largest_group) >= 0
