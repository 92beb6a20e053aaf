"""The dual by a critic: known distances, constraints, and the two-sided penalty's second minimum."""

import numpy as np
import pytest
import torch

from tests.support.generators import CASES, LINE, disc, quantiles
from topicnet.core.transport import (
    critic_wasserstein,
    dual_value,
    gaussian_wasserstein,
    ground_cost,
    wasserstein,
    wasserstein_1d,
)
from topicnet.core.transport.critic import DualCritic, gradient_penalty, slopes
from topicnet.errors import InputError

SHIFT, WIDER = LINE, "N(0, 4) and N(0, 1)"


@pytest.mark.parametrize(
    "case", [name if name == WIDER else pytest.param(name, marks=pytest.mark.slow) for name in CASES]
)
def test_a_one_sided_penalty_of_100_is_within_5_percent(case):
    x, y, truth = CASES[case]
    found = critic_wasserstein(x, y, lam=100.0, n_steps=600 if x.shape[1] == 1 else 1500)
    assert found.value == pytest.approx(truth, rel=0.05)
    assert 0.9 < found.slope < 1.2
    # The c-transform of the critic certifies most of it.
    certified = float(dual_value(ground_cost(x, y, 1), found.f))
    exact = wasserstein_1d(x[:, 0], y[:, 0], p=1) if x.shape[1] == 1 else wasserstein(x, y, p=1)
    assert 0.8 * truth < certified <= float(exact.cost) + 1e-5


@pytest.mark.slow
def test_a_weaker_penalty_has_the_predicted_bias():
    """The optimal slope is 1 + W / (2 lam), in units of the pooled deviation (1.2748 here)."""
    x, y, truth = CASES[SHIFT]
    found = critic_wasserstein(x, y, lam=10.0)
    scaled = truth / np.sqrt((1 + 0.25) / 2 + 1)
    assert found.value / truth == pytest.approx(1 + scaled / 20, rel=0.01)


@pytest.mark.slow
def test_clipping_is_on_the_scale_of_w1_only_after_division_by_the_slope():
    found = {name: critic_wasserstein(*CASES[name][:2], "clipping") for name in (SHIFT, WIDER)}
    for name, one in found.items():
        assert 0 < one.value < 0.1
        assert one.distance == pytest.approx(CASES[name][2], rel=0.3)
    assert found[WIDER].value < found[SHIFT].value


def test_clipping_orders_distances():
    base = quantiles(n=200)
    values = [critic_wasserstein(base + a, base, "clipping", n_steps=150).distance for a in (0.25, 1.0, 4.0)]
    assert 0 < values[0] < values[1] < values[2]


@pytest.mark.slow
def test_a_two_sided_penalty_has_a_minimum_with_the_wrong_sign():
    """For f(x) = c x and a shift by 2 the loss is -2 c + 10 (|c| - 1)^2: with minima at c = -0.9 and 1.1."""

    def loss(c, one_sided):
        slope = c.abs() - 1
        return -2 * c + 10 * (slope.clamp_min(0) if one_sided else slope) ** 2

    for start, one_sided, end in ((-0.5, False, -0.9), (0.5, False, 1.1), (-0.5, True, 1.1)):
        c = torch.tensor(start, requires_grad=True)
        for _ in range(2000):
            (gradient,) = torch.autograd.grad(loss(c, one_sided), c)
            c = (c - 0.01 * gradient).detach().requires_grad_()
        assert float(c.detach()) == pytest.approx(end, abs=1e-3)
    # A linear critic on the line ends there from about half of the seeds, and never with the one-sided penalty.
    x, y = quantiles(2), quantiles()
    linear = {"lam": 10.0, "n_layers": 0, "n_steps": 400, "learning_rate": 1e-2}
    two_sided = [critic_wasserstein(x, y, "two-sided-penalty", seed=seed, **linear).value for seed in range(6)]
    assert min(two_sided) < -1.5
    assert max(two_sided) > 1.5
    assert all(critic_wasserstein(x, y, seed=seed, **linear).value > 1.9 for seed in range(6))


# ---------------------------------------------------------------- properties


def test_units_and_origin_do_not_matter():
    x, y = quantiles(1, n=100), quantiles(n=100)
    first = critic_wasserstein(x, y, n_steps=50)
    second = critic_wasserstein(64 * x.double() + 1024, 64 * y.double() + 1024, n_steps=50)
    assert second.value == pytest.approx(64 * first.value, rel=1e-3)
    assert second.slope == pytest.approx(first.slope, rel=1e-3)


def test_the_value_is_that_of_the_critic_and_the_slope_its_largest():
    x, y = disc(2.0, 80), disc(1.0, 60, seed=1)
    found = critic_wasserstein(x, y, n_steps=40)
    assert torch.allclose(found.critic(x), found.f, atol=1e-6)
    assert torch.allclose(found.critic(y), -found.g, atol=1e-6)
    assert found.value == pytest.approx(float(found.f.mean() + found.g.mean()), abs=1e-5)
    at = torch.cat([slopes(found.critic, x), slopes(found.critic, y)])
    assert found.slope >= float(at.max()) - 1e-5
    assert found.distance == pytest.approx(found.value / found.slope)


def test_the_same_seed_gives_the_same_bits_and_leaves_generators_alone():
    x, y = quantiles(1, n=100), quantiles(n=100)
    state = torch.random.get_rng_state()
    first, again = (critic_wasserstein(x, y, n_steps=20, seed=3) for _ in range(2))
    assert torch.equal(first.f, again.f)
    assert first.slope == again.slope
    assert not torch.equal(first.f, critic_wasserstein(x, y, n_steps=20, seed=4).f)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_slopes_and_penalties_of_a_linear_function():
    direction = torch.tensor([3.0, 4.0])
    points, weight = disc(1.0, 20), torch.full((20, 1), 0.5)
    assert torch.allclose(slopes(lambda at: at @ direction, points), torch.full((20,), 5.0))
    for scale, one_sided, expected in ((1.0, True, 16.0), (1.0, False, 16.0), (0.1, True, 0.0), (0.1, False, 0.25)):
        found = gradient_penalty(lambda at, s=scale: at @ (s * direction), points, points, weight, one_sided=one_sided)
        assert torch.allclose(found, torch.full((20,), expected), atol=1e-5)


def test_the_penalty_has_the_gradient_of_finite_differences():
    critic = DualCritic(2, 8, 2).double()
    x, y = disc(2.0, 30).double(), disc(1.0, 30, seed=1).double()
    weight = torch.linspace(0.05, 0.95, 30).double()[:, None]
    for value in critic.parameters():
        value.data.mul_(3)

    def penalty():
        return gradient_penalty(critic, x, y, weight).mean()

    def value():
        return float(penalty().detach())

    first = critic.layers[0].weight
    (gradient,) = torch.autograd.grad(penalty(), first)
    step = 1e-6
    with torch.no_grad():
        first[1, 0] += step
    above = value()
    with torch.no_grad():
        first[1, 0] -= 2 * step
    assert float(gradient[1, 0]) == pytest.approx((above - value()) / (2 * step), rel=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"constraint": "lipschitz"}, r"^constraint='lipschitz' given; expected one of penalty, two-sided-penalty, cl"),
        ({"lam": 0.0}, r"^lam=0.0 given; expected a finite number above 0$"),
        ({"clip": float("nan")}, r"^clip=nan given; expected a finite number above 0$"),
        ({"learning_rate": -1}, r"^learning_rate=-1 given; expected a finite number above 0$"),
        ({"n_steps": 0}, r"^n_steps=0 given; expected a whole number of at least 1$"),
        ({"n_layers": -1}, r"^n_layers=-1 given; expected a whole number of at least 0$"),
        ({"seed": -1}, r"^seed=-1 given; expected a whole number from 0 to 2\^63 - 1$"),
    ],
)
def test_invalid_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        critic_wasserstein([[0.0]], [[1.0]], **options)


def test_invalid_samples_are_refused():
    with pytest.raises(InputError, match=r"^x has 1 and y 2 columns; expected points of one space$"):
        critic_wasserstein([[0.0]], [[1.0, 2.0]])
    with pytest.raises(InputError, match=r"^x holds NaN or infinite values; expected finite numbers$"):
        critic_wasserstein([[float("nan")]], [[1.0]])
    with pytest.raises(InputError, match=r"^all points coincide"):
        critic_wasserstein([[1.0]], [[1.0]])
    with pytest.raises(InputError, match=r"none of them empty"):
        critic_wasserstein(np.empty((0, 1)), [[1.0]])


# ---------------------------------------------------------------- the primal of the Wasserstein autoencoder


@pytest.mark.parametrize(("s", "g", "lam"), [(2.0, 0.7, 3.0), (2.0, 0.7, 300.0), (0.5, 1.5, 1.0)])
def test_a_linear_wasserstein_autoencoder_reaches_its_closed_form(s, g, lam):
    """x ~ N(0, s^2), G(z) = g z, encoder u x / s and D = W_2^2(Q_Z, P_Z): the optimum is lam (s-g)^2 / (lam + g^2)."""
    z = quantiles().double()[:, 0]
    z = z / z.square().mean().sqrt()  # variance 1, as in the limit
    x = s * z
    u = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([u], max_iter=50, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def objective():
        code = u * x / s
        return (x - g * code).square().mean() + lam * wasserstein_1d(code, z, p=2).cost

    def closure():
        optimizer.zero_grad()
        value = objective()
        value.backward()
        return value

    optimizer.step(closure)
    assert float(objective().detach()) == pytest.approx(lam * (s - g) ** 2 / (lam + g**2), abs=1e-3)
    assert float(u.detach()) == pytest.approx((g * s + lam) / (g**2 + lam), abs=1e-3)
    # It increases in lam to W_2^2 between the data and the decoded prior.
    limit = float(gaussian_wasserstein([0.0], [[s**2]], [0.0], [[g**2]]).cost)
    assert float(objective().detach()) <= limit + 1e-6
    assert lam < 300 or float(objective().detach()) == pytest.approx(limit, rel=0.01)
