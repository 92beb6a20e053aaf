"""What every reader takes and yields: columns, rows, batches of documents, and the rows that were left out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from topicnet.errors import CorpusError

Value = str | int | float | bool | None
Row = tuple[str, str, dict[str, Value]]  # id ("" where the source has none), text, metadata

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_MOST_CHARACTERS = 40  # of a column's name
MAX_DOCUMENT_SIZE = 256_000_000  # characters
_MAX_LISTED = 20  # columns, or skipped rows, named one by one


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
    """

    ids: list[str]
    texts: list[str]
    metadata: list[dict[str, Value]]
    n_bytes: int = 0


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
    notices : list of str
        What the user should know about how the source was read, one line each, in order.
    """

    skipped: SkippedRows = field(default_factory=SkippedRows)
    n_bytes: int = 0
    n_missing: int = 0
    notices: list[str] = field(default_factory=list)

    def notice(self, line: str) -> None:
        """Note a line for the user once, however often it is noted."""
        if line not in self.notices:
            self.notices.append(line)


@dataclass(frozen=True)
class Columns:
    """The columns that hold the text and the id; where `id` is None, one that is called ``id`` if there is one."""

    text: str = "text"
    id: str | None = None

    @property
    def key(self) -> str:
        """Column of the ids, there or not."""
        return "id" if self.id is None else self.id

    def are_in(self, names: Iterable[str]) -> bool:
        """Whether the columns that were asked for are among these."""
        return self.text in names and (self.id is None or self.id in names)


@dataclass(frozen=True)
class ReadingOptions:
    """How a source is read into documents; what a format has no use for is ignored.

    Attributes
    ----------
    text_column : str
        Column that holds the text; a whole number is the place of the column in a CSV or TSV without a header
        line, from 1. Formats without columns ignore it, and `id_column` too.
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
    unit : {"line", "paragraph", "file"}, optional
        The document of a ``.txt`` file; by default a line of a single file, and a file of several.
    max_document_size : int
        Most characters of a document, and of a line of a table; a longer one is refused before it fills the memory.
    """

    text_column: str = "text"
    id_column: str | None = None
    encoding: str = "utf-8"
    file_format: str | None = None
    skip_bad_rows: bool = False
    unit: str | None = None
    max_document_size: int = MAX_DOCUMENT_SIZE

    @property
    def columns(self) -> Columns:
        """The columns that hold the text and the id."""
        return Columns(self.text_column, self.id_column)


def no_column(where: str, names: Iterable[str], columns: Columns) -> CorpusError:
    """Say which column is missing where, and what columns there are."""
    listed = [shown(name) for name in names]
    no_text = columns.text not in names
    column, option = (columns.text, "--text-column") if no_text else (columns.id, "--id-column")
    more = f", ... ({len(listed)} in all)" if len(listed) > _MAX_LISTED else ""
    first = ", ".join(_short(name) for name in listed[:_MAX_LISTED]) or "none"
    return CorpusError(f"no column {column!r} in {where}; it has: {first}{more}. Name one with {option}")


def too_long(where: str, most: int) -> CorpusError:
    """The error about a document or line that is longer than allowed."""
    return CorpusError(
        f"{shown(where)} has more than {most:,} characters, the most a document may have. Check that it is text, or"
        " raise --max-document-size"
    )


def _short(name: str) -> str:
    """A column's name; of a row that is no header, a cell may be a whole text."""
    return name if len(name) <= _MOST_CHARACTERS else name[: _MOST_CHARACTERS - 1] + "…"


def shown(name: str) -> str:
    """Escape what is not printable: a message is one line whatever a file is called."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
