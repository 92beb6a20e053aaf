"""Tests of missing-value markers in texts, tables and lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from topicnet.errors import InputError
from topicnet.text.readers.documents import ReadingLog, ReadingOptions
from topicnet.text.readers.in_memory import documents_of_frame, documents_of_texts
from topicnet.text.readers.missing import MISSING, MissingValues, missing_markers
from topicnet.text.readers.read import read_documents

MARKED = ["NA", " nan ", "NULL", "\\N", "<NA>", "NaT", "n/a", "#N/A", "-", ".", "\tNa\t"]
MARKED += ["#NAME?", "#REF!", "#VALUE!", "#DIV/0!", "#NULL!", "#NUM!", "#NV", "#N/D", "[null]", "(blank)", "NULL\u200b"]
TEXT = ["none", "None", "a null result", "NA NA", "na-na", "nano", "- yes", "..", "nil", "no", "\u200b", "#name"]


def read(path: Path, text: str, **options: Any) -> tuple[list[str], list[str], list[dict[str, Any]], ReadingLog]:
    path.write_text(text, "utf-8")
    log = ReadingLog()
    batches = list(read_documents(path, ReadingOptions(**{"missing": missing_markers()} | options), log))
    return (
        [i for batch in batches for i in batch.ids],
        [one for batch in batches for one in batch.texts],
        [row for batch in batches for row in batch.metadata],
        log,
    )


@pytest.mark.parametrize("cell", MARKED)
def test_a_marker_becomes_an_empty_text(tmp_path: Path, cell: str) -> None:
    _, texts, _, log = read(tmp_path / "a.txt", f"one\n{cell}\ntwo\n")
    assert texts == ["one", "", "two"]
    assert (log.n_missing, log.markers) == (1, [cell.strip()])


@pytest.mark.parametrize("cell", TEXT)
def test_other_texts_are_unchanged(tmp_path: Path, cell: str) -> None:
    _, texts, _, log = read(tmp_path / "a.txt", f"one\n{cell}\n")
    assert texts == ["one", cell]
    assert log.n_missing == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", 'id,text,label\n7,one,x\nNA,two,NA\n"n/a",NULL,-\n'),
        ("a.tsv", "id\ttext\tlabel\n7\tone\tx\nNA\ttwo\tnan\n.\t\\N\t<NA>\n"),
        (
            "a.jsonl",
            '{"id": 7, "text": "one", "label": "x"}\n{"id": "NA", "text": "two", "label": "NA"}\n'
            '{"id": null, "text": "NaN", "label": "."}\n',
        ),
    ],
)
def test_markers_in_tables_are_not_texts_labels_or_ids(tmp_path: Path, name: str, text: str) -> None:
    ids, texts, metadata, log = read(tmp_path / name, text)
    assert (ids, texts) == (["7", "2", "3"], ["one", "two", ""])
    assert [row["label"] for row in metadata] == ["x", None, None]
    assert log.n_missing == 1


def test_a_file_that_is_one_document_is_never_a_marker(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    for name in ("a", "b"):
        (tmp_path / "texts" / f"{name}.txt").write_text("NA")
    (batch,) = read_documents(tmp_path / "texts", ReadingOptions(missing=missing_markers()))
    assert batch.texts == ["NA", "NA"]


@pytest.mark.parametrize(
    "kind",
    [
        lambda columns: pd.DataFrame(columns),
        lambda columns: pl.DataFrame(columns),
        lambda columns: pl.LazyFrame(columns),
    ],
    ids=["pandas", "polars", "lazy"],
)
def test_markers_apply_to_tables_in_memory(kind: Any) -> None:
    frame = kind({"key": ["a", "NA", None], "text": ["one", "NULL", "three"], "label": ["x", "n/a", "y"]})
    log = ReadingLog()
    documents = documents_of_frame(frame, "text", "key", MissingValues(missing_markers(), log))
    assert (documents.ids, documents.texts) == (["a", "2", "3"], ["one", "", "three"])
    assert list(documents.numbered) == [1, 2]
    assert [row["label"] for row in documents.metadata] == ["x", None, "y"]
    assert log.n_missing == 1


@pytest.mark.parametrize("texts", [["NA", "b"], ("NA", "b"), pd.Series(["NA", "b"]), pl.Series(["NA", "b"])], ids=type)
def test_markers_apply_to_lists(texts: Any) -> None:
    assert documents_of_texts(texts, None, MissingValues(missing_markers())).texts == ["", "b"]
    assert documents_of_texts(texts, None).texts == ["NA", "b"]


@pytest.mark.parametrize(
    ("given", "has", "has_not"),
    [
        (None, MISSING, ("k.a.", "none")),
        ("k.A., Keine Angabe", (*MISSING, "k.a.", "keine angabe"), ("none",)),
        (["k.A."], (*MISSING, "k.a."), ("none",)),
        ("none", (), MISSING),
        ("", (), MISSING),
        ([], (), MISSING),
        ("none,k.A.", ("k.a.",), MISSING),
        ("NA,none", (*MISSING, "none"), ()),
    ],
)
def test_markers_are_added_or_replaced(given: Any, has: tuple[str, ...], has_not: tuple[str, ...]) -> None:
    found = missing_markers(given)
    assert set(has) <= set(found)
    assert not set(has_not) & set(found)
    assert missing_markers(("none", *found)) == found


@pytest.mark.parametrize("wrong", [[1], [None], ["NA", 2.5]])
def test_a_marker_that_is_not_text_is_rejected(wrong: Any) -> None:
    with pytest.raises(InputError, match="given as a marker of a missing value"):
        missing_markers(wrong)


def test_a_text_of_two_columns_is_missing_if_both_are(tmp_path: Path) -> None:
    rows = "id,title,body\n1,NA,one\n2,two,NA\n3,NA,-\n4,,NULL\n5,,\n6,null,\n"
    _, texts, _, log = read(tmp_path / "a.csv", rows, text_column=("title", "body"))
    assert texts == ["one", "two", "", "", "", ""]
    assert (log.n_missing, log.markers) == (3, ["NA", "NULL", "null"])
