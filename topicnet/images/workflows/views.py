"""Views of a finished run, made on request: samples, reconstructions and traversals of latent dimensions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from topicnet.core.counter_rng import Noise
from topicnet.errors import InputError
from topicnet.images.data.load import ImageData, gray
from topicnet.images.drawing.charts import curves, histograms
from topicnet.images.drawing.galleries import Shape, labelled_gallery, pairs_gallery
from topicnet.images.model.batches import to_unit_interval
from topicnet.images.model.estimator import ImageVAE
from topicnet.images.model.latents import CategoricalLatents, one_hot
from topicnet.images.model.settings import MOST_THREADS
from topicnet.images.model.variants import WITH_CATEGORIES
from topicnet.images.workflows.fit import ImageRun
from topicnet.images.workflows.pictures import category_galleries, clipped, samples_gallery, samples_of_label
from topicnet.runtime.threads import chosen_threads
from topicnet.training.checks import check_count, check_number

PRIOR_DRAWS = 10_000  # draws that estimate the mean and standard deviation of a prior
MOST_STEPS, WIDEST_SPAN = 100, 100.0


def check_category(model: ImageVAE, category: int | None) -> None:
    """Raise InputError if the model does not have this category."""
    n_categories = model.network_.latents.n_categories
    if category is None:
        return
    if n_categories is None:
        raise InputError(
            f"category {category} given for a run of {model.variant}, which has none: leave it out, or fit one of"
            f" {', '.join(WITH_CATEGORIES)}"
        )
    if not 0 <= category < n_categories:
        raise InputError(f"category {category} given, expected one from 0 to {n_categories - 1}")


def samples(run: ImageRun, n: int, category: int | None, label: int | None, seed: int) -> NDArray[np.float32]:
    """Draw ancestral samples (n, P), optionally of one category or label.

    For images these are decoder means; for vectors (data that are not images, `run.shape` is None), draws from the
    likelihood.

    Raises
    ------
    InputError
        The run does not have the category or label, or both are given.
    """
    check_category(run.model, category)
    draw = run.shape is None
    if label is None:
        return run.model.sample(n, category=category, random_state=seed, draw=draw)
    if category is not None:
        raise InputError(f"category {category} and label {label} given, expected one of them")
    return samples_of_label(run.model, _q_c_given_label(run, label), n, seed, draw=draw)


def _q_c_given_label(run: ImageRun, label: int) -> NDArray[np.float64]:
    """Return q(c | label), (K,)."""
    if run.usage is None or not run.usage.labels:
        why = "has no categories" if run.usage is None else "has no labels for its images"
        raise InputError(f"label {label} given for a run of {run.model.variant} that {why}: leave it out")
    labels = run.usage.labels
    if label not in labels:
        some = ", ".join(str(known) for known in labels[:20]) + (", ..." if len(labels) > 20 else "")
        raise InputError(f"label {label} given, expected one of {some}")
    q_c: NDArray[np.float64] = run.usage.q_c_given_label[labels.index(label)]
    return q_c


def unused_category_notice(run: ImageRun, category: int | None) -> str | None:
    """Return a warning about a category that is hardly used in training, or None."""
    if category is None or run.usage is None:
        return None
    q, even = run.usage.q_c[category], 1 / len(run.usage.q_c)
    if q >= even / 10:
        return None
    return f"category {category} is hardly used (q(c) = {q:.2g}, 1/K = {even:.2g}): its samples were hardly trained"


def sample_galleries(run: ImageRun, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield names and PNGs of the galleries of categories and labels, if the run has images and categories."""
    if run.usage is not None and run.shape is not None:
        yield from category_galleries(run.model, run.usage, run.shape, seed)


def samples_picture(images: NDArray[np.float32], shape: Shape, title: str) -> bytes:
    """Draw samples as a PNG: a gallery of images, or a histogram if the data are not images."""
    if shape is not None:
        return samples_gallery(images, shape)
    return histograms([("samples", images.ravel())], None, title, "value")


def samples_table(images: NDArray[np.float32]) -> pl.DataFrame:
    """Return a table with one row per sample and one column per pixel."""
    return pl.DataFrame({f"pixel_{j}": images[:, j] for j in range(images.shape[1])})


def reconstructions(run: ImageRun, data: ImageData, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the first n test images (n, P), at most all, and their reconstructions from posterior means."""
    test = data.test.pixels[:n]
    return gray(test), run.model.reconstruct(test)


def reconstructions_picture(
    given: NDArray[np.float32], decoded: NDArray[np.float32], shape: Shape, title: str
) -> bytes:
    """Draw images above their reconstructions as a PNG, or histograms of both if the data are not images."""
    if shape is not None:
        return pairs_gallery(given, clipped(decoded), shape)
    return histograms([("test data", given.ravel()), ("reconstructions", decoded.ravel())], None, title, "value")


def read_dims(text: str, latent_dim: int) -> list[int]:
    """Parse a list of dimensions such as 0,1.

    Raises
    ------
    InputError
        An entry is not a number, is repeated, or is not a dimension of the model.
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdecimal() and len(word) < 10 for word in words):
        raise InputError(f"--dims {text!r} given, expected numbers of dimensions separated by commas, such as 0,1")
    dims = [int(word) for word in words]
    for dim in dims:
        if dim >= latent_dim:
            raise InputError(
                f"--dims {text!r} given, but there is no dimension {dim}: the model has 0 to {latent_dim - 1}"
            )
        if dims.count(dim) > 1:
            raise InputError(f"--dims {text!r} given, which names {dim} more than once: name it once")
    return dims


@dataclass(frozen=True)
class Traversal:
    """Images decoded along one latent dimension at a time, with all others fixed.

    Attributes
    ----------
    dims : list of int
        The dimensions that vary.
    values : ndarray of shape (n_dims, n_steps)
        Values of the varying dimension.
    images : ndarray of shape (n_dims, n_steps, P)
        Mean images.
    category : int or None
        Category of all images, if the decoder depends on one.
    """

    dims: list[int]
    values: NDArray[np.float32]
    images: NDArray[np.float32]
    category: int | None

    def picture(self, shape: Shape, title: str) -> bytes:
        """Draw a row of images per dimension as a PNG, or a curve of each value if the data are not images."""
        if shape is not None:
            rows = zip(self.dims, self.values, self.images, strict=True)
            return labelled_gallery([(f"z_{j}: {v[0]:.2g} to {v[-1]:.2g}", clipped(x)) for j, v, x in rows], shape)
        n_values = self.images.shape[-1]
        series = [
            (f"z_{j}" if n_values == 1 else f"z_{j}: x_{p}", self.values[row], self.images[row, :, p])
            for row, j in enumerate(self.dims)
            for p in range(n_values)
        ]
        return curves(series, "value of the dimension", "decoded value", title)


def traverse(
    model: ImageVAE,
    dims: Sequence[int],
    *,
    image: NDArray[Any] | None = None,
    span: float = 3.0,
    steps: int = 9,
    category: int | None = None,
) -> Traversal:
    """Decode images while each latent dimension varies over the given number of standard deviations of the prior.

    Parameters
    ----------
    model : ImageVAE
        A fitted model.
    dims : sequence of int
        Dimensions to vary.
    image : ndarray of shape (P,), optional
        Image whose code gives the other dimensions; by default the mean of the prior.
    span : float
        Standard deviations of the prior below and above its mean.
    steps : int
        Number of values per dimension.
    category : int, optional
        By default the most probable one of the image or, without an image, the one used most in training.

    Returns
    -------
    Traversal
        The values and the decoded images.

    Raises
    ------
    InputError
        The model does not have the category, or a number is out of range.
    """
    check_category(model, category)
    check_count("--steps", steps, least=2, most=MOST_STEPS)
    check_number("--span", span, above=0.0, most=WIDEST_SPAN)
    latents, device = model.network_.latents, model.network_.device
    with torch.inference_mode(), chosen_threads(MOST_THREADS):
        x = None if image is None else to_unit_interval(torch.as_tensor(image[None]).to(device))
        if category is None and isinstance(latents, CategoricalLatents):
            weights = latents.category_weights if x is None else latents.log_categories(x)[0]
            category = int(weights.argmax())
        noise = Noise.of(0, np.arange(PRIOR_DRAWS), device)
        prior = torch.cat(latents.sample(noise, PRIOR_DRAWS, category), -1)[:, : latents.latent_dim]
        base = prior.mean(0) if x is None else _code(model, x, category)
        offsets = torch.linspace(-span, span, steps, device=device)
        values = prior.mean(0)[list(dims), None] + prior.std(0)[list(dims), None] * offsets  # (n_dims, n_steps)
        z = base.repeat(len(dims), steps, 1)
        for row, dim in enumerate(dims):
            z[row, :, dim] = values[row]
        c = None
        if isinstance(latents, CategoricalLatents):
            c = z.new_zeros(len(dims) * steps, latents.n_categories or 1)
            c[:, category] = 1.0
        images = model.network_.decode(latents.code_of(z.flatten(0, 1), c))
    shape = (len(dims), steps, images.shape[-1])
    decoded_category = category if c is not None else None
    return Traversal(list(dims), values.cpu().numpy(), images.view(shape).cpu().numpy(), decoded_category)


def _code(model: ImageVAE, x: Tensor, category: int | None) -> Tensor:
    """Return the posterior mean (Z,) of an image (1, P), given the category it is to be decoded with."""
    latents = model.network_.latents
    if not isinstance(latents, CategoricalLatents):
        return latents.codes(x)[0]
    hidden = latents.body(x)
    logits = latents.category(hidden)
    q = latents.posterior(hidden, one_hot(torch.full_like(logits[:, 0], category or 0, dtype=torch.long), logits))
    return q.mean[0]


def image_of(data: ImageData, number: int) -> NDArray[Any]:
    """Return a test image (P,) by its number.

    Raises
    ------
    InputError
        There is no such image.
    """
    n = len(data.test.pixels)
    if not 0 <= number < n:
        raise InputError(f"--image {number} given, expected a test image from 0 to {n - 1}")
    image: NDArray[Any] = data.test.pixels[number]
    return image
