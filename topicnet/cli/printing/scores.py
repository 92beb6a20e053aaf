"""Printing of the scores of a run, of a comparison of models and of a search for the number of topics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topicnet.cli.printing.output import echo
from topicnet.cli.printing.tables import Column, ComparisonLayout, print_table, show_comparison

if TYPE_CHECKING:
    from topicnet.experiments.compare import Comparison
    from topicnet.experiments.recommendation import Estimate
    from topicnet.experiments.tune import Tuning
    from topicnet.workflows.evaluate import HeldOutPerplexity, Scorecard, ScoredTopic, ValidationBound
    from topicnet.workflows.likelihood import HeldOutLikelihood
    from topicnet.workflows.scores import LabelScores, Scores

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
    "unigram": "unigram (without topics)",
    "bound": "bound, whole documents",
    "elbo": "evidence lower bound",
    "importance": "importance weighting",
    "annealed": "annealed importance",
    "importance_perplexity": "perplexity, importance",
    "annealed_perplexity": "perplexity, annealed",
    "purity": "purity",
    "nmi": "NMI",
    "ari": "adjusted Rand",
    "accuracy": "accuracy of theta",
}
# Perplexities, printed without decimals.
WHOLE = {"inferred", "refined", "unigram", "bound", "importance_perplexity", "annealed_perplexity"}
NATS = {"elbo", "importance", "annealed"}  # printed with one decimal
POOR_FRACTION = 0.05  # of the documents with a poor estimate, above which it is reported

COMPARED = {
    "npmi": Column("NPMI", 3),
    "c_v": Column("C_V", 3),
    "topic_diversity": Column("diversity", 3),
    "inferred": Column("perplexity", 0),
    "refined": Column("refined", 0),
    "nmi": Column("NMI", 3),
    "stability": Column("stability", 3),
    "seconds": Column("seconds", 1, spread=False),
    "peak_memory_mb": Column("peak MB", 0, spread=False),
}


def show_scorecard(found: Scorecard, per_topic: bool) -> None:
    """Print the scores of a run."""
    echo(f"{found.run}: {found.model}, {found.topics} topics; [95 % intervals over topics, or documents]")
    echo(found.verdict if found.status == "complete" else f"interrupted; {found.verdict}")
    about = found.reference
    echo(
        f"\ncoherence in {about.name}: {about.documents:,} documents, {about.tokens:,} tokens, of which"
        f" {about.known_tokens:,} are words of the model"
    )
    _lines(found.coherence)
    if about.pairs is not None:
        echo(
            f"  not in the reference: {about.unseen_words} of the top words; {about.unseen_pairs} of {about.pairs:,}"
            " pairs of top words never occur together"
        )
    else:
        echo("  undefined: topics of one word have no pairs")
    echo("\ndiversity")
    _lines(found.diversity)
    if found.stability is not None:
        echo(
            f"\nstability over the seeds {', '.join(map(str, found.stability.seeds))}: {found.stability.value:.3f};"
            f" mean over all fits: {found.stability.of_the_model:.3f}"
        )
    _perplexity(found.perplexity)
    if found.likelihood is not None:
        _likelihood(found.likelihood)
    if found.labels is not None:
        _labels(found.labels)
    if per_topic:
        _topics(found.per_topic)


def _perplexity(found: HeldOutPerplexity | ValidationBound) -> None:
    from topicnet.workflows.evaluate import ValidationBound

    if isinstance(found, ValidationBound):
        echo(f"\nperplexity of {found.corpus}, which chose the epoch; for other documents give --test")
        _lines(found.scores)
        return
    echo(
        f"\nperplexity of {found.corpus}: {found.documents:,} of {found.given:,} documents, {found.tokens:,} tokens"
        f" predicted; {found.unknown_share:.0%} of all tokens are not words of the model and are not scored"
    )
    _lines(found.scores)
    if "unigram" not in found.scores:
        echo("  unigram unknown: the run was saved without its corpus")
    if found.same_as_fit:
        echo("  these are the documents of the fit: the perplexity of new documents would be higher")


def _likelihood(found: HeldOutLikelihood) -> None:
    sample = "" if found.documents == found.given - found.empty else ", drawn at random"
    empty = f" ({found.empty:,} have no known word)" if found.empty else ""
    echo(
        f"\nlog-likelihood of {found.corpus}: {found.documents:,} of {found.given:,} documents{empty}{sample},"
        f" {found.tokens:,} tokens; nats per document, higher is better; ± Monte-Carlo error"
    )
    if found.bound is not None:
        _lines({"elbo": found.bound})
    units = {"importance": "draws", "annealed": "chains"}
    for name, one in found.estimates.items():
        ends = f"[{one.nats.low:,.1f}, {one.nats.high:,.1f}]"
        effective = f"median effective {units[name]} {one.ess:.0f} of {one.draws:,}"
        echo(
            f"  {TITLES[name]:26}{_number(name, one.nats.value):>9}  {ends} ± {one.monte_carlo_error:.2f}; {effective}"
        )
    for name, one in found.estimates.items():
        _lines({f"{name}_perplexity": one.perplexity})
    if found.only_annealed:
        echo("  only annealing is valid for this model: its encoder gives no density to draw from")
    poor = {name for name, one in found.estimates.items() if one.poor > POOR_FRACTION * found.documents}
    more = {"importance": "--draws", "annealed": "--temperatures and --chains"}
    for name, one in found.estimates.items():
        if name in poor:
            sound = [TITLES[other] for other in found.estimates if other not in poor]
            remedy = f"rely on {sound[0]}" if sound else f"repeat with more {more[name]}"
            echo(
                f"  {TITLES[name]} is poor: {one.poor:,} of {found.documents:,} documents have fewer than"
                f" {one.least_ess:g} effective {units[name]}, so that it is too low; {remedy}"
            )


def _labels(found: LabelScores) -> None:
    without = f", {found.without_label:,} without a label" if found.without_label else ""
    echo(
        f"\nlabels of {found.corpus} (column {found.column}): {found.labels} labels of {found.documents:,}"
        f" documents{without}"
    )
    _lines(found.scores)
    if found.undefined is not None:
        echo(f"  undefined: {found.undefined}")
    if found.never_learned:
        echo(f"  {found.never_learned:,} documents have a label that does not occur in the fit")
    accuracy = found.scores.get("accuracy")
    if accuracy is not None:
        echo(f"  {'accuracy of TF-IDF':26}{accuracy.tfidf:9.3f}")
        echo(f"  {'always the commonest label':26}{accuracy.commonest:9.3f}")


def _lines(scores: Scores) -> None:
    for name, one in scores.items():
        ends = [_number(name, end) for end in (one.low, one.high) if end is not None]
        interval = f"  [{', '.join(ends)}]" if ends else ""
        echo(f"  {TITLES[name]:26}{_number(name, one.value):>9}{interval}")


def _number(name: str, value: float) -> str:
    if value != value:
        return "undefined"
    if value == float("inf"):
        return "infinite"
    if name in NATS:
        return f"{value:,.1f}"
    return f"{value:,.0f}" if name in WHOLE else f"{value:.3f}"


def _topics(topics: list[ScoredTopic]) -> None:
    titles = {"npmi": "NPMI", "c_v": "C_V", "topic_uniqueness": "unique", "stability": "stable"}
    measures = [name for name in titles if getattr(topics[0], name) is not None]
    heading = "".join(f"{titles[name]:>8}" for name in measures)
    echo(f"\ntopic  share{heading}  top words")
    for topic in topics:
        values = "".join(f"{getattr(topic, name):8.3f}" for name in measures)
        echo(f"{topic.topic:5d} {topic.size:6.1%}{values}  {' '.join(topic.words)}")


def show_model_comparison(found: Comparison) -> None:
    """Print a comparison of models as a table."""
    seeds = "1 seed" if found.seeds == 1 else f"{found.seeds} seeds"
    layout = ComparisonLayout(
        kind="model",
        columns=COMPARED,
        heading=f"{found.experiment.about.name}, {found.experiment.topics} topics, {seeds}: mean ± standard deviation",
        note="NPMI, C_V, diversity and NMI: on the documents of the fit; perplexity: on held-out documents",
        extra={"unigram": {"inferred": f"{found.unigram_perplexity:,.0f}"}},
    )
    show_comparison(found.rows, layout)


def show_tuning(found: Tuning) -> None:
    """Print a search for K as a table, followed by its recommendation."""
    lines = [["model", "topics", "fits", "quality", "NPMI", "diversity", "perplexity", "stability", "s a fit"]]
    for row in found.rows:
        scores = [_with_ends(one) for one in (row.quality, row.npmi, row.topic_diversity)]
        scores += [_with_ends(row.perplexity, digits=0), _with_ends(row.stability)]
        fits = "short" if row.short else str(row.fits)
        lines.append([row.model, str(row.topics), fits, *scores, f"{row.seconds:.1f}"])
    echo(f"{found.experiment.about.name}: {found.seconds:.0f} of {found.budget:.0f} s\n")
    print_table(lines)
    echo(f"\n{found.recommendation}")


def _with_ends(score: Estimate | None, digits: int = 3) -> str:
    if score is None:
        return "-"
    if score.low == score.high:
        return f"{score.mean:,.{digits}f}"
    return f"{score.mean:,.{digits}f} [{score.low:,.{digits}f}, {score.high:,.{digits}f}]"
