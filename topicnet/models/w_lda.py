"""W-LDA, a Wasserstein autoencoder whose topic proportions follow a prior (Nan, Ding, Nallapati & Xiang 2019)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from torch import Tensor, nn

from topicnet.core.distributions import Dirichlet, Normal, Point
from topicnet.core.divergences import DIVERGENCES, KERNELS
from topicnet.core.init import normal_parameter
from topicnet.core.matching import SCALES, SIMPLEX_PRIORS, SPHERE_PRIORS, Matching, loss_term, make_prior
from topicnet.core.nets import DirichletNoise, SparsePlainGaussianEncoder, SparsePointEncoder, SphericalProportions
from topicnet.core.sparse import SparseBatch
from topicnet.models.base import TopicModel
from topicnet.models.decoders import make_decoder
from topicnet.models.fit_settings import Plan, Settings
from topicnet.models.latent_model import LatentModel, Proposal, dirichlet_proposal, latent_model_of
from topicnet.models.network import FreeTopicsNetwork, uniform_nats
from topicnet.training.checks import check_choice, check_count, check_fraction, check_number

ENCODERS = {"point": SparsePointEncoder, "gaussian": SparsePlainGaussianEncoder}
CHOICES = {
    "kernel": tuple(KERNELS), "divergence": DIVERGENCES, "encoder": tuple(ENCODERS),
    "prior": (None, *SIMPLEX_PRIORS, *SPHERE_PRIORS),
}  # fmt: skip


class WLDANetwork(FreeTopicsNetwork):
    """Network of W-LDA: an encoder z(x), theta as a function of z, and the divergence of the batch from its prior."""

    has_bound: ClassVar[bool] = False

    def __init__(
        self,
        vocab_size: int,
        n_topics: int,
        hidden_dim: int,
        dropout: float,
        decoder: str,
        encoder: str,
        matching: Matching,
        noise: DirichletNoise,
    ) -> None:
        super().__init__()
        self.encoder = ENCODERS[encoder](vocab_size, hidden_dim, n_topics, dropout)
        self.proportions = SphericalProportions(n_topics) if matching.spherical else nn.Softmax(-1)
        self.matching = matching
        self.divergence_name = matching.term
        self.theta_noise = noise
        self.decoder = make_decoder(decoder, vocab_size)
        self.logits = normal_parameter(n_topics, vocab_size, std=0.1)  # (K, V)

    def divergence(self, q: Point | Normal, z: Tensor, batch: SparseBatch) -> Tensor:
        """Squared distance between the latent points of the batch and draws from the prior, a scalar.

        It is scaled by the mean document length and log V, so that both loss terms are in nats; the paper divides the
        reconstruction by them instead. Each divergence also has a factor that brings it to a common scale.
        """
        nats = self.mean_length * uniform_nats(self.logits.shape[1])
        return SCALES[self.matching.divergence] * nats * self.matching.distance(z, batch)

    def kl_per_dimension(self, q: Point | Normal) -> Tensor:
        """Variance of each latent dimension over documents, (Z,) (Burda et al. 2016, section 5.2)."""
        return self.matching.variances(q.mean)

    def latent_model(self) -> LatentModel:
        """Use the prior without the noise that training mixes into theta."""
        return latent_model_of(self.matching.prior, self.proportions, self.logits.device)

    def proposal(self, batch: SparseBatch) -> tuple[LatentModel, Proposal] | None:
        """Use Dirichlet(alpha0 + N_d theta(x_d)); None under other priors, which give no such form."""
        prior = self.matching.prior
        if not isinstance(prior, Dirichlet):
            return None
        tokens = batch.row_sums(batch.counts)
        return dirichlet_proposal(prior, tokens[:, None] * self.theta(self.encode(batch).mean))

    def prior_theta(self) -> Tensor:
        """Theta at the mean of the prior, (K,): uniform proportions, or the map of the mean direction on the sphere."""
        return self.theta(self.matching.mean(self.logits))[0]


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
    encoder : {"point", "gaussian"}
        Deterministic encoder as in the paper, or a Gaussian one: z is then sampled in training, and `transform` uses
        its mean.
    divergence : {"mmd", "sinkhorn", "sliced", "spherical-sliced"}
        Distance of a batch from draws of the prior: maximum mean discrepancy as in the paper, Sinkhorn divergence, or
        sliced Wasserstein distance over lines or over great circles of the sphere (S2WTM).
    prior : {"dirichlet", "gaussian-mixture", "uniform", "vmf", "vmf-mixture"}, optional
        Over theta: symmetric Dirichlet, or the softmax of a mixture of K unit Gaussians, one for each topic (WTM-GMM).
        Over unit vectors, from which a small network computes theta: uniform, one von Mises-Fisher distribution, or a
        mixture of 2 K of them along the axes (S2WTM). By default uniform under "spherical-sliced", else Dirichlet.
    concentration : float
        Concentration of the Dirichlet prior and of the Dirichlet noise.
    noise : float
        Fraction a of Dirichlet noise mixed into theta in training, from 0 to below 1. The paper's 0.2 gives less
        coherent topics here.
    kernel : {"diffusion", "gaussian", "imq"}
        Kernel of the maximum mean discrepancy: information diffusion as in the paper, Gaussian or inverse
        multiquadratic.
    n_projections : int
        Random projections per step of the sliced distances.
    mmd_weight : float
        Weight in the loss of the divergence, whichever it is (lambda in the paper). Each divergence is scaled so that 1
        is a good weight.
    mmd_warm_up : float
        Fraction of the training steps over which the weight of the divergence grows from 0 to `mmd_weight`.

    Notes
    -----
    theta_d = softmax(z(x_d)), without sampling. The loss is the reconstruction error plus the maximum mean discrepancy
    of theta from its prior (Tolstikhin et al. 2018, eq. 4). Decoder: Nan et al. 2019, section 3; noise: section 4.2.
    The other divergences compare unit vectors: square roots of theta, or the latent points of a prior on the sphere.

    References
    ----------
    Adhya & Sanyal (2025), S2WTM: Spherical Sliced-Wasserstein Autoencoder for Topic Modeling, ACL.
    Bonet, Berg, Courty, Septier, Drumetz & Pham (2023), Spherical Sliced-Wasserstein, ICLR.
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
    encoder: Literal["point", "gaussian"] = "point"
    divergence: Literal["mmd", "sinkhorn", "sliced", "spherical-sliced"] = "mmd"
    prior: Literal["dirichlet", "gaussian-mixture", "uniform", "vmf", "vmf-mixture"] | None = None
    concentration: float = 0.1
    noise: float = 0.3
    kernel: Literal["diffusion", "gaussian", "imq"] = "diffusion"
    n_projections: int = 100
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
        self._check_options()
        noise = DirichletNoise(self.n_topics, self.concentration, self.noise)
        prior = make_prior(self.prior, self.divergence, self.n_topics, self.concentration)
        matching = Matching(self.divergence, prior, self.kernel, self.n_projections)
        return WLDANetwork(
            vocab_size, self.n_topics, self.hidden_dim, self.dropout, self.decoder, self.encoder, matching, noise
        )

    def settings(self, seed: int) -> Settings:
        """Check the parameters and collect them for a fit.

        Parameters
        ----------
        seed : int
            Seed of the fit.

        Returns
        -------
        Settings
            Parameters, with the plan that the defaults come from.

        Raises
        ------
        InputError
            If a parameter is out of its range.

        Examples
        --------
        >>> from topicnet import WLDA
        >>> WLDA(divergence="spherical-sliced").settings(seed=0).divergence_name
        'spherical_sliced'
        """
        self._check_options()
        return replace(super().settings(seed), divergence_name=loss_term(self.divergence))

    def _check_options(self) -> None:
        """Raise InputError for an option that is out of its range."""
        check_fraction("noise", self.noise)
        check_number("concentration", self.concentration, above=0.0)
        check_count("n_projections", self.n_projections)
        for name, allowed in CHOICES.items():
            check_choice(name, getattr(self, name), allowed)
