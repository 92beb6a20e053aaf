"""Transport on the line by sorting, and sliced transport in any dimension."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import torch
from torch import Tensor

from topicnet.core.counter_rng import PROJECTION, Noise
from topicnet.core.transport.inputs import (
    Array,
    checked_count,
    checked_mass,
    checked_points,
    checked_power,
    checked_tensor,
)
from topicnet.core.transport.result import Transport
from topicnet.errors import InputError


def wasserstein_1d(x: Array, y: Array, p: float = 2, a: Array | None = None, b: Array | None = None) -> Transport:
    """Exact Wasserstein distance between two samples of numbers, by sorting.

    Parameters
    ----------
    x : array of shape (n,)
        Points of the first measure.
    y : array of shape (m,)
        Points of the second measure.
    p : float, default 2
        Power of the distance, at least 1.
    a : array of shape (n,), optional
        Masses of `x`, which sum to 1. By default uniform.
    b : array of shape (m,), optional
        Masses of `y`, which sum to 1. By default uniform.

    Returns
    -------
    Transport
        `cost` is ``W_p^p``, with a gradient in the points; `plan` is sparse with at most n + m entries.

    Raises
    ------
    InputError
        If a sample is empty or not finite, `p` is below 1, or masses are negative, do not sum to 1 or require a
        gradient.

    Notes
    -----
    ``W_p^p`` is the integral of ``|F^-1(t) - G^-1(t)|^p`` over t in [0, 1], with quantile functions F^-1 and G^-1
    (Peyré & Cuturi 2019, Computational Optimal Transport, remark 2.30). The potentials follow from complementary
    slackness along the staircase of the plan, and a convex cost makes them feasible everywhere. Time is O(n log n),
    memory O(n).

    Examples
    --------
    >>> from topicnet import transport
    >>> float(transport.wasserstein_1d([0.0, 1.0, 5.0], [2.0], p=1).cost)
    2.0
    """
    first, second = checked_points(checked_tensor(x, "x", 1)[:, None], checked_tensor(y, "y", 1)[:, None])
    masses = _checked_masses(first, second, a, b)
    cost, i, j, moved = _monotone_transport(first.T, second.T, *masses, checked_power(p))
    i, j, moved = i[0], j[0], moved[0]
    shape = len(first), len(second)
    plan = torch.sparse_coo_tensor(torch.stack([i, j]), moved, shape, check_invariants=False).coalesce()
    with torch.no_grad():
        f, g = _staircase_potentials(first[:, 0].double(), second[:, 0].double(), i, j, p)
        gap = float(cost[0] - masses[0] @ f - masses[1] @ g)
    dtype = first.dtype
    return Transport(cost[0].to(dtype), plan.to(dtype), f.to(dtype), g.to(dtype), gap, power=float(p))


def sliced_wasserstein(
    x: Array,
    y: Array,
    p: float = 2,
    a: Array | None = None,
    b: Array | None = None,
    *,
    n_projections: int = 128,
    seed: int = 0,
) -> Transport:
    """Sliced Wasserstein distance: the mean of ``W_p^p`` over random projections onto a line.

    Parameters
    ----------
    x : array of shape (n, d)
        Points of the first measure.
    y : array of shape (m, d)
        Points of the second measure.
    p : float, default 2
        Power of the distance, at least 1.
    a : array of shape (n,), optional
        Masses of `x`, which sum to 1. By default uniform.
    b : array of shape (m,), optional
        Masses of `y`, which sum to 1. By default uniform.
    n_projections : int, default 128
        Number of directions, drawn uniformly from the unit sphere.
    seed : int, default 0
        The same seed gives the same directions on every device. Random generators are neither read nor changed.

    Returns
    -------
    Transport
        `cost` is the mean of ``W_p^p``, with a gradient in the points, and `distance` its p-th root. There is no plan.

    Raises
    ------
    InputError
        If a sample is empty or not finite, the dimensions differ, `p` or `n_projections` is below 1, `seed` is not
        in 0 to 2^64 - 1, or masses are negative, do not sum to 1 or require a gradient.

    Notes
    -----
    Bonneel et al. 2015, Sliced and Radon Wasserstein barycenters of measures. In d dimensions, a
    translation by t has a squared sliced distance of ``|t|^2 / d``.

    Examples
    --------
    >>> import torch
    >>> from topicnet import transport
    >>> x = torch.eye(3)
    >>> far = transport.sliced_wasserstein(x, x + 1.0, n_projections=4000)
    >>> round(float(far.cost), 1)
    1.0
    """
    first, second = checked_points(x, y)
    masses = _checked_masses(first, second, a, b)
    if not isinstance(seed, Integral) or not 0 <= seed < 2**64:
        raise InputError(f"seed={seed!r} given; expected a whole number from 0 to 2^64 - 1")
    noise = Noise.of(int(seed), np.arange(checked_count(n_projections, "n_projections")), first.device)
    directions = noise.normal(PROJECTION, first.new_empty(n_projections, first.shape[1]))  # (L, d)
    directions = directions / directions.norm(dim=1, keepdim=True)
    cost, *_ = _monotone_transport(directions @ first.T, directions @ second.T, *masses, checked_power(p))
    return Transport(cost.mean().to(first.dtype), power=float(p))


def _checked_masses(x: Tensor, y: Tensor, a: Array | None, b: Array | None) -> tuple[Tensor, Tensor]:
    masses = checked_mass(a, len(x), "a", x), checked_mass(b, len(y), "b", x)
    if masses[0].requires_grad or masses[1].requires_grad:
        raise InputError("masses that require a gradient given to an exact problem; use sinkhorn, or detach them")
    return masses


def _monotone_transport(x: Tensor, y: Tensor, a: Tensor, b: Tensor, p: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Move mass in increasing order in each of L problems on the line.

    Returns the costs (L,), and the staircase of each plan: the indices of its n + m cells in x and in y, and their
    masses, (L, n + m) each. Consecutive cells differ in at most one index.
    """
    n, m = x.shape[1], y.shape[1]
    (sorted_x, order_x), (sorted_y, order_y) = x.sort(dim=1), y.sort(dim=1)
    # The quantile functions of x and y jump at these levels; each cell of the plan is the interval between two jumps.
    levels_x, levels_y = a[order_x].cumsum(1), b[order_y].cumsum(1)
    levels_x[:, -1] = levels_y[:, -1] = 1.0
    levels, jump = torch.cat([levels_x, levels_y], 1).clamp_max(1.0).sort(dim=1, stable=True)  # (L, n + m)
    passed_x = (jump < n).cumsum(1)[:, :-1].clamp_max(n - 1)
    passed_y = (jump >= n).cumsum(1)[:, :-1].clamp_max(m - 1)
    start = torch.zeros_like(passed_x[:, :1])
    i, j = torch.cat([start, passed_x], 1), torch.cat([start, passed_y], 1)
    moved = levels.diff(dim=1, prepend=torch.zeros_like(levels[:, :1]))  # (L, n + m)
    distances = (sorted_x.double().gather(1, i) - sorted_y.double().gather(1, j)).abs()
    costs = distances if p == 1 else distances**p
    return (moved * costs).sum(1), order_x.gather(1, i), order_y.gather(1, j), moved


def _staircase_potentials(x: Tensor, y: Tensor, i: Tensor, j: Tensor, p: float) -> tuple[Tensor, Tensor]:
    """Return the potentials (n,) and (m,) with f_i + g_j = |x_i - y_j|^p in all cells of a staircase."""
    cell = (x[i] - y[j]).abs() ** p
    # Where i moves and j is kept, f changes by the difference of the cells, and the other way round.
    step_x = torch.where(i.diff() != 0, cell.diff(), 0.0).cumsum(0)
    step_y = torch.where(j.diff() != 0, cell.diff(), 0.0).cumsum(0)
    f, g = torch.zeros_like(x), torch.zeros_like(y)
    f[i[0]], g[j[0]] = cell[0], 0.0
    f[i[1:]], g[j[1:]] = cell[0] + step_x, step_y
    return f, g
