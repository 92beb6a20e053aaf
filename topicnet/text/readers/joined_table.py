"""Join of a table of metadata to the text files of a folder, by file name."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import PurePath

from topicnet.errors import CorpusError
from topicnet.text.readers.documents import ReadingLog, ReadingOptions, shown
from topicnet.text.readers.folders import Found, split_ending

_KEYS = ("file", "filename", "file_name", "path", "id", "doc_id", "document", "name")
_STEMS = ("metadata", "meta", "metadaten")
_MIN_MATCHED = 0.5  # fraction of rows that must name a file, for a column with another name

Joined = dict[str, dict[str, str | None]]  # metadata of each file, by relative path


def joined_table(table: Found, texts: list[Found], options: ReadingOptions, log: ReadingLog) -> Joined | None:
    """Read the metadata of each text file from a table; None if the table names none of the files.

    The file names are in the column ``file``, ``filename``, ``id`` or similar, or else in the first column where at
    least half of the cells name a file, with or without folder and extension. Rows without a file and files without a
    row are logged.

    Parameters
    ----------
    table : Found
        A CSV or TSV file.
    texts : list of Found
    options : ReadingOptions
    log : ReadingLog

    Raises
    ------
    CorpusError
        The table is called ``metadata`` but names none of the files, or is malformed.
    """
    header, rows = _records(table, options, log)
    files = _names_of(texts)
    place = _key_place(header, [row for row in rows if len(row) == len(header)], files)
    if place is None:
        if PurePath(split_ending(table.relative)[0]).name.lower() not in _STEMS:
            return None
        raise CorpusError(
            f"{shown(str(table.path))} names none of the {len(texts):,} text files, expected a column of file"
            f" names, such as {shown(texts[0].relative)}. Add one called file, or move the table elsewhere"
        )
    if ragged := next((number for number, row in enumerate(rows, 2) if len(row) != len(header)), None):
        raise CorpusError(
            f"row {ragged} of {shown(str(table.path))} has {len(rows[ragged - 2])} field(s), expected {len(header)} as"
            " in the header. Fix it"
        )
    names = [name for i, name in enumerate(header) if i != place]
    joined: Joined = {}
    missing: list[str] = []
    contradicted: list[str] = []
    for row in rows:
        relative = files.get(row[place].strip())
        if relative is None:
            missing.append(row[place])
            continue
        cells: dict[str, str | None] = dict(zip(names, (c for i, c in enumerate(row) if i != place), strict=True))
        if joined.setdefault(relative, cells) != cells:
            contradicted.append(relative)
    if contradicted:
        n_files = len(set(contradicted))
        log.notice(
            f"{shown(str(table.path))} names {n_files:,} text file(s) more than once with different values, such as"
            f" {shown(contradicted[0])}: the first row is used; keep one row per file"
        )
    _note(table, header[place], missing, [one for one in texts if one.relative not in joined], log)
    blank: dict[str, str | None] = dict.fromkeys(names)
    return {one.relative: joined.get(one.relative, blank) for one in texts}


def _note(table: Found, column: str, missing: list[str], bare: list[Found], log: ReadingLog) -> None:
    name = shown(str(table.path))
    log.notice(f"{name} adds columns to the text files named in its column {column!r}")
    if missing:
        log.notice(f"{len(missing):,} row(s) of {name} do not name a text file, such as {shown(missing[0])!r}: skipped")
    if bare:
        log.notice(
            f"{len(bare):,} text file(s) have no row in {name}, such as {shown(bare[0].relative)}: their columns are"
            " left blank"
        )


def _records(table: Found, options: ReadingOptions, log: ReadingLog) -> tuple[list[str], list[list[str]]]:
    text = table.file(options, log).text()
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = "\t" if table.file_format == "tsv" else max(",;\t", key=first.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    except csv.Error as error:
        raise CorpusError(f"{shown(str(table.path))} is not well-formed ({error}). Fix it") from error
    header = [name.strip() for name in rows[0]] if rows else []
    return header, rows[1:]


def _names_of(texts: list[Found]) -> dict[str, str]:
    """Map the ways to name a file (path or name, with or without extension) to its path, if unique."""
    spellings = [
        (spelling, one.relative)
        for one in texts
        for path in dict.fromkeys((one.relative, PurePath(one.relative).name))
        for spelling in dict.fromkeys((path, split_ending(path)[0], path.removesuffix(".gz")))
    ]
    n_files = Counter(spelling for spelling, _ in dict.fromkeys(spellings))
    whole = {one.relative for one in texts}
    return {
        spelling: file
        for spelling, file in spellings
        if n_files[spelling] == 1 or (spelling in whole and spelling == file)
    }


def _key_place(header: list[str], rows: list[list[str]], files: dict[str, str]) -> int | None:
    """Find the position of the column of file names; None if there is none."""
    matched = [sum(row[place].strip() in files for row in rows) for place in range(len(header))]
    lower = [name.lower() for name in header]
    called = [place for key in _KEYS for place, name in enumerate(lower) if name == key and matched[place]]
    if called:
        return max(called, key=lambda place: matched[place])
    other = [place for place, count in enumerate(matched) if rows and count >= _MIN_MATCHED * len(rows)]
    return other[0] if other else None
