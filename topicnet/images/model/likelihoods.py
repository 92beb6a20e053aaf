"""Likelihoods p(x | z) of images: negative log-likelihood, mean and sampling, given the decoder's output."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from topicnet.core.counter_rng import PIXEL, Noise
from topicnet.core.distributions import LOG_2_PI

LEVELS = 256.0  # gray levels of the discretised logistic
LOG_SCALE_RANGE = (-4.5, 0.0)
MIN_MASS = 1e-7  # least probability of a gray level in the discretised logistic


class Likelihood(nn.Module, ABC):
    """Distribution over images of P pixels, given P outputs of the decoder."""

    @abstractmethod
    def nats(self, x: Tensor, out: Tensor) -> Tensor:
        """Return -log p(x | out) of images (B, P): (B,) nats."""

    def mean(self, out: Tensor) -> Tensor:
        """Return the mean image (B, P); by default the outputs are its logits."""
        return out.sigmoid()

    @abstractmethod
    def sample(self, out: Tensor, noise: Noise) -> Tensor:
        """Draw images (B, P)."""


class Bernoulli(Likelihood):
    """Independent Bernoulli pixels; the outputs are logits."""

    def nats(self, x: Tensor, out: Tensor) -> Tensor:
        """Return the cross-entropy summed over pixels, (B,) nats."""
        return functional.binary_cross_entropy_with_logits(out, x, reduction="none").sum(-1)

    def sample(self, out: Tensor, noise: Noise) -> Tensor:
        """Draw zeros and ones, (B, P)."""
        return (noise.uniform(PIXEL, out) < out.sigmoid()).to(out.dtype)


class Gaussian(Likelihood):
    """Gaussian pixels with the outputs as means and one learned variance for all."""

    def __init__(self) -> None:
        super().__init__()
        # A wide initial variance explains the images without their codes, and stays wide.
        self.log_var = nn.Parameter(torch.tensor(-4.0))

    def nats(self, x: Tensor, out: Tensor) -> Tensor:
        """Return the negative log-density, (B,) nats; it can be negative."""
        scaled = (x - out).square().sum(-1) * (-self.log_var).exp()
        return 0.5 * (x.shape[-1] * (LOG_2_PI + self.log_var) + scaled)

    def mean(self, out: Tensor) -> Tensor:
        """Return the outputs, (B, P)."""
        return out

    def sample(self, out: Tensor, noise: Noise) -> Tensor:
        return out + noise.normal(PIXEL, out) * (0.5 * self.log_var).exp()


class Logistic(Likelihood):
    """Discretised logistic over 256 gray levels: a logistic density around the mean, integrated over 256 bins.

    One scale for all pixels is learned (Tomczak & Welling 2018, reference code).
    """

    def __init__(self) -> None:
        super().__init__()
        self.free_log_scale = nn.Parameter(torch.tensor(-2.0))

    @property
    def scale(self) -> Tensor:
        """Scale of the logistic density."""
        return self.free_log_scale.clamp(*LOG_SCALE_RANGE).exp()

    def nats(self, x: Tensor, out: Tensor) -> Tensor:
        """Return the negative log-probability of each pixel's bin, summed over pixels: (B,) nats."""
        bins = (x * LEVELS).floor().clamp_max(LEVELS - 1)  # 0 to 255
        mean = self.mean(out)
        upper = ((bins + 1) / LEVELS - mean) / self.scale
        lower = (bins / LEVELS - mean) / self.scale
        # The outer bins extend to infinity, so that the probabilities sum to 1.
        below = torch.where(bins > 0, lower.sigmoid(), 0.0)
        until = torch.where(bins < LEVELS - 1, upper.sigmoid(), 1.0)
        return -(until - below).clamp_min(MIN_MASS).log().sum(-1)

    def sample(self, out: Tensor, noise: Noise) -> Tensor:
        """Draw gray levels within [0, 1], (B, P)."""
        drawn = self.mean(out) + self.scale * noise.uniform(PIXEL, out).logit()
        return ((drawn.clamp(0.0, 1.0) * LEVELS).floor().clamp_max(LEVELS - 1)) / (LEVELS - 1)


class SquaredError(Likelihood):
    """Cost |x - G(z)|^2 of a Wasserstein autoencoder, used in place of a likelihood."""

    def nats(self, x: Tensor, out: Tensor) -> Tensor:
        """Return the squared error summed over pixels, (B,); not in nats."""
        return (x - self.mean(out)).square().sum(-1)

    def sample(self, out: Tensor, noise: Noise) -> Tensor:
        """Return the mean image, as the decoder is deterministic."""
        return self.mean(out)


LIKELIHOODS: dict[str, type[Likelihood]] = {
    "bernoulli": Bernoulli,
    "gaussian": Gaussian,
    "logistic": Logistic,
    "squared-error": SquaredError,
}
