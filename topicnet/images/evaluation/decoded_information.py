"""Lower bound E log Q(code | image) + H(code) on the information of decoded images about their code.

A network Q is trained to predict the code from the image, on draws from a model whose weights stay fixed (Barber &
Agakov 2003).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from topicnet.images.evaluation.code_parts import Categories, Code
from topicnet.images.evaluation.measures import mean_and_interval
from topicnet.images.model.batches import ImageBatch, ImageBatches
from topicnet.images.model.vae import Objective
from topicnet.runtime.seeding import draw_seed, seeded
from topicnet.training.loop import train
from topicnet.training.options import TrainOptions
from topicnet.training.schedule import Schedule

INFERENCE_ROWS = 1_000
HELD_OUT_PART = 5  # one in five images that train Q is held out for early stopping
LEAST_WIDTH = 128  # of Q: a small model should not limit the predictions


@dataclass(frozen=True)
class PredictorTraining:
    """Training of Q.

    Attributes
    ----------
    epochs : int
        Most epochs; training stops early when predictions for held-out draws no longer improve.
    n_draws : int
        Least draws per epoch: few images are drawn several times each.
    batch_size : int
        Draws per step.
    learning_rate : float
        Highest rate of one cycle.
    patience : int
        Epochs without improvement before training stops.
    """

    epochs: int
    n_draws: int
    batch_size: int
    learning_rate: float = 2e-3
    patience: int = 8


def bound_of(
    code: Code,
    halves: tuple[NDArray[Any], NDArray[Any]],
    sizes: tuple[int, int],
    rng: np.random.Generator,
    training: PredictorTraining,
) -> dict[str, Any]:
    """Train Q on draws for one half of the images, and measure the bound on draws for the other.

    Parameters
    ----------
    code : Code
        The code.
    halves : (ndarray, ndarray)
        Images (n, P) that train Q, and those that the bound is measured on; ignored if codes come from the prior.
    sizes : (int, int)
        Number of pixels P, and width of the model, which Q has at least.
    rng : Generator
        Source of the seeds.
    training : PredictorTraining
        Length of the training.

    Returns
    -------
    dict
        JSON values, see `topicnet.images.evaluation.information.information_bound`.
    """
    first, second = halves
    predictor, n_epochs = _train_predictor(code, first, sizes, rng, training)
    return _measured(predictor, code, second, draw_seed(rng), training.n_draws) | {"epochs": n_epochs}


def _train_predictor(
    code: Code, pixels: NDArray[Any], sizes: tuple[int, int], rng: np.random.Generator, training: PredictorTraining
) -> tuple[nn.Module, int]:
    """Train a predictor while the model's weights stay fixed, and return it with the number of epochs."""
    device = code.network.device
    init_seed, train_seed = draw_seed(rng), draw_seed(rng)
    with seeded(init_seed):
        predictor = code.predictor(sizes[0], max(LEAST_WIDTH, sizes[1])).to(device)
    n_held_out = max(1, len(pixels) // HELD_OUT_PART)
    rows = _rows(code, pixels[n_held_out:], training.n_draws)
    batches = ImageBatches(rows, training.batch_size, device, binarise=False)
    rows = _rows(code, pixels[:n_held_out], training.n_draws)
    held_out = ImageBatches(rows, INFERENCE_ROWS, device, binarise=False)
    objective = Objective(predictor, lambda batch: {"nats": -_log_q(predictor, code, batch)})
    options = TrainOptions(training.epochs, training.patience, 0.0, train_seed, device, stage="guess")
    schedule = Schedule(training.epochs * len(batches), training.learning_rate)
    return predictor, len(train(objective, batches, held_out, schedule, options).history)


def _log_q(predictor: nn.Module, code: Code, batch: ImageBatch) -> Tensor:
    """Return log Q of fresh draws, (B,)."""
    with torch.no_grad():
        image, target = code.pair(batch)
    return code.log_q_of(predictor(image), target)


def _rows(code: Code, pixels: NDArray[Any], n_draws: int) -> NDArray[Any]:
    """Repeat the images until there are at least `n_draws` rows, with one draw each; the prior needs no pixels."""
    if code.origin == "prior":
        return np.zeros((n_draws, 1), np.float32)
    return np.tile(pixels, (math.ceil(n_draws / len(pixels)), 1))


@torch.inference_mode()
def _measured(predictor: nn.Module, code: Code, pixels: NDArray[Any], seed: int, n_draws: int) -> dict[str, Any]:
    rows = _rows(code, pixels, n_draws)
    n_units = len(rows) if code.origin == "prior" else len(pixels)
    batches = ImageBatches(rows, INFERENCE_ROWS, code.network.device, binarise=False)
    logs = torch.cat([_log_q(predictor, code, batch) for batch in batches.repeat(seed)]).double().cpu()
    terms, exact = code.entropy_terms(batches, seed, n_units)
    mean, low, high = mean_and_interval(logs.view(-1, n_units).mean(0) + terms.cpu(), seed)
    entropy = float(terms.mean()) if exact is None else exact
    most = entropy if isinstance(code, Categories) else math.inf  # a density can exceed 1
    bound, low, high = (min(max(value, 0.0), most) for value in (mean, low, high))
    return {
        "of": code.of,
        "drawn_from": code.origin,
        "image": code.decoded,
        "bound": bound,
        "low": low,
        "high": high,
        "log_q": mean - entropy,
        "entropy": entropy,
        "entropy_of": code.entropy_of,
        "n_images": len(pixels) if code.origin == "posterior" else 0,
        "n_draws": len(rows),
    }
