"""Printing of the result of `topicnet fit`: how training ended, topics, scores and run folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from topicnet.cli import COLLAPSED, KEPT
from topicnet.cli.printing.fits import RESUMABLE, ending_line
from topicnet.cli.printing.output import echo
from topicnet.cli.printing.progress import notice
from topicnet.cli.printing.topic_table import print_topics
from topicnet.runtime.logs import notices
from topicnet.workflows.run import Run


def print_fit(run: Run, target: Path, *, top: int, examples: int, strict: bool, quiet: bool) -> None:
    """Print how a fit ended, its topics and scores, and the path of the run folder."""
    notice(ending_line(run.record["fit"], "held-out documents"), quiet)
    notice(run.health.line(), quiet and not (strict and not run.health.fit_for_use))
    if stable := describe_stability(run):
        notice(stable, quiet)
    notices.info("wrote %s", target)
    print_topics(replace(run.topic_table(top), further={}), _typical(run, examples))
    print_scores(run)
    echo(f"wrote {target}")
    if run.interrupted:
        notice(RESUMABLE)


def ending_of(interrupted: bool, fit_for_use: bool, *, strict: bool) -> str | None:
    """Return the outcome of a fit, which determines the exit status."""
    if interrupted:
        return KEPT
    return COLLAPSED if strict and not fit_for_use else None


def print_scores(run: Run) -> None:
    """Print the scores of metrics.json in one line."""
    metrics = run.metrics
    parts = [f"NPMI {_number(metrics['npmi']['value'])}", f"diversity {_number(metrics['topic_diversity']['value'])}"]
    if "component" in metrics:
        of_components = metrics["component"]
        values = (_number(of_components[name]["value"]) for name in ("npmi", "topic_diversity"))
        parts.append("of the components NPMI {} and diversity {}".format(*values))
    perplexity = metrics["validation_bound"]["perplexity"]
    if perplexity is not None and perplexity == perplexity:
        parts.append(f"validation perplexity (bound) {perplexity:.0f}")
    if "stability" in metrics:
        parts.append(f"stability {metrics['stability']['value']:.3f} over {len(metrics['stability']['seeds'])} seeds")
    echo(", ".join(parts))


def describe_stability(run: Run) -> str:
    """Describe in one line which topics the other seeds reproduce; return "" for a single seed."""
    if run.stability is None:
        return ""
    found = run.metrics["stability"]
    kept = f"kept seed {found['kept']} of the seeds {', '.join(map(str, found['seeds']))}"
    if not run.fragile:
        return f"{kept}: the others reproduce all of its {len(run.stability)} topics"
    named = ", ".join(map(str, run.fragile))
    are = "is" if len(run.fragile) == 1 else "are"
    return f"{kept}: {len(run.fragile)} of its {len(run.stability)} topics {are} fragile (not reproduced): {named}"


def _typical(run: Run, examples: int) -> dict[int, list[tuple[str, str]]]:
    """Return the ids and excerpts of the typical documents of each topic."""
    corpus = run.corpus
    if corpus is None or not examples:
        return {}
    return {
        k: [(run.ids[row], corpus.excerpts[row]) for row in run.typical_documents(k, examples)]
        for k in range(len(run.sizes))
    }


def _number(value: float | None) -> str:
    return "undefined" if value is None or value != value else f"{value:.3f}"
