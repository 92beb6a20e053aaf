"""W-LDA, a Wasserstein autoencoder whose topic proportions follow a prior (Nan, Ding, Nallapati & Xiang 2019)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from topicnet.core.counter_rng import THETA, Noise
from topicnet.core.distributions import Dirichlet, GaussianMixture, Point, SoftmaxMixture, StandardNormal
from topicnet.core.divergences import KERNELS, mmd
from topicnet.core.gamma_latent import log_gamma_of_normal
from topicnet.core.init import normal_parameter
from topicnet.core.nets import SparsePointEncoder
from topicnet.core.sparse import SparseBatch
from topicnet.errors import InputError
from topicnet.models.base import TopicModel
from topicnet.models.decoders import make_decoder
from topicnet.models.fit_settings import Plan
from topicnet.models.latent_model import DirichletPrior, DirichletProposal, LatentModel, Proposal, frozen
from topicnet.models.network import FreeTopicsNetwork, uniform_nats
from topicnet.training.checks import check_fraction, check_number


class DirichletNoise(nn.Module):
    """Dirichlet noise in theta, used only in training: (1 - a) theta + a noise (Nan et al. 2019, section 4.2)."""

    def __init__(self, n_topics: int, concentration: float, fraction: float) -> None:
        super().__init__()
        self.distribution = Dirichlet(n_topics, concentration)
        self.fraction = fraction

    def forward(self, theta: Tensor, noise: Noise) -> Tensor:
        """Mix theta with noise, (B, K)."""
        if self.fraction == 0:
            return theta
        return theta.lerp(self.distribution.sample(noise, theta, THETA), self.fraction)


class WLDANetwork(FreeTopicsNetwork):
    """Network of W-LDA: a deterministic encoder z(x), theta = softmax(z), and the MMD between theta and its prior."""

    divergence_name: ClassVar[str] = "mmd"
    has_bound: ClassVar[bool] = False

    def __init__(
        self,
        vocab_size: int,
        n_topics: int,
        hidden_dim: int,
        dropout: float,
        decoder: str,
        prior: Dirichlet | SoftmaxMixture,
        kernel: str,
        noise: DirichletNoise,
    ) -> None:
        super().__init__()
        self.encoder = SparsePointEncoder(vocab_size, hidden_dim, n_topics, dropout)
        self.proportions = nn.Softmax(-1)
        self.prior = prior
        self.kernel = KERNELS[kernel]
        self.theta_noise = noise
        self.decoder = make_decoder(decoder, vocab_size)
        self.logits = normal_parameter(n_topics, vocab_size, std=0.1)  # (K, V)

    def divergence(self, q: Point, z: Tensor, batch: SparseBatch) -> Tensor:
        """Squared MMD between the theta of the batch and draws from the prior, a scalar.

        It is scaled by the mean document length and log V, so that both loss terms are in nats; the paper divides the
        reconstruction by them instead.
        """
        root_theta = (z.log_softmax(-1) / 2).exp()  # sqrt(theta), with a finite gradient at theta = 0
        root_prior = self.prior.sample(batch.noise, z).sqrt()
        nats = self.mean_length * uniform_nats(self.logits.shape[1])
        return nats * mmd(root_theta, root_prior, lambda a, b: self.kernel(a, b, 1.0), batch.shard)

    def kl_per_dimension(self, q: Point) -> Tensor:
        """Variance of each latent dimension over documents, (Z,) (Burda et al. 2016, section 5.2)."""
        return q.mean.var(0, correction=0)

    def latent_model(self) -> LatentModel:
        """Use the prior of theta: a Dirichlet as a map of standard normals, or the Gaussian mixture before its softmax.

        The noise that training mixes into theta is not part of the model.
        """
        n_topics, prior = len(self.logits), self.prior
        if isinstance(prior, Dirichlet):
            concentration = prior.concentration
            return LatentModel(
                StandardNormal(n_topics), n_topics, lambda v: log_gamma_of_normal(v, concentration).softmax(-1)
            )
        mixture = GaussianMixture(n_topics, n_topics, learn_weights=False)
        mixture.start_from(prior.distance * torch.eye(n_topics), torch.zeros(n_topics, n_topics))
        return LatentModel(frozen(mixture).to(self.logits.device), n_topics, nn.Softmax(-1))

    def proposal(self, batch: SparseBatch) -> tuple[LatentModel, Proposal] | None:
        """Use the Dirichlet posterior that the inferred theta would imply if the topic of every token were known.

        Dirichlet(alpha0 + N_d theta(x_d)), on the simplex; None under the Gaussian mixture, which has no such form.
        """
        if not isinstance(self.prior, Dirichlet):
            return None
        tokens = batch.row_sums(batch.counts)
        concentration = self.prior.concentration + tokens[:, None] * self.theta(self.encode(batch).mean)
        on_simplex = DirichletPrior(len(self.logits), self.prior.concentration)
        return LatentModel(on_simplex, len(self.logits), torch.exp), DirichletProposal(concentration)

    def prior_theta(self) -> Tensor:
        """Uniform proportions, the mean of both priors, (K,)."""
        n_topics = len(self.logits)
        return self.logits.new_full((n_topics,), 1.0 / n_topics)


@dataclass(eq=False, repr=False, kw_only=True)
class WLDA(TopicModel):
    """Wasserstein autoencoder topic model (W-LDA) with a Dirichlet prior over topic proportions.

    The model has no likelihood bound: `score` returns the likelihood at the inferred theta, and `perplexity` raises
    InputError.

    Parameters
    ----------
    decoder : {"product", "mixture"}
        Model p(w|d) as the normalised product of topics, as in the paper, or as their mixture.
    batch_size : int
        Documents per training step, 2 or more. Progress depends on the number of steps, so that small batches need half
        the time.
    prior : {"dirichlet", "gaussian-mixture"}
        Symmetric Dirichlet, or the softmax of a mixture of K unit Gaussians, one for each topic (WTM-GMM).
    concentration : float
        Concentration of the Dirichlet prior and of the Dirichlet noise.
    noise : float
        Fraction a of Dirichlet noise mixed into theta in training, from 0 to below 1. The paper's 0.2 gives less
        coherent topics here.
    kernel : {"diffusion", "gaussian", "imq"}
        Kernel of the discrepancy: information diffusion as in the paper, Gaussian or inverse multiquadratic.
    mmd_weight : float
        Weight of the discrepancy in the loss (lambda in the paper).
    mmd_warm_up : float
        Fraction of the training steps over which the weight of the discrepancy grows from 0 to `mmd_weight`.

    Notes
    -----
    theta_d = softmax(z(x_d)), without sampling. The loss is the reconstruction error plus the maximum mean discrepancy
    of theta from its prior (Tolstikhin et al. 2018, eq. 4). Decoder: Nan et al. 2019, section 3; noise: section 4.2.

    References
    ----------
    Nan, Ding, Nallapati & Xiang (2019), Topic Modeling with Wasserstein Autoencoders, ACL.
    Tolstikhin, Bousquet, Gelly & Schoelkopf (2018), Wasserstein Auto-Encoders, ICLR.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet import WLDA
    >>> counts = np.random.default_rng(0).poisson(1.0, (20, 12))  # 20 documents, 12 words
    >>> model = WLDA(n_topics=3, init="random", max_epochs=2, random_state=0).fit(counts)
    >>> model.components_.shape, model.transform(counts).shape
    ((3, 12), (20, 3))
    """

    DIVERGENCE: ClassVar[str] = "mmd"
    PLANS: ClassVar[dict[str, Plan]] = {
        # A longer encoder warm-up: topics that the encoder has not learned to use are lost in the first epochs.
        "em": Plan(
            320,
            0.04,
            diversity=0.015,
            least_epochs=2,
            short_document_lr_decay=4.0,
            short_document_lr_decay_of="network",
            encoder_warm_up_epochs=2,
            encoder_warm_up_factor=2.0,
        ),
        "random": Plan(5_000, 0.012, diversity=0.03, most_epochs=300),
    }

    hidden_dim: int = 100
    decoder: Literal["mixture", "product"] = "product"
    prior: Literal["dirichlet", "gaussian-mixture"] = "dirichlet"
    concentration: float = 0.1
    noise: float = 0.3
    kernel: Literal["diffusion", "gaussian", "imq"] = "diffusion"
    mmd_weight: float = 1.0
    mmd_warm_up: float = 0.0
    dropout: float = 0.0
    batch_size: int = 100

    def build_network(self, vocab_size: int) -> WLDANetwork:
        """Build an untrained network.

        Parameters
        ----------
        vocab_size : int
            Number of words V.

        Returns
        -------
        WLDANetwork
            Network with random weights.

        Raises
        ------
        InputError
            If an option of this model is out of its range.

        Examples
        --------
        >>> from topicnet import WLDA
        >>> WLDA(n_topics=3).build_network(vocab_size=12).beta().shape
        torch.Size([3, 12])
        """
        check_fraction("noise", self.noise)
        check_number("concentration", self.concentration, above=0.0)
        if not isinstance(self.kernel, str) or self.kernel not in KERNELS:
            raise InputError(f"kernel={self.kernel!r} given, expected one of {', '.join(KERNELS)}")
        if self.prior not in ("dirichlet", "gaussian-mixture"):
            raise InputError(f'prior={self.prior!r} given, expected "dirichlet" or "gaussian-mixture"')
        noise = DirichletNoise(self.n_topics, self.concentration, self.noise)
        # At this distance the topic of a component has about two thirds of a document, as under concentration 0.1.
        mixture = SoftmaxMixture(self.n_topics, math.log(max(2, self.n_topics)) + 1.5)
        prior = noise.distribution if self.prior == "dirichlet" else mixture
        return WLDANetwork(
            vocab_size, self.n_topics, self.hidden_dim, self.dropout, self.decoder, prior, self.kernel, noise
        )
