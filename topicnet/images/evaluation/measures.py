"""The numbers of a model's report: discrete codes, tighter likelihoods, distances between samples. All in nats."""

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
_ROUNDING = 1e-9  # by so much a share must exceed 1/K, or equal shares would count by their last bit


def doubles(values: Numbers, name: str, axes: str) -> Tensor:
    """The values as a float64 tensor where they are, cut from any graph; ``axes`` names what is expected: "N Z"."""
    given = values.detach() if isinstance(values, Tensor) else torch.from_numpy(np.array(values, dtype=np.float64))
    if given.ndim != len(axes.split()) or 0 in given.shape:
        shape = ", ".join(axes.split())
        raise InputError(f"{name} has shape {tuple(given.shape)}; expected ({shape}), at least one of each")
    if given.isnan().any():
        raise InputError(f"{name} holds NaN; expected numbers: look whether the model has diverged")
    return given.double()


def finite_doubles(values: Numbers, name: str, axes: str) -> Tensor:
    """As :func:`doubles`, and no infinity among them."""
    given = doubles(values, name, axes)
    if not given.isfinite().all():
        raise InputError(f"{name} holds an infinity; expected finite numbers: look whether the model has diverged")
    return given


@dataclass(frozen=True)
class CategoryReport:
    """What q(c|x) tells of x, over a set of images; all in nats.

    ``mean_kl`` = ``mutual_information`` + ``marginal_kl``. A ``mean_kl`` near log K says nothing by itself: a code that
    is always the same has it too, with a mutual information of 0.
    """

    entropy: float  # H(q(c))
    conditional_entropy: float  # E H(q(c|x))
    mutual_information: float  # I_q(c; x), their difference
    marginal_kl: float  # KL(q(c) || uniform)
    mean_kl: float  # E KL(q(c|x) || uniform)
    marginal: tuple[float, ...]  # (K,) q(c)
    in_use: tuple[int, ...]  # the categories with q(c) > 1/K


def category_report(log_q_c: Numbers) -> CategoryReport:
    """Split the divergence of a discrete code from its uniform prior, exactly over the images given.

    ``log_q_c``: (N, K) log-probabilities log q(c|x), -inf allowed. An InputError refuses rows that do not sum to 1.
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
        mutual_information=entropy - conditional,
        marginal_kl=float(torch.special.xlogy(marginal, marginal * n_categories).sum()),
        mean_kl=float(torch.special.xlogy(q, q * n_categories).sum(1).mean()),
        marginal=tuple(marginal.tolist()),
        in_use=tuple(in_use.tolist()),
    )


@dataclass(frozen=True)
class LabelReport:
    """How categories and labels meet. Accuracies and NMI are of the likeliest category of each image."""

    labels: tuple[int, ...]  # (L,) in ascending order, as the rows below
    table: NDArray[np.float64]  # (L, K) q(c|label), rows sum to 1
    top: tuple[tuple[int, ...], ...]  # (L, at most 5) likeliest first, none of probability 0
    n_distinct_top: int
    shared_top: tuple[int, ...]  # in the top of more than one label
    hungarian_accuracy: float
    majority_accuracy: float
    nmi: float


def label_report(log_q_c: Numbers, labels: Numbers) -> LabelReport:
    """Hold a discrete code against labels that the model has not seen (CP-VAE, tables 2 and A1).

    Parameters
    ----------
    log_q_c : (N, K)
        log q(c|x).
    labels : (N,) integers
        Of any values; K need not be their number.

    Raises
    ------
    InputError
        No log-probabilities, or labels that are no integers, one per image.
    """
    log_q = _normalised(log_q_c)
    names, label_of = np.unique(_integers(labels, "labels", len(log_q)), return_inverse=True)
    q = log_q.exp().cpu().numpy()
    table = np.stack([q[label_of == label].mean(0) for label in range(len(names))])
    order = np.argsort(-table, axis=1, kind="stable")[:, :N_TOP]
    top = tuple(tuple(int(k) for k in row if share[k] > 0) for row, share in zip(order, table, strict=True))
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
    """Share of images that the best one-to-one map of categories to labels gets right.

    Both (N,) integers. Images of a category left without a label, as where K > L, count as wrong.
    """
    from scipy.optimize import linear_sum_assignment

    counts = _contingency(categories, labels)
    return float(counts[linear_sum_assignment(counts, maximize=True)].sum() / counts.sum())


def majority_accuracy(categories: Numbers, labels: Numbers) -> float:
    """Share of images right when each category means its most frequent label, counted on the same images.

    Both (N,) integers. At least the Hungarian accuracy; it grows with the number of categories whatever they mean.
    """
    counts = _contingency(categories, labels)
    return float(counts.max(axis=1).sum() / counts.sum())


def normalised_mutual_information(categories: Numbers, labels: Numbers) -> float:
    """2 I / (H + H) in [0, 1], scikit-learn's with the arithmetic mean. Both (N,) integers."""
    from sklearn.metrics import normalized_mutual_info_score

    found = _integers(categories, "categories", len(categories))
    return float(normalized_mutual_info_score(_integers(labels, "labels", len(found)), found))


def importance_nll(log_w: Numbers) -> Tensor:
    """-log mean_s w_s: the importance-weighted bound on -log p(x) (Burda, Grosse & Salakhutdinov 2016, eq. 8).

    Parameters
    ----------
    log_w : (S, N)
        log p(x, z_s) - log q(z_s|x) of S draws for each of N images; -inf allowed.

    Returns
    -------
    (N,) float64 nats per image, never above the negative ELBO of the same draws, -mean_s log w_s.

    Raises
    ------
    InputError
        Another shape, NaN, or an infinite weight.
    """
    weights = doubles(log_w, "log_w", "S N")
    if (weights == math.inf).any():
        raise InputError("log_w holds +inf; expected log p(x, z) - log q(z|x), finite or -inf")
    return math.log(len(weights)) - weights.logsumexp(0)


def mean_and_interval(values: Numbers, seed: int) -> tuple[float, float, float]:
    """The mean of (N,) values and its 95 % interval, a percentile bootstrap of 2,000 resamples: (mean, low, high).

    Too narrow for a handful of values (seeds, say): it knows no more spread than they show. An InputError refuses
    fewer than two values, and one that is not finite.
    """
    given = finite_doubles(values, "values", "N").cpu().numpy()
    if len(given) < 2:
        raise InputError("values holds one number; expected two or more: an interval needs their spread")
    rng = np.random.default_rng(seed)
    at_once = max(1, 2**20 // len(given))
    means: list[float] = []
    while len(means) < N_RESAMPLES:
        draws = rng.integers(len(given), size=(min(at_once, N_RESAMPLES - len(means)), len(given)))
        means.extend(given[draws].mean(axis=1))
    low, high = np.quantile(means, (0.025, 0.975))
    return float(given.mean()), float(low), float(high)


def imq_kernel_sum(a: Tensor, b: Tensor, scale: float) -> Tensor:
    """sum_s C / (C + |a - b|^2), C = s scale, s in 0.1 ... 10 (Tolstikhin et al. 2018; their code), differentiable.

    Parameters
    ----------
    a, b : Tensor
        (n, Z), (m, Z) points; the result is in their dtype.
    scale : float
        2 Z sigma_p^2: the mean squared distance of two draws of the prior N(0, sigma_p^2 I).

    Returns
    -------
    Tensor
        (n, m) in (0, 7], 7 where two points are the same.

    Raises
    ------
    InputError
        Points of different widths, or a scale that is not above 0.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise InputError(f"points of shapes {tuple(a.shape)} and {tuple(b.shape)}; expected (n, Z) and (m, Z)")
    if not 0 < scale < math.inf:
        raise InputError(f"scale is {scale}; expected a positive number, 2 Z times the prior's variance")
    centre = b.detach().mean(0)  # far from the origin the squares below would cancel
    a, b = a - centre, b - centre
    squared = (a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T).clamp_min(0.0)
    kernel = torch.zeros_like(squared)
    for s in IMQ_SCALES:
        kernel = kernel + s * scale / (s * scale + squared)
    return kernel


def frechet_distance(a: Numbers, b: Numbers) -> float:
    """|m_a - m_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2) of the Gaussians fitted to two sets of features.

    The squared 2-Wasserstein distance of the two Gaussians (Dowson & Landau 1982; as FID, Heusel et al. 2017).

    Parameters
    ----------
    a, b : (n, F), (m, F)
        Features, two rows or more each; covariances divide by n - 1. Few rows bias the distance upwards.

    Raises
    ------
    InputError
        Sets of different widths, of one row, or not finite.
    """
    first, second = same_width(a, b, "a", "b")
    if min(len(first), len(second)) < 2:
        raise InputError("a feature set has one row; expected two or more: a covariance needs their spread")
    between = (first.mean(0) - second.mean(0)).square().sum()
    covariances = [(x - x.mean(0)).T @ (x - x.mean(0)) / (len(x) - 1) for x in (first, second)]
    # The trace of the root is the sum of the singular values of A^1/2 B^1/2, without a second rooting of what is 0.
    cross = torch.linalg.matrix_norm(_root(covariances[0]) @ _root(covariances[1]), ord="nuc")
    return max(0.0, float(between + covariances[0].trace() + covariances[1].trace() - 2 * cross))


def same_width(a: Numbers, b: Numbers, name_a: str, name_b: str) -> tuple[Tensor, Tensor]:
    """Both as finite float64 points (n, Z), (m, Z), or an InputError."""
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
    """(K, L) number of images of each category and label, of those that occur."""
    found = _integers(categories, "categories", len(categories))
    _, row = np.unique(found, return_inverse=True)
    _, column = np.unique(_integers(labels, "labels", len(found)), return_inverse=True)
    counts = np.zeros((row.max() + 1, column.max() + 1), dtype=np.int64)
    np.add.at(counts, (row, column), 1)
    return counts
