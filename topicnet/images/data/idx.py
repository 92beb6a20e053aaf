"""The idx format of MNIST: a file of unsigned bytes, gzipped or not, and the folder of four of them.

A file begins with two zero bytes, the type of its values (8: unsigned bytes), the number of its dimensions, and the
size of each as a big-endian 32-bit number (LeCun, Cortes & Burges, "The MNIST database of handwritten digits").
"""

from __future__ import annotations

import gzip
import math
import struct
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from topicnet.errors import InputError
from topicnet.images.data.checks import Readable, Split, checked_images, checked_labels, read_promised, reading

_GZIP = b"\x1f\x8b"
_UNSIGNED_BYTES = 8
TRAIN, TEST = "train", "t10k"
IMAGES, LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"


def read_idx(path: Path, n_dimensions: int) -> NDArray[np.uint8]:
    """Read an idx file of unsigned bytes, gzipped or not: its first bytes tell.

    Parameters
    ----------
    path : Path
        The file.
    n_dimensions : int
        3 for images, 1 for labels.

    Returns
    -------
    array
        (n, h, w) or (n,).

    Raises
    ------
    InputError
        Another format, type or number of dimensions, or a file that is damaged, cut off or too long.
    """
    with reading(path), path.open("rb") as plain:
        zipped = plain.read(len(_GZIP)) == _GZIP
        plain.seek(0)
        with gzip.GzipFile(fileobj=plain) if zipped else nullcontext(plain) as file:
            shape = _read_shape(file, n_dimensions, path)
            data = read_promised(file, math.prod(shape), repr(str(path)))
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def _read_shape(file: Readable, n_dimensions: int, path: Path) -> tuple[int, ...]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise InputError(
            f"{str(path)!r} begins with {magic!r} and is no idx file; expected one as of MNIST, an .npz file, "
            "or a folder of PNG images. Name another"
        )
    if magic[2] != _UNSIGNED_BYTES or magic[3] != n_dimensions:
        what = "images" if n_dimensions == 3 else "labels"
        raise InputError(
            f"{str(path)!r} is an idx file of type {magic[2]} with {magic[3]} dimensions; expected unsigned bytes "
            f"(type {_UNSIGNED_BYTES}) with {n_dimensions} for {what}. Name another"
        )
    sizes = file.read(4 * n_dimensions)
    if len(sizes) < 4 * n_dimensions:
        raise InputError(f"{str(path)!r} ends within its header. Fetch or write it again")
    return struct.unpack(f">{n_dimensions}I", sizes)


def read_idx_images(path: Path) -> Split:
    """Read one idx file of images, without labels.

    Raises
    ------
    InputError
        See `read_idx`.
    """
    return Split(checked_images(read_idx(path, 3), repr(str(path))), None)


def is_idx_folder(folder: Path) -> bool:
    """Whether a folder has any of the four files, by their names."""
    return any(_named(folder, part, kind) for part in (TRAIN, TEST) for kind in (IMAGES, LABELS))


def read_idx_folder(folder: Path) -> tuple[Split, Split]:
    """Read the train and the test images of a folder with the names of MNIST; the labels may be missing.

    Raises
    ------
    InputError
        A file of images is missing, the labels are another number, or see `read_idx`.
    """
    return _read_part(folder, TRAIN), _read_part(folder, TEST)


def _read_part(folder: Path, part: str) -> Split:
    images, labels = _named(folder, part, IMAGES), _named(folder, part, LABELS)
    if images is None:
        raise InputError(
            f"{str(folder)!r} has no {part}-{IMAGES} or {part}-{IMAGES}.gz; expected the images of both {TRAIN} and "
            f"{TEST}. Add the file, or name a single idx file"
        )
    pixels = read_idx_images(images).pixels
    if labels is None:
        return Split(pixels, None)
    return Split(pixels, checked_labels(read_idx(labels, 1), len(pixels), repr(str(labels))))


def _named(folder: Path, part: str, kind: str) -> Path | None:
    plain = folder / f"{part}-{kind}"
    zipped = plain.with_name(plain.name + ".gz")
    return next((path for path in (plain, zipped) if path.is_file()), None)
