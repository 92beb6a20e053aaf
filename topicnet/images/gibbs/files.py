"""Files of a measured Gibbs VAE: the report, tables of observables, restarts and draws, and figures.

::

    report.json   all measurements
    moments.csv   an observable a row: exact, raw, reweighted, IMH, MALA, HMC with standard errors
    restarts.csv  a restart a row: F and the collapse monitors
    samples.csv   draws of the decoder with their log-weights
    chain.csv     states of IMH
    density.png samples.png chain.png
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from torch import Tensor

from topicnet._version import __version__
from topicnet.images.gibbs.figures import figures_of
from topicnet.images.gibbs.potentials import Potential
from topicnet.images.gibbs.report import Draws, GibbsReport
from topicnet.storage import formats
from topicnet.storage.loose_files import write_files

ROWS = 10_000  # of samples.csv and chain.csv


def record_of(report: GibbsReport, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of report.json: settings and the report."""
    return {"versions": {"topicnet": __version__}, "settings": dict(settings), **asdict(report)}


def write(
    folder: Path,
    potential: Potential,
    report: GibbsReport,
    draws: Draws,
    settings: Mapping[str, Any],
    *,
    overwrite: bool,
) -> list[Path]:
    """Write all files into a folder, completely or not at all, and return their paths.

    Raises
    ------
    InputError
        matplotlib is not installed.
    OutputError
        A file exists and may not be replaced, or the disk rejects a write.
    """
    tables = {
        "moments.csv": moments_table(report),
        "restarts.csv": pl.DataFrame([asdict(one) for one in report.restarts]),
        "samples.csv": _points(draws.x).with_columns(pl.Series("log_weight", draws.log_weights[:ROWS].numpy())),
        "chain.csv": _points(draws.imh.states[0]),
    }
    writers: dict[Path, Any] = {
        folder / "report.json": partial(formats.write_json, content=record_of(report, settings))
    }
    writers |= {folder / name: partial(formats.write_table, table=table) for name, table in tables.items()}
    pictures = figures_of(potential, report, draws)
    writers |= {folder / name: partial(formats.write_bytes, content=png) for name, png in pictures.items()}
    write_files(writers, overwrite=overwrite)
    return list(writers)


def moments_table(report: GibbsReport) -> pl.DataFrame:
    """Return the table of observables."""
    rows = []
    for moment in report.moments:
        row: dict[str, Any] = {"observable": moment.name, "exact": moment.exact}
        row |= {"raw": moment.raw, "reweighted": moment.reweighted}
        for name in ("imh", "mala", "hmc"):
            estimate = getattr(moment, name)
            row |= {name: estimate.value, f"{name}_se": estimate.se}
        rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None)


def _points(points: Tensor) -> pl.DataFrame:
    values = points[:ROWS].numpy()
    return pl.DataFrame({f"x_{j}": values[:, j] for j in range(values.shape[1])})
