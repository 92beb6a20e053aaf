"""p(x | z) of an image: its negative logarithm, mean and draws, given what the decoder puts out."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from topicnet.core.counter_rng import PIXEL, Noise
from topicnet.core.distributions import LOG_2_PI

LEVELS = 256.0  # of gray in a discretised logistic
LOG_SCALE_RANGE = (-4.5, 0.0)
MIN_MASS = 1e-7  # of a logistic's mass: what one gray level has at the least


class Likelihood(nn.Module, ABC):
    """A distribution over images of P pixels, given P numbers of the decoder for each."""

    @abstractmethod
    def nats(self, x: Tensor, out: Tensor) -> Tensor:
        """-log p(x | out) of images (B, P): (B,) nats."""

    def mean(self, out: Tensor) -> Tensor:
        """Mean of the image, (B, P): as a rule the decoder gives its logit."""
        return out.sigmoid()

    @abstractmethod
    def sample(self, out: Tensor, noise: Noise) -> Tensor:
        """Draw images (B, P)."""


class Bernoulli(Likelihood):
    """Pixels that are one with a probability; the decoder gives its logit."""

    def nats(self, x: Tensor, out: Tensor) -> Tensor:
        """Cross-entropy summed over pixels, (B,)."""
        return functional.binary_cross_entropy_with_logits(out, x, reduction="none").sum(-1)

    def sample(self, out: Tensor, noise: Noise) -> Tensor:
        """Zeros and ones, (B, P)."""
        return (noise.uniform(PIXEL, out) < out.sigmoid()).to(out.dtype)


class Gaussian(Likelihood):
    """Normal pixels about the decoder's output, with one variance for all, which is learned."""

    def __init__(self) -> None:
        super().__init__()
        # Narrow at first: a wide one explains the images without their codes, and stays so.
        self.log_var = nn.Parameter(torch.tensor(-4.0))

    def nats(self, x: Tensor, out: Tensor) -> Tensor:
        """Of a normal density: can be below 0, (B,)."""
        scaled = (x - out).square().sum(-1) * (-self.log_var).exp()
        return 0.5 * (x.shape[-1] * (LOG_2_PI + self.log_var) + scaled)

    def mean(self, out: Tensor) -> Tensor:
        """The output itself, (B, P)."""
        return out

    def sample(self, out: Tensor, noise: Noise) -> Tensor:
        return out + noise.normal(PIXEL, out) * (0.5 * self.log_var).exp()


class Logistic(Likelihood):
    """Gray values of 256 levels: a logistic density about the decoder's mean, cut into as many bins.

    Its scale is learned, one for all pixels (Tomczak & Welling 2018, reference code).
    """

    def __init__(self) -> None:
        super().__init__()
        self.free_log_scale = nn.Parameter(torch.tensor(-2.0))

    @property
    def scale(self) -> Tensor:
        """Of the logistic."""
        return self.free_log_scale.clamp(*LOG_SCALE_RANGE).exp()

    def nats(self, x: Tensor, out: Tensor) -> Tensor:
        """-log of the mass of each pixel's bin, (B,)."""
        bins = (x * LEVELS).floor().clamp_max(LEVELS - 1)  # 0 to 255
        mean = self.mean(out)
        upper = ((bins + 1) / LEVELS - mean) / self.scale
        lower = (bins / LEVELS - mean) / self.scale
        # The bins at the ends reach to infinity, so that the masses of all sum to 1.
        below = torch.where(bins > 0, lower.sigmoid(), 0.0)
        until = torch.where(bins < LEVELS - 1, upper.sigmoid(), 1.0)
        return -(until - below).clamp_min(MIN_MASS).log().sum(-1)

    def sample(self, out: Tensor, noise: Noise) -> Tensor:
        """(B, P), within [0, 1]."""
        drawn = self.mean(out) + self.scale * noise.uniform(PIXEL, out).logit()
        return ((drawn.clamp(0.0, 1.0) * LEVELS).floor().clamp_max(LEVELS - 1)) / (LEVELS - 1)


class SquaredError(Likelihood):
    """The cost |x - G(z)|^2 of a Wasserstein autoencoder: no likelihood, though it stands in its place."""

    def nats(self, x: Tensor, out: Tensor) -> Tensor:
        """Squared error, summed over pixels: (B,), no nats."""
        return (x - self.mean(out)).square().sum(-1)

    def sample(self, out: Tensor, noise: Noise) -> Tensor:
        """The mean: the decoder is deterministic."""
        return self.mean(out)


LIKELIHOODS: dict[str, type[Likelihood]] = {
    "bernoulli": Bernoulli,
    "gaussian": Gaussian,
    "logistic": Logistic,
    "squared-error": SquaredError,
}
