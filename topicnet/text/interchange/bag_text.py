"""Parsers of the text formats of word counts, LDA-C and Matrix Market.

Numpy parses blocks of whole lines, so memory holds the counts and one block of text. A block that it cannot parse is
read line by line to find the malformed line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix

from topicnet.errors import CorpusError
from topicnet.runtime.warnings import ignored
from topicnet.text.interchange.bag_files import (
    MAX_COUNT,
    CheckShape,
    Handle,
    canonical,
    canonical_from_coo,
    check_rows,
    opened,
)

Whole = NDArray[np.int64]

_BLOCK_BYTES = 1 << 22
_HEADER_BYTES = 1 << 16
_BOM = b"\xef\xbb\xbf"
_RUN, _GAP = "[0-9.eE+-]++", "[ \t\r]"  # characters that numbers consist of; white space
_LDAC_LINES = re.compile(rf"(?:{_GAP}*+(?:{_RUN}(?:{_GAP}++{_RUN}:{_RUN})*+)?+{_GAP}*+\n)*+".encode())
_MM_LINES = re.compile(rf"(?:{_GAP}*+(?:{_RUN}{_GAP}++{_RUN}{_GAP}++{_RUN})?+{_GAP}*+\n)*+".encode())
_BLANK_LINE = re.compile(rb"\n[ \t\r]*+(?=\n)")
_REAL = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_BANNER = re.compile(r"%%MatrixMarket\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s*", re.IGNORECASE)
_MM_FIELDS = ("integer", "unsigned-integer", "real", "double")


def read_ldac(path: Path, n_words: int) -> csr_matrix:
    """Read an LDA-C file, with one document per line: the number of pairs, then the pairs `id:count`.

    A blank line, like "0", is an empty document. Repeated words in a line are summed.

    Parameters
    ----------
    path : Path
    n_words : int
        Size V of the vocabulary.

    Returns
    -------
    csr_matrix
        (D, V) int32.

    Raises
    ------
    CorpusError
        A line is malformed, an id is not below `n_words`, or a count is negative, not an integer or above 2**31 - 1.
    """
    grown = [bytearray() for _ in range(3)]  # int32 values; joining a list of arrays would need twice the memory
    line = 1
    with opened(path) as handle:
        for block in _blocks(handle):
            block = block.removeprefix(_BOM) if line == 1 else block
            pairs = _ldac_block(block, n_words) or _ldac_lines(block, n_words, path, line)
            for kept, part in zip(grown, pairs, strict=True):
                kept += part.astype(np.int32).data
            line += len(pairs[2])
    ids, counts, lengths = (np.frombuffer(kept, np.int32) for kept in grown)
    indptr = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    return canonical(csr_matrix((counts, ids, indptr), shape=(len(lengths), n_words)), path)


def read_matrix_market(path: Path, check_shape: CheckShape) -> csr_matrix:
    """Read a Matrix Market coordinate file with documents as rows and words as columns.

    Parameters
    ----------
    path : Path
    check_shape : callable
        Takes the numbers of rows and columns; raises CorpusError if they are wrong.

    Returns
    -------
    csr_matrix
        (D, V) int32.

    Raises
    ------
    CorpusError
        The file or matrix is of another kind; a position is outside the matrix; a count is negative, not an integer
        or above 2**31 - 1; the number of entries differs from the header; or `check_shape` raised.
    """
    grown = [bytearray() for _ in range(3)]  # int32 values; joining a list of arrays would need twice the memory
    with opened(path) as handle:
        (n_rows, n_columns, n_entries), line = _mm_header(handle, path)
        check_shape(n_rows, n_columns)
        check_rows(path, n_rows, n_entries)
        found = 0
        for block in _blocks(handle):
            entries = _mm_block(block, n_rows, n_columns)
            if entries is None:
                entries = _mm_lines(block, n_rows, n_columns, path, line)
            found += len(entries)
            if found > n_entries:
                break
            for kept, part in zip(grown, entries.T, strict=True):
                kept += part.astype(np.int32).data
            line += block.count(b"\n")
    if found != n_entries:
        number = f"more than {n_entries}" if found > n_entries else f"{found}"
        raise CorpusError(
            f"{str(path)!r} has {number} entries, expected the {n_entries} of its header: it is truncated or damaged."
            " Fetch or write it again"
        )
    check_rows(path, n_rows, found)
    rows, columns, counts = (np.frombuffer(kept, np.int32) for kept in grown)
    rows -= 1  # the file counts from 1
    columns -= 1
    return canonical_from_coo(coo_matrix((counts, (rows, columns)), shape=(n_rows, n_columns)), path)


def _blocks(handle: Handle) -> Iterator[bytes]:
    """Yield the rest of a file in blocks of whole lines, adding a newline to the last line if it has none."""
    pending: list[bytes] = []
    while data := handle.read(_BLOCK_BYTES):
        end = data.rfind(b"\n") + 1
        if end:
            yield b"".join((*pending, data[:end]))
            pending.clear()
        pending.append(data[end:])
    if last := b"".join(pending):
        yield last + b"\n"


def _whole_numbers(text: bytes, n: int) -> Whole | None:
    """Parse n integers; None if there are not exactly n, or one is not an integer from 0 to MAX_COUNT."""
    if n == 0:
        return np.zeros(0, dtype=np.int64)
    plain = not text.translate(None, b"0123456789 \t\r\n")
    try:
        with ignored(DeprecationWarning):  # at text that is not a number, older numpy warns and stops
            values = np.fromstring(text, dtype=np.int64 if plain else np.float64, sep=" ")
    except ValueError:
        return None
    if len(values) != n or values.min() < 0 or values.max() > MAX_COUNT:
        return None
    whole: Whole = values.astype(np.int64, copy=False)
    return whole if plain or (whole == values).all() else None


def _ldac_block(block: bytes, n_words: int) -> tuple[Whole, Whole, Whole] | None:
    """Parse a block into ids, counts and the number of pairs on each line; None if it is malformed."""
    if not _LDAC_LINES.fullmatch(block):
        return None
    lines = block.split(b"\n")[:-1]
    lengths = np.array([line.count(b":") for line in lines], dtype=np.int64)
    on_line = lengths[[bool(line.strip()) for line in lines]]
    ends = np.cumsum(1 + 2 * on_line)
    values = _whole_numbers(block.replace(b":", b" "), int(ends[-1]) if len(ends) else 0)
    heads = ends - 1 - 2 * on_line
    if values is None or (values[heads] != on_line).any():
        return None
    ids, counts = np.delete(values, heads).reshape(-1, 2).T
    return (ids, counts, lengths) if (ids < n_words).all() else None


def _ldac_lines(block: bytes, n_words: int, path: Path, begin: int) -> tuple[Whole, Whole, Whole]:
    """Parse a block like `_ldac_block`, but line by line, to report the malformed line."""
    ids: list[int] = []
    counts: list[int] = []
    lengths: list[int] = []
    for number, line in enumerate(block.split(b"\n")[:-1], begin):
        head, *pairs = line.split() or [b"0"]
        where = f"line {number} of {str(path)!r}"
        n_pairs = _number(head, where, "the number of pairs first, then pairs ID:COUNT")
        if n_pairs != len(pairs):
            raise CorpusError(
                f"{where} states {n_pairs} pairs and has {len(pairs)}, expected the same number. Write it again"
            )
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
            counts.append(_number(count, where, f"a count that is a whole number up to {MAX_COUNT}"))
        lengths.append(len(pairs))
    return np.array(ids, np.int64), np.array(counts, np.int64), np.array(lengths, np.int64)


def _number(token: bytes, where: str, expected: str) -> int:
    value = float(token) if _REAL.fullmatch(token) else -1.0
    if not 0 <= value <= MAX_COUNT or not value.is_integer():
        raise CorpusError(f"{where} has {_shown(token)}, expected {expected}. Write it again")
    return int(value)


def _shown(token: bytes) -> str:
    text = token.decode("utf-8", "replace")
    return repr(text if len(text) <= 40 else text[:40] + "...")


def _mm_header(handle: Handle, path: Path) -> tuple[tuple[int, int, int], int]:
    """Read the header: the numbers of rows, columns and entries, and the number of the line after it."""
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
            " Save the counts in this form"
        )
    number = 1
    while line := handle.readline(_HEADER_BYTES):
        number += 1
        if line.strip() and not line.lstrip().startswith(b"%"):
            sizes = [int(token) if re.fullmatch(rb"\d{1,18}", token) else -1 for token in line.split()]
            if len(sizes) == 3 and min(sizes) >= 0 and max(sizes[:2]) > MAX_COUNT:
                raise CorpusError(
                    f"line {number} of {str(path)!r} states {sizes[0]:,} rows and {sizes[1]:,} columns, expected up to"
                    f" {MAX_COUNT:,} of each: correct the numbers and save it again"
                )
            if len(sizes) != 3 or min(sizes) < 0:
                raise CorpusError(
                    f"line {number} of {str(path)!r} has {_shown(line.strip())}, expected the numbers of rows, columns"
                    " and entries. Write it again"
                )
            return (sizes[0], sizes[1], sizes[2]), number + 1
    raise CorpusError(
        f"{str(path)!r} ends within its header, expected the numbers of rows, columns and entries. Write it again"
    )


def _mm_block(block: bytes, n_rows: int, n_columns: int) -> Whole | None:
    """Parse a block into (N, 3) rows, columns and counts, indices from 1; None if it is malformed."""
    if not _MM_LINES.fullmatch(block):
        return None
    n_entries = block.count(b"\n") - len(_BLANK_LINE.findall(b"\n" + block))
    values = _whole_numbers(block, 3 * n_entries)
    if values is None:
        return None
    entries = values.reshape(-1, 3)
    places = entries[:, :2]
    return entries if ((places >= 1) & (places <= (n_rows, n_columns))).all() else None


def _mm_lines(block: bytes, n_rows: int, n_columns: int, path: Path, begin: int) -> Whole:
    """Parse a block like `_mm_block`, but line by line, to report the malformed line."""
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
                    f"{where} has row {row} and column {column}, expected positions from 1 to {n_rows} and {n_columns},"
                    " as in its header. Write it again"
                )
            entries.append(
                (row, column, _number(tokens[2], where, f"a count that is a whole number up to {MAX_COUNT}"))
            )
    return np.array(entries, dtype=np.int64).reshape(-1, 3)
