"""Parquet in slices and the first sheet of a workbook: typed columns as documents."""

from __future__ import annotations

import datetime
import decimal
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.readers import anything, numbers, read, refusal
from tests.support.workbooks import write_xlsx
from topicnet.text.readers import columnar
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
def test_parquet_rows_come_back_as_written(tmp_path_factory, rows, group_rows):
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


def test_cells_of_every_kind(tmp_path):
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
        ([1.0, None], pl.Float64, ["1", "2"]),  # whole numbers with a gap, as pandas keeps them
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
def test_texts_kept_in_other_ways_are_read(tmp_path, kind):
    texts = pl.Series("text", ["a", None, "b"]).cast(kind)
    assert read(parquet(tmp_path / "a.parquet", {"text": texts})).texts == ["a", "", "b"]


def test_one_column_can_be_text_and_id(tmp_path):
    assert read(parquet(tmp_path / "a.parquet", {"text": ["a"]}), id_column="text") == Documents(["a"], ["a"], [{}])


def test_a_table_without_rows_yields_nothing(tmp_path):
    assert list(read_documents(parquet(tmp_path / "a.parquet", {"text": []}, kinds={"text": pl.String}))) == []


@pytest.mark.parametrize("texts", [[1], [0.5], [["a"]], [True], [datetime.date(1999, 1, 2)]])
def test_a_column_that_is_no_text_is_refused(tmp_path, texts):
    path = parquet(tmp_path / "a.parquet", {"text": texts})
    message = refusal(path)
    assert f"{path} has " in message
    assert "in the column 'text', expected text. Convert it, or name another" in message


def test_bytes_that_are_no_text_are_refused(tmp_path):
    assert "is no readable Parquet file (" in refusal(parquet(tmp_path / "a.parquet", {"text": [b"\xff"]}))


def test_a_missing_column_is_named_with_those_there_are(tmp_path):
    path = parquet(tmp_path / "a.parquet", {"body": ["a"], "n": [1]})
    assert refusal(path) == f"no column 'text' in {path}; it has: body, n. Name one with --text-column"
    assert "Name one with --id-column" in refusal(path, text_column="body", id_column="k")


def test_a_path_is_taken_as_it_is(tmp_path):
    folder = tmp_path / "year=1999"
    folder.mkdir()
    assert read(parquet(folder / "a[1]*.parquet", {"text": ["a"]})) == Documents(["1"], ["a"], [{}])


def test_nothing_but_text_and_scalars_is_held_at_a_time(tmp_path, monkeypatch):
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
def test_a_damaged_parquet_file_is_refused(tmp_path, damage):
    path = parquet(tmp_path / "a.parquet", {"text": ["some text"] * 50})
    path.write_bytes(damage(path.read_bytes()))
    assert f"{path} is no readable Parquet file (" in refusal(path)


# --- workbooks ---


def test_a_sheet_becomes_documents(tmp_path):
    rows = [["id", "text", "n", "empty"], [1, "a\nb", 2.5, None], [2.0, 5, 3, None], ["k", None, None, None]]
    docs = read(write_xlsx(tmp_path / "a.xlsx", rows))
    assert docs.ids == ["1", "2", "k"]
    assert docs.texts == ["a\nb", "5", ""]
    assert docs.metadata == [{"n": 2.5, "empty": None}, {"n": 3.0, "empty": None}, {"n": None, "empty": None}]


def test_the_columns_of_a_sheet_can_be_named(tmp_path):
    path = write_xlsx(tmp_path / "a.xlsx", [["id", "body", "key"], [1, "a", 7], [2, "b", None]])
    docs = read(path, text_column="body", id_column="key")
    assert docs == Documents(["7", "2"], ["a", "b"], [{"id": 1.0}, {"id": 2.0}])
    assert refusal(path) == f"no column 'text' in {path}; it has: id, body, key. Name one with --text-column"


def test_blank_rows_of_a_sheet_are_skipped_but_in_one_column(tmp_path):
    blank = [None, None]
    rows = [blank, ["text", "n"], ["a", 1], blank, [" ", 2], ["b", None], blank]
    assert read(write_xlsx(tmp_path / "a.xlsx", rows)).texts == ["a", " ", "b"]
    assert read(write_xlsx(tmp_path / "b.xlsx", [["text"], ["a"], [None], ["b"]])).texts == ["a", "", "b"]


@pytest.mark.parametrize("rows", [[], [["text"]], [["text", "n"]]])
def test_a_sheet_without_rows_yields_nothing(tmp_path, rows):
    assert list(read_documents(write_xlsx(tmp_path / "a.xlsx", rows))) == []


@given(st.lists(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=9), max_size=8))
@examples(30)
def test_rows_of_a_sheet_come_back_as_written(tmp_path_factory, texts):
    rows = [["text", "n"], *([text, i] for i, text in enumerate(texts))]
    assert read(write_xlsx(tmp_path_factory.mktemp("xlsx") / "a.xlsx", rows)).texts == texts


def test_what_the_library_logs_is_not_shown(tmp_path, capfd, caplog):
    read(write_xlsx(tmp_path / "a.xlsx", [["text", "empty"], ["a", None]]))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("damage", [lambda d: b"", lambda d: b"PK\3\4", lambda d: d[:-30], lambda d: b"text\na\n"])
def test_a_damaged_workbook_is_refused(tmp_path, damage):
    path = write_xlsx(tmp_path / "a.xlsx", [["text"], ["a"]])
    path.write_bytes(damage(path.read_bytes()))
    assert f"{path} is no readable Excel file (" in refusal(path)


def test_without_fastexcel_the_message_says_what_to_install(tmp_path, monkeypatch):
    path = write_xlsx(tmp_path / "a.xlsx", [["text"], ["a"]])
    monkeypatch.setitem(sys.modules, "fastexcel", None)
    assert refusal(path) == f"cannot read {path} without fastexcel: install fastexcel"
