"""How many topics, and which model: successive halving over K within a budget of time.

Many short fits, one each, over a grid of K; the better half again at full length; the best of those with more seeds,
which shows how stable they are. Time that is left goes to values of K in between, which optuna suggests (TPE).
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from topicnet.errors import InputError
from topicnet.experiments.figures import scores_by_topics, write_figure
from topicnet.experiments.recommendation import SCORES, csv_of, quality_of, recommendation, scores_of
from topicnet.experiments.worker import Cell, Workers, workers
from topicnet.experiments.workspace import Workspace, begin, told
from topicnet.models import MODELS
from topicnet.storage import atomic, formats
from topicnet.text.corpus import OK
from topicnet.workflows.config import FitConfig
from topicnet.workflows.corpus import resolve_source

GRID = 7  # values of K to begin with
SEEDS = 3  # of the finalists
FINALISTS = 3
SHORT = 4  # a short fit has a quarter of the epochs
WORTH = 0.6  # of the seconds of a full fit: short fits that take longer are not worth theirs
LEAST_BUDGET = 10.0  # seconds
ENDING = 1.5  # seconds of it that the tables and the figure take
# Shares of the budget by which the short fits, and the full ones of one seed, must have ended.
SCREENED_BY, MEASURED_BY, DONE_BY = 0.45, 0.75, 0.96
MOST_SUGGESTED = 24
K_FREE = 30  # a fit of K topics takes about as long as K_FREE + K
UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds_of(budget: str) -> float:
    """Read a budget: 600, 90s, 10m or 1.5h.

    Raises
    ------
    InputError
        It is none of these, or not above 0.
    """
    read = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*([smh]?)", budget.strip().lower())
    if read is None or float(read[1]) <= 0:
        raise InputError(f"--budget {budget!r} given, expected a time such as 90s, 10m or 1h")
    seconds = float(read[1]) * UNITS[read[2]]
    if seconds < LEAST_BUDGET:
        raise InputError(f"--budget {budget!r} given, expected {LEAST_BUDGET:.0f}s or more: nothing is fitted in less")
    return seconds


def topics_of(given: str) -> list[int]:
    """Read values of K: 10:100 for a grid from 10 to 100, evenly spaced as ratios, or 10,20,50.

    Raises
    ------
    InputError
        It is neither, or a number is below 1.
    """
    bounds = re.fullmatch(r"\s*(\d+)\s*:\s*(\d+)\s*", given)
    if bounds is not None:
        low, high = int(bounds[1]), int(bounds[2])
        if 1 <= low <= high:
            return sorted({round(k) for k in np.geomspace(low, high, GRID)})
    elif re.fullmatch(r"\s*\d+\s*(,\s*\d+\s*)*", given):
        found = sorted({int(k) for k in given.split(",")})
        if found[0] >= 1:
            return found
    raise InputError(f"--topics {given!r} given, expected a range such as 10:100 or numbers such as 10,20,50")


def tune(
    config: FitConfig,
    models: Sequence[str],
    topics: Sequence[int],
    budget: float,
    out: Path | None,
    *,
    began: float,
    test: FitConfig | None = None,
    overwrite: bool = False,
    resume: bool = False,
    on_notice: Callable[[str], None] = lambda line: None,
) -> tuple[dict[str, Any], Path]:
    """Look for a number of topics, and a model where several are named, within a budget.

    Parameters
    ----------
    config : FitConfig
        The corpus and its text options.
    models : sequence of str
        Names in `MODELS`.
    topics : sequence of int
        Values of K, from the least to the most.
    budget : float
        Seconds from `began` on (`time.perf_counter`); a fit that would overrun it is ended.
    out : Path, optional
        By default runs/NAME-tune.
    test : FitConfig, optional
        Names the documents to predict; by default a tenth of the corpus is kept apart.

    Returns
    -------
    dict, Path
        What tune.json holds, and the folder.

    Raises
    ------
    TopicnetError
        Something given cannot be used, or the budget ended before one fit was done.
    """
    _check(models)
    target = out if out is not None else Path("runs") / f"{resolve_source(config).name}-tune"
    space, corpus, record = begin(
        target,
        "tune",
        config,
        test,
        overwrite=overwrite,
        resume=resume,
        n_topics=max(topics),
        on_notice=on_notice,
    )
    record |= {"models": list(models), "topics": list(topics), "budget_seconds": budget}
    space.write_json("tune.json", record | {"status": "interrupted"})
    n_docs = int((corpus.status == OK).sum())
    with workers(target) as by:
        search = _Search(space, began, max(budget - ENDING, budget / 2), n_docs, on_notice, by)
        try:
            search.run(models, topics)
            record["status"] = "complete"
        except KeyboardInterrupt:
            record["status"] = "interrupted"
    rows = search.table()
    if not rows and record["status"] == "interrupted":
        record |= {"table": [], "recommendation": "Interrupted before one fit was done."}
        return record | {"seconds": time.perf_counter() - began}, target
    if not rows:
        raise InputError(
            f"the budget of {budget:.0f} s ended before one fit was done: give more with --budget, and --resume to keep"
            " what is prepared"
        )
    missed = search.not_tried()
    record |= {"table": rows, "not_tried": missed, "recommendation": recommendation(rows, missed)}
    record |= {"seconds": time.perf_counter() - began}
    space.write_json("tune.json", record)
    with atomic.atomic_file(target / "tune.csv", overwrite=True) as part:
        formats.write_text(part, csv_of(rows))
    write_figure(target / "tune.html", scores_by_topics(rows, SCORES, str(record["corpus"]["name"])))
    return record, target


Pair = tuple[str, int]  # a model and its K


@dataclass
class _Search:
    """The fits of one call, as long as the budget lasts."""

    space: Workspace
    began: float
    budget: float
    n_docs: int
    on_notice: Callable[[str], None]
    workers: Workers
    found: dict[str, dict[str, Any]] = field(default_factory=dict)
    pairs: list[Pair] = field(default_factory=list)
    took: list[tuple[Cell, float]] = field(default_factory=list)  # wall seconds of what was fitted in this call

    def run(self, models: Sequence[str], topics: Sequence[int]) -> None:
        """Screen, measure, repeat; then the rest of the grid, and between."""
        self.workers.wait()
        self.pairs = [(model, k) for k in _far_apart_first(topics) for model in models]
        for pair in self.screened():
            self.fit(self.full(pair), MEASURED_BY if self.measured() else DONE_BY)
        self.repeat()
        for pair in self.pairs:
            self.fit(self.full(pair), DONE_BY)
        self.repeat()
        if len(self.measured()) == len(self.pairs) and min(topics) < max(topics):
            self.look_between(models, min(topics), max(topics))

    def screened(self) -> list[Pair]:
        """The better half of all pairs by a short fit of each; all, where that is not worth its time."""
        first = self.pairs[0]
        if len(self.pairs) <= FINALISTS or not self.fit(self.full(first), DONE_BY):
            return self.pairs
        long = self.took[-1][1] if self.took else math.inf
        if not self.fit(self.short(first), SCREENED_BY) or not self.took or self.took[-1][1] > WORTH * long:
            return self.pairs
        if not all(self.fit(self.short(pair), SCREENED_BY) for pair in self.pairs):
            return self.pairs  # half a screen would favour what it happened to reach
        return self.best(self.pairs, math.ceil(len(self.pairs) / 2))

    def not_tried(self) -> list[str]:
        """What was asked for and has no fit."""
        several = len({model for model, _ in self.pairs}) > 1
        missed = [pair for pair in self.pairs if not self.fits_of(pair) and not self.fits_of(pair, short=True)]
        return [f"K = {k}" + (f" ({model})" if several else "") for model, k in sorted(missed)]

    def look_between(self, models: Sequence[str], low: int, high: int) -> None:
        """Spend what is left on values of K that optuna expects to be good."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
        space = {
            "model": optuna.distributions.CategoricalDistribution(tuple(models)),
            "topics": optuna.distributions.IntDistribution(low, high, log=True),
        }
        for model, k in self.measured():
            known = {"model": model, "topics": k}
            study.add_trial(
                optuna.trial.create_trial(params=known, distributions=space, value=self.quality((model, k)))
            )
        for _ in range(MOST_SUGGESTED):
            asked = study.ask(space)
            pair = (str(asked.params["model"]), int(asked.params["topics"]))
            if not self.fit(self.full(pair), DONE_BY):
                return
            self.repeat()
            study.tell(asked, self.quality(pair))

    def repeat(self) -> None:
        """The best few again, with more seeds."""
        for seed in range(1, SEEDS):
            for pair in self.best(self.measured(), FINALISTS):
                self.fit(self.full(pair, seed), DONE_BY)

    def full(self, pair: Pair, seed: int = 0) -> Cell:
        """A fit as `topicnet fit` makes it."""
        return Cell(pair[0], pair[1], seed)

    def short(self, pair: Pair) -> Cell:
        """A fit of a quarter of the epochs."""
        kind = MODELS[pair[0]]
        n_batches = max(1, math.ceil(self.n_docs / kind().batch_size))
        epochs = kind.PLANS["em"].epochs(n_batches)
        return Cell(pair[0], pair[1], 0, {"max_epochs": max(2, math.ceil(epochs / SHORT))})

    def fit(self, cell: Cell, by: float) -> bool:
        """Fit a cell if it can be done by this share of the budget; whether its scores are at hand."""
        if cell.name in self.found:
            return "error" not in self.found[cell.name]
        kept = self.space.result(cell)
        if kept is not None:
            self.found[cell.name] = kept
            return True
        left = by * self.budget - (time.perf_counter() - self.began)
        length = "short fit" if cell.parameters else f"seed {cell.seed}"
        if left <= self.expected(cell):
            return False
        started = time.perf_counter()
        found = self.space.run(cell, self.workers, DONE_BY * self.budget - (started - self.began))
        if found is None:
            self.on_notice(f"{cell.model}, {cell.n_topics} topics, {length}: ended with the budget")
            return False
        self.took.append((cell, time.perf_counter() - started))
        self.found[cell.name] = found
        spent = time.perf_counter() - self.began
        self.on_notice(
            f"{cell.model}, {cell.n_topics} topics, {length}: {told(found)}; {spent:.0f} of {self.budget:.0f} s"
        )
        return "error" not in found

    def expected(self, cell: Cell) -> float:
        """Seconds that a fit will take, from those that were made; 0 before any."""
        same = [(other, seconds) for other, seconds in self.took if other.model == cell.model] or self.took
        alike = [pair for pair in same if bool(pair[0].parameters) == bool(cell.parameters)] or same
        if not alike:
            return 0.0
        other, seconds = min(alike, key=lambda pair: abs(math.log(pair[0].n_topics / cell.n_topics)))
        longer = 1.0
        if bool(other.parameters) != bool(cell.parameters):
            longer = SHORT / 2 if other.parameters else 1.0  # the start costs both the same
        return seconds * longer * (K_FREE + cell.n_topics) / (K_FREE + other.n_topics)

    def fits_of(self, pair: Pair, *, short: bool = False) -> list[dict[str, Any]]:
        """What the fits of a model and K gave."""
        return [
            found
            for found in self.found.values()
            if (found["model"], found["n_topics"]) == pair
            and bool(found["parameters"]) == short
            and "error" not in found
        ]

    def measured(self) -> list[Pair]:
        """Models and values of K with a fit of full length."""
        pairs = ((found["model"], found["n_topics"]) for found in self.found.values())
        return [pair for pair in dict.fromkeys(pairs) if self.fits_of(pair)]

    def quality(self, pair: Pair) -> float:
        """Mean over the full fits, or of the short one."""
        fits = self.fits_of(pair) or self.fits_of(pair, short=True)
        return float(np.mean([quality_of(found) for found in fits]))

    def best(self, pairs: Sequence[Pair], n: int) -> list[Pair]:
        """The n pairs of the highest quality."""
        return sorted(pairs, key=self.quality, reverse=True)[:n]

    def table(self) -> list[dict[str, Any]]:
        """A row for each model and K that was fitted, by model and K."""
        pairs = sorted({(found["model"], found["n_topics"]) for found in self.found.values()})
        rows = []
        for pair in pairs:
            full = self.fits_of(pair)
            fits = full or self.fits_of(pair, short=True)
            if fits:
                topics = [self.space.topics(self.full(pair, found["seed"])) for found in full]
                rows.append({"model": pair[0], "topics": pair[1], "short": not full} | scores_of(fits, topics))
        return rows


def _check(models: Sequence[str]) -> None:
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise InputError("tune needs optuna, which is not installed: pip install 'topicnet[tune]'") from None
    for name in models:
        if name not in MODELS:
            raise InputError(f"--models {name!r} given, tune has: {', '.join(MODELS)}")
    if not models:
        raise InputError(f"no model was named, tune has: {', '.join(MODELS)}")


def _far_apart_first(topics: Sequence[int]) -> list[int]:
    """Least, most, middle, quarters, ...: wherever this is cut off, the range is covered."""
    order = [topics[0], topics[-1]]
    parts = [(0, len(topics) - 1)]
    while parts:
        low, high = parts.pop(0)
        middle = (low + high) // 2
        if low < middle < high:
            order.append(topics[middle])
            parts += [(low, middle), (middle, high)]
    return list(dict.fromkeys(order))
