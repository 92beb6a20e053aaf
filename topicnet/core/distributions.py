"""Posterior and prior distributions of the models, with sampling, log-densities and KL divergences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from topicnet.core.counter_rng import COMPONENT, LATENT, PRIOR, Noise
from topicnet.core.init import normal_parameter

# Bounds the components' standard deviations to [0.05, 20], so that no component collapses onto a single document.
COMPONENT_LOG_VAR = 6.0
LOG_2_PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class Normal:
    """Diagonal Gaussian posterior, one row per document.

    Attributes
    ----------
    mean, log_var : Tensor
        (B, Z).
    noise : Noise, optional
        Random numbers of the documents; required by `sample`.

    Examples
    --------
    >>> q = Normal(torch.zeros(1, 2), torch.zeros(1, 2))
    >>> StandardNormal(2).kl(q)
    tensor([0.])
    """

    mean: Tensor
    log_var: Tensor
    noise: Noise | None = None

    def sample(self, stream: int = LATENT) -> Tensor:
        """Draw z (B, Z) by reparameterisation (Kingma & Welling 2014); the same noise gives the same draw."""
        assert self.noise is not None
        return self.mean + self.noise.normal(stream, self.mean) * (0.5 * self.log_var).exp()

    def repeated(self, noise: Noise) -> Normal:
        """Repeat the whole batch, (n * B, Z), for `n` draws per document with the noise of `Noise.repeated`."""
        n_draws = len(noise.keys) // len(self.mean)
        return Normal(self.mean.repeat(n_draws, 1), self.log_var.repeat(n_draws, 1), noise)

    def log_density(self, z: Tensor) -> Tensor:
        """Return log q(z | x) at points z (B, Z): (B,) nats."""
        scaled = (z - self.mean).square() * (-self.log_var).exp()
        return -0.5 * (LOG_2_PI + self.log_var + scaled).sum(-1)

    def kl_from(self, other: Normal) -> Tensor:
        """Return KL(self || other) of each row: (B,) nats."""
        scaled = (self.log_var - other.log_var).exp() + (self.mean - other.mean).square() * (-other.log_var).exp()
        return 0.5 * (other.log_var - self.log_var + scaled - 1.0).sum(-1)


@dataclass(frozen=True)
class Point:
    """Deterministic posterior (a point mass), as in a Wasserstein autoencoder (Tolstikhin et al. 2018).

    Attributes
    ----------
    mean : Tensor
        (B, Z).
    noise : Noise, optional
        Random numbers of the documents, used by later draws.
    """

    mean: Tensor
    noise: Noise | None = None

    def sample(self) -> Tensor:
        """Return the point itself, (B, Z)."""
        return self.mean


@dataclass(frozen=True)
class StandardNormal:
    """Standard normal prior N(0, I).

    Attributes
    ----------
    latent_dim : int
        Number of latent dimensions, Z.

    Examples
    --------
    >>> StandardNormal(2).log_density(torch.zeros(1, 2))
    tensor([-1.8379])
    """

    latent_dim: int

    def kl_per_dimension(self, q: Normal) -> Tensor:
        """Return KL(q || N(0, I)) of each dimension: (B, Z) nats (Kingma & Welling 2014, appendix B)."""
        return 0.5 * (q.log_var.exp() + q.mean.square() - 1.0 - q.log_var)

    def kl(self, q: Normal) -> Tensor:
        """Return KL(q || N(0, I)) of each document: (B,) nats."""
        return self.kl_per_dimension(q).sum(-1)

    def log_density(self, z: Tensor) -> Tensor:
        """Return log p(z) at points z (B, Z): (B,) nats."""
        return -0.5 * (LOG_2_PI + z.square()).sum(-1)

    def sample(self, noise: Noise, like: Tensor) -> Tensor:
        """Draw z with the shape (B, Z) and type of `like`."""
        return noise.normal(PRIOR, like)


class GaussianMixture(nn.Module):
    """Learned mixture prior p(z) = sum_c pi_c N(z; mu_c, diag sigma_c^2) (Jiang et al. 2017, VaDE, eq. 1-3).

    Every component starts as N(0, I), except for a little noise in its mean.

    Parameters
    ----------
    n_components, latent_dim : int
        C and Z.
    learn_weights : bool
        Learn the weights pi; otherwise all components have equal weight.
    isotropic : bool
        One variance for all dimensions of a component, sigma_c^2 I, instead of one for each.
    spread : float
        Standard deviation of the initial means.
    """

    def __init__(
        self,
        n_components: int,
        latent_dim: int,
        *,
        learn_weights: bool = True,
        isotropic: bool = False,
        spread: float = 0.1,
    ) -> None:
        super().__init__()
        logits = torch.zeros(n_components)  # (C,)
        if learn_weights:
            self.logits = nn.Parameter(logits)
        else:
            self.register_buffer("logits", logits)
        self.means = normal_parameter(n_components, latent_dim, std=spread)  # (C, Z)
        self.free_log_var = nn.Parameter(torch.zeros(n_components, 1 if isotropic else latent_dim))  # (C, 1) or (C, Z)

    @property
    def latent_dim(self) -> int:
        """Number of latent dimensions, Z."""
        return self.means.shape[1]

    @property
    def log_var(self) -> Tensor:
        """Log-variances (C, Z), clamped to +-`COMPONENT_LOG_VAR`."""
        log_var = self.free_log_var.clamp(-COMPONENT_LOG_VAR, COMPONENT_LOG_VAR)
        return log_var if log_var.shape == self.means.shape else log_var.expand_as(self.means)

    @torch.no_grad()
    def start_from(self, means: Tensor, log_var: Tensor) -> None:
        """Set means and log-variances, (C, Z) each, and reset the weights to equal.

        An isotropic component takes the mean of its variances, which maximises the likelihood.
        """
        self.means.copy_(means)
        isotropic = self.free_log_var.shape != log_var.shape
        self.free_log_var.copy_(log_var.exp().mean(-1, keepdim=True).log() if isotropic else log_var)
        self.logits.zero_()

    def log_weights(self) -> Tensor:
        """Return log pi, (C,)."""
        return self.logits.log_softmax(-1)

    def log_assignment(self, q: Normal) -> Tensor:
        """Return the log q(c|x) (B, C) that maximises the bound: the softmax of E_q log p(z, c), in closed form.

        log pi_c - 1/2 sum_j [log sigma_cj^2 + (s_j^2 + (m_j - mu_cj)^2) / sigma_cj^2] (Jiang et al. 2017, appendix A,
        with the expectation taken inside the exponent).
        """
        second_moment = q.mean.square() + q.log_var.exp()
        return (self.log_weights() + self._expected_log_density(q.mean, second_moment)).log_softmax(-1)

    def log_density(self, z: Tensor) -> Tensor:
        """Return log p(z) at points z (B, Z): (B,) nats. The mixture is summed before the logarithm."""
        constant = 0.5 * z.shape[1] * LOG_2_PI
        return (self.log_weights() + self._expected_log_density(z, z.square())).logsumexp(-1) - constant

    def component(self, which: Tensor) -> Normal:
        """Return N(mu_c, sigma_c^2) for categories c (B, C), one-hot or relaxed."""
        return Normal(which @ self.means, which @ self.log_var)

    def sample(self, noise: Noise, like: Tensor) -> Tensor:
        """Draw z with the shape (B, Z) and type of `like`."""
        ends = self.log_weights().exp().cumsum(0)
        u = noise.uniform(COMPONENT, like[:, :1]) * ends[-1]
        which = torch.searchsorted(ends, u.view(-1)).clamp_max(len(ends) - 1)
        return self.means[which] + noise.normal(PRIOR, like) * (0.5 * self.log_var[which]).exp()

    def log_responsibility(self, z: Tensor) -> Tensor:
        """Return log p(c|z) (B, C) at points z (B, Z)."""
        return (self.log_weights() + self._expected_log_density(z, z.square())).log_softmax(-1)

    def kl_per_dimension(self, q: Normal, log_assignment: Tensor) -> Tensor:
        """Return sum_c q_c KL(q(z|x) || N(mu_c, sigma_c^2)) of each dimension: (B, Z) nats."""
        return self.kl_by(q, log_assignment.exp())

    def kl_by(self, q: Normal, assignment: Tensor) -> Tensor:
        """Return the same as `kl_per_dimension`, given weights (B, C) that may be 0 instead of log-assignments."""
        precision = (-self.log_var).exp()  # (C, Z)
        second_moment = q.mean.square() + q.log_var.exp()
        distance = (
            second_moment * (assignment @ precision)
            - 2 * q.mean * (assignment @ (precision * self.means))
            + assignment @ (precision * self.means.square())
        )
        return 0.5 * (assignment @ self.log_var + distance - 1.0 - q.log_var)

    def kl(self, q: Normal, log_assignment: Tensor) -> Tensor:
        """Return KL(q(z|x) q(c|x) || p(z|c) p(c)): (B,) nats (the divergence in Jiang et al. 2017, eq. 12)."""
        categorical = (log_assignment.exp() * (log_assignment - self.log_weights())).sum(-1)
        return self.kl_per_dimension(q, log_assignment).sum(-1) + categorical

    def _expected_log_density(self, first: Tensor, second: Tensor) -> Tensor:
        return expected_log_density(first, second, self.means, self.log_var)


def expected_log_density(first: Tensor, second: Tensor, means: Tensor, log_var: Tensor) -> Tensor:
    """Return E log N(z; mu_c, sigma_c^2) up to the 2 pi constant, (B, C), from the first two moments of z (B, Z)."""
    precision = (-log_var).exp()
    constant = (log_var + precision * means.square()).sum(-1)  # (C,)
    return -0.5 * (second @ precision.T - 2 * first @ (precision * means).T + constant)


@dataclass(frozen=True)
class Dirichlet:
    """Symmetric Dirichlet prior over K topics.

    Attributes
    ----------
    n_topics : int
        K.
    concentration : float
        Parameter of every topic; below 1, most documents have few topics.

    Examples
    --------
    >>> import numpy as np
    >>> noise = Noise.of(0, np.arange(3), torch.device("cpu"))
    >>> Dirichlet(4, 0.1).sample(noise, torch.empty(3, 4)).sum(-1).allclose(torch.ones(3))
    True
    """

    n_topics: int
    concentration: float

    def sample(self, noise: Noise, like: Tensor, stream: int = PRIOR) -> Tensor:
        """Draw theta with the shape (n_docs, K) and type of `like`, as normalised independent gammas.

        Computed in logs, because at small concentrations every gamma of a row can underflow.
        """
        return noise.log_gamma(stream, like, self.concentration).softmax(-1)

    def log_density(self, log_theta: Tensor) -> Tensor:
        """Return the log-density at theta = exp(`log_theta`) (B, K) on the simplex: (B,) nats."""
        return dirichlet_log_density(log_theta, torch.full_like(log_theta, self.concentration))


def dirichlet_log_density(log_theta: Tensor, concentration: Tensor) -> Tensor:
    """Return log Dirichlet(theta; a) = log Gamma(sum a) - sum log Gamma(a_k) + sum (a_k - 1) log theta_k, (B,) nats."""
    constant = concentration.sum(-1).lgamma() - concentration.lgamma().sum(-1)
    return constant + ((concentration - 1.0) * log_theta).sum(-1)


@dataclass(frozen=True)
class SoftmaxMixture:
    """Softmax of a mixture of K unit Gaussians, with component c at `distance` along axis c.

    Attributes
    ----------
    n_topics : int
        K.
    distance : float
        Distance of each component from the origin; the larger it is, the more one topic dominates each document.
    """

    n_topics: int
    distance: float

    def sample(self, noise: Noise, like: Tensor) -> Tensor:
        """Draw theta with the shape (n_docs, K) and type of `like`."""
        z = noise.normal(PRIOR, like)
        component = noise.choice(COMPONENT, self.n_topics)
        return z.scatter_add_(1, component, torch.full_like(z[:, :1], self.distance)).softmax(-1)


@dataclass(frozen=True)
class UniformSphere:
    """Uniform distribution on the unit sphere in `latent_dim` dimensions.

    Attributes
    ----------
    latent_dim : int
        Z, 2 or more.
    """

    latent_dim: int

    def sample(self, noise: Noise, like: Tensor) -> Tensor:
        """Draw unit vectors with the shape (B, Z) and type of `like`."""
        return nn.functional.normalize(noise.normal(PRIOR, like), dim=1)

    def mean_direction(self, like: Tensor) -> Tensor:
        """Return the mean (1, Z), which is 0."""
        return like.new_zeros(1, self.latent_dim)


@dataclass(frozen=True)
class VonMisesFisher:
    """Mixture of von Mises-Fisher distributions on the unit sphere, with mean directions along the axes.

    The density of a component with mean direction m is proportional to exp(concentration <m, z>).

    Attributes
    ----------
    latent_dim : int
        Z, 2 or more.
    concentration : float
        kappa, above 0.
    n_components : int
        The first n of the directions e_1, -e_1, e_2, ..., -e_Z, all with the same weight.

    Examples
    --------
    >>> import numpy as np
    >>> noise = Noise.of(0, np.arange(3), torch.device("cpu"))
    >>> VonMisesFisher(4, 10.0).sample(noise, torch.empty(3, 4)).norm(dim=1).allclose(torch.ones(3))
    True
    """

    latent_dim: int
    concentration: float
    n_components: int = 1

    def sample(self, noise: Noise, like: Tensor) -> Tensor:
        """Draw unit vectors with the shape (B, Z) and type of `like`.

        The angle from the mean direction is drawn by inversion of its distribution, the rest of the vector is uniform.
        """
        # One column more than a draw needs: the last is for the angle.
        wide = like.new_empty(len(like), self.latent_dim + 1)
        quantiles = _angle_quantiles(self.latent_dim, self.concentration, like.device, like.dtype)
        level = noise.uniform(PRIOR, wide)[:, -1:]
        angle = quantiles[(level * len(quantiles)).long()]  # (B, 1)
        component = noise.choice(COMPONENT, self.n_components)
        axis, sign = component // 2, 1.0 - 2.0 * (component % 2).to(like.dtype)
        across = noise.normal(PRIOR, wide)[:, :-1].scatter(1, axis, 0.0)
        return (nn.functional.normalize(across, dim=1) * angle.sin()).scatter_add(1, axis, sign * angle.cos())

    def mean_direction(self, like: Tensor) -> Tensor:
        """Return the direction of the mean (1, Z): a unit vector, or 0 if opposite components cancel."""
        axis = torch.arange(self.n_components, device=like.device) // 2
        signs = (1.0 - 2.0 * (torch.arange(self.n_components, device=like.device) % 2)).to(like.dtype)
        return nn.functional.normalize(like.new_zeros(self.latent_dim).scatter_add_(0, axis, signs)[None], dim=1)


ANGLES = 1 << 14  # entries in the table of the angles of a von Mises-Fisher distribution


@lru_cache(maxsize=8)
def _angle_quantiles(latent_dim: int, concentration: float, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return the quantiles (ANGLES,) of the angle from the mean direction, at midpoints of equal probabilities.

    The density of the angle is proportional to exp(kappa cos(angle)) sin(angle)^(Z - 2) (Mardia & Jupp 2000,
    Directional Statistics).
    """
    edges = np.linspace(0.0, np.pi, 8 * ANGLES + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    log_density = concentration * np.cos(middles) + (latent_dim - 2) * np.log(np.sin(middles))
    cumulative = np.concatenate([[0.0], np.exp(log_density - log_density.max()).cumsum()])
    levels = (np.arange(ANGLES) + 0.5) / ANGLES
    angles = np.interp(levels, cumulative / cumulative[-1], edges)
    return torch.as_tensor(angles).to(device=device, dtype=dtype)
