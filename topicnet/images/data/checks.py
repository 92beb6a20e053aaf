"""Images as a file holds them: what the readers of all formats share, and what they check."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from gzip import GzipFile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from topicnet.errors import InputError

Pixels = NDArray[np.uint8] | NDArray[np.float32]  # levels of gray 0 to 255, or gray from 0 to 1
_CHUNK_BYTES = 1 << 20
Readable = IO[bytes] | GzipFile


@dataclass(frozen=True, eq=False)
class Split:
    """Images with one purpose, or those of one file or folder in its order.

    Attributes
    ----------
    pixels : array
        (n, P), or (n, height, width) as readers give pictures: uint8 levels of gray from 0 to 255 (`gray` divides them
        by 255), or float32 from 0 to 1.
    labels : array or None
        (n,) classes, None where nobody knows them.
    """

    pixels: Pixels
    labels: NDArray[np.int64] | None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what the operating system and the decompressors raise into one InputError.

    Raises
    ------
    InputError
        The file is damaged, may not be read, or does not fit in memory.
    """
    try:
        yield
    except (EOFError, zlib.error) as error:
        raise damaged(path, error) from error
    except OSError as error:
        if error.errno is None:  # not of the operating system: gzip's
            raise damaged(path, error) from error
        raise InputError(
            f"cannot read {str(error.filename or path)!r}: {error.strerror}. Check the path and its permissions"
        ) from error
    except MemoryError as error:
        raise InputError(
            f"{str(path)!r} needs more memory than there is; expected images that fit in it. Give fewer or smaller ones"
        ) from error


def damaged(path: Path, why: str | Exception) -> InputError:
    """Say that a file is not what it should be, with the first line of what its library says."""
    said = next(iter(str(why).splitlines()), "") or type(why).__name__
    return InputError(f"{str(path)!r} is damaged or cut off ({said}). Fetch or write it again")


def read_promised(file: Readable, n_bytes: int, where: str) -> bytearray:
    """Read as many bytes as a header promises, and not one more.

    Room is made for what arrives and not for what is promised, so that a hostile header costs nothing.

    Raises
    ------
    InputError
        The file ends before, or goes on after.
    """
    data = bytearray()
    while len(data) <= n_bytes and (chunk := file.read(min(_CHUNK_BYTES, n_bytes + 1 - len(data)))):
        data += chunk
    if len(data) != n_bytes:
        fault = "goes on after them" if len(data) > n_bytes else f"ends after {len(data):,}"
        raise InputError(f"{where} promises {n_bytes:,} bytes of data and {fault}. Fetch or write it again")
    return data


def checked_images(values: NDArray[Any], where: str) -> Pixels:
    """Bring gray images into one of the two kinds of pixels.

    Parameters
    ----------
    values : array
        (n, h, w), (n, h, w, 1) or (n, P): uint8, bool (then 0 and 255 come back), or floats from 0 to 1.
    where : str
        How messages call it.

    Returns
    -------
    array
        (n, h, w) or (n, P), uint8 or float32.

    Raises
    ------
    InputError
        Another shape or type, no pixels, or a value outside the range.
    """
    if values.ndim == 4 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim not in (2, 3):
        raise InputError(
            f"{where} has the shape {values.shape}; expected gray images as (n, height, width), (n, height, width, 1) "
            "or (n, pixels). Reshape it, or make colour gray"
        )
    if 0 in values.shape[1:]:
        raise InputError(
            f"{where} has the shape {values.shape}, images of 0 pixels; expected at least 1. Write it again"
        )
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if not np.issubdtype(values.dtype, np.floating):
        raise InputError(
            f"{where} holds {values.dtype}; expected uint8 from 0 to 255, bool, or floats from 0 to 1. "
            "Convert it, such as with .astype('uint8')"
        )
    _check_range(values, where)
    return values.astype(np.float32)


def _check_range(values: NDArray[np.floating], where: str) -> None:
    outside = ~((values >= 0) & (values <= 1))  # NaN compares false, and so is outside
    if not outside.any():
        return
    image, *rest = (int(i) for i in np.unravel_index(int(outside.argmax()), values.shape))
    pixel = f"row {rest[0]}, column {rest[1]}" if len(rest) == 2 else f"pixel {rest[0]}"
    levels = values.min() >= 0 and values.max() <= 255
    raise InputError(
        f"{where} holds {float(values[(image, *rest)])} in image {image}, {pixel} (counted from 0); "
        f"expected floats from 0 to 1. {'Divide by 255' if levels else 'Scale or mend them'}"
    )


def checked_labels(values: NDArray[Any], n_images: int, where: str) -> NDArray[np.int64]:
    """Bring labels, (n,) or (n, 1) integers, into (n,).

    Raises
    ------
    InputError
        They are no integers, or another number than the images.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
        raise InputError(
            f"{where} holds {values.dtype} of shape {values.shape}; expected one integer for each image, "
            f"({n_images},). Number the classes, or leave the labels out"
        )
    if len(values) != n_images:
        raise InputError(
            f"{where} holds {len(values)} labels for {n_images} images; expected one each. Give those that belong"
        )
    return values.astype(np.int64)
