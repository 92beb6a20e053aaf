"""Separate process that reads a sheet of a workbook: ``python -m topicnet.text.readers.workbook_process``.

The library that reads workbooks allocates as much memory as a file claims to need, and aborts its process if that
fails. It therefore runs here, with a memory limit. The request is JSON on standard input, the answer is JSON on
standard output, and the cells are written as text to an Arrow file.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from topicnet.text.readers.documents import Columns
from topicnet.text.readers.limits import MAX_CELL_BYTES, MAX_CELLS

_CHUNK_BYTES = 1 << 20
_MAX_ROWS = 50  # rows below the header that are searched for the columns
_MAX_HEADER_BYTES = 1 << 24  # of the archive parts that list the sheets
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_ERROR = re.compile(rb"""<(?:\w+:)?c\s[^<>]*?\bt=["']e["']""")
_REFERENCE = re.compile(rb"""\br=["']([A-Z]{1,7})(\d{1,10})["']""")
_SHOWN_ERROR = re.compile(rb"<(?:\w+:)?v>(#[^<]{1,20})<")


class _RefusedError(Exception):
    """A workbook that cannot be read, and the reason."""


@dataclass(frozen=True)
class _Sheet:
    """The header and cells of a sheet.

    Attributes
    ----------
    name : str
    header : list of str
        Column names.
    first_row : int
        First row of data, from 0.
    table : polars.DataFrame
        All cells as text.
    row : int, optional
        A row below that has the requested columns, from 1; None if the header has them, or no row has.
    """

    name: str
    header: list[str]
    first_row: int
    table: Any
    row: int | None = None


@dataclass
class _Scan:
    """Number of cells that hold an error, with an example."""

    n_errors: int = 0
    example: str = ""


def main() -> None:
    """Answer the request on standard input."""
    request = json.load(sys.stdin)
    logging.getLogger("fastexcel").addHandler(logging.NullHandler())
    try:
        answer = _answer(request)
    except _RefusedError as error:
        answer = {"refused": str(error)}
    except (SystemExit, KeyboardInterrupt):
        raise
    except MemoryError:
        sys.exit("memory allocation failed")
    except BaseException as error:  # a panic of the library is not an Exception
        answer = {"damaged": str(error).split("\n")[0] or type(error).__name__}
    json.dump(answer, sys.stdout)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    import fastexcel

    parts = _sheet_parts(request["path"]) if request["is_zip"] else {}
    scans = {name: _scan(request["path"], part) for name, part in parts.items()}  # before the library opens the file
    _limit_memory(request["max_bytes"])
    book = fastexcel.read_excel(request["path"])
    names = list(book.sheet_names)
    sheet = _select_sheet(book, names, request)
    if sheet is None:
        return {"sheets": names}
    if not sheet.header and sheet.table.height:
        raise _RefusedError(
            f"the sheet {sheet.name!r} ends with row {sheet.table.height}, expected a header after it. Check"
            " --header-row and --skip-rows"
        )
    scan = scans.get(sheet.name, _Scan())
    sheet.table.slice(sheet.first_row).write_ipc(request["out"])
    return {
        "sheets": names, "sheet": sheet.name, "header": sheet.header, "row": sheet.row,
        "n_errors": scan.n_errors, "example": scan.example,
    }  # fmt: skip


def _select_sheet(book: Any, names: list[str], request: dict[str, Any]) -> _Sheet | None:
    """Select the requested sheet, or the first visible one that has the columns.

    If none has them, prefer a sheet with the columns in another row, then one that is not empty, then the first.
    """
    columns, asked = Columns(**request["columns"]), request["sheet"]
    if asked is not None:
        found = _find_sheet(names, asked)
        return None if found is None else _load(book, found, request)[0]
    other: _Sheet | None = None
    for name in names:
        sheet, is_visible = _load(book, name, request)
        if is_visible and columns.are_in(sheet.header):
            return sheet
        if is_visible and (other is None or (other.row is None and sheet.row is not None) or not other.header):
            other = sheet
    return _load(book, names[0], request)[0] if other is None and names else other


def _find_sheet(names: list[str], asked: str | int) -> str | None:
    """Find a sheet by name, or by number from 1."""
    if str(asked) in names:
        return str(asked)
    number = int(asked) if str(asked).isdecimal() else 0
    return names[number - 1] if 1 <= number <= len(names) else None


def _load(book: Any, name: str, request: dict[str, Any]) -> tuple[_Sheet, bool]:
    """Load a sheet with all cells as text, and return it with whether it is visible.

    Integers have no decimals, and errors are missing cells. Columns whose names match requested ones, apart from white
    space and Unicode normalisation, get the requested names.
    """
    loaded = book.load_sheet(name, header_row=None, skip_rows=0, dtypes="string")
    table = loaded.to_polars()
    columns, skip_rows, header_row = Columns(**request["columns"]), request["skip_rows"], request["header_row"]
    if header_row == 0:
        return _Sheet(name, [str(i) for i in range(1, table.width + 1)], skip_rows, table), loaded.visible == "visible"
    row = next((i for i in range(skip_rows, table.height) if not _is_blank(table, i)), table.height)
    row = row if header_row is None else header_row - 1
    header = _names(table, row, columns) if row < table.height else []
    looked_at = range(row + 1, min(row + 1 + _MAX_ROWS, table.height)) if not columns.are_in(header) else ()
    other = next((i + 1 for i in looked_at if columns.are_in(_names(table, i, columns))), None)
    return _Sheet(name, header, row + 1, table, other), loaded.visible == "visible"


def _is_blank(table: Any, row: int) -> bool:
    return all(cell is None for cell in table.row(row))


def _names(table: Any, row: int, columns: Columns) -> list[str]:
    names = ["" if cell is None else cell for cell in table.row(row)]
    renaming = columns.renaming(names)
    return [renaming.get(name, name) for name in names]


# --- the archive of an .xlsx file, before the library opens it ---


def _sheet_parts(path: str) -> dict[str, str]:
    """Map the names of the sheets to the parts of the archive that hold them."""
    with zipfile.ZipFile(path) as archive:
        relations = _tree(archive, "xl/_rels/workbook.xml.rels").iter()
        targets = {one.get("Id"): one.get("Target", "") for one in relations if one.get("Id")}
        parts: dict[str, str] = {}
        for one in _tree(archive, "xl/workbook.xml").iter():
            target = targets.get(one.get(_RELATION), "")
            name = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
            if one.tag.rpartition("}")[2] == "sheet" and name in archive.namelist():
                parts[one.get("name", "")] = name
        if "xl/sharedStrings.xml" in archive.namelist():
            parts["\0strings"] = "xl/sharedStrings.xml"  # not a possible sheet name
        return parts


def _tree(archive: zipfile.ZipFile, name: str) -> ElementTree.Element:
    try:
        if archive.getinfo(name).file_size > _MAX_HEADER_BYTES:
            raise _RefusedError(
                f"{name} has more than {_MAX_HEADER_BYTES >> 20} MB, expected less. Save the sheet as CSV"
            )
        return ElementTree.fromstring(archive.read(name))
    except (KeyError, ElementTree.ParseError):
        return ElementTree.Element("none")  # left to the library


def _scan(path: str, part: str) -> _Scan:
    """Scan a part for its size and for error cells, in bounded memory.

    Raises
    ------
    _RefusedError
        Its rows and columns span too many cells, or a cell is too large.
    """
    found, n_rows, n_columns = _Scan(), 0, 0
    columns: set[bytes] = set()
    for piece in _pieces(path, part):
        errors = len(_ERROR.findall(piece))
        found.n_errors += errors
        if errors and not found.example and (shown := _SHOWN_ERROR.search(piece)):
            found.example = shown[1].decode("utf-8", "replace")
        references = _REFERENCE.findall(piece)
        if references:
            n_rows = max(n_rows, max(int(row) for _, row in references))
            columns.update(column for column, _ in references)
    n_columns = max((_number(column) for column in columns), default=0)
    if n_rows * n_columns > MAX_CELLS:
        raise _RefusedError(
            f"{part} spans {n_rows:,} rows and {n_columns:,} columns, expected at most {MAX_CELLS:,}"
            " cells. Save the sheet as CSV"
        )
    return found


def _pieces(path: str, part: str) -> Iterator[bytes]:
    """Yield a part in pieces that end between XML tags."""
    left: list[bytes] = []
    n_left = 0
    with zipfile.ZipFile(path) as archive, archive.open(part) as data:
        while chunk := data.read(_CHUNK_BYTES):
            end = chunk.rfind(b"<")
            if end < 0:
                left.append(chunk)
                n_left += len(chunk)
                if n_left > MAX_CELL_BYTES:
                    raise _RefusedError(
                        f"{part} has a cell of more than {MAX_CELL_BYTES / 1e6:,.0f} MB, expected less. Shorten it"
                    )
                continue
            yield b"".join((*left, chunk[:end]))
            left, n_left = [chunk[end:]], len(chunk) - end
    yield b"".join(left)


def _number(column: bytes) -> int:
    number = 0
    for letter in column:
        number = 26 * number + letter - 64
    return number


def _limit_memory(max_bytes: int) -> None:
    """Limit further memory use of this process to `max_bytes`, where the system supports it."""
    try:
        import resource

        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + max_bytes, taken + max_bytes))
    except (ImportError, OSError, ValueError):
        return


if __name__ == "__main__":
    main()
