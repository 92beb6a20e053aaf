"""Reader of folders of PNG and JPEG images, in gray levels or in colour.

A folder is in colour if any pixel of any image is: gray images among coloured ones get three equal channels. 16-bit
values keep their upper 8 bits, and transparent pixels become white as on a page. Only the first frame of an animation
is read. Orientations and colour profiles in the metadata are ignored.
"""

from __future__ import annotations

import io
import os
import struct
import warnings
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

_SUFFIXES = (".png", ".jpg", ".jpeg")
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_MOST_PIXELS = 1 << 24  # per image: larger ones are impractical here, and a small file can promise billions
_SEGMENTS_WITHOUT_SIZE = (0xC4, 0xC8, 0xCC)  # of JPEG, among the codes of frames


def picture_files(folder: Path) -> list[Path]:
    """Return the PNG and JPEG files in a folder and its subfolders, sorted by path, without hidden files and folders.

    Raises
    ------
    InputError
        A folder cannot be read.
    """
    found: list[Path] = []
    with reading(folder):
        for where, folders, names in os.walk(folder, onerror=_raise):
            folders[:] = [name for name in folders if not name.startswith(".")]
            found += [Path(where, name) for name in names if name.lower().endswith(_SUFFIXES) and name[0] != "."]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _raise(error: OSError) -> None:
    raise error


def read_picture_files(folder: Path, paths: list[Path]) -> Split:
    """Read PNG and JPEG images of one size, labelled by subfolder if none is directly in `folder`.

    Parameters
    ----------
    folder : Path
        The root: subfolders that hold images are numbered in sorted order to give labels.
    paths : list of Path
        At least one image below `folder`.

    Returns
    -------
    Split
        Pixels (n, h, w) uint8, or (n, h, w, 3) if any pixel is coloured, and labels or None.

    Raises
    ------
    InputError
        Images differ in size, one is damaged or has no or too many pixels, or Pillow is not installed.
    """
    with reading(folder):
        height, width = _size(_content(paths[0]), paths[0])
        pixels = np.empty((len(paths), height, width), dtype=np.uint8)
        for number, path in enumerate(paths):
            content = _content(path)
            if (size := _size(content, path)) != (height, width):
                raise InputError(
                    f"{str(path)!r} is {size[0]} x {size[1]} (height x width) and {str(paths[0])!r} is {height} x "
                    f"{width}; expected images of one size. Scale or remove those that differ"
                )
            if content.startswith(_PNG):
                _check_sums(content, path)
            picture = _levels(content, path)
            if picture.ndim > pixels.ndim - 1:  # the first image in colour
                pixels = pixels[..., None].repeat(3, axis=-1)
            pixels[number] = picture if picture.ndim == pixels.ndim - 1 else picture[..., None]
    return Split(pixels, _labels(folder, paths))


def _labels(folder: Path, paths: list[Path]) -> NDArray[np.int64] | None:
    folders = [path.parent.relative_to(folder).as_posix() for path in paths]
    if "." in folders:  # an image directly in the root has no class
        return None
    numbers = {name: number for number, name in enumerate(sorted(set(folders)))}
    return np.array([numbers[name] for name in folders], dtype=np.int64)


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    png = len(content) >= 24 and content.startswith(_PNG) and content[12:16] == b"IHDR"
    if not png and not content.startswith(_JPEG):
        raise InputError(
            f"{str(path)!r} begins with {content[:8]!r} and is not a PNG image, nor a JPEG image. Write it again, or "
            "remove it"
        )
    return content


def _size(content: bytes, path: Path) -> tuple[int, int]:
    """Return height and width from the header, without decompressing."""
    if content.startswith(_PNG):
        width, height = struct.unpack_from(">2I", content, 16)
    else:
        height, width = _jpeg_size(content, path)
    if not 0 < height * width <= _MOST_PIXELS:
        raise InputError(
            f"{str(path)!r} is {height} x {width} pixels; expected 1 to {_MOST_PIXELS:,}. Scale it down, or remove it"
        )
    return height, width


def _jpeg_size(content: bytes, path: Path) -> tuple[int, int]:
    """Return height and width from the first frame header: a marker 0xFFC0 to 0xFFCF, length, depth and sizes."""
    begin = 2
    while len(content) >= begin + 9 and content[begin] == 0xFF:
        kind = content[begin + 1]
        if kind == 0xFF:  # padding
            begin += 1
            continue
        length, _, height, width = struct.unpack_from(">HBHH", content, begin + 2)
        if 0xC0 <= kind <= 0xCF and kind not in _SEGMENTS_WITHOUT_SIZE:
            return height, width
        if kind == 0xDA:  # pixel data before any size
            break
        begin += 2 + max(2, length)
    raise damaged(path, "it has no header with a size")


def _check_sums(content: bytes, path: Path) -> None:
    """Verify the checksum of every chunk, since Pillow does not verify those of pixel data."""
    begin, kind = len(_PNG), b""
    while kind != b"IEND":
        if len(content) < begin + 12:
            raise damaged(path, "it ends early")
        length, kind = struct.unpack_from(">I4s", content, begin)
        end = begin + 8 + length
        if zlib.crc32(content[begin + 4 : end]).to_bytes(4) != content[end : end + 4]:
            raise damaged(path, f"wrong checksum of the chunk {kind!r}")
        begin = end + 4


def _levels(content: bytes, path: Path) -> NDArray[np.uint8]:
    """Decode one image to gray levels (h, w) or, if any pixel is coloured, to (h, w, 3)."""
    import_extra(f"reading {str(path)!r}", "PIL")
    from PIL import Image, UnidentifiedImageError

    kind = "PNG" if content.startswith(_PNG) else "JPEG"
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(content), formats=[kind]) as image:
            # The size is known to be harmless; warnings about odd metadata are of no use here.
            warnings.simplefilter("ignore")
            return _flat_levels(image)
    except MemoryError:
        raise
    except UnidentifiedImageError as error:  # its message contains a memory address
        raise damaged(path, f"a kind of {kind} that Pillow cannot read") from error
    except Exception as error:  # on damaged bytes its decoders raise almost anything, even SyntaxError
        raise damaged(path, error) from error


def _flat_levels(image: Image) -> NDArray[np.uint8]:
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
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))
    colours = np.asarray(image.convert("RGB"))
    if (colours == colours[..., :1]).all():
        return np.asarray(image.convert("L"))
    return colours
