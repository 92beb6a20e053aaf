"""What an image model is asked to be, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from topicnet.errors import InputError
from topicnet.images.model.latents import ESTIMATORS
from topicnet.images.model.likelihoods import LIKELIHOODS
from topicnet.images.model.nets import Sizes
from topicnet.images.model.variants import WITH_CATEGORIES, Variant, variant_of
from topicnet.training.checks import check_count, check_number

DEFAULT_CATEGORIES = 10
MOST_CATEGORIES = 2**16  # of what is drawn by hashes of 32 bits, without bias that could be seen
NAMES = {"binarise": ("auto", "never"), "schedule": ("one-cycle", "constant"), "optimizer": ("adam", "adam_normgrad")}
ONE_CYCLE_RATE, RATE = 3e-3, 1e-3
# Threads, unless TOPICNET_THREADS says otherwise: small products gain nothing by a second, and lose much beside other
# work, as each then waits for a scheduler's turn.
MOST_THREADS, LEAST_PRODUCT = 4, 10**7
WIDEST_LATENT, PIXELS_A_DIMENSION = 40, 8

Categories = int | NDArray[np.integer[Any]]  # one of all samples, or (n,) of each


def resolve_sizes(
    variant: str, n_pixels: int, latent_dim: int | None, hidden_dim: int, n_layers: int, n_categories: int | None
) -> Sizes:
    """Sizes with their defaults: one latent dimension for 8 pixels, from 2 to 40.

    Raises
    ------
    InputError
        A number out of its range, or categories for a variant without them.
    """
    has = variant_of(variant).has_categories
    if n_categories is not None and not has:
        more = " (its prior has components: components=K)" if "components" in variant_of(variant).parameters else ""
        raise InputError(
            f"{n_categories} categories given for {variant}, which has none{more}: leave them out, or name one of"
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


def resolve_likelihood(variant: Variant, given: str | None) -> str:
    """The likelihood asked for, or the variant's own."""
    if given is None:
        return variant.likelihood
    check_name("likelihood", given, tuple(LIKELIHOODS))
    if (given == "squared-error") != (variant.likelihood == "squared-error"):
        raise InputError(
            f"likelihood={given!r} given, but squared-error is the cost of wae-mmd and wae-gan, and theirs alone: leave"
            " it out"
        )
    return given


def resolve_estimator(variant: Variant, given: str | None) -> str:
    """The estimator of categories asked for."""
    if given is None:
        return "gumbel"
    check_name("estimator", given, ESTIMATORS)
    if variant.latents != "categorical":
        raise InputError(f"estimator={given!r} given, but this variant draws no categories: leave it out")
    return given


def check_training_parameters(given: Mapping[str, Any]) -> None:
    """Raise InputError for an estimator's parameter, of those that say how it learns, out of its range."""
    for name, known in NAMES.items():
        check_name(name, given[name], known)
    check_count("batch_size", given["batch_size"])
    check_count("patience", given["patience"])
    if given["learning_rate"] is not None:
        check_number("learning_rate", given["learning_rate"], above=0.0, most=1.0)
    if given["max_epochs"] is not None:
        check_count("max_epochs", given["max_epochs"])
    if given["warm_up"] is not None:
        check_count("warm_up", given["warm_up"], least=0)


def check_name(name: str, given: object, known: tuple[str, ...]) -> None:
    """Raise InputError for a name that is none of those known."""
    if given not in known:
        raise InputError(f"{name}={given!r} given, expected one of {', '.join(known)}")


def checked_categories(given: Categories, n: int, n_categories: int) -> int | Tensor:
    """A category, or one for each of n samples.

    Raises
    ------
    InputError
        Another number of them, or one that the model does not have.
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
    """Most threads that the products of so many images at a time are worth."""
    return MOST_THREADS if n_images * sizes.n_pixels * max(sizes.hidden_dim, 1) >= LEAST_PRODUCT else 1


def checked_rows(name: str, given: Any, width: int | None) -> Tensor:
    """Finite numbers (n, width), as float32.

    Raises
    ------
    InputError
        Another shape, or numbers that are not finite.
    """
    values = np.asarray(given, dtype=np.float32)
    if values.ndim != 2 or values.shape[1] != width:
        raise InputError(f"{name} of shape {values.shape} given, expected (n, {width})")
    if not np.isfinite(values).all():
        raise InputError(f"{name} holds numbers that are not finite, expected none")
    return torch.as_tensor(values)
