"""Transport as a loss: distances of a batch of latent points from draws of a prior, differentiable at every step.

All samples have equally many points of equal mass. Unlike the functions of `topicnet.transport`, nothing is checked and
no value leaves the device. A loss that is not finite is left to the training loop, which returns to earlier weights.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from topicnet.core.counter_rng import PROJECTION, Noise
from topicnet.core.transport.circle import circle_coordinates, circle_cost, uniform_circle_cost

RELATIVE_EPSILON = 0.05  # of the median cost; below 0.01, the iterations would not converge
HALVINGS, FINAL_STEPS = 8, 12  # iterations while epsilon falls from the largest cost, and at its final value


def sinkhorn_loss(
    x: Tensor, y: Tensor, relative_epsilon: float = RELATIVE_EPSILON, final_steps: int = FINAL_STEPS
) -> Tensor:
    """Sinkhorn divergence of squared Euclidean costs, in the log domain, with a gradient in `x` only.

    Epsilon is `relative_epsilon` times the median cost between the samples. The potentials are computed by averaged
    updates without a gradient; one more update, through the cost, has the gradient of the optimum by the envelope
    theorem (Feydy et al. 2019, Interpolating between optimal transport and MMD using Sinkhorn divergences).

    Parameters
    ----------
    x, y : Tensor
        (n, d) latent points and prior draws.
    relative_epsilon : float
        Weight of the entropy term, as a fraction of the median cost.
    final_steps : int
        Iterations at the final epsilon.

    Returns
    -------
    Tensor
        Scalar: 0 for equal samples, and near W_2^2 for a small epsilon.
    """
    y, fixed = y.detach(), x.detach()
    between, within = squared_distances(x, y), squared_distances(x, fixed)
    with torch.no_grad():
        # x to y, y to x, x to itself, y to itself
        costs = torch.stack([between, between.T, within, squared_distances(y, y)])
        epsilon = (relative_epsilon * between.median()).clamp_min(torch.finfo(x.dtype).tiny ** 0.5)
        largest = costs.max()
        potentials = torch.zeros_like(costs[:, :, 0])  # (4, n)
        for step in range(HALVINGS + final_steps):
            warm = torch.maximum(largest * 0.5**step, epsilon) if step < HALVINGS else epsilon
            potentials = (potentials + _soft_min(costs, _partners(potentials), warm)) / 2
        _, from_y, _, own_y = _soft_min(costs, _partners(potentials), epsilon)
    from_x = _soft_min(between, potentials[1], epsilon) - _soft_min(within, potentials[2], epsilon)
    divergence: Tensor = from_x.mean() + (from_y - own_y).mean()
    return divergence


def _partners(potentials: Tensor) -> Tensor:
    """Return the potentials (4, n) that the updates read: those of x and y exchanged, those of the samples alone."""
    return torch.cat([potentials[1:2], potentials[:1], potentials[2:]])


def _soft_min(cost: Tensor, potential: Tensor, epsilon: Tensor) -> Tensor:
    """Return -epsilon log mean_j exp((potential_j - cost_ij) / epsilon), (..., n)."""
    exponents = (potential[..., None, :] - cost) / epsilon
    return -epsilon * (exponents.logsumexp(-1) - math.log(cost.shape[-1]))


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return the squared Euclidean distances (n, m) of two samples, 0 or more."""
    return (x.square().sum(-1)[:, None] + y.square().sum(-1) - 2 * x @ y.T).clamp_min(0.0)


def sliced_loss(x: Tensor, y: Tensor, directions: Tensor) -> Tensor:
    """Sliced Wasserstein distance: the mean of W_2^2 over projections onto lines (Bonneel et al. 2015).

    Parameters
    ----------
    x, y : Tensor
        (n, d) each.
    directions : Tensor
        (L, d) unit vectors.

    Returns
    -------
    Tensor
        Scalar, differentiable in both samples.
    """
    first, second = (directions @ points.T for points in (x, y))  # (L, n)
    return (first.sort(1).values - second.sort(1).values).square().mean()


def spherical_sliced_loss(x: Tensor, y: Tensor | None, planes: Tensor) -> Tensor:
    """Spherical sliced Wasserstein distance: the mean of W_2^2 over projections onto great circles (Bonet et al. 2023).

    Parameters
    ----------
    x : Tensor
        (n, d) points of the unit sphere.
    y : Tensor, optional
        (n, d) points of the unit sphere. By default the uniform distribution, in closed form.
    planes : Tensor
        (L, 2, d) orthonormal pairs of vectors.

    Returns
    -------
    Tensor
        Scalar in squared turns, at most 1/4, differentiable in both samples.
    """
    u = circle_coordinates(x, planes)
    return (uniform_circle_cost(u) if y is None else circle_cost(u, circle_coordinates(y, planes))).mean()


def random_directions(noise: Noise, n: int, like: Tensor) -> Tensor:
    """Draw n unit vectors (n, d) of the dimension and type of `like` (B, d), from the noise of one document."""
    return nn.functional.normalize(noise.repeated(n).normal(PROJECTION, like.new_empty(n, like.shape[1])), dim=1)


def random_planes(noise: Noise, n: int, like: Tensor) -> Tensor:
    """Draw n orthonormal pairs (n, 2, d) uniformly, by Gram-Schmidt on normal vectors, from the noise of a document."""
    dim = like.shape[1]
    drawn = noise.repeated(n).normal(PROJECTION, like.new_empty(n, 2 * dim))
    first = nn.functional.normalize(drawn[:, :dim], dim=1)
    second = drawn[:, dim:]
    second = second - (second * first).sum(1, keepdim=True) * first
    return torch.stack([first, nn.functional.normalize(second, dim=1)], 1)
