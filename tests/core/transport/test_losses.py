"""Transport distances as losses: closed forms, invariances, gradients, and the checked functions as references."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from topicnet.core.counter_rng import Noise
from topicnet.core.divergences import transport_divergence
from topicnet.core.transport import sinkhorn_divergence, sliced_wasserstein
from topicnet.core.transport.losses import (
    random_directions,
    random_planes,
    sinkhorn_loss,
    sliced_loss,
    spherical_sliced_loss,
)

CPU = torch.device("cpu")


def points(n, dim=3, seed=0):
    return torch.as_tensor(np.random.default_rng(seed).normal(size=(n, dim)))


def unit(n, dim=3, seed=0):
    return torch.nn.functional.normalize(points(n, dim, seed), dim=1)


def noise(seed=0, n=1):
    return Noise.of(seed, np.arange(n), CPU)


def losses(n=12, dim=3):
    """Return each loss as a function of two samples, with fixed projections."""
    lines = random_directions(noise(), n, torch.empty(1, dim, dtype=torch.float64))
    circles = random_planes(noise(), n, torch.empty(1, dim, dtype=torch.float64))
    return {
        "sinkhorn": lambda x, y: sinkhorn_loss(x, y, 0.2, 60),
        "sliced": lambda x, y: sliced_loss(x, y, lines),
        "spherical-sliced": lambda x, y: spherical_sliced_loss(x, y, circles),
    }


each = pytest.mark.parametrize("name", losses())


@each
def test_equal_samples_cost_nothing_and_order_does_not_matter(name):
    loss, x, y = losses()[name], unit(30), unit(30, seed=1)
    order = torch.as_tensor(np.random.default_rng(2).permutation(30))
    assert float(loss(x, x[order])) == pytest.approx(0, abs=1e-9)
    assert float(loss(x, y)) > 0.001
    assert float(loss(x[order], y)) == pytest.approx(float(loss(x, y)), rel=1e-9)
    assert float(loss(y, x)) == pytest.approx(float(loss(x, y)), rel=1e-3)


def test_gradients_of_the_sinkhorn_loss_pass_finite_differences():
    """The gradient holds epsilon fixed, so the row of the median cost, which sets epsilon, is left alone."""
    x, y = unit(6).requires_grad_(), unit(6, seed=1)
    cost = torch.cdist(x.detach(), y).square()
    median = int((cost == cost.flatten().median()).any(1).nonzero()[0, 0])
    gradient, step = torch.autograd.grad(sinkhorn_loss(x, y, 0.2, 200), x)[0], 1e-5
    with torch.no_grad():
        for row in sorted({0, 1, 2, 3, 4, 5} - {median}):
            moved = torch.zeros_like(x)
            moved[row, row % 3] = step
            slope = (sinkhorn_loss(x + moved, y, 0.2, 200) - sinkhorn_loss(x - moved, y, 0.2, 200)) / (2 * step)
            assert float(gradient[row, row % 3]) == pytest.approx(float(slope), abs=1e-5)


@pytest.mark.parametrize("name", ["sliced", "spherical-sliced"])
def test_gradients_of_the_slices_are_exact(name):
    loss = losses()[name]
    assert torch.autograd.gradcheck(loss, (unit(5).requires_grad_(), unit(5, seed=1).requires_grad_()))


@each
def test_gradients_are_finite_where_all_points_are_the_same(name):
    x = unit(1).float().expand(8, 3).clone().requires_grad_()
    transport_divergence(name, x, unit(8, seed=1).float(), noise(n=8), 20).backward()
    assert torch.isfinite(x.grad).all()
    assert float(x.grad.abs().max()) > 1e-4


@each
def test_a_value_that_is_not_finite_is_returned_and_not_refused(name):
    """The training loop goes back to earlier weights at such a loss."""
    x = unit(4).float()
    x[0, 0] = math.nan
    assert math.isnan(float(transport_divergence(name, x, unit(4, seed=1).float(), noise(n=4), 5)))


def test_the_sinkhorn_loss_is_the_sinkhorn_divergence():
    x, y = unit(40), unit(40, seed=1) * torch.tensor([0.2, 1.0, 1.0])
    epsilon = 0.1 * float(torch.cdist(x, y).square().median())
    expected = sinkhorn_divergence(x.requires_grad_(), y, epsilon)
    found = sinkhorn_loss(x, y, 0.1, 200)
    assert float(found.detach()) == pytest.approx(float(expected.cost.detach()), rel=1e-5)
    gradients = [torch.autograd.grad(cost, x)[0] for cost in (found, expected.cost)]
    assert torch.allclose(*gradients, atol=1e-6)


@pytest.mark.parametrize("concentration", [0.02, 1.0])
def test_the_default_number_of_iterations_is_enough_in_single_precision(concentration):
    rng = np.random.default_rng(0)
    x, y = (torch.as_tensor(rng.dirichlet(np.full(20, a), 60)).sqrt() for a in (concentration, 0.1))
    exact = float(sinkhorn_loss(x, y, final_steps=1000))
    assert float(sinkhorn_loss(x.float(), y.float())) == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize("relative", [0.02, 0.3])
def test_gaussians_on_the_line_have_their_closed_form(relative):
    """N(0, 1) and N(2, 1/4): W_2^2 = 4.25; the Sinkhorn divergence and the slices agree on quantile grids."""
    x = torch.as_tensor(norm.ppf((np.arange(150) + 0.5) / 150))[:, None]
    y = 2 + x / 2
    assert float(sinkhorn_loss(x, y, relative, 200)) == pytest.approx(4.25, abs=0.05)
    assert float(sliced_loss(x, y, torch.ones(1, 1).double())) == pytest.approx(4.25, abs=0.02)


@pytest.mark.parametrize("name", ["sinkhorn", "sliced"])
def test_a_translation_costs_its_squared_length(name):
    x, t = points(30), torch.tensor([2.0, -1.0, 2.0]).double()
    lines = torch.eye(3).double()  # E <direction, t>^2 = |t|^2 / d holds exactly for an orthonormal basis
    found = sinkhorn_loss(x, x + t, 0.05, 500) if name == "sinkhorn" else 3 * sliced_loss(x, x + t, lines)
    assert float(found) == pytest.approx(9.0, rel=1e-3)


def test_slices_with_the_same_directions_agree_with_the_checked_function():
    x, y = points(30), points(30, seed=1) * 2
    many = random_directions(noise(), 4000, x)
    assert float(sliced_loss(x, y, many)) == pytest.approx(
        float(sliced_wasserstein(x, y, n_projections=4000).cost), rel=0.05
    )


def test_uniform_draws_are_near_the_uniform_sphere_and_others_are_not():
    circles = random_planes(noise(), 50, torch.empty(1, 4, dtype=torch.float64))
    uniform = float(spherical_sliced_loss(unit(500, 4), None, circles))
    crowded = unit(500, 4) + torch.tensor([1.0, 0, 0, 0])
    assert uniform < 2 / 500
    assert float(spherical_sliced_loss(crowded, None, circles)) > 10 * uniform
    assert float(spherical_sliced_loss(unit(1, 4), None, circles)) == pytest.approx(1 / 12)


def test_a_rotation_of_both_samples_leaves_the_spherical_distance():
    x, y = unit(100), unit(100, seed=1) * torch.tensor([1.0, 0.3, 1.0])
    y = torch.nn.functional.normalize(y, dim=1)
    turned, _ = torch.linalg.qr(points(3, 3, 5))
    circles = random_planes(noise(), 1000, x)
    before, after = (float(spherical_sliced_loss(a, b, circles)) for a, b in ((x, y), (x @ turned, y @ turned)))
    assert after == pytest.approx(before, rel=0.05)


@each
def test_the_noise_of_the_first_document_chooses_the_projections(name):
    x, y = unit(6).float(), unit(6, seed=1).float()
    found = transport_divergence(name, x, y, noise(n=6), 10)
    assert torch.equal(found, transport_divergence(name, x, y, noise(n=6), 10))
    assert torch.equal(found, transport_divergence(name, x, y, Noise(noise(n=6).keys[[0, 5, 4, 3, 2, 1]]), 10))
    if name != "sinkhorn":
        assert not torch.equal(found, transport_divergence(name, x, y, noise(seed=1, n=6), 10))
