"""From files, folders, patterns and standard input to batches of documents, whatever their format.

N documents in, N documents out, in order. Everything streams: memory holds one batch and one chunk whatever the
size of the file. Each format has its module; what they share is in `rows` and `opening`.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from topicnet.errors import CorpusError, InputError
from topicnet.text.readers.columnar import parquet_rows
from topicnet.text.readers.databases import database_rows
from topicnet.text.readers.delimited import csv_rows, tsv_rows
from topicnet.text.readers.documents import (
    Columns,
    Documents,
    ReadingLog,
    ReadingOptions,
    Row,
    Value,
    shown,
    with_joined_texts,
)
from topicnet.text.readers.folders import (
    KNOWN,
    files_of_folder,
    folder_rows,
    named_sources,
    office_files,
    office_rows,
    split_ending,
)
from topicnet.text.readers.jsonl import json_rows
from topicnet.text.readers.mallet import OCTIS_CORPUS, is_octis, mallet_rows, octis_rows, octis_vocabulary
from topicnet.text.readers.missing import MissingValues
from topicnet.text.readers.open_text import File, check_encoding, reading
from topicnet.text.readers.tagged_records import pubmed_rows, ris_rows, wos_rows
from topicnet.text.readers.workbooks import WORKBOOKS, workbook_rows

__all__ = [
    "Documents", "FORMATS", "ReadingLog", "ReadingOptions", "Value", "octis_vocabulary", "read_documents",
    "source_name",
]  # fmt: skip

_BATCH_CHARACTERS = 8_000_000


def _text_rows(file: File, _: Columns) -> Iterator[Row]:
    for _number, line in file.numbered():
        yield "", line, {}


_READERS: dict[str, Callable[[File, Columns], Iterator[Row]]] = {
    "txt": _text_rows,
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
_DATABASES = ("sqlite", "duckdb")
_OPTIONS_OF = {"sheet": WORKBOOKS, "query": _DATABASES, "table": _DATABASES}
_WITHOUT_COLUMNS = ("txt", "mallet", "octis")


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
        ``.txt`` (a document a line), ``.csv``, ``.tsv``, ``.jsonl``, ``.ndjson`` or ``.mallet``, each also with
        ``.gz`` or ``.zst``; ``.parquet``; a workbook (``.xlsx``, ``.xls``, ``.xlsb``, ``.ods``); a database (``.db``,
        ``.sqlite``, ``.duckdb``); tagged records (``.ris``, ``.nbib``); ``.pdf`` or ``.docx`` (each a document); a
        folder of ``.txt`` files (each a document),
        of tables (read one after the other) or of OCTIS (``corpus.tsv`` beside ``vocabulary.txt``); a pattern such
        as ``posts/**/*.csv``, in sorted order; ``-`` for standard input (as ``.txt``). Several are one corpus.
    options : ReadingOptions, optional
    log : ReadingLog, optional
        Filled while the documents are read.
    batch_docs : int
        Most documents in one batch; it has fewer where they hold more than 8 million characters, and a longer
        document is a batch alone.

    Raises
    ------
    CorpusError
        At once for a missing path, an unknown format or encoding; while iterating for content that cannot be
        read: wrong bytes, a damaged archive, a malformed row, a missing column.
    InputError
        If `batch_docs` is below 1.
    """
    if batch_docs < 1:
        raise InputError(f"batch_docs is {batch_docs}, expected at least 1. Give a larger number")
    options = options or ReadingOptions()
    check_options(options)
    opener = _Opener(options, log or ReadingLog())
    sources = named_sources(source)
    if office := office_files(sources, options.file_format):
        return _batches(folder_rows(office, options, opener.log), batch_docs, opener.log)
    rows = [opener.rows(one) for one in sources]
    return _batches(chain.from_iterable(rows), batch_docs, opener.log)


def check_options(options: ReadingOptions) -> None:
    """Raise CorpusError for an encoding or a format that there is not."""
    check_encoding(options.encoding)
    if options.file_format is not None and options.file_format not in FORMATS:
        raise CorpusError(
            f"unknown format {options.file_format!r}, expected one of: {', '.join(FORMATS)}."
            " Name one of these with --format"
        )


def source_name(source: str | Path | Sequence[str | Path]) -> str:
    """Short name: ``corpus.jsonl.gz`` gives ``corpus``, ``-`` gives ``stdin``, a folder its own name.

    A pattern is named for what is fixed in it, several sources for the first.
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
    return split_ending(path.name)[0] or path.name


def check_there(path: Path) -> None:
    """Raise CorpusError where there is neither a file nor a folder."""
    name = shown(str(path))
    with reading(name):
        if not path.exists():
            raise CorpusError(f"no such file or folder: {name}; expected {KNOWN}. Check the path")


@dataclass(frozen=True)
class _Opener:
    """Chooses the reader of each source."""

    options: ReadingOptions
    log: ReadingLog

    def rows(self, source: str | Path) -> Iterator[Row]:
        """Rows of one file, folder or standard input; what cannot be read at all is refused at once."""
        if str(source) == "-":
            return self._file_rows(None, self.options.file_format or "txt")
        path = Path(source)
        name = shown(str(path))
        check_there(path)
        with reading(name):
            if path.is_dir():
                return self._folder_rows(path, name)
        file_format = self.options.file_format or split_ending(path.name)[1]
        if not file_format:
            raise CorpusError(
                f"unknown format of {name}, expected {KNOWN}. Convert or rename it, or say what it is with --format"
            )
        return self._file_rows(path, file_format)

    def _file_rows(self, path: Path | None, file_format: str) -> Iterator[Row]:
        file = File(path, self.options, self.log)
        for option, kinds in _OPTIONS_OF.items():
            if getattr(self.options, option) is not None and file_format not in kinds:
                raise CorpusError(f"--{option} was given, but {file.name} is read as {file_format}. Leave it out")
        columns = self.options.columns
        rows = _READERS[file_format](file, columns)
        if self.options.missing:
            rows = MissingValues(self.options.missing, self.log).rows(rows)
        return with_joined_texts(rows, columns.more) if columns.more and file_format not in _WITHOUT_COLUMNS else rows

    def _folder_rows(self, folder: Path, name: str) -> Iterator[Row]:
        if (folder / "run.json").is_file() or (folder / "model.json").is_file():
            raise CorpusError(f"{name} is a run of topicnet, expected a corpus. Name the text it was fitted to")
        asked = self.options.file_format
        if asked == "octis" or (asked is None and is_octis(folder)):
            return self._file_rows(folder / OCTIS_CORPUS, "octis")
        kind, files = files_of_folder(folder, asked)
        if kind == "txt":
            return folder_rows(files, self.options, self.log)
        return chain.from_iterable(self._file_rows(path, split_ending(path.name)[1]) for _, path in files)


def _batches(rows: Iterator[Row], batch_docs: int, log: ReadingLog) -> Iterator[Documents]:
    batch, numbered, n_characters = Documents([], [], []), list[int](), 0
    already = log.skipped.count
    for number, (key, text, others) in enumerate(rows, 1):
        if n_characters + len(text) > _BATCH_CHARACTERS and batch.ids:
            yield replace(batch, n_bytes=log.n_bytes, numbered=numbered)
            batch, numbered, n_characters = Documents([], [], []), [], 0
        if not key:
            numbered.append(len(batch.ids))
        batch.ids.append(key or str(number + log.skipped.count - already))  # a row that was left out keeps its number
        batch.texts.append(text)
        batch.metadata.append(others)
        n_characters += len(text)
        if len(batch.ids) == batch_docs:
            yield replace(batch, n_bytes=log.n_bytes, numbered=numbered)
            batch, numbered, n_characters = Documents([], [], []), [], 0
    if batch.ids:
        yield replace(batch, n_bytes=log.n_bytes, numbered=numbered)
