"""Aggregated posterior q(z) = mean_n q(z|x_n): information, divergences and distances from the prior."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from topicnet.errors import InputError
from topicnet.images.evaluation.measures import Numbers, doubles, finite_doubles, imq_kernel_sum, same_width
from topicnet.training.collapse import ACTIVE

LOG_2PI = math.log(2 * math.pi)
_ENTRIES_AT_ONCE = 2**19  # float64 entries per slice of the N x N table: 4 MB, which fits in the cache
_CANCELLED = 1e-8  # largest acceptable rounding error of a squared distance from a matrix product, nats
_TIE = 1e-12  # smaller differences count as ties: rounding must not affect a p-value


@dataclass(frozen=True)
class AggregatedSplit:
    """The two parts of the mean divergence E KL(q(z|x) || p(z)), nats per image.

    Attributes
    ----------
    mutual_information : float
        I_q(x; z) over the set, at most log N.
    marginal_kl : float
        KL(q(z) || p(z)).
    mean_kl : float
        E KL(q(z|x) || p(z)), their sum, computed from the same draws but not from the two above.
    """

    mutual_information: float
    marginal_kl: float
    mean_kl: float


def aggregated_split(
    z: Tensor | tuple[Tensor, ...],
    log_q_given: Callable[..., Tensor],
    prior_log_density: Callable[..., Tensor],
) -> AggregatedSplit:
    """Split E KL(q(z|x) || p(z)) into the mutual information I(x; z) and KL(q(z) || p(z)) (Hoffman & Johnson 2016).

    q(z) is enumerated over all N images; the outer mean is over one draw per image.

    Parameters
    ----------
    z : Tensor or tuple of tensors
        (N, Z): row i drawn from q(z|x_i). For joint latents a tuple ``(z, c)``; each function then gets both. Values
        are passed on unchanged: give float64 for a prior in double precision.
    log_q_given : callable
        Maps rows (b, Z) of ``z`` (and (b,) of c) to (b, N): log q(z_i|x_j). See :func:`gaussian_log_density_matrix` and
        :func:`joint_log_density_matrix`.
    prior_log_density : callable
        Maps the same rows to (b,): log p(z_i).

    Returns
    -------
    AggregatedSplit
        The mutual information cannot exceed log N. If it is close to that, the set is too small to measure it, and the
        missing part is counted as marginal divergence.

    Raises
    ------
    InputError
        A density has the wrong shape, or is zero or not a number at a draw.
    """
    points = z if isinstance(z, tuple) else (z,)
    n_images = len(points[0])
    if not n_images or any(len(part) != n_images for part in points):
        raise InputError(f"z has {[len(part) for part in points]} rows; expected one row for each image, of every part")
    own, marginal, prior = (torch.empty(n_images, dtype=torch.float64) for _ in range(3))
    with torch.no_grad():
        for rows in _slices(n_images):
            part = tuple(point[rows] for point in points)
            log_q = _of_shape(log_q_given(*part), (len(part[0]), n_images), "log_q_given")  # (b, N)
            own[rows], marginal[rows] = log_q.diagonal(rows.start).cpu(), log_q.logsumexp(1).cpu()
            prior[rows] = _of_shape(prior_log_density(*part), (len(part[0]),), "prior_log_density").cpu()
    _refuse_unlikely(own, "q(z_i|x_i)")
    _refuse_unlikely(prior, "p(z_i)")
    marginal -= math.log(n_images)
    return AggregatedSplit(
        mutual_information=float((own - marginal).mean()),
        marginal_kl=float((marginal - prior).mean()),
        mean_kl=float((own - prior).mean()),
    )


@dataclass(frozen=True)
class DivergenceTerms:
    """Parts of the divergence of z and c from their prior, nats per image (Lavda et al. 2020, eq. 20 and table 1).

    With a prior p(z|c), B1 + B2 is I(z, c; x) and C1 + C2 is KL(q(z, c) || p(z, c)). With a prior p(z) p(c), table 1
    takes z and c to be independent in q(z, c), which they are not, as both depend on x: the sum of all four is right,
    but B1 + B2 exceeds the information, and C1 + C2 falls short of the divergence, by I(z; c).

    Attributes
    ----------
    b1 : float
        I(z; x | c) with a prior p(z|c), and E log q(z|x,c) / q(z) with p(z).
    b2 : float
        I(c; x).
    c1 : float
        E KL(q(z|c) || p(z|c)), or KL(q(z) || p(z)).
    c2 : float
        KL(q(c) || p(c)).
    overlap : float or None
        I(z; c) with a prior p(z) p(c), which is counted in B1 and left out of C1; None with p(z|c).
    """

    b1: float
    b2: float
    c1: float
    c2: float
    overlap: float | None


def divergence_terms(
    split: AggregatedSplit, information: float, category_kl: float, overlap: float | None = None
) -> DivergenceTerms:
    """Split the two parts of the divergence of (z, c) further into those of c and of z given c.

    Parameters
    ----------
    split : AggregatedSplit
        I(z, c; x) and KL(q(z, c) || p(z, c)).
    information : float
        I(c; x).
    category_kl : float
        KL(q(c) || p(c)).
    overlap : float, optional
        I(z; c), if the prior is p(z) p(c).
    """
    shift = 0.0 if overlap is None else overlap
    b1 = split.mutual_information - information + shift
    return DivergenceTerms(b1, information, split.marginal_kl - category_kl - shift, category_kl, overlap)


def information_between(
    z: Tensor,
    c: Tensor,
    log_q_given: Callable[[Tensor, Tensor], Tensor],
    log_q_z_given: Callable[[Tensor], Tensor],
    q_c: Tensor,
) -> float:
    """Estimate I_q(z; c) = E log q(z, c) / (q(z) q(c)) with aggregated posteriors enumerated over N images, in nats.

    Parameters
    ----------
    z : Tensor of shape (N, Z)
        Row i drawn from q(z | x_i, c_i).
    c : integer Tensor of shape (N,)
        Row i drawn from q(c | x_i).
    log_q_given : callable
        Maps rows of z and c to (b, N): log q(z_i, c_i | x_j).
    log_q_z_given : callable
        Maps rows of z to (b, N): log q(z_i | x_j), summed over categories.
    q_c : Tensor of shape (K,)
        q(c), the mean of q(c | x_j).
    """
    log_n, logs = math.log(len(z)), []
    with torch.no_grad():
        for rows in _slices(len(z)):
            joint = log_q_given(z[rows], c[rows]).logsumexp(1) - log_n
            logs.append(joint - (log_q_z_given(z[rows]).logsumexp(1) - log_n) - q_c.double().log()[c[rows]])
    return float(torch.cat(logs).mean())


def gaussian_log_density_matrix(z: Numbers, means: Numbers, log_var: Numbers) -> Tensor:
    """Return log N(z_i; m_j, diag v_j) for all pairs of points and Gaussians.

    Parameters
    ----------
    z : array of shape (n, Z)
        Points.
    means, log_var : array of shape (N, Z)
        Means and log-variances.

    Returns
    -------
    Tensor of shape (n, N)
        float64, nats.

    Raises
    ------
    InputError
        The shapes do not match, or a value is not finite.
    """
    points, centres = same_width(z, means, "z", "means")
    log_v = finite_doubles(log_var, "log_var", "N Z")
    if centres.shape != log_v.shape:
        raise InputError(f"means is {tuple(centres.shape)}, log_var {tuple(log_v.shape)}; expected (N, Z) of both")
    centre = centres.mean(0)  # both are centred: smaller squares lose less to cancellation
    points, centres, precision = points - centre, centres - centre, (-log_v).exp()
    largest = (points.abs().amax(0) + centres.abs().amax(0)).square() @ precision.amax(0)
    if float(largest) * torch.finfo(points.dtype).eps > _CANCELLED:
        return _sum_of_dimensions(points, centres, log_v)
    squares = points.square() @ precision.T - 2 * points @ (centres * precision).T  # (n, N)
    distance = (squares + (centres.square() * precision).sum(1)).clamp_min(0.0)
    return -0.5 * (distance + (log_v + LOG_2PI).sum(1))


def joint_log_density_matrix(z: Numbers, c: Tensor, means: Numbers, log_vars: Numbers, log_q_c: Numbers) -> Tensor:
    """Return log q(z_i, c_i|x_j) = log q(c_i|x_j) + log q(z_i|x_j, c_i) for all pairs.

    Parameters
    ----------
    z : array of shape (n, Z)
        Points.
    c : integer Tensor of shape (n,)
        Their categories, 0 to K - 1.
    means, log_vars : array of shape (N, Z) or (N, K, Z)
        Parameters of q(z|x), which does not depend on c, or of q(z|x, c).
    log_q_c : array of shape (N, K)
        log q(c|x), -inf allowed.

    Returns
    -------
    Tensor of shape (n, N)
        float64, nats.

    Raises
    ------
    InputError
        The shapes do not match, or a category is not one of the K.
    """
    z, log_q = finite_doubles(z, "z", "n Z"), doubles(log_q_c, "log_q_c", "N K")
    n_categories = log_q.shape[1]
    if c.shape != (len(z),) or c.is_floating_point() or int(c.min()) < 0 or int(c.max()) >= n_categories:
        given = f"c is {tuple(c.shape)} of {c.dtype}"
        raise InputError(f"{given}; expected ({len(z)},) integers from 0 to {n_categories - 1}, a category for each z")
    if len(means) != len(log_q):
        raise InputError(f"means has {len(means)} rows and log_q_c {len(log_q)}; expected one for each image in both")
    log_q_of_c = log_q[:, c].T  # (n, N)
    if means.ndim == 2:
        return gaussian_log_density_matrix(z, means, log_vars) + log_q_of_c
    centres, log_v = finite_doubles(means, "means", "N K Z"), finite_doubles(log_vars, "log_vars", "N K Z")
    if centres.shape[1] != n_categories or log_v.shape != centres.shape:
        given = f"means is {tuple(centres.shape)}, log_vars {tuple(log_v.shape)}"
        raise InputError(f"{given}; expected (N, {n_categories}, Z) of both, as many categories as log_q_c has")
    joint = torch.empty_like(log_q_of_c)
    for k in np.unique(c.cpu().numpy()).tolist():
        here = c == k
        joint[here] = gaussian_log_density_matrix(z[here], centres[:, k], log_v[:, k]) + log_q_of_c[here]
    return joint


@dataclass(frozen=True)
class AggregatedDecomposition:
    """The three parts of the mean divergence from N(0, I), nats per image; their sum is ``mean_kl``.

    Attributes
    ----------
    mutual_information : float
        I_q(x; z) over the set, at most log N.
    total_correlation : float
        KL(q(z) || prod_j q(z_j)).
    dimension_kl : tuple of float
        (Z,) KL(q(z_j) || N(0, 1)).
    mean_kl : float
        E KL(q(z|x) || N(0, I)).
    """

    mutual_information: float
    total_correlation: float
    dimension_kl: tuple[float, ...]
    mean_kl: float

    @property
    def dimensionwise_kl(self) -> float:
        """Sum of `dimension_kl`, nats."""
        return sum(self.dimension_kl)


def aggregated_decomposition(z: Numbers, means: Numbers, log_var: Numbers) -> AggregatedDecomposition:
    """Compute mutual information, total correlation and dimension-wise KL of Gaussian posteriors (Chen et al. 2018).

    q(z) and each q(z_j) are enumerated over the N images; the outer mean is over one draw per image. If the posteriors
    do not overlap, I = log N and the total correlation is (Z - 1) log N, whatever the density of the images.

    Parameters
    ----------
    z : array of shape (N, Z)
        Row i is drawn from N(m_i, diag v_i).
    means, log_var : array of shape (N, Z)
        Means and log-variances.

    Returns
    -------
    AggregatedDecomposition
        The three parts and their sum, nats per image.

    Raises
    ------
    InputError
        The shapes do not match, or a value is not finite.
    """
    points, centres, log_v = _gaussians(z, means, log_var)
    n_images = len(centres)
    if len(points) != n_images:
        raise InputError(f"z has {len(points)} rows and means {n_images}; expected one draw for each image")
    given, joint, each = torch.empty_like(points[:, 0]), torch.empty_like(points[:, 0]), torch.empty_like(points)
    for rows in _slices(n_images):
        whole = points.new_zeros(len(points[rows]), n_images)  # (b, N)
        for j in range(points.shape[1]):
            of_dimension = _log_normal(points[rows, j, None], centres[:, j], log_v[:, j])
            each[rows, j] = of_dimension.logsumexp(1)
            whole += of_dimension
        given[rows], joint[rows] = whole.diagonal(rows.start), whole.logsumexp(1)
    joint -= math.log(n_images)
    each -= math.log(n_images)
    zero = points.new_zeros(())
    prior = _log_normal(points, zero, zero)  # (N, Z)
    return AggregatedDecomposition(
        mutual_information=float((given - joint).mean()),
        total_correlation=float((joint - each.sum(1)).mean()),
        dimension_kl=tuple((each - prior).mean(0).tolist()),
        mean_kl=float((given - prior.sum(1)).mean()),
    )


def active_units(means: Numbers, threshold: float = ACTIVE) -> int:
    """Count the dimensions whose posterior mean varies over the images (Burda et al. 2016): Var_x(E[z_j|x]) > 0.01.

    Parameters
    ----------
    means : array of shape (N, Z)
        Posterior means.
    threshold : float
        Variance that an active dimension exceeds.

    Returns
    -------
    int
        Number of active dimensions.

    Raises
    ------
    InputError
        The shape is wrong, a value is not finite, or the threshold is negative.
    """
    if not threshold >= 0:
        raise InputError(f"threshold is {threshold}; expected a variance of 0 or more (usually 0.01)")
    return int((finite_doubles(means, "means", "N Z").var(0, correction=0) > threshold).sum())


def mmd_permutation(a: Numbers, b: Numbers, n_permutations: int, seed: int) -> tuple[float, float]:
    """Estimate the unbiased MMD^2 of two samples by :func:`imq_kernel_sum`, with a permutation p-value.

    Parameters
    ----------
    a, b : array of shape (n, Z) and (m, Z)
        Draws from q(z) and from the prior N(0, I), whose variance sets the kernel; at least two each. The kernel of all
        n + m points is kept, (n + m)^2 doubles: suitable for a few thousand points.
    n_permutations : int
        Number of random regroupings of the points.
    seed : int
        Seed of the regroupings.

    Returns
    -------
    mmd : float
        MMD^2 (Gretton et al. 2012, eq. 3); it can be negative.
    p_value : float
        Fraction of groupings, including the given one, with at least this MMD^2: at least 1 / (n_permutations + 1).

    Raises
    ------
    InputError
        The samples have different widths or fewer than two points, or there are no permutations.
    """
    first, second = same_width(a, b, "a", "b")
    points = torch.cat([first, second])
    if min(len(first), len(second)) < 2 or n_permutations < 1:
        given = f"{len(first)} and {len(second)} points, {n_permutations} permutations"
        raise InputError(f"{given}; expected two points or more in each sample, and one permutation or more")
    kernel = imq_kernel_sum(points, points, 2.0 * points.shape[1])
    in_a = np.repeat([1.0, 0.0], [len(first), len(second)])
    observed = float(mmd_of_groups(kernel, torch.from_numpy(in_a[None]).to(kernel))[0])
    rng = np.random.default_rng(seed)
    at_once = max(1, _ENTRIES_AT_ONCE // len(points))
    n_as_much = 1  # the given grouping
    for begin in range(0, n_permutations, at_once):
        groups = np.tile(in_a, (min(at_once, n_permutations - begin), 1))
        by_chance = mmd_of_groups(kernel, torch.from_numpy(rng.permuted(groups, axis=1)).to(kernel))
        n_as_much += int((by_chance >= observed - _TIE).sum())
    return observed, n_as_much / (1 + n_permutations)


def mmd_of_groups(kernel: Tensor, in_a: Tensor) -> Tensor:
    """Compute the unbiased MMD^2 between two groups of the same points, for each of P groupings: (P,).

    Parameters
    ----------
    kernel : Tensor of shape (n, n)
        Kernel of all pairs of points.
    in_a : Tensor of shape (P, n)
        1 for points in the first group and 0 for those in the second; at least two in each.
    """
    itself = kernel.diagonal()
    n, m = in_a.sum(1), (1 - in_a).sum(1)
    to_a = in_a @ kernel  # (P, n): of every point to the first group
    within_a = (to_a * in_a).sum(1)
    across = to_a.sum(1) - within_a
    within_b = kernel.sum() - within_a - 2 * across
    pairs_a, pairs_b = within_a - in_a @ itself, within_b - (1 - in_a) @ itself
    return pairs_a / (n * (n - 1)) + pairs_b / (m * (m - 1)) - 2 * across / (n * m)


def sliced_w2(a: Numbers, b: Numbers, n_directions: int, seed: int) -> float:
    """Estimate the squared sliced 2-Wasserstein distance of two samples of one size (Bonneel et al. 2015).

    Parameters
    ----------
    a, b : array of shape (n, Z)
        The samples. For points x and x + t the result is about |t|^2 / Z.
    n_directions : int
        Number of random directions over which the distance is averaged.
    seed : int
        Seed of the directions.

    Raises
    ------
    InputError
        The samples have different shapes, a value is not finite, or there are no directions.
    """
    first, second = same_width(a, b, "a", "b")
    if len(first) != len(second) or n_directions < 1:
        given = f"{len(first)} and {len(second)} points, {n_directions} directions"
        raise InputError(f"{given}; expected as many points in both, and one direction or more")
    directions = torch.from_numpy(np.random.default_rng(seed).standard_normal((first.shape[1], n_directions))).to(first)
    directions = directions / directions.norm(dim=0)
    return float(((first @ directions).sort(0).values - (second @ directions).sort(0).values).square().mean())


def _slices(n_images: int) -> Iterator[slice]:
    at_once = max(1, _ENTRIES_AT_ONCE // n_images)
    return (slice(begin, min(begin + at_once, n_images)) for begin in range(0, n_images, at_once))


def _log_normal(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    # In place and from a contiguous row, as a decomposition spends nearly all of its time here.
    squared = (z - mean.contiguous()).square_()
    return squared.mul_(-0.5 * (-log_var).exp()).sub_(0.5 * (log_var + LOG_2PI))


def _gaussians(z: Numbers, means: Numbers, log_var: Numbers) -> tuple[Tensor, Tensor, Tensor]:
    points, centres = same_width(z, means, "z", "means")
    log_v = finite_doubles(log_var, "log_var", "N Z")
    if centres.shape != log_v.shape:
        raise InputError(f"means is {tuple(centres.shape)}, log_var {tuple(log_v.shape)}; expected (N, Z) of both")
    return points, centres, log_v


def _sum_of_dimensions(z: Tensor, means: Tensor, log_var: Tensor) -> Tensor:
    total = z.new_zeros(len(z), len(means))
    for j in range(z.shape[1]):
        total += _log_normal(z[:, j, None], means[:, j], log_var[:, j])
    return total


def _of_shape(values: Tensor, shape: tuple[int, ...], name: str) -> Tensor:
    if tuple(values.shape) != shape:
        raise InputError(f"{name} gave shape {tuple(values.shape)}; expected {shape}, one value for each row")
    return values.double()


def _refuse_unlikely(log_density: Tensor, what: str) -> None:
    wrong = (~log_density.isfinite()).nonzero().flatten()
    if len(wrong):
        given = f"log {what} is {float(log_density[wrong[0]])} at image {int(wrong[0])}"
        raise InputError(f"{given}; expected a finite number: give each image's own draw, in the order of the images")
