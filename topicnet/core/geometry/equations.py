"""Geodesics by their differential equation: as a boundary-value problem, by shooting, and the exponential map."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.integrate import solve_bvp, solve_ivp
from scipy.interpolate import CubicSpline
from torch import Tensor

from topicnet.core.geometry.checks import as_end_points, as_points, map_errors
from topicnet.core.geometry.curves import Geodesic, check_n_segments
from topicnet.core.geometry.energies import no_longer, spline_geodesic
from topicnet.core.geometry.metrics import Metric, check_regular
from topicnet.errors import InputError
from topicnet.runtime.torch_state import usual_gradients

Array = NDArray[np.float64]
FIRST_NODES, MOST_NODES = 30, 500  # of the boundary-value problem
BVP_TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3}
STEP_TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-5}  # of initial-value problems
DIFFERENCE = {torch.float64: 1e-6, torch.float32: 1e-2}  # relative change of the velocity in Newton's method
MISS = {torch.float64: 1e-7, torch.float32: 1e-3}  # distance from the target, relative to that of the end points
SPEED_CHANGE = {torch.float64: 1e-4, torch.float32: 1e-2}  # standard deviation of the speed over its mean
MOST_EVALUATIONS = 1500  # of the equation in one initial-value problem, which usually takes 100
NEWTON_STEPS = 30
WARM_KNOTS = 8  # of the spline that starts a second attempt


def boundary_value_geodesic(
    metric: Metric, start: Tensor, end: Tensor, n_segments: int, initial: Tensor | None = None
) -> Geodesic:
    """Solve the geodesic equation between two points by collocation, from the straight line or an initial curve.

    If that fails or ends in a longer curve, a second attempt starts from a spline of least energy.
    """
    try:
        found = _solve_boundary_values(metric, start, end, n_segments, initial)
        if found.converged:
            return found
    except InputError:  # at a point that an iterate passes, and that the solution may avoid
        pass
    warm = spline_geodesic(metric, start, end, n_segments, WARM_KNOTS)
    return _solve_boundary_values(metric, start, end, n_segments, warm.curve)


def _solve_boundary_values(
    metric: Metric, start: Tensor, end: Tensor, n_segments: int, initial: Tensor | None
) -> Geodesic:
    d = len(start)
    first, last = _numpy(start), _numpy(end)
    t = np.linspace(0, 1, FIRST_NODES)
    if initial is None:
        guess = np.concatenate([first + t[:, None] * (last - first), np.tile(last - first, (len(t), 1))], 1)
    else:
        spline = CubicSpline(np.linspace(0, 1, len(initial)), _numpy(initial))
        guess = np.concatenate([spline(t), spline(t, 1)], 1)
    found = solve_bvp(
        lambda _, state: _derivative(metric, state.T, start).T,
        lambda at_0, at_1: np.concatenate([at_0[:d] - first, at_1[:d] - last]),
        t,
        guess.T,
        tol=BVP_TOLERANCE[start.dtype],
        max_nodes=MOST_NODES,
    )
    states = found.sol(np.linspace(0, 1, n_segments + 1)).T  # (n + 1, 2 d)
    return _result(metric, states, start, end, found.status == 0, "bvp")


def shooting_geodesic(
    metric: Metric, start: Tensor, end: Tensor, n_segments: int, initial: Tensor | None = None
) -> Geodesic:
    """Find the initial velocity whose geodesic ends at a point by Newton's method, then follow it."""
    velocity, hit = _initial_velocity(metric, start, end, initial)
    states = _integrate(metric, _numpy(start)[None], velocity[None], start, n_segments)[:, 0]
    return _result(metric, states, start, end, hit, "shooting")


def exponential(metric: Metric, start: Any, velocity: Any, n_segments: int = 100) -> Tensor:
    """Follow the geodesic that leaves a point with a velocity for unit time (exponential map).

    Parameters
    ----------
    metric : Metric
        Metric of the latent space.
    start : Tensor or array-like
        (d,).
    velocity : Tensor or array-like
        (d,), not 0. Its length under the metric is that of the curve.
    n_segments : int
        Number of segments n of the curve.

    Returns
    -------
    Tensor
        (n + 1, d) points at equal times. The last one is the exponential of the velocity.

    Raises
    ------
    InputError
        For a velocity of 0, values that are not finite, a singular metric, or a geodesic that leaves the region in
        which the metric is defined.

    See Also
    --------
    logarithm : Inverse of the exponential map.

    Examples
    --------
    >>> from topicnet import geometry
    >>> exponential(geometry.pullback(lambda z: 2 * z), [0.0, 0.0], [1.0, 0.5])[-1]
    tensor([1.0000, 0.5000], dtype=torch.float64)
    """
    check_n_segments(n_segments, 1)
    with map_errors(), usual_gradients(), torch.no_grad():
        start, velocity = as_points(start, "start", 1), as_points(velocity, "velocity", 1)
        start, _ = as_end_points(start, start + velocity if start.shape == velocity.shape else velocity)
        check_regular(metric, start[None])
        states = _integrate(metric, _numpy(start)[None], _numpy(velocity)[None], start, n_segments)
        return _tensor(states[:, 0, : len(start)], start)


def logarithm(metric: Metric, start: Any, end: Any) -> Tensor:
    """Find the velocity with which a geodesic leaves a point to reach another at unit time (logarithmic map).

    Parameters
    ----------
    metric : Metric
        Metric of the latent space.
    start, end : Tensor or array-like
        (d,), two different points.

    Returns
    -------
    Tensor
        (d,) initial velocity. Its length under the metric is the geodesic distance.

    Raises
    ------
    InputError
        For equal points, values that are not finite, a singular metric, or if no geodesic to the point was found.

    See Also
    --------
    exponential : Inverse of the logarithmic map.

    Examples
    --------
    >>> from topicnet import geometry
    >>> logarithm(geometry.pullback(lambda z: 2 * z), [0.0, 0.0], [1.0, 0.5])
    tensor([1.0000, 0.5000], dtype=torch.float64)
    """
    with map_errors(), usual_gradients(), torch.no_grad():
        start, end = as_end_points(start, end)
        check_regular(metric, torch.stack([start, end]))
        velocity, hit = _initial_velocity(metric, start, end, None)
    if not hit:
        raise InputError('shooting found no geodesic to the end point; use geodesic(..., method="energy") instead')
    return _tensor(velocity, start)


def _initial_velocity(metric: Metric, start: Tensor, end: Tensor, initial: Tensor | None) -> tuple[Array, bool]:
    """Return the initial velocity (d,), and whether its geodesic ends at `end`; begins with a spline if not given."""
    curve = spline_geodesic(metric, start, end, 100, WARM_KNOTS).curve if initial is None else initial
    spline = CubicSpline(np.linspace(0, 1, len(curve)), _numpy(curve))
    return _newton(metric, start, end, np.asarray(spline(0.0, 1)))


def _newton(metric: Metric, start: Tensor, end: Tensor, velocity: Array) -> tuple[Array, bool]:
    """Solve exp(velocity) = end by Newton's method with halved steps; differences are integrated in one batch."""
    d, target = len(start), _numpy(end)
    tolerance = MISS[start.dtype] * float((end - start).norm())
    from_ = np.tile(_numpy(start), (d + 1, 1))

    def ends(velocity: Array, change: float) -> Array:
        velocities = velocity + change * np.concatenate([np.zeros((1, d)), np.eye(d)])
        return _integrate(metric, from_, velocities, start, 1)[-1, :, :d]

    change = DIFFERENCE[start.dtype] * float(np.linalg.norm(velocity))
    reached = ends(velocity, change)
    for _ in range(NEWTON_STEPS):
        miss = reached[0] - target
        if np.linalg.norm(miss) <= tolerance:
            return velocity, True
        step = np.linalg.lstsq((reached[1:] - reached[0]).T / change, -miss, rcond=None)[0]
        for halving in range(8):
            trial = velocity + step / 2**halving
            try:
                reached = ends(trial, change)
            except InputError:
                continue
            if np.linalg.norm(reached[0] - target) < np.linalg.norm(miss):
                break
        else:
            return velocity, False
        velocity = trial
    return velocity, False


def _integrate(metric: Metric, points: Array, velocities: Array, like: Tensor, n_segments: int) -> Array:
    """Integrate the geodesic equation of points and velocities (m, d) together: states (n + 1, m, 2 d)."""
    states = np.concatenate([points, velocities], 1)  # (m, 2 d)
    tolerance, n_evaluations = STEP_TOLERANCE[like.dtype], count()

    def derivative(_: float, flat: Array) -> Array:
        if next(n_evaluations) >= MOST_EVALUATIONS:
            raise _not_continued(points[0])
        return _derivative(metric, flat.reshape(states.shape), like).ravel()

    found = solve_ivp(
        derivative,
        (0.0, 1.0),
        states.ravel(),
        method="DOP853",
        t_eval=np.linspace(0, 1, n_segments + 1),
        rtol=tolerance,
        atol=tolerance * float(np.abs(velocities).max()),
    )
    if not found.success:
        raise _not_continued(points[0])
    return np.asarray(found.y.T.reshape(n_segments + 1, *states.shape))


def _not_continued(point: Array) -> InputError:
    return InputError(
        f"the geodesic from {point.round(4).tolist()} cannot be continued to unit time within {MOST_EVALUATIONS} "
        "evaluations of its equation; give a shorter velocity, or use another method"
    )


def _derivative(metric: Metric, states: Array, like: Tensor) -> Array:
    """Return velocity and acceleration of states (m, 2 d)."""
    d = states.shape[1] // 2
    accelerations = metric.accelerations(_tensor(states[:, :d], like), _tensor(states[:, d:], like))
    return np.concatenate([states[:, d:], _numpy(accelerations)], 1)


def _result(metric: Metric, states: Array, start: Tensor, end: Tensor, solved: bool, method: str) -> Geodesic:
    """Make the result of states (n + 1, 2 d): the length is the mean speed, which a geodesic conserves."""
    d = len(start)
    curve = _tensor(states[:, :d], start)
    curve[0], curve[-1] = start, end
    speeds = _numpy(metric.squared_speeds(curve, _tensor(states[:, d:], start)).sqrt())
    if not np.isfinite(speeds).all():
        raise InputError("the speed of the geodesic is not finite; expected a map with finite values and derivatives")
    length = float(speeds.mean())
    solved &= bool(speeds.std() <= SPEED_CHANGE[start.dtype] * length)
    return Geodesic(curve, length, float((speeds**2).mean()), solved and no_longer(metric, length, start, end), method)


def _numpy(tensor: Tensor) -> Array:
    return np.asarray(tensor.detach().double().cpu().numpy())


def _tensor(array: Array, like: Tensor) -> Tensor:
    return torch.tensor(array, dtype=like.dtype, device=like.device)
