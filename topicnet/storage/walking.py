"""Iteration over nested folders without recursion."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def walk(folder: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Yield each folder with the names of its subfolders and of its other entries, as `os.walk` does.

    `os.walk` of Python 3.11 recurses and fails on a thousand nested folders. Links are not followed, and unreadable
    folders are omitted.
    """
    pending = [str(folder)]
    while pending:
        top = pending.pop()
        try:
            with os.scandir(top) as entries:
                found = [(entry.name, _is_folder(entry), entry.is_symlink()) for entry in entries]
        except OSError:
            continue
        folders = [name for name, is_folder, _ in found if is_folder]
        yield Path(top), folders, [name for name, is_folder, _ in found if not is_folder]
        pending += [os.path.join(top, name) for name, is_folder, is_link in found if is_folder and not is_link]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return os.path.isdir(entry) if entry.is_symlink() else entry.is_dir()
