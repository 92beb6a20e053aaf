"""Layers of the image models: gated encoder and decoder layers, Gaussian heads and critics."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from topicnet.core.counter_rng import Noise
from topicnet.core.distributions import Normal

# Keeps standard deviations within [0.05, 2.7] (Tomczak & Welling 2018, reference code).
LOG_VAR_RANGE = (-6.0, 2.0)


@dataclass(frozen=True)
class Sizes:
    """Sizes of a model's layers.

    Attributes
    ----------
    n_pixels : int
        P, pixels of an image; in colour, values of all pixels.
    latent_dim : int
        Z, dimension of the latent space; of each level if there are two.
    hidden_dim : int
        Width of the hidden layers.
    n_layers : int
        Gated layers of the encoder and of the decoder, not counting the output layer; 0 gives a linear model.
    n_categories : int or None
        K, for variants with categories.
    shape : tuple of int or None
        Height and width of an image, and 3 for colour; None for vectors, or if it does not matter.
    convolutional : bool
        Whether encoder and decoder have convolutions in place of `n_layers` dense layers.
    """

    n_pixels: int
    latent_dim: int
    hidden_dim: int
    n_layers: int
    n_categories: int | None
    shape: tuple[int, ...] | None = None
    convolutional: bool = False


class GatedDense(nn.Module):
    """Gated layer (W x + b) * sigmoid(V x + e) (Dauphin et al. 2017; Tomczak & Welling 2018, section 4)."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        # One matrix product for both halves.
        self.both = nn.Linear(n_inputs, 2 * n_outputs)
        for half in torch.split(self.both.weight, n_outputs):
            nn.init.xavier_uniform_(half)
        nn.init.zeros_(self.both.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n) to (B, m)."""
        return functional.glu(self.both(x), -1)


class Body(nn.Sequential):
    """Stack of gated layers with output size `width`; with no layers it returns its input."""

    def __init__(self, n_inputs: int, hidden_dim: int, n_layers: int) -> None:
        widths = [n_inputs, *[hidden_dim] * n_layers]
        super().__init__(*(GatedDense(a, b) for a, b in pairwise(widths)))
        self.width = widths[-1]


class GaussianHead(nn.Module):
    """Linear layers that give the mean and log-variance (B, Z) of a Gaussian."""

    def __init__(self, n_inputs: int, latent_dim: int) -> None:
        super().__init__()
        self.mean = dense(n_inputs, latent_dim)
        self.log_var = dense(n_inputs, latent_dim)

    def forward(self, hidden: Tensor, noise: Noise | None = None) -> Normal:
        """Return the Gaussian for hidden units (B, H)."""
        return Normal(self.mean(hidden), functional.hardtanh(self.log_var(hidden), *LOG_VAR_RANGE), noise)


class Critic(nn.Sequential):
    """Multilayer perceptron with leaky ReLU activations and `n_outputs` outputs (Kim & Mnih 2018, appendix A)."""

    SLOPE = 0.2

    def __init__(self, n_inputs: int, hidden_dim: int, n_layers: int, n_outputs: int) -> None:
        widths = [n_inputs, *[hidden_dim] * n_layers]
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            layers += [dense(a, b), nn.LeakyReLU(self.SLOPE)]
        super().__init__(*layers, dense(widths[-1], n_outputs))


def gaussian_critic(n_inputs: int, hidden_dim: int, n_layers: int, n_outputs: int) -> nn.Sequential:
    """Build a critic that outputs a Gaussian, its mean and log-variance, for each of `n_outputs` targets."""
    body = Critic(n_inputs, hidden_dim, n_layers, hidden_dim)
    return nn.Sequential(body, nn.LeakyReLU(Critic.SLOPE), GaussianHead(hidden_dim, n_outputs))


def dense(n_inputs: int, n_outputs: int) -> nn.Linear:
    """Build a linear layer with the initialisation of Glorot & Bengio (2010)."""
    layer = nn.Linear(n_inputs, n_outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Decoder(nn.Module):
    """Network that maps a code to the parameters of the likelihood.

    Parameters
    ----------
    widths : tuple of int
        Widths of the parts of the code; several parts have one gated layer each before they are concatenated (Tomczak &
        Welling 2018, section 4.2).
    hidden_dim : int
        Width of the hidden layers.
    n_layers : int
        Number of gated layers.
    n_outputs : int
        Number of outputs.
    out : nn.Module, optional
        Output layer that reads features (B, H), in place of a linear one.
    """

    def __init__(
        self, widths: tuple[int, ...], hidden_dim: int, n_layers: int, n_outputs: int, out: nn.Module | None = None
    ) -> None:
        super().__init__()
        alone = len(widths) == 1
        branch_layers = n_layers if alone else min(1, n_layers)
        self.branches = nn.ModuleList(Body(width, hidden_dim, branch_layers) for width in widths)
        width = sum(branch.width for branch in self.branches if isinstance(branch, Body))
        self.meeting = Body(width, hidden_dim, 0 if alone else n_layers - branch_layers)
        self.n_features = self.meeting.width
        self.out = dense(self.n_features, n_outputs) if out is None else out

    def features(self, code: tuple[Tensor, ...]) -> Tensor:
        """Map the parts of a code, (B, n) each, to the features (B, H) that the output layer reads."""
        parts = [branch(part) for branch, part in zip(self.branches, code, strict=True)]
        return cast(Tensor, self.meeting(parts[0] if len(parts) == 1 else torch.cat(parts, -1)))

    def forward(self, code: tuple[Tensor, ...]) -> Tensor:
        """Map the parts of a code, (B, n) each, to (B, n_outputs)."""
        return cast(Tensor, self.out(self.features(code)))
