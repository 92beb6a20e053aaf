"""Distances between samples of distributions: maximum mean discrepancy and its kernels on the simplex."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from topicnet.runtime.shard import Shard

Kernel = Callable[[Tensor, Tensor], Tensor]


def diffusion_kernel(a: Tensor, b: Tensor, bandwidth: float = 1.0) -> Tensor:
    """exp(-arccos(<a, b>)^2 / tau) of square roots of points on the simplex (Lebanon & Lafferty 2002; Nan et al. 2019).

    Parameters
    ----------
    a, b : Tensor
        (n, K), (m, K): **square roots** of points on the simplex, so of unit length.
    bandwidth : float
        tau, inside the exponent.

    Returns
    -------
    Tensor
        (n, m) in (0, 1].
    """
    similarity: Tensor = _OfArc.apply(a @ b.T, bandwidth)  # type: ignore[no-untyped-call]
    return similarity


class _OfArc(torch.autograd.Function):
    """exp(-arccos(c)^2 / tau) with its limit as derivative at c = 1, where autograd gives 0 times infinity."""

    NEAR = 1e-4  # of 1 - c: below it the series 2 (1 + (1 - c) / 3) is exact in single precision

    @staticmethod
    def forward(ctx: Any, cosine: Tensor, bandwidth: float) -> Tensor:
        cosine = cosine.clamp(0.0, 1.0)
        arc = cosine.arccos()
        similarity = arc.square().mul_(-1 / bandwidth).exp_()
        if ctx.needs_input_grad[0]:
            # -d arccos(c)^2 / dc = 2 arccos(c) / sqrt(1 - c^2); made here, from the arc just computed.
            gap = 1.0 - cosine
            slope = arc.mul_(2.0).div_((gap * cosine.add_(1.0)).clamp_min_(1e-12).sqrt_())
            slope = torch.where(gap < _OfArc.NEAR, 2.0 + gap * (2.0 / 3.0), slope)
            ctx.save_for_backward(slope.mul_(similarity).mul_(1 / bandwidth))
        return similarity

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None]:
        (slope,) = ctx.saved_tensors
        return upstream[0] * slope, None


def _squared_distance(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances (n, m) of the points themselves, given their square roots."""
    p, q = a.square(), b.square()
    return (p.square().sum(-1)[:, None] + q.square().sum(-1) - 2 * p @ q.T).clamp_min(0.0)


def gaussian_kernel(a: Tensor, b: Tensor, bandwidth: float = 1.0) -> Tensor:
    """exp(-|p - q|^2 / tau) of points given by their square roots: (n, m) (Gretton et al. 2012)."""
    return (-_squared_distance(a, b) / bandwidth).exp()


def inverse_multiquadratic_kernel(a: Tensor, b: Tensor, bandwidth: float = 1.0) -> Tensor:
    """tau / (tau + |p - q|^2) of points given by their square roots: (n, m) (Tolstikhin et al. 2018, section 4)."""
    return bandwidth / (bandwidth + _squared_distance(a, b))


KERNELS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "diffusion": diffusion_kernel,
    "gaussian": gaussian_kernel,
    "imq": inverse_multiquadratic_kernel,
}


def mmd(a: Tensor, b: Tensor, kernel: Kernel, shard: Shard | None = None) -> Tensor:
    """Unbiased squared maximum mean discrepancy of two samples (Gretton et al. 2012, eq. 3): a scalar.

    mean of k(a_i, a_j) and of k(b_i, b_j) over i != j, less twice the mean of k(a_i, b_j); it can be a little below 0.
    A sample of one point has no pairs: their mean counts as 1 then. Given a shard of a batch, a and b are this
    process's points, as many of each: the result is the part of the discrepancy of all points in these rows, scaled so
    that its mean over the processes, weighted by their documents, is the whole.
    """
    if shard is not None:
        return _part_of_mmd(a, b, kernel, shard)
    return _mean_of_pairs(kernel(a, a)) + _mean_of_pairs(kernel(b, b)) - 2 * kernel(a, b).mean()


def _part_of_mmd(a: Tensor, b: Tensor, kernel: Kernel, shard: Shard) -> Tensor:
    all_a, all_b, n = shard.gathered(a), shard.gathered(b), shard.n_docs
    among = kernel(a, all_a), kernel(b, all_b)  # (b, B), the point itself among them
    pairs = sum(k.sum() - k.diagonal(shard.begin).sum() for k in among)
    return (pairs / (n * max(1, n - 1)) - 2 * kernel(a, all_b).sum() / n**2) / shard.weight


def _mean_of_pairs(k: Tensor) -> Tensor:
    n = len(k)
    if n < 2:
        return k.sum()
    return (k.sum() - k.diagonal().sum()) / (n * (n - 1))
