"""The commands that judge: evaluate, compare and tune."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from topicnet.cli import KEPT
from topicnet.cli.app import AsJson, CorpusArgument, Overwrite, Quiet, RunArgument, Topics, app, one_or_several
from topicnet.cli.options.text import COUNTING, READING, takes

# Of test documents, which are read as the corpus is.
READ = {name: READING[name] for name in ("text_column", "id_column", "encoding", "file_format", "skip_bad_rows")}


@app.command()
@takes(READ)
def evaluate(
    run: RunArgument,
    test: Annotated[
        str | None,
        typer.Option(metavar="CORPUS", help="Documents the model has not seen: perplexity, and their labels."),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="CORPUS",
            help="Texts, or counts of `topicnet prepare`, to count co-occurrences in.  [default: those of the fit]",
        ),
    ] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of the labels.  [default: label, if there]")] = None,
    as_json: AsJson = False,
    per_topic: Annotated[bool, typer.Option("--per-topic", help="A line for each topic, too.")] = False,
    *,
    given: dict[str, Any],
) -> None:
    """Score a run: coherence, diversity, perplexity and agreement with labels."""
    from topicnet.cli.printing.progress import notice
    from topicnet.cli.printing.scores import show_scorecard
    from topicnet.storage.formats import json_text
    from topicnet.workflows.config import read_config
    from topicnet.workflows.evaluate import evaluate_run

    found = evaluate_run(
        run,
        test=None if test is None else read_config(None, {"corpus": test} | given),
        reference=None if reference is None else read_config(None, {"corpus": reference} | given),
        label_column=label_column,
        on_notice=notice,
    )
    if as_json:
        typer.echo(json_text(found))
    else:
        show_scorecard(found, per_topic)


@app.command()
@takes(READ, COUNTING)
def compare(
    corpus: CorpusArgument,
    models: Annotated[
        str, typer.Option(help="Names of models with commas between: also lda, lda-tomotopy, nmf.")
    ] = "etm,nvdm-gsm,w-lda,gmntm,lda",
    topics: Topics = None,
    seeds: Annotated[int, typer.Option(min=1, help="Fits of each model.")] = 3,
    test: Annotated[
        str | None, typer.Option(metavar="CORPUS", help="Documents to predict.  [default: a tenth of the corpus]")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write.  [default: runs/NAME-compare]")] = None,
    overwrite: Overwrite = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted comparison was.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    *,
    given: dict[str, Any],
) -> str | None:
    """Fit several models with several seeds and put their scores in one table, LDA and unigram always among them."""
    from topicnet.cli.printing.progress import notice
    from topicnet.cli.printing.scores import show_model_comparison
    from topicnet.experiments.compare import compare as compare_models
    from topicnet.experiments.workspace import ExperimentJob
    from topicnet.runtime.reporter import Reporter
    from topicnet.storage.formats import json_text
    from topicnet.storage.run_folder import Destination
    from topicnet.workflows.config import read_config

    columns = {name: given[name] for name in READ}
    given |= {"corpus": one_or_several(corpus), "topics": topics}
    job = ExperimentJob(
        read_config(None, given),
        [name.strip() for name in models.split(",") if name.strip()],
        None if test is None else read_config(None, {"corpus": test} | columns),
        Destination(out, overwrite, resume),
    )
    found = compare_models(job, seeds, Reporter(lambda line: notice(line, quiet)))
    if as_json:
        typer.echo(json_text(found.json()))
    else:
        show_model_comparison(found)
        typer.echo(f"wrote {found.folder}")
    if found.status == "interrupted":
        notice("topicnet: interrupted; what was finished is kept: the same command with --resume goes on")
        return KEPT
    return None


@app.command()
@takes(READ, COUNTING)
def tune(
    corpus: CorpusArgument,
    topics: Annotated[str, typer.Option(help="A range of K, 10:100, or values, 10,20,50.")] = "10:100",
    budget: Annotated[str, typer.Option(help="Time to spend: 90s, 10m, 1h.")] = "10m",
    models: Annotated[str, typer.Option(help="Names of models with commas between.")] = "etm",
    test: Annotated[
        str | None, typer.Option(metavar="CORPUS", help="Documents to predict.  [default: a tenth of the corpus]")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write.  [default: runs/NAME-tune]")] = None,
    overwrite: Overwrite = False,
    resume: Annotated[bool, typer.Option("--resume", help="Keep the fits of an earlier call.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    *,
    given: dict[str, Any],
) -> str | None:
    """Look for a good number of topics, and a model where several are named, within a budget of time."""
    began = time.perf_counter()
    from topicnet.cli.printing.progress import notice
    from topicnet.cli.printing.scores import show_tuning
    from topicnet.experiments.tune import seconds_of, topics_of
    from topicnet.experiments.tune import tune as tune_topics
    from topicnet.experiments.workspace import ExperimentJob
    from topicnet.runtime.reporter import Reporter
    from topicnet.storage.formats import json_text
    from topicnet.storage.run_folder import Destination
    from topicnet.workflows.config import read_config

    seconds, values = seconds_of(budget), topics_of(topics)
    columns = {name: given[name] for name in READ}
    given |= {"corpus": one_or_several(corpus)}
    job = ExperimentJob(
        read_config(None, given),
        [name.strip() for name in models.split(",") if name.strip()],
        None if test is None else read_config(None, {"corpus": test} | columns),
        Destination(out, overwrite, resume),
    )
    found = tune_topics(job, values, seconds, Reporter(lambda line: notice(line, quiet), began=began))
    if as_json:
        typer.echo(json_text(found.json()))
    else:
        show_tuning(found)
        typer.echo(f"wrote {found.folder}")
    if found.status == "interrupted":
        notice("topicnet: interrupted; what was finished is kept: the same command with --resume goes on")
        return KEPT
    return None
