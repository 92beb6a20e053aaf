"""Detection of topicnet's own files in the folder of an experiment, so that it can be resumed or replaced safely.

::

    train/ test/        counts, each with its own record
    cells/NAME.json     scores of one fit, NAME.npy its topics
    NAME.json           the record: lists the checksums of the tables and, once it has ended, of the cells
    NAME.csv .html      tables and figure
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from topicnet.errors import BundleError, InputError, OutputError
from topicnet.storage import atomic, ownership
from topicnet.storage.ownership import Contents, contents_of, is_unchanged, read_own_record, shortened
from topicnet.storage.run_folder import Destination

PARTS = ("train", "test")
CELLS = "cells"
_CELL = re.compile(r".+-(\d+)-\d+(-\d+)?")


def tables(name: str) -> tuple[str, str]:
    """Return the names of the table and the figure that belong to NAME.json."""
    return f"{name}.csv", f"{name}.html"


def contents(out: Path, name: str) -> Contents:
    """Separate the files that experiments wrote into a folder from all others."""
    record = read_own_record(out / f"{name}.json", {"status": str})
    if record is None:
        return contents_of(out) if out.is_dir() else Contents()
    found = [path.relative_to(out) for path in out.rglob("*") if path.is_file()]
    expected: dict[str, str | None] = {f"{name}.json": None}
    listed = record.get("files")
    if isinstance(listed, dict):
        expected |= {file: str(checksum) for file, checksum in listed.items()}
    elif "format" in record and "checksum" not in record:  # written by version 0.1.0
        expected |= dict.fromkeys(tables(name))
    for file in found:
        if file.parts[0] == CELLS and file.as_posix() not in expected and _has_fit_result(out / file):
            expected[file.as_posix()] = None
        if any(ownership.is_staged(part) for part in file.parts):
            expected[file.as_posix()] = None
    for part in PARTS:
        expected |= {f"{part}/{file}": None for file in contents_of(out / part).files}
    return ownership.compare_files(out, expected, empty=(CELLS, *PARTS))


def _has_fit_result(path: Path) -> bool:
    """Return True if a file contains the scores or topics of a fit."""
    match = _CELL.fullmatch(path.stem)
    if match is None or len(path.parent.parts) == 0 or path.parent.name != CELLS:
        return False
    try:
        if path.suffix == ".npy":
            topics = np.load(path, mmap_mode="r", allow_pickle=False)
            return bool(topics.ndim == 2 and topics.dtype == np.float32 and len(topics) == int(match[1]))
        cell = json.loads(path.read_text("utf-8"))
        known = isinstance(cell, dict) and {"model", "n_topics", "seed"} <= cell.keys()
        return known and path.name.startswith(f"{cell['model']}-{cell['n_topics']}-{cell['seed']}")
    except (OSError, ValueError, EOFError):
        return False


def earlier_record(out: Path, name: str, destination: Destination) -> dict[str, Any] | None:
    """Check the folder of an experiment without writing, and return the record of the experiment to resume.

    Returns
    -------
    dict or None
        Contents of NAME.json; None for a new experiment, or if the corpus of the one to resume is not prepared.

    Raises
    ------
    OutputError
        The folder exists and neither `overwrite` nor `resume` was given, or it has files that topicnet did not write.
    BundleError
        The record to resume is damaged.
    InputError
        There is nothing to resume.
    """
    record = out / f"{name}.json"
    with atomic.disk_errors(out):
        atomic.refuse_occupied(out)
        if destination.resume:
            return _resumed(out, name)
        if out.exists() and not out.is_dir():
            raise OutputError(f"{str(out)!r} is a file, expected a folder: choose another --out")
        if out.exists() and any(out.iterdir()):
            if not destination.overwrite:
                raise OutputError(
                    f"{str(out)!r} exists already: choose another --out, continue it with --resume, or replace it with"
                    " --overwrite"
                )
            if not record.is_file():
                raise OutputError(
                    f"refusing to overwrite {str(out)!r}: it contains no {name}.json; choose another --out"
                )
            _refuse_strangers(out, name)
    return None


def _resumed(out: Path, name: str) -> dict[str, Any] | None:
    record = out / f"{name}.json"
    if not record.is_file():
        raise InputError(f"--resume given, but there is no {name}.json in {str(out)!r}: leave --resume out")
    earlier = read_own_record(record, {"status": str})
    if earlier is None:
        raise BundleError(f"{str(record)!r} is damaged: choose another --out, or delete the folder")
    listed = earlier.get("files", {})
    changed = [file for file in tables(name) if (out / file).exists() and file in listed]
    changed = [file for file in changed if not is_unchanged(out / file, listed[file])]
    if changed:
        raise OutputError(
            f"{str(out / changed[0])!r} was changed since topicnet wrote it, and --resume replaces it: move it away"
        )
    return earlier if "corpus" in earlier else None  # without a corpus it was interrupted during preparation


def _refuse_strangers(out: Path, name: str) -> None:
    found = contents(out, name)
    if found.foreign:
        raise OutputError(
            f"{str(out)!r} contains files that topicnet did not write, or that were changed since:"
            f" {shortened(found.foreign)}; none will be deleted: move them away, or choose another --out"
        )


def clear(out: Path, name: str) -> None:
    """Remove the cells and tables of an earlier experiment, and partial files left by a killed one.

    Raises
    ------
    OutputError
        The folder has files that topicnet did not write.
    """
    if not (out / f"{name}.json").is_file():
        return
    _refuse_strangers(out, name)
    for path in [*out.glob(".*"), *out.glob("*/.*")]:
        if ownership.is_staged(path.name):
            atomic.remove_staged(path)
    ours = contents(out, name).files
    ownership.remove_files(out, [file for file in ours if file in tables(name) or file.startswith(f"{CELLS}/")])


def clear_tables(out: Path, name: str) -> None:
    """Remove the tables of an experiment that is resumed, which are rewritten at its end."""
    ownership.remove_files(out, tables(name))
