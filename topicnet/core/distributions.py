"""Posteriors and priors as values: a loss reads as its formula."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from topicnet.core.counter_rng import COMPONENT, LATENT, PRIOR, Noise
from topicnet.core.init import normal_parameter

# Standard deviations of a mixture's components stay within [0.05, 20]: a component cannot shrink onto one document.
COMPONENT_LOG_VAR = 6.0
LOG_2_PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class Normal:
    """A diagonal Gaussian posterior, one row a document.

    Attributes
    ----------
    mean, log_var : Tensor
        (B, Z).
    noise : Noise, optional
        Random numbers of the documents; needed to draw.
    """

    mean: Tensor
    log_var: Tensor
    noise: Noise | None = None

    def sample(self, stream: int = LATENT) -> Tensor:
        """Draw z (B, Z) by reparameterisation (Kingma & Welling 2014), always the same with the same noise."""
        assert self.noise is not None
        return self.mean + self.noise.normal(stream, self.mean) * (0.5 * self.log_var).exp()

    def repeated(self, noise: Noise) -> Normal:
        """The same Gaussians (n B, Z), all and all again, for `n` draws of each with this noise (`Noise.repeated`)."""
        n_draws = len(noise.keys) // len(self.mean)
        return Normal(self.mean.repeat(n_draws, 1), self.log_var.repeat(n_draws, 1), noise)

    def log_density(self, z: Tensor) -> Tensor:
        """log q(z | x) of points z (B, Z): (B,) nats."""
        scaled = (z - self.mean).square() * (-self.log_var).exp()
        return -0.5 * (LOG_2_PI + self.log_var + scaled).sum(-1)

    def kl_from(self, other: Normal) -> Tensor:
        """KL of this from another, row by row: (B,) nats."""
        spread = (self.log_var - other.log_var).exp() + (self.mean - other.mean).square() * (-other.log_var).exp()
        return 0.5 * (other.log_var - self.log_var + spread - 1.0).sum(-1)


@dataclass(frozen=True)
class Point:
    """A posterior without spread, as of a Wasserstein autoencoder (Tolstikhin et al. 2018).

    Attributes
    ----------
    mean : Tensor
        (B, Z).
    noise : Noise, optional
        Random numbers of the documents, for what else is drawn for them.
    """

    mean: Tensor
    noise: Noise | None = None

    def sample(self) -> Tensor:
        """The point itself, (B, Z)."""
        return self.mean


@dataclass(frozen=True)
class StandardNormal:
    """The prior N(0, I) over Z latent dimensions."""

    latent_dim: int

    def kl_per_dimension(self, q: Normal) -> Tensor:
        """KL(q || N(0, I)) of each dimension: (B, Z) nats (Kingma & Welling 2014, appendix B)."""
        return 0.5 * (q.log_var.exp() + q.mean.square() - 1.0 - q.log_var)

    def kl(self, q: Normal) -> Tensor:
        """KL(q || N(0, I)): (B,) nats."""
        return self.kl_per_dimension(q).sum(-1)

    def log_density(self, z: Tensor) -> Tensor:
        """log p(z) of points z (B, Z): (B,) nats."""
        return -0.5 * (LOG_2_PI + z.square()).sum(-1)

    def sample(self, noise: Noise, like: Tensor) -> Tensor:
        """Draw z of the shape (B, Z) and type of `like`."""
        return noise.normal(PRIOR, like)


class GaussianMixture(nn.Module):
    """The learned prior p(z) = sum_c pi_c N(z; mu_c, diag sigma_c^2) (Jiang et al. 2017, VaDE, eq. 1-3).

    It starts as N(0, I) in every component, but for a little noise in the means.

    Parameters
    ----------
    learn_weights : bool
        Whether pi is learned; else all components weigh the same.
    spread : float
        Standard deviation of the first means.
    """

    def __init__(self, n_components: int, latent_dim: int, *, learn_weights: bool = True, spread: float = 0.1) -> None:
        super().__init__()
        logits = torch.zeros(n_components)  # (C,)
        if learn_weights:
            self.logits = nn.Parameter(logits)
        else:
            self.register_buffer("logits", logits)
        self.means = normal_parameter(n_components, latent_dim, std=spread)  # (C, Z)
        self.free_log_var = nn.Parameter(torch.zeros(n_components, latent_dim))  # (C, Z)

    @property
    def log_var(self) -> Tensor:
        """(C, Z), within +-`COMPONENT_LOG_VAR`."""
        return self.free_log_var.clamp(-COMPONENT_LOG_VAR, COMPONENT_LOG_VAR)

    @torch.no_grad()
    def start_from(self, means: Tensor, log_var: Tensor) -> None:
        """Set means and log-variances, (C, Z) each, with equal weights."""
        self.means.copy_(means)
        self.free_log_var.copy_(log_var)
        self.logits.zero_()

    def log_weights(self) -> Tensor:
        """log pi, (C,)."""
        return self.logits.log_softmax(-1)

    def log_assignment(self, q: Normal) -> Tensor:
        """The q(c|x) (B, C) that maximises the bound, as logs: softmax of E_q log p(z, c), in closed form.

        log pi_c - 1/2 sum_j [log sigma_cj^2 + (s_j^2 + (m_j - mu_cj)^2) / sigma_cj^2] (Jiang et al. 2017, appendix A,
        with the expectation taken inside the exponent).
        """
        second_moment = q.mean.square() + q.log_var.exp()
        return (self.log_weights() + self._expected_log_density(q.mean, second_moment)).log_softmax(-1)

    def log_density(self, z: Tensor) -> Tensor:
        """log p(z) of points z (B, Z), the log of the mean over components, not the mean of the logs: (B,) nats."""
        constant = 0.5 * z.shape[1] * LOG_2_PI
        return (self.log_weights() + self._expected_log_density(z, z.square())).logsumexp(-1) - constant

    def component(self, which: Tensor) -> Normal:
        """N(mu_c, sigma_c^2) for categories c (B, C), one-hot or relaxed."""
        return Normal(which @ self.means, which @ self.log_var)

    def sample(self, noise: Noise, like: Tensor) -> Tensor:
        """Draw z of the shape (B, Z) and type of `like`."""
        ends = self.log_weights().exp().cumsum(0)
        u = noise.uniform(COMPONENT, like[:, :1]) * ends[-1]
        which = torch.searchsorted(ends, u.view(-1)).clamp_max(len(ends) - 1)
        return self.means[which] + noise.normal(PRIOR, like) * (0.5 * self.log_var[which]).exp()

    def log_responsibility(self, z: Tensor) -> Tensor:
        """log p(c|z) (B, C) of points z (B, Z)."""
        return (self.log_weights() + self._expected_log_density(z, z.square())).log_softmax(-1)

    def kl_per_dimension(self, q: Normal, log_assignment: Tensor) -> Tensor:
        """sum_c q_c KL(q(z|x) || N(mu_c, sigma_c^2)) of each dimension: (B, Z) nats."""
        return self.kl_by(q, log_assignment.exp())

    def kl_by(self, q: Normal, assignment: Tensor) -> Tensor:
        """The same for weights (B, C), which may be 0."""
        precision = (-self.log_var).exp()  # (C, Z)
        second_moment = q.mean.square() + q.log_var.exp()
        distance = (
            second_moment * (assignment @ precision)
            - 2 * q.mean * (assignment @ (precision * self.means))
            + assignment @ (precision * self.means.square())
        )
        return 0.5 * (assignment @ self.log_var + distance - 1.0 - q.log_var)

    def kl(self, q: Normal, log_assignment: Tensor) -> Tensor:
        """KL of q(z|x) q(c|x) from p(z|c) p(c): (B,) nats (the divergence of Jiang et al. 2017, eq. 12)."""
        categorical = (log_assignment.exp() * (log_assignment - self.log_weights())).sum(-1)
        return self.kl_per_dimension(q, log_assignment).sum(-1) + categorical

    def _expected_log_density(self, first: Tensor, second: Tensor) -> Tensor:
        return expected_log_density(first, second, self.means, self.log_var)


def expected_log_density(first: Tensor, second: Tensor, means: Tensor, log_var: Tensor) -> Tensor:
    """E log N(z; mu_c, sigma_c^2) from the first two moments of z (B, Z), without 2 pi: (B, C)."""
    precision = (-log_var).exp()
    constant = (log_var + precision * means.square()).sum(-1)  # (C,)
    return -0.5 * (second @ precision.T - 2 * first @ (precision * means).T + constant)


@dataclass(frozen=True)
class Dirichlet:
    """The symmetric Dirichlet over K topics.

    Attributes
    ----------
    concentration : float
        Below 1, a document has few topics.
    """

    n_topics: int
    concentration: float

    def sample(self, noise: Noise, like: Tensor, stream: int = PRIOR) -> Tensor:
        """Draw theta of the shape (n_docs, K) and type of `like`: independent gammas, normalised.

        In logs: at small concentrations all gammas of a row underflow together.
        """
        return noise.log_gamma(stream, like, self.concentration).softmax(-1)


@dataclass(frozen=True)
class SoftmaxMixture:
    """softmax of a mixture of K unit Gaussians, component c at `distance` along axis c.

    Attributes
    ----------
    distance : float
        How far each component is from the middle: the larger, the nearer its documents are to one topic.
    """

    n_topics: int
    distance: float

    def sample(self, noise: Noise, like: Tensor) -> Tensor:
        """Draw theta of the shape (n_docs, K) and type of `like`."""
        z = noise.normal(PRIOR, like)
        component = noise.choice(COMPONENT, self.n_topics)
        return z.scatter_add_(1, component, torch.full_like(z[:, :1], self.distance)).softmax(-1)
