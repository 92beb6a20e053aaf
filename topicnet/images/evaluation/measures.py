"""Measures of image models, in nats: discrete codes, likelihood estimates and distances between samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from topicnet.errors import InputError

Numbers = Tensor | NDArray[Any]
IMQ_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
N_TOP = 5  # categories listed per label
N_RESAMPLES = 2000
_ROUNDING = 1e-9  # q(c) must exceed 1/K by more than this relative error, so that equal values do not count


def doubles(values: Numbers, name: str, axes: str) -> Tensor:
    """Convert values to a detached float64 tensor on their device; ``axes`` names the expected ones, as in "N Z"."""
    given = values.detach() if isinstance(values, Tensor) else torch.from_numpy(np.array(values, dtype=np.float64))
    if given.ndim != len(axes.split()) or 0 in given.shape:
        shape = ", ".join(axes.split())
        raise InputError(f"{name} has shape {tuple(given.shape)}; expected ({shape}), at least one of each")
    if given.isnan().any():
        raise InputError(f"{name} holds NaN; expected numbers: check whether the model has diverged")
    return given.double()


def finite_doubles(values: Numbers, name: str, axes: str) -> Tensor:
    """Convert like :func:`doubles`, and refuse infinite values."""
    given = doubles(values, name, axes)
    if not given.isfinite().all():
        raise InputError(f"{name} holds an infinity; expected finite numbers: check whether the model has diverged")
    return given


@dataclass(frozen=True)
class CategoryReport:
    """Information of a discrete code q(c|x) about x over a set of images, in nats.

    ``mean_kl`` = ``mutual_information`` + ``marginal_kl``. A ``mean_kl`` near log K alone does not show that the code
    is informative: a constant code has it too, with a mutual information of 0.

    Attributes
    ----------
    entropy : float
        H(q(c)).
    conditional_entropy : float
        E H(q(c|x)).
    mutual_information : float
        I_q(c; x), their difference.
    marginal_kl : float
        KL(q(c) || uniform).
    mean_kl : float
        E KL(q(c|x) || uniform).
    marginal : tuple of float
        (K,) q(c).
    in_use : tuple of int
        Categories with q(c) > 1/K.
    """

    entropy: float
    conditional_entropy: float
    mutual_information: float
    marginal_kl: float
    mean_kl: float
    marginal: tuple[float, ...]
    in_use: tuple[int, ...]


def category_report(log_q_c: Numbers) -> CategoryReport:
    """Compute entropies, mutual information and divergences of a discrete code with a uniform prior, exactly.

    Parameters
    ----------
    log_q_c : array of shape (N, K)
        log q(c|x), -inf allowed.

    Raises
    ------
    InputError
        A row does not sum to 1.
    """
    log_q = _normalised(log_q_c)
    q, n_categories = log_q.exp(), log_q.shape[1]
    marginal = q.mean(0)  # (K,)
    entropy = float(torch.special.entr(marginal).sum())
    conditional = float(torch.special.entr(q).sum(1).mean())
    in_use = (marginal * n_categories > 1 + _ROUNDING).nonzero().flatten()
    return CategoryReport(
        entropy=entropy,
        conditional_entropy=conditional,
        mutual_information=max(0.0, entropy - conditional),  # rounding must not make it negative
        marginal_kl=float(torch.special.xlogy(marginal, marginal * n_categories).sum()),
        mean_kl=float(torch.special.xlogy(q, q * n_categories).sum(1).mean()),
        marginal=tuple(marginal.tolist()),
        in_use=tuple(in_use.tolist()),
    )


@dataclass(frozen=True)
class LabelReport:
    """Agreement of categories with labels; accuracies and NMI use the likeliest category of each image.

    Attributes
    ----------
    labels : tuple of int
        (L,) in ascending order, as in the rows below.
    table : ndarray of shape (L, K)
        q(c|label), rows sum to 1.
    top : tuple of tuple of int
        The likeliest categories of each label, at most 5, without those of probability 0.
    n_distinct_top : int
        Number of distinct categories in `top`.
    shared_top : tuple of int
        Categories in the top of more than one label.
    hungarian_accuracy : float
        Accuracy of the best one-to-one map of categories to labels.
    majority_accuracy : float
        Accuracy when each category is mapped to its most frequent label.
    nmi : float
        Normalised mutual information.
    """

    labels: tuple[int, ...]
    table: NDArray[np.float64]
    top: tuple[tuple[int, ...], ...]
    n_distinct_top: int
    shared_top: tuple[int, ...]
    hungarian_accuracy: float
    majority_accuracy: float
    nmi: float


def label_report(log_q_c: Numbers, labels: Numbers) -> LabelReport:
    """Compare a discrete code with labels that the model has not seen (Lavda et al. 2020, tables 2 and A1).

    Parameters
    ----------
    log_q_c : array of shape (N, K)
        log q(c|x).
    labels : array of shape (N,)
        Any integers; their number need not be K.

    Raises
    ------
    InputError
        `log_q_c` does not hold log-probabilities, or there is not one integer label per image.
    """
    log_q = _normalised(log_q_c)
    names, label_of = np.unique(_integers(labels, "labels", len(log_q)), return_inverse=True)
    q = log_q.exp().cpu().numpy()
    table = np.stack([q[label_of == label].mean(0) for label in range(len(names))])
    order = np.argsort(-table, axis=1, kind="stable")[:, :N_TOP]
    top = tuple(tuple(int(k) for k in row if p[k] > 0) for row, p in zip(order, table, strict=True))
    listed, n_lists = np.unique(np.concatenate(top), return_counts=True)
    categories = log_q.argmax(1).cpu().numpy()
    return LabelReport(
        labels=tuple(names.tolist()),
        table=table,
        top=top,
        n_distinct_top=len(listed),
        shared_top=tuple(listed[n_lists > 1].tolist()),
        hungarian_accuracy=hungarian_accuracy(categories, label_of),
        majority_accuracy=majority_accuracy(categories, label_of),
        nmi=normalised_mutual_information(categories, label_of),
    )


def hungarian_accuracy(categories: Numbers, labels: Numbers) -> float:
    """Return the accuracy of the best one-to-one map of categories to labels, both (N,) integers.

    Images of a category without a label, as with K > L, count as wrong.
    """
    from scipy.optimize import linear_sum_assignment

    counts = _contingency(categories, labels)
    return float(counts[linear_sum_assignment(counts, maximize=True)].sum() / counts.sum())


def majority_accuracy(categories: Numbers, labels: Numbers) -> float:
    """Return the accuracy when each category is mapped to its most frequent label, both (N,) integers.

    The labels are counted on the same images. At least the Hungarian accuracy; it grows with the number of categories
    even if these are meaningless.
    """
    counts = _contingency(categories, labels)
    return float(counts.max(axis=1).sum() / counts.sum())


def normalised_mutual_information(categories: Numbers, labels: Numbers) -> float:
    """Return 2 I / (H + H) in [0, 1] of (N,) integers, as scikit-learn does with average_method="arithmetic"."""
    from sklearn.metrics import normalized_mutual_info_score

    found = _integers(categories, "categories", len(categories))
    return float(normalized_mutual_info_score(_integers(labels, "labels", len(found)), found))


def importance_nll(log_w: Numbers) -> Tensor:
    """Return -log mean_s w_s, the importance-weighted bound on -log p(x) (Burda, Grosse & Salakhutdinov 2016, eq. 8).

    Parameters
    ----------
    log_w : array of shape (S, N)
        log p(x, z_s) - log q(z_s|x) for S draws of N images; -inf allowed.

    Returns
    -------
    Tensor of shape (N,)
        float64 nats per image, at most the negative ELBO of the same draws, -mean_s log w_s.

    Raises
    ------
    InputError
        The shape is wrong, or a weight is NaN or infinite.
    """
    weights = doubles(log_w, "log_w", "S N")
    if (weights == math.inf).any():
        raise InputError("log_w holds +inf; expected log p(x, z) - log q(z|x), finite or -inf")
    return math.log(len(weights)) - weights.logsumexp(0)


def mean_and_interval(values: Numbers, seed: int) -> tuple[float, float, float]:
    """Return the mean of (N,) values with a 95 % percentile bootstrap interval of 2,000 resamples: (mean, low, high).

    The interval is too narrow for a handful of values, such as seeds, as it contains only their own spread.

    Raises
    ------
    InputError
        There are fewer than two values, or one is not finite.
    """
    given = finite_doubles(values, "values", "N").cpu().numpy()
    if len(given) < 2:
        raise InputError("values holds one number; expected two or more: an interval needs a spread")
    rng = np.random.default_rng(seed)
    at_once = max(1, 2**20 // len(given))
    means: list[float] = []
    while len(means) < N_RESAMPLES:
        draws = rng.integers(len(given), size=(min(at_once, N_RESAMPLES - len(means)), len(given)))
        means.extend(given[draws].mean(axis=1))
    low, high = np.quantile(means, (0.025, 0.975))
    return float(given.mean()), float(low), float(high)


def imq_kernel_sum(a: Tensor, b: Tensor, scale: float) -> Tensor:
    """Sum inverse multiquadratic kernels: sum_s C / (C + |a - b|^2) with C = s scale and s from 0.1 to 10.

    The result is differentiable. Source: Tolstikhin et al. (2018), and their code.

    Parameters
    ----------
    a, b : Tensor of shape (n, Z) and (m, Z)
        Points; the result has their dtype.
    scale : float
        2 Z sigma_p^2, the mean squared distance of two draws from the prior N(0, sigma_p^2 I).

    Returns
    -------
    Tensor of shape (n, m)
        In (0, 7], 7 for identical points.

    Raises
    ------
    InputError
        The widths differ, or the scale is not positive.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise InputError(f"points of shapes {tuple(a.shape)} and {tuple(b.shape)}; expected (n, Z) and (m, Z)")
    if not 0 < scale < math.inf:
        raise InputError(f"scale is {scale}; expected a positive number, 2 Z times the prior's variance")
    centre = b.detach().mean(0)  # prevents cancellation of the squares below
    a, b = a - centre, b - centre
    squared = (a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T).clamp_min(0.0)
    kernel = torch.zeros_like(squared)
    for s in IMQ_SCALES:
        kernel = kernel + s * scale / (s * scale + squared)
    return kernel


def frechet_distance(a: Numbers, b: Numbers) -> float:
    """Return the squared Frechet distance |m_a - m_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2) of two sets of features.

    It is the squared 2-Wasserstein distance of the Gaussians fitted to them (Dowson & Landau 1982; as in FID, Heusel et
    al. 2017).

    Parameters
    ----------
    a, b : array of shape (n, F) and (m, F)
        Features, at least two rows each; covariances are divided by n - 1. Few rows bias the distance upwards.

    Raises
    ------
    InputError
        The widths differ, a set has one row, or a value is not finite.
    """
    first, second = same_width(a, b, "a", "b")
    if min(len(first), len(second)) < 2:
        raise InputError("a feature set has one row; expected two or more: a covariance needs a spread")
    between = (first.mean(0) - second.mean(0)).square().sum()
    covariances = [(x - x.mean(0)).T @ (x - x.mean(0)) / (len(x) - 1) for x in (first, second)]
    # The trace of the root is the sum of singular values of A^1/2 B^1/2: no second root of eigenvalues near 0.
    cross = torch.linalg.matrix_norm(_root(covariances[0]) @ _root(covariances[1]), ord="nuc")
    return max(0.0, float(between + covariances[0].trace() + covariances[1].trace() - 2 * cross))


def same_width(a: Numbers, b: Numbers, name_a: str, name_b: str) -> tuple[Tensor, Tensor]:
    """Convert both to finite float64 points (n, Z) and (m, Z), or raise InputError."""
    first, second = finite_doubles(a, name_a, "n Z"), finite_doubles(b, name_b, "m Z")
    if first.shape[1] != second.shape[1]:
        widths = f"{first.shape[1]} and {second.shape[1]}"
        raise InputError(f"{name_a} and {name_b} have {widths} columns; expected as many of both")
    return first, second


def _root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = (vectors * values.clamp_min(0.0).sqrt()) @ vectors.T
    return root


def _normalised(log_q_c: Numbers) -> Tensor:
    log_q = doubles(log_q_c, "log_q_c", "N K")
    totals = log_q.logsumexp(1, keepdim=True)  # (N, 1)
    if not (totals.abs() < 1e-4).all():
        raise InputError(
            "a row of log_q_c does not sum to 1; expected log-probabilities: take the log_softmax of logits"
        )
    return log_q - totals


def _integers(values: Numbers, name: str, n_images: int) -> NDArray[np.int64]:
    given = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if given.shape != (n_images,) or not n_images:
        raise InputError(f"{name} has shape {given.shape}; expected ({n_images},), one for each image")
    if not np.issubdtype(given.dtype, np.integer):
        raise InputError(f"{name} holds {given.dtype}; expected integers")
    return given.astype(np.int64)


def _contingency(categories: Numbers, labels: Numbers) -> NDArray[np.int64]:
    """Count images by category and label, of those that occur: (K, L)."""
    found = _integers(categories, "categories", len(categories))
    _, row = np.unique(found, return_inverse=True)
    _, column = np.unique(_integers(labels, "labels", len(found)), return_inverse=True)
    counts = np.zeros((row.max() + 1, column.max() + 1), dtype=np.int64)
    np.add.at(counts, (row, column), 1)
    return counts
