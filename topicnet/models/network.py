"""Networks of topic models, and the objectives that prepare them for training."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from topicnet.core.distributions import Normal, StandardNormal
from topicnet.core.em import MixtureFit
from topicnet.core.sparse import SparseBatch
from topicnet.models.decoders import Decoder, Topics


class TopicNetwork(nn.Module, ABC):
    """An encoder, a map from latent points to theta, and a decoder chosen by name; the loss is assembled here."""

    divergence_name: ClassVar[str] = "kl"
    has_bound: ClassVar[bool] = True  # reconstruction and divergence together bound the likelihood
    topic_logits_from: ClassVar[tuple[str, ...]]  # names of parameters
    pretrain_epochs: int = 0
    encoder: nn.Module
    proportions: nn.Module
    decoder: Decoder

    def __init__(self) -> None:
        super().__init__()
        self.mean_length = 1.0
        self.theta_noise: nn.Module | None = None  # added to theta in the objective, never in inference

    @abstractmethod
    def topic_logits(self) -> Tensor:
        """Logits (K, V) that the decoder turns into topics."""

    @abstractmethod
    def set_topic_logits(self, logits: Tensor, topics: Tensor | None) -> None:
        """Set the logits of the named topics (n,), or of all K, as nearly as the parameters can."""

    @abstractmethod
    def divergence(self, q: Any, z: Tensor, batch: SparseBatch) -> Tensor:
        """Divergence of q(z | x) and its sample z from the prior, (B,) nats or a scalar for the batch."""

    @abstractmethod
    def kl_per_dimension(self, q: Any) -> Tensor:
        """Mean KL of each latent dimension (Z,), nats per document; without a KL, its variance over documents."""

    @abstractmethod
    def prior_theta(self) -> Tensor:
        """Theta (K,) of a document without words."""

    def encode(self, batch: SparseBatch) -> Any:
        """Posterior q(z | x) of a batch, (B, Z)."""
        return self.encoder(batch)

    def theta(self, z: Tensor) -> Tensor:
        """Topic proportions (B, K) of latent points (B, Z)."""
        theta: Tensor = self.proportions(z)
        return theta

    def initialise(self, means: Tensor, seed: int) -> None:
        """Start the prior from the latent means (D, Z) of the corpus, after pre-training."""

    def meet(self, unigram: Tensor, mean_length: float) -> None:
        """Set what depends on the corpus: word frequencies (V,) that sum to 1, and tokens per document."""
        self.mean_length = mean_length
        self.decoder.start(unigram)

    def start_from(self, mixture: MixtureFit) -> None:
        """Set the decoder to the topics of an EM fit."""
        self.set_topic_logits(self.decoder.logits_of(mixture.beta), None)

    def topics(self) -> Topics:
        """The topics as they are now."""
        return self.decoder.topics(self.topic_logits())

    def topic_parameters(self) -> list[str]:
        """Names of the parameters that the topics are made of."""
        names = (name for name, _ in self.named_parameters())
        return [name for name in names if name in self.topic_logits_from or name.startswith("decoder.")]

    def beta(self) -> Tensor:
        """Topics (K, V), rows sum to 1: the decoder at one-hot theta."""
        return self.topics().beta

    def terms(self, batch: SparseBatch) -> dict[str, Tensor]:
        """Loss by term, nats per document.

        Reconstruction and divergence are the negative evidence lower bound of a variational model (Kingma & Welling
        2014, eq. 7), or the objective of a Wasserstein autoencoder (Tolstikhin et al. 2018, eq. 4). `overlap` is how
        much topics repeat each other, and no part of a bound.
        """
        q = self.encode(batch)
        z = q.sample()
        topics = self.topics()
        theta = self.theta(z)
        noisy = theta if self.theta_noise is None else self.theta_noise(theta, batch.noise)
        likelihood = self.decoder.log_likelihood(noisy, topics, batch)
        return {
            "reconstruction": -likelihood,
            self.divergence_name: self.divergence(q, z, batch),
            "overlap": self.mean_length * topic_overlap(topics.beta),
        }

    def infer_theta(self, batch: SparseBatch) -> Tensor:
        """Theta (B, K) from the posterior mean; the prior's for a document without words."""
        theta = self.theta(self.encode(batch).mean)
        filled = batch.pattern.starts.diff() > 0
        return torch.where(filled[:, None], theta, self.prior_theta())


class StandardNormalNetwork(TopicNetwork):
    """A network with the prior N(0, I)."""

    prior: StandardNormal

    def divergence(self, q: Normal, z: Tensor, batch: SparseBatch) -> Tensor:
        """KL from the standard normal, (B,)."""
        return self.prior.kl(q)

    def kl_per_dimension(self, q: Normal) -> Tensor:
        """Mean KL of each dimension, (Z,)."""
        return self.prior.kl_per_dimension(q).mean(0)

    def prior_theta(self) -> Tensor:
        """Theta of z = 0, (K,)."""
        return self.theta(next(self.parameters()).new_zeros(1, self.prior.latent_dim))[0]


class FreeTopicsNetwork(TopicNetwork):
    """A network whose topics are free logits over words."""

    topic_logits_from: ClassVar[tuple[str, ...]] = ("logits",)
    logits: nn.Parameter  # (K, V)

    def topic_logits(self) -> Tensor:
        """The parameter itself, (K, V)."""
        return self.logits

    @torch.no_grad()
    def set_topic_logits(self, logits: Tensor, topics: Tensor | None) -> None:
        """Copy them."""
        self.logits[slice(None) if topics is None else topics] = logits


def topic_overlap(beta: Tensor) -> Tensor:
    """Mean over the topics of beta (K, V) of the cosines with all others: 0 when no two share a word, a scalar.

    The cosines of all pairs sum to |sum_k u_k|^2, of unit topics u_k: K V operations, not K^2 V.
    """
    overlap: Tensor = _Overlap.apply(beta)  # type: ignore[no-untyped-call]
    return overlap


class _Overlap(torch.autograd.Function):
    """With its own gradient: autograd would keep three more arrays of the size of beta."""

    @staticmethod
    def forward(ctx: Any, beta: Tensor) -> Tensor:
        length = beta.norm(dim=-1)  # (K,)
        total = length.reciprocal() @ beta  # (V,), the sum of the unit topics
        ctx.save_for_backward(beta, length, total)
        overlap: Tensor = total.square().sum() / len(beta) - 1.0
        return overlap

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Tensor:
        beta, length, total = ctx.saved_tensors
        along = (beta @ total) / length.square()  # (K,)
        gradient: Tensor = (total - along[:, None] * beta) * (2 * upstream[0] / len(beta) / length)[:, None]
        return gradient


class EncoderWarmUp(nn.Module):
    """Objective that fits an encoder to the theta of an EM start, so that training begins where EM ended."""

    # Weights chosen on 20 Newsgroups: theta is matched, and the posterior kept near enough to the prior.
    CROSS_ENTROPY_WEIGHT = 10.0
    DIVERGENCE_WEIGHT = 0.1

    def __init__(self, network: TopicNetwork, theta: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("target", theta, persistent=False)

    def terms(self, batch: SparseBatch) -> dict[str, Tensor]:
        """Cross-entropy from the target theta to the encoder's, and the divergence, (B,) each."""
        q = self.network.encode(batch)
        target = self.get_buffer("target")[batch.index]
        log_theta = self.network.theta(q.mean).clamp_min(1e-30).log()
        return {
            "cross_entropy": -self.CROSS_ENTROPY_WEIGHT * (target * log_theta).sum(-1),
            "divergence": self.DIVERGENCE_WEIGHT * self.network.divergence(q, q.mean, batch),
        }


class Autoencoder(nn.Module):
    """Objective of the network without its prior: reconstruction from the posterior mean alone."""

    def __init__(self, network: TopicNetwork) -> None:
        super().__init__()
        self.network = network

    def terms(self, batch: SparseBatch) -> dict[str, Tensor]:
        """Negative log-likelihood, (B,) nats."""
        network = self.network
        theta = network.theta(network.encode(batch).mean)
        return {"reconstruction": -network.decoder.log_likelihood(theta, network.topics(), batch)}


def uniform_nats(vocab_size: int) -> float:
    """Nats per token of the uniform distribution over words."""
    return math.log(max(2, vocab_size))
