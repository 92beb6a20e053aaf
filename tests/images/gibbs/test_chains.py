"""Markov chains: stationarity, autocorrelation times, adaptation and bad input."""

import math

import numpy as np
import pytest
import torch

from tests.support.linear_maps import LinearNetwork
from topicnet.errors import InputError
from topicnet.images import gibbs
from topicnet.images.gibbs.chains import mean_of
from topicnet.images.gibbs.estimator import joint_draws


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_the_autocorrelation_time_of_an_autoregression_is_known(rho):
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((10, 20_000)) * math.sqrt(1 - rho**2)
    values = np.empty_like(noise)
    values[:, 0] = rng.standard_normal(10)
    for t in range(1, noise.shape[1]):
        values[:, t] = rho * values[:, t - 1] + noise[:, t]
    assert gibbs.autocorrelation_time(values) == pytest.approx((1 + rho) / (1 - rho), rel=0.1)


def test_a_chain_that_does_not_move_has_a_time_of_one_step():
    assert gibbs.autocorrelation_time(np.full(100, 3.0)) == 1.0


def test_independence_sampling_is_exact_whatever_the_proposals():
    """The decoder has another variance than the target and the encoder is wrong; the chain has the target's moments."""
    target = gibbs.gaussian([0.0], [[1.0]])
    _, x, loss = joint_draws(LinearNetwork(1.0, 1.0, 0.3, 0.8), target, 40_000, 0)
    chain = gibbs.independence(x, -loss)
    assert float(x.var()) == pytest.approx(2.0, abs=0.1)
    values = chain.values(lambda points: points[:, 0] ** 2)
    found = mean_of(values, gibbs.autocorrelation_time(values))
    assert abs(found.value - 1.0) < 4 * found.se
    assert 0.3 < chain.acceptance < 0.95


def test_independence_sampling_accepts_equal_weights_always_and_keeps_a_dominant_draw():
    x = torch.arange(5.0, dtype=torch.float64)[:, None]
    assert gibbs.independence(x, torch.zeros(5)).acceptance == 1.0
    held = gibbs.independence(x, torch.tensor([1e4, 0.0, 0.0, 0.0, 0.0]))
    assert held.states.flatten().tolist() == [0.0] * 5


@pytest.mark.parametrize(("sampler", "acceptance"), [(gibbs.langevin, 0.574), (gibbs.hamiltonian, 0.8)])
def test_chains_with_gradients_have_the_moments_of_the_target(sampler, acceptance):
    target = gibbs.gaussian()
    chain = sampler(target, 20_000, 0)
    assert chain.n_calls <= 20_000
    assert chain.acceptance == pytest.approx(acceptance, abs=0.12)
    for name, exact in target.answers().means.items():
        values = chain.values(target.observables[name])
        found = mean_of(values, gibbs.autocorrelation_time(values))
        assert abs(found.value - exact) < 4.5 * found.se
    assert torch.equal(chain.states, sampler(target, 20_000, 0).states)


@pytest.mark.parametrize(
    "call",
    [
        lambda: gibbs.hamiltonian(gibbs.gaussian(), 100),
        lambda: gibbs.langevin(gibbs.gaussian(), 4_000, -1),
        lambda: gibbs.independence(torch.zeros(3, 1), torch.zeros(2)),
        lambda: gibbs.autocorrelation_time(np.array([1.0])),
        lambda: gibbs.autocorrelation_time(np.array([1.0, np.nan])),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(InputError, match="expected"):
        call()


def test_trajectories_that_leave_the_numbers_are_rejected():
    steep = gibbs.Potential("steep", 1, lambda x: (x**8).sum(-1))
    chain = gibbs.hamiltonian(steep, 4_000)
    assert bool(chain.states.isfinite().all())
