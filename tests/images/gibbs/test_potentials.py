"""Potentials: exact answers against published and closed-form values, draws, and bad input."""

import math

import numpy as np
import pytest
import torch

from topicnet.errors import InputError
from topicnet.images import gibbs
from topicnet.images.gibbs.names import NAMED, named_potential

# log Z and expectations from independent quadrature.
ANSWERS = [
    (gibbs.gaussian(), 1.762466, {"x_0^2": 2.0}),
    (gibbs.double_well(1.0), 0.679926, {"P(x>0)": 0.5}),
    (gibbs.double_well(2.0), 0.344238, {}),
    (gibbs.double_well(4.0), -0.053572, {}),
    (gibbs.double_well(8.0), -0.439586, {}),
    (gibbs.double_well(4.0, n_dims=2), -0.053572 + 0.5 * math.log(2 * math.pi), {}),
    (gibbs.mixture(), 1.837877, {"mode 3": 0.25}),
    (gibbs.mueller_brown(20.0), 5.366133, {"P(y>0.75)": 0.79954, "U": -113.414, "x": -0.42489, "y": 1.16509}),
    (gibbs.phi4_ring(8), 6.404221, {"<p^2>": 0.6935531, "<p>": 0.0}),
    (gibbs.phi4_ring(16), 12.7978151, {"<p^2>": 0.6897975}),
    (gibbs.phi4_lattice(2), 2.860272, {}),
    (gibbs.phi4_lattice(4), 5.060807, {}),
]
SLOW_ANSWERS = [
    (gibbs.mueller_brown(10.0), 11.729590, {"P(y>0.75)": 0.97429, "U": -134.934, "x": -0.54366, "y": 1.39451}),
    (gibbs.mueller_brown(40.0), 2.985670, {"P(y>0.75)": 0.58434, "U": -68.482, "x": -0.43270, "y": 0.91846}),
    (gibbs.phi4_lattice(8), 9.823064, {}),
]


@pytest.mark.parametrize(
    ("potential", "log_z", "means"),
    [*ANSWERS, *(pytest.param(*one, marks=pytest.mark.slow) for one in SLOW_ANSWERS)],
    ids=lambda one: getattr(one, "name", None),
)
def test_exact_answers_agree_with_independent_values(potential, log_z, means):
    answers = potential.answers()
    assert answers.log_z == pytest.approx(log_z, abs=1.5e-6)
    for name, value in means.items():
        digits = len(f"{value}".partition(".")[2])
        assert answers.means[name] == pytest.approx(value, abs=10.0**-digits)


def test_a_free_field_agrees_with_its_fourier_modes():
    n, mass = 8, 1.0
    modes = [mass + 2 - 2 * math.cos(2 * math.pi * k / n) for k in range(n)]
    answers = gibbs.phi4_ring(n, mass, 0.0).answers()
    assert answers.log_z == pytest.approx(0.5 * n * math.log(2 * math.pi) - 0.5 * sum(map(math.log, modes)), abs=1e-9)
    assert answers.means["<p^2>"] == pytest.approx(np.mean([1 / mode for mode in modes]), abs=1e-9)
    assert answers.means["Binder"] == pytest.approx(0.0, abs=1e-9)  # the magnetisation is Gaussian


def test_the_smallest_lattice_agrees_with_a_sum_over_all_its_sites():
    """Two columns of two sites: four coupled values, on a grid."""
    potential = gibbs.phi4_lattice(2)
    axis = torch.linspace(-3, 3, 25, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis, axis, axis)
    logs = -potential.energies(points)
    weights = logs.softmax(0)
    magnetisation = points.mean(1)
    answers = potential.answers()
    assert answers.log_z == pytest.approx(float(logs.logsumexp(0)) + 4 * math.log(0.25), abs=1e-5)
    second, fourth = float(weights @ magnetisation**2), float(weights @ magnetisation**4)
    assert answers.means["Binder"] == pytest.approx(1 - fourth / (3 * second**2), abs=1e-5)


@pytest.mark.parametrize(("mass", "coupling"), [(-6.0, 1.0), (2.0, 0.0), (0.3, 5.0)])
def test_the_ring_agrees_with_a_sum_over_a_fine_grid(mass, coupling):
    """Two sites, joined by two links."""
    potential = gibbs.phi4_ring(2, mass, coupling)
    axis = torch.linspace(-8, 8, 1_601, dtype=torch.float64)
    logs = -potential.energies(torch.cartesian_prod(axis, axis))
    answers = potential.answers()
    assert answers.log_z == pytest.approx(float(logs.logsumexp(0)) + 2 * math.log(0.01), abs=1e-6)


def test_a_field_that_a_grid_does_not_resolve_has_no_exact_answer():
    assert gibbs.phi4_lattice(4, mass=-60.0, coupling=6.0).answers() is None
    assert gibbs.phi4_ring(4, mass=1e-3, coupling=0.0).answers() is None


@pytest.mark.parametrize(
    "potential", [gibbs.gaussian([1.0, -1.0]), gibbs.double_well(4.0, 2), gibbs.mixture(5), gibbs.mueller_brown(40.0)]
)
def test_exact_draws_have_the_exact_means(potential):
    draws = potential.sampler(20_000, 3)
    assert draws.shape == (20_000, potential.n_dims)
    for name, exact in potential.answers().means.items():
        values = potential.observables[name](draws).double()
        assert float(values.mean()) == pytest.approx(exact, abs=4.5 * float(values.std()) / math.sqrt(20_000))
    assert torch.equal(draws, potential.sampler(20_000, 3))


def test_the_mueller_brown_surface_has_its_published_minimum_and_stays_finite():
    surface = gibbs.mueller_brown(20.0)
    assert 20 * float(surface.energies(torch.tensor([[-0.558224, 1.441726]]))) == pytest.approx(-146.699, abs=1e-2)
    far = torch.tensor([[50.0, 50.0], [-80.0, 3.0], [5.0, -90.0]])
    values, slopes = surface.gradient(far)
    assert bool((values > 1e3).all())
    assert bool(slopes.isfinite().all())


@pytest.mark.parametrize(
    ("energy", "message"),
    [
        (lambda x: x.sum(), "returned \\(\\) for points"),
        (lambda x: x, "returned \\(4, 2\\)"),
        (lambda x: 1.0, "returned float"),
        (lambda x: x[:, 5], "failed at points \\(4, 2\\)"),
        (lambda x: (x @ torch.eye(2)).sum(-1), "in double precision"),
        (lambda x: (x.sum(-1) - 100).log(), "is nan at"),
        (lambda x: 1 / torch.zeros_like(x[:, 0]), "is inf at"),
        (lambda x: x.detach().square().sum(-1), "has no gradient"),
        (lambda x: torch.as_tensor(np.square(x.detach().numpy()).sum(-1)), "has no gradient"),
    ],
)
def test_an_energy_that_cannot_be_used_is_one_clear_error(energy, message):
    potential = gibbs.Potential("mine", 2, energy)
    points = torch.ones(4, 2, dtype=torch.float64, requires_grad=True)
    with pytest.raises(InputError, match=message) as caught:
        potential.energies(points)
    assert "'mine'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_gradient_that_is_not_finite_is_an_error():
    kink = gibbs.Potential("kink", 1, lambda x: x.abs().sqrt().sum(-1))
    with pytest.raises(InputError, match="gradient that is not finite"):
        kink.gradient(torch.zeros(1, 1))


@pytest.mark.parametrize(
    "make",
    [
        lambda: gibbs.Potential("mine", 0, lambda x: x.sum(-1)),
        lambda: gibbs.Potential("mine", 2, "x**2"),
        lambda: gibbs.gaussian([0.0, 0.0], [[1.0, 2.0], [2.0, 1.0]]),
        lambda: gibbs.gaussian([0.0], [[1.0, 0.0], [0.0, 1.0]]),
        lambda: gibbs.gaussian([math.nan], [[1.0]]),
        lambda: gibbs.gaussian("abc"),
        lambda: gibbs.double_well(0.0),
        lambda: gibbs.double_well(1e-3),
        lambda: gibbs.double_well(math.inf),
        lambda: gibbs.mixture(n_dims=1),
        lambda: gibbs.mixture(variance=-1.0),
        lambda: gibbs.mueller_brown(1.0),
        lambda: gibbs.phi4_ring(1),
        lambda: gibbs.phi4_ring(8, mass=-1.0, coupling=0.0),
        lambda: gibbs.phi4_ring(8, mass=-100.0, coupling=0.1),
        lambda: gibbs.phi4_lattice(4, mass=math.nan),
    ],
)
def test_bad_parameters_are_refused(make):
    with pytest.raises(InputError, match="expected"):
        make()


def test_every_named_potential_can_be_made_with_its_parameters():
    import inspect

    from topicnet.images.gibbs import potentials

    for name, (function, parameters) in NAMED.items():
        signature = inspect.signature(getattr(potentials, function)).parameters
        assert name == "gaussian" or list(parameters) == list(signature)
        assert named_potential(name, {one: signature[one].default for one in parameters}).name == name
