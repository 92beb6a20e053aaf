"""Transport on the line and sliced transport, against closed forms, exact transport and POT."""

import math

import numpy as np
import ot
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from tests.support.examples import examples
from topicnet.core.transport import sliced_wasserstein, wasserstein, wasserstein_1d


def numbers(n, seed=0):
    return torch.as_tensor(np.random.default_rng(seed).normal(size=n))


def quantiles(n):
    return torch.as_tensor(norm.ppf((np.arange(n) + 0.5) / n))


def test_gaussians_on_quantile_grids_have_their_closed_form():
    x = quantiles(2000)
    found = wasserstein_1d(x, 2 + x / 2)
    assert float(found.cost) == pytest.approx(4.25, abs=1e-2)  # the grid cuts the tails
    assert found.gap == pytest.approx(0, abs=1e-9)


def test_centred_gaussians_have_their_closed_form_for_power_1():
    """W_1 of N(0, 4) and N(0, 1) is E|Z| = sqrt(2 / pi)."""
    x = quantiles(20000)
    assert float(wasserstein_1d(2 * x, x, p=1).cost) == pytest.approx(math.sqrt(2 / math.pi), abs=1e-4)


@pytest.mark.parametrize("p", [1, 1.5, 2, 4])
def test_the_distance_of_a_translation_is_its_length(p):
    x = numbers(1000)
    assert float(wasserstein_1d(x, x.flip(0) - 3, p).distance) == pytest.approx(3, rel=1e-12)


def test_a_point_is_reached_from_everywhere():
    """From a uniform grid on [0, 1] to 0: W_p^p is near 1 / (p + 1)."""
    x = (torch.arange(1000).double() + 0.5) / 1000
    for p in (1, 2, 3):
        assert float(wasserstein_1d(x, [0.0], p).cost) == pytest.approx(1 / (p + 1), abs=1e-6)


@examples(60)
@given(
    st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 3)), min_size=1, max_size=7),
    st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 3)), min_size=1, max_size=7),
    st.sampled_from([1.0, 1.5, 2.0]),
)
def test_ties_and_points_without_mass_give_certified_plans(first, second, p):
    """The plan has the marginals, the potentials are feasible, and the gap is 0: this proves optimality."""
    (x, a), (y, b) = (torch.tensor(one, dtype=torch.float64).T for one in (first, second))
    a, b = (mass + (mass.sum() == 0) for mass in (a, b))
    a, b = a / a.sum(), b / b.sum()
    found = wasserstein_1d(x, y, p, a, b)
    plan, cost = found.plan.to_dense(), (x[:, None] - y).abs() ** p
    assert torch.allclose(plan.sum(1), a, atol=1e-12)
    assert torch.allclose(plan.sum(0), b, atol=1e-12)
    assert float(plan.min()) >= 0
    assert float((found.f[:, None] + found.g - cost).max()) <= 1e-9
    assert float(found.cost) == pytest.approx(float((plan * cost).sum()), abs=1e-12)
    assert found.gap == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("n", "m"), [(50, 50), (50, 30), (1, 9)])
def test_sorting_equals_exact_transport_and_pot(n, m):
    x, y = numbers(n), numbers(m, 1) * 2
    cost = float(wasserstein_1d(x, y, 2).cost)
    assert cost == pytest.approx(float(wasserstein(x[:, None], y[:, None], 2).cost))
    assert cost == pytest.approx(float(ot.wasserstein_1d(x.numpy(), y.numpy(), p=2)))


def test_gradients_pass_finite_differences():
    x, y = numbers(5).requires_grad_(), numbers(4, 1).requires_grad_()
    for p in (1, 2, 3):
        assert torch.autograd.gradcheck(lambda x, y, p=p: wasserstein_1d(x, y, p).cost, (x, y))
    x, y = numbers(8).view(4, 2).requires_grad_(), numbers(6, 1).view(3, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: sliced_wasserstein(x, y, n_projections=7).cost, (x, y))


def test_the_sliced_distance_of_numbers_is_their_distance():
    x, y = numbers(30), numbers(20, 1)
    for p in (1, 2):
        found = sliced_wasserstein(x[:, None], y[:, None], p, n_projections=3)
        assert float(found.cost) == pytest.approx(float(wasserstein_1d(x, y, p).cost))


def test_a_translation_has_its_closed_form_when_sliced():
    """E <theta, t>^2 = |t|^2 / d, with standard error |t|^2 sqrt(2 (d - 1) / (d + 2) / L) / d."""
    x, t = numbers(60).view(20, 3), torch.tensor([2.0, -1.0, 2.0]).double()
    cost = float(sliced_wasserstein(x, x + t, n_projections=20000).cost)
    assert abs(cost - 3) < 4 * 3 * math.sqrt(2 * 2 / 5 / 20000)


def test_slices_equal_pot_on_the_same_directions():
    x, y, a, b = numbers(40).view(20, 2), numbers(30, 1).view(15, 2), *(np.full(n, 1 / n) for n in (20, 15))
    ours = float(sliced_wasserstein(x, y, n_projections=4000).cost)
    other = ot.sliced_wasserstein_distance(x.numpy(), y.numpy(), a, b, n_projections=4000, seed=0) ** 2
    assert ours == pytest.approx(float(other), rel=0.05)  # other directions
    assert ours <= float(wasserstein(x, y).cost)


def test_the_seed_alone_decides_the_directions():
    x, y = numbers(40).view(20, 2), numbers(40, 1).view(20, 2)
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002 - to see that it is unchanged
    first = sliced_wasserstein(x, y, seed=5).cost
    torch.rand(3)
    torch.set_rng_state(states[0])
    assert torch.equal(first, sliced_wasserstein(x, y, seed=5).cost)
    assert not torch.equal(first, sliced_wasserstein(x, y, seed=6).cost)
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])  # noqa: NPY002


def test_masses_weigh_the_slices():
    x = numbers(12).view(6, 2)
    repeated = torch.cat([x, x[:2]])
    weighted = sliced_wasserstein(x, x + 1, a=[0.25, 0.25, 0.125, 0.125, 0.125, 0.125], b=[0.25] * 2 + [0.125] * 4)
    assert float(weighted.cost) == pytest.approx(float(sliced_wasserstein(repeated, repeated + 1).cost))


def test_many_points_need_little_memory():
    x = quantiles(100_000)
    found = wasserstein_1d(x, x[:70_000], p=2)
    assert len(found.plan.values()) <= 170_000
    assert found.gap == pytest.approx(0, abs=1e-8)
