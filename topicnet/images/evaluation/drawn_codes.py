"""Codes of an image model, drawn from q(. | x) or from the prior, with the Gaussians that z was drawn from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from topicnet.core.counter_rng import COMPONENT, UPPER, Noise
from topicnet.core.distributions import Normal
from topicnet.images.evaluation.aggregated import LOG_2PI, gaussian_log_density_matrix
from topicnet.images.model.batches import ImageBatch
from topicnet.images.model.hierarchies import ClusteredLatents, TwoLevelLatents, WeightedLatents
from topicnet.images.model.latents import (
    CategoricalLatents,
    GaussianLatents,
    Latents,
    PointLatents,
    chosen_categories,
    one_hot,
)
from topicnet.images.model.priors import MixturePrior, StandardPrior, VampPrior

Origin = Literal["posterior", "prior"]

ROWS_AT_ONCE = 250  # rows of a density matrix that are computed together


@dataclass(frozen=True)
class CodeDraw:
    """One code for each of B rows.

    Attributes
    ----------
    code : tuple of Tensor
        Input of the decoder.
    z : Tensor of shape (B, Z)
        The continuous latents.
    given : Normal or None
        Gaussians (B, Z) that z was drawn from, given all other draws; None where the density of z is known otherwise.
    c : Tensor of shape (B, K), optional
        The category drawn, one-hot; or its probabilities, if the decoder does not depend on c.
    """

    code: tuple[Tensor, ...]
    z: Tensor
    given: Normal | None = None
    c: Tensor | None = None


@dataclass(frozen=True)
class Mixture:
    """Mixture of M diagonal Gaussians.

    Attributes
    ----------
    mean, log_var : Tensor of shape (M, n)
        Parameters of the Gaussians.
    log_weights : Tensor of shape (M,), optional
        Logarithms of the weights; None for equal ones.
    """

    mean: Tensor
    log_var: Tensor
    log_weights: Tensor | None = None

    def of_dimensions(self, dimensions: Tensor) -> Mixture:
        """Return the marginal of some dimensions."""
        return Mixture(self.mean[:, dimensions], self.log_var[:, dimensions], self.log_weights)

    def log_density(self, z: Tensor) -> Tensor:
        """Return the log-density at points (B, n): (B,) float64 nats."""
        weights = 0.0 if self.log_weights is None else self.log_weights.double()
        slices = torch.split(z, ROWS_AT_ONCE)
        logs = [(gaussian_log_density_matrix(rows, self.mean, self.log_var) + weights).logsumexp(1) for rows in slices]
        return torch.cat(logs) - (math.log(len(self.mean)) if self.log_weights is None else 0.0)

    def exact_entropy(self) -> float | None:
        """Return the differential entropy in nats if there is one Gaussian; otherwise None."""
        return 0.5 * float((self.log_var.double() + LOG_2PI + 1).sum()) if len(self.mean) == 1 else None


def from_posterior(latents: Latents, batch: ImageBatch, *, with_given: bool) -> CodeDraw:
    """Draw a code from q(. | x) for each image; `given` is left out on request, where it takes another encoding."""
    if isinstance(latents, CategoricalLatents):
        (code,) = latents.importance_draw(batch.pixels, batch.noise).code  # hard, and once per image
        z, c = code[:, : latents.latent_dim], code[:, latents.latent_dim :]
        return CodeDraw((code,), z, latents.posterior(latents.body(batch.pixels), c) if with_given else None, c)
    draw = latents.draw(batch.pixels, batch.noise)
    given = draw.q if isinstance(draw.q, Normal) else None
    return CodeDraw(draw.code, draw.z, given, None if draw.log_q_c is None else draw.log_q_c.exp())


def from_prior(latents: Latents, noise: Noise) -> CodeDraw:
    """Draw a code from the prior for each row of noise; c from p(c), not from q(c) as `Latents.sample` does."""
    n = len(noise.keys)
    if isinstance(latents, CategoricalLatents):
        (both,) = latents.sample(noise, n, _uniform(latents, noise))
        return CodeDraw((both,), both[:, : latents.latent_dim], None, both[:, latents.latent_dim :])
    if isinstance(latents, ClusteredLatents):
        c = chosen_categories(latents.mixture.log_weights().exp(), noise, n, None)
        code = latents.sample(noise, n, c.argmax(-1))
        return CodeDraw(code, code[0], None, c)
    if isinstance(latents, WeightedLatents):
        which = _uniform(latents, noise)
        code = latents.sample(noise, n, which)
        p = latents.components_given(noise.normal(UPPER, code[0]))  # with the same w
        rows = torch.arange(n, device=which.device)
        c = one_hot(which, code[0].new_empty(n, p.mean.shape[1]))
        return CodeDraw(code, code[0], Normal(p.mean[rows, which], p.log_var[rows, which]), c)
    code = latents.sample(noise, n)
    if isinstance(latents, TwoLevelLatents):
        return CodeDraw(code, torch.cat(code, -1), latents.lower_prior(code[1]))
    return CodeDraw(code, code[0])


def _uniform(latents: Latents, noise: Noise) -> Tensor:
    return noise.choice(COMPONENT, latents.n_categories or 1)[:, 0]


@torch.inference_mode()
def prior_mixture(latents: Latents) -> Mixture | None:
    """Return p(z) as a mixture of Gaussians; None for a hierarchy, whose p(z) has no closed form."""
    if isinstance(latents, GaussianLatents):
        if isinstance(latents.prior, MixturePrior):
            mixture = latents.prior.mixture
            return Mixture(mixture.means, mixture.log_var, mixture.log_weights())
        if isinstance(latents.prior, VampPrior):
            q = latents.posterior(latents.prior.inputs)
            return Mixture(q.mean, q.log_var)
        return _standard(latents) if isinstance(latents.prior, StandardPrior) else None
    if isinstance(latents, CategoricalLatents | ClusteredLatents):
        if latents.mixture is None:
            return _standard(latents)
        return Mixture(latents.mixture.means, latents.mixture.log_var, latents.mixture.log_weights())
    return _standard(latents) if isinstance(latents, PointLatents) else None


def _standard(latents: Latents) -> Mixture:
    zero = next(latents.parameters()).new_zeros(1, latents.latent_dim)
    return Mixture(zero, zero)
