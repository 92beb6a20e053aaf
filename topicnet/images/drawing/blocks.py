"""PNG sheets of images drawn with Pillow: blocks with a title each, and a table with named columns."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from topicnet.errors import InputError
from topicnet.images.drawing.checks import matching_names, plain, refuse_huge
from topicnet.images.drawing.galleries import EDGE, GAP, TEXT, Shape, _framed, _tiles
from topicnet.runtime.extras import import_extra

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

BETWEEN = 28  # white pixels between blocks
LINE = TEXT + 8  # height of a line of text, pixels
MARK = 3  # width of the black frame around a marked tile, pixels

Levels = NDArray[np.uint8]


def blocks(series: Sequence[tuple[str, NDArray[Any]]], shape: Shape, per_row: int, columns: int) -> bytes:
    """Draw blocks of images side by side, each below its title.

    Parameters
    ----------
    series : sequence of (str, ndarray of shape (n, P))
        Title and images in [0, 1] of each block; n can differ.
    shape : (int, int)
        Height and width of an image.
    per_row : int
        Tiles per row of a block.
    columns : int
        Blocks per row of the sheet.

    Returns
    -------
    bytes
        A PNG.

    Raises
    ------
    InputError
        There are no blocks, the shape is missing or wrong, a value is outside [0, 1], or the picture is too large.
    """
    if not series or min(per_row, columns) < 1:
        raise InputError(f"{len(series)} blocks with {per_row} tiles per row in {columns} columns; expected 1 or more")
    sheets = [_grid(_framed(_tiles(images, shape, f"the images of {title!r}")), per_row) for title, images in series]
    font, titles = _font(), [plain(title) for title, _ in series]
    widths = [max(sheet.shape[1], _width(font, title)) for sheet, title in zip(sheets, titles, strict=True)]
    columns = min(columns, len(sheets))
    lefts = EDGE + np.cumsum([0, *(max(widths[j::columns]) + BETWEEN for j in range(columns))])
    rows = [sheets[i : i + columns] for i in range(0, len(sheets), columns)]
    tops = EDGE + np.cumsum([0, *(LINE + max(map(len, row)) + BETWEEN for row in rows)])
    page = _page(int(tops[-1]) - BETWEEN + EDGE, int(lefts[-1]) - BETWEEN + EDGE, sheets[0])
    texts = []
    for i, (sheet, title) in enumerate(zip(sheets, titles, strict=True)):
        top, left = int(tops[i // columns]), int(lefts[i % columns])
        page[top + LINE : top + LINE + len(sheet), left : left + sheet.shape[1]] = sheet
        texts.append((left, top + LINE // 2, title, "lm"))
    return _png(page, texts, font)


def table(
    rows: Sequence[tuple[str, NDArray[Any]]],
    column_names: Sequence[str],
    shape: Shape,
    marked: Sequence[int | None] | None = None,
) -> bytes:
    """Draw images as a table: a row for each pair of a name and images, below the names of the columns.

    Parameters
    ----------
    rows : sequence of (str, ndarray of shape (n, P))
        Name and images in [0, 1] of each row.
    column_names : sequence of str
        n names. The first column is set apart from the others.
    shape : (int, int)
        Height and width of an image.
    marked : sequence of int or None, optional
        For each row, the column of the tile with a black frame around it.

    Returns
    -------
    bytes
        A PNG.

    Raises
    ------
    InputError
        As `blocks`, or the number of names differs from that of the images.
    """
    if not rows:
        raise InputError("a table was given no rows; expected at least one name with its images")
    tiles = [_framed(_tiles(images, shape, f"the images of {name!r}")) for name, images in rows]
    names = matching_names(column_names, len(tiles[0]), "column names", "images")
    font, labels = _font(), [plain(name) for name, _ in rows]
    height, width = tiles[0].shape[1:3]
    pitch = max(width, *(_width(font, name) for name in names)) + 2 * MARK + GAP
    indent = EDGE + max(_width(font, label) for label in labels) + 10
    lefts = [indent + j * pitch + (0 if j == 0 else 5 * GAP) for j in range(len(names))]
    tops = [EDGE + LINE + MARK + i * (max(height, LINE) + 2 * MARK + GAP) for i in range(len(tiles))]
    page = _page(tops[-1] + max(height, LINE) + EDGE, lefts[-1] + pitch + EDGE, tiles[0][0])
    inset = (pitch - width) // 2
    for top, row, column in zip(tops, tiles, marked or [None] * len(rows), strict=True):
        for j, (left, tile) in enumerate(zip(lefts, row, strict=True)):
            if j == column:
                page[top - MARK : top + height + MARK, left + inset - MARK : left + inset + width + MARK] = 0
            page[top : top + height, left + inset : left + inset + width] = tile
    texts = [(left + pitch // 2, EDGE + LINE // 2, name, "mm") for left, name in zip(lefts, names, strict=True)]
    texts += [(EDGE, top + height // 2, label, "lm") for top, label in zip(tops, labels, strict=True)]
    return _png(page, texts, font)


def _grid(tiles: Levels, per_row: int) -> Levels:
    """Join tiles (n, height, width) or (n, height, width, 3) into rows with gaps between them, white after the last."""
    n, height, width, *channels = tiles.shape
    per_row = min(per_row, n)
    n_rows = math.ceil(n / per_row)
    grid = np.full((n_rows * per_row, height + GAP, width + GAP, *channels), 255, np.uint8)
    grid[:n, :height, :width] = tiles
    joined = grid.reshape(n_rows, per_row, height + GAP, width + GAP, *channels).swapaxes(1, 2)
    return joined.reshape(n_rows * (height + GAP), per_row * (width + GAP), *channels)[:-GAP, :-GAP]


def _page(height: int, width: int, like: Levels) -> Levels:
    """Return a white page with the channels of an image (height, width) or (height, width, 3)."""
    refuse_huge(width, height, "gallery")
    return np.full((height, width, *like.shape[2:]), 255, np.uint8)


def _font() -> FreeTypeFont | ImageFont:
    import_extra("a gallery of images", "PIL")
    from PIL import ImageFont

    return ImageFont.load_default(TEXT)


def _width(font: FreeTypeFont | ImageFont, text: str) -> int:
    return math.ceil(font.getbbox(text)[2])


def _png(page: Levels, texts: Sequence[tuple[int, int, str, str]], font: FreeTypeFont | ImageFont) -> bytes:
    """Write texts, each with its position and anchor, on a page."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(page)
    pen = ImageDraw.Draw(image)
    for left, top, text, anchor in texts:
        pen.text((left, top), text, "black", font, anchor)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()
