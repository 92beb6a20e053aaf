"""PNG galleries of images: tiles are assembled with numpy, labels are drawn with Pillow."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from topicnet.errors import InputError
from topicnet.images.drawing.checks import checked_numbers, plain, refuse_huge
from topicnet.runtime.extras import import_extra

Picture = tuple[int, ...]  # height and width, and 3 for colour
Shape = Picture | None

EDGE, TEXT = 12, 14  # white margin and font size of the labels, pixels
GAP, FRAME = 2, 160  # pixels between tiles; gray level of the frame around each
TILE = 56  # small images are enlarged by a whole factor until the longer side is about this many pixels


def gallery(images: NDArray[Any], shape: Shape, columns: int | None = None) -> bytes:
    """Draw images as a grid of tiles, gray or in colour, row by row.

    Parameters
    ----------
    images : ndarray of shape (n, P)
        Values in [0, 1], 0 drawn black; in colour red, green and blue of each pixel in turn.
    shape : (int, int) or (int, int, 3)
        Height and width, and 3 for colour, with P values in all.
    columns : int, optional
        Tiles per row; by default a square grid with 10 to 20 columns.

    Returns
    -------
    bytes
        A PNG.

    Raises
    ------
    InputError
        There are no images, the shape is missing or wrong, a value is outside [0, 1], columns is below 1, or the
        picture is too large.
    """
    tiles = _framed(_tiles(images, shape, "images"))
    n = len(tiles)
    if columns is not None and columns < 1:
        raise InputError(f"columns is {columns}; expected a whole number of at least 1")
    columns = min(n, columns or max(10, min(20, math.isqrt(n - 1) + 1)))
    bands = [_band(tiles[i : i + columns], columns) for i in range(0, n, columns)]
    return _sheet(bands, [""] * len(bands), [GAP] * len(bands))


def labelled_gallery(rows: Sequence[tuple[str, NDArray[Any]]], shape: Shape) -> bytes:
    """Draw one row of tiles for each pair of a label and images (n, P) in [0, 1], as a PNG; see `gallery`."""
    if not rows:
        raise InputError("a labelled gallery was given no rows; expected at least one label with its images")
    tiles = [_framed(_tiles(images, shape, f"the images of {label!r}")) for label, images in rows]
    columns = max(len(row) for row in tiles)
    bands = [_band(row, columns) for row in tiles]
    return _sheet(bands, [label for label, _ in rows], [3 * GAP] * len(bands))


def pairs_gallery(originals: NDArray[Any], reconstructions: NDArray[Any], shape: Shape) -> bytes:
    """Draw originals (n, P) above their reconstructions (n, P), ten pairs per row, as a PNG; see `gallery`."""
    pairs = _tiles(originals, shape, "originals"), _tiles(reconstructions, shape, "reconstructions")
    n = len(pairs[0])
    if n != len(pairs[1]):
        raise InputError(f"{n} originals and {len(pairs[1])} reconstructions were given; expected as many of each")
    starts, columns = range(0, n, 10), min(n, 10)
    framed = [_framed(tiles) for tiles in pairs]
    bands = [_band(tiles[i : i + columns], columns) for i in starts for tiles in framed]
    return _sheet(bands, ["original", "reconstruction"] * len(starts), [GAP, 8 * GAP] * len(starts))


def _tiles(images: NDArray[Any], shape: Shape, what: str) -> NDArray[np.uint8]:
    """Convert images to tiles (n, height, width) or (n, height, width, 3) with levels from 0 to 255."""
    if shape is None:
        raise InputError(f"{what} have no height and width; expected pictures: draw vectors as histograms instead")
    pixels = checked_numbers(images, what, 2)
    if len(shape) not in (2, 3) or min(shape) < 1 or pixels.shape[1] != math.prod(shape) or shape[2:] not in ((), (3,)):
        raise InputError(
            f"{what} have {pixels.shape[1]} values each; expected {' x '.join(map(str, shape))} of shape {shape}"
        )
    if pixels.min() < -1e-6 or pixels.max() > 1 + 1e-6:  # tolerance for single precision
        raise InputError(
            f"{what} reach from {pixels.min():g} to {pixels.max():g}; expected [0, 1]: divide 8-bit levels by 255"
        )
    levels: NDArray[np.uint8] = np.rint(pixels.clip(0, 1) * 255).astype(np.uint8).reshape(-1, *shape)
    return levels


def _framed(tiles: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Enlarge tiles by a whole factor, until the longer side is about 56 pixels, and frame each."""
    scale = max(1, round(TILE / max(tiles.shape[1:3])))
    refuse_huge(len(tiles) * tiles.shape[1] * scale, tiles.shape[2] * scale, "gallery")
    large = tiles.repeat(scale, axis=1).repeat(scale, axis=2)
    around = [(0, 0), (1, 1), (1, 1), (0, 0)]
    return np.pad(large, around[: large.ndim], constant_values=FRAME)


def _band(tiles: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """Join tiles (n, height, width[, 3]) into one row, white up to `columns` tiles and to the height of a label."""
    n, height, width, *channels = tiles.shape
    band = np.full((max(height, TEXT + 6), columns, width + GAP, *channels), 255, dtype=np.uint8)
    band[:height, :n, :width] = tiles.swapaxes(0, 1)
    return band.reshape(len(band), -1, *channels)[:, :-GAP]


def _sheet(bands: Sequence[NDArray[np.uint8]], labels: Sequence[str], gaps: Sequence[int]) -> bytes:
    """Stack bands, each with a label on the left and a gap below."""
    import_extra("a gallery of images", "PIL")
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(TEXT)
    names = [plain(label) for label in labels]
    indent = EDGE + (math.ceil(max(font.getbbox(name)[2] for name in names)) + 10 if any(names) else 0)
    width = indent + bands[0].shape[1] + EDGE
    height = 2 * EDGE + sum(len(band) for band in bands) + sum(gaps[:-1])
    refuse_huge(width, height, "gallery")
    page = np.full((height, width, *bands[0].shape[2:]), 255, dtype=np.uint8)
    tops = EDGE + np.cumsum([0, *(len(band) + gap for band, gap in zip(bands, gaps, strict=True))])
    for top, band in zip(tops[:-1], bands, strict=True):
        page[top : top + len(band), indent : width - EDGE] = band
    image = Image.fromarray(page)
    pen = ImageDraw.Draw(image)
    for top, band, name in zip(tops[:-1], bands, names, strict=True):
        pen.text((EDGE, top + len(band) / 2), name, "black", font, "lm")
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()
