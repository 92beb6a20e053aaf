"""Loss terms that variants add to the evidence lower bound, or use in place of its divergence."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from topicnet.core.counter_rng import ORDER, PRIOR
from topicnet.core.distributions import LOG_2_PI, Normal
from topicnet.core.divergences import mmd
from topicnet.images.evaluation.measures import imq_kernel_sum
from topicnet.images.model.latents import Draw
from topicnet.images.model.nets import Critic

TcEstimator = Literal["mws", "mss"]


class Penalty(nn.Module, ABC):
    """Additional loss terms, optionally with a critic that is trained on `critic_terms` only."""

    replaces: tuple[str, ...] = ()  # terms of the draw that these replace
    sees_images = False  # whether the terms depend on the decoded images
    reads_features = False  # whether they depend on the features under the decoder's output layer instead

    def __init__(self, critic: nn.Module | None = None) -> None:
        super().__init__()
        self.critic = critic

    def critic_output(self, points: Tensor) -> Any:
        """Return the critic's output."""
        assert self.critic is not None
        return self.critic(points)

    @abstractmethod
    def terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """Return loss terms of a draw and the mean decoded images (R B, P), or features; each (B,) or a scalar."""

    def critic_terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """Return the critic's loss for a draw and images without gradients."""
        raise NotImplementedError("this penalty has no critic")


class Decomposition(Penalty):
    """KL divergence split into mutual information, total correlation and dimension-wise KL (Chen et al. 2018, eq. 2).

    KL = I(x; z) + TC(z) + sum_j KL(q(z_j) || p(z_j)), each part estimated on the batch.

    Parameters
    ----------
    estimator : {"mws", "mss"}
        Minibatch-weighted sampling, which is biased low as each image's own term gets too little weight; or stratified
        sampling (eq. S6), which is unbiased for q(z) with the weights as derived. Public code assigns these to columns
        instead of the diagonal.
    n_images : int
        Number N of training images.
    """

    replaces = ("kl_z",)

    def __init__(self, estimator: TcEstimator, n_images: int) -> None:
        super().__init__()
        self.estimator = estimator
        self.n_images = n_images

    def terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """Return the three parts, (B,) nats each."""
        q, z = draw.q, draw.z
        assert isinstance(q, Normal)
        scaled = (z[:, None] - q.mean).square() * (-q.log_var).exp()
        logs = -0.5 * (LOG_2_PI + q.log_var + scaled)  # (B, B, Z): point i under the posterior of image m
        weights = self.log_weights(len(z), z)  # (B, B)
        log_qz = (weights + logs.sum(-1)).logsumexp(1)
        log_marginals = (weights[:, :, None] + logs).logsumexp(1).sum(-1)
        log_p = -0.5 * (LOG_2_PI + z.square()).sum(-1)
        return {
            "index_information": q.log_density(z) - log_qz,
            "total_correlation": log_qz - log_marginals,
            "dimension_kl": log_marginals - log_p,
        }

    def log_weights(self, n: int, like: Tensor) -> Tensor:
        """Return the log-weights of a batch's posteriors in q(z): (B, B), or a shape that broadcasts to it."""
        if self.estimator == "mws" or n == 1:
            return like.new_full((1, 1), -math.log(self.n_images * n))
        others = n - 1
        weights = like.new_full((n, n), 1 / others)
        rows = torch.arange(n, device=like.device)
        weights[rows, rows] = 1 / self.n_images
        weights[rows, (rows + 1) % n] = max(self.n_images - others, 0) / (self.n_images * others)
        return weights.log()


class Moments(Penalty):
    """DIP-VAE I and II: regularise the covariance of the posterior means, or of q(z), towards I.

    Kumar et al. (2018), eq. 6-7.
    """

    def __init__(self, kind: Literal["i", "ii"]) -> None:
        super().__init__()
        self.kind = kind

    def terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """Return the sums of squared off-diagonal entries and of squared deviations of the diagonal from 1: scalars."""
        q = draw.q
        assert isinstance(q, Normal)
        centred = q.mean - q.mean.mean(0)
        covariance = centred.T @ centred / len(centred)
        if self.kind == "ii":
            covariance = covariance + q.log_var.exp().mean(0).diag()
        diagonal = covariance.diagonal()
        off = covariance.square().sum() - diagonal.square().sum()
        return {"off_diagonal": off, "diagonal": (diagonal - 1).square().sum()}


class Discrepancy(Penalty):
    """MMD between q(z) and the prior N(0, I), with a sum of inverse multiquadratic kernels (Tolstikhin et al. 2018)."""

    def terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """Return the squared MMD, a scalar."""
        assert draw.q.noise is not None
        prior = draw.q.noise.normal(PRIOR, draw.z)
        return {"mmd": mmd(draw.z, prior, lambda a, b: imq_kernel_sum(a, b, 2.0 * draw.z.shape[1]))}


class RatioCritic(Penalty):
    """Total correlation estimated by a critic that separates q(z) from the product of its marginals.

    Kim & Mnih (2018), eq. 3; its single logit is the difference of the paper's two.
    """

    def __init__(self, latent_dim: int, hidden_dim: int, n_layers: int) -> None:
        super().__init__(Critic(latent_dim, hidden_dim, n_layers, 1))

    def terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """Return log D(z) - log(1 - D(z)), (B,) nats."""
        return {"total_correlation": self.critic_output(draw.z).squeeze(-1)}

    def critic_terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """Return the cross-entropy of drawn points against shuffled ones, half of the batch each: (B / 2,)."""
        assert draw.q.noise is not None
        n = max(1, len(draw.z) // 2)
        order = draw.q.noise.bits(ORDER, draw.z.shape[1])[-n:].argsort(0)
        shuffled = draw.z[-n:].gather(0, order)
        joint, product = self.critic_output(torch.cat([draw.z[:n], shuffled])).view(2, n)
        return {"critic": 0.5 * (functional.softplus(-joint) + functional.softplus(product))}


class PriorCritic(Penalty):
    """Critic that separates q(z) from the prior; the encoder is trained against it (Makhzani et al. 2015; WAE-GAN)."""

    def __init__(self, latent_dim: int, hidden_dim: int, n_layers: int) -> None:
        super().__init__(Critic(latent_dim, hidden_dim, n_layers, 1))

    def terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """Return -log D(z), (B,), which the encoder minimises."""
        return {"fooling": functional.softplus(-self.critic_output(draw.z).squeeze(-1))}

    def critic_terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """Return -log D(prior) - log(1 - D(z)), (B,)."""
        assert draw.q.noise is not None
        prior = draw.q.noise.normal(PRIOR, draw.z)
        of_prior, of_z = self.critic_output(torch.cat([prior, draw.z])).view(2, -1)
        return {"critic": functional.softplus(-of_prior) + functional.softplus(of_z)}


class Information(Penalty):
    """Lower bound on the information of the decoded image about a part of the code, E log Q(part | image) + H(part).

    Q is one of three networks (Barber & Agakov 2003; Serdega & Kim 2020). The main step always maximises the bound by
    the encoder and the decoder, with fixed weights of Q in the first two cases.

    "separate"
        Q is a separate network that reads the decoded mean image. The main step passes its gradient through Q and
        the image to the decoder, and from there to the encoder. A second step then trains Q alone, on a code and
        an image without gradients.
    "decoder"
        Q is a branch of the decoder: a hidden layer and an output layer that read the features under the decoder's own
        output layer. The main step passes its gradient through this branch to the shared layers of the decoder and to
        the encoder, but not to the decoder's output layer. A second step trains the branch alone. The bound is on
        the information in the features, which is never less than that in the image computed from them.
    "encoder"
        Q is the encoder, q(part | image), applied to the decoded mean image. There is no further network, and no
        further step: the main step trains the encoder both as the source of the code and as Q, and passes its gradient
        through the image to the decoder. All of these raise the same bound.

    Parameters
    ----------
    critic : nn.Module, optional
        Q, if it is not the encoder.
    encoder : callable, optional
        Q otherwise: maps images (B, P) to the same output.
    reads_features : bool
        Whether Q reads the decoder's features instead of images.
    """

    def __init__(
        self, critic: nn.Module | None, encoder: Callable[[Tensor], Any] | None = None, *, reads_features: bool = False
    ) -> None:
        super().__init__(critic)
        assert (critic is None) != (encoder is None)
        self._encoder = encoder
        self.sees_images = not reads_features
        self.reads_features = reads_features

    def critic_output(self, points: Tensor) -> Any:
        """Return the output of Q for images (B, P) or features (B, H)."""
        return super().critic_output(points) if self._encoder is None else self._encoder(points)


class CategoryInformation(Information):
    """Lower bound on the mutual information between a category and the image decoded from it.

    The bound is E log Q(c | image) + H(q(c)), with q(c) from the batch; see `Information` for Q. With a constant in
    place of H(q(c)) it is not a bound, and a constant code maximises it.
    """

    def _nats(self, draw: Draw, image: Tensor) -> Tensor:
        """Return -log Q(c | image), (B,) nats; the cross-entropy if c is relaxed."""
        assert draw.c is not None
        return draw.averaged(-(draw.c * self.critic_output(image).log_softmax(-1)).sum(-1))

    def terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """Return the negative bound, (B,) nats."""
        assert draw.log_q_c is not None
        q_c = draw.log_q_c.exp().mean(0)
        entropy = -(q_c * q_c.clamp_min(1e-30).log()).sum()
        return {"lack_of_information": self._nats(draw, image) - entropy}

    def critic_terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """Return -log Q(c | image), (B,) nats."""
        return {"critic": self._nats(draw, image)}


class PointInformation(Information):
    """Lower bound on the mutual information between dimensions of z and the decoded image; see `Information` for Q.

    Their entropy is that of the batch's mixture of posteriors.

    Parameters
    ----------
    critic, encoder, reads_features
        See `Information`; the encoder gives all dimensions of z.
    chosen : sequence of int
        The dimensions.
    fixed : bool
        Whether these are given; otherwise the fit chooses as many dimensions, those with the least divergence after
        pretraining.
    """

    N_CHOSEN = 2
    chosen: Tensor

    def __init__(
        self,
        critic: nn.Module | None,
        encoder: Callable[[Tensor], Any] | None = None,
        *,
        reads_features: bool = False,
        chosen: Sequence[int],
        fixed: bool,
    ) -> None:
        super().__init__(critic, encoder, reads_features=reads_features)
        self.register_buffer("chosen", torch.tensor(chosen))
        self.fixed = fixed

    def choose(self, mean_kl: Tensor) -> None:
        """Choose the dimensions with the smallest of the mean divergences (Z,), unless they were given."""
        if not self.fixed:
            self.chosen.copy_(mean_kl.argsort()[: len(self.chosen)])

    def critic_output(self, points: Tensor) -> Normal:
        """Return Q's Gaussian of the chosen dimensions."""
        found: Normal = super().critic_output(points)
        if self.critic is None:
            return Normal(found.mean[:, self.chosen], found.log_var[:, self.chosen])
        return found

    def _nats(self, draw: Draw, image: Tensor) -> Tensor:
        return -self.critic_output(image).log_density(draw.z[:, self.chosen])

    def terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """Return the negative bound, (B,) nats."""
        q = draw.q
        assert isinstance(q, Normal)
        mean, log_var, z = q.mean[:, self.chosen], q.log_var[:, self.chosen], draw.z[:, self.chosen]
        logs = Normal(mean[None], log_var[None]).log_density(z[:, None])  # (B, B)
        entropy = -(logs.logsumexp(1) - math.log(len(z))).mean()
        return {"lack_of_information": self._nats(draw, image) - entropy}

    def critic_terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """Return -log Q, (B,) nats."""
        return {"critic": self._nats(draw, image)}
