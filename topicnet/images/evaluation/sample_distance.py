"""Distances between samples: draws of q(z) and of p(z), and generated and real images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from topicnet.core.counter_rng import Noise
from topicnet.core.transport import sliced_wasserstein, wasserstein
from topicnet.images.evaluation.aggregated import mmd_permutation, sliced_w2
from topicnet.images.evaluation.measures import frechet_distance
from topicnet.images.model.batches import ImageBatches, to_unit_interval
from topicnet.images.model.latents import CategoricalLatents, Latents, PointLatents
from topicnet.images.model.vae import Vae
from topicnet.runtime.seeding import draw_seed, seeded

MATCHED, PERMUTATIONS, DIRECTIONS = 1_000, 200, 200
COMPONENTS = 20  # principal components used as features
SPARE, PASSES = 10, 6  # oversampling and power iterations of the randomised decomposition
ROWS, MOST_SAMPLES = 1_000, 10_000


def prior_match(latents: Latents, batches: ImageBatches, seed: int) -> dict[str, Any] | None:
    """Compute MMD^2 and squared sliced W2 between equally many draws, at most 1,000, of q(z) and of p(z).

    Returns None for a single image.
    """
    n = min(MATCHED, batches.n_docs)
    if n < 2:
        return None
    rng = np.random.default_rng(seed)
    few = ImageBatches(batches.pixels[:n], ROWS, batches.device, binarise=False)
    of_q = torch.cat([_posterior_draws(latents, batch.pixels, batch.noise) for batch in few.repeat(draw_seed(rng))])
    of_p = _prior_draws(latents, Noise.of(draw_seed(rng), np.arange(n), batches.device), of_q)
    mmd, p_value = mmd_permutation(of_q, of_p, PERMUTATIONS, draw_seed(rng))
    return {
        "mmd": mmd,
        "p_value": p_value,
        "sliced_w2": sliced_w2(of_q, of_p, DIRECTIONS, draw_seed(rng)),
        "n_points": n,
        "n_permutations": PERMUTATIONS,
    }


def sample_frechet(network: Vae, train: NDArray[Any], batches: ImageBatches, seed: int) -> dict[str, Any] | None:
    """Compute the Frechet distances of samples and of training images from test images, in principal components.

    Parameters
    ----------
    network : Vae
        The fitted network.
    train : ndarray of shape (n, P)
        Training images, which define the components.
    batches : ImageBatches
        The test images.
    seed : int
        Seed of the samples and of the decomposition.

    Returns
    -------
    dict or None
        None for a single image.
    """
    n = min(batches.n_docs, len(train), MOST_SAMPLES)
    if n < 2:
        return None
    rng = np.random.default_rng(seed)
    training = to_unit_interval(torch.as_tensor(train).to(batches.device))
    centre = training.mean(0)
    axes = _principal_axes(training - centre, draw_seed(rng))
    test, samples = to_unit_interval(batches.pixels[:n]), _samples(network, n, rng)
    features = [(images - centre) @ axes for images in (test, samples, training[:n])]
    return {
        "frechet_distance": frechet_distance(features[1], features[0]),
        "frechet_distance_of_training_images": frechet_distance(features[2], features[0]),
        "features": f"the first {axes.shape[1]} principal components of the training pixels",
        "n_images": n,
    }


def sample_scores(network: Vae, train: NDArray[Any], batches: ImageBatches, seed: int) -> dict[str, Any] | None:
    """Compute all distances of samples from test images; the arguments are those of `sample_frechet`."""
    frechet = sample_frechet(network, train, batches, seed)
    transport = sample_wasserstein(network, train, batches, seed)
    return None if frechet is None or transport is None else frechet | transport


def sample_wasserstein(network: Vae, train: NDArray[Any], batches: ImageBatches, seed: int) -> dict[str, Any] | None:
    """Compute exact and sliced W2 between samples, or training images, and equally many test images, at most 1,000.

    Distances between sets of images are of the images' own size, as each set is a few points in many dimensions: only
    the distance of training images is that of a perfect model.

    Parameters
    ----------
    network : Vae
        The fitted network.
    train : ndarray of shape (n, P)
        Training images.
    batches : ImageBatches
        The test images.
    seed : int
        Seed of the samples and of the directions.

    Returns
    -------
    dict or None
        Squared distances; None for a single image.
    """
    n = min(MATCHED, batches.n_docs, len(train))
    if n < 2:
        return None
    rng = np.random.default_rng(seed)
    test, sampled = to_unit_interval(batches.pixels[:n]), _samples(network, n, rng)
    training = to_unit_interval(torch.as_tensor(train[:n]).to(batches.device))
    directions = draw_seed(rng)
    found: dict[str, Any] = {}
    for after, images in (("", sampled), ("_of_training_images", training)):
        found["w2" + after] = float(wasserstein(images, test, p=2).cost)
        sliced = sliced_wasserstein(images, test, p=2, n_projections=DIRECTIONS, seed=directions)
        found["sliced_w2" + after] = float(sliced.cost)
    return found | {"n_transported": n}


def _posterior_draws(latents: Latents, x: Tensor, noise: Noise) -> Tensor:
    """Draw z from q(z), (B, Z), at both levels if there are two."""
    if isinstance(latents, PointLatents):
        return latents.codes(x)
    return torch.cat(latents.importance_draw(x, noise).code, -1)[:, : latents.latent_dim]


def _prior_draws(latents: Latents, noise: Noise, like: Tensor) -> Tensor:
    """Draw z from p(z), (B, Z), with categories from p(c) instead of the q(c) used for samples."""
    if isinstance(latents, CategoricalLatents):
        prior = latents.standard if latents.mixture is None else latents.mixture
        return prior.sample(noise, like)
    return torch.cat(latents.sample(noise, len(like)), -1)


def _samples(network: Vae, n: int, rng: np.random.Generator) -> Tensor:
    """Draw images from the model, (n, P)."""
    drawn = []
    for begin in range(0, n, ROWS):
        size = min(ROWS, n - begin)
        noise = Noise.of(draw_seed(rng), np.arange(size), network.device)
        drawn.append(network.likelihood.sample(network.decoder(network.latents.sample(noise, size)), noise))
    return torch.cat(drawn)


def _principal_axes(centred: Tensor, seed: int) -> Tensor:
    """Return the first principal axes (P, F) of rows (n, P), by a randomised decomposition (Halko et al. 2011)."""
    most = min(centred.shape)
    with seeded(seed):
        axes: Tensor = torch.svd_lowrank(centred, q=min(COMPONENTS + SPARE, most), niter=PASSES)[2]
    return axes[:, : min(COMPONENTS, most)]
