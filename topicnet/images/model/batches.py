"""Batches of images, kept and binarised on the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from topicnet.core.counter_rng import PIXEL, Noise
from topicnet.runtime.seeding import draw_seed

WHITE = 255.0  # of 8-bit images


@dataclass(frozen=True)
class ImageBatch:
    """Mini-batch of images with their random numbers.

    Attributes
    ----------
    pixels : Tensor of shape (B, P)
        Values in [0, 1].
    noise : Noise
        Random numbers of these images.
    """

    pixels: Tensor
    noise: Noise


class ImageBatches:
    """Images split into batches of nearly equal size, at most `batch_size`.

    Parameters
    ----------
    pixels : ndarray or Tensor of shape (n, P)
        Bytes, or numbers in [0, 1]; copied to the device unchanged.
    batch_size : int
        Largest number of images in a batch.
    device : torch.device
        Device of the batches.
    binarise : bool
        Draw each pixel from a Bernoulli with its gray value as the mean, again in each epoch (Burda et al. 2016,
        section 5).
    """

    def __init__(
        self, pixels: NDArray[np.generic] | Tensor, batch_size: int, device: torch.device, *, binarise: bool
    ) -> None:
        self.pixels = torch.as_tensor(pixels).to(device)
        self.device = device
        self.binarise = binarise
        self.n_batches = max(1, -(-len(self.pixels) // batch_size))

    @property
    def n_docs(self) -> int:
        """Number of images; "docs" is the name that the training loop uses."""
        return len(self.pixels)

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[ImageBatch]:
        """Iterate over all images in order, always with the same noise."""
        yield from self._batches(np.arange(self.n_docs), seed=0)

    def shuffled(self, rng: np.random.Generator, skip: int = 0) -> Iterator[ImageBatch]:
        """Iterate over all images in random order, skipping the first batches if requested."""
        yield from self._batches(rng.permutation(self.n_docs), draw_seed(rng), skip)

    def repeat(self, seed: int) -> Iterator[ImageBatch]:
        """Iterate over all images in order, with the noise of a seed."""
        yield from self._batches(np.arange(self.n_docs), seed)

    def at(self, index: NDArray[np.int64]) -> Iterator[ImageBatch]:
        """Iterate over the images at `index`, each with the noise that it has in `__iter__`."""
        n_batches = max(1, -(-len(index) * self.n_batches // self.n_docs))
        yield from self._batches(index, 0, n_batches=n_batches)

    def _batches(
        self, order: NDArray[np.int64], seed: int, skip: int = 0, n_batches: int | None = None
    ) -> Iterator[ImageBatch]:
        for index in np.array_split(order, n_batches or self.n_batches)[skip:]:
            noise = Noise.of(seed, index, self.device)
            rows = torch.as_tensor(index).to(self.device, non_blocking=True)
            pixels = to_unit_interval(self.pixels.index_select(0, rows))
            if self.binarise:
                pixels = (noise.uniform(PIXEL, pixels) < pixels).to(pixels.dtype)
            yield ImageBatch(pixels, noise)


def to_unit_interval(pixels: Tensor) -> Tensor:
    """Convert pixels of either type to numbers in [0, 1]."""
    return pixels.float() * (1 / WHITE) if pixels.dtype == torch.uint8 else pixels
