"""GMNTM, a topic model with a learned Gaussian mixture as its prior (after VaDE; Jiang et al. 2017)."""

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
from topicnet.models.base import ExtraTables, VariationalModel
from topicnet.models.decoders import make_decoder
from topicnet.models.network import FreeTopicsNetwork, VariationalNetwork
from topicnet.runtime.torch_state import usual_torch
from topicnet.training.checks import check_choice, check_count

CHOICES = {
    "assignment": ("optimal", "mean_posterior"), "covariance_type": ("diag", "spherical"),
    "learn_weights": (True, False),
}  # fmt: skip


class GMNTMNetwork(FreeTopicsNetwork, VariationalNetwork):
    """Network of GMNTM: q(z|x) = N(m, diag s^2), a Gaussian mixture prior, theta = softmax(W z + b)."""

    prior: GaussianMixture

    def __init__(
        self,
        vocab_size: int,
        n_topics: int,
        n_components: int,
        hidden_dim: int,
        latent_dim: int,
        dropout: float,
        decoder: str,
        learn_weights: bool,
        isotropic: bool,
    ) -> None:
        super().__init__()
        self.encoder = SparseGaussianEncoder(vocab_size, hidden_dim, latent_dim, dropout)
        self.prior = GaussianMixture(n_components, latent_dim, learn_weights=learn_weights, isotropic=isotropic)
        self.proportions = Proportions(latent_dim, n_topics, bias=True)
        self.decoder = make_decoder(decoder, vocab_size)
        self.logits = normal_parameter(n_topics, vocab_size, std=0.1)  # (K, V)
        self.assignment = "optimal"

    def log_assignment(self, q: Normal, z: Tensor) -> Tensor:
        """Log of q(c|x), (B, C): the optimum of the bound in closed form, or p(c|z) of the sample."""
        return self.prior.log_assignment(q) if self.assignment == "optimal" else self.prior.log_responsibility(z)

    def divergence(self, q: Normal, z: Tensor, batch: SparseBatch) -> Tensor:
        """KL of q(z|x) q(c|x) from the mixture, (B,) nats (Jiang et al. 2017, eq. 12)."""
        return self.prior.kl(q, self.log_assignment(q, z))

    def kl_per_dimension(self, q: Normal) -> Tensor:
        """Mean KL of each latent dimension given the component, (Z,) nats."""
        return self.prior.kl_per_dimension(q, self.log_assignment(q, q.mean)).mean(0)

    def component_theta(self) -> Tensor:
        """Theta of each component's mean, softmax(W mu_c + b), (C, K)."""
        return self.theta(self.prior.means)

    def component_word(self) -> Tensor:
        """Word probabilities at each component's theta, (C, V)."""
        return self.decoder.words(self.component_theta(), self.topics())

    def prior_theta(self) -> Tensor:
        """Mean of the components' theta, weighted by pi, (K,)."""
        return self.prior.log_weights().exp() @ self.component_theta()

    @torch.no_grad()
    def initialise(self, means: Tensor, seed: int) -> None:
        """Fit the mixture to the latent means (D, Z), with uniform pi (Jiang et al. 2017, section 3.4)."""
        found = fit_gaussians(means, len(self.prior.means), seed)
        if found is not None:
            self.prior.start_from(*found)


@dataclass(eq=False, repr=False, kw_only=True)
class GMNTM(VariationalModel):
    """Gaussian mixture neural topic model (GMNTM), which clusters documents while it learns topics.

    Parameters
    ----------
    n_components : int, optional
        Number of components C of the prior, the clusters of documents. By default K.
    assignment : {"optimal", "mean_posterior"}
        Choice of q(c|x) in training: the closed form that maximises the bound, or p(c|z) of the sample, as published.
    learn_weights : bool
        Learn the weights pi of the components. They start equal and stay so with False.
    covariance_type : {"diag", "spherical"}
        Variances of a component: one for each dimension, or a single one, sigma_c^2 I.
    pretrain_epochs : int
        Epochs in which the network is trained without its prior, before the mixture is fitted to its latent means.

    Attributes
    ----------
    components_ : ndarray of shape (n_topics, vocab_size), float32
        Topics beta, not components of the mixture; each row is a probability distribution over words.
    component_word_ : ndarray of shape (n_components, vocab_size), float32
        Word probabilities at the mean of each component, which describe a cluster of documents; rows sum to 1.

    Notes
    -----
    c ~ pi, z ~ N(mu_c, diag sigma_c^2) (Jiang et al. 2017, eq. 1-3), theta = softmax(W z + b). The divergence in the
    loss is that of eq. 12; pre-training and the start of the mixture follow section 3.4.

    References
    ----------
    Jiang, Zheng, Tan, Tang & Zhou (2017), Variational Deep Embedding, IJCAI.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet import GMNTM
    >>> counts = np.random.default_rng(0).poisson(1.0, (20, 12))  # 20 documents, 12 words
    >>> model = GMNTM(n_topics=3, n_components=2, init="random", max_epochs=2, random_state=0).fit(counts)
    >>> model.transform(counts).shape, model.component_word_.shape, model.predict_component(counts).shape
    ((20, 3), (2, 12), (20, 2))
    """

    n_components: int | None = None
    assignment: Literal["optimal", "mean_posterior"] = "optimal"
    learn_weights: bool = True
    covariance_type: Literal["diag", "spherical"] = "diag"
    pretrain_epochs: int = 3

    def build_network(self, vocab_size: int) -> GMNTMNetwork:
        """Build an untrained network.

        Parameters
        ----------
        vocab_size : int
            Number of words V.

        Returns
        -------
        GMNTMNetwork
            Network with random weights.

        Raises
        ------
        InputError
            If an option of this model is out of its range.

        Examples
        --------
        >>> from topicnet import GMNTM
        >>> GMNTM(n_topics=3).build_network(vocab_size=12).beta().shape
        torch.Size([3, 12])
        """
        check_count("pretrain_epochs", self.pretrain_epochs, least=0)
        n_components = self.n_topics if self.n_components is None else self.n_components
        check_count("n_components", n_components)
        for name, allowed in CHOICES.items():
            check_choice(name, getattr(self, name), allowed)
        sizes = (vocab_size, self.n_topics, n_components, self.hidden_dim, self.latent_size())
        isotropic = self.covariance_type == "spherical"
        network = GMNTMNetwork(*sizes, self.dropout, self.decoder, self.learn_weights, isotropic)
        network.assignment, network.pretrain_epochs = self.assignment, self.pretrain_epochs
        return network

    def extra_tables(self) -> list[ExtraTables]:
        """List the tables of the mixture's components: q(c|x) by document, and words by component.

        Returns
        -------
        list of ExtraTables
            One entry, with the unit "component".

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet import GMNTM
        >>> counts = np.random.default_rng(0).poisson(1.0, (20, 12))
        >>> model = GMNTM(n_topics=3, n_components=2, init="random", max_epochs=1, random_state=0).fit(counts)
        >>> [(table.unit, table.words.shape) for table in model.extra_tables()]
        [('component', (2, 12))]
        """
        return [ExtraTables("component", self.component_word_, self.predict_component)]

    @property
    @usual_torch()
    def component_word_(self) -> NDArray[np.float32]:
        """Word probabilities at the mean of each component, (n_components, vocab_size); rows sum to 1.

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet import GMNTM
        >>> counts = np.random.default_rng(0).poisson(1.0, (20, 12))
        >>> model = GMNTM(n_topics=3, n_components=2, init="random", max_epochs=1, random_state=0).fit(counts)
        >>> model.component_word_.shape
        (2, 12)
        """
        check_is_fitted(self)
        network = self.network_
        assert isinstance(network, GMNTMNetwork)
        with torch.inference_mode():
            words: NDArray[np.float32] = network.component_word().cpu().numpy()
        return words

    def predict_component(self, X: Any) -> NDArray[np.float32]:
        """Infer the probability q(c|x) of each component of the prior for each document.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_docs, vocab_size)
            Non-negative word counts over the vocabulary of the fit.

        Returns
        -------
        ndarray of shape (n_docs, n_components), float32
            Probabilities; rows sum to 1. An empty document gets the weights pi of the prior.

        Raises
        ------
        InputError
            If a count is above 2^31.
        ValueError
            If `X` has a negative or non-finite number, or another number of words than in `fit`.
        sklearn.exceptions.NotFittedError
            If the model is not fitted.

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet import GMNTM
        >>> counts = np.random.default_rng(0).poisson(1.0, (20, 12))
        >>> model = GMNTM(n_topics=3, n_components=2, init="random", max_epochs=1, random_state=0).fit(counts)
        >>> model.predict_component(counts[:4]).shape
        (4, 2)
        """

        def assign(network: GMNTMNetwork, batch: SparseBatch) -> Tensor:
            q = network.encode(batch)
            filled = batch.pattern.starts.diff() > 0
            given = network.log_assignment(q, q.mean)
            return torch.where(filled[:, None], given, network.prior.log_weights()).exp()

        return self._apply(X, assign)
