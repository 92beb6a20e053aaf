"""Tables of comparisons: mean and spread of each score over several fits, as JSON values and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Cells = Mapping[str, str | float]  # of a row, by column


@dataclass(frozen=True)
class Summary:
    """Mean and spread of one score over several fits, and its value in each, None where it is infinite.

    The mean is None where a value is; the standard deviation (n - 1) also where there is one fit.
    """

    mean: float | None
    sd: float | None
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class ComparisonRow:
    """One model, or variant, of a comparison."""

    name: str
    title: str  # its name in a printed table
    fits: int  # successful ones
    unfit: int | None  # fits that are unfit for use; None where that is not judged
    errors: tuple[str, ...]  # of the failed fits, each once
    scores: Mapping[str, Summary | None]  # None where it has no such score


def summarise(values: Sequence[float | None]) -> Summary | None:
    """Return the mean and standard deviation of a score over several fits, or None without a value."""
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
        Key of the names, such as "model" or "variant".
    titles : bool
        Whether to include the titles.
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
    """Return one line of CSV for each row: mean and standard deviation of each score.

    Empty where there is no such score; a mean of "inf" where it is infinite.

    Parameters
    ----------
    kind : str
        Heading of the names.
    extra : mapping of str to mapping, optional
        Further lines, by name: a few scores without a spread.
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
