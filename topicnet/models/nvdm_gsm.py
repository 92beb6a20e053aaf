"""NVDM-GSM: a Gaussian softmax over topics (Miao, Grefenstette & Blunsom 2017, sections 3.1 and 4)."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from numpy.random import RandomState
from torch import Tensor

from topicnet.core.distributions import Normal, StandardNormal
from topicnet.core.init import normal_parameter
from topicnet.core.nets import Proportions, SparseGaussianEncoder
from topicnet.core.sparse import SparseBatch
from topicnet.models.base import TopicModel
from topicnet.models.decoders import make_decoder
from topicnet.models.fit_settings import Plan, check_count, check_fraction
from topicnet.models.network import TopicNetwork


class NVDMGSMNetwork(TopicNetwork):
    """z ~ N(mu(x), diag sigma^2(x)), theta = softmax(W z), topics as free logits over words."""

    def __init__(
        self, vocab_size: int, n_topics: int, hidden_dim: int, latent_dim: int, dropout: float, decoder: str
    ) -> None:
        super().__init__()
        self.encoder = SparseGaussianEncoder(vocab_size, hidden_dim, latent_dim, dropout)
        self.prior = StandardNormal(latent_dim)
        self.proportions = Proportions(latent_dim, n_topics, bias=False)
        self.decoder = make_decoder(decoder, vocab_size)
        self.logits = normal_parameter(n_topics, vocab_size, std=0.1)  # (K, V)

    def encode(self, batch: SparseBatch) -> Normal:
        """q(z | x), (B, Z)."""
        posterior: Normal = self.encoder(batch)
        return posterior

    def theta(self, z: Tensor) -> Tensor:
        """softmax(W z), (B, K) (Miao et al. 2017, section 3.1)."""
        theta: Tensor = self.proportions(z)
        return theta

    def topic_logits(self) -> Tensor:
        """Free, (K, V)."""
        return self.logits

    @torch.no_grad()
    def set_topic_logits(self, logits: Tensor, topics: Tensor | None) -> None:
        """Copy them."""
        self.logits[slice(None) if topics is None else topics] = logits

    def divergence(self, q: Normal, z: Tensor, batch: SparseBatch) -> Tensor:
        """KL from the standard normal, (B,)."""
        return self.prior.kl(q)

    def kl_per_dimension(self, q: Normal) -> Tensor:
        """Mean KL of each dimension, (Z,)."""
        return self.prior.kl_per_dimension(q).mean(0)

    def prior_theta(self) -> Tensor:
        """softmax(W 0): uniform, (K,)."""
        return self.theta(self.logits.new_zeros(1, self.prior.latent_dim))[0]


class NVDMGSM(TopicModel):
    """Neural variational document model with a Gaussian softmax.

    Parameters
    ----------
    n_topics : int
        K.
    hidden_dim : int
        Width H of the encoder's layers.
    latent_dim : int, optional
        Size Z of the latent Gaussian; by default K.
    decoder : {"mixture", "product"}
        p(w|d) as a mixture of topics, as in the paper, or as their normalised product.
    dropout : float
        Share of hidden units dropped in training.
    init, batch_size, max_epochs, learning_rate, kl_warm_up, kl_weight, diversity_weight, weight_decay, \
validation_fraction, patience, device, random_state
        As in `ETM`.

    Attributes
    ----------
    components_, history_, health_, device_, n_features_in_
        As in `ETM`.

    References
    ----------
    Miao, Grefenstette & Blunsom (2017), Discovering Discrete Latent Topics with Neural Variational Inference, ICML.
    """

    PLANS: ClassVar[dict[str, Plan]] = {
        "em": Plan(400, 0.004, diversity=0.0075),
        "random": Plan(3_000, 0.01, diversity=0.025, most_epochs=300),
    }

    def __init__(
        self,
        n_topics: int = 20,
        *,
        hidden_dim: int = 128,
        latent_dim: int | None = None,
        decoder: Literal["mixture", "product"] = "mixture",
        dropout: float = 0.1,
        init: Literal["em", "random"] = "em",
        batch_size: int = 200,
        max_epochs: int | None = None,
        learning_rate: float | None = None,
        kl_warm_up: float = 0.2,
        kl_weight: float = 1.0,
        diversity_weight: float | None = None,
        weight_decay: float = 1.2e-6,
        validation_fraction: float = 0.05,
        patience: int = 10,
        device: str = "auto",
        random_state: int | RandomState | None = None,
    ) -> None:
        self.n_topics = n_topics
        self.hidden_dim = hidden_dim
        self.latent_dim = latent_dim
        self.decoder = decoder
        self.dropout = dropout
        self.init = init
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.kl_warm_up = kl_warm_up
        self.kl_weight = kl_weight
        self.diversity_weight = diversity_weight
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.device = device
        self.random_state = random_state

    def build_network(self, vocab_size: int) -> NVDMGSMNetwork:
        """Make an untrained network for V words."""
        check_count("hidden_dim", self.hidden_dim)
        check_fraction("dropout", self.dropout)
        latent_dim = self.n_topics if self.latent_dim is None else self.latent_dim
        check_count("latent_dim", latent_dim)
        return NVDMGSMNetwork(vocab_size, self.n_topics, self.hidden_dim, latent_dim, self.dropout, self.decoder)
