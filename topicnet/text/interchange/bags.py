"""Bag-of-words corpora (counts and vocabulary) read and written as LDA-C or Matrix Market, or read as SciPy NPZ."""

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
BLOCK_NONZEROS = 1_000_000  # counts, or documents, formatted at a time
_ENDINGS = {".ldac": "ldac", ".lda-c": "ldac", ".mm": "mm", ".mtx": "mm", ".npz": "npz"}


@dataclass(frozen=True, eq=False)
class Bag:
    """A bag-of-words corpus counted by another tool.

    Attributes
    ----------
    counts : csr_matrix
        (D, V) int32; columns sorted, without duplicates and zeros.
    vocabulary : list of str
        (V,) words in the order of their ids.
    ids : list of str
        (D,) "1", "2", ..., because these files have no document ids.
    name : str
        File name without extension.

    Examples
    --------
    >>> bag = Bag(csr_matrix([[2, 0], [1, 3]]), ["river", "bank"], ["1", "2"], "rivers")
    >>> bag.counts.shape == (len(bag.ids), len(bag.vocabulary))
    True
    """

    counts: csr_matrix
    vocabulary: list[str]
    ids: list[str]
    name: str


def bag_format(source: str | Path, asked: str | None = None) -> str | None:
    """Return the bag-of-words format of a file, or None if it is a corpus of texts.

    `.ldac` and `.lda-c` are LDA-C, `.mm` and `.mtx` are Matrix Market, each also with `.gz`; `.npz` is SciPy's. For
    other extensions, such as the `.dat` of many LDA-C files, the format must be given.

    Parameters
    ----------
    source : str or Path
    asked : str, optional
        Format given by the user, which overrides the extension.

    Examples
    --------
    >>> bag_format("wiki.mm.gz"), bag_format("ap.dat"), bag_format("ap.dat", asked="ldac")
    ('mm', None, 'ldac')
    """
    if asked is not None:
        return asked if asked in BAG_FORMATS else None
    ending = _split_ending(Path(source).name)[1]
    return None if Path(source).is_dir() else ending


def bag_name(source: str | Path) -> str:
    """Return the file name without extension.

    Examples
    --------
    >>> bag_name("data/wiki.mm.gz")
    'wiki'
    """
    name = Path(source).name
    return _split_ending(name)[0] or name


def read_bag(
    source: str | Path, *, file_format: str, vocabulary: str | Path | None = None, encoding: str = "utf-8"
) -> Bag:
    """Read a bag-of-words corpus, including its empty documents.

    Parameters
    ----------
    source : str or Path
        File of counts.
    file_format : str
        One of `BAG_FORMATS`, as returned by `bag_format`.
    vocabulary : str or Path, optional
        File with one word per line, or a gensim Dictionary saved as text. Default: a file next to the source.
    encoding : str
        Encoding of the vocabulary.

    Returns
    -------
    Bag

    Raises
    ------
    InputError
        The format is unknown.
    CorpusError
        The vocabulary is missing or malformed, or the counts are damaged, negative, not integers, or do not match the
        vocabulary.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path, _ = write_ldac(Path(folder, "a.ldac"), csr_matrix([[2, 0], [1, 3]]), ["river", "bank"])
    ...     bag = read_bag(path, file_format="ldac")
    >>> bag.counts.toarray().tolist(), bag.vocabulary, bag.name
    ([[2, 0], [1, 3]], ['river', 'bank'], 'a')
    """
    path = Path(source)
    if file_format not in BAG_FORMATS:
        raise InputError(f"format {file_format!r} given, expected one of {', '.join(BAG_FORMATS)}: give --format")
    check_bag(path)
    vocabulary_path = find_vocabulary(path) if vocabulary is None else Path(vocabulary)
    words = read_vocabulary(vocabulary_path, encoding)
    check_shape = partial(_check_shape, path, vocabulary_path, len(words))
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
    """Raise CorpusError if the file does not exist."""
    if not Path(source).is_file():
        raise CorpusError(f"no such file: {str(source)!r}, expected a bag-of-words file. Check the path")


def _check_shape(source: Path, vocabulary: Path, n_words: int, n_rows: int, n_columns: int) -> None:
    """Raise CorpusError unless the matrix has one column per word."""
    if n_columns == n_words:
        return
    given = f"{str(source)!r} has {n_rows} rows and {n_columns} columns, and {str(vocabulary)!r} {n_words} words"
    if n_rows == n_words:
        raise CorpusError(
            f"{given}: it looks transposed, expected documents as rows and words as columns. Transpose it and save it"
        )
    raise CorpusError(f"{given}: expected a column for each word. Name the right vocabulary with --vocabulary")


def write_ldac(
    path: str | Path, counts: csr_matrix, vocabulary: list[str], *, overwrite: bool = False, only_same: bool = False
) -> tuple[Path, Path]:
    """Write counts as an LDA-C file, with the vocabulary next to it; an empty document is written as "0".

    Parameters
    ----------
    path : str or Path
        File to write. The vocabulary of `X.ldac` is `X.vocab`. In a folder, the files are `corpus.ldac` and
        `corpus.vocab`. A name that ends in `.gz` is compressed.
    counts : csr_matrix
        (D, V) integers without duplicates. May be memory-mapped; only a block of rows is in memory at a time.
    vocabulary : list of str
        (V,) words.
    overwrite : bool
        Replace existing files.
    only_same : bool
        Refuse to replace a file with other content, as these formats do not show whether topicnet wrote the file.

    Returns
    -------
    tuple of Path
        The files of the counts and of the vocabulary.

    Raises
    ------
    InputError
        The numbers of words and columns differ, or a word cannot be written on one line.
    OutputError
        A file exists, or writing fails. In both cases, neither file is written.
    """
    return _write(Path(path), ".ldac", counts, vocabulary, _write_pairs, overwrite, only_same)


def write_matrix_market(
    path: str | Path, counts: csr_matrix, vocabulary: list[str], *, overwrite: bool = False, only_same: bool = False
) -> tuple[Path, Path]:
    """Write counts as a Matrix Market file (coordinate real general) with documents as rows.

    The counts are integers, but the file declares them as real because gensim's MmCorpus rejects integer files.

    Parameters
    ----------
    path : str or Path
        File to write. The vocabulary of `X.mm` is `X.vocab`.
    counts, vocabulary, overwrite, only_same
        See `write_ldac`.

    Returns
    -------
    tuple of Path
        The files of the counts and of the vocabulary.

    Raises
    ------
    InputError, OutputError
        See `write_ldac`.
    """
    return _write(Path(path), ".mm", counts, vocabulary, _write_entries, overwrite, only_same)


def _split_ending(name: str) -> tuple[str, str | None]:
    """Split `Wiki.MM.gz` into `Wiki` and `mm`; with an unknown extension, return the whole name and None."""
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
    path, vocabulary_path = bag_paths(path, ending)
    plain = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    with ExitStack() as stack:
        # The contexts exit in reverse order: the vocabulary appears first, so that counts never exist without it.
        part = stack.enter_context(atomic.atomic_file(path, overwrite=overwrite))
        words = stack.enter_context(atomic.atomic_file(vocabulary_path, overwrite=overwrite))
        with atomic.disk_errors(path):
            formats.write_text(words, "".join(f"{word}\n" for word in vocabulary))
            with (
                part.open("wb") as file,
                nullcontext(file) if plain == path else gzip.GzipFile("", "wb", 6, file, mtime=0) as handle,
            ):
                write(handle, counts)
            if only_same:
                check_same(part, path)
                check_same(words, vocabulary_path)
    return path, vocabulary_path


def bag_paths(path: Path, ending: str) -> tuple[Path, Path]:
    """Return the paths of the counts and of the vocabulary to write.

    Parameters
    ----------
    path : Path
        A file, or a folder, in which the file is called ``corpus``.
    ending : str
        Extension of the format: ``.ldac`` or ``.mm``.

    Raises
    ------
    InputError
        The file of counts has the name of the vocabulary.

    Examples
    --------
    >>> [path.name for path in bag_paths(Path("ap.ldac.gz"), ".ldac")]
    ['ap.ldac.gz', 'ap.vocab']
    """
    path = path / f"corpus{ending}" if path.is_dir() else path
    plain = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    vocabulary_path = plain.with_suffix(".vocab")
    if vocabulary_path == path:
        raise InputError(
            f"file {str(path)!r} given, which is the name of the vocabulary: expected an extension such as {ending}"
        )
    return path, vocabulary_path


def _check_words(counts: csr_matrix, vocabulary: list[str]) -> None:
    if len(vocabulary) != counts.shape[1]:
        raise InputError(f"{len(vocabulary)} words given for {counts.shape[1]} columns of counts, expected one each")
    seen: set[str] = set()
    for word in vocabulary:
        broken = not word or word != word.strip() or "\n" in word or "\0" in word or word.startswith("\ufeff")
        if broken or word.encode("utf-8", "replace").decode() != word:
            raise InputError(f"the word {word!r} cannot be written on one line of the vocabulary: rename it")
        if word in seen:
            raise InputError(f"the word {word!r} occurs twice in the vocabulary, expected each once: rename one")
        seen.add(word)


def _write_pairs(handle: Handle, counts: csr_matrix) -> None:
    for _, block in row_blocks(counts, BLOCK_NONZEROS):
        lengths = np.diff(block.indptr)
        rows = np.repeat(np.arange(len(lengths)), lengths)
        pairs = pl.DataFrame({"row": rows, "id": block.indices, "count": block.data})
        pair = pl.concat_str(pl.lit(" "), "id", pl.lit(":"), "count")
        filled = pairs.group_by("row", maintain_order=True).agg(pair.str.join(""))["literal"]
        place = pl.Series(np.cumsum(lengths > 0) - 1).set(pl.Series(lengths == 0), None)  # position in `filled`
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
