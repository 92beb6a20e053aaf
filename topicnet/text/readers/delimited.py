"""CSV and TSV: rows of fields under a header line, or without one; quoted or, in a TSV without a header, not."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from topicnet.errors import CorpusError
from topicnet.text.readers.documents import Columns, Row, no_column, shown
from topicnet.text.readers.open_text import File

_FIELD_LIMIT = 2**31 - 1  # csv's, in characters: what fits a C long on every platform
_DELIMITERS, _TRIED = ",;\t", " (commas, semicolons and tabs were tried)"
_HEADER_LINES = 1000  # most lines a header may have: an open quote in it may not swallow the file
_DECLARED = re.compile(r'"?sep=([^\w\s"]|\t)"?\r?\n?', re.IGNORECASE)  # the first line that Excel understands
# Characters that an open quote is followed for where rows may be skipped: many, until this many were read in vain.
_REACH, _SPARE_REACH, _READ_IN_VAIN = 1 << 24, 1 << 12, 1 << 28
_NUMBER = re.compile("[1-9][0-9]{0,5}")
_TEXT_WORDS, _TEXT_CHARACTERS = 2, 20  # a cell of this many is a text, not the name of a column

Record = tuple[int, list[str]]  # the line it starts on, its fields


@dataclass(frozen=True)
class _Dialect:
    """How records are cut; a TSV file without a header line has no quoting."""

    delimiter: str
    is_tsv: bool = False
    tried: str = ""  # what a message says where other delimiters did no better


def csv_rows(file: File, columns: Columns) -> Iterator[Row]:
    """Rows of a CSV file, cut at the delimiter that its first line names, or under which its header has the text."""
    lines = _Lines(file)
    yield from _table(file, lines, columns, _find_dialect(lines, columns))


def tsv_rows(file: File, columns: Columns) -> Iterator[Row]:
    """Rows of a TSV file, quoted as CSV is where it has a header line, and without any quoting where it has none."""
    return _table(file, _Lines(file), columns, _Dialect("\t", is_tsv=True))


class _Lines:
    """Lines that can be put back.

    An iterator of the lines of one record: it ends where the record has grown beyond `reach`, until `begin`.
    """

    def __init__(self, file: File) -> None:
        csv.field_size_limit(min(_FIELD_LIMIT, file.options.max_document_size))
        self._lines = file.lines(ends=True)
        self._back: deque[str] = deque()
        self._size = 0
        self.number = 0  # of the last line taken, from 1
        self.taken: list[str] = []  # those of the record
        self.reach = _FIELD_LIMIT  # in characters
        self.in_vain = 0  # characters read and put back

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self._size > self.reach:
            raise StopIteration
        line = self._back.popleft() if self._back else next(self._lines)
        self.number += 1
        self._size += len(line)
        self.taken.append(line)
        return line

    def begin(self) -> int:
        """Begin a record; the number of its first line."""
        self.taken.clear()
        self._size = 0
        return self.number + 1

    def put_back(self, keep: int = 0) -> None:
        """Put the lines of the record back, but the first ones."""
        lines = self.taken[keep:]
        self._back.extendleft(reversed(lines))
        self.number -= len(lines)
        self.in_vain += self._size if keep else 0
        if self.in_vain > _READ_IN_VAIN:  # a file of open quotes would be read over and over
            self.reach = _SPARE_REACH
        self.begin()

    def rest(self) -> Iterator[str]:
        """All lines not taken, for a faster loop; nothing can be put back afterwards."""
        return chain(self._back, self._lines)


def _table(file: File, lines: _Lines, columns: Columns, dialect: _Dialect) -> Iterator[Row]:
    if _NUMBER.fullmatch(columns.text) and not _is_header(_peek(lines, dialect.delimiter), columns.text):
        header, columns = _numbered_columns(file, lines, columns, dialect)
        first, is_quoted = "the first line", not dialect.is_tsv
    else:
        header = _header(file, lines, columns, dialect)
        first, is_quoted = "the header", True
    if not header:
        return
    if is_quoted:
        records = _lenient_records if file.skips else _strict_records
        expected = f"as in {first}. Quote fields that hold the delimiter, a quote or a newline"
        yield from _rows(file, records(file, lines, dialect), header, columns, expected)
    else:
        expected = f"as in {first}. Part fields by single tabs: quotes are plain characters without a header"
        yield from _rows(file, unquoted(file, lines.rest()), header, columns, expected)


def _rows(file: File, records: Iterator[Record], header: list[str], columns: Columns, expected: str) -> Iterator[Row]:
    for line, fields in records:
        if not fields and len(header) > 1:
            continue  # a blank line between rows; in a table of one column it is an empty cell
        fields = fields or [""]
        if len(fields) != len(header):
            why = f"{len(fields)} field(s), expected {len(header)}"
            file.refuse(line, why, f"{file.at(line)} has {why} {expected}")
            continue
        record: dict[str, Any] = dict(zip(header, fields, strict=True))
        key = record.get(columns.key, "")
        text = record.pop(columns.text)
        record.pop(columns.key, None)
        yield key, text, record


# --- the delimiter and the header ---


def _find_dialect(lines: _Lines, columns: Columns) -> _Dialect:
    """The delimiter that the first line names, or the only one that shows the text column; else the comma."""
    if declared := _DECLARED.fullmatch(_first_line(lines)):
        lines.begin()
        return _Dialect(declared[1])
    lines.put_back()
    number = int(columns.text) if _NUMBER.fullmatch(columns.text) else 0

    def has_text(delimiter: str) -> bool:
        fields = _peek(lines, delimiter)
        return columns.text in fields or 0 < number <= len(fields)

    fitting = [delimiter for delimiter in _DELIMITERS if has_text(delimiter)]
    return _Dialect(fitting[0]) if len(fitting) == 1 else _Dialect(",", tried=_TRIED)


def _first_line(lines: _Lines) -> str:
    """Take blank lines and the first that is none."""
    return next((line for line in lines if line.strip("\r\n")), "")


def _peek(lines: _Lines, delimiter: str) -> list[str]:
    """Fields of the first record that is not blank, or none where it is malformed; takes no line."""
    try:
        return _first(lines, delimiter)
    except csv.Error:
        return []
    finally:
        lines.put_back()


def _first(lines: _Lines, delimiter: str) -> list[str]:
    reader = csv.reader(islice(lines, _HEADER_LINES), delimiter=delimiter, strict=True)
    return next((fields for fields in reader if fields), [])


def _top(file: File, lines: _Lines, dialect: _Dialect) -> list[str]:
    """Take the first record; it cannot be skipped, as the others are read by it."""
    start = lines.begin()
    try:
        return _first(lines, dialect.delimiter)
    except csv.Error as error:
        start += next((i for i, line in enumerate(lines.taken) if line.strip("\r\n")), 0)
        raise CorpusError(_malformed(file, start, error, dialect)) from error


def _header(file: File, lines: _Lines, columns: Columns, dialect: _Dialect) -> list[str]:
    """Take the names of the columns, with those that were asked for among them; none of a file without lines."""
    start = lines.begin()
    header = _top(file, lines, dialect)
    for number, line in enumerate(lines.taken, start):
        if file.skips and (why := file.fault(line)):
            raise CorpusError(f"{file.at(number)} is the header and has {why}: expected names of columns. Mend it")
    twice = next((name for i, name in enumerate(header) if name in header[:i]), None)
    if twice is not None:
        raise CorpusError(f"{file.name} has two columns {twice!r}, expected different names. Rename one")
    if header and not columns.are_in(header):
        raise no_column(file.name + (dialect.tried if columns.text not in header else ""), header, columns)
    return header


# --- tables without a header ---


def _is_header(fields: list[str], column: str) -> bool:
    """Whether a first row names the column 1, 2, ...: a row of documents may hold that number too, as a label."""
    counted = fields[int(column) - 1 : int(column)]
    is_text = len(set(fields)) < len(fields) or any(
        len(cell.split()) >= _TEXT_WORDS or len(cell) >= _TEXT_CHARACTERS for cell in counted
    )
    return column in fields and not is_text


def _numbered_columns(file: File, lines: _Lines, columns: Columns, dialect: _Dialect) -> tuple[list[str], Columns]:
    """Names for the columns of a table without a header, and the asked for ones by these names; takes no line."""
    first = _bare(_first_line(lines)).split("\t") if dialect.is_tsv else _top(file, lines, dialect)
    numbers = [str(i) for i in range(1, len(first) + 1)]
    if first and lines.taken and not columns.are_in(numbers):
        raise no_column(f"{file.name}, read without a header line", numbers, columns)
    lines.put_back()
    key = None if columns.id is None else f"column_{columns.id}"
    return [f"column_{i}" for i in numbers], Columns(f"column_{columns.text}", key)


# --- records ---


def _strict_records(file: File, lines: _Lines, dialect: _Dialect) -> Iterator[Record]:
    """Records, blank ones too, each with the line it starts on. Strict: an open quote may not swallow the rest."""
    before = lines.number
    reader = csv.reader(lines.rest(), delimiter=dialect.delimiter, strict=True)
    line = before + 1
    try:
        for fields in reader:
            yield line, fields
            line = before + reader.line_num + 1
    except csv.Error as error:
        raise CorpusError(_malformed(file, line, error, dialect)) from error


def _lenient_records(file: File, lines: _Lines, dialect: _Dialect) -> Iterator[Record]:
    """Records but malformed ones: the line that one of these starts on is recorded, and reading goes on after it."""
    reader = csv.reader(lines, delimiter=dialect.delimiter, strict=True)
    lines.reach = _REACH
    while True:
        line = lines.begin()
        try:
            fields = next(reader, None)
        except csv.Error as error:
            lines.put_back(keep=1)
            file.refuse(line, f"not well-formed ({shown(str(error))})", "")
            continue
        if fields is None:
            return
        if all(file.is_sound(number, taken) for number, taken in enumerate(lines.taken, line)):
            yield line, fields


def unquoted(file: File, lines: Iterable[str]) -> Iterator[Record]:
    """Records of tab-separated fields in which a quote is a character like any other."""
    for number, line in enumerate(map(_bare, lines), 1):
        if not file.skips or file.is_sound(number, line):
            yield number, line.split("\t") if line else []


def _bare(line: str) -> str:
    return line[:-2] if line.endswith("\r\n") else line.removesuffix("\n")


def _malformed(file: File, line: int, error: csv.Error, dialect: _Dialect) -> str:
    if "larger than field limit" in str(error):
        return str(file.too_long(f"a cell of the row on {file.at(line)}"))
    advice = (
        f"{file.at(line)} is not well-formed ({shown(str(error))}). Quote fields that hold "
        'the delimiter, a quote or a newline, and write a quote inside them as ""'
    )
    if not dialect.is_tsv:
        return advice
    return f"{advice}; where quotes are plain characters, drop the header line and use a number as --text-column"
