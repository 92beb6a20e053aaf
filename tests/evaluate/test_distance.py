"""Distance: Jensen-Shannon divergence of every topic from every other."""

from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from topicnet.errors import InputError
from topicnet.evaluate.distance import js_divergence

V = 5


def topics(n_topics=3):
    weights = arrays(np.float64, (n_topics, V), elements=st.sampled_from([0.0, 1e-9, 0.3, 1.0, 2.0, 7.0]))
    return weights.filter(lambda table: table.sum(axis=1).all()).map(lambda table: table / table.sum(1, keepdims=True))


def relative_entropy(p, q):
    return sum(a * log2(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def divergence_by_hand(p, q):
    """Lin's (1991) other form: the mean relative entropy to the mixture."""
    middle = (p + q) / 2
    return (relative_entropy(p, middle) + relative_entropy(q, middle)) / 2


class TestClosedForms:
    def test_topics_without_a_common_word_have_divergence_1_bit(self):
        apart = js_divergence(np.array([[0.5, 0.5, 0.0, 0.0]]), np.array([[0.0, 0.0, 0.1, 0.9]]))
        assert apart == pytest.approx(np.array([[1.0]]))

    def test_equal_topics_have_divergence_0(self):
        beta = np.array([[0.1, 0.2, 0.7], [0.0, 0.0, 1.0]])
        assert np.diagonal(js_divergence(beta, beta)).tolist() == [0.0, 0.0]

    def test_a_value_computed_by_hand(self):
        # H(3/4, 1/4) - (H(1, 0) + H(1/2, 1/2)) / 2 = (2 - 3/4 log2 3) - 1/2
        apart = js_divergence(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))
        assert apart == pytest.approx(np.array([[1.5 - 0.75 * log2(3)]]))

    def test_half_of_the_mass_in_common_is_half_a_bit(self):
        assert js_divergence(np.array([[0.5, 0.5, 0]]), np.array([[0, 0.5, 0.5]])) == pytest.approx(np.array([[0.5]]))

    def test_rows_are_the_first_topics_and_columns_the_second(self):
        apart = js_divergence(np.eye(4)[[2, 0]], np.eye(4)[[0, 1, 2]])
        assert apart.tolist() == [[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]]
        assert apart.dtype == np.float64


class TestProperties:
    @given(topics(2), topics(3))
    def test_equals_the_relative_entropies_to_the_mixture(self, first, second):
        expected = np.array([[divergence_by_hand(p, q) for q in second] for p in first])
        assert js_divergence(first, second) == pytest.approx(expected, abs=1e-12)

    @given(topics(), topics(2))
    def test_is_symmetric(self, first, second):
        assert js_divergence(first, second) == pytest.approx(js_divergence(second, first).T, abs=1e-14)

    @given(topics(), topics())
    def test_is_bounded(self, first, second):
        apart = js_divergence(first, second)
        assert ((apart >= 0) & (apart <= 1)).all()

    @given(topics(), topics(), topics())
    def test_its_square_root_is_a_distance(self, first, second, third):
        one, other, direct = (
            np.sqrt(js_divergence(*pair)) for pair in [(first, second), (second, third), (first, third)]
        )
        detours = (one[:, :, None] + other[None]).min(axis=1)
        assert (direct <= detours + 1e-7).all()  # 1e-7: the square root of rounding errors

    @given(topics(), st.permutations(range(V)))
    def test_ignores_the_order_of_words(self, beta, order):
        renamed = beta[:, order]
        assert js_divergence(renamed, renamed) == pytest.approx(js_divergence(beta, beta), abs=1e-14)

    @given(topics(), st.floats(0.9995, 1.0005))
    def test_rows_are_normalised(self, beta, scale):
        assert js_divergence(beta * scale, beta[::-1]) == pytest.approx(js_divergence(beta, beta[::-1]), abs=1e-14)

    @given(topics())
    def test_single_precision_is_accepted(self, beta):
        apart = js_divergence(beta.astype(np.float32), beta.astype(np.float32)[::-1])
        assert apart.dtype == np.float64
        assert apart == pytest.approx(js_divergence(beta, beta[::-1]), abs=1e-6)

    def test_does_not_change_its_input(self):
        beta = np.array([[0.25, 0.7501]])
        js_divergence(beta, beta)
        assert beta.tolist() == [[0.25, 0.7501]]


class TestRefusals:
    @pytest.mark.parametrize(
        ("table", "message"),
        [
            (np.array([0.5, 0.5]), r"shape \(2,\)"),
            (np.ones((0, 2)), r"shape \(0, 2\)"),
            (np.ones((2, 0)), r"shape \(2, 0\)"),
            (np.array([[0.5, 0.502]]), "not a distribution"),
            (np.array([[0.5, 0.498]]), "not a distribution"),
            (np.array([[0.5, 0.5], [0.0, 0.0]]), "not a distribution"),
            (np.array([[1.5, -0.5]]), "not a distribution"),
            (np.array([[np.nan, 1.0]]), "not a distribution"),
            (np.array([[np.inf, 0.0]]), "not a distribution"),
        ],
    )
    def test_says_what_is_no_topic_in_one_line(self, table, message):
        fine = np.array([[0.5, 0.5]])
        for pair in [(table, fine), (fine, table)]:
            with pytest.raises(InputError, match=message) as caught:
                js_divergence(*pair)
            assert "\n" not in str(caught.value)

    def test_refuses_different_vocabularies(self):
        with pytest.raises(InputError, match="over 2 and 3 words"):
            js_divergence(np.eye(2), np.eye(3))
