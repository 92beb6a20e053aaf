"""Parameter checks of image models, and the defaults of parameters that are not given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from topicnet.errors import InputError
from topicnet.images.data.load import Shape, channels_of
from topicnet.images.model.convolutions import LEAST_SIDE, most_layers
from topicnet.images.model.latents import ESTIMATORS
from topicnet.images.model.likelihoods import LIKELIHOODS
from topicnet.images.model.nets import Sizes
from topicnet.images.model.variants import WITH_CATEGORIES, Variant, variant_of
from topicnet.training.checks import check_count, check_number

DEFAULT_CATEGORIES = 10
MOST_CATEGORIES = 2**16  # categories are drawn with 32-bit hashes: up to here their bias is negligible
NAMES = {
    "architecture": ("dense", "conv"),
    "binarise": ("auto", "never"),
    "schedule": ("one-cycle", "constant"),
    "optimizer": ("adam", "adam_normgrad"),
}
ONE_CYCLE_RATE, RATE = 3e-3, 1e-3
# Threads, unless TOPICNET_THREADS is set: a second thread saves a third of the time of large products on an idle
# machine, and nothing for small ones.
MOST_THREADS, LEAST_PRODUCT = 4, 10**7
WIDEST_LATENT, PIXELS_A_DIMENSION = 40, 8

Categories = int | NDArray[np.integer[Any]]  # one category for all samples, or (n,) one for each


def resolve_sizes(
    variant: str, n_pixels: int, latent_dim: int | None, hidden_dim: int, n_layers: int, n_categories: int | None
) -> Sizes:
    """Resolve the layer sizes; latent_dim defaults to one dimension per 8 pixels, clipped to [2, 40].

    Raises
    ------
    InputError
        A number is out of range, or categories are given for a variant without them.
    """
    has = variant_of(variant).has_categories
    if n_categories is not None and not has:
        more = " (its prior has components: components=K)" if "components" in variant_of(variant).parameters else ""
        raise InputError(
            f"{n_categories} categories given for {variant}, which has none{more}: leave them out, or choose one of"
            f" {', '.join(WITH_CATEGORIES)}"
        )
    if latent_dim is None:
        latent_dim = min(WIDEST_LATENT, max(2, n_pixels // PIXELS_A_DIMENSION))
    check_count("latent_dim", latent_dim)
    check_count("hidden_dim", hidden_dim)
    check_count("n_layers", n_layers, least=0)
    if has:
        n_categories = DEFAULT_CATEGORIES if n_categories is None else n_categories
        check_count("categories", n_categories, most=MOST_CATEGORIES)
    return Sizes(n_pixels, latent_dim, hidden_dim, n_layers, n_categories)


def with_architecture(sizes: Sizes, architecture: str, shape: Shape, *, known: bool) -> Sizes:
    """Add the shape of the images to sizes, and whether layers are convolutional.

    Parameters
    ----------
    sizes : Sizes
        Sizes of the layers.
    architecture : {"dense", "conv"}
        Kind of the layers.
    shape : tuple of int or None
        Height and width, and 3 for colour; None for vectors.
    known : bool
        Whether the images are known, so that convolutions can be checked against their shape.

    Raises
    ------
    InputError
        The images are no pictures, or too small for convolutions or for their number.
    """
    check_name("architecture", architecture, NAMES["architecture"])
    if architecture == "dense":
        return replace(sizes, shape=shape)
    if sizes.n_layers == 0:
        raise InputError("n_layers=0 given with architecture='conv', expected at least one convolution: give 1 or more")
    if known and shape is None:
        raise InputError(
            "vectors given with architecture='conv', expected pictures: give arrays (n, height, width) or (n, height,"
            " width, 3), or architecture='dense'"
        )
    if known and shape is not None:
        size = f"pictures of {shape[0]} x {shape[1]} pixels given with architecture='conv'"
        if min(shape[:2]) < LEAST_SIDE:
            raise InputError(f"{size}, expected sides of {LEAST_SIDE} pixels or more: give architecture='dense'")
        if sizes.n_layers > (most := most_layers(shape)):
            raise InputError(
                f"{size} and n_layers={sizes.n_layers}, each of which halves the sides: give at most {most}"
            )
    return replace(sizes, shape=shape, convolutional=True)


def resolve_likelihood(variant: Variant, given: str | None, shape: Shape = None) -> str:
    """Return the given likelihood, or the default: the variant's, except that colour has no Bernoulli by default.

    Binarised colours are not the images, so that levels from 0 to 255 get the discretised logistic distribution.

    Raises
    ------
    InputError
        The name is unknown, or the variant cannot have this likelihood.
    """
    if given is None:
        colour = channels_of(shape) > 1 and variant.likelihood == "bernoulli"
        return "logistic" if colour else variant.likelihood
    check_name("likelihood", given, tuple(LIKELIHOODS))
    if variant.likelihood == "none":
        raise InputError(f"likelihood={given!r} given, but this variant generates images without one: leave it out")
    if (given == "squared-error") != (variant.likelihood == "squared-error"):
        raise InputError(
            f"likelihood={given!r} given, but squared-error is the cost of wae-mmd and wae-gan, and of them only: leave"
            " it out"
        )
    return given


def resolve_estimator(variant: Variant, given: str | None) -> str:
    """Return the given gradient estimator of categories, or the default.

    Raises
    ------
    InputError
        The name is unknown, or the variant has no categories that are drawn.
    """
    if given is None:
        return "gumbel"
    check_name("estimator", given, ESTIMATORS)
    if variant.latents != "categorical":
        raise InputError(f"estimator={given!r} given, but this variant draws no categories: leave it out")
    return given


def check_training_parameters(given: Mapping[str, Any]) -> None:
    """Raise InputError if a training parameter of the estimator is out of range."""
    for name, known in NAMES.items():
        check_name(name, given[name], known)
    check_count("batch_size", given["batch_size"])
    check_count("patience", given["patience"])
    if given["learning_rate"] is not None:
        check_number("learning_rate", given["learning_rate"], above=0.0, most=1.0)
    if given["max_epochs"] is not None:
        check_count("max_epochs", given["max_epochs"])
    if given["information_every"] is not None:
        check_count("information_every", given["information_every"])
    if given["warm_up"] is not None:
        _check_warm_up(given["warm_up"])


def _check_warm_up(given: object) -> None:
    whole = isinstance(given, int | np.integer) and not isinstance(given, bool) and given >= 0
    if not whole and not (isinstance(given, float) and 0 < given < 1):
        raise InputError(
            f"warm_up={given!r} given, expected a whole number of epochs, 0 or more, or a fraction of the run between 0"
            " and 1"
        )


def check_optimizer(variant: Variant, given: str) -> None:
    """Raise InputError if an optimiser is given to a variant that has its own."""
    if variant.own_optimizer and given != "adam":
        raise InputError(f"optimizer={given!r} given, but this variant has its own: leave it out")


def check_name(name: str, given: object, known: tuple[str, ...]) -> None:
    """Raise InputError unless a name is one of the known ones."""
    if given not in known:
        raise InputError(f"{name}={given!r} given, expected one of {', '.join(known)}")


def checked_categories(given: Categories, n: int, n_categories: int) -> int | Tensor:
    """Check one category for all n samples, or an array (n,) with one per sample.

    Raises
    ------
    InputError
        Their number is not n, or the model does not have a category.
    """
    if not isinstance(given, np.ndarray):
        check_count("category", given, least=0, most=n_categories - 1)
        return int(given)
    if given.shape != (n,) or given.dtype.kind not in "iu" or not ((given >= 0) & (given < n_categories)).all():
        raise InputError(
            f"categories of shape {given.shape} and type {given.dtype} given, expected ({n},) whole numbers from 0 to"
            f" {n_categories - 1}"
        )
    return torch.as_tensor(given.astype(np.int64))


def threads_for(n_images: int, sizes: Sizes) -> int:
    """Return the largest useful number of threads for batches of this many images."""
    return MOST_THREADS if n_images * sizes.n_pixels * max(sizes.hidden_dim, 1) >= LEAST_PRODUCT else 1


def checked_rows(name: str, given: Any, width: int | None) -> Tensor:
    """Convert finite numbers of shape (n, width) to float32.

    Raises
    ------
    InputError
        The shape is different, or a number is not finite.
    """
    values = np.asarray(given, dtype=np.float32)
    if values.ndim != 2 or values.shape[1] != width:
        raise InputError(f"{name} of shape {values.shape} given, expected (n, {width})")
    if not np.isfinite(values).all():
        raise InputError(f"{name} holds NaN or infinity, expected finite numbers")
    return torch.as_tensor(values)
