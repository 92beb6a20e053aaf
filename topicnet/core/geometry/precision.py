"""Scale of a Gaussian decoder that grows away from the data: precision by radial basis functions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from topicnet.core.geometry.checks import as_points
from topicnet.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RBFPrecision:
    """Standard deviation of a decoder whose precision is a sum of radial basis functions.

    ``1 / sigma(z)^2 = W phi(z) + floor`` with ``phi_k(z) = exp(-rate_k |z - center_k|^2)``. Near the data, sigma is
    that of the residuals. Far away it grows to 1 / sqrt(floor), which a neural network for sigma would not do. Pass an
    instance as the `scale` of `expected_pullback`.

    Parameters
    ----------
    centers : Tensor
        (C, d).
    rates : Tensor
        (C,), positive.
    weights : Tensor
        (D, C), not negative.
    floor : float
        Precision far from all centers, positive.

    References
    ----------
    Arvanitidis, Hansen & Hauberg (2018), section 4.

    Examples
    --------
    >>> scale = RBFPrecision(torch.zeros(1, 2), torch.ones(1), torch.ones(1, 1), 0.01)
    >>> scale(torch.zeros(2)), scale(torch.full((2,), 9.0))
    (tensor([0.9950]), tensor([10.]))
    """

    centers: Tensor
    rates: Tensor
    weights: Tensor
    floor: float

    def __post_init__(self) -> None:
        if self.centers.ndim != 2 or self.rates.shape != self.centers.shape[:1]:
            shapes = f"centers {tuple(self.centers.shape)} and rates {tuple(self.rates.shape)}"
            raise InputError(f"{shapes} given, expected (C, d) and (C,)")
        if self.weights.ndim != 2 or self.weights.shape[1] != len(self.centers):
            raise InputError(f"weights {tuple(self.weights.shape)} given, expected (D, {len(self.centers)})")
        _check_positive("floor", self.floor)
        if not (self.rates > 0).all() or not (self.weights >= 0).all():
            raise InputError("negative weights, or rates that are not positive, given; expected weights from 0")

    def __call__(self, z: Tensor) -> Tensor:
        """Compute the standard deviation.

        Parameters
        ----------
        z : Tensor
            (d,), or (..., d).

        Returns
        -------
        Tensor
            (D,), or (..., D).
        """
        return (self._basis(z) @ self.weights.mT + self.floor).rsqrt()

    def _basis(self, z: Tensor) -> Tensor:
        return (-self.rates * (z[..., None, :] - self.centers).square().sum(-1)).exp()


def fit_rbf_precision(
    latents: Any,
    squared_residuals: Any,
    *,
    n_centers: int = 64,
    width: float = 1.25,
    floor: float = 1e-3,
    seed: int = 0,
) -> RBFPrecision:
    """Fit the precision of a decoder's residuals by maximum likelihood, with the mean held fixed.

    The centers are those of k-means on the latents. The rate of a center is 1 / (2 (width * r)^2), where r is the mean
    distance of its latents. The weights maximise the Gaussian likelihood of the residuals, a convex problem.

    Parameters
    ----------
    latents : Tensor or array-like
        (n, d) posterior means.
    squared_residuals : Tensor or array-like
        (n, D) squared differences of the data and the decoder's mean, not negative. Give (n, 1), their means over the
        outputs, for one scale that all outputs share.
    n_centers : int
        Number of basis functions C, at most n.
    width : float
        Width of the basis functions relative to the clusters, positive.
    floor : float
        Precision far from the data, positive: sigma is 1 / sqrt(floor) there.
    seed : int
        Seed of k-means.

    Returns
    -------
    RBFPrecision
        In the data type and on the device of the latents.

    Raises
    ------
    InputError
        For shapes that do not match, values that are not finite or negative, or fewer than two different latents.

    References
    ----------
    Arvanitidis, Hansen & Hauberg (2018), section 4.

    Examples
    --------
    >>> latents = torch.linspace(-1, 1, 50, dtype=torch.float64)[:, None]
    >>> scale = fit_rbf_precision(latents, torch.full((50, 1), 0.04), n_centers=4)
    >>> round(float(scale(latents).mean()), 1), round(float(scale(latents[0] + 99)), 2)
    (0.2, 31.62)
    """
    latents = as_points(latents, "latents", 2).detach()
    squares = as_points(squared_residuals, "squared_residuals", 2).detach()
    if len(squares) != len(latents) or (squares < 0).any():
        raise InputError(
            f"squared_residuals {tuple(squares.shape)} from {squares.min():.4g} given for {len(latents)} latents, "
            "expected one row for each latent and no negative number"
        )
    _check_positive("width", width)
    _check_positive("floor", floor)
    if not 1 <= n_centers <= len(latents):
        raise InputError(f"n_centers={n_centers} given, expected 1 to {len(latents)}, the number of latents")
    array = latents.double().cpu().numpy()
    centers, radii = _clusters(array, n_centers, seed)
    rates = 0.5 / (width * radii) ** 2
    distances = np.square(array[:, None] - centers).sum(-1)  # (n, C)
    basis = np.exp(-rates * distances)
    weights = np.stack([_likeliest(basis, column, floor) for column in squares.double().cpu().numpy().T])
    fitted = [torch.as_tensor(array).to(latents) for array in (centers, rates, weights)]
    return RBFPrecision(fitted[0], fitted[1], fitted[2], floor)


def _clusters(latents: Array, n_centers: int, seed: int) -> tuple[Array, Array]:
    """Return centers of k-means (C, d) and mean distances of their latents (C,), positive."""
    from sklearn.cluster import KMeans  # slow to import

    if (latents == latents[0]).all():
        raise InputError("latents that are all the same point given, expected at least two different points")
    n_centers = min(n_centers, len(np.unique(latents, axis=0)))
    fitted = KMeans(n_centers, n_init=1, random_state=seed).fit(latents)
    distances = np.linalg.norm(latents - fitted.cluster_centers_[fitted.labels_], axis=1)
    radii = np.bincount(fitted.labels_, distances, n_centers) / np.bincount(fitted.labels_, minlength=n_centers)
    # A center of a single latent has radius 0 and takes the mean radius, or the distance to the next center.
    usual = radii[radii > 0].mean() if (radii > 0).any() else _nearest(fitted.cluster_centers_).mean()
    return fitted.cluster_centers_, np.where(radii > 0, radii, usual)


def _nearest(centers: Array) -> Array:
    distances = np.linalg.norm(centers[:, None] - centers, axis=-1)
    np.fill_diagonal(distances, np.inf)
    return np.asarray(distances.min(1))


def _likeliest(basis: Array, squares: Array, floor: float) -> Array:
    """Minimise the mean of p r^2 - log p with p = basis @ w + floor over w >= 0."""
    smallest = max(float(squares.mean()) * 1e-6, np.finfo(float).tiny)  # no precision is infinite
    squares = np.maximum(squares, smallest)
    typical = 1 / float(squares.mean())

    def objective(relative: Array) -> tuple[float, Array]:
        precision = basis @ relative * typical + floor
        slope = basis.T @ (squares - 1 / precision) * typical / len(basis)
        return float((precision * squares - np.log(precision)).mean()), slope

    bounds = [(0.0, None)] * basis.shape[1]
    found = minimize(objective, np.ones(basis.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(found.x * typical)


def _check_positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{name}={value} given, expected a positive number")
