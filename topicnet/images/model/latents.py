"""Latent variables of the image models: posterior, divergence from the prior in nats, and sampling.

Each class is one factorisation of q(. | x) and p(.); hierarchical ones are in `hierarchies`.
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
from topicnet.images.model.convolutions import pixel_body
from topicnet.images.model.nets import Body, GaussianHead, Sizes, dense
from topicnet.images.model.priors import MixturePrior, Prior, StandardPrior, VampPrior

ANNEALED_FRACTION = 0.5  # fraction of the run after which relaxed categories have their last temperature

Estimator = Literal["gumbel", "straight-through", "enumerate"]
Given = Literal["nothing", "draw", "probabilities"]
Head = Literal["gated", "linear"]
# Initial standard deviation of the means of p(z | c), times the dimension of z. In many dimensions, draws from N(0, I)
# are so far apart that a category at first costs more nats than it saves, and all categories but one are abandoned.
# Of 0.1, 0.16, 0.3 and 1, 0.16 was best on MNIST (Z = 40); on digits (Z = 8) larger values are better.
INITIAL_SPREAD = 40**0.5
ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)


@dataclass(frozen=True)
class Draw:
    """One draw of all latent variables for a batch of B images.

    If each image is decoded R times, as when categories are enumerated, rows of R B draws are grouped by repetition.

    Attributes
    ----------
    q : Normal or Point
        Posterior of z.
    z : Tensor of shape (R B, Z)
        The draw, as penalties and critics see it.
    code : tuple of Tensor of shape (R B, n)
        Parts of the decoder's input.
    terms : dict of str to Tensor of shape (B,)
        Divergences by name, nats.
    log_q_c : Tensor of shape (B, K), optional
        log q(c | x).
    c : Tensor of shape (R B, K), optional
        The categories drawn, relaxed or one-hot.
    weights : Tensor of shape (R, B), optional
        Weights of the R decodings of each image; None if R is 1.
    """

    q: Normal | Point
    z: Tensor
    code: tuple[Tensor, ...]
    terms: dict[str, Tensor]
    log_q_c: Tensor | None = None
    c: Tensor | None = None
    weights: Tensor | None = None

    def averaged(self, values: Tensor) -> Tensor:
        """Average values (R B,) over the decodings of each image: (B,)."""
        return values if self.weights is None else (self.weights * values.view_as(self.weights)).sum(0)


@dataclass(frozen=True)
class ImportanceDraw:
    """A draw from q with its importance weight; categories are one-hot, not relaxed."""

    code: tuple[Tensor, ...]
    log_ratio: Tensor  # (R B,) log p(latents) - log q(latents | x)


class Latents(nn.Module, ABC):
    """Encoder and prior of a model.

    In evaluation mode categories are drawn hard, as relaxed ones give no valid bound.
    """

    decodes_categories = False  # whether c is an input of the decoder
    free_nats: Mapping[str, float] = MappingProxyType({})  # lower limits of terms in training, nats

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.latent_dim, self.n_categories = sizes.latent_dim, sizes.n_categories
        self.code_widths: tuple[int, ...] = (sizes.latent_dim,)

    @abstractmethod
    def draw(self, x: Tensor, noise: Noise) -> Draw:
        """Encode images (B, P) and draw their latents."""

    @abstractmethod
    def importance_draw(self, x: Tensor, noise: Noise) -> ImportanceDraw:
        """Draw latents with importance weights (Burda et al. 2016, eq. 8, without the likelihood).

        Images (B, P) are encoded once and drawn as often as `noise` has rows for them, (R B,).
        """

    @abstractmethod
    def sample(self, noise: Noise, n: int, category: int | Tensor | None = None) -> tuple[Tensor, ...]:
        """Draw `n` codes from the prior, optionally of one category, or of the categories (n,)."""

    @abstractmethod
    def codes(self, x: Tensor) -> Tensor:
        """Return posterior means, (B, Z)."""

    def log_categories(self, x: Tensor) -> Tensor:
        """Return log q(c | x), (B, K)."""
        raise NotImplementedError("these latents have no categories")

    def code_of(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, ...]:
        """Return the decoder's input for points (B, Z) and categories (B, K); by default the points alone."""
        return (z,)

    def initialise_from(self, pixels: Tensor) -> None:
        """Initialise data-dependent parameters from random training images (n, P); by default there are none."""

    def anneal(self, done: float) -> None:
        """Set the temperature of relaxed categories after this fraction of the run."""

    def set_category_weights(self, weights: Tensor) -> None:
        """Store q(c) (K,) averaged over the training images, from which `sample` draws categories."""


class GaussianLatents(Latents):
    """Gaussian q(z | x) with a named prior (Kingma & Welling 2014, section 3)."""

    prior: Prior

    def __init__(self, sizes: Sizes, prior: str, n_components: int) -> None:
        super().__init__(sizes)
        self.body = pixel_body(sizes)
        self.head = GaussianHead(self.body.width, sizes.latent_dim)
        if prior == "vamp":
            self.prior = VampPrior(n_components, sizes.n_pixels, self.posterior)
        elif prior == "mixture":
            self.prior = MixturePrior(n_components, sizes.latent_dim)
        else:
            self.prior = StandardPrior(sizes.latent_dim)

    def posterior(self, x: Tensor, noise: Noise | None = None) -> Normal:
        """Return q(z | x)."""
        return cast(Normal, self.head(self.body(x), noise))

    def draw(self, x: Tensor, noise: Noise) -> Draw:
        """Draw one z for each image."""
        q = self.posterior(x, noise)
        z = q.sample()
        return Draw(q, z, (z,), {"kl_z": self.prior.kl(q, z)})

    def importance_draw(self, x: Tensor, noise: Noise) -> ImportanceDraw:
        """Draw z from q(z | x), with importance weights."""
        q = self.posterior(x).repeated(noise)
        z = q.sample()
        return ImportanceDraw((z,), self.prior.log_density(z) - q.log_density(z))

    def sample(self, noise: Noise, n: int, category: int | Tensor | None = None) -> tuple[Tensor, ...]:
        """Draw z from the prior."""
        return (self.prior.sample(noise, self.head.mean.weight.new_empty(n, self.latent_dim)),)

    def codes(self, x: Tensor) -> Tensor:
        return self.posterior(x).mean

    def initialise_from(self, pixels: Tensor) -> None:
        self.prior.initialise_from(pixels)


class PointLatents(Latents):
    """Deterministic encoder, as in Wasserstein and adversarial autoencoders (Tolstikhin et al. 2018)."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.body = pixel_body(sizes)
        self.head = dense(self.body.width, sizes.latent_dim)
        self.prior = StandardNormal(sizes.latent_dim)

    def draw(self, x: Tensor, noise: Noise) -> Draw:
        """Encode images to points."""
        z = self.codes(x)
        return Draw(Point(z, noise), z, (z,), {})

    def importance_draw(self, x: Tensor, noise: Noise) -> ImportanceDraw:
        """Raise NotImplementedError: a deterministic encoder has no density."""
        raise NotImplementedError("a deterministic encoder gives no importance weights")

    def sample(self, noise: Noise, n: int, category: int | Tensor | None = None) -> tuple[Tensor, ...]:
        """Draw z from N(0, I), towards which the points are regularised."""
        return (self.prior.sample(noise, self.head.weight.new_empty(n, self.latent_dim)),)

    def codes(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.head(self.body(x)))


class CategoricalLatents(Latents):
    """Categorical c and Gaussian z: q(c | x) with q(z | x, c) or q(z | x), and a learned p(z | c) or N(0, I).

    The prior of c is uniform, 1/K, and a learned p(z | c) is N(mu_c, sigma_c^2). Shared by CP-VAE, INDq, INDp and INDqp
    (Lavda et al. 2020, sections 4 and 5, with corrections: see docs/explanation/images.md).

    Parameters
    ----------
    sizes : Sizes
        Sizes of the layers.
    given : {"nothing", "draw", "probabilities"}
        Input of the encoder of z about the category. The **draw** gives q(z | x, c); the probabilities pi(x), as in the
        paper's text, depend on x alone and leave q(z | x).
    learned : bool
        Whether p(z | c) is learned, one Gaussian per category.
    estimator : {"gumbel", "straight-through", "enumerate"}
        Gradient estimator of categories. One draw is used in the encoder of z, the decoder and the divergence.
    head : {"gated", "linear"}
        Layers between [h, c] and the mean and log-variance of z: a gated layer, as in the paper (figure 2), or none,
        with which the category can only shift both. A linear model (no hidden layers) has none either.
    temperatures : (float, float)
        First and last temperature of relaxed categories; see `anneal`.
    """

    decodes_categories = True
    temperature: Tensor
    category_weights: Tensor

    def __init__(
        self,
        sizes: Sizes,
        *,
        given: Given,
        learned: bool,
        estimator: Estimator,
        head: Head,
        temperatures: tuple[float, float],
    ) -> None:
        super().__init__(sizes)
        latent_dim, n_categories = sizes.latent_dim, sizes.n_categories or 1
        self.body = pixel_body(sizes)
        self.category = dense(self.body.width, n_categories)
        width = self.body.width + (0 if given == "nothing" else n_categories)
        gated = head == "gated" and given != "nothing"
        self.joint = Body(width, sizes.hidden_dim, min(1, sizes.n_layers) if gated else 0)
        self.head = GaussianHead(self.joint.width, latent_dim)
        self.mixture = None
        if learned:
            near = min(1.0, INITIAL_SPREAD / latent_dim)
            self.mixture = GaussianMixture(n_categories, latent_dim, learn_weights=False, spread=near)
        self.standard = StandardNormal(latent_dim)
        self.given = given
        self.conditional = given == "draw"  # q(z | x, c) depends on c
        self.estimator = estimator
        self.code_widths = (latent_dim + n_categories,)
        self.temperatures = temperatures
        self.register_buffer("temperature", torch.tensor(temperatures[0]))
        self.register_buffer("category_weights", torch.full((n_categories,), 1 / n_categories))

    def posterior(self, hidden: Tensor, c: Tensor, noise: Noise | None = None) -> Normal:
        """Return q(z | x, c) for features (B, H) and categories (B, K)."""
        inputs = [hidden]
        if self.given != "nothing":
            inputs.append(c if self.given == "draw" else self.category(hidden).softmax(-1))
        return cast(Normal, self.head(self.joint(torch.cat(inputs, -1)), noise))

    def draw(self, x: Tensor, noise: Noise) -> Draw:
        """Draw one c and z for each image, or one z for every category if these are enumerated."""
        hidden = self.body(x)
        log_q_c = self.category(hidden).log_softmax(-1)
        if self.estimator == "enumerate":
            return self._enumerated(hidden, log_q_c, noise)
        c = self._drawn(log_q_c, noise, hard=not self.training)
        q = self.posterior(hidden, c, noise)
        z = q.sample()
        # If q(z|x) does not depend on c, the weights q(c|x) are exact.
        kl_z = self._kl_z(q, c if self.conditional else log_q_c.exp())
        return Draw(q, z, self.code_of(z, c), {"kl_z": kl_z, "kl_c": kl_from_uniform(log_q_c)}, log_q_c, c)

    def _enumerated(self, hidden: Tensor, log_q_c: Tensor, noise: Noise) -> Draw:
        """Use every category in turn, weighted by q(c|x): exact in c."""
        n, k = log_q_c.shape
        c = torch.eye(k, dtype=hidden.dtype, device=hidden.device).repeat_interleave(n, 0)  # (K B, K)
        weights = log_q_c.exp().t()  # (K, B)
        # Every category of an image gets the same noise.
        q = self.posterior(hidden.repeat(k, 1), c, Noise(noise.keys.repeat(k)))
        z = q.sample()
        kl_z = (weights * self._kl_z(q, c).view(k, n)).sum(0)
        terms = {"kl_z": kl_z, "kl_c": kl_from_uniform(log_q_c)}
        return Draw(q, z, self.code_of(z, c), terms, log_q_c, c, weights)

    def _drawn(self, log_q_c: Tensor, noise: Noise, hard: bool) -> Tensor:
        """Draw categories (B, K) by the Gumbel trick (Jang et al. 2017; Maddison et al. 2017)."""
        perturbed = log_q_c + noise.gumbel(CATEGORY, log_q_c)
        drawn = one_hot(perturbed.argmax(-1), perturbed)
        if hard:
            return drawn
        relaxed = (perturbed / self.temperature).softmax(-1)
        # In this order the value added to the hard draw is exactly 0.
        return relaxed if self.estimator == "gumbel" else drawn + (relaxed - relaxed.detach())

    def _kl_z(self, q: Normal, weights: Tensor) -> Tensor:
        if self.mixture is None:
            return self.standard.kl(q)
        return self.mixture.kl_by(q, weights).sum(-1)

    def importance_draw(self, x: Tensor, noise: Noise) -> ImportanceDraw:
        """Draw c from q(c|x), and z given c."""
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
        """Draw c from q(c) over the training images, and z from p(z | c)."""
        like = self.category_weights.new_empty(n, self.latent_dim)
        c = chosen_categories(self.category_weights, noise, n, category)
        z = self.standard.sample(noise, like)
        if self.mixture is not None:
            given = self.mixture.component(c)
            z = given.mean + z * (0.5 * given.log_var).exp()
        return self.code_of(z, c)

    def codes(self, x: Tensor) -> Tensor:
        """Return the means of z given the most probable category, (B, Z)."""
        hidden = self.body(x)
        logits = self.category(hidden)
        return self.posterior(hidden, one_hot(logits.argmax(-1), logits)).mean

    def log_categories(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.category(self.body(x)).log_softmax(-1))

    def code_of(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, ...]:
        """Concatenate points and categories."""
        assert c is not None
        return (torch.cat([z, c], -1),)

    def anneal(self, done: float) -> None:
        """Set the temperature: geometric from the first to the last over half of the run, then constant."""
        first, last = self.temperatures
        self.temperature.fill_(first * (last / first) ** min(1.0, done / ANNEALED_FRACTION))

    def set_category_weights(self, weights: Tensor) -> None:
        self.category_weights.copy_(weights)


def kl_from_uniform(log_q_c: Tensor) -> Tensor:
    """Return KL(q(c|x) || 1/K) in closed form from log q(c|x) (B, K): (B,) nats."""
    return (log_q_c.exp() * log_q_c).sum(-1) + math.log(log_q_c.shape[1])


def one_hot(which: Tensor, like: Tensor) -> Tensor:
    """Return rows (B, K), with the shape and type of `like`, that are one at `which` (B,)."""
    return torch.zeros_like(like).scatter_(-1, which[:, None], 1.0)


def chosen_categories(weights: Tensor, noise: Noise, n: int, category: int | Tensor | None) -> Tensor:
    """Return one-hot categories (n, K): one category for all rows, one per row (n,), or draws with weights (K,)."""
    like = weights.new_zeros(n, len(weights))
    if category is not None:
        return one_hot(torch.as_tensor(category, device=weights.device).expand(n), like)
    return one_hot((weights.clamp_min(1e-30).log() + noise.gumbel(CATEGORY, like)).argmax(-1), like)
