"""Scores against K: what the fits of each K say together, and what to make of the curve."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from topicnet.evaluate.bootstrap import interval_of_mean
from topicnet.evaluate.stability import stability
from topicnet.scorecard import topic_quality

SCORES = ("quality", "npmi", "topic_diversity", "perplexity", "stability")


def recommendation(rows: Sequence[dict[str, Any]]) -> str:
    """One sentence: the least K as good as the best within its uncertainty, and whether the curve is flat.

    It recommends only what was fitted at full length; short fits tell which K are worse, or as good.
    """
    full = [row for row in rows if not row["short"]] or list(rows)
    best = max(full, key=lambda row: row["quality"]["mean"])
    of_best = f"topic quality {_with_interval(best['quality'])}"
    if len(rows) == 1:
        return f"Only K = {best['topics']} ({best['model']}) was measured ({of_best}): give a larger budget to compare."
    near = [row for row in rows if row["quality"]["mean"] >= best["quality"]["low"]]
    least = min((row for row in full if row in near), key=lambda row: (row["topics"], -row["quality"]["mean"]))
    tried = f"{len(rows)} tried, K from {min(row['topics'] for row in rows)} to {max(row['topics'] for row in rows)}"
    as_good = [row for row in near if row is not least and row is not best]
    if len(near) == len(rows):
        take = f"take the smallest, K = {least['topics']} ({least['model']})"
        if least is best:
            return (
                f"The curve is flat: all {tried}, are alike within the uncertainty; {take}, also the best by {of_best}."
            )
        return (
            f"The curve is flat: all {tried}, are as good within the uncertainty as the best, K = {best['topics']}"
            f" ({best['model']}, {of_best}); {take}, or whatever suits the purpose."
        )
    if least is best:
        others = f"; as good within the uncertainty: {_named(as_good)}" if as_good else ""
        return f"Take K = {best['topics']} ({best['model']}), the best of {tried}, by {of_best}{others}."
    others = f", and so are {_named(as_good)}" if as_good else ""
    return (
        f"Take K = {least['topics']} ({least['model']}, topic quality {least['quality']['mean']:.3f}): within the"
        f" uncertainty it is as good as the best of {tried}, K = {best['topics']} ({best['model']}, {of_best}){others}."
    )


def _named(rows: Sequence[dict[str, Any]]) -> str:
    """K of rows, with the model where there are several."""
    several = len({row["model"] for row in rows}) > 1
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
    if all(one["value"] is not None for one in predicted):
        means = {end: float(np.mean([one[end] for one in predicted])) for end in ("value", "low", "high")}
        row["perplexity"] = _summary([means["value"]], means["low"], means["high"])
    if all(found["scores"]["coherence"] for found in fits):
        values = np.concatenate([found["scores"]["coherence"]["npmi"]["per_topic"] for found in fits])
        ends = interval_of_mean(values)
        row["npmi"] = _summary(values, ends.low, ends.high)
    if len(topics) > 1:
        agreement = stability(topics).topics.ravel()
        ends = interval_of_mean(agreement)
        row["stability"] = _summary(agreement, ends.low, ends.high)
    level = row["topic_diversity"]["mean"]
    low, high = (math.nan, math.nan) if row["npmi"] is None else (row["npmi"]["low"], row["npmi"]["high"])
    qualities = [quality_of(found) for found in fits]
    row["quality"] = _summary(qualities, topic_quality(low, level), topic_quality(high, level))
    return row


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
