"""Rejection of outputs that are, contain or are inside an input, before anything is read.

Files are compared by device and inode. This detects links, `..`, hard links, and names that differ only in case on a
file system that ignores case.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from topicnet.errors import OutputError
from topicnet.storage.walking import walk

Place = tuple[int, int]  # device and inode
Named = tuple[str, Path]  # description for messages, and path
STDIN = Path("/dev/stdin")


def check_apart(outputs: Iterable[Path | None], inputs: Iterable[Named]) -> None:
    """Check that outputs overlap neither with the inputs nor with each other.

    Parameters
    ----------
    outputs : iterable of Path
        Files or folders to write, existing or not; None is ignored.
    inputs : iterable of (str, Path)
        Description and path of each input, such as ("the corpus", path). A folder includes everything in it.

    Raises
    ------
    OutputError
        An output is an input under any name, contains one or is inside one; or two outputs are the same file.
    """
    written = [path for path in outputs if path is not None]
    _check_distinct(written)
    places = [(path, _place(path), [_place(one) for one in _with_parents(path)]) for path in written]
    linked = {place for path, place, _ in places if place is not None and _has_links(path)}
    known: dict[Path, list[Place | None]] = {}  # device and inode of the folders above the inputs
    for what, given in inputs:
        for path in [given, *_links_within(given, linked)]:
            own, above = _place(path), [place for one in _real_parents(path) for place in _cached(one, known)]
            for output, place, around in places:
                if own is not None and own == place:
                    relation = "is"
                elif own is not None and own in around:
                    relation = "is inside"
                elif place is not None and place in above:
                    relation = "contains"
                else:
                    continue
                raise OutputError(
                    f"the output {str(output)!r} {relation} {what} {str(given)!r}, which must not change: choose"
                    " another output"
                )


def _check_distinct(outputs: list[Path]) -> None:
    seen: dict[object, Path] = {}
    for path in outputs:
        for key in {os.path.realpath(path), _place(path) or path}:
            if key in seen:
                raise OutputError(
                    f"{str(path)!r} is given for two outputs (also as {str(seen[key])!r}): use a separate file for each"
                )
        seen |= {os.path.realpath(path): path, _place(path) or path: path}


def _place(path: Path) -> Place | None:
    """Return device and inode of a path with links resolved; None if nothing exists there."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _real_parents(path: Path) -> Iterator[Path]:
    """Yield the parent of a path, as written and with links resolved."""
    yield Path(os.path.abspath(path)).parent
    yield Path(os.path.realpath(path)).parent


def _with_parents(path: Path) -> Iterator[Path]:
    """Yield a path and all folders above it, as written and with links resolved."""
    for one in {Path(os.path.abspath(path)), Path(os.path.realpath(path))}:
        yield from (one, *one.parents)


def _cached(folder: Path, known: dict[Path, list[Place | None]]) -> list[Place | None]:
    if folder not in known:
        known[folder] = [_place(one) for one in (folder, *folder.parents)]
    return known[folder]


def _has_links(path: Path) -> bool:
    return path.is_file() and path.stat().st_nlink > 1


def _links_within(folder: Path, linked: set[Place]) -> Iterator[Path]:
    """Yield the symbolic links in a folder, and its files that are hard-linked to an output."""
    if not folder.is_dir():
        return
    for top, _, names in walk(folder):
        for name in names:
            path = top / name
            if path.is_symlink() or (linked and _place(path) in linked):
                yield path
