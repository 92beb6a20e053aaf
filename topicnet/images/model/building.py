"""From a line of the table to a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from topicnet.errors import InputError
from topicnet.images.model.hierarchies import ClusteredLatents, TwoLevelLatents, WeightedLatents
from topicnet.images.model.latents import CategoricalLatents, Estimator, GaussianLatents, Given, Latents, PointLatents
from topicnet.images.model.likelihoods import LIKELIHOODS, Likelihood
from topicnet.images.model.nets import Decoder
from topicnet.images.model.penalties import (
    CategoryInformation,
    Decomposition,
    Discrepancy,
    Moments,
    Penalty,
    PointInformation,
    PriorCritic,
    RatioCritic,
    TcEstimator,
)
from topicnet.images.model.settings import Sizes
from topicnet.images.model.vae import Vae
from topicnet.images.model.variants import Value, Variant

CRITIC_LAYERS = 5  # of a critic of z (Kim & Mnih 2018, appendix A)
GUESS_LAYERS = 2  # of a network that guesses c or z from an image


def build(
    variant: Variant,
    sizes: Sizes,
    parameters: Mapping[str, Value],
    *,
    likelihood: str,
    estimator: str,
    n_images: int,
) -> Vae:
    """Make an untrained model.

    Parameters
    ----------
    n_images : int
        N of the training set, which minibatch estimates of q(z) need.
    """
    latents = _latents(variant, sizes, parameters, estimator)
    form: Likelihood = LIKELIHOODS[likelihood](sizes.n_pixels)
    decoder = Decoder(latents.code_widths, sizes.hidden_dim, sizes.n_layers, form.n_outputs)
    penalty = _penalty(variant, sizes, parameters, latents, n_images)
    n_draws = int(parameters.get("draws", 1))
    return Vae(latents, decoder, form, penalty, n_draws=n_draws, two_phases=variant.two_phases)


def _latents(variant: Variant, sizes: Sizes, parameters: Mapping[str, Value], estimator: str) -> Latents:
    shape = (sizes.n_pixels, sizes.hidden_dim, sizes.n_layers, sizes.latent_dim)
    n_components = int(parameters.get("components", 1))
    if variant.latents == "gaussian":
        return GaussianLatents(*shape, variant.prior, n_components)
    if variant.latents == "point":
        return PointLatents(*shape)
    if variant.latents == "two-level":
        return TwoLevelLatents(*shape, variant.prior, n_components)
    if sizes.n_categories is None:
        raise InputError("categories are needed, none given")
    if variant.latents == "clustered":
        return ClusteredLatents(*shape, sizes.n_categories, parameters["assignment"])  # type: ignore[arg-type]
    if variant.latents == "weighted":
        return WeightedLatents(*shape, sizes.n_categories, float(parameters["least_kl_c"]))
    return CategoricalLatents(
        *shape,
        sizes.n_categories,
        given=cast(Given, parameters.get("condition", "draw") if variant.conditional else "nothing"),
        learned=variant.learned,
        estimator=cast(Estimator, estimator),
    )


def _penalty(
    variant: Variant, sizes: Sizes, parameters: Mapping[str, Value], latents: Latents, n_images: int
) -> Penalty | None:
    width = sizes.hidden_dim
    if variant.penalty is None:
        return None
    if variant.penalty == "decomposition":
        return Decomposition(cast(TcEstimator, parameters["tc_estimator"]), n_images)
    if variant.penalty == "ratio":
        return RatioCritic(latents.latent_dim, width, CRITIC_LAYERS)
    if variant.penalty == "moments-i":
        return Moments("i")
    if variant.penalty == "moments-ii":
        return Moments("ii")
    if variant.penalty == "mmd":
        return Discrepancy()
    if variant.penalty == "prior-critic":
        return PriorCritic(latents.latent_dim, width, CRITIC_LAYERS)
    if variant.penalty == "point-information":
        return PointInformation(sizes.n_pixels, width, GUESS_LAYERS, latents.latent_dim)
    assert sizes.n_categories is not None
    return CategoryInformation(sizes.n_pixels, width, GUESS_LAYERS, sizes.n_categories)
