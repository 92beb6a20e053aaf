"""The paper of the pictures: shapes, texts and their widths, as PNG by Pillow."""

from __future__ import annotations

import io
import math
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from topicnet.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont

Array = NDArray[np.float64]

INK, GRAY = "#222222", "#666666"
TEXT, TITLE = 14, 18  # font sizes
EDGE = 12  # white around everything
FINE = 3  # shapes are drawn so many times too large and brought down: slanted lines become smooth
MOST_PIXELS = {"L": 64_000_000, "RGB": 8_000_000}


def checked_numbers(values: NDArray[Any], what: str, n_dims: int) -> Array:
    array = np.asarray(values)
    if array.dtype.kind not in "buif" or array.ndim != n_dims or array.size == 0:
        raise InputError(
            f"{what}: given an array of {array.dtype} of shape {array.shape}; expected numbers in "
            f"{n_dims} dimension{'s' if n_dims > 1 else ''}, at least one"
        )
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        where = tuple(int(i[0]) for i in np.nonzero(~np.isfinite(array)))
        raise InputError(f"{what}: the value at {where} is {array[where]}; expected finite numbers: leave it out")
    return array


def matching_names(names: Sequence[str], n: int, what: str, of: str) -> list[str]:
    if len(names) != n:
        raise InputError(f"{len(names)} {what} were given for {n} {of}; expected as many of each")
    return [plain(name) for name in names]


def ascii_line(text: str) -> str:
    """One line of the letters that Pillow's own font has: no accents, and the code of what is no Latin letter."""
    letters = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    line = " ".join(letters.encode("ascii", "backslashreplace").decode().split())
    return "".join(c if c.isprintable() else "?" for c in line)


def plain(text: str) -> str:
    """A name, without the middle of a very long one."""
    line = ascii_line(text)
    return line if len(line) <= 60 else f"{line[:40].rstrip()} ... {line[-15:].lstrip()}"


@cache
def font(size: int) -> FreeTypeFont | ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def text_width(text: str, size: int = TEXT) -> int:
    return math.ceil(font(size).getbbox(text)[2])


def wrapped(title: str, width: int) -> list[str]:
    """Lines of a title, at most so many pixels wide."""
    n = min(len(title), width // 4) or 1  # hardly a letter is narrower than 4 pixels
    while any(text_width(line, TITLE) > width for line in textwrap.wrap(title, n)):
        n -= 1
    return textwrap.wrap(title, n)


class Canvas:
    """Shapes, drawn too large and brought down, and texts over them at their own size."""

    def __init__(self, width: int, height: int) -> None:
        from PIL import Image, ImageDraw

        refuse_huge(width, height, "RGB")
        self._shapes = Image.new("RGB", (FINE * width, FINE * height), "white")
        self._pen = ImageDraw.Draw(self._shapes, "RGBA")  # which blends what is translucent
        self._texts: list[tuple[tuple[float, float], str, str, str, int]] = []
        self._upright: list[tuple[tuple[float, float], str]] = []

    def line(self, points: Array, colour: str, width: int, dash: float = 0.0) -> None:
        """A line through (n, 2) pixels."""
        for piece in _dashes(points, dash) if dash else [points]:
            self._pen.line(_fine(piece), colour, width * FINE, joint="curve")

    def area(self, points: Array, colour: str) -> None:
        """What a line through (n, 2) pixels and back to the first encloses."""
        self._pen.polygon(_fine(points), colour)

    def box(self, one: Array, other: Array, colour: str) -> None:
        """A rectangle between two corners; nothing if they are on one line."""
        left, top = np.rint(FINE * np.minimum(one, other)).tolist()
        right, bottom = np.rint(FINE * np.maximum(one, other)).tolist()
        if left < right and top < bottom:
            self._pen.rectangle((left, top, right - 1, bottom - 1), colour)

    def frame(self, one: Array, other: Array) -> None:
        """The sides of a rectangle between two corners."""
        (left, top), (right, bottom) = one, other
        self.line(np.array([[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]), GRAY, 1)

    def marker(self, centre: Array, corners: tuple[int, float] | None, colour: str) -> None:
        """A small disc or polygon: its number of corners and how it is turned; nothing for None."""
        if corners is None:
            return
        n, turn = corners
        angles = turn + np.arange(n) * (2 * math.pi / n)
        radius = 5.0 if n > 4 else 6.0  # so that all look as large
        self.area(centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1), colour)

    def text(
        self, at: Sequence[float] | Array, text: str, anchor: str = "mm", colour: str = INK, size: int = TEXT
    ) -> None:
        """A text by a point of it (Pillow's anchors)."""
        self._texts.append(((float(at[0]), float(at[1])), text, anchor, colour, size))

    def upright(self, at: Sequence[float] | Array, text: str, anchor: str) -> None:
        """A text that reads upwards and ends below a point."""
        self._upright.append(((float(at[0]), float(at[1])), text))

    def png(self) -> bytes:
        """All of it, the texts on top."""
        from PIL import Image, ImageDraw

        image = self._shapes.reduce(FINE)
        pen = ImageDraw.Draw(image)
        for at, text, anchor, colour, size in self._texts:
            pen.text(at, text, colour, font(size), anchor)
        for (x, y), text in self._upright:
            mask = Image.new("L", (text_width(text), TEXT + 6))
            ImageDraw.Draw(mask).text((0, mask.height / 2), text, 255, font(TEXT), "lm")
            mask = mask.transpose(Image.Transpose.ROTATE_90)
            image.paste(INK, (round(x - mask.width / 2), round(y)), mask)
        return png_bytes(image)


def _fine(points: Array) -> list[float]:
    """Pixels as Pillow takes them: whole numbers lie in the middle of a pixel, so that straight lines are sharp."""
    coordinates: list[float] = (FINE * points + FINE // 2).ravel().tolist()
    return coordinates


def _dashes(points: Array, dash: float) -> Iterator[Array]:
    """Pieces of a line, so many pixels long and apart."""
    lengths = np.concatenate([[0.0], np.hypot(*np.diff(points, axis=0).T).cumsum()])
    for start in np.arange(0.0, lengths[-1], 2 * dash):
        end = min(start + dash, lengths[-1])
        at = np.concatenate([[start], lengths[(lengths > start) & (lengths < end)], [end]])
        yield np.stack([np.interp(at, lengths, points[:, 0]), np.interp(at, lengths, points[:, 1])], axis=1)


def refuse_huge(width: int, height: int, mode: str) -> None:
    if width * height > MOST_PIXELS[mode]:
        raise InputError(
            f"the picture would have {width} x {height} pixels; expected at most {MOST_PIXELS[mode]} in all: show less"
        )


def png_bytes(image: Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()
