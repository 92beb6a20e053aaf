"""Tuning of the number of topics, K, and the model within a time budget, by successive halving.

A short fit of each K of a grid comes first, then a full fit of each of the better half, then fits of the best with more
seeds, which measure stability. The remaining time is spent on values of K in between, suggested by optuna (TPE).
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from topicnet.errors import InputError
from topicnet.experiments.figures import can_draw, html_of, scores_by_topics
from topicnet.experiments.job import ExperimentJob, check_libraries, check_names
from topicnet.experiments.recommendation import SCORES, TuningRow, csv_of, recommendation, summarise_fits
from topicnet.experiments.worker import Cell, FailedCell, FittedCell, Workers
from topicnet.experiments.workspace import Experiment, Workspace, begin
from topicnet.models import MODELS
from topicnet.runtime.reporter import Reporter
from topicnet.text.status import OK

SEEDS = 3  # seeds of each finalist
FINALISTS = 3
SHORT_DIVISOR = 4  # a short fit has a quarter of the epochs
MAX_SHORT_FRACTION = 0.6  # of the seconds of a full fit; if short fits take longer, all fits are full ones
OUTPUT_SECONDS = 1.5  # part of the budget that is reserved for the tables and the figure
# Fractions of the budget by which the short fits, the full fits with one seed, and all fits must have ended.
SCREENED_BY, MEASURED_BY, DONE_BY = 0.45, 0.75, 0.96
MAX_SUGGESTIONS = 24
K_OFFSET = 30  # the seconds of a fit of K topics are about proportional to K_OFFSET + K


@dataclass(frozen=True)
class Tuning:
    """Search for K and its recommendation.

    Attributes
    ----------
    experiment : Experiment
        The corpus and the folder.
    models : list of str
        Models to try, names in `MODELS`.
    topics : list of int
        Values of K to try.
    budget : float
        Time budget in seconds.
    status : str
        "complete" or "interrupted".
    rows : sequence of TuningRow
        Scores of each model and K with a fit.
    not_tried : sequence of str
        Values of K of the grid without a fit.
    recommendation : str
        The recommended K and the reasons, in one sentence.
    seconds : float, optional
        Duration of the search; None until it has ended.
    """

    experiment: Experiment
    models: list[str]
    topics: list[int]
    budget: float
    status: str = "interrupted"
    rows: Sequence[TuningRow] = ()
    not_tried: Sequence[str] = ()
    recommendation: str = "Interrupted before one fit was done."
    seconds: float | None = None

    @property
    def folder(self) -> Path:
        """Folder that the search is written to."""
        return self.experiment.space.folder

    def json(self) -> dict[str, Any]:
        """Return the contents of tune.json."""
        record = self.experiment.record() | {"models": self.models, "topics": self.topics}
        record |= {"budget_seconds": self.budget, "status": self.status}
        if self.seconds is None:
            return record
        record["table"] = [asdict(row) for row in self.rows]
        if self.rows:
            record["not_tried"] = self.not_tried
        return record | {"recommendation": self.recommendation, "seconds": self.seconds}


def tune(job: ExperimentJob, topics: Sequence[int], budget: float, reporter: Reporter | None = None) -> Tuning:
    """Search for a number of topics, and a model if several are named, within a time budget.

    Parameters
    ----------
    job : ExperimentJob
        Corpus, models (names in `MODELS`) and folder; by default runs/NAME-tune.
    topics : sequence of int
        Values of K, in increasing order.
    budget : float
        Seconds from the start of `reporter`; a fit that would exceed the budget is stopped.
    reporter : Reporter, optional
        Receives a notice about each fit.

    Returns
    -------
    Tuning
        The scores of each K and the recommendation.

    Raises
    ------
    TopicnetError
        An input cannot be used, or the budget ended before one fit was done.
    """
    reporter = reporter or Reporter()
    _check(job.models)
    experiment = begin(job, "tune", reporter, None, max(topics))
    space = experiment.space
    tuning = Tuning(experiment, list(job.models), list(topics), budget)
    space.write_record("tune", tuning.json())
    n_docs = int((experiment.corpus.status == OK).sum())
    with closing(Workers(space.folder)) as by:
        search = _Search(space, max(budget - OUTPUT_SECONDS, budget / 2), n_docs, reporter, by)
        try:
            search.run(job.models, topics)
            tuning = replace(tuning, status="complete")
        except KeyboardInterrupt:
            pass
    rows, missed = search.table(), search.not_tried()
    if not rows and tuning.status == "interrupted":
        return replace(tuning, seconds=time.perf_counter() - reporter.began)
    if not rows:
        raise InputError(
            f"the budget of {budget:.0f} s ended before one fit was done: give more with --budget, and --resume to"
            " reuse the prepared corpus"
        )
    tuning = replace(tuning, rows=rows, not_tried=missed, recommendation=recommendation(rows, missed))
    tuning = replace(tuning, seconds=time.perf_counter() - reporter.began)
    page = None
    if can_draw("tune", reporter):
        page = html_of(scores_by_topics(rows, SCORES, experiment.about.name))
    space.write_results("tune", tuning.json(), csv_of(rows), page)
    return tuning


Pair = tuple[str, int]  # a model and its K


@dataclass
class _Search:
    """State of one search: its time budget, and the fits so far, loaded from the folder or made in this call."""

    space: Workspace
    budget: float
    n_docs: int
    reporter: Reporter
    workers: Workers
    found: dict[str, FittedCell | FailedCell] = field(default_factory=dict)
    pairs: list[Pair] = field(default_factory=list)
    timings: list[tuple[Cell, float]] = field(default_factory=list)  # wall seconds of the fits of this call

    def run(self, models: Sequence[str], topics: Sequence[int]) -> None:
        """Screen with short fits, fit the better half, repeat the best, and fit the other K and values in between."""
        self.workers.wait()
        self.pairs = [(model, k) for k in _far_apart_first(topics) for model in models]
        for pair in self.screened():
            self.fit(Cell(*pair, 0), MEASURED_BY if self.measured() else DONE_BY)
        self.repeat()
        for pair in self.pairs:
            self.fit(Cell(*pair, 0), DONE_BY)
        self.repeat()
        if len(self.measured()) == len(self.pairs) and min(topics) < max(topics):
            self.fit_suggestions(models, min(topics), max(topics))

    def screened(self) -> list[Pair]:
        """Return the better half of all pairs by a short fit of each, or all pairs if short fits save too little."""
        first = self.pairs[0]
        if len(self.pairs) <= FINALISTS or not self.fit(Cell(*first, 0), DONE_BY):
            return self.pairs
        long = self.timings[-1][1] if self.timings else math.inf
        limit = MAX_SHORT_FRACTION * long
        if not self.fit(self.short(first), SCREENED_BY) or not self.timings or self.timings[-1][1] > limit:
            return self.pairs
        if not all(self.fit(self.short(pair), SCREENED_BY) for pair in self.pairs):
            return self.pairs  # an incomplete screening would favour the pairs it happened to reach
        return self.best(self.pairs, math.ceil(len(self.pairs) / 2))

    def not_tried(self) -> list[str]:
        """Return the K of the grid without a fit, as text."""
        several = len({model for model, _ in self.pairs}) > 1
        missed = [pair for pair in self.pairs if not self.fits_of(pair)]
        return [f"K = {k}" + (f" ({model})" if several else "") for model, k in sorted(missed)]

    def fit_suggestions(self, models: Sequence[str], low: int, high: int) -> None:
        """Spend the remaining budget on values of K that optuna expects to be good."""
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
        for _ in range(MAX_SUGGESTIONS):
            asked = study.ask(space)
            pair = (str(asked.params["model"]), int(asked.params["topics"]))
            if not self.fit(Cell(*pair, 0), DONE_BY):
                return
            self.repeat()
            study.tell(asked, self.quality(pair))

    def repeat(self) -> None:
        """Fit the finalists with more seeds."""
        for seed in range(1, SEEDS):
            for pair in self.best(self.measured(), FINALISTS):
                self.fit(Cell(*pair, seed), DONE_BY)

    def short(self, pair: Pair) -> Cell:
        """Return the cell of a fit with a quarter of the epochs."""
        kind = MODELS[pair[0]]
        n_batches = max(1, math.ceil(self.n_docs / kind().batch_size))
        epochs = kind.PLANS["em"].epochs(n_batches)
        return Cell(*pair, 0, {"max_epochs": max(2, math.ceil(epochs / SHORT_DIVISOR))})

    def fit(self, cell: Cell, by: float) -> bool:
        """Fit a cell if that is expected to end by this fraction of the budget, and return True if it has scores."""
        if cell.name in self.found:
            return isinstance(self.found[cell.name], FittedCell)
        kept = self.space.result(cell)
        if kept is not None:
            self.found[cell.name] = kept
            return True
        started = self.spent()
        length = "short fit" if cell.parameters else f"seed {cell.seed}"
        place = f"{cell.model}, {cell.n_topics} topics, {length}"
        if by * self.budget - started <= self.expected(cell):
            return False
        found = self.space.run(cell, self.workers, DONE_BY * self.budget - started)
        spent = self.spent()
        if found is None:
            self.reporter.notice(f"{place}: ended with the budget")
            return False
        self.timings.append((cell, spent - started))
        self.found[cell.name] = found
        self.reporter.notice(f"{place}: {found.line()}; {spent:.0f} of {self.budget:.0f} s")
        return isinstance(found, FittedCell)

    def spent(self) -> float:
        """Return the seconds since the start of the search."""
        return time.perf_counter() - self.reporter.began

    def expected(self, cell: Cell) -> float:
        """Estimate the seconds of a fit from those of earlier fits; 0 if there are none."""
        same = [(other, seconds) for other, seconds in self.timings if other.model == cell.model] or self.timings
        alike = [pair for pair in same if bool(pair[0].parameters) == bool(cell.parameters)] or same
        if not alike:
            return 0.0
        other, seconds = min(alike, key=lambda pair: abs(math.log(pair[0].n_topics / cell.n_topics)))
        # Not SHORT_DIVISOR: both have the same EM start.
        longer = SHORT_DIVISOR / 2 if other.parameters and not cell.parameters else 1.0
        return seconds * longer * (K_OFFSET + cell.n_topics) / (K_OFFSET + other.n_topics)

    def fits_of(self, pair: Pair) -> list[FittedCell]:
        """Return the successful fits of a model and K: those of full length, or else the short one."""
        fitted = [one for one in self.found.values() if isinstance(one, FittedCell) and _pair(one.cell) == pair]
        return [one for one in fitted if not one.cell.parameters] or fitted

    def measured(self) -> list[Pair]:
        """Return models and values of K with a fit of full length."""
        pairs = dict.fromkeys(_pair(found.cell) for found in self.found.values())
        return [pair for pair in pairs if any(not found.cell.parameters for found in self.fits_of(pair))]

    def quality(self, pair: Pair) -> float:
        """Return the mean topic quality over the full fits, or that of the short one."""
        return float(np.mean([found.scores.quality for found in self.fits_of(pair)]))

    def best(self, pairs: Sequence[Pair], n: int) -> list[Pair]:
        """Return the n pairs of the highest quality."""
        return sorted(pairs, key=self.quality, reverse=True)[:n]

    def table(self) -> list[TuningRow]:
        """Return a row for each model and K that was fitted, sorted by model and K."""
        rows = []
        for pair in sorted({_pair(found.cell) for found in self.found.values()}):
            if fits := self.fits_of(pair):
                full = [self.space.topics(found.cell) for found in fits if not found.cell.parameters]
                rows.append(summarise_fits(fits, full, short=not full))
        return rows


def _pair(cell: Cell) -> Pair:
    return cell.model, cell.n_topics


def _check(models: Sequence[str]) -> None:
    check_libraries("tune", models)
    check_names(models, "tune", baselines=False)
    if not models:
        raise InputError(f"no model was named, expected one or more of {', '.join(MODELS)}: give --models")


def _far_apart_first(topics: Sequence[int]) -> list[int]:
    """Order K as smallest, largest, middle, quarters, ..., so that any first part of the list covers the range."""
    order = [topics[0], topics[-1]]
    parts = [(0, len(topics) - 1)]
    while parts:
        low, high = parts.pop(0)
        middle = (low + high) // 2
        if low < middle < high:
            order.append(topics[middle])
            parts += [(low, middle), (middle, high)]
    return list(dict.fromkeys(order))
