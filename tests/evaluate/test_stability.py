"""Stability: topics of several runs matched one to one, and how well they agree."""

from itertools import permutations
from math import log2, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topicnet.errors import InputError
from topicnet.evaluate.distance import js_divergence
from topicnet.evaluate.stability import CHANCE, match_topics, stability

EXACT = 1e-7  # the square root of rounding errors


def random_topics(seed, n_topics=5, n_words=30):
    return np.random.default_rng(seed).dirichlet(np.full(n_words, 0.1), n_topics)


seeds = st.integers(0, 2**32)


def above_the_mean(topics):
    above = np.clip(topics - topics.mean(axis=0), 0, None)
    return above / above.sum(axis=1, keepdims=True) if len(topics) > 1 else topics


class TestMatchTopics:
    @given(seeds, st.permutations(range(5)))
    def test_recovers_a_permutation(self, seed, order):
        beta = random_topics(seed)
        counterpart, distance = match_topics(beta[order], beta)
        assert counterpart.tolist() == order
        assert distance == pytest.approx(np.zeros(5), abs=EXACT)

    @given(seeds, seeds, st.integers(1, 4))
    def test_has_the_least_total_distance(self, seed, other, n_topics):
        first, second = random_topics(seed, n_topics), random_topics(other, n_topics)
        table = np.sqrt(js_divergence(above_the_mean(first), above_the_mean(second)))
        counterpart, distance = match_topics(first, second)
        assert sorted(counterpart) == [*range(n_topics)]
        assert distance == pytest.approx(table[range(n_topics), counterpart])
        assert distance.sum() == pytest.approx(
            min(table[range(n_topics), c].sum() for c in permutations(range(n_topics)))
        )

    def test_two_similar_topics_have_different_counterparts(self):
        first = np.array([[1.0, 0.0, 0.0], [0.9, 0.1, 0.0]])
        second = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
        counterpart, distance = match_topics(first, second)
        assert counterpart.tolist() == [1, 0]  # topic 1 is also nearest to 1, which is taken
        assert distance == pytest.approx([0.0, 1.0])

    def test_a_distance_computed_by_hand(self):
        counterpart, distance = match_topics(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))
        assert counterpart.tolist() == [0]
        assert distance == pytest.approx([sqrt(1.5 - 0.75 * log2(3))])

    @pytest.mark.parametrize(
        ("first", "second", "message"),
        [
            (np.eye(3), np.eye(3)[:2], r"\(3, 3\) and \(2, 3\)"),
            (np.eye(2), np.eye(3)[:2], r"\(2, 2\) and \(2, 3\)"),
            (np.eye(2), np.full((2, 2), 0.4), "not a distribution"),
            (np.ones(2) / 2, np.ones(2) / 2, r"\(2,\)"),
        ],
    )
    def test_refuses_topics_that_cannot_be_compared(self, first, second, message):
        with pytest.raises(InputError, match=message) as caught:
            match_topics(first, second)
        assert "\n" not in str(caught.value)


class TestStability:
    @given(seeds, st.lists(st.permutations(range(5)), min_size=2, max_size=4))
    def test_permuted_topics_are_stable(self, seed, orders):
        beta = random_topics(seed)
        found = stability([beta[order] for order in orders])
        assert found.value == pytest.approx(1.0, abs=EXACT)
        assert found.runs == pytest.approx(np.ones(len(orders)), abs=EXACT)
        assert found.topics == pytest.approx(np.ones((len(orders), 5)), abs=EXACT)

    def test_runs_without_a_common_word_are_not_stable(self):
        found = stability([np.eye(6)[:2], np.eye(6)[2:4], np.eye(6)[4:]])
        assert found.value == pytest.approx(0.0)
        assert found.topics.shape == (3, 2)
        assert found.topics == pytest.approx(np.zeros((3, 2)))

    def test_only_the_deviating_topic_scores_low(self):
        usual, odd = np.eye(6)[:3], np.eye(6)[[2, 5, 0]]  # word 5 replaces word 1, the rest is permuted
        found = stability([usual, odd, usual[::-1]])
        # the deviating topic agrees with no run, its counterparts with one of two
        assert found.topics == pytest.approx(np.array([[1, 0.5, 1], [1, 0, 1], [1, 0.5, 1]]))
        assert found.runs == pytest.approx([5 / 6, 4 / 6, 5 / 6])
        assert found.value == pytest.approx(14 / 18)

    def test_a_value_computed_by_hand(self):
        # above the mean: (1, 0, 0, 0) and (0, 1, 0, 0) in one run, (1/2, 0, 1/2, 0) and (0, 1, 0, 0) in the other
        one = np.array([[0.6, 0.2, 0.1, 0.1], [0.2, 0.6, 0.1, 0.1]])
        other = np.array([[0.4, 0.0, 0.4, 0.2], [0.2, 0.4, 0.2, 0.2]])
        agreement = 1 - sqrt(1.5 - 0.75 * log2(3))
        found = stability([one, other])
        assert found.topics == pytest.approx(np.array([[agreement, 1.0], [agreement, 1.0]]))
        assert found.value == pytest.approx((1 + agreement) / 2)

    @pytest.mark.parametrize("n_topics", [4, 20])
    def test_topics_of_random_documents_score_no_more_than_chance(self, n_topics):
        rng = np.random.default_rng(0)
        words = 1 / np.arange(1, 401)  # Zipf
        runs = [rng.multinomial(1_000, words / words.sum(), size=n_topics) + 0.1 for _ in range(3)]
        assert stability([counts / counts.sum(1, keepdims=True) for counts in runs]).value < CHANCE + 0.05

    def test_refuses_a_single_topic(self):
        with pytest.raises(InputError, match="one topic"):
            stability([np.array([[0.5, 0.5]])] * 2)

    @given(st.lists(seeds, min_size=2, max_size=4, unique=True), st.data())
    def test_ignores_the_order_of_runs_and_of_topics(self, several, data):
        runs = [random_topics(seed) for seed in several]
        order = data.draw(st.permutations(range(len(runs))))
        within = data.draw(st.permutations(range(5)))
        found, again = stability(runs), stability([runs[i][within] for i in order])
        assert again.value == pytest.approx(found.value)
        assert again.runs == pytest.approx(found.runs[order])
        assert again.topics == pytest.approx(found.topics[order][:, within])

    @given(st.lists(seeds, min_size=2, max_size=4))
    def test_is_the_mean_over_pairs_of_runs(self, several):
        runs = [random_topics(seed) for seed in several]
        found = stability(runs)
        pairs = [(i, j) for i in range(len(runs)) for j in range(len(runs)) if i < j]
        assert found.value == pytest.approx(np.mean([1 - match_topics(runs[i], runs[j])[1].mean() for i, j in pairs]))
        assert found.runs == pytest.approx(found.topics.mean(axis=1))
        assert ((found.topics >= 0) & (found.topics <= 1)).all()

    @pytest.mark.parametrize("runs", [[], [np.eye(3)]])
    def test_refuses_fewer_than_two_runs(self, runs):
        with pytest.raises(InputError, match=f"{len(runs)} run") as caught:
            stability(runs)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("last", "message"),
        [
            (np.eye(3)[:2], r"\(3, 3\) and \(2, 3\)"),
            (np.eye(4)[:3], r"\(3, 3\) and \(3, 4\)"),
            (np.full((3, 3), 0.5), "not a distribution"),
        ],
    )
    def test_refuses_runs_that_cannot_be_compared(self, last, message):
        with pytest.raises(InputError, match=message):
            stability([np.eye(3), np.eye(3), last])
