"""The table of variants: each entry is built as declared, and one step moves every parameter."""

import math
from typing import get_args

import numpy as np
import pytest
import torch
from scipy.signal import argrelmax

from tests.support.images import CPU, H, K, P, Z, small_vae, some_images
from tests.support.training import trained
from topicnet.errors import InputError
from topicnet.images.data.load import load_images
from topicnet.images.model.batches import ImageBatches
from topicnet.images.model.latents import ESTIMATORS
from topicnet.images.model.likelihoods import LIKELIHOODS
from topicnet.images.model.penalties import TcEstimator
from topicnet.images.model.settings import DEFAULT_CATEGORIES, resolve_estimator, resolve_likelihood, resolve_sizes
from topicnet.images.model.variants import (
    CHOICES,
    FOLLOWERS,
    RAMP_FRACTION,
    VARIANTS,
    WITH_CATEGORIES,
    ramps,
    resolve_parameters,
    variant_of,
)
from topicnet.runtime.threads import chosen_threads
from topicnet.training.schedule import Schedule

DIVERGENCES = {"kl_z", "kl_c", "kl_z1", "kl_z2", "kl_w"}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Use one thread: several wait for each other on a busy machine."""
    with chosen_threads():
        yield


def numbers_of(name, **parameters):
    resolved = resolve_parameters(name, parameters)
    return {key: value for key, value in resolved.items() if not isinstance(value, str)}


def schedule_of(name, n_steps=1):
    variant, numbers = VARIANTS[name], numbers_of(name)
    return Schedule(n_steps, 1e-3, weights=variant.weights(numbers), targets=ramps(variant, numbers, K), drops=())


def batches(n=40, size=40):
    pixels = np.random.default_rng(0).random((n, P))
    return ImageBatches(torch.as_tensor(pixels), size, CPU, binarise=True)


def one_epoch(vae, name, data):
    phases = vae.phases(numbers_of(name).get("critic_rate", 1.0))
    return trained(vae, data, None, schedule_of(name, len(data)), max_epochs=1, patience=1, device=CPU, phases=phases)


# ---------------------------------------------------------------- one step


@pytest.mark.parametrize("name", VARIANTS)
def test_every_parameter_gets_a_gradient_in_one_step(name):
    """Adam moves exactly the parameters with a gradient, from the main loss or a phase: all of them must move."""
    vae = small_vae(name)
    before = {key: value.detach().clone() for key, value in vae.named_parameters()}
    result = one_epoch(vae, name, batches(size=40 if VARIANTS[name].has_encoder else 8))  # five steps move a generator
    assert result.stopped == "done"
    still = [key for key, value in vae.named_parameters() if torch.equal(value, before[key])]
    assert still == []
    assert all(value.grad is None and value.requires_grad for value in vae.parameters())


@pytest.mark.parametrize("name", ["mog", "vampprior", "hvp", "cp-vae", "indq", "vade", "gmvae"])
def test_every_component_of_a_prior_gets_a_gradient(name):
    """Public CP-VAE code never trains its priors. Here every mean and variance of every component is checked."""
    vae = small_vae(name)
    batch = some_images(40)
    schedule = schedule_of(name)
    loss = sum(schedule.weighted(term, value.mean(), 0) for term, value in vae.terms(batch).items())
    loss.backward()
    prior = {
        key: value.grad
        for key, value in vae.named_parameters()
        if any(part in key for part in ("mixture", "free_inputs", "components.", "prior_head"))
    }
    assert prior
    for key, gradient in prior.items():
        rows = gradient.abs().flatten(1).sum(1) if gradient.ndim > 1 else gradient.abs()
        assert (rows > 0).all(), key


@pytest.mark.parametrize("name", VARIANTS)
def test_weights_and_capacities_name_terms_of_the_variant(name):
    vae, data = small_vae(name), batches(size=20)
    row = one_epoch(vae, name, data).history[0]
    variant = VARIANTS[name]
    named = set(variant.weights(numbers_of(name))) | set(variant.targets(numbers_of(name), K))
    assert named <= row.keys()
    assert all(math.isfinite(value) for key, value in row.items() if key != "validation_loss")
    assert ("kl_c" in row) == (variant.has_categories)
    if variant.warms_up:
        assert DIVERGENCES & row.keys()
    if not variant.has_bound:
        assert not DIVERGENCES & row.keys()


def test_the_main_loss_of_an_adversarial_autoencoder_is_its_reconstruction():
    vae = small_vae("aae")
    assert set(vae.terms(some_images())) == {"reconstruction"}
    row = one_epoch(vae, "aae", batches()).history[0]
    assert row["loss"] == pytest.approx(row["reconstruction"])
    assert {"critic", "fooling"} <= row.keys()


@pytest.mark.parametrize("name", [name for name, variant in VARIANTS.items() if variant.has_bound])
@torch.no_grad()
def test_the_bound_is_reconstruction_and_divergences_for_any_loss(name):
    bound = small_vae(name).bound(some_images())
    assert "reconstruction" in bound
    assert bound.keys() - {"reconstruction"} <= DIVERGENCES
    assert all(value.shape == (20,) for value in bound.values())


@pytest.mark.parametrize("likelihood", ["gaussian", "logistic"])
@pytest.mark.parametrize("name", ["vae", "cp-vae", "aae"])
def test_other_likelihoods_learn_their_scale(name, likelihood):
    vae = small_vae(name, likelihood=likelihood)
    (scale,) = (value for value in vae.likelihood.parameters())
    before = scale.item()
    one_epoch(vae, name, batches())
    assert scale.item() != before


# ---------------------------------------------------------------- parameters


def test_the_table_is_complete():
    assert len(VARIANTS) == 27
    assert {variant.likelihood for variant in VARIANTS.values()} <= LIKELIHOODS.keys() | {"none"}
    assert [name for name, variant in VARIANTS.items() if not variant.has_encoder] == ["wgan", "wgan-gp"]
    assert CHOICES["tc_estimator"] == get_args(TcEstimator)
    assert [name for name, variant in VARIANTS.items() if not variant.has_bound] == [
        "aae", "wae-mmd", "wae-gan", "wgan", "wgan-gp",
    ]  # fmt: skip
    assert set(WITH_CATEGORIES) == {
        "cp-vae", "indq", "indp", "indqp", "joint-vae", "vade", "gmvae", "vmi-c",
    }  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_defaults_are_valid_and_are_kept(name):
    defaults = dict(VARIANTS[name].parameters)
    assert resolve_parameters(name, {}) == defaults
    assert resolve_parameters(name, defaults) == defaults
    for parameter, value in defaults.items():
        other = next(choice for choice in CHOICES[parameter] if choice != value) if parameter in CHOICES else 1.0
        other = "3,17" if parameter == "informed" else other
        followers = {follower: other for follower, first in FOLLOWERS.items() if first == parameter}
        assert resolve_parameters(name, {parameter: other}) == defaults | followers | {parameter: other}


def test_the_last_temperature_is_the_first_unless_it_is_given():
    assert resolve_parameters("indq", {"temperature": 0.7})["temperature_end"] == 0.7
    found = resolve_parameters("indq", {"temperature": 1.0, "temperature_end": 0.5})
    assert (found["temperature"], found["temperature_end"]) == (1.0, 0.5)
    first = VARIANTS["indq"].parameters["temperature"]
    assert resolve_parameters("indq", {"temperature_end": 0.1})["temperature"] == first


@pytest.mark.parametrize("given", [3, 3.0, "3", [3]])
def test_one_dimension_to_inform_is_given_in_several_ways(given):
    assert resolve_parameters("vmi-z", {"informed": given})["informed"] == "3"


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("vae", {"beta": 1.0}, "parameter 'beta' given for vae: it has none"),
        ("beta-vae", {"gamma": 1.0}, "it has beta"),
        ("beta-vae", {"beta": -1.0}, "beta=-1 given, expected a finite number, 0 or more"),
        ("beta-vae", {"beta": math.nan}, "expected a number"),
        ("beta-vae", {"beta": math.inf}, "finite"),
        ("beta-vae", {"beta": True}, "expected a number"),
        ("beta-vae", {"beta": "4"}, "expected a number"),
        ("beta-tcvae", {"tc_estimator": "msw"}, "mws or mss"),
        ("vade", {"assignment": "best"}, "optimal or mean-posterior"),
        ("iwae", {"draws": 2.5}, "a whole number, 1 or more"),
        ("iwae", {"draws": 0.0}, "a whole number, 1 or more"),
        ("mog", {"components": math.inf}, "a whole number"),
        ("info-vae", {"lambda": 0.0}, "mmd would weigh -1"),
        ("info-vae", {"alpha": 1.5}, "kl_z would weigh -0.5"),
        ("cp-vae", {"temperature": 0.0}, "temperature=0.0 given, expected a number above 0"),
        ("cp-vae", {"temperature_end": math.inf}, "temperature_end=inf given, expected a number above 0"),
        ("cp-vae", {"head": "deep"}, "head='deep' given, expected gated or linear"),
        ("indq", {"head": "gated"}, "parameter 'head' given for indq: it has temperature, temperature_end"),
        ("vade", {"temperature": 0.5}, "it has assignment"),
        ("vmi-z", {"informed": "3,3"}, "informed='3,3' given, expected different dimensions of z, counted from 0"),
        ("vmi-z", {"informed": "3,z"}, "informed='3,z' given"),
        ("vmi-z", {"informed": "1.5"}, "informed='1.5' given"),
        ("vmi-z", {"informed": -1}, "informed=-1 given"),
        ("vmi-z", {"informed": ""}, "informed='' given"),
        ("vmi-z", {"informed": []}, "informed=[] given"),
        ("vmi-z", {"informed": True}, "informed=True given"),
        ("vmi-c", {"informed": "3"}, "parameter 'informed' given for vmi-c: it has lambda, critic_rate, q_network"),
        ("vmi-c", {"q_network": "own"}, "q_network='own' given, expected separate or decoder or encoder"),
        ("vmi-c", {"q_network": "encoder", "critic_rate": 1.0}, "critic_rate given with q_network=encoder"),
        ("no-vae", {}, "variant 'no-vae' given, expected one of vae, beta-vae"),
    ],
)
def test_parameters_out_of_range_are_refused(name, given, message):
    with pytest.raises(InputError) as caught:
        resolve_parameters(name, given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_capacities_rise_to_the_given_value_over_half_a_run():
    variant = variant_of("joint-vae")
    given = ramps(variant, numbers_of("joint-vae", capacity_z=7.0), K)
    assert {term: ramp.most for term, ramp in given.items()} == {"kl_z": 7.0, "kl_c": math.log(K)}
    assert ramps(variant, numbers_of("joint-vae", capacity_c=0.3), K)["kl_c"].most == 0.3
    assert {ramp.fraction for ramp in given.values()} == {RAMP_FRACTION}
    assert ramps(variant_of("capacity-vae"), numbers_of("capacity-vae"), 1)["kl_z"].most == 25.0


def test_learning_rates_drop_as_in_the_papers():
    assert variant_of("wae-mmd").drops(100) == variant_of("wae-gan").drops(7) == ((0.3, 0.5), (0.5, 0.2))
    vade = Schedule(35 * 4, 1.0, drops=variant_of("vade").drops(35))
    rates = [vade.rate(4 * epoch) for epoch in range(35)]
    assert rates == pytest.approx([0.9 ** (epoch // 10) for epoch in range(35)])
    assert variant_of("vade").drops(5) == ()


# ---------------------------------------------------------------- sizes and choices


def test_default_sizes_depend_on_the_number_of_pixels():
    widths = [resolve_sizes("vae", n, None, H, 2, None).latent_dim for n in (1, 16, 64, 784)]
    assert widths == [2, 2, 8, 40]
    assert resolve_sizes("cp-vae", P, Z, H, 2, None).n_categories == DEFAULT_CATEGORIES
    assert resolve_sizes("vae", P, Z, H, 0, None).n_categories is None


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("vae", (P, 0, H, 2, None), "latent_dim=0 given, expected a whole number, 1 or more"),
        ("vae", (P, 2.5, H, 2, None), "latent_dim=2.5"),
        ("vae", (P, True, H, 2, None), "latent_dim=True"),
        ("vae", (P, Z, 0, 2, None), "hidden_dim=0"),
        ("vae", (P, Z, H, -1, None), "n_layers=-1 given, expected a whole number, 0 or more"),
        ("vae", (P, Z, H, 2, 10), "10 categories given for vae, which has none: leave them out"),
        ("mog", (P, Z, H, 2, 10), "components=K"),
        ("cp-vae", (P, Z, H, 2, 0), "categories=0"),
        ("cp-vae", (P, Z, H, 2, 2**17), "from 1 to 65536"),
    ],
)
def test_sizes_out_of_range_are_refused(name, values, message):
    with pytest.raises(InputError) as caught:
        resolve_sizes(name, *values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_likelihoods_and_estimators_that_fit_the_variant():
    assert resolve_likelihood(variant_of("vae"), None) == "bernoulli"
    assert resolve_likelihood(variant_of("wae-mmd"), None) == "squared-error"
    assert resolve_likelihood(variant_of("cp-vae"), "logistic") == "logistic"
    assert [resolve_estimator(variant_of("cp-vae"), estimator) for estimator in (None, *ESTIMATORS)] == [
        "gumbel", *ESTIMATORS,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("resolve", "name", "given", "message"),
    [
        (resolve_likelihood, "vae", "normal", "expected one of bernoulli"),
        (resolve_likelihood, "vae", "squared-error", "the cost of wae-mmd and wae-gan"),
        (resolve_likelihood, "wae-gan", "bernoulli", "leave it out"),
        (resolve_estimator, "cp-vae", "reinforce", "expected one of gumbel"),
        (resolve_estimator, "vade", "gumbel", "draws no categories"),
        (resolve_estimator, "vae", "enumerate", "draws no categories"),
    ],
)
def test_likelihoods_and_estimators_that_do_not_fit_the_variant_are_refused(resolve, name, given, message):
    with pytest.raises(InputError, match=message):
        resolve(variant_of(name), given)


# ---------------------------------------------------------------- the bimodal set


def test_the_bimodal_set_has_two_modes():
    """0.05 in N(0.3, 0.05) is a standard deviation; as a variance, it would give a single mode."""
    train_split = load_images("bimodal").train
    values = train_split.pixels.ravel()
    counts, edges = np.histogram(values, bins=40, range=(0.0, 1.0))
    smooth = np.convolve(counts, np.ones(5) / 5, "same")
    (peaks,) = argrelmax(smooth, order=4)
    middles = (edges[peaks] + edges[peaks + 1]) / 2
    assert middles == pytest.approx([0.3, 0.7], abs=0.03)
    assert smooth[np.argmin(abs(edges[:-1] - 0.5))] < 0.05 * smooth.max()
    for mode, mean in enumerate((0.3, 0.7)):
        some = values[train_split.labels == mode]
        assert (some.mean(), some.std()) == (pytest.approx(mean, abs=2e-3), pytest.approx(0.05, abs=2e-3))
