"""Construction of the network of a variant from its entry in the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from topicnet.core.transport.critic import DualCritic
from topicnet.errors import InputError
from topicnet.images.model.convolutions import ConvolutionalOutput
from topicnet.images.model.hierarchies import ClusteredLatents, TwoLevelLatents, WeightedLatents
from topicnet.images.model.latents import (
    CategoricalLatents,
    Estimator,
    GaussianLatents,
    Given,
    Head,
    Latents,
    PointLatents,
)
from topicnet.images.model.likelihoods import LIKELIHOODS
from topicnet.images.model.nets import Critic, Decoder, Sizes, gaussian_critic
from topicnet.images.model.penalties import (
    CategoryInformation,
    Decomposition,
    Discrepancy,
    Information,
    Moments,
    Penalty,
    PointInformation,
    PriorCritic,
    RatioCritic,
    TcEstimator,
)
from topicnet.images.model.vae import Vae
from topicnet.images.model.variants import Value, Variant, informed_dimensions
from topicnet.images.model.wgan import Deterministic, PriorLatents, Wgan

CRITIC_LAYERS = 5  # layers of a critic of z (Kim & Mnih 2018, appendix A)
PREDICTOR_LAYERS = 2  # layers of a network that predicts c or z from an image
BRANCH_LAYERS = 1  # hidden layers of the same network as a branch of the decoder


def build(
    variant: Variant,
    sizes: Sizes,
    parameters: Mapping[str, Value],
    *,
    likelihood: str,
    estimator: str,
    n_images: int,
) -> Vae:
    """Build an untrained model.

    Parameters
    ----------
    variant : Variant
        Entry of the table.
    sizes : Sizes
        Sizes of the layers.
    parameters : mapping
        The variant's parameters, resolved.
    likelihood : str
        Name of the likelihood.
    estimator : str
        Name of the gradient estimator of categories.
    n_images : int
        Number N of training images, which minibatch estimates of q(z) need.

    Raises
    ------
    InputError
        The variant needs a number of categories and there is none.
    """
    if not variant.has_encoder:
        return _wgan(variant, sizes, parameters)
    latents = _latents(variant, sizes, parameters, estimator)
    decoder = _decoder(latents, sizes)
    penalty = _penalty(variant, sizes, parameters, latents, decoder, n_images)
    n_draws = int(parameters.get("draws", 1))
    return Vae(latents, decoder, LIKELIHOODS[likelihood](), penalty, n_draws=n_draws, two_phases=variant.two_phases)


def _decoder(latents: Latents, sizes: Sizes) -> Decoder:
    """Build a decoder of dense layers, or of one dense layer for each part of the code and convolutions."""
    if not sizes.convolutional:
        return Decoder(latents.code_widths, sizes.hidden_dim, sizes.n_layers, sizes.n_pixels)
    width = sizes.hidden_dim * len(latents.code_widths)  # branches of one layer each meet without a further one
    return Decoder(latents.code_widths, sizes.hidden_dim, 1, sizes.n_pixels, ConvolutionalOutput(sizes, width))


def _wgan(variant: Variant, sizes: Sizes, parameters: Mapping[str, Value]) -> Wgan:
    latents = PriorLatents(sizes)
    decoder = _decoder(latents, sizes)
    critic = DualCritic(sizes.n_pixels, sizes.hidden_dim, sizes.n_layers)
    if clips := "clip" in parameters:
        critic.clip(float(parameters["clip"]))
    n_critic = int(parameters["n_critic"])
    return Wgan(latents, decoder, Deterministic(), critic, penalised=not clips, n_critic=n_critic)


def _latents(variant: Variant, sizes: Sizes, parameters: Mapping[str, Value], estimator: str) -> Latents:
    n_components = int(parameters.get("components", 1))
    if variant.latents == "gaussian":
        return GaussianLatents(sizes, variant.prior, n_components)
    if variant.latents == "point":
        return PointLatents(sizes)
    if variant.latents == "two-level":
        return TwoLevelLatents(sizes, variant.prior, n_components)
    if sizes.n_categories is None:
        raise InputError("n_categories=None given, expected a number of categories for this variant")
    if variant.latents == "clustered":
        return ClusteredLatents(sizes, parameters["assignment"])  # type: ignore[arg-type]
    if variant.latents == "weighted":
        return WeightedLatents(sizes, float(parameters["least_kl_c"]))
    given = cast(Given, parameters.get("condition", "draw") if variant.conditional else "nothing")
    return CategoricalLatents(
        sizes,
        given=given,
        learned=variant.learned,
        estimator=cast(Estimator, estimator),
        head=cast(Head, parameters.get("head", "linear")),
        temperatures=(float(parameters["temperature"]), float(parameters["temperature_end"])),
    )


def _penalty(
    variant: Variant,
    sizes: Sizes,
    parameters: Mapping[str, Value],
    latents: Latents,
    decoder: Decoder,
    n_images: int,
) -> Penalty | None:
    of_z = (latents.latent_dim, sizes.hidden_dim, CRITIC_LAYERS)
    penalties: dict[str | None, Callable[[], Penalty | None]] = {
        None: lambda: None,
        "decomposition": lambda: Decomposition(cast(TcEstimator, parameters["tc_estimator"]), n_images),
        "ratio": lambda: RatioCritic(*of_z),
        "moments-i": lambda: Moments("i"),
        "moments-ii": lambda: Moments("ii"),
        "mmd": Discrepancy,
        "prior-critic": lambda: PriorCritic(*of_z),
        "point-information": lambda: _information(sizes, parameters, latents, decoder),
        "category-information": lambda: _information(sizes, parameters, latents, decoder),
    }
    return penalties[variant.penalty]()


def _information(sizes: Sizes, parameters: Mapping[str, Value], latents: Latents, decoder: Decoder) -> Information:
    """Build the bound on the information about categories or, without them, about dimensions of z."""
    kind = parameters["q_network"]
    reads_features = kind == "decoder"
    width = decoder.n_features if reads_features else sizes.n_pixels
    n_layers = BRANCH_LAYERS if reads_features else PREDICTOR_LAYERS
    if sizes.n_categories is not None:
        encoder = latents.log_categories if kind == "encoder" else None
        critic = None if encoder else Critic(width, sizes.hidden_dim, n_layers, sizes.n_categories)
        return CategoryInformation(critic, encoder, reads_features=reads_features)
    assert isinstance(latents, GaussianLatents)
    informed = informed_dimensions(parameters["informed"], latents.latent_dim)
    chosen = list(range(min(PointInformation.N_CHOSEN, latents.latent_dim))) if informed is None else informed
    posterior = latents.posterior if kind == "encoder" else None
    network = None if posterior else gaussian_critic(width, sizes.hidden_dim, n_layers, len(chosen))
    fixed = informed is not None
    return PointInformation(network, posterior, reads_features=reads_features, chosen=chosen, fixed=fixed)
