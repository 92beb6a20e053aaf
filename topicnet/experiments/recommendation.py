"""Recommendation of a number of topics, K, from a summary of the scores of the fits of each K."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from topicnet.evaluate.bootstrap import LEVEL, RESAMPLES, SEED, interval_of_mean
from topicnet.evaluate.stability import stability
from topicnet.experiments.worker import FittedCell
from topicnet.workflows.scores import topic_quality

SCORES = ("quality", "npmi", "topic_diversity", "perplexity", "stability")


@dataclass(frozen=True)
class Estimate:
    """Mean and its 95 % interval.

    Attributes
    ----------
    mean : float
        The mean.
    low, high : float
        Ends of the interval; NaN if there is none.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class TuningRow:
    """Scores of the fits of one model and K.

    Attributes
    ----------
    model : str
        A name in `MODELS`.
    topics : int
        Number of topics, K.
    short : bool
        True if the only fit is a short one.
    fits : int
        Number of fits.
    seconds : float
        Mean time of a fit.
    topic_diversity : Estimate
        Diversity; the interval is the range over seeds.
    perplexity : Estimate, optional
        Perplexity of held-out halves; None if it is infinite.
    npmi : Estimate, optional
        Coherence; None for topics of one word.
    stability : Estimate, optional
        Stability of the topics over seeds; None for a single fit.
    quality : Estimate
        NPMI times diversity; see `topic_quality`.
    """

    model: str
    topics: int
    short: bool
    fits: int
    seconds: float
    topic_diversity: Estimate
    perplexity: Estimate | None
    npmi: Estimate | None
    stability: Estimate | None
    quality: Estimate


def recommendation(rows: Sequence[TuningRow], not_tried: Sequence[str] = ()) -> str:
    """Recommend, in one sentence, the smallest K that is as good as the best within the uncertainty of both.

    Only a K with fits of full length is recommended; short fits show which other K are worse or as good. Two values are
    as good if the interval of their difference, computed from both intervals (Zou & Donner 2008), includes 0.
    """
    several = len({row.model for row in rows}) > 1
    full = [row for row in rows if not row.short] or list(rows)
    best = max(full, key=lambda row: row.quality.mean)
    of_best = f"topic quality {_with_interval(best.quality)} in {_fits(best)}"
    rest = f"; not tried within the budget: {', '.join(not_tried)}" if not_tried else ""
    if len(rows) == 1:
        return f"Only K = {best.topics} ({best.model}) was measured, with {of_best}{rest}."
    near = [row for row in rows if row is best or not _worse(row.quality, best.quality)]
    least = min((row for row in full if row in near), key=lambda row: (row.topics, -row.quality.mean))
    tried = f"{len(rows)} tried, K from {min(row.topics for row in rows)} to {max(row.topics for row in rows)}"
    as_good = [row for row in near if row is not least and row is not best]
    predicted = [(row.perplexity.mean, row) for row in full if row.perplexity is not None]
    end = rest
    if predicted:
        likeliest = min(predicted, key=lambda pair: pair[0])[1]
        if likeliest is not least:
            end = f"; held-out documents are predicted best at {_list_topics([likeliest], several)}{rest}"
    if len(near) == len(rows):
        take = f"take the smallest, K = {least.topics} ({least.model})"
        if least is best:
            return (
                f"The curve is flat: all {tried}, are equal within the uncertainty; {take}, which is also the best by"
                f" {of_best}{end}."
            )
        return (
            f"The curve is flat: all {tried}, are as good within the uncertainty as the best, K = {best.topics}"
            f" ({best.model}, {of_best}); {take}, or any K that suits your purpose{end}."
        )
    if least is best:
        others = f"; as good within the uncertainty: {_list_topics(as_good, several)}" if as_good else ""
        return f"Take K = {best.topics} ({best.model}), the best of {tried}, by {of_best}{others}{end}."
    others = f", and so are {_list_topics(as_good, several)}" if as_good else ""
    return (
        f"Take K = {least.topics} ({least.model}, topic quality {least.quality.mean:.3f}): within the"
        f" uncertainty it is as good as the best of {tried}, K = {best.topics} ({best.model},"
        f" {of_best}){others}{end}."
    )


def _fits(row: TuningRow) -> str:
    return "one fit" if row.fits == 1 else f"{row.fits} fits"


def _worse(one: Estimate, best: Estimate) -> bool:
    """Return True if a quality is significantly worse than the best: the interval of their difference is above 0."""
    difference = best.mean - one.mean
    if any(math.isnan(end) for end in (best.low, one.high)):
        return difference > 0
    return difference > math.hypot(best.mean - best.low, one.high - one.mean)


def _list_topics(rows: Sequence[TuningRow], several: bool) -> str:
    """List the K of the rows as text, with the model if several were tried."""
    return ", ".join(f"K = {row.topics}{' (' + row.model + ')' if several else ''}" for row in rows)


def summarise_fits(fits: Sequence[FittedCell], topics: list[NDArray[np.float32]], *, short: bool) -> TuningRow:
    """Return the mean and interval of each score: of coherence and stability over topics, of diversity over seeds."""
    scores = [found.scores for found in fits]
    diversity = [one.diversity["topic_diversity"].value for one in scores]
    predicted = [found.predicted for found in fits]
    npmi, perplexity, agreement = None, None, None
    ends_of_quality = np.full(2, math.nan)
    if all(math.isfinite(one.value) for one in predicted):
        ends = [np.array([getattr(one, end) for one in predicted]).mean() for end in ("value", "low", "high")]
        perplexity = Estimate(*map(float, ends))
    if all(one.coherence for one in scores):
        of_topics = [np.array(one.coherence["npmi"].per_topic) for one in scores]
        drawn, ends_of_quality = _resampled(of_topics, diversity)
        npmi = _estimate([one.coherence["npmi"].value for one in scores], *drawn)
    if len(topics) > 1 and len(topics[0]) > 1:
        matched = stability(topics).topics.ravel()
        interval = interval_of_mean(matched)
        agreement = _estimate(matched, interval.low, interval.high)
    return TuningRow(
        model=fits[0].cell.model,
        topics=fits[0].cell.n_topics,
        short=short,
        fits=len(fits),
        seconds=float(np.mean([found.seconds for found in fits])),
        topic_diversity=_estimate(diversity, min(diversity), max(diversity)),
        perplexity=perplexity,
        npmi=npmi,
        stability=agreement,
        quality=_estimate([one.quality for one in scores], *ends_of_quality),
    )


def _resampled(per_topic: list[NDArray[np.float64]], diversity: list[float]) -> NDArray[np.float64]:
    """Bootstrap the intervals of NPMI and quality, (2, 2), by drawing fits, then topics within each."""
    rng = np.random.default_rng(SEED)
    draws = np.empty((RESAMPLES, 2))
    for at in range(RESAMPLES):
        chosen = rng.integers(len(per_topic), size=len(per_topic))
        means = [per_topic[fit][rng.integers(len(per_topic[fit]), size=len(per_topic[fit]))].mean() for fit in chosen]
        draws[at] = (
            np.mean(means),
            np.mean([topic_quality(m, diversity[f]) for m, f in zip(means, chosen, strict=True)]),
        )
    ends: NDArray[np.float64] = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0).T
    return ends


def _estimate(values: Sequence[float] | NDArray[np.floating], low: float, high: float) -> Estimate:
    return Estimate(float(np.mean(values)), float(low), float(high))


def _with_interval(score: Estimate) -> str:
    return f"{score.mean:.3f} [{score.low:.3f}, {score.high:.3f}]"


def csv_of(rows: Sequence[TuningRow]) -> str:
    """Return the rows as CSV, with empty cells for undefined scores."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    ends = ("mean", "low", "high")
    table.writerow(
        ["model", "topics", "fits", "short", "seconds", *(f"{name}_{end}" for name in SCORES for end in ends)]
    )
    for row in rows:
        scores = [getattr(row, name) for name in SCORES]
        values = ["" if score is None else getattr(score, end) for score in scores for end in ends]
        table.writerow([row.model, row.topics, row.fits, row.short, row.seconds, *values])
    return out.getvalue()
