"""Access to the members of zip archives without extracting them to disk."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from topicnet.errors import CorpusError
from topicnet.text.readers.compression import DamagedError
from topicnet.text.readers.documents import shown
from topicnet.text.readers.folders import Found, split_ending
from topicnet.text.readers.open_text import reading

_IS_ENCRYPTED = 1


def archive_members(path: Path) -> list[Found]:
    """List the files of an archive, sorted by path, without a top folder that all of them share.

    Raises
    ------
    CorpusError
        The archive is damaged or encrypted.
    """
    name = shown(str(path))
    with reading(name):
        try:
            archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise DamagedError("zip", str(error)) from error
    files = [info for info in archive.infolist() if not info.is_dir()]
    if locked := next((info for info in files if info.flag_bits & _IS_ENCRYPTED), None):
        archive.close()
        raise CorpusError(f"{name} is locked with a password ({shown(locked.filename)}). Unpack it and name the folder")
    common = _common_folder([info.filename for info in files])
    found = [
        Found(relative, path / info.filename, split_ending(relative)[1], _opener(archive, info))
        for info in files
        for relative in [info.filename.removeprefix(common)]
    ]
    return sorted(found, key=lambda one: one.relative)


def _common_folder(names: list[str]) -> str:
    """Return the top-level folder that contains all files, ignoring macOS metadata, or ""."""
    tops = {name.partition("/")[0] + "/" if "/" in name else "" for name in names if not name.startswith("__MACOSX/")}
    return tops.pop() if len(tops) == 1 else ""


def _opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    def opened() -> IO[bytes]:
        try:
            return archive.open(info)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise DamagedError("zip", f"{os.path.basename(info.filename)}: {error}") from error

    return opened
