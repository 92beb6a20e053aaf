"""The commands that judge: evaluate, compare, tune, and prepare for them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from topicnet.cli import KEPT
from topicnet.cli.app import (  # the commands below join it
    AsJson,
    CorpusArgument,
    Encoding,
    IdColumn,
    Lang,
    MaxDf,
    MaxVocab,
    MinDf,
    Overwrite,
    Quiet,
    RunArgument,
    StopWords,
    TextColumn,
    Topics,
    app,
    document_frequency,
)


@app.command()
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
    text_column: TextColumn = None,
    id_column: IdColumn = None,
    encoding: Encoding = None,
    as_json: AsJson = False,
    per_topic: Annotated[bool, typer.Option("--per-topic", help="A line for each topic, too.")] = False,
) -> None:
    """Score a run: coherence, diversity, perplexity and agreement with labels."""
    from topicnet.cli.scores import show_scorecard
    from topicnet.config import read_config
    from topicnet.evaluation import evaluate_run
    from topicnet.files import json_text

    columns = {"text_column": text_column, "id_column": id_column, "encoding": encoding}
    found = evaluate_run(
        run,
        test=None if test is None else read_config(None, {"corpus": test} | columns),
        reference=None if reference is None else read_config(None, {"corpus": reference} | columns),
        label_column=label_column,
    )
    if as_json:
        typer.echo(json_text(found))
    else:
        show_scorecard(found, per_topic)


@app.command()
def prepare(
    corpus: CorpusArgument,
    out: Annotated[Path, typer.Option(help="Folder to write the counts to.")],
    reference: Annotated[
        bool, typer.Option("--reference", help="Keep every word, for `evaluate --reference`.")
    ] = False,
    text_column: TextColumn = None,
    id_column: IdColumn = None,
    encoding: Encoding = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Count a corpus once, for later commands."""
    from topicnet.cli.progress import notice
    from topicnet.cli.show import describe_corpus
    from topicnet.config import read_config
    from topicnet.evaluation import prepare_reference

    if not reference:
        raise typer.BadParameter("prepare without --reference given, this version prepares references only: add it")
    given = {"corpus": corpus, "text_column": text_column, "id_column": id_column, "encoding": encoding}
    counted = prepare_reference(read_config(None, given), out, overwrite=overwrite)
    notice(f"{describe_corpus(counted)}; wrote {out}", quiet)


@app.command()
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
    lang: Lang = None,
    stop_words: StopWords = None,
    text_column: TextColumn = None,
    id_column: IdColumn = None,
    encoding: Encoding = None,
    min_df: MinDf = None,
    max_df: MaxDf = None,
    max_vocab: MaxVocab = None,
    overwrite: Overwrite = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted comparison was.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> str | None:
    """Fit several models with several seeds and put their scores in one table, LDA and unigram always among them."""
    from topicnet.cli.progress import notice
    from topicnet.cli.scores import show_comparison
    from topicnet.config import read_config
    from topicnet.experiments import compare as compare_models
    from topicnet.files import json_text

    columns = {"text_column": text_column, "id_column": id_column, "encoding": encoding}
    given = {"corpus": corpus, "topics": topics} | columns | _counted_words(lang, stop_words, min_df, max_df, max_vocab)
    record, target = compare_models(
        read_config(None, given),
        [name.strip() for name in models.split(",") if name.strip()],
        seeds,
        out,
        test=None if test is None else read_config(None, {"corpus": test} | columns),
        overwrite=overwrite,
        resume=resume,
        on_notice=lambda line: notice(line, quiet),
    )
    if as_json:
        typer.echo(json_text(record))
    else:
        show_comparison(record)
        typer.echo(f"wrote {target}")
    if record["status"] == "interrupted":
        notice("topicnet: interrupted; what was finished is kept: the same command with --resume goes on")
        return KEPT
    return None


@app.command()
def tune(
    corpus: CorpusArgument,
    topics: Annotated[str, typer.Option(help="A range of K, 10:100, or values, 10,20,50.")] = "10:100",
    budget: Annotated[str, typer.Option(help="Time to spend: 90s, 10m, 1h.")] = "10m",
    models: Annotated[str, typer.Option(help="Names of models with commas between.")] = "etm",
    test: Annotated[
        str | None, typer.Option(metavar="CORPUS", help="Documents to predict.  [default: a tenth of the corpus]")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write.  [default: runs/NAME-tune]")] = None,
    lang: Lang = None,
    stop_words: StopWords = None,
    text_column: TextColumn = None,
    id_column: IdColumn = None,
    encoding: Encoding = None,
    min_df: MinDf = None,
    max_df: MaxDf = None,
    max_vocab: MaxVocab = None,
    overwrite: Overwrite = False,
    resume: Annotated[bool, typer.Option("--resume", help="Keep the fits of an earlier call.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> str | None:
    """Look for a good number of topics, and a model where several are named, within a budget of time."""
    began = time.perf_counter()
    from topicnet.cli.progress import notice
    from topicnet.cli.scores import show_tuning
    from topicnet.config import read_config
    from topicnet.files import json_text
    from topicnet.tuning import seconds_of, topics_of
    from topicnet.tuning import tune as tune_topics

    seconds, values = seconds_of(budget), topics_of(topics)
    columns = {"text_column": text_column, "id_column": id_column, "encoding": encoding}
    given = {"corpus": corpus} | columns | _counted_words(lang, stop_words, min_df, max_df, max_vocab)
    record, target = tune_topics(
        read_config(None, given),
        [name.strip() for name in models.split(",") if name.strip()],
        values,
        seconds,
        out,
        began=began,
        test=None if test is None else read_config(None, {"corpus": test} | columns),
        overwrite=overwrite,
        resume=resume,
        on_notice=lambda line: notice(line, quiet),
    )
    if as_json:
        typer.echo(json_text(record))
    else:
        show_tuning(record)
        typer.echo(f"wrote {target}")
    if record["status"] == "interrupted":
        notice("topicnet: interrupted; what was finished is kept: the same command with --resume goes on")
        return KEPT
    return None


def _counted_words(
    lang: str | None, stop_words: str | None, min_df: str | None, max_df: str | None, max_vocab: int | None
) -> dict[str, object]:
    """The options that say which words are counted, as a configuration has them."""
    return {
        "lang": lang, "stop_words": stop_words, "max_vocab": max_vocab,
        "min_df": document_frequency("--min-df", min_df), "max_df": document_frequency("--max-df", max_df),
    }  # fmt: skip
