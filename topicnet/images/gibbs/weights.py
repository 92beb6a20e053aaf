"""Estimates of log Z from importance weights of joint draws: intervals, K-sample bounds, upper bound, sample size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from topicnet.core.distributions import Normal, StandardNormal
from topicnet.errors import InputError
from topicnet.images.gibbs.estimator import BLOCK
from topicnet.images.gibbs.networks import GibbsNetwork
from topicnet.images.gibbs.objectives import free_energy
from topicnet.images.gibbs.potentials import Potential
from topicnet.training.checks import check_count

BLOCKS, RESAMPLES, TAIL_PERCENT = 1_000, 1_000, 2.5  # of the bootstrap, for an interval of 95 %


@dataclass(frozen=True)
class Estimate:
    """Estimate with its standard error.

    Parameters
    ----------
    value, se : float
        Estimate and standard error.
    low, high : float or None
        Bootstrap interval of 95 %, if there is one.

    Examples
    --------
    >>> from topicnet.images import gibbs
    >>> gibbs.Estimate(1.0, 0.1).se
    0.1
    """

    value: float
    se: float
    low: float | None = None
    high: float | None = None


def log_partition(log_weights: Tensor, seed: int = 0) -> Estimate:
    """Estimate log Z by the logarithm of the mean weight; its expectation is at most log Z.

    Parameters
    ----------
    log_weights : Tensor of shape (n,)
        Logarithms of importance weights with mean Z.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    Estimate
        log Z in nats, with the interval and standard error of a bootstrap over blocks of draws.

    Raises
    ------
    InputError
        Fewer than two weights, or one is not finite.

    Examples
    --------
    >>> import torch
    >>> from topicnet.images import gibbs
    >>> gibbs.log_partition(torch.tensor([0.5, 0.5])).value
    0.5
    """
    logs = _checked(log_weights)
    largest = logs.max()
    blocks = np.array_split(np.exp(logs - largest), min(BLOCKS, len(logs)))
    sums, sizes = np.array([one.sum() for one in blocks]), np.array([len(one) for one in blocks])
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(blocks), size=(RESAMPLES, len(blocks)))
    logs_of_means = np.log(sums[drawn].sum(1) / sizes[drawn].sum(1)) + largest
    low, high = np.percentile(logs_of_means, [TAIL_PERCENT, 100 - TAIL_PERCENT])
    value = float(np.log(sums.sum() / sizes.sum()) + largest)
    return Estimate(value, float(logs_of_means.std()), float(low), float(high))


def effective_fraction(log_weights: Tensor) -> float:
    """Return the effective sample size of weights as a fraction of their number, (sum w)^2 / (n sum w^2).

    It does not see modes that no draw reached.

    Parameters
    ----------
    log_weights : Tensor of shape (n,)
        Logarithms of importance weights.

    Returns
    -------
    float
        From 1/n to 1.

    Raises
    ------
    InputError
        Fewer than two weights, or one is not finite.

    Examples
    --------
    >>> import torch
    >>> from topicnet.images import gibbs
    >>> gibbs.effective_fraction(torch.zeros(4))
    1.0
    """
    logs = _checked(log_weights)
    weights = np.exp(logs - logs.max())
    return float(weights.sum() ** 2 / (len(weights) * (weights**2).sum()))


def k_sample_bound(network: GibbsNetwork, potential: Potential, k: int, n: int, seed: int) -> Estimate:
    """Estimate the lower bound E log w_K of log Z with K codes per point.

    w_K = exp(-U(x)) / q_K(x) with q_K(x) = mean_k pi(z_k) Q(x|z_k) / P(z_k|x), where x is drawn from the decoder at
    z_1 ~ pi and z_2, ..., z_K from P(.|x). w_K has mean Z for every K, and the bound tends to log Z - KL(q || mu).
    """
    check_count("k", k, most=10_000)
    prior, generator = StandardNormal(network.latent_dim), torch.Generator().manual_seed(seed)
    size = max(1, BLOCK // k)
    parts = []
    for begin in range(0, n, size):
        m = min(size, n - begin)
        z = torch.randn(m, network.latent_dim, generator=generator, dtype=torch.float64)
        q = network.decode(z)
        x = q.mean + _noise(m, network.n_dims, generator) * (0.5 * q.log_var).exp()
        p = network.encode(x)
        logs = [prior.log_density(z) + q.log_density(x) - p.log_density(z)]
        if k > 1:
            noise = _noise(m * (k - 1), network.latent_dim, generator).view(m, k - 1, -1)
            codes = p.mean[:, None] + noise * (0.5 * p.log_var).exp()[:, None]  # (m, K - 1, d)
            decoded = network.decode(codes.flatten(0, 1))
            shape = (m, k - 1, network.n_dims)
            others = Normal(decoded.mean.view(shape), decoded.log_var.view(shape))
            around = Normal(p.mean[:, None], p.log_var[:, None])
            logs += [prior.log_density(codes) + others.log_density(x[:, None]) - around.log_density(codes)]
        ratios = torch.cat([one.view(m, -1) for one in logs], 1)  # (m, K)
        log_q = ratios.logsumexp(1) - math.log(k)
        parts.append(-potential.energies(x) - log_q)
    values = torch.cat(parts)
    return Estimate(float(values.mean()), float(values.std()) / math.sqrt(n))


def reverse_log_weights(network: GibbsNetwork, potential: Potential, x: Tensor, seed: int) -> Tensor:
    """Return log w(x, z) for target draws x (n, D) and z ~ P(.|x); their mean is at least log Z."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for points in torch.split(x.double(), BLOCK):
        p = network.encode(points)
        z = p.mean + _noise(len(points), network.latent_dim, generator) * (0.5 * p.log_var).exp()
        parts.append(-free_energy(z, points, network.decode(z), p, potential.energies(points)))
    return torch.cat(parts)


def _noise(n: int, width: int, generator: torch.Generator) -> Tensor:
    return torch.randn(n, width, generator=generator, dtype=torch.float64)


def _checked(log_weights: Tensor) -> NDArray[np.float64]:
    logs: NDArray[np.float64] = torch.as_tensor(log_weights).detach().double().numpy()
    if logs.ndim != 1 or len(logs) < 2 or not np.isfinite(logs).all():
        raise InputError(
            f"log-weights of shape {logs.shape} given, expected at least two finite numbers in one axis: check the"
            " energy"
        )
    return logs
