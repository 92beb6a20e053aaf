"""MAP-EM for the mixture of topics: initial topics for the networks, and refinement of theta.

The model is p(w|d) = sum_k theta_dk beta_kw with Dirichlet priors on theta and beta (Asuncion et al. 2009,
section 2.2: MAP inference for LDA). Each pass over sparse batches costs O(nnz K).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from torch import Tensor

from topicnet.core.sparse import SparseBatch, SparseBatches, mixture_probabilities
from topicnet.runtime.threads import map_inference
from topicnet.runtime.warnings import ignored

THETA_PSEUDO_COUNT = 0.3  # tokens added to every topic of a document
MANY_TOPICS = 100  # above this, the total stays that of 100 topics, so that it cannot outweigh a document
BETA_PSEUDO_COUNT = 0.05  # tokens added to every word of a topic
# Prior for refining an encoder's theta: tokens added to every topic, and to the encoder's topics per observed token.
UNIFORM_WEIGHT, ENCODER_WEIGHT = 0.1, 0.25
BATCH = 2_000  # documents, or word contexts, per batch
CLUSTER_WORDS = 20_000  # number of the most frequent words by which documents are clustered
CANDIDATES = 1.5  # initial topics per requested topic; the best of them are kept
# Corpora with fewer tokens per document on average start from word contexts instead.
SHORT_DOCUMENT = 15
CONTEXT_PSEUDO_COUNT = 20.0  # larger than for documents, because a word's context holds hundreds of tokens
# Passes over the documents after those over the contexts: one per 55 tokens per word of the vocabulary, at most 3. The
# more tokens a word has, the more such passes its topics survive without degrading.
TOKENS_PER_PASS, MOST_DOCUMENT_PASSES = 55, 3
# Number of starts on short documents, the most likely of which is kept: 5, or fewer if nonzeros times topics of the
# contexts exceeds this amount of work.
SHORT_STARTS, WORK_OF_STARTS = 5, 500_000_000

# Added to the variances of Gaussians fitted to posterior means, because draws scatter around these means.
VARIANCE_OF_DRAWS = 0.3


@dataclass(frozen=True)
class MixtureFit:
    """Topic mixture fitted by EM: theta (D, K) and beta (K, V), with rows that sum to 1."""

    theta: Tensor
    beta: Tensor


def expected_topic_counts(theta: Tensor, beta_t: Tensor, batch: SparseBatch) -> tuple[Tensor, Tensor]:
    """Return the expected tokens of each topic in each document (B, K), and x / p at the nonzeros (nnz,)."""
    ratio = batch.counts / mixture_probabilities(theta, beta_t, batch.pattern)
    return batch.pattern.matmul(ratio, beta_t).mul_(theta), ratio


def encoder_pseudo_counts(theta: Tensor, batch: SparseBatch) -> Tensor:
    """Return the pseudo-counts (B, K) of a Dirichlet prior centred near an encoder's theta (B, K).

    A small constant for every topic, plus the encoder's proportions weighted by the length of the document.
    """
    weight = ENCODER_WEIGHT * batch.row_sums(batch.counts)  # (B,)
    return scaled_pseudo_count(UNIFORM_WEIGHT, theta.shape[1]) + weight[:, None] * theta


def scaled_pseudo_count(pseudo_count: float, n_topics: int) -> float:
    """Scale a pseudo-count per topic so that its total never exceeds that of 100 topics."""
    return pseudo_count * min(1.0, MANY_TOPICS / n_topics)


def refine_theta(
    theta: Tensor, beta: Tensor, batch: SparseBatch, n_steps: int, pseudo_counts: Tensor | float | None = None
) -> Tensor:
    """Improve theta (B, K) by MAP-EM steps with beta (K, V) fixed, which is a concave problem.

    The prior over theta is a Dirichlet that adds pseudo-counts: (B, K), or one number for all, by default that of
    `fit_mixture`. Documents without words keep their theta.
    """
    if pseudo_counts is None:
        pseudo_counts = scaled_pseudo_count(THETA_PSEUDO_COUNT, theta.shape[1])
    beta_t = beta.t().contiguous()
    filled = batch.pattern.starts.diff() > 0
    refined = theta
    for _ in range(n_steps):
        counts, _ = expected_topic_counts(refined, beta_t, batch)
        refined = normalise_rows(counts + pseudo_counts)
    return torch.where(filled[:, None], refined, theta)


def normalise_rows(x: Tensor) -> Tensor:
    """Scale the rows of x to sum to 1."""
    return x / x.sum(-1, keepdim=True)


def cluster_documents(counts: csr_matrix, n_clusters: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Cluster documents by k-means on SVD-reduced TF-IDF, and return the cluster of each, (D,).

    EM from random theta commits documents to topics too early; clusters start it near coherent subjects.
    """
    from sklearn.cluster import KMeans  # half a second, which loading a model need not wait for
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.preprocessing import normalize
    from sklearn.utils.extmath import randomized_svd

    n_docs, vocab_size = counts.shape
    document_frequency = np.bincount(counts.indices, minlength=vocab_size)
    # Rare words separate few documents, and the reduction needs (V, components) arrays.
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
    means = KMeans(min(n_clusters, n_docs), n_init=1, max_iter=50, random_state=seed)
    with ignored(ConvergenceWarning):  # with fewer distinct documents than clusters, some stay empty
        clusters: NDArray[np.intp] = means.fit_predict(reduced).astype(np.intp)
    return clusters


def fit_gaussians(means: Tensor, n_components: int, seed: int) -> tuple[Tensor, Tensor] | None:
    """Fit a mixture of diagonal Gaussians to posterior means (D, Z) by EM, for use as a prior.

    Returns
    -------
    tuple of Tensor, or None
        Means and log-variances, (C, Z) each; None if there are fewer distinct points than components.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    points = means.double().cpu().numpy()
    if len(np.unique(points, axis=0)) < n_components:
        return None
    mixture = GaussianMixture(
        n_components, covariance_type="diag", reg_covar=VARIANCE_OF_DRAWS, max_iter=100, tol=1e-2, random_state=seed
    )
    with ignored(ConvergenceWarning):  # an approximate start is enough
        mixture.fit(points)
    return torch.as_tensor(mixture.means_), torch.as_tensor(np.log(mixture.covariances_))


def fit_mixture(
    counts: csr_matrix,
    n_topics: int,
    n_passes: int,
    rng: np.random.Generator,
    device: torch.device,
    on_pass: Callable[[int, int], bool] = lambda done, total: True,
) -> MixtureFit:
    """Fit theta and beta by MAP-EM.

    EM starts from k-means with 1.5 times as many clusters as topics; after a third of the passes it keeps the topics
    most exclusive to their documents. Documents of a few words hold too little information for that. For them EM
    first runs over words, where each word's "document" is the words that occur with it (word networks; Zuo, Zhao & Xu
    2016). It does so several times and keeps the most likely result.

    Parameters
    ----------
    counts : csr_matrix
        (D, V), float; empty rows are allowed.
    n_topics, n_passes : int
        K, and the number of passes over the documents; on short documents, each start makes half as many passes over
        the words.
    rng : numpy.random.Generator
        Source of all randomness.
    device : torch.device
        Device of the computation and of the result.
    on_pass : callable
        Called with the number of finished passes and their total; return False to stop early.

    Returns
    -------
    MixtureFit
        theta (D, K) and beta (K, V) on the device.
    """
    documents = list(SparseBatches(counts, BATCH, device))
    if counts.sum() < SHORT_DOCUMENT * counts.shape[0]:
        theta, beta_t = _best_of_contexts(counts, n_topics, n_passes, rng, device, on_pass, documents)
    else:
        passes = _Passes(n_passes, on_pass)
        pseudo_count = scaled_pseudo_count(THETA_PSEUDO_COUNT, n_topics)
        n_candidates = _n_candidates(n_topics, counts.shape[0])
        theta = _theta_of_clusters(cluster_documents(counts, n_candidates, rng), n_candidates, rng, device)
        beta_t = _first_beta(theta, documents)
        if n_candidates > n_topics:
            theta, beta_t = passes.run(theta, beta_t, documents, pseudo_count, n_passes // 3)
            theta = normalise_rows(theta[:, _most_exclusive_topics(theta, n_topics)] + 1e-3)
            beta_t = _first_beta(theta, documents)
        theta, beta_t = passes.run(theta, beta_t, documents, pseudo_count, n_passes)
    return MixtureFit(theta, beta_t.t().contiguous())


class _Passes:
    """Runner of EM passes, up to a total number or until the caller stops it."""

    def __init__(self, total: int, on_pass: Callable[[int, int], bool]) -> None:
        self.done, self.total, self.on_pass = 0, total, on_pass

    def run(
        self, theta: Tensor, beta_t: Tensor, batches: list[SparseBatch], pseudo_count: float, until: int
    ) -> tuple[Tensor, Tensor]:
        """Run passes until number `until` is done."""
        while self.done < min(until, self.total):
            theta, beta_t = _em_pass(theta, beta_t, batches, pseudo_count)
            self.done += 1
            if not self.on_pass(self.done, self.total):
                self.total = self.done
        return theta, beta_t


def _n_candidates(n_topics: int, n_rows: int) -> int:
    """Return the number of initial topics: more than requested if there are at least 10 documents for each."""
    more = math.ceil(CANDIDATES * n_topics)
    return more if n_topics > 1 and n_rows >= 10 * more else n_topics


def _most_exclusive_topics(theta: Tensor, n_topics: int) -> Tensor:
    """Select the topics with the largest fraction of their mass in documents where they are the largest topic."""
    largest = torch.nn.functional.one_hot(theta.argmax(1), theta.shape[1]).to(theta.dtype)
    exclusive = (theta * largest).sum(0) / theta.sum(0)
    return exclusive.argsort(descending=True, stable=True)[:n_topics].sort().values


def _theta_of_clusters(
    cluster: NDArray[np.intp], n_topics: int, rng: np.random.Generator, device: torch.device
) -> Tensor:
    """Make theta (D, K) that assigns most of each document to its cluster."""
    theta = torch.full((len(cluster), n_topics), 0.3 / n_topics, device=device)
    theta[torch.arange(len(cluster)), torch.as_tensor(cluster)] += 0.7
    # Clusters differ in size and some are empty; a little noise keeps topics without documents from being identical.
    noise = torch.as_tensor(rng.random(theta.shape, dtype=np.float32)).to(device)
    return normalise_rows(theta * (0.5 + noise))


def _best_of_contexts(
    counts: csr_matrix,
    n_topics: int,
    n_passes: int,
    rng: np.random.Generator,
    device: torch.device,
    on_pass: Callable[[int, int], bool],
    documents: list[SparseBatch],
) -> tuple[Tensor, Tensor]:
    """Fit from several starts on word contexts, and return theta and beta (V, K) of the highest likelihood.

    Each start clusters words by the words that occur with them and runs EM on these co-occurrence counts, then on the
    documents.
    """
    n_document_passes = min(MOST_DOCUMENT_PASSES, round(counts.sum() / counts.shape[1] / TOKENS_PER_PASS))
    n_context_passes = math.ceil(n_passes / 2)
    contexts = (counts.T @ counts).tocsr().astype(np.float32)
    contexts.setdiag(0)
    contexts.eliminate_zeros()
    batches = list(SparseBatches(contexts, BATCH, device))
    n_starts = max(1, min(SHORT_STARTS, WORK_OF_STARTS // max(1, contexts.nnz * n_topics)))
    passes = _Passes(n_starts * (n_context_passes + n_document_passes), on_pass)
    pseudo_count = scaled_pseudo_count(THETA_PSEUDO_COUNT, n_topics)
    best, highest = None, -math.inf
    while best is None or passes.done < passes.total:
        cluster = cluster_documents(contexts, n_topics, rng)
        theta = _theta_of_clusters(cluster, n_topics, rng, device)
        beta_t = _first_beta(theta, batches)
        _, beta_t = passes.run(theta, beta_t, batches, CONTEXT_PSEUDO_COUNT, passes.done + n_context_passes)
        theta = _infer(beta_t, counts.shape[0], documents)
        theta, beta_t = passes.run(theta, beta_t, documents, pseudo_count, passes.done + n_document_passes)
        likelihood = _log_likelihood(theta, beta_t, documents)
        if best is None or likelihood > highest:
            best, highest = (theta, beta_t), likelihood
    return best


def _log_likelihood(theta: Tensor, beta_t: Tensor, batches: list[SparseBatch]) -> float:
    """Return the log-likelihood of all documents, in nats."""

    def of_batch(batch: SparseBatch) -> Tensor:
        return (batch.counts * mixture_probabilities(theta[batch.index], beta_t, batch.pattern).log()).sum()

    return float(torch.stack(list(map_inference(of_batch, batches, theta.device))).sum())


def _infer(beta_t: Tensor, n_docs: int, batches: list[SparseBatch]) -> Tensor:
    """Infer theta (D, K) of documents under fixed topics."""
    beta = beta_t.t().contiguous()
    theta = beta_t.new_full((n_docs, beta_t.shape[1]), 1 / beta_t.shape[1])

    def of_batch(batch: SparseBatch) -> Tensor:
        return refine_theta(theta[batch.index], beta, batch, 3)

    for batch, refined in zip(batches, map_inference(of_batch, batches, theta.device), strict=True):
        theta[batch.index] = refined
    return theta


def _first_beta(theta: Tensor, batches: list[SparseBatch]) -> Tensor:
    """Make topics (V, K) from the theta-weighted sums of the documents' counts."""

    def of_batch(batch: SparseBatch) -> Tensor:
        return batch.transposed.matmul(batch.counts.index_select(0, batch.order), theta.index_select(0, batch.index))

    return _normalise_topics(_sum(map_inference(of_batch, batches, theta.device)))


def _sum(parts: Iterable[Tensor]) -> Tensor:
    """Sum tensors sequentially, so that the order does not depend on the number of threads."""
    parts = iter(parts)
    total = next(parts).clone()
    for part in parts:
        total += part
    return total


def _em_pass(theta: Tensor, beta_t: Tensor, batches: list[SparseBatch], pseudo_count: float) -> tuple[Tensor, Tensor]:
    new_theta = torch.empty_like(theta)

    def of_batch(batch: SparseBatch) -> Tensor:
        part = theta.index_select(0, batch.index)
        counts, ratio = expected_topic_counts(part, beta_t, batch)
        new_theta.index_copy_(0, batch.index, normalise_rows(counts.add_(pseudo_count)))
        return batch.transposed.matmul(ratio.index_select(0, batch.order), part)

    return new_theta, _normalise_topics(_sum(map_inference(of_batch, batches, theta.device)).mul_(beta_t))


def _normalise_topics(word_counts: Tensor) -> Tensor:
    smoothed = word_counts.add_(BETA_PSEUDO_COUNT)
    return smoothed.div_(smoothed.sum(0))
