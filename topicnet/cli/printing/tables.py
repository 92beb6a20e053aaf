"""Printing of tables in aligned columns, and of the table of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from topicnet.cli.printing.output import echo
from topicnet.storage.comparison import ComparisonRow, Summary


@dataclass(frozen=True)
class Column:
    """Layout of a score in a comparison.

    Attributes
    ----------
    title : str
        Heading.
    digits : int
        Number of decimals.
    spread : bool
        Show the standard deviation.
    """

    title: str
    digits: int
    spread: bool = True


@dataclass(frozen=True)
class ComparisonLayout:
    """Layout of a comparison.

    Attributes
    ----------
    kind : str
        Heading of the names.
    columns : mapping of str to Column
        Layout of each score; columns without a value in any row are left out.
    heading, note : str
        Text before and after the table.
    extra : mapping of str to mapping
        Further rows, by name: the text of some of the columns.
    """

    kind: str
    columns: Mapping[str, Column]
    heading: str
    note: str
    extra: Mapping[str, Mapping[str, str]]


def print_table(lines: Sequence[Sequence[str]]) -> None:
    """Print rows in aligned columns, the first left-aligned and the others right-aligned."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
        echo("  ".join([line[0].ljust(widths[0]), *cells[1:]]).rstrip())


def mean_and_sd(summary: Summary | None, column: Column) -> str:
    """Return a mean with its standard deviation as text: "0.120 ± 0.010"."""
    if summary is None:
        return "-"
    if summary.mean is None:
        return "infinite"
    spread = f" ± {summary.sd:.{column.digits}f}" if column.spread and summary.sd is not None else ""
    return f"{summary.mean:,.{column.digits}f}{spread}"


def show_comparison(rows: Sequence[ComparisonRow], layout: ComparisonLayout) -> None:
    """Print the table of a comparison, the number of fits unfit for use, and the errors of failed fits."""
    columns = {name: column for name, column in layout.columns.items() if any(row.scores[name] for row in rows)}
    lines = [[layout.kind, *(column.title for column in columns.values())]]
    lines += [[row.title, *(mean_and_sd(row.scores[name], columns[name]) for name in columns)] for row in rows]
    lines += [[name, *(cells.get(column, "") for column in columns)] for name, cells in layout.extra.items()]
    echo(f"{layout.heading}\n")
    print_table(lines)
    echo(f"\n{layout.note}")
    for row in rows:
        if row.unfit:
            echo(f"{row.title}: {row.unfit} of {row.fits} fits are unfit for use (see compare.json)")
        for error in row.errors:
            echo(f"{row.title} failed: {error}")
