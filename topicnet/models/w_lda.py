"""W-LDA: topic proportions matched to a prior by maximum mean discrepancy (Nan, Ding, Nallapati & Xiang 2019)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from topicnet.core.counter_rng import THETA, Noise
from topicnet.core.distributions import Dirichlet, Point, SoftmaxMixture
from topicnet.core.divergences import KERNELS, mmd
from topicnet.core.init import normal_parameter
from topicnet.core.nets import SparsePointEncoder
from topicnet.core.sparse import SparseBatch
from topicnet.errors import InputError
from topicnet.models.base import TopicModel
from topicnet.models.decoders import make_decoder
from topicnet.models.fit_settings import Plan
from topicnet.models.network import FreeTopicsNetwork, uniform_nats
from topicnet.training.checks import check_fraction, check_number


class DirichletNoise(nn.Module):
    """theta' = (1 - a) theta + a Dirichlet noise, in the objective alone (Nan et al. 2019, section 4.2)."""

    def __init__(self, n_topics: int, concentration: float, fraction: float) -> None:
        super().__init__()
        self.distribution = Dirichlet(n_topics, concentration)
        self.fraction = fraction

    def forward(self, theta: Tensor, noise: Noise) -> Tensor:
        """Mix theta (B, K) with noise."""
        if self.fraction == 0:
            return theta
        return theta.lerp(self.distribution.sample(noise, theta, THETA), self.fraction)


class WLDANetwork(FreeTopicsNetwork):
    """A deterministic encoder to theta = softmax(z), matched to the prior over theta by MMD."""

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
        """MMD^2 from the prior over theta, a scalar.

        The paper divides the reconstruction by mean length and log V instead: here both terms stay in nats.
        """
        root_theta = (z.log_softmax(-1) / 2).exp()  # the square root of theta, with a gradient at 0
        root_prior = self.prior.sample(batch.noise, z).sqrt()
        nats = self.mean_length * uniform_nats(self.logits.shape[1])
        return nats * mmd(root_theta, root_prior, lambda a, b: self.kernel(a, b, 1.0), batch.shard)

    def kl_per_dimension(self, q: Point) -> Tensor:
        """Variance over documents of each dimension, (Z,) (Burda et al. 2016, section 5.2)."""
        return q.mean.var(0, correction=0)

    def prior_theta(self) -> Tensor:
        """The uniform: mean of both priors, (K,)."""
        n_topics = len(self.logits)
        return self.logits.new_full((n_topics,), 1.0 / n_topics)


@dataclass(eq=False, repr=False, kw_only=True)
class WLDA(TopicModel):
    """Wasserstein autoencoder with a prior over topic proportions.

    There is no likelihood bound: `score` is the likelihood at the inferred theta, and `perplexity` refuses.

    Parameters
    ----------
    decoder : {"product", "mixture"}
        p(w|d) as the normalised product of topics, as in the paper, or as their mixture.
    prior : {"dirichlet", "gaussian-mixture"}
        Symmetric Dirichlet, or the softmax of a mixture of K unit Gaussians (WTM-GMM), one near each topic.
    concentration : float
        Of the Dirichlet, and of the noise.
    noise : float
        Fraction a of Dirichlet noise in theta before decoding, while training. The paper's 0.2 is less coherent here.
    kernel : {"diffusion", "gaussian", "imq"}
        Of the discrepancy: information diffusion as in the paper, Gaussian or inverse multiquadratic.
    mmd_weight : float
        Weight of the discrepancy (lambda of the paper).
    mmd_warm_up : float
        Fraction of the run over which the discrepancy grows to its full weight.
    batch_size : int
        Documents per step; the topics improve by the step, so small batches take half the time.

    References
    ----------
    Nan, Ding, Nallapati & Xiang (2019), Topic Modeling with Wasserstein Autoencoders, ACL.
    Tolstikhin, Bousquet, Gelly & Schoelkopf (2018), Wasserstein Auto-Encoders, ICLR.
    """

    DIVERGENCE: ClassVar[str] = "mmd"
    PLANS: ClassVar[dict[str, Plan]] = {
        # Topics that the encoder has not learned to use are lost in the first epochs: its warm-up is longer.
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
        """Make an untrained network for V words."""
        check_fraction("noise", self.noise)
        check_number("concentration", self.concentration, above=0.0)
        if not isinstance(self.kernel, str) or self.kernel not in KERNELS:
            raise InputError(f"kernel={self.kernel!r} given, expected one of {', '.join(KERNELS)}")
        if self.prior not in ("dirichlet", "gaussian-mixture"):
            raise InputError(f'prior={self.prior!r} given, expected "dirichlet" or "gaussian-mixture"')
        noise = DirichletNoise(self.n_topics, self.concentration, self.noise)
        # At this distance a component gives its topic about two thirds of a document, as concentration 0.1 does.
        mixture = SoftmaxMixture(self.n_topics, math.log(max(2, self.n_topics)) + 1.5)
        prior = noise.distribution if self.prior == "dirichlet" else mixture
        return WLDANetwork(
            vocab_size, self.n_topics, self.hidden_dim, self.dropout, self.decoder, prior, self.kernel, noise
        )
