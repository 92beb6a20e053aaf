"""Recognition of single output files by their first bytes, so that only topicnet's are replaced."""

from __future__ import annotations

import filecmp
import re
import zipfile
from pathlib import Path
from typing import IO

from topicnet.errors import OutputError

_BEGINNING = 1 << 16  # bytes
_UNIT = "[a-z_]+"  # topic, component
_DOCUMENTS = rf"doc_id,status,top_({_UNIT}),\1_0[,\r\n]|doc_id,passage,tokens,top_({_UNIT}),\2_0[,\r\n]"
_PATHS = "step,at,doc_id,row,distance,topics,words,text"
_TABLE = re.compile(rf"(?:{_DOCUMENTS}|{_UNIT},rank,word,probability[\r\n]|{_PATHS}[\r\n])".encode())
_EVALUATION = re.compile(rb'\{\n  "run": "(?:[^"\\\n]|\\.)*",\n  "variant": "')
_ARRAYS = re.compile(rf"doc_id\.npy,status\.npy,{_UNIT}\.npy,|vocabulary\.npy,(?:beta|{_UNIT}_word)\.npy,$")


def check_replaceable(path: Path) -> None:
    """Raise OutputError for an existing file that is not a table or an evaluation in topicnet's format.

    Empty files are accepted, because nothing can be lost.
    """
    if path.is_file() and not _recognised(path):
        raise not_ours(path)


def check_same(written: Path, path: Path) -> None:
    """Raise OutputError for an existing file that differs from the one written to replace it."""
    if path.is_file() and not filecmp.cmp(written, path, shallow=False):
        raise not_ours(path)


def not_ours(path: Path) -> OutputError:
    """Build the error for a file that is not recognised as written by topicnet and will not be replaced."""
    return OutputError(
        f"refusing to replace {str(path)!r}: it is not recognised as a file that topicnet wrote; delete it, or choose"
        " another file"
    )


def _recognised(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(_BEGINNING)
            if start.startswith(b"PAR1"):
                return _TABLE.match(_names_of_parquet(file) + b"\n") is not None
            if start.startswith(b"PK"):
                with zipfile.ZipFile(file) as archive:
                    return _ARRAYS.match(",".join([*archive.namelist(), ""])) is not None
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
    return not start or _TABLE.match(start) is not None or _EVALUATION.match(start) is not None


def _names_of_parquet(file: IO[bytes]) -> bytes:
    """Return the column names, joined by commas; empty for a damaged file."""
    import polars as pl

    file.seek(0)
    try:
        return ",".join(pl.read_parquet_schema(file)).encode()
    except pl.exceptions.PolarsError:
        return b""
