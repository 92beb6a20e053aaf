"""Factorisations of q and p: closed forms against draws, normalised priors, and known errors with categories."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, kstest

from tests.support.images import (
    CATEGORICAL,
    H,
    K,
    P,
    Z,
    one_image,
    perturbed,
    small_vae,
    some_images,
    some_noise,
    standard_errors,
    with_zero_weights_for_c,
)
from topicnet.core.counter_rng import UPPER, Noise
from topicnet.core.distributions import Normal
from topicnet.images.model.batches import ImageBatch
from topicnet.images.model.hierarchies import ClusteredLatents
from topicnet.images.model.latents import ANNEALED_FRACTION, ESTIMATORS, CategoricalLatents, GaussianLatents
from topicnet.images.model.nets import LOG_VAR_RANGE, Sizes
from topicnet.images.model.variants import VARIANTS
from topicnet.runtime.threads import chosen_threads

# One of each kind: all other variants share their latents and prior with one of these.
FACTORISATIONS = (
    "vae", "mog", "vampprior", "hvae", "hvp", "cp-vae", "indq", "indp", "indqp", "vade", "gmvae",
)  # fmt: skip
# Where q(c|x) follows from z, it is averaged separately from z, which gives a looser bound.
LOOSE = ("vade", "gmvae")


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Use one thread: several wait for each other on a busy machine."""
    with chosen_threads():
        yield


# ---------------------------------------------------------------- closed forms


@pytest.mark.parametrize("name", FACTORISATIONS)
@torch.no_grad()
def test_divergences_are_on_average_what_draws_cost(name):
    """E sum of terms = -E log p(latents) / q(latents|x) within four standard errors, or larger for loose bounds."""
    vae = perturbed(small_vae(name)).eval()
    batch = one_image(100_000)
    draw = vae.latents.draw(batch.pixels, batch.noise)
    found = sum(draw.terms.values())
    spent = -vae.latents.importance_draw(batch.pixels, batch.noise).log_ratio
    assert float(found.mean()) > 0.05
    error = standard_errors(found - spent)
    assert error > -4
    assert error < 4 or name in LOOSE


@pytest.mark.parametrize("name", ["cp-vae", "indq", "indp", "indqp"])
@torch.no_grad()
def test_enumerated_divergences_equal_the_mean_over_hard_draws(name):
    exact, drawn = (perturbed(small_vae(name, estimator=estimator)).eval() for estimator in ("enumerate", "gumbel"))
    batch = one_image(20_000)
    found = exact.latents.draw(some_images(1).pixels, some_noise(1)).terms  # in closed form, independent of the draw
    sampled = drawn.latents.draw(batch.pixels, batch.noise).terms
    assert abs(standard_errors(sampled["kl_z"] - found["kl_z"])) < 4
    assert torch.allclose(sampled["kl_c"], found["kl_c"])


@torch.no_grad()
def test_the_divergence_of_categories_is_from_the_uniform_distribution():
    vae = perturbed(small_vae("indqp"))
    batch = some_images()
    pi = vae.latents.log_categories(batch.pixels).exp()
    expected = torch.distributions.kl_divergence(
        torch.distributions.Categorical(probs=pi), torch.distributions.Categorical(logits=torch.zeros(K).double())
    )
    assert torch.allclose(vae.latents.draw(batch.pixels, batch.noise).terms["kl_c"], expected)


@torch.no_grad()
def test_the_divergence_of_vade_is_the_mean_over_draws_of_z_and_c():
    vae = perturbed(small_vae("vade"))
    batch = one_image(100_000)
    draw, mixture = vae.latents.draw(batch.pixels, batch.noise), vae.latents.mixture
    q_c = draw.log_q_c[0].exp()
    assert q_c.min() > 0.01
    each = [mixture.component(row.expand(1, -1)).log_density(draw.z) for row in torch.eye(K).double()]
    log_p = torch.stack(each, 1) + mixture.log_weights()  # (n, K): log p(z, c)
    log_ratio = draw.q.log_density(draw.z)[:, None] + q_c.log() - log_p
    found = draw.terms["kl_z"] + draw.terms["kl_c"]
    assert abs(standard_errors((log_ratio * q_c).sum(-1) - found)) < 4


@torch.no_grad()
def test_the_divergence_of_the_lower_level_is_the_mean_over_draws_of_z1():
    latents = perturbed(small_vae("hvae")).latents
    x, z2 = some_images(1).pixels, torch.tensor([[0.3, -0.5, 1.0]]).double()
    q, p = latents._lower(latents.from_pixels(x), z2, None), latents.lower_prior(z2)
    n = 100_000
    drawn = Normal(q.mean.expand(n, -1), q.log_var.expand(n, -1), some_noise(n)).sample()
    gap = q.log_density(drawn) - p.log_density(drawn) - q.kl_from(p)
    assert abs(standard_errors(gap)) < 4


@torch.no_grad()
def test_the_divergences_of_gmvae_given_w_and_c():
    latents = perturbed(small_vae("gmvae")).latents
    batch = some_images(1)
    draw = latents.draw(batch.pixels, batch.noise)
    w = latents.posteriors(batch.pixels, batch.noise)[1].sample(UPPER)
    p = latents.components_given(w)
    log_joint = p.log_density(draw.z[:, None]) - math.log(K)
    assert torch.allclose(draw.log_q_c, log_joint - log_joint.logsumexp(-1, keepdim=True))  # p(c|z,w) is exact
    n = 100_000
    z = Normal(draw.q.mean.expand(n, -1), draw.q.log_var.expand(n, -1), some_noise(n, 3)).sample()
    ratio = draw.q.log_density(z)[:, None] - p.log_density(z[:, None])
    assert abs(standard_errors((ratio * draw.log_q_c.exp()).sum(-1) - draw.terms["kl_z"])) < 4


def test_free_nats_of_clusters_limit_the_loss_and_not_the_bound():
    plain, limited = (perturbed(small_vae("gmvae", least_kl_c=least)) for least in (0.0, 0.9))
    batch = some_images()
    costs = [vae.terms(batch)["kl_c"] for vae in (plain, limited)]
    assert (costs[0] < 0.9).any()
    assert torch.equal(costs[1], costs[0].clamp_min(0.9))
    assert torch.equal(limited.bound(batch)["kl_c"], costs[0])


@pytest.mark.parametrize("name", FACTORISATIONS)
@torch.no_grad()
def test_of_many_weighted_draws_each_is_one_of_its_own(name):
    """The first draw uses the image's own noise, the others different noise, and none depends on other images."""
    vae = perturbed(small_vae(name)).eval()
    batch = some_images(7)
    weights = vae.log_weights(batch, 3)
    assert weights.shape == (3, 7)
    assert torch.allclose(weights[0], vae.log_weights(batch, 1)[0])
    alone = ImageBatch(batch.pixels[4:5], Noise(batch.noise.keys[4:5]))
    assert torch.allclose(weights[:, 4:5], vae.log_weights(alone, 3))
    assert (weights[0] != weights[1]).all()


# ---------------------------------------------------------------- priors


def one_dimensional_prior(name):
    """The prior of a variant with one latent dimension."""
    vae = perturbed(small_vae(name, sizes=Sizes(P, 1, H, 2, None)), by=0.8)
    return vae.latents.prior


@pytest.mark.parametrize("name", ["vae", "mog", "vampprior"])
@torch.no_grad()
def test_a_prior_integrates_to_1_and_its_draws_follow_it(name):
    prior = one_dimensional_prior(name)
    grid = torch.linspace(-30.0, 30.0, 60_001, dtype=torch.float64)
    density = prior.log_density(grid[:, None]).exp()
    assert torch.trapezoid(density, grid).item() == pytest.approx(1.0, abs=1e-6)
    below = torch.cumulative_trapezoid(density, grid).numpy()
    z = prior.sample(some_noise(20_000), torch.zeros(20_000, 1, dtype=torch.float64)).ravel().numpy()
    assert kstest(z, lambda x: np.interp(x, grid[1:].numpy(), below)).pvalue > 1e-3


@torch.no_grad()
def test_the_log_density_of_a_mixture_is_the_log_of_the_mean():
    """Not the mean of the logs, as in public CP-VAE code: this is the log of one Gaussian, not normalised."""
    prior, z = one_dimensional_prior("mog"), torch.linspace(-2.0, 2.0, 7).double()[:, None]
    rows = torch.eye(4).double()
    each = torch.stack([prior.mixture.component(row.expand(7, -1)).log_density(z) for row in rows], 1)
    assert torch.allclose(prior.log_density(z), each.exp().mean(1).log())
    assert (prior.log_density(z) - each.mean(1) > 1e-3).all()


@torch.no_grad()
def test_a_vampprior_is_the_mean_of_its_encoded_inputs():
    vae = perturbed(small_vae("vampprior"))
    prior, z = vae.latents.prior, some_images(5, Z, seed=3).pixels
    each = vae.latents.posterior(prior.inputs)  # (4, Z)
    logs = Normal(each.mean[None], each.log_var[None]).log_density(z[:, None])  # (5, 4)
    assert torch.allclose(prior.log_density(z), logs.exp().mean(1).log())
    assert ((prior.inputs >= 0) & (prior.inputs <= 1)).all()


def test_pseudo_inputs_start_at_images_repeated_if_there_are_too_few():
    for n_images in (2, 9):
        vae = small_vae("vampprior")
        pixels = some_images(n_images, seed=4).pixels
        vae.latents.initialise_from(pixels)
        nearest = torch.cdist(vae.latents.prior.free_inputs.detach(), pixels).min(1)
        assert nearest.values.max() < 0.1
        assert nearest.values.min() > 0  # a little noise separates repeated ones
        assert len(set(nearest.indices.tolist())) == min(4, len(torch.unique(pixels, dim=0)))


def test_variants_without_pseudo_inputs_are_not_initialised_from_images():
    for name in ("vae", "cp-vae", "vade", "aae"):
        vae = small_vae(name)
        before = {key: value.clone() for key, value in vae.state_dict().items()}
        vae.latents.initialise_from(some_images().pixels)
        assert all(torch.equal(value, before[key]) for key, value in vae.state_dict().items())


# ---------------------------------------------------------------- categories


@pytest.mark.parametrize(("name", "depends"), [("cp-vae", True), ("indp", True), ("indq", False), ("indqp", False)])
def test_the_mean_of_z_depends_on_the_drawn_category_if_conditional(name, depends):
    """With pi(x) in place of c, CP-VAE would equal INDq."""
    vae = perturbed(small_vae(name)).train()
    batch = some_images()
    draw = vae.latents.draw(batch.pixels, batch.noise)
    c = torch.full((20, K), 1 / K, dtype=torch.float64, requires_grad=True)
    mean = vae.latents.posterior(vae.latents.body(batch.pixels), c).mean
    (slope,) = torch.autograd.grad(mean.sum(), c, allow_unused=True)
    assert (slope is not None and bool((slope.abs() > 1e-3).any())) == depends
    (through,) = torch.autograd.grad(draw.q.mean.sum(), draw.c, allow_unused=True)
    assert (through is not None) == depends
    # It depends on the draw, not on pi(x): other Gumbel noise gives another mean.
    other = vae.latents.draw(batch.pixels, some_noise(20, seed=9))
    assert torch.equal(draw.log_q_c, other.log_q_c)
    assert torch.equal(draw.q.mean, other.q.mean) != depends


@pytest.mark.parametrize("name", ["cp-vae", "indp"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("training", [True, False])
def test_encoder_decoder_and_divergence_use_the_same_category(name, estimator, training):
    """Public CP-VAE code draws another category for the decoder, and weights the divergence by q(c|x)."""
    vae = perturbed(small_vae(name, estimator=estimator)).train(training)
    batch = some_images()
    draw = vae.latents.draw(batch.pixels, batch.noise)
    repeats = len(draw.c) // 20
    hidden = vae.latents.body(batch.pixels).repeat(repeats, 1)
    assert torch.equal(draw.code[0], torch.cat([draw.z, draw.c], -1))
    assert torch.allclose(vae.latents.posterior(hidden, draw.c).mean, draw.q.mean)
    mixture = vae.latents.mixture
    each = draw.q.kl_from(Normal(torch.zeros(1).double(), torch.zeros(1).double()))
    if mixture is not None:
        pairs = zip(mixture.means, mixture.log_var, strict=True)
        each = (draw.c * torch.stack([draw.q.kl_from(Normal(m[None], v[None])) for m, v in pairs], 1)).sum(1)
    assert torch.allclose(draw.terms["kl_z"], draw.averaged(each))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_categories_are_hard_in_evaluation_mode(estimator):
    vae = small_vae("cp-vae", estimator=estimator)
    batch = some_images()
    for training in (True, False):
        c = vae.train(training).latents.draw(batch.pixels, batch.noise).c
        hard = bool(((c == 0) | (c == 1)).all())
        assert hard == (not training or estimator != "gumbel")
        assert torch.allclose(c.sum(-1), torch.ones(len(c)).double())


def test_straight_through_draws_are_hard_with_the_gradient_of_relaxed_ones():
    x, noise = some_images().pixels, some_noise(20)
    gradients = []
    for estimator in ("gumbel", "straight-through"):
        latents = small_vae("indqp", estimator=estimator).train().latents
        draw = latents.draw(x, noise)
        (draw.c * torch.arange(float(K))).sum().backward()
        gradients.append(latents.category.weight.grad)
    assert torch.allclose(*gradients)
    assert gradients[0].abs().max() > 1e-6


@torch.no_grad()
def test_hard_categories_are_drawn_with_their_probability():
    vae = perturbed(small_vae("cp-vae")).eval()
    batch = one_image(30_000)
    draw = vae.latents.draw(batch.pixels, batch.noise)
    assert chisquare(draw.c.sum(0), 30_000 * draw.log_q_c[0].exp()).pvalue > 1e-3


@torch.no_grad()
def test_a_relaxed_category_at_low_temperature_equals_the_hard_one():
    vae = small_vae("cp-vae").train()
    vae.latents.temperature.fill_(1e-3)
    batch = some_images(200)
    relaxed = vae.latents.draw(batch.pixels, batch.noise).c
    hard = vae.eval().latents.draw(batch.pixels, batch.noise).c
    assert ((relaxed - hard).abs().max(-1).values < 1e-6).double().mean() > 0.95


@pytest.mark.parametrize(("first", "last"), [(1.0, 0.25), (0.2, 0.8)])
def test_the_temperature_goes_geometrically_to_its_last_value_over_half_of_the_run(first, last):
    latents = small_vae("cp-vae", temperature=first, temperature_end=last).latents
    seen = [latents.temperature.item()]
    for done in (0.125, 0.25, ANNEALED_FRACTION, 0.9, 1.0):
        latents.anneal(done)
        seen.append(latents.temperature.item())
    middle = (first * last) ** 0.5
    assert seen == pytest.approx([first, (first * middle) ** 0.5, middle, last, last, last])


@pytest.mark.parametrize("name", CATEGORICAL)
def test_one_temperature_holds_for_the_whole_run(name):
    latents = small_vae(name, temperature=0.7).latents
    for done in (0.0, 0.3, 1.0):
        latents.anneal(done)
        assert latents.temperature.item() == pytest.approx(0.7)


@pytest.mark.parametrize("name", ["cp-vae", "indp"])
@torch.no_grad()
def test_only_a_gated_head_lets_the_category_change_how_z_depends_on_the_image(name):
    """With a linear head, categories k and l differ by the same shift of the mean for all images."""
    for head, shifts_alike in (("linear", True), ("gated", False)):
        latents = perturbed(small_vae(name, head=head)).latents
        hidden = latents.body(some_images().pixels)
        one, other = (latents.posterior(hidden, torch.eye(K).double()[k].expand(len(hidden), K)) for k in (0, 1))
        shift = one.mean - other.mean  # (B, Z)
        assert torch.allclose(shift, shift[:1].expand_as(shift), atol=1e-9) == shifts_alike
        assert shift.abs().max() > 1e-3


@pytest.mark.parametrize("name", ["cp-vae", "indqp", "vmi-c"])
@torch.no_grad()
def test_samples_draw_c_from_q_c_of_the_training_images_and_z_given_c(name):
    latents = perturbed(small_vae(name)).latents
    weights = torch.tensor([0.7, 0.1, 0.2]).double()
    latents.set_category_weights(weights)
    (code,) = latents.sample(some_noise(20_000), 20_000)
    z, c = code[:, :Z], code[:, Z:]
    assert chisquare(c.sum(0), 20_000 * weights).pvalue > 1e-3
    for k in range(K):
        some = z[c[:, k] == 1]
        expected = torch.zeros(Z).double() if latents.mixture is None else latents.mixture.means[k]
        spread = 1.0 if latents.mixture is None else (0.5 * latents.mixture.log_var[k]).exp()
        assert ((some.mean(0) - expected).abs() < 5 * spread / len(some) ** 0.5).all()
        (named,) = latents.sample(some_noise(7), 7, k)
        assert (named[:, Z:].argmax(-1) == k).all()


@torch.no_grad()
def test_clusters_are_drawn_with_their_weights():
    latents = perturbed(small_vae("vade")).latents
    latents.mixture.means.copy_(10.0 * torch.eye(K))
    latents.mixture.logits.copy_(torch.tensor([0.7, 0.1, 0.2]).log())
    (z,) = latents.sample(some_noise(20_000), 20_000)
    assert chisquare(torch.bincount(z.argmax(-1), minlength=K), [14_000, 2_000, 4_000]).pvalue > 1e-3
    assert (latents.sample(some_noise(50), 50, 1)[0].argmax(-1) == 1).all()


# ---------------------------------------------------------------- VaDE's assignment


def two_clusters(assignment):
    """Components at +-1 with variance 0.16, and q(z|x) = N(0.4, 0.81) for every x."""
    latents = ClusteredLatents(Sizes(1, 1, 1, 0, 2), assignment).double()
    with torch.no_grad():
        latents.head.mean.weight.zero_()
        latents.head.mean.bias.fill_(0.4)
        latents.head.log_var.weight.zero_()
        latents.head.log_var.bias.fill_(math.log(0.81))
        latents.cluster(torch.tensor([[-1.0], [1.0]]), torch.full((2, 1), math.log(0.16)), torch.tensor([0.5, 0.5]))
    return latents


@torch.no_grad()
def test_the_optimal_assignment_beats_the_mean_posterior():
    """E log p(c|z) - log q(c), averaged with q, is -2.474 at its optimum and -3.494 for q(c|x) = E p(c|z)."""
    best, paper = two_clusters("optimal"), two_clusters("mean-posterior")
    n = 100_000
    x, noise = torch.zeros(n, 1, dtype=torch.float64), some_noise(n)
    draw = best.draw(x, noise)
    log_p_c = best.mixture.log_responsibility(draw.z)
    mean_posterior = log_p_c.exp().mean(0)
    assert mean_posterior.tolist() == pytest.approx([0.331, 0.669], abs=0.005)
    assert draw.log_q_c[0].exp().tolist() == pytest.approx([0.0067, 0.9933], abs=2e-4)
    values = [float((q_c * (log_p_c.mean(0) - q_c.log())).sum()) for q_c in (draw.log_q_c[0].exp(), mean_posterior)]
    assert values == pytest.approx([-2.474, -3.494], abs=0.05)
    # The model's own divergence agrees: it is log q(z|x) - log p(z) minus that value.
    found = float(sum(draw.terms.values()).mean())
    apart = float((draw.q.log_density(draw.z) - best.mixture.log_density(draw.z)).mean())
    assert apart - found == pytest.approx(values[0], abs=0.02)
    assert float(sum(paper.draw(x, noise).terms.values()).mean()) > found + 0.3


# ---------------------------------------------------------------- all of them


@pytest.mark.parametrize("name", [name for name, variant in VARIANTS.items() if variant.has_encoder])
@torch.no_grad()
def test_codes_draws_and_samples_have_consistent_shapes(name):
    vae = perturbed(small_vae(name)).eval()
    batch = some_images(7)
    latents = vae.latents
    z = latents.codes(batch.pixels)
    assert z.shape == (7, latents.latent_dim)
    draw = latents.draw(batch.pixels, batch.noise)
    assert draw.z.shape == z.shape
    assert tuple(part.shape[1] for part in draw.code) == latents.code_widths
    assert all(value.shape == (7,) for value in draw.terms.values())
    drawn = latents.sample(some_noise(5), 5)
    assert tuple(part.shape for part in drawn) == tuple((5, width) for width in latents.code_widths)
    assert vae.decode(drawn).shape == (5, P)
    if latents.n_categories is None:
        with pytest.raises(NotImplementedError):
            latents.log_categories(batch.pixels)
    else:
        assert torch.allclose(latents.log_categories(batch.pixels).exp().sum(-1), torch.ones(7).double())


@pytest.mark.parametrize("name", [name for name, variant in VARIANTS.items() if variant.has_encoder])
@torch.no_grad()
def test_draws_do_not_depend_on_the_other_images(name):
    vae = perturbed(small_vae(name)).eval()
    batch = some_images(12)
    among, alone = (
        vae.latents.draw(x, noise)
        for x, noise in (
            (batch.pixels, batch.noise),
            (batch.pixels[4:5], Noise(batch.noise.keys[4:5])),
        )
    )
    assert torch.allclose(among.z[4:5], alone.z)
    for term, value in alone.terms.items():
        assert torch.allclose(among.terms[term][4:5], value)


@pytest.mark.parametrize("name", ["vae", "cp-vae", "hvae", "hvp"])
@torch.no_grad()
def test_dimensions_are_drawn_independently(name):
    """Both levels too: given their posteriors, z1 and z2 are independent."""
    draw = perturbed(small_vae(name)).eval().latents.draw(one_image(20_000).pixels, some_noise(20_000))
    standard = ((draw.z - draw.q.mean) * (-0.5 * draw.q.log_var).exp()).T
    assert (torch.corrcoef(standard) - torch.eye(len(standard))).abs().max() < 5 / 20_000**0.5


@pytest.mark.parametrize("name", ["vae", "cp-vae", "hvae", "gmvae", "vade"])
@torch.no_grad()
def test_linear_models_have_finite_terms(name):
    vae = small_vae(name, sizes=Sizes(P, Z, H, 0, K if VARIANTS[name].has_categories else None))
    batch = some_images()
    assert all(torch.isfinite(value).all() for value in vae.terms(batch).values())
    assert not any("both" in key for key in vae.state_dict() if "latents.body" in key)


@torch.no_grad()
def test_the_variance_of_posteriors_is_limited():
    latents = perturbed(small_vae("vae"), by=30.0).latents
    assert isinstance(latents, GaussianLatents)
    q = latents.posterior(some_images().pixels)
    assert q.log_var.min() == LOG_VAR_RANGE[0]
    assert q.log_var.max() == LOG_VAR_RANGE[1]


@pytest.mark.parametrize("name", CATEGORICAL)
def test_the_latents_match_the_table(name):
    latents, variant = small_vae(name).latents, VARIANTS[name]
    assert isinstance(latents, CategoricalLatents)
    assert (latents.mixture is not None) == variant.learned
    assert latents.head.mean.in_features == H + (K if variant.conditional else 0)
    assert len(latents.joint) == 0
    if variant.conditional:
        gated = small_vae(name, head="gated").latents
        assert gated.head.mean.in_features == H
        assert len(gated.joint) == 1
    assert latents.decodes_categories


@pytest.mark.parametrize(("condition", "depends"), [("draw", True), ("probabilities", False)])
@torch.no_grad()
def test_given_the_probabilities_z_does_not_depend_on_the_drawn_category(condition, depends):
    """pi(x) is a function of x alone, so that q(z|x,pi(x)) is q(z|x)."""
    vae = perturbed(small_vae("cp-vae", condition=condition))
    latents, hidden = vae.latents, vae.latents.body(some_images().pixels)
    one, other = (latents.posterior(hidden, torch.eye(K).double()[k].expand(len(hidden), K)) for k in (0, 1))
    assert torch.equal(one.mean, other.mean) != depends
    assert torch.equal(one.log_var, other.log_var) != depends
    assert latents.conditional == depends


@torch.no_grad()
def test_cp_vae_given_the_probabilities_is_indq_with_a_skip_connection():
    """With zero weights for pi(x), all terms are those of INDq."""
    first, second = with_zero_weights_for_c("cp-vae", "indq", condition="probabilities")
    batch = some_images()
    for name, value in second.terms(batch).items():
        assert torch.allclose(first.terms(batch)[name], value, rtol=1e-12), name
    for vae in (first, second):
        vae.eval()
    assert torch.allclose(first.log_weights(batch, 4), second.log_weights(batch, 4), rtol=1e-12)
