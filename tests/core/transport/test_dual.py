"""c-transforms and the duality gap."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from topicnet.core.transport import c_transform, dual_value, duality_gap, exact_transport
from topicnet.errors import InputError


def values(*shape, seed=0):
    return torch.as_tensor(np.random.default_rng(seed).normal(size=shape))


@examples(30)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 1000))
def test_the_transform_is_the_largest_feasible_potential(n, m, seed):
    cost, h = values(n, m, seed=seed), values(n, seed=seed + 1)
    transformed = c_transform(cost, h)
    slack = cost - h[:, None] - transformed
    assert float(slack.min()) >= -1e-12
    assert torch.allclose(slack.amin(0), torch.zeros(m).double(), atol=1e-12)
    # Transforming twice never lowers a potential, and three times equals once.
    twice = c_transform(cost.T, transformed)
    assert bool((twice >= h - 1e-12).all())
    assert torch.allclose(c_transform(cost, twice), transformed)


@examples(30)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 1000))
def test_every_potential_bounds_the_cost_from_below(n, m, seed):
    cost, h = values(n, m, seed=seed), values(n, seed=seed + 1)
    a, b = (torch.as_tensor(np.random.default_rng(seed).dirichlet(np.ones(k))) for k in (n, m))
    found = exact_transport(cost, a, b)
    assert float(dual_value(cost, h, a, b)) <= float(found.cost) + 1e-12
    assert float(dual_value(cost, found.f, a, b)) == pytest.approx(float(found.cost), abs=1e-9)
    product = a[:, None] * b
    gap = float(duality_gap(cost, product, h, a, b))
    assert gap == pytest.approx(float((product * cost).sum() - dual_value(cost, h, a, b)))
    assert gap >= float((product * cost).sum() - found.cost) - 1e-12


def test_on_a_metric_the_transform_of_a_1_lipschitz_function_is_its_negative():
    """The reason why the dual of a Wasserstein GAN has a single critic."""
    x = values(40)
    cost, h = (x[:, None] - x).abs(), x.sin()
    assert torch.allclose(c_transform(cost, h), -h)
    assert not torch.allclose(c_transform(cost, 2 * h), -2 * h)


def test_a_maximum_in_place_of_the_minimum_exceeds_the_optimum():
    """The sign in the source document: its value is above the optimum and its constraint is violated."""
    cost = values(6, 6).abs()
    optimum = exact_transport(cost)
    wrong = (cost - optimum.f[:, None]).amax(0)
    assert float(optimum.f.mean() + wrong.mean()) > float(optimum.cost) + 0.1
    assert float((optimum.f[:, None] + wrong - cost).max()) > 0.1


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ([[0.5, 0.0]], r"^plan has shape \(1, 2\); expected that of cost, \(2, 2\)$"),
        ([[0.7, -0.2], [-0.2, 0.7]], r"^plan has the negative mass -0.2; expected masses of 0 or more$"),
        ([[0.5, 0.0], [0.5, 0.0]], r"^the marginals of plan differ from a and b by 1; expected a plan between these$"),
    ],
)
def test_plans_that_are_none_have_no_gap(plan, message):
    with pytest.raises(InputError, match=message):
        duality_gap([[0.0, 1.0], [1.0, 0.0]], plan, [0.0, 0.0])


def test_a_potential_of_another_length_is_refused():
    with pytest.raises(InputError, match=r"^potential has 3 values for 2 rows of cost; expected one per row$"):
        c_transform([[0.0, 1.0], [1.0, 0.0]], [0.0, 0.0, 0.0])
