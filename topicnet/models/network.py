"""Base classes of the models' torch networks, and the objectives that prepare a network for training."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from topicnet.core.distributions import GaussianMixture, Normal, StandardNormal
from topicnet.core.em import MixtureFit
from topicnet.core.sparse import SparseBatch
from topicnet.errors import InputError
from topicnet.models.decoders import Decoder, Topics
from topicnet.models.latent_model import LatentModel, NormalProposal, Proposal, frozen


class TopicNetwork(nn.Module, ABC):
    """Network of a topic model: an encoder, a map from latent points to theta, and a decoder; abstract.

    Subclasses define the topics and the prior. The loss terms are computed here.
    """

    divergence_name: str = "kl"
    has_bound: ClassVar[bool] = True  # reconstruction plus divergence bounds the negative log-likelihood from above
    topic_logits_from: ClassVar[tuple[str, ...]]  # names of the parameters that the topic logits are computed from
    pretrain_epochs: int = 0
    encoder: nn.Module
    proportions: nn.Module
    decoder: Decoder

    def __init__(self) -> None:
        super().__init__()
        self.mean_length = 1.0
        self.theta_noise: nn.Module | None = None  # applied to theta in the loss only, not in inference

    @abstractmethod
    def topic_logits(self) -> Tensor:
        """Compute the logits (K, V) that the decoder turns into topics."""

    @abstractmethod
    def set_topic_logits(self, logits: Tensor, topics: Tensor | None) -> None:
        """Set the logits (n, V) of some topics (n,), or of all K if None, as closely as the parameters allow."""

    @abstractmethod
    def divergence(self, q: Any, z: Tensor, batch: SparseBatch) -> Tensor:
        """Compute the divergence of q(z | x), or of its sample z, from the prior: (B,) nats, or a batch's scalar."""

    @abstractmethod
    def kl_per_dimension(self, q: Any) -> Tensor:
        """Compute the mean KL of each latent dimension (Z,), nats per document.

        For a model without a KL term, the variance of the dimension over documents.
        """

    @abstractmethod
    def prior_theta(self) -> Tensor:
        """Compute the theta (K,) of an empty document."""

    def latent_model(self) -> LatentModel:
        """Build the prior over latent points, with a smooth density, and their map to theta.

        Raises
        ------
        InputError
            The model defines no such prior.
        """
        raise InputError(
            f"{type(self).__name__} defines no prior with a density, which the likelihood of documents needs: use"
            " document completion (topicnet.evaluate.perplexity)"
        )

    def proposal(self, batch: SparseBatch) -> tuple[LatentModel, Proposal] | None:
        """Build a proposal for importance weighting from the encoder, and the latent model that its points belong to.

        None for a model whose encoder gives no density that covers the posterior.
        """
        return None

    def encode(self, batch: SparseBatch) -> Any:
        """Compute the posterior q(z | x) of a batch, (B, Z)."""
        return self.encoder(batch)

    def theta(self, z: Tensor) -> Tensor:
        """Map latent points (B, Z) to topic proportions (B, K)."""
        theta: Tensor = self.proportions(z)
        return theta

    def initialise(self, means: Tensor, seed: int) -> None:
        """Initialise the prior from the latent means (D, Z) of the corpus after pre-training, if it has parameters."""

    def set_corpus_statistics(self, unigram: Tensor, mean_length: float) -> None:
        """Set the word frequencies (V,) of the corpus, which sum to 1, and its mean document length in tokens."""
        self.mean_length = mean_length
        self.decoder.set_unigram(unigram)

    def start_from(self, mixture: MixtureFit) -> None:
        """Set the topics to those of an EM fit."""
        self.set_topic_logits(self.decoder.logits_of(mixture.beta), None)

    def topics(self) -> Topics:
        """Compute the topics from the current weights."""
        return self.decoder.topics(self.topic_logits())

    def topic_parameters(self) -> list[str]:
        """List the names of the parameters that determine the topics."""
        names = (name for name, _ in self.named_parameters())
        return [name for name in names if name in self.topic_logits_from or name.startswith("decoder.")]

    def beta(self) -> Tensor:
        """Compute the topics (K, V), the word probabilities at one-hot theta; rows sum to 1."""
        return self.topics().beta

    def terms(self, batch: SparseBatch) -> dict[str, Tensor]:
        """Compute the loss terms of a batch by name, nats per document.

        Reconstruction plus divergence is the negative evidence lower bound of a variational model (Kingma & Welling
        2014, eq. 7), or the objective of a Wasserstein autoencoder (Tolstikhin et al. 2018, eq. 4). `overlap` is the
        similarity of topics, a regulariser that is not part of a bound.
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
        """Infer theta (B, K) from the posterior mean; an empty document gets the prior's."""
        theta = self.theta(self.encode(batch).mean)
        filled = batch.pattern.starts.diff() > 0
        return torch.where(filled[:, None], theta, self.prior_theta())


class VariationalNetwork(TopicNetwork):
    """Network with a Gaussian encoder q(z|x) and a prior with a density."""

    prior: StandardNormal | GaussianMixture

    def latent_model(self) -> LatentModel:
        """Use the prior and the map to theta of the network."""
        return LatentModel(frozen(self.prior), self.latent_dim, frozen(self.proportions))

    def proposal(self, batch: SparseBatch) -> tuple[LatentModel, Proposal]:
        """Use q(z|x) itself."""
        q = self.encode(batch)
        return self.latent_model(), NormalProposal(q.mean, q.log_var)

    @property
    def latent_dim(self) -> int:
        """Number of latent dimensions, Z."""
        return self.prior.latent_dim


class StandardNormalNetwork(VariationalNetwork):
    """Network whose prior is the standard normal N(0, I)."""

    prior: StandardNormal

    def divergence(self, q: Normal, z: Tensor, batch: SparseBatch) -> Tensor:
        """KL from the standard normal, (B,) nats."""
        return self.prior.kl(q)

    def kl_per_dimension(self, q: Normal) -> Tensor:
        """Mean KL of each latent dimension, (Z,) nats."""
        return self.prior.kl_per_dimension(q).mean(0)

    def prior_theta(self) -> Tensor:
        """Theta at z = 0, (K,)."""
        return self.theta(next(self.parameters()).new_zeros(1, self.prior.latent_dim))[0]


class FreeTopicsNetwork(TopicNetwork):
    """Network whose topics are free parameters: one logit for each topic and word."""

    topic_logits_from: ClassVar[tuple[str, ...]] = ("logits",)
    logits: nn.Parameter  # (K, V)

    def topic_logits(self) -> Tensor:
        """Return the parameter itself, (K, V)."""
        return self.logits

    @torch.no_grad()
    def set_topic_logits(self, logits: Tensor, topics: Tensor | None) -> None:
        """Copy the logits into the parameter."""
        self.logits[slice(None) if topics is None else topics] = logits


def topic_overlap(beta: Tensor) -> Tensor:
    """Mean over topics of the sum of cosines with all other topics, a scalar: 0 if no two topics share a word.

    With u_k the rows of beta (K, V) scaled to length 1, the cosines of all pairs sum to |sum_k u_k|^2, which takes K V
    operations instead of K^2 V.
    """
    overlap: Tensor = _Overlap.apply(beta)  # type: ignore[no-untyped-call]
    return overlap


class _Overlap(torch.autograd.Function):
    """Topic overlap with a hand-written gradient, because autograd would store three more arrays as large as beta."""

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
        projection = (beta @ total) / length.square()  # (K,)
        gradient: Tensor = (total - projection[:, None] * beta) * (2 * upstream[0] / len(beta) / length)[:, None]
        return gradient


class EncoderWarmUp(nn.Module):
    """Objective that fits an encoder to the theta of an EM start, so that training begins where EM ended."""

    # Chosen on 20 Newsgroups: theta is matched while the posterior stays close enough to the prior.
    CROSS_ENTROPY_WEIGHT = 10.0
    DIVERGENCE_WEIGHT = 0.1

    def __init__(self, network: TopicNetwork, theta: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("target", theta, persistent=False)

    def terms(self, batch: SparseBatch) -> dict[str, Tensor]:
        """Compute the cross-entropy of the encoder's theta with the target, and the divergence, (B,) each."""
        q = self.network.encode(batch)
        target = self.get_buffer("target")[batch.index]
        log_theta = self.network.theta(q.mean).clamp_min(1e-30).log()
        return {
            "cross_entropy": -self.CROSS_ENTROPY_WEIGHT * (target * log_theta).sum(-1),
            "divergence": self.DIVERGENCE_WEIGHT * self.network.divergence(q, q.mean, batch),
        }


class Autoencoder(nn.Module):
    """Objective without the prior: reconstruction from the posterior mean alone."""

    def __init__(self, network: TopicNetwork) -> None:
        super().__init__()
        self.network = network

    def terms(self, batch: SparseBatch) -> dict[str, Tensor]:
        """Compute the negative log-likelihood, (B,) nats."""
        network = self.network
        theta = network.theta(network.encode(batch).mean)
        return {"reconstruction": -network.decoder.log_likelihood(theta, network.topics(), batch)}


def uniform_nats(vocab_size: int) -> float:
    """Return the nats per token of the uniform distribution over words."""
    return math.log(max(2, vocab_size))
