"""MAP-EM: planted topics, refinement of theta, and extreme corpus sizes."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from tests.support.corpora import matched_cosine, planted
from topicnet.core.em import (
    ENCODER_WEIGHT,
    MOST_DOCUMENT_PASSES,
    SHORT_STARTS,
    THETA_PSEUDO_COUNT,
    UNIFORM_WEIGHT,
    _most_exclusive_topics,
    _n_candidates,
    encoder_pseudo_counts,
    fit_mixture,
    normalise_rows,
    refine_theta,
    scaled_pseudo_count,
)
from topicnet.core.sparse import SparseBatch, SparseBatches

CPU = torch.device("cpu")


@pytest.mark.parametrize("seed", range(3))
def test_planted_topics_are_found(seed):
    counts, truth = planted(seed=seed)
    fitted = fit_mixture(counts, 6, 60, np.random.default_rng(seed), CPU)
    assert matched_cosine(fitted.beta.numpy(), truth) > 0.9
    assert torch.allclose(fitted.theta.sum(1), torch.ones(600), atol=1e-5)
    assert torch.allclose(fitted.beta.sum(1), torch.ones(6), atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_planted_topics_are_found_in_titles(seed):
    """Documents of 5 words, for which EM starts from word contexts."""
    counts, truth = planted(n_docs=4000, n_words=100, n_topics=5, length=5, seed=seed)
    seen = []
    fitted = fit_mixture(
        counts, 5, 60, np.random.default_rng(seed), CPU, on_pass=lambda *n: bool(seen.append(n)) or True
    )
    assert matched_cosine(fitted.beta.numpy(), truth) > 0.9
    assert torch.allclose(fitted.theta.sum(1), torch.ones(4000), atol=1e-5)
    assert seen[-1][0] == seen[-1][1] == SHORT_STARTS * (30 + MOST_DOCUMENT_PASSES)  # each word has 200 tokens


def test_the_most_exclusive_topics_are_kept():
    theta = torch.tensor([[0.8, 0.1, 0.1], [0.7, 0.1, 0.2], [0.1, 0.6, 0.3], [0.1, 0.5, 0.4]])
    assert _most_exclusive_topics(theta, 2).tolist() == [0, 1]
    assert _most_exclusive_topics(theta, 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("n_topics", "n_rows", "expected"), [(1, 10_000, 1), (10, 10_000, 15), (5, 80, 8), (5, 79, 5), (50, 100, 50)]
)
def test_there_are_more_candidates_than_topics_if_there_are_enough_documents(n_topics, n_rows, expected):
    assert _n_candidates(n_topics, n_rows) == expected


def test_refining_never_lowers_the_posterior_and_converges():
    counts, _ = planted()
    fitted = fit_mixture(counts, 6, 20, np.random.default_rng(0), CPU)
    batch = SparseBatch.from_csr(counts, np.arange(600), CPU)
    theta = torch.full((600, 6), 1 / 6)
    dense = torch.tensor(counts.toarray())

    def log_posterior(theta):
        return (dense * (theta @ fitted.beta).log()).sum(-1) + (THETA_PSEUDO_COUNT * theta.log()).sum(-1)

    before = log_posterior(theta)
    for _ in range(15):
        theta = refine_theta(theta, fitted.beta, batch, 1)
        after = log_posterior(theta)
        assert (after >= before - 1e-3).all()
        before = after
    far = refine_theta(theta, fitted.beta, batch, 300)
    assert torch.allclose(far, refine_theta(far, fitted.beta, batch, 50), atol=1e-3)


def test_refining_with_encoder_pseudo_counts_stays_near_the_encoder_and_raises_the_posterior():
    counts, _ = planted()
    fitted = fit_mixture(counts, 6, 20, np.random.default_rng(0), CPU)
    batch = SparseBatch.from_csr(counts, np.arange(600), CPU)
    theta = torch.tensor(np.random.default_rng(1).dirichlet(np.full(6, 0.5), 600), dtype=torch.float32)
    prior = encoder_pseudo_counts(theta, batch)
    n_tokens = torch.tensor(counts.toarray()).sum(-1)
    assert torch.allclose(prior.sum(-1), 6 * UNIFORM_WEIGHT + ENCODER_WEIGHT * n_tokens, rtol=1e-4)
    dense = torch.tensor(counts.toarray())

    def log_posterior(theta):
        return (dense * (theta @ fitted.beta).log()).sum(-1) + (prior * theta.clamp_min(1e-30).log()).sum(-1)

    with_prior = refine_theta(theta, fitted.beta, batch, 30, prior)
    plain = refine_theta(theta, fitted.beta, batch, 30)
    assert (log_posterior(with_prior) >= log_posterior(theta) - 1e-3).all()
    assert (log_posterior(with_prior) >= log_posterior(plain) - 1e-3).all()
    assert (with_prior - theta).abs().sum() < (plain - theta).abs().sum()


def test_refining_leaves_an_empty_document_as_it_is():
    batch = SparseBatch.from_csr(csr_matrix((2, 5), dtype=np.float32), np.arange(2), CPU)
    theta = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    assert torch.equal(refine_theta(theta, torch.full((2, 5), 0.2), batch, 5), theta)


@pytest.mark.parametrize(("n_docs", "n_topics"), [(2, 1), (2, 5), (3, 2), (25, 40)])
def test_few_documents_and_many_topics(n_docs, n_topics):
    counts, _ = planted(n_docs=n_docs)
    fitted = fit_mixture(counts, n_topics, 5, np.random.default_rng(0), CPU)
    assert fitted.theta.shape == (n_docs, n_topics)
    assert torch.isfinite(fitted.beta).all()


def test_identical_documents_give_finite_topics():
    counts = csr_matrix(np.ones((30, 8), dtype=np.float32))
    fitted = fit_mixture(counts, 4, 5, np.random.default_rng(0), CPU)
    assert torch.isfinite(fitted.beta).all()
    assert torch.isfinite(fitted.theta).all()


def test_on_pass_stops_early():
    counts, _ = planted(n_docs=50)
    seen = []
    fit_mixture(
        counts, 3, 50, np.random.default_rng(0), CPU, on_pass=lambda done, total: bool(seen.append(done)) or done < 4
    )
    assert seen == [1, 2, 3, 4]


@pytest.mark.parametrize(("n_topics", "total"), [(20, 6.0), (100, 30.0), (1000, 30.0)])
def test_the_total_pseudo_count_never_exceeds_that_of_100_topics(n_topics, total):
    assert n_topics * scaled_pseudo_count(THETA_PSEUDO_COUNT, n_topics) == pytest.approx(total)


def test_a_document_has_few_topics_even_if_there_are_many():
    """Unscaled, 300 pseudo-counts would outweigh the document's 40 words and make theta nearly uniform."""
    n_topics, n_words = 1000, 40
    beta = torch.full((n_topics, n_topics), 1e-6)
    beta.fill_diagonal_(1.0)
    beta = normalise_rows(beta)
    counts = csr_matrix((np.full(2, n_words / 2, np.float32), [3, 700], [0, 2]), shape=(1, n_topics))
    batch = next(iter(SparseBatches(counts, 1, torch.device("cpu"))))
    theta = refine_theta(torch.full((1, n_topics), 1 / n_topics), beta, batch, 20)
    assert theta[0, [3, 700]].sum() > 0.5
