"""What an image model does not see: how it is inferred, what it costs in nats, and how it is drawn.

Each class here is one factorisation of q(. | x) and p(.); the others are in `hierarchies`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn

from topicnet.core.counter_rng import CATEGORY, Noise
from topicnet.core.distributions import GaussianMixture, Normal, Point, StandardNormal
from topicnet.images.model.nets import Body, GaussianHead, Sizes, dense
from topicnet.images.model.priors import MixturePrior, Prior, StandardPrior, VampPrior

TEMPERATURES = (1.0, 0.5)  # of relaxed categories, at the start and at the least
COOLING = 3e-5  # per epoch, times the epoch, in the exponent (reference code of Chen & Li's CP-VAE experiments)

Estimator = Literal["gumbel", "straight-through", "enumerate"]
Given = Literal["nothing", "draw", "probabilities"]
# Standard deviation of the first means of p(z | c), times the dimensions of z. Draws of N(0, I) lie so far apart in
# many dimensions that a category costs more nats than it saves at first, and all but one are given up. Of 0.1, 0.16,
# 0.3 and 1, 0.16 was best on MNIST (Z = 40); on digits (Z = 8) larger ones are better than smaller ones.
FIRST_SPREAD = 40**0.5
ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)


@dataclass(frozen=True)
class Draw:
    """One draw of everything latent, for a batch of B images."""

    q: Normal | Point  # posterior of z
    z: Tensor  # (R B, Z), what penalties and critics look at
    code: tuple[Tensor, ...]  # (R B, n) each, what the decoder is given
    terms: dict[str, Tensor]  # divergences by name, (B,) nats each
    log_q_c: Tensor | None = None  # (B, K) log q(c | x)
    c: Tensor | None = None  # (R B, K) the categories drawn: relaxed, or one-hot
    weights: Tensor | None = None  # (R, B) by which the R decodings of each image count; one alone counts whole

    def averaged(self, values: Tensor) -> Tensor:
        """Mean over the decodings (R B,) of each image: (B,)."""
        return values if self.weights is None else (self.weights * values.view_as(self.weights)).sum(0)


@dataclass(frozen=True)
class ImportanceDraw:
    """A draw from q, all of it discrete where the model is, and its weight."""

    code: tuple[Tensor, ...]
    log_ratio: Tensor  # (B,) log p(latents) - log q(latents | x)


class Latents(nn.Module, ABC):
    """The latent half of a model. In evaluation mode categories are drawn hard: a relaxed one gives no bound."""

    decodes_categories = False  # whether the decoder is told c
    free_nats: Mapping[str, float] = MappingProxyType({})  # terms that cost so much in training, however small they are

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.latent_dim, self.n_categories = sizes.latent_dim, sizes.n_categories
        self.code_widths: tuple[int, ...] = (sizes.latent_dim,)

    @abstractmethod
    def draw(self, x: Tensor, noise: Noise) -> Draw:
        """Infer and draw for images (B, P)."""

    @abstractmethod
    def importance_draw(self, x: Tensor, noise: Noise) -> ImportanceDraw:
        """Draws with their importance weights (Burda et al. 2016, eq. 8, but for the likelihood).

        Of each image (B, P) so many, all and all again, as the noise is for; it is encoded once.
        """

    @abstractmethod
    def sample(self, noise: Noise, n: int, category: int | Tensor | None = None) -> tuple[Tensor, ...]:
        """Codes of `n` ancestral draws, of one category if it is named, or of one each (n,)."""

    @abstractmethod
    def codes(self, x: Tensor) -> Tensor:
        """Posterior mean of each image, (B, Z)."""

    def log_categories(self, x: Tensor) -> Tensor:
        """log q(c | x), (B, K)."""
        raise NotImplementedError("these latents have no categories")

    def code_of(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, ...]:
        """What the decoder is given for latent points (B, Z) and categories (B, K): as a rule the point alone."""
        return (z,)

    def initialise_from(self, pixels: Tensor) -> None:
        """Start from training images (n, P), drawn at random, where something is made of such."""

    def anneal(self, epoch: int) -> None:
        """Lower the temperature of relaxed categories after an epoch."""

    def set_category_weights(self, weights: Tensor) -> None:
        """Take note of q(c) (K,) over the training images, from which categories are drawn later."""


class GaussianLatents(Latents):
    """q(z | x) Gaussian, and a prior by name (Kingma & Welling 2014, section 3)."""

    prior: Prior

    def __init__(self, sizes: Sizes, prior: str, n_components: int) -> None:
        super().__init__(sizes)
        self.body = Body(sizes.n_pixels, sizes.hidden_dim, sizes.n_layers)
        self.head = GaussianHead(self.body.width, sizes.latent_dim)
        if prior == "vamp":
            self.prior = VampPrior(n_components, sizes.n_pixels, self.posterior)
        elif prior == "mixture":
            self.prior = MixturePrior(n_components, sizes.latent_dim)
        else:
            self.prior = StandardPrior(sizes.latent_dim)

    def posterior(self, x: Tensor, noise: Noise | None = None) -> Normal:
        """q(z | x)."""
        return cast(Normal, self.head(self.body(x), noise))

    def draw(self, x: Tensor, noise: Noise) -> Draw:
        """One z each."""
        q = self.posterior(x, noise)
        z = q.sample()
        return Draw(q, z, (z,), {"kl_z": self.prior.kl(q, z)})

    def importance_draw(self, x: Tensor, noise: Noise) -> ImportanceDraw:
        """z from q(z | x)."""
        q = self.posterior(x).repeated(noise)
        z = q.sample()
        return ImportanceDraw((z,), self.prior.log_density(z) - q.log_density(z))

    def sample(self, noise: Noise, n: int, category: int | Tensor | None = None) -> tuple[Tensor, ...]:
        """From the prior."""
        return (self.prior.sample(noise, self.head.mean.weight.new_empty(n, self.latent_dim)),)

    def codes(self, x: Tensor) -> Tensor:
        return self.posterior(x).mean

    def initialise_from(self, pixels: Tensor) -> None:
        self.prior.initialise_from(pixels)


class PointLatents(Latents):
    """A deterministic encoder, as Wasserstein and adversarial autoencoders have it (Tolstikhin et al. 2018)."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.body = Body(sizes.n_pixels, sizes.hidden_dim, sizes.n_layers)
        self.head = dense(self.body.width, sizes.latent_dim)
        self.prior = StandardNormal(sizes.latent_dim)

    def draw(self, x: Tensor, noise: Noise) -> Draw:
        """The points."""
        z = self.codes(x)
        return Draw(Point(z, noise), z, (z,), {})

    def importance_draw(self, x: Tensor, noise: Noise) -> ImportanceDraw:
        """There is none: a point has no density."""
        raise NotImplementedError("a deterministic encoder gives no importance weights")

    def sample(self, noise: Noise, n: int, category: int | Tensor | None = None) -> tuple[Tensor, ...]:
        """From N(0, I), to which the points are drawn."""
        return (self.prior.sample(noise, self.head.weight.new_empty(n, self.latent_dim)),)

    def codes(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.head(self.body(x)))


class CategoricalLatents(Latents):
    """q(c | x) q(z | x, c) or q(z | x), and p(c) = 1/K with p(z | c) = N(mu_c, sigma_c^2) or N(0, I).

    What CP-VAE, INDq, INDp and INDqp have in common (specification A4; the corrected forms).

    Parameters
    ----------
    given : {"nothing", "draw", "probabilities"}
        What the encoder of z is told of the category. The **draw** makes it q(z | x, c); the probabilities pi(x), of
        which the document speaks, leave it at q(z | x).
    learned : bool
        Whether p(z | c) is learned, one Gaussian a category.
    estimator : {"gumbel", "straight-through", "enumerate"}
        How gradients pass categories. The same draw goes to the encoder of z, to the decoder and into the divergence.
    """

    decodes_categories = True
    temperature: Tensor
    category_weights: Tensor

    def __init__(self, sizes: Sizes, *, given: Given, learned: bool, estimator: Estimator) -> None:
        super().__init__(sizes)
        latent_dim, n_categories = sizes.latent_dim, sizes.n_categories or 1
        self.body = Body(sizes.n_pixels, sizes.hidden_dim, sizes.n_layers)
        self.category = dense(self.body.width, n_categories)
        self.head = GaussianHead(self.body.width + (0 if given == "nothing" else n_categories), latent_dim)
        self.mixture = None
        if learned:
            near = min(1.0, FIRST_SPREAD / latent_dim)
            self.mixture = GaussianMixture(n_categories, latent_dim, learn_weights=False, spread=near)
        self.standard = StandardNormal(latent_dim)
        self.given = given
        self.conditional = given == "draw"  # whether q(z | x, c) depends on c
        self.estimator = estimator
        self.code_widths = (latent_dim + n_categories,)
        self.register_buffer("temperature", torch.tensor(TEMPERATURES[0]))
        self.register_buffer("category_weights", torch.full((n_categories,), 1 / n_categories))

    def posterior(self, hidden: Tensor, c: Tensor, noise: Noise | None = None) -> Normal:
        """q(z | x, c) for features (B, H) and categories (B, K)."""
        told = [hidden]
        if self.given != "nothing":
            told.append(c if self.given == "draw" else self.category(hidden).softmax(-1))
        return cast(Normal, self.head(torch.cat(told, -1), noise))

    def draw(self, x: Tensor, noise: Noise) -> Draw:
        """One z and c each, or one z for each of all c."""
        hidden = self.body(x)
        log_q_c = self.category(hidden).log_softmax(-1)
        if self.estimator == "enumerate":
            return self._enumerated(hidden, log_q_c, noise)
        c = self._drawn(log_q_c, noise, hard=not self.training)
        q = self.posterior(hidden, c, noise)
        z = q.sample()
        # Where c is not told q(z|x) is the same for all c, and the weights q(c|x) are exact.
        kl_z = self._kl_z(q, c if self.conditional else log_q_c.exp())
        return Draw(q, z, self.code_of(z, c), {"kl_z": kl_z, "kl_c": kl_from_uniform(log_q_c)}, log_q_c, c)

    def _enumerated(self, hidden: Tensor, log_q_c: Tensor, noise: Noise) -> Draw:
        """Every category in turn, weighed by q(c|x): exact in c."""
        n, k = log_q_c.shape
        c = torch.eye(k, dtype=hidden.dtype, device=hidden.device).repeat_interleave(n, 0)  # (K B, K)
        weights = log_q_c.exp().t()  # (K, B)
        # The same numbers for every category of an image: what differs is the category.
        q = self.posterior(hidden.repeat(k, 1), c, Noise(noise.keys.repeat(k)))
        z = q.sample()
        kl_z = (weights * self._kl_z(q, c).view(k, n)).sum(0)
        terms = {"kl_z": kl_z, "kl_c": kl_from_uniform(log_q_c)}
        return Draw(q, z, self.code_of(z, c), terms, log_q_c, c, weights)

    def _drawn(self, log_q_c: Tensor, noise: Noise, hard: bool) -> Tensor:
        """Categories (B, K) by the Gumbel trick (Jang et al. 2017; Maddison et al. 2017)."""
        perturbed = log_q_c + noise.gumbel(CATEGORY, log_q_c)
        drawn = one_hot(perturbed.argmax(-1), perturbed)
        if hard:
            return drawn
        relaxed = (perturbed / self.temperature).softmax(-1)
        # In brackets: what is added to the hard draw is 0 then, exactly.
        return relaxed if self.estimator == "gumbel" else drawn + (relaxed - relaxed.detach())

    def _kl_z(self, q: Normal, weights: Tensor) -> Tensor:
        if self.mixture is None:
            return self.standard.kl(q)
        return self.mixture.kl_by(q, weights).sum(-1)

    def importance_draw(self, x: Tensor, noise: Noise) -> ImportanceDraw:
        """A category drawn from q(c|x), and z given it."""
        hidden = self.body(x)
        hidden = hidden.repeat(len(noise.keys) // len(hidden), 1)
        log_q_c = self.category(hidden).log_softmax(-1)
        c = self._drawn(log_q_c, noise, hard=True)
        q = self.posterior(hidden, c, noise)
        z = q.sample()
        prior = self.standard if self.mixture is None else self.mixture.component(c)
        log_p_c = -math.log(log_q_c.shape[1])
        log_ratio = prior.log_density(z) + log_p_c - q.log_density(z) - (c * log_q_c).sum(-1)
        return ImportanceDraw(self.code_of(z, c), log_ratio)

    def sample(self, noise: Noise, n: int, category: int | Tensor | None = None) -> tuple[Tensor, ...]:
        """c ~ q(c) over the training images, z ~ p(z | c)."""
        like = self.category_weights.new_empty(n, self.latent_dim)
        c = chosen_categories(self.category_weights, noise, n, category)
        z = self.standard.sample(noise, like)
        if self.mixture is not None:
            given = self.mixture.component(c)
            z = given.mean + z * (0.5 * given.log_var).exp()
        return self.code_of(z, c)

    def codes(self, x: Tensor) -> Tensor:
        """Mean of z given the most probable category, (B, Z)."""
        hidden = self.body(x)
        logits = self.category(hidden)
        return self.posterior(hidden, one_hot(logits.argmax(-1), logits)).mean

    def log_categories(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.category(self.body(x)).log_softmax(-1))

    def code_of(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, ...]:
        """Both, side by side."""
        assert c is not None
        return (torch.cat([z, c], -1),)

    def anneal(self, epoch: int) -> None:
        """tau <- max(tau exp(-3e-5 epoch), 0.5)."""
        self.temperature.mul_(math.exp(-COOLING * epoch)).clamp_min_(TEMPERATURES[1])

    def set_category_weights(self, weights: Tensor) -> None:
        self.category_weights.copy_(weights)


def kl_from_uniform(log_q_c: Tensor) -> Tensor:
    """KL(q(c|x) || 1/K), in closed form from log q(c|x) (B, K): (B,)."""
    return (log_q_c.exp() * log_q_c).sum(-1) + math.log(log_q_c.shape[1])


def one_hot(which: Tensor, like: Tensor) -> Tensor:
    """Rows (B, K) of the shape and type of `like` with a one at `which` (B,)."""
    return torch.zeros_like(like).scatter_(-1, which[:, None], 1.0)


def chosen_categories(weights: Tensor, noise: Noise, n: int, category: int | Tensor | None) -> Tensor:
    """(n, K) one-hot: the category named, or one named for each (n,), or drawn by weights (K,)."""
    like = weights.new_zeros(n, len(weights))
    if category is not None:
        return one_hot(torch.as_tensor(category, device=weights.device).expand(n), like)
    return one_hot((weights.clamp_min(1e-30).log() + noise.gumbel(CATEGORY, like)).argmax(-1), like)
