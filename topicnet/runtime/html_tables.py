"""Small HTML tables, with all text escaped, that show a result in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import islice

MOST_ROWS = 30
MOST_CHARACTERS = 300  # of a cell
_CELL = "text-align: left; padding: 2px 10px; vertical-align: top"


def html_table(caption: str, header: Sequence[str], rows: Iterable[Sequence[object]], n_rows: int) -> str:
    """Make an HTML table of the first `MOST_ROWS` rows.

    Parameters
    ----------
    caption : str
        A line above the table.
    header : sequence of str
        Names of the columns; none for a table without a header.
    rows : iterable of sequences
        The cells of each row; floats are shown with three decimals.
    n_rows : int
        How many rows there are in all: the number of those left out is shown below.

    Returns
    -------
    str
        HTML without scripts, links or styles of the page.
    """
    lines = [f'<table><caption style="text-align: left">{_text(caption)}</caption>']
    if header:
        cells = "".join(f'<th style="{_CELL}">{_text(name)}</th>' for name in header)
        lines.append(f"<thead><tr>{cells}</tr></thead>")
    lines.append("<tbody>")
    for row in islice(rows, MOST_ROWS):
        cells = "".join(f'<td style="{_CELL}">{_text(cell)}</td>' for cell in row)
        lines.append(f"<tr>{cells}</tr>")
    lines.append("</tbody></table>")
    if n_rows > MOST_ROWS:
        lines.append(f"<p>and {n_rows - MOST_ROWS:,} more</p>")
    return "".join(lines)


def _text(cell: object) -> str:
    """Escape a cell, with question marks for control characters."""
    text = f"{cell:.3f}" if isinstance(cell, float) else str(cell)
    text = text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}..."
    return escape("".join(c if c.isprintable() else "?" for c in text))
