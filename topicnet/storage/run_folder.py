"""Run folders, of text or image models: run.json with the environment and the checksum of every file.

Files are written into a staged folder (`storage.atomic.atomic_folder`), and `write_record` comes last. Code that reads
a file of a run checks it against the record first.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topicnet._version import __version__
from topicnet.errors import BundleError
from topicnet.runtime.memory import peak_memory_bytes
from topicnet.storage import formats

RECORD, HISTORY = "run.json", "history.csv"
REMEDY = "copy the run again or fit again"


@dataclass(frozen=True)
class Destination:
    """Output folder of a job, and how to treat existing content.

    Attributes
    ----------
    out : Path, optional
        Folder to write; by default a folder in runs/ named after the job.
    overwrite : bool
        Replace a folder that topicnet wrote earlier.
    resume : bool
        Continue a job that was interrupted there.

    Examples
    --------
    >>> str(Destination().folder("lee-etm-20"))
    'runs/lee-etm-20'
    """

    out: Path | None = None
    overwrite: bool = False
    resume: bool = False

    def folder(self, name: str) -> Path:
        """Return the folder to write, given the default name of the job."""
        return self.out if self.out is not None else Path("runs") / name


def environment(device: str, threads: int, seconds: float, libraries: Iterable[str]) -> dict[str, Any]:
    """Describe the environment of a run: device, CPU threads, seconds, peak memory and versions."""
    return {
        "device": device,
        "threads": threads,
        "seconds": seconds,
        "peak_memory_bytes": peak_memory_bytes(),
        "versions": {"python": platform.python_version(), "topicnet": __version__}
        | {name: importlib.metadata.version(name) for name in libraries},
    }


def write_history(folder: Path, history: list[dict[str, float]]) -> None:
    """Write history.csv, one row per epoch; only a header if no epoch was completed."""
    import polars as pl

    formats.write_table(folder / HISTORY, pl.DataFrame(history or {"epoch": []}))


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write run.json with the checksum of every file in the staged folder, and its own."""
    sums = {
        path.relative_to(folder).as_posix(): formats.sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    formats.write_json(folder / RECORD, formats.with_own_checksum({**record, "files": sums}))


def read_json(folder: Path, name: str) -> Any:
    """Read a JSON file of a run.

    Raises
    ------
    BundleError
        The file is missing, or is not JSON.
    """
    try:
        return json.loads((folder / name).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{name} in {str(folder)!r} cannot be read: {REMEDY}") from error


def read_record(folder: Path, entries: Mapping[str, type]) -> dict[str, Any]:
    """Read run.json and check that it has these entries, each with its type.

    Raises
    ------
    BundleError
        The file cannot be read, or was not written by a fit.
    """
    record = read_json(folder, RECORD)
    if not isinstance(record, dict) or any(not isinstance(record.get(name), kind) for name, kind in entries.items()):
        raise damaged(folder, RECORD)
    return record


def check_unchanged(folder: Path, name: str, record: Mapping[str, Any]) -> Path:
    """Return the path of a file of the run after comparing its checksum with the record.

    Raises
    ------
    BundleError
        The file cannot be read, or has changed.
    """
    path = folder / name
    try:
        found = formats.sha256(path)
    except OSError as error:
        raise BundleError(f"{str(path)!r} cannot be read: {REMEDY}") from error
    if found != record["files"].get(name):
        raise BundleError(f"{str(path)!r} has changed since it was written (checksum differs from run.json): {REMEDY}")
    return path


def damaged(folder: Path, name: str) -> BundleError:
    """Build the error for a damaged file of a run."""
    return BundleError(f"{name} in {str(folder)!r} is damaged: {REMEDY}")
