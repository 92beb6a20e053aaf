"""What every reader takes and yields: columns, rows, batches of documents, and the rows that were left out."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from topicnet.errors import CorpusError, InputError

Value = str | int | float | bool | None
Row = tuple[str, str, dict[str, Value]]  # id ("" where the source has none), text, metadata

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_MOST_CHARACTERS = 300  # of a column's name: a question of a survey is one
_MAX_MARKERS = 3  # of a missing value, named in the notice that counts them
MAX_DOCUMENT_SIZE = 256_000_000  # characters
_MAX_LISTED = 20  # columns, or skipped rows, named one by one
_UNSEEN = str.maketrans("", "", "\ufeff\u200b")  # characters of no width that exports leave around names
_CHARACTERS = {
    "tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " ", "backslash": "\\",
}  # fmt: skip


@dataclass(frozen=True)
class Documents:
    """One batch of documents in input order; the three lists have equal length.

    Attributes
    ----------
    ids : list of str
        The id column, or the document's number in the whole source, from 1.
    texts : list of str
        The texts as they stand in the source; an empty document is ``""``.
    metadata : list of dict
        The other columns, scalars only; ``{}`` where the source has none.
    n_bytes : int
        Bytes of unpacked text read from the source by the end of this batch, or a little more; 0 where that is not
        counted.
    numbered : sequence of int
        Places in this batch of the documents without an id in the source, whose number is their id.
    """

    ids: list[str]
    texts: list[str]
    metadata: list[dict[str, Value]]
    n_bytes: int = 0
    numbered: Sequence[int] = field(default=(), compare=False)


@dataclass
class SkippedRows:
    """Malformed rows that were left out.

    Attributes
    ----------
    count : int
        How many there were.
    listed : list of str
        Where the first 20 stand and what is wrong with each.
    """

    count: int = 0
    listed: list[str] = field(default_factory=list)

    def add(self, where: str, why: str) -> None:
        """Count a row, and list it if it is one of the first."""
        self.count += 1
        if len(self.listed) < _MAX_LISTED:
            self.listed.append(f"{where}: {why}")


@dataclass
class ReadingLog:
    """What is found out while a source is read; give one to `read_documents` and look at it afterwards.

    Attributes
    ----------
    skipped : SkippedRows
        Rows that were left out; none where malformed rows are refused.
    n_bytes : int
        Bytes of unpacked text read so far.
    n_missing : int
        Documents whose text is only a marker of a missing value.
    markers : list of str
        The first markers of these documents, each once, as they are written.
    notices : list of str
        What the user should know about how the source was read, one line each, in order.
    """

    skipped: SkippedRows = field(default_factory=SkippedRows)
    n_bytes: int = 0
    n_missing: int = 0
    markers: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def notice(self, line: str) -> None:
        """Note a line for the user once, however often it is noted."""
        if line not in self.notices:
            self.notices.append(line)

    def missing(self, marker: str) -> None:
        """Count a document whose text is only a marker of a missing value."""
        self.n_missing += 1
        if len(self.markers) < _MAX_MARKERS and marker not in self.markers:
            self.markers.append(marker)


@dataclass(frozen=True)
class Columns:
    """The columns that a document is made of.

    Attributes
    ----------
    text : str
        Column of the text, or of its first part.
    id : str, optional
        Column of the ids; where it is None, one that is called ``id`` if there is one.
    more : tuple of str
        Columns of the further parts of the text.
    kept : tuple of str
        Other columns that the user has named.
    """

    text: str = "text"
    id: str | None = None
    more: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Column of the ids, there or not."""
        return "id" if self.id is None else self.id

    @property
    def texts(self) -> tuple[str, ...]:
        """All columns of the text, in order."""
        return (self.text, *self.more)

    def are_in(self, names: Iterable[str]) -> bool:
        """Whether the columns of the text and of the id, if one was named, are among these."""
        return all(text in names for text in self.texts) and (self.id is None or self.id in names)

    def renaming(self, names: Iterable[str]) -> dict[str, str]:
        """The names that differ from those asked for by blanks or by the coding of accents alone, with the latter."""
        wanted = [name for name in (*self.texts, self.key, *self.kept) if name not in names]
        if not wanted:
            return {}
        found: dict[str, list[str]] = {}
        for name in names:
            found.setdefault(folded(name), []).append(name)
        alike = {name: found.get(folded(name), []) for name in wanted if folded(name)}
        return {given[0]: name for name, given in alike.items() if len(given) == 1 and given[0] not in self.texts}


@dataclass(frozen=True)
class ReadingOptions:
    """How a source is read into documents; what a format has no use for is ignored.

    Attributes
    ----------
    text_column : str or sequence of str
        Column that holds the text, or columns whose texts are joined by newlines; a whole number is the place of a
        column in a CSV or TSV, from 1, with a header line or without. Nested keys of JSON are parted by dots. Formats
        without columns ignore it, and `id_column` too.
    id_column : str, optional
        Column that holds the ids; by default ``id`` where there is one, else documents are numbered from 1.
    encoding : str
        Any text encoding Python knows. A byte order mark at the start of a file is dropped; where the encoding is
        UTF-8, a mark of UTF-16 or UTF-32 is followed.
    file_format : str, optional
        One of `FORMATS` of `topicnet.text.readers.read`, whatever the ending; by default the ending decides.
    skip_bad_rows : bool
        Leave malformed rows out and record them instead of refusing them. A file that is missing, cut off or without
        the columns is refused nevertheless.
    sheet : str or int, optional
        Sheet of a workbook, by name or by number from 1; by default the first that has the text column.
    query : str, optional
        SELECT statement whose rows are read from a database.
    table : str, optional
        Table of a database; not needed where it has one only.
    delimiter, quote, escape : str, optional
        Characters of a CSV or TSV, or their names: ``tab``, ``pipe``, ...; `quote` may be ``none``. By default the
        delimiter is detected in a CSV, fields are quoted by ``"``, and nothing escapes a quote but another.
    skip_rows : int, optional
        Lines of a CSV or TSV, or rows of a sheet, to pass over at its beginning.
    header_row : int, optional
        Line of a CSV or TSV, or row of a sheet, that holds the names of the columns, from 1; 0 where there is none.
    kept : tuple of str
        Columns the user has named besides the text and the id.
    missing : tuple of str
        Markers of a missing value, as `missing_markers` resolves them. A cell that holds only a marker is empty; a file
        that is one document is never taken for a marker.
    unit : {"line", "paragraph", "file"}, optional
        The document of a ``.txt`` file; by default a line of a single file, and a file of several.
    max_document_size : int
        Most characters of a document, and of a line of a table; a longer one is refused before it fills the memory.
    """

    text_column: str | Sequence[str] = "text"
    id_column: str | None = None
    encoding: str = "utf-8"
    file_format: str | None = None
    skip_bad_rows: bool = False
    sheet: str | int | None = None
    query: str | None = None
    table: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    escape: str | None = None
    skip_rows: int | None = None
    header_row: int | None = None
    kept: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unit: str | None = None
    max_document_size: int = MAX_DOCUMENT_SIZE

    def __post_init__(self) -> None:
        text_columns(self.text_column)
        if self.file_format in ("json", "ndjson"):  # endings, which are one format
            object.__setattr__(self, "file_format", "jsonl")
        if self.skip_rows and self.header_row is not None:
            raise InputError(
                f"--skip-rows {self.skip_rows} and --header-row {self.header_row} given, expected one of them: the"
                " lines before the header are passed over either way"
            )
        used = [one for one in self.characters if one is not None]
        if len(set(used)) < len(used):
            twice = next(shown(one) for one in used if used.count(one) > 1)
            raise InputError(
                f"{twice!r} given for two of --delimiter, --quote and --escape, expected different characters"
            )

    @property
    def columns(self) -> Columns:
        """The columns that hold the text and the id."""
        first, *more = text_columns(self.text_column)
        return Columns(first, self.id_column, tuple(more), self.kept)

    @property
    def characters(self) -> tuple[str | None, str | None, str | None]:
        """Delimiter, quote and escape character; None for a delimiter to detect, and for no quote or escape."""
        quote = '"' if self.quote is None else self.quote
        return (
            _character("delimiter", self.delimiter),
            None if quote.lower() in ("none", "") else _character("quote", quote),
            _character("escape", self.escape),
        )


def text_columns(given: str | Sequence[str]) -> tuple[str, ...]:
    """Columns of the text as a tuple, however they were given.

    Raises
    ------
    InputError
        No column was given, or one of them twice.
    """
    names = (given,) if isinstance(given, str) else tuple(given)
    if not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"text_column={given!r} given, expected the name of a column, or several names")
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise InputError(f"the text column {twice!r} was given twice: name each column once")
    return names


def with_joined_texts(rows: Iterable[Row], more: Sequence[str]) -> Iterator[Row]:
    """Join the texts of further columns to the first, by newlines; parts that are missing are left out."""
    for key, text, others in rows:
        parts = [text, *(others.pop(name, None) for name in more)]
        yield key, "\n".join(str(part) for part in parts if part not in (None, "")), others


def _character(option: str, given: str | None) -> str | None:
    if given is None:
        return None
    found = _CHARACTERS.get(given.lower(), given)
    if len(found) != 1 or found in "\r\n\0":
        none = " or none" if option == "quote" else ""
        raise InputError(
            f"--{option} {given!r} given, expected one character (tab, pipe, comma, semicolon, space and backslash may"
            f" be written as words){none}. Name one"
        )
    return found


@lru_cache(4096)
def folded(name: str) -> str:
    """A column's name without what cannot be seen: composed accents, single blanks, none around it."""
    return " ".join(unicodedata.normalize("NFC", name).translate(_UNSEEN).split())


def no_column(where: str, names: Iterable[str], columns: Columns, remedy: str = "") -> CorpusError:
    """Say which column is missing where, and what columns there are."""
    names = list(names)
    missing = next((text for text in columns.texts if text not in names), None)
    column, option = (missing, "--text-column") if missing is not None else (columns.key, "--id-column")
    more = f", ... ({len(names)} in all)" if len(names) > _MAX_LISTED else ""
    listed = ", ".join(_listed(number, name) for number, name in enumerate(names[:_MAX_LISTED], 1)) or "none"
    alike = next((name for name in names if folded(name).casefold() == folded(str(column)).casefold()), None)
    named = f"Name one with {option}" + ("" if alike is None else f", such as {alike!r}")
    return CorpusError(f"no column {column!r} in {where}; it has: {listed}{more}. {remedy or named}")


def too_long(where: str, most: int) -> CorpusError:
    """The error about a document or line that is longer than allowed."""
    return CorpusError(
        f"{shown(where)} has more than {most:,} characters, the most a document may have. Check that it is text, or"
        " raise --max-document-size"
    )


def two_columns(where: str, name: str) -> CorpusError:
    """Say that a column that was asked for is there twice."""
    return CorpusError(f"{where} has two columns {name!r}, expected different names. Rename one")


def _listed(number: int, name: str) -> str:
    """A column's name, whole, so that it can be typed; in place of a whole text (no header) its number too."""
    if len(name) > _MOST_CHARACTERS:
        return f"{shown(name[: _MOST_CHARACTERS - 1])}… (column {number})"
    return shown(name) if name == name.strip() and name else repr(name)


def shown(name: str) -> str:
    """Escape what is not printable: a message is one line whatever a file is called."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
