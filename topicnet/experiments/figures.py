"""Figures of comparisons and of searches for K, each one self-contained HTML file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from topicnet.runtime.extras import is_installed, message_of
from topicnet.runtime.reporter import Reporter
from topicnet.storage import atomic, formats
from topicnet.storage.comparison import ComparisonRow

if TYPE_CHECKING:
    from topicnet.experiments.recommendation import TuningRow

# Distinct when printed, too.
COLOURS = ("#1b6ca8", "#d1495b", "#2a9d5c", "#8e5ea2", "#e08e1b", "#555555", "#00a3a3", "#b07aa1")
LAYOUT = {"template": "plotly_white", "font": {"size": 14}, "height": 520, "margin": {"t": 70}}


def can_draw(command: str, reporter: Reporter) -> bool:
    """Return whether plotly is installed; if it is missing, report that the figure of a command is left out."""
    if is_installed("plotly"):
        return True
    reporter.notice(f"no figure was drawn: {message_of(f'the figure of {command}', 'plotly')}")
    return False


def quality_against_time(rows: Sequence[ComparisonRow], unigram: float, corpus: str) -> Any:
    """Plot coherence and document-completion perplexity of each model against the time of its fit.

    Points show the seeds, a cross their mean. Perplexity is that of theta as inferred, without refinement.
    """
    from plotly.subplots import make_subplots

    shown = [("npmi", "NPMI (higher is better)"), ("inferred", "perplexity as inferred (lower is better)")]
    figure = make_subplots(1, 2, subplot_titles=[title for _, title in shown], horizontal_spacing=0.1)
    for number, row in enumerate(rows):
        colour = COLOURS[number % len(COLOURS)]
        for column, (name, _) in enumerate(shown, 1):
            score, seconds = row.scores[name], row.scores["seconds"]
            if score is None or score.mean is None or seconds is None:
                continue
            figure.add_scatter(
                x=[*seconds.values, seconds.mean], y=[*score.values, score.mean], row=1, col=column,
                mode="markers", name=row.title, legendgroup=row.title, showlegend=column == 1,
                marker={"color": colour, "size": [7] * len(seconds.values) + [14],
                        "symbol": ["circle"] * len(seconds.values) + ["cross"]},
            )  # fmt: skip
    figure.add_hline(y=unigram, row=1, col=2, line_dash="dot", annotation_text="unigram")
    figure.update_xaxes(type="log", title_text="seconds of the fit", matches="x")
    title = f"Quality against time: {corpus} (a point a seed, a cross the mean; infinite perplexities are left out)"
    figure.update_layout(title_text=title, **LAYOUT)
    return figure


def scores_by_topics(rows: Sequence[TuningRow], names: Sequence[str], corpus: str) -> Any:
    """Plot each score against K with its interval, one line per model.

    Open points show short fits, which have a quarter of the epochs.
    """
    from plotly.subplots import make_subplots

    titles = {
        "quality": "topic quality (NPMI x diversity)", "npmi": "NPMI", "topic_diversity": "topic diversity",
        "perplexity": "perplexity of held-out halves", "stability": "stability over seeds",
    }  # fmt: skip
    n_columns = -(-len(names) // 2)
    figure = make_subplots(2, n_columns, subplot_titles=[titles[name] for name in names], horizontal_spacing=0.07)
    for number, model in enumerate(dict.fromkeys(row.model for row in rows)):
        colour = COLOURS[number % len(COLOURS)]
        for at, name in enumerate(names):
            found = [(row, getattr(row, name)) for row in rows if row.model == model]
            shown = [(row, score) for row, score in found if score is not None]
            figure.add_scatter(
                x=[row.topics for row, _ in shown], y=[score.mean for _, score in shown], mode="lines+markers",
                row=at // n_columns + 1, col=at % n_columns + 1,
                name=model, legendgroup=model, showlegend=at == 0, line={"color": colour},
                marker={"size": 8, "symbol": ["circle-open" if row.short else "circle" for row, _ in shown]},
                error_y={"array": [score.high - score.mean for _, score in shown],
                         "arrayminus": [score.mean - score.low for _, score in shown]},
            )  # fmt: skip
    values = sorted({row.topics for row in rows})
    ends = [math.log10(values[0]) - 0.05, math.log10(values[-1]) + 0.05]
    figure.update_xaxes(type="log", title_text="topics, K", tickvals=values, range=ends)
    title = (
        f"How many topics: {corpus} (bars: 95 % intervals, of diversity the range over seeds; open points: short fits)"
    )
    figure.update_layout(title_text=title, **(LAYOUT | {"height": 820}))
    return figure


def html_of(figure: Any) -> str:
    """Return an HTML page with a figure and all of its scripts."""
    return str(figure.to_html(include_plotlyjs=True, full_html=True))


def write_figure(path: Path, figure: Any) -> None:
    """Write a figure as an HTML page."""
    with atomic.atomic_file(path, overwrite=True) as part:
        formats.write_text(part, html_of(figure))
