"""GMNTM: a topic model with a learned Gaussian mixture for a prior (after VaDE; Jiang et al. 2017)."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as FittedMixture
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from topicnet.core.distributions import GaussianMixture, Normal
from topicnet.core.init import normal_parameter
from topicnet.core.nets import Proportions, SparseGaussianEncoder
from topicnet.core.sparse import SparseBatch
from topicnet.errors import InputError
from topicnet.models.base import TopicModel
from topicnet.models.decoders import make_decoder
from topicnet.models.fit_settings import check_count, check_fraction
from topicnet.models.network import TopicNetwork

# Added to the variances of a mixture fitted to posterior means: the draws it is a prior for spread about them.
MEANS_TO_DRAWS = 0.3
ASSIGNMENTS = ("optimal", "mean_posterior")


class GMNTMNetwork(TopicNetwork):
    """q(z|x) = N(m, diag s^2), prior sum_c pi_c N(mu_c, diag sigma_c^2), theta = softmax(W z + b)."""

    def __init__(
        self,
        vocab_size: int,
        n_topics: int,
        n_components: int,
        hidden_dim: int,
        latent_dim: int,
        dropout: float,
        decoder: str,
        assignment: str,
    ) -> None:
        super().__init__()
        self.encoder = SparseGaussianEncoder(vocab_size, hidden_dim, latent_dim, dropout)
        self.prior = GaussianMixture(n_components, latent_dim)
        self.proportions = Proportions(latent_dim, n_topics, bias=True)
        self.decoder = make_decoder(decoder, vocab_size)
        self.logits = normal_parameter(n_topics, vocab_size, std=0.1)  # (K, V)
        self.assignment = assignment

    def encode(self, batch: SparseBatch) -> Normal:
        """q(z | x), (B, Z)."""
        posterior: Normal = self.encoder(batch)
        return posterior

    def theta(self, z: Tensor) -> Tensor:
        """softmax(W z + b), (B, K)."""
        theta: Tensor = self.proportions(z)
        return theta

    def topic_logits(self) -> Tensor:
        """Free, (K, V)."""
        return self.logits

    @torch.no_grad()
    def set_topic_logits(self, logits: Tensor, topics: Tensor | None) -> None:
        """Copy them."""
        self.logits[slice(None) if topics is None else topics] = logits

    def log_assignment(self, q: Normal, z: Tensor) -> Tensor:
        """log q(c|x) (B, C): the optimum in closed form, or p(c|z) of the sample."""
        return self.prior.log_assignment(q) if self.assignment == "optimal" else self.prior.log_responsibility(z)

    def divergence(self, q: Normal, z: Tensor, batch: SparseBatch) -> Tensor:
        """KL of q(z|x) q(c|x) from the mixture, (B,) (Jiang et al. 2017, eq. 12)."""
        return self.prior.kl(q, self.log_assignment(q, z))

    def kl_per_dimension(self, q: Normal) -> Tensor:
        """Mean KL of each dimension given the component, (Z,)."""
        return self.prior.kl_per_dimension(q, self.log_assignment(q, q.mean)).mean(0)

    def component_theta(self) -> Tensor:
        """softmax(W mu_c + b) of each component, (C, K)."""
        return self.theta(self.prior.means)

    def component_word(self) -> Tensor:
        """The decoder at each component's theta, (C, V)."""
        return self.decoder.words(self.component_theta(), self.topics())

    def prior_theta(self) -> Tensor:
        """The pi-weighted mean of the components' theta, (K,)."""
        return self.prior.log_weights().exp() @ self.component_theta()

    @torch.no_grad()
    def initialise(self, means: Tensor, seed: int) -> None:
        """Fit the mixture to the latent means (D, Z) of the corpus; pi uniform (Jiang et al. 2017, section 3.4)."""
        n_components = len(self.prior.means)
        points = means.double().cpu().numpy()
        if len(np.unique(points, axis=0)) < n_components:
            return  # fewer different documents than components: nothing to tell them apart by
        fitted = FittedMixture(
            n_components, covariance_type="diag", reg_covar=MEANS_TO_DRAWS, max_iter=100, tol=1e-2, random_state=seed
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # training goes on from here in any case
            fitted.fit(points)
        self.prior.means.copy_(torch.as_tensor(fitted.means_))
        self.prior.free_log_var.copy_(torch.as_tensor(np.log(fitted.covariances_)))
        self.prior.logits.zero_()


class GMNTM(TopicModel):
    """Gaussian mixture neural topic model.

    Parameters
    ----------
    n_topics : int
        K.
    n_components : int, optional
        Components C of the prior, clusters of documents; by default K.
    hidden_dim : int
        Width H of the encoder's layers.
    latent_dim : int, optional
        Size Z of the latent Gaussian; by default K.
    decoder : {"mixture", "product"}
        p(w|d) as a mixture of topics or as their normalised product.
    assignment : {"optimal", "mean_posterior"}
        q(c|x) in training: the maximiser of the bound in closed form, or p(c|z) of the sample, as first published.
    pretrain_epochs : int
        Passes of the autoencoder without its prior, before the mixture is fitted to its latent means.
    dropout : float
        Share of hidden units dropped in training.
    init, batch_size, max_epochs, learning_rate, kl_warm_up, kl_weight, diversity_weight, weight_decay, \
validation_fraction, patience, device, random_state
        As in `ETM`.

    Attributes
    ----------
    components_ : ndarray of shape (K, V), float32
        beta, the decoder at one-hot theta, rows sum to 1: theta @ components_ is p(w|d) under the mixture decoder.
    component_word_ : ndarray of shape (C, V), float32
        The decoder at the theta of each component's mean, rows sum to 1: what a cluster of documents is about.
    history_, health_, device_, n_features_in_
        As in `ETM`.

    References
    ----------
    Jiang, Zheng, Tan, Tang & Zhou (2017), Variational Deep Embedding, IJCAI.
    """

    def __init__(
        self,
        n_topics: int = 20,
        *,
        n_components: int | None = None,
        hidden_dim: int = 128,
        latent_dim: int | None = None,
        decoder: Literal["mixture", "product"] = "mixture",
        assignment: Literal["optimal", "mean_posterior"] = "optimal",
        pretrain_epochs: int = 3,
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
        self.n_components = n_components
        self.hidden_dim = hidden_dim
        self.latent_dim = latent_dim
        self.decoder = decoder
        self.assignment = assignment
        self.pretrain_epochs = pretrain_epochs
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

    def build_network(self, vocab_size: int) -> GMNTMNetwork:
        """Make an untrained network for V words."""
        check_count("hidden_dim", self.hidden_dim)
        check_fraction("dropout", self.dropout)
        check_count("pretrain_epochs", self.pretrain_epochs, least=0)
        n_components = self.n_topics if self.n_components is None else self.n_components
        latent_dim = self.n_topics if self.latent_dim is None else self.latent_dim
        check_count("n_components", n_components)
        check_count("latent_dim", latent_dim)
        if self.assignment not in ASSIGNMENTS:
            raise InputError(f"assignment={self.assignment!r} given, expected one of {', '.join(ASSIGNMENTS)}")
        network = GMNTMNetwork(
            vocab_size,
            self.n_topics,
            n_components,
            self.hidden_dim,
            latent_dim,
            self.dropout,
            self.decoder,
            self.assignment,
        )
        network.pretrain_epochs = self.pretrain_epochs
        return network

    @property
    def component_word_(self) -> NDArray[np.float32]:
        """The decoder at each component's theta, (C, V), rows sum to 1."""
        check_is_fitted(self)
        network = self.network_
        assert isinstance(network, GMNTMNetwork)
        with torch.inference_mode():
            words: NDArray[np.float32] = network.component_word().cpu().numpy()
        return words

    def predict_component(self, X: Any) -> NDArray[np.float32]:
        """Probability q(c|x) of each component of the prior.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_docs, vocab_size)
            Non-negative counts over the vocabulary of the fit.

        Returns
        -------
        ndarray of shape (n_docs, n_components), float32
            Rows sum to 1; a document without words gets the weights of the prior.
        """

        def assign(network: GMNTMNetwork, batch: SparseBatch) -> Tensor:
            q = network.encode(batch)
            filled = batch.pattern.starts.diff() > 0
            given = network.log_assignment(q, q.mean)
            return torch.where(filled[:, None], given, network.prior.log_weights()).exp()

        return self._answer(X, assign)
