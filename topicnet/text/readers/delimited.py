"""Reader of CSV and TSV files, with or without a header line; detects delimiter, quoting and header."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

from topicnet.errors import CorpusError
from topicnet.text.readers.documents import Columns, Row, folded, no_column, shown
from topicnet.text.readers.header_rows import (
    ROW_NAMES,
    extra_fields,
    is_datum,
    looks_like_header,
    survey_rows,
    unique_names,
)
from topicnet.text.readers.open_text import File

_FIELD_LIMIT = 2**31 - 1  # characters; the most that fits a C long on every platform
_DELIMITERS, _TRIED = ",;\t|", " (commas, semicolons, tabs and pipes were tried)"
_HEADER_LINES = 1000  # a header may span at most this many lines, so that an open quote does not swallow the file
_PEEK_LINES, _PEEK_CHARACTERS = 64, 1 << 20  # examined to detect the layout of a table
_SEARCHED_LINES = 20  # searched for a header below other lines
_EXCERPT = 80  # characters of a document shown in a notice
_DECLARED = re.compile(r'"?sep=([^\w\s"]|\t)"?\r?\n?', re.IGNORECASE)  # Excel's "sep=;" line
# If rows may be skipped, an open quote may span _MAX_RECORD characters. After _REREAD_BUDGET characters were read and
# put back, the limit drops to _SHORT_RECORD.
_MAX_RECORD, _SHORT_RECORD, _REREAD_BUDGET = 1 << 24, 1 << 12, 1 << 28
_ESCAPED, _CONTROLS = re.compile(r"\\(.)"), {"n": "\n", "t": "\t", "r": "\r"}  # after a backslash
_NUMBER = re.compile("[1-9][0-9]{0,5}")
_TEXT_WORDS, _TEXT_CHARACTERS = 2, 20  # a cell with at least this many is a text, not a column name

Record = tuple[int, list[str]]  # number of its first line, fields


@dataclass(frozen=True)
class _Dialect:
    """Delimiter, quoting and escaping of a table.

    Attributes
    ----------
    delimiter : str
    quote : str, optional
        None if quotes are plain characters.
    escape : str, optional
        None if a quote is escaped only by doubling it.
    is_spaced : bool
        A space follows each delimiter.
    unquotes : bool
        Turn quoting off if there is no header line; set for a TSV unless the user chose a quote or escape.
    tried : str
        The other delimiters that were tried, for messages.
    """

    delimiter: str
    quote: str | None = '"'
    escape: str | None = None
    is_spaced: bool = False
    unquotes: bool = False
    tried: str = ""

    def records(self, lines: Iterable[str]) -> Any:
        """Return a strict `csv.reader`, which raises an error for an open quote."""
        return csv.reader(
            self._unescaped(lines) if self.escape == "\\" else lines,
            delimiter=self.delimiter,
            quotechar=self.quote,
            quoting=csv.QUOTE_NONE if self.quote is None else csv.QUOTE_MINIMAL,
            escapechar=self.escape,
            skipinitialspace=self.is_spaced and " " not in (self.delimiter, self.quote, self.escape),
            strict=True,
        )

    def _unescaped(self, lines: Iterable[str]) -> Iterator[str]:
        """Replace MySQL's \\n, \\t and \\r by escaped control characters; a cell \\N keeps its backslash."""
        ends = ("", self.delimiter, "\r", "\n")

        def replaced(found: re.Match[str]) -> str:
            begin, end = found.span()
            if found[1] == "N":
                is_cell = found.string[begin - 1 : begin] in ends[:2] and found.string[end : end + 1] in ends
                return "\\\\N" if is_cell else found[0]
            return "\\" + _CONTROLS.get(found[1], found[1])

        for line in lines:
            yield _ESCAPED.sub(replaced, line) if "\\" in line else line

    @property
    def is_plain(self) -> bool:
        """True if each line is one record, split at every delimiter."""
        return self.quote is None and self.escape is None


@dataclass(frozen=True)
class _Layout:
    """Column names and dialect of a table.

    Attributes
    ----------
    names : list of str
        Column names, all different.
    columns : Columns
        The requested columns, under these names.
    dialect : _Dialect
    header : list of str
        Fields of the header line, unchanged; empty if there is none.
    no_data : list of list of str
        Further rows of column names below the header.
    pads : bool
        Rows have extra empty fields at the end.
    """

    names: list[str]
    columns: Columns
    dialect: _Dialect
    header: list[str]
    no_data: list[list[str]]
    pads: bool = False

    @property
    def expected(self) -> str:
        """Expected length of a row and the remedy, for messages."""
        first = "the header" if self.header else "the first line"
        if not self.dialect.is_plain:
            return (
                f"as in {first}. Quote fields that hold the delimiter, a quote or a newline, or say how the file is"
                " written with --delimiter, --quote or --escape"
            )
        by = "single tabs" if self.dialect.delimiter == "\t" else f"single {self.dialect.delimiter!r}"
        why = "with --quote none" if self.header else "without a header"
        return f"as in {first}. Separate fields by {by}: quotes are plain characters {why}"


def csv_rows(file: File, columns: Columns) -> Iterator[Row]:
    """Yield the rows of a CSV file whose delimiter is given, declared in the first line, or detected.

    Examples
    --------
    >>> import io, pathlib
    >>> file = File(pathlib.Path("a.csv"), opener=lambda: io.BufferedReader(io.BytesIO(b"text;n\\na b;1\\n")))
    >>> list(csv_rows(file, Columns()))
    [('', 'a b', {'n': '1'})]
    """
    lines = _lines_of(file)
    return _table(file, lines, columns, lambda declared: _find_dialect(file, lines, columns, declared))


def tsv_rows(file: File, columns: Columns) -> Iterator[Row]:
    """Yield the rows of a TSV file; by default, quoting applies only if it has a header line."""
    delimiter, quote, escape = file.options.characters
    unquotes = file.options.quote is None and escape is None
    dialect = _Dialect(delimiter or "\t", quote, escape, unquotes=unquotes)
    return _table(file, _lines_of(file), columns, lambda _: dialect)


def _lines_of(file: File) -> _Lines:
    return _Lines(file.lines(ends=True), file.options.max_document_size)


class _Lines:
    """Iterator over lines that can be put back.

    It yields the lines of one record and stops when the record exceeds `max_record` characters; `begin` starts the
    next record.
    """

    def __init__(self, lines: Iterator[str], most: int = _FIELD_LIMIT) -> None:
        csv.field_size_limit(min(_FIELD_LIMIT, most))
        self._lines = lines
        self._back: deque[str] = deque()
        self._size = 0
        self.number = 0  # of the last line consumed, from 1
        self.taken: list[str] = []  # lines of the current record
        self.max_record = _FIELD_LIMIT  # characters
        self.n_reread = 0  # characters read and put back

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self._size > self.max_record:
            raise StopIteration
        line = self._back.popleft() if self._back else next(self._lines)
        self.number += 1
        self._size += len(line)
        self.taken.append(line)
        return line

    def peek(self) -> list[str]:
        """Return the next lines without consuming them."""
        size = sum(map(len, self._back))
        while len(self._back) < _PEEK_LINES and size < _PEEK_CHARACTERS:
            line = next(self._lines, None)
            if line is None:
                break
            self._back.append(line)
            size += len(line)
        return list(islice(self._back, _PEEK_LINES))

    def begin(self) -> int:
        """Start a record and return the number of its first line."""
        self.taken.clear()
        self._size = 0
        return self.number + 1

    def put_back(self, keep: int = 0) -> None:
        """Put the lines of the current record back, except the first `keep`."""
        lines = self.taken[keep:]
        self._back.extendleft(reversed(lines))
        self.number -= len(lines)
        self.n_reread += self._size if keep else 0
        if self.n_reread > _REREAD_BUDGET:  # a file full of open quotes would be read again and again
            self.max_record = _SHORT_RECORD
        self.begin()

    def rest(self) -> Iterator[str]:
        """Return all remaining lines, for a faster loop; nothing can be put back afterwards."""
        return chain(self._back, self._lines)


def _table(
    file: File, lines: _Lines, columns: Columns, find_dialect: Callable[[str | None], _Dialect]
) -> Iterator[Row]:
    declared = _skip_lines(file, lines)
    layout = _layout(file, lines, columns, find_dialect(declared))
    if not layout.names:
        return
    if layout.dialect.is_plain:
        records = unquoted(file, lines.rest(), layout.dialect.delimiter, lines.number + 1)
    else:
        records = (_lenient_records if file.skips else _strict_records)(file, lines, layout.dialect)
    if layout.no_data:
        records = (record for record in records if record[1] not in layout.no_data)
    if layout.pads:
        records = _without_padding(records, len(layout.names))
    yield from _rows(file, records, layout)


def _rows(file: File, records: Iterator[Record], layout: _Layout) -> Iterator[Row]:
    names, n, text_name, key_name = layout.names, len(layout.names), layout.columns.text, layout.columns.key
    last = layout.header[-1].casefold() if layout.header else ""
    n_last = len(layout.header[-1]) if layout.header else -1
    repeats: list[int] = []
    for line, fields in records:
        if not fields and n > 1:
            continue  # a blank line; in a table of one column it is an empty cell instead
        fields = fields or [""]
        if len(fields[-1]) == n_last and fields[-1].casefold() == last and _is_header_again(fields, layout.header):
            repeats.append(line)
            continue
        if len(fields) != n:
            why = f"{len(fields)} field(s), expected {n}"
            file.refuse(line, why, f"{file.at(line)} has {why} {layout.expected}")
            continue
        record: dict[str, Any] = dict(zip(names, fields, strict=True))
        key = record.get(key_name, "")
        text = record.pop(text_name)
        record.pop(key_name, None)
        yield key, text, record
    if repeats:
        rows, more = (f"{len(repeats):,} rows", ", ...") if len(repeats) > 1 else ("1 row", "")
        file.log.notice(f"skipped {rows} of {file.name} equal to its header (line {repeats[0]}{more})")


def _is_header_again(fields: list[str], header: list[str]) -> bool:
    """Return whether a row repeats the header, as in concatenated files, each with its byte order mark.

    Case is ignored unless the header is a single cell.
    """
    if len(header) > 1:
        fields, header = [cell.casefold() for cell in fields], [cell.casefold() for cell in header]
    return fields[1:] == header[1:] and fields[0].strip('\ufeff"') == header[0].strip('"')


def _without_padding(records: Iterator[Record], n: int) -> Iterator[Record]:
    """Remove the extra empty fields at the end of each record."""
    for line, fields in records:
        yield line, fields if any(fields[n:]) else fields[:n]


# --- the lines before the table, and the delimiter ---


def _skip_lines(file: File, lines: _Lines) -> str | None:
    """Skip the lines before the header; return the delimiter that the first one declares, if any."""
    options = file.options
    n = (options.header_row - 1) if options.header_row else options.skip_rows or 0
    declared = None
    for number in range(1, n + 1):
        line = next(lines, None)
        if line is None:
            option = f"--header-row {options.header_row}" if options.header_row else f"--skip-rows {n}"
            raise CorpusError(
                f"{file.name} has {number - 1} line(s), expected more for {option}. Give a smaller number"
            )
        found = _DECLARED.fullmatch(line) if number == 1 else None
        declared = found[1] if found else declared
        lines.begin()
    return declared


def _find_dialect(file: File, lines: _Lines, columns: Columns, declared: str | None) -> _Dialect:
    """Choose the dialect: the delimiter that is given, declared, or the only one under which the text columns exist.

    If they exist under several delimiters, the comma is used; if under none, the one that gives the most columns.
    """
    delimiter, quote, escape = file.options.characters
    if named := _DECLARED.fullmatch(_first_line(lines)):
        lines.begin()
        declared = named[1]
    else:
        lines.put_back()
    if delimiter or declared:
        return _Dialect(delimiter or declared or ",", quote, escape)
    tried = [_Dialect(one, quote, escape) for one in _DELIMITERS if one not in (quote, escape)]
    tops = [(_peek(lines, dialect), dialect) for dialect in tried]
    if all(map(_NUMBER.fullmatch, columns.texts)) and not any(columns.are_in(top) for top, _ in tops):
        return _most_even(lines, tried, max(map(int, columns.texts)))
    alike = [dialect for top, dialect in tops if set(columns.texts) <= set(top)]
    alike = alike or [dialect for top, dialect in tops if set(map(folded, columns.texts)) <= set(map(folded, top))]
    if len(alike) == 1:
        return alike[0]
    best = tried[0] if alike else max(tops, key=lambda pair: len(pair[0]))[1]  # the first if equal
    return replace(best, tried=_TRIED)


def _most_even(lines: _Lines, tried: list[_Dialect], number: int) -> _Dialect:
    """Return the first dialect under which all rows have the same number of fields, at least max(2, `number`)."""
    for dialect in tried:
        widths = {len(row) for row in _sample(lines, dialect)}
        if len(widths) == 1 and max(widths) > 1 and max(widths) >= number:
            return dialect
    return next((one for one in tried if len(_peek(lines, one)) >= max(number, 2)), tried[0])


def _first_line(lines: _Lines) -> str:
    """Consume lines up to the first that is not blank, and return it."""
    return next((line for line in lines if line.strip("\r\n")), "")


def _peek(lines: _Lines, dialect: _Dialect) -> list[str]:
    """Return the fields of the first non-blank record without consuming lines; [] if it is malformed."""
    try:
        return _first(lines, dialect)
    except csv.Error:
        return []
    finally:
        lines.put_back()


def _first(lines: _Lines, dialect: _Dialect) -> list[str]:
    return next((fields for fields in dialect.records(islice(lines, _HEADER_LINES)) if fields), [])


def _sample(lines: _Lines, dialect: _Dialect) -> list[list[str]]:
    """Return the fields of the next non-blank records, up to a malformed one, without consuming lines."""
    following = lines.peek()
    if dialect.is_plain:
        return [bare.split(dialect.delimiter) for line in following if (bare := _bare(line))]
    found = []
    try:
        for fields in dialect.records(following):
            if fields:
                found.append(fields)
    except csv.Error:
        pass  # the last record may be truncated; malformed ones are reported when they are read
    return found


# --- the header ---


def _layout(file: File, lines: _Lines, columns: Columns, dialect: _Dialect) -> _Layout:
    """Consume the header, if any, and determine the layout; its `names` are empty if the file has no rows."""
    by_number = [text for text in columns.texts if _NUMBER.fullmatch(text)]
    has_header = _has_header(file, lines, columns, dialect, by_number)
    if not has_header:
        dialect = replace(dialect, quote=None) if dialect.unquotes else dialect
        return _numbered_columns(file, lines, columns, dialect)
    following, start = lines.peek(), lines.number + 1
    first = next((line for line in following if line.strip("\r\n")), "")
    is_spaced = dialect.delimiter != " " and first.count(dialect.delimiter) == first.count(dialect.delimiter + " ") > 0
    dialect = replace(dialect, is_spaced=is_spaced)
    header = _top(file, lines, dialect)
    below = _sample(lines, dialect)
    for number, line in enumerate(lines.taken, start):
        if file.skips and (why := file.fault(line)):
            raise CorpusError(f"{file.at(number)} is the header and has {why}: expected column names. Fix it")
    if not header:
        return _Layout([], columns, dialect, [], [])
    names, found = _named_columns(file, header, columns)
    if not found.are_in(names):
        tried = dialect.tried if not set(columns.texts) <= set(names) else ""
        hint = _header_below(following, start, columns, dialect)
        raise no_column(file.name + tried, header, found, hint)
    if by_number and set(by_number) - set(header):
        _report_header(file, lines.number, [header[names.index(text)] for text in found.texts], by_number)
    kind, more = extra_fields(header, below)
    if kind == "row names":
        names = [ROW_NAMES if ROW_NAMES not in names else f"{ROW_NAMES}_{len(names) + 1}", *names]
        file.log.notice(
            f"{file.name} has one more field in each row than in the header: the first is read as the row names that R"
            " writes"
        )
    elif more < 0 and not set(names[more:]) & {*found.texts, found.key}:
        names = names[:more]
    no_data = _report_survey(file, header, below, [names.index(text) for text in found.texts])
    return _Layout(names, found, dialect, header, no_data, pads=kind == "trailing")


def _top(file: File, lines: _Lines, dialect: _Dialect) -> list[str]:
    """Consume the first record, which is never skipped, because the layout depends on it."""
    start = lines.begin()
    try:
        return _first(lines, dialect)
    except csv.Error as error:
        start += next((i for i, line in enumerate(lines.taken) if line.strip("\r\n")), 0)
        raise CorpusError(_malformed(file, start, error)) from error


def _named_columns(file: File, header: list[str], columns: Columns) -> tuple[list[str], Columns]:
    """Return unique names for all columns, and the requested columns under these names."""
    names = unique_names(header, columns)
    renaming = columns.renaming(header)
    given = [renaming.get(name, name) for name in header]
    key = () if columns.id is None else (columns.id,)
    for asked in (*columns.texts, *key, *columns.kept):
        places = [number for number, name in enumerate(given, 1) if name == asked]
        if len(places) > 1:
            raise CorpusError(
                f"{file.name} has two columns {asked!r} ({places[0]} and {places[1]}), expected one of that name."
                " Rename one, or name the column by its number"
            )

    def name_of(asked: str) -> str:
        by_number = asked not in names and _NUMBER.fullmatch(asked) and int(asked) <= len(names)
        return names[int(asked) - 1] if by_number else asked

    texts = [name_of(text) for text in columns.texts]
    if len(set(texts)) < len(texts):
        raise CorpusError(f"a column of {file.name} was given twice as --text-column: name each once")
    for name, asked in zip(texts[1:], columns.more, strict=True):  # further parts keep the requested names
        names = [asked if one == name else one for one in names]
    return names, replace(columns, text=texts[0], id=None if columns.id is None else name_of(columns.id))


def _header_below(following: list[str], start: int, columns: Columns, dialect: _Dialect) -> str:
    """Suggest a remedy if the header is below the first line, or if column 0 was requested; "" otherwise."""
    if "0" in columns.texts:
        return "Columns are numbered from 1: give 1 for the first"
    wanted = {folded(text) for text in columns.texts}
    if any(map(is_datum, wanted)):
        return ""
    for number, line in enumerate(following[1:_SEARCHED_LINES], start + 1):
        for delimiter in {dialect.delimiter, *_DELIMITERS} - {dialect.quote, dialect.escape}:
            one = _Lines(iter([line]), csv.field_size_limit())
            fields = next(iter(_sample(one, replace(dialect, delimiter=delimiter, is_spaced=True))), [])
            if wanted <= set(map(folded, fields)) and not any(map(is_datum, fields)):
                return f"Line {number} has it: if that is the header, give --skip-rows {number - 1}"
    return ""


def _report_survey(file: File, header: list[str], below: list[list[str]], texts: list[int]) -> list[list[str]]:
    """Return the rows that survey programs write below the header to name the questions, and log their number."""
    n, program = survey_rows(below, texts, header)
    if n:
        rows = "1 row" if n == 1 else f"{n} rows"
        file.log.notice(
            f"skipped {rows} below the header of {file.name}, where {program} writes the names of the questions, not"
            " answers"
        )
    return below[:n]


# --- columns by number ---


def _has_header(file: File, lines: _Lines, columns: Columns, dialect: _Dialect, by_number: list[str]) -> bool:
    """Decide whether the table has a header line, from the options and its first rows."""
    has_none = file.options.header_row == 0
    if has_none and len(by_number) < len(columns.texts):
        raise CorpusError(
            f"--header-row 0 given for {file.name}, but without a header line no column is called {columns.texts[0]!r}."
            " Give its number as --text-column"
        )
    if not by_number or file.options.header_row is not None:
        return not has_none
    top = _peek(lines, dialect)
    if any(_is_header(top, number) for number in by_number) or len(by_number) < len(columns.texts):
        return True
    rows = _sample(lines, replace(dialect, quote=None) if dialect.unquotes else dialect)
    places = [int(text) - 1 for text in by_number]
    if survey_rows(rows[1:], places, rows[0] if rows else ())[0]:
        return True
    return bool(rows) and all(looks_like_header(rows[0], rows[1:], place) for place in places)


def _is_header(fields: list[str], column: str) -> bool:
    """Return whether `column`, a number such as "2020", is a column name in the first row, rather than data.

    The row is data if two of its cells are equal, or if the cell at position `column` is a long text.
    """
    counted = fields[int(column) - 1 : int(column)]
    is_text = len(set(fields)) < len(fields) or any(
        len(cell.split()) >= _TEXT_WORDS or len(cell) >= _TEXT_CHARACTERS for cell in counted
    )
    return column in fields and not is_text


def _report_header(file: File, line: int, names: list[str], columns: list[str]) -> None:
    texts = ", ".join(repr(shown(_excerpt(name))) for name in names)
    numbers = "column " + columns[0] if len(columns) == 1 else "columns " + ", ".join(columns)
    file.log.notice(
        f"{file.name}: line {line} is read as the header, and the texts from {numbers} ({texts}); if it is"
        " a document, give --header-row 0"
    )


def _numbered_columns(file: File, lines: _Lines, columns: Columns, dialect: _Dialect) -> _Layout:
    """Determine the layout of a table without a header, with columns named by number, without consuming lines."""
    first = _bare(_first_line(lines)).split(dialect.delimiter) if dialect.is_plain else _top(file, lines, dialect)
    numbers = [str(i) for i in range(1, len(first) + 1)]
    if not first or not lines.taken:
        return _Layout([], columns, dialect, [], [])
    if not columns.are_in(numbers):
        raise no_column(f"{file.name}, read without a header line", numbers, columns)
    lines.put_back()
    texts = " ".join(first[int(text) - 1] for text in columns.texts)
    file.log.notice(
        f"{file.name} is read as a table without a header line: its first row is document 1,"
        f" {shown(_excerpt(texts))!r}; if it is the header, give --header-row 1"
    )
    names = [i if i in columns.more else f"column_{i}" for i in numbers]
    key = None if columns.id is None else f"column_{columns.id}"
    return _Layout(names, replace(columns, text=f"column_{columns.text}", id=key), dialect, [], [])


def _excerpt(text: str) -> str:
    short = " ".join(text.split())
    return short if len(short) <= _EXCERPT else short[: _EXCERPT - 1] + "…"


# --- records ---


def _strict_records(file: File, lines: _Lines, dialect: _Dialect) -> Iterator[Record]:
    """Yield all records, including blank ones, with the number of their first line.

    Raises
    ------
    CorpusError
        A record is malformed, e.g. has an open quote.
    """
    before = lines.number
    reader = dialect.records(lines.rest())
    line = before + 1
    try:
        for fields in reader:
            yield line, fields
            line = before + reader.line_num + 1
    except csv.Error as error:
        raise CorpusError(_malformed(file, line, error)) from error


def _lenient_records(file: File, lines: _Lines, dialect: _Dialect) -> Iterator[Record]:
    """Yield the well-formed records, skipping only the first line of a malformed one, which is logged."""
    reader = dialect.records(lines)
    lines.max_record = _MAX_RECORD
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


def unquoted(file: File, lines: Iterable[str], delimiter: str = "\t", start: int = 1) -> Iterator[Record]:
    """Yield the records of a table without quoting, numbered by line from `start`."""
    for number, line in enumerate(map(_bare, lines), start):
        if not file.skips or file.is_sound(number, line):
            yield number, line.split(delimiter) if line else []


def _bare(line: str) -> str:
    return line[:-2] if line.endswith("\r\n") else line.removesuffix("\n")


def _malformed(file: File, line: int, error: csv.Error) -> str:
    if "larger than field limit" in str(error):
        return str(file.too_long(f"a cell of the row on {file.at(line)}"))
    return (
        f"{file.at(line)} is not well-formed ({shown(str(error))}). Quote fields that hold the delimiter, a quote or a"
        ' newline, and write a quote inside them as ""; if quotes are escaped by a backslash, give --escape backslash,'
        " and if they are plain characters, --quote none"
    )
