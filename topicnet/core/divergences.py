"""Distances between two samples: maximum mean discrepancy (MMD) with its kernels, and transport between batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from topicnet.core.counter_rng import Noise
from topicnet.core.transport.losses import (
    random_directions,
    random_planes,
    sinkhorn_loss,
    sliced_loss,
    spherical_sliced_loss,
)
from topicnet.runtime.shard import Shard

Kernel = Callable[[Tensor, Tensor], Tensor]
DIVERGENCES = ("mmd", "sinkhorn", "sliced", "spherical-sliced")


def diffusion_kernel(a: Tensor, b: Tensor, bandwidth: float = 1.0) -> Tensor:
    """Diffusion kernel exp(-arccos(<a, b>)^2 / tau) on the simplex (Lebanon & Lafferty 2002; Nan et al. 2019).

    Parameters
    ----------
    a, b : Tensor
        (n, K) and (m, K): **square roots** of points on the simplex, which have unit length.
    bandwidth : float
        tau, the denominator of the exponent.

    Returns
    -------
    Tensor
        (n, m) in (0, 1].
    """
    similarity: Tensor = _ArcSimilarity.apply(a @ b.T, bandwidth)  # type: ignore[no-untyped-call]
    return similarity


class _ArcSimilarity(torch.autograd.Function):
    """exp(-arccos(c)^2 / tau), with its limit as the derivative at c = 1, where autograd gives 0 times infinity."""

    NEAR = 1e-4  # for 1 - c below this, the series 2 (1 + (1 - c) / 3) is exact in single precision

    @staticmethod
    def forward(ctx: Any, cosine: Tensor, bandwidth: float) -> Tensor:
        cosine = cosine.clamp(0.0, 1.0)
        arc = cosine.arccos()
        similarity = arc.square().mul_(-1 / bandwidth).exp_()
        if ctx.needs_input_grad[0]:
            # -d arccos(c)^2 / dc = 2 arccos(c) / sqrt(1 - c^2), computed now because it reuses the arc.
            gap = 1.0 - cosine
            slope = arc.mul_(2.0).div_((gap * cosine.add_(1.0)).clamp_min_(1e-12).sqrt_())
            slope = torch.where(gap < _ArcSimilarity.NEAR, 2.0 + gap * (2.0 / 3.0), slope)
            ctx.save_for_backward(slope.mul_(similarity).mul_(1 / bandwidth))
        return similarity

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None]:
        (slope,) = ctx.saved_tensors
        return upstream[0] * slope, None


def _squared_distance(a: Tensor, b: Tensor) -> Tensor:
    """Return the squared distances (n, m) between points given by their square roots."""
    p, q = a.square(), b.square()
    return (p.square().sum(-1)[:, None] + q.square().sum(-1) - 2 * p @ q.T).clamp_min(0.0)


def gaussian_kernel(a: Tensor, b: Tensor, bandwidth: float = 1.0) -> Tensor:
    """Gaussian kernel exp(-|p - q|^2 / tau), (n, m), of points given by their square roots (Gretton et al. 2012)."""
    return (-_squared_distance(a, b) / bandwidth).exp()


def inverse_multiquadratic_kernel(a: Tensor, b: Tensor, bandwidth: float = 1.0) -> Tensor:
    """Inverse multiquadratic kernel tau / (tau + |p - q|^2), (n, m) (Tolstikhin et al. 2018, section 4).

    The points p and q are given by their square roots.
    """
    return bandwidth / (bandwidth + _squared_distance(a, b))


KERNELS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "diffusion": diffusion_kernel,
    "gaussian": gaussian_kernel,
    "imq": inverse_multiquadratic_kernel,
}


def mmd(a: Tensor, b: Tensor, kernel: Kernel, shard: Shard | None = None) -> Tensor:
    """Unbiased estimate of the squared maximum mean discrepancy (Gretton et al. 2012, eq. 3), a scalar.

    The mean of k(a_i, a_j) plus that of k(b_i, b_j), both over i != j, minus twice the mean of k(a_i, b_j). It can be
    slightly negative. A sample of one point has no pairs; k(x, x) = 1 is used instead of their mean.

    Parameters
    ----------
    a, b : Tensor
        (n, K) and (m, K): square roots of points on the simplex.
    kernel : callable
        Maps two samples to the (n, m) similarities.
    shard : Shard, optional
        This rank's part of a batch. Then a and b hold this rank's points, equally many of each, and the result is
        scaled so that its mean over the ranks, weighted by their documents, is the discrepancy of the whole batch.

    Examples
    --------
    >>> points = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> mmd(points, points, gaussian_kernel)
    tensor(-0.8647)
    """
    if shard is not None:
        return _sharded_mmd(a, b, kernel, shard)
    return _mean_of_pairs(kernel(a, a)) + _mean_of_pairs(kernel(b, b)) - 2 * kernel(a, b).mean()


def _sharded_mmd(a: Tensor, b: Tensor, kernel: Kernel, shard: Shard) -> Tensor:
    all_a, all_b, n = shard.gathered(a), shard.gathered(b), shard.n_docs
    similarities = kernel(a, all_a), kernel(b, all_b)  # (b, B), including each point with itself
    pairs = sum(k.sum() - k.diagonal(shard.begin).sum() for k in similarities)
    return (pairs / (n * max(1, n - 1)) - 2 * kernel(a, all_b).sum() / n**2) / shard.weight


def _mean_of_pairs(k: Tensor) -> Tensor:
    n = len(k)
    if n < 2:
        return k.sum()
    return (k.sum() - k.diagonal().sum()) / (n * (n - 1))


def transport_divergence(
    name: str, points: Tensor, draws: Tensor | None, noise: Noise, n_projections: int, shard: Shard | None = None
) -> Tensor:
    """Squared transport distance between the latent points of a batch and draws from a prior, a scalar.

    Parameters
    ----------
    name : {"sinkhorn", "sliced", "spherical-sliced"}
        Sinkhorn divergence, or the mean over projections onto lines or great circles.
    points : Tensor
        (n, d), on the unit sphere for "spherical-sliced".
    draws : Tensor or None
        (n, d) draws from the prior; None for the uniform distribution on the sphere ("spherical-sliced" only).
    noise : Noise
        Random numbers of the documents. Those of the first document of the whole batch choose the projections.
    n_projections : int
        Number of projections.
    shard : Shard, optional
        This rank's part of a batch. The points of all ranks are gathered, and each computes the same value.

    Examples
    --------
    >>> import numpy as np
    >>> noise = Noise.of(0, np.arange(2), torch.device("cpu"))
    >>> points = torch.eye(2)
    >>> transport_divergence("sliced", points, points.flip(0), noise, n_projections=8)
    tensor(0.)
    """
    keys = noise.keys
    if shard is not None:
        points = shard.gathered(points)
        draws = None if draws is None else shard.gathered(draws)
        keys = shard.world.gather(keys[:, None], shard.sizes)[:, 0]
    first = Noise(keys[:1])
    if name == "spherical-sliced":
        return spherical_sliced_loss(points, draws, random_planes(first, n_projections, points))
    assert draws is not None
    if name == "sliced":
        return sliced_loss(points, draws, random_directions(first, n_projections, points))
    return sinkhorn_loss(points, draws)
