"""Scores against K: what the fits of each K say together, and what to make of the curve."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from topicnet.evaluate.bootstrap import LEVEL, RESAMPLES, SEED, interval_of_mean
from topicnet.evaluate.stability import stability
from topicnet.workflows.scores import topic_quality

SCORES = ("quality", "npmi", "topic_diversity", "perplexity", "stability")


def recommendation(rows: Sequence[dict[str, Any]], not_tried: Sequence[str] = ()) -> str:
    """One sentence: the least K as good as the best within the uncertainty of both, and whether the curve is flat.

    It recommends only what was fitted at full length; short fits tell which K are worse, or as good. Two are as good
    when the interval of their difference holds 0; it is had from both intervals (Zou & Donner 2008).
    """
    several = len({row["model"] for row in rows}) > 1
    full = [row for row in rows if not row["short"]] or list(rows)
    best = max(full, key=lambda row: row["quality"]["mean"])
    of_best = f"topic quality {_with_interval(best['quality'])} in {_fits(best)}"
    rest = f"; not tried within the budget: {', '.join(not_tried)}" if not_tried else ""
    if len(rows) == 1:
        return f"K = {best['topics']} ({best['model']}) alone was measured, with {of_best}{rest}."
    near = [row for row in rows if row is best or not _worse(row["quality"], best["quality"])]
    least = min((row for row in full if row in near), key=lambda row: (row["topics"], -row["quality"]["mean"]))
    tried = f"{len(rows)} tried, K from {min(row['topics'] for row in rows)} to {max(row['topics'] for row in rows)}"
    as_good = [row for row in near if row is not least and row is not best]
    predicts = [row for row in full if row["perplexity"] is not None]
    end = rest
    if predicts:
        likeliest = min(predicts, key=lambda row: row["perplexity"]["mean"])
        if likeliest is not least:
            end = f"; held-out documents are predicted best at {_named([likeliest], several)}{rest}"
    if len(near) == len(rows):
        take = f"take the smallest, K = {least['topics']} ({least['model']})"
        if least is best:
            return (
                f"The curve is flat: all {tried}, are alike within the uncertainty; {take}, also the best by"
                f" {of_best}{end}."
            )
        return (
            f"The curve is flat: all {tried}, are as good within the uncertainty as the best, K = {best['topics']}"
            f" ({best['model']}, {of_best}); {take}, or whatever suits the purpose{end}."
        )
    if least is best:
        others = f"; as good within the uncertainty: {_named(as_good, several)}" if as_good else ""
        return f"Take K = {best['topics']} ({best['model']}), the best of {tried}, by {of_best}{others}{end}."
    others = f", and so are {_named(as_good, several)}" if as_good else ""
    return (
        f"Take K = {least['topics']} ({least['model']}, topic quality {least['quality']['mean']:.3f}): within the"
        f" uncertainty it is as good as the best of {tried}, K = {best['topics']} ({best['model']},"
        f" {of_best}){others}{end}."
    )


def _fits(row: dict[str, Any]) -> str:
    return "one fit" if row["fits"] == 1 else f"{row['fits']} fits"


def _worse(one: dict[str, float], best: dict[str, float]) -> bool:
    """Whether the interval of the difference of two qualities lies above 0."""
    difference = best["mean"] - one["mean"]
    if any(math.isnan(end) for end in (best["low"], one["high"])):
        return difference > 0
    return difference > math.hypot(best["mean"] - best["low"], one["high"] - one["mean"])


def _named(rows: Sequence[dict[str, Any]], several: bool) -> str:
    """K of rows, with the model where several were tried."""
    return ", ".join(f"K = {row['topics']}{' (' + row['model'] + ')' if several else ''}" for row in rows)


def scores_of(fits: list[dict[str, Any]], topics: list[NDArray[np.float32]]) -> dict[str, Any]:
    """Mean and interval of each score: of coherence and stability over topics, of diversity over seeds."""
    diversity = [found["scores"]["diversity"]["topic_diversity"]["value"] for found in fits]
    completions = [found["scores"]["perplexity"]["scores"] for found in fits]
    predicted = [one.get("refined", one["inferred"]) for one in completions]
    row: dict[str, Any] = {
        "fits": len(fits),
        "seconds": float(np.mean([found["seconds"] for found in fits])),
        "topic_diversity": _summary(diversity, min(diversity), max(diversity)),
        "perplexity": None,
        "npmi": None,
        "stability": None,
    }
    ends_of_quality = np.full(2, math.nan)
    if all(one["value"] is not None for one in predicted):
        means = {end: float(np.mean([one[end] for one in predicted])) for end in ("value", "low", "high")}
        row["perplexity"] = _summary([means["value"]], means["low"], means["high"])
    if all(found["scores"]["coherence"] for found in fits):
        drawn = _resampled([np.array(found["scores"]["coherence"]["npmi"]["per_topic"]) for found in fits], diversity)
        row["npmi"] = _summary([found["scores"]["coherence"]["npmi"]["value"] for found in fits], *drawn[0])
        ends_of_quality = drawn[1]
    if len(topics) > 1 and len(topics[0]) > 1:
        agreement = stability(topics).topics.ravel()
        ends = interval_of_mean(agreement)
        row["stability"] = _summary(agreement, ends.low, ends.high)
    row["quality"] = _summary([quality_of(found) for found in fits], *ends_of_quality)
    return row


def _resampled(per_topic: list[NDArray[np.float64]], diversity: list[float]) -> NDArray[np.float64]:
    """Ends of the intervals of NPMI and of quality, (2, 2): fits are drawn, then topics within each (bootstrap)."""
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


def _summary(values: Sequence[float] | NDArray[np.floating], low: float, high: float) -> dict[str, float]:
    return {"mean": float(np.mean(values)), "low": float(low), "high": float(high)}


def _with_interval(score: dict[str, float]) -> str:
    return f"{score['mean']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"


def csv_of(rows: list[dict[str, Any]]) -> str:
    """The rows as CSV; empty where there is no score."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    ends = ("mean", "low", "high")
    table.writerow(
        ["model", "topics", "fits", "short", "seconds", *(f"{name}_{end}" for name in SCORES for end in ends)]
    )
    for row in rows:
        values = ["" if row[name] is None else row[name][end] for name in SCORES for end in ends]
        table.writerow([row["model"], row["topics"], row["fits"], row["short"], row["seconds"], *values])
    return out.getvalue()


def quality_of(found: dict[str, Any]) -> float:
    """Topic quality of one fit."""
    scores = found["scores"]
    npmi = scores["coherence"]["npmi"]["value"] if scores["coherence"] else math.nan
    return topic_quality(npmi, scores["diversity"]["topic_diversity"]["value"])
