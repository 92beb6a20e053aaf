"""From what a user names (files, folders, patterns) to the files to read, in order."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from topicnet.errors import CorpusError
from topicnet.text.readers.documents import LONE_SURROGATE, Columns, ReadingLog, ReadingOptions, Row, shown
from topicnet.text.readers.limits import regular_file
from topicnet.text.readers.office import OFFICE, Scans, office_text
from topicnet.text.readers.open_text import COMPRESSIONS, File, reading

ENDINGS = {
    ".txt": "txt", ".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".mallet": "mallet",
    ".parquet": "parquet", ".xlsx": "xlsx", ".xlsm": "xlsx", ".xls": "xls", ".xlsb": "xlsb", ".ods": "ods",
    ".db": "sqlite", ".sqlite": "sqlite", ".sqlite3": "sqlite", ".duckdb": "duckdb", ".ris": "ris", ".nbib": "pubmed",
    ".pdf": "pdf", ".docx": "docx", ".json": "jsonl",
}  # fmt: skip
_TYPED = ("parquet", "xlsx", "xls", "xlsb", "ods", "sqlite", "duckdb", *OFFICE)  # compressed inside
DOCUMENTS = ("txt", *OFFICE)  # formats whose files are a document each in a folder
_COMPRESSED = ", ".join(ending for ending, kind in ENDINGS.items() if kind not in _TYPED)
KNOWN = (
    f"{_COMPRESSED} (each also with .gz or .zst), {', '.join(one for one in ENDINGS if ENDINGS[one] in _TYPED)},"
    " a folder of .txt, .pdf and .docx files or of tables, "
    "a pattern such as *.csv, or - for standard input"
)


def split_ending(name: str) -> tuple[str, str]:
    """Split ``Posts.CSV.gz`` into ``Posts`` and ``csv``; an unknown ending stays on the name, and has no format."""
    lower = name.lower()
    compression = next((ending for ending in COMPRESSIONS if lower.endswith(ending)), "")
    plain = name[: len(name) - len(compression)]
    for ending, file_format in ENDINGS.items():
        if plain.lower().endswith(ending) and not (compression and file_format in _TYPED):
            return plain[: -len(ending)], file_format
    return name, ""


def named_sources(source: str | Path | Sequence[str | Path]) -> list[str | Path]:
    """The sources in order: each path as it is, each pattern as the files it matches.

    Raises
    ------
    CorpusError
        No source at all, or a pattern that matches no file.
    """
    given = [source] if isinstance(source, str | os.PathLike) else list(source)
    if not given:
        raise CorpusError("no source was given, expected at least one file, folder or pattern. Name one")
    return [path for one in given for path in (_matches(str(one)) if _is_pattern(one) else [one])]


def _is_pattern(source: str | Path) -> bool:
    with reading(shown(str(source))):
        return glob.has_magic(str(source)) and not Path(source).exists()


def _matches(pattern: str) -> list[str | Path]:
    with reading(shown(pattern)):
        files = sorted(Path(match) for match in glob.iglob(pattern, recursive=True) if os.path.isfile(match))
    if not files:
        raise CorpusError(f"no file matches {shown(pattern)}, expected at least one. Check the pattern")
    return list(files)


def files_of_folder(folder: Path, file_format: str | None) -> tuple[str, list[tuple[str, Path]]]:
    """Whether a folder holds texts ("txt") or tables (""), and its files: relative posix path and path, sorted.

    Raises
    ------
    CorpusError
        No file of a known format (or of the one given), or both texts and tables.
    """
    found = [(relative, path, split_ending(path.name)[1]) for relative, path in _walk(folder)]
    if file_format is not None:
        found = [file for file in found if file[2] == file_format]
        if not found:
            raise CorpusError(f"no {file_format} files in {shown(str(folder))}, expected at least one. Check --format")
    texts = [(relative, path) for relative, path, kind in found if kind in DOCUMENTS]
    tables = [(relative, path) for relative, path, kind in found if kind and kind not in DOCUMENTS]
    objects = [table for table in tables if table[1].name.lower().endswith(".json")]
    if texts or len(objects) < len(tables):  # beside other files they describe these
        tables = [table for table in tables if table not in objects]
    name = shown(str(folder))
    if texts and tables:
        raise CorpusError(
            f"{name} holds {len(texts)} {texts[0][1].suffix} file(s), such as {shown(texts[0][0])}, and {len(tables)}"
            f" table(s), such as {shown(tables[0][0])}, expected one kind. Name the files with a pattern, such as"
            f" '{name}/*.csv', or their format with --format"
        )
    if not texts and not tables:
        raise CorpusError(
            f"no .txt or .txt.gz files in {name}, expected one a document, nor tables ({_COMPRESSED[6:]}, .parquet,"
            " .xlsx), nor .pdf or .docx files. Check the folder"
        )
    return ("txt", texts) if texts else ("", tables)


def _walk(folder: Path) -> list[tuple[str, Path]]:
    def fail(error: OSError) -> None:
        raise error  # else os.walk skips a folder it may not open, and its documents are lost

    paths = [Path(top, name) for top, _, names in os.walk(folder, onerror=fail) for name in names]
    paths = [path for path in paths if not path.name.startswith("~$")]  # Word's note that a file is open
    return sorted((path.relative_to(folder).as_posix(), path) for path in paths)


def folder_rows(files: list[tuple[str, Path]], options: ReadingOptions, log: ReadingLog) -> Iterator[Row]:
    """A document a file, its relative path the id; where there are sub-folders, the metadata says which it is in."""
    has_folders = any("/" in relative for relative, _ in files)
    scans = Scans()
    for name, path in files:
        file = File(path, options, log)
        relative = LONE_SURROGATE.sub("\ufffd", name)
        text = _document(file, options.file_format or split_ending(path.name)[1], scans)
        if text is None:
            continue
        scans.note_text(text)
        yield relative, text, {"folder": relative.rpartition("/")[0]} if has_folders else {}
    scans.report(log)


def _document(file: File, kind: str, scans: Scans) -> str | None:
    """The text of a file that is one document; None for one that was left out."""
    if kind in OFFICE:
        try:
            text = office_text(file, kind, scans)
        except CorpusError as error:
            if not file.skips or isinstance(error.__cause__, ImportError | OSError):
                raise
            file.log.skipped.add(file.name, _reason(file, error))
            return None
        file.log.n_bytes += regular_file(file).stat().st_size
        return text
    text = "".join(file.chunks())
    why = file.fault(text) if file.skips else None
    if why is not None:
        file.log.skipped.add(file.name, why)
        return None
    return text


def _reason(file: File, error: CorpusError) -> str:
    """The part of a message that says what is wrong with a file."""
    return str(error).removeprefix(f"{file.name} ").rsplit(". ", 1)[0].split(", expected")[0].removeprefix("is ")


def office_rows(file: File, _: Columns) -> Iterator[Row]:
    """The one document of a PDF or Word file, its name the id."""
    return folder_rows([(regular_file(file).name, regular_file(file))], file.options, file.log)


def office_files(sources: list[str | Path], file_format: str | None) -> list[tuple[str, Path]]:
    """Names and paths of sources that are PDF or Word files, all of them, as of a folder; none otherwise."""
    paths = [Path(source) for source in sources]
    kinds = {file_format or split_ending(path.name)[1] for path in paths}
    if not kinds <= set(OFFICE) or not all(path.is_file() for path in paths):
        return []
    top = Path(os.path.commonpath([path.absolute().parent for path in paths]))
    return [(path.absolute().relative_to(top).as_posix(), path) for path in paths]
