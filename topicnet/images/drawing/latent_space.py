"""PNG pictures of a latent space, drawn with matplotlib: paths over it with the images along them, and image grids."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from topicnet.images.drawing.checks import ascii_line, checked_numbers, refuse_huge
from topicnet.images.drawing.galleries import Picture, Shape
from topicnet.runtime.extras import import_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

DPI, TEXT = 100, 9  # pixels per inch; font size in points
WIDTH, SQUARE = 8.0, 4.6  # of a picture of paths, and of its axes, inches
INK, GRAY = "#222222", "#666666"
PATH, LINE = "#d40000", "#1a1a1a"  # colours of the geodesic and of the straight line
MOST_NAMED = 12  # labels with a legend
MARGIN = 0.06  # around the codes, relative to their range
GRID_SIDE = 8.0  # of a grid of images, inches


@dataclass(frozen=True, eq=False)
class Plane:
    """Plane of a latent space with codes and two paths.

    Attributes
    ----------
    codes : ndarray of shape (n, 2)
        Points drawn small, within which the axes lie; n can be 0.
    labels : ndarray of shape (n,) or None
        Classes that colour the points.
    path, straight : ndarray of shape (m, 2)
        The geodesic and the straight line.
    path_marks, straight_marks : ndarray of shape (n_points, 2)
        The decoded points on them.
    x_label, y_label : str
        Names of the axes.
    volume : ndarray of shape (n_rows, n_columns) or None
        Logarithm of the volume element on an even grid over `limits`, the first row at the bottom.
    limits : (float, float, float, float) or None
        Left, right, bottom and top of the axes; by default around the codes and paths.
    """

    codes: Array
    labels: NDArray[np.int64] | None
    path: Array
    straight: Array
    path_marks: Array
    straight_marks: Array
    x_label: str
    y_label: str
    volume: Array | None = None
    limits: tuple[float, float, float, float] | None = None


def limits_of(points: Array) -> tuple[float, float, float, float]:
    """Return left, right, bottom and top of axes around points (n, 2), with a margin."""
    low, high = points.min(0), points.max(0)
    room = MARGIN * np.maximum(high - low, 1e-6 * np.maximum(1.0, np.abs(high)))
    (left, bottom), (right, top) = low - room, high + room
    return float(left), float(right), float(bottom), float(top)


def paths_picture(plane: Plane, strips: Sequence[tuple[str, NDArray[Any]]], shape: Shape, title: str) -> bytes:
    """Draw two paths in a plane of the latent space, and a strip of images for each below, as a PNG.

    Parameters
    ----------
    plane : Plane
        The plane with codes and paths.
    strips : sequence of (str, ndarray of shape (n_points, P))
        Name and images in [0, 1] of each strip; the first belongs to the geodesic.
    shape : (int, int) or None
        Height and width of the images; vectors (None) are drawn as columns.
    title : str
        One line.

    Returns
    -------
    bytes
        A PNG.

    Raises
    ------
    InputError
        A number is not finite, the picture is too large, or matplotlib is not installed.
    """
    for name, images in strips:
        checked_numbers(images, f"the images of {name!r}", 2)
    rows = [_strip(images, shape) for _, images in strips]
    inner = WIDTH - 1.4
    heights = [min(2.0, max(0.15, inner * row.shape[0] / row.shape[1])) for row in rows]
    height = 0.5 + SQUARE + 0.4 + sum(heights) + 0.28 * len(rows) + 0.1
    figure = _figure(WIDTH, height)
    axes = figure.add_axes((0.7 / WIDTH, 1 - (0.5 + SQUARE) / height, (inner - 0.3) / WIDTH, SQUARE / height))
    _draw_plane(figure, axes, plane)
    axes.set_title(_literal(title), loc="left", size=TEXT + 3, color=INK)
    top = 0.5 + SQUARE + 0.4
    for (name, _), row, tall, colour in zip(strips, rows, heights, (PATH, LINE), strict=True):
        top += 0.24
        below = figure.add_axes((0.7 / WIDTH, 1 - (top + tall) / height, inner / WIDTH, tall / height))
        below.imshow(row, aspect="auto", interpolation="nearest")
        below.set_title(_literal(name), loc="left", size=TEXT, color=colour, pad=3)
        _bare(below)
        top += tall + 0.04
    return _png(figure)


def grid_picture(
    images: NDArray[Any], shape: Picture, values: tuple[Array, Array], names: tuple[str, str], title: str
) -> bytes:
    """Draw decoded images over a grid of two latent components as a PNG.

    Parameters
    ----------
    images : ndarray of shape (n_rows, n_columns, P)
        Images in [0, 1]; rows are drawn upwards.
    shape : tuple of int
        Height and width of an image, and 3 for colour.
    values : (ndarray of shape (n_columns,), ndarray of shape (n_rows,))
        Values of the components along the x and the y axis.
    names : (str, str)
        Names of the components.
    title : str
        One line.

    Returns
    -------
    bytes
        A PNG.

    Raises
    ------
    InputError
        A number is not finite, the picture is too large, or matplotlib is not installed.
    """
    n_rows, n_columns, _ = images.shape
    tiles = checked_numbers(images[::-1].reshape(n_rows * n_columns, -1), "images", 2)
    coloured = _in_colour(tiles, shape)
    sheet = _sheet(coloured.reshape(n_rows, n_columns, *coloured.shape[1:]))
    aspect = sheet.shape[0] / sheet.shape[1]
    width, tall = (GRID_SIDE, GRID_SIDE * aspect) if aspect <= 1 else (GRID_SIDE / aspect, GRID_SIDE)
    figure = _figure(width + 0.9, tall + 1.0)
    axes = figure.add_axes((0.75 / (width + 0.9), 0.55 / (tall + 1.0), width / (width + 0.9), tall / (tall + 1.0)))
    extent = (0.0, float(n_columns), 0.0, float(n_rows))
    axes.imshow(sheet, aspect="auto", interpolation="antialiased", extent=extent)
    for axis, along in zip((axes.xaxis, axes.yaxis), values, strict=True):
        shown = np.arange(0, len(along), -(-len(along) // 10))
        axis.set_ticks(shown + 0.5, [f"{along[i]:.2f}" for i in shown])
    _named(axes, names[0], names[1])
    axes.set_title(_literal(title), loc="left", size=TEXT + 3, color=INK)
    return _png(figure)


def _draw_plane(figure: Figure, axes: Axes, plane: Plane) -> None:
    from matplotlib.collections import PathCollection

    left, right, bottom, top = plane.limits or limits_of(np.concatenate([plane.codes, plane.path, plane.straight]))
    if plane.volume is not None:
        low, high = np.percentile(plane.volume, [2, 98])
        image = axes.imshow(
            plane.volume, "Greys", origin="lower", extent=(left, right, bottom, top), aspect="auto", alpha=0.75,
            vmin=low, vmax=max(high, low + 1e-9), interpolation="bilinear",
        )  # fmt: skip
        bar = figure.colorbar(image, cax=axes.inset_axes((1.02, 0.0, 0.02, 0.48)))
        bar.set_label("log10 of the volume element", size=TEXT, color=GRAY)
        bar.ax.tick_params(labelsize=TEXT - 1, color=GRAY)
    _draw_codes(axes, plane)
    for line, marks, colour, name in (
        (plane.straight, plane.straight_marks, LINE, "straight line"),
        (plane.path, plane.path_marks, PATH, "geodesic"),
    ):
        axes.plot(line[:, 0], line[:, 1], color="white", linewidth=4.5, solid_capstyle="round", zorder=3)
        dash = "-" if colour == PATH else (0, (4, 2))
        axes.plot(line[:, 0], line[:, 1], color=colour, linewidth=2.2, linestyle=dash, zorder=4, label=name)
        axes.scatter(marks[:, 0], marks[:, 1], s=22, color=colour, edgecolors="white", linewidths=0.8, zorder=5)
    axes.set(xlim=(left, right), ylim=(bottom, top))
    _named(axes, plane.x_label, plane.y_label)
    legend = axes.legend(
        loc="upper left", bbox_to_anchor=(1.01, 1.02), frameon=False, fontsize=TEXT, labelspacing=0.25, handlelength=1.6
    )
    for handle in legend.legend_handles:
        if isinstance(handle, PathCollection):
            handle.set(alpha=1.0, sizes=[26])


def _draw_codes(axes: Axes, plane: Plane) -> None:
    """Draw codes as points, coloured by label, with a legend for few labels."""
    if not len(plane.codes):
        return
    style: dict[str, Any] = {"s": 7, "linewidths": 0, "alpha": 0.75, "zorder": 2}
    kinds = [] if plane.labels is None else np.unique(plane.labels).tolist()
    if plane.labels is None or len(kinds) > MOST_NAMED:
        given: dict[str, Any] = {"color": "#4c78a8"} if plane.labels is None else {"c": plane.labels, "cmap": "turbo"}
        axes.scatter(plane.codes[:, 0], plane.codes[:, 1], **style, **given)
        return
    from matplotlib import colormaps

    colours = colormaps["tab10" if len(kinds) <= 10 else "tab20"]
    for number, kind in enumerate(kinds):
        chosen = plane.codes[plane.labels == kind]
        axes.scatter(chosen[:, 0], chosen[:, 1], color=colours(number), label=str(kind), **style)


def _strip(images: NDArray[Any], shape: Shape) -> Array:
    """Join images (n, P) into one row with white lines between them."""
    tiles = np.asarray(images, np.float64)
    if shape is None:  # vectors are drawn as one column each
        width = max(1, images.shape[1] // 4)
        tiles, shape = tiles.repeat(width, axis=1), (images.shape[1], width)
    tiles = _in_colour(tiles, shape)
    scale = max(1, round(56 / max(tiles.shape[1:3])))
    tiles = tiles.repeat(scale, axis=1).repeat(scale, axis=2)
    refuse_huge(tiles.shape[2] * len(tiles), tiles.shape[1], "gallery")
    framed = np.pad(tiles, ((0, 0), (0, 0), (0, 2), (0, 0)), constant_values=1.0)
    return np.asarray(framed.transpose(1, 0, 2, 3).reshape(framed.shape[1], -1, 3)[:, :-2])


def _sheet(tiles: Array) -> Array:
    """Join tiles (n_rows, n_columns, height, width, 3), enlarged by a whole factor, with gray lines between them."""
    n_rows, n_columns, height, width, _ = tiles.shape
    scale = max(1, round(1.5 * GRID_SIDE * DPI / (max(n_rows, n_columns) * max(height, width))))
    refuse_huge(n_columns * (width * scale + 1), n_rows * (height * scale + 1), "gallery")
    large = tiles.repeat(scale, axis=2).repeat(scale, axis=3)
    framed = np.pad(large, ((0, 0), (0, 0), (0, 1), (0, 1), (0, 0)), constant_values=0.35)
    return np.asarray(framed.transpose(0, 2, 1, 3, 4).reshape(n_rows * framed.shape[2], -1, 3)[:-1, :-1])


def _in_colour(images: Array, shape: Picture) -> Array:
    """Return images (n, P) of a shape as (n, height, width, 3) in [0, 1]; gray ones get three equal channels."""
    tiles = images.clip(0.0, 1.0).reshape(len(images), *shape[:2], -1)
    return np.broadcast_to(tiles, (*tiles.shape[:3], 3))


def _figure(width: float, height: float) -> Figure:
    refuse_huge(round(width * DPI), round(height * DPI), "chart")
    import_extra("a chart", "matplotlib")
    from matplotlib.figure import Figure

    return Figure((width, height), dpi=DPI, facecolor="white")


def _png(figure: Figure) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    stream = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(
        stream, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.1, metadata={"Software": None}
    )
    return stream.getvalue()


def _named(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set_xlabel(_literal(x_label), size=TEXT, color=GRAY)
    axes.set_ylabel(_literal(y_label), size=TEXT, color=GRAY)
    axes.tick_params(labelsize=TEXT - 1, color=GRAY, labelcolor=INK)
    for spine in axes.spines.values():
        spine.set(color=GRAY, linewidth=0.6)


def _bare(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _literal(text: str) -> str:
    return ascii_line(text).replace("$", r"\$")
