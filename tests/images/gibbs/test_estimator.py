"""GibbsVAE: determinism, restarts, collapse monitors, ablation, reports and bad input."""

import math

import numpy as np
import pytest
import torch

from topicnet.errors import InputError
from topicnet.images import gibbs

SHORT = {"hidden_dim": 16, "n_steps": 40, "batch_size": 32, "n_restarts": 2}
FAST = {"hidden_dim": 32, "n_steps": 600, "batch_size": 64, "n_restarts": 1, "learning_rate": 5e-3}


@pytest.fixture(scope="module")
def well():
    """A double well fitted in a second, and its report."""
    vae = gibbs.GibbsVAE(**FAST).fit(gibbs.double_well(4.0))
    return vae, gibbs.measure(vae, 10_000)


def test_the_same_seed_gives_the_same_bits():
    one, other = (gibbs.GibbsVAE(**SHORT, random_state=3).fit(gibbs.double_well()) for _ in range(2))
    assert torch.equal(one.sample(100), other.sample(100))
    assert one.restarts_ == other.restarts_
    assert one.history_ == other.history_
    assert gibbs.measure(one, 2_000) == gibbs.measure(other, 2_000)
    another = gibbs.GibbsVAE(**SHORT | {"n_steps": 2}, random_state=4).fit(gibbs.double_well())
    assert not torch.equal(one.sample(100), another.sample(100))


def test_torchs_own_random_state_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    vae = gibbs.GibbsVAE(**SHORT).fit(gibbs.double_well())
    gibbs.measure(vae, 2_000)
    assert torch.equal(torch.rand(3), expected)


def test_restarts_are_two_initialisations_of_two_seeds_and_the_best_is_kept():
    vae = gibbs.GibbsVAE(**SHORT | {"n_restarts": 4, "n_steps": 5}).fit(gibbs.double_well())
    found = vae.restarts_
    assert [one.init for one in found] == ["default", "narrow"] * 2
    assert found[0].seed == found[1].seed != found[2].seed == found[3].seed
    chosen = [one for one in found if one.chosen]
    assert len(chosen) == 1
    assert chosen[0].free_energy == min(one.free_energy for one in found)


def test_a_short_fit_of_a_double_well_is_good(well):
    _, report = well
    assert report.kl < 0.5
    assert report.free_energy.value + report.exact_log_z >= -3 * report.free_energy.se
    assert abs(report.log_z.value - report.exact_log_z) < max(0.03, 4 * report.log_z.se)
    assert report.log_z.low < report.log_z.value < report.log_z.high
    assert report.upper.value + 3 * report.upper.se > report.exact_log_z
    moments = {one.name: one for one in report.moments}
    for moment in moments.values():
        assert abs(moment.imh.value - moment.exact) < 4 * moment.imh.se
    chains = {one.name: one for one in report.chains}
    assert chains["imh"].calls_per_draw < 0.1 * chains["mala"].calls_per_draw  # a local chain rarely crosses
    assert not report.collapsed


def test_bounds_and_restarts_are_consistent_in_a_report(well):
    vae, report = well
    assert report.bounds[0].bound.value == pytest.approx(-report.free_energy.value, abs=5 * report.bounds[0].bound.se)
    assert report.bounds[-1].kl < report.bounds[0].kl + 3 * report.bounds[0].bound.se
    chosen = next(one for one in report.restarts if one.chosen)
    assert report.information == chosen.information
    assert report.n_training_calls == 600 * 64
    assert len(vae.history_) == 6
    assert vae.history_[0]["beta"] < vae.history_[-1]["beta"] == 1.0


def test_the_objective_of_the_document_fits_far_worse(well):
    _, report = well
    vae = gibbs.GibbsVAE(objective="document", **FAST).fit(gibbs.double_well(4.0))
    ablation = gibbs.measure(vae, 2_000)
    assert ablation.objective == "document"
    assert ablation.kl > report.kl + 0.3
    assert ablation.information < 0.01  # P(z|x) = pi
    assert ablation.collapsed


def test_a_decoder_that_ignores_z_is_reported_unless_it_is_exact():
    from topicnet.images.gibbs.training import is_collapsed

    assert is_collapsed(0.01, 2.1)
    assert not is_collapsed(0.01, 0.02)  # an exact fit of a Gaussian target needs no code
    assert not is_collapsed(1.9, 1.0)


def test_a_function_of_the_user_needs_no_known_answers():
    quartic = gibbs.Potential("quartic", 1, lambda x: (x**4).sum(-1))
    report = gibbs.measure(gibbs.GibbsVAE(**SHORT | {"n_steps": 200}).fit(quartic), 4_000)
    exact = math.log(2 * math.gamma(1.25))  # integral of exp(-x^4)
    assert report.exact_log_z is None
    assert report.upper_from == "hmc"
    assert abs(report.log_z.value - exact) < max(0.03, 4 * report.log_z.se)
    assert report.upper.value > report.log_z.low - 4 * report.upper.se
    assert [one.name for one in report.moments] == ["x_0", "x_0^2"]
    assert all(one.exact is None for one in report.moments)


def test_the_latent_dimension_may_differ_from_that_of_x():
    vae = gibbs.GibbsVAE(latent_dim=3, **SHORT).fit(gibbs.double_well())
    z, x, log_weights = vae.weighted_draws(50)
    assert (z.shape, x.shape, log_weights.shape) == ((50, 3), (50, 1), (50,))
    assert x.dtype == torch.float64


def test_the_mean_weight_is_z_for_untrained_networks_too():
    """Importance weighting does not depend on training."""
    vae = gibbs.GibbsVAE(hidden_dim=8, n_steps=1, n_restarts=1).fit(gibbs.gaussian([0.0], [[1.0]]))
    log_weights = vae.weighted_draws(100_000)[2]
    found = gibbs.log_partition(log_weights)
    assert abs(found.value - 0.5 * math.log(2 * math.pi)) < max(0.02, 4 * found.se)


@pytest.mark.parametrize(
    "parameters",
    [
        {"latent_dim": 0},
        {"hidden_dim": 1.5},
        {"objective": "elbo"},
        {"n_restarts": 0},
        {"n_steps": 0},
        {"batch_size": True},
        {"learning_rate": 0.0},
        {"learning_rate": math.nan},
        {"initial_beta": 0.0},
        {"initial_beta": 1.5},
        {"annealing": -0.1},
        {"annealing": 1.5},
        {"random_state": -1},
        {"random_state": None},
    ],
)
def test_bad_parameters_are_refused_before_any_work(parameters):
    with pytest.raises(InputError, match=f"{next(iter(parameters))}.*expected"):
        gibbs.GibbsVAE(**parameters).fit(gibbs.gaussian())


@pytest.mark.parametrize(
    ("energy", "message"),
    [
        (lambda x: torch.where(x[:, 0] > 0.5, torch.inf, 0.0) + x.square().sum(-1), "expected finite"),
        (lambda x: x.round().detach().sum(-1), "no gradient"),
        (lambda x: (x * np.array([1.0, 2.0, 3.0])).sum(-1), "failed at points"),
    ],
)
def test_energies_that_cannot_be_trained_on_are_refused(energy, message):
    with pytest.raises(InputError, match=message):
        gibbs.GibbsVAE(**SHORT).fit(gibbs.Potential("mine", 2, energy))


def test_other_input_is_refused():
    with pytest.raises(InputError, match=r"expected a gibbs\.Potential"):
        gibbs.GibbsVAE().fit(lambda x: x.sum(-1))
    with pytest.raises(InputError, match="not fitted"):
        gibbs.GibbsVAE().sample(3)
    with pytest.raises(InputError, match="not fitted"):
        gibbs.measure(gibbs.GibbsVAE())
    with pytest.raises(InputError, match="n_draws=100 given, expected"):
        gibbs.measure(gibbs.GibbsVAE(**SHORT).fit(gibbs.gaussian()), 100)


@pytest.mark.parametrize("potential", [gibbs.double_well(), gibbs.phi4_ring(n_sites=2)], ids=["exact", "hmc"])
def test_the_distance_of_the_target_to_itself_is_of_two_samples(potential):
    """Few states of HMC were once compared with themselves, at a distance of 0."""
    report = gibbs.measure(gibbs.GibbsVAE(**SHORT).fit(potential), 4_000)
    assert report.distance_reference > 0.01
    assert 100 < report.n_compared <= 1_000


def test_the_number_given_is_the_number_named():
    with pytest.raises(InputError, match=r"annealing=1.5 given"):
        gibbs.GibbsVAE(annealing=1.5).check_parameters()
