"""Dirichlet proportions as a smooth function of standard normal latents, for samplers that need gradients."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import gammainccinv, gammaincinv, gammaln, log_ndtr, ndtr
from torch import Tensor

LIMIT = 9.0  # the map is tabulated on [-LIMIT, LIMIT]; 1e-19 of a standard normal lies on either side of it
CELLS_PER_UNIT = 256
SMALLEST_LOG = -600.0  # below it a quantile underflows, and the leading term of the distribution is exact


def log_gamma_of_normal(v: Tensor, concentration: float) -> Tensor:
    """Map standard normal numbers to logarithms of Gamma(concentration, 1) numbers, monotonically and smoothly.

    u = F^-1(Phi(v)), with F the distribution of the logarithm of a Gamma(a, 1) variable. softmax(u) of K independent
    standard normals is then a draw from the symmetric Dirichlet(a). Computed by cubic Hermite interpolation of exact
    values and slopes (relative error below 1e-9 in double precision), and linear outside [-9, 9].

    Parameters
    ----------
    v : Tensor
        Any shape.
    concentration : float
        a, above 0.

    Returns
    -------
    Tensor
        Shape of `v`, differentiable.

    Examples
    --------
    >>> u = log_gamma_of_normal(torch.zeros(1, dtype=torch.float64), 1.0)  # the median of the exponential is log 2
    >>> round(float(u.exp()), 6)
    0.693147
    """
    values, slopes = _table(concentration, v.device, v.dtype)
    at = (v + LIMIT) * CELLS_PER_UNIT
    cell = at.detach().floor().clamp_(0, len(values) - 2).long()
    t = at - cell
    inside = t.clamp(0.0, 1.0)
    low, high = values[cell], values[cell + 1]
    first, last = slopes[cell] / CELLS_PER_UNIT, slopes[cell + 1] / CELLS_PER_UNIT
    rise = high - low
    # Hermite form around the lower end, in powers of t.
    curved = low + inside * (first + inside * (3 * rise - 2 * first - last + inside * (first + last - 2 * rise)))
    return curved + (t - inside) * torch.where(t < 0, first, last)


@lru_cache(maxsize=8)
def _table(concentration: float, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return u and du/dv at the grid points."""
    v = np.linspace(-LIMIT, LIMIT, round(2 * LIMIT * CELLS_PER_UNIT) + 1)
    u = _log_quantiles(v, concentration)
    log_density = concentration * u - np.exp(u) - gammaln(concentration)
    slopes = np.exp(-0.5 * v**2 - 0.5 * np.log(2 * np.pi) - log_density)
    values, derivatives = (torch.as_tensor(one).to(device=device, dtype=dtype) for one in (u, slopes))
    return values, derivatives


def _log_quantiles(v: NDArray[np.float64], concentration: float) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", under="ignore"):
        below, above = gammaincinv(concentration, ndtr(v)), gammainccinv(concentration, ndtr(-v))
        logs = np.log(np.where(v < 0, below, above))
    near_zero = (log_ndtr(v) + gammaln(concentration + 1)) / concentration  # F(u) -> exp(a u) / Gamma(a + 1)
    return np.where(logs > SMALLEST_LOG, logs, near_zero)
