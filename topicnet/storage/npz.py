"""Reading of arrays from numpy's archives (.npz), one at a time and with checks.

Sizes are checked before anything is loaded, because numpy.load allocates whatever a header promises. Arrays of Python
objects are rejected.
"""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import GzipFile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from topicnet.errors import InputError
from topicnet.runtime.memory import available_memory

# Errors that zipfile and numpy's header reader raise for damaged bytes; RuntimeError can also mean a password.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError,
    EOFError, OSError, KeyError, ValueError, TypeError, RuntimeError, SyntaxError, OverflowError,
)  # fmt: skip


class Archive:
    """Arrays of an open archive, by name.

    Parameters
    ----------
    path : Path
        Name of the archive in messages.
    archive : zipfile.ZipFile
        The open archive.

    Attributes
    ----------
    names : list of str
        Names of the arrays.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._archive = path, archive
        self._members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        self.names = list(self._members)

    def size(self, name: str) -> int:
        """Return the uncompressed bytes of an array and its header, as stated by the archive."""
        return self._members[name].file_size

    def where(self, name: str) -> str:
        """Return the name of an array for messages."""
        return f"{name!r} of {str(self._path)!r}"

    def read(self, name: str, kinds: str = "biuf") -> NDArray[Any]:
        """Read one array, of one of these numpy kinds (by default any number).

        Raises
        ------
        InputError
            The array has another type (such as Python objects), more or fewer bytes than its header promises, or a
            compression method that numpy does not use.
        MemoryError
            It does not fit in memory.
        """
        member, where = self._members[name], self.where(name)
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(
                f"{where} is compressed by method {member.compress_type}; expected one that numpy uses. "
                "Write it with numpy.savez_compressed"
            )
        if member.file_size > (available_memory() or math.inf):
            raise MemoryError
        with self._archive.open(member) as file:
            _check_header(file, member.file_size, where, kinds)
            file.seek(0)
            array: NDArray[Any] = np.load(file, allow_pickle=False)
        return array


@contextmanager
def open_npz(path: Path, file: IO[bytes] | GzipFile) -> Iterator[Archive]:
    """Open an archive; `path` is its name in messages.

    Raises
    ------
    InputError
        The archive is damaged; also raised while the block reads it.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            yield Archive(path, archive)
    except InputError:  # which is also a ValueError
        raise
    except _DAMAGE as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise InputError(f"{str(path)!r} is damaged or cut off ({reason}). Fetch or write it again") from error


def _check_header(file: IO[bytes], size: int, where: str, kinds: str) -> None:
    """Raise InputError unless the array has an allowed type and exactly the bytes that its header promises."""
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):  # 3.0 only adds Unicode field names
        raise InputError(f"{where} is of version {version} of the npy format; expected 1.0 or 2.0. Write it again")
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read_header(file)
    if dtype.hasobject:
        raise InputError(f"{where} holds pickled Python objects, which are never read; expected numbers. Convert it")
    if dtype.kind not in kinds:
        raise InputError(f"{where} holds {dtype}; expected numbers (such as uint8 or floats). Convert it")
    if min(shape, default=0) < 0:
        raise InputError(f"{where} has the shape {shape}; expected sizes of 0 or more. Write it again")
    promised, held = math.prod(shape) * dtype.itemsize, size - file.tell()
    if promised != held:
        fault = "continues after them" if held > promised else f"ends after {held:,}"
        raise InputError(f"{where} promises {promised:,} bytes of data and {fault}. Fetch or write it again")
