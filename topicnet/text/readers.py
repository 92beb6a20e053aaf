"""From a path to batches of documents: lines, folders, CSV, TSV and JSON Lines, plain or gzipped, and stdin.

N documents in, N documents out, in order. Everything streams: bytes are decoded chunk by chunk, so memory
holds one batch and one chunk whatever the size of the file. Only ``\\n`` and ``\\r\\n`` end a line.
"""

import codecs
import csv
import gzip
import json
import os
import re
import signal
import sys
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from topicnet.errors import CorpusError, InputError

Value = str | int | float | bool | None
_Row = tuple[str, str, dict[str, Value]]  # id ("" where the source has none), text, metadata

_CHUNK_BYTES = 1 << 18
_FIELD_LIMIT = 2**31 - 1  # csv's, in characters: what fits a C long on every platform
_MAX_LISTED = 20  # columns named in a message
_ENDINGS = (".txt", ".csv", ".tsv", ".jsonl", ".ndjson")
_KNOWN = f"{', '.join(_ENDINGS)} (each also with .gz), a folder of .txt files, or - for standard input"
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_JSON_KINDS = {
    dict: "an object", list: "an array", str: "a string", int: "a number", float: "a number",
    bool: "a boolean", type(None): "null",
}  # fmt: skip


@dataclass(frozen=True)
class Documents:
    """One batch of documents in input order; the three lists have equal length.

    Attributes
    ----------
    ids : list of str
        The id column, or the document's number in the whole source, from 1.
    texts : list of str
        The texts as they stand in the source; an empty document is ``""``.
    metadata : list of dict
        The other columns, scalars only; ``{}`` where the source has none.
    """

    ids: list[str]
    texts: list[str]
    metadata: list[dict[str, Value]]


def read_documents(
    source: str | Path,
    *,
    text_column: str = "text",
    id_column: str | None = None,
    encoding: str = "utf-8",
    batch_docs: int = 10_000,
) -> Iterator[Documents]:
    """Read documents in batches, in input order; a source without documents yields nothing.

    Parameters
    ----------
    source : str or Path
        ``.txt`` (a document a line), ``.csv``, ``.tsv``, ``.jsonl`` or ``.ndjson``, each also with ``.gz``; a
        folder (each ``.txt`` or ``.txt.gz`` below it is a document); ``-`` for standard input (as ``.txt``).
    text_column : str
        Column that holds the text. Formats without columns ignore it, and `id_column` too.
    id_column : str, optional
        Column that holds the ids; by default ``id`` where there is one, else documents are numbered from 1.
    encoding : str
        Any text encoding Python knows. A byte order mark at the start of a file is dropped.
    batch_docs : int
        Most documents in one batch.

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
    _check_encoding(encoding)
    return _batches(_rows(source, text_column, id_column, encoding), batch_docs)


def _let_ctrl_c_through() -> None:
    """Make a blocking read end at Ctrl-C: polars, once imported, leaves system calls to be restarted instead."""
    if threading.current_thread() is threading.main_thread():
        signal.siginterrupt(signal.SIGINT, True)


def source_name(source: str | Path) -> str:
    """Short name: ``corpus.jsonl.gz`` gives ``corpus``, ``-`` gives ``stdin``, a folder its own name."""
    if str(source) == "-":
        return "stdin"
    path = Path(source)
    if path.is_dir():
        return path.resolve().name or "corpus"
    return _split_ending(path.name)[0] or path.name


def _batches(rows: Iterator[_Row], batch_docs: int) -> Iterator[Documents]:
    number = 1
    while batch := list(islice(rows, batch_docs)):
        ids = [key or str(i) for i, (key, _, _) in enumerate(batch, number)]
        yield Documents(ids, [text for _, text, _ in batch], [metadata for _, _, metadata in batch])
        number += len(batch)


def _rows(source: str | Path, text_column: str, id_column: str | None, encoding: str) -> Iterator[_Row]:
    if str(source) == "-":
        return _text_rows(_File(None, encoding))
    path = Path(source)
    file = _File(path, encoding)
    with _reading(file.name):
        if not path.exists():
            raise CorpusError(f"no such file or folder: {file.name}; expected {_KNOWN}. Check the path")
        if path.is_dir():
            if (path / "run.json").is_file() or (path / "model.json").is_file():
                raise CorpusError(
                    f"{file.name} is a run of topicnet, expected a corpus. Name the text it was fitted to"
                )
            return _folder_rows(_text_files(path), encoding)
    match _split_ending(path.name)[1]:
        case ".txt":
            return _text_rows(file)
        case ".csv":
            return _csv_rows(file, text_column, id_column, ",")
        case ".tsv":
            return _csv_rows(file, text_column, id_column, "\t")
        case ".jsonl" | ".ndjson":
            return _json_rows(file, text_column, id_column)
    raise CorpusError(f"unknown format of {file.name}, expected {_KNOWN}. Convert or rename it")


def _split_ending(name: str) -> tuple[str, str]:
    """Split ``Posts.CSV.gz`` into ``Posts`` and ``.csv``; an unknown ending stays on the name."""
    plain = name[:-3] if name.lower().endswith(".gz") else name
    for ending in _ENDINGS:
        if plain.lower().endswith(ending):
            return plain[: -len(ending)], ending
    return name, ""


def _check_encoding(encoding: str) -> None:
    try:
        "\n".encode(encoding)  # bytes-to-bytes codecs such as hex fail here too
        codecs.getincrementaldecoder(encoding)
    except (LookupError, ValueError) as error:
        raise CorpusError(
            f"unknown encoding {encoding!r}, expected one such as utf-8, latin-1 or utf-16. Use --encoding"
        ) from error


@dataclass(frozen=True)
class _File:
    """One file to read; standard input where `path` is None."""

    path: Path | None
    encoding: str

    @property
    def name(self) -> str:
        return "standard input" if self.path is None else _shown(str(self.path))

    def at(self, line: int) -> str:
        return f"line {line} of {self.name}"

    def lines(self) -> Iterator[str]:
        """Lines as they stand, with their endings; only a newline ends one."""
        pending: list[str] = []  # the unfinished last line in parts, joined once however long it grows
        for text in self.chunks():
            *ended, rest = text.split("\n")
            if ended:
                ended[0] = "".join((*pending, ended[0]))
                pending.clear()
                for line in ended:
                    yield line + "\n"
            pending.append(rest)
        if last := "".join(pending):
            yield last

    def chunks(self) -> Iterator[str]:
        """Decoded text in order, without a byte order mark."""
        decoder = codecs.getincrementaldecoder(self.encoding)()
        line, at_start, data = 1, True, b"..."
        with _reading(self.name), self._open() as file:
            while data:
                data = file.read(_CHUNK_BYTES)
                text = self._decode(decoder, data, line)
                if (nul := text.find("\0")) >= 0:
                    line += text.count("\n", 0, nul)
                    raise CorpusError(
                        f"{self.name} looks like a binary file (a NUL byte on line {line}), expected text in "
                        f"{self.encoding!r}. If it is text, name its encoding, such as --encoding utf-16"
                    )
                line += text.count("\n")
                if text:
                    yield text.removeprefix("\ufeff") if at_start else text
                    at_start = False

    def _open(self) -> AbstractContextManager[BinaryIO | gzip.GzipFile]:
        if self.path is None:
            if sys.stdin is None:
                raise CorpusError("standard input is closed, expected documents. Pipe some in or name a file")
            _let_ctrl_c_through()
            return nullcontext(sys.stdin.buffer)
        return gzip.open(self.path, "rb") if self.name.lower().endswith(".gz") else self.path.open("rb")

    def _decode(self, decoder: codecs.IncrementalDecoder, data: bytes, line: int) -> str:
        flags = decoder.getstate()[1]
        try:
            return decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            decoder.setstate((b"", flags))  # to count lines in what comes before the bad byte
            line += decoder.decode(error.object[: error.start]).count("\n")
            raise CorpusError(
                f"{self.at(line)} has the byte 0x{error.object[error.start]:02x}, expected text in "
                f"{self.encoding!r}. Name its encoding, such as --encoding latin-1"
            ) from error
        except UnicodeError as error:  # what a codec says of a whole stream: no byte order mark
            raise CorpusError(
                f"{self.name} is not text in {self.encoding!r} ({_shown(str(error))}). "
                "Name its encoding, such as --encoding utf-8 or utf-16-le"
            ) from error


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Turn what the operating system and gzip raise into a CorpusError."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise CorpusError(
            f"{name} is a damaged or cut-off gzip file ({_shown(str(error))}). Fetch or compress it again"
        ) from error
    except OSError as error:
        reason = error.strerror or _shown(str(error))
        raise CorpusError(f"cannot read {name}: {reason}. Check the path and its permissions") from error


def _text_rows(file: _File) -> Iterator[_Row]:
    for line in file.lines():
        yield "", line[:-2] if line.endswith("\r\n") else line.removesuffix("\n"), {}


def _text_files(folder: Path) -> list[tuple[str, Path]]:
    """Relative posix path and path of every text file below a folder, sorted by the first."""

    def fail(error: OSError) -> None:
        raise error  # else os.walk skips a folder it may not open, and its documents are lost

    paths = [Path(top, name) for top, _, names in os.walk(folder, onerror=fail) for name in names]
    files = [(p.relative_to(folder).as_posix(), p) for p in paths if _split_ending(p.name)[1] == ".txt"]
    if not files:
        raise CorpusError(f"no .txt or .txt.gz files in {_shown(str(folder))}, expected one a document")
    return sorted(files)


def _folder_rows(files: list[tuple[str, Path]], encoding: str) -> Iterator[_Row]:
    for relative, path in files:
        yield _LONE_SURROGATE.sub("\ufffd", relative), "".join(_File(path, encoding).chunks()), {}


def _csv_rows(file: _File, text_column: str, id_column: str | None, delimiter: str) -> Iterator[_Row]:
    records = _csv_records(file, delimiter)
    header = next((fields for _, fields in records if fields), [])
    if not header:
        return
    if len(set(header)) < len(header):
        twice = next(name for i, name in enumerate(header) if name in header[:i])
        raise CorpusError(f"{file.name} has two columns {twice!r}, expected different names. Rename one")
    if text_column not in header or (id_column is not None and id_column not in header):
        raise _no_column(file.name, header, text_column, id_column)
    key_column = "id" if id_column is None else id_column
    for line, fields in records:
        if not fields and len(header) > 1:
            continue  # a blank line between rows; in a table of one column it is an empty cell
        fields = fields or [""]
        if len(fields) != len(header):
            raise CorpusError(
                f"{file.at(line)} has {len(fields)} field(s), expected {len(header)} as in the "
                "header. Quote fields that hold the delimiter, a quote or a newline"
            )
        record: dict[str, Any] = dict(zip(header, fields, strict=True))
        key = record.get(key_column, "")
        text = record.pop(text_column)
        record.pop(key_column, None)
        yield key, text, record


def _csv_records(file: _File, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Records, blank ones too, each with the line it starts on. Strict: an open quote may not swallow the rest."""
    csv.field_size_limit(_FIELD_LIMIT)
    reader = csv.reader(file.lines(), delimiter=delimiter, strict=True)
    line = 1
    try:
        for fields in reader:
            yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        raise CorpusError(
            f"{file.at(line)} is not well-formed ({_shown(str(error))}). Quote fields that hold "
            'the delimiter, a quote or a newline, and write a quote inside them as ""'
        ) from error


def _json_rows(file: _File, text_column: str, id_column: str | None) -> Iterator[_Row]:
    key_column = "id" if id_column is None else id_column
    for number, line in enumerate(file.lines(), 1):
        if line.isspace():
            continue
        record = _json_object(file, number, line)
        if text_column not in record or (id_column is not None and id_column not in record):
            raise _no_column(file.at(number), record, text_column, id_column)
        key = record.get(key_column)
        text = record.pop(text_column)
        record.pop(key_column, None)
        if text is not None and not isinstance(text, str):
            raise CorpusError(
                f"{file.at(number)} has {_JSON_KINDS[type(text)]} in the column {text_column!r}, expected a "
                "string or null. Convert it, or name another column with --text-column"
            )
        yield "" if key is None else str(key), text or "", _scalars(record)


def _json_object(file: _File, number: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CorpusError(
            f"{file.at(number)} is not JSON ({_shown(str(error))}), expected an object. Mend or remove it"
        ) from error
    if not isinstance(record, dict):
        found = _JSON_KINDS[type(record)]
        raise CorpusError(f"{file.at(number)} holds {found}, expected an object. Mend or remove it")
    if "\\" in line and ("\\ud" in line or "\\uD" in line):  # only an escape brings a lone surrogate in
        return {_sound(key): _sound(value) for key, value in record.items()}
    return record


def _sound(value: Any) -> Any:
    return _LONE_SURROGATE.sub("\ufffd", value) if isinstance(value, str) else value


def _scalars(record: dict[str, Any]) -> dict[str, Value]:
    """Keep what a table can hold: nested values are dropped, integers beyond 64 bits become text."""
    return {
        key: str(value) if type(value) is int and not -(2**63) <= value < 2**63 else value
        for key, value in record.items()
        if type(value) is not dict and type(value) is not list
    }


def _no_column(where: str, names: Iterable[str], text_column: str, id_column: str | None) -> CorpusError:
    no_text = text_column not in names
    column, option = (text_column, "--text-column") if no_text else (id_column, "--id-column")
    columns = [_shown(name) for name in names]
    more = f", ... ({len(columns)} in all)" if len(columns) > _MAX_LISTED else ""
    listed = ", ".join(columns[:_MAX_LISTED]) or "none"
    return CorpusError(f"no column {column!r} in {where}; it has: {listed}{more}. Name one with {option}")


def _shown(name: str) -> str:
    """Escape what is not printable: a message is one line whatever a file is called."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
