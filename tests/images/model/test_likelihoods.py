"""Likelihoods p(x | z): agreement with torch, normalisation and sampling."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Normal as TorchNormal

from tests.support.images import some_noise
from topicnet.images.model.batches import ImageBatches
from topicnet.images.model.likelihoods import (
    LIKELIHOODS,
    LOG_SCALE_RANGE,
    MIN_MASS,
    Bernoulli,
    Gaussian,
    Logistic,
    SquaredError,
)
from topicnet.runtime.threads import chosen_threads

P = 5
LEVELS = np.arange(256)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Use one thread: several wait for each other on a busy machine."""
    with chosen_threads():
        yield


def outputs(n=4, seed=0):
    return torch.as_tensor(np.random.default_rng(seed).normal(0, 2, (n, P)))


def grays(n=4, seed=1):
    return torch.as_tensor(np.random.default_rng(seed).integers(0, 256, (n, P)) / 255)


def logistic(log_scale=-2.0):
    likelihood = Logistic().double()
    with torch.no_grad():
        likelihood.free_log_scale.fill_(log_scale)
    return likelihood.requires_grad_(False)


@pytest.mark.parametrize("kind", LIKELIHOODS.values(), ids=LIKELIHOODS)
def test_shapes_and_gradients(kind):
    likelihood = kind().double()
    out = outputs().requires_grad_()
    x = grays().round() if kind is Bernoulli else grays()
    nats = likelihood.nats(x, out)
    assert nats.shape == (4,)
    nats.sum().backward()
    assert (out.grad.abs() > 0).all()
    assert all(value.grad is not None and value.grad.abs() > 0 for value in likelihood.parameters())
    with torch.no_grad():
        assert likelihood.mean(out).shape == likelihood.sample(out, some_noise(4)).shape == (4, P)


def test_bernoulli_equals_torch_s():
    out, x = outputs(), grays().round()
    expected = -TorchBernoulli(logits=out).log_prob(x).sum(-1)
    assert torch.allclose(Bernoulli().nats(x, out), expected)
    assert torch.equal(Bernoulli().mean(out), out.sigmoid())


def test_bernoulli_is_finite_at_extreme_logits():
    out = torch.tensor([[200.0, -200.0]])
    assert Bernoulli().nats(torch.tensor([[1.0, 0.0]]), out).tolist() == [0.0]
    assert Bernoulli().nats(torch.tensor([[0.0, 1.0]]), out).tolist() == [400.0]


def test_bernoulli_draws_zeros_and_ones_with_their_probability():
    drawn = Bernoulli().sample(torch.full((20_000, 1), math.log(0.3 / 0.7)), some_noise(20_000))
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    assert drawn.mean().item() == pytest.approx(0.3, abs=0.015)


def test_the_loss_of_gray_values_is_the_mean_over_binarisations():
    """Cross-entropy is linear in x, so its value for gray pixels is the mean over all binarisations."""
    x, out = grays(1), outputs(1)
    many = ImageBatches(x.expand(20_000, -1), 20_000, torch.device("cpu"), binarise=True)
    drawn = next(iter(many)).pixels
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    nats = Bernoulli().nats(drawn, out.expand(20_000, -1))
    error = float(nats.std()) / math.sqrt(20_000)
    assert abs(float(nats.mean()) - float(Bernoulli().nats(x, out))) < 4 * error


@pytest.mark.parametrize("log_var", [-4.0, -2.0, 1.0])
def test_gaussian_equals_torch_s_and_integrates_to_1(log_var):
    likelihood = Gaussian().double()
    with torch.no_grad():
        likelihood.log_var.fill_(log_var)
        expected = -TorchNormal(outputs(), math.exp(0.5 * log_var)).log_prob(grays()).sum(-1)
        assert torch.allclose(likelihood.nats(grays(), outputs()), expected)
        alone = Gaussian().double()
        alone.log_var.fill_(log_var)
        grid = torch.linspace(-30.0, 30.0, 60_001, dtype=torch.float64)
        density = (-alone.nats(grid[:, None], torch.full((60_001, 1), 0.7).double())).exp()
        assert torch.trapezoid(density, grid).item() == pytest.approx(1.0, abs=1e-9)
        drawn = alone.sample(torch.full((20_000, 1), 0.7, dtype=torch.float64), some_noise(20_000)).ravel()
    assert kstest(drawn, "norm", (0.7, math.exp(0.5 * log_var))).pvalue > 1e-3


@pytest.mark.parametrize("log_scale", [-9.0, -4.5, -2.0, 0.0, 3.0])
@pytest.mark.parametrize("out", [-6.0, 0.0, 0.4, 6.0])
def test_the_probabilities_of_256_levels_sum_to_1(log_scale, out):
    """Bins with nearly no probability count as `MIN_MASS`."""
    x = torch.as_tensor(LEVELS / 255)[:, None]
    masses = (-logistic(log_scale).nats(x, torch.full((256, 1), out, dtype=torch.float64))).exp()
    assert masses.min() >= MIN_MASS * (1 - 1e-9)
    assert masses.sum().item() == pytest.approx(1.0, abs=256 * MIN_MASS)


def test_the_scale_of_a_logistic_stays_in_its_range():
    assert logistic(-9.0).scale.item() == pytest.approx(math.exp(LOG_SCALE_RANGE[0]))
    assert logistic(3.0).scale.item() == pytest.approx(math.exp(LOG_SCALE_RANGE[1]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_level_of_a_byte_has_its_own_bin(dtype):
    """Level k / 255 is in bin k of 256: a narrow logistic around its centre gives other bins less probability."""
    likelihood = logistic(-4.5).to(dtype)
    middles = torch.as_tensor((LEVELS + 0.5) / 256, dtype=dtype)
    bytes_ = torch.as_tensor(LEVELS.astype(np.uint8))[:, None]
    x = next(iter(ImageBatches(bytes_, 256, torch.device("cpu"), binarise=False))).pixels.to(dtype)
    own = likelihood.nats(x, middles.logit()[:, None])
    for other in (x.roll(1), x.roll(-1)):
        # Not at the ends, whose bins extend to infinity.
        assert (own < likelihood.nats(other, middles.logit()[:, None]))[2:-2].all()


@pytest.mark.parametrize("log_scale", [-3.0, 0.0])
def test_draws_of_a_logistic_follow_the_probabilities_of_levels(log_scale):
    likelihood, out = logistic(log_scale), torch.full((20_000, 1), 0.8, dtype=torch.float64)
    drawn = likelihood.sample(out, some_noise(20_000))
    levels = drawn * 255
    assert torch.allclose(levels, levels.round(), atol=1e-9)
    assert ((drawn >= 0) & (drawn <= 1)).all()
    x = torch.as_tensor(LEVELS / 255)[:, None]
    masses = (-likelihood.nats(x, out[:256])).exp().numpy()
    seen = np.bincount(levels.round().long().ravel(), minlength=256) / 20_000
    assert abs(np.cumsum(seen) - np.cumsum(masses)).max() < 1.95 / math.sqrt(20_000)  # Kolmogorov-Smirnov at 1e-3


def test_a_logistic_and_its_gradients_are_finite_far_from_its_mean():
    likelihood = Logistic()
    out = torch.full((4, P), 30.0, requires_grad=True)
    nats = likelihood.nats(torch.zeros(4, P), out)
    nats.sum().backward()
    assert torch.isfinite(nats).all()
    assert torch.isfinite(out.grad).all()
    assert torch.isfinite(likelihood.free_log_scale.grad)


def test_squared_error_uses_the_mean_image_and_draws_it():
    likelihood, out, x = SquaredError(), outputs(), grays()
    assert torch.allclose(likelihood.nats(x, out), ((x - out.sigmoid()) ** 2).sum(-1))
    assert torch.equal(likelihood.sample(out, some_noise(4)), likelihood.mean(out))
    assert likelihood.nats(out.sigmoid(), out).tolist() == [0.0] * 4


@pytest.mark.parametrize("kind", [Bernoulli, Logistic, SquaredError])
def test_mean_images_are_in_range(kind):
    mean = kind().mean(20 * outputs())
    assert ((mean >= 0) & (mean <= 1)).all()
