"""MAP-EM on the mixture of topics: a start for the networks, and the refinement of theta.

The model is p(w|d) = sum_k theta_dk beta_kw with Dirichlet priors on theta and beta (Asuncion et al. 2009,
section 2.2: MAP inference for LDA). Every pass costs O(nnz K) over sparse batches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from sklearn.cluster import KMeans
from sklearn.preprocessing import normalize
from sklearn.utils.extmath import randomized_svd
from torch import Tensor

from topicnet.core.sparse import SparseBatch, SparseBatches, mixture_probabilities

THETA_PSEUDO_COUNT = 0.3  # tokens added to every topic of a document
BETA_PSEUDO_COUNT = 0.05  # tokens added to every word of a topic
CLUSTER_WORDS = 20_000  # the most frequent words, by which documents are clustered


@dataclass(frozen=True)
class MixtureFit:
    """A mixture of topics found by EM: theta (D, K) and beta (K, V), rows sum to 1."""

    theta: Tensor
    beta: Tensor


def expected_topic_counts(theta: Tensor, beta_t: Tensor, batch: SparseBatch) -> tuple[Tensor, Tensor]:
    """Expected tokens of each topic in each document (B, K), and x / p at the nonzeros (nnz,)."""
    ratio = batch.counts / mixture_probabilities(theta, beta_t, batch.pattern)
    return theta * batch.pattern.times(ratio, beta_t), ratio


def refine_theta(theta: Tensor, beta: Tensor, batch: SparseBatch, n_steps: int) -> Tensor:
    """Improve theta (B, K) by EM steps with beta (K, V) held fixed, a concave problem.

    A document without words keeps its theta.
    """
    beta_t = beta.t().contiguous()
    filled = batch.pattern.starts.diff() > 0
    refined = theta
    for _ in range(n_steps):
        counts, _ = expected_topic_counts(refined, beta_t, batch)
        refined = normalise_rows(counts + THETA_PSEUDO_COUNT)
    return torch.where(filled[:, None], refined, theta)


def normalise_rows(x: Tensor) -> Tensor:
    """Scale the rows of x to sum to 1."""
    return x / x.sum(-1, keepdim=True)


def cluster_documents(counts: csr_matrix, n_clusters: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """k-means of the documents on TF-IDF reduced by SVD: (D,) cluster of each.

    Random theta locks documents into topics early; clusters give EM a start near the subjects.
    """
    n_docs, vocab_size = counts.shape
    document_frequency = np.bincount(counts.indices, minlength=vocab_size)
    # Rare words part few documents, and the reduction holds (V, components) arrays.
    words = np.sort(np.argsort(-document_frequency, kind="stable")[:CLUSTER_WORDS])
    vocab_size = len(words)
    idf = np.log((1 + n_docs) / (1 + document_frequency[words])) + 1
    weighted = counts[:, words].astype(np.float32)
    np.log1p(weighted.data, out=weighted.data)
    weighted = normalize(weighted @ diags(idf.astype(np.float32)))
    n_components = min(max(n_clusters, 50), 100, min(n_docs, vocab_size) - 1)
    seed = int(rng.integers(2**31 - 1))
    if n_components < 2 or n_clusters == 1:
        return rng.integers(n_clusters, size=n_docs).astype(np.intp)
    left, scale, _ = randomized_svd(weighted, n_components, n_iter=2, random_state=seed)
    reduced = normalize(left * scale)
    n_distinct = len(np.unique(reduced, axis=0)) if n_docs <= 10 * n_clusters else n_docs
    means = KMeans(min(n_clusters, n_distinct), n_init=1, max_iter=50, random_state=seed)
    clusters: NDArray[np.intp] = means.fit_predict(reduced).astype(np.intp)
    return clusters


def fit_mixture(
    counts: csr_matrix,
    n_topics: int,
    n_passes: int,
    rng: np.random.Generator,
    device: torch.device,
    on_pass: Callable[[int], bool] = lambda done: True,
    batch_size: int = 2000,
) -> MixtureFit:
    """Fit theta and beta by MAP-EM, started from k-means of the documents.

    Parameters
    ----------
    counts : csr_matrix
        (D, V), float; no empty rows are needed, but they are allowed.
    n_topics, n_passes : int
        K, and the number of passes over the documents.
    on_pass : callable
        Called with the number of passes done; False stops early.

    Returns
    -------
    MixtureFit
        theta (D, K) and beta (K, V) on the device.
    """
    batches = list(SparseBatches(counts, batch_size, device))
    cluster = cluster_documents(counts, n_topics, rng)
    theta = torch.full((counts.shape[0], n_topics), 0.3 / n_topics, device=device)
    theta[torch.arange(len(cluster)), torch.as_tensor(cluster)] += 0.7
    # Clusters of documents differ in size and some are empty: a little noise keeps twins apart.
    noise = torch.as_tensor(rng.random((counts.shape[0], n_topics), dtype=np.float32)).to(device)
    theta = normalise_rows(theta * (0.5 + noise))
    beta_t = _first_beta(theta, batches)
    for done in range(1, n_passes + 1):
        theta, beta_t = _em_pass(theta, beta_t, batches)
        if not on_pass(done):
            break
    return MixtureFit(theta, beta_t.t().contiguous())


def _first_beta(theta: Tensor, batches: list[SparseBatch]) -> Tensor:
    """Topics as the theta-weighted sums of the documents' counts: (V, K)."""
    total = sum(batch.transposed.times(batch.counts[batch.order], theta[batch.index]) for batch in batches)
    return _normalise_topics(torch.as_tensor(total))


def _em_pass(theta: Tensor, beta_t: Tensor, batches: list[SparseBatch]) -> tuple[Tensor, Tensor]:
    word_counts = torch.zeros_like(beta_t)
    new_theta = torch.empty_like(theta)
    for batch in batches:
        part = theta[batch.index]
        counts, ratio = expected_topic_counts(part, beta_t, batch)
        word_counts += batch.transposed.times(ratio[batch.order], part)
        new_theta[batch.index] = normalise_rows(counts + THETA_PSEUDO_COUNT)
    return new_theta, _normalise_topics(beta_t * word_counts)


def _normalise_topics(word_counts: Tensor) -> Tensor:
    smoothed = word_counts + BETA_PSEUDO_COUNT
    return smoothed / smoothed.sum(0)
