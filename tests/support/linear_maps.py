"""A Gibbs VAE with linear maps, whose free energy and bounds have closed forms."""

from dataclasses import dataclass

import torch
from torch import Tensor

from topicnet.core.distributions import Normal


@dataclass(frozen=True)
class LinearNetwork:
    """Decoder x = a z + s e and encoder z = b x + r e in one dimension, for the networks of a `GibbsVAE`."""

    a: float
    s: float
    b: float
    r: float
    n_dims: int = 1
    latent_dim: int = 1

    def decode(self, z: Tensor) -> Normal:
        return Normal(self.a * z, torch.full_like(z, self.s).square().log())

    def encode(self, x: Tensor) -> Normal:
        return Normal(self.b * x, torch.full_like(x, self.r).square().log())


def exact_network(a: float, s: float) -> LinearNetwork:
    """Return a decoder of N(0, a^2 + s^2) with its exact encoder."""
    variance = a**2 + s**2
    return LinearNetwork(a, s, a / variance, s / variance**0.5)
