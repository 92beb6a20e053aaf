"""Status of documents: which have counted words, and why the others have none."""

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
    """Describe how many documents have no counted words and why: " (3 empty, 2 with no known word)", or nothing."""
    found = [f"{n:,} {words}" for name, words in IN_WORDS.items() if (n := int((status == name).sum()))]
    return f" ({', '.join(found)})" if found else ""


class RepeatedTexts:
    """Finds texts that repeat an earlier one by their 64-bit hashes, of which it holds one for each document.

    Parameters
    ----------
    drop : bool
        Decide batch by batch which documents are left out.
    """

    def __init__(self, drop: bool) -> None:
        self.drop = drop
        self._seen: set[int] = set()
        self._hashes: list[NDArray[np.uint64]] = []
        self._filled: list[NDArray[np.bool_]] = []
        self._dropped: list[NDArray[np.bool_]] = []

    def add(self, hashes: NDArray[np.uint64], blank: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Add a batch of texts and return which of them are left out; blank texts repeat nothing."""
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
        """Documents that were left out, (D,)."""
        return np.concatenate([np.zeros(0, dtype=bool), *self._dropped])

    def described(self) -> dict[str, Any]:
        """Describe the documents that repeat an earlier one, left out or not, as JSON values; empty without any.

        ``{"duplicates": {"count": 5, "example": [3, 1]}}``: the third document is the first of five, and repeats the
        first.
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
    """Status of documents with these numbers of counted tokens, (D,)."""
    return np.select([blank, duplicate, short, lengths == 0], [EMPTY, DUPLICATE, SHORT, OOV], OK)


def free_row_ids(ids: pl.Series, numbered: NDArray[np.bool_]) -> pl.Series:
    """Return ids in which no row number, given where the source has no id, is another document's own id.

    Parameters
    ----------
    ids : polars Series of str
        (D,)
    numbered : ndarray of bool
        (D,) which ids are row numbers. One that another document has as its id becomes "row 7".
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
