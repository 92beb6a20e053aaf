"""Parts of the code of an image model: its categories, or dimensions of z, each with its entropy and a predictor."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, Literal

import torch
from torch import Tensor, nn

from topicnet.core.distributions import Normal
from topicnet.errors import InputError
from topicnet.images.evaluation.drawn_codes import CodeDraw, Mixture, Origin, from_posterior, from_prior, prior_mixture
from topicnet.images.model.batches import ImageBatch, ImageBatches
from topicnet.images.model.building import PREDICTOR_LAYERS
from topicnet.images.model.hierarchies import ClusteredLatents, TwoLevelLatents
from topicnet.images.model.latents import CategoricalLatents, Latents, PointLatents
from topicnet.images.model.likelihoods import SquaredError
from topicnet.images.model.nets import Critic, gaussian_critic
from topicnet.images.model.penalties import PointInformation
from topicnet.images.model.vae import Vae
from topicnet.images.model.variants import WITH_CATEGORIES

Decoded = Literal["draw", "mean"]


class Code(ABC):
    """Part of the code of a model, drawn and decoded.

    Parameters
    ----------
    network : Vae
        The model, in evaluation mode.
    origin : {"posterior", "prior"}
        Where codes are drawn from.
    decoded : {"draw", "mean"}
        Whether the image is drawn from p(x | code) or its mean is taken.
    """

    of: str  # name of the part
    needs_given = False  # whether the entropy depends on the Gaussians that z was drawn from

    def __init__(self, network: Vae, origin: Origin, decoded: Decoded) -> None:
        self.network = network
        self.origin = origin
        # A squared error is no distribution: there is nothing to draw from.
        self.decoded: Decoded = "mean" if isinstance(network.likelihood, SquaredError) else decoded

    @property
    @abstractmethod
    def entropy_of(self) -> str:
        """Name of the entropy, and how it is found."""

    @abstractmethod
    def predictor(self, n_pixels: int, hidden_dim: int) -> nn.Module:
        """Build a network Q that predicts the code from an image."""

    @abstractmethod
    def target(self, draw: CodeDraw) -> Tensor:
        """Return the part of the code to predict, (B, n)."""

    @abstractmethod
    def log_q_of(self, predicted: Any, target: Tensor) -> Tensor:
        """Return log Q(target | image), (B,)."""

    @abstractmethod
    def entropy_terms(self, batches: ImageBatches, seed: int, n_units: int) -> tuple[Tensor, float | None]:
        """Return values (n_units,) whose mean estimates the entropy of the code, and the entropy if it is known.

        Rows of the batches repeat `n_units` images. The values contain the influence of each image on the entropy, so
        that intervals include its estimation error, and none that is not there: at -log p(z) of the same draws, much
        of the variance of log Q cancels.
        """

    def draw(self, batch: ImageBatch) -> CodeDraw:
        """Draw a code for each row of a batch, whose pixels are ignored with the prior."""
        if self.origin == "prior":
            return from_prior(self.network.latents, batch.noise)
        return from_posterior(self.network.latents, batch, with_given=self.needs_given)

    def pair(self, batch: ImageBatch) -> tuple[Tensor, Tensor]:
        """Return decoded images (B, P) and the codes to predict from them (B, n)."""
        draw = self.draw(batch)
        out, likelihood = self.network.decoder(draw.code), self.network.likelihood
        image = likelihood.sample(out, batch.noise) if self.decoded == "draw" else likelihood.mean(out)
        return image, self.target(draw)


class Categories(Code):
    """The category c that was drawn, or its probabilities if the decoder does not depend on c."""

    of = "c"

    @property
    def entropy_of(self) -> str:
        return "H(p(c)), exact" if self.origin == "prior" else "H(q(c))"

    def predictor(self, n_pixels: int, hidden_dim: int) -> nn.Module:
        """Build a network that outputs logits of categories."""
        return Critic(n_pixels, hidden_dim, PREDICTOR_LAYERS, self.network.latents.n_categories or 1)

    def target(self, draw: CodeDraw) -> Tensor:
        """Return the categories, (B, K)."""
        assert draw.c is not None
        return draw.c

    def log_q_of(self, predicted: Tensor, target: Tensor) -> Tensor:
        """Return the negative cross-entropy of the predicted logits, (B,)."""
        return (target * predicted.log_softmax(-1)).sum(-1)

    def entropy_terms(self, batches: ImageBatches, seed: int, n_units: int) -> tuple[Tensor, float | None]:
        """Return -sum_k q(k | x) log q(k) of each image, or -log p(c) of each draw from the prior."""
        latents = self.network.latents
        if self.origin == "prior":
            n_categories = latents.n_categories or 1
            weights = torch.full((n_categories,), -math.log(n_categories), dtype=torch.float64)
            if isinstance(latents, ClusteredLatents):
                weights = latents.mixture.log_weights().double().cpu()
            c = torch.cat([self.target(self.draw(batch)).argmax(-1) for batch in batches.repeat(seed)]).cpu()
            return -weights[c], -float((weights.exp() * weights).sum())
        if isinstance(latents, CategoricalLatents):
            probabilities = [latents.log_categories(batch.pixels).exp() for batch in batches]
        else:
            probabilities = [self.target(self.draw(batch)) for batch in batches.repeat(seed)]
        q = torch.cat(probabilities).double().view(-1, n_units, probabilities[0].shape[1]).mean(0)  # (n, K)
        return -torch.special.xlogy(q, q.mean(0)).sum(-1), None


class Dimensions(Code):
    """Some or all dimensions of z.

    Parameters
    ----------
    network, origin, decoded
        See `Code`.
    chosen : sequence of int
        The dimensions.
    """

    needs_given = True

    def __init__(self, network: Vae, origin: Origin, decoded: Decoded, chosen: list[int]) -> None:
        super().__init__(network, origin, decoded)
        self.chosen = torch.tensor(chosen, device=network.device)
        self.all = len(chosen) == network.latents.latent_dim
        self._check(chosen)
        self.of = "z" if self.all else " and ".join(f"z_{j}" for j in chosen)
        self.mixture = self._mixture()

    @property
    def entropy_of(self) -> str:
        if self.origin == "posterior":
            return "h(q(z)), of the mixture of posteriors"
        if self.mixture is not None and self.mixture.exact_entropy() is not None:
            return "h(p(z)), exact"
        known = self.mixture is not None or (self.all and isinstance(self.network.latents, TwoLevelLatents))
        return "h(p(z)), from its density at the draws" if known else "h(p(z)), of the mixture of draws of p(z | .)"

    def predictor(self, n_pixels: int, hidden_dim: int) -> nn.Module:
        """Build a network that outputs a diagonal Gaussian, as in the training of vmi-z."""
        return gaussian_critic(n_pixels, hidden_dim, PREDICTOR_LAYERS, len(self.chosen))

    def target(self, draw: CodeDraw) -> Tensor:
        """Return the chosen dimensions, (B, n)."""
        return draw.z[:, self.chosen]

    def log_q_of(self, predicted: Normal, target: Tensor) -> Tensor:
        """Return the log-density of the target, (B,)."""
        return predicted.log_density(target)

    def entropy_terms(self, batches: ImageBatches, seed: int, n_units: int) -> tuple[Tensor, float | None]:
        """Return -log of the density of the chosen dimensions at the draws."""
        draws = [self.draw(batch) for batch in batches.repeat(seed)]
        exact = None
        if self.origin == "prior" and self.all and isinstance(self.network.latents, TwoLevelLatents):
            logs = torch.cat([self._two_levels(draw) for draw in draws])
        else:
            mixture = self.mixture or self._mixture_of(draws, n_units)
            exact = mixture.exact_entropy() if self.mixture is not None else None
            logs = mixture.log_density(torch.cat([self.target(draw) for draw in draws]))
        return -logs.view(-1, n_units).mean(0), exact

    def _check(self, chosen: list[int]) -> None:
        """Raise InputError if the density of the dimensions is not known."""
        latents = self.network.latents
        if self.origin == "posterior" and isinstance(latents, PointLatents):
            raise InputError("codes from the posterior given, but the encoder is deterministic: draw from the prior")
        if _spans_levels(latents, chosen) and (self.origin == "posterior" or not self.all):
            width = latents.latent_dim // 2
            raise InputError(
                f"components of both levels given, expected some of 0 to {width - 1} (z1) or {width} to"
                f" {2 * width - 1} (z2), or all of z from the prior: the joint density of others is not known"
            )

    def _mixture(self) -> Mixture | None:
        """Return the marginal of the prior if codes are drawn from it and it is known."""
        latents = self.network.latents
        if self.origin == "posterior":
            return None
        if isinstance(latents, TwoLevelLatents):
            width = latents.latent_dim // 2
            known = prior_mixture(latents.upper) if int(self.chosen.min()) >= width else None
            return None if known is None else known.of_dimensions(self.chosen - width)
        known = prior_mixture(latents)
        return None if known is None else known.of_dimensions(self.chosen)

    def _mixture_of(self, draws: list[CodeDraw], n_units: int) -> Mixture:
        """Return the mixture of the Gaussians that z was drawn from: one per image, or per draw if it has others."""
        given = [draw.given for draw in draws if draw.given is not None]
        mean, log_var = (torch.cat([getattr(q, name)[:, self.chosen] for q in given]) for name in ("mean", "log_var"))
        n = n_units if self.origin == "posterior" and not self._varies() else len(mean)
        return Mixture(mean[:n], log_var[:n])

    def _varies(self) -> bool:
        """Return whether the Gaussian that z is drawn from differs between draws for the same image."""
        latents = self.network.latents
        if isinstance(latents, TwoLevelLatents):
            return int(self.chosen.min()) < latents.latent_dim // 2
        return isinstance(latents, CategoricalLatents) and latents.conditional

    def _two_levels(self, draw: CodeDraw) -> Tensor:
        """Return log p(z1 | z2) + log p(z2), (B,) float64 nats."""
        latents = self.network.latents
        assert isinstance(latents, TwoLevelLatents)
        assert draw.given is not None
        z1, z2 = draw.code
        return draw.given.log_density(z1).double() + latents.upper.prior.log_density(z2).double()


def part_of(network: Vae, components: str | list[int] | None, origin: Origin | None, decoded: Decoded) -> Code:
    """Return a part of the code of a model.

    Parameters
    ----------
    network : Vae
        The model.
    components : {"c", "z"} or list of int, optional
        The category, all dimensions of z, or some of them. None for what training makes informative: the dimensions
        chosen by vmi-z, or the category; otherwise all of z.
    origin : {"posterior", "prior"}, optional
        Where codes are drawn from; by default the posterior, if the density of z is known there.
    decoded : {"draw", "mean"}
        Whether images are drawn from p(x | code) or are their means.

    Raises
    ------
    InputError
        The model does not have this part, or its density is not known.
    """
    latents = network.eval().latents
    if components is None:
        components = "z" if latents.n_categories is None else "c"
        if isinstance(network.penalty, PointInformation):
            components = network.penalty.chosen.tolist()
    if components == "c":
        if latents.n_categories is None:
            raise InputError(
                f"components 'c' given, but the model has no categories: {', '.join(WITH_CATEGORIES)} have"
            )
        return Categories(network, origin or "posterior", decoded)
    chosen = list(range(latents.latent_dim)) if isinstance(components, str) else components
    if max(chosen) >= latents.latent_dim:
        raise InputError(f"components {max(chosen)} given, expected dimensions of z from 0 to {latents.latent_dim - 1}")
    return Dimensions(network, origin or _known_origin(latents, chosen), decoded, chosen)


def _known_origin(latents: Latents, chosen: list[int]) -> Origin:
    """Return "posterior" unless its density is not known."""
    return "prior" if isinstance(latents, PointLatents) or _spans_levels(latents, chosen) else "posterior"


def _spans_levels(latents: Latents, chosen: list[int]) -> bool:
    """Return whether dimensions belong to both levels of a two-level model."""
    upper = isinstance(latents, TwoLevelLatents) and latents.latent_dim // 2
    return bool(upper) and min(chosen) < upper <= max(chosen)
