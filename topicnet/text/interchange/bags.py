"""Bag-of-words corpora of other tools, read and written: LDA-C, Matrix Market, and SciPy's NPZ (read only)."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from scipy.sparse import csr_matrix

from topicnet.errors import CorpusError, InputError
from topicnet.storage import atomic, formats
from topicnet.storage.mapped import row_blocks
from topicnet.storage.recognition import check_same
from topicnet.text.interchange.bag_files import Handle, find_vocabulary, read_npz, read_vocabulary
from topicnet.text.interchange.bag_text import read_ldac, read_matrix_market

BAG_FORMATS = ("ldac", "mm", "npz")
BLOCK_NONZEROS = 1_000_000  # counts, or documents, turned into text at a time
_ENDINGS = {".ldac": "ldac", ".lda-c": "ldac", ".mm": "mm", ".mtx": "mm", ".npz": "npz"}


@dataclass(frozen=True, eq=False)
class Bag:
    """A corpus as another tool counted it; the order of its words is unknown.

    Attributes
    ----------
    counts : csr_matrix
        (D, V) int32; columns sorted, each once, no zeros.
    vocabulary : list of str
        (V,) words in the order of the file's ids.
    ids : list of str
        (D,) "1", "2", ...: these files name no documents.
    name : str
        The file's name without its ending.
    """

    counts: csr_matrix
    vocabulary: list[str]
    ids: list[str]
    name: str


def bag_format(source: str | Path, asked: str | None = None) -> str | None:
    """The bag-of-words format that was asked for, or that the file's ending names; None for a corpus of texts.

    `.ldac` and `.lda-c` are LDA-C, `.mm` and `.mtx` Matrix Market, each also with `.gz`; `.npz` is SciPy's. Other
    endings, such as the `.dat` of many LDA-C files, need the format to be asked for.
    """
    if asked is not None:
        return asked if asked in BAG_FORMATS else None
    ending = _split_ending(Path(source).name)[1]
    return None if Path(source).is_dir() else ending


def bag_name(source: str | Path) -> str:
    """The file's name without its ending."""
    name = Path(source).name
    return _split_ending(name)[0] or name


def read_bag(
    source: str | Path, *, file_format: str, vocabulary: str | Path | None = None, encoding: str = "utf-8"
) -> Bag:
    """Read a bag-of-words corpus: as many rows as the file has documents, empty ones too.

    Parameters
    ----------
    source : str or Path
    file_format : str
        One of `BAG_FORMATS`, as `bag_format` gives it.
    vocabulary : str or Path, optional
        A word a line, or a gensim Dictionary saved as text. By default it is looked for beside the source.
    encoding : str
        Of the vocabulary.

    Raises
    ------
    InputError
        An unknown format.
    CorpusError
        A missing or faulty vocabulary, or counts that are damaged, negative, not whole or of another width.
    """
    path = Path(source)
    if file_format not in BAG_FORMATS:
        raise InputError(f"format {file_format!r} given, expected one of {', '.join(BAG_FORMATS)}: give --format")
    check_bag(path)
    beside = find_vocabulary(path) if vocabulary is None else Path(vocabulary)
    words = read_vocabulary(beside, encoding)
    check_shape = partial(_check_shape, path, beside, len(words))
    match file_format:
        case "ldac":
            counts = read_ldac(path, len(words))
        case "mm":
            counts = read_matrix_market(path, check_shape)
        case _:
            counts = read_npz(path, check_shape)
    ids = pl.int_range(1, counts.shape[0] + 1, eager=True).cast(pl.String).to_list()
    return Bag(counts, words, ids, bag_name(path))


def check_bag(source: str | Path) -> None:
    """Raise CorpusError where there is no such file."""
    if not Path(source).is_file():
        raise CorpusError(f"no such file: {str(source)!r}, expected a bag-of-words file. Check the path")


def _check_shape(source: Path, vocabulary: Path, n_words: int, n_rows: int, n_columns: int) -> None:
    """Raise CorpusError unless a matrix has a column for each word."""
    if n_columns == n_words:
        return
    given = f"{str(source)!r} has {n_rows} rows and {n_columns} columns, and {str(vocabulary)!r} {n_words} words"
    if n_rows == n_words:
        raise CorpusError(
            f"{given}: it looks transposed, expected documents as rows and words as columns. Turn it and save it"
        )
    raise CorpusError(f"{given}: expected a column for each word. Name the right vocabulary with --vocabulary")


def write_ldac(
    path: str | Path, counts: csr_matrix, vocabulary: list[str], *, overwrite: bool = False, only_same: bool = False
) -> tuple[Path, Path]:
    """Write counts as LDA-C, with the vocabulary beside it; the empty document is "0".

    Parameters
    ----------
    path : str or Path
        `X.ldac` brings `X.vocab`; in a folder, the two are `corpus.ldac` and `corpus.vocab`. A name that ends in
        `.gz` is compressed.
    counts : csr_matrix
        (D, V) whole numbers, without duplicates; may be memory-mapped: a block of rows is held at a time.
    vocabulary : list of str
        (V,) words.
    overwrite : bool
        Whether files that exist are replaced.
    only_same : bool
        Refuse to replace a file of other content: nothing in such files shows that topicnet wrote them.

    Returns
    -------
    tuple of Path
        The counts and the vocabulary.

    Raises
    ------
    InputError
        Another number of words than of columns, or a word that a line cannot hold.
    OutputError
        A file exists, or the disk refuses; neither file is there then.
    """
    return _write(Path(path), ".ldac", counts, vocabulary, _write_pairs, overwrite, only_same)


def write_matrix_market(
    path: str | Path, counts: csr_matrix, vocabulary: list[str], *, overwrite: bool = False, only_same: bool = False
) -> tuple[Path, Path]:
    """Write counts as a Matrix Market file (coordinate real general), documents as rows.

    The numbers are whole; they are called real because gensim's MmCorpus refuses files that call them integer.
    `X.mm` brings `X.vocab`; all else is as in `write_ldac`.
    """
    return _write(Path(path), ".mm", counts, vocabulary, _write_entries, overwrite, only_same)


def _split_ending(name: str) -> tuple[str, str | None]:
    """Split `Wiki.MM.gz` into `Wiki` and its format; an unknown ending stays on the name."""
    plain = name[:-3] if name.lower().endswith(".gz") else name
    ending = Path(plain).suffix
    known = _ENDINGS.get(ending.lower())
    if known is None or (known == "npz" and plain != name):
        return name, None
    return plain.removesuffix(ending), known


def _write(
    path: Path,
    ending: str,
    counts: csr_matrix,
    vocabulary: list[str],
    write: Callable[[Handle, csr_matrix], None],
    overwrite: bool,
    only_same: bool,
) -> tuple[Path, Path]:
    _check_words(counts, vocabulary)
    path, beside = places_of(path, ending)
    plain = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    with ExitStack() as stack:
        # Left in reverse: the vocabulary appears first, so that counts never stand without their words.
        part = stack.enter_context(atomic.atomic_file(path, overwrite=overwrite))
        words = stack.enter_context(atomic.atomic_file(beside, overwrite=overwrite))
        with atomic.disk_errors(path):
            formats.write_text(words, "".join(f"{word}\n" for word in vocabulary))
            with (
                part.open("wb") as file,
                nullcontext(file) if plain == path else gzip.GzipFile("", "wb", 6, file, mtime=0) as handle,
            ):
                write(handle, counts)
            if only_same:
                check_same(part, path)
                check_same(words, beside)
    return path, beside


def places_of(path: Path, ending: str) -> tuple[Path, Path]:
    """The files that counts and their words are written to.

    Parameters
    ----------
    path : Path
        A file, or a folder for ``corpus.ldac``.
    ending : str
        Of the format: ``.ldac`` or ``.mm``.
    """
    path = path / f"corpus{ending}" if path.is_dir() else path
    plain = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    beside = plain.with_suffix(".vocab")
    if beside == path:
        raise InputError(f"file {str(path)!r} given, which the vocabulary takes: expected an ending such as {ending}")
    return path, beside


def _check_words(counts: csr_matrix, vocabulary: list[str]) -> None:
    if len(vocabulary) != counts.shape[1]:
        raise InputError(f"{len(vocabulary)} words given for {counts.shape[1]} columns of counts, expected one each")
    seen: set[str] = set()
    for word in vocabulary:
        broken = not word or word != word.strip() or "\n" in word or "\0" in word or word.startswith("\ufeff")
        if broken or word.encode("utf-8", "replace").decode() != word:
            raise InputError(f"the word {word!r} cannot stand on a line of its own: rename it in the vocabulary")
        if word in seen:
            raise InputError(f"the word {word!r} stands twice in the vocabulary, expected each once: rename one")
        seen.add(word)


def _write_pairs(handle: Handle, counts: csr_matrix) -> None:
    for _, block in row_blocks(counts, BLOCK_NONZEROS):
        lengths = np.diff(block.indptr)
        rows = np.repeat(np.arange(len(lengths)), lengths)
        pairs = pl.DataFrame({"row": rows, "id": block.indices, "count": block.data})
        pair = pl.concat_str(pl.lit(" "), "id", pl.lit(":"), "count")
        filled = pairs.group_by("row", maintain_order=True).agg(pair.str.join(""))["literal"]
        place = pl.Series(np.cumsum(lengths > 0) - 1).set(pl.Series(lengths == 0), None)  # of a document in `filled`
        documents = pl.DataFrame({"length": lengths, "pairs": filled.gather(place).fill_null("")})
        lines = documents.select(pl.concat_str("length", "pairs").str.join("\n")).item()
        handle.write(f"{lines}\n".encode())


def _write_entries(handle: Handle, counts: csr_matrix) -> None:
    n_docs, n_words = counts.shape
    n_entries = int(counts.indptr[-1]) - int(counts.indptr[0])
    handle.write(f"%%MatrixMarket matrix coordinate real general\n{n_docs} {n_words} {n_entries}\n".encode())
    for where, block in row_blocks(counts, BLOCK_NONZEROS):
        entries = pl.DataFrame(
            {
                "row": np.repeat(np.arange(where.start + 1, where.stop + 1), np.diff(block.indptr)),
                "column": block.indices.astype(np.int64) + 1,
                "count": block.data,
            }
        )
        handle.write(entries.write_csv(include_header=False, separator=" ").encode())
