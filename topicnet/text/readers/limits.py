"""Limits on the decompressed size of a file, checked before a library reads it."""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path

from topicnet.errors import CorpusError
from topicnet.text.readers.documents import shown
from topicnet.text.readers.open_text import File, reading

MAX_CELL_BYTES = 1 << 28  # of a cell, and of a page
MAX_PART_BYTES = 1 << 31  # of a part of a workbook or Word file, such as a sheet
MAX_CELLS = 1 << 26  # rows times columns of a sheet
MAX_GROUP_BYTES = 1 << 33  # of a row group of a Parquet file
_MAX_PARTS = 50_000  # of an archive


def regular_file(file: File) -> Path:
    """Return the path of a regular file, for libraries that open files by name.

    Raises
    ------
    CorpusError
        The file is standard input, a pipe or a device.
    """
    if file.path is None:
        raise CorpusError("standard input was given, expected a file for this format. Save it to one and name that")
    with reading(file.name):
        mode = os.stat(file.path).st_mode
    if not stat.S_ISREG(mode):
        raise CorpusError(f"{file.name} is not a regular file, expected one for this format. Save it to a file")
    return file.path


def check_archive(
    file: File, path: Path, kind: str, max_bytes: int = MAX_PART_BYTES, remedy: str = "Save it as CSV"
) -> None:
    """Raise CorpusError unless a file is a zip archive whose directory states sizes within the limits.

    Only the directory is read, so the check is fast for an archive of any size.

    Parameters
    ----------
    file : File
    path : Path
    kind : str
        Kind of file, for messages.
    max_bytes : int
        Maximum size of a part, decompressed.
    remedy : str
        Last sentence of a message about sizes.
    """
    try:
        with reading(file.name), zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise CorpusError(
            f"{file.name} is not a readable {kind} file ({shown(str(error))}). Write it again, or name its format with"
            " --format"
        ) from error
    largest = max(parts, key=lambda part: part.file_size, default=None)
    if largest is not None and largest.file_size > max_bytes:
        raise CorpusError(
            f"{file.name} would decompress to {largest.file_size / 1e9:,.1f} GB ({shown(largest.filename)}), expected"
            f" at most {max_bytes / 1e9:,.1f} GB. {remedy}"
        )
    total = sum(part.file_size for part in parts)
    if total > 2 * MAX_PART_BYTES:
        raise CorpusError(
            f"{file.name} would decompress to {total / 1e9:,.1f} GB, expected at most {2 * MAX_PART_BYTES / 1e9:,.1f}"
            f" GB. {remedy}"
        )
    if len(parts) > _MAX_PARTS:
        raise CorpusError(f"{file.name} has {len(parts):,} parts, expected at most {_MAX_PARTS:,}. {remedy}")
