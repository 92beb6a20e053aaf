"""Geodesics against closed forms: lengths, agreement of the methods, invariance, and unusable input."""

import math
from itertools import permutations

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.surfaces import (
    CASES,
    HALF_PLANE,
    SPHERE_POINTS,
    arc_length,
    half_plane_distance,
    paraboloid,
    polar_paraboloid,
    sphere,
)
from topicnet.core.geometry import (
    LatentGraph,
    constant_speed,
    curve_energy,
    curve_length,
    exponential,
    fisher_rao_categorical,
    geodesic,
    logarithm,
    metric_from_tensor,
    pullback,
    straight_line,
)
from topicnet.errors import InputError

MATRIX = torch.tensor([[1.0, 2.0], [0.0, 1.0], [3.0, -1.0]], dtype=torch.float64)
FLAT = pullback(lambda z: MATRIX @ z)


def grid(metric, start, end, n=50, radius=3, margin=0.3):
    low, high = np.minimum(start, end) - margin, np.maximum(start, end) + margin
    return LatentGraph.on_grid(metric, low, high, n, radius)


def found(metric, start, end, method, **options):
    graph = grid(metric, start, end) if method == "graph" else None
    return geodesic(metric, start, end, method=method, graph=graph, **options)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("method", "tolerance"), [("energy", 2e-4), ("spline", 1e-6), ("bvp", 1e-8), ("graph", 1e-2)])
def test_lengths_equal_the_closed_form(case, method, tolerance):
    metric, start, end, exact = CASES[case]
    result = found(metric, start, end, method)
    assert result.length == pytest.approx(exact, rel=tolerance)
    assert result.converged
    assert result.method == method
    assert result.curve.shape == (101, 2)
    assert torch.equal(result.curve[[0, -1]], torch.tensor([start, end], dtype=torch.float64))
    assert result.energy == pytest.approx(result.length**2, rel=2e-5)
    # As curves of chords they agree with their stated length.
    assert float(curve_length(metric, result.curve)) == pytest.approx(result.length, rel=1e-3)
    assert float(curve_energy(metric, result.curve)) == pytest.approx(result.energy, rel=2e-3)


def test_shooting_equals_the_closed_form():
    metric, start, end, exact = CASES["half-plane"]
    result = geodesic(metric, start, end, method="shooting")
    assert result.length == pytest.approx(exact, rel=1e-6)
    assert result.converged


@pytest.mark.parametrize(("n_segments", "error"), [(10, -1.6e-3), (20, -3.9e-4), (50, -6.3e-5), (100, -1.6e-5)])
def test_the_error_of_the_discrete_curve_falls_with_the_square_of_its_segments(n_segments, error):
    metric, start, end, exact = CASES["sphere"]
    assert geodesic(metric, start, end, n_segments=n_segments).length / exact - 1 == pytest.approx(error, rel=0.05)


def test_more_knots_bring_the_spline_nearer():
    metric, start, end, exact = CASES["sphere"]
    errors = [abs(geodesic(metric, start, end, method="spline", n_knots=k).length / exact - 1) for k in (2, 4, 8)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-7


def test_directions_of_a_grid_bound_the_error_of_its_paths():
    metric, start, end, exact = CASES["half-plane"]
    coarse, fine = (grid(metric, start, end, n, 1).shortest_path(start, end).length for n in (25, 50))
    stencil = grid(metric, start, end, 50, 3).shortest_path(start, end).length
    assert 0.02 < coarse / exact - 1 < 0.05
    assert 0.02 < fine / exact - 1 < 0.05
    assert 0 < stencil / exact - 1 < 0.01


def test_a_meridian_of_the_paraboloid_has_the_length_of_a_parabola():
    result = geodesic(pullback(polar_paraboloid), [0.5, 1.0], [2.0, 1.0], method="bvp")
    assert result.length == pytest.approx(arc_length(2) - arc_length(0.5), rel=1e-8)
    assert torch.allclose(result.curve[:, 1], torch.ones(101, dtype=torch.float64))


def test_the_angular_momentum_on_a_paraboloid_is_conserved():
    """Clairaut: r^2 dphi/dt is constant off the meridians."""
    result = geodesic(pullback(paraboloid), [1.2, 0.0], [-0.5, 0.9], method="bvp", n_segments=2000)
    assert result.length == pytest.approx(2.1225694, rel=1e-7)
    (x, y), (u, v) = result.curve[1:-1].T, ((result.curve[2:] - result.curve[:-2]) * 1000).T
    momentum = x * v - y * u
    assert float(momentum.std() / momentum.mean()) < 1e-5


@pytest.mark.parametrize("method", ["energy", "spline", "bvp", "graph", "shooting"])
def test_geodesics_of_a_linear_map_are_straight(method):
    start, end = [0.0, 1.0], [2.0, 1.5]
    result = found(FLAT, start, end, method)
    assert result.length == pytest.approx(float((MATRIX @ torch.tensor([2.0, 0.5]).double()).norm()), rel=1e-9)
    assert torch.allclose(result.curve, straight_line(start, end), atol=1e-8)


def test_the_distance_of_categorical_distributions_is_an_arc():
    """On the simplex of three words: 2 arccos(sum sqrt(p q)), times sqrt(n) of n draws."""
    metric = fisher_rao_categorical(lambda z: torch.cat([z, 1 - z.sum()[None]]), n_trials=9)
    p, q = np.array([0.2, 0.3, 0.5]), np.array([0.6, 0.3, 0.1])
    exact = 3 * 2 * math.acos(np.sqrt(p * q).sum())
    assert geodesic(metric, p[:2], q[:2], method="spline").length == pytest.approx(exact, rel=1e-7)


@pytest.mark.parametrize("method", ["energy", "spline", "bvp"])
def test_geodesics_are_no_longer_than_the_straight_line_and_symmetric(method):
    metric, start, end, _ = CASES["swiss roll"]
    there, back = found(metric, start, end, method), found(metric, end, start, method)
    assert there.length <= float(curve_length(metric, straight_line(start, end, 2000))) + 1e-6
    assert there.length == pytest.approx(back.length, rel=1e-7)
    assert torch.allclose(there.curve, back.curve.flip(0), atol=1e-4)


def test_distances_satisfy_the_triangle_inequality():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(7, 2))
    metric = pullback(paraboloid)
    lengths = {
        (i, j): geodesic(metric, points[i], points[j], method="spline", n_knots=3).length
        for i in range(7)
        for j in range(i)
    }
    lengths |= {(j, i): length for (i, j), length in lengths.items()}
    triples = list(permutations(range(7), 3))
    assert len(triples) >= 50
    assert all(lengths[i, k] <= lengths[i, j] + lengths[j, k] + 1e-3 for i, j, k in triples)


@pytest.mark.parametrize("method", ["energy", "spline", "bvp"])
def test_lengths_do_not_depend_on_the_coordinates(method):
    """Reparametrise latent space by z = (y0 + y1^2 / 4, 2 y1 + 1 / 5)."""

    def change(y):
        return torch.stack([y[0] + y[1] ** 2 / 4, 2 * y[1] + 0.2])

    inverse = [[a - ((b - 0.2) / 2) ** 2 / 4, (b - 0.2) / 2] for a, b in SPHERE_POINTS]
    other = geodesic(pullback(lambda y: sphere(change(y))), *inverse, method=method)
    assert other.length == pytest.approx(CASES["sphere"][3], rel=3e-5 if method == "energy" else 1e-6)
    own = geodesic(pullback(sphere), *SPHERE_POINTS, method=method)
    assert torch.allclose(torch.func.vmap(change)(other.curve), own.curve, atol=2e-3)


def test_lengths_do_not_depend_on_the_parametrisation_of_a_curve():
    t = torch.linspace(0, 1, 4001, dtype=torch.float64)[:, None]
    start, end = (torch.tensor(point, dtype=torch.float64) for point in SPHERE_POINTS)
    metric = pullback(sphere)
    even, uneven = start + t * (end - start), start + t**2 * (end - start)
    assert float(curve_length(metric, even)) == pytest.approx(float(curve_length(metric, uneven)), rel=1e-6)
    assert float(curve_energy(metric, uneven)) > 1.2 * float(curve_energy(metric, even))
    steps = metric.squared_steps(constant_speed(metric, uneven, 200)).sqrt()
    assert float(steps.std() / steps.mean()) < 1e-3


def test_shooting_back_returns_the_velocity():
    start, velocity = [0.0, 1.0], [0.8, 0.4]
    end = exponential(HALF_PLANE, start, velocity)[-1]
    assert half_plane_distance(start, end.tolist()) == pytest.approx(math.hypot(*velocity), rel=1e-7)
    assert logarithm(HALF_PLANE, start, end).tolist() == pytest.approx(velocity, abs=1e-6)


def mlp(dtype):
    generator = torch.Generator().manual_seed(3)
    net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 20), nn.Sigmoid()).to(dtype)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return net


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_methods_agree_for_a_network(dtype):
    metric = pullback(mlp(dtype))
    ends = torch.tensor([[-1.0, 0.5], [0.8, -0.4]], dtype=dtype)
    results = [geodesic(metric, *ends, method=method) for method in ("energy", "spline", "bvp")]
    lengths = [result.length for result in results]
    assert all(result.converged for result in results)
    assert lengths == pytest.approx([lengths[2]] * 3, rel=1e-3)
    assert lengths[0] < float(curve_length(metric, straight_line(*ends)).detach())
    graph = LatentGraph.from_points(
        metric, torch.rand(1500, 2, generator=torch.Generator().manual_seed(0), dtype=dtype) * 3 - 1.5, 20
    )
    assert graph.shortest_path(*ends).length == pytest.approx(lengths[2], rel=3e-2)


def test_a_wide_network_in_single_precision_has_a_symmetric_metric():
    """Rounding makes J^T J slightly asymmetric where it is nearly 0."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(200, 10, generator=generator)
    metric = fisher_rao_categorical(lambda z: (weights @ z).tanh(), from_logits=True)
    ends = torch.randn(2, 10, generator=generator)
    result = geodesic(metric, *ends, n_segments=20)
    assert result.converged
    assert result.length <= float(curve_length(metric, straight_line(*ends, 20))) * (1 + 1e-5)


def test_an_asymmetric_tensor_is_refused():
    with pytest.raises(InputError, match="not symmetric"):
        geodesic(metric_from_tensor(lambda z: torch.eye(2, dtype=z.dtype) + z * 0.1), [1.0, 2.0], [2.0, 1.0])


def test_results_repeat_and_leave_torch_as_it_was():
    net, ends = mlp(torch.float64), torch.tensor([[-1.0, 0.5], [0.8, -0.4]], dtype=torch.float64)
    state, modes = torch.get_rng_state(), (torch.get_default_dtype(), torch.is_grad_enabled())
    first = geodesic(pullback(net), *ends)
    with torch.no_grad():
        second = geodesic(pullback(net), *ends)
    with torch.inference_mode():
        third = geodesic(pullback(net), *ends.clone())
    assert torch.equal(first.curve, second.curve)
    assert torch.equal(first.curve, third.curve)
    assert torch.equal(torch.get_rng_state(), state)
    assert (torch.get_default_dtype(), torch.is_grad_enabled()) == modes
    assert all(parameter.grad is None for parameter in net.parameters())
    assert not first.curve.requires_grad


def test_another_default_dtype_changes_nothing():
    lists = [geodesic(pullback(sphere), *SPHERE_POINTS, n_segments=20).curve]
    torch.set_default_dtype(torch.float64)
    try:
        lists.append(geodesic(pullback(sphere), *SPHERE_POINTS, n_segments=20).curve)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(*lists)


def test_the_path_of_a_graph_starts_the_other_methods_around_an_obstacle():
    """A bump: the straight line over its top is a saddle, from which the energy has no way down."""
    bump = pullback(lambda z: torch.cat([z, 3 * (-(z.square().sum()[None]) * 2).exp()]))
    start, end = [-1.5, 0.0], [1.5, 0.0]
    over = geodesic(bump, start, end)
    path = grid(bump, start, end, 30, margin=1.5).shortest_path(start, end)
    around = geodesic(bump, start, end, initial=path.curve)
    assert around.length < 0.8 * over.length
    assert around.length <= path.length
    assert around.converged


def test_nodes_may_be_the_ends_of_a_path():
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.1]], dtype=torch.float64)
    graph = LatentGraph.from_points(pullback(lambda z: 2 * z), points, 1)
    assert graph.shortest_path(points[0], points[2]).length == pytest.approx(4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: geodesic(FLAT, [0.0, 1.0], [0.0, 1.0]), "two different points"),
        (lambda: geodesic(FLAT, [0.0, 1.0], [0.0, math.inf]), "NaN or infinite"),
        (lambda: geodesic(FLAT, [0.0, 1.0], [0.0]), "2 dimensions and end 1"),
        (lambda: geodesic(FLAT, [0.0, 1.0], torch.zeros(2)), "float32"),
        (lambda: geodesic(FLAT, [[0.0, 1.0]], [[0.0, 2.0]]), "shape"),
        (lambda: geodesic(FLAT, [0.0, 1.0], [0.0, 2.0], method="adam"), "method='adam'"),
        (lambda: geodesic(FLAT, [0.0, 1.0], [0.0, 2.0], n_segments=1), "n_segments=1"),
        (lambda: geodesic(FLAT, [0.0, 1.0], [0.0, 2.0], n_knots=0), "n_knots=0"),
        (lambda: geodesic(FLAT, [0.0, 1.0], [0.0, 2.0], method="graph"), "without a graph"),
        (lambda: geodesic(FLAT, [0.0, 1.0], [0.0, 2.0], method="spline", initial=[[0, 1], [0, 2]]), "initial"),
        (lambda: geodesic(FLAT, [0.0, 1.0], [0.0, 2.0], initial=[[0, 1], [5, 2]]), "from start to end"),
        (lambda: geodesic(pullback(lambda z: z[:1]), [0.0, 1.0], [0.0, 2.0]), "singular"),
        (lambda: geodesic(pullback(sphere), [0.0, 1.0], [1.0, 2.0], method="bvp"), "singular"),
        (lambda: geodesic(pullback(lambda z: z.round()), [0.2, 1.0], [0.2, 2.0]), "not differentiable"),
        (lambda: geodesic(pullback(lambda z: z.detach() * 2), [0.2, 1.0], [0.2, 2.0]), "not differentiable"),
        (lambda: geodesic(pullback(lambda z: z.log()), [1.0, 1.0], [-1.0, 1.0]), "finite"),
        (lambda: geodesic(HALF_PLANE, [0.0, 1.0], [0.0, 0.0]), "not finite"),
        (lambda: geodesic(metric_from_tensor(lambda z: torch.diag(z)), [1.0, 1.0], [-1.0, 1.0]), "singular"),
        (lambda: exponential(FLAT, [0.0, 1.0], [0.0, 0.0]), "two different points"),
        (lambda: curve_length(FLAT, [[0.0, 1.0]]), "two points"),
        (lambda: constant_speed(FLAT, [[0.0, 1.0], [0.0, 1.0]]), "length 0"),
        (lambda: LatentGraph.from_points(FLAT, [[0.0, 1.0]]), "n_neighbors"),
        (lambda: LatentGraph.on_grid(FLAT, [1.0, 1.0], [0.0, 2.0], 5), "low below high"),
        (lambda: LatentGraph.on_grid(FLAT, [0.0, 1.0], [1.0, 2.0], 1), "two nodes"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message):
    with pytest.raises(InputError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_a_disconnected_graph_is_refused():
    points = torch.cat([torch.rand(20, 2, generator=torch.Generator().manual_seed(0)) + 10 * side for side in (0, 1)])
    graph = LatentGraph.from_points(pullback(lambda z: z), points, 3)
    with pytest.raises(InputError, match="disconnected"):
        geodesic(pullback(lambda z: z), points[0], points[-1], method="graph", graph=graph)


def test_a_path_longer_than_the_straight_line_is_not_reported_as_converged():
    """The long way around a cylinder is a stable geodesic too, but not a shortest path."""
    cylinder = pullback(lambda z: torch.cat([z / z.norm(), z.square().sum()[None].log() / 2]))
    angles = torch.linspace(0.5, 2 * math.pi - 0.5, 200, dtype=torch.float64)
    long_way = torch.stack([angles.cos(), angles.sin()], 1)
    result = geodesic(cylinder, long_way[0], long_way[-1], initial=long_way)
    assert result.length == pytest.approx(2 * math.pi - 1, rel=1e-3)
    assert not result.converged
    short = geodesic(cylinder, long_way[0], long_way[-1], method="bvp", initial=long_way)
    assert short.length == pytest.approx(1, rel=1e-8)
    assert short.converged


def test_a_geodesic_that_ends_early_is_refused(monkeypatch):
    monkeypatch.setattr("topicnet.core.geometry.equations.MOST_EVALUATIONS", 50)
    with pytest.raises(InputError, match="cannot be continued"):
        exponential(pullback(lambda z: 1 / z), [1.0, 1.0], [2.0, 0.0])


def test_a_map_that_is_finite_only_in_a_part_of_the_space_is_searched_within_it():
    result = geodesic(pullback(lambda z: torch.cat([z, z.log() / 3])), [0.05, 2.0], [2.0, 0.05])
    assert result.converged
    assert (result.curve > 0).all()
