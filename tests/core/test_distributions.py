"""Gaussian posteriors, the mixture prior and the priors over theta, against closed forms and draws."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest, norm, vonmises
from torch.distributions import Categorical, Independent, MixtureSameFamily, kl_divergence
from torch.distributions import Normal as TorchNormal

from topicnet.core.counter_rng import UPPER, Noise
from topicnet.core.distributions import (
    COMPONENT_LOG_VAR,
    Dirichlet,
    GaussianMixture,
    Normal,
    Point,
    SoftmaxMixture,
    StandardNormal,
    UniformSphere,
    VonMisesFisher,
)


def mixture(means, scales, weights):
    """Make a mixture in double precision."""
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
    """Build the same components from torch's own distributions."""
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
    """Two components at +-1 with scale 0.4 and q(z|x) = N(0.4, 0.81) have the known bounds -3.494 and -2.474."""
    prior = mixture([[-1.0], [1.0]], [[0.4], [0.4]], [0.5, 0.5])
    q = Normal(torch.tensor([[0.4]]).double(), torch.tensor([[0.81]]).double().log())
    nodes, weights = np.polynomial.hermite_e.hermegauss(150)
    nodes, weights = torch.as_tensor(nodes)[:, None], torch.as_tensor(weights / weights.sum())
    log_p = prior.log_responsibility(q.mean + 0.9 * nodes)  # log p(c|z), (S, C)
    best, heuristic = prior.log_assignment(q), (weights @ log_p.exp()).log()[None]
    assert best.exp().tolist() == [pytest.approx([0.0067, 0.9933], abs=2e-4)]
    assert heuristic.exp().tolist() == [pytest.approx([0.331, 0.669], abs=2e-3)]
    # log q*(c) is E log p(c|z), normalised.
    assert torch.allclose(best, (weights @ log_p).log_softmax(-1)[None], atol=1e-4)
    bounds = [float((a.exp() * (weights @ log_p - a)).sum()) for a in (best, heuristic)]
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


def test_a_mixture_starts_as_a_standard_normal_with_noise_in_the_means():
    torch.manual_seed(0)
    prior = GaussianMixture(50, 20)
    assert torch.equal(prior.log_var, torch.zeros(50, 20))
    assert torch.allclose(prior.log_weights().exp(), torch.full((50,), 1 / 50))
    assert prior.means.std().item() == pytest.approx(0.1, abs=0.01)


def test_an_isotropic_component_has_one_variance():
    q = Normal(torch.tensor([[1.0, -2.0], [0.5, 0.0]]), torch.tensor([[0.1, -0.3], [0.0, 0.2]]))
    variances = torch.tensor([[0.5, 1.5], [2.0, 2.0]])
    isotropic, diagonal = GaussianMixture(2, 2, isotropic=True), GaussianMixture(2, 2)
    isotropic.start_from(torch.tensor([[0.0, 1.0], [2.0, 2.0]]), variances.log())
    diagonal.start_from(torch.tensor([[0.0, 1.0], [2.0, 2.0]]), torch.tensor([[1.0, 1.0], [2.0, 2.0]]).log())
    assert torch.allclose(isotropic.log_var, diagonal.log_var)
    assert torch.allclose(isotropic.log_assignment(q), diagonal.log_assignment(q))
    assert torch.allclose(isotropic.kl(q, isotropic.log_assignment(q)), diagonal.kl(q, diagonal.log_assignment(q)))
    isotropic.kl(q, isotropic.log_assignment(q)).sum().backward()
    assert isotropic.free_log_var.grad.shape == (2, 1)


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
def test_dirichlet_draws_at_concentration_0_001_have_its_variance(n_topics):
    theta = drawn(Dirichlet(n_topics, 0.001), 20_000)
    expected = (n_topics - 1) / n_topics**2 / (0.001 * n_topics + 1)
    assert float(theta.var(0).mean()) == pytest.approx(expected, rel=0.02)


# ---------------------------------------------------------------- densities and draws


def noise(n_docs, seed=0):
    return Noise.of(seed, np.arange(n_docs), torch.device("cpu"))


def unweighted(n_components=3, latent_dim=2):
    """Make a mixture with fixed weights, in double precision."""
    torch.manual_seed(1)
    prior = GaussianMixture(n_components, latent_dim, learn_weights=False, spread=1.0).double()
    with torch.no_grad():
        prior.free_log_var.normal_()
    return prior.requires_grad_(False)


def test_densities_equal_those_of_torch():
    q, z = posterior(), posterior(seed=5).mean
    assert torch.allclose(q.log_density(z), TorchNormal(q.mean, (0.5 * q.log_var).exp()).log_prob(z).sum(-1))
    assert torch.allclose(StandardNormal(2).log_density(z), TorchNormal(0.0, 1.0).log_prob(z).sum(-1))
    for prior in (random_mixture(), unweighted()):
        reference = MixtureSameFamily(Categorical(logits=prior.logits), components(prior))
        assert torch.allclose(prior.log_density(z), reference.log_prob(z))


def test_a_mixture_s_density_is_the_log_of_the_mean_not_the_mean_of_the_logs():
    prior, z = unweighted(), posterior().mean
    each = components(prior).log_prob(z[:, None])  # (B, C)
    assert torch.allclose(prior.log_density(z), each.exp().mean(-1).log())
    assert (prior.log_density(z) > each.mean(-1) + 1e-3).all()


@pytest.mark.parametrize("prior", [random_mixture(4, 1), unweighted(4, 1)], ids=["weighted", "unweighted"])
def test_a_mixture_s_density_integrates_to_1(prior):
    grid = torch.linspace(-40.0, 40.0, 200_001, dtype=torch.float64)
    assert torch.trapezoid(prior.log_density(grid[:, None]).exp(), grid).item() == pytest.approx(1.0, abs=1e-9)


def test_densities_of_points_far_away_are_finite():
    z = torch.tensor([[1e3, -1e3], [0.0, 0.0]])
    prior = unweighted().float()
    assert torch.isfinite(prior.log_density(z)).all()
    assert torch.isfinite(prior.log_responsibility(z)).all()


def test_kl_from_another_gaussian_equals_that_of_torch():
    q, p = posterior(), posterior(seed=7)
    expected = kl_divergence(*(TorchNormal(one.mean, (0.5 * one.log_var).exp()) for one in (q, p))).sum(-1)
    assert torch.allclose(q.kl_from(p), expected)
    assert torch.allclose(q.kl_from(q), torch.zeros(4, dtype=torch.float64), atol=1e-12)
    zeros = torch.zeros(4, 2, dtype=torch.float64)
    assert torch.allclose(q.kl_from(Normal(zeros, zeros)), StandardNormal(2).kl(q))


def of_one(q, n_draws):
    """Repeat the first posterior of a batch once per draw."""
    return Normal(*(value[:1].expand(n_draws, -1) for value in (q.mean, q.log_var)), noise(n_draws))


@pytest.mark.parametrize("pair", ["standard", "gaussian", "component"])
def test_closed_forms_are_the_mean_over_draws(pair):
    """The mean of log q - log p over 1e5 draws is within four standard errors of the closed form."""
    q = of_one(posterior(), 100_000)
    z = q.sample()
    if pair == "standard":
        closed, log_p = StandardNormal(2).kl(q), StandardNormal(2).log_density(z)
    else:
        # One component of the mixture, as a Gaussian or by its weights: two ways to the same closed form.
        prior = random_mixture()
        which = torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64)
        p = prior.component(which)
        closed = q.kl_from(p) if pair == "gaussian" else prior.kl_by(q, which.expand(len(z), -1)).sum(-1)
        log_p = p.log_density(z)
    gap = q.log_density(z) - log_p - closed
    assert abs(gap.mean()) < 4 * gap.std() / math.sqrt(len(gap))
    assert closed[0] > 0.1


def test_a_component_is_its_row_and_relaxed_categories_mix_rows():
    prior = random_mixture()
    for c in range(3):
        p = prior.component(torch.eye(3, dtype=torch.float64)[[c]])
        assert torch.equal(p.mean[0], prior.means[c])
        assert torch.equal(p.log_var[0], prior.log_var[c])
    half = prior.component(torch.tensor([[0.5, 0.5, 0.0]], dtype=torch.float64))
    assert torch.allclose(half.mean[0], prior.means[:2].mean(0))


def test_kl_by_weights_is_the_weighted_sum_of_components_and_weights_may_be_0():
    prior, q = random_mixture(), posterior()
    each = torch.stack(
        [q.kl_from(Normal(m[None], v[None])) for m, v in zip(prior.means, prior.log_var, strict=True)], 1
    )
    for weights in ([0.2, 0.3, 0.5], [0.0, 1.0, 0.0], [0.7, 0.0, 0.3]):
        given = torch.tensor(weights, dtype=torch.float64).expand(4, -1)
        assert torch.allclose(prior.kl_by(q, given).sum(-1), (given * each).sum(-1))
    certain = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64).expand(4, -1)
    assert torch.allclose(prior.kl_by(q, certain), prior.kl_per_dimension(q, certain.log()))


def test_fixed_mixture_weights_are_not_parameters():
    prior = GaussianMixture(5, 2, learn_weights=False)
    assert {name for name, _ in prior.named_parameters()} == {"means", "free_log_var"}
    assert torch.allclose(prior.log_weights().exp(), torch.full((5,), 0.2))
    assert "logits" in {name for name, _ in GaussianMixture(5, 2).named_parameters()}
    torch.manual_seed(0)
    assert GaussianMixture(50, 20, spread=1.0).means.std().item() == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("prior", [random_mixture(4, 1), unweighted(4, 1)], ids=["weighted", "unweighted"])
def test_draws_of_a_mixture_have_its_distribution(prior):
    z = prior.sample(noise(20_000), torch.zeros(20_000, 1, dtype=torch.float64)).numpy().ravel()
    scales, weights = (0.5 * prior.log_var).exp().numpy().ravel(), prior.log_weights().exp().numpy()

    def cumulative(x):
        return sum(w * norm.cdf(x, m, s) for w, m, s in zip(weights, prior.means.ravel().numpy(), scales, strict=True))

    assert kstest(z, cumulative).pvalue > 1e-3


def test_prior_draws_are_uncorrelated_with_posterior_draws():
    like = torch.zeros(20_000, 2)
    drawn = StandardNormal(2).sample(noise(20_000), like)
    assert kstest(drawn.double().numpy().ravel(), "norm").pvalue > 1e-3
    q = Normal(like, like, noise(20_000))
    assert abs(np.corrcoef(drawn.ravel(), q.sample().ravel())[0, 1]) < 0.03
    assert abs(np.corrcoef(q.sample(UPPER).ravel(), q.sample().ravel())[0, 1]) < 0.03


def test_sampling_a_point_posterior_returns_its_mean():
    mean = posterior().mean
    assert Point(mean).sample() is mean


SPHERES = [UniformSphere(3), VonMisesFisher(3, 2.0), VonMisesFisher(3, 10.0, n_components=6), VonMisesFisher(2, 4.0)]


@pytest.mark.parametrize("prior", SPHERES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_on_the_sphere_are_unit_vectors_that_depend_on_their_document_only(prior, dtype):
    like = torch.zeros(50, prior.latent_dim, dtype=dtype)
    z = prior.sample(noise(50), like)
    assert z.dtype == dtype
    assert torch.allclose(z.norm(dim=1), torch.ones(50, dtype=dtype), atol=1e-6)
    assert torch.equal(z[:20], prior.sample(noise(20), like[:20]))


def test_draws_from_the_uniform_sphere_have_uniform_heights():
    """Archimedes: on the sphere in three dimensions, each coordinate is uniform in [-1, 1]."""
    z = UniformSphere(3).sample(noise(20_000), torch.zeros(20_000, 3, dtype=torch.float64)).numpy()
    assert all(kstest(z[:, axis], "uniform", (-1, 2)).pvalue > 1e-3 for axis in range(3))


@pytest.mark.parametrize("kappa", [0.5, 10.0])
def test_draws_of_a_von_mises_fisher_distribution_have_its_density(kappa):
    """In three dimensions the cosine w has a density proportional to exp(kappa w); the angle across is uniform."""
    z = VonMisesFisher(3, kappa).sample(noise(20_000), torch.zeros(20_000, 3, dtype=torch.float64)).numpy()

    def cumulative(w):
        return (np.exp(kappa * w) - np.exp(-kappa)) / (2 * np.sinh(kappa))

    assert kstest(z[:, 0], cumulative).pvalue > 1e-3
    angle = np.arctan2(z[:, 2], z[:, 1])
    assert kstest(angle, "uniform", (-np.pi, 2 * np.pi)).pvalue > 1e-3
    assert abs(np.corrcoef(angle, z[:, 0])[0, 1]) < 0.03


def test_in_the_plane_the_angle_is_von_mises():
    z = VonMisesFisher(2, 4.0).sample(noise(20_000), torch.zeros(20_000, 2, dtype=torch.float64)).numpy()
    assert kstest(np.arctan2(z[:, 1], z[:, 0]), vonmises(4.0).cdf).pvalue > 1e-3


def test_a_mixture_on_the_sphere_has_a_component_for_each_direction_of_each_axis():
    prior = VonMisesFisher(4, 50.0, n_components=8)
    z = prior.sample(noise(8_000), torch.zeros(8_000, 4))
    nearest = z.abs().argmax(1) * 2 + (z.gather(1, z.abs().argmax(1, keepdim=True))[:, 0] < 0)
    counts = torch.bincount(nearest, minlength=8)
    assert ((counts - 1000).abs() < 5 * 1000**0.5).all()
    assert torch.equal(prior.mean_direction(z), torch.zeros(1, 4))
    assert torch.equal(VonMisesFisher(3, 1.0).mean_direction(z), torch.eye(3)[:1])
    assert torch.equal(UniformSphere(3).mean_direction(z), torch.zeros(1, 3))
