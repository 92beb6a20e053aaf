"""Entropy-regularised transport: stabilised Sinkhorn iterations and the Sinkhorn divergence."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from topicnet.core.transport.inputs import (
    Array,
    checked_cost,
    checked_count,
    checked_mass,
    checked_points,
    checked_power,
    ground_cost,
)
from topicnet.core.transport.result import Transport
from topicnet.errors import InputError

SCALED_STEPS = 20  # iterations with a fixed kernel between two in the log domain
AVERAGED_STEPS = 40  # iterations per epsilon to start with
LARGEST_LOG_SCALE = 100.0  # scalings beyond exp(+-100) are discarded


def sinkhorn(
    cost: Array,
    epsilon: float,
    a: Array | None = None,
    b: Array | None = None,
    *,
    tolerance: float = 1e-6,
    max_iterations: int = 10_000,
) -> Transport:
    """Entropy-regularised transport for any cost matrix, differentiable in the cost and in the masses.

    The cost is the minimum of ``<P, C> + epsilon KL(P | a b^T)`` over plans P with marginals a and b, in nats.

    Parameters
    ----------
    cost : array of shape (n, m)
        Cost of moving each point to each point.
    epsilon : float
        Weight of the entropy term, in units of the cost. Iterations grow like 1/epsilon; a hundredth of the median
        cost is a sensible lower limit.
    a : array of shape (n,), optional
        Masses of the first measure, which sum to 1. By default uniform.
    b : array of shape (m,), optional
        Masses of the second measure, which sum to 1. By default uniform.
    tolerance : float, default 1e-6
        L1 error of the first marginal at which the iterations end; the second marginal is exact.
    max_iterations : int, default 10,000
        Limit on the alternating iterations at `epsilon`, after those that anneal it. `converged` is false if the
        tolerance was not reached.

    Returns
    -------
    Transport
        `cost` is the dual value, at most the optimum; the optimum exceeds it by at most `gap`. `plan` is rounded to
        exact marginals. Gradients are those of the optimum (the plan, f and g), and can be taken once.

    Raises
    ------
    InputError
        If the cost is empty or not finite, masses are negative or do not sum to 1, or `epsilon`, `tolerance` or
        `max_iterations` is not positive.

    Notes
    -----
    Cuturi 2013, Sinkhorn distances: lightspeed computation of optimal transport; Peyré & Cuturi 2019, Computational
    Optimal Transport, proposition 4.4 (dual) and section 4.4 (log domain). Epsilon falls from the largest cost by
    halves; kernels are stabilised by absorbing the potentials (Schmitzer 2019, Stabilized sparse scaling algorithms for
    entropy regularized transport problems). The plan is rounded by algorithm 2 of Altschuler, Weed & Rigollet 2017. All
    is computed in double precision.

    Examples
    --------
    >>> import torch
    >>> from topicnet import transport
    >>> cost = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    >>> found = transport.sinkhorn(cost, epsilon=1.0)
    >>> round(float(found.cost.detach()), 6)  # -log((1 + exp(-1)) / 2)
    0.379885
    >>> torch.autograd.grad(found.cost, cost)[0].sum(1).tolist()
    [0.5, 0.5]
    """
    matrix = checked_cost(cost)
    limits = _Limits(epsilon, tolerance, max_iterations)
    first, second = checked_mass(a, matrix.shape[0], "a", matrix), checked_mass(b, matrix.shape[1], "b", matrix)
    return _in_dtype(_regularised(matrix.double(), first, second, limits, _alternate), matrix.dtype)


def sinkhorn_divergence(
    x: Array,
    y: Array,
    epsilon: float,
    p: float = 2,
    a: Array | None = None,
    b: Array | None = None,
    *,
    tolerance: float = 1e-6,
    max_iterations: int = 10_000,
) -> Transport:
    """Sinkhorn divergence between two samples: regularised transport without its bias, 0 for equal measures.

    The divergence is OT(a, b) - OT(a, a) / 2 - OT(b, b) / 2, with OT the cost of `sinkhorn`.

    Parameters
    ----------
    x : array of shape (n, d)
        Points of the first measure.
    y : array of shape (m, d)
        Points of the second measure.
    epsilon : float
        Weight of the entropy term, in units of ``|x - y|^p``. The divergence tends to ``W_p^p`` as it falls.
    p : float, default 2
        Power of the Euclidean distance, at least 1.
    a : array of shape (n,), optional
        Masses of `x`, which sum to 1. By default uniform.
    b : array of shape (m,), optional
        Masses of `y`, which sum to 1. By default uniform.
    tolerance : float, default 1e-6
        L1 error of the first marginal at which the iterations of each of the three problems end.
    max_iterations : int, default 10,000
        Limit on the iterations of each problem. `converged` is false if one of them missed the tolerance.

    Returns
    -------
    Transport
        `cost` is the divergence, differentiable once in points and masses. `plan` is that of OT(a, b). `f` and `g` are
        the derivatives of the divergence in the masses. `gap` bounds the error of `cost`, and `iterations` is the
        largest number of the three problems.

    Raises
    ------
    InputError
        If a sample is empty or not finite, the dimensions differ, or an input is invalid as in `sinkhorn`.

    Notes
    -----
    Genevay, Peyré & Cuturi 2018, Learning generative models with Sinkhorn divergences; Feydy et al. 2019, Interpolating
    between optimal transport and MMD using Sinkhorn divergences, theorem 1: for p of 1 and 2 it is positive, convex in
    each measure, and 0 only for equal ones. The problems of a measure with itself use their averaged update.

    Examples
    --------
    >>> import torch
    >>> from topicnet import transport
    >>> x = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    >>> abs(float(transport.sinkhorn_divergence(x, x, epsilon=0.5).cost)) < 1e-9
    True
    >>> round(float(transport.sinkhorn_divergence(x, x + 2.0, epsilon=0.5).cost), 6)
    4.0
    """
    points = checked_points(x, y)
    dtype, power, limits = points[0].dtype, checked_power(p), _Limits(epsilon, tolerance, max_iterations)
    first, second = (sample.double() for sample in points)
    mass_a, mass_b = checked_mass(a, len(first), "a", first), checked_mass(b, len(second), "b", first)
    both = _regularised(ground_cost(first, second, p), mass_a, mass_b, limits, _alternate)
    own_a = _regularised(ground_cost(first, first, p), mass_a, mass_a, limits, _symmetric)
    own_b = _regularised(ground_cost(second, second, p), mass_b, mass_b, limits, _symmetric)
    parts = (both, own_a, own_b)
    divergence = Transport(
        both.cost - (own_a.cost + own_b.cost) / 2,
        both.plan,
        _difference(both.f, own_a.f),
        _difference(both.g, own_b.g),
        gap=sum(weight * (part.gap or 0.0) for weight, part in zip((1.0, 0.5, 0.5), parts, strict=True)),
        marginal_error=max(part.marginal_error for part in parts),
        converged=all(part.converged for part in parts),
        iterations=max(part.iterations for part in parts),
        power=power,
    )
    return _in_dtype(divergence, dtype)


@dataclass(frozen=True)
class _Limits:
    """Checked settings of the iterations."""

    epsilon: float
    tolerance: float
    max_iterations: int

    def __post_init__(self) -> None:
        for name, value in (("epsilon", self.epsilon), ("tolerance", self.tolerance)):
            if not isinstance(value, Real) or not 0 < value < math.inf:
                raise InputError(f"{name}={value!r} given; expected a finite number above 0")
        checked_count(self.max_iterations, "max_iterations")


@dataclass(frozen=True)
class _Potentials:
    """Potentials of the points that have mass, and how the iterations ended."""

    f: Tensor
    g: Tensor
    error: float
    iterations: int


_Solver = Callable[[Tensor, Tensor, Tensor, _Limits], _Potentials]


class _DualValue(torch.autograd.Function):
    """Dual value at optimal potentials; by the envelope theorem, its derivatives are the plan and the potentials."""

    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Tensor:
        _, _, _, plan, f, g, value = inputs
        ctx.save_for_backward(plan, f, g)
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        plan, f, g = ctx.saved_tensors
        return upstream[0] * plan, upstream[0] * f, upstream[0] * g, None, None, None, None


def _regularised(cost: Tensor, a: Tensor, b: Tensor, limits: _Limits, solver: _Solver) -> Transport:
    """Solve one problem in double precision and attach its gradients."""
    epsilon = limits.epsilon
    with torch.no_grad():
        has_a, has_b = a > 0, b > 0
        found = solver(cost[has_a][:, has_b], a[has_a], b[has_b], limits)
        # The optimality conditions define the potentials of points without mass too.
        f = _soft_min(cost[:, has_b], found.g, b[has_b], epsilon)
        g = _soft_min(cost[has_a].T, found.f, a[has_a], epsilon)
        f[has_a], g[has_b] = found.f, found.g
        log_ratio = (f[:, None] + g - cost) / epsilon  # log of plan over a b^T
        raw = (log_ratio + a.log()[:, None] + b.log()).exp_()  # (n, m)
        value = a @ f + b @ g - epsilon * (raw.sum() - 1)
        plan = _rounded(raw, a, b)
        of_product = torch.xlogy(plan.sum(1), a).sum() + torch.xlogy(plan.sum(0), b).sum()
        divergence = torch.xlogy(plan, plan).sum() - of_product  # KL(P | a b^T)
        gap = float((plan * cost).sum() + epsilon * divergence - value)
    attached: Tensor = _DualValue.apply(cost, a, b, plan, f, g, value)  # type: ignore[no-untyped-call]
    converged = found.error <= limits.tolerance
    return Transport(attached, plan, f, g, gap, found.error, converged, found.iterations)


def _soft_min(cost: Tensor, potential: Tensor, mass: Tensor, epsilon: float) -> Tensor:
    """Return the smoothed c-transform -epsilon log sum_j b_j exp((g_j - C_ij) / epsilon), (n,)."""
    return -epsilon * torch.logsumexp((potential - cost) / epsilon + mass.log(), 1)


def _annealing(cost: Tensor, epsilon: float) -> list[float]:
    """Return the values of epsilon to start with: the range of the cost, halved while it exceeds epsilon."""
    spread = float(cost.max() - cost.min())
    n_halvings = math.ceil(math.log2(spread / epsilon)) if spread > epsilon else 0
    return [spread * 0.5**k for k in range(n_halvings)]


def _alternate(cost: Tensor, a: Tensor, b: Tensor, limits: _Limits) -> _Potentials:
    """Update the two potentials in turn (Sinkhorn's iterations)."""
    epsilon, n_done = limits.epsilon, 1
    f, g = torch.zeros_like(a), torch.zeros_like(b)
    for warm in [*_annealing(cost, epsilon), epsilon]:
        f, g = _averaged_steps(cost, f, g, a, b, warm)
    f = _soft_min(cost, g, b, epsilon)
    g = _soft_min(cost.T, f, a, epsilon)
    while True:
        updated = _soft_min(cost, g, b, epsilon)
        error = _marginal_error(f, updated, a, epsilon)
        if error <= limits.tolerance or n_done >= limits.max_iterations:
            return _Potentials(f, g, error, n_done)
        f = updated
        g = _soft_min(cost.T, f, a, epsilon)
        n_done += 1
        n_steps = min(SCALED_STEPS, limits.max_iterations - n_done)
        if n_steps > 0:
            f, g = _scaled_steps(cost, f, g, a, b, epsilon, n_steps)
            n_done += n_steps


def _scaled_steps(
    cost: Tensor, f: Tensor, g: Tensor, a: Tensor, b: Tensor, epsilon: float, n_steps: int
) -> tuple[Tensor, Tensor]:
    """Iterate by products with a kernel that has absorbed the potentials, much faster than in the log domain."""
    kernel = ((f[:, None] + g - cost) / epsilon).exp_()
    v = torch.ones_like(b)
    for _ in range(n_steps):
        u = 1 / (kernel @ (b * v))
        v = 1 / (kernel.T @ (a * u))
    return _rescaled(f, g, u, v, epsilon)


def _rescaled(f: Tensor, g: Tensor, u: Tensor, v: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Absorb scalings into potentials, or discard scalings so large that the kernel has lost its precision."""
    log_u, log_v = u.log(), v.log()
    largest = float(torch.maximum(log_u.abs().max(), log_v.abs().max()))
    if not largest <= LARGEST_LOG_SCALE:  # or NaN
        return f, g
    return f + epsilon * log_u, g + epsilon * log_v


def _averaged_steps(cost: Tensor, f: Tensor, g: Tensor, a: Tensor, b: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Update both potentials at once and average with the old ones: slower, but equal measures keep f = g.

    With f = g, each step halves the error at least, whereas alternating updates of equal measures converge slowly.
    """
    f, g = (f + _soft_min(cost, g, b, epsilon)) / 2, (g + _soft_min(cost.T, f, a, epsilon)) / 2
    kernel = ((f[:, None] + g - cost) / epsilon).exp_()
    u, v = torch.ones_like(a), torch.ones_like(b)
    for _ in range(AVERAGED_STEPS):
        u, v = (u / (kernel @ (b * v))).sqrt_(), (v / (kernel.T @ (a * u))).sqrt_()
    return _rescaled(f, g, u, v, epsilon)


def _symmetric(cost: Tensor, a: Tensor, _: Tensor, limits: _Limits) -> _Potentials:
    """Solve the problem of a measure with itself, whose potentials are equal, by averaged updates."""
    epsilon = limits.epsilon
    f = torch.zeros_like(a)
    for warm in _annealing(cost, epsilon):
        f = (f + _soft_min(cost, f, a, warm)) / 2
    n_done = 0
    while True:
        updated = _soft_min(cost, f, a, epsilon)
        error = _marginal_error(f, updated, a, epsilon)
        if error <= limits.tolerance or n_done >= limits.max_iterations:
            return _Potentials(f, f, error, n_done)
        f = (f + updated) / 2
        n_done += 1


def _marginal_error(f: Tensor, updated: Tensor, a: Tensor, epsilon: float) -> float:
    """Return the L1 error of the first marginal before an update of its potential."""
    excess = ((f - updated) / epsilon).clamp_max(LARGEST_LOG_SCALE).expm1()  # marginal over a, minus 1
    return float((a * excess.abs()).sum())


def _rounded(plan: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Round a plan to exact marginals by scaling down excess mass and adding the mass that is missing."""
    plan = plan * _fraction(a, plan.sum(1))[:, None]
    plan = plan * _fraction(b, plan.sum(0))
    missing_a, missing_b = (a - plan.sum(1)).clamp_min_(0.0), (b - plan.sum(0)).clamp_min_(0.0)
    total = missing_a.sum()
    return plan + torch.outer(missing_a, missing_b) / total if float(total) > 0 else plan


def _fraction(wanted: Tensor, present: Tensor) -> Tensor:
    return torch.where(present > wanted, wanted / present, 1.0)


def _difference(first: Tensor | None, second: Tensor | None) -> Tensor:
    assert first is not None
    assert second is not None
    return first - second


def _in_dtype(found: Transport, dtype: torch.dtype) -> Transport:
    """Return a result with its tensors in the type of the inputs."""
    tensors = (found.cost, found.plan, found.f, found.g)
    cost, plan, f, g = (None if tensor is None else tensor.to(dtype) for tensor in tensors)
    assert cost is not None
    return Transport(cost, plan, f, g, found.gap, found.marginal_error, found.converged, found.iterations, found.power)
