"""Loss penalties: values by hand, by enumeration and in closed form; training of critics; signs."""

import math
from itertools import permutations

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.images import CPU, P, perturbed, small_vae, some_images, some_noise, standard_errors
from topicnet.core.counter_rng import Noise
from topicnet.core.distributions import Normal, Point
from topicnet.images.model.latents import Draw
from topicnet.images.model.nets import Sizes, gaussian_critic
from topicnet.images.model.penalties import (
    CategoryInformation,
    Decomposition,
    Discrepancy,
    Moments,
    Penalty,
    PointInformation,
    PriorCritic,
    RatioCritic,
)
from topicnet.images.model.variants import VARIANTS, resolve_parameters
from topicnet.runtime.seeding import seeded
from topicnet.runtime.threads import chosen_threads
from topicnet.training.alternating import Phases
from topicnet.training.optimizer import Adam
from topicnet.training.schedule import Schedule

PENALISED = [name for name, variant in VARIANTS.items() if variant.penalty is not None]


def gaussian_draw(mean, log_var, seed=0):
    q = Normal(mean, log_var, some_noise(len(mean), seed))
    z = q.sample()
    return Draw(q, z, (z,), {})


def random_draw(n=4, width=2, seed=0):
    rng = np.random.default_rng(seed)
    return gaussian_draw(*torch.as_tensor(rng.normal(size=(2, n, width))), seed)


def points(z, seed=0):
    """A draw of these points (n, Z)."""
    return Draw(Point(z, some_noise(len(z), seed)), z, (z,), {})


class FixedCritic(nn.Module):
    """Critic with a given function as its output."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, points):
        return self.function(points)


NO_IMAGE = torch.zeros(0)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Use one thread: several wait for each other on a busy machine."""
    with chosen_threads():
        yield


# ---------------------------------------------------------------- the decomposition of the divergence


def public_weights(n_images, batch):
    """Weights of public beta-TCVAE code: a stride of B in a matrix of B columns fills columns, not the diagonal."""
    others = batch - 1
    weights = torch.full((batch, batch), 1 / others, dtype=torch.float64)
    weights.view(-1)[:: others + 1] = 1 / n_images
    weights.view(-1)[1 :: others + 1] = (n_images - others) / (n_images * others)
    weights[others - 1, 0] = (n_images - others) / (n_images * others)
    return weights


def averages(weights, densities):
    """Mean of sum_m W_im q(z_i|x_m) over all ordered batches, row by row."""
    n_images, batch = len(densities), len(weights)
    batches = torch.tensor(list(permutations(range(n_images), batch)))  # (n, B)
    tables = densities[batches[:, :, None], batches[:, None, :]]  # (n, B, B)
    return (weights * tables).sum(-1).mean(0)


def test_stratified_weights_are_unbiased_in_every_row_and_the_public_ones_in_two():
    """N = 6, B = 4, all 360 batches; the public weights are unbiased in the first two rows only."""
    densities = torch.as_tensor(np.random.default_rng(0).gamma(0.7, size=(6, 6)))
    truth = densities.mean()
    correct = Decomposition("mss", 6).log_weights(4, densities).exp()
    assert torch.allclose(averages(correct, densities), truth.expand(4), atol=1e-12)
    public = averages(public_weights(6, 4), densities)
    assert torch.allclose(public[:2], truth.expand(2), atol=1e-12)
    assert ((public[2:] - truth).abs() > 0.01).all()


@pytest.mark.parametrize(("n_images", "batch"), [(50, 7), (8, 8), (100, 2)])
def test_stratified_weights_sum_to_1(n_images, batch):
    weights = Decomposition("mss", n_images).log_weights(batch, torch.zeros(1, dtype=torch.float64)).exp()
    assert torch.allclose(weights.sum(1), torch.ones(batch).double())
    assert torch.allclose(weights.diagonal(), torch.full((batch,), 1 / n_images).double())


def densities_of(draw):
    """Density of point i under the posterior of image m, (B, B, Z)."""
    scales = (0.5 * draw.q.log_var).exp()
    return torch.distributions.Normal(draw.q.mean, scales).log_prob(draw.z[:, None]).exp()


@pytest.mark.parametrize("estimator", ["mws", "mss"])
def test_the_parts_equal_their_definitions(estimator):
    draw, n_images = random_draw(), 30
    weights = torch.full((4, 4), 1 / (4 * n_images)).double()
    if estimator == "mss":
        weights = torch.full((4, 4), 1 / 3).double()
        for i in range(4):
            weights[i, i], weights[i, (i + 1) % 4] = 1 / n_images, (n_images - 3) / (n_images * 3)
    each = densities_of(draw)
    q_z = (weights * each.prod(-1)).sum(1)
    q_zj = (weights[:, :, None] * each).sum(1)
    p_zj = torch.distributions.Normal(0.0, 1.0).log_prob(draw.z)
    expected = {
        "index_information": draw.q.log_density(draw.z) - q_z.log(),
        "total_correlation": q_z.log() - q_zj.log().sum(-1),
        "dimension_kl": (q_zj.log() - p_zj).sum(-1),
    }
    terms = Decomposition(estimator, n_images).terms(draw, NO_IMAGE)
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.allclose(terms[name], value), name


@pytest.mark.parametrize("estimator", ["mws", "mss"])
@pytest.mark.parametrize("n", [1, 2, 9])
def test_the_parts_are_finite_and_sum_to_the_divergence_at_the_draw(estimator, n):
    """Also if a batch of validation images is larger than the training set."""
    draw = random_draw(n)
    terms = Decomposition(estimator, 5).terms(draw, NO_IMAGE)
    expected = draw.q.log_density(draw.z) - torch.distributions.Normal(0.0, 1.0).log_prob(draw.z).sum(-1)
    assert all(torch.isfinite(value).all() for value in terms.values())
    assert torch.allclose(sum(terms.values()), expected)


def test_the_total_correlation_of_independent_and_of_identical_dimensions():
    """Narrow posteriors around points whose coordinates are independent, or identical."""
    n = 400
    means = some_noise(n).normal(1, torch.zeros(n, 2, dtype=torch.float64))
    found = []
    for z in (means, means[:, :1].expand(-1, 2)):
        draw = gaussian_draw(z, torch.full_like(z, math.log(0.1)), seed=1)
        found.append(float(Decomposition("mss", n).terms(draw, NO_IMAGE)["total_correlation"].mean()))
    # Gaussians of variance 1.1 with covariance 1: -1/2 log(1 - (1 / 1.1)^2) = 0.88.
    assert found == pytest.approx([0.0, 0.88], abs=0.1)


# ---------------------------------------------------------------- moments


def test_moments_by_hand():
    """Means (1, 2), (3, 2), (5, 8): centred (-2, -2), (0, -2), (2, 4); covariance 8/3, 4, 8."""
    mean = torch.tensor([[1.0, 2.0], [3.0, 2.0], [5.0, 8.0]], dtype=torch.float64)
    log_var = torch.tensor([[1.0, 2.0], [2.0, 1.0], [3.0, 3.0]], dtype=torch.float64).log()
    draw = gaussian_draw(mean, log_var)
    first = Moments("i").terms(draw, NO_IMAGE)
    assert first["off_diagonal"].item() == pytest.approx(2 * 4.0**2)
    assert first["diagonal"].item() == pytest.approx((8 / 3 - 1) ** 2 + (8 - 1) ** 2)
    second = Moments("ii").terms(draw, NO_IMAGE)  # the mean variances 2 and 2 are added
    assert second["off_diagonal"].item() == pytest.approx(2 * 4.0**2)
    assert second["diagonal"].item() == pytest.approx((8 / 3 + 1) ** 2 + (8 + 1) ** 2)


def test_moments_penalties_are_zero_at_covariance_i():
    corners = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
    narrow = gaussian_draw(corners, torch.full_like(corners, -60.0))
    assert sum(Moments("i").terms(narrow, NO_IMAGE).values()).item() == 0.0
    half = gaussian_draw(corners * math.sqrt(0.5), torch.full_like(corners, math.log(0.5)))
    assert sum(Moments("ii").terms(half, NO_IMAGE).values()).item() == pytest.approx(0.0, abs=1e-24)


# ---------------------------------------------------------------- MMD


def test_the_mmd_of_the_prior_and_itself_is_zero_on_average_and_grows_with_distance():
    found = []
    for shift in (0.0, 1.0, 3.0):
        values = []
        for seed in range(60):
            noise = some_noise(50, seed)
            z = noise.normal(1, torch.zeros(50, 2, dtype=torch.float64)) + shift
            values.append(Discrepancy().terms(Draw(Point(z, noise), z, (z,), {}), NO_IMAGE)["mmd"])
        found.append(torch.stack(values))
    assert abs(standard_errors(found[0])) < 4
    assert found[0].min() < 0 < found[1].min() < found[2].min()


def test_the_mmd_equals_kernels_summed_by_hand():
    z = torch.tensor([[0.5, -1.0], [2.0, 0.0]], dtype=torch.float64)
    draw = points(z)
    prior = draw.q.noise.normal(4, z)

    def kernel(a, b):
        distance = float(((a - b) ** 2).sum())
        return sum(4 * s / (4 * s + distance) for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0))

    cross = sum(kernel(a, b) for a in z for b in prior) / 4
    expected = kernel(z[0], z[1]) + kernel(prior[0], prior[1]) - 2 * cross
    assert Discrepancy().terms(draw, NO_IMAGE)["mmd"].item() == pytest.approx(expected)


# ---------------------------------------------------------------- critics of z


def correlated(seed, n):
    """Draws from N(0, [[1, .8], [.8, 1]])."""
    noise = Noise.of(seed, np.arange(n), CPU)
    z = noise.normal(1, torch.zeros(n, 2)) @ torch.linalg.cholesky(torch.tensor([[1.0, 0.8], [0.8, 1.0]])).T
    return Draw(Point(z, noise), z, (z,), {})


def test_the_ratio_critic_learns_the_total_correlation():
    """For a known Gaussian it is -1/2 log(1 - 0.64) = 0.511; a density ratio underestimates it."""
    with seeded(0):
        penalty = RatioCritic(2, 32, 2)
    adam, n_steps = Adam(penalty, 0.0, {}), 600
    for step in range(n_steps):
        penalty.critic_terms(correlated(step, 512), NO_IMAGE)["critic"].mean().backward()
        adam.step(0.01 * (1 - step / n_steps))
    with torch.no_grad():
        found = float(penalty.terms(correlated(10**6, 20_000), NO_IMAGE)["total_correlation"].mean())
    assert 0.40 < found < 0.55


def test_the_ratio_critic_gets_one_half_as_drawn_and_the_other_shuffled():
    seen = []
    penalty = RatioCritic(3, 4, 1)
    penalty.critic = FixedCritic(lambda z: seen.append(z) or z[:, :1])
    draw = points(torch.arange(60.0).view(20, 3))
    penalty.critic_terms(draw, NO_IMAGE)
    joint, shuffled = seen[0].split(10)
    assert torch.equal(joint, draw.z[:10])
    assert not torch.equal(shuffled, draw.z[10:])
    assert torch.equal(shuffled.sort(0).values, draw.z[10:])  # each dimension keeps its values, in another order
    rows = shuffled.argsort(0)
    assert not torch.equal(rows[:, 0], rows[:, 1])


@pytest.mark.parametrize(("n", "expected"), [(1, 1), (2, 1), (5, 2), (6, 3)])
def test_the_ratio_critic_takes_any_number_of_points(n, expected):
    assert RatioCritic(3, 4, 1).critic_terms(points(torch.zeros(n, 3)), NO_IMAGE)["critic"].shape == (expected,)


def test_losses_of_critics_are_cross_entropies():
    logits = {"joint": 0.7, "shuffled": -0.4}
    draw = points(torch.zeros(2, 3))
    entropy = nn.BCEWithLogitsLoss()
    for penalty, half in ((RatioCritic(3, 4, 1), 0.5), (PriorCritic(3, 4, 1), 1.0)):
        n = 1 if half == 0.5 else 2
        penalty.critic = FixedCritic(lambda z, n=n: torch.tensor([[logits["joint"]]] * n + [[logits["shuffled"]]] * n))
        expected = entropy(torch.tensor(logits["joint"]), torch.tensor(1.0))
        expected += entropy(torch.tensor(logits["shuffled"]), torch.tensor(0.0))
        assert penalty.critic_terms(draw, NO_IMAGE)["critic"].tolist() == pytest.approx([half * float(expected)] * n)


def test_a_prior_critic_gets_the_prior_first_and_its_loss_is_lower_near_the_prior():
    seen = []
    penalty = PriorCritic(2, 4, 1)
    penalty.critic = FixedCritic(lambda z: seen.append(z) or -z.square().sum(-1, keepdim=True))
    z = torch.full((500, 2), 3.0)
    penalty.critic_terms(points(z), NO_IMAGE)
    assert torch.equal(seen[0][500:], z)
    assert abs(seen[0][:500].mean()) < 0.2
    near, far = (penalty.terms(points(at), NO_IMAGE)["fooling"] for at in (torch.zeros(3, 2), torch.ones(3, 2)))
    assert (near < far).all()
    assert far.tolist() == pytest.approx([math.log1p(math.exp(2.0))] * 3)


# ---------------------------------------------------------------- information


def categories(log_q_c, seed=0):
    """A draw of hard categories from log q(c|x) (n, K)."""
    c = nn.functional.one_hot(
        (log_q_c + some_noise(len(log_q_c), seed).gumbel(7, log_q_c)).argmax(-1), log_q_c.shape[1]
    )
    z = torch.zeros(len(log_q_c), 1, dtype=torch.float64)
    return Draw(Point(z, some_noise(len(z))), z, (z,), {}, log_q_c, c.double())


def bound(penalty, draw, image=NO_IMAGE):
    """The bound on the information, nats."""
    return -float(penalty.terms(draw, image)["lack_of_information"].mean())


def category_critic(function):
    return CategoryInformation(FixedCritic(function))


def test_a_collapsed_code_has_no_information_unlike_with_a_constant_entropy():
    """q(c|x) is the same category for every x, and Q predicts it."""
    log_q_c = torch.full((50, 10), -60.0, dtype=torch.float64)
    log_q_c[:, 0] = 0.0
    penalty = category_critic(lambda image: log_q_c)
    draw = categories(log_q_c)
    assert bound(penalty, draw) == pytest.approx(0.0, abs=1e-9)
    nats = float(penalty.critic_terms(draw, NO_IMAGE)["critic"].mean())  # -log Q(c|image)
    assert math.log(10) - nats == pytest.approx(math.log(10))  # with a constant entropy, which gives no bound


def test_an_uninformative_code_has_no_information_and_a_perfect_one_its_entropy():
    blind = torch.full((4_000, 10), -math.log(10), dtype=torch.float64)
    assert bound(category_critic(lambda image: blind), categories(blind)) == pytest.approx(0.0, abs=1e-9)
    found = torch.full((50, 10), -60.0, dtype=torch.float64)
    found[torch.arange(50), torch.arange(50) % 10] = 0.0
    assert bound(category_critic(lambda image: found), categories(found)) == pytest.approx(math.log(10), abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_information_of_categories_is_at_most_their_entropy_and_tight_for_the_true_q(seed):
    """For any Q; if the image is the true x, E log q(c|x) + H(q(c)) is I(c; x) on average."""
    logits = torch.as_tensor(np.random.default_rng(seed).normal(0, 3, (4_000, 5)))
    log_q_c = logits.log_softmax(-1)
    q_c = log_q_c.exp().mean(0)
    entropy = float(-(q_c * q_c.log()).sum())
    draw = categories(log_q_c, seed)
    others = torch.as_tensor(np.random.default_rng(seed + 9).normal(0, 3, (4_000, 5)))
    for guess in (log_q_c, logits.roll(1, 0), others, 50 * logits):
        assert bound(category_critic(lambda image, guess=guess: guess), draw) <= entropy + 1e-9
    information = entropy + float((log_q_c.exp() * log_q_c).sum(-1).mean())
    assert bound(category_critic(lambda image: log_q_c), draw) == pytest.approx(information, abs=0.1)


def test_the_entropy_of_the_code_stays_in_the_gradient():
    log_q_c = torch.tensor([[0.8, 0.2], [0.6, 0.4]], dtype=torch.float64).log().requires_grad_()
    draw = categories(log_q_c.detach())
    constant = category_critic(lambda image: torch.zeros(2, 2, dtype=torch.float64))
    loss = constant.terms(Draw(draw.q, draw.z, draw.code, {}, log_q_c, draw.c), NO_IMAGE)["lack_of_information"].mean()
    (slope,) = torch.autograd.grad(loss, log_q_c)
    # d -H / d log q = q (log q(c) + 1) / n: the more frequent category becomes rarer.
    q_c = torch.tensor([0.7, 0.3]).double()
    assert torch.allclose(slope, log_q_c.detach().exp() * (q_c.log() + 1) / 2)


def test_relaxed_categories_are_scored_by_cross_entropy():
    c = torch.tensor([[0.7, 0.3], [0.1, 0.9]], dtype=torch.float64)
    guess = torch.tensor([[0.5, 0.5], [0.2, 0.8]], dtype=torch.float64).log()
    z = torch.zeros(2, 1, dtype=torch.float64)
    draw = Draw(Point(z, some_noise(2)), z, (z,), {}, c.log(), c)
    found = category_critic(lambda image: guess + 3.0).critic_terms(draw, NO_IMAGE)["critic"]
    assert found.tolist() == pytest.approx([math.log(2), -(0.1 * math.log(0.2) + 0.9 * math.log(0.8))])


def test_enumerated_categories_are_scored_with_their_weights():
    vae = perturbed(small_vae("vmi-c", estimator="enumerate"))
    batch = some_images()
    with torch.no_grad():
        draw = vae.latents.draw(batch.pixels, batch.noise)
        image = vae.decode(draw.code)
        found = vae.penalty.critic_terms(draw, image)["critic"]
        each = vae.penalty.critic_output(image).log_softmax(-1).view(3, 20, 3)
        expected = -sum(draw.log_q_c.exp()[:, k] * each[k, :, k] for k in range(3))
    assert torch.allclose(found, expected)


def point_critic(draw):
    """The best possible critic: it predicts the posterior of the image that was decoded."""
    critic = FixedCritic(lambda image: Normal(draw.q.mean[:, :2], draw.q.log_var[:, :2]))
    return PointInformation(critic, chosen=[0, 1], fixed=False)


@pytest.mark.parametrize(
    ("distance", "least", "most"), [(0.0, -1e-9, 1e-9), (1.0, 0.05, 1.5), (300.0, 4.6, math.log(100))]
)
def test_information_of_points_is_at_most_log_n(distance, least, most):
    """Zero if all posteriors are equal; log n if they do not overlap."""
    mean = distance * torch.arange(100.0, dtype=torch.float64)[:, None].expand(-1, 3) / 10
    draw = gaussian_draw(mean, torch.zeros_like(mean))
    assert least <= bound(point_critic(draw), draw) <= most + 1e-9


def test_information_of_points_is_less_for_worse_predictions():
    mean = torch.arange(100.0, dtype=torch.float64)[:, None].expand(-1, 3) / 10
    draw = gaussian_draw(mean, torch.zeros_like(mean))
    best = point_critic(draw)
    found = bound(best, draw)
    best.critic = FixedCritic(lambda image: Normal(draw.q.mean[:, :2] + 0.5, draw.q.log_var[:, :2]))
    assert bound(best, draw) < found - 0.1


def test_the_chosen_dimensions_have_the_least_divergence():
    penalty = PointInformation(gaussian_critic(1, 4, 1, 2), chosen=[0, 1], fixed=False)
    penalty.choose(torch.tensor([3.0, 0.2, 0.5, 0.1]))
    assert sorted(penalty.chosen.tolist()) == [1, 3]
    assert "chosen" in penalty.state_dict()
    draw = random_draw(6, 4)
    assert penalty.double().critic_terms(draw, torch.zeros(6, 1).double())["critic"].shape == (6,)
    assert small_vae("vmi-z", sizes=Sizes(P, 1, 8, 1, None)).penalty.chosen.tolist() == [0]


@pytest.mark.parametrize(("informed", "chosen"), [("2", [2]), ("2,0", [2, 0]), ("0,1,2", [0, 1, 2])])
def test_any_number_of_dimensions_can_be_given(informed, chosen):
    penalty = small_vae("vmi-z", informed=informed).penalty
    penalty.choose(torch.tensor([0.1, 3.0, 4.0]))  # has no effect
    assert penalty.chosen.tolist() == chosen
    draw = random_draw(5, 3)
    image = torch.zeros(5, P).double()
    with torch.no_grad():
        q = penalty.critic_output(image)
    assert q.mean.shape == (5, len(chosen))
    found = penalty.critic_terms(draw, image)["critic"]
    assert torch.allclose(found, -q.log_density(draw.z[:, chosen]))


def reached(vae, loss):
    """Names of the parts that a loss gives gradients to."""
    vae.zero_grad(set_to_none=True)
    loss.backward()
    names = {name for name, value in vae.named_parameters() if value.grad is not None and value.grad.abs().sum() > 0}
    parts = {"latents.body": "encoder", "penalty.critic": "Q", "decoder.branches": "shared", "decoder.out": "output"}
    return {part for prefix, part in parts.items() if any(name.startswith(prefix) for name in names)}


@pytest.mark.parametrize("name", ["vmi-z", "vmi-c"])
@pytest.mark.parametrize(
    ("q_network", "by_main_step", "by_own_step"),
    [
        ("separate", {"encoder", "shared", "output"}, {"Q"}),
        ("decoder", {"encoder", "shared"}, {"Q"}),
        ("encoder", {"encoder", "shared", "output"}, None),
    ],
)
def test_gradients_of_information_reach_the_parts_that_q_depends_on(name, q_network, by_main_step, by_own_step):
    """The bound alone, as in the main step, in which Q is fixed; then the step of Q."""
    vae, batch = perturbed(small_vae(name, q_network=q_network)), some_images()
    phases = vae.phases(1.0)
    with Phases(phases, lambda part: Adam(part, 0.0, {})).frozen_critics():
        terms = vae.terms(batch)
        assert reached(vae, terms["lack_of_information"].mean()) == by_main_step
    if by_own_step is None:
        assert phases == []
    else:
        (phase,) = phases
        assert reached(vae, phase.terms(batch)["critic"].mean()) == by_own_step


@pytest.mark.parametrize("name", ["vmi-z", "vmi-c"])
def test_the_encoder_as_q_is_applied_to_the_decoded_image_and_trained_as_q(name):
    vae, batch = perturbed(small_vae(name, q_network="encoder")).eval(), some_images()
    draw = vae.latents.draw(batch.pixels, batch.noise)
    image = vae.decode(draw.code).detach()
    found = vae.penalty.critic_output(image)
    if name == "vmi-c":
        assert torch.equal(found, vae.latents.log_categories(image))
    else:
        q = vae.latents.posterior(image)
        assert torch.equal(found.mean, q.mean[:, :2])
        assert torch.equal(found.log_var, q.log_var[:, :2])
    # With a fixed code and image only the encoder's gradient as Q remains.
    held = Draw(
        Normal(draw.q.mean.detach(), draw.q.log_var.detach()), draw.z.detach(), (), {},
        None if draw.log_q_c is None else draw.log_q_c.detach(), None if draw.c is None else draw.c.detach(),
    )  # fmt: skip
    assert reached(vae, vae.penalty.terms(held, image)["lack_of_information"].mean()) == {"encoder"}


@pytest.mark.parametrize("name", ["vmi-z", "vmi-c"])
def test_a_branch_of_the_decoder_reads_what_its_output_layer_reads(name):
    vae, batch = perturbed(small_vae(name, q_network="decoder")).eval(), some_images()
    draw = vae.latents.draw(batch.pixels, batch.noise)
    features = vae.decoder.features(draw.code)
    assert torch.equal(vae.decoder.out(features), vae.decoder(draw.code))
    assert torch.equal(
        vae.terms(batch)["lack_of_information"], vae.penalty.terms(draw, features)["lack_of_information"]
    )
    assert vae.penalty.critic[0].in_features == 8 if name == "vmi-c" else vae.penalty.critic[0][0].in_features == 8


# ---------------------------------------------------------------- all of them


def weighted_loss(name, terms):
    """The loss at the end of a run, as in the training loop."""
    numbers = {key: value for key, value in resolve_parameters(name, {}).items() if not isinstance(value, str)}
    schedule = Schedule(1, 1.0, weights=VARIANTS[name].weights(numbers))
    return float(sum(schedule.weighted(term, value.mean(), 0) for term, value in terms.items()))


@pytest.mark.parametrize("name", ["wae-mmd", "wae-gan", "info-vae"])
@torch.no_grad()
def test_points_further_from_the_prior_raise_the_loss(name):
    """The penalty is added with a plus sign; the reconstruction is left out, as it depends on the decoder."""
    vae = small_vae(name)
    if name == "wae-gan":  # a critic that knows the prior
        vae.penalty.critic = FixedCritic(lambda z: 3 - z.square().sum(-1, keepdim=True))
    batch, losses = some_images(200), []
    head = vae.latents.head if name.startswith("wae") else vae.latents.head.mean
    for shift in (0.0, 1.0, 3.0):
        head.bias.fill_(shift)
        terms = {term: value for term, value in vae.terms(batch).items() if term in ("mmd", "fooling")}
        assert len(terms) == 1
        losses.append(weighted_loss(name, terms))
    assert losses == sorted(losses)
    assert losses[2] > losses[1] > losses[0]


@pytest.mark.parametrize("name", PENALISED)
def test_weights_of_penalties_are_not_negative(name):
    numbers = {key: value for key, value in resolve_parameters(name, {}).items() if not isinstance(value, str)}
    assert all(weight >= 0 for weight in VARIANTS[name].weights(numbers).values())


@pytest.mark.parametrize("name", PENALISED)
def test_critic_steps_give_gradients_to_the_critic_and_the_encoder_alone(name):
    vae = perturbed(small_vae(name))
    batch = some_images()
    for phase in vae.phases(1.0):
        terms = phase.terms(batch)
        assert all(value.ndim <= 1 for value in terms.values())
        sum(value.mean() for value in terms.values()).backward()
        own = {id(value) for value in phase.part.parameters()}
        critic = set() if phase.critic else {id(value) for value in vae.penalty.critic.parameters()}
        reached = {id(value) for value in vae.parameters() if value.grad is not None}
        assert reached - critic == own
        vae.zero_grad(set_to_none=True)
    assert bool(vae.phases(1.0)) == (vae.penalty.critic is not None)


def test_a_penalty_without_critic_has_no_critic_loss():
    with pytest.raises(NotImplementedError, match="no critic"):
        Moments("i").critic_terms(random_draw(), NO_IMAGE)
    assert isinstance(Moments("i"), Penalty)
