"""Exact transport against closed forms, brute force and POT."""

import itertools
import math
import sys

import numpy as np
import ot
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from tests.support.examples import examples
from topicnet.core.transport import duality_gap, exact, exact_transport, ground_cost, wasserstein
from topicnet.errors import InputError


def points(n, d=2, seed=0, scale=1.0, shift=0.0):
    return torch.as_tensor(np.random.default_rng(seed).normal(shift, scale, (n, d)))


def masses(n, seed=0):
    return torch.as_tensor(np.random.default_rng(seed).dirichlet(np.ones(n)))


def is_certified(found, cost, a, b):
    """Check marginals, feasibility and the gap: together they prove the plan and the potentials optimal."""
    assert torch.allclose(found.plan.sum(1), a, atol=1e-12)
    assert torch.allclose(found.plan.sum(0), b, atol=1e-12)
    assert float((found.f[:, None] + found.g - cost).max()) <= 1e-12 * (1 + float(cost.abs().max()))
    dual = float(a @ found.f + b @ found.g)
    assert abs(float((found.plan * cost).sum()) - dual) < 1e-9
    assert found.gap == pytest.approx(0, abs=1e-9)
    return found.converged


def test_two_points_by_hand():
    """Masses (.7, .3) and (.4, .6): .3 has to move from the first point to the second."""
    found = exact_transport([[0.0, 1.0], [2.0, 0.0]], [0.7, 0.3], [0.4, 0.6])
    assert float(found.cost) == pytest.approx(0.3)
    assert found.plan.numpy() == pytest.approx(np.array([[0.4, 0.3], [0.0, 0.3]]))


@examples(30)
@given(st.integers(1, 6), st.integers(0, 1000))
def test_an_assignment_equals_the_best_permutation(n, seed):
    cost = points(n, n, seed)
    best = min(sum(float(cost[i, j]) for i, j in enumerate(s)) for s in itertools.permutations(range(n))) / n
    found = exact_transport(cost)
    assert float(found.cost) == pytest.approx(best)
    assert is_certified(found, cost, *[torch.full((n,), 1 / n, dtype=torch.float64)] * 2)


@examples(30)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 1000))
def test_plans_and_potentials_are_certified_and_equal_pot(n, m, seed):
    cost, a, b = points(n, m, seed), masses(n, seed), masses(m, seed + 1)
    found = exact_transport(cost, a, b)
    assert float(found.cost) == pytest.approx(float(ot.emd2(a.numpy(), b.numpy(), cost.numpy())), abs=1e-12)
    assert is_certified(found, cost, a, b)
    assert float(duality_gap(cost, found.plan, found.f, a, b)) == pytest.approx(0, abs=1e-9)


def test_points_without_mass_get_feasible_potentials():
    cost, a, b = (
        points(5, 4),
        torch.tensor([0.5, 0, 0.5, 0, 0], dtype=torch.float64),
        torch.tensor([0, 0.2, 0, 0.8], dtype=torch.float64),
    )
    found = exact_transport(cost, a, b)
    assert is_certified(found, cost, a, b)
    assert float(found.cost) == pytest.approx(
        float(exact_transport(cost[[0, 2]][:, [1, 3]], [0.5, 0.5], [0.2, 0.8]).cost)
    )


def test_assignments_and_the_network_simplex_agree():
    x, y = points(300), points(300, seed=1, scale=0.5, shift=2)
    cost = ground_cost(x, y)
    found = exact_transport(cost)  # by POT, since there are more than 256 points
    plan, f = exact._assignment(cost.numpy())
    assert float(found.cost) == pytest.approx(float((plan * cost).sum()), abs=1e-12)
    assert float(duality_gap(cost, found.plan, f)) == pytest.approx(0, abs=1e-9)
    assert is_certified(found, cost, *[torch.full((300,), 1 / 300, dtype=torch.float64)] * 2)


@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_distance_of_a_translation_is_its_length(p, dtype):
    x = points(40, 3).to(dtype)
    found = wasserstein(x, x + torch.tensor([2.0, -1.0, 2.0], dtype=dtype), p)
    assert found.cost.dtype == dtype
    assert float(found.distance) == pytest.approx(3, rel=1e-6 if dtype == torch.float32 else 1e-12)


def test_gaussians_on_quantile_grids_have_their_closed_form():
    """W_2^2 of N(0, 1) and N(2, 1/4) is (0 - 2)^2 + (1 - 1/2)^2; the grid cuts the tails."""
    x = torch.as_tensor(norm.ppf((np.arange(500) + 0.5) / 500))[:, None]
    assert float(wasserstein(x, 2 + x / 2).cost) == pytest.approx(4.25, abs=1e-2)


@examples(20)
@given(st.integers(0, 1000), st.sampled_from([1.0, 2.0, 3.0]))
def test_the_distance_is_a_metric(seed, p):
    x, y, z = (points(n, 2, seed + n) for n in (4, 5, 6))
    xy, yz, xz = (float(wasserstein(*pair, p).distance) for pair in ((x, y), (y, z), (x, z)))
    assert xz <= xy + yz + 1e-9
    assert float(wasserstein(y, x, p).distance) == pytest.approx(xy)
    assert float(wasserstein(x, x.flip(0), p).distance) == pytest.approx(0, abs=1e-7)


def test_gradients_in_points_pass_finite_differences():
    x, y, a, b = points(4), points(5, seed=1), masses(4), masses(5)
    x, y = x.requires_grad_(), y.requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: wasserstein(x, y, 2, a, b).cost, (x, y))
    assert torch.autograd.gradcheck(lambda x, y: wasserstein(x, y[:4], 3).cost, (x, y))


def test_the_gradient_in_the_cost_is_the_plan():
    cost = points(6, 6).requires_grad_()
    found = exact_transport(cost)
    (gradient,) = torch.autograd.grad(found.cost, cost)
    assert torch.equal(gradient, found.plan)
    assert not found.plan.requires_grad
    assert not found.f.requires_grad


def test_an_unfinished_simplex_gives_no_number(monkeypatch):
    monkeypatch.setattr(exact, "MAX_PIVOTS", 1)
    with pytest.raises(InputError, match=r"found no optimum for 5 x 4 points in 1 pivots; use fewer points"):
        exact_transport(points(5, 4))


def test_assignments_do_without_pot_and_other_problems_name_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ot", None)
    assert math.isfinite(float(wasserstein(points(300), points(300, seed=1)).cost))
    with pytest.raises(
        InputError, match=r"needs POT, which is not installed: pip install 'topicnet-neural\[transport\]'"
    ):
        wasserstein(points(3), points(4))


def test_masses_with_a_gradient_are_refused():
    with pytest.raises(InputError, match="use sinkhorn"):
        exact_transport([[0.0, 1.0]], b=torch.tensor([0.5, 0.5], requires_grad=True))
