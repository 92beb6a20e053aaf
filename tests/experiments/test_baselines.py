"""LDA and NMF baselines: planted topics, the interface of the models, and edge cases."""

import importlib.util
import math
import warnings
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix, vstack

from tests.support.corpora import matched_cosine, planted
from topicnet.errors import InputError
from topicnet.evaluate.perplexity import document_completion, split_documents
from topicnet.experiments import baselines
from topicnet.experiments.baselines import BASELINES, Baseline, check_installed, installed
from topicnet.text.reference import Reference
from topicnet.workflows.scores import completion_scores, topic_scores

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # raised by its compiled types at the first import
        import tomotopy
except ImportError:
    tomotopy = None
needs_tomotopy = pytest.mark.skipif(
    tomotopy is None, reason="tomotopy is not installed: pip install 'topicnet-neural[lda]'"
)
NAMES = [pytest.param(name, marks=needs_tomotopy if name == "lda-tomotopy" else ()) for name in BASELINES]
SKLEARN = [name for name in BASELINES if name != "lda-tomotopy"]
SIMPLEX = {"rtol": 0, "atol": 1e-6}


@pytest.fixture(scope="module")
def corpus() -> tuple[csr_matrix, np.ndarray]:
    """Return counts of documents, and the 6 topics they were sampled from."""
    counts, truth = planted(300)
    return counts.astype(np.int32), truth


@pytest.fixture(scope="module", params=NAMES)
def fitted(request: pytest.FixtureRequest, corpus: tuple[csr_matrix, np.ndarray]) -> Baseline:
    """Return each baseline, fitted once."""
    return BASELINES[request.param](6).fit(corpus[0])


def small(name: str, counts: Any, n_topics: int = 2, seed: int = 0) -> Baseline:
    return BASELINES[name](n_topics, random_state=seed).fit(csr_matrix(np.asarray(counts, dtype=np.int32)))


TWO_THEMES = [[3, 2, 0, 0], [2, 4, 0, 0], [0, 0, 3, 3], [0, 0, 2, 5], [4, 1, 0, 0], [0, 0, 1, 4]]


def test_planted_topics_are_found(fitted: Baseline, corpus: tuple[csr_matrix, np.ndarray]) -> None:
    assert matched_cosine(fitted.components_, corpus[1]) >= 0.8


def test_topics_and_theta_are_distributions(fitted: Baseline, corpus: tuple[csr_matrix, np.ndarray]) -> None:
    for table, shape in ((fitted.components_, (6, 120)), (fitted.transform(corpus[0]), (300, 6))):
        assert table.shape == shape
        assert (table >= 0).all()
        np.testing.assert_allclose(table.sum(1), 1, **SIMPLEX)


def test_theta_reproduces_the_words_of_a_document(fitted: Baseline, corpus: tuple[csr_matrix, np.ndarray]) -> None:
    """theta @ beta is close to the word frequencies of each document."""
    counts = corpus[0].toarray()
    mixed = fitted.transform(corpus[0]) @ fitted.components_
    shares = counts / counts.sum(1, keepdims=True)
    even = np.full((300, 6), 1 / 6) @ fitted.components_
    assert abs(mixed - shares).sum() < 0.6 * abs(even - shares).sum()


def test_theta_of_a_document_without_words_is_uniform(fitted: Baseline, corpus: tuple[csr_matrix, np.ndarray]) -> None:
    some = vstack([csr_matrix((1, 120), dtype=np.int32), corpus[0][:3], csr_matrix((1, 120), dtype=np.int32)]).tocsr()
    for refine in (0, 5):
        theta = fitted.transform(some, refine=refine)
        np.testing.assert_allclose(theta[[0, 4]], 1 / 6, **SIMPLEX)
        np.testing.assert_allclose(theta.sum(1), 1, **SIMPLEX)
        assert abs(theta[1:4] - 1 / 6).max() > 0.1


def test_only_documents_without_words(fitted: Baseline) -> None:
    np.testing.assert_allclose(fitted.transform(csr_matrix((3, 120), dtype=np.int32)), 1 / 6, **SIMPLEX)


def test_log_likelihood_is_that_of_the_mixture(fitted: Baseline, corpus: tuple[csr_matrix, np.ndarray]) -> None:
    counts, theta = corpus[0][:50], np.random.default_rng(0).dirichlet(np.ones(6), 50)
    with np.errstate(divide="ignore"):
        nats = np.log(theta @ fitted.components_)
    expected = np.where(counts.toarray() > 0, counts.toarray() * np.where(counts.toarray() > 0, nats, 0), 0).sum(1)
    np.testing.assert_allclose(fitted.log_likelihood(counts, theta), expected, rtol=1e-9)


def test_refining_lowers_the_perplexity_of_the_words_read_or_keeps_it(
    fitted: Baseline, corpus: tuple[csr_matrix, np.ndarray]
) -> None:
    counts = corpus[0][:200]
    nats = [fitted.log_likelihood(counts, fitted.transform(counts, refine=steps)).sum() for steps in (0, 1, 20)]
    perplexity = np.exp(-np.array(nats) / counts.sum())
    # NMF's theta maximises the likelihood; refinement adds a prior, which lowers it slightly.
    most = 1.005 if fitted.TITLE.startswith("NMF") else 1.0
    assert (perplexity[1:] <= most * perplexity[0]).all()
    np.testing.assert_allclose(fitted.transform(counts, refine=20).sum(1), 1, **SIMPLEX)


def test_refinement_finds_the_topic_from_a_uniform_theta(fitted: Baseline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(fitted), "infer", lambda self, X: np.ones((X.shape[0], 6)))
    pure = csr_matrix(np.round(200 * fitted.components_).astype(np.int32))  # one document per topic
    assert fitted.transform(pure) == pytest.approx(1 / 6)
    refined = fitted.transform(pure, refine=20)
    assert refined.argmax(1).tolist() == list(range(6))
    assert fitted.log_likelihood(pure, refined).sum() > fitted.log_likelihood(pure, np.full((6, 6), 1 / 6)).sum()


def test_many_documents_are_refined_in_parts(
    fitted: Baseline, corpus: tuple[csr_matrix, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each document gets the theta it has on its own, in the order given."""
    monkeypatch.setattr(type(fitted), "infer", lambda self, X: np.asarray(X[:, :6].toarray() + 0.5))
    counts = corpus[0][:10]
    whole = fitted.transform(counts, refine=3)
    monkeypatch.setattr(baselines, "REFINE_BATCH", 4)
    np.testing.assert_allclose(fitted.transform(counts, refine=3), whole, atol=1e-6)
    assert abs(whole - whole[::-1]).max() > 0.1


def test_held_out_perplexity_is_below_the_unigram(fitted: Baseline, corpus: tuple[csr_matrix, np.ndarray]) -> None:
    held_out = planted(n_docs=350)[0][300:]  # from the same topics
    first, second = split_documents(held_out, 0)
    scores = completion_scores(fitted, corpus[0], first, second).scores
    assert scores.keys() == {"inferred", "refined", "unigram"}
    assert scores["inferred"].value < 0.7 * scores["unigram"].value
    expected = document_completion(fitted.transform(first, refine=20), fitted.components_, first, second)
    if fitted.TITLE != "LDA (tomotopy)":  # samples theta on each call
        assert scores["refined"].value == pytest.approx(expected.perplexity)


@pytest.mark.parametrize("name", NAMES)
def test_one_topic_is_the_word_frequencies(name: str) -> None:
    model = small(name, TWO_THEMES, n_topics=1)
    frequencies = np.sum(TWO_THEMES, axis=0) / np.sum(TWO_THEMES)
    np.testing.assert_allclose(model.components_, [frequencies], atol=0.05)
    np.testing.assert_allclose(model.transform(csr_matrix(TWO_THEMES)), np.ones((6, 1)))
    assert (model.transform(csr_matrix(TWO_THEMES), refine=3) == 1).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_vocabulary_of_one_word(name: str) -> None:
    model = small(name, [[2], [5], [0], [1]], n_topics=1)
    assert model.components_ == pytest.approx(1)
    assert model.transform(csr_matrix([[3], [0]])) == pytest.approx(1)


@pytest.mark.parametrize("name", SKLEARN)
def test_the_same_seed_gives_the_same_topics(name: str) -> None:
    counts = planted(n_docs=80)[0]
    one, same, other = (BASELINES[name](4, random_state=seed).fit(counts) for seed in (1, 1, 2))
    assert np.array_equal(one.components_, same.components_)
    assert np.array_equal(one.transform(counts), same.transform(counts))
    assert not np.allclose(one.components_, other.components_)


@pytest.mark.parametrize("name", NAMES)
def test_the_counts_are_left_as_they_were(name: str) -> None:
    counts = csr_matrix(np.array(TWO_THEMES, dtype=np.int32))
    model = BASELINES[name](2).fit(counts)
    model.transform(counts, refine=2)
    assert counts.dtype == np.int32
    assert counts.toarray().tolist() == TWO_THEMES


@pytest.mark.parametrize("name", NAMES)
def test_empty_documents_and_unused_words_in_the_corpus(name: str) -> None:
    """The vocabulary has a word that only held-out documents contain, and some rows have no words."""
    model = small(name, [[3, 2, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 4, 3, 0], [1, 5, 0, 0, 0], [0, 0, 2, 2, 0]])
    assert np.isfinite(model.components_).all()
    np.testing.assert_allclose(model.components_.sum(1), 1, **SIMPLEX)
    unknown = csr_matrix(np.array([[0, 0, 0, 0, 3], [2, 2, 0, 0, 1]], dtype=np.int32))
    for refine in (0, 20):
        theta = model.transform(unknown, refine=refine)
        assert np.isfinite(theta).all()
        np.testing.assert_allclose(theta.sum(1), 1, **SIMPLEX)
    nats = model.log_likelihood(unknown, theta)
    assert (nats < 0).all()
    assert not np.isnan(nats).any()
    # Only NMF gives an unseen word probability 0.
    assert np.isneginf(nats).all() == (name == "nmf")


@pytest.mark.parametrize("name", NAMES)
def test_more_topics_than_the_corpus_has(name: str) -> None:
    model = small(name, TWO_THEMES[:4], n_topics=4)
    theta = model.transform(csr_matrix(TWO_THEMES))
    np.testing.assert_allclose(model.components_.sum(1), 1, **SIMPLEX)
    np.testing.assert_allclose(theta.sum(1), 1, **SIMPLEX)


def test_a_baseline_can_be_scored(fitted: Baseline, corpus: tuple[csr_matrix, np.ndarray]) -> None:
    counts = corpus[0]
    tokens = np.repeat(counts.indices, counts.data)
    starts = np.concatenate([[0], np.cumsum(np.asarray(counts.sum(1)).ravel())])
    found = topic_scores(fitted.components_, Reference("planted", counts, tokens, starts))
    assert found.coherence["npmi"].value > 0.05
    assert all(math.isfinite(one.value) for one in found.coherence.values())


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not installed("lda-tomotopy")
    assert installed("lda")
    assert installed("nmf")
    check_installed("lda")
    with pytest.raises(InputError, match=r"tomotopy.*pip install"):
        check_installed("lda-tomotopy")
