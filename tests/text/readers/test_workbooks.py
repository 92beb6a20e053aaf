"""Tests of workbooks: choice of the sheet, cells, column names, damaged files."""

from __future__ import annotations

import datetime
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.readers import read, refusal
from tests.support.workbooks import Error, write_ods, write_workbook, write_xlsx
from topicnet.text.readers import workbooks
from topicnet.text.readers.documents import Documents, ReadingLog, ReadingOptions
from topicnet.text.readers.read import read_documents

SHEET = "xl/worksheets/sheet1.xml"


def notices(path: Path, **options: object) -> list[str]:
    """Return the notices logged while reading."""
    log = ReadingLog()
    list(read_documents(path, ReadingOptions(**options), log))  # type: ignore[arg-type]
    return log.notices


def changed(path: Path, part: str, change: Callable[[bytes], bytes]) -> Path:
    """Return a copy of the workbook with one of its parts changed."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[part] = change(parts[part])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


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


@given(st.lists(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=9), min_size=8))
@settings(max_examples=5)
def test_rows_of_a_sheet_are_read_as_written(tmp_path_factory, texts):
    rows = [["text", "n"], *([text, i] for i, text in enumerate(texts))]
    assert read(write_xlsx(tmp_path_factory.mktemp("xlsx") / "a.xlsx", rows)).texts == texts


def test_log_messages_of_the_library_are_not_shown(tmp_path, capfd, caplog):
    read(write_xlsx(tmp_path / "a.xlsx", [["text", "empty"], ["a", None]]))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("damage", [lambda d: b"", lambda d: b"PK\3\4", lambda d: d[:-30], lambda d: b"text\na\n"])
def test_a_damaged_workbook_is_rejected(tmp_path, damage):
    path = write_xlsx(tmp_path / "a.xlsx", [["text"], ["a"]])
    path.write_bytes(damage(path.read_bytes()))
    assert f"{path} is not a readable Excel file (" in refusal(path)


def test_without_fastexcel_the_message_says_what_to_install(tmp_path, monkeypatch):
    path = write_xlsx(tmp_path / "a.xlsx", [["text"], ["a"]])
    monkeypatch.setitem(sys.modules, "fastexcel", None)
    assert refusal(path) == (
        f"reading {path} needs fastexcel, which is not installed: pip install 'topicnet-neural[excel]'"
    )


# --- sheets ---


def test_the_first_sheet_with_the_text_is_read_and_logged(tmp_path):
    sheets = {"About": [["note"], ["x"]], "Data": [["id", "text"], [7, "a"]], "More": [["text"], ["b"]]}
    path = write_workbook(tmp_path / "a.xlsx", sheets)
    assert read(path) == Documents(["7"], ["a"], [{}])
    assert notices(path) == [f"read the sheet 'Data' of {path}, and not About, More; name another with --sheet"]
    assert notices(write_xlsx(tmp_path / "b.xlsx", [["text"], ["a"]])) == []


@pytest.mark.parametrize("sheet", ["More", "2", 2])
def test_a_sheet_is_chosen_by_name_or_number(tmp_path, sheet):
    path = write_workbook(tmp_path / "a.xlsx", {"Data": [["text"], ["a"]], "More": [["text"], ["b"]]})
    assert read(path, sheet=sheet).texts == ["b"]
    assert notices(path, sheet=sheet) == []


def test_a_number_that_is_a_sheet_name_selects_that_sheet(tmp_path):
    path = write_workbook(tmp_path / "a.xlsx", {"2": [["text"], ["a"]], "1": [["text"], ["b"]]})
    assert read(path, sheet="2").texts == ["a"]


@pytest.mark.parametrize("sheet", ["Nope", "0", "3"])
def test_a_missing_sheet_is_rejected_with_the_existing_ones(tmp_path, sheet):
    path = write_workbook(tmp_path / "a.xlsx", {"Data": [["text"], ["a"]], "More": [["text"], ["b"]]})
    assert refusal(path, sheet=sheet) == f"no sheet {sheet!r} in {path}; it has: Data, More. Name one with --sheet"


def test_if_no_sheet_has_the_text_the_first_one_is_named(tmp_path):
    path = write_workbook(tmp_path / "a.xlsx", {"Data": [["body", "n"], ["a", 1]], "More": [["x"], ["b"]]})
    assert f"in sheet 'Data' of {path} (its sheets: Data, More); it has: body, n. Name one" in refusal(path)


def test_a_hidden_sheet_is_read_only_by_name(tmp_path):
    sheets = {"Lists": [["text"], ["yes"]], "Data": [["text"], ["a"]]}
    path = write_workbook(tmp_path / "a.xlsx", sheets, hidden=("Lists",))
    assert read(path).texts == ["a"]
    assert read(path, sheet="Lists").texts == ["yes"]


def test_the_sheet_option_is_rejected_for_other_files(tmp_path):
    (tmp_path / "a.csv").write_text("text\na\n")
    assert "--sheet was given, but" in refusal(tmp_path / "a.csv", sheet="2")


# --- cells ---


def test_integers_stay_integers_and_dates_are_dates(tmp_path):
    day, moment = datetime.date(2020, 1, 2), datetime.datetime(2020, 1, 2, 3, 4, 5)
    rows = [
        ["id", "text", "year", "half", "day", "at", "code", "yes", "mixed"],
        [1, "a", 2000, 1.5, day, moment, "007", True, 1],
        [2, "b", None, 2, day, None, "1", False, "x"],
        [10**15, "c", 2001, None, None, moment, "10", None, 2.5],
    ]
    docs = read(write_xlsx(tmp_path / "a.xlsx", rows))
    assert docs.ids == ["1", "2", "1000000000000000"]
    assert [repr(row["year"]) for row in docs.metadata] == ["2000", "None", "2001"]
    assert docs.metadata[0] == {
        "year": 2000, "half": 1.5, "day": day, "at": moment, "code": "007", "yes": True, "mixed": "1",
    }  # fmt: skip
    assert [row["code"] for row in docs.metadata] == ["007", "1", "10"]
    assert [row["mixed"] for row in docs.metadata] == ["1", "x", "2.5"]


@pytest.mark.parametrize("error", ["#NAME?", "#REF!", "#N/A"])
def test_error_cells_are_missing_and_counted(tmp_path, error):
    rows = [["id", "text", "n"], [1, Error(error), 1], [2, "b", Error("#DIV/0!")], [3, "c", 3]]
    path = write_xlsx(tmp_path / "a.xlsx", rows)
    docs = read(path)
    assert docs.texts == ["", "b", "c"]
    assert [row["n"] for row in docs.metadata] == [1, None, 3]
    assert notices(path) == [f"2 cells of the sheet 'S' of {path} hold an error, such as {error}: read as missing"]


# --- column names ---


@pytest.mark.parametrize(
    ("options", "name"), [({}, "text"), ({"text_column": "n", "id_column": "id"}, "n"), ({"kept": ("n",)}, "n")]
)
def test_a_duplicate_requested_column_is_rejected(tmp_path, options, name):
    header = ["id", "text", "n", "text" if name == "text" else "n"]
    path = write_xlsx(tmp_path / "d.xlsx", [header, [1, "short", "x", "long"]])
    assert refusal(path, **options) == f"{path} has two columns {name!r}, expected different names. Rename one"


def test_other_columns_may_be_duplicate_or_unnamed(tmp_path):
    path = write_xlsx(tmp_path / "a.xlsx", [["text", "n", "n", None], ["a", 1, 2, 3]])
    assert read(path).metadata == [{"n": 1, "n_2": 2, "column_4": 3}]


def test_the_header_may_be_in_another_row(tmp_path):
    rows = [["Report", None], [None, None], ["id", "text"], ["x", "a"]]
    path = write_xlsx(tmp_path / "a.xlsx", rows)
    assert read(path, header_row=3) == read(path, skip_rows=1) == Documents(["x"], ["a"], [{}])
    assert read(path, header_row=0, text_column="2").texts[-1] == "a"
    assert "but in row 3 of the sheet 'S'. Give --header-row 3" in refusal(path)
    assert "the sheet 'S' ends with row 4, expected a header after it" in refusal(path, header_row=9)


# --- other kinds of workbooks, and damaged ones ---


def test_an_opendocument_sheet_is_read(tmp_path):
    path = write_ods(tmp_path / "a.ods", [["id", "text", "year"], [1, "one", 2000], [2, "two", 2001]])
    assert read(path) == Documents(["1", "2"], ["one", "two"], [{"year": 2000}, {"year": 2001}])


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.xls", b"<html><table></table></html>", "it is HTML"),
        ("a.xls", b"id\ttext\n1\ta\n", "it is text"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "Cfb error"),
        ("a.xlsb", b"PK\3\4" + bytes(60), "File is not a zip file"),
    ],
)
def test_a_file_that_is_not_a_workbook_is_rejected(tmp_path, name, data, reason):
    (tmp_path / name).write_bytes(data)
    assert reason in refusal(tmp_path / name)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>', "spans 1,048,576 rows and 16,384 columns"),
        (b'<row r="9"><c r="ZZZZZZZ9"><v>1</v></c></row>', "spans 9 rows and 8,353,082,582 columns"),
        (b'<row r="9"><c r="B9" t="s"><v>99999</v></c></row>', "is not a readable Excel file ("),
    ],
)
def test_a_sheet_over_the_cell_limit_is_rejected(tmp_path, row, reason):
    path = write_xlsx(tmp_path / "a.xlsx", [["text"], ["a"]])
    changed(path, SHEET, lambda sheet: sheet.replace(b"</sheetData>", row + b"</sheetData>"))
    assert reason in refusal(path)


def test_a_cell_or_part_over_the_limit_is_rejected(tmp_path):
    path = write_xlsx(tmp_path / "a.xlsx", [["text"], ["a"]])
    changed(path, SHEET, lambda sheet: sheet.replace(b">a<", b">" + b"a" * 270_000_000 + b"<"))
    assert f"{SHEET} has a cell of more than 268 MB" in refusal(path)
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\1\2", 0, data.rindex(SHEET.encode()))
    data[entry + 24 : entry + 28] = (3_000_000_000).to_bytes(4, "little")
    path.write_bytes(data)
    assert f"would decompress to 3.0 GB ({SHEET}), expected at most 2.1 GB" in refusal(path)


def test_too_little_memory_is_reported_in_one_line(tmp_path, monkeypatch):
    path = write_xlsx(tmp_path / "a.xlsx", [["text"], *([["some text"]] * 1000)])
    monkeypatch.setattr(workbooks, "_MAX_MEMORY", 1 << 12)
    monkeypatch.setattr(workbooks, "_MIN_MEMORY", 1 << 12)
    assert "or needs more than 0.0 GB of memory (" in refusal(path)


@pytest.mark.parametrize(
    ("status", "printed", "reason"),
    [
        (-6, b"memory allocation of 99 bytes failed\n", "memory allocation of 99 bytes failed"),
        (-11, b"", "its process ended with status -11"),
        (1, b"Traceback\nMemoryError\n", "MemoryError"),
    ],
)
def test_a_crash_of_the_library_is_reported_in_one_line(tmp_path, monkeypatch, status, printed, reason):
    path = write_xlsx(tmp_path / "a.xlsx", [["text"], ["a"]])
    ended = subprocess.CompletedProcess([], status, b"", printed)
    monkeypatch.setattr(workbooks.subprocess, "run", lambda *_, **__: ended)
    assert f"of memory ({reason}). Save the sheet as CSV" in refusal(path)
