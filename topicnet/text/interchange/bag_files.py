"""Helpers for bag-of-words files: opening, vocabularies, checks of counts, and reading SciPy NPZ without pickle."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csc_matrix, csr_matrix

from topicnet.errors import CorpusError, InputError
from topicnet.storage.npz import open_npz
from topicnet.text.readers.open_text import check_encoding, reading

CheckShape = Callable[[int, int], None]  # takes the numbers of rows and columns, before the counts are read
Handle = IO[bytes] | gzip.GzipFile

FORMAT_BYTES = 10_000  # maximum size of the entries "format" and "shape" of an NPZ
MAX_COUNT = 2**31 - 1  # counts and ids are int32
PLAUSIBLE_ROWS, ROWS_FOR_EACH_ENTRY = 1_000_000, 20
_SLICE = 1 << 20  # numbers of an NPZ checked at a time
_FORMS: dict[str, Callable[..., Any]] = {"csr": csr_matrix, "csc": csc_matrix, "coo": coo_matrix}
_ENTRY = re.compile(r"(\d{1,18})\t(.*)\t\d+", re.ASCII)  # line of a gensim Dictionary saved as text


def check_rows(path: Path, n_rows: int, n_entries: int) -> None:
    """Raise CorpusError if a matrix has far more rows than entries, because then its header must be wrong.

    Every row takes memory even if it is empty, and a header of a few bytes can state billions of rows.
    """
    if n_rows > PLAUSIBLE_ROWS and n_rows > ROWS_FOR_EACH_ENTRY * n_entries:
        raise CorpusError(
            f"{str(path)!r} states {n_rows:,} rows and has {n_entries:,} entries, expected most documents to have"
            " words: correct the number of rows and save it again"
        )


@contextmanager
def opened(path: Path) -> Iterator[Handle]:
    """Open a file for reading, decompressed if it ends in .gz.

    Raises
    ------
    CorpusError
        The file cannot be opened, or reading it within the ``with`` block fails.
    """
    packed = path.name.lower().endswith(".gz")
    with reading(repr(str(path))), gzip.open(path, "rb") if packed else path.open("rb") as handle:
        yield handle


def find_vocabulary(source: Path) -> Path:
    """Find the vocabulary file next to a bag-of-words file.

    Raises
    ------
    CorpusError
        There is no file with one of the usual names.
    """
    plain = source.name[:-3] if source.name.lower().endswith(".gz") else source.name
    stem = Path(plain).stem
    names = [f"{stem}.vocab", f"{plain}.vocab", f"{stem}.vocab.txt", f"{plain}.id2word", f"{stem}.id2word"]
    names += [f"{plain}.vocab.gz", "vocab.txt", "vocabulary.txt"]
    for name in names:
        if (source.parent / name).is_file():
            return source.parent / name
    raise CorpusError(
        f"no vocabulary next to {str(source)!r}, expected {', '.join(map(repr, names))}: name one with --vocabulary"
        " (one word per line, in the order of the ids)"
    )


def read_vocabulary(path: Path, encoding: str) -> list[str]:
    """Read a vocabulary: one word per line, the first with id 0, or a gensim Dictionary saved as text.

    Parameters
    ----------
    path : Path
    encoding : str

    Returns
    -------
    list of str
        (V,) words.

    Raises
    ------
    CorpusError
        A blank or duplicate word, ids with a gap, or bytes that cannot be decoded.
    """
    lines = _text(path, encoding).split("\n")
    lines = [line.removesuffix("\r") for line in lines[: -1 if lines[-1] == "" else None]]
    skipped = 1 if len(lines) > 1 and lines[0].strip().isdecimal() and _ENTRY.fullmatch(lines[1]) else 0
    if not lines:
        raise CorpusError(f"{str(path)!r} is empty, expected one word per line: name another with --vocabulary")
    if _ENTRY.fullmatch(lines[skipped]):
        return _words_of_dictionary(lines[skipped:], path, skipped + 1)
    words = [line.strip() for line in lines]
    _check_words(words, path, 1)
    return words


def _words_of_dictionary(lines: list[str], path: Path, begin: int) -> list[str]:
    words: dict[int, str] = {}
    for number, line in enumerate(lines, begin):
        entry = _ENTRY.fullmatch(line)
        if entry is None or int(entry[1]) in words:
            given = "no entry" if entry is None else f"the id {entry[1]} again"
            raise CorpusError(
                f"line {number} of {str(path)!r} has {given}, expected a unique id, a word and a number with tabs"
                " between, as Dictionary.save_as_text writes them: save it again"
            )
        words[int(entry[1])] = entry[2]
    _check_words(list(words.values()), path, begin)
    gap = next((i for i in range(len(words)) if i not in words), None)
    if gap is not None:
        raise CorpusError(
            f"{str(path)!r} has {len(words)} words and none with the id {gap}, expected ids without gaps: call"
            " compactify() on the Dictionary, count with it and save both again"
        )
    return [words[i] for i in range(len(words))]


def _check_words(words: list[str], path: Path, begin: int) -> None:
    lines: dict[str, int] = {}
    for number, word in enumerate(words, begin):
        if not word.strip():
            raise CorpusError(f"line {number} of {str(path)!r} is blank, expected a word on every line: fix it")
        if word in lines:
            raise CorpusError(
                f"line {number} of {str(path)!r} has {word!r} like line {lines[word]}, expected each word once: fix it"
            )
        lines[word] = number


def _text(path: Path, encoding: str) -> str:
    check_encoding(encoding)
    with opened(path) as handle:
        content = handle.read()
    try:
        text = content.decode(encoding)
    except UnicodeError as error:
        begin = error.start if isinstance(error, UnicodeDecodeError) else 0
        line = content.count(b"\n", 0, begin) + 1
        raise CorpusError(
            f"line {line} of {str(path)!r} is not text in {encoding!r}, expected one word per line. Name the encoding"
            " with --encoding; a gensim Dictionary must be saved with save_as_text"
        ) from error
    if "\0" in text:
        raise CorpusError(
            f"{str(path)!r} looks like a binary file, expected one word per line. Name another --vocabulary"
        )
    return text.removeprefix("\ufeff")


def read_npz(path: Path, check_shape: CheckShape) -> csr_matrix:
    """Read counts saved by `scipy.sparse.save_npz` in csr, csc or coo format.

    Parameters
    ----------
    path : Path
    check_shape : callable
        Takes the numbers of rows and columns; raises CorpusError if they are wrong.

    Returns
    -------
    csr_matrix
        (D, V) int32; columns sorted, without duplicates and zeros.

    Raises
    ------
    CorpusError
        The file is of another kind, contains pickles or is damaged; a count is negative, not an integer or above
        2**31 - 1; or `check_shape` raised.
    """
    form, shape, data, places = _npz_parts(path)
    if data.ndim != 1 or shape.shape != (2,) or shape.min() < 0:
        raise _damaged(path, f"its shape is {shape.tolist()}, its data have {data.ndim} dimensions")
    if shape.max() > MAX_COUNT:
        raise _damaged(path, f"its shape is {shape.tolist()}, of up to {MAX_COUNT:,} rows and columns")
    n_rows, n_columns = shape.tolist()
    check_shape(n_rows, n_columns)
    check_rows(path, n_rows, len(data))
    counts, wrong = _whole_counts(data)
    try:
        parts = (counts, places) if form == "coo" else (counts, *places)
        matrix = _FORMS[form](parts, shape=(n_rows, n_columns))
        if form != "coo":
            matrix.check_format()
            if matrix.nnz != len(data) or (np.diff(matrix.indptr) < 0).any():
                raise ValueError("its parts do not agree")
    except ValueError as error:
        raise _damaged(path, str(error)) from error
    if wrong is not None:
        place = matrix.tocoo(copy=False)
        raise CorpusError(
            f"{str(path)!r} has {data[wrong].item()!r} in row {place.row[wrong]}, column {place.col[wrong]} (from 0),"
            f" expected counts that are whole numbers from 0 to {MAX_COUNT}. Give counts, not weights"
        )
    return canonical_from_coo(matrix, path) if form == "coo" else canonical(matrix.tocsr(), path)


def _npz_parts(path: Path) -> tuple[str, NDArray[Any], NDArray[Any], tuple[NDArray[Any], ...]]:
    """Read the format, shape and data of a matrix, and its index arrays."""
    try:
        with opened(path) as handle, open_npz(path, handle) as archive:
            names = archive.names
            if not {"format", "shape", "data"} <= set(names):
                listed = ", ".join(map(repr, names[:5])) or "nothing"
                raise CorpusError(
                    f"{str(path)!r} holds {listed}, expected a sparse matrix of counts. Save one with"
                    " scipy.sparse.save_npz"
                )
            if archive.size("format") > FORMAT_BYTES or archive.size("shape") > FORMAT_BYTES:
                raise InputError("the format or the shape is too large")
            form = archive.read("format", "SU").astype(str).item()
            if form not in _FORMS:
                raise CorpusError(
                    f"{str(path)!r} holds a matrix in {form!r} format, expected csr, csc or coo. Save it as csr"
                )
            if form == "coo" and "coords" in names:
                places = tuple(archive.read("coords", "iu"))
            else:
                kinds = ("row", "col") if form == "coo" else ("indices", "indptr")
                places = tuple(archive.read(name, "iu") for name in kinds)
            return form, archive.read("shape", "iu"), archive.read("data"), places
    except CorpusError:
        raise
    except MemoryError as error:
        raise _damaged(path, "it states a size that does not fit in memory") from error
    except InputError as error:
        reason = "it is not an archive of arrays, or contains pickles, which are never loaded"
        raise _damaged(path, reason) from error


def _damaged(path: Path, reason: str) -> CorpusError:
    return CorpusError(
        f"{str(path)!r} is not readable ({reason}), expected a sparse matrix of counts."
        " Save it again with scipy.sparse.save_npz"
    )


def _whole_counts(data: NDArray[Any]) -> tuple[NDArray[np.int32], int | None]:
    """Convert data to int32 counts, and return them with the position of the first invalid value, or None."""
    counts = np.empty(len(data), dtype=np.int32)
    for begin in range(0, len(data), _SLICE):
        part = data[begin : begin + _SLICE]
        part = part.astype(np.float64) if part.dtype.kind == "f" else part  # float64 represents MAX_COUNT exactly
        fine = (part >= 0) & (part <= MAX_COUNT)
        if part.dtype.kind == "f":
            fine &= np.floor(part) == part
        if not fine.all():
            return counts, begin + int(np.argmin(fine))
        counts[begin : begin + _SLICE] = part
    return counts, None


def canonical_from_coo(matrix: coo_matrix, path: Path) -> csr_matrix:
    """Convert coordinates to CSR with sorted columns, duplicates summed and zeros removed."""
    rows = matrix.row
    if (rows[1:] >= rows[:-1]).all():  # the usual order of a file, which needs no copy
        starts = np.searchsorted(rows, np.arange(matrix.shape[0], dtype=np.int32))
        parts = (matrix.data, matrix.col, np.append(starts, len(rows)))
        return canonical(csr_matrix(parts, shape=matrix.shape), path)
    matrix.has_canonical_format = True  # keeps tocsr from summing duplicates, which may overflow 32 bits
    return canonical(matrix.tocsr(), path)


def canonical(matrix: csr_matrix, path: Path) -> csr_matrix:
    """Sort the columns of each row, sum duplicates and remove zeros."""
    matrix.sort_indices()
    if not matrix.has_canonical_format:
        matrix = csr_matrix((matrix.data.astype(np.int64), matrix.indices, matrix.indptr), shape=matrix.shape)
        matrix.sum_duplicates()
        if matrix.data.max() > MAX_COUNT:
            raise CorpusError(
                f"{str(path)!r} has counts that add up to more than {MAX_COUNT} for one word of a document: fix it"
            )
        matrix.data = matrix.data.astype(np.int32)
    matrix.eliminate_zeros()
    return matrix
