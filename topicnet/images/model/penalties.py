"""Terms that image models add to their bound, or put in the place of its divergence."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from topicnet.core.counter_rng import ORDER, PRIOR
from topicnet.core.distributions import LOG_2_PI, Normal
from topicnet.core.divergences import mmd
from topicnet.images.evaluation.measures import imq_kernel_sum
from topicnet.images.model.latents import Draw
from topicnet.images.model.nets import Critic, gaussian_critic

TcEstimator = Literal["mws", "mss"]


class Penalty(nn.Module, ABC):
    """Further terms of a loss, and perhaps a critic that is trained on `critic_terms` and left alone by the loss."""

    replaces: tuple[str, ...] = ()  # terms of the draw that these stand for
    sees_images = False  # whether it looks at what is decoded

    def __init__(self, critic: nn.Module | None = None) -> None:
        super().__init__()
        self.critic = critic

    def critic_output(self, points: Tensor) -> Any:
        """What the critic says."""
        assert self.critic is not None
        return self.critic(points)

    @abstractmethod
    def terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """Terms of a draw and the mean of its decoded images (R B, P); each (B,) or a scalar."""

    def critic_terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """The loss of the critic, of a draw and images that have no gradient."""
        raise NotImplementedError("this penalty has no critic")


class Decomposition(Penalty):
    """KL = I(x; z) + TC(z) + sum_j KL(q(z_j) || p(z_j)), each estimated on the batch (Chen et al. 2018, eq. 2).

    Parameters
    ----------
    estimator : {"mws", "mss"}
        Minibatch-weighted sampling, biased low by the weight of an image's own term, or stratified (eq. S6), unbiased
        for q(z) with the weights as derived, not as in public code, which puts them in columns.
    n_images : int
        N, of the training set.
    """

    replaces = ("kl_z",)

    def __init__(self, estimator: TcEstimator, n_images: int) -> None:
        super().__init__()
        self.estimator = estimator
        self.n_images = n_images

    def terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """The three parts, (B,) each."""
        q, z = draw.q, draw.z
        assert isinstance(q, Normal)
        scaled = (z[:, None] - q.mean).square() * (-q.log_var).exp()
        logs = -0.5 * (LOG_2_PI + q.log_var + scaled)  # (B, B, Z): of point i under the posterior of image m
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
        """By which the posteriors of a batch make up q(z): (B, B), or something that broadcasts to it."""
        if self.estimator == "mws" or n == 1:
            return like.new_full((1, 1), -math.log(self.n_images * n))
        others = n - 1
        weights = like.new_full((n, n), 1 / others)
        rows = torch.arange(n, device=like.device)
        weights[rows, rows] = 1 / self.n_images
        weights[rows, (rows + 1) % n] = max(self.n_images - others, 0) / (self.n_images * others)
        return weights.log()


class Moments(Penalty):
    """Covariance of the posterior means, or of q(z), drawn to I (Kumar et al. 2018, eq. 6-7): DIP-VAE I and II."""

    def __init__(self, kind: Literal["i", "ii"]) -> None:
        super().__init__()
        self.kind = kind

    def terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """Squares of the entries off the diagonal, and of those on it less 1: scalars."""
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
    """MMD of q(z) from the prior N(0, I), a sum of inverse multiquadratic kernels (Tolstikhin et al. 2018)."""

    def terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """A scalar."""
        assert draw.q.noise is not None
        prior = draw.q.noise.normal(PRIOR, draw.z)
        return {"mmd": mmd(draw.z, prior, lambda a, b: imq_kernel_sum(a, b, 2.0 * draw.z.shape[1]))}


class RatioCritic(Penalty):
    """Total correlation by a critic that tells q(z) from the product of its margins (Kim & Mnih 2018, eq. 3).

    One logit here is the difference of the paper's two.
    """

    def __init__(self, latent_dim: int, hidden_dim: int, n_layers: int) -> None:
        super().__init__(Critic(latent_dim, hidden_dim, n_layers, 1))

    def terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """log D(z) - log(1 - D(z)), (B,)."""
        return {"total_correlation": self.critic_output(draw.z).squeeze(-1)}

    def critic_terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """Cross-entropy on one half of the batch as it is, and the other with each dimension shuffled: (B / 2,)."""
        assert draw.q.noise is not None
        n = max(1, len(draw.z) // 2)
        order = draw.q.noise.bits(ORDER, draw.z.shape[1])[-n:].argsort(0)
        margins = draw.z[-n:].gather(0, order)
        joint, apart = self.critic_output(torch.cat([draw.z[:n], margins])).view(2, n)
        return {"critic": 0.5 * (functional.softplus(-joint) + functional.softplus(apart))}


class PriorCritic(Penalty):
    """A critic that tells q(z) from the prior, and is to be fooled (Makhzani et al. 2015; WAE-GAN)."""

    def __init__(self, latent_dim: int, hidden_dim: int, n_layers: int) -> None:
        super().__init__(Critic(latent_dim, hidden_dim, n_layers, 1))

    def terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """-log D(z): what the encoder is to make small, (B,)."""
        return {"fooling": functional.softplus(-self.critic_output(draw.z).squeeze(-1))}

    def critic_terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """-log D(prior) - log(1 - D(z)), (B,)."""
        assert draw.q.noise is not None
        prior = draw.q.noise.normal(PRIOR, draw.z)
        of_prior, of_z = self.critic_output(torch.cat([prior, draw.z])).view(2, -1)
        return {"critic": functional.softplus(-of_prior) + functional.softplus(of_z)}


class CategoryInformation(Penalty):
    """A bound on the information of a decoded image about its category (Barber & Agakov 2003; specification A7).

    E log Q(c | image) + H(q(c)), with q(c) that of the batch: a constant in place of H(q(c)) is no bound, and is
    maximised by a code that says nothing.
    """

    sees_images = True

    def __init__(self, n_pixels: int, hidden_dim: int, n_layers: int, n_categories: int) -> None:
        super().__init__(Critic(n_pixels, hidden_dim, n_layers, n_categories))

    def _nats(self, draw: Draw, image: Tensor) -> Tensor:
        """-log Q(c | image), as cross-entropy where c is relaxed: (B,)."""
        assert draw.c is not None
        return draw.averaged(-(draw.c * self.critic_output(image).log_softmax(-1)).sum(-1))

    def terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """Less the bound, (B,): what is to be made small."""
        assert draw.log_q_c is not None
        q_c = draw.log_q_c.exp().mean(0)
        entropy = -(q_c * q_c.clamp_min(1e-30).log()).sum()
        return {"lack_of_information": self._nats(draw, image) - entropy}

    def critic_terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """-log Q, (B,)."""
        return {"critic": self._nats(draw, image)}


class PointInformation(Penalty):
    """The same about two dimensions of z, those that say least before (specification A7).

    H of these is that of the batch's mixture of posteriors.
    """

    N_CHOSEN = 2
    sees_images = True
    chosen: Tensor

    def __init__(self, n_pixels: int, hidden_dim: int, n_layers: int, latent_dim: int) -> None:
        n_chosen = min(self.N_CHOSEN, latent_dim)
        super().__init__(gaussian_critic(n_pixels, hidden_dim, n_layers, n_chosen))
        self.register_buffer("chosen", torch.arange(n_chosen))

    def choose(self, usage: Tensor) -> None:
        """Take the dimensions with the least of (Z,)."""
        self.chosen.copy_(usage.argsort()[: len(self.chosen)])

    def _nats(self, draw: Draw, image: Tensor) -> Tensor:
        return -cast(Normal, self.critic_output(image)).log_density(draw.z[:, self.chosen])

    def terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """Less the bound, (B,)."""
        q = draw.q
        assert isinstance(q, Normal)
        mean, log_var, z = q.mean[:, self.chosen], q.log_var[:, self.chosen], draw.z[:, self.chosen]
        logs = Normal(mean[None], log_var[None]).log_density(z[:, None])  # (B, B)
        entropy = -(logs.logsumexp(1) - math.log(len(z))).mean()
        return {"lack_of_information": self._nats(draw, image) - entropy}

    def critic_terms(self, draw: Draw, image: Tensor) -> dict[str, Tensor]:
        """-log Q, (B,)."""
        return {"critic": self._nats(draw, image)}
