"""Figures of a measured Gibbs VAE: its density, its samples and its Markov chain, as PNGs drawn with matplotlib."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from topicnet.images.drawing.charts import COLOURS, DPI, GRAY, GRID, INK, TEXT
from topicnet.images.gibbs.chains import Chain, autocorrelation
from topicnet.images.gibbs.potentials import Potential
from topicnet.images.gibbs.report import Draws, GibbsReport
from topicnet.runtime.extras import import_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL = (4.6, 3.6)  # inches
SHOWN, TRACE = 3_000, 600  # points of a scatter plot, states of a trace
POINTS, BINS = 160, 60  # points along each axis of a density, bins of a histogram
LEVELS = 12
LOWEST = 1e-3  # smallest density shown, as a fraction of the highest
TITLES = {"imh": "IMH", "mala": "MALA", "hmc": "HMC"}
TAIL_FRACTION = 0.001
Array = NDArray[np.float64]


def figures_of(potential: Potential, report: GibbsReport, draws: Draws) -> dict[str, bytes]:
    """Draw density.png, samples.png and chain.png.

    Raises
    ------
    InputError
        matplotlib is not installed.
    """
    import_extra("a figure", "matplotlib")
    window = _window(potential, draws)
    if potential.n_dims == 2:
        return {
            "density.png": _plane_density(potential, draws, window),
            "samples.png": _plane_samples(potential, draws, window),
            "chain.png": _chains(potential, report, draws),
        }
    return {
        "density.png": _line_density(potential, report, draws, window[0]),
        "samples.png": _line_samples(potential, draws, window[0]),
        "chain.png": _chains(potential, report, draws),
    }


def _window(potential: Potential, draws: Draws) -> list[tuple[float, float]]:
    """Return the interval of each of the first two axes that figures show."""
    if potential.window is not None:
        return list(potential.window)
    points = torch.cat([draws.imh.states[0], draws.target])[:, :2].numpy()
    low, high = np.quantile(points, [TAIL_FRACTION, 1 - TAIL_FRACTION], axis=0)
    room = 0.1 * (high - low) + 1e-9
    return list(zip((low - room).tolist(), (high + room).tolist(), strict=True))


def _line_density(potential: Potential, report: GibbsReport, draws: Draws, window: tuple[float, float]) -> bytes:
    """Draw the density of the first coordinate: exact in one dimension, else from draws."""
    (axes,) = _panels(["Density of the first coordinate"])
    edges = np.linspace(*window, BINS + 1)
    imh = _first(draws.imh.states[0])
    axes.stairs(_heights(imh, edges), edges, fill=True, color=COLOURS[0], alpha=0.25, label="IMH")
    axes.stairs(_heights(_first(draws.x), edges), edges, color=COLOURS[1], linewidth=1.5, label="decoder")
    if potential.n_dims == 1:
        x = np.linspace(*window, 4 * POINTS)
        energies = potential.energies(torch.as_tensor(x)[:, None]).numpy()
        log_z = report.log_z.value if report.exact_log_z is None else report.exact_log_z
        axes.plot(x, np.exp(-energies - log_z), color="black", linewidth=1.2, label="exp(-U) / Z")
    else:
        name = "HMC" if potential.sampler is None else "exact draws"
        heights = _heights(_first(draws.target), edges)
        axes.stairs(heights, edges, color="black", linewidth=1.2, label=name)
    axes.set(xlim=window, xlabel="x_0", ylabel="density")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=TEXT)
    return _png(axes)


def _line_samples(potential: Potential, draws: Draws, window: tuple[float, float]) -> bytes:
    """Draw samples of the decoder in their first two coordinates, or against their weights in one dimension."""
    left, right = _panels(["Decoder", "Log-weights of the decoder's draws"])
    shown = draws.x[:SHOWN].numpy()
    logs = draws.log_weights[:SHOWN].numpy()
    if potential.n_dims == 1:
        left.set_title("Decoder and IMH, by draw", loc="left", size=TEXT + 2, color=INK)
        imh = draws.imh.states[0, :SHOWN, 0].numpy()
        left.plot(shown[:, 0], ".", markersize=2, color=COLOURS[1], label="decoder")
        left.plot(imh, ".", markersize=2, color=COLOURS[0], alpha=0.5, label="IMH")
        left.set(xlabel="draw", ylabel="x_0", ylim=window)
    else:
        imh = draws.imh.states[0][_spread(draws.imh.states.shape[1])].numpy()
        left.plot(shown[:, 0], shown[:, 1], ".", markersize=2, color=COLOURS[1], label="decoder")
        left.plot(imh[:, 0], imh[:, 1], ".", markersize=2, color=COLOURS[0], alpha=0.5, label="IMH")
        left.set_title("Decoder and IMH", loc="left", size=TEXT + 2, color=INK)
        left.set(xlabel="x_0", ylabel="x_1", xlim=window, ylim=window)
    left.legend(framealpha=0.9, edgecolor="white", fontsize=TEXT, markerscale=5, loc="lower right")
    right.plot(shown[:, 0], logs, ".", markersize=2, color=COLOURS[1])
    right.set(xlabel="x_0", ylabel="log w, nats", xlim=window)
    return _png(left)


def _plane_density(potential: Potential, draws: Draws, window: list[tuple[float, float]]) -> bytes:
    """Draw exp(-U) and histograms of the decoder and of IMH over the plane."""
    first, second, third = _panels(["exp(-U) / Z", "Decoder", "IMH"])
    x, y, energies = _surface(potential, window)
    density = np.exp(-(energies - energies.min()))
    cells = density.reshape(len(y), len(x))
    first.pcolormesh(x, y, cells, cmap="Blues", shading="nearest", rasterized=True)
    for axes, points in ((second, draws.x), (third, draws.imh.states[0])):
        edges = [np.linspace(*one, BINS + 1) for one in window]
        counts, _, _ = np.histogram2d(points[:, 0].numpy(), points[:, 1].numpy(), edges)
        axes.pcolormesh(*edges, counts.T, cmap="Blues", rasterized=True)
    for axes in (first, second, third):
        axes.set(xlim=window[0], ylim=window[1], xlabel="x_0", ylabel="x_1")
        axes.grid(False)
    return _png(first)


def _plane_samples(potential: Potential, draws: Draws, window: list[tuple[float, float]]) -> bytes:
    """Draw samples of the decoder and states of IMH over contours of the energy."""
    left, right = _panels(["Decoder", "IMH"])
    x, y, energies = _surface(potential, window)
    least = float(energies.min())
    levels = least + np.linspace(0.25, -np.log(LOWEST), LEVELS)
    imh = draws.imh.states[0][_spread(draws.imh.states.shape[1])]
    for axes, points, colour in ((left, draws.x[:SHOWN], COLOURS[1]), (right, imh, COLOURS[0])):
        axes.plot(points[:, 0].numpy(), points[:, 1].numpy(), ".", markersize=2, color=colour, alpha=0.5)
        axes.contour(x, y, energies.reshape(len(y), len(x)), levels, colors=INK, linewidths=0.5, linestyles="solid")
        axes.set(xlim=window[0], ylim=window[1], xlabel="x_0", ylabel="x_1")
        axes.grid(False)
    return _png(left)


def _chains(potential: Potential, report: GibbsReport, draws: Draws) -> bytes:
    """Draw the first states of IMH, MALA and HMC, and the autocorrelation by energy calls."""
    left, right = _panels(["First coordinate along a chain", "Autocorrelation of the slowest observable"])
    chains = (draws.imh, draws.mala, draws.hmc)
    for chain, colour in zip(chains, COLOURS, strict=False):
        states = chain.states[0, :TRACE, 0].numpy()
        left.plot(states, color=colour, linewidth=0.8, label=TITLES[chain.name])
        rho, per_step = _slowest(chain, potential)
        calls = per_step * np.arange(len(rho))
        right.plot(calls + 1, rho, color=colour, linewidth=1.5, label=TITLES[chain.name])
    left.set(xlabel="step", ylabel="x_0")
    right.set(xlabel="energy calls + 1", ylabel="correlation", xscale="log", ylim=(-0.15, 1.05))
    right.axhline(0.0, color=GRAY, linewidth=0.8)
    right.legend(frameon=False, fontsize=TEXT)
    return _png(left)


def _slowest(chain: Chain, potential: Potential) -> tuple[Array, float]:
    """Return the slowest of the observables' autocorrelations, and the energy calls of a step of one chain."""
    found = [autocorrelation(chain.values(function)) for function in potential.observables.values()]
    sums = [float(rho[: len(rho) // 4 + 1].sum()) for rho in found]
    rho = found[int(np.argmax(sums))]
    n_states = chain.states.shape[0] * chain.states.shape[1]
    return rho[: len(rho) // 4 + 1], chain.n_calls / n_states


def _surface(potential: Potential, window: list[tuple[float, float]]) -> tuple[Array, Array, Array]:
    x, y = (np.linspace(*one, POINTS) for one in window)
    points = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    return x, y, potential.energies(torch.as_tensor(points)).numpy()


def _heights(values: Array, edges: Array) -> Array:
    """Return a histogram's densities; values outside count in the normalisation."""
    heights: Array = np.histogram(values, edges)[0] / (len(values) * np.diff(edges))
    return heights


def _first(points: Tensor) -> Array:
    values: Array = points[:, 0].numpy()
    return values


def _spread(n: int) -> Tensor:
    """Return the rows of points at equal intervals, at most `SHOWN`."""
    return torch.linspace(0, n - 1, min(SHOWN, n)).long()


def _panels(titles: list[str]) -> list[Axes]:
    """Create a row of axes with these titles."""
    from matplotlib.figure import Figure

    figure = Figure((PANEL[0] * len(titles), PANEL[1]), dpi=DPI, facecolor="white", layout="constrained")
    found: list[Any] = [figure.add_subplot(1, len(titles), number + 1) for number in range(len(titles))]
    for axes, title in zip(found, titles, strict=True):
        axes.set_title(title, loc="left", size=TEXT + 2, color=INK)
        axes.tick_params(color=GRAY, labelcolor=INK, labelsize=TEXT)
        axes.grid(axis="y", color=GRID)
        axes.set_axisbelow(True)
        for side, spine in axes.spines.items():
            spine.set(color=GRAY, visible=side in ("left", "bottom"))
    return found


def _png(axes: Axes) -> bytes:
    """Render the figure of these axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    stream = io.BytesIO()
    FigureCanvasAgg(axes.get_figure(root=True)).print_figure(stream, format="png", dpi=DPI, metadata={"Software": None})
    return stream.getvalue()
