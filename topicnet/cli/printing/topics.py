"""How results read on stdout."""

from __future__ import annotations

import shutil
from typing import Any

import typer

from topicnet.cli.printing.fits import device_line, ending_line
from topicnet.runtime.threads import thread_count
from topicnet.storage.formats import json_text
from topicnet.workflows.run import Run


def show_topics(run: Run, top: int, examples: int) -> None:
    """Print each topic's share, words and, where the texts are at hand, its most typical documents."""
    width = shutil.get_terminal_size((100, 24)).columns
    typer.echo("topic  share  top words")
    for k, words in enumerate(run.top_words(top)):
        typer.echo(f"{k:5d} {run.sizes[k]:6.1%}  {' '.join(words)}")
        for row in run.typical_documents(k, examples) if run.corpus is not None and examples else []:
            line = f"{'':14}[{run.ids[row]}] {run.corpus.excerpts[row] if run.corpus else ''}"
            typer.echo(line if len(line) <= width else line[: width - 1] + "…")


def show_scores(run: Run) -> None:
    """Print the scores of metrics.json in one line."""
    metrics = run.metrics
    parts = [
        f"NPMI {_number(metrics['npmi']['value'])}",
        f"diversity {_number(metrics['topic_diversity']['value'])}",
    ]
    perplexity = metrics["validation_bound"]["perplexity"]
    if perplexity is not None and perplexity == perplexity:
        parts.append(f"validation perplexity (bound) {perplexity:.0f}")
    if "stability" in metrics:
        parts.append(f"stability {metrics['stability']['value']:.3f} over {len(metrics['stability']['seeds'])} seeds")
    typer.echo(", ".join(parts))


def describe_stability(run: Run) -> str:
    """One line about what came again in the runs of other seeds; empty where there was one seed."""
    if run.stability is None:
        return ""
    found = run.metrics["stability"]
    kept = f"kept seed {found['kept']} of {', '.join(map(str, found['seeds']))}"
    if not run.fragile:
        return f"{kept}: all of its {len(run.stability)} topics come again in the others"
    named = ", ".join(map(str, run.fragile))
    are = "is" if len(run.fragile) == 1 else "are"
    return f"{kept}: {len(run.fragile)} of its {len(run.stability)} topics {are} fragile, not found again: {named}"


def topics_json(run: Run, top: int) -> str:
    """The topics as one JSON document."""
    table: list[dict[str, Any]] = [
        {"topic": k, "size": float(run.sizes[k]), "npmi": float(run.coherence[k]), "words": words}
        for k, words in enumerate(run.top_words(top))
    ]
    return json_text({"topics": table})


def _number(value: float | None) -> str:
    return "undefined" if value is None or value != value else f"{value:.3f}"


def describe_fit(run: Run) -> str:
    """One line about how training ended."""
    return ending_line(run.record["fit"], "documents kept apart")


def device_notice(device: str) -> str:
    """One line that says which device is used, why, and with how many threads."""
    return f"{device_line(device)}, {thread_count()} CPU thread(s)"
