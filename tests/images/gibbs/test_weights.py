"""Objectives and estimates of log Z on linear maps, where they have closed forms."""

import math

import pytest
import torch

from tests.support.linear_maps import LinearNetwork, exact_network
from topicnet.core.distributions import Normal
from topicnet.errors import InputError
from topicnet.images import gibbs
from topicnet.images.gibbs.estimator import joint_draws
from topicnet.images.gibbs.objectives import document_objective
from topicnet.images.gibbs.weights import k_sample_bound, reverse_log_weights

A, S = 2.0, 0.5
TARGET = gibbs.gaussian([0.0], [[A**2 + S**2]])
LOG_Z = 1.642398  # log(2 pi 4.25) / 2


def test_the_free_energy_of_an_exact_solution_has_no_variance():
    _, _, loss = joint_draws(exact_network(A, S), TARGET, 1_000, 0)
    assert float(loss.mean()) == pytest.approx(-LOG_Z, abs=1e-6)
    assert float(loss.std()) < 1e-12


def test_the_objective_of_the_document_exceeds_the_free_energy_at_an_exact_solution():
    """By r / (1 - r) = a^2 / s^2 = 16, with r the squared correlation of x and z."""
    network = exact_network(A, S)
    z, x, loss = joint_draws(network, TARGET, 400_000, 0)
    values = document_objective(x, network.decode(z), network.encode(x), TARGET.energies(x))
    excess = values - loss
    assert float(excess.mean()) == pytest.approx(A**2 / S**2, abs=4 * float(excess.std()) / math.sqrt(len(x)))


def test_the_objective_of_the_document_is_least_for_an_encoder_that_ignores_x():
    decoder, blind = exact_network(A, S), LinearNetwork(A, S, 0.0, 1.0)
    z, x, _ = joint_draws(decoder, TARGET, 10_000, 0)
    q, energy = decoder.decode(z), TARGET.energies(x)
    of_blind = float(document_objective(x, q, blind.encode(x), energy).mean())
    of_exact = float(document_objective(x, q, decoder.encode(x), energy).mean())
    assert of_blind < of_exact - 10


def test_the_divergence_counts_every_dimension():
    """The logarithm has the factor d, which the source document omits."""
    m, variance, d = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64), 0.4, 3
    p = Normal(m, torch.full((3,), math.log(variance), dtype=torch.float64))
    pi = Normal(torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
    closed = 0.5 * (d * math.log(variance) - d + d / variance + float(m.square().sum()) / variance)
    z = torch.randn(400_000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sampled = pi.log_density(z) - p.log_density(z)
    assert float(pi.kl_from(p)) == pytest.approx(closed)
    assert float(sampled.mean()) == pytest.approx(closed, abs=4 * float(sampled.std()) / math.sqrt(len(z)))


def test_bounds_tighten_with_k_to_the_divergence_of_the_marginals():
    """With a poor encoder, the bound starts below log Z - KL(q || mu) and tends to it."""
    network = LinearNetwork(1.2, 0.8, 0.3, 0.9)
    target = gibbs.gaussian([0.0], [[3.0]])
    log_z = 0.5 * math.log(2 * math.pi * 3.0)
    ratio = (1.2**2 + 0.8**2) / 3.0
    limit = log_z - 0.5 * (ratio - 1 - math.log(ratio))
    bounds = [k_sample_bound(network, target, k, 8_000, 1) for k in (1, 4, 16, 64)]
    values = [bound.value for bound in bounds]
    assert values == sorted(values)
    assert values[0] < limit - 0.1
    assert values[-1] == pytest.approx(limit, abs=4 * bounds[-1].se + 0.01)


def test_both_bounds_enclose_log_z_and_the_weights_estimate_it():
    network = LinearNetwork(1.2, 0.8, 0.4, 0.7)
    target = gibbs.gaussian([0.0], [[1.8]])
    log_z = target.answers().log_z
    _, _, loss = joint_draws(network, target, 20_000, 0)
    found = gibbs.log_partition(-loss)
    assert abs(found.value - log_z) < 4 * found.se
    assert found.low < found.value < found.high
    upper = reverse_log_weights(network, target, target.sampler(20_000, 0), 0)
    assert -float(loss.mean()) < log_z < float(upper.mean())


def test_the_interval_of_log_z_covers_it_as_often_as_it_claims():
    generator = torch.Generator().manual_seed(0)
    sigma, covered = 0.7, 0
    for seed in range(60):
        logs = sigma * torch.randn(2_000, generator=generator, dtype=torch.float64) - 0.5 * sigma**2
        found = gibbs.log_partition(logs, seed)
        covered += found.low <= 0.0 <= found.high
    assert covered >= 50  # 57 expected, standard deviation 1.7


def test_the_effective_fraction_counts_equal_weights():
    assert gibbs.effective_fraction(torch.tensor([0.0, 0.0, -1e5, -1e5])) == pytest.approx(0.5)


@pytest.mark.parametrize("logs", [torch.tensor([1.0]), torch.tensor([0.0, math.nan]), torch.zeros(2, 2)])
def test_weights_that_cannot_be_used_are_refused(logs):
    with pytest.raises(InputError, match="expected at least two finite numbers"):
        gibbs.log_partition(logs)
