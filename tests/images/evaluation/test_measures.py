"""Measures of image models: identities, hand-made cases, brute force and closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from topicnet.core.divergences import mmd
from topicnet.errors import InputError
from topicnet.images.evaluation.aggregated import (
    AggregatedSplit,
    active_units,
    aggregated_decomposition,
    aggregated_split,
    divergence_terms,
    gaussian_log_density_matrix,
    information_between,
    joint_log_density_matrix,
    mmd_of_groups,
    mmd_permutation,
    sliced_w2,
)
from topicnet.images.evaluation.measures import (
    category_report,
    frechet_distance,
    hungarian_accuracy,
    importance_nll,
    imq_kernel_sum,
    label_report,
    majority_accuracy,
    mean_and_interval,
    normalised_mutual_information,
)


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def posteriors(n_images=6, width=3, seed=0):
    """Draws, means and log-variances of Gaussian posteriors."""
    means, log_var = normal(n_images, width, seed=seed), 0.5 * normal(n_images, width, seed=seed + 1) - 1
    return means + (0.5 * log_var).exp() * normal(n_images, width, seed=seed + 2), means, log_var


def log_standard_normal(z):
    return -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)


def by_hand(z, m, log_v):
    return sum(stats.norm.logpdf(x, y, math.exp(0.5 * v)) for x, y, v in zip(z, m, log_v, strict=True))


def log_codes(n_images=40, n_categories=5, seed=0):
    return (2 * normal(n_images, n_categories, seed=seed)).log_softmax(1)


# The aggregated posterior


def split_of(z, means, log_var):
    return aggregated_split(z, lambda z: gaussian_log_density_matrix(z, means, log_var), log_standard_normal)


def test_the_split_equals_a_double_loop():
    z, means, log_var = posteriors()
    log_q = np.array([[by_hand(x, m, v) for m, v in zip(means, log_var, strict=True)] for x in z])
    log_q_z = np.log(np.exp(log_q).mean(1))
    log_p = np.array([by_hand(x, np.zeros(3), np.zeros(3)) for x in z])
    found = split_of(z, means, log_var)
    assert found.mutual_information == pytest.approx((np.diag(log_q) - log_q_z).mean(), abs=1e-10)
    assert found.marginal_kl == pytest.approx((log_q_z - log_p).mean(), abs=1e-10)
    assert found.mean_kl == pytest.approx((np.diag(log_q) - log_p).mean(), abs=1e-10)


@pytest.mark.parametrize("n_images", [1, 7, 1500])  # 1500 rows need several slices
def test_the_two_parts_add_up(n_images):
    found = split_of(*posteriors(n_images))
    assert found.mutual_information + found.marginal_kl == pytest.approx(found.mean_kl, abs=1e-10)
    assert found.mutual_information <= math.log(n_images) + 1e-12


def test_the_size_of_slices_does_not_change_results(monkeypatch):
    whole, parts = split_of(*posteriors(23)), aggregated_decomposition(*posteriors(23))
    monkeypatch.setattr("topicnet.images.evaluation.aggregated._ENTRIES_AT_ONCE", 100)
    assert split_of(*posteriors(23)).mutual_information == pytest.approx(whole.mutual_information, abs=1e-12)
    sliced = aggregated_decomposition(*posteriors(23))
    assert sliced.total_correlation == pytest.approx(parts.total_correlation, abs=1e-12)
    assert sliced.dimension_kl == pytest.approx(parts.dimension_kl, abs=1e-12)
    assert sliced.mutual_information == pytest.approx(parts.mutual_information, abs=1e-12)
    assert sliced.mean_kl == pytest.approx(parts.mean_kl, abs=1e-12)


def test_separate_posteriors_have_full_information_and_equal_ones_none():
    apart = torch.arange(8.0, dtype=torch.float64)[:, None] * 100
    assert split_of(apart, apart, torch.zeros(8, 1)).mutual_information == pytest.approx(math.log(8), abs=1e-12)
    alike = split_of(normal(8, 2), torch.zeros(8, 2), torch.zeros(8, 2))
    assert (alike.mutual_information, alike.marginal_kl) == pytest.approx((0, 0), abs=1e-12)


# Standard deviations at the encoder's limit, and far below it; points far from the origin.
@pytest.mark.parametrize(("log_v", "shift"), [(-6.0, 0.0), (-6.0, 1e4), (-30.0, 0.0), (-30.0, 1e4)])
def test_gaussian_densities_do_not_suffer_from_cancellation(log_v, shift):
    z, means, log_var = posteriors(20, 40)
    means, log_var = means + shift, log_var + log_v
    z = means + (0.5 * log_var).exp() * z
    exact = -0.5 * ((z[:, None] - means).square() / log_var.exp() + log_var + math.log(2 * math.pi)).sum(2)
    found = gaussian_log_density_matrix(z, means, log_var)
    assert torch.allclose(found, exact, rtol=1e-12, atol=1e-7)


def test_single_precision_input_is_evaluated_in_double():
    z, means, log_var = (table.float() for table in posteriors(30))
    single, double = split_of(z, means, log_var), split_of(z.double(), means.double(), log_var.double())
    assert single.mutual_information == pytest.approx(double.mutual_information, abs=1e-10)
    assert gaussian_log_density_matrix(z.numpy(), means.numpy(), log_var).dtype == torch.float64


@pytest.mark.parametrize("depends_on_c", [True, False])
def test_the_joint_split_equals_a_double_loop_and_adds_up(depends_on_c):
    n_images, n_categories, width = 7, 3, 2
    shape = (n_images, n_categories, width) if depends_on_c else (n_images, width)
    means, log_vars, log_q_c = normal(*shape), normal(*shape, seed=1), log_codes(n_images, n_categories)
    z, c = normal(n_images, width, seed=2), torch.tensor([0, 2, 2, 0, 1, 0, 2])

    def log_q(z, c):
        return joint_log_density_matrix(z, c, means, log_vars, log_q_c)

    for i in range(n_images):
        for j in range(n_images):
            at = (j, c[i]) if depends_on_c else j
            expected = by_hand(z[i], means[at], log_vars[at]) + float(log_q_c[j, c[i]])
            assert float(log_q(z, c)[i, j]) == pytest.approx(expected, abs=1e-10)
    split = aggregated_split((z, c), log_q, lambda z, c: log_standard_normal(z) - math.log(n_categories))
    assert split.mutual_information + split.marginal_kl == pytest.approx(split.mean_kl, abs=1e-10)


def test_joint_densities_with_an_uninformative_z_give_the_information_of_c():
    """With an uninformative z, every image in every category, weighted, gives the exact I(c; x)."""
    log_q_c = log_codes(6, 3)
    flat = torch.zeros(6, 1)
    log_q = torch.stack([joint_log_density_matrix(flat, torch.full((6,), k), flat, flat, log_q_c) for k in range(3)])
    own = log_q.diagonal(dim1=1, dim2=2)  # (K, N)
    log_ratio = own - (log_q.logsumexp(2) - math.log(6))
    assert float((log_q_c.exp().T * log_ratio).sum(0).mean()) == pytest.approx(
        category_report(log_q_c).mutual_information, abs=1e-12
    )


# Total correlation


def test_the_parts_of_table_1_name_information_that_z_and_c_share():
    """INDqp on a random table of 3 images, 4 values of z and 5 categories: I(z, c; x) is not I(z; x) + I(c; x)."""
    rng = np.random.default_rng(0)
    z_given, c_given = rng.dirichlet(np.ones(4), size=3), rng.dirichlet(np.ones(5), size=3)  # (3, 4), (3, 5)
    p_z, p_c = rng.dirichlet(np.ones(4)), np.full(5, 1 / 5)
    joint = z_given[:, :, None] * c_given[:, None, :]  # q(z, c | x)
    q, q_z, q_c = joint.mean(0), z_given.mean(0), c_given.mean(0)

    def divergence(one, other):
        return float((one * np.log(one / other)).sum())

    whole = AggregatedSplit(
        mutual_information=np.mean([divergence(one, q) for one in joint]),
        marginal_kl=divergence(q, np.outer(p_z, p_c)),
        mean_kl=np.mean([divergence(one, np.outer(p_z, p_c)) for one in joint]),
    )
    shared = divergence(q, np.outer(q_z, q_c))
    information = np.mean([divergence(one, q_c) for one in c_given])
    found = divergence_terms(whole, information, divergence(q_c, p_c), shared)
    assert found.b1 == pytest.approx(np.mean([divergence(one, q_z) for one in z_given]))
    assert found.c1 == pytest.approx(divergence(q_z, p_z))
    assert found.b1 + found.b2 + found.c1 + found.c2 == pytest.approx(whole.mean_kl)
    assert found.b1 + found.b2 == pytest.approx(whole.mutual_information + shared)
    assert shared > 0.01


@pytest.mark.parametrize(("distance", "expected"), [(100.0, math.log(4)), (0.0, 0.0)])
def test_z_has_all_information_about_the_category_or_none(distance, expected):
    """Four categories of ten images each: z is near a point of its category, or of the same distribution for all."""
    c = torch.arange(40) % 4
    means = distance * c[:, None].double().expand(40, 2)
    z, log_q_c = means + normal(40, 2), torch.eye(4).double()[c].clamp_min(1e-300).log()

    def of_z(rows):
        return gaussian_log_density_matrix(rows, means, torch.zeros(40, 2))

    def of_both(rows, of_rows):
        return of_z(rows) + log_q_c[:, of_rows].T

    found = information_between(z, c, of_both, of_z, log_q_c.exp().mean(0))
    assert found == pytest.approx(expected, abs=1e-9)


def test_the_three_parts_equal_a_double_loop_and_add_up():
    z, means, log_var = posteriors(5, 2)
    found = aggregated_decomposition(z, means, log_var)
    each = torch.stack(
        [gaussian_log_density_matrix(z[:, [j]], means[:, [j]], log_var[:, [j]]) for j in range(2)]
    )  # (Z, N, N)
    log_q_j = np.log(np.exp(each.numpy()).mean(2))
    log_q = np.log(np.exp(each.numpy().sum(0)).mean(1))
    assert found.total_correlation == pytest.approx((log_q - log_q_j.sum(0)).mean(), abs=1e-10)
    assert found.dimension_kl == pytest.approx(
        [(q - stats.norm.logpdf(x)).mean() for q, x in zip(log_q_j, z.T, strict=True)]
    )
    parts = found.mutual_information + found.total_correlation + found.dimensionwise_kl
    assert parts == pytest.approx(found.mean_kl, abs=1e-10)
    split = split_of(z, means, log_var)
    assert found.mutual_information == pytest.approx(split.mutual_information, abs=1e-10)
    assert found.mean_kl == pytest.approx(split.mean_kl, abs=1e-10)


def test_independent_dimensions_have_no_total_correlation():
    """A product of two sets of points: q(z) = q(z_1) q(z_2) at every z."""
    first, second = torch.meshgrid(normal(6), normal(5, seed=1), indexing="ij")
    means = torch.stack([first.flatten(), second.flatten()], 1)
    found = aggregated_decomposition(normal(30, 2, seed=2), means, torch.full((30, 2), -2.0))
    assert found.total_correlation == pytest.approx(0, abs=1e-12)


def test_the_total_correlation_of_a_correlated_gaussian():
    """Narrow posteriors whose means fill N(0, S - v I): q(z) is close to N(0, S), and TC to -log(1 - 0.8^2) / 2."""
    quantiles = torch.from_numpy(stats.norm.ppf((np.arange(45) + 0.5) / 45))
    grid = torch.cartesian_prod(quantiles, quantiles)
    variance = 0.04
    covariance = torch.tensor([[1, 0.8], [0.8, 1]], dtype=torch.float64) - variance * torch.eye(2)
    means = grid @ torch.linalg.cholesky(covariance).T
    z = means + math.sqrt(variance) * normal(2025, 2)
    found = aggregated_decomposition(z, means, torch.full_like(means, math.log(variance)))
    assert found.total_correlation == pytest.approx(-0.5 * math.log(1 - 0.8**2), abs=0.05)


def test_active_units_have_a_varying_mean():
    means = torch.tensor([[-1.0, 0.05, 3.0], [1.0, -0.05, 3.0]])  # variances 1, 0.0025, 0
    assert active_units(means) == 1
    assert active_units(means, threshold=0.001) == 2
    assert active_units(means, threshold=1.0) == 0


# Discrete codes


def test_two_images_in_two_categories_by_hand():
    found = category_report(torch.tensor([[1.0, 0.0], [0.5, 0.5]]).log())
    entropy = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert found.entropy == pytest.approx(entropy)
    assert found.conditional_entropy == pytest.approx(0.5 * math.log(2))
    assert found.mutual_information == pytest.approx(entropy - 0.5 * math.log(2))
    assert found.marginal_kl == pytest.approx(math.log(2) - entropy)
    assert found.mean_kl == pytest.approx(0.5 * math.log(2))
    assert found.marginal == pytest.approx((0.75, 0.25))
    assert found.in_use == (0,)


@pytest.mark.parametrize("seed", range(3))
def test_the_divergence_of_a_code_adds_up(seed):
    found = category_report(log_codes(seed=seed))
    assert found.mutual_information + found.marginal_kl == pytest.approx(found.mean_kl, abs=1e-12)


def test_a_collapsed_code_has_the_divergence_of_a_perfect_one_but_no_information():
    collapsed, perfect = torch.full((10, 10), -math.inf), torch.eye(10).log()
    collapsed[:, 3] = 0
    nothing, everything = category_report(collapsed), category_report(perfect)
    assert nothing.mean_kl == pytest.approx(math.log(10))
    assert (nothing.mutual_information, nothing.in_use) == (0, (3,))
    assert everything.mutual_information == pytest.approx(math.log(10))
    assert everything.in_use == ()


@pytest.mark.parametrize("n_categories", range(1, 60))
def test_rounding_does_not_put_a_uniform_category_above_one_in_k(n_categories):
    assert category_report(torch.zeros(9, n_categories).log_softmax(1)).in_use == ()


def test_two_labels_by_hand():
    q = torch.tensor([[0.9, 0.1, 0.0], [0.7, 0.3, 0.0], [0.2, 0.8, 0.0], [0.4, 0.6, 0.0], [0.6, 0.4, 0.0]])
    found = label_report(q.log(), np.array([7, 7, -1, -1, -1]))
    assert found.labels == (-1, 7)
    assert found.table == pytest.approx(np.array([[0.4, 0.6, 0], [0.8, 0.2, 0]]), abs=1e-6)
    assert found.top == ((1, 0), (0, 1))  # category 2 has no probability in either
    assert (found.n_distinct_top, found.shared_top) == (2, (0, 1))
    assert found.hungarian_accuracy == pytest.approx(0.8)
    assert found.majority_accuracy == pytest.approx(0.8)


def test_labels_list_five_categories_and_the_shared_ones():
    q = np.full((2, 12), 0.01)
    q[0, [11, 4, 2, 3, 0]] = [0.4, 0.2, 0.15, 0.1, 0.08]
    q[1, [11, 5, 6, 7, 8]] = [0.08, 0.1, 0.15, 0.2, 0.4]
    found = label_report(np.log(q), np.array([0, 1]))
    assert found.top == ((11, 4, 2, 3, 0), (8, 7, 6, 5, 11))
    assert (found.n_distinct_top, found.shared_top) == (9, (11,))


def test_renamed_labels_agree_and_random_ones_do_not():
    labels = np.random.default_rng(0).integers(10, size=2000)
    renamed = np.random.default_rng(1).permutation(10)[labels]
    random = np.random.default_rng(2).integers(10, size=2000)
    assert hungarian_accuracy(renamed, labels) == 1 == majority_accuracy(renamed, labels)
    assert normalised_mutual_information(renamed, labels) == pytest.approx(1)
    assert normalised_mutual_information(random, labels) == pytest.approx(0, abs=0.02)
    assert hungarian_accuracy(random, labels) < 0.2


def test_a_category_maps_to_one_label_but_a_label_may_have_several():
    labels, split = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([4, 4, 9, 2, 2])
    assert hungarian_accuracy(split, labels) == 0.8
    assert majority_accuracy(split, labels) == 1
    merged = torch.zeros(5, dtype=torch.int64)
    assert hungarian_accuracy(merged, labels) == 0.6 == majority_accuracy(merged, labels)


# Likelihoods and intervals


def test_the_importance_bound_is_never_above_the_negative_elbo():
    log_w = 3 * normal(50, 20) - 90
    nll = importance_nll(log_w)
    assert nll.numpy() == pytest.approx(-np.log(np.exp(log_w.numpy()).mean(0)))
    assert (nll <= -log_w.mean(0)).all()
    assert torch.allclose(importance_nll(log_w[:1]), -log_w[0])
    assert torch.allclose(importance_nll(log_w - 5000), nll + 5000)  # exp would give 0


def test_a_weight_of_zero_counts_as_zero():
    log_w = torch.tensor([[0.0, -math.inf], [-math.inf, -math.inf]])
    assert importance_nll(log_w).tolist() == [pytest.approx(math.log(2)), math.inf]


def test_the_interval_of_many_values_is_close_to_the_normal_one():
    values = normal(4000) * 25 + 90
    mean, low, high = mean_and_interval(values, seed=0)
    half = 1.96 * float(values.std()) / math.sqrt(4000)
    assert mean == pytest.approx(float(values.mean()))
    assert (mean - low, high - mean) == (pytest.approx(half, rel=0.1), pytest.approx(half, rel=0.1))
    assert mean_and_interval(values, seed=0) == (mean, low, high)


# Distances between samples


def test_the_kernel_sum_equals_its_formula_and_is_differentiable():
    a, b = normal(4, 3).requires_grad_(), normal(5, 3, seed=1)
    squared = torch.cdist(a, b).square()
    expected = sum(6 * s / (6 * s + squared) for s in (0.1, 0.2, 0.5, 1, 2, 5, 10))
    assert torch.allclose(imq_kernel_sum(a, b, 6.0), expected)
    assert torch.autograd.gradcheck(lambda a, b: imq_kernel_sum(a, b, 6.0), (a, b.requires_grad_()))
    assert torch.allclose(imq_kernel_sum(b, b, 6.0).diagonal(), torch.tensor(7.0).double())
    far = (a.detach() + 1000).float()
    assert imq_kernel_sum(far, far, 6.0).dtype == torch.float32
    assert torch.allclose(imq_kernel_sum(far, far, 6.0).double(), imq_kernel_sum(a, a, 6.0), atol=1e-3)


def test_the_mmd_equals_that_of_training():
    a, b = normal(9, 2), normal(6, 2, seed=1) + 1
    found, p_value = mmd_permutation(a, b, 19, seed=0)
    assert found == pytest.approx(float(mmd(a, b, lambda x, y: imq_kernel_sum(x, y, 4.0))), abs=1e-12)
    assert p_value * 20 == pytest.approx(round(p_value * 20))


def test_separate_samples_have_the_smallest_p_value_and_equal_ones_the_largest():
    assert mmd_permutation(normal(30, 2), normal(30, 2, seed=1) + 2, 199, seed=0)[1] == 1 / 200
    assert mmd_permutation(torch.ones(5, 2), torch.ones(7, 2), 50, seed=0) == (pytest.approx(0, abs=1e-12), 1)


def test_p_values_of_one_distribution_are_uniform():
    p_values = [
        mmd_permutation(normal(15, 2, seed=2 * s), normal(12, 2, seed=2 * s + 1), 99, seed=s)[1] for s in range(60)
    ]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
    assert np.mean(np.array(p_values) <= 0.1) < 0.25


def gaussian_mmd_closed_form(mean: Tensor, variance: float, kernel_variance: float) -> float:
    """MMD^2 of N(0, I) and N(mean, variance I) for the kernel exp(-|a - b|^2 / (2 kernel_variance))."""

    def expected(spread: float, squared: float) -> float:
        total = kernel_variance + spread
        return (kernel_variance / total) ** (len(mean) / 2) * math.exp(-squared / (2 * total))

    return expected(2, 0) + expected(2 * variance, 0) - 2 * expected(1 + variance, float(mean.square().sum()))


@pytest.mark.parametrize(("mean", "variance"), [([0.0, 0.0], 1.0), ([0.5, -0.3], 1.0), ([0.6, 0.0], 0.4)])
def test_the_mmd_of_gaussians_equals_its_closed_form(mean, variance):
    mean = torch.tensor(mean, dtype=torch.float64)
    points = torch.cat([normal(3000, 2), mean + math.sqrt(variance) * normal(3000, 2, seed=1)])
    kernel = torch.cdist(points, points).square_().div_(-2 * 0.7).exp_()
    in_a = torch.cat([torch.ones(1, 3000), torch.zeros(1, 3000)], 1).double()
    found = float(mmd_of_groups(kernel, in_a)[0])
    assert found == pytest.approx(gaussian_mmd_closed_form(mean, variance, 0.7), abs=0.01)


def test_the_frechet_distance_equals_closed_forms():
    x = normal(400, 3)
    assert frechet_distance(x, x + 2) == pytest.approx(12)
    assert frechet_distance(x, 3 * x) == pytest.approx(float(4 * x.mean(0).square().sum() + 4 * x.var(0).sum()))
    wide = normal(10, 40)  # more features than rows: rank-deficient covariances
    assert frechet_distance(wide, wide) == pytest.approx(0, abs=1e-10)
    # Two Gaussians whose squared distance POT gives as 5.376967, less (1, 2) between their means.
    roots = [
        torch.linalg.cholesky(torch.tensor(c).double()) for c in ([[1, 0.3], [0.3, 0.5]], [[0.6, -0.2], [-0.2, 1.2]])
    ]
    corners = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]]).double() * math.sqrt(3 / 4)  # with covariance I
    moved = corners @ roots[1].T + torch.tensor([1.0, 2.0])
    assert frechet_distance(corners @ roots[0].T, moved) == pytest.approx(5.376967, abs=1e-6)


def test_the_sliced_distance_is_exact_on_a_line_and_for_shifts():
    a, b = normal(50, 1), 2 * normal(50, 1, seed=1)
    matched = (a.flatten().sort().values - b.flatten().sort().values).square().mean()
    assert sliced_w2(a, b, 3, seed=0) == pytest.approx(float(matched))
    x, shift = normal(40, 5), torch.tensor([1.0, -1, 2, 0, 0.5])
    assert sliced_w2(x, x + shift, 4000, seed=0) == pytest.approx(float(shift.square().sum()) / 5, rel=0.05)
    assert sliced_w2(x, x.flip(0), 10, seed=0) == 0


# Bad input


def zeros(*shape):
    return torch.zeros(shape)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: category_report(zeros(3, 2)), "log_softmax"),
        (lambda: category_report(zeros(3)), r"expected \(N, K\)"),
        (lambda: category_report(zeros(3, 2) / 0), "diverged"),
        (lambda: label_report(log_codes(4), np.arange(3)), "one for each image"),
        (lambda: label_report(log_codes(4), np.ones(4)), "integers"),
        (lambda: importance_nll(zeros(2, 2) + math.inf), r"\+inf"),
        (lambda: mean_and_interval(zeros(1), 0), "two or more"),
        (lambda: imq_kernel_sum(zeros(2, 3), zeros(2, 4), 1.0), "points of shapes"),
        (lambda: imq_kernel_sum(zeros(2, 3), zeros(2, 3), 0.0), "scale is 0.0"),
        (lambda: mmd_permutation(zeros(1, 2), zeros(3, 2), 9, 0), "two points or more"),
        (lambda: frechet_distance(zeros(2, 3), zeros(2, 4)), "as many of both"),
        (lambda: frechet_distance(zeros(1, 3), zeros(2, 3)), "two or more"),
        (lambda: sliced_w2(zeros(2, 3), zeros(3, 3), 5, 0), "as many points"),
        (lambda: active_units(zeros(2, 3), -1.0), "threshold is -1.0"),
        (lambda: gaussian_log_density_matrix(zeros(2, 3), zeros(2, 3), zeros(2, 2)), "log_var"),
        (lambda: gaussian_log_density_matrix(zeros(2, 3), zeros(2, 3) + math.inf, zeros(2, 3)), "infinity"),
        (lambda: aggregated_decomposition(zeros(2, 3), zeros(4, 3), zeros(4, 3)), "one draw"),
        (lambda: aggregated_split((zeros(2, 3), zeros(3)), lambda z, c: z, lambda z, c: z), "one row"),
        (lambda: aggregated_split(zeros(2, 3), lambda z: z, log_standard_normal), r"expected \(2, 2\)"),
        (lambda: split_of(zeros(2, 1).double() + 1e200, zeros(2, 1), zeros(2, 1)), "at image 0"),
        (
            lambda: joint_log_density_matrix(zeros(2, 1), torch.tensor([0, 5]), zeros(3, 1), zeros(3, 1), log_codes(3)),
            "from 0 to 4",
        ),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message):
    with pytest.raises(InputError, match=message) as refusal:
        call()
    assert "\n" not in str(refusal.value)
