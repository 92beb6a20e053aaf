"""Metrics of maps and likelihoods against their formulas."""

import math

import pytest
import torch
from torch import nn

from tests.support.surfaces import HALF_PLANE, paraboloid, sphere, stochastic_cone
from topicnet.core.geometry import (
    expected_pullback,
    fisher_rao_bernoulli,
    fisher_rao_categorical,
    fisher_rao_gaussian,
    metric_from_tensor,
    pullback,
)
from topicnet.errors import InputError

POINTS = torch.tensor([[0.7, 0.2], [1.4, -1.0], [2.0, 3.0]], dtype=torch.float64)
MATRIX = torch.tensor([[1.0, 2.0], [0.0, 1.0], [3.0, -1.0]], dtype=torch.float64)


def linear(z):
    return MATRIX.to(z.dtype) @ z


def squares(z):
    return torch.stack([z[0] ** 2, z[0] * z[1], z[1] ** 3])


def decoder(dtype=torch.float64, final=None):
    """Return an MLP with fixed weights from R^2 to R^5."""
    generator = torch.Generator().manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 5), *([final] if final else [])).to(dtype)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=dtype))
    return net


def test_the_metric_of_the_sphere_is_that_of_polar_coordinates():
    expected = torch.stack([torch.diag(torch.tensor([1.0, math.sin(theta) ** 2])) for theta, _ in POINTS.tolist()])
    assert torch.allclose(pullback(sphere).tensor(POINTS), expected.double(), atol=1e-7)
    assert torch.allclose(pullback(sphere).volume(POINTS), POINTS[:, 0].sin().abs())


def test_shapes_follow_the_points():
    metric = pullback(linear)
    assert metric.tensor(POINTS[0]).shape == (2, 2)
    assert metric.tensor(POINTS[None].expand(4, 3, 2)).shape == (4, 3, 2, 2)
    assert metric.volume(POINTS[None].expand(4, 3, 2)).shape == (4, 3)


def test_many_points_in_blocks_equal_few():
    points = torch.linspace(0, 1, 9000, dtype=torch.float64).repeat(2, 1).T
    tensors = pullback(squares).tensor(points)
    assert torch.allclose(tensors[[0, 5000, 8999]], pullback(squares).tensor(points[[0, 5000, 8999]]))


def test_a_decoder_of_a_library_has_the_metric_of_its_jacobian():
    net = decoder()
    jacobian = torch.autograd.functional.jacobian(net, POINTS[0])
    assert torch.allclose(pullback(net).tensor(POINTS)[0], jacobian.T @ jacobian)
    assert all(parameter.grad is None for parameter in net.parameters())


def test_ridge_adds_a_multiple_of_the_identity():
    difference = pullback(squares, ridge=0.3).tensor(POINTS) - pullback(squares).tensor(POINTS)
    assert torch.allclose(difference, 0.3 * torch.eye(2, dtype=torch.float64))


def test_the_expected_metric_adds_that_of_the_scale():
    mean, scale = decoder(), decoder(final=nn.Softplus())
    expected = pullback(mean).tensor(POINTS) + pullback(scale).tensor(POINTS)
    assert torch.allclose(expected_pullback(mean, scale).tensor(POINTS), expected)


def test_the_expected_metric_is_the_mean_over_noise():
    mean, scale, z = squares, lambda z: 0.5 + squares(z) ** 2, POINTS[0]
    noise = torch.randn(100_000, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    jacobians = [torch.autograd.functional.jacobian(f, z) for f in (mean, scale)]
    drawn = jacobians[0] + noise[:, :, None] * jacobians[1]
    sampled = (drawn.mT @ drawn).mean(0)
    assert torch.allclose(expected_pullback(mean, scale).tensor(z), sampled, rtol=0.02)


def test_one_scale_counts_for_every_output():
    """A scale of s0 + slope / sqrt(D) |z| in D outputs gives the metric of a cone, I + slope^2 n n^T."""
    n = POINTS / POINTS.norm(dim=1, keepdim=True)
    expected = torch.eye(2, dtype=torch.float64) + 0.64 * n[:, :, None] * n[:, None]
    assert torch.allclose(stochastic_cone(0.8).tensor(POINTS), expected)


def test_a_quadratic_scale_gives_the_metric_of_a_paraboloid():
    metric = expected_pullback(lambda z: z, lambda z: 0.1 + z.square().sum() / (2 * math.sqrt(2)))
    assert torch.allclose(metric.tensor(POINTS), pullback(paraboloid).tensor(POINTS))


@pytest.mark.parametrize("from_logits", [False, True])
def test_the_bernoulli_metric_weights_by_the_inverse_variance(from_logits):
    net, probabilities = decoder(), decoder(final=nn.Sigmoid())
    metric = fisher_rao_bernoulli(net if from_logits else probabilities, from_logits=from_logits)
    p, jacobian = probabilities(POINTS[0]), torch.autograd.functional.jacobian(probabilities, POINTS[0])
    assert torch.allclose(metric.tensor(POINTS)[0], jacobian.T @ torch.diag(1 / (p * (1 - p))) @ jacobian)


@pytest.mark.parametrize("from_logits", [False, True])
def test_the_multinomial_metric_weights_by_the_inverse_probability(from_logits):
    net, probabilities = decoder(), decoder(final=nn.Softmax(-1))
    metric = fisher_rao_categorical(net if from_logits else probabilities, from_logits=from_logits, n_trials=7)
    p, jacobian = probabilities(POINTS[0]), torch.autograd.functional.jacobian(probabilities, POINTS[0])
    assert torch.allclose(metric.tensor(POINTS)[0], 7 * jacobian.T @ torch.diag(1 / p) @ jacobian)


@pytest.mark.parametrize("make", [fisher_rao_bernoulli, fisher_rao_categorical])
def test_metrics_of_logits_are_finite_where_probabilities_round_to_0_and_1(make):
    tensors = make(lambda z: torch.cat([z, -z]) * 1e3, from_logits=True, ridge=1.0).tensor(POINTS)
    assert torch.allclose(tensors, torch.eye(2, dtype=torch.float64))


def test_the_gaussian_metric_is_that_of_mean_and_deviation():
    mean, scale = decoder(), decoder(final=nn.Softplus())
    s, z = scale(POINTS[0])[:, None], POINTS[0]
    m, d = (torch.autograd.functional.jacobian(f, z) / s for f in (mean, scale))
    assert torch.allclose(fisher_rao_gaussian(mean, scale).tensor(z), m.T @ m + 2 * d.T @ d)


def test_the_two_forms_of_the_geodesic_equation_agree():
    """-M^-1 J^T d2f[v, v] equals the Christoffel form, which differentiates M."""
    by_map = pullback(squares)
    by_tensor = metric_from_tensor(lambda z: (lambda j: j.mT @ j)(torch.func.jacfwd(squares)(z)))
    velocities = torch.tensor([[1.0, 0.5], [-0.3, 2.0], [0.1, 0.0]], dtype=torch.float64)
    assert torch.allclose(by_map.accelerations(POINTS, velocities), by_tensor.accelerations(POINTS, velocities))


def test_the_geodesic_equation_of_the_sphere():
    velocities = torch.tensor([[1.0, 0.5], [-0.3, 2.0], [0.1, 0.0]], dtype=torch.float64)
    theta, (u, v) = POINTS[:, 0], velocities.T
    expected = torch.stack([theta.sin() * theta.cos() * v**2, -2 * theta.cos() / theta.sin() * u * v], 1)
    assert torch.allclose(pullback(sphere).accelerations(POINTS, velocities), expected)


def test_the_volume_is_0_where_the_metric_is_singular():
    assert float(pullback(sphere).volume([0.0, 1.0])) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_results_have_the_type_of_the_points(dtype):
    assert pullback(decoder(dtype)).tensor(POINTS.to(dtype)).dtype == dtype


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pullback(linear, ridge=-1.0), "ridge=-1.0"),
        (lambda: pullback(linear, ridge=math.nan), "ridge=nan"),
        (lambda: pullback(linear).tensor([[1, math.nan]]), "NaN"),
        (lambda: pullback(linear).tensor("ab"), "str"),
        (lambda: pullback(linear).tensor(torch.ones(2, dtype=torch.int64)), "int64"),
        (lambda: pullback(linear).tensor(1.0), "shape"),
        (lambda: pullback(linear).tensor([1.0, 2.0, 3.0]), "cannot be evaluated"),
        (lambda: pullback(decoder(torch.float32)).tensor(POINTS), "cannot be evaluated"),
        (lambda: pullback(lambda z: z.detach().numpy()).tensor(POINTS), "cannot be evaluated"),
        (lambda: pullback(lambda z: z if z[0] > 0 else -z).tensor(POINTS), "cannot be evaluated"),
        (lambda: pullback(lambda z: z.argmax()).tensor(POINTS), "int64"),
        (lambda: pullback(lambda z: 1.0).tensor(POINTS), "float"),
        (lambda: pullback(lambda z: z.sqrt()).tensor([0.0, 1.0]), "not finite"),
        (lambda: fisher_rao_bernoulli(linear).tensor(POINTS), "probabilities"),
        (lambda: fisher_rao_categorical(linear).tensor(POINTS), "sum to"),
        (lambda: fisher_rao_categorical(linear, n_trials=0), "n_trials=0"),
        (lambda: fisher_rao_gaussian(linear, linear).tensor(-POINTS), "standard deviation"),
        (lambda: expected_pullback(linear, lambda z: z).tensor(POINTS), "3 means and 2 scales"),
        (lambda: metric_from_tensor(linear).tensor(POINTS), "expected"),
        (lambda: HALF_PLANE.tensor([1.0, 0.0]), "not finite"),
    ],
)
def test_bad_input_is_refused_in_one_line(make, message):
    with pytest.raises(InputError, match=message) as error:
        make()
    assert "\n" not in str(error.value)
