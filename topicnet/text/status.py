"""Document status: whether any words of a document were counted, and if not, why.

Words are counted if they are in the vocabulary, unless their document is too short or is dropped as a duplicate.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

OK, EMPTY, OOV, SHORT, DUPLICATE = "ok", "empty", "oov", "short", "duplicate"
STATUSES = (OK, EMPTY, OOV, SHORT, DUPLICATE)
IN_WORDS = {
    EMPTY: "empty",
    OOV: "with no known word",
    SHORT: "below --min-tokens",
    DUPLICATE: "left out as duplicates",
}


def status_in_words(status: NDArray[np.str_]) -> str:
    """Describe how many documents have no counted words, by reason: " (3 empty, 2 with no known word)", or ""."""
    found = [f"{n:,} {words}" for name, words in IN_WORDS.items() if (n := int((status == name).sum()))]
    return f" ({', '.join(found)})" if found else ""


class RepeatedTexts:
    """Detector of texts that repeat an earlier one, by one 64-bit hash per document.

    Parameters
    ----------
    drop : bool
        Drop the repeats; otherwise they are only counted.
    """

    def __init__(self, drop: bool) -> None:
        self.drop = drop
        self._seen: set[int] = set()
        self._hashes: list[NDArray[np.uint64]] = []
        self._filled: list[NDArray[np.bool_]] = []
        self._dropped: list[NDArray[np.bool_]] = []

    def add(self, hashes: NDArray[np.uint64], blank: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Add a batch of texts and return which of them are dropped; a blank text is never a repeat."""
        self._hashes.append(hashes)
        self._filled.append(~blank)
        dropped = np.zeros(len(hashes), dtype=bool)
        if self.drop:
            for row in np.flatnonzero(~blank):
                known = len(self._seen)
                self._seen.add(int(hashes[row]))
                dropped[row] = len(self._seen) == known
        self._dropped.append(dropped)
        return dropped

    def dropped(self) -> NDArray[np.bool_]:
        """Return which documents were dropped, (D,)."""
        return np.concatenate([np.zeros(0, dtype=bool), *self._dropped])

    def described(self) -> dict[str, Any]:
        """Describe the documents that repeat an earlier one, dropped or not, as JSON values; {} if there are none.

        ``{"duplicates": {"count": 5, "example": [3, 1]}}`` means that five documents are repeats, and that the first
        of them, document 3, repeats document 1.
        """
        rows = np.flatnonzero(np.concatenate([np.zeros(0, dtype=bool), *self._filled]))
        if len(rows) == 0:
            return {}
        hashes = np.concatenate(self._hashes)[rows]
        again = ~pl.Series(hashes).is_first_distinct().to_numpy()
        if not again.any():
            return {}
        later = int(again.argmax())
        earlier = int((hashes == hashes[later]).argmax())
        example = [int(rows[later]) + 1, int(rows[earlier]) + 1]
        return {"duplicates": {"count": int(again.sum()), "example": example}}


def status_of(
    lengths: NDArray[np.integer],
    blank: NDArray[np.bool_],
    short: NDArray[np.bool_],
    duplicate: NDArray[np.bool_],
) -> NDArray[np.str_]:
    """Return the status of each document from its number of counted tokens and three flags, all (D,)."""
    return np.select([blank, duplicate, short, lengths == 0], [EMPTY, DUPLICATE, SHORT, OOV], OK)


def free_row_ids(ids: pl.Series, numbered: NDArray[np.bool_]) -> pl.Series:
    """Rename the row numbers that serve as ids wherever another document has the same id: "7" becomes "row 7".

    Parameters
    ----------
    ids : polars Series of str, length D
    numbered : ndarray of shape (D,), bool
        Which ids are row numbers, used where the source gives no id.
    """
    if numbered.all() or not numbered.any():
        return ids
    given = ids.filter(~numbered).implode()
    renamed = ids
    prefix = "row "
    while (taken := pl.Series(numbered) & renamed.is_in(given)).any():
        renamed = renamed.zip_with(~taken, prefix + ids)
        prefix = f"_{prefix}"
    return renamed
