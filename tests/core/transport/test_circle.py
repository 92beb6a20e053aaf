"""Transport on the circle and slices of the sphere, against closed forms, exhaustive search and POT."""

import math

import numpy as np
import ot
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from tests.support.examples import examples
from topicnet.core.counter_rng import Noise
from topicnet.core.transport import spherical_sliced_wasserstein
from topicnet.core.transport.circle import circle_coordinates, circle_cost, uniform_circle_cost
from topicnet.core.transport.losses import random_planes
from topicnet.errors import InputError


def turns(n, problems=1, seed=0):
    return torch.as_tensor(np.random.default_rng(seed).random((problems, n)))


def planes(n, dim, seed=0):
    noise = Noise.of(seed, np.arange(1), torch.device("cpu"))
    return random_planes(noise, n, torch.empty(1, dim, dtype=torch.float64))


def exhaustive(u, v):
    """Compute W_2^2 on the circle as the best assignment under the squared arc length."""
    gap = (u[:, None] - v).abs()
    cost = torch.minimum(gap, 1 - gap).square().numpy()
    return cost[linear_sum_assignment(cost)].mean()


@examples(60)
@given(
    arrays(np.float64, (2, 5), elements=st.sampled_from([0.0, 0.25, 0.5, 0.999]) | st.floats(0, 1, exclude_max=True))
)
def test_the_cost_is_that_of_the_best_assignment(points):
    u, v = torch.as_tensor(points)
    assert float(circle_cost(u[None], v[None])) == pytest.approx(exhaustive(u, v), abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 30])
def test_the_cost_is_that_of_pot(n):
    u, v = turns(n, 3), turns(n, 3, seed=1) ** 2
    expected = [ot.wasserstein_circle(a.numpy(), b.numpy(), p=2).item() for a, b in zip(u, v, strict=True)]
    assert circle_cost(u, v).tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("turn", [0.0, 0.2, 0.4, 0.7])
def test_a_rotation_of_clustered_points_costs_its_squared_arc(turn):
    u = 0.1 * turns(40)
    found = float(circle_cost(u, ((u + turn) % 1).flip(1)))
    assert found == pytest.approx(min(turn, 1 - turn) ** 2, abs=1e-12)


def test_equal_samples_cost_nothing_in_any_order():
    u, v = turns(50, 4), turns(50, 4, seed=1)
    shuffled = u[:, torch.randperm(50, generator=torch.Generator().manual_seed(0))]
    assert circle_cost(u, shuffled).tolist() == [0.0] * 4
    assert torch.equal(circle_cost(u, v), circle_cost(shuffled, v))
    assert torch.allclose(circle_cost(u, v), circle_cost(v, u))


def test_a_uniform_grid_is_near_the_uniform_distribution():
    """Each point of n carries 1/n of the mass over an arc of 1/n: W_2^2 = 1 / (12 n^2)."""
    for n in (1, 2, 7, 100):
        grid = (torch.arange(n).double() + 0.3)[None] / n
        assert float(uniform_circle_cost(grid)) == pytest.approx(1 / (12 * n**2), abs=1e-12)


def test_the_closed_form_against_the_uniform_distribution_is_the_cost_against_a_fine_grid():
    u = turns(20, 5) ** 2
    fine = (torch.arange(2000).double() + 0.5).expand(5, -1) / 2000
    expected = circle_cost(u.repeat_interleave(100, dim=1), fine)
    assert torch.allclose(uniform_circle_cost(u), expected, atol=1e-6)
    assert torch.allclose(uniform_circle_cost((u + 0.37) % 1), uniform_circle_cost(u))
    reference = [ot.semidiscrete_wasserstein2_unif_circle(row.numpy()).item() for row in u]
    assert uniform_circle_cost(u).tolist() == pytest.approx(reference, abs=1e-9)


def test_gradients_pass_finite_differences():
    u, v = turns(6, 2).requires_grad_(), turns(6, 2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(circle_cost, (u, v))
    assert torch.autograd.gradcheck(uniform_circle_cost, (u,))
    x = torch.as_tensor(np.random.default_rng(0).normal(size=(4, 3))).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: circle_coordinates(x, planes(3, 3)), (x,))


def test_planes_are_orthonormal_and_uniform():
    drawn = planes(20_000, 3)
    assert torch.allclose(drawn @ drawn.transpose(1, 2), torch.eye(2).double().expand(20_000, 2, 2), atol=1e-6)
    projector = (drawn.transpose(1, 2) @ drawn).mean(0)  # E[U U^T] = 2/3 I, variance of an entry below 1/4
    assert float((projector - 2 / 3 * torch.eye(3)).abs().max()) < 4 * math.sqrt(0.25 / 20_000)


def test_coordinates_in_the_plane_are_the_angle():
    angles = torch.tensor([0.0, 0.1, 0.5, 0.9]).double()
    points = torch.stack([(2 * math.pi * angles).cos(), (2 * math.pi * angles).sin()], 1)
    assert torch.allclose(circle_coordinates(points, torch.eye(2).double()[None])[0], angles, atol=1e-12)


def unit(n, dim, seed=0):
    return torch.nn.functional.normalize(torch.as_tensor(np.random.default_rng(seed).normal(size=(n, dim))), dim=1)


def test_the_spherical_sliced_distance_is_that_of_pot():
    x, y = unit(20, 3), unit(20, 3, 1)
    circles = planes(128, 3)  # seed 0, as by default
    same = {"projections": circles.transpose(1, 2).numpy(), "n_projections": 128}
    found = spherical_sliced_wasserstein(x, y)
    assert float(found.distance) == pytest.approx(ot.sliced_wasserstein_sphere(x.numpy(), y.numpy(), **same), abs=1e-5)
    uniform = spherical_sliced_wasserstein(x)
    expected = np.mean(
        [ot.semidiscrete_wasserstein2_unif_circle(row.numpy()) for row in circle_coordinates(x, circles)]
    )
    assert float(uniform.cost) == pytest.approx(expected, abs=1e-9)


def test_the_spherical_sliced_distance_depends_on_its_seed_only():
    x, y = unit(9, 4).requires_grad_(), unit(9, 4, 1)
    first, again, other = (spherical_sliced_wasserstein(x, y, n_projections=8, seed=seed).cost for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.isfinite(torch.autograd.grad(first, x)[0]).all()


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        ([[1.0, 1.0]], None, {}, r"rows of x have lengths from 1.41 to 1.41; expected unit vectors"),
        ([[1.0]], None, {}, "x has 1 column; expected unit vectors in 2 dimensions"),
        ([[1.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]], {}, "x has 1 and y 2 points; expected equally many"),
        ([[1.0, 0.0]], [[0.0, 0.0, 1.0]], {}, "x has 2 and y 3 columns"),
        ([[1.0, 0.0]], None, {"seed": -1}, "seed=-1 given"),
        ([[1.0, 0.0]], None, {"n_projections": 0}, "n_projections=0 given"),
        ([[float("nan"), 0.0]], None, {}, "x holds NaN"),
    ],
)
def test_samples_that_are_not_on_the_sphere_are_refused(x, y, options, message):
    with pytest.raises(InputError, match=message):
        spherical_sliced_wasserstein(x, y, **options)
