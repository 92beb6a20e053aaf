"""The family: each variant is a line of data over shared parts (specification, table B)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from topicnet.errors import InputError
from topicnet.training.schedule import Ramp

Value = float | str
Values = Mapping[str, Value]
RAMP_SHARE = 0.5  # of a run, until a capacity is whole


@dataclass(frozen=True)
class Variant:
    """What makes a variant what it is."""

    summary: str  # in a few words, with its source
    latents: str = "gaussian"  # or point, categorical, two-level, clustered, weighted
    prior: str = "standard"  # or mixture, vamp
    conditional: bool = False  # of categorical latents: the encoder of z is told the category
    learned: bool = False  # of categorical latents: p(z | c) is
    likelihood: str = "bernoulli"  # unless another is asked for
    penalty: str | None = None  # see `building`
    parameters: Values = field(default_factory=dict)  # their names and defaults
    # From parameters to the weights of terms; those not named weigh 1.
    weights: Callable[[Mapping[str, float]], dict[str, float]] = lambda p: {}
    # From parameters and the number of categories to terms with a capacity: their most nats.
    targets: Callable[[Mapping[str, float], int], dict[str, float]] = lambda p, k: {}
    warms_up: bool = False  # the divergences are phased in
    two_phases: bool = False  # the encoder fools its critic in a step of its own
    # Share of the epochs spent on a start: an autoencoder for clustered latents, the plain bound before information.
    pretrained: float = 0.0
    # From the number of epochs to the schedule's drops of the rate; None for the default settings.
    drops: Callable[[int], tuple[tuple[float, float], ...]] | None = None

    @property
    def has_categories(self) -> bool:
        """Whether it has a discrete code c."""
        return self.latents in ("categorical", "clustered", "weighted")

    @property
    def has_bound(self) -> bool:
        """Whether its encoder has a density, so that a lower bound of the likelihood can be given."""
        return self.latents != "point"


VARIANTS: dict[str, Variant] = {
    "vae": Variant("the variational autoencoder (Kingma & Welling 2014)", warms_up=True),
    "beta-vae": Variant(
        "KL weighed by beta (Higgins et al. 2017)", parameters={"beta": 4.0}, weights=lambda p: {"kl_z": p["beta"]}
    ),
    "capacity-vae": Variant(
        "KL drawn to a capacity that rises (Burgess et al. 2018)",
        parameters={"gamma": 1000.0, "capacity": 25.0},
        weights=lambda p: {"kl_z": p["gamma"]},
        targets=lambda p, k: {"kl_z": p["capacity"]},
    ),
    "beta-tcvae": Variant(
        "total correlation weighed by beta (Chen et al. 2018)",
        penalty="decomposition",
        parameters={"alpha": 1.0, "beta": 6.0, "gamma": 1.0, "tc_estimator": "mss"},
        weights=lambda p: {"index_information": p["alpha"], "total_correlation": p["beta"], "dimension_kl": p["gamma"]},
    ),
    "factor-vae": Variant(
        "total correlation by a critic (Kim & Mnih 2018)",
        penalty="ratio",
        parameters={"gamma": 10.0, "critic_rate": 0.1},
        weights=lambda p: {"total_correlation": p["gamma"]},
    ),
    "dip-vae-i": Variant(
        "covariance of the posterior means drawn to I (Kumar et al. 2018)",
        penalty="moments-i",
        parameters={"lambda_od": 10.0, "lambda_d": 100.0},
        weights=lambda p: {"off_diagonal": p["lambda_od"], "diagonal": p["lambda_d"]},
    ),
    "dip-vae-ii": Variant(
        "covariance of q(z) drawn to I (Kumar et al. 2018)",
        penalty="moments-ii",
        parameters={"lambda_od": 10.0, "lambda_d": 10.0},
        weights=lambda p: {"off_diagonal": p["lambda_od"], "diagonal": p["lambda_d"]},
    ),
    "info-vae": Variant(
        "part of the KL replaced by a discrepancy of q(z) from p(z) (Zhao et al. 2019)",
        penalty="mmd",
        parameters={"alpha": 0.0, "lambda": 100.0},
        weights=lambda p: {"kl_z": 1 - p["alpha"], "mmd": p["alpha"] + p["lambda"] - 1},
    ),
    "aae": Variant(
        "an encoder that fools a critic of q(z) (Makhzani et al. 2015)",
        latents="point",
        penalty="prior-critic",
        parameters={"critic_rate": 0.5},
        two_phases=True,
    ),
    "wae-mmd": Variant(
        "squared error and a discrepancy of q(z) from p(z) (Tolstikhin et al. 2018)",
        latents="point",
        likelihood="squared-error",
        penalty="mmd",
        parameters={"lambda": 200.0},
        weights=lambda p: {"mmd": p["lambda"]},
        drops=lambda epochs: ((0.3, 0.5), (0.5, 0.2)),
    ),
    "wae-gan": Variant(
        "squared error and a critic of q(z) (Tolstikhin et al. 2018)",
        latents="point",
        likelihood="squared-error",
        penalty="prior-critic",
        parameters={"lambda": 10.0, "critic_rate": 0.5},
        weights=lambda p: {"fooling": p["lambda"]},
        drops=lambda epochs: ((0.3, 0.5), (0.5, 0.2)),
    ),
    "iwae": Variant("the importance-weighted bound (Burda et al. 2016)", parameters={"draws": 5.0}),
    "mog": Variant(
        "a learned mixture for prior (Tomczak & Welling 2018, MG)",
        prior="mixture",
        parameters={"components": 50.0},
        warms_up=True,
    ),
    "vampprior": Variant(
        "a prior of encoded pseudo-inputs (Tomczak & Welling 2018)",
        prior="vamp",
        parameters={"components": 50.0},
        warms_up=True,
    ),
    "hvae": Variant("two levels of latents (Tomczak & Welling 2018)", latents="two-level", warms_up=True),
    "hvp": Variant(
        "two levels, the upper with a VampPrior (Tomczak & Welling 2018)",
        latents="two-level",
        prior="vamp",
        parameters={"components": 50.0},
        warms_up=True,
    ),
    "cp-vae": Variant(
        "q(z|x,c) and p(z|c): a conditional prior",
        latents="categorical",
        conditional=True,
        learned=True,
        parameters={"condition": "draw"},
        warms_up=True,
    ),
    "indq": Variant("q(z|x) and p(z|c)", latents="categorical", learned=True, warms_up=True),
    "indp": Variant("q(z|x,c) and p(z)", latents="categorical", conditional=True, warms_up=True),
    "indqp": Variant("q(z|x) and p(z)", latents="categorical", warms_up=True),
    "joint-vae": Variant(
        "INDqp with capacities of z and c (Dupont 2018)",
        latents="categorical",
        parameters={"gamma": 30.0, "capacity_z": 5.0, "capacity_c": math.inf},
        weights=lambda p: {"kl_z": p["gamma"], "kl_c": p["gamma"]},
        targets=lambda p, k: {"kl_z": p["capacity_z"], "kl_c": min(p["capacity_c"], math.log(k))},
    ),
    "vade": Variant(
        "a mixture with learned weights, begun by clustering (Jiang et al. 2017)",
        latents="clustered",
        parameters={"assignment": "optimal"},
        pretrained=0.3,
        drops=lambda epochs: tuple((done / epochs, 0.9) for done in range(10, epochs, 10)),
    ),
    "gmvae": Variant(
        "clusters of a network's making (Dilokthanakul et al. 2016)",
        latents="weighted",
        parameters={"least_kl_c": 0.0},
        warms_up=True,
    ),
    "vmi-z": Variant(
        "information of two dimensions of z about the decoded image",
        penalty="point-information",
        parameters={"lambda": 1.0, "critic_rate": 1.0},
        weights=lambda p: {"lack_of_information": p["lambda"]},
        pretrained=0.3,
    ),
    "vmi-c": Variant(
        "INDqp with information of c about the decoded image",
        latents="categorical",
        penalty="category-information",
        parameters={"lambda": 5.0, "critic_rate": 1.0},
        weights=lambda p: {"lack_of_information": p["lambda"]},
    ),
}
WITH_CATEGORIES = [name for name, variant in VARIANTS.items() if variant.has_categories]
CHOICES = {
    "tc_estimator": ("mws", "mss"),
    "assignment": ("optimal", "mean-posterior"),
    "condition": ("draw", "probabilities"),
}
COUNTS = ("draws", "components")


def variant_of(name: str) -> Variant:
    """The variant of that name.

    Raises
    ------
    InputError
        There is none.
    """
    if not isinstance(name, str) or name not in VARIANTS:
        raise InputError(f"variant {name!r} given, expected one of {', '.join(VARIANTS)}")
    return VARIANTS[name]


def resolve_parameters(name: str, given: Values) -> dict[str, Value]:
    """Parameters of a variant: its defaults, and those given in their place.

    Raises
    ------
    InputError
        One that the variant does not have, or a value out of its range.
    """
    known = variant_of(name).parameters
    if not isinstance(given, Mapping):
        raise InputError(f"parameters={given!r} given, expected names with values")
    for parameter, value in given.items():
        if parameter not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise InputError(f"parameter {parameter!r} given for {name}: {has}")
        _check_value(parameter, value)
    settled = {**known, **given}
    numbers = numbers_in(settled)
    for term, weight in variant_of(name).weights(numbers).items():
        if weight < 0:  # of info-vae alone: it would be made large, not small
            told = ", ".join(f"{parameter}={value:g}" for parameter, value in numbers.items())
            raise InputError(f"{told} given for {name}: {term} would weigh {weight:g}, expected 0 or more")
    return settled


def numbers_in(parameters: Values) -> dict[str, float]:
    """Those that are numbers."""
    return {name: float(value) for name, value in parameters.items() if not isinstance(value, str)}


def _check_value(name: str, value: Value) -> None:
    if name in CHOICES:
        if value not in CHOICES[name]:
            raise InputError(f"{name}={value!r} given, expected {' or '.join(CHOICES[name])}")
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise InputError(f"{name}={value!r} given, expected a number")
    least = 1 if name in COUNTS else 0
    whole = name not in COUNTS or isinstance(value, int) or value.is_integer()
    endless = math.isinf(value) and name != "capacity_c"
    if value < least or not whole or endless:
        kind = "a whole number" if name in COUNTS else "a finite number"
        raise InputError(f"{name}={value:g} given, expected {kind}, {least} or more")


def ramps(variant: Variant, parameters: Mapping[str, float], n_categories: int) -> dict[str, Ramp]:
    """Capacities of terms over a run."""
    return {name: Ramp(most, RAMP_SHARE) for name, most in variant.targets(parameters, n_categories).items()}
