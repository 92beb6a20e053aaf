"""Settings that make a model collapse: each is detected, remedied where possible, and reported."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from tests.support.corpora import matched_cosine, planted
from topicnet.models import MODELS

KINDS = pytest.mark.parametrize("kind", MODELS.values(), ids=MODELS.keys())
K = 5


@pytest.fixture(scope="module")
def corpus():
    return planted(600, 100, K, seed=1)


@KINDS
def test_a_corpus_of_one_repeated_document_is_unfit(kind, corpus):
    counts, _ = corpus
    alike = csr_matrix(np.tile(counts[0].toarray(), (60, 1)))
    health = kind(K, random_state=0, max_epochs=5).fit(alike).health_
    assert not health.fit_for_use
    assert "all documents have nearly the same topic proportions" in health.line()
    assert "4 of 5 topics are unused (largest in no document)" in health.line()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nvdm-gsm", "etm", "gmntm"])
def test_an_enormous_kl_weight_from_a_random_start_is_reported(name, corpus):
    counts, _ = corpus
    model = MODELS[name](K, init="random", kl_weight=1e6, kl_warm_up=0.0, max_epochs=40, random_state=0).fit(counts)
    sound = MODELS[name](K, init="random", max_epochs=40, random_state=0).fit(counts)
    assert not model.health_.fit_for_use
    assert sum(model.health_.usage) < 0.3 * sum(sound.health_.usage)


@KINDS
@pytest.mark.parametrize("n_docs", [600, 150], ids=["validation", "no validation"])
def test_an_impossible_learning_rate_is_rolled_back_and_leaves_finite_weights(kind, n_docs):
    counts, _ = planted(n_docs, 100, K, seed=1)
    model = kind(K, learning_rate=1e30, max_epochs=3, random_state=0).fit(counts)
    assert len(model.health_.rollbacks) == 5
    assert model.stopped_ == "diverged"
    assert not model.health_.fit_for_use
    assert np.isfinite(model.components_).all()
    assert np.isfinite(model.transform(counts)).all()


@pytest.mark.slow
@KINDS
def test_a_learning_rate_of_10_is_reduced_or_reported_as_unfit(kind, corpus):
    counts, truth = corpus
    model = kind(K, learning_rate=10.0, random_state=0, max_epochs=40).fit(counts)
    assert "the loss diverged" in model.health_.line() or not model.health_.fit_for_use
    if model.health_.fit_for_use:
        assert matched_cosine(model.components_, truth) > 0.8


def test_a_small_corpus_recovers_from_a_rate_too_large():
    counts, _ = planted(150, 80, K, seed=1)
    model = MODELS["etm"](K, learning_rate=0.5, max_epochs=20, random_state=0).fit(counts)
    assert model.stopped_ == "done"
    assert np.isfinite(model.components_).all()


def test_lost_topics_are_reseeded_and_found():
    """A random start loses topics; reseeding them from badly explained documents recovers them."""
    counts, truth = planted(300, 80, K, seed=1)
    model = MODELS["gmntm"](K, init="random", random_state=0).fit(counts)
    assert model.health_.reseeded > 0
    assert model.health_.fit_for_use
    assert matched_cosine(model.components_, truth) > 0.9


def test_a_healthy_fit_is_reported_as_healthy(corpus):
    counts, _ = corpus
    health = MODELS["etm"](K, random_state=0, max_epochs=10).fit(counts).health_
    assert health.line() == "healthy: no duplicate or unused topics, 5 of 5 latent dimensions are active"
    assert (health.duplicates, health.dead, health.rollbacks, health.reseeded) == ([], [], [], 0)
