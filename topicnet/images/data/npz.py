"""Read images from an archive of numpy arrays (.npz).

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
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from topicnet.errors import InputError
from topicnet.images.data.checks import Stored, checked_images, checked_labels, damaged, reading
from topicnet.runtime.memory import available_memory

SPLIT_KEYS = (("x_train", "y_train", "x_test", "y_test"), ("train", "train_labels", "test", "test_labels"))
IMAGE_KEYS, LABEL_KEYS = ("x", "images", "data"), ("y", "labels")
_UNDERSTOOD = (
    "x_train and x_test (y_train, y_test), train and test (train_labels, test_labels), "
    "or one of x, images, data (y or labels)"
)
# What zipfile and numpy's header reader raise on damaged bytes; RuntimeError also means a password.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError,
    ValueError, TypeError, RuntimeError, SyntaxError, OverflowError,
)  # fmt: skip


def read_npz(path: Path) -> tuple[Stored, Stored | None]:
    """Read the images of an archive: those to train on and those to test on, or all and None.

    Raises
    ------
    InputError
        No array by a name that is understood, or more than one that could be meant, values that are no gray images,
        arrays of objects, or a file that is damaged.
    """
    with _opened(path) as archive:
        arrays = _Arrays(path, archive)
        splits = [keys for keys in SPLIT_KEYS if arrays.has(keys[0]) and arrays.has(keys[2])]
        single = [key for key in IMAGE_KEYS if arrays.has(key)]
        if len(splits) + len(single) != 1:
            raise InputError(
                f"{str(path)!r} holds {', '.join(map(repr, arrays.names)) or 'nothing'}; expected exactly one of "
                f"these: {_UNDERSTOOD}. Rename its arrays"
            )
        if not splits:
            return arrays.stored(single[0], arrays.only(LABEL_KEYS)), None
        x_train, y_train, x_test, y_test = splits[0]
        train, test = arrays.stored(x_train, y_train), arrays.stored(x_test, y_test)
    if train.pixels.dtype != test.pixels.dtype:
        raise InputError(
            f"{str(path)!r} has {x_train!r} of {train.pixels.dtype} and {x_test!r} of {test.pixels.dtype}; "
            "expected one type. Convert one of them"
        )
    return train, test


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    with reading(path):
        try:
            with zipfile.ZipFile(path) as archive:
                yield archive
        except InputError:  # it is a ValueError too
            raise
        except _DAMAGE as error:
            raise damaged(path, error) from error


class _Arrays:
    """The arrays of an open archive by their names."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._archive = path, archive
        self._members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        self.names = list(self._members)

    def has(self, name: str) -> bool:
        return name in self._members

    def only(self, names: tuple[str, ...]) -> str:
        """Return the one name that is there, or the first where none is."""
        there = [name for name in names if self.has(name)]
        if len(there) > 1:
            raise InputError(
                f"{str(self._path)!r} holds {' and '.join(map(repr, there))}; expected one. Remove the other"
            )
        return (there or list(names))[0]

    def stored(self, images: str, labels: str) -> Stored:
        """Read images and, where there are any, their labels."""
        pixels = checked_images(self._read(images), self._where(images))
        if not self.has(labels):
            return Stored(pixels, None)
        return Stored(pixels, checked_labels(self._read(labels), len(pixels), self._where(labels)))

    def _where(self, name: str) -> str:
        return f"{name!r} of {str(self._path)!r}"

    def _read(self, name: str) -> NDArray[Any]:
        member = self._members[name]
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(
                f"{self._where(name)} is packed by method {member.compress_type}; expected what numpy writes. "
                "Write it with numpy.savez_compressed"
            )
        if member.file_size > (available_memory() or math.inf):
            raise MemoryError
        with self._archive.open(member) as file:
            _check_header(file, member.file_size, self._where(name))
            file.seek(0)
            array: NDArray[Any] = np.load(file, allow_pickle=False)
        return array


def _check_header(file: IO[bytes], size: int, where: str) -> None:
    """Raise InputError unless an array of `size` bytes in all holds numbers, and as many as its header promises."""
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):  # 3.0 is for names of fields, which no image has
        raise InputError(f"{where} is of version {version} of the npy format; expected 1.0 or 2.0. Write it again")
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read_header(file)
    if dtype.hasobject:
        raise InputError(f"{where} holds pickled Python objects, which are never read; expected numbers. Convert it")
    if dtype.kind not in "biuf":
        raise InputError(f"{where} holds {dtype}; expected numbers (uint8, bool or floats for images). Convert it")
    if min(shape, default=0) < 0:
        raise InputError(f"{where} has the shape {shape}; expected no negative size. Write it again")
    promised, held = math.prod(shape) * dtype.itemsize, size - file.tell()
    if promised != held:
        fault = "goes on after them" if held > promised else f"ends after {held:,}"
        raise InputError(f"{where} promises {promised:,} bytes of data and {fault}. Fetch or write it again")
