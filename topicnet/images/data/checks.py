"""Checks and error messages shared by the readers of all image formats."""

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

Pixels = NDArray[np.uint8] | NDArray[np.float32]  # levels from 0 to 255, or values from 0 to 1
CHANNELS = 3  # of colour: red, green and blue
_CHUNK_BYTES = 1 << 20
Readable = IO[bytes] | GzipFile


@dataclass(frozen=True, eq=False)
class Split:
    """Images and labels of one split (training, validation or test), or of one file or folder.

    Parameters
    ----------
    pixels : ndarray of shape (n, P), or (n, height, width) or (n, height, width, 3) from readers of pictures
        uint8 levels from 0 to 255 (`gray` divides them by 255), or float32 from 0 to 1.
    labels : ndarray of shape (n,) or None
        int64 class of each image; None if unknown.

    Examples
    --------
    >>> from topicnet.images import load_images
    >>> load_images("digits").test.labels[:5].tolist()
    [2, 5, 7, 4, 5]
    """

    pixels: Pixels
    labels: NDArray[np.int64] | None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Convert errors of the operating system and of decompressors into one InputError.

    Raises
    ------
    InputError
        The file is damaged, cannot be read, or does not fit in memory.
    """
    try:
        yield
    except (EOFError, zlib.error) as error:
        raise damaged(path, error) from error
    except OSError as error:
        if error.errno is None:  # raised by gzip, not by the operating system
            raise damaged(path, error) from error
        raise InputError(
            f"cannot read {str(error.filename or path)!r}: {error.strerror}. Check the path and its permissions"
        ) from error
    except MemoryError as error:
        raise InputError(
            f"{str(path)!r} needs more memory than there is; expected images that fit in it. Give fewer or smaller ones"
        ) from error


def damaged(path: Path, why: str | Exception) -> InputError:
    """Return the error for a damaged file, with the first line of the reason."""
    reason = next(iter(str(why).splitlines()), "") or type(why).__name__
    return InputError(f"{str(path)!r} is damaged or cut off ({reason}). Fetch or write it again")


def read_exactly(file: Readable, n_bytes: int, where: str) -> bytearray:
    """Read exactly the number of bytes that a header promises.

    Memory is allocated for the bytes that arrive, not for those promised, so that a forged header costs nothing.

    Raises
    ------
    InputError
        The file is shorter or longer than promised.
    """
    data = bytearray()
    while len(data) <= n_bytes and (chunk := file.read(min(_CHUNK_BYTES, n_bytes + 1 - len(data)))):
        data += chunk
    if len(data) != n_bytes:
        fault = "continues after them" if len(data) > n_bytes else f"ends after {len(data):,}"
        raise InputError(f"{where} promises {n_bytes:,} bytes of data and {fault}. Fetch or write it again")
    return data


def checked_images(values: NDArray[Any], where: str) -> Pixels:
    """Check images, gray or with the channels red, green and blue, and convert them to one of the two pixel types.

    Parameters
    ----------
    values : ndarray of shape (n, h, w), (n, h, w, 1), (n, h, w, 3) or (n, P)
        uint8, bool (converted to 0 and 255), or floats from 0 to 1.
    where : str
        Name of the array in messages.

    Returns
    -------
    ndarray of shape (n, h, w), (n, h, w, 3) or (n, P)
        uint8 or float32.

    Raises
    ------
    InputError
        Another shape or type, images without pixels, or a value out of range.
    """
    if values.ndim == 4 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim not in (2, 3) and not (values.ndim == 4 and values.shape[-1] == CHANNELS):
        first = values.ndim == 4 and values.shape[1] in (1, CHANNELS)
        raise InputError(
            f"{where} has the shape {values.shape}; expected gray images as (n, height, width), (n, height, width, 1) "
            f"or (n, pixels), or colour as (n, height, width, {CHANNELS}). "
            + ("Move the channels to the end, as .transpose(0, 2, 3, 1) does" if first else "Reshape it")
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
            "Convert it, e.g. with .astype('uint8')"
        )
    _check_range(values, where)
    return values.astype(np.float32)


def _check_range(values: NDArray[np.floating], where: str) -> None:
    outside = ~((values >= 0) & (values <= 1))  # NaN counts as outside
    if not outside.any():
        return
    image, *rest = (int(i) for i in np.unravel_index(int(outside.argmax()), values.shape))
    pixel = f"row {rest[0]}, column {rest[1]}" if len(rest) > 1 else f"pixel {rest[0]}"
    pixel += f", channel {rest[2]}" if len(rest) > 2 else ""
    levels = values.min() >= 0 and values.max() <= 255
    raise InputError(
        f"{where} holds {float(values[(image, *rest)])} in image {image}, {pixel} (counted from 0); "
        f"expected floats from 0 to 1. {'Divide by 255' if levels else 'Rescale or correct them'}"
    )


def checked_labels(values: NDArray[Any], n_images: int, where: str) -> NDArray[np.int64]:
    """Check integer labels of shape (n,) or (n, 1) and return them as (n,) int64.

    Raises
    ------
    InputError
        The labels are not integers, or their number differs from the number of images.
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
            f"{where} holds {len(values)} labels for {n_images} images; expected one for each. "
            "Give the labels of these images"
        )
    return values.astype(np.int64)
