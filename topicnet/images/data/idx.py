"""Reader of idx files, the format of MNIST: single files of unsigned bytes, gzipped or not, and folders of four.

An idx file begins with two zero bytes, the type of its values (8 means unsigned bytes), the number of dimensions, and
the size of each as a big-endian 32-bit integer (LeCun, Cortes & Burges, "The MNIST database of handwritten digits").
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
from topicnet.images.data.checks import Readable, Split, checked_images, checked_labels, read_exactly, reading

_GZIP = b"\x1f\x8b"
_UNSIGNED_BYTES = 8
TRAIN, TEST = "train", "t10k"
IMAGES, LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"


def read_idx(path: Path, n_dimensions: int) -> NDArray[np.uint8]:
    """Read an idx file of unsigned bytes; gzip is recognised by the first two bytes.

    Parameters
    ----------
    path : Path
        The file.
    n_dimensions : int
        3 for images, 1 for labels.

    Returns
    -------
    ndarray of shape (n, h, w) or (n,)
        uint8.

    Raises
    ------
    InputError
        Another format, type or number of dimensions, or a file that is damaged, truncated or too long.
    """
    with reading(path), path.open("rb") as plain:
        zipped = plain.read(len(_GZIP)) == _GZIP
        plain.seek(0)
        with gzip.GzipFile(fileobj=plain) if zipped else nullcontext(plain) as file:
            shape = _read_shape(file, n_dimensions, path)
            data = read_exactly(file, math.prod(shape), repr(str(path)))
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def _read_shape(file: Readable, n_dimensions: int, path: Path) -> tuple[int, ...]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise InputError(
            f"{str(path)!r} begins with {magic!r} and is not an idx file; expected one as in MNIST, an .npz file, "
            "or a folder of PNG or JPEG images. Name another"
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
    """Read one idx file of images, without labels; errors as in `read_idx`."""
    return Split(checked_images(read_idx(path, 3), repr(str(path))), None)


def is_idx_folder(folder: Path) -> bool:
    """Return whether a folder holds any of MNIST's four files, judged by name."""
    return any(_named(folder, part, kind) for part in (TRAIN, TEST) for kind in (IMAGES, LABELS))


def read_idx_folder(folder: Path) -> tuple[Split, Split]:
    """Read the training and test images of a folder with MNIST's file names; label files are optional.

    Raises
    ------
    InputError
        An image file is missing, the number of labels differs, or an error of `read_idx`.
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
