"""Options of a comparison or a search for K, parsed and checked before torch is imported."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from topicnet.errors import InputError
from topicnet.experiments.folder import earlier_record
from topicnet.models.registry import REGISTRY
from topicnet.runtime.extras import check_installed
from topicnet.storage import atomic
from topicnet.storage.run_folder import Destination
from topicnet.workflows.config import FitConfig
from topicnet.workflows.inputs import inputs_of
from topicnet.workflows.preflight import check_corpus, check_outputs

GRID = 7  # number of values of K in a range
MIN_BUDGET = 10.0  # seconds
UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
BASELINE_NAMES = ("lda", "lda-tomotopy", "nmf")


@dataclass(frozen=True)
class ExperimentJob:
    """Experiment to run: its corpus, models, test documents and folder.

    Attributes
    ----------
    config : FitConfig
        The corpus and its options; `model` and `parameters` are not used.
    models : sequence of str
        Names in `MODELS`, for comparisons also in `BASELINES`.
    test : FitConfig, optional
        The test documents; by default a tenth of the corpus is held out.
    destination : Destination
        The folder to write to.
    """

    config: FitConfig
    models: Sequence[str]
    test: FitConfig | None = None
    destination: Destination = field(default_factory=Destination)


def default_name(source: str, name: str, topics: int | None) -> str:
    """Return the default name of the folder of an experiment: NAME-compare-K or NAME-tune."""
    return f"{source}-{name}" if topics is None else f"{source}-{name}-{topics}"


def seconds_of(budget: str) -> float:
    """Parse a time budget such as 600, 90s, 10m or 1.5h into seconds.

    Raises
    ------
    InputError
        The budget has another form, or is below 10 s.
    """
    read = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*([smh]?)", budget.strip().lower())
    if read is None or float(read[1]) <= 0:
        raise InputError(f"--budget {budget!r} given, expected a time such as 90s, 10m or 1h")
    seconds = float(read[1]) * UNITS[read[2]]
    if seconds < MIN_BUDGET:
        raise InputError(
            f"--budget {budget!r} given, expected {MIN_BUDGET:.0f}s or more: a fit cannot be finished in less"
        )
    return seconds


def topics_of(given: str) -> list[int]:
    """Parse values of K: 10:100 for a geometric grid from 10 to 100, or a list such as 10,20,50.

    Raises
    ------
    InputError
        The text has another form, or a number is below 1.
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


def check_names(models: Sequence[str], command: str, *, baselines: bool) -> None:
    """Raise InputError if a model is unknown."""
    known = [*REGISTRY, *(BASELINE_NAMES if baselines else ())]
    for name in models:
        if name not in known:
            raise InputError(f"--models {name!r} given, expected models of {command}: {', '.join(known)}")


def check_libraries(command: str, models: Sequence[str]) -> None:
    """Raise InputError with the pip extra to install if a library of an experiment is missing."""
    if command == "tune":
        check_installed("tune", ["optuna"])
    if "lda-tomotopy" in models:
        check_installed("model 'lda-tomotopy'", ["tomotopy"])


def check_job(job: ExperimentJob, name: str, topics: int | None) -> None:
    """Check the models, the corpus and the folder of an experiment, without reading the corpus.

    Raises
    ------
    TopicnetError
        One of them cannot be used; the experiment itself would raise the same.
    """
    check_names(job.models, name, baselines=name == "compare")
    check_libraries(name, job.models)
    source = check_corpus(job.config)
    read = [*inputs_of(job.config)]
    if job.test is not None:
        check_corpus(job.test)
        read += inputs_of(job.test, "the test documents")
    out = job.destination.folder(default_name(source.name, name, topics))
    atomic.refuse_occupied(out)
    check_outputs([out], read)
    earlier_record(out, name, job.destination)
    atomic.probe_folder(out / "train")
