"""What bag-of-words files of every kind share: opening, vocabularies, sound counts; and SciPy's NPZ, without pickle."""

from __future__ import annotations

import gzip
import math
import re
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csc_matrix, csr_matrix

from topicnet.errors import CorpusError
from topicnet.runtime.memory import available_memory

CheckShape = Callable[[int, int], None]  # of rows and columns, before the counts are read
Handle = IO[bytes] | gzip.GzipFile

MOST = 2**31 - 1  # counts, and ids, are int32
_SLICE = 1 << 20  # numbers of an NPZ looked at together
_ENTRY = re.compile(r"(\d{1,18})\t(.*)\t\d+", re.ASCII)  # of a gensim Dictionary saved as text: id, word, documents


@contextmanager
def opened(path: Path) -> Iterator[Handle]:
    """Open a file to read, unpacked where it ends in .gz.

    Raises
    ------
    CorpusError
        It cannot be opened or read, in the block too.
    """
    try:
        with gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb") as handle:
            yield handle
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise CorpusError(
            f"{str(path)!r} is a damaged or cut-off gzip file, expected a whole one. Fetch or compress it again"
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise CorpusError(f"cannot read {str(path)!r}: {reason}. Check the path and its permissions") from error


@dataclass(frozen=True)
class Vocabulary:
    """The words of a bag-of-words file, and where they were read.

    Attributes
    ----------
    path : Path
    words : list of str
        (V,) in the order of their ids.
    """

    path: Path
    words: list[str]

    def check_shape(self, source: Path, n_rows: int, n_columns: int) -> None:
        """Raise CorpusError unless a matrix has a column for each word."""
        n_words = len(self.words)
        if n_columns == n_words:
            return
        given = f"{str(source)!r} has {n_rows} rows and {n_columns} columns, and {str(self.path)!r} {n_words} words"
        if n_rows == n_words:
            raise CorpusError(
                f"{given}: it looks transposed, expected documents as rows and words as columns. Turn it and save it"
            )
        raise CorpusError(f"{given}: expected a column for each word. Name the right vocabulary with --vocabulary")


def find_vocabulary(source: Path) -> Path:
    """The vocabulary that lies beside a bag-of-words file.

    Raises
    ------
    CorpusError
        None of the usual names is there.
    """
    plain = source.name[:-3] if source.name.lower().endswith(".gz") else source.name
    stem = Path(plain).stem
    names = [f"{stem}.vocab", f"{plain}.vocab", f"{stem}.vocab.txt", f"{plain}.id2word", f"{stem}.id2word"]
    names += [f"{plain}.vocab.gz", "vocab.txt", "vocabulary.txt"]
    for name in names:
        if (source.parent / name).is_file():
            return source.parent / name
    raise CorpusError(
        f"no vocabulary beside {str(source)!r}, expected {', '.join(map(repr, names))}: name one with --vocabulary"
        " (a word a line, in the order of the ids)"
    )


def read_vocabulary(path: Path, encoding: str = "utf-8") -> Vocabulary:
    """Read a word a line, the first having id 0, or a gensim Dictionary saved as text.

    Raises
    ------
    CorpusError
        A blank word, a word that stands twice, ids with a gap, bytes that are no text in this encoding.
    """
    lines = _text(path, encoding).split("\n")
    lines = [line.removesuffix("\r") for line in lines[: -1 if lines[-1] == "" else None]]
    skipped = 1 if len(lines) > 1 and lines[0].strip().isdecimal() and _ENTRY.fullmatch(lines[1]) else 0
    if not lines:
        raise CorpusError(f"{str(path)!r} is empty, expected a word a line: name another with --vocabulary")
    if _ENTRY.fullmatch(lines[skipped]):
        return Vocabulary(path, _words_of_dictionary(lines[skipped:], path, skipped + 1))
    words = [line.strip() for line in lines]
    _check_words(words, path, 1)
    return Vocabulary(path, words)


def _words_of_dictionary(lines: list[str], path: Path, begin: int) -> list[str]:
    words: dict[int, str] = {}
    for number, line in enumerate(lines, begin):
        entry = _ENTRY.fullmatch(line)
        if entry is None or int(entry[1]) in words:
            given = "no entry" if entry is None else f"the id {entry[1]} again"
            raise CorpusError(
                f"line {number} of {str(path)!r} has {given}, expected an id of its own, a word and a number with tabs"
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
            raise CorpusError(f"line {number} of {str(path)!r} is blank, expected a word on every line: mend it")
        if word in lines:
            raise CorpusError(
                f"line {number} of {str(path)!r} has {word!r}, as line {lines[word]} has, expected each once: mend it"
            )
        lines[word] = number


def _text(path: Path, encoding: str) -> str:
    with opened(path) as handle:
        content = handle.read()
    try:
        text = content.decode(encoding)
    except LookupError as error:
        raise CorpusError(
            f"unknown encoding {encoding!r}, expected one such as utf-8, latin-1 or utf-16. Use --encoding"
        ) from error
    except UnicodeError as error:
        begin = error.start if isinstance(error, UnicodeDecodeError) else 0
        line = content.count(b"\n", 0, begin) + 1
        raise CorpusError(
            f"line {line} of {str(path)!r} is not text in {encoding!r}, expected a word a line. Name the encoding with"
            " --encoding; a gensim Dictionary must be saved with save_as_text"
        ) from error
    if "\0" in text:
        raise CorpusError(f"{str(path)!r} looks like a binary file, expected a word a line. Name another --vocabulary")
    return text.removeprefix("\ufeff")


def read_npz(path: Path, check_shape: CheckShape) -> csr_matrix:
    """Counts (D, V) of a file of `scipy.sparse.save_npz`, in csr, csc or coo form.

    Raises
    ------
    CorpusError
        Another kind of file, one that holds pickles, damaged parts, a count that is negative, no whole number or
        above 2**31 - 1; whatever `check_shape` refuses.
    """
    parts = _npz_arrays(path)
    kind, shape, data = parts["format"].item(), parts["shape"], parts["data"]
    kind = kind.decode("ascii", "replace") if isinstance(kind, bytes) else kind
    if shape.shape != (2,) or shape.dtype.kind not in "iu" or not 0 <= shape[0] <= MOST or not 0 <= shape[1] <= MOST:
        raise _damaged(path, f"its shape is {shape.tolist()}")
    n_rows, n_columns = int(shape[0]), int(shape[1])
    check_shape(n_rows, n_columns)
    if kind == "coo":
        places = _npz_places(parts, path)
        for axis, (place, bound) in enumerate(zip(places, (n_rows, n_columns), strict=True)):
            if place.size != data.size or (place.size and not (place.min() >= 0 and place.max() < bound)):
                raise _damaged(path, f"its {'columns' if axis else 'rows'} do not fit its shape")
        counts = _whole_counts(data, lambda k: (int(places[0][k]), int(places[1][k])), path)
        return canonical_of_places(counts, places, (n_rows, n_columns), path)
    if kind not in ("csr", "csc"):
        raise CorpusError(f"{str(path)!r} holds a matrix in {kind!r} form, expected csr, csc or coo. Save it as csr")
    indices, indptr = _npz_index(parts, "indices", path), _npz_index(parts, "indptr", path)
    n_lines, bound = (n_rows, n_columns) if kind == "csr" else (n_columns, n_rows)
    _check_compressed(data, indices, indptr, n_lines, bound, path)

    def place_of(k: int) -> tuple[int, int]:
        line, other = int(np.searchsorted(indptr, k, side="right")) - 1, int(indices[k])
        return (line, other) if kind == "csr" else (other, line)

    counts = _whole_counts(data, place_of, path)
    if kind == "csc":
        turned = csc_matrix((counts, indices, indptr), shape=(n_rows, n_columns)).tocsr()
        counts, indices, indptr = turned.data, turned.indices, turned.indptr
    return canonical(counts, indices, indptr, (n_rows, n_columns), path)


# What zipfile, zlib and numpy say of bytes that are no archive of arrays; an encrypted member is a RuntimeError.
_NO_ARCHIVE = (
    OSError, EOFError, ValueError, KeyError, TypeError, IndexError, RuntimeError, SyntaxError, OverflowError,
    struct.error, zlib.error, zipfile.BadZipFile, tokenize.TokenError,
)  # fmt: skip


def _npz_arrays(path: Path) -> dict[str, NDArray[Any]]:
    known = ("format", "shape", "data", "indices", "indptr", "row", "col", "coords")
    try:
        with opened(path) as handle, np.load(handle, allow_pickle=False) as archive:
            names = list(archive.files)
            if sum(member.file_size for member in archive.zip.infolist()) > (available_memory() or math.inf):
                raise MemoryError
            parts = {name: archive[name] for name in known if name in names and "format" in names}
    except CorpusError:
        raise
    except MemoryError as error:
        raise _damaged(path, "it says that it holds more than fits in memory") from error
    except _NO_ARCHIVE as error:
        reason = "it is no archive of arrays, or holds pickles, which are never loaded"
        raise _damaged(path, reason) from error
    if not {"format", "shape", "data"} <= parts.keys() or parts["format"].size != 1:
        listed = ", ".join(repr(name) for name in names[:5]) or "nothing"
        raise CorpusError(
            f"{str(path)!r} holds {listed}, expected a sparse matrix of counts. Save one with scipy.sparse.save_npz"
        )
    if parts["data"].ndim != 1 or parts["data"].dtype.kind not in "biuf":
        raise _damaged(path, f"its data are {parts['data'].dtype} of {parts['data'].ndim} dimensions")
    return parts


def _damaged(path: Path, reason: str) -> CorpusError:
    return CorpusError(
        f"{str(path)!r} is not readable ({reason}), expected a sparse matrix of counts."
        " Save it again with scipy.sparse.save_npz"
    )


def _npz_index(parts: dict[str, NDArray[Any]], name: str, path: Path) -> NDArray[Any]:
    index = parts.get(name)
    if index is None or index.ndim != 1 or index.dtype.kind not in "iu":
        raise _damaged(path, f"its {name} are missing or no whole numbers")
    return index


def _npz_places(parts: dict[str, NDArray[Any]], path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    coords = parts.get("coords")
    if coords is not None and coords.ndim == 2 and len(coords) == 2:
        parts = {"row": coords[0], "col": coords[1]}
    return _npz_index(parts, "row", path), _npz_index(parts, "col", path)


def _check_compressed(
    data: NDArray[Any], indices: NDArray[Any], indptr: NDArray[Any], n_lines: int, bound: int, path: Path
) -> None:
    sound = len(indptr) == n_lines + 1 and len(indices) == len(data) == indptr[-1] and indptr[0] == 0
    if not sound or (indptr[1:] < indptr[:-1]).any():
        raise _damaged(path, "its parts do not agree")
    if len(indices) and not (indices.min() >= 0 and indices.max() < bound):
        raise _damaged(path, "its indices do not fit its shape")


def _whole_counts(data: NDArray[Any], place_of: Callable[[int], tuple[int, int]], path: Path) -> NDArray[np.int32]:
    counts = np.empty(len(data), dtype=np.int32)
    for begin in range(0, len(data), _SLICE):
        part = data[begin : begin + _SLICE]
        part = part.astype(np.float64) if part.dtype.kind == "f" else part  # in which MOST is exact
        fine = (part >= 0) & (part <= MOST)
        if part.dtype.kind == "f":
            fine &= np.floor(part) == part
        if not fine.all():
            k = begin + int(np.argmin(fine))
            row, column = place_of(k)
            raise CorpusError(
                f"{str(path)!r} has {data[k].item()!r} in row {row}, column {column} (from 0), expected counts that are"
                f" whole numbers from 0 to {MOST}. Give counts, not weights"
            )
        counts[begin : begin + _SLICE] = part
    return counts


def canonical_of_places(
    counts: NDArray[np.int32], places: tuple[NDArray[Any], NDArray[Any]], shape: tuple[int, int], path: Path
) -> csr_matrix:
    rows, columns = (place.astype(np.int32, copy=False) for place in places)
    if (rows[1:] >= rows[:-1]).all():  # as most files have them: no copy is needed
        starts = np.searchsorted(rows, np.arange(shape[0], dtype=np.int32))
        return canonical(counts, columns, np.append(starts, len(rows)), shape, path)
    matrix = coo_matrix((counts, (rows, columns)), shape=shape)
    matrix.has_canonical_format = True  # so that tocsr leaves duplicates, whose sums may not fit 32 bits, to us
    turned = matrix.tocsr()
    return canonical(turned.data, turned.indices, turned.indptr, shape, path)


def canonical(
    counts: NDArray[np.int32], indices: NDArray[Any], indptr: NDArray[Any], shape: tuple[int, int], path: Path
) -> csr_matrix:
    """The counts with sorted columns, each once, and without zeros."""
    matrix = csr_matrix((counts, indices, indptr), shape=shape)
    matrix.sort_indices()
    if not matrix.has_canonical_format:
        wide = csr_matrix((matrix.data.astype(np.int64), matrix.indices, matrix.indptr), shape=shape)
        wide.sum_duplicates()
        if wide.data.max() > MOST:
            raise CorpusError(f"{str(path)!r} counts a word of a document more than {MOST} times in all: mend it")
        matrix = csr_matrix((wide.data.astype(np.int32), wide.indices, wide.indptr), shape=shape)
    matrix.eliminate_zeros()
    return matrix
