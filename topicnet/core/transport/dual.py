"""Dual of a transport problem: c-transforms, the dual value and the duality gap."""

from __future__ import annotations

import torch
from torch import Tensor

from topicnet.core.transport.inputs import Array, checked_cost, checked_mass, checked_tensor
from topicnet.errors import InputError

PLAN_TOLERANCE = 1e-6  # allowed L1 error of a plan's marginals


def c_transform(cost: Array, potential: Array) -> Tensor:
    """c-transform of a potential: the largest potential of the second measure that is feasible with it.

    The transform is ``h^c(y_j) = min_i C_ij - h(x_i)``. Then ``h(x_i) + h^c(y_j) <= C_ij`` for all i and j.

    Parameters
    ----------
    cost : array of shape (n, m)
        Cost of moving each point to each point.
    potential : array of shape (n,)
        Potential h of the first measure. For one of the second measure, transpose the cost.

    Returns
    -------
    Tensor of shape (m,)
        The transform h^c.

    Raises
    ------
    InputError
        If the shapes differ or a value is not finite.

    Notes
    -----
    Peyré & Cuturi 2019, Computational Optimal Transport, section 5.1. A maximum in place of the minimum, as some notes
    on Wasserstein GANs have it, gives an infeasible potential and a value above the optimum.

    Examples
    --------
    >>> from topicnet import transport
    >>> transport.c_transform([[0.0, 1.0], [1.0, 0.0]], [0.5, 0.0]).tolist()
    [-0.5, 0.0]
    """
    matrix, values = checked_cost(cost), checked_tensor(potential, "potential", 1)
    if len(values) != len(matrix):
        raise InputError(f"potential has {len(values)} values for {len(matrix)} rows of cost; expected one per row")
    return (matrix - values[:, None]).amin(0)


def dual_value(cost: Array, potential: Array, a: Array | None = None, b: Array | None = None) -> Tensor:
    """Dual value of a potential and its c-transform, a lower bound on the transport cost for every potential.

    The value is ``sum_i a_i h(x_i) + sum_j b_j h^c(y_j)``, and its maximum over h is the transport cost.

    Parameters
    ----------
    cost : array of shape (n, m)
        Cost of moving each point to each point.
    potential : array of shape (n,)
        Potential h of the first measure.
    a : array of shape (n,), optional
        Masses of the first measure, which sum to 1. By default uniform.
    b : array of shape (m,), optional
        Masses of the second measure, which sum to 1. By default uniform.

    Returns
    -------
    Tensor
        Scalar in double precision.

    Raises
    ------
    InputError
        If the shapes differ, a value is not finite, or masses are negative or do not sum to 1.

    Notes
    -----
    Genevay, Peyré & Cuturi 2017, GAN and VAE from an optimal transport point of view; Peyré & Cuturi 2019, section 5.1.

    Examples
    --------
    >>> from topicnet import transport
    >>> float(transport.dual_value([[0.0, 1.0], [1.0, 0.0]], [1.0, 0.0], a=[1.0, 0.0], b=[0.0, 1.0]))
    1.0
    """
    matrix = checked_cost(cost)
    first, second = checked_mass(a, matrix.shape[0], "a", matrix), checked_mass(b, matrix.shape[1], "b", matrix)
    h = checked_tensor(potential, "potential", 1).to(matrix.device)
    return first @ h.double() + second @ c_transform(matrix, h).double()


def duality_gap(cost: Array, plan: Array, potential: Array, a: Array | None = None, b: Array | None = None) -> Tensor:
    """Duality gap: the cost of a plan minus the dual value of a potential.

    It is never negative beyond rounding, and it is 0 if and only if both are optimal. Without knowing the optimum,
    it bounds the error of each.

    Parameters
    ----------
    cost : array of shape (n, m)
        Cost of moving each point to each point.
    plan : array of shape (n, m)
        Masses with marginals a and b.
    potential : array of shape (n,)
        Potential h of the first measure; its c-transform is the other potential.
    a : array of shape (n,), optional
        Masses of the first measure, which sum to 1. By default uniform.
    b : array of shape (m,), optional
        Masses of the second measure, which sum to 1. By default uniform.

    Returns
    -------
    Tensor
        Scalar in double precision.

    Raises
    ------
    InputError
        If the plan has negative masses or other marginals, or an input is invalid as in `dual_value`.

    Examples
    --------
    >>> from topicnet import transport
    >>> cost = [[0.0, 1.0], [1.0, 0.0]]
    >>> float(transport.duality_gap(cost, [[0.0, 0.5], [0.5, 0.0]], [0.0, 0.0]))
    1.0
    """
    matrix, masses = checked_cost(cost).double(), checked_tensor(plan, "plan", 2).double()
    if masses.shape != matrix.shape:
        raise InputError(f"plan has shape {tuple(masses.shape)}; expected that of cost, {tuple(matrix.shape)}")
    first, second = checked_mass(a, matrix.shape[0], "a", matrix), checked_mass(b, matrix.shape[1], "b", matrix)
    least = float(masses.detach().min())
    if least < -PLAN_TOLERANCE:
        raise InputError(f"plan has the negative mass {least:g}; expected masses of 0 or more")
    errors = torch.stack([(masses.sum(1) - first).abs().sum(), (masses.sum(0) - second).abs().sum()])
    error = float(errors.detach().max())
    if error > PLAN_TOLERANCE:
        raise InputError(f"the marginals of plan differ from a and b by {error:.3g}; expected a plan between these")
    return (masses * matrix).sum() - dual_value(matrix, potential, first, second)


def tightened(cost: Tensor, f: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return feasible potentials (n,) and (m,) with a dual value at least that of `f` on the points that have mass."""
    on_mass = (cost[a > 0] - f[a > 0, None]).amin(0)  # (m,)
    first = (cost[:, b > 0] - on_mass[b > 0]).amin(1)  # (n,)
    return first, (cost - first[:, None]).amin(0)


def gap_of(cost: Tensor, plan: Tensor, f: Tensor, g: Tensor, a: Tensor, b: Tensor) -> float:
    """Return <P, C> minus the dual value of potentials that are feasible already."""
    return float(torch.sum(plan * cost) - (a @ f + b @ g))
