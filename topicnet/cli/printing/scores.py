"""How scores read on stdout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

TITLES = {
    "npmi": "NPMI",
    "c_v": "C_V",
    "c_npmi": "C_NPMI",
    "c_uci": "C_UCI",
    "u_mass": "U_Mass",
    "topic_diversity": "topic diversity, top 25",
    "topic_uniqueness": "topic uniqueness, top 10",
    "inverted_rbo": "inverted RBO, top 10",
    "js_diversity": "Jensen-Shannon, all words",
    "inferred": "completion, as inferred",
    "refined": "completion, refined",
    "unigram": "unigram (knows no topics)",
    "bound": "bound, whole documents",
    "purity": "purity",
    "nmi": "NMI",
    "ari": "adjusted Rand",
    "accuracy": "accuracy of theta",
}
WHOLE = {"inferred", "refined", "unigram", "bound"}  # perplexities: shown without decimals


def show_scorecard(found: Mapping[str, Any], per_topic: bool) -> None:
    """Print what `evaluate_run` found."""
    typer.echo(
        f"{found['run']}: {found['model']}, {found['topics']} topics; [95 % intervals over topics, or documents]"
    )
    typer.echo(found["verdict"] if found["status"] == "complete" else f"interrupted; {found['verdict']}")
    about = found["reference"]
    typer.echo(
        f"\ncoherence in {about['name']}: {about['documents']:,} documents, {about['tokens']:,} tokens, of which"
        f" {about['known_tokens']:,} are words of the model"
    )
    _lines(found["coherence"])
    if "pairs" in about:
        typer.echo(
            f"  never seen there: {about['unseen_words']} of the top words, together {about['unseen_pairs']} of"
            f" {about['pairs']:,} pairs"
        )
    else:
        typer.echo("  undefined: topics of one word have no pairs")
    typer.echo("\ndiversity")
    _lines(found["diversity"])
    if "stability" in found:
        stable = found["stability"]
        typer.echo(
            f"\nstability over the seeds {', '.join(map(str, stable['seeds']))}: {stable['value']:.3f}, of the model"
            f" {stable['of_the_model']:.3f}"
        )
    perplexity = found["perplexity"]
    if "given" in perplexity:
        typer.echo(
            f"\nperplexity of {perplexity['corpus']}: {perplexity['documents']:,} of {perplexity['given']:,} documents,"
            f" {perplexity['tokens']:,} tokens predicted; {perplexity['unknown_share']:.0%} of all are no words of the"
            " model and not scored"
        )
        _lines(perplexity["scores"])
        if "unigram" not in perplexity["scores"]:
            typer.echo("  the unigram's is not known: the run was saved without its corpus")
        if perplexity["same_as_fit"]:
            typer.echo("  these are the documents of the fit: new ones would be predicted worse")
    else:
        typer.echo(f"\nperplexity of {perplexity['corpus']} to choose the epoch; for others give --test")
        _lines(perplexity["scores"])
    if "labels" in found:
        _labels(found["labels"])
    if per_topic:
        _topics(found["per_topic"])


def _labels(labels: Mapping[str, Any]) -> None:
    without = f", {labels['without_label']:,} more without" if labels["without_label"] else ""
    typer.echo(
        f"\nlabels of {labels['corpus']} (column {labels['column']}): {labels['labels']} over"
        f" {labels['documents']:,} documents{without}"
    )
    _lines(labels["scores"])
    told = labels["scores"].get("accuracy")
    if "undefined" in labels:
        typer.echo(f"  undefined: {labels['undefined']}")
    if labels.get("never_learned"):
        typer.echo(f"  {labels['never_learned']:,} documents have a label that no document of the fit has")
    if told is not None:
        typer.echo(
            f"  {'accuracy of TF-IDF':26}{told['tfidf']:9.3f}\n  {'commonest label alone':26}{told['commonest']:9.3f}"
        )


def _lines(scores: Mapping[str, Any]) -> None:
    for name, one in scores.items():
        ends = [one[end] for end in ("low", "high") if end in one]
        interval = f"  [{', '.join(_number(name, end) for end in ends)}]" if ends else ""
        typer.echo(f"  {TITLES[name]:26}{_number(name, one['value']):>9}{interval}")


def _number(name: str, value: float) -> str:
    if value != value:
        return "undefined"
    if value == float("inf"):
        return "infinite"
    return f"{value:,.0f}" if name in WHOLE else f"{value:.3f}"


def _topics(topics: list[dict[str, Any]]) -> None:
    titles = {"npmi": "NPMI", "c_v": "C_V", "topic_uniqueness": "unique", "stability": "stable"}
    measures = [name for name in titles if name in topics[0]]
    heading = "".join(f"{titles[name]:>8}" for name in measures)
    typer.echo(f"\ntopic  share{heading}  top words")
    for topic in topics:
        values = "".join(f"{topic[name]:8.3f}" for name in measures)
        typer.echo(f"{topic['topic']:5d} {topic['size']:6.1%}{values}  {' '.join(topic['words'])}")


def show_comparison(record: Mapping[str, Any]) -> None:
    """Print the table of a comparison: mean over the seeds, and spread."""
    shown = {
        "npmi": "NPMI", "c_v": "C_V", "topic_diversity": "diversity", "inferred": "perplexity", "refined": "refined",
        "nmi": "NMI", "stability": "stability", "seconds": "seconds", "peak_memory_mb": "peak MB",
    }  # fmt: skip
    rows = record["table"]
    names = [name for name in shown if any(row[name] for row in rows)]
    lines = [["model", *(shown[name] for name in names)]]
    lines += [[row["title"], *(_mean_and_spread(name, row[name]) for name in names)] for row in rows]
    unigram = [f"{record['unigram_perplexity']:,.0f}" if name == "inferred" else "" for name in names]
    lines.append(["unigram", *unigram])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    corpus = record["corpus"]
    seeds = "1 seed" if record["seeds"] == 1 else f"{record['seeds']} seeds"
    typer.echo(f"{corpus['name']}, {record['topics']} topics, {seeds}: mean ± standard deviation\n")
    for line in lines:
        cells = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
        typer.echo("  ".join([line[0].ljust(widths[0]), *cells[1:]]).rstrip())
    typer.echo(
        "\nNPMI, C_V, diversity and NMI: on the documents of the fit; perplexity: on documents kept apart from it"
    )
    for row in rows:
        if row["unfit"]:
            typer.echo(f"{row['title']}: {row['unfit']} of {row['fits']} fits are unfit for use (see compare.json)")
        for error in row["errors"]:
            typer.echo(f"{row['title']} failed: {error}")


def _mean_and_spread(name: str, score: Mapping[str, Any] | None) -> str:
    if score is None:
        return "-"
    if score["mean"] is None:
        return "infinite"
    digits = {"seconds": 1}.get(name, 0 if name in WHOLE or name == "peak_memory_mb" else 3)
    if score["sd"] is None or name in ("stability", "seconds", "peak_memory_mb"):
        return f"{score['mean']:,.{digits}f}"
    return f"{score['mean']:,.{digits}f} ± {score['sd']:.{digits}f}"


def show_tuning(record: Mapping[str, Any]) -> None:
    """Print the table of a search for K, and its recommendation."""
    shown = {
        "quality": "quality", "npmi": "NPMI", "topic_diversity": "diversity", "perplexity": "perplexity",
        "stability": "stability",
    }  # fmt: skip
    lines = [["model", "topics", "fits", *shown.values(), "s a fit"]]
    for row in record["table"]:
        fits = "short" if row["short"] else str(row["fits"])
        scores = [_with_ends(name, row[name]) for name in shown]
        lines.append([row["model"], str(row["topics"]), fits, *scores, f"{row['seconds']:.1f}"])
    typer.echo(f"{record['corpus']['name']}: {record['seconds']:.0f} of {record['budget_seconds']:.0f} s\n")
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        cells = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
        typer.echo("  ".join([line[0].ljust(widths[0]), *cells[1:]]).rstrip())
    typer.echo(f"\n{record['recommendation']}")


def _with_ends(name: str, score: Mapping[str, float] | None) -> str:
    if score is None:
        return "-"
    digits = 0 if name == "perplexity" else 3
    if score["low"] == score["high"]:
        return f"{score['mean']:,.{digits}f}"
    return f"{score['mean']:,.{digits}f} [{score['low']:,.{digits}f}, {score['high']:,.{digits}f}]"
