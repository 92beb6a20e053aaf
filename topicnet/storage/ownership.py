"""Ownership of the files in a run folder or folder of counts: those that the folder's record lists are topicnet's.

The record is run.json in a run folder, and counts.json in a folder of counts. It lists the other files with their
checksums, and has a checksum of itself. Only files that are listed and unchanged are ever removed; all others belong
to the user.

Version 0.1.0 wrote no checksum of the record, and no list of files in counts.json. Its run.json is accepted without
one, and its counts are recognised by their fixed file names.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topicnet.storage import formats
from topicnet.storage.walking import walk

RUN, COUNTS = "run.json", "counts.json"
COUNTS_FILES = ("data.npy", "indices.npy", "indptr.npy", "tokens.npy", "vocabulary.txt", "documents.parquet")
SAMPLED = "sampled:"  # prefix of the checksum of a large file, which covers only parts of it
WHOLE_BYTES = 2**24  # larger files are sampled
N_BLOCKS, BLOCK_BYTES = 256, 2**16
SHOWN = 3  # file names to list in a message
_STAGED = re.compile(r"\..+\.[a-z0-9_]{8}\.(part|old)(\.counts\.[a-z0-9_]{8})?")


@dataclass(frozen=True)
class Contents:
    """Files of a folder, divided into those of topicnet and all others.

    Attributes
    ----------
    files : tuple of str
        Relative paths of unchanged files written by topicnet.
    foreign : tuple of str
        Relative paths of everything else, sorted; a changed file has " (changed)" after its name.
    recorded : bool
        Whether the folder has a record of topicnet.
    """

    files: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    recorded: bool = False


def contents_of(folder: Path) -> Contents:
    """Divide the files of a folder into those that topicnet wrote and all others, by the record in it."""
    for name, expected_of in ((RUN, _files_of_run), (COUNTS, _files_of_counts)):
        if (folder / name).is_file() and (expected := expected_of(folder)) is not None:
            return compare_files(folder, {**expected, name: None})
    found, others = _walk(folder)
    return Contents((), tuple(sorted([*found, *others])))


def listed(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the checksums of those files that exist, by name, as a record stores them."""
    return {name: file_checksum(folder / name) for name in names if (folder / name).is_file()}


def file_checksum(path: Path) -> str:
    """Return the SHA-256 of a file; above 16 MiB, of its size and 256 evenly spaced blocks of 64 KiB."""
    size = path.stat().st_size
    if size <= WHOLE_BYTES:
        return formats.sha256(path)
    digest = hashlib.sha256(str(size).encode("ascii"))
    with path.open("rb") as handle:
        for number in range(N_BLOCKS):
            handle.seek(max(0, size - BLOCK_BYTES) * number // (N_BLOCKS - 1))
            digest.update(handle.read(BLOCK_BYTES))
    return f"{SAMPLED}{digest.hexdigest()}"


def is_unchanged(path: Path, checksum: str) -> bool:
    """Return whether a file has a recorded checksum, from `file_checksum` or plain SHA-256."""
    try:
        return checksum == (file_checksum(path) if checksum.startswith(SAMPLED) else formats.sha256(path))
    except OSError:
        return False


def is_staged(name: str) -> bool:
    """Return whether a name is that of a file or folder that topicnet is still writing."""
    return _STAGED.fullmatch(name) is not None


def shortened(names: Iterable[str]) -> str:
    """List up to three names, and the number of the others.

    Examples
    --------
    >>> shortened(["a", "b", "c", "d"])
    "'a', 'b', 'c' and 1 more"
    """
    shown = list(names)
    more = f" and {len(shown) - SHOWN:,} more" if len(shown) > SHOWN else ""
    return ", ".join(repr(name) for name in shown[:SHOWN]) + more


def read_own_record(path: Path, entries: Mapping[str, type]) -> dict[str, Any] | None:
    """Read a record written by topicnet; None if an entry is missing or the record's checksum does not match."""
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or any(not isinstance(record.get(name), kind) for name, kind in entries.items()):
        return None
    return record if formats.has_own_checksum(record, optional=True) else None


def remove_files(folder: Path, names: Iterable[str]) -> bool:
    """Remove files of a folder and the folders emptied by that; returns whether the folder itself is gone."""
    inner = set[Path]()
    for name in sorted(names, key=lambda name: name in (RUN, COUNTS)):  # records last, for a kill in between
        (folder / name).unlink(missing_ok=True)
        inner.update(parent for parent in Path(name).parents if parent.name)
    for part in sorted(inner, key=lambda one: -len(one.parts)):
        _remove_empty(folder / part)
    return _remove_empty(folder)


def _remove_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _walk(folder: Path) -> tuple[list[str], list[str]]:
    """Return the regular files of a folder, and its links, pipes and empty folders: relative paths."""
    files: list[str] = []
    others: list[str] = []
    for top, folders, names in walk(folder):
        inside = top.relative_to(folder)
        if not folders and not names and top != folder:
            others.append(inside.as_posix())
        others += [(inside / name).as_posix() for name in folders if os.path.islink(os.path.join(top, name))]
        for name in names:
            path = os.path.join(top, name)
            plain = os.path.isfile(path) and not os.path.islink(path)
            (files if plain else others).append((inside / name).as_posix())
    return files, others


def compare_files(folder: Path, expected: Mapping[str, str | None], empty: Iterable[str] = ()) -> Contents:
    """Compare the files of a folder with those expected.

    Parameters
    ----------
    folder : Path
        Folder to read.
    expected : mapping of str to str
        Checksums by relative path; None accepts any content.
    empty : iterable of str
        Folders that may exist and be empty.
    """
    found, others = _walk(folder)
    files: list[str] = []
    foreign = [name for name in others if name not in empty]
    for name in found:
        checksum = expected.get(name)
        if name not in expected:
            foreign.append(name)
        elif checksum is None or is_unchanged(folder / name, checksum):
            files.append(name)
        else:
            foreign.append(f"{name} (changed)")
    return Contents(tuple(files), tuple(sorted(foreign)), recorded=True)


def _files_of_run(folder: Path) -> dict[str, str | None] | None:
    record = read_own_record(folder / RUN, {"files": dict, "status": str, "versions": dict})
    if record is None or "topicnet" not in record["versions"] or "model/model.json" not in record["files"]:
        return None
    files: dict[str, str | None] = {name: str(checksum) for name, checksum in record["files"].items()}
    # The large arrays of the counts are compared by sampled checksums, once counts.json is known to be unchanged.
    inner = f"corpus/{COUNTS}"
    if inner in files and is_unchanged(folder / inner, str(files[inner])):
        counts = _files_of_counts(folder / "corpus") or {}
        large = {name: one for name, one in counts.items() if one is not None and one.startswith(SAMPLED)}
        files |= {f"corpus/{name}": one for name, one in large.items() if f"corpus/{name}" in files}
    return files


def _files_of_counts(folder: Path) -> dict[str, str | None] | None:
    types = {"format": int, "n_docs": int, "vocab_size": int, "source": dict}
    record = read_own_record(folder / COUNTS, types)
    if record is None or not {"name", "options", "sha256"} <= record["source"].keys():
        return None
    files = record.get("files")
    if isinstance(files, dict) and "checksum" in record:
        return {name: str(checksum) for name, checksum in files.items()}
    return dict.fromkeys(COUNTS_FILES)
