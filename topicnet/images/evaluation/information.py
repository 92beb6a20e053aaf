"""Lower bound on the mutual information between the code of a fitted model and the images decoded from it.

E log Q(c | image) + H(q(c)) <= I(c; image), with c and z drawn from q(. | x') for test images x', and the mean image
decoded from both (Barber & Agakov 2003; Serdega & Kim 2020). This is information about the decoded image, not about
x': I(c; x') is exact, and reported by `evaluate`. A mean image has no noise, so that it can carry any number of nats
about a continuous code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from topicnet.core.distributions import Normal
from topicnet.errors import InputError
from topicnet.images.data.load import ImageData
from topicnet.images.evaluation.aggregated import gaussian_log_density_matrix
from topicnet.images.evaluation.measures import mean_and_interval
from topicnet.images.model.batches import ImageBatch, ImageBatches
from topicnet.images.model.building import PREDICTOR_LAYERS
from topicnet.images.model.estimator import ROWS, ImageVAE
from topicnet.images.model.latents import CategoricalLatents, GaussianLatents
from topicnet.images.model.nets import Critic, gaussian_critic
from topicnet.images.model.penalties import PointInformation
from topicnet.images.model.settings import MOST_THREADS
from topicnet.images.model.vae import Objective, Vae
from topicnet.images.model.variants import WITH_CATEGORIES
from topicnet.runtime.seeding import draw_seed, seeded
from topicnet.runtime.threads import chosen_threads
from topicnet.runtime.torch_state import usual_gradients
from topicnet.training.checks import check_count
from topicnet.training.loop import train
from topicnet.training.options import TrainOptions
from topicnet.training.schedule import Schedule

LEAST_IMAGES, MOST_IMAGES = 20, 10_000
LEAST_DRAWS = 10_000  # draws per epoch from each half: few images are drawn several times each
HELD_OUT_PART = 5  # one in five images of the first half is held out for early stopping
BATCH, LEARNING_RATE, PATIENCE = 200, 2e-3, 8
LEAST_WIDTH = 128  # of Q: a small model should not limit the predictions


def information_bound(model: ImageVAE, data: ImageData, *, seed: int = 0, epochs: int = 30) -> dict[str, Any]:
    """Estimate a lower bound on the mutual information between decoded images and the code of a fitted model.

    A network Q learns to predict the code from the image, on fresh draws in each epoch from one half of the test images
    (at most 10,000). The result is measured on draws from the other half. The model is not changed.

    Parameters
    ----------
    model : ImageVAE
        A fitted model.
    data : ImageData
        The images; the test split is used.
    seed : int
        Seed of the split, the draws and the training of Q.
    epochs : int
        Most epochs, of 10,000 draws or more, for which Q is trained; it stops early when predictions for held-out
        images no longer improve.

    Returns
    -------
    dict
        ``of``: the code, "c", or two dimensions of z for vmi-z. ``bound``: nats, in [0, H(q(c))], with a 95 % interval
        over images from ``low`` to ``high``, both clipped to that range. ``log_q``: E log Q. ``entropy``: H(q(c)), or
        that of the aggregated posterior of the two dimensions. ``n_images``, ``n_draws``, ``epochs``.

    Raises
    ------
    InputError
        The variant is neither vmi-z nor one with categories, there are fewer than 20 test images, or the images have
        another size.
    """
    check_is_fitted(model)
    check_count("epochs", epochs)
    check_count("seed", seed, least=0)
    pixels = _test_pixels(model, data)
    code = _code_of(model)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(pixels))
    first, second = pixels[order[len(order) // 2 :]], pixels[order[: len(order) // 2]]
    with chosen_threads(MOST_THREADS), usual_gradients():
        predictor, n_epochs = _train_predictor(model, code, first, rng, epochs)
        return {"of": code.of} | _measured(predictor, code, second, draw_seed(rng)) | {"epochs": n_epochs}


@dataclass(frozen=True)
class Categories:
    """Code of a variant with categories: the drawn category c, or q(c|x) if the decoder does not depend on c."""

    network: Vae
    of = "c"

    def predictor(self, n_pixels: int, hidden_dim: int) -> nn.Module:
        """Build a network that predicts the category from an image: logits."""
        return Critic(n_pixels, hidden_dim, PREDICTOR_LAYERS, self.network.latents.n_categories or 1)

    def draw(self, batch: ImageBatch) -> tuple[Tensor, Tensor]:
        """Return decoded images (B, P) and the targets: one-hot categories, or probabilities (B, K)."""
        latents = self.network.latents
        if isinstance(latents, CategoricalLatents):
            code = latents.importance_draw(batch.pixels, batch.noise).code
            return self.network.decode(code), code[0][:, latents.latent_dim :]
        draw = latents.draw(batch.pixels, batch.noise)
        assert draw.log_q_c is not None
        return self.network.decode(draw.code), draw.log_q_c.exp()

    def log_q_of(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return log Q(target | image), (B,): the negative cross-entropy of the predictor's output."""
        return (target * logits.log_softmax(-1)).sum(-1)

    def entropy_terms(self, batches: ImageBatches, seed: int, n_images: int) -> Tensor:
        """Return one value per image, (n,), whose mean is the entropy of the code: -sum_k q(k | x) log q(k).

        Rows of the batches repeat `n_images` images. The values also measure the influence of each image on the
        entropy, so that intervals include its estimation error.
        """
        latents = self.network.latents
        if isinstance(latents, CategoricalLatents):
            probabilities = [latents.log_categories(batch.pixels).exp() for batch in batches]
        else:
            probabilities = [self.draw(batch)[1] for batch in batches.repeat(seed)]
        q = torch.cat(probabilities).double().view(-1, n_images, probabilities[0].shape[1]).mean(0)  # (n, K)
        return cast(Tensor, -torch.special.xlogy(q, q.mean(0)).sum(-1))


@dataclass(frozen=True)
class Dimensions:
    """Code of the variant vmi-z: the two dimensions of z that training makes informative about the image."""

    network: Vae
    latents: GaussianLatents
    chosen: Tensor

    @property
    def of(self) -> str:
        return " and ".join(f"z_{j}" for j in self.chosen.tolist())

    def predictor(self, n_pixels: int, hidden_dim: int) -> nn.Module:
        """Build a network that predicts a Gaussian, as in training."""
        return gaussian_critic(n_pixels, hidden_dim, PREDICTOR_LAYERS, len(self.chosen))

    def draw(self, batch: ImageBatch) -> tuple[Tensor, Tensor]:
        """Return decoded images (B, P) and the values drawn (B, n)."""
        draw = self.latents.draw(batch.pixels, batch.noise)
        return self.network.decode(draw.code), draw.z[:, self.chosen]

    def log_q_of(self, predicted: Normal, target: Tensor) -> Tensor:
        """Return the log-density of the target, (B,)."""
        return predicted.log_density(target)

    def entropy_terms(self, batches: ImageBatches, seed: int, n_images: int) -> Tensor:
        """Return -log of the aggregated posterior's density at the draws, (n,)."""
        posteriors = [self.latents.posterior(batch.pixels, batch.noise) for batch in batches.repeat(seed)]
        z = torch.cat([q.sample()[:, self.chosen] for q in posteriors])
        mean = torch.cat([q.mean[:, self.chosen] for q in posteriors])[:n_images]
        log_var = torch.cat([q.log_var[:, self.chosen] for q in posteriors])[:n_images]
        logs = [gaussian_log_density_matrix(rows, mean, log_var).logsumexp(1) for rows in torch.split(z, ROWS // 4)]
        return (math.log(n_images) - torch.cat(logs)).view(-1, n_images).mean(0)


Code = Categories | Dimensions


def _test_pixels(model: ImageVAE, data: ImageData) -> NDArray[Any]:
    if data.n_pixels != model.n_features_in_:
        raise InputError(f"images of {data.n_pixels} pixels given, expected {model.n_features_in_}, as the model has")
    if len(data.test.pixels) < LEAST_IMAGES:
        raise InputError(
            f"{len(data.test.pixels)} test images given, expected {LEAST_IMAGES} or more: Q is trained on half of them"
        )
    return model.fixed(data.test.pixels[:MOST_IMAGES])


def _code_of(model: ImageVAE) -> Code:
    network = model.network_.eval()
    if network.latents.n_categories is not None:
        return Categories(network)
    if isinstance(network.penalty, PointInformation) and isinstance(network.latents, GaussianLatents):
        return Dimensions(network, network.latents, network.penalty.chosen)
    raise InputError(f"{model.variant} has no code to bound, expected vmi-z or one of {', '.join(WITH_CATEGORIES)}")


def _train_predictor(
    model: ImageVAE, code: Code, pixels: NDArray[Any], rng: np.random.Generator, epochs: int
) -> tuple[nn.Module, int]:
    """Train a predictor while the model's weights stay fixed, and return it with the number of epochs."""
    device = model.network_.device
    init_seed, train_seed = draw_seed(rng), draw_seed(rng)
    with seeded(init_seed):
        predictor = code.predictor(model.n_features_in_, max(LEAST_WIDTH, model.sizes_.hidden_dim)).to(device)
    n_held_out = len(pixels) // HELD_OUT_PART
    training = ImageBatches(_repeated(pixels[n_held_out:]), BATCH, device, binarise=False)
    held_out = ImageBatches(_repeated(pixels[:n_held_out]), ROWS, device, binarise=False)
    objective = Objective(predictor, lambda batch: {"nats": -_log_q(predictor, code, batch)})
    options = TrainOptions(epochs, PATIENCE, 0.0, train_seed, device, stage="guess")
    result = train(objective, training, held_out, Schedule(epochs * len(training), LEARNING_RATE), options)
    return predictor, len(result.history)


def _log_q(predictor: nn.Module, code: Code, batch: ImageBatch) -> Tensor:
    """Return log Q of fresh draws, (B,)."""
    with torch.no_grad():
        image, target = code.draw(batch)
    return code.log_q_of(predictor(image), target)


def _repeated(pixels: NDArray[Any]) -> NDArray[Any]:
    """Repeat the images until there are at least `LEAST_DRAWS` rows, with one draw each."""
    return np.tile(pixels, (math.ceil(LEAST_DRAWS / len(pixels)), 1))


@torch.inference_mode()
def _measured(predictor: nn.Module, code: Code, pixels: NDArray[Any], seed: int) -> dict[str, Any]:
    rows = _repeated(pixels)
    batches = ImageBatches(rows, ROWS, code.network.device, binarise=False)
    logs = torch.cat([_log_q(predictor, code, batch) for batch in batches.repeat(seed)]).double()
    log_q = logs.view(-1, len(pixels)).mean(0)  # (n,)
    entropy_terms = code.entropy_terms(batches, seed, len(pixels))
    mean, low, high = mean_and_interval(log_q + entropy_terms, seed)
    entropy = float(entropy_terms.mean())
    most = entropy if isinstance(code, Categories) else math.inf  # a density can exceed 1
    bound, low, high = (min(max(value, 0.0), most) for value in (mean, low, high))
    return {
        "bound": bound,
        "low": low,
        "high": high,
        "log_q": float(log_q.mean()),
        "entropy": entropy,
        "n_images": len(pixels),
        "n_draws": len(rows),
    }
