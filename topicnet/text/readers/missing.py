"""Markers of a missing value: cells such as NA, NULL and \\N, which other tools write where there is nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from topicnet.errors import InputError
from topicnet.text.readers.documents import ReadingLog, Row, Value

# R, pandas, SQL dumps, Excel (its errors too), SAS and Stata, and what people type; in any case. The word "none" is not
# among them: it is an answer ("Anything else?") and a label. pandas writes None as an empty cell.
MISSING = (
    "na", "n/a", "n.a.", "#n/a", "#na", "<na>", "nan", "-nan", "nat", "null", "<null>", "(null)", "\\n",
    "-", "--", "–", "—", ".", "[null]", "(blank)",
    "#name?", "#ref!", "#value!", "#div/0!", "#null!", "#num!", "#nv", "#n/d",
)  # fmt: skip
NONE = "none"  # before other markers, or alone: without those above
_UNSEEN = "\u200b\ufeff"  # characters of no width that exports leave around cells


def missing_markers(given: str | Iterable[str] | None = None) -> tuple[str, ...]:
    """Resolve the markers of a missing value, folded to one case and sorted.

    Parameters
    ----------
    given : str or iterable of str, optional
        Markers in addition to `MISSING`; a string has them with commas between. Where the first is "none", those of
        `MISSING` are left out; an empty string or list means no marker at all.

    Raises
    ------
    InputError
        Something that is not a string.
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
    """Empties the cells that hold only a marker of a missing value, and counts the texts among them.

    Parameters
    ----------
    markers : iterable of str
        As `missing_markers` gives them.
    log : ReadingLog, optional
        Where texts are counted.
    more : sequence of str
        Columns of further parts of the text: one is counted where no part holds anything else.
    """

    markers: Iterable[str]
    log: ReadingLog = field(default_factory=ReadingLog)
    more: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.markers = frozenset(self.markers)
        self._longest = max(map(len, self.markers), default=-1)

    def has(self, cell: str) -> bool:
        """Return whether a cell is a marker, blanks around it and case aside."""
        bare = cell.strip()
        if len(bare) > self._longest:
            return False
        if bare.isascii():
            return bare.casefold() in self.markers
        return bare.casefold() in self.markers or bare.strip(_UNSEEN).casefold() in self.markers

    def text(self, text: str) -> str:
        """Return a text, or the empty text for a marker, which is counted."""
        if not self.has(text):
            return text
        self.log.missing(text.strip())
        return ""

    def _first_part(self, text: str, metadata: dict[str, Value]) -> str:
        """Return the first part of a text, emptied if it is a marker; one of nothing but markers is counted."""
        cells = [str(cell).strip() for cell in (text, *map(metadata.get, self.more)) if cell is not None]
        filled = [cell for cell in cells if cell]
        if filled and all(map(self.has, filled)):
            self.log.missing(filled[0])
        return "" if self.has(text) else text

    def cells(self, metadata: dict[str, Value]) -> dict[str, Value]:
        """Return the other cells of a row with None for each marker."""
        for name, cell in metadata.items():
            if type(cell) is str and self.has(cell):
                metadata = metadata | {name: None}
        return metadata

    def rows(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the same rows with markers emptied: in the text, the id and the other cells."""
        longest = self._longest  # nearly no cell is as short: looked at here, as a call costs more than the look
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
