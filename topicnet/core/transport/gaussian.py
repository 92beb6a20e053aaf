"""Wasserstein distance between Gaussians (Bures-Wasserstein)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from topicnet.core.transport.inputs import Array, checked_tensor
from topicnet.core.transport.result import Transport
from topicnet.errors import InputError

ROUNDING = {torch.float64: 1e-10, torch.float32: 1e-5}  # allowed asymmetry and negative eigenvalues, relative
SINGULAR = 1e-12  # relative eigenvalue below which a covariance has no gradient


def gaussian_wasserstein(mean_a: Array, cov_a: Array, mean_b: Array, cov_b: Array) -> Transport:
    """2-Wasserstein distance between two Gaussians, in closed form.

    The cost is ``|m_a - m_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2)``.

    Parameters
    ----------
    mean_a : array of shape (d,)
        Mean of the first Gaussian.
    cov_a : array of shape (d, d)
        Covariance A of the first Gaussian, positive semidefinite.
    mean_b : array of shape (d,)
        Mean of the second Gaussian.
    cov_b : array of shape (d, d)
        Covariance B of the second Gaussian, positive semidefinite.

    Returns
    -------
    Transport
        `cost` is W_2^2 and `distance` is W_2. The cost can be differentiated once in means and covariances.

    Raises
    ------
    InputError
        If the shapes differ, a value is not finite, a covariance is not symmetric or not positive semidefinite, or a
        covariance that requires a gradient is singular, where the gradient does not exist.

    Notes
    -----
    Dowson & Landau 1982, The Fréchet distance between multivariate normal distributions; Peyré & Cuturi 2019,
    Computational Optimal Transport, remark 2.31. The trace of (A^1/2 B A^1/2)^1/2 is the sum of the singular values of
    A^1/2 B^1/2. The derivative in A is I - T, with T the linear transport map from A to B.

    Examples
    --------
    >>> from topicnet import transport
    >>> found = transport.gaussian_wasserstein([0.0], [[1.0]], [2.0], [[0.25]])
    >>> float(found.cost)  # (0 - 2)^2 + (1 - 0.5)^2
    4.25
    """
    first, second = checked_tensor(mean_a, "mean_a", 1), checked_tensor(mean_b, "mean_b", 1)
    if len(first) != len(second):
        raise InputError(f"mean_a has {len(first)} and mean_b {len(second)} entries; expected one dimension")
    a, b = _checked_covariance(cov_a, len(first), "cov_a"), _checked_covariance(cov_b, len(first), "cov_b")
    dtype = torch.promote_types(first.dtype, second.dtype)
    bures: Tensor = _SquaredBures.apply(a, b)  # type: ignore[no-untyped-call]
    cost = (first.double() - second.double()).square().sum() + bures
    return Transport(cost.to(dtype), power=2.0)


def _checked_covariance(cov: Array, d: int, name: str) -> Tensor:
    """Return a covariance (d, d) in double precision, symmetric to the last bit, or raise InputError."""
    given = checked_tensor(cov, name, 2)
    if given.shape != (d, d):
        raise InputError(f"{name} has shape {tuple(given.shape)}; expected ({d}, {d})")
    rounding = ROUNDING.get(given.dtype, 1e-2)
    matrix = given.double()
    scale = float(matrix.detach().abs().max())
    if float((matrix - matrix.T).detach().abs().max()) > rounding * scale:
        raise InputError(f"{name} is not symmetric; expected a covariance")
    matrix = (matrix + matrix.T) / 2
    smallest = float(torch.linalg.eigvalsh(matrix.detach())[0])
    if smallest < -rounding * scale:
        raise InputError(f"{name} has the eigenvalue {smallest:.3g}; expected a positive semidefinite matrix")
    if matrix.requires_grad and smallest <= SINGULAR * scale:
        raise InputError(f"{name} requires a gradient and is singular; expected a positive definite matrix")
    return matrix


class _SquaredBures(torch.autograd.Function):
    """Squared Bures distance of covariances, with closed-form derivatives that equal eigenvalues do not disturb."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        root_a, root_b = _square_root(a), _square_root(b)
        left, singular, right = torch.linalg.svd(root_a @ root_b)
        ctx.save_for_backward(root_a, root_b, left, singular, right)
        squared: Tensor = a.trace() + b.trace() - 2 * singular.sum()
        return squared.clamp_min(0.0)  # rounding may leave the range

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, Tensor | None]:
        root_a, root_b, left, singular, right = ctx.saved_tensors
        # With A^1/2 B^1/2 = U S V^T, the map from A to B is B^1/2 V S^-1 V^T B^1/2; exchange U and V for its inverse.
        inverse = torch.where(singular > 0, 1 / singular, 0.0)
        to_b = root_b @ (right.T * inverse) @ right @ root_b
        to_a = root_a @ (left * inverse) @ left.T @ root_a
        one = torch.eye(len(root_a), dtype=root_a.dtype, device=root_a.device)
        return upstream[0] * (one - to_b), upstream[0] * (one - to_a)


def _square_root(matrix: Tensor) -> Tensor:
    """Return the square root of a positive semidefinite matrix, with eigenvalues of mere rounding set to 0."""
    values, vectors = torch.linalg.eigh(matrix)
    values = torch.where(values > 1e-15 * len(values) * values.max(), values, 0.0)
    root: Tensor = (vectors * values.sqrt()) @ vectors.T
    return root
