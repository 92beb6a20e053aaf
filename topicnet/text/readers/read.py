"""Main entry point of the readers: any source (files, folders, patterns, standard input) to batches of documents.

`read_documents` yields every document once, in input order. Everything streams: memory holds one batch and one chunk,
whatever the size of the file. Each format has its own module; shared code is in `documents` and `open_text`.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from topicnet.errors import CorpusError, InputError
from topicnet.text.readers.archives import Archive
from topicnet.text.readers.columnar import parquet_rows
from topicnet.text.readers.databases import database_kind, database_rows
from topicnet.text.readers.delimited import csv_rows, tsv_rows
from topicnet.text.readers.documents import (
    Columns,
    Documents,
    ReadingLog,
    ReadingOptions,
    Row,
    Value,
    shown,
    text_columns,
    too_long,
    with_joined_texts,
)
from topicnet.text.readers.folders import (
    ARCHIVE,
    DOCUMENTS,
    KNOWN,
    TYPED,
    Contents,
    Found,
    both_kinds,
    contents_of,
    contents_of_folder,
    folder_rows,
    is_archive,
    is_stream,
    is_text,
    named_sources,
    office_rows,
    refuse_special,
    relative_to,
    root_of_texts,
    split_ending,
    texts_among,
    unchanged,
)
from topicnet.text.readers.joined_table import joined_table
from topicnet.text.readers.jsonl import json_rows
from topicnet.text.readers.mallet import OCTIS_CORPUS, is_octis, mallet_rows, octis_rows, octis_vocabulary
from topicnet.text.readers.missing import MissingValues
from topicnet.text.readers.office import OFFICE, Scans
from topicnet.text.readers.open_text import File, check_encoding, reading
from topicnet.text.readers.tagged_records import pubmed_rows, ris_rows, wos_rows
from topicnet.text.readers.units import UNITS, unit_rows
from topicnet.text.readers.workbooks import WORKBOOKS, workbook_rows

__all__ = [
    "Documents", "FORMATS", "ReadingLog", "ReadingOptions", "Value", "octis_vocabulary", "read_documents",
    "source_name",
]  # fmt: skip

_BATCH_CHARACTERS = 8_000_000


_READERS: dict[str, Callable[[File, Columns], Iterator[Row]]] = {
    "txt": lambda file, _: unit_rows(file, file.options.unit),
    "csv": csv_rows,
    "tsv": tsv_rows,
    "jsonl": json_rows,
    "parquet": parquet_rows,
    "xlsx": workbook_rows,
    "mallet": lambda file, _: mallet_rows(file),
    "octis": lambda file, _: octis_rows(file),
    "xls": workbook_rows,
    "xlsb": workbook_rows,
    "ods": workbook_rows,
    "sqlite": database_rows,
    "duckdb": database_rows,
    "wos": wos_rows,
    "ris": ris_rows,
    "pubmed": pubmed_rows,
    "pdf": office_rows,
    "docx": office_rows,
}
FORMATS = tuple(_READERS)
_COUNTS = ("ldac", "mm", "npz")  # formats of counts, which are not read here
_DATABASES = ("sqlite", "duckdb")
_FORMATS_OF_OPTION = {"sheet": WORKBOOKS, "query": _DATABASES, "table": _DATABASES}
_WITHOUT_COLUMNS = ("txt", "mallet", "octis")
_TABLE_OPTIONS = ("text_column", "id_column", "delimiter", "quote", "escape", "skip_rows", "header_row")


def read_documents(
    source: str | Path | Sequence[str | Path],
    options: ReadingOptions | None = None,
    log: ReadingLog | None = None,
    *,
    batch_docs: int = 10_000,
) -> Iterator[Documents]:
    """Read documents in batches, in input order; a source without documents yields nothing.

    Parameters
    ----------
    source : str, Path, or a sequence of them
        One of the following; several sources form one corpus.

        - text: ``.txt``, one document per line, or per ``options.unit``. Several ``.txt`` files, listed or matched
          by a pattern, are one document each, as in a folder
        - tables: ``.csv``, ``.tsv``, ``.jsonl``, ``.ndjson``, ``.json`` or ``.mallet``. These and ``.txt`` may be
          compressed (``.gz``, ``.zst``, ``.bz2``, ``.xz``)
        - ``.parquet``; a workbook (``.xlsx``, ``.xls``, ``.xlsb``, ``.ods``); a database (``.db``, ``.sqlite``,
          ``.duckdb``)
        - tagged records (``.ris``, ``.nbib``)
        - ``.pdf`` or ``.docx``, one document each
        - a folder or ``.zip`` of ``.txt`` files (one document each) or of tables (read one after the other), or an
          OCTIS folder (``corpus.tsv`` with ``vocabulary.txt``)
        - a pattern such as ``posts/**/*.csv``; its files are read in sorted order
        - ``-`` for standard input, read as ``.txt``
    options : ReadingOptions, optional
        Format, columns, encoding and other settings; the defaults when omitted.
    log : ReadingLog, optional
        Filled while the documents are read.
    batch_docs : int
        Maximum number of documents in a batch. A batch also ends at 8 million characters; a longer document forms a
        batch by itself.

    Yields
    ------
    Documents
        Texts, ids and metadata of up to `batch_docs` documents.

    Raises
    ------
    CorpusError
        Immediately for a missing path, an unknown format or an unknown encoding; during iteration for content that
        cannot be read: undecodable bytes, a damaged archive, a malformed row, a missing column.
    InputError
        If `batch_docs` is below 1.

    Examples
    --------
    >>> from tempfile import NamedTemporaryFile
    >>> with NamedTemporaryFile(suffix=".csv") as file:
    ...     _ = file.write(b"text,year\\na first text,1999\\na second text,2001\\n")
    ...     file.flush()
    ...     [batch.texts for batch in read_documents(file.name)]
    [['a first text', 'a second text']]
    """
    if batch_docs < 1:
        raise InputError(f"batch_docs is {batch_docs}, expected at least 1. Give a larger number")
    options = options or ReadingOptions()
    check_options(options)
    check_lines(source, options)
    named = named_sources(source)
    opener = _Opener(options, log or ReadingLog(), named, _texts_of(source, named, options))
    rows = [opener.rows(one) for one in named]
    opener.note_units()
    return _batches(chain(*rows, opener.scanned()), batch_docs, opener.log, options.max_document_size)


def check_options(options: ReadingOptions) -> None:
    """Raise CorpusError for an unknown encoding, format or unit."""
    check_encoding(options.encoding)
    if options.file_format is not None and options.file_format not in FORMATS:
        raise CorpusError(
            f"unknown format {options.file_format!r}, expected one of: {', '.join((*FORMATS, *_COUNTS))}."
            " Name one of these with --format"
        )
    if options.unit is not None and options.unit not in UNITS:
        raise CorpusError(f"unknown unit {options.unit!r}, expected one of: {', '.join(UNITS)}. Use --unit")


def are_lines(source: str | Path | Sequence[str | Path], file_format: str | None) -> bool:
    """Return whether a source is a single text file or standard input, whose lines have no columns."""
    given = [source] if isinstance(source, str | os.PathLike) else list(source)
    if file_format not in (None, "txt") or len(given) != 1:
        return False
    path = Path(given[0])
    if str(path) == "-" or is_stream(path):
        return True
    if not path.is_file():
        return False
    is_known = file_format is not None or split_ending(path.name)[1] == "txt"
    return is_known or (not path.suffix and is_text(File(path)))


def check_lines(source: str | Path | Sequence[str | Path], options: ReadingOptions) -> None:
    """Raise CorpusError if table options are set for a source of plain lines, which would ignore them."""
    default = ReadingOptions()
    given = [name for name in _TABLE_OPTIONS if (getattr(options, name) or None) != getattr(default, name)]
    if options.header_row == 0:
        given = list(dict.fromkeys([*given, "header_row"]))
    given = [name for name in given if name != "text_column" or text_columns(options.text_column) != ("text",)]
    if given and are_lines(source, options.file_format):
        one = source if isinstance(source, str | os.PathLike) else source[0]
        name = "standard input" if str(one) == "-" else shown(str(one))
        raise CorpusError(
            f"--{given[0].replace('_', '-')} was given, but {name} is read as lines of text, which have no columns. For"
            " a table give --format csv (or tsv), for lines leave the option out"
        )


def source_name(source: str | Path | Sequence[str | Path]) -> str:
    """Derive a short name for a source: the file name without extensions, the folder's name, or ``stdin``.

    A pattern is named after its last part with fixed text, several sources after the first.

    Examples
    --------
    >>> source_name("corpus.jsonl.gz"), source_name("-"), source_name("posts/**/*.csv")
    ('corpus', 'stdin', 'posts')
    """
    if not isinstance(source, str | os.PathLike):
        return source_name(source[0]) if source else "corpus"
    if str(source) == "-":
        return "stdin"
    path = Path(source)
    if path.is_dir():
        return path.resolve().name or "corpus"
    if not path.exists() and glob.has_magic(str(path)):
        fixed = (re.sub(r"[*?\[\]]", "", split_ending(part)[0]).strip("-_. ") for part in reversed(path.parts))
        return next((part for part in fixed if part and not set(part) <= {"/", "\\"}), "corpus")
    return (path.stem if is_archive(path) else split_ending(path.name)[0]) or path.name


def check_there(path: Path, others: Sequence[str | Path] = ()) -> None:
    """Raise CorpusError if a path does not exist; `others` are the sources given with it, used for the remedy."""
    name = shown(str(path))
    with reading(name):
        if not path.exists():
            is_column = re.fullmatch(r"\w[\w ()?-]*", str(path)) and any(_is_table(Path(one)) for one in others)
            remedy = f"If it is the text column, give --text-column {name!r}" if is_column else "Check the path"
            raise CorpusError(f"no such file or folder: {name}; expected {KNOWN}. {remedy}")
    refuse_special(path)


def _is_table(path: Path) -> bool:
    return split_ending(path.name)[1] not in ("", "mallet", *DOCUMENTS) and os.path.isfile(path)


@dataclass(frozen=True)
class _Texts:
    """Source that consists of several text files, each of them one document with its id."""

    root: Path
    names: dict[Path, str]

    @property
    def have_folders(self) -> bool:
        """True if a file is in a sub-folder."""
        return any("/" in name for name in self.names.values())


def _texts_of(
    source: str | Path | Sequence[str | Path], named: Sequence[str | Path], options: ReadingOptions
) -> _Texts | None:
    """Find the text files that are one document each; None if a file's lines are the documents."""
    if options.file_format not in (None, "txt"):
        return None
    root = root_of_texts(source, named, options.file_format)
    if root is None:
        return None
    return _Texts(root, {path: relative_to(path, root) for path in texts_among(named, options.file_format)})


@dataclass(frozen=True)
class _Opener:
    """Opener of sources, which selects the reader for each."""

    options: ReadingOptions
    log: ReadingLog
    named: Sequence[str | Path] = ()
    texts: _Texts | None = None
    scans: Scans = field(default_factory=Scans)

    def rows(self, source: str | Path) -> Iterator[Row]:
        """Return the rows of a file, folder or standard input, rejecting unreadable sources immediately."""
        if str(source) == "-":
            return self._file_rows(None, self.options.file_format or "txt")
        path = Path(source)
        name = shown(str(path))
        check_there(path, self.named)
        with reading(name):
            if path.is_dir():
                return self._folder_rows(path, name)
        if is_archive(path) and self.options.file_format is None:
            archive = Archive(path)
            with closing(archive):  # a table of metadata is read at once
                rows = self._contents_rows(contents_of(archive.members(), name, None, self.log), name)
            return archive.closed_after(rows)
        file_format = self.options.file_format or split_ending(path.name)[1] or self._detect_format(path, name)
        if file_format in DOCUMENTS and (self.texts is not None or self.options.unit is not None):
            return self._text_rows(path, file_format)
        return self._file_rows(path, file_format)

    def scanned(self) -> Iterator[Row]:
        """Report pages without text once everything has been read, yielding nothing."""
        self.scans.report(self.log)
        yield from ()

    def note_units(self) -> None:
        """Log that each of several text files is one document, unless the user chose the unit."""
        if self.options.unit is not None:
            return
        n_texts = len(texts_among(self.named, None)) if self.options.file_format is None else 0
        if self.texts is None and n_texts > 1:
            self.log.notice(
                f"{n_texts:,} .txt files among other files, one document per line; for one per file give --unit file"
            )
        if self.texts is not None:
            n_files = len(self.texts.names)
            kind = ".txt" if all(split_ending(path.name)[1] in DOCUMENTS for path in self.texts.names) else "text"
            files = f"1 {kind} file of a pattern" if n_files == 1 else f"{n_files:,} {kind} files"
            self.log.notice(f"{files}, one document per file; for one per line give --unit line")

    def _detect_format(self, path: Path, name: str) -> str:
        """Detect the format of a file without a known extension from its first bytes."""
        remedy = "Convert or rename it, or name its format with --format"
        kind = database_kind(path)
        if kind is not None:
            raise CorpusError(f"{name} is a database ({kind}) without its extension. Give --format {kind.lower()}")
        if path.suffix:
            raise CorpusError(f"unknown format of {name}, expected {KNOWN}. {remedy}")
        if is_stream(path):
            return "txt"
        if not is_text(File(path, self.options, self.log)):
            raise CorpusError(f"{name} has no extension and is not text, expected {KNOWN}. {remedy}")
        self.log.notice(f"{name} has no extension: read as text; for another format give --format")
        return "txt"

    def _text_rows(self, path: Path, file_format: str) -> Iterator[Row]:
        """Return the rows of a text file that is one of several, or whose unit was given."""
        name = path.name if self.texts is None else self.texts.names.get(path, path.name)
        found = Found(name, path, file_format)
        if self.options.unit in (None, "file") or file_format in OFFICE:
            have_folders = self.texts is not None and self.texts.have_folders
            return folder_rows([found], self.options, self.log, scans=self.scans, has_folders=have_folders)
        return self._checked_for_changes(path, self._unit_rows(found, of_several=self.texts is not None))

    def _unit_rows(self, found: Found, *, of_several: bool) -> Iterator[Row]:
        """Return the lines or paragraphs of a text file as rows."""
        file = found.file(self.options, self.log)
        return self._without_markers(unit_rows(file, self.options.unit, found.name, of_several=of_several))

    def _without_markers(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Replace missing-value markers in the rows."""
        if not self.options.missing:
            return rows
        return MissingValues(self.options.missing, self.log, self.options.columns.more).rows(rows)

    def _file_rows(self, path: Path | None, file_format: str) -> Iterator[Row]:
        name = "standard input" if path is None else shown(str(path))
        for option, kinds in _FORMATS_OF_OPTION.items():
            if getattr(self.options, option) is not None and file_format not in kinds:
                raise CorpusError(f"--{option} was given, but {name} is read as {file_format}. Leave it out")
        if self.options.unit is not None and file_format not in DOCUMENTS:
            self.log.notice(
                f"--unit applies only to .txt files: {name} is read as {file_format}, whose rows are the documents"
            )
        rows = self._rows_of(File(path, self.options, self.log), file_format)
        return rows if path is None else self._checked_for_changes(path, rows)

    def _rows_of(self, file: File, file_format: str) -> Iterator[Row]:
        """Return the rows of a file, with missing-value markers emptied and text columns joined."""
        columns = self.options.columns
        rows = _READERS[file_format](file, columns)
        rows = rows if file_format in OFFICE else self._without_markers(rows)
        return with_joined_texts(rows, columns.more) if columns.more and file_format not in _WITHOUT_COLUMNS else rows

    def _checked_for_changes(self, path: Path, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield the rows, and raise at the end if the file changed while it was read."""
        return chain(rows, unchanged(path)) if path.is_file() else rows

    def _folder_rows(self, folder: Path, name: str) -> Iterator[Row]:
        if (folder / "run.json").is_file() or (folder / "model.json").is_file():
            raise CorpusError(f"{name} is a run of topicnet, expected a corpus. Name the text it was fitted to")
        asked = self.options.file_format
        if asked == "octis" or (asked is None and is_octis(folder)):
            return self._file_rows(folder / OCTIS_CORPUS, "octis")
        return self._contents_rows(contents_of_folder(folder, asked, self.log), name)

    def _contents_rows(self, contents: Contents, name: str) -> Iterator[Row]:
        """Return the rows of all files of a folder or archive."""
        if not contents.are_texts:
            return chain.from_iterable(map(self._found_rows, contents.files))
        metadata = None
        if contents.table is not None:
            metadata = joined_table(contents.table, contents.files, self.options, self.log)
            if metadata is None:
                raise both_kinds(name, contents.files, [contents.table])
        if self.options.unit in (None, "file"):
            return folder_rows(contents.files, self.options, self.log, metadata, scans=self.scans)
        return chain.from_iterable(
            self._unit_rows(one, of_several=True)
            if one.file_format not in OFFICE
            else folder_rows([one], self.options, self.log, metadata, scans=self.scans)
            for one in contents.files
        )

    def _found_rows(self, one: Found) -> Iterator[Row]:
        """Return the rows of one table of a folder or archive."""
        if one.opener is None:
            return self._file_rows(one.path, one.file_format)
        if one.file_format in TYPED:
            raise CorpusError(f"{shown(str(one.path))} cannot be read within {ARCHIVE}. Unpack it and name the folder")
        return self._rows_of(one.file(self.options, self.log), one.file_format)


def _batches(rows: Iterator[Row], batch_docs: int, log: ReadingLog, max_document_size: int) -> Iterator[Documents]:
    """Group rows into batches and number the documents without an id."""
    batch, numbered, n_characters = Documents([], [], []), list[int](), 0
    most = min(_BATCH_CHARACTERS, max_document_size)
    already = log.skipped.count
    for number, (key, text, others) in enumerate(rows, 1):
        if n_characters + len(text) > most:
            if len(text) > max_document_size:
                raise too_long(f"document {key or number}", max_document_size)
            if batch.ids:
                yield replace(batch, n_bytes=log.n_bytes, numbered=numbered)
                batch, numbered, n_characters = Documents([], [], []), [], 0
        if not key:
            numbered.append(len(batch.ids))
        batch.ids.append(key or str(number + log.skipped.count - already))  # a skipped row keeps its number
        batch.texts.append(text)
        batch.metadata.append(others)
        n_characters += len(text)
        if len(batch.ids) == batch_docs:
            yield replace(batch, n_bytes=log.n_bytes, numbered=numbered)
            batch, numbered, n_characters = Documents([], [], []), [], 0
    if batch.ids:
        yield replace(batch, n_bytes=log.n_bytes, numbered=numbered)
