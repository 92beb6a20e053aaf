"""Measurement of the information of decoded images about the code, every few epochs of a fit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from topicnet.images.data.load import fixed_binarisation
from topicnet.images.evaluation.code_parts import part_of
from topicnet.images.evaluation.decoded_information import PredictorTraining, bound_of
from topicnet.images.model.batches import ImageBatches
from topicnet.images.model.nets import Sizes
from topicnet.images.model.vae import Vae

MOST_IMAGES, LEAST_IMAGES = 2_000, 4
EPOCHS, DRAWS, BATCH = 10, 4_000, 200  # training of Q: at most 200 steps
COLUMNS = {"information": "bound", "information_low": "low", "information_high": "high", "code_entropy": "entropy"}


class InformationTracker:
    """Bounds on the information of decoded images about the code, measured after every n-th epoch and the last.

    Each measurement trains a network Q from its start, for at most 200 steps, on codes and images drawn for up to 2,000
    images. It depends on the weights, the seed and the number of the epoch alone, so that a resumed fit has the same
    history. A longer training, as in `information_bound`, gives somewhat higher bounds.

    Parameters
    ----------
    network : Vae
        The model. What vmi-z informs, the category, or all of z is measured.
    images : ImageBatches
        Images that codes are drawn from: validation images, or training images without any.
    sizes : Sizes
        Sizes of the model.
    every, max_epochs : int
        Epochs between measurements, and of the fit.
    seed : int
        Seed of the fit.
    """

    def __init__(
        self, network: Vae, images: ImageBatches, sizes: Sizes, *, every: int, max_epochs: int, seed: int
    ) -> None:
        self.network = network
        self.sizes = sizes
        self.every = every
        self.max_epochs = max_epochs
        self.seed = seed
        self.pixels: NDArray[Any] = images.pixels[:MOST_IMAGES].cpu().numpy()
        if images.binarise:
            self.pixels = fixed_binarisation(self.pixels)
        self.done = 0

    def measure(self) -> dict[str, float]:
        """Count an epoch; return the columns of its row of the history, NaN if it is not one to measure."""
        self.done += 1
        if self.done % self.every and self.done < self.max_epochs:
            return dict.fromkeys(COLUMNS, math.nan)
        half = len(self.pixels) // 2
        found = bound_of(
            part_of(self.network, None, None, "draw"),
            (self.pixels[half:], self.pixels[:half]),
            (self.sizes.n_pixels, self.sizes.hidden_dim),
            np.random.default_rng([self.seed, self.done]),
            PredictorTraining(EPOCHS, DRAWS, BATCH),
        )
        return {column: float(found[name]) for column, name in COLUMNS.items()}

    def state(self) -> dict[str, Any]:
        """Return the number of epochs."""
        return {"done": self.done}

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore the number of epochs."""
        self.done = int(state["done"])
