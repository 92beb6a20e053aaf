"""Exact transport between discrete measures: assignment, and the network simplex of POT."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from topicnet.core.transport.dual import gap_of, tightened
from topicnet.core.transport.inputs import Array, checked_cost, checked_mass, checked_power, ground_cost
from topicnet.core.transport.result import Transport
from topicnet.errors import InputError
from topicnet.runtime.extras import import_extra, is_installed

# POT's default of 100,000 pivots is too low for 2,000 points. The method ends at the optimum, before this limit.
MAX_PIVOTS = 10_000_000
OPTIMAL = 1  # POT's result code
ASSIGNMENT_POINTS = 256  # up to here SciPy's assignment is fast; with 2,000 points it takes ten times as long as POT

Matrix = NDArray[np.float64]


def exact_transport(cost: Array, a: Array | None = None, b: Array | None = None) -> Transport:
    """Exact optimal transport for any cost matrix.

    Uniform measures with equally many points are an assignment problem, which SciPy solves. Other masses need the
    network simplex of the library POT (the extra `transport`), which also solves assignments of more than 256 points
    where it is installed.

    Parameters
    ----------
    cost : array of shape (n, m)
        Cost of moving each point to each point.
    a : array of shape (n,), optional
        Masses of the first measure, which sum to 1. By default uniform.
    b : array of shape (m,), optional
        Masses of the second measure, which sum to 1. By default uniform.

    Returns
    -------
    Transport
        Cost <P, C>, plan, potentials and the duality gap. The cost has a gradient in `cost`, which is the plan (the
        envelope theorem). It exists where the optimal plan is unique; elsewhere it is one of several subgradients.

    Raises
    ------
    InputError
        If the cost is empty or not finite, masses are negative, do not sum to 1 or require a gradient (only
        `sinkhorn` has one), POT is needed and missing, or the network simplex does not end.

    Notes
    -----
    Peyré & Cuturi 2019, Computational Optimal Transport, sections 2.3 and 3.5. The potentials of an assignment are
    shortest distances in the graph of its reduced costs.

    Examples
    --------
    >>> from topicnet import transport
    >>> found = transport.exact_transport([[1.0, 2.0], [3.0, 9.0]])
    >>> float(found.cost), found.plan.tolist()
    (2.5, [[0.0, 0.5], [0.5, 0.0]])
    """
    matrix = checked_cost(cost)
    first, second = checked_mass(a, matrix.shape[0], "a", matrix), checked_mass(b, matrix.shape[1], "b", matrix)
    if first.requires_grad or second.requires_grad:
        raise InputError("masses that require a gradient given to an exact problem; use sinkhorn, or detach them")
    host = matrix.detach().double().cpu()
    mass_a, mass_b = first.cpu(), second.cpu()
    is_assignment = len(mass_a) == len(mass_b) and _is_uniform(mass_a) and _is_uniform(mass_b)
    if 1 in host.shape:
        plan, f = _single_plan(host, mass_a, mass_b)
    elif is_assignment and (len(mass_a) <= ASSIGNMENT_POINTS or not is_installed("ot")):
        plan, f = _assignment(host.numpy())
    else:
        plan, f = _network_simplex(host.numpy(), mass_a.numpy(), mass_b.numpy())
    potentials = tightened(host, f, mass_a, mass_b)
    gap = gap_of(host, plan, *potentials, mass_a, mass_b)
    plan, f, g = (value.to(matrix) for value in (plan, *potentials))
    return Transport((plan * matrix).sum(), plan, f, g, gap)


def wasserstein(x: Array, y: Array, p: float = 2, a: Array | None = None, b: Array | None = None) -> Transport:
    """Exact Wasserstein distance between two samples with the ground cost ``|x - y|^p``.

    Parameters
    ----------
    x : array of shape (n, d)
        Points of the first measure.
    y : array of shape (m, d)
        Points of the second measure.
    p : float, default 2
        Power of the Euclidean distance, at least 1.
    a : array of shape (n,), optional
        Masses of `x`, which sum to 1. By default uniform.
    b : array of shape (m,), optional
        Masses of `y`, which sum to 1. By default uniform.

    Returns
    -------
    Transport
        `cost` is ``W_p^p`` and `distance` is W_p. The cost has a gradient in the points.

    Raises
    ------
    InputError
        If a sample is empty or not finite, the dimensions differ, or an input is invalid as in `exact_transport`.

    Notes
    -----
    Peyré & Cuturi 2019, Computational Optimal Transport, proposition 2.2: W_p is a metric, ``W_p^p`` is not for p > 1.

    Examples
    --------
    >>> import torch
    >>> from topicnet import transport
    >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> float(transport.wasserstein(x, x + torch.tensor([3.0, 4.0])).distance)
    5.0
    """
    found = exact_transport(ground_cost(x, y, p), a, b)
    return Transport(found.cost, found.plan, found.f, found.g, found.gap, power=checked_power(p))


def _is_uniform(mass: Tensor) -> bool:
    return bool((mass == mass[0]).all())


def _single_plan(cost: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return the only plan (n, m) if one measure is a single point, and the first potential (n,).

    The network simplex finds no optimum for some of these problems.
    """
    return a[:, None] * b, cost[:, 0] if cost.shape[1] == 1 else torch.zeros(1, dtype=torch.float64)


def _assignment(cost: Matrix) -> tuple[Tensor, Tensor]:
    """Solve the assignment problem: the plan (n, n), and the first potential (n,)."""
    n = len(cost)
    rows, columns = linear_sum_assignment(cost)
    plan = np.zeros_like(cost)
    plan[rows, columns] = 1 / n
    # Feasible potentials satisfy f_i - f_k <= C[i, s(k)] - C[k, s(k)], so shortest distances to each i are potentials.
    # An optimal assignment s has no cycle of negative length, so at most n passes of Bellman and Ford find them.
    lengths = cost[:, columns] - cost[rows, columns]  # (i, k)
    f = np.zeros(n)
    rounding = 1e-15 * (1 + np.abs(cost).max())
    for _ in range(n):
        shorter = (lengths + f).min(1)  # the diagonal is 0, so never longer than f
        done = bool((f - shorter).max() <= rounding)
        f = shorter
        if done:
            break
    return torch.as_tensor(plan), torch.as_tensor(f)


def _network_simplex(cost: Matrix, a: Matrix, b: Matrix) -> tuple[Tensor, Tensor]:
    """Solve by POT's network simplex: the plan (n, m), and the first potential (n,)."""
    ot = import_extra("exact transport between measures of different sizes or masses", "ot")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the result code is checked below
        plan, log = ot.emd(a, b, cost, numItermax=MAX_PIVOTS, log=True)
    if log["result_code"] != OPTIMAL:
        raise InputError(
            f"the network simplex found no optimum for {len(a)} x {len(b)} points in {MAX_PIVOTS:,} pivots;"
            " use fewer points, or sinkhorn"
        )
    return torch.as_tensor(plan), torch.as_tensor(log["u"])
