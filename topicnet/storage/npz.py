"""Read arrays of numpy's archives (.npz) one at a time.

Sizes are checked before anything is loaded, because numpy.load allocates whatever a header promises. Arrays of Python
objects are refused.
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

# What zipfile and numpy's header reader raise on damaged bytes; RuntimeError also means a password.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError,
    EOFError, OSError, KeyError, ValueError, TypeError, RuntimeError, SyntaxError, OverflowError,
)  # fmt: skip


class Archive:
    """The arrays of an open archive by their names."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._archive = path, archive
        self._members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        self.names = list(self._members)

    def size(self, name: str) -> int:
        """Bytes of an array with its header, unpacked, as the archive says."""
        return self._members[name].file_size

    def where(self, name: str) -> str:
        """How messages call an array."""
        return f"{name!r} of {str(self._path)!r}"

    def read(self, name: str, kinds: str = "biuf") -> NDArray[Any]:
        """Read one array, whose type must be of one of these kinds: by default a number.

        Raises
        ------
        InputError
            It holds something else, such as Python objects, more or fewer bytes than its header promises, or is not
            packed as numpy packs it.
        MemoryError
            It does not fit in memory.
        """
        member, where = self._members[name], self.where(name)
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(
                f"{where} is packed by method {member.compress_type}; expected what numpy writes. "
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
    """Open an archive; `path` is what messages call it.

    Raises
    ------
    InputError
        It is damaged, in the block too.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            yield Archive(path, archive)
    except InputError:  # it is a ValueError too
        raise
    except _DAMAGE as error:
        said = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise InputError(f"{str(path)!r} is damaged or cut off ({said}). Fetch or write it again") from error


def _check_header(file: IO[bytes], size: int, where: str, kinds: str) -> None:
    """Raise InputError unless an array of `size` bytes in all holds as many as its header promises, of these kinds."""
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):  # 3.0 is for names of fields, which neither images nor counts have
        raise InputError(f"{where} is of version {version} of the npy format; expected 1.0 or 2.0. Write it again")
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read_header(file)
    if dtype.hasobject:
        raise InputError(f"{where} holds pickled Python objects, which are never read; expected numbers. Convert it")
    if dtype.kind not in kinds:
        raise InputError(f"{where} holds {dtype}; expected numbers (such as uint8 or floats). Convert it")
    if min(shape, default=0) < 0:
        raise InputError(f"{where} has the shape {shape}; expected no negative size. Write it again")
    promised, held = math.prod(shape) * dtype.itemsize, size - file.tell()
    if promised != held:
        fault = "goes on after them" if held > promised else f"ends after {held:,}"
        raise InputError(f"{where} promises {promised:,} bytes of data and {fault}. Fetch or write it again")
