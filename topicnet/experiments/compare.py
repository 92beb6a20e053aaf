"""Many fits on one corpus: `compare` puts models beside each other, in one table, on one machine."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from topicnet.errors import InputError
from topicnet.evaluate.perplexity import unigram_perplexity
from topicnet.evaluate.stability import stability
from topicnet.experiments.baselines import BASELINES, check_installed, installed
from topicnet.experiments.figures import quality_against_time, write_figure
from topicnet.experiments.worker import Cell
from topicnet.experiments.workspace import COLUMNS, Workspace, begin, fit_cells, values_of_cell
from topicnet.models import MODELS
from topicnet.storage import atomic, formats
from topicnet.text.corpus import Corpus
from topicnet.workflows.config import FitConfig
from topicnet.workflows.corpus import resolve_source
from topicnet.workflows.scores import halves


def check_models(names: Sequence[str]) -> list[str]:
    """The models to compare: those named, then the baselines that every table has.

    Raises
    ------
    InputError
        A name is unknown, or its library is missing.
    """
    known = [*MODELS, *BASELINES]
    for name in names:
        if name not in known:
            raise InputError(f"--models {name!r} given, this version has: {', '.join(known)}")
        if name in BASELINES:
            check_installed(name)
    always = [name for name in ("lda", "lda-tomotopy") if installed(name)]
    return list(dict.fromkeys([*names, *always]))


def compare(
    config: FitConfig,
    models: Sequence[str],
    seeds: int,
    out: Path | None,
    *,
    test: FitConfig | None = None,
    overwrite: bool = False,
    resume: bool = False,
    on_notice: Callable[[str], None] = lambda line: None,
) -> tuple[dict[str, Any], Path]:
    """Fit every model with every seed, score all alike, and write the tables and the figure.

    Every fit has a process of its own, one after another, so that seconds and memory can be compared.

    Parameters
    ----------
    config : FitConfig
        The corpus, its text options and K; its model and parameters are not looked at.
    models : sequence of str
        Names in `MODELS` and `BASELINES`.
    seeds : int
        Seeds 0, 1, ... of each.
    out : Path, optional
        By default runs/NAME-compare.
    test : FitConfig, optional
        Names the documents to predict; by default a tenth of the corpus is kept apart.

    Returns
    -------
    dict, Path
        What compare.json holds, and the folder.

    Raises
    ------
    TopicnetError
        Something given cannot be used.

    After Ctrl-C the record is marked interrupted, with the tables of what was finished by then.
    """
    names = check_models(models)
    if seeds < 1:
        raise InputError(f"--seeds {seeds} given, expected 1 or more")
    target = out if out is not None else Path("runs") / f"{resolve_source(config).name}-compare"
    space, _, record = begin(
        target,
        "compare",
        config,
        test,
        overwrite=overwrite,
        resume=resume,
        same={"topics": config.topics},
        on_notice=on_notice,
    )
    record |= {"seeds": seeds, "models": names}
    space.write_json("compare.json", record | {"status": "interrupted"})
    cells = [Cell(name, config.topics, seed) for seed in range(seeds) for name in names]
    found, whole = fit_cells(space, cells, on_notice)
    rows = [
        _row(space, name, [found[cell.name] for cell in cells if cell.model == name and cell.name in found])
        for name in names
    ]
    failed = [cell["error"] for cell in found.values() if "error" in cell]
    if whole and len(failed) == len(cells):
        raise InputError(f"none of the {len(cells)} fits succeeded: {failed[0]}")
    record |= {
        "status": "complete" if whole else "interrupted",
        "unigram_perplexity": _unigram(space),
        "table": rows,
        "cells": list(found.values()),
    }
    space.write_json("compare.json", record)
    with atomic.atomic_file(target / "compare.csv", overwrite=True) as part:
        formats.write_text(part, _csv(rows, record["unigram_perplexity"]))
    figure = quality_against_time(rows, record["unigram_perplexity"], str(record["corpus"]["name"]))
    write_figure(target / "compare.html", figure)
    return record, target


def _row(space: Workspace, model: str, cells: list[dict[str, Any]]) -> dict[str, Any]:
    """A model's line of the table: mean and spread over its seeds."""
    good = [cell for cell in cells if "error" not in cell]
    row: dict[str, Any] = {
        "model": model,
        "title": BASELINES[model].TITLE if model in BASELINES else model,
        "fits": len(good),
        "unfit": sum(cell["fit_for_use"] is False for cell in good),
        "errors": sorted({cell["error"] for cell in cells if "error" in cell}),
    }
    table = [values_of_cell(cell) for cell in good]
    for name in COLUMNS:
        values = [one[name] for one in table if name in one]
        if name == "stability" and len(good) > 1 and good[0]["n_topics"] > 1:
            topics = [space.topics(Cell(cell["model"], cell["n_topics"], cell["seed"])) for cell in good]
            agreement = stability(topics)
            row[name] = {"mean": agreement.value, "sd": None, "values": agreement.runs.tolist()}
        elif values and None not in values:
            numbers = np.array(values, dtype=np.float64)
            row[name] = {
                "mean": float(numbers.mean()),
                "sd": float(numbers.std(ddof=1)) if len(values) > 1 else None,
                "values": values,
            }
        else:
            # Null where the model has no such score; a mean of null where it is infinite.
            row[name] = {"mean": None, "sd": None, "values": values} if values else None
    return row


def _unigram(space: Workspace) -> float:
    """Perplexity of the second halves under the word frequencies of the training documents."""
    train, test = (Corpus.load(space.folder / name).counts for name in ("train", "test"))
    first, second = halves(test)
    both = (np.diff(first.indptr) > 0) & (np.diff(second.indptr) > 0)
    return unigram_perplexity(train, second[both])


def _mean_and_sd(score: dict[str, Any] | None) -> tuple[Any, Any]:
    """Empty where there is no such score, inf where it is infinite."""
    if score is None:
        return "", ""
    if score["mean"] is None:
        return "inf", ""
    return score["mean"], "" if score["sd"] is None else score["sd"]


def _csv(rows: list[dict[str, Any]], unigram: float) -> str:
    """A line a model: mean and standard deviation of each score; empty where there is none."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["model", "fits", "unfit", *(f"{name}{end}" for name in COLUMNS for end in ("", "_sd"))])
    for row in rows:
        pairs = [_mean_and_sd(row[name]) for name in COLUMNS]
        table.writerow([row["model"], row["fits"], row["unfit"], *(value for pair in pairs for value in pair)])
    empty = [""] * (2 * len(COLUMNS))
    empty[2 * COLUMNS.index("inferred")] = str(unigram)
    table.writerow(["unigram", "", "", *empty])
    return out.getvalue()
