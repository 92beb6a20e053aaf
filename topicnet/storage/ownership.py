"""Which files of a folder topicnet wrote: those that its record lists and that are as they were written.

A folder of a run has run.json, a folder of counts has counts.json. Each lists the other files of its folder with
their checksums, and has a checksum of itself. Nothing else in such a folder is ever removed: it belongs to the user.

Version 0.1.0 wrote no checksum of the record, and no list of files in counts.json: its run.json is taken as it is, and
its counts are known by their fixed set of names.
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
SAMPLED = "sampled:"  # begins the checksum of a large file, of which parts are read
WHOLE_BYTES = 2**24  # larger files are sampled
N_BLOCKS, BLOCK_BYTES = 256, 2**16
SHOWN = 3  # files named in a message
_STAGED = re.compile(r"\..+\.[a-z0-9_]{8}\.(part|old)(\.counts\.[a-z0-9_]{8})?")


@dataclass(frozen=True)
class Contents:
    """The contents of a folder.

    Attributes
    ----------
    files : tuple of str
        Relative paths of the files that topicnet wrote and nobody changed since.
    strangers : tuple of str
        Relative paths of everything else, sorted; a changed file has " (changed)" after its name.
    recorded : bool
        Whether there is a record of topicnet.
    """

    files: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    recorded: bool = False


def contents_of(folder: Path) -> Contents:
    """Tell the files that topicnet wrote into a folder from all others, by the record in it."""
    for name, expected_of in ((RUN, _files_of_run), (COUNTS, _files_of_counts)):
        if (folder / name).is_file() and (expected := expected_of(folder)) is not None:
            return compared(folder, {**expected, name: None})
    found, others = _walk(folder)
    return Contents((), tuple(sorted([*found, *others])))


def listed(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """List files of a folder with their checksums, as a record keeps them; those that are not there are left out."""
    return {name: file_checksum(folder / name) for name in names if (folder / name).is_file()}


def file_checksum(path: Path) -> str:
    """Checksum of a file: SHA-256, of a file above 16 MiB that of its size and 256 blocks of 64 KiB spread over it."""
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
    """Whether a file has the checksum that a record gives for it, from `file_checksum` or plain SHA-256."""
    try:
        return checksum == (file_checksum(path) if checksum.startswith(SAMPLED) else formats.sha256(path))
    except OSError:
        return False


def is_staged(name: str) -> bool:
    """Whether a file or folder is named as those that topicnet writes beside their target until they are whole."""
    return _STAGED.fullmatch(name) is not None


def named(strangers: Iterable[str]) -> str:
    """Name up to three files, and the number of the others."""
    names = list(strangers)
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(repr(name) for name in names[:SHOWN]) + more


def read_own_record(path: Path, entries: Mapping[str, type]) -> dict[str, Any] | None:
    """Read a record if topicnet wrote it: it has these entries, and its checksum where it has one."""
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or any(not isinstance(record.get(name), kind) for name, kind in entries.items()):
        return None
    return record if formats.has_own_checksum(record, optional=True) else None


def remove_files(folder: Path, names: Iterable[str]) -> bool:
    """Remove these files of a folder, then the folders that this leaves empty; return whether all of it is gone."""
    inner = set[Path]()
    for name in sorted(names, key=lambda name: name in (RUN, COUNTS)):  # by the record the rest is known after a kill
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
    """The plain files of a folder, and the links, pipes and empty folders in it: relative paths."""
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


def compared(folder: Path, expected: Mapping[str, str | None], empty: Iterable[str] = ()) -> Contents:
    """Hold the files of a folder against those expected.

    Parameters
    ----------
    expected : mapping of str to str
        Checksums by relative path; one that is None is not compared.
    empty : iterable of str
        Folders that may be there and be empty.
    """
    found, others = _walk(folder)
    files: list[str] = []
    strangers = [name for name in others if name not in empty]
    for name in found:
        checksum = expected.get(name)
        if name not in expected:
            strangers.append(name)
        elif checksum is None or is_unchanged(folder / name, checksum):
            files.append(name)
        else:
            strangers.append(f"{name} (changed)")
    return Contents(tuple(files), tuple(sorted(strangers)), recorded=True)


def _files_of_run(folder: Path) -> dict[str, str | None] | None:
    record = read_own_record(folder / RUN, {"files": dict, "status": str, "versions": dict})
    if record is None or "topicnet" not in record["versions"] or "model/model.json" not in record["files"]:
        return None
    files: dict[str, str | None] = {name: str(checksum) for name, checksum in record["files"].items()}
    # The arrays of a large corpus are sampled, by its own list, once that is known to be the one that was written.
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
