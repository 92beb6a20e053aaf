"""Output files with fixed names in a user's folder, listed in a hidden record, so that only topicnet's are replaced.

The record, .topicnet.json, holds the checksums of the files written to its folder. A file that is not listed, or has
changed since, belongs to the user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from topicnet._version import __version__
from topicnet.errors import OutputError
from topicnet.storage import atomic, formats
from topicnet.storage.ownership import file_checksum, is_unchanged, read_own_record

RECORD = ".topicnet.json"


def check_files(paths: Iterable[Path], *, overwrite: bool) -> None:
    """Raise OutputError for an existing file, unless topicnet wrote it and `overwrite` is true."""
    for path in paths:
        atomic.probe_file(path, overwrite=overwrite)
        if path.exists() and not any(is_unchanged(path, one) for one in _checksums_in(path.parent).get(path.name, [])):
            raise OutputError(
                f"refusing to replace {str(path)!r}: it was not written by topicnet or has changed since; move it away,"
                " or choose another folder with --out"
            )


def write_files(contents: Mapping[Path, Callable[[Path], Any]], *, overwrite: bool) -> None:
    """Write the files of one folder, all completely or none.

    Parameters
    ----------
    contents : mapping of Path to callable
        For each file, a function that writes its content to a given path.
    overwrite : bool
        Replace files that topicnet wrote earlier.

    Raises
    ------
    OutputError
        As `check_files`, or the disk rejects a write.
    """
    check_files(contents, overwrite=overwrite)
    with ExitStack() as stack:
        parts = {path: stack.enter_context(atomic.atomic_file(path, overwrite=overwrite)) for path in contents}
        for path, part in parts.items():
            with atomic.disk_errors(path):
                contents[path](part)
        for folder in {path.parent for path in contents}:
            listed = _checksums_in(folder)
            # Keep the previous checksum too, because a kill may leave the previous content.
            listed |= {
                path.name: [file_checksum(part), *listed.get(path.name, [])[:1]]
                for path, part in parts.items()
                if path.parent == folder
            }
            record = formats.with_own_checksum({"versions": {"topicnet": __version__}, "files": listed})
            with atomic.atomic_file(folder / RECORD, overwrite=True) as part, atomic.disk_errors(folder / RECORD):
                formats.write_json(part, record)


def _checksums_in(folder: Path) -> dict[str, list[str]]:
    record = read_own_record(folder / RECORD, {"files": dict})
    return {} if record is None else dict(record["files"])
