"""Priors p(z) of the image models, each with its divergence from a posterior."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from topicnet.core.counter_rng import COMPONENT, PRIOR, Noise
from topicnet.core.distributions import LOG_2_PI, GaussianMixture, Normal, StandardNormal, expected_log_density

PSEUDO_SPREAD = 0.01  # standard deviation of the initial pseudo-inputs


class Prior(nn.Module, ABC):
    """Distribution over latent points (Z,)."""

    def kl(self, q: Normal, z: Tensor) -> Tensor:
        """Return KL(q || p), (B,) nats: log q(z|x) - log p(z) at the draw z (B, Z), or in closed form."""
        return q.log_density(z) - self.log_density(z)

    @abstractmethod
    def log_density(self, z: Tensor) -> Tensor:
        """Return log p(z), (B,)."""

    @abstractmethod
    def sample(self, noise: Noise, like: Tensor) -> Tensor:
        """Draw z with the shape (B, Z) and type of `like`."""

    def initialise_from(self, pixels: Tensor) -> None:
        """Initialise data-dependent parameters from training images (n, P); by default there are none."""


class StandardPrior(Prior):
    """Standard normal prior N(0, I)."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.normal = StandardNormal(latent_dim)

    def kl(self, q: Normal, z: Tensor) -> Tensor:
        """Return the divergence in closed form (Kingma & Welling 2014, appendix B)."""
        return self.normal.kl(q)

    def log_density(self, z: Tensor) -> Tensor:
        return self.normal.log_density(z)

    def sample(self, noise: Noise, like: Tensor) -> Tensor:
        return self.normal.sample(noise, like)


class MixturePrior(Prior):
    """Learned mixture 1/K sum_k N(mu_k, diag sigma_k^2)."""

    def __init__(self, n_components: int, latent_dim: int) -> None:
        super().__init__()
        self.mixture = GaussianMixture(n_components, latent_dim, learn_weights=False, spread=1.0)

    def log_density(self, z: Tensor) -> Tensor:
        return self.mixture.log_density(z)

    def sample(self, noise: Noise, like: Tensor) -> Tensor:
        return self.mixture.sample(noise, like)


class VampPrior(Prior):
    """Mixture of the posteriors of learned pseudo-inputs, 1/K sum_k q(z | u_k) (Tomczak & Welling 2018, eq. 9).

    Parameters
    ----------
    n_components : int
        Number K of pseudo-inputs.
    n_pixels : int
        Number P of pixels.
    posterior : callable
        The encoder: maps images (n, P) to q(z | x).
    """

    def __init__(self, n_components: int, n_pixels: int, posterior: Callable[[Tensor], Normal]) -> None:
        super().__init__()
        self.free_inputs = nn.Parameter(torch.empty(n_components, n_pixels))
        if not self.free_inputs.is_meta:
            nn.init.normal_(self.free_inputs, 0.05, PSEUDO_SPREAD)
        self._posterior = posterior

    @property
    def inputs(self) -> Tensor:
        """Pseudo-inputs u (K, P), within [0, 1]."""
        return self.free_inputs.clamp(0.0, 1.0)

    @torch.no_grad()
    def initialise_from(self, pixels: Tensor) -> None:
        """Initialise the pseudo-inputs at images, repeated if there are fewer images than pseudo-inputs."""
        chosen = pixels[torch.arange(len(self.free_inputs), device=pixels.device) % len(pixels)]
        noise = Noise.of(0, np.arange(len(chosen)), pixels.device)  # leaves torch's random state alone
        self.free_inputs.copy_(chosen + PSEUDO_SPREAD * noise.normal(PRIOR, chosen))

    def log_density(self, z: Tensor) -> Tensor:
        p = self._posterior(self.inputs)
        logs = expected_log_density(z, z.square(), p.mean, p.log_var)  # (B, K)
        return logs.logsumexp(-1) - math.log(len(p.mean)) - 0.5 * z.shape[1] * LOG_2_PI

    def sample(self, noise: Noise, like: Tensor) -> Tensor:
        p = self._posterior(self.inputs)
        which = noise.choice(COMPONENT, len(p.mean)).view(-1)
        return p.mean[which] + noise.normal(PRIOR, like) * (0.5 * p.log_var[which]).exp()
