"""Transport on the circle, and slices of the sphere that project onto circles."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def circle_cost(u: Tensor, v: Tensor) -> Tensor:
    """Squared Wasserstein distance W_2^2 on a circle of length 1, between samples of the same size.

    An optimal plan keeps the cyclic order, so it matches the i-th point of `u` in increasing order with point i + k of
    `v` for one shift k; points beyond the end continue one turn further. The cost is convex in k (Delon, Salomon &
    Sobolevski 2010, Fast transport optimization for Monge costs on the circle), which a binary search uses.

    Parameters
    ----------
    u, v : Tensor
        (L, n): n points in each of L problems, as turns in [0, 1).

    Returns
    -------
    Tensor
        (L,) squared turns, differentiable in both samples.

    Examples
    --------
    >>> u = torch.tensor([[0.1, 0.5, 0.95]])
    >>> circle_cost(u, (u + 0.2) % 1)
    tensor([0.0400])
    """
    u, v = u.sort(1).values, v.sort(1).values
    n = u.shape[1]
    unrolled = torch.cat([v - 1, v, v + 1, v[:, :1] + 2], 1)  # points -n to 2 n of the sequence that continues v
    places = torch.arange(n, 2 * n + 1, device=u.device)
    with torch.no_grad():
        # A shift beyond one turn is never optimal.
        low, high = (torch.full_like(u[:, :1], shift, dtype=torch.int64) for shift in (-n, n))
        for _ in range(math.ceil(math.log2(2 * n + 1))):
            middle = (low + high).div(2, rounding_mode="floor")
            falls = _falls(u, unrolled.gather(1, places + middle))
            low, high = torch.where(falls, middle + 1, low), torch.where(falls, high, middle)
    return (u - unrolled.gather(1, places[:-1] + low)).square().mean(1)


def _falls(u: Tensor, partners: Tensor) -> Tensor:
    """Return whether the cost falls (L, 1) from one shift to the next, given the partners (L, n + 1) of both."""
    here, beyond = partners[:, :-1], partners[:, 1:]
    # (beyond - u)^2 - (here - u)^2
    return ((beyond - here) * (beyond + here - 2 * u)).sum(1, keepdim=True) < 0


def uniform_circle_cost(u: Tensor) -> Tensor:
    """Squared Wasserstein distance W_2^2 on a circle of length 1 between a sample and the uniform distribution.

    With the points in increasing order, it is mean(u^2) - mean(u)^2 + sum_i (n + 1 - 2 i) u_i / n^2 + 1 / 12 (Bonet et
    al. 2023, Spherical Sliced-Wasserstein).

    Parameters
    ----------
    u : Tensor
        (L, n): n points in each of L problems, as turns in [0, 1).

    Returns
    -------
    Tensor
        (L,) squared turns, differentiable in the points: 1/12 for a single point.

    Examples
    --------
    >>> uniform_circle_cost(torch.tensor([[0.3], [0.9]]))
    tensor([0.0833, 0.0833])
    """
    u = u.sort(1).values
    n = u.shape[1]
    ranks = torch.arange(n - 1, -n, -2, dtype=u.dtype, device=u.device)  # n + 1 - 2 i for i = 1, ..., n
    return (u.square().mean(1) - u.mean(1).square() + u @ ranks / n**2 + 1 / 12).clamp_min(0.0)


def circle_coordinates(x: Tensor, planes: Tensor) -> Tensor:
    """Project points of the unit sphere onto great circles (Bonet et al. 2023).

    Parameters
    ----------
    x : Tensor
        (n, d).
    planes : Tensor
        (L, 2, d): orthonormal pairs of vectors.

    Returns
    -------
    Tensor
        (L, n) turns in [0, 1).
    """
    first, second = (planes[:, axis] @ x.T for axis in (0, 1))
    turns = torch.atan2(second, first) / (2 * math.pi)
    return torch.where(turns < 0, turns + 1, turns).clamp_max(1 - torch.finfo(x.dtype).eps)
