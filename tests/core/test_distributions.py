"""The mixture prior and the priors over theta against their closed forms, and against draws.

The posterior and the standard normal are in test_parts.
"""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily
from torch.distributions import Normal as TorchNormal

from topicnet.core.distributions import (
    COMPONENT_LOG_VAR,
    Dirichlet,
    GaussianMixture,
    Normal,
    SoftmaxMixture,
    StandardNormal,
)
from topicnet.core.noise import Noise


def mixture(means, scales, weights):
    """A mixture in double precision."""
    means = torch.as_tensor(means, dtype=torch.float64)
    prior = GaussianMixture(*means.shape).double()
    with torch.no_grad():
        prior.means.copy_(means)
        prior.free_log_var.copy_(2 * torch.as_tensor(scales, dtype=torch.float64).log())
        prior.logits.copy_(torch.as_tensor(weights, dtype=torch.float64).log())
    return prior.requires_grad_(False)


def random_mixture(n_components=3, latent_dim=2, seed=0):
    rng = np.random.default_rng(seed)
    shape = (n_components, latent_dim)
    return mixture(2 * rng.normal(size=shape), rng.uniform(0.5, 2, shape), rng.dirichlet(np.full(n_components, 2.0)))


def posterior(n_docs=4, latent_dim=2, seed=1):
    rng = np.random.default_rng(seed)
    return Normal(*torch.as_tensor(rng.normal(size=(2, n_docs, latent_dim))))


def components(prior):
    """The same components by torch's own distributions."""
    return Independent(TorchNormal(prior.means, (0.5 * prior.log_var).exp()), 1)


def test_one_standard_component_gives_the_standard_normal_s_kl():
    q, prior = posterior(), mixture(np.zeros((1, 2)), np.ones((1, 2)), [1.0])
    certain = prior.log_assignment(q)
    assert (certain == 0).all()
    assert torch.allclose(prior.kl(q, certain), StandardNormal(2).kl(q))
    assert torch.allclose(prior.kl_per_dimension(q, certain), StandardNormal(2).kl_per_dimension(q))


@pytest.mark.parametrize("weights", [[1 / 3, 1 / 3, 1 / 3], [0.7, 0.2, 0.1]])
def test_kl_equals_its_average_over_draws(weights):
    prior, q, assignment = random_mixture(), posterior(), torch.tensor(weights, dtype=torch.float64)
    torch.manual_seed(0)
    spread = TorchNormal(q.mean, (0.5 * q.log_var).exp())
    z = spread.sample((50_000,))  # (S, B, Z)
    ratio = spread.log_prob(z).sum(-1)[..., None] - components(prior).log_prob(z[..., None, :])  # (S, B, C)
    categorical = (assignment * (assignment.log() - prior.log_weights())).sum()
    expected = ratio.mean(0) @ assignment + categorical
    assert torch.allclose(prior.kl(q, assignment.log().expand(4, 3)), expected, atol=0.05)


def test_kl_is_that_of_each_component_where_the_assignment_is_certain():
    prior, q = random_mixture(), posterior()
    for c in range(3):
        certain = torch.full((4, 3), -math.inf, dtype=torch.float64)
        certain[:, c] = 0.0
        precision = (-prior.log_var[c]).exp()
        gaussian = precision * ((q.mean - prior.means[c]) ** 2 + q.log_var.exp()) - 1 + prior.log_var[c] - q.log_var
        assert torch.allclose(prior.kl_per_dimension(q, certain), 0.5 * gaussian)


def test_the_assignment_is_the_maximiser_of_the_bound():
    prior, q = random_mixture(), posterior()
    best = prior.log_assignment(q)
    lowest = prior.kl(q, best)
    assert torch.allclose(best.exp().sum(-1), torch.ones(4).double())
    for assignment in torch.as_tensor(np.random.default_rng(0).dirichlet(np.full(3, 0.5), (200, 4))):
        assert (prior.kl(q, assignment.clamp_min(1e-300).log()) >= lowest - 1e-12).all()
    nudged = (best + 1e-3 * torch.randn(100, 4, 3, generator=torch.Generator().manual_seed(0))).log_softmax(-1)
    assert all((prior.kl(q, near) >= lowest).all() for near in nudged)
    free = best.clone().requires_grad_()
    prior.kl(q, free.log_softmax(-1)).sum().backward()
    assert free.grad.abs().max() < 1e-9


def test_the_mean_of_the_posterior_is_a_worse_assignment():
    """Two components at +-1 with scale 0.4, q(z|x) = N(0.4, 0.81): their bounds were known to be -3.494 and -2.474."""
    prior = mixture([[-1.0], [1.0]], [[0.4], [0.4]], [0.5, 0.5])
    q = Normal(torch.tensor([[0.4]]).double(), torch.tensor([[0.81]]).double().log())
    nodes, shares = np.polynomial.hermite_e.hermegauss(150)
    nodes, shares = torch.as_tensor(nodes)[:, None], torch.as_tensor(shares / shares.sum())
    log_p = prior.log_responsibility(q.mean + 0.9 * nodes)  # log p(c|z), (S, C)
    best, heuristic = prior.log_assignment(q), (shares @ log_p.exp()).log()[None]
    assert best.exp().tolist() == [pytest.approx([0.0067, 0.9933], abs=2e-4)]
    assert heuristic.exp().tolist() == [pytest.approx([0.331, 0.669], abs=2e-3)]
    # log q*(c) is E log p(c|z), normalised.
    assert torch.allclose(best, (shares @ log_p).log_softmax(-1)[None], atol=1e-4)
    bounds = [float((a.exp() * (shares @ log_p - a)).sum()) for a in (best, heuristic)]
    assert bounds == pytest.approx([-2.474, -3.494], abs=0.02)
    assert float(prior.kl(q, heuristic) - prior.kl(q, best)) == pytest.approx(bounds[0] - bounds[1], abs=1e-6)


def test_responsibilities_are_the_posterior_of_the_components():
    prior = random_mixture()
    z = torch.randn(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    joint = components(prior).log_prob(z[:, None]).exp() * prior.log_weights().exp()
    assert torch.allclose(prior.log_responsibility(z).exp(), joint / joint.sum(-1, keepdim=True))
    density = MixtureSameFamily(Categorical(logits=prior.logits), components(prior)).log_prob(z)
    assert torch.allclose(joint.sum(-1).log(), density)


def test_a_point_s_assignment_is_its_responsibility():
    prior, z = random_mixture(), posterior().mean
    assert torch.allclose(prior.log_assignment(Normal(z, torch.full_like(z, -50.0))), prior.log_responsibility(z))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_components_far_apart_give_no_nan(dtype):
    prior = mixture([[-1e3] * 4, [0.0] * 4, [1e3] * 4], np.ones((3, 4)), np.ones(3) / 3).to(dtype).requires_grad_()
    q = Normal((prior.means.detach() + 0.1).requires_grad_(), torch.full((3, 4), -1.0, dtype=dtype))
    log_assignment = prior.log_assignment(q)
    kl = prior.kl(q, log_assignment)
    kl.sum().backward()
    assert torch.allclose(log_assignment.exp(), torch.eye(3, dtype=dtype))
    assert all(torch.isfinite(x).all() for x in (log_assignment, prior.log_responsibility(q.mean), kl))
    assert all(torch.isfinite(x.grad).all() for x in (*prior.parameters(), q.mean))


def test_a_component_cannot_shrink_onto_one_document():
    prior = mixture(np.zeros((2, 1)), [[1e-9], [1e9]], [0.5, 0.5])
    assert prior.log_var.ravel().tolist() == [-COMPONENT_LOG_VAR, COMPONENT_LOG_VAR]


def test_it_starts_as_a_standard_normal_but_for_noise_in_the_means():
    torch.manual_seed(0)
    prior = GaussianMixture(50, 20)
    assert torch.equal(prior.log_var, torch.zeros(50, 20))
    assert torch.allclose(prior.log_weights().exp(), torch.full((50,), 1 / 50))
    assert prior.means.std().item() == pytest.approx(0.1, abs=0.01)


def drawn(prior, n_docs, dtype=torch.float32):
    noise = Noise.of(0, np.arange(n_docs), torch.device("cpu"))
    theta = prior.sample(noise, torch.zeros(n_docs, prior.n_topics, dtype=dtype))
    assert theta.dtype == dtype
    assert (theta >= 0).all()
    assert torch.allclose(theta.sum(-1), torch.ones(n_docs, dtype=dtype), atol=1e-5)
    return theta


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("concentration", [0.1, 1.0, 5.0])
def test_dirichlet_draws_have_its_mean_and_variance(concentration, dtype):
    theta = drawn(Dirichlet(4, concentration), 40_000, dtype)
    assert theta.mean(0).tolist() == pytest.approx([0.25] * 4, abs=0.01)
    variance = 0.25 * 0.75 / (4 * concentration + 1)
    assert theta.var(0).tolist() == pytest.approx([variance] * 4, rel=0.05)


@pytest.mark.parametrize("n_topics", [1, 2, 50])
def test_gammas_that_underflow_make_no_nan(n_topics):
    theta = drawn(Dirichlet(n_topics, 0.01), 20_000)
    assert torch.isfinite(theta).all()
    assert theta.mean(0).tolist() == pytest.approx([1 / n_topics] * n_topics, abs=0.02)
    variance = (n_topics - 1) / n_topics**2 / (0.01 * n_topics + 1)
    assert float(theta.var(0).mean()) == pytest.approx(variance, rel=0.02)


@pytest.mark.parametrize("distance", [0.0, 3.0])
def test_the_softmax_mixture_treats_all_topics_alike(distance):
    theta = drawn(SoftmaxMixture(5, distance), 20_000)
    assert theta.mean(0).tolist() == pytest.approx([0.2] * 5, abs=0.01)
    assert theta.var(0).tolist() == pytest.approx([float(theta.var(0).mean())] * 5, rel=0.1)
    largest = theta.argmax(-1).bincount(minlength=5) / 20_000
    assert largest.tolist() == pytest.approx([0.2] * 5, abs=0.02)


def test_the_softmax_mixture_nears_the_corners_with_distance():
    highest = [float(drawn(SoftmaxMixture(5, distance), 5_000).max(-1).values.mean()) for distance in (0.0, 3.0, 10.0)]
    assert highest == sorted(highest)
    assert highest[-1] > 0.99


def test_the_softmax_mixture_is_the_softmax_of_gaussians_around_the_axes():
    """log theta_c - log theta_j, where c is the largest, is z_c - z_j: distance apart, variance 2."""
    theta = drawn(SoftmaxMixture(2, 8.0), 20_000, torch.float64)
    gap = (theta.max(-1).values / theta.min(-1).values).log()
    assert gap.mean().item() == pytest.approx(8.0, abs=0.05)
    assert gap.var().item() == pytest.approx(2.0, rel=0.05)


@pytest.mark.parametrize("n_topics", [2, 5])
def test_dirichlet_of_concentration_a_thousandth(n_topics):
    theta = drawn(Dirichlet(n_topics, 0.001), 20_000)
    expected = (n_topics - 1) / n_topics**2 / (0.001 * n_topics + 1)
    assert float(theta.var(0).mean()) == pytest.approx(expected, rel=0.02)
