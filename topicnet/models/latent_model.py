"""Priors and proposals over latent points, with densities, for estimates of the marginal likelihood."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from topicnet.core.counter_rng import PRIOR, Noise
from topicnet.core.distributions import (
    Dirichlet,
    GaussianMixture,
    Normal,
    SoftmaxMixture,
    StandardNormal,
    UniformSphere,
    VonMisesFisher,
    dirichlet_log_density,
)
from topicnet.core.gamma_latent import log_gamma_of_normal
from topicnet.errors import InputError

T = TypeVar("T")


class Prior(Protocol):
    """Prior over latent points that can be sampled and has a normalised density."""

    def sample(self, noise: Noise, like: Tensor) -> Tensor:
        """Draw points with the shape (n, Z) and type of `like`."""

    def log_density(self, z: Tensor) -> Tensor:
        """Return the log-density at points (n, Z): (n,) nats."""


class Proposal(Protocol):
    """Distribution of each of B documents that importance weighting draws from."""

    def sample(self, noise: Noise) -> Tensor:
        """Draw points (n * B, Z) with the noise of n repetitions of the batch."""

    def log_density(self, z: Tensor) -> Tensor:
        """Return the log-density at points (n * B, Z): (n * B,) nats."""


@dataclass(frozen=True)
class LatentModel:
    """Latent space over which a document's likelihood is integrated.

    Attributes
    ----------
    prior : Prior
        Distribution of the points.
    latent_dim : int
        Number of coordinates of a point, Z.
    theta : callable
        Map of points (n, Z) to topic proportions (n, K).
    """

    prior: Prior
    latent_dim: int
    theta: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class NormalProposal:
    """Diagonal Gaussian of each document, q(z|x).

    Attributes
    ----------
    mean, log_var : Tensor
        (B, Z).
    """

    mean: Tensor
    log_var: Tensor

    def sample(self, noise: Noise) -> Tensor:
        """Draw points (n * B, Z)."""
        return self._repeated(noise, len(noise.keys)).sample()

    def log_density(self, z: Tensor) -> Tensor:
        """Return the log-density at points (n * B, Z)."""
        return self._repeated(None, len(z)).log_density(z)

    def _repeated(self, noise: Noise | None, n_rows: int) -> Normal:
        times = n_rows // len(self.mean)
        return Normal(self.mean.repeat(times, 1), self.log_var.repeat(times, 1), noise)


class DirichletPrior(Dirichlet):
    """Symmetric Dirichlet whose points are log theta, in double precision."""

    def sample(self, noise: Noise, like: Tensor, stream: int = PRIOR) -> Tensor:
        """Draw log theta (n, K)."""
        return noise.log_gamma(stream, like.double(), self.concentration).log_softmax(-1)


@dataclass(frozen=True)
class DirichletProposal:
    """Dirichlet distribution of each document, whose points are log theta, in double precision.

    Attributes
    ----------
    concentration : Tensor
        (B, K), above 0.
    """

    concentration: Tensor

    def sample(self, noise: Noise) -> Tensor:
        """Draw log theta (n * B, K) as normalised gamma variables."""
        a = self.concentration.double().cpu().numpy()
        n_draws = len(noise.keys) // len(a)
        keys = noise.keys[: len(a)].cpu().numpy().view(np.uint32)  # the first repetition has the documents' own keys
        logs = np.empty((n_draws, *a.shape))
        for at, key in enumerate(keys.tolist()):
            rng = np.random.default_rng(key)
            shape = (n_draws, a.shape[1])
            # Gamma(a) = Gamma(a + 1) U^(1/a), in logs: the variable itself underflows at small a.
            logs[:, at] = np.log(rng.standard_gamma(a[at] + 1.0, shape)) + np.log1p(-rng.random(shape)) / a[at]
        return torch.as_tensor(logs).view(-1, a.shape[1]).to(self.concentration.device).log_softmax(-1)

    def log_density(self, z: Tensor) -> Tensor:
        """Return the log-density at log theta (n * B, K)."""
        concentration = self.concentration.double()
        return dirichlet_log_density(z, concentration.repeat(len(z) // len(concentration), 1))


def frozen(part: T) -> T:
    """Copy a part of a network whose parameters then need no gradient; anything else is returned itself."""
    return copy.deepcopy(part).requires_grad_(False) if isinstance(part, nn.Module) else part


def latent_model_of(
    prior: Dirichlet | SoftmaxMixture | UniformSphere | VonMisesFisher, proportions: nn.Module, device: torch.device
) -> LatentModel:
    """Express a prior over theta, or over unit vectors, as a smooth map of points with a density.

    A Dirichlet is a map of standard normals, a softmax mixture is Gaussian before the softmax, and the direction of a
    standard normal is uniform on the sphere.

    Parameters
    ----------
    prior : Dirichlet, SoftmaxMixture, UniformSphere or VonMisesFisher
        Prior of K topics.
    proportions : nn.Module
        Map of latent points (n, K) to theta (n, K).
    device : torch.device
        Device of the points.

    Raises
    ------
    InputError
        The prior is von Mises-Fisher.
    """
    if isinstance(prior, UniformSphere):
        return LatentModel(StandardNormal(prior.latent_dim), prior.latent_dim, frozen(proportions))
    if isinstance(prior, VonMisesFisher):
        raise InputError(
            "the likelihood of documents is not available under a von Mises-Fisher prior: use document completion"
            " (topicnet.evaluate.perplexity), or fit with another prior"
        )
    n_topics = prior.n_topics
    if isinstance(prior, Dirichlet):
        concentration = prior.concentration
        return LatentModel(
            StandardNormal(n_topics), n_topics, lambda v: log_gamma_of_normal(v, concentration).softmax(-1)
        )
    mixture = GaussianMixture(n_topics, n_topics, learn_weights=False)
    mixture.start_from(prior.distance * torch.eye(n_topics), torch.zeros(n_topics, n_topics))
    return LatentModel(frozen(mixture).to(device), n_topics, nn.Softmax(-1))


def dirichlet_proposal(prior: Dirichlet, tokens: Tensor) -> tuple[LatentModel, DirichletProposal]:
    """Return the Dirichlet posterior of documents whose tokens (B, K) are assigned to topics, with its latent model."""
    on_simplex = DirichletPrior(prior.n_topics, prior.concentration)
    return LatentModel(on_simplex, prior.n_topics, torch.exp), DirichletProposal(prior.concentration + tokens)
