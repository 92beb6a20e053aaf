"""Importance weights and annealed importance sampling on densities whose integrals are known."""

import math

import numpy as np
import pytest
import torch
from scipy.special import gammainc

from topicnet.core.annealing import (
    AnnealedPath,
    annealed_log_weights,
    geometric_schedule,
    hamiltonian_transition,
    summarise_weights,
    tuned_steps,
)
from topicnet.core.counter_rng import Noise
from topicnet.core.distributions import Dirichlet, StandardNormal
from topicnet.core.gamma_latent import log_gamma_of_normal

WIDTHS = torch.tensor([0.3, 0.1])  # standard deviations of the likelihoods of two documents
CENTRES = torch.tensor([[1.0, -0.5], [0.0, 1.0]])


def noise_of(n_chains):
    def at(transition):
        return Noise.of(1 + (transition << 32), np.arange(2), torch.device("cpu")).repeated(n_chains)

    return at


def gaussian_path(n_chains):
    """Return the path from N(0, I) to its product with a Gaussian likelihood, which integrates in closed form."""
    centres, widths = CENTRES.repeat(n_chains, 1), WIDTHS.repeat(n_chains)
    return AnnealedPath(
        StandardNormal(2).log_density, lambda z: -0.5 * (z - centres).square().sum(-1) / widths.square()
    )


def exact_gaussian():
    spread = 1 + WIDTHS.double() ** 2
    return 2 * WIDTHS.double().log() - spread.log() - 0.5 * CENTRES.double().square().sum(-1) / spread


def anneal(n_chains, n_temperatures):
    betas = geometric_schedule(n_temperatures, WIDTHS.square())
    noise_at = noise_of(n_chains)
    start = StandardNormal(2).sample(noise_at(0), torch.empty(2 * n_chains, 2))
    pilot = StandardNormal(2).sample(noise_of(4)(0), torch.empty(8, 2))
    steps = tuned_steps(gaussian_path(4), pilot, betas, lambda t: noise_of(4)(1000 + t))
    return annealed_log_weights(gaussian_path(n_chains), start, betas, steps, noise_at)


def test_annealing_finds_the_integral_of_a_gaussian():
    found = summarise_weights(anneal(200, 60).numpy())
    assert (np.abs(found.log_mean - exact_gaussian().numpy()) < 4 * found.error).all()
    assert (found.error < 0.15).all()
    assert (found.ess > 50).all()


def test_two_temperatures_are_importance_sampling_from_the_start():
    found = anneal(50, 1)
    z = StandardNormal(2).sample(noise_of(50)(0), torch.empty(100, 2))
    assert torch.equal(found, gaussian_path(50).tilt(z).double().view(50, 2))


def test_schedule_rises_from_0_to_1():
    betas = geometric_schedule(20, torch.tensor([1e-4, 8.0]))
    assert (betas.diff(dim=0) > 0).all()
    assert betas[0].tolist() == [0.0, 0.0]
    assert betas[-1].tolist() == [1.0, 1.0]


def test_transition_keeps_its_density():
    n = 4000
    path = gaussian_path(n)
    exact = 1 / (1 + 1 / WIDTHS.square())  # posterior variance of each document
    noise_at = noise_of(n)
    start = StandardNormal(2).sample(noise_at(0), torch.empty(2 * n, 2)) * exact.sqrt().repeat(n)[:, None]
    state = path.at(start + (CENTRES / (1 + WIDTHS.square())[:, None]).repeat(n, 1))
    step = (0.3 * WIDTHS).repeat(n)
    state, acceptance = hamiltonian_transition(path, state, torch.ones(2 * n), step, noise_at(1))
    z = state.z.view(n, 2, 2)
    assert ((z.mean(0) - CENTRES / (1 + WIDTHS.square())[:, None]).abs() < 4 * (exact / n).sqrt()[:, None]).all()
    assert ((z.var(0) / exact[:, None] - 1).abs() < 4 * math.sqrt(2 / n)).all()
    assert acceptance.mean() > 0.9


def test_a_trajectory_into_a_non_finite_density_is_rejected():
    def wall(z):
        return torch.where(z[:, 0] > 0, z[:, 0] * math.nan, z[:, 0])

    path = AnnealedPath(StandardNormal(1).log_density, wall)
    start = path.at(torch.full((2, 1), -0.01))
    end, acceptance = hamiltonian_transition(path, start, torch.ones(2), torch.full((2,), 0.4), noise_of(1)(0))
    assert acceptance.isfinite().all()
    assert (end.z <= 0).all()


def test_step_sizes_follow_the_width_of_the_density():
    betas = geometric_schedule(120, WIDTHS.square())
    pilot = StandardNormal(2).sample(noise_of(16)(0), torch.empty(32, 2))
    steps = tuned_steps(gaussian_path(16), pilot, betas, noise_of(16))
    wide, narrow = steps[-10:].mean(0).tolist()
    assert wide > 1.8 * narrow  # the widths differ by a factor of 3; the step of the wider one is capped
    assert 0.5 * WIDTHS[1] < narrow < 2.5 * WIDTHS[1]  # steps of twice the width, on average 3/4 of these, are unstable


def test_weights_are_summarised_without_overflow():
    found = summarise_weights(np.array([[-5000.0, 0.0], [-5000.0, -np.inf], [-5000.0, -np.inf]]))
    assert found.log_mean.tolist() == pytest.approx([-5000.0, -math.log(3)])
    assert found.ess.tolist() == pytest.approx([3.0, 1.0])
    assert found.error[0] == pytest.approx(0.0, abs=1e-12)
    assert found.error[1] == pytest.approx(1.0)  # one of three draws carries all weight


@pytest.mark.parametrize("concentration", [0.01, 0.1, 1.0, 20.0])
def test_log_gamma_map_keeps_probabilities(concentration):
    v = torch.linspace(-4, 4, 4001, dtype=torch.float64) + 1e-4
    u = log_gamma_of_normal(v, concentration)
    exact, found = torch.special.ndtr(v).numpy(), gammainc(concentration, u.exp().numpy())
    kept = u.numpy() > -600  # exp underflows below
    assert np.abs(found - exact)[kept].max() < 1e-9
    assert (u.diff() > 0).all()
    assert torch.autograd.gradcheck(
        lambda x: log_gamma_of_normal(x, concentration), v[::1000].clone().requires_grad_(), rtol=1e-4
    )


def test_dirichlet_density_integrates_to_1():
    p = torch.linspace(0, 1, 20_001, dtype=torch.float64)[1:-1]
    log_theta = torch.stack([p.log(), torch.log1p(-p)], 1)
    density = Dirichlet(2, 1.5).log_density(log_theta).exp()
    assert float(density.sum() / 20_000) == pytest.approx(1.0, abs=1e-4)
