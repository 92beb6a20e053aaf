"""Reader of a sheet of an Excel or OpenDocument workbook, in a separate process, into typed columns."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from topicnet.errors import CorpusError
from topicnet.runtime.memory import available_memory
from topicnet.text.readers.columnar import table_rows
from topicnet.text.readers.documents import Columns, Row, no_column, shown, two_columns
from topicnet.text.readers.limits import check_archive, regular_file
from topicnet.text.readers.open_text import File, installed

WORKBOOKS = ("xlsx", "xls", "xlsb", "ods")
_ZIPPED, _OLD = b"PK\3\4", b"\xd0\xcf\x11\xe0"  # the containers of new and old workbooks
_MAX_ROWS = 20_000  # converted at a time
_MIN_MEMORY, _MAX_MEMORY = 1 << 30, 1 << 33  # memory limit of the process, in bytes
_SECONDS = 600.0  # time limit of the process
_MAX_LISTED = 20  # sheets listed in a message
_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?$"
_DAY, _MOMENT = r"^\d{4}-\d\d-\d\d 00:00:00$", r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$"


def workbook_rows(file: File, columns: Columns) -> Iterator[Row]:
    """Yield the rows of a sheet of a workbook, skipping blank rows like the blank lines of a CSV."""
    path = regular_file(file)
    installed("fastexcel", file.name)
    with tempfile.TemporaryDirectory(prefix="topicnet-") as folder:
        cells = Path(folder, "cells.arrow")
        answer = _read(file, path, columns, cells)
        if answer is not None:
            with cells.open("rb") as handle:  # a handle, as polars expands brackets in a path
                table = pl.read_ipc(handle)
            yield from _rows(file, columns, table, _names(file, answer, columns))


def _rows(file: File, columns: Columns, table: pl.DataFrame, names: list[str]) -> Iterator[Row]:
    """Yield the rows of a table of strings, with columns other than text and id converted to their apparent type."""
    table = table.rename(dict(zip(table.columns, names, strict=True)))
    if table.width > 1:
        table = table.filter(~pl.all_horizontal(pl.all().is_null()))
    table = table.with_columns(_convert_type(table[name]) for name in names if name not in (columns.text, columns.key))
    for part in table.iter_slices(_MAX_ROWS):
        yield from table_rows(file, part, columns)


def _read(file: File, path: Path, columns: Columns, out: Path) -> dict[str, Any] | None:
    """Read the sheet in another process, which writes its cells to `out`; None if no sheet has cells.

    Raises
    ------
    CorpusError
        The workbook cannot be read, or does not have the requested sheet.
    """
    with path.open("rb") as data:
        start = data.read(8)
    is_zip = start.startswith(_ZIPPED)
    if is_zip:
        check_archive(file, path, "Excel")
    elif not start.startswith(_OLD):
        reason = "it is HTML" if start.lstrip().startswith(b"<") else "it is text or another kind of file"
        raise CorpusError(
            f"{file.name} is not a readable Excel file ({reason}). Save it as .xlsx, or name its format with --format"
        )
    options = file.options
    max_bytes = min(max(_MIN_MEMORY, (available_memory() or _MAX_MEMORY) * 4 // 5), _MAX_MEMORY)
    request = {
        "path": str(path.absolute()), "out": str(out), "is_zip": is_zip, "columns": asdict(columns),
        "sheet": options.sheet, "skip_rows": options.skip_rows or 0, "header_row": options.header_row,
        "max_bytes": max_bytes,
    }  # fmt: skip
    answer = _ask(file, request, max_bytes)
    if damage := answer.get("damaged"):
        raise CorpusError(
            f"{file.name} is not a readable Excel file ({shown(damage)}). Write it again, or name its format with"
            " --format"
        )
    if refusal := answer.get("refused"):
        raise CorpusError(f"{file.name}: {shown(refusal)}")
    if "sheet" not in answer and options.sheet is not None:
        raise CorpusError(
            f"no sheet {options.sheet!r} in {file.name}; it has: {_listed(answer['sheets'])}. Name one with --sheet"
        )
    return answer if answer.get("header") else None


def _ask(file: File, request: dict[str, Any], max_bytes: int) -> dict[str, Any]:
    """Run the process and return its answer.

    Raises
    ------
    CorpusError
        The process fails, or exceeds its time or memory limit.
    """
    command = [sys.executable, "-P", "-m", "topicnet.text.readers.workbook_process"]
    package = str(Path(__file__).parents[3])
    environment = os.environ | {"POLARS_MAX_THREADS": "1", "PYTHONUTF8": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    try:
        ended = subprocess.run(
            command, input=json.dumps(request).encode(), capture_output=True, env=environment, timeout=_SECONDS,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise CorpusError(
            f"{file.name} takes more than {_SECONDS / 60:.0f} minutes to read, expected less. Save the sheet as CSV"
        ) from error
    if ended.returncode == 0:
        answer: dict[str, Any] = json.loads(ended.stdout)
        return answer
    if ended.returncode == -signal.SIGINT:
        raise KeyboardInterrupt
    reason = ended.stderr.decode("utf-8", "replace").strip().split("\n")[-1]
    raise CorpusError(
        f"{file.name} is not a readable Excel file, or needs more than {max_bytes / 1e9:.1f} GB of memory"
        f" ({shown(reason) or f'its process ended with status {ended.returncode}'}). Save the sheet as CSV"
    )


def _names(file: File, answer: dict[str, Any], columns: Columns) -> list[str]:
    """Return unique names for the columns of the sheet, and log notices about the sheet.

    Raises
    ------
    CorpusError
        A requested column is missing or occurs twice.
    """
    header, sheet, sheets = answer["header"], answer["sheet"], answer["sheets"]
    if not columns.are_in(header):
        if answer["row"] is not None:
            raise CorpusError(
                f"no column {columns.text!r} in the header of {file.name}, but in row {answer['row']} of the sheet"
                f" {sheet!r}. Give --header-row {answer['row']}"
            )
        where = file.name if len(sheets) == 1 else f"sheet {sheet!r} of {file.name} (its sheets: {_listed(sheets)})"
        raise no_column(where, [name for name in header if name], columns)
    for asked in (columns.text, columns.key, *columns.kept):
        if header.count(asked) > 1:
            raise two_columns(file.name, asked)
    if file.options.sheet is None and len(sheets) > 1:
        others = [name for name in sheets if name != sheet]
        file.log.notice(
            f"read the sheet {sheet!r} of {file.name}, and not {_listed(others)}; name another with --sheet"
        )
    if answer["n_errors"]:
        cells = "1 cell" if answer["n_errors"] == 1 else f"{answer['n_errors']:,} cells"
        such = f", such as {answer['example']}" if answer["example"] else ""
        file.log.notice(f"{cells} of the sheet {sheet!r} of {file.name} hold an error{such}: read as missing")
    names: list[str] = []
    for number, name in enumerate(header, 1):
        free = name or f"column_{number}"
        while free in names or (free != name and free in header):
            free += "_2"
        names.append(free)
    return names


def _listed(sheets: list[str]) -> str:
    more = ", ..." if len(sheets) > _MAX_LISTED else ""
    return (", ".join(shown(name) for name in sheets[:_MAX_LISTED]) or "none") + more


def _convert_type(cells: pl.Series) -> pl.Series:
    """Convert a column of strings to numbers, booleans or dates if every cell converts without loss."""
    some = cells.drop_nulls()
    if not some.len():
        return cells.cast(pl.Null)
    if some.is_in(["true", "false"]).all():
        return cells == "true"
    if some.str.contains(_NUMBER).all():
        whole = cells.cast(pl.Int64, strict=False)
        if whole.cast(pl.String).equals(cells, null_equal=True):
            return whole
        return cells if some.str.len_chars().max() > 17 else cells.cast(pl.Float64)  # type: ignore[operator]
    if some.str.contains(_DAY).all():
        return _or_text(cells, cells.str.to_date("%Y-%m-%d %H:%M:%S", strict=False))
    if some.str.contains(_MOMENT).all():
        return _or_text(cells, cells.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False))
    return cells


def _or_text(cells: pl.Series, typed: pl.Series) -> pl.Series:
    return typed if typed.null_count() == cells.null_count() else cells
