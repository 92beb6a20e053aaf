"""Bootstrap: intervals of means and ratios over resampled topics or documents."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.support.examples import examples
from topicnet.errors import InputError
from topicnet.evaluate import bootstrap
from topicnet.evaluate.bootstrap import MOST_UNITS, Interval, interval_of_mean, interval_of_ratio

Z = NormalDist().inv_cdf(0.975)
few_examples = examples(12)  # each resamples a thousand times


def width(interval):
    return interval.high - interval.low


def values(least=1):
    return arrays(np.float64, st.integers(least, 30), elements=st.floats(-1e3, 1e3))


class TestClosedForms:
    def test_two_values_with_a_quarter_of_the_draws_at_each_end(self):
        assert interval_of_mean(np.array([0.0, 1.0])) == Interval(0.0, 1.0)

    def test_one_of_four_follows_the_binomial_distribution(self):
        # probability to be drawn 0 times 0.316, at most 2 times 0.949, at most 3 times 0.996
        assert interval_of_mean(np.array([0.0, 0.0, 1.0, 0.0])) == Interval(0.0, 0.75)

    @pytest.mark.parametrize("n", [100, 2_000])
    def test_a_proportion_follows_the_normal_distribution(self, n):
        found = interval_of_mean(np.arange(n) % 2)
        assert found.low == pytest.approx(0.5 - Z * 0.5 / n**0.5, rel=0.03)
        assert found.high == pytest.approx(0.5 + Z * 0.5 / n**0.5, rel=0.03)

    def test_one_value_gives_width_0(self):
        assert interval_of_mean(np.array([0.3])) == Interval(0.3, 0.3)

    @given(st.floats(-1e3, 1e3), st.integers(1, 30))
    @few_examples
    def test_equal_values_give_width_0(self, value, n):
        found = interval_of_mean(np.full(n, value))
        assert width(found) == 0.0
        assert found.low == pytest.approx(value)

    def test_equal_ratios_give_width_0(self):
        tokens = np.array([1, 5, 300, 7])
        found = interval_of_ratio(3 * tokens, tokens)
        assert found == Interval(3.0, 3.0)


class TestProperties:
    @given(values())
    @few_examples
    def test_contains_the_mean(self, sample):
        found = interval_of_mean(sample)
        assert found.low <= found.high
        assert found.low - 1e-9 <= sample.mean() <= found.high + 1e-9

    @given(values())
    @few_examples
    def test_is_within_the_range_of_the_values(self, sample):
        found = interval_of_mean(sample)
        assert sample.min() - 1e-9 <= found.low
        assert found.high <= sample.max() + 1e-9

    @given(values(), st.floats(0.1, 10), st.floats(-5, 5))
    @few_examples
    def test_is_equivariant_under_shift_and_scale(self, sample, scale, shift):
        found, moved = interval_of_mean(sample), interval_of_mean(scale * sample + shift)
        assert moved.low == pytest.approx(scale * found.low + shift, abs=1e-8)
        assert moved.high == pytest.approx(scale * found.high + shift, abs=1e-8)

    @given(values(), st.floats(0.1, 10))
    @few_examples
    def test_with_equal_denominators_a_ratio_is_a_mean(self, sample, tokens):
        ratio, mean = interval_of_ratio(sample, np.full(len(sample), tokens)), interval_of_mean(sample / tokens)
        assert (ratio.low, ratio.high) == pytest.approx((mean.low, mean.high), abs=1e-8)

    @given(values(), st.data())
    @few_examples
    def test_a_ratio_contains_the_weighted_mean(self, sample, data):
        tokens = data.draw(arrays(np.int64, len(sample), elements=st.integers(1, 20)))
        found = interval_of_ratio(sample * tokens, tokens)
        assert found.low - 1e-9 <= np.average(sample, weights=tokens) <= found.high + 1e-9

    def test_a_long_document_weighs_more(self):
        ratios, tokens = np.array([0.0] * 50 + [1.0] * 50), np.array([9] * 50 + [1] * 50)
        found = interval_of_ratio(ratios * tokens, tokens)
        assert found.low < 0.1 < found.high < 0.2

    def test_numerators_are_resampled_with_their_denominators(self):
        rng = np.random.default_rng(0)
        tokens = rng.integers(1, 100, size=200)
        nats = 2.0 * tokens + rng.normal(0, 0.1, size=200)
        together, apart = interval_of_ratio(nats, tokens), interval_of_ratio(rng.permutation(nats), tokens)
        assert width(together) < width(apart) / 20

    def test_four_times_the_values_halve_the_width(self):
        sample = np.random.default_rng(0).normal(size=100)
        assert width(interval_of_mean(np.tile(sample, 4))) == pytest.approx(
            width(interval_of_mean(sample)) / 2, rel=0.15
        )

    def test_is_deterministic(self):
        sample = np.random.default_rng(0).normal(size=40)
        np.random.seed(1)  # noqa: NPY002 - numpy's global generator must not matter
        before = interval_of_mean(sample)
        np.random.seed(2)  # noqa: NPY002
        assert interval_of_mean(sample) == before

    def test_does_not_change_its_input(self):
        nats, tokens = np.array([1.0, 5.0]), np.array([1, 2])
        interval_of_ratio(nats, tokens)
        assert nats.tolist() == [1.0, 5.0]
        assert tokens.tolist() == [1, 2]


class TestManyDocuments:
    @pytest.mark.parametrize("n", [MOST_UNITS + 1, 12_000])
    def test_groups_give_nearly_the_same_interval(self, n, monkeypatch):
        rng = np.random.default_rng(3)
        tokens = rng.integers(1, 50, size=n)
        nats = tokens * rng.normal(7, 1, size=n)
        grouped = interval_of_ratio(nats, tokens)
        monkeypatch.setattr(bootstrap, "MOST_UNITS", n)
        one_by_one = interval_of_ratio(nats, tokens)
        assert grouped != one_by_one
        assert width(grouped) == pytest.approx(width(one_by_one), rel=0.15)
        assert grouped.low == pytest.approx(one_by_one.low, abs=0.2 * width(one_by_one))
        assert grouped.low < nats.sum() / tokens.sum() < grouped.high

    def test_groups_do_not_depend_on_the_order(self):
        n = 3 * MOST_UNITS
        found = interval_of_mean(np.arange(n) / n)
        assert width(found) == pytest.approx(2 * Z * 12**-0.5 / n**0.5, rel=0.15)

    def test_equal_values_in_groups_give_width_0(self):
        assert interval_of_mean(np.full(MOST_UNITS + 7, 0.5)) == Interval(0.5, 0.5)


@pytest.mark.parametrize("draw", ["normal", "exponential"])
def test_covers_the_truth_about_95_times_in_100(draw, monkeypatch):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 300)
    rng = np.random.default_rng(5)
    truth = {"normal": 0.0, "exponential": 1.0}[draw]
    found = [interval_of_mean(getattr(rng, draw)(size=50)) for _ in range(300)]
    covered = np.mean([interval.low <= truth <= interval.high for interval in found])
    assert 0.89 <= covered <= 0.98


class TestRefusals:
    @pytest.mark.parametrize(
        ("sample", "message"),
        [
            ([], r"shapes \(0,\)"),
            ([1.0, np.nan], "not finite"),
            ([np.inf, 0.0], "not finite"),
            ([[1.0]], "n 1 or more"),
        ],
    )
    def test_values_without_a_mean(self, sample, message):
        with pytest.raises(InputError, match=message) as caught:
            interval_of_mean(np.array(sample))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("numerators", "denominators"),
        [([1.0, np.nan], [1, 1]), ([1.0, 2.0], [1, np.inf]), ([1.0, 2.0], [1, 0]), ([1.0, 2.0], [-1, 3])],
    )
    def test_values_without_a_ratio(self, numerators, denominators):
        with pytest.raises(InputError, match="denominators not above 0") as caught:
            interval_of_ratio(np.array(numerators), np.array(denominators))
        assert "\n" not in str(caught.value)
