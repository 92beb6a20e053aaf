"""Signs of collapse, and each finding and each rule of the verdict."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from topicnet.training.collapse import HealthReport, duplicate_pairs, judge, largest_topics
from topicnet.training.progress import Rollback, TrainResult


def topics_with(lists, vocab_size):
    """Beta (K, V) whose most probable words are these, in order."""
    beta = torch.zeros(len(lists), vocab_size)
    for row, words in zip(beta, lists, strict=True):
        row[list(words)] = torch.arange(len(words), 0, -1.0)
    return beta / beta.sum(-1, keepdim=True)


@examples(50)
@given(st.integers(1, 8), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_pairs_equal_a_count_with_sets(n_topics, vocab_size, seed):
    rng = np.random.default_rng(seed)
    # Few words stand out, so that topics do share theirs.
    beta = rng.permuted(np.tile(np.arange(vocab_size, dtype=np.float32), (n_topics, 1)), axis=1)
    beta[:, : vocab_size // 2] += vocab_size * rng.integers(2, size=(1, vocab_size // 2))
    n_words = max(1, min(10, vocab_size // 2))
    top = [set(words) for words in np.argsort(-beta, axis=1, kind="stable")[:, :n_words].tolist()]
    pairs = [(i, j) for i in range(n_topics) for j in range(i + 1, n_topics)]
    expected = [(i, j) for i, j in pairs if len(top[i] & top[j]) >= 0.8 * n_words]
    assert duplicate_pairs(torch.as_tensor(beta)) == expected


@pytest.mark.parametrize(("shared", "found"), [(7, []), (8, [(0, 1)]), (10, [(0, 1)])])
def test_eight_words_of_ten_are_a_repetition(shared, found):
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
def test_of_a_tiny_vocabulary_half_the_words_count(vocab_size, lists, found):
    assert duplicate_pairs(topics_with(lists, vocab_size)) == found


def test_the_largest_topic_of_each_document_is_counted():
    theta = torch.tensor([[0.6, 0.3, 0.1, 0.0], [0.2, 0.7, 0.1, 0.0], [0.5, 0.4, 0.1, 0.0]])
    assert largest_topics(theta).tolist() == [2, 1, 0, 0]


def verdict(n_topics=50, twins=(), dead=(), kl_per_dimension=(1.0,) * 10, theta_spread=0.2, reseeded=0, **training):
    """A verdict on topics of ten words each, but for these pairs of twins."""
    lists = [list(range(10 * k, 10 * k + 10)) for k in range(n_topics)]
    for i, j in twins:
        lists[j] = lists[i]
    largest = torch.full((n_topics,), 5)
    largest[list(dead)] = 0
    given = {"history": [], "best_epoch": 3, "best_loss": 1.0, "stopped": "done", "rollbacks": [], "interventions": 0}
    result = TrainResult(**(given | training))
    beta, usage = topics_with(lists, 10 * n_topics), torch.tensor(kl_per_dimension)
    return judge(beta, largest, usage, theta_spread, result, reseeded)


def test_a_healthy_fit():
    found = verdict(kl_per_dimension=(0.5, 0.02, 0.0), reseeded=2)
    assert found == HealthReport(fit_for_use=True, usage=pytest.approx([0.5, 0.02, 0.0]), active_units=2, reseeded=2)
    assert found.line() == ("healthy: no topic repeats another, none is dead, 2 of 3 latent dimensions are in use")


def test_one_repetition_is_named_and_tolerated():
    found = verdict(twins=[(3, 9)])
    assert found.fit_for_use
    assert found.duplicates == [(3, 9)]
    assert found.line() == "usable: 1 of 50 topics repeats another: 3~9"


def test_topics_that_repeat_are_counted_not_pairs():
    found = verdict(twins=[(0, 1), (0, 2), (0, 3)])
    assert found.findings == ["3 of 50 topics repeat another: 0~1, 0~2, 0~3, 1~2, 1~3, ... (6 in all)"]


@pytest.mark.parametrize("sign", ["twins", "dead"])
def test_a_tenth_of_the_topics_may_be_lost_and_no_more(sign):
    lost = {"twins": [(k, k + 10) for k in range(6)], "dead": range(6)}[sign]
    assert verdict(**{sign: lost[:5]}).fit_for_use
    assert not verdict(**{sign: lost}).fit_for_use


def test_dead_topics_are_named():
    assert verdict(dead=[4]).findings == ["1 of 50 topics is no document's largest: 4"]
    found = verdict(dead=range(7, 14))
    assert found.dead == list(range(7, 14))
    assert found.line() == "unfit: 7 of 50 topics are no document's largest: 7, 8, 9, 10, 11, ... (7 in all)"


def test_five_are_listed_whole():
    assert verdict(dead=range(5)).findings == ["5 of 50 topics are no document's largest: 0, 1, 2, 3, 4"]


@pytest.mark.parametrize(("n_active", "fit_for_use"), [(0, False), (2, False), (3, True)])
def test_most_of_the_latent_space_must_not_be_lost(n_active, fit_for_use):
    found = verdict(kl_per_dimension=(0.02,) * n_active + (0.009,) * (20 - n_active))
    assert found.fit_for_use == fit_for_use
    assert found.active_units == n_active
    said = [f"{n_active} of 20 latent dimensions say anything of the documents"]
    assert found.findings == ([] if fit_for_use else said)


def test_documents_that_are_all_alike_are_unfit():
    assert verdict(theta_spread=0.019).line() == "unfit: every document has the same topics, or nearly"
    assert verdict(theta_spread=0.021).findings == []


def test_of_one_topic_nothing_more_is_asked():
    assert verdict(1, kl_per_dimension=(0.0,), theta_spread=0.0).findings == []


@pytest.mark.parametrize(("best_epoch", "kept"), [(0, "the start"), (7, "epoch 7")])
def test_a_loss_that_ran_away_for_good_is_unfit(best_epoch, kept):
    found = verdict(stopped="diverged", best_epoch=best_epoch, rollbacks=[Rollback(1, 4, 0.1)] * 5)
    assert found.line() == f"unfit: the loss ran away however small the learning rate was made, and {kept} is kept"


def test_a_loss_that_was_caught_is_said_and_usable():
    found = verdict(rollbacks=[Rollback(2, 4, 0.01), Rollback(6, 20, 0.00123456)])
    assert found.fit_for_use
    assert found.findings == [
        "the loss ran away 2 times, first in epoch 2, and training went back and on with a learning rate of at most"
        " 0.0012"
    ]
    assert found.rollbacks[1] == {"epoch": 6, "step": 20, "learning_rate": 0.00123456}
    assert "ran away once, first in epoch 2," in verdict(rollbacks=[Rollback(2, 4, 0.01)]).line()


@pytest.mark.parametrize("stopped", ["early", "interrupted"])
def test_stopping_early_is_no_fault(stopped):
    assert verdict(stopped=stopped).findings == []


def test_findings_stand_in_one_line():
    found = verdict(10, twins=[(0, 1), (2, 3)], dead=[4], kl_per_dimension=(0.0,) * 10, theta_spread=0.0)
    assert found.line() == (
        "unfit: 2 of 10 topics repeat another: 0~1, 2~3; 1 of 10 topics is no document's largest: 4;"
        " 0 of 10 latent dimensions say anything of the documents; every document has the same topics, or nearly"
    )


def test_one_dimension_says():
    assert verdict(kl_per_dimension=(1.0,) + (0.0,) * 9).findings == [
        "1 of 10 latent dimensions says anything of the documents"
    ]
