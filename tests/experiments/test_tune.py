"""Search for K: parsing of its options, order of the grid, cost estimates and the recommendation."""

import math
from dataclasses import asdict

import pytest

from topicnet.errors import InputError
from topicnet.experiments.job import seconds_of, topics_of
from topicnet.experiments.recommendation import Estimate, TuningRow, csv_of, recommendation, summarise_fits
from topicnet.experiments.tune import _far_apart_first, _Search
from topicnet.experiments.worker import Cell, CellScores, FittedCell
from topicnet.runtime.reporter import Reporter
from topicnet.workflows.scores import Completion, ReferenceSummary, Score, score, topic_quality


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("600", 600), ("90s", 90), ("10m", 600), ("1.5h", 5400), (" 2 M ", 120), (".5m", 30), ("10", 10)],
)
def test_budgets_are_parsed(given, seconds):
    assert seconds_of(given) == seconds


@pytest.mark.parametrize("given", ["", "0", "0m", "-5m", "ten", "10 days", "1e3", "nan", "5mm"])
def test_an_invalid_budget_is_refused(given):
    with pytest.raises(InputError, match="expected a time such as 90s, 10m or 1h"):
        seconds_of(given)


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ("10:100", [10, 15, 22, 32, 46, 68, 100]),
        ("2:4", [2, 3, 4]),
        ("7:7", [7]),
        ("20", [20]),
        ("50, 10,20,10", [10, 20, 50]),
    ],
)
def test_topics_are_a_range_or_a_list(given, values):
    assert topics_of(given) == values


@pytest.mark.parametrize("given", ["", "0:5", "9:3", "0", "10:", ":10", "1:2:3", "ten", "5,,6", "-3:5", "2.5"])
def test_invalid_topics_are_refused(given):
    with pytest.raises(InputError, match="expected a range such as 10:100"):
        topics_of(given)


def test_every_first_part_of_the_grid_covers_the_range():
    assert _far_apart_first([1, 2, 3, 4, 5, 6, 7]) == [1, 7, 4, 2, 5, 3, 6]
    assert _far_apart_first([9]) == [9]
    assert _far_apart_first([3, 8]) == [3, 8]


@pytest.mark.parametrize("given", ["1s", "9.9", "0.1m"])
def test_a_budget_too_short_for_a_fit_is_refused(given):
    with pytest.raises(InputError, match="expected 10s or more"):
        seconds_of(given)


def row(topics, mean, low, high, *, model="etm", short=False, fits=2, perplexity=None):
    predicted = None if perplexity is None else Estimate(perplexity, perplexity, perplexity)
    return TuningRow(
        model=model, topics=topics, short=short, fits=fits, seconds=1.0, topic_diversity=Estimate(1.0, 1.0, 1.0),
        perplexity=predicted, npmi=None, stability=None, quality=Estimate(mean, low, high),
    )  # fmt: skip


class TestRecommendation:
    def test_the_best_k_is_recommended(self):
        message = recommendation([row(10, 0.1, 0.05, 0.12), row(20, 0.3, 0.25, 0.35), row(40, 0.2, 0.15, 0.22)])
        assert message.startswith("Take K = 20 (etm), the best of 3 tried, K from 10 to 40")
        assert "0.300 [0.250, 0.350]" in message
        assert "flat" not in message

    def test_a_smaller_k_that_is_as_good_is_recommended(self):
        message = recommendation([row(10, 0.1, 0.05, 0.12), row(20, 0.28, 0.26, 0.3), row(40, 0.3, 0.25, 0.35)])
        assert message.startswith("Take K = 20 (etm, topic quality 0.280)")
        assert "the best of 3 tried, K from 10 to 40, K = 40" in message
        assert "K = 10" not in message

    def test_a_flat_curve_is_described_as_flat(self):
        message = recommendation([row(10, 0.28, 0.2, 0.3), row(20, 0.29, 0.2, 0.3), row(40, 0.3, 0.25, 0.35)])
        assert message.startswith("The curve is flat")
        assert "K = 10" in message
        assert "K = 40" in message

    def test_a_flat_curve_with_the_smallest_k_best(self):
        message = recommendation([row(10, 0.31, 0.2, 0.4), row(20, 0.29, 0.2, 0.3)])
        assert message.startswith("The curve is flat")
        assert "take the smallest, K = 10 (etm), which is also the best" in message

    def test_short_fits_are_never_recommended_but_show_what_is_worse(self):
        message = recommendation([row(10, 0.9, 0.8, 1.0, short=True), row(20, 0.3, 0.2, 0.4), row(30, 0.1, 0.0, 0.1)])
        assert message.startswith("Take K = 20")
        assert "as good within the uncertainty: K = 10" in message
        message = recommendation([row(10, 0.3, 0.2, 0.4), row(20, 0.1, 0.0, 0.2, short=True)])
        assert "flat" not in message

    def test_a_single_k_is_described_as_such(self):
        assert recommendation([row(10, 0.3, 0.2, 0.4)]).startswith("Only K = 10 (etm) was measured")

    def test_models_are_named_if_there_are_several(self):
        rows = [row(10, 0.3, 0.28, 0.32, perplexity=900), row(10, 0.1, 0.08, 0.12, model="w-lda", perplexity=800)]
        assert "predicted best at K = 10 (w-lda)" in recommendation(rows)

    def test_both_uncertainties_count(self):
        narrow, wide = row(10, 0.2, 0.19, 0.21), row(10, 0.2, 0.1, 0.3)
        best = row(20, 0.3, 0.25, 0.35)
        assert recommendation([narrow, best]).startswith("Take K = 20")
        assert recommendation([wide, best]).startswith("The curve is flat")

    def test_untried_k_and_the_best_perplexity_are_named(self):
        rows = [row(10, 0.3, 0.28, 0.32, perplexity=900), row(20, 0.1, 0.08, 0.12, perplexity=800)]
        message = recommendation(rows, ["K = 50", "K = 99"])
        assert "held-out documents are predicted best at K = 20" in message
        assert message.endswith("not tried within the budget: K = 50, K = 99.")
        assert "predicted best" not in recommendation([row(10, 0.3, 0.28, 0.32, perplexity=700), rows[1]])


def test_quality_rises_with_coherence_and_with_diversity_on_both_sides_of_0():
    assert topic_quality(0.2, 0.5) == pytest.approx(0.1)
    for npmi in (-0.3, 0.0, 0.3):
        assert topic_quality(npmi, 0.9) >= topic_quality(npmi, 0.5)
        assert topic_quality(npmi + 0.1, 0.5) > topic_quality(npmi, 0.5)
    assert topic_quality(math.nan, 0.7) == 0.7


def fit(values, diversity, perplexity):
    scores = CellScores(
        reference=ReferenceSummary(name="planted", documents=2, tokens=9, known_tokens=9),
        coherence={"npmi": score("npmi", sum(values) / len(values), per_topic=values)},
        diversity={"topic_diversity": score("topic_diversity", diversity)},
        perplexity=Completion(documents=2, left_out=0, tokens=9, scores={"inferred": perplexity}),
        labels=None,
    )
    return FittedCell(
        cell=Cell("etm", 5, 0), seconds=2.0, peak_memory_bytes=1, verdict=None, fit_for_use=None, epochs=None,
        scores=scores,
    )  # fmt: skip


def test_scores_of_several_fits_are_pooled():
    finite = Score(value=100.0, low=90.0, high=110.0, convention="")
    found = summarise_fits([fit([0.1, 0.3], 0.5, finite), fit([0.2, 0.2], 0.7, finite)], [], short=False)
    assert found.npmi.mean == pytest.approx(0.2)
    assert 0.1 <= found.npmi.low <= 0.2 <= found.npmi.high <= 0.3
    assert found.quality.low <= found.quality.mean <= found.quality.high
    assert asdict(found.topic_diversity) == pytest.approx({"mean": 0.6, "low": 0.5, "high": 0.7})
    assert asdict(found.perplexity) == pytest.approx({"mean": 100, "low": 90, "high": 110})
    assert found.quality.mean == pytest.approx((0.2 * 0.5 + 0.2 * 0.7) / 2)
    assert found.stability is None


def test_an_infinite_perplexity_is_none():
    found = summarise_fits([fit([0.1, 0.3], 0.5, score("inferred", math.inf))], [], short=False)
    assert found.perplexity is None
    line = csv_of([found]).splitlines()
    assert len(line) == 2
    named = dict(zip(line[0].split(","), line[1].split(","), strict=True))
    assert named["perplexity_mean"] == named["stability_mean"] == ""
    assert float(named["npmi_mean"]) == pytest.approx(0.2)


class TestExpectedSeconds:
    def search(self, *timings):
        return _Search(None, 60.0, 1_000, Reporter(began=0.0), None, timings=list(timings))

    def test_without_fits_the_estimate_is_0(self):
        assert self.search().expected(Cell("etm", 10, 0)) == 0

    def test_the_estimate_uses_the_nearest_k_of_the_same_length(self):
        search = self.search((Cell("etm", 10, 0), 4.0), (Cell("etm", 100, 0), 13.0), (Cell("etm", 10, 0, {"e": 1}), 1))
        assert search.expected(Cell("etm", 10, 1)) == pytest.approx(4.0)
        assert search.expected(Cell("etm", 120, 0)) == pytest.approx(13.0 * 150 / 130)

    def test_a_full_fit_takes_longer_than_a_short_one(self):
        search = self.search((Cell("etm", 10, 0, {"max_epochs": 1}), 2.0))
        assert search.expected(Cell("etm", 10, 0)) > 2.0
