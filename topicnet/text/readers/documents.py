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
class Reading:
    """How far the reading of a source is.

    Attributes
    ----------
    n_bytes : int
        Of unpacked text, so far.
    """

    n_bytes: int = 0


@dataclass
class SkippedRows:
    """Malformed rows that were left out; give one to `read_documents` to have them skipped instead of refused.

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


def no_column(where: str, names: Iterable[str], columns: Columns) -> CorpusError:
    """Say which column is missing where, and what columns there are."""
    listed = [shown(name) for name in names]
    no_text = columns.text not in names
    column, option = (columns.text, "--text-column") if no_text else (columns.id, "--id-column")
    more = f", ... ({len(listed)} in all)" if len(listed) > _MAX_LISTED else ""
    first = ", ".join(_short(name) for name in listed[:_MAX_LISTED]) or "none"
    return CorpusError(f"no column {column!r} in {where}; it has: {first}{more}. Name one with {option}")


def _short(name: str) -> str:
    """A column's name; of a row that is no header, a cell may be a whole text."""
    return name if len(name) <= _MOST_CHARACTERS else name[: _MOST_CHARACTERS - 1] + "…"


def shown(name: str) -> str:
    """Escape what is not printable: a message is one line whatever a file is called."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
