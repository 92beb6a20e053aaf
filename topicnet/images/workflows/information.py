"""Information of decoded images over the course of training: read from the history of runs, and drawn side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from topicnet.errors import InputError
from topicnet.images.drawing.charts import bands
from topicnet.images.model.variants import variant_of
from topicnet.storage.run_folder import HISTORY, check_unchanged, damaged, read_record

FILE = "information.png"
COLUMNS = ("epoch", "information", "information_low", "information_high", "code_entropy")
DEFAULT_CATEGORIES = 10


@dataclass(frozen=True)
class TrackedInformation:
    """Bounds on the information of decoded images about the code, over the epochs at which a fit measured them.

    Attributes
    ----------
    name : str
        Name of the run, for the key of a chart.
    of : str
        "c", "z" or "informed dimensions of z".
    most : float or None
        log K, the upper limit of the information about one of K categories, nats.
    table : ndarray of shape (5, n)
        Epochs, bounds, both ends of their 95 % intervals, and entropies of the code.
    """

    name: str
    of: str
    most: float | None
    table: NDArray[np.float64]


def tracked_of(
    name: str, variant: str, n_categories: int | None, rows: Sequence[Mapping[str, float]]
) -> TrackedInformation | None:
    """Select the measured epochs of a history; None if there are none."""
    measured = [row for row in rows if math.isfinite(row.get("information", math.nan))]
    if not measured:
        return None
    has, informs = variant_of(variant).has_categories, "informed" in variant_of(variant).parameters
    of = "c" if has else "informed dimensions of z" if informs else "z"
    most = math.log(n_categories or DEFAULT_CATEGORIES) if has else None
    table = np.array([[float(row[column]) for row in measured] for column in COLUMNS])
    return TrackedInformation(name, of, most, table)


def read_tracked(folder: Path) -> TrackedInformation:
    """Read the measurements of a run from its history.csv.

    Raises
    ------
    InputError
        The fit measured no information.
    BundleError
        The run is damaged.
    """
    record = read_record(folder, {"config": dict, "files": dict})
    path = check_unchanged(folder, HISTORY, record)
    try:
        config = record["config"]
        history = pl.read_csv(path, glob=False, infer_schema=False)
        names = [column for column in COLUMNS if column in history.columns]
        rows = history.select(names).cast(pl.Float64).fill_null(math.nan).to_dicts()
        label = f"{folder.resolve().name}: {config['variant']}{_weight(config)}"
        found = tracked_of(label, config["variant"], config["categories"], rows)
    except (LookupError, TypeError, pl.exceptions.PolarsError) as error:
        raise damaged(folder, HISTORY) from error
    if found is None:
        raise InputError(
            f"the fit of {str(folder)!r} measured no information, expected a run of `topicnet images fit"
            " --information-every N`: fit it again with that option"
        )
    return found


def _weight(config: Mapping[str, Any]) -> str:
    """Return the weight of the information as text, for variants with one."""
    values = {**variant_of(config["variant"]).parameters, **config["parameters"]}
    return f", lambda = {values['lambda']:g}" if "lambda" in values and "q_network" in values else ""


def table_of(runs: Sequence[TrackedInformation]) -> pl.DataFrame:
    """Return the measurements of several runs, one row per run and epoch."""
    tables = []
    for run in runs:
        columns = dict(zip(COLUMNS, run.table, strict=True))
        frame = pl.DataFrame({"run": [run.name] * run.table.shape[1], **columns})
        tables.append(frame.with_columns(pl.col("epoch").cast(pl.Int64)))
    return pl.concat(tables)


def information_chart(runs: Sequence[TrackedInformation], title: str) -> bytes:
    """Draw the bounds of several runs over the epochs, with their intervals and log K, as a PNG.

    Raises
    ------
    InputError
        Information about c and z are to be compared, there are too many runs, or matplotlib is not installed.
    """
    kinds = {run.of for run in runs}
    if len(kinds) > 1:
        kinds_given = " and about ".join(sorted(kinds))
        raise InputError(f"runs with information about {kinds_given} given, expected one kind: draw them separately")
    limits = {run.most for run in runs}
    most = next(iter(limits)) if len(limits) == 1 else None
    series = [(run.name, *run.table[:4]) for run in runs]
    limit = None if most is None else (f"log {math.exp(most):.0f}", most)
    return bands(series, limit, "epoch", f"information about {kinds.pop()}, nats", title)
