"""Comparison of models: fits of each with several seeds on one corpus, and one table of their scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from topicnet.errors import InputError
from topicnet.evaluate.perplexity import unigram_perplexity
from topicnet.evaluate.stability import stability
from topicnet.experiments.baselines import BASELINES, check_installed, installed
from topicnet.experiments.figures import can_draw, html_of, quality_against_time
from topicnet.experiments.job import ExperimentJob, check_libraries, check_names
from topicnet.experiments.worker import Cell, FailedCell, FittedCell
from topicnet.experiments.workspace import COLUMNS, Experiment, Workspace, begin, fit_cells
from topicnet.runtime.reporter import Reporter
from topicnet.storage.comparison import ComparisonRow, Summary, csv_of, rows_json, summarise_columns
from topicnet.text.corpus import Corpus
from topicnet.workflows.scores import halves, in_both_halves


def check_models(names: Sequence[str]) -> list[str]:
    """Return the models to compare: the named ones, followed by the baselines that every comparison includes.

    Raises
    ------
    InputError
        A name is unknown, or its library is not installed.
    """
    check_names(names, "compare", baselines=True)
    for name in names:
        if name in BASELINES:
            check_installed(name)
    always = [name for name in ("lda", "lda-tomotopy") if installed(name)]
    return list(dict.fromkeys([*names, *always]))


@dataclass(frozen=True)
class Comparison:
    """Comparison of models: the rows of its table and the fits behind them.

    Attributes
    ----------
    experiment : Experiment
        The corpus and the folder.
    seeds : int
        Number of fits of each model.
    models : list of str
        Names in `MODELS` and `BASELINES`.
    status : str
        "complete" or "interrupted".
    unigram_perplexity : float
        Perplexity of held-out halves under the word frequencies of the other documents.
    rows : sequence of ComparisonRow
        A row for each model; empty before the first fit is done.
    cells : sequence of FittedCell or FailedCell
        The fits.
    """

    experiment: Experiment
    seeds: int
    models: list[str]
    status: str = "interrupted"
    unigram_perplexity: float = math.nan
    rows: Sequence[ComparisonRow] = ()
    cells: Sequence[FittedCell | FailedCell] = ()

    @property
    def folder(self) -> Path:
        """Folder that the comparison is written to."""
        return self.experiment.space.folder

    def json(self) -> dict[str, Any]:
        """Return the contents of compare.json."""
        begun = self.experiment.record() | {"seeds": self.seeds, "models": self.models, "status": self.status}
        if not self.rows:
            return begun
        return begun | {
            "unigram_perplexity": self.unigram_perplexity,
            "table": rows_json(self.rows, "model", titles=True),
            "cells": [cell.json() for cell in self.cells],
        }


def compare(job: ExperimentJob, seeds: int, reporter: Reporter | None = None) -> Comparison:
    """Fit every model with seeds 0, 1, ..., score all in the same way, and write the tables and the figure.

    The fits run one after another, each in its own process, so that seconds and memory can be compared. After Ctrl-C
    the tables of the finished fits are written and the comparison is marked as interrupted.

    Parameters
    ----------
    job : ExperimentJob
        Corpus, models (names in `MODELS` and `BASELINES`) and folder; by default runs/NAME-compare-K.
    seeds : int
        Number of fits of each model.
    reporter : Reporter, optional
        Receives a notice about each fit.

    Returns
    -------
    Comparison
        The rows of the table and the fits behind them.

    Raises
    ------
    TopicnetError
        An input cannot be used, or every fit failed.
    """
    reporter = reporter or Reporter()
    check_libraries("compare", job.models)
    names = check_models(job.models)
    if seeds < 1:
        raise InputError(f"--seeds {seeds} given, expected 1 or more")
    experiment = begin(job, "compare", reporter, job.config.topics, job.config.topics)
    space = experiment.space
    begun = Comparison(experiment, seeds, names)
    space.write_record("compare", begun.json())
    cells = [Cell(name, job.config.topics, seed) for seed in range(seeds) for name in names]
    found, whole = fit_cells(space, cells, reporter)
    failed = [cell for cell in found.values() if isinstance(cell, FailedCell)]
    if whole and len(failed) == len(cells):
        raise InputError(f"none of the {len(cells)} fits succeeded: {failed[0].error}")
    comparison = replace(
        begun,
        status="complete" if whole else "interrupted",
        unigram_perplexity=_unigram(space),
        rows=[_row(space, name, [cell for cell in found.values() if cell.cell.model == name]) for name in names],
        cells=list(found.values()),
    )
    _write(comparison, reporter)
    return comparison


def _write(found: Comparison, reporter: Reporter) -> None:
    """Write compare.json, compare.csv and, if plotly is installed, compare.html."""
    unigram = found.unigram_perplexity
    table = csv_of(found.rows, "model", {"unigram": {"inferred": str(unigram)}})
    page = None
    if can_draw("compare", reporter):
        page = html_of(quality_against_time(found.rows, unigram, found.experiment.about.name))
    found.experiment.space.write_results("compare", found.json(), table, page)


def _row(space: Workspace, model: str, cells: Sequence[FittedCell | FailedCell]) -> ComparisonRow:
    """Summarise the fits of a model over its seeds."""
    fitted = [cell for cell in cells if isinstance(cell, FittedCell)]
    scores = summarise_columns([cell.values for cell in fitted], COLUMNS)
    if len(fitted) > 1 and fitted[0].cell.n_topics > 1:
        agreement = stability([space.topics(cell.cell) for cell in fitted])
        scores["stability"] = Summary(agreement.value, None, tuple(agreement.runs.tolist()))
    return ComparisonRow(
        name=model,
        title=BASELINES[model].TITLE if model in BASELINES else model,
        fits=len(fitted),
        unfit=sum(cell.fit_for_use is False for cell in fitted),
        errors=tuple(sorted({cell.error for cell in cells if isinstance(cell, FailedCell)})),
        scores=scores,
    )


def _unigram(space: Workspace) -> float:
    """Return the perplexity of the second halves under the word frequencies of the training documents."""
    train, test = (Corpus.load(space.folder / name).counts for name in ("train", "test"))
    first, second = halves(test)
    return unigram_perplexity(train, second[in_both_halves(first, second)])
