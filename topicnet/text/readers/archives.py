"""Access to the members of zip archives without extracting them to disk."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import IO

from topicnet.errors import CorpusError
from topicnet.text.readers.compression import DamagedError
from topicnet.text.readers.documents import Row, shown
from topicnet.text.readers.folders import Found, split_ending
from topicnet.text.readers.open_text import reading

_IS_ENCRYPTED = 1


class Archive:
    """A zip archive, open only while its members are read.

    Parameters
    ----------
    path : Path
        The archive.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: zipfile.ZipFile | None = None

    def members(self) -> list[Found]:
        """List the files of the archive, sorted by path, without a top folder that all of them share.

        Raises
        ------
        CorpusError
            The archive is damaged or encrypted.
        """
        name = shown(str(self.path))
        with reading(name), self._opened() as archive:
            files = [info for info in archive.infolist() if not info.is_dir()]
        if locked := next((info for info in files if info.flag_bits & _IS_ENCRYPTED), None):
            member = shown(locked.filename)
            raise CorpusError(f"{name} is locked with a password ({member}). Unpack it and name the folder")
        common = _common_folder([info.filename for info in files])
        found = [
            Found(relative, self.path / info.filename, split_ending(relative)[1], partial(self._member, info))
            for info in files
            for relative in [info.filename.removeprefix(common)]
        ]
        return sorted(found, key=lambda one: one.relative)

    def closed_after(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield the rows read from members, then close the archive, also after an error."""
        with closing(self):
            yield from rows

    def close(self) -> None:
        """Close the archive; it is opened again for the next member."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _opened(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise DamagedError("zip", str(error)) from error

    def _member(self, info: zipfile.ZipInfo) -> IO[bytes]:
        """Open a member, and the archive with the first of them: its directory is long and read once."""
        if self._open is None:
            self._open = self._opened()
        try:
            return self._open.open(info)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise DamagedError("zip", f"{os.path.basename(info.filename)}: {error}") from error


def _common_folder(names: list[str]) -> str:
    """Return the top-level folder that contains all files, ignoring macOS metadata, or ""."""
    tops = {name.partition("/")[0] + "/" if "/" in name else "" for name in names if not name.startswith("__MACOSX/")}
    return tops.pop() if len(tops) == 1 else ""
