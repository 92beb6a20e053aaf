"""The counts of LDA-C and Matrix Market files.

They stream: blocks of whole lines are parsed by numpy, so that memory holds the counts and one
block of text. A block that numpy cannot take as a whole is read line by line, which finds the line at fault.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from topicnet.errors import CorpusError
from topicnet.text.interchange.bag_files import MOST, CheckShape, Handle, canonical, canonical_of_places, opened

Whole = NDArray[np.int64]

_BLOCK_BYTES = 1 << 22
_HEADER_BYTES = 1 << 16
_BOM = b"\xef\xbb\xbf"
_SPACE, _NEWLINE, _COLON, _NUMBER, _OTHER = range(5)
_KINDS = np.full(256, _OTHER, dtype=np.uint8)
for _kind, _bytes in ((_SPACE, b" \t\r"), (_NEWLINE, b"\n"), (_COLON, b":"), (_NUMBER, b"0123456789.eE+-")):
    _KINDS[list(_bytes)] = _kind
_REAL = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_BANNER = re.compile(r"%%MatrixMarket\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s*", re.IGNORECASE)
_MM_FIELDS = ("integer", "unsigned-integer", "real", "double")


def read_ldac(path: Path, n_words: int) -> csr_matrix:
    """Counts (D, V) of an LDA-C file: on line d, the number of pairs and then the pairs `id:count` of document d.

    A blank line, like one of "0", is an empty document. A word that stands twice in a line is counted together.

    Raises
    ------
    CorpusError
        A line that is something else, an id of `n_words` or above, a count that is negative, no whole number or
        above 2**31 - 1.
    """
    ids, counts, lengths = _Growing(), _Growing(), _Growing()
    line = 1
    with opened(path) as handle:
        for block in _blocks(handle):
            block = block.removeprefix(_BOM) if line == 1 else block
            pairs = _ldac_block(block, n_words) or _ldac_lines(block, n_words, path, line)
            for kept, part in zip((ids, counts, lengths), pairs, strict=True):
                kept.append(part)
            line += len(pairs[2])
    indptr = np.concatenate([[0], np.cumsum(lengths.whole(), dtype=np.int64)])
    return canonical(counts.whole(), ids.whole(), indptr, (len(indptr) - 1, n_words), path)


def read_matrix_market(path: Path, check_shape: CheckShape) -> csr_matrix:
    """Counts (D, V) of a Matrix Market coordinate file, documents by words; the header says how many of each.

    Raises
    ------
    CorpusError
        Another kind of file or of matrix, a place outside the matrix, a count that is negative, no whole number or
        above 2**31 - 1, another number of entries than the header says; whatever `check_shape` refuses.
    """
    rows, columns, counts = _Growing(), _Growing(), _Growing()
    with opened(path) as handle:
        (n_rows, n_columns, n_entries), line = _mm_header(handle, path)
        check_shape(n_rows, n_columns)
        found = 0
        for block in _blocks(handle):
            entries = _mm_block(block, n_rows, n_columns)
            if entries is None:
                entries = _mm_lines(block, n_rows, n_columns, path, line)
            found += len(entries)
            if found > n_entries:
                break
            for kept, part in zip((rows, columns, counts), entries.T, strict=True):
                kept.append(part)
            line += block.count(b"\n")
    if found != n_entries:
        number = f"more than {n_entries}" if found > n_entries else f"{found}"
        raise CorpusError(
            f"{str(path)!r} has {number} entries, expected the {n_entries} of its header: it is cut off or damaged."
            " Fetch or write it again"
        )
    places = (rows.whole(), columns.whole())
    for place in places:
        place -= 1  # from 1 in the file
    return canonical_of_places(counts.whole(), places, (n_rows, n_columns), path)


class _Growing:
    """An array that grows in place: pieces in a list would be held twice when they are joined."""

    def __init__(self) -> None:
        self._room = np.zeros(0, dtype=np.int32)
        self._length = 0

    def append(self, part: Whole) -> None:
        needed = self._length + len(part)
        if needed > len(self._room):
            self._room.resize(needed + needed // 4, refcheck=False)
        self._room[self._length : needed] = part
        self._length = needed

    def whole(self) -> NDArray[np.int32]:
        """The array; nothing can be appended any more."""
        self._room.resize(self._length, refcheck=False)
        return self._room


def _blocks(handle: Handle) -> Iterator[bytes]:
    """The rest of a file in blocks of whole lines; the last line ends in a newline too."""
    pending: list[bytes] = []
    while data := handle.read(_BLOCK_BYTES):
        end = data.rfind(b"\n") + 1
        if end:
            yield b"".join((*pending, data[:end]))
            pending.clear()
        pending.append(data[end:])
    if last := b"".join(pending):
        yield last + b"\n"


@dataclass(frozen=True)
class _Tokens:
    """The numbers of a block: their values, the line each stands on, and whether a colon stands beside it."""

    values: Whole
    line: NDArray[np.int64]
    before_colon: NDArray[np.bool_]
    after_colon: NDArray[np.bool_]
    n_lines: int
    n_colons: int


def _tokens(block: bytes) -> _Tokens | None:
    """Take a block apart; None where it holds anything but whole numbers from 0 to MOST, colons and white space."""
    kinds = _KINDS[np.frombuffer(b"\n" + block, dtype=np.uint8)]
    if kinds.max() == _OTHER:
        return None
    part = kinds == _NUMBER
    edges = np.flatnonzero(part[1:] != part[:-1]) + 1
    begins, ends = edges[::2], edges[1::2]
    values = _whole_numbers(block.replace(b":", b" "), len(begins))
    if values is None:
        return None
    newlines = np.cumsum(kinds == _NEWLINE, dtype=np.int32)
    return _Tokens(
        values=values,
        line=newlines[begins].astype(np.int64) - 1,
        before_colon=kinds[ends] == _COLON,
        after_colon=kinds[begins - 1] == _COLON,
        n_lines=int(newlines[-1]) - 1,
        n_colons=int((kinds == _COLON).sum()),
    )


def _whole_numbers(text: bytes, n: int) -> Whole | None:
    """The n numbers of a text, or None where they are not n, not whole or not within 0 and MOST."""
    if n == 0:
        return np.zeros(0, dtype=np.int64)
    plain = not text.translate(None, b"0123456789 \t\r\n")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what older numpy says of text that is no number
            values = np.fromstring(text, dtype=np.int64 if plain else np.float64, sep=" ")
    except (ValueError, DeprecationWarning):
        return None
    if len(values) != n or values.min() < 0 or values.max() > MOST:
        return None
    whole: Whole = values.astype(np.int64, copy=False)
    return whole if plain or (whole == values).all() else None


def _ldac_block(block: bytes, n_words: int) -> tuple[Whole, Whole, Whole] | None:
    """Ids and counts of a block's pairs, end to end, and the number of pairs on each line; None where it is faulty."""
    tokens = _tokens(block)
    if tokens is None:
        return None
    is_id, is_count = tokens.before_colon, tokens.after_colon
    first = np.diff(tokens.line, prepend=-1) != 0
    between = tokens.n_colons == is_id.sum() == is_count.sum()  # every colon has a number on either side
    if not between or (is_id & is_count).any() or (first != ~(is_id | is_count)).any():
        return None
    lengths = np.bincount(tokens.line[is_id], minlength=tokens.n_lines)
    ids = tokens.values[is_id]
    if (lengths[tokens.line[first]] != tokens.values[first]).any() or (ids.size and ids.max() >= n_words):
        return None
    return ids, tokens.values[is_count], lengths


def _ldac_lines(block: bytes, n_words: int, path: Path, begin: int) -> tuple[Whole, Whole, Whole]:
    """What `_ldac_block` gives, line by line: it finds the line at fault."""
    ids: list[int] = []
    counts: list[int] = []
    lengths: list[int] = []
    for number, line in enumerate(block.split(b"\n")[:-1], begin):
        head, *pairs = line.split() or [b"0"]
        where = f"line {number} of {str(path)!r}"
        n_pairs = _number(head, where, "the number of pairs first, then pairs ID:COUNT")
        if n_pairs != len(pairs):
            raise CorpusError(f"{where} says {n_pairs} pairs and has {len(pairs)}: expected as many. Write it again")
        for pair in pairs:
            word, colon, count = pair.partition(b":")
            if not colon:
                raise CorpusError(f"{where} has {_shown(pair)}, expected a pair ID:COUNT. Write it again")
            ids.append(_number(word, where, "a word id from 0"))
            if ids[-1] >= n_words:
                raise CorpusError(
                    f"{where} has the word id {ids[-1]}, expected ids below the {n_words} words of the vocabulary:"
                    " name the right one with --vocabulary"
                )
            counts.append(_number(count, where, f"a count that is a whole number up to {MOST}"))
        lengths.append(len(pairs))
    return np.array(ids, np.int64), np.array(counts, np.int64), np.array(lengths, np.int64)


def _number(token: bytes, where: str, expected: str) -> int:
    value = float(token) if _REAL.fullmatch(token) else -1.0
    if not 0 <= value <= MOST or not value.is_integer():
        raise CorpusError(f"{where} has {_shown(token)}, expected {expected}. Write it again")
    return int(value)


def _shown(token: bytes) -> str:
    text = token.decode("utf-8", "replace")
    return repr(text if len(text) <= 40 else text[:40] + "...")


def _mm_header(handle: Handle, path: Path) -> tuple[tuple[int, int, int], int]:
    """Rows, columns and entries as a Matrix Market header gives them, and the number of the line after it."""
    first = handle.readline(_HEADER_BYTES).removeprefix(_BOM).decode("latin-1")
    banner = _BANNER.fullmatch(first)
    if banner is None:
        raise CorpusError(
            f"{str(path)!r} does not begin with a line %%MatrixMarket matrix coordinate integer general,"
            " expected a Matrix Market file. Check the file and --format"
        )
    thing, form, field, symmetry = (name.lower() for name in banner.groups())
    if (thing, form, symmetry) != ("matrix", "coordinate", "general") or field not in _MM_FIELDS:
        given = " ".join((thing, form, field, symmetry))
        raise CorpusError(
            f"{str(path)!r} holds {given!r}, expected 'matrix coordinate integer general' (or real)."
            " Save the counts as such"
        )
    number = 1
    while line := handle.readline(_HEADER_BYTES):
        number += 1
        if line.strip() and not line.lstrip().startswith(b"%"):
            sizes = [int(token) if re.fullmatch(rb"\d{1,18}", token) else -1 for token in line.split()]
            if len(sizes) != 3 or min(sizes) < 0 or max(sizes[:2]) > MOST:
                raise CorpusError(
                    f"line {number} of {str(path)!r} has {_shown(line.strip())}, expected the numbers of rows, columns"
                    " and entries. Write it again"
                )
            return (sizes[0], sizes[1], sizes[2]), number + 1
    raise CorpusError(f"{str(path)!r} ends within its header, expected the numbers of rows, columns and entries")


def _mm_block(block: bytes, n_rows: int, n_columns: int) -> Whole | None:
    """The (N, 3) row, column and count of a block's entries, from 1; None where it is faulty."""
    tokens = _tokens(block)
    if tokens is None or tokens.n_colons or len(tokens.values) % 3:
        return None
    lines = tokens.line.reshape(-1, 3)
    new = np.diff(lines[:, 0], prepend=-1) != 0
    entries = tokens.values.reshape(-1, 3)
    inside = (entries[:, :2] >= 1).all() and (entries[:, 0] <= n_rows).all() and (entries[:, 1] <= n_columns).all()
    return entries if inside and new.all() and (lines[:, 0] == lines[:, 2]).all() else None


def _mm_lines(block: bytes, n_rows: int, n_columns: int, path: Path, begin: int) -> Whole:
    """What `_mm_block` gives, line by line: it finds the line at fault."""
    entries: list[tuple[int, int, int]] = []
    for number, line in enumerate(block.split(b"\n")[:-1], begin):
        tokens = line.split()
        where = f"line {number} of {str(path)!r}"
        if tokens and len(tokens) != 3:
            raise CorpusError(f"{where} has {_shown(line.strip())}, expected row, column and count. Write it again")
        if tokens:
            row = _number(tokens[0], where, f"a row from 1 to {n_rows}")
            column = _number(tokens[1], where, f"a column from 1 to {n_columns}")
            if not (1 <= row <= n_rows and 1 <= column <= n_columns):
                raise CorpusError(
                    f"{where} has row {row} and column {column}, expected places from 1 to {n_rows} and {n_columns},"
                    " as its header says. Write it again"
                )
            entries.append((row, column, _number(tokens[2], where, f"a count that is a whole number up to {MOST}")))
    return np.array(entries, dtype=np.int64).reshape(-1, 3)
