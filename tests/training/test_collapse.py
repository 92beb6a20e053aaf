"""Collapse checks: each finding and each rule for fitness."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from topicnet.training.collapse import HealthReport, check_for_collapse, duplicate_pairs, largest_topics
from topicnet.training.progress import Rollback, TrainResult


def topics_with(lists, vocab_size):
    """Make beta (K, V) with these lists as its most probable words, in order."""
    beta = torch.zeros(len(lists), vocab_size)
    for row, words in zip(beta, lists, strict=True):
        row[list(words)] = torch.arange(len(words), 0, -1.0)
    return beta / beta.sum(-1, keepdim=True)


@examples(50)
@given(st.integers(1, 8), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_duplicate_pairs_equal_a_count_with_sets(n_topics, vocab_size, seed):
    rng = np.random.default_rng(seed)
    # A random half of the words is more probable, so that topics share top words.
    beta = rng.permuted(np.tile(np.arange(vocab_size, dtype=np.float32), (n_topics, 1)), axis=1)
    beta[:, : vocab_size // 2] += vocab_size * rng.integers(2, size=(1, vocab_size // 2))
    n_words = max(1, min(10, vocab_size // 2))
    top = [set(words) for words in np.argsort(-beta, axis=1, kind="stable")[:, :n_words].tolist()]
    pairs = [(i, j) for i in range(n_topics) for j in range(i + 1, n_topics)]
    expected = [(i, j) for i, j in pairs if len(top[i] & top[j]) >= 0.8 * n_words]
    assert duplicate_pairs(torch.as_tensor(beta)) == expected


@pytest.mark.parametrize(("shared", "found"), [(7, []), (8, [(0, 1)]), (10, [(0, 1)])])
def test_topics_that_share_eight_of_ten_words_are_duplicates(shared, found):
    others = range(10 - shared, 20 - shared)  # the last of one list are the first of the other
    assert duplicate_pairs(topics_with([range(10), others], 100)) == found


def test_the_order_of_the_words_does_not_matter():
    assert duplicate_pairs(topics_with([range(10), range(9, -1, -1), range(50, 60)], 100)) == [(0, 1)]


@pytest.mark.parametrize(
    ("vocab_size", "lists", "found"),
    [
        (1, [[0], [0]], [(0, 1)]),
        (2, [[0, 1], [1, 0]], []),
        (2, [[0, 1], [0, 1]], [(0, 1)]),
        (5, [[0, 1], [1, 0], [0, 2]], [(0, 1)]),  # two words count: both must be shared
        (10, [[0, 1, 2, 3, 4], [1, 2, 3, 4, 5], [2, 3, 4, 5, 6]], [(0, 1), (1, 2)]),  # five count: four suffice
    ],
)
def test_half_the_words_of_a_tiny_vocabulary_count(vocab_size, lists, found):
    assert duplicate_pairs(topics_with(lists, vocab_size)) == found


def test_the_largest_topic_of_each_document_is_counted():
    theta = torch.tensor([[0.6, 0.3, 0.1, 0.0], [0.2, 0.7, 0.1, 0.0], [0.5, 0.4, 0.1, 0.0]])
    assert largest_topics(theta).tolist() == [2, 1, 0, 0]


def report(n_topics=50, twins=(), dead=(), kl_per_dimension=(1.0,) * 10, theta_spread=0.2, reseeded=0, **training):
    """Check topics of ten distinct words each, except for these pairs of duplicates."""
    lists = [list(range(10 * k, 10 * k + 10)) for k in range(n_topics)]
    for i, j in twins:
        lists[j] = lists[i]
    largest = torch.full((n_topics,), 5)
    largest[list(dead)] = 0
    given = {"history": [], "best_epoch": 3, "best_loss": 1.0, "stopped": "done", "rollbacks": [], "interventions": 0}
    result = TrainResult(**(given | training))
    beta, usage = topics_with(lists, 10 * n_topics), torch.tensor(kl_per_dimension)
    return check_for_collapse(beta, largest, usage, theta_spread, result, reseeded)


def test_a_healthy_fit():
    found = report(kl_per_dimension=(0.5, 0.02, 0.0), reseeded=2)
    assert found == HealthReport(fit_for_use=True, usage=pytest.approx([0.5, 0.02, 0.0]), active_units=2, reseeded=2)
    assert found.line() == "healthy: no duplicate or unused topics, 2 of 3 latent dimensions are active"


def test_one_duplicate_is_listed_and_tolerated():
    found = report(twins=[(3, 9)])
    assert found.fit_for_use
    assert found.duplicates == [(3, 9)]
    assert found.line() == "usable: 1 of 50 topics duplicates another: 3~9"


def test_duplicate_topics_are_counted_not_pairs():
    found = report(twins=[(0, 1), (0, 2), (0, 3)])
    assert found.findings == ["3 of 50 topics duplicate another: 0~1, 0~2, 0~3, 1~2, 1~3, ... (6 in all)"]


@pytest.mark.parametrize("sign", ["twins", "dead"])
def test_at_most_a_tenth_of_the_topics_may_be_duplicate_or_unused(sign):
    lost = {"twins": [(k, k + 10) for k in range(6)], "dead": range(6)}[sign]
    assert report(**{sign: lost[:5]}).fit_for_use
    assert not report(**{sign: lost}).fit_for_use


def test_unused_topics_are_listed():
    assert report(dead=[4]).findings == ["1 of 50 topics is unused (largest in no document): 4"]
    found = report(dead=range(7, 14))
    assert found.dead == list(range(7, 14))
    assert found.line() == "unfit: 7 of 50 topics are unused (largest in no document): 7, 8, 9, 10, 11, ... (7 in all)"


def test_five_topics_are_listed_without_a_total():
    assert report(dead=range(5)).findings == ["5 of 50 topics are unused (largest in no document): 0, 1, 2, 3, 4"]


@pytest.mark.parametrize(("n_active", "fit_for_use"), [(0, False), (2, False), (3, True)])
def test_more_than_a_tenth_of_the_latent_dimensions_must_be_active(n_active, fit_for_use):
    found = report(kl_per_dimension=(0.02,) * n_active + (0.009,) * (20 - n_active))
    assert found.fit_for_use == fit_for_use
    assert found.active_units == n_active
    expected = [f"{n_active} of 20 latent dimensions carry information about the documents"]
    assert found.findings == ([] if fit_for_use else expected)


def test_nearly_constant_theta_is_unfit():
    assert report(theta_spread=0.019).line() == "unfit: all documents have nearly the same topic proportions"
    assert report(theta_spread=0.021).findings == []


def test_a_single_topic_has_no_findings():
    assert report(1, kl_per_dimension=(0.0,), theta_spread=0.0).findings == []


@pytest.mark.parametrize(("best_epoch", "kept"), [(0, "initial weights"), (7, "weights of epoch 7")])
def test_divergence_at_every_learning_rate_is_unfit(best_epoch, kept):
    found = report(stopped="diverged", best_epoch=best_epoch, rollbacks=[Rollback(1, 4, 0.1)] * 5)
    assert found.line() == f"unfit: the loss diverged at every learning rate tried; the {kept} are kept"


def test_recovered_divergence_is_reported_and_usable():
    found = report(rollbacks=[Rollback(2, 4, 0.01), Rollback(6, 20, 0.00123456)])
    assert found.fit_for_use
    assert found.findings == [
        "the loss diverged 2 times, first in epoch 2; training continued from the best weights with a learning rate of"
        " at most 0.0012"
    ]
    assert found.rollbacks[1] == {"epoch": 6, "step": 20, "learning_rate": 0.00123456}
    assert "diverged once, first in epoch 2;" in report(rollbacks=[Rollback(2, 4, 0.01)]).line()


@pytest.mark.parametrize("stopped", ["early", "interrupted"])
def test_stopping_early_is_not_a_finding(stopped):
    assert report(stopped=stopped).findings == []


def test_findings_are_joined_in_one_line():
    found = report(10, twins=[(0, 1), (2, 3)], dead=[4], kl_per_dimension=(0.0,) * 10, theta_spread=0.0)
    assert found.line() == (
        "unfit: 2 of 10 topics duplicate another: 0~1, 2~3; 1 of 10 topics is unused (largest in no document): 4;"
        " 0 of 10 latent dimensions carry information about the documents;"
        " all documents have nearly the same topic proportions"
    )


def test_the_verb_agrees_with_one_dimension():
    assert report(kl_per_dimension=(1.0,) + (0.0,) * 9).findings == [
        "1 of 10 latent dimensions carries information about the documents"
    ]
