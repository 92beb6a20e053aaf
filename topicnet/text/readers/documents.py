"""Types shared by all readers: reading options, columns, rows, batches of documents and the log of skipped rows."""

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
_MAX_CHARACTERS = 300  # of a column name in a message; survey exports use whole questions as names
_MAX_MARKERS = 3  # missing-value markers shown in the notice that counts them
MAX_DOCUMENT_SIZE = 256_000_000  # characters
_MAX_LISTED = 20  # columns, or skipped rows, listed individually
_ZERO_WIDTH = str.maketrans("", "", "\ufeff\u200b")  # zero-width characters that exports leave around names
_CHARACTERS = {
    "tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " ", "backslash": "\\",
}  # fmt: skip


@dataclass(frozen=True)
class Documents:
    """A batch of documents in input order; `ids`, `texts` and `metadata` have equal length.

    Attributes
    ----------
    ids : list of str
        Values of the id column, or else the document's number in the whole source, counted from 1.
    texts : list of str
        The unchanged texts; an empty document is ``""``.
    metadata : list of dict
        Scalar values of the other columns; ``{}`` if the source has none.
    n_bytes : int
        Approximate number of uncompressed bytes read from the source up to the end of this batch; 0 if not counted.
    numbered : sequence of int
        Positions in this batch, from 0, of the documents that have no id in the source and are numbered instead.

    Examples
    --------
    >>> batch = Documents(["1", "2"], ["a first text", ""], [{"year": 1999}, {"year": 2001}])
    >>> len(batch.texts), batch.metadata[0]["year"]
    (2, 1999)
    """

    ids: list[str]
    texts: list[str]
    metadata: list[dict[str, Value]]
    n_bytes: int = 0
    numbered: Sequence[int] = field(default=(), compare=False)


@dataclass
class SkippedRows:
    """Malformed rows that were skipped.

    Attributes
    ----------
    count : int
        Number of skipped rows.
    listed : list of str
        Location and fault of each of the first 20.

    Examples
    --------
    >>> skipped = SkippedRows()
    >>> skipped.add("line 7 of a.csv", "2 field(s), expected 3")
    >>> skipped.count, skipped.listed
    (1, ['line 7 of a.csv: 2 field(s), expected 3'])
    """

    count: int = 0
    listed: list[str] = field(default_factory=list)

    def add(self, where: str, why: str) -> None:
        """Count a row, and list it if it is among the first 20.

        Parameters
        ----------
        where : str
            Location of the row, such as "line 7 of a.csv".
        why : str
            The fault.
        """
        self.count += 1
        if len(self.listed) < _MAX_LISTED:
            self.listed.append(f"{where}: {why}")


@dataclass
class ReadingLog:
    """Log of a reading: skipped rows, missing texts and notices, filled by `read_documents`.

    Attributes
    ----------
    skipped : SkippedRows
        Malformed rows that were skipped; empty unless `ReadingOptions.skip_bad_rows` is set.
    n_bytes : int
        Uncompressed bytes read so far.
    n_missing : int
        Number of documents whose text is only a missing-value marker.
    markers : list of str
        The first three distinct markers of these documents, as written.
    notices : list of str
        Notices to the user about how the source was read, one line each, in order.

    Examples
    --------
    >>> log = ReadingLog()
    >>> log.notice("a.txt has no extension: read as text")
    >>> log.notices, log.skipped.count
    (['a.txt has no extension: read as text'], 0)
    """

    skipped: SkippedRows = field(default_factory=SkippedRows)
    n_bytes: int = 0
    n_missing: int = 0
    markers: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def notice(self, line: str) -> None:
        """Add a notice to the user; repeated lines are added once."""
        if line not in self.notices:
            self.notices.append(line)

    def missing(self, marker: str) -> None:
        """Count a document whose text is only a missing-value marker."""
        self.n_missing += 1
        if len(self.markers) < _MAX_MARKERS and marker not in self.markers:
            self.markers.append(marker)


@dataclass(frozen=True)
class Columns:
    """The columns that hold the text and the id of a document.

    Attributes
    ----------
    text : str
        Column of the text, or of its first part.
    id : str, optional
        Column of the ids; None for the column ``id``, if there is one.
    more : tuple of str
        Columns of the further parts of the text.
    kept : tuple of str
        Metadata columns requested by the user.

    Examples
    --------
    >>> columns = Columns("title", more=("abstract",))
    >>> columns.texts, columns.key, columns.are_in(["id", "title"])
    (('title', 'abstract'), 'id', False)
    """

    text: str = "text"
    id: str | None = None
    more: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Column of the ids; the source need not have it."""
        return "id" if self.id is None else self.id

    @property
    def texts(self) -> tuple[str, ...]:
        """All columns of the text, in order."""
        return (self.text, *self.more)

    def are_in(self, names: Iterable[str]) -> bool:
        """Return whether `names` include all text columns, and the id column if one was requested."""
        return all(text in names for text in self.texts) and (self.id is None or self.id in names)

    def renaming(self, names: Iterable[str]) -> dict[str, str]:
        """Map names that match a requested column, apart from white space and Unicode normalisation, to that column."""
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
    """Options for reading a source into documents; a format ignores the options it does not use.

    Attributes
    ----------
    text_column : str or sequence of str
        Column that holds the text, or several columns, whose texts are joined by newlines. In a CSV or TSV, with or
        without a header line, a whole number is the position of the column, from 1. Separate nested JSON keys by
        dots. Formats without columns ignore `text_column` and `id_column`.
    id_column : str, optional
        Column that holds the ids. Default: ``id`` if there is one, else documents are numbered from 1.
    encoding : str
        Any text encoding that Python supports. A byte order mark at the start of a file is dropped. If the encoding is
        UTF-8, a byte order mark of UTF-16 or UTF-32 takes precedence.
    file_format : str, optional
        One of `FORMATS` of `topicnet.text.readers.read`. Default: detected from the file name's extension.
    skip_bad_rows : bool
        Skip and record malformed rows instead of raising an error. A file that is missing, truncated or without the
        columns still raises.
    sheet : str or int, optional
        Sheet of a workbook, by name or by number from 1. Default: the first sheet with the text column.
    query : str, optional
        SELECT statement that returns the rows to read from a database.
    table : str, optional
        Table of a database; needed only if it has several.
    delimiter : str, optional
        Character between the fields of a CSV or TSV, or its name: ``tab``, ``pipe``, ... Default: detected in a CSV.
    quote : str, optional
        Character around quoted fields, or ``none``. Default: ``"``.
    escape : str, optional
        Character that escapes a quote. Default: a quote is escaped by doubling it.
    skip_rows : int, optional
        Number of lines of a CSV or TSV, or rows of a sheet, to skip at the beginning.
    header_row : int, optional
        Line of a CSV or TSV, or row of a sheet, that holds the column names, from 1; 0 for a table without a header.
    kept : tuple of str
        Metadata columns requested by the user.
    missing : tuple of str
        Missing-value markers, as `missing_markers` returns them. A cell that holds only a marker is read as empty; a
        file that is one document is never treated as a marker.
    unit : {"line", "paragraph", "file"}, optional
        The part of a ``.txt`` file that is one document. Default: a line of a single file, the file if there are
        several.
    max_document_size : int
        Maximum number of characters in a document, or in a line of a table. Longer ones raise an error before they
        fill the memory.

    Raises
    ------
    InputError
        Options that exclude each other, a text column given twice, or a delimiter, quote or escape that is not one
        character.

    Examples
    --------
    >>> options = ReadingOptions(text_column=["title", "abstract"], delimiter="tab")
    >>> options.columns.texts, options.characters
    (('title', 'abstract'), ('\\t', '"', None))
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
        if self.file_format in ("json", "ndjson"):  # two more names for the format
            object.__setattr__(self, "file_format", "jsonl")
        if self.skip_rows and self.header_row is not None:
            raise InputError(
                f"--skip-rows {self.skip_rows} and --header-row {self.header_row} given, expected one of them: the"
                " lines before the header are skipped either way"
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
        """Delimiter, quote and escape character; None means a delimiter to detect, no quotes, or no escapes."""
        quote = '"' if self.quote is None else self.quote
        return (
            _character("delimiter", self.delimiter),
            None if quote.lower() in ("none", "") else _character("quote", quote),
            _character("escape", self.escape),
        )


def text_columns(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return the text columns as a tuple, given one name or several.

    Parameters
    ----------
    given : str or sequence of str

    Raises
    ------
    InputError
        No column was given, or the same column twice.

    Examples
    --------
    >>> text_columns("body"), text_columns(["title", "abstract"])
    (('body',), ('title', 'abstract'))
    """
    names = (given,) if isinstance(given, str) else tuple(given)
    if not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"text_column={given!r} given, expected the name of a column, or several names")
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise InputError(f"the text column {twice!r} was given twice: name each column once")
    return names


def with_joined_texts(rows: Iterable[Row], more: Sequence[str]) -> Iterator[Row]:
    """Append the texts of further columns to the first, separated by newlines, skipping missing parts.

    Examples
    --------
    >>> list(with_joined_texts([("1", "a title", {"abstract": "a text", "year": 1999})], more=["abstract"]))
    [('1', 'a title\\na text', {'year': 1999})]
    """
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
    """Normalise a column name for comparison: NFC, single spaces, no zero-width or surrounding white space.

    Examples
    --------
    >>> folded(" publication   year ")
    'publication year'
    """
    return " ".join(unicodedata.normalize("NFC", name).translate(_ZERO_WIDTH).split())


def no_column(where: str, names: Iterable[str], columns: Columns, remedy: str = "") -> CorpusError:
    """Build the error about a missing column, which lists the columns there are."""
    names = list(names)
    missing = next((text for text in columns.texts if text not in names), None)
    column, option = (missing, "--text-column") if missing is not None else (columns.key, "--id-column")
    more = f", ... ({len(names)} in all)" if len(names) > _MAX_LISTED else ""
    listed = ", ".join(_listed(number, name) for number, name in enumerate(names[:_MAX_LISTED], 1)) or "none"
    alike = next((name for name in names if folded(name).casefold() == folded(str(column)).casefold()), None)
    named = f"Name one with {option}" + ("" if alike is None else f", such as {alike!r}")
    return CorpusError(f"no column {column!r} in {where}; it has: {listed}{more}. {remedy or named}")


def too_long(where: str, most: int) -> CorpusError:
    """Build the error about a document or line that is longer than allowed."""
    return CorpusError(
        f"{shown(where)} has more than {most:,} characters, the most a document may have. Check that it is text, or"
        " raise --max-document-size"
    )


def two_columns(where: str, name: str) -> CorpusError:
    """Build the error about two columns of the same, requested name."""
    return CorpusError(f"{where} has two columns {name!r}, expected different names. Rename one")


def _listed(number: int, name: str) -> str:
    """Format a column name for a message in full, so that it can be copied.

    A very long one is likely a text of a table without a header: it is shortened and its number added.
    """
    if len(name) > _MAX_CHARACTERS:
        return f"{shown(name[: _MAX_CHARACTERS - 1])}… (column {number})"
    return shown(name) if name == name.strip() and name else repr(name)


def shown(name: str) -> str:
    """Escape unprintable characters, so that a message stays on one line.

    Examples
    --------
    >>> print(shown("a\\nb.txt"))
    a\\nb.txt
    """
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
