"""PNG charts drawn with matplotlib: histograms, bars, heat maps and curves."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from topicnet.errors import InputError
from topicnet.images.drawing.checks import Array, ascii_line, checked_numbers, matching_names, plain, refuse_huge
from topicnet.runtime.extras import import_extra

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

# Okabe & Ito's colour-blind safe palette, without yellow (too pale on white) and black (used for the true density).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DASHES = ("-", "--", ":")
MARKERS = "os^D"
MOST_SERIES = len(COLOURS) * len(DASHES)
BELOW = "#a8b4bf"  # bars up to the threshold
BLUES = ("#ffffff", "#6baed6", "#08306b")  # lowest to highest value of a heat map
INK, GRAY, GRID = "#222222", "#666666", "#e4e4e4"
DPI, TEXT, LETTER = 100, 10, 10  # pixels per inch; font size in points; width of a wide letter in pixels
PLOT = (640, 360)  # default size of the area inside the axes, pixels
AROUND = (90, 130)  # least width and height of titles, ticks and labels outside the axes, pixels


def histograms(
    series: Sequence[tuple[str, NDArray[Any]]],
    truth: tuple[str, Callable[[Array], Array] | Array] | None,
    title: str,
    x_label: str,
) -> bytes:
    """Draw outlines of one-dimensional samples over common bins, each normalised to an area of 1.

    Parameters
    ----------
    series : sequence of (str, (n,) array)
        Names and samples; n can differ.
    truth : (str, density), optional
        Density drawn in black: a function from (m,) points to (m,) densities, or a (2, m) array of ascending points and
        their densities, 0 outside.
    title, x_label : str
        Title, and name of the x axis.

    Returns
    -------
    bytes
        A PNG.

    Raises
    ------
    InputError
        There are no series or too many to distinguish, samples are empty or not finite, or `truth` is not a density.
    """
    styles = _line_styles(len(series))
    samples = [checked_numbers(values, f"{name!r}", 1) for name, values in series]
    low, high = _widened(min(s.min() for s in samples), max(s.max() for s in samples))
    edges = np.linspace(low, high, min(80, max(10, math.isqrt(max(map(len, samples))))) + 1)
    heights = [np.histogram(sample, edges, density=True)[0] for sample in samples]
    top = max(float(one.max()) for one in heights)
    axes = _axes(title, x_label, "density")
    handles: list[Artist] = []
    for one, (colour, dash) in zip(heights, styles, strict=True):
        first, last = np.flatnonzero(one)[[0, -1]]  # no baseline beyond the samples
        one, its_edges = one[first : last + 1], edges[first : last + 2]
        axes.stairs(one, its_edges, fill=True, color=colour, alpha=min(0.19, 0.75 / len(series)))
        handles.append(axes.stairs(one, its_edges, linewidth=1.5, color=colour, linestyle=dash))
    if truth is not None:
        points, densities = _density(truth, low, high)
        top = max(top, float(densities.max()))
        handles += axes.plot(points, densities, "--", color="black", linewidth=1.5)
    axes.set(xlim=(low, high), ylim=(0.0, 1.05 * top))
    return _png(axes, handles, [name for name, _ in (*series, *([] if truth is None else [truth]))])


def bars(
    labels: Sequence[str], values: NDArray[Any], title: str, y_label: str, threshold: float | None = None
) -> bytes:
    """Draw a bar for each label and its value (n,), gray up to the threshold and blue above it, as a PNG.

    Labels that do not fit horizontally are drawn vertically; above about 40 bars only the first and the last are named.

    Raises
    ------
    InputError
        There are no bars, the number of labels differs, a value is not finite, or the picture is too large.
    """
    heights = checked_numbers(values, "values", 1)
    names = matching_names(labels, len(heights), "labels", "values")
    lines = [] if threshold is None else [float(checked_numbers(np.array([threshold]), "threshold", 1)[0])]
    slot = max(2.0, PLOT[0] / len(heights))
    axes = _axes(title, "", y_label, round(slot * len(heights)))
    colours = [COLOURS[0] if all(height > level for level in lines) else BELOW for height in heights]
    axes.bar(range(len(heights)), heights, 0.8 if slot >= 6 else 1.0, color=colours)
    for level in lines:
        axes.axhline(level, linestyle="--", color=COLOURS[1])
        axes.annotate(
            f"{level:.3g}", (1, level), (6, 0), ("axes fraction", "data"), "offset points", va="center",
            color=COLOURS[1],
        )  # fmt: skip
    low, high = min(0.0, heights.min(), *lines), 1.05 * max(0.0, heights.max(), *lines)
    axes.set(xlim=(-0.5, len(heights) - 0.5), ylim=_widened(low, high))
    _name_columns(axes, names, slot)
    return _png(axes)


def heat_map(matrix: NDArray[Any], row_names: Sequence[str], column_names: Sequence[str], title: str) -> bytes:
    """Draw a table (R, C) as cells from white (0, or the minimum if negative) to blue (the maximum), as a PNG.

    Numbers are written in the cells if they fit; columns are named as in `bars`.

    Raises
    ------
    InputError
        There are no cells, the number of names differs, a value is not finite, or the picture is too large.
    """
    cells = checked_numbers(matrix, "matrix", 2)
    n_rows, n_columns = cells.shape
    columns = matching_names(column_names, n_columns, "column names", "columns")
    rows = matching_names(row_names, n_rows, "row names", "rows")
    slot = max(6, min(56, 900 // n_columns))
    axes = _axes(title, "", "", n_columns * slot, n_rows * max(28 if n_rows <= 40 else 18, 60 // n_rows))
    from matplotlib.colors import LinearSegmentedColormap  # after `_axes` has checked for matplotlib

    low, high = min(0.0, cells.min()), max(0.0, cells.max())
    high = high if high > low else low + 1.0
    blues = LinearSegmentedColormap.from_list("blues", BLUES, N=257)  # odd, so that the middle is exact
    image = axes.imshow(cells, blues, aspect="auto", interpolation="nearest", vmin=low, vmax=high)
    axes.set_yticks(range(n_rows), [_literal(name) for name in rows])
    axes.tick_params(left=False)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(True)
    _name_columns(axes, columns, slot)
    strip = 16 / (n_columns * slot)
    bar = axes.inset_axes((1 + strip, 0.0, strip, 1.0))
    axes.figure.colorbar(image, bar, ticks=[low, high], format="%.3g")
    form = ".2f" if np.abs(cells).max() < 100 else ".0f"
    numbers = {where: f"{value:{form}}" for where, value in np.ndenumerate(cells)}
    if LETTER * max(map(len, numbers.values())) <= slot:
        for (i, j), number in numbers.items():
            dark = cells[i, j] - low > 0.6 * (high - low)
            axes.text(j, i, number, ha="center", va="center", color="white" if dark else INK)
    return _png(axes)


def curves(series: Sequence[tuple[str, NDArray[Any], NDArray[Any]]], x_label: str, y_label: str, title: str) -> bytes:
    """Draw a line with markers for each name with its x (n,) and y (n,), in the given order, as a PNG.

    Raises
    ------
    InputError
        There are no series or too many to distinguish, x and y differ in length, or a value is not finite.
    """
    styles = _line_styles(len(series))
    axes = _axes(title, x_label, y_label)
    axes.margins(0.04)
    handles: list[Artist] = []
    for i, ((name, *both), (colour, dash)) in enumerate(zip(series, styles, strict=True)):
        x, y = (checked_numbers(values, f"{axis} of {name!r}", 1) for values, axis in zip(both, "xy", strict=True))
        if len(x) != len(y):
            raise InputError(f"{name!r} has {len(x)} x and {len(y)} y; expected as many of each")
        handles += axes.plot(x, y, color=colour, linestyle=dash, marker=MARKERS[i % len(MARKERS)], linewidth=1.5)
    return _png(axes, handles, [name for name, _, _ in series])


def bands(
    series: Sequence[tuple[str, NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]],
    limit: tuple[str, float] | None,
    x_label: str,
    y_label: str,
    title: str,
) -> bytes:
    """Draw a line with a band around it for each name with its x, y, low and high (n,), from y = 0, as a PNG.

    A limit is a dashed black line, with its name in the key. Whole numbers x have whole ticks.

    Raises
    ------
    InputError
        There are no series or too many to distinguish, their arrays differ in length, or a value is not finite.
    """
    styles = _line_styles(len(series))
    axes = _axes(title, x_label, y_label)
    axes.margins(0.04)
    handles: list[Artist] = []
    for i, ((name, *given), (colour, dash)) in enumerate(zip(series, styles, strict=True)):
        pairs = zip(given, ("x", "y", "low", "high"), strict=True)
        arrays = [checked_numbers(values, f"{what} of {name!r}", 1) for values, what in pairs]
        if len({len(array) for array in arrays}) > 1:
            raise InputError(
                f"{name!r} has x, y, low and high of lengths {[*map(len, arrays)]}; expected as many of each"
            )
        x, y, low, high = arrays
        axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
        marker = MARKERS[i % len(MARKERS)]
        handles += axes.plot(x, y, color=colour, linestyle=dash, marker=marker, markersize=4, linewidth=1.5)
    names = [name for name, *_ in series]
    if all((np.asarray(x) == np.rint(x)).all() for _, x, *_ in series):
        from matplotlib.ticker import MaxNLocator  # after `_axes` has checked for matplotlib

        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if limit is not None:
        handles.append(axes.axhline(limit[1], linestyle="--", color="black", linewidth=1.0))
        names.append(limit[0])
    top = max([float(np.max(high)) for *_, high in series] + ([] if limit is None else [limit[1]]))
    axes.set_ylim(0.0, 1.08 * top or 1.0)
    return _png(axes, handles, names)


def _axes(title: str, x_label: str, y_label: str, width: int = PLOT[0], height: int = PLOT[1]) -> Axes:
    """Create axes with this many pixels inside, in a picture that grows with the text around them."""
    refuse_huge(width + AROUND[0], height + AROUND[1], "chart")
    import_extra("a chart", "matplotlib")
    from matplotlib.figure import Figure

    figure = Figure((width / DPI, height / DPI), dpi=DPI, facecolor="white")
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), facecolor="white", axisbelow=True)
    lines = textwrap.wrap(ascii_line(title), max(40, width // LETTER))
    axes.set_title(_literal("\n".join(lines)), loc="left", size=TEXT + 3, color=INK)
    axes.set_xlabel(_literal(plain(x_label)), size=TEXT, color=GRAY)
    axes.set_ylabel(_literal(plain(y_label)), size=TEXT, color=GRAY)
    axes.tick_params(color=GRAY, labelcolor=INK, labelsize=TEXT)
    axes.grid(axis="y", color=GRID)
    for side, spine in axes.spines.items():
        spine.set(color=GRAY, visible=side in ("left", "bottom"))
    return axes


def _png(axes: Axes, handles: Sequence[Artist] = (), names: Sequence[str] = ()) -> bytes:
    """Add a legend on the right, and render the figure with all text around its axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    if handles:
        key = [_literal(plain(name)) for name in names]
        axes.legend(handles, key, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=TEXT)
    stream = io.BytesIO()
    FigureCanvasAgg(axes.get_figure(root=True)).print_figure(
        stream, format="png", dpi=DPI, bbox_inches="tight", pad_inches=12 / DPI, metadata={"Software": None}
    )
    return stream.getvalue()


def _name_columns(axes: Axes, names: Sequence[str], slot: float) -> None:
    """Label the columns, each `slot` pixels wide: horizontally, vertically, or only the first and the last."""
    level = LETTER * max(map(len, names)) <= slot
    if level or slot >= 16:
        axes.set_xticks(range(len(names)), [_literal(name) for name in names], rotation=0 if level else 90)
    else:
        axes.set_xticks([])
        axes.set_xlabel(_literal(f"{len(names)} in all, from {names[0]} to {names[-1]}"))


def _line_styles(n: int) -> list[tuple[str, str]]:
    """Return a colour and a dash for each of n series."""
    if not 1 <= n <= MOST_SERIES:
        raise InputError(f"{n} series were given; expected 1 to {MOST_SERIES}, which can be distinguished")
    colours = len(COLOURS)
    return [(COLOURS[i % colours], DASHES[i // colours]) for i in range(n)]


def _literal(text: str) -> str:
    """Escape a text so that matplotlib does not parse it as a formula."""
    return text.replace("$", r"\$")


def _widened(low: float, high: float) -> tuple[float, float]:
    """Widen an interval whose ends are nearly equal."""
    if high - low > 1e-9 * max(abs(low), abs(high)):
        return low, high
    room = 0.5 * abs(low) or 0.5
    return low - room, high + room


def _density(truth: tuple[str, Callable[[Array], Array] | Array], low: float, high: float) -> tuple[Array, Array]:
    """Evaluate the true density at two points per pixel, and return the points and the densities."""
    name, given = truth
    points = np.linspace(low, high, 2 * PLOT[0] + 1)
    if callable(given):
        densities = checked_numbers(given(points), f"{name!r}", 1)
        if len(densities) != len(points):
            raise InputError(f"{name!r} gave {len(densities)} densities for {len(points)} points; expected as many")
        curve = np.stack([points, densities])
    else:
        curve = checked_numbers(given, f"{name!r}", 2)
    if len(curve) != 2 or curve[1].min() < 0 or (np.diff(curve[0]) < 0).any():
        raise InputError(
            f"{name!r} is not a density; expected a function of points, or (2, m) ascending points and densities >= 0"
        )
    return points, np.interp(points, curve[0], curve[1], left=0.0, right=0.0)
