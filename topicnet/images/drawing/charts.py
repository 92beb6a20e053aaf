"""Charts as PNG: histograms, bars, heat maps and curves of the numbers about a model of images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from topicnet.errors import InputError
from topicnet.images.drawing.axes import (
    COLOURS,
    DASHES,
    PLOT,
    Axis,
    Chart,
    Style,
    across,
    axis_of_names,
    styles_of,
    upward,
)
from topicnet.images.drawing.canvas import INK, Array, checked_numbers, matching_names, text_width

BELOW = "#a8b4bf"  # of bars up to the threshold
BLUES = ((255, 255, 255), (107, 174, 214), (8, 48, 107))  # from the least to the most of a heat map


def histograms(
    series: Sequence[tuple[str, NDArray[Any]]],
    truth: tuple[str, Callable[[Array], Array] | Array] | None,
    title: str,
    x_label: str,
) -> bytes:
    """Outlines of samples in one dimension over common bins, each scaled to enclose an area of 1.

    Parameters
    ----------
    series : sequence of (str, (n,) array)
        Names and samples, each with its own n.
    truth : (str, density), optional
        Drawn in black: a function from (m,) points to (m,) densities, or a (2, m) array of ascending points and
        the densities there, 0 beyond them.

    Returns
    -------
    bytes
        A PNG.

    Raises
    ------
    InputError
        No series or too many to tell apart, no or no finite numbers, or a truth that is no density.
    """
    styles = styles_of([name for name, _ in series])
    samples = [checked_numbers(values, f"{name!r}", 1) for name, values in series]
    x = across(min(s.min() for s in samples), max(s.max() for s in samples), x_label)
    n_bins = min(80, max(10, math.isqrt(max(len(s) for s in samples))))
    edges = np.linspace(x.low, x.high, n_bins + 1)
    outlines = [_outline(np.histogram(s, edges, density=True)[0], edges) for s in samples]
    drawn = list(zip(styles, outlines, strict=True))
    if truth is not None:
        drawn.append(((truth[0], Style("#000000", DASHES[1], None)), _density(truth, x)))
    y = upward(0.0, 1.05 * max(float(line[:, 1].max()) for _, line in drawn), "density")
    chart = Chart(title, x, y, [(name, replace(style, corners=None)) for (name, style), _ in drawn])
    for (_, style), outline in drawn[: len(samples)]:
        chart.canvas.area(chart.at(outline), f"{style.colour}{min(48, 192 // len(samples)):02x}")
    for (_, style), line in drawn:
        chart.canvas.line(chart.at(line), style.colour, 2, style.dash)
    return chart.canvas.png()


def bars(
    labels: Sequence[str], values: NDArray[Any], title: str, y_label: str, threshold: float | None = None
) -> bytes:
    """One bar for each label and its (n,) value, gray up to the threshold and blue above it: a PNG.

    Labels that do not fit beside one another stand upright; of more than about 40, only the first and the last are
    named.

    Raises
    ------
    InputError
        No bars, labels of another number, a value that is not finite, or too large a picture.
    """
    heights = checked_numbers(values, "values", 1)
    lines = [] if threshold is None else [float(checked_numbers(np.array([threshold]), "threshold", 1)[0])]
    x = axis_of_names(matching_names(labels, len(heights), "labels", "values"), max(2.0, PLOT[0] / len(heights)))
    y = upward(min(0.0, heights.min(), *lines), 1.05 * max(0.0, heights.max(), *lines), y_label)
    chart = Chart(title, x, y, beside=max((6 + text_width(f"{level:.3g}") for level in lines), default=0))
    room = 0.1 if x.length >= 6 * len(heights) else 0.0  # between bars that are wide enough to leave some
    for i, height in enumerate(heights):
        one, other = chart.at(np.array([[i + room, 0.0], [i + 1 - room, height]]))
        chart.canvas.box(one, other, COLOURS[0] if all(height > level for level in lines) else BELOW)
    for level in lines:
        ends = chart.at(np.array([[x.low, level], [x.high, level]]))
        chart.canvas.line(ends, COLOURS[1], 2, DASHES[1])
        chart.canvas.text(ends[1] + (6, 0), f"{level:.3g}", "lm", COLOURS[1])
    return chart.canvas.png()


def heat_map(matrix: NDArray[Any], row_names: Sequence[str], column_names: Sequence[str], title: str) -> bytes:
    """A table (R, C) as cells from white (0, or the least below it) to blue (the most): a PNG.

    The numbers are written where there is room; columns are named as the bars of `bars`.

    Raises
    ------
    InputError
        No cells, names of another number, a value that is not finite, or too large a picture.
    """
    cells = checked_numbers(matrix, "matrix", 2)
    n_rows, n_columns = cells.shape
    low, high = min(0.0, cells.min()), max(0.0, cells.max())
    ends = f"{low:.3g}", f"{high:.3g}"
    height = max(28 if n_rows <= 40 else 18, 60 // n_rows)
    x = axis_of_names(
        matching_names(column_names, n_columns, "column names", "columns"), max(6, min(56, 900 // n_columns))
    )
    names = matching_names(row_names, n_rows, "row names", "rows")
    y = Axis(0.0, n_rows, n_rows * height, tuple((n_rows - i - 0.5, name) for i, name in enumerate(names)))
    chart = Chart(title, x, y, beside=40 + max(map(text_width, ends)))
    _draw_cells(chart, cells, (cells - low) / (high - low or 1.0))
    _draw_scale(chart, ends)
    return chart.canvas.png()


def curves(series: Sequence[tuple[str, NDArray[Any], NDArray[Any]]], x_label: str, y_label: str, title: str) -> bytes:
    """Lines with a marker at each point, one for each name with its (n,) x and (n,) y, in the order given: a PNG.

    Raises
    ------
    InputError
        No series or too many to tell apart, an x for which there is no y, or a value that is not finite.
    """
    styles = styles_of([name for name, _, _ in series])
    paths = []
    for name, *both in series:
        x, y = (checked_numbers(values, f"{axis} of {name!r}", 1) for values, axis in zip(both, "xy", strict=True))
        if len(x) != len(y):
            raise InputError(f"{name!r} has {len(x)} x and {len(y)} y; expected as many of each")
        paths.append(np.stack([x, y], axis=1))
    points = np.concatenate(paths)
    least, most = points.min(axis=0), points.max(axis=0)
    room = 0.04 * (most - least)
    (left, low), (right, high) = least - room, most + room
    chart = Chart(title, across(left, right, x_label), upward(low, high, y_label), styles)
    for (_, style), path in zip(styles, paths, strict=True):
        chart.canvas.line(chart.at(path), style.colour, 2, style.dash)
        for point in chart.at(path):
            chart.canvas.marker(point, style.corners, style.colour)
    return chart.canvas.png()


def _outline(heights: Array, edges: Array) -> Array:
    """(2 n_bins + 2, 2) corners of a histogram from the ground to the ground, without the empty bins at its ends."""
    first, last = np.flatnonzero(heights)[[0, -1]]
    heights, edges = heights[first : last + 1], edges[first : last + 2]
    return np.stack([edges.repeat(2), np.concatenate([[0.0], heights.repeat(2), [0.0]])], axis=1)


def _density(truth: tuple[str, Callable[[Array], Array] | Array], x: Axis) -> Array:
    """(m, 2) points of the true density, one or more for each pixel."""
    name, given = truth
    points = np.linspace(x.low, x.high, 2 * x.length + 1)
    if callable(given):
        densities = checked_numbers(given(points), f"{name!r}", 1)
        if len(densities) != len(points):
            raise InputError(f"{name!r} gave {len(densities)} densities for {len(points)} points; expected as many")
        curve = np.stack([points, densities])
    else:
        curve = checked_numbers(given, f"{name!r}", 2)
    if len(curve) != 2 or curve[1].min() < 0 or (np.diff(curve[0]) < 0).any():
        raise InputError(
            f"{name!r} is no density; expected a function of points, or (2, m) ascending points and densities from 0 on"
        )
    return np.stack([points, np.interp(points, curve[0], curve[1], left=0.0, right=0.0)], axis=1)


def _draw_cells(chart: Chart, cells: Array, shares: Array) -> None:
    """Cells in blue, with their numbers if all of them fit."""
    n_rows, n_columns = cells.shape
    form = ".2f" if np.abs(cells).max() < 100 else ".0f"
    numbers = [[f"{value:{form}}" for value in row] for row in cells]
    fit = max(text_width(number) for row in numbers for number in row) + 6 <= chart.x.length / n_columns
    for i, j in np.ndindex(cells.shape):
        one, other = chart.at(np.array([[j, n_rows - i], [j + 1, n_rows - i - 1]], dtype=np.float64))
        chart.canvas.box(one, other, _blue(float(shares[i, j])))
        if fit:
            chart.canvas.text((one + other) / 2, numbers[i][j], colour="#ffffff" if shares[i, j] > 0.6 else INK)
    chart.canvas.frame(*chart.at(np.array([[0, n_rows], [n_columns, 0]], dtype=np.float64)))


def _draw_scale(chart: Chart, ends: tuple[str, str]) -> None:
    """A strip of the colours at the right, the least below, with the values at its ends."""
    left, top, height = chart.left + chart.x.length + 16, chart.top, chart.y.length
    for step in range(height):
        one, other = np.array([[left, top + step], [left + 16, top + step + 1]], dtype=np.float64)
        chart.canvas.box(one, other, _blue(1 - (step + 0.5) / height))
    chart.canvas.frame(*np.array([[left, top], [left + 16, top + height]], dtype=np.float64))
    chart.canvas.text((left + 24, top + height), ends[0], "ls")
    chart.canvas.text((left + 24, top), ends[1], "lt")


def _blue(share: float) -> str:
    levels = [round(float(np.interp(share, (0, 0.5, 1), stops))) for stops in zip(*BLUES, strict=True)]
    return "#{:02x}{:02x}{:02x}".format(*levels)
