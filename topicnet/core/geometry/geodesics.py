"""Shortest paths between two points of a latent space, by five methods."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from topicnet.core.geometry.checks import as_end_points, as_points, map_errors
from topicnet.core.geometry.curves import Geodesic, check_n_segments, constant_speed, straight_line
from topicnet.core.geometry.energies import discrete_geodesic, spline_geodesic
from topicnet.core.geometry.equations import boundary_value_geodesic, shooting_geodesic
from topicnet.core.geometry.graphs import LatentGraph
from topicnet.core.geometry.metrics import Metric, check_regular
from topicnet.errors import InputError
from topicnet.runtime.torch_state import usual_gradients

METHODS = ("energy", "spline", "bvp", "graph", "shooting")
LEAST_KNOTS = 2


def geodesic(
    metric: Metric,
    start: Any,
    end: Any,
    *,
    method: str = "energy",
    n_segments: int = 100,
    n_knots: int = 8,
    initial: Any = None,
    graph: LatentGraph | None = None,
) -> Geodesic:
    """Find a shortest path between two points under a metric.

    All methods but the graph find a local minimum near the curve they start from. Where there are several, for example
    around a hole in the data, take the path of a graph as `initial`.

    Parameters
    ----------
    metric : Metric
        Metric of the latent space.
    start, end : Tensor or array-like
        (d,), two different points. The computation has their data type; lists are read as float64.
    method : {"energy", "spline", "bvp", "graph", "shooting"}
        "energy" minimises the energy of a discrete curve, "spline" that of a cubic spline. "bvp" solves the geodesic
        equation with both ends given (`scipy.integrate.solve_bvp`), "shooting" by Newton's method on the initial
        velocity; both need a map with continuous second derivatives (tanh or softplus rather than ReLU). "graph" takes
        a shortest path in a graph, which is the coarsest and the only global one.
    n_segments : int
        Number of segments n of the resulting curve, at least 2; the resolution of "energy".
    n_knots : int
        Number of inner knots of "spline", at least 2.
    initial : Tensor or array-like, optional
        (m + 1, d), curve from start to end from which "energy", "bvp" and "shooting" begin; the straight line by
        default.
    graph : LatentGraph, optional
        Graph for "graph", made for the same metric.

    Returns
    -------
    Geodesic
        Curve, length, energy, whether the solver converged to a path no longer than the straight line, and method.

    Raises
    ------
    InputError
        For equal end points, values that are not finite, a metric that is singular at an end or along the path, a map
        that torch cannot differentiate, a disconnected graph, or an option that the method does not have.

    References
    ----------
    Arvanitidis, Hansen & Hauberg (2018), "Latent space oddity: on the curvature of deep generative models";
    Hennig & Hauberg (2014), "Probabilistic solutions to differential equations and their application to Riemannian
    statistics"; do Carmo (1992), "Riemannian geometry", chapter 3.

    Examples
    --------
    >>> from topicnet import geometry
    >>> sphere = geometry.pullback(
    ...     lambda z: torch.stack([z[0].sin() * z[1].cos(), z[0].sin() * z[1].sin(), z[0].cos()])
    ... )
    >>> found = geometry.geodesic(sphere, [0.9708, 0.2], [2.0708, 1.9], method="spline")
    >>> round(found.length, 3), found.converged
    (1.943, True)
    """
    _check_options(method, n_segments, n_knots, initial, graph)
    with map_errors(), usual_gradients(), torch.no_grad():
        start, end = as_end_points(start, end)
        check_regular(metric, torch.stack([start, end]))
        first = None if initial is None else _initial_curve(metric, initial, start, end, n_segments)
        if method == "energy":
            found = discrete_geodesic(metric, start, end, n_segments, first)
        elif method == "spline":
            found = spline_geodesic(metric, start, end, n_segments, n_knots)
        elif method == "bvp":
            found = boundary_value_geodesic(metric, start, end, n_segments, first)
        elif method == "shooting":
            found = shooting_geodesic(metric, start, end, n_segments, first)
        else:
            assert graph is not None
            found = graph.shortest_path(start, end, n_segments)
        check_regular(metric, found.curve)
    return found


def _check_options(method: str, n_segments: int, n_knots: int, initial: Any, graph: LatentGraph | None) -> None:
    if method not in METHODS:
        raise InputError(f"method={method!r} given, expected one of {', '.join(METHODS)}")
    check_n_segments(n_segments, 2)
    if isinstance(n_knots, bool) or not isinstance(n_knots, int) or n_knots < LEAST_KNOTS:
        raise InputError(f"n_knots={n_knots} given, expected a whole number from {LEAST_KNOTS}")
    if (method == "graph") != (graph is not None):
        raise InputError(
            f"method={method!r} with{'' if graph else 'out'} a graph given; expected method='graph' together with "
            "graph=LatentGraph.from_points(...) or LatentGraph.on_grid(...)"
        )
    if initial is not None and method in ("spline", "graph"):
        raise InputError(f"an initial curve given for method={method!r}; expected energy, bvp or shooting with it")


def _initial_curve(metric: Metric, initial: Any, start: Tensor, end: Tensor, n_segments: int) -> Tensor:
    """Return an initial curve (n + 1, d) at constant speed, whose ends are checked."""
    curve = as_points(initial, "initial", 2).detach().to(start)
    if curve.shape[1] != len(start) or len(curve) < 2:
        raise InputError(f"initial curve of shape {tuple(curve.shape)} given, expected (m + 1, {len(start)})")
    near = 1e-4 * (end - start).norm()
    if (curve[0] - start).norm() > near or (curve[-1] - end).norm() > near:
        raise InputError("initial curve between other points given, expected one from start to end")
    curve = constant_speed(metric, torch.cat([start[None], curve[1:-1], end[None]]), n_segments)
    line = straight_line(start, end, n_segments)
    curve[0], curve[-1] = line[0], line[-1]
    return curve
