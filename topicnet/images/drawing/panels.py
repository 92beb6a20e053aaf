"""PNG charts of several panels with common axes, drawn with matplotlib: histograms and bars."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from topicnet.errors import InputError
from topicnet.images.drawing.charts import BELOW, COLOURS, GRAY, GRID, INK
from topicnet.images.drawing.checks import Array, ascii_line, checked_numbers, matching_names, plain, refuse_huge
from topicnet.runtime.extras import import_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI, TEXT = 100, 9  # pixels per inch; font size in points
PANEL = (2.75, 2.05)  # size of a panel with its title and ticks, inches
TITLE, KEY = 0.42, 0.30  # height of the title and of the key, inches
MOST_PANELS = 64
OVERSHOOT = 2.0  # of the y axis above the true density, so that a spike does not flatten all other panels


@dataclass(frozen=True, eq=False)
class HistogramPanel:
    """Samples of one panel.

    Attributes
    ----------
    title : str
        Title of the panel.
    series : sequence of (str, ndarray of shape (n,))
        Name and samples of each outline. Names are those of the common key, in the same order in every panel.
    """

    title: str
    series: Sequence[tuple[str, NDArray[Any]]]


@dataclass(frozen=True, eq=False)
class BarPanel:
    """Bars of one panel.

    Attributes
    ----------
    title : str
        Title of the panel.
    names : sequence of str
        (n,) names of the bars.
    values : ndarray of shape (n,)
        Their heights.
    kinds : sequence of int
        (n,) numbers in the key of the chart, which choose the colours.
    """

    title: str
    names: Sequence[str]
    values: NDArray[Any]
    kinds: Sequence[int]


def density_panels(
    panels: Sequence[HistogramPanel],
    truth: tuple[str, Callable[[Array], Array] | NDArray[Any]],
    title: str,
    x_label: str,
    columns: int,
) -> bytes:
    """Draw outlines of samples in panels, each normalised to an area of 1, with the true density in all of them.

    All panels have the same bins and axes. A panel whose highest bin is cut off names its height.

    Parameters
    ----------
    panels : sequence of HistogramPanel
        The panels, row by row.
    truth : (str, density)
        Name of the truth, and its density, a function from (m,) points to (m,) densities, or a sample (m,).
    title, x_label : str
        Title of the chart, and name of the x axes.
    columns : int
        Panels per row.

    Returns
    -------
    bytes
        A PNG.

    Raises
    ------
    InputError
        There are no panels or too many, or samples are empty or not finite.
    """
    _check_number(len(panels), columns)
    named = [(one.title, _checked(one.series)) for one in panels]
    sample = None if callable(truth[1]) else checked_numbers(np.asarray(truth[1]), f"{truth[0]!r}", 1)
    values = [values for _, series in named for values in series] + ([] if sample is None else [sample])
    low, high = min(one.min() for one in values), max(one.max() for one in values)
    room = 0.03 * (high - low) or 0.5
    edges = np.linspace(low - room, high + room, 91)
    curve = _density(truth[1], edges) if sample is None else np.histogram(sample, edges, density=True)[0]
    drawn = [(name, [np.histogram(one, edges, density=True)[0] for one in series]) for name, series in named]
    highest = max(float(one.max()) for _, series in drawn for one in series)
    top = 1.08 * min(max(highest, float(curve.max())), OVERSHOOT * float(curve.max()))
    figure, axes = _figure(len(panels), columns, title)
    handles: list[Any] = []
    for one, (name, series) in zip(axes, drawn, strict=True):
        handles = _outlines(one, series, edges)
        if sample is None:
            points = np.linspace(edges[0], edges[-1], len(curve))
            handles += one.plot(points, curve, "--", color="black", linewidth=1.1)
        else:
            handles.append(one.stairs(curve, edges, color="black", linestyle="--", linewidth=1.1))
        peak = max(float(heights.max()) for heights in series)
        if peak > top:
            one.text(0.98, 0.95, f"up to {peak:.0f}", transform=one.transAxes, ha="right", va="top", size=TEXT - 1)
        one.set(xlim=(edges[0], edges[-1]), ylim=(0.0, top))
        one.locator_params(axis="x", nbins=5)
        _named(one, name)
    return _finish(figure, axes, columns, (x_label, "density"), handles, [*_names(panels), truth[0]])


def fraction_panels(
    panels: Sequence[HistogramPanel], title: str, x_label: str, *, logarithmic: Sequence[bool]
) -> bytes:
    """Draw histograms of probabilities side by side, as fractions of each sample, on logarithmic y axes if chosen.

    Raises
    ------
    InputError
        There are no panels or too many, or samples are empty, not finite or outside [0, 1].
    """
    edges = np.linspace(0.0, 1.0, 41)
    figure, axes = _figure(len(panels), len(panels), title, width=4.2, height=2.9)
    handles: list[Any] = []
    for one, panel, is_log in zip(axes, panels, logarithmic, strict=True):
        samples = _checked(panel.series)
        if min(s.min() for s in samples) < -1e-6 or max(s.max() for s in samples) > 1 + 1e-6:
            raise InputError(f"{panel.title!r} holds numbers outside [0, 1]; expected probabilities")
        fractions = [np.histogram(sample.clip(0, 1), edges)[0] / len(sample) for sample in samples]
        handles = _outlines(one, fractions, edges)
        least = min(float(f[f > 0].min()) for f in fractions)
        one.set(xlim=(0.0, 1.0))
        if is_log:
            one.set_yscale("log")
            one.set_ylim(0.5 * least, 1.5)
        else:
            one.set_ylim(0.0, 1.05 * max(float(f.max()) for f in fractions))
        _named(one, panel.title)
    return _finish(figure, axes, len(panels), (x_label, "fraction"), handles, _names(panels))


def bar_panels(panels: Sequence[BarPanel], key: Sequence[str], title: str, y_label: str, columns: int) -> bytes:
    """Draw a panel of bars for each of several groups, with a common y axis, coloured by the entries of a key.

    Raises
    ------
    InputError
        There are no panels or too many, the number of names differs, or a value is not finite.
    """
    _check_number(len(panels), columns)
    values = [checked_numbers(one.values, f"{one.title!r}", 1) for one in panels]
    names = [
        matching_names(one.names, len(heights), "names", "bars") for one, heights in zip(panels, values, strict=True)
    ]
    longest, most = max(len(name) for row in names for name in row), max(map(len, values))
    width = max(PANEL[0], 0.6 + 0.21 * most)  # inches: room for two digits below each bar
    figure, axes = _figure(len(panels), columns, title, width=width)
    palette = [COLOURS[0], COLOURS[1], BELOW]
    top = 1.05 * max(float(heights.max()) for heights in values)
    for one, panel, heights, row in zip(axes, panels, values, names, strict=True):
        one.bar(range(len(heights)), heights, 0.78, color=[palette[kind] for kind in panel.kinds])
        one.set(xlim=(-0.6, most - 0.4), ylim=(0.0, top or 1.0))
        one.set_xticks(range(len(row)), [_literal(name) for name in row], rotation=90 if longest > 2 else 0)
        _named(one, panel.title)
        one.tick_params(axis="x", length=0)
    from matplotlib.patches import Patch

    handles = [Patch(color=palette[kind]) for kind in range(len(key))]
    return _finish(figure, axes, columns, ("category", y_label), handles, key)


def _check_number(n_panels: int, columns: int) -> None:
    if not 1 <= n_panels <= MOST_PANELS or columns < 1:
        raise InputError(f"{n_panels} panels in {columns} columns were given; expected 1 to {MOST_PANELS} panels")


def _checked(series: Sequence[tuple[str, NDArray[Any]]]) -> list[Array]:
    if not 1 <= len(series) <= len(COLOURS):
        raise InputError(f"{len(series)} series were given; expected 1 to {len(COLOURS)}, which can be distinguished")
    return [checked_numbers(values, f"{name!r}", 1) for name, values in series]


def _density(density: Any, edges: Array) -> Array:
    return checked_numbers(np.asarray(density(np.linspace(edges[0], edges[-1], 601))), "the true density", 1)


def _names(panels: Sequence[HistogramPanel]) -> list[str]:
    return [name for name, _ in panels[0].series]


def _outlines(axes: Axes, heights: Sequence[Array], edges: Array) -> list[Any]:
    """Draw histograms, one per series, filled lightly, and return their outlines."""
    handles: list[Any] = []
    for one, colour in zip(heights, COLOURS, strict=False):
        axes.stairs(one, edges, fill=True, color=colour, alpha=0.35 / len(heights))
        handles.append(axes.stairs(one, edges, color=colour, linewidth=1.5))
    return handles


def _figure(
    n_panels: int, columns: int, title: str, width: float = PANEL[0], height: float = PANEL[1]
) -> tuple[Figure, list[Axes]]:
    """Create a figure with n panels in rows."""
    _check_number(n_panels, columns)
    import_extra("a chart", "matplotlib")
    from matplotlib.figure import Figure

    columns = min(columns, n_panels)
    n_rows = math.ceil(n_panels / columns)
    size = (max(4.5, columns * width), TITLE + KEY + n_rows * height)
    refuse_huge(round(size[0] * DPI), round(size[1] * DPI), "chart")
    figure = Figure(size, dpi=DPI, facecolor="white", layout="constrained")
    figure.suptitle(_literal(title), x=0.01, ha="left", size=TEXT + 3, color=INK)
    grid = figure.subplots(n_rows, columns, squeeze=False)
    for unused in grid.flat[n_panels:]:
        unused.set_visible(False)
    return figure, list(grid.flat[:n_panels])


def _named(axes: Axes, title: str) -> None:
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=GRID)
    axes.set_title(_literal(plain(title)), loc="left", size=TEXT + 1, color=INK)
    axes.tick_params(color=GRAY, labelcolor=INK, labelsize=TEXT - 1)
    for side, spine in axes.spines.items():
        spine.set(color=GRAY, visible=side in ("left", "bottom"))


def _finish(
    figure: Figure,
    axes: Sequence[Axes],
    columns: int,
    labels: tuple[str, str],
    handles: Sequence[Any],
    names: Sequence[str],
) -> bytes:
    """Name the outer axes, add a key below the panels, and render the figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    columns = min(columns, len(axes))
    for i, one in enumerate(axes):
        if i % columns == 0:
            one.set_ylabel(_literal(labels[1]), size=TEXT, color=GRAY)
        if i + columns >= len(axes):
            one.set_xlabel(_literal(labels[0]), size=TEXT, color=GRAY)
    key = [plain(name) for name in names]
    widest = 0.55 + 0.075 * max(map(len, key))  # inches
    n_columns = max(1, min(len(key), int(figure.get_figwidth() / widest)))
    figure.legend(
        handles, [*map(_literal, key)], loc="outside lower left", ncols=n_columns, frameon=False, fontsize=TEXT
    )
    stream = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(stream, format="png", dpi=DPI, metadata={"Software": None})
    return stream.getvalue()


def _literal(text: str) -> str:
    return ascii_line(text).replace("$", r"\$")
