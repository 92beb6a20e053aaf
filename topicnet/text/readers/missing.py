"""Missing-value markers, such as NA, NULL and \\N, recognised and replaced by empty cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from topicnet.errors import InputError
from topicnet.text.readers.documents import ReadingLog, Row, Value

# As written by R, pandas, SQL dumps, Excel (including its errors), SAS, Stata and people, in any case. "none" is not
# included because it can be an answer ("Anything else?") or a label; pandas writes None as an empty cell.
MISSING = (
    "na", "n/a", "n.a.", "#n/a", "#na", "<na>", "nan", "-nan", "nat", "null", "<null>", "(null)", "\\n",
    "-", "--", "–", "—", ".", "[null]", "(blank)",
    "#name?", "#ref!", "#value!", "#div/0!", "#null!", "#num!", "#nv", "#n/d",
)  # fmt: skip
NONE = "none"  # as the first of the user's markers: do not use those above
_ZERO_WIDTH = "\u200b\ufeff"  # zero-width characters that exports leave around cells


def missing_markers(given: str | Iterable[str] | None = None) -> tuple[str, ...]:
    """Return the missing-value markers to use, case-folded and sorted, given those of the user.

    Parameters
    ----------
    given : str or iterable of str, optional
        Markers to use in addition to `MISSING`; a string is split at commas. If the first is "none", `MISSING` is not
        used; an empty string or list means that there are no markers at all.

    Raises
    ------
    InputError
        A marker is not a string.

    Examples
    --------
    >>> missing_markers("none, NA, Unknown"), missing_markers("")
    (('na', 'unknown'), ())
    """
    if given is None:
        return tuple(sorted(MISSING))
    listed = given.split(",") if isinstance(given, str) else list(given)
    for marker in listed:
        if not isinstance(marker, str):
            raise InputError(f"{marker!r} given as a marker of a missing value, expected text, such as 'NA'")
    more = [marker.strip().casefold() for marker in listed if marker.strip()]
    if not more:
        return ()
    return tuple(sorted(set(more[1:] if more[0] == NONE else (*MISSING, *more))))


@dataclass
class MissingValues:
    """Replacement of cells that hold only a missing-value marker by empty ones, with a count of the texts among them.

    Parameters
    ----------
    markers : iterable of str
        As returned by `missing_markers`.
    log : ReadingLog, optional
        Counts the missing texts.
    more : sequence of str
        Columns of further parts of the text. A text is counted as missing if its parts hold nothing but markers.

    Examples
    --------
    >>> missing = MissingValues(missing_markers())
    >>> missing.text("N/A"), missing.cells({"year": "1999", "label": "NULL"})
    ('', {'year': '1999', 'label': None})
    """

    markers: Iterable[str]
    log: ReadingLog = field(default_factory=ReadingLog)
    more: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.markers = frozenset(self.markers)
        self._longest = max(map(len, self.markers), default=-1)

    def has(self, cell: str) -> bool:
        """Return whether a cell is a marker, ignoring case and surrounding white space."""
        bare = cell.strip()
        if len(bare) > self._longest:
            return False
        if bare.isascii():
            return bare.casefold() in self.markers
        return bare.casefold() in self.markers or bare.strip(_ZERO_WIDTH).casefold() in self.markers

    def text(self, text: str) -> str:
        """Return the text, or "" if it is a marker, which is counted."""
        if not self.has(text):
            return text
        self.log.missing(text.strip())
        return ""

    def _first_part(self, text: str, metadata: dict[str, Value]) -> str:
        """Return the first part of a text, or "" if it is a marker; count a text made up only of markers."""
        cells = [str(cell).strip() for cell in (text, *map(metadata.get, self.more)) if cell is not None]
        filled = [cell for cell in cells if cell]
        if filled and all(map(self.has, filled)):
            self.log.missing(filled[0])
        return "" if self.has(text) else text

    def cells(self, metadata: dict[str, Value]) -> dict[str, Value]:
        """Return the metadata of a row, with None in place of markers."""
        for name, cell in metadata.items():
            if type(cell) is str and self.has(cell):
                metadata = metadata | {name: None}
        return metadata

    def rows(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows with the markers in text, id and metadata emptied."""
        longest = self._longest  # few cells are as short; comparing lengths here is cheaper than a call
        for key, text, metadata in rows:
            if len(text.strip()) <= longest:
                text = self._first_part(text, metadata) if self.more else self.text(text)
            if len(key.strip()) <= longest and self.has(key):
                key = ""
            for cell in metadata.values():
                if type(cell) is str and len(cell.strip()) <= longest and self.has(cell):
                    metadata = self.cells(metadata)
                    break
            yield key, text, metadata
