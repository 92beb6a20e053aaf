"""GMNTM: a topic model with a learned Gaussian mixture for a prior (after VaDE; Jiang et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from topicnet.core.distributions import GaussianMixture, Normal
from topicnet.core.em import fit_gaussians
from topicnet.core.init import normal_parameter
from topicnet.core.nets import Proportions, SparseGaussianEncoder
from topicnet.core.sparse import SparseBatch
from topicnet.errors import InputError
from topicnet.models.base import ExtraTables, VariationalModel
from topicnet.models.decoders import make_decoder
from topicnet.models.network import FreeTopicsNetwork
from topicnet.runtime.torch_state import usual_torch
from topicnet.training.checks import check_count

ASSIGNMENTS = ("optimal", "mean_posterior")


class GMNTMNetwork(FreeTopicsNetwork):
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
    ) -> None:
        super().__init__()
        self.encoder = SparseGaussianEncoder(vocab_size, hidden_dim, latent_dim, dropout)
        self.prior = GaussianMixture(n_components, latent_dim)
        self.proportions = Proportions(latent_dim, n_topics, bias=True)
        self.decoder = make_decoder(decoder, vocab_size)
        self.logits = normal_parameter(n_topics, vocab_size, std=0.1)  # (K, V)
        self.assignment = "optimal"

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
        found = fit_gaussians(means, len(self.prior.means), seed)
        if found is not None:
            self.prior.start_from(*found)


@dataclass(eq=False, repr=False, kw_only=True)
class GMNTM(VariationalModel):
    """Gaussian mixture neural topic model.

    Parameters
    ----------
    n_components : int, optional
        Components C of the prior, clusters of documents; by default K.
    assignment : {"optimal", "mean_posterior"}
        q(c|x) in training: the maximiser of the bound in closed form, or p(c|z) of the sample, as first published.
    pretrain_epochs : int
        Passes of the autoencoder without its prior, before the mixture is fitted to its latent means.

    Attributes
    ----------
    components_ : ndarray of shape (K, V), float32
        beta, the decoder at one-hot theta, rows sum to 1: theta @ components_ is p(w|d) under the mixture decoder.
    component_word_ : ndarray of shape (C, V), float32
        The decoder at the theta of each component's mean, rows sum to 1: what a cluster of documents is about.

    References
    ----------
    Jiang, Zheng, Tan, Tang & Zhou (2017), Variational Deep Embedding, IJCAI.
    """

    n_components: int | None = None
    assignment: Literal["optimal", "mean_posterior"] = "optimal"
    pretrain_epochs: int = 3

    def build_network(self, vocab_size: int) -> GMNTMNetwork:
        """Make an untrained network for V words."""
        check_count("pretrain_epochs", self.pretrain_epochs, least=0)
        n_components = self.n_topics if self.n_components is None else self.n_components
        check_count("n_components", n_components)
        if self.assignment not in ASSIGNMENTS:
            raise InputError(f"assignment={self.assignment!r} given, expected one of {', '.join(ASSIGNMENTS)}")
        network = GMNTMNetwork(
            vocab_size, self.n_topics, n_components, self.hidden_dim, self.latent_size(), self.dropout, self.decoder
        )
        network.assignment, network.pretrain_epochs = self.assignment, self.pretrain_epochs
        return network

    def extra_tables(self) -> list[ExtraTables]:
        """Documents by components, q(c|x), and components by words."""
        return [ExtraTables("component", self.component_word_, self.predict_component)]

    @property
    @usual_torch()
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

        return self._apply(X, assign)
