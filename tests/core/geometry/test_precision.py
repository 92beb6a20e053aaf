"""Precision by radial basis functions: small scale at the data, large scale away from them, geodesics along them."""

import math

import pytest
import torch

from topicnet.core.geometry import (
    LatentGraph,
    RBFPrecision,
    curve_length,
    expected_pullback,
    fit_rbf_precision,
    geodesic,
    straight_line,
)
from topicnet.errors import InputError


def half_circle(n=300):
    """Latents along a half circle of radius 1 with noise of standard deviation 0.05."""
    generator = torch.Generator().manual_seed(0)
    angle = torch.rand(n, generator=generator, dtype=torch.float64) * math.pi
    points = torch.stack([angle.cos(), angle.sin()], 1)
    return points + 0.05 * torch.randn(n, 2, generator=generator, dtype=torch.float64)


def residuals(n=300, scales=(0.1, 0.3)):
    noise = torch.randn(n, len(scales), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return (noise * torch.tensor(scales, dtype=torch.float64)).square()


@pytest.fixture(scope="module")
def scale():
    return fit_rbf_precision(half_circle(), residuals(), n_centers=10, width=2.0, floor=0.1)


def test_the_scale_is_that_of_the_residuals_at_the_data_and_grows_away(scale):
    assert scale(half_circle()).mean(0).tolist() == pytest.approx([0.1, 0.3], rel=0.25)
    assert scale(torch.tensor([30.0, -30.0], dtype=torch.float64)).tolist() == pytest.approx([0.1**-0.5] * 2)
    outward = torch.tensor([[0.0, r] for r in (1.0, 1.5, 2.0, 3.0)], dtype=torch.float64)
    assert (scale(outward).diff(dim=0) > -1e-12).all()
    assert (scale(outward)[1] > 3 * scale(outward)[0]).all()


def test_the_fit_is_a_maximum_of_the_likelihood(scale):
    latents, squares = half_circle(), residuals()

    def loss(weights):
        precision = RBFPrecision(scale.centers, scale.rates, weights, scale.floor)(latents) ** -2
        return float((precision * squares - precision.log()).mean())

    best = loss(scale.weights)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        factor = 1 + 0.2 * torch.randn(scale.weights.shape, generator=generator, dtype=torch.float64).clamp(-4, 4)
        assert loss(scale.weights * factor) > best


def test_geodesics_follow_the_data_around_the_hole(scale):
    metric = expected_pullback(lambda z: z, scale)
    start, end = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    path = LatentGraph.from_points(metric, half_circle(), 10).shortest_path(start, end)
    result = geodesic(metric, start, end, initial=path.curve)
    assert result.converged
    assert result.length < 0.5 * float(curve_length(metric, straight_line(start, end)))
    assert 0.6 < result.curve.norm(dim=1).min() < result.curve.norm(dim=1).max() < 1.1
    assert float(metric.volume([0.0, 0.3])) > 3 * float(metric.volume([0.0, 1.0]))


def test_the_same_seed_gives_the_same_fit_in_the_type_of_the_latents(scale):
    again = fit_rbf_precision(half_circle(), residuals(), n_centers=10, width=2.0, floor=0.1)
    assert torch.equal(again.weights, scale.weights)
    state = torch.get_rng_state()
    single = fit_rbf_precision(half_circle().float(), residuals().float(), n_centers=10, width=2.0, floor=0.1)
    assert single(half_circle().float()).dtype == torch.float32
    assert torch.equal(torch.get_rng_state(), state)


def test_centers_of_single_latents_have_a_width():
    latents = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    fitted = fit_rbf_precision(latents, torch.full((3, 1), 0.04, dtype=torch.float64), n_centers=3)
    assert fitted.rates.isfinite().all()
    assert fitted(latents).isfinite().all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_rbf_precision(half_circle(), residuals(5)), "one row for each latent"),
        (lambda: fit_rbf_precision(half_circle(), -residuals()), "no negative"),
        (lambda: fit_rbf_precision(half_circle(), residuals(), n_centers=301), "n_centers=301"),
        (lambda: fit_rbf_precision(half_circle(), residuals(), floor=0.0), "floor=0.0"),
        (lambda: fit_rbf_precision(half_circle(), residuals(), width=-1.0), "width=-1.0"),
        (lambda: fit_rbf_precision(torch.ones(5, 2), torch.ones(5, 1), n_centers=2), "same point"),
        (lambda: fit_rbf_precision(half_circle() * math.nan, residuals()), "NaN"),
        (lambda: RBFPrecision(torch.zeros(2, 1), torch.ones(3), torch.ones(1, 2), 1.0), "rates"),
        (lambda: RBFPrecision(torch.zeros(2, 1), torch.ones(2), torch.ones(1, 3), 1.0), "weights"),
        (lambda: RBFPrecision(torch.zeros(2, 1), torch.ones(2), -torch.ones(1, 2), 1.0), "negative"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
