"""Table of the 27 image-model variants: each is one entry that combines shared parts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from topicnet.errors import InputError
from topicnet.training.checks import check_number
from topicnet.training.schedule import Ramp

Value = float | str
Values = Mapping[str, Value]
RAMP_FRACTION = 0.5  # fraction of training during which a capacity rises to its full value
# At a temperature near 1 the decoder trains on mixtures of categories and is evaluated on single ones; if training
# maximises the information of c, low temperatures lose it. Measured: docs/explanation/images.md.
COLD: Values = MappingProxyType({"temperature": 0.3, "temperature_end": 0.3})
WARM: Values = MappingProxyType({"temperature": 1.0, "temperature_end": 1.0})


@dataclass(frozen=True)
class Variant:
    """Definition of one variant: its latents, prior, penalty, loss weights and parameters.

    Parameters
    ----------
    summary : str
        Description in a few words, with its source.
    latents : {"gaussian", "point", "categorical", "two-level", "clustered", "weighted", "prior"}
        Factorisation of q and p; "clustered" is VaDE's, "weighted" GMVAE's, and "prior" has no encoder.
    prior : {"standard", "mixture", "vamp"}
        p(z), for Gaussian and two-level latents.
    conditional : bool
        For categorical latents, whether the encoder of z depends on c.
    learned : bool
        For categorical latents, whether p(z | c) is learned.
    likelihood : {"bernoulli", "gaussian", "logistic", "squared-error", "none"}
        Default likelihood; a generator without an encoder has none.
    penalty : str or None
        Name of the penalty, see `topicnet.images.model.building`.
    parameters : mapping
        Names and default values of the variant's own parameters.
    weights : callable
        Maps parameters to the weights of loss terms; terms without an entry have weight 1.
    targets : callable
        Maps parameters and the number of categories to the terms with a capacity and their final capacity in nats.
    warms_up : bool
        Whether the divergences are phased in at the start of training by default.
    two_phases : bool
        Whether the encoder is trained against the critic in a separate step.
    pretrained : float
        Length of the pretraining as a fraction of the epochs: an autoencoder for clustered latents, the plain evidence
        lower bound for information penalties.
    drops : callable or None
        Maps the number of epochs to the steps of the learning-rate schedule; None for the default schedule.
    learning_rate : float, optional
        Default learning rate, where it differs from that of the other variants.
    steps : int
        Training steps that determine the default number of epochs.
    first_decay : float
        Decay beta1 of Adam; adversaries with the usual 0.9 circle around each other.
    own_optimizer : bool
        Whether the variant is trained by RMSProp, or Adam without a first moment, in place of Adam.

    Attributes
    ----------
    has_categories : bool
        Whether the model has a discrete code c.
    has_bound : bool
        Whether the encoder has a density, so that the model has an evidence lower bound.
    has_encoder : bool
        Whether images have codes.

    Examples
    --------
    >>> from topicnet.images import VARIANTS
    >>> VARIANTS["beta-vae"].parameters, VARIANTS["beta-vae"].has_categories
    ({'beta': 4.0}, False)
    """

    summary: str
    latents: str = "gaussian"
    prior: str = "standard"
    conditional: bool = False
    learned: bool = False
    likelihood: str = "bernoulli"
    penalty: str | None = None
    parameters: Values = field(default_factory=dict)
    weights: Callable[[Mapping[str, float]], dict[str, float]] = lambda p: {}
    targets: Callable[[Mapping[str, float], int], dict[str, float]] = lambda p, k: {}
    warms_up: bool = False
    two_phases: bool = False
    pretrained: float = 0.0
    drops: Callable[[int], tuple[tuple[float, float], ...]] | None = None
    learning_rate: float | None = None
    steps: int = 3_000
    first_decay: float = 0.9
    own_optimizer: bool = False

    @property
    def has_categories(self) -> bool:
        """True if the model has a discrete code c."""
        return self.latents in ("categorical", "clustered", "weighted")

    @property
    def has_bound(self) -> bool:
        """True if the encoder has a density, so that the model has an evidence lower bound."""
        return self.latents not in ("point", "prior")

    @property
    def has_encoder(self) -> bool:
        """True if images have codes."""
        return self.latents != "prior"


#: Every variant by its name, as given to `ImageVAE`.
VARIANTS: dict[str, Variant] = {
    "vae": Variant("variational autoencoder (Kingma & Welling 2014)", warms_up=True),
    "beta-vae": Variant(
        "KL weighted by beta (Higgins et al. 2017)", parameters={"beta": 4.0}, weights=lambda p: {"kl_z": p["beta"]}
    ),
    "capacity-vae": Variant(
        "KL kept near a rising capacity (Burgess et al. 2018)",
        parameters={"gamma": 1000.0, "capacity": 25.0},
        weights=lambda p: {"kl_z": p["gamma"]},
        targets=lambda p, k: {"kl_z": p["capacity"]},
    ),
    "beta-tcvae": Variant(
        "total correlation weighted by beta (Chen et al. 2018)",
        penalty="decomposition",
        parameters={"alpha": 1.0, "beta": 6.0, "gamma": 1.0, "tc_estimator": "mss"},
        weights=lambda p: {"index_information": p["alpha"], "total_correlation": p["beta"], "dimension_kl": p["gamma"]},
    ),
    "factor-vae": Variant(
        "total correlation estimated by a critic (Kim & Mnih 2018)",
        penalty="ratio",
        parameters={"gamma": 10.0, "critic_rate": 0.1},
        weights=lambda p: {"total_correlation": p["gamma"]},
    ),
    "dip-vae-i": Variant(
        "covariance of the posterior means regularised towards I (Kumar et al. 2018)",
        penalty="moments-i",
        parameters={"lambda_od": 10.0, "lambda_d": 100.0},
        weights=lambda p: {"off_diagonal": p["lambda_od"], "diagonal": p["lambda_d"]},
    ),
    "dip-vae-ii": Variant(
        "covariance of q(z) regularised towards I (Kumar et al. 2018)",
        penalty="moments-ii",
        parameters={"lambda_od": 10.0, "lambda_d": 10.0},
        weights=lambda p: {"off_diagonal": p["lambda_od"], "diagonal": p["lambda_d"]},
    ),
    "info-vae": Variant(
        "part of the KL replaced by the MMD between q(z) and p(z) (Zhao et al. 2019)",
        penalty="mmd",
        parameters={"alpha": 0.0, "lambda": 100.0},
        weights=lambda p: {"kl_z": 1 - p["alpha"], "mmd": p["alpha"] + p["lambda"] - 1},
    ),
    "aae": Variant(
        "adversarial autoencoder: a critic compares q(z) with p(z) (Makhzani et al. 2015)",
        latents="point",
        penalty="prior-critic",
        parameters={"critic_rate": 0.5},
        two_phases=True,
    ),
    "wae-mmd": Variant(
        "squared error and the MMD between q(z) and p(z) (Tolstikhin et al. 2018)",
        latents="point",
        likelihood="squared-error",
        penalty="mmd",
        parameters={"lambda": 200.0},
        weights=lambda p: {"mmd": p["lambda"]},
        drops=lambda epochs: ((0.3, 0.5), (0.5, 0.2)),
    ),
    "wae-gan": Variant(
        "squared error and a critic that compares q(z) with p(z) (Tolstikhin et al. 2018)",
        latents="point",
        likelihood="squared-error",
        penalty="prior-critic",
        parameters={"lambda": 1.0, "critic_rate": 0.5},
        weights=lambda p: {"fooling": p["lambda"]},
        first_decay=0.5,
        drops=lambda epochs: ((0.3, 0.5), (0.5, 0.2)),
    ),
    "wgan": Variant(
        "generator and a critic with clipped weights, without an encoder (Arjovsky et al. 2017)",
        latents="prior",
        likelihood="none",
        parameters={"clip": 0.01, "n_critic": 5.0},
        drops=lambda epochs: (),
        learning_rate=5e-5,
        steps=20_000,
        own_optimizer=True,
    ),
    "wgan-gp": Variant(
        "generator and a critic with a one-sided gradient penalty, without an encoder (Gulrajani et al. 2017)",
        latents="prior",
        likelihood="none",
        parameters={"lambda": 10.0, "n_critic": 5.0},
        weights=lambda p: {"gradient_penalty": p["lambda"]},
        drops=lambda epochs: (),
        learning_rate=1e-4,
        steps=20_000,
        own_optimizer=True,
    ),
    "iwae": Variant("importance-weighted bound (Burda et al. 2016)", parameters={"draws": 5.0}),
    "mog": Variant(
        "learned mixture of Gaussians as the prior (Tomczak & Welling 2018)",
        prior="mixture",
        parameters={"components": 50.0},
        warms_up=True,
    ),
    "vampprior": Variant(
        "prior of encoded pseudo-inputs (Tomczak & Welling 2018)",
        prior="vamp",
        parameters={"components": 50.0},
        warms_up=True,
    ),
    "hvae": Variant("two levels of latents (Tomczak & Welling 2018)", latents="two-level", warms_up=True),
    "hvp": Variant(
        "two levels of latents, with a VampPrior for the upper one (Tomczak & Welling 2018)",
        latents="two-level",
        prior="vamp",
        parameters={"components": 50.0},
        warms_up=True,
    ),
    "cp-vae": Variant(
        "conditional prior: q(z|x,c) and p(z|c) (Lavda et al. 2020)",
        latents="categorical",
        conditional=True,
        learned=True,
        parameters={"condition": "draw", "head": "linear", **COLD},
        warms_up=True,
    ),
    "indq": Variant(
        "q(z|x) and p(z|c) (Lavda et al. 2020)",
        latents="categorical",
        learned=True,
        parameters=dict(COLD),
        warms_up=True,
    ),
    "indp": Variant(
        "q(z|x,c) and p(z) (Lavda et al. 2020)",
        latents="categorical",
        conditional=True,
        parameters={"head": "linear", **COLD},
        warms_up=True,
    ),
    "indqp": Variant(
        "q(z|x) and p(z) (Lavda et al. 2020)", latents="categorical", parameters=dict(COLD), warms_up=True
    ),
    "joint-vae": Variant(
        "INDqp with capacities for z and c (Dupont 2018)",
        latents="categorical",
        parameters={"gamma": 30.0, "capacity_z": 5.0, "capacity_c": math.inf, **WARM},
        weights=lambda p: {"kl_z": p["gamma"], "kl_c": p["gamma"]},
        targets=lambda p, k: {"kl_z": p["capacity_z"], "kl_c": min(p["capacity_c"], math.log(k))},
    ),
    "vade": Variant(
        "mixture prior with learned weights, initialised by clustering (Jiang et al. 2017)",
        latents="clustered",
        parameters={"assignment": "optimal"},
        pretrained=0.3,
        drops=lambda epochs: tuple((done / epochs, 0.9) for done in range(10, epochs, 10)),
    ),
    "gmvae": Variant(
        "mixture prior with components from a second latent variable w (Dilokthanakul et al. 2016)",
        latents="weighted",
        parameters={"least_kl_c": 0.0},
        warms_up=True,
    ),
    "vmi-z": Variant(
        "maximised information between dimensions of z and the decoded image (Serdega & Kim 2020)",
        penalty="point-information",
        parameters={"lambda": 1.0, "critic_rate": 1.0, "informed": "auto", "q_network": "separate"},
        weights=lambda p: {"lack_of_information": p["lambda"]},
        pretrained=0.3,
    ),
    "vmi-c": Variant(
        "INDqp with maximised information between c and the decoded image (Serdega & Kim 2020)",
        latents="categorical",
        penalty="category-information",
        parameters={"lambda": 5.0, "critic_rate": 1.0, "q_network": "separate", **WARM},
        weights=lambda p: {"lack_of_information": p["lambda"]},
    ),
}
WITH_CATEGORIES = [name for name, variant in VARIANTS.items() if variant.has_categories]
CHOICES = {
    "tc_estimator": ("mws", "mss"),
    "assignment": ("optimal", "mean-posterior"),
    "condition": ("draw", "probabilities"),
    "head": ("gated", "linear"),
    "q_network": ("separate", "decoder", "encoder"),
}
COUNTS = ("draws", "components", "n_critic")
POSITIVE = ("clip", "temperature", "temperature_end")
FOLLOWERS = {"temperature_end": "temperature"}  # a parameter that is not given equals another one that is
AUTO = "auto"  # value of "informed" that leaves the choice to the fit


def variant_of(name: str) -> Variant:
    """Return the variant with this name.

    Raises
    ------
    InputError
        The name is unknown.
    """
    if not isinstance(name, str) or name not in VARIANTS:
        raise InputError(f"variant {name!r} given, expected one of {', '.join(VARIANTS)}")
    return VARIANTS[name]


def resolve_parameters(name: str, given: Values) -> dict[str, Value]:
    """Return the parameters of a variant: its defaults, overridden by the given values.

    Raises
    ------
    InputError
        The variant does not have a given parameter, or a value is out of range.
    """
    known = variant_of(name).parameters
    if not isinstance(given, Mapping):
        raise InputError(f"parameters={given!r} given, expected names with values")
    for parameter, value in given.items():
        if parameter not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise InputError(f"parameter {parameter!r} given for {name}: {has}")
        _check_value(parameter, value)
    followers = {name: given[first] for name, first in FOLLOWERS.items() if first in given and name in known}
    resolved = {**known, **followers, **given}
    if resolved.get("q_network") == "encoder" and "critic_rate" in given:
        raise InputError("critic_rate given with q_network=encoder, which trains no network Q: leave it out")
    informed = informed_dimensions(resolved.get("informed"))
    if informed is not None:
        resolved["informed"] = ",".join(map(str, informed))
    numbers = numbers_in(resolved)
    for term, weight in variant_of(name).weights(numbers).items():
        if weight < 0:  # possible for info-vae only: the term would be maximised
            values = ", ".join(f"{parameter}={value:g}" for parameter, value in numbers.items())
            raise InputError(f"{values} given for {name}: {term} would weigh {weight:g}, expected 0 or more")
    return resolved


def numbers_in(parameters: Values) -> dict[str, float]:
    """Return the numeric parameters as floats."""
    return {name: float(value) for name, value in parameters.items() if not isinstance(value, str)}


def dimensions_in(name: str, given: object) -> list[int]:
    """Return distinct dimensions of z, given as text such as "3,17", as one number or as several.

    Raises
    ------
    InputError
        There are none, or one is no whole number of at least 0, or occurs twice.
    """
    parts: Sequence[Any] = given.split(",") if isinstance(given, str) else [given]
    if isinstance(given, Sequence) and not isinstance(given, str):
        parts = given
    try:
        numbers = [float(part) for part in parts if not isinstance(part, bool)]
    except (TypeError, ValueError):
        numbers = []
    whole = [int(number) for number in numbers if number.is_integer() and number >= 0]
    if not parts or len(set(whole)) != len(parts):
        raise InputError(f"{name}={given!r} given, expected different dimensions of z, counted from 0, such as 3,17")
    return whole


def components_in(given: str | Sequence[int] | None) -> str | list[int] | None:
    """Return "c", "z" or distinct dimensions of z, see `dimensions_in`; None if there are none."""
    if given is None or (isinstance(given, str) and given in ("c", "z")):
        return given
    try:
        return dimensions_in("components", given)
    except InputError as error:
        raise InputError(f"{error}; or c, or z for all of them") from None


def informed_dimensions(given: Value | None, latent_dim: int | None = None) -> list[int] | None:
    """Return the dimensions named by the parameter "informed"; None if the fit is to choose them.

    Raises
    ------
    InputError
        They are not distinct whole numbers, or z has fewer dimensions.
    """
    if given is None or given == AUTO:
        return None
    chosen = dimensions_in("informed", given)
    if latent_dim is not None and max(chosen) >= latent_dim:
        raise InputError(f"informed={max(chosen)} given, expected dimensions of z from 0 to {latent_dim - 1}")
    return chosen


def _check_value(name: str, value: Value) -> None:
    if name == "informed":
        informed_dimensions(value)
        return
    if name in CHOICES:
        if value not in CHOICES[name]:
            raise InputError(f"{name}={value!r} given, expected {' or '.join(CHOICES[name])}")
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise InputError(f"{name}={value!r} given, expected a number")
    if name in POSITIVE:
        check_number(name, value, above=0.0)
        return
    least = 1 if name in COUNTS else 0
    whole = name not in COUNTS or isinstance(value, int) or value.is_integer()
    infinite = math.isinf(value) and name != "capacity_c"
    if value < least or not whole or infinite:
        kind = "a whole number" if name in COUNTS else "a finite number"
        raise InputError(f"{name}={value:g} given, expected {kind}, {least} or more")


def ramps(variant: Variant, parameters: Mapping[str, float], n_categories: int) -> dict[str, Ramp]:
    """Return the ramp of each KL term with a capacity, which rises during training (Burgess et al. 2018)."""
    return {name: Ramp(most, RAMP_FRACTION) for name, most in variant.targets(parameters, n_categories).items()}
