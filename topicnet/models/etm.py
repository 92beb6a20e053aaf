"""ETM: topics as points among word embeddings (Dieng, Ruiz & Blei 2020, eq. 5-8)."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from topicnet.core.distributions import Normal, StandardNormal
from topicnet.core.init import normal_parameter
from topicnet.core.nets import Proportions, SparseGaussianEncoder
from topicnet.core.sparse import SparseBatch
from topicnet.errors import InputError
from topicnet.models.base import TopicModel
from topicnet.models.decoders import make_decoder
from topicnet.models.fit_settings import Plan, check_count, check_fraction
from topicnet.models.network import TopicNetwork


class ETMNetwork(TopicNetwork):
    """Encoder to N(delta; mu, Sigma), theta = softmax(W delta + b), topic logits rho alpha_k."""

    topic_logits_from: ClassVar[tuple[str, ...]] = ("rho", "alpha")

    def __init__(
        self,
        vocab_size: int,
        n_topics: int,
        hidden_dim: int,
        embedding_dim: int,
        dropout: float,
        latent_dim: int | None = None,
        decoder: str = "mixture",
    ) -> None:
        super().__init__()
        self.encoder = SparseGaussianEncoder(vocab_size, hidden_dim, latent_dim or n_topics, dropout)
        self.prior = StandardNormal(latent_dim or n_topics)
        # W is the identity in the paper; a latent space of another size needs a map.
        self.proportions = nn.Softmax(-1) if latent_dim is None else Proportions(latent_dim, n_topics, bias=True)
        self.decoder = make_decoder(decoder, vocab_size)
        self.keeps_rho = False  # given vectors are a start that no other may replace
        scale = embedding_dim**-0.25  # products of embeddings start with variance 1
        self.rho = normal_parameter(vocab_size, embedding_dim, std=scale)  # (V, L)
        self.alpha = normal_parameter(n_topics, embedding_dim, std=scale)  # (K, L)

    def encode(self, batch: SparseBatch) -> Normal:
        """q(delta | x), (B, Z)."""
        posterior: Normal = self.encoder(batch)
        return posterior

    def theta(self, z: Tensor) -> Tensor:
        """softmax(W delta + b), (B, K)."""
        theta: Tensor = self.proportions(z)
        return theta

    def topic_logits(self) -> Tensor:
        """alpha_k . rho_v, (K, V)."""
        return functional.linear(self.alpha, self.rho)

    def divergence(self, q: Normal, z: Tensor, batch: SparseBatch) -> Tensor:
        """KL from the standard normal, (B,)."""
        return self.prior.kl(q)

    def kl_per_dimension(self, q: Normal) -> Tensor:
        """Mean KL of each dimension, (Z,)."""
        return self.prior.kl_per_dimension(q).mean(0)

    def prior_theta(self) -> Tensor:
        """Theta of delta = 0, (K,)."""
        return self.theta(self.rho.new_zeros(1, self.prior.latent_dim))[0]

    @torch.no_grad()
    def set_topic_logits(self, logits: Tensor, topics: Tensor | None) -> None:
        """Fit embeddings to the logits: both by truncated SVD, alpha alone where rho is given or others use it."""
        if topics is None and self.rho.requires_grad and not self.keeps_rho:
            self._factor(logits)
        else:
            chosen = slice(None) if topics is None else topics
            self.alpha[chosen] = _least_squares(self.rho, logits)

    def take_embeddings(self, vectors: Tensor, freeze: bool) -> None:
        """Start rho (V, L) from word vectors, and hold it there if asked."""
        self.keeps_rho = True
        with torch.no_grad():
            # Longer vectors than the random start's would make the first topics too sure of themselves.
            self.rho.copy_(vectors * (self.rho.norm() / vectors.norm().clamp_min(1e-12)))
        self.rho.requires_grad_(not freeze)

    def _factor(self, logits: Tensor) -> None:
        topics, scale, words = torch.linalg.svd(logits, full_matrices=False)
        rank = min(len(scale), self.rho.shape[1])
        root = scale[:rank].sqrt()
        # The dimensions the topics do not need stay small, free to be used in training.
        for parameter in (self.rho, self.alpha):
            parameter.mul_(0.01 / parameter.std().clamp_min(1e-12))
        self.rho[:, :rank] = words[:rank].T * root
        self.alpha[:, :rank] = topics[:, :rank] * root


def _least_squares(rho: Tensor, logits: Tensor) -> Tensor:
    """The alpha (n, L) whose products with rho (V, L) are nearest to the logits (n, V), a little held back."""
    gram = rho.T @ rho
    ridge = 1e-3 * gram.diagonal().mean().clamp_min(1e-12) * torch.eye(len(gram), device=rho.device, dtype=rho.dtype)
    solution: Tensor = torch.linalg.solve(gram + ridge, rho.T @ logits.T).T
    return solution


class ETM(TopicModel):
    """Embedded topic model.

    Parameters
    ----------
    n_topics : int
        K.
    hidden_dim : int
        Width H of the encoder's layers.
    embedding_dim : int, optional
        Size L of the embeddings; by default that of the given ones, else 100, or K where that is more. The paper's 300
        is slower and scores the same here (README, "Choices").
    embeddings : ndarray of shape (vocab_size, embedding_dim), optional
        Word vectors to start rho from. `topicnet.fit` and the command line also take a word2vec or GloVe file, or
        "train" for vectors learned from the corpus first.
    freeze_embeddings : bool
        Hold rho at the given vectors.
    latent_dim : int, optional
        Size Z of the latent Gaussian, mapped to K topics; by default K and no map, as in the paper.
    decoder : {"mixture", "product"}
        p(w|d) as a mixture of topics, as in the paper, or as their normalised product.
    dropout : float
        Share of hidden units dropped in training.
    init : {"em", "random"}
        Start from k-means and MAP-EM, with the encoder taught EM's theta, or from random weights.
    batch_size : int
        Documents per step.
    max_epochs : int, optional
        Passes over the corpus; by default as many as the steps of `PLANS` allow, from 5 to 100.
    learning_rate : float, optional
        Peak of the one-cycle schedule; by default that of `PLANS`, less after an EM start on documents of fewer than
        20 tokens.
    kl_warm_up : float
        Share of the run over which the KL term grows to its full weight.
    kl_weight : float
        Full weight of the KL term; 1 is the evidence lower bound.
    diversity_weight : float, optional
        Nats per token that one unit of overlap between topics costs in training (mean over topics of the cosines with
        all others); by default that of `PLANS`, 0 is the objective of the paper. No part of the bound, the score or the
        perplexity.
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
        Per epoch: loss terms in nats per document, validation loss, signs of collapse, seconds.
    health_ : HealthReport
        What was seen and done about collapse, and whether the model is fit for use.
    device_ : str
        The device the model was trained on.
    n_features_in_ : int
        V.

    References
    ----------
    Dieng, Ruiz & Blei (2020), Topic Modeling in Embedding Spaces, TACL 8.
    """

    PLANS: ClassVar[dict[str, Plan]] = {
        "em": Plan(400, 0.004, diversity=0.01, short_document_lr_decay=4.0, short_document_lr_decay_of="network"),
        "random": Plan(3_000, 0.01, diversity=0.015, most_epochs=300),
    }

    def __init__(
        self,
        n_topics: int = 20,
        *,
        hidden_dim: int = 128,
        embedding_dim: int | None = None,
        embeddings: NDArray[np.floating] | None = None,
        freeze_embeddings: bool = False,
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
        self.embedding_dim = embedding_dim
        self.embeddings = embeddings
        self.freeze_embeddings = freeze_embeddings
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

    def build_network(self, vocab_size: int) -> ETMNetwork:
        """Make an untrained network for V words."""
        check_count("hidden_dim", self.hidden_dim)
        check_fraction("dropout", self.dropout)
        if self.latent_dim is not None:
            check_count("latent_dim", self.latent_dim)
        if not isinstance(self.freeze_embeddings, bool):
            raise InputError(f"freeze_embeddings={self.freeze_embeddings!r} given, expected true or false")
        vectors = None if self.embeddings is None else _check_vectors(self.embeddings, self.embedding_dim)
        given = max(100, self.n_topics) if vectors is None else vectors.shape[1]
        embedding_dim = given if self.embedding_dim is None else self.embedding_dim
        check_count("embedding_dim", embedding_dim)
        network = ETMNetwork(
            vocab_size, self.n_topics, self.hidden_dim, embedding_dim, self.dropout, self.latent_dim, self.decoder
        )
        if vectors is not None and not network.rho.is_meta:
            if len(vectors) != vocab_size:
                raise InputError(
                    f"embeddings of {len(vectors)} words given for counts of {vocab_size}: expected a row for each word"
                )
            network.take_embeddings(torch.as_tensor(vectors), self.freeze_embeddings)
        return network


def _check_vectors(embeddings: object, embedding_dim: int | None) -> NDArray[np.float32]:
    """Word vectors as an array (V, L)."""
    if isinstance(embeddings, str):
        raise InputError(
            f"embeddings={embeddings!r} given, expected an array with a row for each word: a file's vectors are aligned"
            " to the words by topicnet.fit and the command line"
        )
    vectors = np.asarray(embeddings, dtype=np.float32)
    if vectors.ndim != 2 or not vectors.size or not np.isfinite(vectors).all():
        raise InputError(f"embeddings of shape {vectors.shape} given, expected finite numbers, (vocab_size, L)")
    if embedding_dim is not None and embedding_dim != vectors.shape[1]:
        raise InputError(f"embedding_dim={embedding_dim} given with embeddings of {vectors.shape[1]}: leave it out")
    return vectors
