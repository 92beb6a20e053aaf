"""Comparison tables: mean and standard deviation of each score over several fits, as JSON values or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Cells = Mapping[str, str | float]  # cells of a row, by column


@dataclass(frozen=True)
class Summary:
    """Mean and standard deviation of one score over several fits.

    Attributes
    ----------
    mean : float or None
        None if any value is infinite.
    sd : float or None
        Sample standard deviation (n - 1); None for a single fit, or if any value is infinite.
    values : tuple of (float or None)
        Score of each fit, None where it is infinite.
    """

    mean: float | None
    sd: float | None
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class ComparisonRow:
    """Row of a comparison: one model or variant.

    Attributes
    ----------
    name, title : str
        Name, and name in printed tables.
    fits : int
        Number of successful fits.
    unfit : int or None
        Number of fits unfit for use; None if this is not determined.
    errors : tuple of str
        Distinct errors of failed fits.
    scores : mapping of str to (Summary or None)
        None for scores that do not apply.
    """

    name: str
    title: str
    fits: int
    unfit: int | None
    errors: tuple[str, ...]
    scores: Mapping[str, Summary | None]


def summarise(values: Sequence[float | None]) -> Summary | None:
    """Summarise a score over several fits; returns None without values.

    Examples
    --------
    >>> summarise([0.1, 0.3]).mean
    0.2
    """
    if not values:
        return None
    finite = [value for value in values if value is not None]
    if len(finite) < len(values):
        return Summary(None, None, tuple(values))
    sd = float(np.std(finite, ddof=1)) if len(finite) > 1 else None
    return Summary(float(np.mean(finite)), sd, tuple(values))


def summarise_columns(fits: Sequence[Mapping[str, float | None]], columns: Sequence[str]) -> dict[str, Summary | None]:
    """Summarise each column over the fits that have it."""
    return {name: summarise([scores[name] for scores in fits if name in scores]) for name in columns}


def rows_json(rows: Sequence[ComparisonRow], kind: str, *, titles: bool = False) -> list[dict[str, Any]]:
    """Return the rows as JSON values.

    Parameters
    ----------
    kind : str
        Key of the row names, such as "model" or "variant".
    titles : bool
        Include the titles.
    """
    return [
        {kind: row.name}
        | ({"title": row.title} if titles else {})
        | {"fits": row.fits}
        | ({} if row.unfit is None else {"unfit": row.unfit})
        | {"errors": list(row.errors)}
        | {name: None if one is None else vars(one) | {"values": list(one.values)} for name, one in row.scores.items()}
        for row in rows
    ]


def csv_of(rows: Sequence[ComparisonRow], kind: str, extra: Mapping[str, Cells] | None = None) -> str:
    """Render the rows as CSV, with the mean and standard deviation of each score.

    Cells of missing scores are empty; an infinite mean is written as "inf".

    Parameters
    ----------
    rows : sequence of ComparisonRow
        At least one.
    kind : str
        Heading of the row names.
    extra : mapping of str to mapping, optional
        Additional lines, by name, with scores that have no standard deviation.
    """
    first = rows[0]
    counted = ("fits",) if first.unfit is None else ("fits", "unfit")
    header = [kind, *counted, *(f"{name}{end}" for name in first.scores for end in ("", "_sd"))]
    out = io.StringIO()
    table = csv.DictWriter(out, header, restval="", lineterminator="\n")
    table.writeheader()
    for row in rows:
        cells: dict[str, Any] = {kind: row.name} | {name: getattr(row, name) for name in counted}
        for name, summary in row.scores.items():
            if summary is not None:
                cells[name] = "inf" if summary.mean is None else summary.mean
                cells[f"{name}_sd"] = summary.sd  # csv writes None as an empty cell
        table.writerow(cells)
    for name, scores in (extra or {}).items():
        table.writerow({kind: name, **scores})
    return out.getvalue()
