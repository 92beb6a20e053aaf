"""Convolutional layers of the image models: the first layers of an encoder and the last ones of a decoder.

Images are vectors (B, P) outside these layers, row by row, with the channels of a pixel next to one another.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from topicnet.images.model.nets import Body, GatedDense, Sizes

FEATURES = (32, 64)  # channels after the first layer, and after every further one
LEAST_SIDE = 8  # pixels of the shorter side
MOST_FLOATS = 1 << 24  # of a layer's output at once, where no gradient is needed: 64 MiB


class GatedConvolution(nn.Module):
    """Gated layer (W * x + b) sigmoid(V * x + e) of convolutions that halve both sides, rounded up, or double them.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Channels.
    grows : bool
        Whether sides are doubled, by a transposed convolution.
    gated : bool
        Without the gate, the layer is linear.
    """

    def __init__(self, n_inputs: int, n_outputs: int, *, grows: bool = False, gated: bool = True) -> None:
        super().__init__()
        # A kernel of 4 meets every pixel of the larger image equally often; 3 halves odd sides without a rest.
        kind, kernel = (nn.ConvTranspose2d, 4) if grows else (nn.Conv2d, 3)
        self.both = kind(n_inputs, n_outputs * (2 if gated else 1), kernel, stride=2, padding=1)
        for half in torch.split(self.both.weight, n_outputs, dim=1 if grows else 0):
            nn.init.xavier_uniform_(half)
        nn.init.zeros_(cast(Tensor, self.both.bias))
        self.gated = gated

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, c, h, w) to (B, d, ceil(h / 2), ceil(w / 2)) or (B, d, 2 h, 2 w)."""
        out = self.both(x)
        return functional.glu(out, 1) if self.gated else out


class ConvolutionalBody(nn.Module):
    """Gated convolutions, each halving the sides of the image, and one gated dense layer to `width` features."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.shape, sides, features = _plan(sizes)
        self.convolutions = nn.Sequential(*(GatedConvolution(a, b) for a, b in pairwise(features)))
        self.dense = GatedDense(features[-1] * sides[-1][0] * sides[-1][1], sizes.hidden_dim)
        self.width = sizes.hidden_dim
        self.rows = _rows_at_once(self.shape)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, P) to features (B, H)."""
        if torch.is_grad_enabled() or len(x) <= self.rows:
            return self._features(x)
        return torch.cat([self._features(part) for part in torch.split(x, self.rows)])

    def _features(self, x: Tensor) -> Tensor:
        pictures = x.reshape(-1, *self.shape).movedim(-1, 1).contiguous()
        return cast(Tensor, self.dense(self.convolutions(pictures).flatten(1)))


class ConvolutionalOutput(nn.Module):
    """Output layer of a decoder: a gated dense layer, then transposed convolutions that mirror `ConvolutionalBody`.

    Parameters
    ----------
    sizes : Sizes
        Sizes of the model.
    n_features : int
        H, number of features that the layer reads.
    """

    def __init__(self, sizes: Sizes, n_features: int) -> None:
        super().__init__()
        self.shape, self.sides, features = _plan(sizes)
        self.start = (features[-1], *self.sides[-1])
        self.dense = GatedDense(n_features, features[-1] * self.sides[-1][0] * self.sides[-1][1])
        pairs = list(pairwise(reversed(features)))
        self.convolutions = nn.ModuleList(
            GatedConvolution(a, b, grows=True, gated=number < len(pairs)) for number, (a, b) in enumerate(pairs, 1)
        )
        self.rows = _rows_at_once(self.shape)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (B, H) to the parameters of the likelihood, (B, P)."""
        if torch.is_grad_enabled() or len(features) <= self.rows:
            return self._images(features)
        return torch.cat([self._images(part) for part in torch.split(features, self.rows)])

    def _images(self, features: Tensor) -> Tensor:
        x = self.dense(features).reshape(-1, *self.start)
        for layer, (height, width) in zip(self.convolutions, self.sides[-2::-1], strict=True):
            x = layer(x)[:, :, :height, :width]  # twice a side that was rounded up is one pixel too long
        return cast(Tensor, x.movedim(1, -1).flatten(1))


def pixel_body(sizes: Sizes, n_layers: int | None = None) -> Body | ConvolutionalBody:
    """Build the layers of an encoder that read an image; by default all `sizes.n_layers` of them."""
    if sizes.convolutional:
        return ConvolutionalBody(sizes)
    return Body(sizes.n_pixels, sizes.hidden_dim, sizes.n_layers if n_layers is None else n_layers)


def most_layers(shape: tuple[int, ...]) -> int:
    """Return the number of times that the shorter side of an image can be halved to no less than 2 pixels."""
    return min(shape[:2]).bit_length() - 2


def _plan(sizes: Sizes) -> tuple[tuple[int, int, int], list[tuple[int, int]], list[int]]:
    """Return the shape (h, w, channels) of an image, and the sides and channels before and after each convolution."""
    assert sizes.shape is not None
    height, width, *rest = sizes.shape
    channels = rest[0] if rest else 1
    sides = [(height, width)]
    for _ in range(sizes.n_layers):
        sides.append((-(-sides[-1][0] // 2), -(-sides[-1][1] // 2)))
    features = [channels, *(FEATURES[min(layer, 1)] for layer in range(sizes.n_layers))]
    return (height, width, channels), sides, features


def _rows_at_once(shape: tuple[int, int, int]) -> int:
    """Return how many images have outputs of the largest layer, gates included, within the limit."""
    return max(1, MOST_FLOATS // (2 * FEATURES[0] * -(-shape[0] // 2) * -(-shape[1] // 2)))
