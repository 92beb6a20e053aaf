"""Discrete curves in a latent space: straight lines, length, energy, constant speed, and the result of a geodesic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from topicnet.core.geometry.checks import as_end_points, as_points, map_errors
from topicnet.core.geometry.metrics import Metric
from topicnet.errors import InputError


@dataclass(frozen=True, eq=False)
class Geodesic:
    """Shortest path found between two points.

    Parameters
    ----------
    curve : Tensor
        (n + 1, d) points at equal times, from start to end.
    length : float
        Length of the curve under the metric: the geodesic distance, if the solver found the shortest path.
    energy : float
        Integral of the squared speed over unit time. It is at least length ** 2, and equal for constant speed.
    converged : bool
        Whether the solver met its tolerance and the curve is no longer than the straight line.
    method : str
        "energy", "spline", "bvp", "graph" or "shooting".

    Examples
    --------
    >>> from topicnet import geometry
    >>> found = geometry.geodesic(geometry.pullback(lambda z: 2 * z), [0.0, 0.0], [3.0, 4.0])
    >>> round(found.length, 6), found.converged, found.method, tuple(found.curve.shape)
    (10.0, True, 'energy', (101, 2))
    """

    curve: Tensor
    length: float
    energy: float
    converged: bool
    method: str


def straight_line(start: Any, end: Any, n_segments: int = 100) -> Tensor:
    """Divide the straight line between two points into segments.

    Parameters
    ----------
    start, end : Tensor or array-like
        (d,), two different points.
    n_segments : int
        Number of segments n.

    Returns
    -------
    Tensor
        (n + 1, d).

    Raises
    ------
    InputError
        For equal points, points that are not finite, or n_segments below 1.

    Examples
    --------
    >>> straight_line([0.0], [1.0], 2).flatten()
    tensor([0.0000, 0.5000, 1.0000], dtype=torch.float64)
    """
    first, last = as_end_points(start, end)
    check_n_segments(n_segments, 1)
    return first + times(n_segments, first) * (last - first)


def curve_length(metric: Metric, curve: Any) -> Tensor:
    """Compute the length of a discrete curve, the sum of the lengths of its segments.

    Parameters
    ----------
    metric : Metric
        Metric of the latent space.
    curve : Tensor or array-like
        (..., n + 1, d).

    Returns
    -------
    Tensor
        (...,). For a pullback metric the image of the curve is replaced by its chords, which is a lower bound with an
        error of order n^-2; for other metrics the midpoint rule has an error of the same order.

    Raises
    ------
    InputError
        For a curve of fewer than two points, or values that are not finite.

    Examples
    --------
    >>> from topicnet import geometry
    >>> curve_length(geometry.pullback(lambda z: 2 * z), [[0.0], [1.0], [3.0]])
    tensor(6., dtype=torch.float64)
    """
    return _squared_steps(metric, curve).sqrt().sum(-1)


def curve_energy(metric: Metric, curve: Any) -> Tensor:
    """Compute the energy of a discrete curve: n times the sum of the squared lengths of its n segments.

    Parameters
    ----------
    metric : Metric
        Metric of the latent space.
    curve : Tensor or array-like
        (..., n + 1, d), at equal times from 0 to 1.

    Returns
    -------
    Tensor
        (...,), at least the squared length, with equality only for constant speed.

    Raises
    ------
    InputError
        For a curve of fewer than two points, or values that are not finite.

    Examples
    --------
    >>> from topicnet import geometry
    >>> curve_energy(geometry.pullback(lambda z: 2 * z), [[0.0], [1.0], [3.0]])
    tensor(40., dtype=torch.float64)
    """
    steps = _squared_steps(metric, curve)
    return steps.shape[-1] * steps.sum(-1)


def constant_speed(metric: Metric, curve: Any, n_segments: int = 100) -> Tensor:
    """Reparametrise a discrete curve so that it runs at constant speed.

    Parameters
    ----------
    metric : Metric
        Metric of the latent space.
    curve : Tensor or array-like
        (m + 1, d).
    n_segments : int
        Number of segments n of the result.

    Returns
    -------
    Tensor
        (n + 1, d) points on the polygon through the given points, with the same end points.

    Raises
    ------
    InputError
        For a curve of length 0 or of fewer than two points, or values that are not finite.

    Examples
    --------
    >>> from topicnet import geometry
    >>> constant_speed(geometry.pullback(lambda z: 2 * z), [[0.0], [1.0], [4.0]], 2).flatten()
    tensor([0., 2., 4.], dtype=torch.float64)
    """
    curve = as_points(curve, "curve", 2).detach()
    check_n_segments(n_segments, 1)
    lengths = _squared_steps(metric, curve).detach().sqrt().double().cpu().numpy()
    done = np.concatenate([[0.0], np.cumsum(lengths)])
    if not done[-1] > 0:
        raise InputError("the curve has length 0, expected one between different points")
    points = curve.double().cpu().numpy()
    wanted = np.linspace(0.0, done[-1], n_segments + 1)
    columns = [np.interp(wanted, done, column) for column in points.T]
    return torch.as_tensor(np.stack(columns, 1), dtype=curve.dtype, device=curve.device)


def times(n_segments: int, like: Tensor) -> Tensor:
    """Return equal times from 0 to 1 as a column (n + 1, 1)."""
    return torch.linspace(0, 1, n_segments + 1, dtype=like.dtype, device=like.device)[:, None]


def check_n_segments(n_segments: int, least: int) -> None:
    if isinstance(n_segments, bool) or not isinstance(n_segments, int | np.integer) or n_segments < least:
        raise InputError(f"n_segments={n_segments} given, expected a whole number from {least}")


def _squared_steps(metric: Metric, curve: Any) -> Tensor:
    curve = as_points(curve, "curve")
    if curve.ndim < 2 or curve.shape[-2] < 2:
        raise InputError(f"a curve of shape {tuple(curve.shape)} given, expected (n + 1, d) with at least two points")
    with map_errors():
        steps = metric.squared_steps(curve)
    if not steps.isfinite().all():
        raise InputError("the length of the curve is not finite; expected a map with finite values along the curve")
    return steps
