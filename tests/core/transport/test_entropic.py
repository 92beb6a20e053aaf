"""Sinkhorn iterations and the Sinkhorn divergence, against closed forms, exact transport and POT."""

import math

import numpy as np
import ot
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from topicnet.core.transport import duality_gap, exact_transport, ground_cost, sinkhorn, sinkhorn_divergence


def points(n, d=2, seed=0, scale=1.0, shift=0.0):
    return torch.as_tensor(np.random.default_rng(seed).normal(shift, scale, (n, d)))


def masses(n, seed=0):
    return torch.as_tensor(np.random.default_rng(seed).dirichlet(np.ones(n)))


def gaussian_on_grid(mean, std, n=401):
    """Points (n, 1) within 8 standard deviations, and their masses."""
    x = torch.linspace(mean - 8 * std, mean + 8 * std, n, dtype=torch.float64)
    mass = (-((x - mean) ** 2) / (2 * std**2)).exp()
    return x[:, None], mass / mass.sum()


def entropic_gaussians(shift, var_a, var_b, epsilon):
    """Return OT_eps of two Gaussians on the line with cost |x - y|^2 and penalty eps KL(P | a b^T) (closed form)."""
    s = epsilon / 2
    d = math.sqrt(4 * var_a * var_b + s**2)
    return shift**2 + var_a + var_b - d + s * (1 - math.log(2 * s)) + s * math.log(d + s)


@pytest.mark.parametrize(("epsilon", "cost", "divergence"), [(0.5, 4.704377, 4.24264), (0.05, 4.350206, 4.24992)])
def test_gaussians_have_their_closed_form(epsilon, cost, divergence):
    """N(0, 1) and N(2, 1/4); the grids differ from the densities by about 1e-7."""
    (x, a), (y, b) = gaussian_on_grid(0, 1), gaussian_on_grid(2, 0.5)
    found = sinkhorn(ground_cost(x, y), epsilon, a, b, tolerance=1e-9)
    assert found.converged
    assert float(found.cost) == pytest.approx(entropic_gaussians(2, 1, 0.25, epsilon), abs=1e-6)
    assert float(found.cost) == pytest.approx(cost, abs=1e-6)
    exact = entropic_gaussians(2, 1, 0.25, epsilon) - sum(entropic_gaussians(0, v, v, epsilon) for v in (1, 0.25)) / 2
    debiased = sinkhorn_divergence(x, y, epsilon, a=a, b=b, tolerance=1e-8)
    assert float(debiased.cost) == pytest.approx(exact, abs=1e-6)
    assert float(debiased.cost) == pytest.approx(divergence, abs=1e-5)


@examples(25)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 1000), st.sampled_from([0.02, 0.3, 5.0]))
def test_the_plan_is_feasible_and_the_gap_brackets_the_optimum(n, m, seed, epsilon):
    cost, a, b = points(n, m, seed), masses(n, seed), masses(m, seed + 1)
    found = sinkhorn(cost, epsilon, a, b, tolerance=1e-7)
    assert torch.allclose(found.plan.sum(1), a, atol=1e-12)
    assert torch.allclose(found.plan.sum(0), b, atol=1e-12)
    assert float(found.plan.min()) >= 0
    divergence = float((found.plan * (found.plan / (a[:, None] * b)).clamp_min(1e-300).log()).sum())
    primal = float((found.plan * cost).sum()) + epsilon * divergence
    assert found.gap == pytest.approx(primal - float(found.cost), abs=1e-9)
    assert found.gap >= -1e-12
    longer = sinkhorn(cost, epsilon, a, b, tolerance=1e-12)
    assert float(found.cost) <= float(longer.cost) + 1e-12
    assert float(longer.cost) <= primal + 1e-12


def test_the_plan_equals_that_of_pot():
    cost, a, b = ground_cost(points(20), points(15, seed=1)), masses(20), masses(15, 1)
    plan = ot.sinkhorn(a.numpy(), b.numpy(), cost.numpy(), 0.5, method="sinkhorn_log", stopThr=1e-12, numItermax=5000)
    found = sinkhorn(cost, 0.5, a, b, tolerance=1e-11)
    assert found.plan.numpy() == pytest.approx(plan, abs=1e-9)


def test_the_cost_falls_to_the_exact_one_with_epsilon():
    """<P, C> exceeds the optimum by at most eps log(n) for n points of equal mass."""
    cost = ground_cost(points(30), points(30, seed=1, scale=0.5, shift=2))
    optimum = float(exact_transport(cost).cost)
    excess = []
    for epsilon in (1.0, 0.3, 0.1, 0.03):
        found = sinkhorn(cost, epsilon, max_iterations=100_000)
        assert found.converged
        excess.append(float((found.plan * cost).sum()) - optimum)
        assert -1e-9 <= excess[-1] <= epsilon * math.log(30)
        assert float(found.cost) >= optimum - 1e-9
        assert float(duality_gap(cost, found.plan, found.f)) >= excess[-1] - 1e-9
    assert excess == sorted(excess, reverse=True)
    assert excess[-1] < 0.02


def test_the_divergence_falls_to_the_exact_cost_with_epsilon():
    x, y = points(30), points(30, seed=1, scale=0.5, shift=2)
    optimum = float(exact_transport(ground_cost(x, y)).cost)
    errors = [abs(float(sinkhorn_divergence(x, y, epsilon).cost) - optimum) for epsilon in (1.0, 0.1, 0.02)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 5e-3


@pytest.mark.parametrize("epsilon", [0.05, 1.0, 20.0])
def test_the_divergence_of_equal_measures_is_0(epsilon):
    x, a = points(25), masses(25)
    order = torch.as_tensor(np.random.default_rng(0).permutation(25))
    same = sinkhorn_divergence(x, x[order], epsilon, a=a, b=a[order])
    assert abs(float(same.cost)) <= same.gap + 1e-12 < 1e-5
    assert float(sinkhorn_divergence(x, x, epsilon, a=a, b=a, tolerance=1e-9).cost) == pytest.approx(0, abs=1e-9)
    biased = sinkhorn(ground_cost(x, x[order]), epsilon, a, a[order])
    assert float(biased.cost) > 0.01
    assert float(sinkhorn_divergence(x, x + 0.1, epsilon, a=a, b=a).cost) > 1e-4


@pytest.mark.parametrize("epsilon", [0.1, 2.0])
def test_the_divergence_of_a_translation_is_its_squared_length(epsilon):
    """With cost |x - y|^2 the divergence splits into that of the means and that of the centred measures."""
    x = points(25)
    assert float(sinkhorn_divergence(x, x + torch.tensor([3.0, 4.0]), epsilon).cost) == pytest.approx(25, abs=1e-6)


def test_gradients_pass_finite_differences():
    """Masses enter by a softmax, because only their direction within the simplex has a derivative."""
    x, y, logits = points(4).requires_grad_(), points(5, seed=1).requires_grad_(), points(9, 1).requires_grad_()

    def regularised(x, y, logits):
        a, b = logits[:4, 0].softmax(0), logits[4:, 0].softmax(0)
        return sinkhorn(ground_cost(x, y), 0.4, a, b, tolerance=1e-13).cost

    def debiased(x, y, logits):
        a, b = logits[:4, 0].softmax(0), logits[4:, 0].softmax(0)
        return sinkhorn_divergence(x, y, 0.4, 2, a, b, tolerance=1e-13).cost

    assert torch.autograd.gradcheck(regularised, (x, y, logits))
    assert torch.autograd.gradcheck(debiased, (x, y, logits))


def test_potentials_of_the_divergence_are_its_derivatives_in_the_masses():
    x, y = points(6), points(7, seed=1)
    a = masses(6).requires_grad_()
    found = sinkhorn_divergence(x, y, 0.4, a=a, tolerance=1e-12)
    (gradient,) = torch.autograd.grad(found.cost, a)
    assert torch.allclose(gradient, found.f - a.detach() @ found.f, atol=1e-9)


def test_descent_on_the_divergence_moves_one_sample_onto_the_other():
    target = points(12, seed=1)
    x = (points(12, seed=2) + 5).requires_grad_()
    for _ in range(40):
        (gradient,) = torch.autograd.grad(sinkhorn_divergence(x, target, 0.2).cost, x)
        x = (x - 12 / 2 * gradient).detach().requires_grad_()
    assert float(exact_transport(ground_cost(x.detach(), target)).cost) < 0.02


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_small_epsilon_and_large_costs_neither_overflow_nor_underflow(dtype):
    cost = (1e4 * ground_cost(points(20), points(20, seed=1))).to(dtype)
    found = sinkhorn(cost, 1.0, tolerance=1e-3)
    assert found.cost.dtype == found.plan.dtype == dtype
    assert bool(torch.isfinite(found.plan).all())
    assert float(found.cost) == pytest.approx(float(exact_transport(cost).cost), rel=1e-3)


def test_points_without_mass_get_potentials_and_no_plan():
    x, y = points(6), points(5, seed=1)
    a, b = torch.tensor([0.5, 0, 0.5, 0, 0, 0]).double(), torch.tensor([0, 0.2, 0, 0.8, 0]).double()
    found = sinkhorn(ground_cost(x, y), 0.3, a, b, tolerance=1e-10)
    fewer = sinkhorn(ground_cost(x[[0, 2]], y[[1, 3]]), 0.3, [0.5, 0.5], [0.2, 0.8], tolerance=1e-10)
    assert float(found.cost) == pytest.approx(float(fewer.cost))
    assert float(found.plan[1].sum()) == 0
    assert bool(torch.isfinite(found.f).all())
    assert bool(torch.isfinite(found.g).all())


def test_ended_iterations_are_reported():
    found = sinkhorn(ground_cost(points(30), points(30, seed=1)), 0.01, max_iterations=5)
    assert not found.converged
    assert found.iterations == 5
    assert found.marginal_error > 1e-6
    assert found.gap > 0
    assert not sinkhorn_divergence(points(30), points(30, seed=1), 0.01, max_iterations=5).converged


def test_a_single_point_has_one_plan():
    found = sinkhorn([[3.0]], 0.5)
    assert (float(found.cost), float(found.plan)) == (3.0, 1.0)
