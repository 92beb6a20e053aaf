"""Geodesics by minimising the energy: of a discrete curve, or of a cubic spline."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.linalg import solve_triangular
from scipy.optimize import minimize
from torch import Tensor

from topicnet.core.geometry.curves import Geodesic, curve_length, straight_line, times
from topicnet.core.geometry.metrics import Metric
from topicnet.errors import InputError

Array = NDArray[np.float64]
GRADIENT_TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3}  # per unit of energy; the energy's error is its square
ROUNDS = 4  # of L-BFGS, each in units of the energy that the one before reached
BARRIER = 10.0  # objective of curves whose energy is not finite; it starts at 1
GAUSS_NODES = 4  # of the quadrature, in each interval between two knots
# A geodesic may be this much longer than the straight line, relatively, by rounding.
LENGTH_TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4}


def discrete_geodesic(
    metric: Metric, start: Tensor, end: Tensor, n_segments: int, initial: Tensor | None = None
) -> Geodesic:
    """Minimise n sum |step|^2 over the n - 1 inner points of a discrete curve by L-BFGS.

    The unknowns are whitened by the second differences, whose conditioning would otherwise grow with n^2.
    """
    line = straight_line(start, end, n_segments)
    second_differences = 2 * np.eye(n_segments - 1) - np.eye(n_segments - 1, k=1) - np.eye(n_segments - 1, k=-1)
    basis = _whitened(second_differences) / np.sqrt(n_segments)
    first = np.zeros((n_segments - 1, len(start)))
    if initial is not None:
        first = np.linalg.solve(basis, (initial - line)[1:-1].double().cpu().numpy())

    def curve(offsets: Tensor) -> Tensor:
        return torch.cat([start[None], line[1:-1] + offsets, end[None]])

    offsets, converged = _minimise(
        lambda offsets: n_segments * metric.squared_steps(curve(offsets)).sum(), basis, first, start, end
    )
    found = curve(offsets)
    steps = metric.squared_steps(found)
    length = float(steps.sqrt().sum())
    straight = float(curve_length(metric, line))
    converged &= length <= straight * (1 + LENGTH_TOLERANCE[start.dtype])
    return Geodesic(found, length, n_segments * float(steps.sum()), converged, "energy")


def spline_geodesic(metric: Metric, start: Tensor, end: Tensor, n_segments: int, n_knots: int) -> Geodesic:
    """Minimise the energy of a cubic spline over the values at its inner knots by L-BFGS.

    The energy is integrated by Gauss-Legendre quadrature between the knots. At the ends, the third derivative is
    continuous ("not-a-knot"), because a geodesic's second derivative is not 0 there as that of a natural spline.
    """
    spline = _cardinal_splines(n_knots)
    t, weights = gauss_nodes(n_knots + 1)
    slopes = spline(t, 1)  # (T, k)
    basis = _whitened(slopes.T @ (weights[:, None] * slopes))
    nodes, weight = _like(t, start)[:, None], _like(weights, start)
    values, derivatives = _like(spline(t), start), _like(slopes, start)

    def energy(offsets: Tensor) -> Tensor:
        points = start + nodes * (end - start) + values @ offsets
        return weight @ metric.squared_speeds(points, end - start + derivatives @ offsets)

    offsets, converged = _minimise(energy, basis, np.zeros((n_knots, len(start))), start, end)
    points = start + nodes * (end - start) + values @ offsets
    speeds = metric.squared_speeds(points, end - start + derivatives @ offsets).sqrt()
    found = start + times(n_segments, start) * (end - start)
    found = found + _like(spline(np.linspace(0, 1, n_segments + 1)), start) @ offsets
    found[0], found[-1] = start, end
    length, square = float(weight @ speeds), float(weight @ speeds.square())
    return Geodesic(found, length, square, converged & no_longer(metric, length, start, end), "spline")


def no_longer(metric: Metric, length: float, start: Tensor, end: Tensor) -> bool:
    """Compare a length with that of the straight line, by quadrature."""
    t, weights = gauss_nodes(25)
    nodes = _like(t, start)[:, None]
    speeds = metric.squared_speeds(start + nodes * (end - start), (end - start).expand(len(nodes), -1)).sqrt()
    return length <= float(_like(weights, start) @ speeds) * (1 + LENGTH_TOLERANCE[start.dtype])


def gauss_nodes(n_intervals: int) -> tuple[Array, Array]:
    """Return nodes and weights of Gauss-Legendre quadrature on equal intervals of [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(GAUSS_NODES)
    t = (np.arange(n_intervals)[:, None] + (nodes + 1) / 2).ravel() / n_intervals
    return t, np.tile(weights / 2, n_intervals) / n_intervals


def _cardinal_splines(n_knots: int) -> CubicSpline:
    """Return the splines that are 1 at one of the inner knots and 0 at the other knots and both ends."""
    unit = np.zeros((n_knots + 2, n_knots))
    unit[1:-1] = np.eye(n_knots)
    return CubicSpline(np.linspace(0, 1, n_knots + 2), unit)


def _whitened(gram: Array) -> Array:
    """Return L^-T of the Cholesky factor L of a matrix: in these coordinates its quadratic form is the identity."""
    lower = np.linalg.cholesky(gram)
    return np.asarray(solve_triangular(lower, np.eye(len(gram)), lower=True).T)


def _like(array: Array, tensor: Tensor) -> Tensor:
    return torch.as_tensor(array, dtype=tensor.dtype, device=tensor.device)


def _minimise(
    energy: Callable[[Tensor], Tensor], basis: Array, first: Array, start: Tensor, end: Tensor
) -> tuple[Tensor, bool]:
    """Minimise an energy of offsets = basis @ unknowns; returns the offsets (k, d) and whether L-BFGS converged."""
    scale = float((end - start).norm())
    mixing = _like(basis, start) * scale  # unknowns are relative to the distance of the end points
    straight = float(energy(torch.zeros(first.shape, dtype=start.dtype, device=start.device)))
    initial = float(energy(mixing @ _like(first / scale, start)))
    if not (np.isfinite([straight, initial]).all() and straight > 0):
        raise InputError(
            "the energy of the straight line or of the initial curve is not a positive finite number; expected a map "
            "with finite values and derivatives along them"
        )

    def objective(flat: Array, unit: float) -> tuple[float, Array]:
        with torch.enable_grad():
            unknowns = _like(flat.reshape(first.shape), start).requires_grad_()
            value = energy(mixing @ unknowns) / unit
            (slope,) = torch.autograd.grad(value, unknowns)
        if not (value.isfinite() and slope.isfinite().all()):  # outside the region in which the map is finite
            return BARRIER, np.zeros_like(flat)
        return float(value.detach()), slope.double().cpu().numpy().ravel()

    tolerance = GRADIENT_TOLERANCE[start.dtype]
    flat, unit, converged = (first / scale).ravel(), initial, False
    for _ in range(ROUNDS):
        found = minimize(
            objective,
            flat,
            args=(unit,),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 500, "maxfun": 2000, "maxcor": 20, "maxls": 40, "ftol": 1e-16, "gtol": tolerance / 10},
        )
        flat, unit = found.x, unit * float(found.fun)
        converged = bool(np.abs(found.jac).max() <= tolerance * found.fun)
        if converged or found.fun > 1 - 1e-9:
            break
    return mixing @ _like(flat.reshape(first.shape), start), converged
