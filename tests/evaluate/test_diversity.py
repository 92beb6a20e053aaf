"""Diversity: topic diversity, topic uniqueness, rank-biased overlap and Jensen-Shannon."""

from itertools import combinations
from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from topicnet.errors import InputError
from topicnet.evaluate.diversity import inverted_rbo, js_diversity, topic_diversity, uniqueness_of_each


def topic_uniqueness(topics):
    return float(uniqueness_of_each(topics).mean())


SCORES = [topic_diversity, topic_uniqueness, inverted_rbo]

SAME = np.array([[3, 1, 2], [3, 1, 2], [3, 1, 2]])
DISJOINT = np.array([[0, 1], [2, 3], [4, 5]])


@st.composite
def word_lists(draw, max_topics=5):
    n_topics, n_words = draw(st.integers(1, max_topics)), draw(st.integers(1, 6))
    lists = st.permutations(range(9)).map(lambda ids: ids[:n_words])
    return np.array(draw(st.lists(lists, min_size=n_topics, max_size=n_topics)))


def rbo_by_hand(first, second, p):
    """Evaluate the formula of Webber, Moffat & Zobel (2010) on sets."""
    depths = range(1, len(first) + 1)
    shared = [len(set(first[:d]) & set(second[:d])) for d in depths]
    total = sum(x / d * p**d for x, d in zip(shared, depths, strict=True))
    return shared[-1] / len(first) * p ** len(first) + (1 - p) / p * total


class TestTopicDiversity:
    def test_counts_distinct_words(self):
        assert topic_diversity(np.array([[0, 1, 2], [2, 3, 4]])) == pytest.approx(5 / 6)

    def test_bounds_are_reached(self):
        assert topic_diversity(DISJOINT) == 1.0
        assert topic_diversity(SAME) == pytest.approx(1 / 3)


class TestTopicUniqueness:
    def test_a_word_of_two_topics_counts_one_half(self):
        assert topic_uniqueness(np.array([[0, 1], [1, 2]])) == pytest.approx((1 + 0.5 + 0.5 + 1) / 4)

    def test_bounds_are_reached(self):
        assert topic_uniqueness(DISJOINT) == 1.0
        assert uniqueness_of_each(np.array([[0, 1], [1, 2], [3, 4]])).tolist() == [0.75, 0.75, 1.0]
        assert topic_uniqueness(SAME) == pytest.approx(1 / 3)

    @given(word_lists())
    def test_equals_topic_diversity_on_the_same_lists(self, topics):
        assert topic_uniqueness(topics) == pytest.approx(topic_diversity(topics))


class TestInvertedRbo:
    def test_identical_lists_overlap_wholly(self):
        assert inverted_rbo(SAME) == pytest.approx(0.0, abs=1e-12)

    def test_disjoint_lists_do_not_overlap(self):
        assert inverted_rbo(DISJOINT) == 1.0

    def test_a_single_topic_scores_1(self):
        assert inverted_rbo(np.array([[4, 2, 7]])) == 1.0

    def test_a_value_computed_by_hand(self):
        # X = 0, 2 of two words swapped: 0.9^2 * 1 + 0.1 / 0.9 * (0 + 0.9^2 * 1) = 0.9
        assert inverted_rbo(np.array([[0, 1], [1, 0]])) == pytest.approx(0.1)

    def test_agreement_at_the_top_weighs_more(self):
        at_the_top = np.array([[0, 1, 2], [0, 3, 4]])
        at_the_end = np.array([[1, 2, 0], [3, 4, 0]])
        assert inverted_rbo(at_the_top) < inverted_rbo(at_the_end)

    @given(word_lists(), st.sampled_from([0.1, 0.5, 0.9, 0.99]))
    def test_equals_the_formula_pair_by_pair(self, topics, weight):
        overlaps = [rbo_by_hand(a, b, weight) for a, b in combinations(topics.tolist(), 2)]
        expected = 1 - np.mean(overlaps) if overlaps else 1.0
        assert inverted_rbo(topics, weight) == pytest.approx(expected, abs=1e-12)

    @pytest.mark.parametrize("weight", [0.0, 1.0, -0.1, 1.5, float("nan")])
    def test_refuses_a_weight_outside_0_and_1(self, weight):
        with pytest.raises(InputError, match="weight is"):
            inverted_rbo(DISJOINT, weight)


def distributions():
    weights = st.integers(1, 5).flatmap(lambda k: arrays(np.float64, (k, 6), elements=st.integers(0, 4)))
    return weights.filter(lambda table: table.sum(axis=1).all()).map(lambda table: table / table.sum(1, keepdims=True))


class TestJsDiversity:
    def test_equal_topics_score_0(self):
        assert js_diversity(np.array([[0.1, 0.2, 0.7]] * 3)) == pytest.approx(0.0, abs=1e-12)

    def test_topics_without_a_common_word_score_1(self):
        assert js_diversity(np.eye(4)) == pytest.approx(1.0)

    def test_a_single_topic_scores_1(self):
        assert js_diversity(np.array([[0.3, 0.7]])) == 1.0

    def test_a_value_computed_by_hand(self):
        # a and b: 2 - 3/4 log2 3 - 1/2; a and c: 1; b and c: 1
        beta = np.array([[1, 0, 0], [0.5, 0.5, 0], [0, 0, 1]])
        assert js_diversity(beta) == pytest.approx((1.5 - 0.75 * log2(3) + 2) / 3)

    def test_words_below_the_top_count(self):
        same_top_word = np.array([[0.4, 0.6, 0.0, 0.0], [0.4, 0.0, 0.3, 0.3]])
        assert js_diversity(same_top_word) == pytest.approx(0.6)  # 0.4 of the mass in common

    @given(distributions(), st.randoms(use_true_random=False))
    def test_ignores_the_order_of_topics_and_of_words(self, beta, random):
        topics, words = (random.sample(range(n), n) for n in beta.shape)
        assert js_diversity(beta[topics][:, words]) == pytest.approx(js_diversity(beta), abs=1e-12)

    @given(distributions())
    def test_is_the_mean_of_pairs_within_0_and_1(self, beta):
        pairs = [js_diversity(beta[[i, j]]) for i, j in combinations(range(len(beta)), 2)]
        found = js_diversity(beta)
        assert found == pytest.approx(np.mean(pairs) if pairs else 1.0)
        assert 0 <= found <= 1
        assert isinstance(found, float)

    @pytest.mark.parametrize(
        ("beta", "message"),
        [
            (np.array([0.5, 0.5]), r"\(2,\)"),
            (np.zeros((0, 2)), r"\(0, 2\)"),
            (np.array([[0.5, 0.6]]), "not a distribution"),
            (np.array([[1.5, -0.5], [0.5, 0.5]]), "not a distribution"),
            (np.array([[np.nan, 0.5]]), "not a distribution"),
        ],
    )
    def test_refuses_rows_that_are_not_distributions(self, beta, message):
        with pytest.raises(InputError, match=message) as caught:
            js_diversity(beta)
        assert "\n" not in str(caught.value)


class TestAllScores:
    @pytest.mark.parametrize("score", SCORES)
    @given(topics=word_lists())
    def test_are_between_0_and_1(self, score, topics):
        assert -1e-12 <= score(topics) <= 1 + 1e-12

    @pytest.mark.parametrize("score", SCORES)
    @given(topics=word_lists())
    def test_ignore_the_order_of_topics(self, score, topics):
        assert score(topics[::-1]) == pytest.approx(score(topics), abs=1e-12)

    @pytest.mark.parametrize("score", SCORES)
    @given(topics=word_lists())
    def test_ignore_word_ids(self, score, topics):
        renamed = np.random.default_rng(0).permutation(1000)[topics]
        assert score(renamed) == pytest.approx(score(topics), abs=1e-12)

    @pytest.mark.parametrize("score", [topic_diversity, topic_uniqueness])
    @given(topics=word_lists())
    def test_scores_of_sets_ignore_the_order_of_words(self, score, topics):
        assert score(topics[:, ::-1]) == pytest.approx(score(topics))

    @pytest.mark.parametrize("score", SCORES)
    @pytest.mark.parametrize(
        ("topics", "message"),
        [
            (np.array([0, 1]), r"\(2,\)"),
            (np.zeros((0, 2), dtype=int), r"\(0, 2\)"),
            (np.zeros((2, 0), dtype=int), r"\(2, 0\)"),
            (np.array([[0.5, 1.0]]), "float64"),
            (np.array([[0, 1], [2, 2]]), "topic 1 repeats a word"),
        ],
    )
    def test_refuse_tables_that_are_not_word_lists(self, score, topics, message):
        with pytest.raises(InputError, match=message) as caught:
            score(topics)
        assert "\n" not in str(caught.value)
