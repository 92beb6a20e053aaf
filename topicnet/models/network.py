"""What a topic model's network answers, and how it is taught and watched."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from topicnet.core.distributions import Normal, StandardNormal
from topicnet.core.em import MixtureFit
from topicnet.core.sparse import SparseBatch, mixture_log_likelihood

# A latent dimension is in use when it carries more than this, in nats per document.
ACTIVE_KL = 0.01


class TopicNetwork(nn.Module, ABC):
    """A variational topic model with the mixture decoder p(w|d) = theta_d @ beta.

    A subclass answers four questions: `encode`, `theta`, `beta`, `divergence`; the loss is assembled here.
    """

    prior: StandardNormal

    @abstractmethod
    def encode(self, batch: SparseBatch) -> Normal:
        """Posterior q(z | x) of a batch, (B, Z)."""

    @abstractmethod
    def theta(self, z: Tensor) -> Tensor:
        """Topic proportions (B, K) of latent points (B, Z)."""

    @abstractmethod
    def beta(self) -> Tensor:
        """Topics (K, V), rows sum to 1."""

    @abstractmethod
    def divergence(self, q: Normal, z: Tensor) -> Tensor:
        """Divergence of q from the prior, (B,) nats."""

    @abstractmethod
    def start_from(self, mixture: MixtureFit) -> None:
        """Set the decoder to the topics of an EM fit."""

    def terms(self, batch: SparseBatch) -> dict[str, Tensor]:
        """Negative evidence lower bound by term, (B,) nats per document (Kingma & Welling 2014, eq. 7)."""
        q = self.encode(batch)
        z = q.sample()
        likelihood = mixture_log_likelihood(self.theta(z), self.beta(), batch)
        return {"reconstruction": -likelihood, "kl": self.divergence(q, z)}

    def prior_theta(self) -> Tensor:
        """Theta (K,) of a document that says nothing: the prior mean's."""
        weight = next(self.parameters())
        return self.theta(weight.new_zeros(1, self.prior.latent_dim))[0]

    def infer_theta(self, batch: SparseBatch) -> Tensor:
        """Theta (B, K) from the posterior mean; the prior's for a document without words."""
        theta = self.theta(self.encode(batch).mean)
        filled = batch.pattern.starts.diff() > 0
        return torch.where(filled[:, None], theta, self.prior_theta())

    def active_units(self, batch: SparseBatch) -> int:
        """Latent dimensions whose mean KL over the batch exceeds `ACTIVE_KL` nats."""
        return int((self.prior.kl_per_dimension(self.encode(batch)).mean(0) > ACTIVE_KL).sum())


class Teacher(nn.Module):
    """Teaches an encoder the theta an EM start found, so that training begins where EM ended."""

    # Weights chosen on 20 Newsgroups: theta is matched, and the posterior kept near enough to the prior.
    CROSS_ENTROPY_WEIGHT = 10.0
    KL_WEIGHT = 0.1

    def __init__(self, network: TopicNetwork, theta: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("target", theta, persistent=False)

    def terms(self, batch: SparseBatch) -> dict[str, Tensor]:
        """Cross-entropy from the taught theta to the encoder's, and the divergence, (B,) each."""
        q = self.network.encode(batch)
        taught = self.get_buffer("target")[batch.index]
        log_theta = self.network.theta(q.mean).clamp_min(1e-30).log()
        return {
            "cross_entropy": -self.CROSS_ENTROPY_WEIGHT * (taught * log_theta).sum(-1),
            "kl": self.KL_WEIGHT * self.network.divergence(q, q.mean),
        }
