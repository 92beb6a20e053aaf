"""Resolution of the files, folders, archives and patterns that a user names to the list of files to read."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path, PurePath
from typing import IO

from topicnet.errors import CorpusError
from topicnet.text.readers.compression import COMPRESSIONS
from topicnet.text.readers.documents import LONE_SURROGATE, Columns, ReadingLog, ReadingOptions, Row, Value, shown
from topicnet.text.readers.encodings import marked_encoding
from topicnet.text.readers.limits import regular_file
from topicnet.text.readers.office import OFFICE, Scans, office_text
from topicnet.text.readers.open_text import File, reading
from topicnet.text.readers.units import file_rows

ENDINGS = {
    ".txt": "txt", ".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
    ".mallet": "mallet", ".ris": "ris", ".nbib": "pubmed", ".parquet": "parquet",
    ".xlsx": "xlsx", ".xlsm": "xlsx", ".xls": "xls", ".xlsb": "xlsb", ".ods": "ods",
    ".db": "sqlite", ".sqlite": "sqlite", ".sqlite3": "sqlite", ".duckdb": "duckdb", ".pdf": "pdf", ".docx": "docx",
}  # fmt: skip
ARCHIVE = ".zip"
DOCUMENTS = ("txt", *OFFICE)  # formats whose files in a folder are one document each
_RECORDS = ("wos", "ris", "pubmed")
TYPED = ("parquet", "xlsx", "xls", "xlsb", "ods", "sqlite", "duckdb", *OFFICE)  # not read from within an archive
_PACKABLE = [ending for ending, kind in ENDINGS.items() if kind not in TYPED]
_WHOLE = [ending for ending, kind in ENDINGS.items() if kind in TYPED]
KNOWN = (
    f"{', '.join(_PACKABLE)} (each also with {', '.join(list(COMPRESSIONS)[:-1])} or {list(COMPRESSIONS)[-1]}),"
    f" {', '.join(_WHOLE)}, a folder or {ARCHIVE} of .txt, .pdf and .docx files or of tables, a pattern such as *.csv,"
    " or - for standard input"
)
_OF_SYSTEMS = ("__MACOSX", "Thumbs.db", "desktop.ini")
_STREAMS = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")  # paths of the shell's pipes
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]{1,9}://|www\.[a-z0-9-]+\.", re.IGNORECASE)
_SNIFFED, _SNIFFED_BYTES = 5, 1 << 13  # files to examine, and bytes of each
_KINDS = ((stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"))


@dataclass(frozen=True)
class Found:
    """A file in a folder, or a member of an archive.

    Attributes
    ----------
    relative : str
        Path relative to the folder, with slashes.
    path : Path
    file_format : str
        Format detected from the extension; "" if unknown.
    opener : callable, optional
        Opens the archive member.
    """

    relative: str
    path: Path
    file_format: str
    opener: Callable[[], IO[bytes]] | None = None

    @property
    def name(self) -> str:
        """Relative path with undecodable characters replaced, used as document id."""
        return LONE_SURROGATE.sub("\ufffd", self.relative)

    def file(self, options: ReadingOptions, log: ReadingLog) -> File:
        """Return the `File` that reads it."""
        return File(self.path, options, log, self.opener)


def split_ending(name: str) -> tuple[str, str]:
    """Split a file name into its stem and its format; with an unknown extension, the whole name and "".

    Examples
    --------
    >>> split_ending("Posts.CSV.gz"), split_ending("notes.rtf")
    (('Posts', 'csv'), ('notes.rtf', ''))
    """
    lower = name.lower()
    compression = next((ending for ending in COMPRESSIONS if lower.endswith(ending)), "")
    plain = name[: len(name) - len(compression)]
    for ending, file_format in ENDINGS.items():
        if plain.lower().endswith(ending) and not (compression and file_format in TYPED):
            return plain[: -len(ending)], file_format
    return name, ""


def is_archive(path: Path) -> bool:
    """Return whether a path has the extension of a zip archive."""
    return path.suffix.lower() == ARCHIVE


# --- sources and patterns ---


def named_sources(source: str | Path | Sequence[str | Path]) -> list[str | Path]:
    """List the sources in order, with each pattern replaced by the files it matches.

    Raises
    ------
    CorpusError
        No source was given, a source is a web address, or a pattern matches no file.
    """
    given = [source] if isinstance(source, str | os.PathLike) else list(source)
    if not given:
        raise CorpusError("no source was given, expected at least one file, folder or pattern. Name one")
    for one in given:
        if isinstance(one, str) and _ADDRESS.match(one) and not os.path.lexists(one):
            raise CorpusError(
                f"{shown(one)} is a web address, expected a file: nothing is downloaded. Fetch the file and name it"
            )
    return [path for one in given for path in (_matches(str(one)) if is_pattern(one) else [one])]


def root_of_texts(
    source: str | Path | Sequence[str | Path], named: Sequence[str | Path], file_format: str | None
) -> Path | None:
    """Return the folder that the ids of text files are relative to, if each file is one document.

    That is so if there are several or a pattern matched them. Return None for a single named file, whose lines are the
    documents, and if there are tables among the files.
    """
    given = [source] if isinstance(source, str | os.PathLike) else list(source)
    texts = texts_among(named, file_format)
    if len(texts) < sum(os.path.isfile(one) and split_ending(Path(one).name)[1] != "" for one in named):
        return None  # a table among them, which texts are not combined with
    has_pattern = any(is_pattern(one) for one in given)
    n_others = sum(str(one) != "-" and os.path.isdir(one) for one in named)
    if not texts or (len(texts) + n_others < 2 and not has_pattern):
        return None
    if has_pattern and len(given) == 1:
        return _split_pattern(str(given[0]))[0]
    return Path(os.path.commonpath([os.path.abspath(path.parent) for path in texts]))


def texts_among(named: Sequence[str | Path], file_format: str | None) -> list[Path]:
    """Select the sources that are text, PDF or Word files; all files if their format is given as text."""
    files = [Path(one) for one in named if os.path.isfile(one)]
    return [path for path in files if file_format == "txt" or split_ending(path.name)[1] in DOCUMENTS]


def relative_to(path: Path, root: Path) -> str:
    """Return the path relative to a folder, with slashes; only the file name if it is outside the folder."""
    inside = os.path.relpath(os.path.abspath(path), os.path.abspath(root))
    return path.name if inside.startswith("..") else PurePath(inside).as_posix()


def is_pattern(source: str | Path) -> bool:
    """Return whether a source has a wildcard and is not the name of an existing file."""
    with reading(shown(str(source))):
        return glob.has_magic(str(source)) and not Path(source).exists()


def _matches(pattern: str) -> list[str | Path]:
    with reading(shown(pattern)):
        found = _matches_below(pattern) if "**" in Path(pattern).parts else map(Path, glob.iglob(pattern))
        files = sorted((path for path in found if os.path.isfile(path)), key=lambda path: path.as_posix())
    if not files:
        raise CorpusError(f"no file matches {shown(pattern)}, expected at least one. Check the pattern")
    return list(files)


def _split_pattern(pattern: str) -> tuple[Path, tuple[str, ...]]:
    """Split a pattern into its leading folder without wildcards and the remaining parts."""
    parts = Path(pattern).parts
    fixed = next((place for place, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return Path(*parts[:fixed]), parts[fixed:]


def _matches_below(pattern: str) -> Iterator[Path]:
    """Yield the files that match a pattern with ``**``; linked folders are not entered, as they may form loops."""
    parts = Path(pattern).parts
    first = parts.index("**")
    matcher = re.compile(_expression(parts[first:]))
    top = Path(*parts[:first])
    tops = [Path(one) for one in glob.iglob(str(top))] if glob.has_magic(str(top)) else [top]
    for folder in tops:
        if folder.is_dir():
            yield from (folder / one.relative for one in _walk(folder)[0] if matcher.fullmatch(one.relative))


def _expression(parts: Sequence[str]) -> str:
    """Translate the parts of a pattern to a regular expression; as in `glob`, wildcards do not match a leading dot."""
    expression = ""
    for place, part in enumerate(parts):
        last = place == len(parts) - 1
        if part != "**":
            visible = "" if part.startswith(".") else r"(?!\.)"
            one = fnmatch.translate(part).replace("(?s:", "(?:").removesuffix(r"\Z").replace(".*", "[^/]*")
            expression += visible + one + ("" if last else "/")
        elif last:
            expression += r"(?:(?!\.)[^/]+/)*(?!\.)[^/]+"
        elif parts[place + 1] != "**":
            expression += r"(?:(?!\.)[^/]+/)*"
    return expression


# --- contents of a folder ---


@dataclass(frozen=True)
class Contents:
    """The files of a folder or archive to read: texts, optionally with a table of metadata, or tables.

    Attributes
    ----------
    are_texts : bool
        The files are texts, one document each; otherwise tables.
    files : list of Found
    table : Found, optional
        A table that may hold metadata of the texts.
    """

    are_texts: bool
    files: list[Found]
    table: Found | None = None


def contents_of_folder(folder: Path, file_format: str | None, log: ReadingLog | None = None) -> Contents:
    """Select the files of a folder to read, sorted; see `contents_of`."""
    found, linked = _walk(folder)
    if linked and log is not None:
        log.notice(f"{shown(str(folder))} has linked folders, which are not entered, such as {shown(linked[0])}")
    return contents_of(found, shown(str(folder)), file_format, log or ReadingLog())


def contents_of(found: list[Found], name: str, file_format: str | None, log: ReadingLog) -> Contents:
    """Select the files to read, without hidden files and files of the operating system.

    Raises
    ------
    CorpusError
        There is no file of a known format (or of `file_format`), or there are both texts and tables.
    """
    found = _without_hidden(found, name, log)
    if file_format is not None:
        chosen = [one for one in found if one.file_format == file_format]
        if not chosen and file_format in _RECORDS:  # often exported as .txt
            chosen = [replace(one, file_format=file_format) for one in found if one.file_format == "txt"]
        if not chosen:
            raise CorpusError(f"no {file_format} files in {name}, expected at least one. Check --format")
        return Contents(file_format in DOCUMENTS, chosen)
    texts = [one for one in found if one.file_format in DOCUMENTS]
    tables = [one for one in found if one.file_format not in ("", *DOCUMENTS)]
    records = [one for one in tables if split_ending(one.relative)[0] + ".json" == one.relative]
    if texts or len(records) < len(tables):  # JSON next to other files often describes the data set
        _note_passed_over(records, name, ": name them to read them", log)
        tables = [one for one in tables if one not in records]
    _note_passed_over([one for one in found if is_archive(one.path)], name, ": name it or unpack it to read it", log)
    if texts and tables:
        table = tables[0] if len(tables) == 1 and tables[0].file_format in ("csv", "tsv") else None
        if table is None:
            raise both_kinds(name, texts, tables)
        return Contents(True, texts, table)
    if not texts and not tables:
        return Contents(True, _without_ending(found, name, log))
    return Contents(not tables, texts or tables)


def both_kinds(name: str, texts: list[Found], tables: list[Found]) -> CorpusError:
    """Build the error about a folder with both texts and tables."""
    return CorpusError(
        f"{name} holds {len(texts)} {texts[0].path.suffix} file(s), such as {shown(texts[0].relative)}, and"
        f" {len(tables)} table(s), such as {shown(tables[0].relative)}, expected one kind, or texts and one table with"
        f" a column of their names. Name the files with a pattern, such as '{name}/*.csv', or their format with"
        " --format"
    )


def _without_hidden(found: list[Found], name: str, log: ReadingLog) -> list[Found]:
    def is_hidden(one: Found) -> bool:
        parts = one.relative.split("/")
        return any(part.startswith(".") or part in _OF_SYSTEMS for part in parts) or parts[-1].startswith("~$")

    hidden = [one for one in found if is_hidden(one)]
    known = [one for one in hidden if one.file_format and PurePath(one.relative).name not in _OF_SYSTEMS]
    _note_passed_over(known, name, "", log, "hidden ")
    return [one for one in found if not is_hidden(one)] if hidden else found


def _note_passed_over(files: list[Found], name: str, remedy: str, log: ReadingLog, kind: str = "") -> None:
    if files:
        count = f"1 {kind}file" if len(files) == 1 else f"{len(files):,} {kind}files"
        log.notice(f"skipped {count} in {name}, such as {shown(files[0].relative)}{remedy}")


def _without_ending(found: list[Found], name: str, log: ReadingLog) -> list[Found]:
    """Select the files without an extension, provided that the first ones are text.

    Raises
    ------
    CorpusError
        There is no such file, or one of the first is not text.
    """
    bare = [one for one in found if not PurePath(one.relative).suffix or PurePath(one.relative).name.isdigit()]
    if not bare or not all(is_text(one.file(ReadingOptions(), log)) for one in bare[:_SNIFFED]):
        raise CorpusError(
            f"no .txt or .txt.gz files in {name}, expected one per document; no tables ({', '.join(_PACKABLE[1:])},"
            " .parquet, .xlsx) and no .pdf or .docx files either. Check the folder"
        )
    log.notice(
        f"files in {name} have no extension, such as {shown(bare[0].relative)}: read as text, one document per file"
    )
    return bare


def is_text(file: File) -> bool:
    """Return whether the first bytes of a file look like text."""
    try:
        head = file.first_bytes(_SNIFFED_BYTES)
    except CorpusError:
        return False
    return b"\0" not in head or marked_encoding(head) is not None


def _walk(folder: Path) -> tuple[list[Found], list[str]]:
    """Return two sorted lists: all files below a folder, and the linked folders, which are not entered.

    Raises
    ------
    OSError
        A folder cannot be listed, so that its documents would be lost.
    CorpusError
        A pipe, socket or device has a known extension.
    """
    found: list[Found] = []
    linked: list[str] = []
    folders = [""]
    while folders:
        before = folders.pop()
        with os.scandir(folder / before) as entries:
            for entry in entries:
                relative = before + entry.name
                if entry.is_dir(follow_symlinks=False):
                    folders.append(relative + "/")
                elif entry.is_dir():
                    linked.append(relative)
                else:
                    file_format = split_ending(entry.name)[1]
                    if file_format and not entry.is_file():
                        refuse_special(folder / relative)
                    found.append(Found(relative, folder / relative, file_format))
    return sorted(found, key=lambda one: one.relative), sorted(linked)


def refuse_special(path: Path) -> None:
    """Raise CorpusError for a named pipe, socket or device, which may never end, except for the shell's own pipes."""
    with reading(shown(str(path))):
        mode = os.stat(path).st_mode if os.path.exists(path) else stat.S_IFREG
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode) or str(path).startswith(_STREAMS):
        return
    kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "a device")
    raise CorpusError(f"{shown(str(path))} is {kind}, expected a file. Name a file, or pipe into -")


def is_stream(path: Path) -> bool:
    """Return whether a path is one of the shell's pipes, which cannot be read twice."""
    return str(path).startswith(_STREAMS) and not path.is_file()


def unchanged(path: Path) -> Iterator[Row]:
    """Return an empty iterator that raises CorpusError, when reached, if the file has changed since this call."""
    before = _state(path)

    def check() -> Iterator[Row]:
        if _state(path) != before:
            raise CorpusError(
                f"{shown(str(path))} has changed while it was read. Read it again when nothing writes to it"
            )
        yield from ()

    return check()


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev


def folder_rows(
    files: list[Found],
    options: ReadingOptions,
    log: ReadingLog,
    metadata: dict[str, dict[str, str | None]] | None = None,
    *,
    scans: Scans,
    has_folders: bool | None = None,
) -> Iterator[Row]:
    """Yield one row per file, with its relative path as id and, if there are sub-folders, its folder as metadata.

    Parameters
    ----------
    files : list of Found
    options : ReadingOptions
    log : ReadingLog
    metadata : dict, optional
        Further metadata of each file, by relative path.
    scans : Scans
        Collects pages without text, to be reported after the last file.
    has_folders : bool, optional
        Add the folder to the metadata. Default: whether any of the files is in a sub-folder.
    """
    if has_folders is None:
        has_folders = any("/" in one.relative for one in files)
    for one in files:
        others: dict[str, Value] = {"folder": one.name.rpartition("/")[0]} if has_folders else {}
        others |= (metadata or {}).get(one.relative, {})
        file = one.file(options, log)
        if (options.file_format or one.file_format) in OFFICE:
            rows = _office_rows(file, one, others, scans)
        else:
            rows = file_rows(file, one.name, others)
        for key, text, metadata_of_row in rows if one.opener is not None else chain(rows, unchanged(one.path)):
            scans.note_text(text)
            yield key, text, metadata_of_row


def _office_rows(file: File, one: Found, others: dict[str, Value], scans: Scans) -> Iterator[Row]:
    """Yield the row of a PDF or Word file; nothing if it is skipped."""
    if one.opener is not None:
        raise CorpusError(f"{shown(str(one.path))} cannot be read within {ARCHIVE}. Unpack it and name the folder")
    try:
        text = office_text(file, file.options.file_format or one.file_format, scans)
    except CorpusError as error:
        if not file.skips or isinstance(error.__cause__, ImportError | OSError):
            raise
        file.log.skipped.add(file.name, _reason(file, error))
        return
    file.log.n_bytes += regular_file(file).stat().st_size
    yield one.name, text, others


def _reason(file: File, error: CorpusError) -> str:
    """Extract the description of the fault from an error message."""
    return str(error).removeprefix(f"{file.name} ").rsplit(". ", 1)[0].split(", expected")[0].removeprefix("is ")


def office_rows(file: File, _: Columns) -> Iterator[Row]:
    """Yield the one document of a PDF or Word file, with the file name as id."""
    path, scans = regular_file(file), Scans()
    found = Found(path.name, path, split_ending(path.name)[1])
    yield from folder_rows([found], file.options, file.log, scans=scans)
    scans.report(file.log)
