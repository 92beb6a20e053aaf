"""What an experiment is asked to do, and the refusal of what it cannot, before torch is imported."""

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

GRID = 7  # values of K of a range
LEAST_BUDGET = 10.0  # seconds
UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
BASELINE_NAMES = ("lda", "lda-tomotopy", "nmf")


@dataclass(frozen=True)
class ExperimentJob:
    """The corpus of an experiment, its models, and where it writes."""

    config: FitConfig  # its model and parameters are not used
    models: Sequence[str]
    test: FitConfig | None = None  # the documents to predict; by default a tenth of the corpus is held out
    destination: Destination = field(default_factory=Destination)


def default_name(source: str, name: str, topics: int | None) -> str:
    """The name of the folder of an experiment, unless it is given: NAME-compare-K, or NAME-tune."""
    return f"{source}-{name}" if topics is None else f"{source}-{name}-{topics}"


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


def check_names(models: Sequence[str], command: str, *, baselines: bool) -> None:
    """Raise InputError for a model that there is not."""
    known = [*REGISTRY, *(BASELINE_NAMES if baselines else ())]
    for name in models:
        if name not in known:
            has = "this version" if baselines else command
            raise InputError(f"--models {name!r} given, {has} has: {', '.join(known)}")


def check_libraries(command: str, models: Sequence[str]) -> None:
    """Raise InputError, naming the extra, for an experiment whose libraries are not installed."""
    check_installed(f"the figure of {command}", ["plotly"])
    if command == "tune":
        check_installed("tune", ["optuna"])
    if "lda-tomotopy" in models:
        check_installed("model 'lda-tomotopy'", ["tomotopy"])


def check_job(job: ExperimentJob, name: str, topics: int | None) -> None:
    """Refuse an experiment whose models, corpus or place cannot be used; nothing is read.

    Raises
    ------
    TopicnetError
        As the experiment itself.
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
