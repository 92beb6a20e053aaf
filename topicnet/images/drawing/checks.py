"""Checks of the arrays and names that galleries and charts are drawn from."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from topicnet.errors import InputError

Array = NDArray[np.float64]

MOST_PIXELS = {"gallery": 64_000_000, "chart": 8_000_000}


def checked_numbers(values: NDArray[Any], what: str, n_dims: int) -> Array:
    """Return finite numbers as float64, or raise InputError."""
    array = np.asarray(values)
    if array.dtype.kind not in "buif" or array.ndim != n_dims or array.size == 0:
        raise InputError(
            f"{what}: given an array of {array.dtype} of shape {array.shape}; expected numbers in "
            f"{n_dims} dimension{'s' if n_dims > 1 else ''}, at least one"
        )
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        where = tuple(int(i[0]) for i in np.nonzero(~np.isfinite(array)))
        raise InputError(f"{what}: the value at {where} is {array[where]}; expected finite numbers: leave it out")
    return array


def matching_names(names: Sequence[str], n: int, what: str, of: str) -> list[str]:
    """Return one name for each of n things, or raise InputError."""
    if len(names) != n:
        raise InputError(f"{len(names)} {what} were given for {n} {of}; expected as many of each")
    return [plain(name) for name in names]


def ascii_line(text: str) -> str:
    """Convert a text to one line of ASCII: accents are dropped, other letters become escape codes."""
    letters = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    line = " ".join(letters.encode("ascii", "backslashreplace").decode().split())
    return "".join(c if c.isprintable() else "?" for c in line)


def plain(text: str) -> str:
    """Convert a name to one line of ASCII, with the middle of a very long one left out."""
    line = ascii_line(text)
    return line if len(line) <= 60 else f"{line[:40].rstrip()} ... {line[-15:].lstrip()}"


def refuse_huge(width: int, height: int, kind: str) -> None:
    """Raise InputError for a picture with more pixels than the limit."""
    if width * height > MOST_PIXELS[kind]:
        raise InputError(
            f"the picture would have {width} x {height} pixels; expected at most {MOST_PIXELS[kind]} in all: show less"
        )
