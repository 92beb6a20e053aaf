"""The axes of a chart, their ticks, names and legend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from topicnet.errors import InputError
from topicnet.images.drawing.canvas import (
    EDGE,
    GRAY,
    TEXT,
    TITLE,
    Array,
    Canvas,
    ascii_line,
    plain,
    text_width,
    wrapped,
)

# Okabe & Ito's colours, which the colour-blind tell apart; their yellow is too pale on white, black is for the truth.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
CORNERS = ((32, 0.0), (4, math.pi / 4), (3, -math.pi / 2), (4, 0.0))  # of a marker: disc, square, triangle, diamond
DASHES = (0.0, 8.0, 2.5)  # pixels, 0 for a solid line
MOST_SERIES = len(COLOURS) * len(DASHES)
GRID = "#e4e4e4"
TITLE_LINE, LINE = 26, 24  # heights of a line of the title, and of a label or a name in a legend
NARROWEST = 420  # a chart, so that its title is not a column of words
PLOT = (640, 360)  # width and height of what the axes enclose


@dataclass(frozen=True)
class Style:
    colour: str
    dash: float
    corners: tuple[int, float] | None  # of the marker


@dataclass(frozen=True)
class Axis:
    low: float
    high: float
    length: int  # pixels
    ticks: tuple[tuple[float, str], ...]
    label: str = ""
    upright: bool = False  # so the names of its ticks stand


def styles_of(names: Sequence[str]) -> list[tuple[str, Style]]:
    if not 1 <= len(names) <= MOST_SERIES:
        raise InputError(f"{len(names)} series were given; expected 1 to {MOST_SERIES}, which can be told apart")
    n = len(COLOURS)
    return [(name, Style(COLOURS[i % n], DASHES[i // n], CORNERS[i % len(CORNERS)])) for i, name in enumerate(names)]


def across(low: float, high: float, label: str) -> Axis:
    """The horizontal axis, with as many ticks as there is room for."""
    axis = upward(low, high, label)
    widest = max(text_width(name) for _, name in axis.ticks) + 10
    return replace(axis, length=PLOT[0], ticks=axis.ticks[:: math.ceil(len(axis.ticks) * widest / PLOT[0])])


def upward(low: float, high: float, label: str) -> Axis:
    """The vertical axis, from low to high or around what is as good as one value, with 3 to 8 round ticks."""
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        room = 0.5 * abs(low) or 0.5
        low, high = low - room, high + room
    rough = (high - low) / 7
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough)
    ticks = step * np.arange(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    place = math.floor(math.log10(step) + 1e-9)  # of the last digit that matters
    largest = max(abs(low), abs(high))
    plain = largest < 1e7 and place >= -5
    form = f".{max(0, -place)}f" if plain else f".{max(0, math.floor(math.log10(largest)) - place)}e"
    return Axis(low, high, PLOT[1], tuple((float(tick), f"{tick:{form}}") for tick in ticks), label)


def axis_of_names(names: Sequence[str], slot: float) -> Axis:
    """A horizontal axis with names that have so many pixels each: level, upright, or the first and the last alone."""
    n = len(names)
    axis = Axis(0.0, n, round(slot * n), tuple((i + 0.5, name) for i, name in enumerate(names)))
    if max(map(text_width, names)) + 6 <= slot:
        return axis
    if slot >= TEXT + 2:
        return replace(axis, upright=True)
    return replace(axis, ticks=(), label=f"{n} in all, from {names[0]} to {names[-1]}")


class Chart:
    """Axes with a title above and a legend at the right, on a canvas as large as all of it needs.

    Parameters
    ----------
    title : str
        Broken into lines where it is long.
    x, y : Axis
        What they enclose lies on the canvas for the caller to draw in, by way of `at`.
    legend : sequence of (str, Style)
        Names at the right.
    beside : int
        Pixels that the caller needs at the right instead.
    """

    def __init__(self, title: str, x: Axis, y: Axis, legend: Sequence[tuple[str, Style]] = (), beside: int = 0) -> None:
        x, y = replace(x, label=plain(x.label)), replace(y, label=plain(y.label))
        names = [(plain(name), style) for name, style in legend]
        y = replace(y, length=max(y.length, LINE * len(names)))
        key = max((60 + text_width(name) for name, _ in names), default=0)
        before, after = _overhang(x)
        self.x, self.y = x, y
        self.left = EDGE + max(before, max((text_width(name) for _, name in y.ticks), default=0) + 8)
        widths = self.left + x.length + max(key, after, beside) + EDGE, NARROWEST
        total = max(*widths, *(text_width(axis.label) + 2 * EDGE for axis in (x, y)))
        lines = wrapped(ascii_line(title), total - 2 * EDGE)
        self.top = EDGE + TITLE_LINE * len(lines) + (LINE if y.label else 8)
        foot = max((text_width(name) if x.upright else TEXT for _, name in x.ticks), default=-4) + 14
        below = self.top + y.length + foot
        self.canvas = Canvas(total, below + (LINE if x.label else 0) + EDGE)
        for i, line in enumerate(lines):
            self.canvas.text((EDGE, EDGE + TITLE_LINE * i), line, "la", size=TITLE)
        self.canvas.text((EDGE, self.top - 8), y.label, "ls", GRAY)
        half = text_width(x.label) / 2
        middle = min(max(self.left + x.length / 2, EDGE + half), total - EDGE - half)
        self.canvas.text((middle, below), x.label, "ma", GRAY)
        self._draw_axes()
        self._draw_legend(names)

    def at(self, points: Array) -> Array:
        """(n, 2) values as (n, 2) pixels."""
        shares = (points - (self.x.low, self.y.low)) / (self.x.high - self.x.low, self.y.high - self.y.low)
        pixels: Array = (self.left, self.top + self.y.length) + shares * (self.x.length, -self.y.length)
        return pixels

    def _draw_axes(self) -> None:
        left, top, right, bottom = self.left, self.top, self.left + self.x.length, self.top + self.y.length
        for value, name in self.y.ticks:
            y = round(self.at(np.array([[self.x.low, value]]))[0, 1])
            self.canvas.line(np.array([[left, y], [right, y]]), GRID, 1)
            self.canvas.text((left - 8, y), name, "rm")
        for value, name in self.x.ticks:
            x = round(self.at(np.array([[value, self.y.low]]))[0, 0])
            self.canvas.line(np.array([[x, bottom], [x, bottom + 5]]), GRAY, 1)
            write = self.canvas.upright if self.x.upright else self.canvas.text
            write((x, bottom + 8), name, "ma")
        self.canvas.line(np.array([[left, top], [left, bottom], [right, bottom]]), GRAY, 1)

    def _draw_legend(self, names: Sequence[tuple[str, Style]]) -> None:
        x = self.left + self.x.length + 14
        for i, (name, style) in enumerate(names):
            y = self.top + LINE * i + LINE / 2
            self.canvas.line(np.array([[x, y], [x + 36, y]]), style.colour, 2, style.dash)
            self.canvas.marker(np.array([x + 18, y]), style.corners, style.colour)
            self.canvas.text((x + 46, y), name, "lm")


def _overhang(x: Axis) -> tuple[int, int]:
    """Pixels that the names below an axis reach beyond its ends."""
    places = [((value - x.low) / (x.high - x.low) * x.length, text_width(name) / 2) for value, name in x.ticks]
    if x.upright or not places:
        return 0, 0
    before, after = max(half - place for place, half in places), max(place + half - x.length for place, half in places)
    return max(0, math.ceil(before)), max(0, math.ceil(after))
