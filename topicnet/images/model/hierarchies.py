"""Hierarchical latent variables: two levels (HVAE, HVP), mixture prior (VaDE) and conditional mixture prior (GMVAE)."""

from __future__ import annotations

import math
from typing import Literal, cast

import torch
from torch import Tensor, nn

from topicnet.core.counter_rng import PRIOR, UPPER, Noise
from topicnet.core.distributions import GaussianMixture, Normal, StandardNormal
from topicnet.images.model.convolutions import pixel_body
from topicnet.images.model.latents import (
    Draw,
    GaussianLatents,
    ImportanceDraw,
    Latents,
    chosen_categories,
    kl_from_uniform,
)
from topicnet.images.model.nets import Body, GaussianHead, Sizes


class TwoLevelLatents(Latents):
    """Two levels of the same size: q(z2 | x) q(z1 | x, z2) and p(z1 | z2) p(z2) (Tomczak & Welling 2018, section 4)."""

    def __init__(self, sizes: Sizes, prior: str, n_components: int) -> None:
        super().__init__(sizes)
        latent_dim, hidden_dim, n_layers = sizes.latent_dim, sizes.hidden_dim, sizes.n_layers
        few = min(1, n_layers)
        self.upper = GaussianLatents(sizes, prior, n_components)
        self.from_pixels = pixel_body(sizes, few)
        self.from_upper = Body(latent_dim, hidden_dim, few)
        self.meeting = Body(self.from_pixels.width + self.from_upper.width, hidden_dim, n_layers - few)
        self.lower = GaussianHead(self.meeting.width, latent_dim)
        self.prior_body = Body(latent_dim, hidden_dim, n_layers)
        self.prior_head = GaussianHead(self.prior_body.width, latent_dim)
        self.latent_dim = 2 * latent_dim
        self.code_widths = (latent_dim, latent_dim)

    def _lower(self, features: Tensor, z2: Tensor, noise: Noise | None) -> Normal:
        """Return q(z1 | x, z2) for features of x (B, H)."""
        return cast(Normal, self.lower(self.meeting(torch.cat([features, self.from_upper(z2)], -1)), noise))

    def lower_prior(self, z2: Tensor) -> Normal:
        """Return p(z1 | z2)."""
        return cast(Normal, self.prior_head(self.prior_body(z2)))

    def draw(self, x: Tensor, noise: Noise) -> Draw:
        """Draw z2 and z1; the divergence of z1 is in closed form given z2."""
        q2 = self.upper.posterior(x, noise)
        z2 = q2.sample(UPPER)
        q1 = self._lower(self.from_pixels(x), z2, noise)
        z1 = q1.sample()
        terms = {"kl_z1": q1.kl_from(self.lower_prior(z2)), "kl_z2": self.upper.prior.kl(q2, z2)}
        both = Normal(torch.cat([q1.mean, q2.mean], -1), torch.cat([q1.log_var, q2.log_var], -1), noise)
        return Draw(both, torch.cat([z1, z2], -1), (z1, z2), terms)

    def importance_draw(self, x: Tensor, noise: Noise) -> ImportanceDraw:
        """Draw z2 and z1 from q, with importance weights."""
        q2 = self.upper.posterior(x).repeated(noise)
        z2 = q2.sample(UPPER)
        features = self.from_pixels(x)
        q1 = self._lower(features.repeat(len(z2) // len(features), 1), z2, noise)
        z1 = q1.sample()
        log_p = self.lower_prior(z2).log_density(z1) + self.upper.prior.log_density(z2)
        return ImportanceDraw((z1, z2), log_p - q1.log_density(z1) - q2.log_density(z2))

    def sample(self, noise: Noise, n: int, category: int | Tensor | None = None) -> tuple[Tensor, ...]:
        """Draw z2 from its prior and z1 given z2."""
        (z2,) = self.upper.sample(noise, n)
        p = self.lower_prior(z2)
        return Normal(p.mean, p.log_var, noise).sample(), z2

    def codes(self, x: Tensor) -> Tensor:
        """Return the means of z1, given the mean of z2, and of z2: (B, 2 Z)."""
        z2 = self.upper.codes(x)
        return torch.cat([self._lower(self.from_pixels(x), z2, None).mean, z2], -1)

    def code_of(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, ...]:
        """Split points into z1 and z2."""
        z1, z2 = z.chunk(2, -1)
        return z1, z2

    def initialise_from(self, pixels: Tensor) -> None:
        self.upper.initialise_from(pixels)


class ClusteredLatents(Latents):
    """Latents of VaDE: Gaussian q(z | x), a mixture prior with learned weights, and the q(c | x) that they imply.

    Jiang et al. (2017), eq. 11-16, with the q(c | x) that maximises the bound; E p(c | z) in the paper does not.

    Parameters
    ----------
    sizes : Sizes
        Sizes of the layers.
    assignment : {"optimal", "mean-posterior"}
        q(c|x) proportional to exp E log p(c|z), or p(c|z) at the draw, as in the paper.
    """

    def __init__(self, sizes: Sizes, assignment: Literal["optimal", "mean-posterior"]) -> None:
        super().__init__(sizes)
        self.body = pixel_body(sizes)
        self.head = GaussianHead(self.body.width, sizes.latent_dim)
        self.mixture = GaussianMixture(sizes.n_categories or 1, sizes.latent_dim, spread=1.0)
        self.assignment = assignment

    def posterior(self, x: Tensor, noise: Noise | None = None) -> Normal:
        """Return q(z | x)."""
        return cast(Normal, self.head(self.body(x), noise))

    def _log_assignment(self, q: Normal, z: Tensor) -> Tensor:
        if self.assignment == "optimal":
            return self.mixture.log_assignment(q)
        return self.mixture.log_responsibility(z)

    def draw(self, x: Tensor, noise: Noise) -> Draw:
        """Draw one z for each image."""
        q = self.posterior(x, noise)
        z = q.sample()
        log_q_c = self._log_assignment(q, z)
        kl_z = self.mixture.kl_per_dimension(q, log_q_c).sum(-1)
        kl_c = (log_q_c.exp() * (log_q_c - self.mixture.log_weights())).sum(-1)
        return Draw(q, z, (z,), {"kl_z": kl_z, "kl_c": kl_c}, log_q_c)

    def importance_draw(self, x: Tensor, noise: Noise) -> ImportanceDraw:
        """Draw z from q(z | x), with importance weights; categories are summed out."""
        q = self.posterior(x).repeated(noise)
        z = q.sample()
        return ImportanceDraw((z,), self.mixture.log_density(z) - q.log_density(z))

    def sample(self, noise: Noise, n: int, category: int | Tensor | None = None) -> tuple[Tensor, ...]:
        """Draw c from pi and z from p(z | c)."""
        given = self.mixture.component(chosen_categories(self.mixture.log_weights().exp(), noise, n, category))
        return (Normal(given.mean, given.log_var, noise).sample(PRIOR),)

    def codes(self, x: Tensor) -> Tensor:
        return self.posterior(x).mean

    def log_categories(self, x: Tensor) -> Tensor:
        """Return log q(c | x), (B, K), for "mean-posterior" at the posterior mean."""
        q = self.posterior(x)
        return self._log_assignment(q, q.mean)

    @torch.no_grad()
    def cluster(self, means: Tensor, log_var: Tensor, weights: Tensor) -> None:
        """Initialise the mixture with clusters: means and log-variances (K, Z), weights (K,)."""
        self.mixture.means.copy_(means)
        self.mixture.free_log_var.copy_(log_var)
        assert isinstance(self.mixture.logits, nn.Parameter)
        self.mixture.logits.copy_(weights.log())


class WeightedLatents(Latents):
    """Latents of GMVAE: w ~ N(0, I), a uniform c, and a network that maps w to a Gaussian p(z | w, c) for each c.

    Dilokthanakul et al. (2016), eq. 1-4.

    Parameters
    ----------
    sizes : Sizes
        Sizes of the layers.
    least_kl_c : float
        Free nats of c: below this value its divergence has no gradient, so that clusters do not merge at once
        (section 3.3).
    """

    def __init__(self, sizes: Sizes, least_kl_c: float) -> None:
        super().__init__(sizes)
        latent_dim = sizes.latent_dim
        self.body = pixel_body(sizes)
        self.head = GaussianHead(self.body.width, latent_dim)
        self.w_head = GaussianHead(self.body.width, latent_dim)
        self.components_body = Body(latent_dim, sizes.hidden_dim, min(1, sizes.n_layers))
        self.components = GaussianHead(self.components_body.width, (sizes.n_categories or 1) * latent_dim)
        self.standard = StandardNormal(latent_dim)
        self.free_nats = {"kl_c": least_kl_c}

    def components_given(self, w: Tensor) -> Normal:
        """Return p(z | w, c) for all c: (B, K, Z)."""
        flat = self.components(self.components_body(w))
        shape = (len(w), -1, self.latent_dim)
        return Normal(flat.mean.view(shape), flat.log_var.view(shape))

    def posteriors(self, x: Tensor, noise: Noise | None) -> tuple[Normal, Normal]:
        """Return q(z | x) and q(w | x)."""
        hidden = self.body(x)
        return self.head(hidden, noise), self.w_head(hidden, noise)

    def draw(self, x: Tensor, noise: Noise) -> Draw:
        """Draw one z and one w for each image; p(c | z, w) is exact."""
        q, q_w = self.posteriors(x, noise)
        z, w = q.sample(), q_w.sample(UPPER)
        p = self.components_given(w)
        log_p_c = p.log_density(z[:, None]).log_softmax(-1)  # (B, K)
        posterior = Normal(q.mean[:, None], q.log_var[:, None])
        kl_c = kl_from_uniform(log_p_c)
        kl_z = (log_p_c.exp() * posterior.kl_from(p)).sum(-1)
        terms = {"kl_z": kl_z, "kl_w": self.standard.kl(q_w), "kl_c": kl_c}
        return Draw(q, z, (z,), terms, log_p_c)

    def importance_draw(self, x: Tensor, noise: Noise) -> ImportanceDraw:
        """Draw z and w, with importance weights; categories are summed out."""
        q, q_w = (part.repeated(noise) for part in self.posteriors(x, None))
        z, w = q.sample(), q_w.sample(UPPER)
        logs = self.components_given(w).log_density(z[:, None])  # (B, K)
        log_p = logs.logsumexp(-1) - math.log(logs.shape[1]) + self.standard.log_density(w)
        return ImportanceDraw((z,), log_p - q.log_density(z) - q_w.log_density(w))

    def sample(self, noise: Noise, n: int, category: int | Tensor | None = None) -> tuple[Tensor, ...]:
        """Draw w, c and z in turn."""
        weight = self.head.mean.weight
        w = noise.normal(UPPER, weight.new_empty(n, self.latent_dim))
        p = self.components_given(w)
        uniform = weight.new_full((p.mean.shape[1],), 1 / p.mean.shape[1])
        c = chosen_categories(uniform, noise, n, category)[:, :, None]
        return (Normal((c * p.mean).sum(1), (c * p.log_var).sum(1), noise).sample(PRIOR),)

    def codes(self, x: Tensor) -> Tensor:
        """Return the means of z, (B, Z)."""
        return self.posteriors(x, None)[0].mean

    def log_categories(self, x: Tensor) -> Tensor:
        """Return log p(c | z, w) at the posterior means, (B, K)."""
        q, q_w = self.posteriors(x, None)
        return self.components_given(q_w.mean).log_density(q.mean[:, None]).log_softmax(-1)
