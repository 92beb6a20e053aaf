"""ETM: topics as points among word embeddings (Dieng, Ruiz & Blei 2020, eq. 5-8)."""

from __future__ import annotations

from typing import Literal

import torch
from numpy.random import RandomState
from torch import Tensor
from torch.nn import functional

from topicnet.core.distributions import Normal, StandardNormal
from topicnet.core.em import MixtureFit
from topicnet.core.nets import SparseGaussianEncoder, normal_parameter
from topicnet.core.sparse import SparseBatch
from topicnet.models.base import TopicModel
from topicnet.models.fitting import check_count, check_share
from topicnet.models.network import TopicNetwork


class ETMNetwork(TopicNetwork):
    """Encoder to N(delta; mu, Sigma), theta = softmax(delta), beta_k = softmax(rho alpha_k)."""

    def __init__(self, vocab_size: int, n_topics: int, hidden_dim: int, embedding_dim: int, dropout: float) -> None:
        super().__init__()
        self.encoder = SparseGaussianEncoder(vocab_size, hidden_dim, n_topics, dropout)
        self.prior = StandardNormal(n_topics)
        scale = embedding_dim**-0.25  # products of embeddings start with variance 1
        self.rho = normal_parameter(vocab_size, embedding_dim, std=scale)  # (V, L)
        self.alpha = normal_parameter(n_topics, embedding_dim, std=scale)  # (K, L)

    def encode(self, batch: SparseBatch) -> Normal:
        """q(delta | x), (B, K)."""
        posterior: Normal = self.encoder(batch)
        return posterior

    def theta(self, z: Tensor) -> Tensor:
        """softmax(delta), (B, K): W is the identity, as in the paper."""
        return z.softmax(-1)

    def beta(self) -> Tensor:
        """softmax over words of alpha_k . rho_v, (K, V)."""
        return functional.linear(self.alpha, self.rho).softmax(-1)

    def divergence(self, q: Normal, z: Tensor) -> Tensor:
        """KL from the standard normal, (B,)."""
        return self.prior.kl(q)

    @torch.no_grad()
    def start_from(self, mixture: MixtureFit) -> None:
        """Factor the log-topics of an EM fit into word and topic embeddings by truncated SVD."""
        log_beta = mixture.beta.log()
        log_beta -= log_beta.mean(-1, keepdim=True)
        topics, scale, words = torch.linalg.svd(log_beta, full_matrices=False)
        rank = min(len(scale), self.rho.shape[1])
        root = scale[:rank].sqrt()
        # The dimensions the topics do not need stay small, free to be used in training.
        for parameter in (self.rho, self.alpha):
            parameter.mul_(0.01 / parameter.std().clamp_min(1e-12))
        self.rho[:, :rank] = words[:rank].T * root
        self.alpha[:, :rank] = topics[:, :rank] * root


class ETM(TopicModel):
    """Embedded topic model.

    Parameters
    ----------
    n_topics : int
        K.
    hidden_dim : int
        Width H of the encoder's layers.
    embedding_dim : int, optional
        Size L of the embeddings; by default 100, or K where that is more. The paper's 300 is slower and scores the
        same here (README, "Choices").
    dropout : float
        Share of hidden units dropped in training.
    init : {"em", "random"}
        Start from k-means and MAP-EM, with the encoder taught EM's theta, or from random weights.
    batch_size : int
        Documents per step.
    max_epochs : int, optional
        Passes over the corpus; by default as many as 1,200 steps allow (3,000 from a random start), from 5 to 100.
    learning_rate : float, optional
        Peak of the one-cycle schedule; by default 0.002 after an EM start, 0.01 from random weights.
    kl_warm_up : float
        Share of the run over which the KL term grows to its full weight.
    kl_weight : float
        Full weight of the KL term; 1 is the evidence lower bound.
    weight_decay : float
        Of Adam, on weight matrices.
    validation_fraction : float
        Share of documents kept apart to choose the best epoch and to stop early; 0 keeps none.
    patience : int
        Epochs without improvement on them before the run stops.
    device : str
        "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1".
    random_state : int, RandomState or None
        Seed; the same seed gives the same bits on one machine and thread count.

    Attributes
    ----------
    components_ : ndarray of shape (K, V), float32
        beta, rows sum to 1.
    history_ : list of dict
        Per epoch: loss terms in nats per document, validation bound, active units, seconds.
    device_ : str
        The device the model was trained on.
    n_features_in_ : int
        V.

    References
    ----------
    Dieng, Ruiz & Blei (2020), Topic Modeling in Embedding Spaces, TACL 8.
    """

    def __init__(
        self,
        n_topics: int = 20,
        *,
        hidden_dim: int = 256,
        embedding_dim: int | None = None,
        dropout: float = 0.1,
        init: Literal["em", "random"] = "em",
        batch_size: int = 200,
        max_epochs: int | None = None,
        learning_rate: float | None = None,
        kl_warm_up: float = 0.2,
        kl_weight: float = 1.0,
        weight_decay: float = 1.2e-6,
        validation_fraction: float = 0.05,
        patience: int = 10,
        device: str = "auto",
        random_state: int | RandomState | None = None,
    ) -> None:
        self.n_topics = n_topics
        self.hidden_dim = hidden_dim
        self.embedding_dim = embedding_dim
        self.dropout = dropout
        self.init = init
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.kl_warm_up = kl_warm_up
        self.kl_weight = kl_weight
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.device = device
        self.random_state = random_state

    def build_network(self, vocab_size: int) -> ETMNetwork:
        """Make an untrained network for V words."""
        check_count("hidden_dim", self.hidden_dim)
        check_share("dropout", self.dropout)
        embedding_dim = max(100, self.n_topics) if self.embedding_dim is None else self.embedding_dim
        check_count("embedding_dim", embedding_dim)
        return ETMNetwork(vocab_size, self.n_topics, self.hidden_dim, embedding_dim, self.dropout)
