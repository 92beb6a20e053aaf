"""Encoder and decoder of a Gibbs VAE: several independent networks trained side by side, one per restart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from topicnet.core.distributions import Normal

LOG_SCALE_RANGE = (-5.0, 2.0)  # of the logarithms of standard deviations
HIDDEN_LAYERS = 2
NARROW_LOG_SCALE, NARROW_FACTOR = -1.0, 5.0  # of the narrow start: log s of the decoder, factor of its means
INITS = ("default", "narrow")


class GaussianNets(nn.Module):
    """Multilayer perceptrons (SiLU) that give diagonal Gaussians, R networks in one batched product.

    Parameters
    ----------
    seeds : sequence of int
        Seed of the initial weights of each network, (R,).
    n_inputs, hidden_dim, n_outputs : int
        Dimensions of the input, of both hidden layers and of the Gaussian.
    """

    def __init__(self, seeds: Sequence[int], n_inputs: int, hidden_dim: int, n_outputs: int) -> None:
        super().__init__()
        widths = [n_inputs, *[hidden_dim] * HIDDEN_LAYERS, 2 * n_outputs]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        for a, b in pairwise(widths):
            bound = a**-0.5
            drawn = [torch.empty(a, b).uniform_(-bound, bound, generator=generator) for generator in generators]
            self.weights.append(nn.Parameter(torch.stack(drawn)))  # (R, a, b)
            self.biases.append(nn.Parameter(torch.zeros(len(seeds), 1, b)))

    def forward(self, x: Tensor) -> Normal:
        """Map points (R, B, n_inputs) to Gaussians of shape (R, B, n_outputs)."""
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if layer < last:
                x = functional.silu(x)
        mean, log_scale = x.chunk(2, -1)
        return Normal(mean, 2 * log_scale.clamp(*LOG_SCALE_RANGE))

    def member(self, which: int) -> GaussianNets:
        """Return one of the networks alone, in double precision and without gradients."""
        alone = GaussianNets.__new__(GaussianNets)
        nn.Module.__init__(alone)
        for name in ("weights", "biases"):
            values = [one[which : which + 1].detach().double() for one in getattr(self, name)]
            setattr(alone, name, nn.ParameterList(nn.Parameter(value, requires_grad=False) for value in values))
        return alone

    @torch.no_grad()
    def narrow(self, members: Sequence[int]) -> None:
        """Start these networks with small standard deviations and means that depend more on the input."""
        rows = list(members)
        n_outputs = self.biases[-1].shape[-1] // 2
        self.weights[-1][rows, :, :n_outputs] *= NARROW_FACTOR
        self.biases[-1][rows, :, n_outputs:] = NARROW_LOG_SCALE


class GibbsNetwork(nn.Module):
    """Decoder Q(x|z) and encoder P(z|x) of R restarts.

    Parameters
    ----------
    inits, seeds : sequences of str and int
        Initialisation ("default" or "narrow") and seed of each restart, (R,) each.
    n_dims, latent_dim, hidden_dim : int
        Dimensions D of x and d of z, and width of the hidden layers.
    """

    def __init__(
        self, inits: Sequence[str], seeds: Sequence[int], n_dims: int, latent_dim: int, hidden_dim: int
    ) -> None:
        super().__init__()
        self.n_dims, self.latent_dim = n_dims, latent_dim
        self.decoder = GaussianNets(seeds, latent_dim, hidden_dim, n_dims)
        self.encoder = GaussianNets([seed + 1 for seed in seeds], n_dims, hidden_dim, latent_dim)
        self.decoder.narrow([row for row, init in enumerate(inits) if init == "narrow"])

    def member(self, which: int) -> GibbsNetwork:
        """Return the networks of one restart, in double precision and without gradients."""
        alone = GibbsNetwork.__new__(GibbsNetwork)
        nn.Module.__init__(alone)
        alone.n_dims, alone.latent_dim = self.n_dims, self.latent_dim
        alone.decoder, alone.encoder = self.decoder.member(which), self.encoder.member(which)
        return alone

    def decode(self, z: Tensor) -> Normal:
        """Return Q(x|z) for codes (n, d) of a single restart: (n, D)."""
        return _flat(self.decoder(z[None]))

    def encode(self, x: Tensor) -> Normal:
        """Return P(z|x) for points (n, D) of a single restart: (n, d)."""
        return _flat(self.encoder(x[None]))


def _flat(found: Normal) -> Normal:
    return Normal(found.mean[0], found.log_var[0])
