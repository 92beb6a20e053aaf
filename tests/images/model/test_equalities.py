"""Variants coincide when their difference is switched off, and a linear model reaches its known optimum."""

import math

import numpy as np
import pytest
import torch

from tests.support.images import (
    CATEGORICAL,
    CPU,
    K,
    P,
    Z,
    linear_head,
    one_image,
    perturbed,
    small_vae,
    some_images,
    some_noise,
    standard_errors,
    with_zero_weights_for_c,
)
from topicnet.images.model.batches import ImageBatch, ImageBatches
from topicnet.images.model.nets import Sizes
from topicnet.images.model.training import Training, TrainingSettings
from topicnet.images.model.vae import Vae
from topicnet.images.model.variants import VARIANTS, ramps, resolve_parameters
from topicnet.runtime.threads import chosen_threads
from topicnet.training.schedule import Schedule

N_STEPS = 10


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Use one thread: several wait for each other on a busy machine."""
    with chosen_threads():
        yield


def with_weights_of_vae(name, **options):
    """Build the plain VAE and a variant with the same weights where shapes agree.

    Weights for c are 0, except the decoder's with a single category: this is a constant input, which the plain VAE has
    in its bias.
    """
    plain, other = perturbed(small_vae("vae")), small_vae(name, **options)
    theirs = plain.state_dict()
    with torch.no_grad():
        for key, value in other.state_dict().items():
            if key not in theirs:
                continue
            if value.shape == theirs[key].shape:
                value.copy_(theirs[key])
            else:
                value.zero_()
                value[:, : theirs[key].shape[1]] = theirs[key]
    return plain, other


def standard_mixture(mixture):
    with torch.no_grad():
        mixture.means.zero_()
        mixture.free_log_var.zero_()


def schedule_of(name, **parameters):
    """The schedule of a fit without warm-up."""
    variant, numbers = VARIANTS[name], resolve_parameters(name, parameters)
    numbers = {key: value for key, value in numbers.items() if not isinstance(value, str)}
    return Schedule(N_STEPS, 1.0, weights=variant.weights(numbers), targets=ramps(variant, numbers, K))


def loss(vae, batch, schedule, step=N_STEPS - 1):
    return sum(schedule.weighted(name, value.mean(), step) for name, value in vae.terms(batch).items())


def totals(vae, batch):
    """Sum of all terms for each image, (B,)."""
    return sum(vae.terms(batch).values())


def assert_equal_losses(first, second, first_schedule=None, second_schedule=None):
    """Assert equal losses, and equal gradients of all weights that both have."""
    batch = some_images()
    none = Schedule(N_STEPS, 1.0)
    for vae, schedule in ((first, first_schedule or none), (second, second_schedule or none)):
        vae.train().zero_grad()
        loss(vae, batch, schedule).backward()
    assert loss(first, batch, first_schedule or none).item() == pytest.approx(
        loss(second, batch, second_schedule or none).item(), rel=1e-12
    )
    others = dict(second.named_parameters())
    for key, value in first.named_parameters():
        if key in others and others[key].shape == value.shape:
            assert torch.allclose(value.grad, others[key].grad, rtol=1e-9, atol=1e-12), key


# ---------------------------------------------------------------- weights of terms


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("beta-vae", {"beta": 1.0}),
        ("capacity-vae", {"gamma": 1.0, "capacity": 0.0}),
        ("factor-vae", {"gamma": 0.0}),
        ("dip-vae-i", {"lambda_od": 0.0, "lambda_d": 0.0}),
        ("dip-vae-ii", {"lambda_od": 0.0, "lambda_d": 0.0}),
        ("info-vae", {"alpha": 0.0, "lambda": 1.0}),
        ("vmi-z", {"lambda": 0.0}),
        ("iwae", {"draws": 1.0}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_variants_equal_the_vae_if_their_additions_have_no_weight(name, parameters):
    plain, other = with_weights_of_vae(name, **parameters)
    assert_equal_losses(plain, other, None, schedule_of(name, **parameters))


@pytest.mark.parametrize("name", ["beta-vae", "factor-vae", "dip-vae-i", "dip-vae-ii", "info-vae", "vmi-z"])
def test_variants_differ_from_the_vae_by_default(name):
    plain, other = with_weights_of_vae(name)
    with torch.no_grad():
        losses = [
            loss(vae, some_images(), schedule).item()
            for vae, schedule in ((plain, Schedule(N_STEPS, 1.0)), (other, schedule_of(name)))
        ]
    assert abs(losses[0] - losses[1]) > 1e-3


@pytest.mark.parametrize("gamma", [1.0, 7.0])
def test_capacity_zero_equals_beta_vae(gamma):
    beta, capacity = small_vae("beta-vae"), small_vae("capacity-vae")
    capacity.load_state_dict(beta.state_dict())
    schedules = schedule_of("beta-vae", beta=gamma), schedule_of("capacity-vae", gamma=gamma, capacity=0.0)
    assert_equal_losses(beta, capacity, *schedules)


@pytest.mark.parametrize("estimator", ["mws", "mss"])
def test_beta_tcvae_with_unit_weights_equals_the_vae_with_a_sampled_divergence(estimator):
    plain, other = with_weights_of_vae("beta-tcvae", tc_estimator=estimator)
    batch = some_images()
    draw = plain.latents.draw(batch.pixels, batch.noise)
    expected = (
        plain.terms(batch)["reconstruction"] + draw.q.log_density(draw.z) - plain.latents.prior.log_density(draw.z)
    )
    assert torch.allclose(totals(other, batch), expected, rtol=1e-12)
    ones = schedule_of("beta-tcvae", alpha=1.0, beta=1.0, gamma=1.0)
    assert loss(other, batch, ones).item() == pytest.approx(expected.mean().item(), rel=1e-12)
    many = one_image(100_000)
    with torch.no_grad():
        draw = plain.latents.draw(many.pixels, many.noise)
        drawn = draw.q.log_density(draw.z) - plain.latents.prior.log_density(draw.z)
        assert abs(standard_errors(drawn - draw.terms["kl_z"])) < 4


def test_factor_vae_with_a_perfect_critic_equals_beta_tcvae():
    """FactorVAE(gamma) = beta-TCVAE(gamma + 1), given the same estimate of the total correlation."""
    _, factor = with_weights_of_vae("factor-vae")
    _, beta = with_weights_of_vae("beta-tcvae")
    batch = some_images()
    with torch.no_grad():
        terms = beta.terms(batch)
        divergence = sum(terms[name].mean() for name in ("index_information", "total_correlation", "dimension_kl"))
        combined = terms | {"kl_z": divergence}
        gamma = 3.0
        first = {
            name: value for name, value in combined.items() if name in ("reconstruction", "kl_z", "total_correlation")
        }
        assert factor.terms(batch).keys() == first.keys()
        losses = [
            sum(schedule.weighted(name, value.mean(), 0).item() for name, value in parts.items())
            for parts, schedule in (
                (first, schedule_of("factor-vae", gamma=gamma)),
                (terms, schedule_of("beta-tcvae", beta=gamma + 1)),
            )
        ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)


# ---------------------------------------------------------------- priors


def assert_the_vae_at_each_draw(plain, other):
    """Assert that the divergence is that of the draw: the plain VAE's log q - log p instead of the closed form."""
    batch = some_images()
    draw = plain.latents.draw(batch.pixels, batch.noise)
    expected = draw.q.log_density(draw.z) - plain.latents.prior.log_density(draw.z)
    terms = other.terms(batch)
    assert torch.allclose(terms["kl_z"], expected)
    assert torch.allclose(terms["reconstruction"], plain.terms(batch)["reconstruction"])
    weights = [vae.log_weights(batch, 3) for vae in (plain, other)]
    assert torch.allclose(*weights)


def test_a_mixture_of_standard_normals_equals_the_vae():
    plain, other = with_weights_of_vae("mog")
    standard_mixture(other.latents.prior.mixture)
    assert_the_vae_at_each_draw(plain, other)


def test_a_vampprior_whose_only_input_is_encoded_as_n_0_i_equals_the_vae():
    _, other = with_weights_of_vae("vampprior", components=1.0)
    head = other.latents.head
    with torch.no_grad():
        q = other.latents.posterior(other.latents.prior.inputs)
        head.mean.bias.sub_(q.mean[0])
        head.log_var.bias.sub_(q.log_var[0])
        plain = small_vae("vae")
        plain.load_state_dict({key: value for key, value in other.state_dict().items() if "prior" not in key})
    assert_the_vae_at_each_draw(plain, other)


def test_two_levels_cost_one_if_the_lower_equals_its_prior():
    """HVAE with q(z1|x,z2) = p(z1|z2) = N(0, I) has the divergence of its upper level."""
    vae = perturbed(small_vae("hvae"))
    with torch.no_grad():
        for head in (vae.latents.lower, vae.latents.prior_head):
            for layer in (head.mean, head.log_var):
                layer.weight.zero_()
                layer.bias.zero_()
        terms = vae.terms(some_images())
    assert torch.equal(terms["kl_z1"], torch.zeros(20).double())
    assert (terms["kl_z2"] > 0).all()
    upper = vae.latents.upper.draw(some_images().pixels, some_images().noise).terms["kl_z"]
    assert torch.allclose(terms["kl_z2"], upper)


# ---------------------------------------------------------------- categories


@pytest.mark.parametrize("estimator", ["gumbel", "straight-through", "enumerate"])
@pytest.mark.parametrize("name", ["cp-vae", "indq", "indp", "indqp"])
def test_ignored_categories_leave_the_vae(name, estimator):
    """c is ignored by the heads and the decoder, p(z|c) = N(0, I), and q(c|x) is uniform."""
    plain, other = with_weights_of_vae(name, estimator=estimator, **linear_head(name))
    with torch.no_grad():
        other.latents.category.weight.zero_()
        other.latents.category.bias.zero_()
    if other.latents.mixture is not None:
        standard_mixture(other.latents.mixture)
    batch = some_images()
    for training in (True, False):
        assert torch.allclose(totals(other.train(training), batch), totals(plain, batch), rtol=1e-12)
    shared = {key for key, value in plain.state_dict().items() if other.state_dict()[key].shape == value.shape}
    for vae in (plain, other):
        totals(vae, batch).sum().backward()
    for key in shared - {"decoder.branches.0.0.both.weight"}:
        gradients = [dict(vae.named_parameters())[key].grad for vae in (plain, other)]
        assert torch.allclose(*gradients, rtol=1e-9, atol=1e-12), key


def fold_the_only_category(plain, other):
    """Move the contribution of a single category, always 1, from decoder and heads to the biases of the plain VAE."""
    generator = torch.Generator().manual_seed(5)
    layers = [(plain.decoder.branches[0][0].both, other.decoder.branches[0][0].both)]
    layers += [(getattr(plain.latents.head, kind), getattr(other.latents.head, kind)) for kind in ("mean", "log_var")]
    with torch.no_grad():
        for mine, its in layers:
            extra = its.weight.shape[1] - mine.weight.shape[1]
            if extra:
                its.weight[:, -extra:] = 0.2 * torch.randn(len(its.weight), extra, generator=generator).double()
                mine.bias.add_(its.weight[:, -extra:].sum(1))


@pytest.mark.parametrize("estimator", ["gumbel", "straight-through", "enumerate"])
@pytest.mark.parametrize("name", CATEGORICAL)
def test_one_category_equals_the_vae(name, estimator):
    plain, other = with_weights_of_vae(name, n_categories=1, estimator=estimator, **linear_head(name))
    fold_the_only_category(plain, other)
    if other.latents.mixture is not None:
        standard_mixture(other.latents.mixture)
    batch = some_images()
    for training in (True, False):
        terms = other.train(training).terms(batch)
        assert torch.allclose(sum(terms.values()), totals(plain, batch), rtol=1e-12)
        assert all((terms[term] == 0).all() for term in {"kl_c", "lack_of_information"} & terms.keys())


@pytest.mark.parametrize("assignment", ["optimal", "mean-posterior"])
def test_one_standard_cluster_equals_the_vae(assignment):
    plain, other = with_weights_of_vae("vade", n_categories=1, assignment=assignment)
    standard_mixture(other.latents.mixture)
    assert torch.allclose(totals(other, some_images()), totals(plain, some_images()), rtol=1e-12)
    assert torch.allclose(*(vae.log_weights(some_images(), 4) for vae in (plain, other)))


@pytest.mark.parametrize("n_categories", [1, K])
def test_gmvae_with_standard_components_equals_the_vae(n_categories):
    """GMVAE with q(w|x) = p(w) and p(z|w,c) = N(0, I)."""
    plain, other = with_weights_of_vae("gmvae", n_categories=n_categories)
    with torch.no_grad():
        for head in (other.latents.w_head, other.latents.components):
            for layer in (head.mean, head.log_var):
                layer.weight.zero_()
                layer.bias.zero_()
    assert torch.allclose(totals(other, some_images()), totals(plain, some_images()), rtol=1e-12)
    assert torch.allclose(*(vae.log_weights(some_images(), 4) for vae in (plain, other)))


@pytest.mark.parametrize(("conditional", "other"), [("indp", "indqp"), ("cp-vae", "indq")])
def test_zero_weights_for_c_equal_a_model_without_them(conditional, other):
    first, second = with_zero_weights_for_c(conditional, other)
    batch = some_images()
    terms = first.terms(batch), second.terms(batch)
    assert torch.allclose(terms[0]["reconstruction"], terms[1]["reconstruction"], rtol=1e-12)
    assert torch.allclose(terms[0]["kl_c"], terms[1]["kl_c"], rtol=1e-12)
    # The divergence of z is the same too, unless p(z|c) is learned: one uses the drawn c, the other q(c|x), exactly.
    assert torch.allclose(terms[0]["kl_z"], terms[1]["kl_z"]) == (first.latents.mixture is None)


@pytest.mark.parametrize("name", ["cp-vae", "indq", "indp", "indqp"])
@torch.no_grad()
def test_enumeration_is_the_average_of_hard_categories(name):
    """1e5 draws: the mean difference is within four standard errors."""
    exact, drawn = (perturbed(small_vae(name, estimator=estimator)).eval() for estimator in ("enumerate", "gumbel"))
    drawn.load_state_dict(exact.state_dict())
    batch = one_image(100_000)
    assert float(drawn.latents.log_categories(batch.pixels[:1]).exp().min()) > 0.02
    gap = totals(drawn, batch) - totals(exact, batch)
    assert gap.abs().max() > 0.1
    assert abs(standard_errors(gap)) < 4


@torch.no_grad()
def test_joint_vae_without_capacity_equals_indqp_with_a_large_weight():
    first, second = small_vae("indqp"), small_vae("joint-vae")
    second.load_state_dict(first.state_dict())
    batch, weights = some_images(), {"kl_z": 30.0, "kl_c": 30.0}
    assert loss(second, batch, schedule_of("joint-vae", capacity_z=0.0, capacity_c=0.0)).item() == pytest.approx(
        loss(first, batch, Schedule(N_STEPS, 1.0, weights=weights)).item(), rel=1e-12
    )
    assert schedule_of("joint-vae").targets["kl_c"].most == math.log(K)  # the largest possible value


# ---------------------------------------------------------------- importance weights


@torch.no_grad()
def test_more_draws_give_a_tighter_bound_and_one_draw_the_plain_bound():
    vae = perturbed(small_vae("iwae", draws=5.0))
    batch = one_image(20_000)
    log_w = vae.log_weights(batch, 5)
    assert torch.allclose(vae.terms(batch)["importance_bound"], -(log_w.exp().mean(0).log()))
    bound = sum(vae.bound(batch).values())
    assert abs(standard_errors(bound + log_w[0])) < 4
    means = [float((math.log(n) - log_w[:n].logsumexp(0)).mean()) for n in (1, 2, 5)]
    assert means == sorted(means, reverse=True)
    assert means[0] - means[2] > 0.01


def broaden(latents):
    """Make posteriors wider than their priors: narrow ones give importance weights that hardly vary."""
    heads = {"head", "lower", "w_head"}
    with torch.no_grad():
        for key, part in latents.named_modules():
            if key.rpartition(".")[-1] in heads:
                part.mean.weight.mul_(0.3)
                part.log_var.weight.zero_()
                part.log_var.bias.fill_(1.0)


@pytest.mark.parametrize("name", ["vae", "cp-vae", "indq", "hvae", "vade", "gmvae", "mog"])
@torch.no_grad()
def test_importance_weights_average_to_the_probability_of_the_image(name):
    """For images of two pixels, the mean weight equals the frequency with which the model generates the image."""
    sizes = Sizes(2, 1, 4, 1, K if VARIANTS[name].has_categories else None)
    vae = perturbed(small_vae(name, sizes=sizes)).eval()
    broaden(vae.latents)
    images = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    n = 20_000
    weights = vae.log_weights(ImageBatch(images, some_noise(4)), n).exp()  # (n, 4)
    out = vae.decoder(vae.latents.sample(some_noise(n, 3), n))
    likelihoods = torch.stack([(-vae.likelihood.nats(x.expand(n, -1), out)).exp() for x in images], 1)
    assert torch.allclose(likelihoods.sum(1), torch.ones(n).double())
    error = ((weights.var(0) + likelihoods.var(0)) / n).sqrt()
    assert ((weights.mean(0) - likelihoods.mean(0)).abs() < 4 * error).all()
    assert error.max() < 0.01


# ---------------------------------------------------------------- a known optimum


def with_eigenvalues(n_images, values, seed=3):
    """Points (n, d) whose covariance has exactly these eigenvalues."""
    rng = np.random.default_rng(seed)
    white = rng.normal(size=(n_images, len(values)))
    white -= white.mean(0)
    white = white @ np.linalg.inv(np.linalg.cholesky(white.T @ white / n_images)).T
    axes = np.linalg.qr(rng.normal(size=(len(values), len(values))))[0]
    return white * np.sqrt(values) @ axes.T + rng.normal(size=len(values))


def linear_bound(vae: Vae, x):
    """The negative bound of a linear model with Gaussian pixels, (B,), in closed form."""
    q = vae.latents.posterior(x)
    spread = q.log_var.exp() @ vae.decoder.out.weight.square().sum(0) / vae.likelihood.log_var.exp()
    return vae.likelihood.nats(x, vae.decoder((q.mean,))) + 0.5 * spread + vae.latents.prior.normal.kl(q)


def test_a_linear_model_learns_probabilistic_principal_components():
    """The best bound is the likelihood of probabilistic PCA (Tipping & Bishop 1999), reached here to 1e-3 nats."""
    values, k = np.array([1.5, 1.0, 0.6, 0.5, 0.5, 0.4]), 2
    x = with_eigenvalues(100, values)
    d, noise = len(values), values[k:].mean()
    exact = 0.5 * (d * math.log(2 * math.pi) + np.log(values[:k]).sum() + (d - k) * math.log(noise) + d)
    vae = small_vae("vae", likelihood="gaussian", sizes=Sizes(d, k, 8, 0, None))
    with torch.no_grad():
        vae.likelihood.log_var.fill_(-2.0)  # the default is smaller, as suits pixels
    batches = ImageBatches(torch.as_tensor(np.tile(x, (20, 1))), 200, CPU, binarise=False)
    settings = TrainingSettings(
        max_epochs=200, patience=200, learning_rate=0.1, warm_up=0.0, one_cycle=True, normalise=False
    )
    Training(
        vae, VARIANTS["vae"], {}, settings, batches, None, 0, listener=lambda news: None, interrupted=lambda: False
    ).run(None)
    with torch.no_grad():
        bound = float(linear_bound(vae, torch.as_tensor(x)).mean())
        drawn = ImageBatch(torch.as_tensor(x).repeat(100, 1), some_noise(10_000))
        sampled = sum(vae.bound(drawn).values())
        assert float(sampled.mean()) == pytest.approx(bound, abs=5 * float(sampled.std()) / 100)
    assert exact - 1e-9 <= bound < exact + 1e-3
    assert vae.likelihood.log_var.exp().item() == pytest.approx(noise, rel=0.01)
    assert (d, k) != (P, Z)
