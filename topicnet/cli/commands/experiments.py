"""Commands that score models: `evaluate`, `compare` and `tune`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from topicnet.cli import KEPT
from topicnet.cli.app import Command, app
from topicnet.cli.options.shared import (
    AsJson,
    Overwrite,
    Quiet,
    RunArgument,
    group,
    integer,
    names_in,
    one_or_several,
    option,
    takes,
    word,
)
from topicnet.cli.options.text import COUNTING, MODEL, READING, CorpusArgument
from topicnet.cli.printing.output import echo
from topicnet.models.registry import REGISTRY
from topicnet.runtime.logs import notices

if TYPE_CHECKING:
    from topicnet.experiments.job import ExperimentJob

TEST = group(
    "Corpus", {"test": word("Score on these test documents.  [default: a tenth of the corpus]", metavar="CORPUS")}
)
OUTPUT = group(
    "Output",
    {
        "out": option(Path | None, "Write to this folder.  [default: runs/NAME-compare-K or runs/NAME-tune]"),
        "overwrite": Overwrite,
        "resume": option(bool, "Continue an interrupted call, keeping its finished fits.", "--resume"),
        "as_json": AsJson,
        "quiet": Quiet,
    },
    overwrite=False, resume=False, as_json=False, quiet=False,
)  # fmt: skip
COMPARED = group(
    "Model",
    {"models": option(str, "Compare these models, separated by commas; also lda, lda-tomotopy, nmf.")},
    models=",".join([*REGISTRY, "lda"]),
)
REPEATED = group("Training", {"seeds": option(int, "Fit each model with this many seeds.", min=1)}, seeds=3)
SEARCHED = group(
    "Model",
    {
        "models": option(str, "Try these models, separated by commas."),
        "topics": option(str, "Try numbers of topics in a range (10:100) or a list (10,20,50)."),
    },
    models="etm",
    topics="10:100",
)
BUDGET = group("Training", {"budget": option(str, "Spend at most this time: 90s, 10m or 1h.")}, budget="10m")
LIKELIHOOD = group(
    "Likelihood",
    {
        "likelihood": option(bool, "Estimate the log-likelihood of the test documents, too (minutes).", "--likelihood"),
        "draws": integer("Importance weighting with this many draws; 0 leaves it out.  [default: 1000]"),
        "chains": integer("Annealing with this many chains; 0 leaves it out.  [default: 16]"),
        "temperatures": integer("Anneal over this many temperatures.  [default: 300]"),
        "likelihood_documents": integer("Draw at most this many documents; 0 takes all.  [default: 1000]"),
    },
    likelihood=False,
)
EVALUATE_EXAMPLES = """
topicnet evaluate runs/posts --test new.csv --label-column section
topicnet evaluate runs/posts --test new.csv --likelihood --likelihood-documents 200
"""
COMPARE_EXAMPLES = """
topicnet compare lee -k 10 --seeds 3
topicnet compare posts.csv --models etm,w-lda,lda-tomotopy -k 50 --test new.csv --out runs/models
"""
TUNE_EXAMPLES = """
topicnet tune lee --topics 5:40 --budget 5m
topicnet tune posts.csv --models etm,nvdm-gsm --topics 10,20,50 --budget 1h --resume
"""


@app.command(cls=Command, epilog=EVALUATE_EXAMPLES)
@takes(READING, LIKELIHOOD)
def evaluate(
    run: RunArgument,
    test: Annotated[
        str | None,
        typer.Option(metavar="CORPUS", help="Score perplexity and labels on these documents, new to the model."),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="CORPUS",
            help="Count co-occurrences in this corpus, text or counts of `prepare`.  [default: that of the fit]",
        ),
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Read labels from this column.  [default: label, if present]")
    ] = None,
    as_json: AsJson = False,
    per_topic: Annotated[bool, typer.Option("--per-topic", help="Print the scores of each topic, too.")] = False,
    *,
    given: dict[str, Any],
) -> None:
    """Score a run: coherence, diversity, perplexity and labels."""
    effort = {name: given.pop(name) for name in LIKELIHOOD.options}
    _check_effort(effort, test)
    from topicnet.workflows.config import read_config
    from topicnet.workflows.preflight import check_corpus

    configs = [None if one is None else read_config(None, {"corpus": one} | given) for one in (test, reference)]
    for config in configs:
        if config is not None:
            check_corpus(config)
    from topicnet.cli.printing.progress import reporter_of, show_progress
    from topicnet.cli.printing.scores import show_scorecard
    from topicnet.storage.formats import json_text
    from topicnet.workflows.evaluate import evaluate_run

    options: dict[str, Any] = {"test": configs[0], "reference": configs[1], "label_column": label_column}
    if effort.pop("likelihood"):
        from topicnet.models.likelihood import LikelihoodOptions

        chosen = {name: value for name, value in effort.items() if value is not None}
        if "likelihood_documents" in chosen:
            options["likelihood_documents"] = chosen.pop("likelihood_documents")
        options["likelihood"] = LikelihoodOptions(**chosen)
        with show_progress(quiet=False) as reporter:
            found = evaluate_run(run, **options, reporter=reporter)
    else:
        found = evaluate_run(run, **options, reporter=reporter_of())
    if as_json:
        echo(json_text(found), block=True)
    else:
        show_scorecard(found, per_topic)


def _check_effort(effort: dict[str, Any], test: str | None) -> None:
    """Report input errors in the options of the likelihood before imports that take seconds."""
    from topicnet.errors import InputError

    numbers = {name: value for name, value in effort.items() if name != "likelihood" and value is not None}
    if numbers and not effort["likelihood"]:
        name = "--" + next(iter(numbers)).replace("_", "-")
        raise InputError(f"{name} given without --likelihood, expected both: add --likelihood, or leave it out")
    if effort["likelihood"] and test is None:
        raise InputError(
            "--likelihood given without --test, expected documents new to the model: name them with --test"
        )


@app.command(cls=Command, epilog=COMPARE_EXAMPLES)
@takes(READING, TEST, COUNTING, COMPARED, MODEL.only("topics"), REPEATED, OUTPUT)
def compare(corpus: CorpusArgument, *, given: dict[str, Any]) -> str | None:
    """Compare the scores of models over several seeds.

    LDA and a unigram model are always included.
    """
    from topicnet.experiments.job import check_job

    as_json, quiet, seeds = (given.pop(name) for name in ("as_json", "quiet", "seeds"))
    job = _job(corpus, given)
    check_job(job, "compare", job.config.topics)  # input errors are reported before imports that take seconds
    from topicnet.cli.printing.progress import reporter_of
    from topicnet.cli.printing.scores import show_model_comparison
    from topicnet.experiments.compare import compare as compare_models

    found = compare_models(job, seeds, reporter_of(quiet))
    return _shown(found, show_model_comparison, as_json)


@app.command(cls=Command, epilog=TUNE_EXAMPLES)
@takes(READING, TEST, COUNTING, SEARCHED, BUDGET, OUTPUT)
def tune(corpus: CorpusArgument, *, given: dict[str, Any]) -> str | None:
    """Search for a good number of topics within a time budget.

    If several models are given, the search covers them all.
    """
    began = time.perf_counter()
    from topicnet.experiments.job import check_job, seconds_of, topics_of

    seconds, values = seconds_of(given.pop("budget")), topics_of(given.pop("topics"))
    as_json, quiet = given.pop("as_json"), given.pop("quiet")
    job = _job(corpus, given)
    check_job(job, "tune", None)
    from topicnet.cli.printing.progress import reporter_of
    from topicnet.cli.printing.scores import show_tuning
    from topicnet.experiments.tune import tune as tune_topics

    found = tune_topics(job, values, seconds, replace(reporter_of(quiet), began=began))
    return _shown(found, show_tuning, as_json)


def _job(corpus: list[str], given: dict[str, Any]) -> ExperimentJob:
    """Build the job of an experiment; test documents are read with the options of the corpus."""
    from topicnet.experiments.job import ExperimentJob
    from topicnet.storage.run_folder import Destination
    from topicnet.workflows.config import read_config

    test, models = given.pop("test"), names_in(given.pop("models"))
    reading = {name: given[name] for name in READING.options}
    tested = None if test is None else read_config(None, {"corpus": test} | reading)
    destination = Destination(given.pop("out"), given.pop("overwrite"), given.pop("resume"))
    return ExperimentJob(read_config(None, given | {"corpus": one_or_several(corpus)}), models, tested, destination)


def _shown(found: Any, show: Callable[[Any], None], as_json: bool) -> str | None:
    """Print a comparison or a search for K, and return its outcome, which determines the exit status."""
    from topicnet.cli.printing.progress import notice
    from topicnet.storage.formats import json_text

    notices.info("wrote %s", found.folder)
    if as_json:
        echo(json_text(found.json()), block=True)
    else:
        show(found)
        echo(f"wrote {found.folder}")
    if found.status != "interrupted":
        return None
    notice("topicnet: interrupted; finished fits were saved; to continue, repeat the command with --resume")
    return KEPT
