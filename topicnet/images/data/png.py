"""Reader of folders of PNG images, converted to gray levels.

Colour is converted by its luma (ITU-R 601), 16-bit values keep their upper 8 bits, and transparent pixels become white
as on a page. Only the first frame of an animation is read.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from topicnet.errors import InputError
from topicnet.images.data.checks import Split, damaged, reading
from topicnet.runtime.extras import import_extra

if TYPE_CHECKING:
    from PIL.Image import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST_PIXELS = 1 << 24  # per image: larger ones are impractical here, and a small file can promise billions


def png_files(folder: Path) -> list[Path]:
    """Return the PNG files in a folder and its subfolders, sorted by path, without hidden files and folders.

    Raises
    ------
    InputError
        A folder cannot be read.
    """
    found: list[Path] = []
    with reading(folder):
        for where, folders, names in os.walk(folder, onerror=_raise):
            folders[:] = [name for name in folders if not name.startswith(".")]
            found += [Path(where, name) for name in names if name.lower().endswith(".png") and name[0] != "."]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _raise(error: OSError) -> None:
    raise error


def read_png_files(folder: Path, paths: list[Path]) -> Split:
    """Read PNG images of one size, labelled by subfolder if none is directly in `folder`.

    Parameters
    ----------
    folder : Path
        The root: subfolders that hold images are numbered in sorted order to give labels.
    paths : list of Path
        At least one image below `folder`.

    Returns
    -------
    Split
        Pixels (n, h, w) uint8, and labels or None.

    Raises
    ------
    InputError
        Images differ in size, one is damaged or has no or too many pixels, or Pillow is not installed.
    """
    with reading(folder):
        height, width = _size(_content(paths[0]), paths[0])
        pixels = np.empty((len(paths), height, width), dtype=np.uint8)
        for row, path in zip(pixels, paths, strict=True):
            content = _content(path)
            if (size := _size(content, path)) != (height, width):
                raise InputError(
                    f"{str(path)!r} is {size[0]} x {size[1]} (height x width) and {str(paths[0])!r} is {height} x "
                    f"{width}; expected images of one size. Scale or remove those that differ"
                )
            _check_sums(content, path)
            row[:] = _gray_levels(content, path)
    return Split(pixels, _labels(folder, paths))


def _labels(folder: Path, paths: list[Path]) -> NDArray[np.int64] | None:
    folders = [path.parent.relative_to(folder).as_posix() for path in paths]
    if "." in folders:  # an image directly in the root has no class
        return None
    numbers = {name: number for number, name in enumerate(sorted(set(folders)))}
    return np.array([numbers[name] for name in folders], dtype=np.int64)


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    if len(content) < 24 or content[:8] != _SIGNATURE or content[12:16] != b"IHDR":
        raise InputError(
            f"{str(path)!r} begins with {content[:8]!r} and is not a PNG image. Write it again, or remove it"
        )
    return content


def _size(content: bytes, path: Path) -> tuple[int, int]:
    """Return height and width from the header, without decompressing."""
    width, height = struct.unpack_from(">2I", content, 16)
    if not 0 < height * width <= _MOST_PIXELS:
        raise InputError(
            f"{str(path)!r} is {height} x {width} pixels; expected 1 to {_MOST_PIXELS:,}. Scale it down, or remove it"
        )
    return height, width


def _check_sums(content: bytes, path: Path) -> None:
    """Verify the checksum of every chunk, since Pillow does not verify those of pixel data."""
    begin, kind = len(_SIGNATURE), b""
    while kind != b"IEND":
        if len(content) < begin + 12:
            raise damaged(path, "it ends early")
        length, kind = struct.unpack_from(">I4s", content, begin)
        end = begin + 8 + length
        if zlib.crc32(content[begin + 4 : end]).to_bytes(4) != content[end : end + 4]:
            raise damaged(path, f"wrong checksum of the chunk {kind!r}")
        begin = end + 4


def _gray_levels(content: bytes, path: Path) -> NDArray[np.uint8]:
    import_extra(f"reading {str(path)!r}", "PIL")
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            return _flat_gray(image)
    except MemoryError:
        raise
    except UnidentifiedImageError as error:  # its message contains a memory address
        raise damaged(path, "a kind of PNG that Pillow cannot read") from error
    except Exception as error:  # on damaged bytes its decoders raise almost anything, even SyntaxError
        raise damaged(path, error) from error


def _flat_gray(image: Image) -> NDArray[np.uint8]:
    from PIL import Image as Pillow

    if image.mode.startswith("I"):  # 16 bits
        values = np.asarray(image)
        levels = (values >> 8).astype(np.uint8)
        levels[values == image.info.get("transparency", -1)] = 255
        return levels
    if image.has_transparency_data:
        image = image.convert("RGBA")
        page = Pillow.new("RGBA", image.size, "white")
        image = Pillow.alpha_composite(page, image)
    return np.asarray(image.convert("L"))
