"""One thin function per command; heavy imports happen inside it, so that help stays quick."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Annotated

import typer

from topicnet.cli import COLLAPSED, KEPT

app = typer.Typer(
    help="Neural topic models on real text.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def whole(given: str) -> int:
    """Read a whole number."""
    try:
        return int(given)
    except ValueError:
        raise typer.BadParameter(f"{given!r} given, expected a whole number") from None


CorpusArgument = Annotated[
    str,
    typer.Argument(
        metavar="CORPUS",
        help="A .txt (a document a line), .csv, .tsv or .jsonl file (each also .gz), a folder of .txt files,"
        " - for standard input, or a name from `topicnet corpora`.",
    ),
]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder of `topicnet fit`.")]
TopOption = Annotated[int, typer.Option("--top", min=1, help="Words to show of each topic.")]
TextColumn = Annotated[str | None, typer.Option(help="Column or key that holds the text.  [default: text]")]
IdColumn = Annotated[str | None, typer.Option(help="Column or key that holds the ids.  [default: id, if there]")]
Encoding = Annotated[str | None, typer.Option(help="Encoding of the text.  [default: utf-8]")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Lang = Annotated[str | None, typer.Option(help="Language of the stop words, or none.  [default: en]")]
StopWords = Annotated[str | None, typer.Option(help="File of stop words, in place of the language's.")]
MinDf = Annotated[
    str | None,
    typer.Option(help="Fewest documents of a word: 5, or a share: 0.01.  [default: grows with the corpus]"),
]
MaxDf = Annotated[str | None, typer.Option(help="Most documents of a word: 900, or a share: 0.5.  [default: 0.5]")]
MaxVocab = Annotated[int | None, typer.Option(help="Most words in the vocabulary.  [default: 20000]")]
Topics = Annotated[
    int | None,
    typer.Option("--topics", "-k", parser=whole, metavar="INTEGER", help="Number of topics.  [default: 20]"),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notices.")]


def _version(asked: bool) -> None:
    if asked:
        from topicnet import __version__

        typer.echo(f"topicnet {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Neural topic models on real text."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def fit(
    corpus: Annotated[str | None, typer.Argument(metavar="CORPUS", help=CorpusArgument.__metadata__[0].help)] = None,
    model: Annotated[str | None, typer.Option(help="The model: etm, nvdm-gsm, w-lda or gmntm.  [default: etm]")] = None,
    topics: Topics = None,
    out: Annotated[Path | None, typer.Option(help="Run folder to write.  [default: runs/NAME-MODEL]")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of options; those given here win.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same result.  [default: 0]")] = None,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, help="Fit with so many seeds, keep the best, mark topics that do not come again."),
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.  [default: auto]")] = None,
    lang: Lang = None,
    stop_words: StopWords = None,
    text_column: TextColumn = None,
    id_column: IdColumn = None,
    encoding: Encoding = None,
    min_df: MinDf = None,
    max_df: MaxDf = None,
    max_vocab: MaxVocab = None,
    init: Annotated[str | None, typer.Option(help="Start of the training: em or random.  [default: em]")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the corpus.  [default: a budget of steps]")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Documents per step.  [default: 200]")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Highest rate.  [default: by the start]")] = None,
    decoder: Annotated[
        str | None, typer.Option(help="How topics become words: mixture or product.  [default: by the model]")
    ] = None,
    embeddings: Annotated[
        str | None,
        typer.Option(help="For etm: a word2vec or GloVe file, train (on the corpus) or none.  [default: none]"),
    ] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option("--param", metavar="NAME=VALUE", help="Any other parameter of the model; may be repeated."),
    ] = None,
    keep_corpus: Annotated[
        bool | None,
        typer.Option("--keep-corpus/--no-keep-corpus", help="Save the counts in the run.  [default: keep]"),
    ] = None,
    keep_texts: Annotated[bool | None, typer.Option("--keep-texts", help="Save the texts with the counts.")] = None,
    top: TopOption = 10,
    examples: Annotated[int, typer.Option(min=0, help="Typical documents to show of each topic.")] = 1,
    overwrite: Overwrite = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run, given the same options.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with status 3 when the health check finds the model unfit.")
    ] = False,
    quiet: Quiet = False,
) -> str | None:
    """Fit a topic model to a corpus, print its topics and write a run folder."""
    began = time.perf_counter()
    from topicnet.cli.progress import notice, show_progress
    from topicnet.cli.show import (
        describe_corpus,
        describe_fit,
        describe_stability,
        device_notice,
        show_scores,
        show_topics,
    )
    from topicnet.config import read_config
    from topicnet.run import fit_to_folder

    named = _named_values(parameters or [])
    options = {
        "init": init, "max_epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate,
        "decoder": decoder, "embeddings": embeddings,
    }  # fmt: skip
    options = {name: value for name, value in options.items() if value is not None}
    if twice := sorted(options.keys() & named.keys()):
        raise typer.BadParameter(f"{twice[0]} was given twice, by its option and by --param: give it once")
    given = {
        "corpus": corpus, "model": model, "topics": topics, "seed": seed, "seeds": seeds, "device": device,
        "lang": lang,
        "stop_words": stop_words, "text_column": text_column, "id_column": id_column, "encoding": encoding,
        "min_df": document_frequency("--min-df", min_df), "max_df": document_frequency("--max-df", max_df),
        "max_vocab": max_vocab, "keep_corpus": keep_corpus, "keep_texts": keep_texts,
        "parameters": named | options,
    }  # fmt: skip
    resolved = read_config(config, given)
    with show_progress(quiet) as listener:
        run, target = fit_to_folder(
            resolved,
            out,
            overwrite=overwrite,
            resume=resume,
            on_corpus=lambda counted: notice(f"{describe_corpus(counted)}\n{device_notice(resolved.device)}", quiet),
            on_notice=lambda line: notice(line, quiet),
            listener=listener,
            began=began,
        )
    notice(describe_fit(run), quiet)
    notice(run.health.line(), quiet and not (strict and not run.health.fit_for_use))
    if stable := describe_stability(run):
        notice(stable, quiet)
    show_topics(run, top, examples)
    show_scores(run)
    typer.echo(f"wrote {target}")
    if run.interrupted:
        notice("topicnet: interrupted; the best so far is kept, marked interrupted in run.json")
        return KEPT
    return COLLAPSED if strict and not run.health.fit_for_use else None


@app.command()
def topics(
    run: RunArgument,
    top: TopOption = 10,
    as_json: AsJson = False,
) -> None:
    """Print each topic's top words."""
    from topicnet.cli.show import show_topics, topics_json
    from topicnet.results import load

    loaded = load(run)
    if as_json:
        typer.echo(topics_json(loaded, top))
    else:
        show_topics(loaded, top, examples=0)


@app.command()
def transform(
    run: RunArgument,
    documents: Annotated[str, typer.Argument(metavar="NEW_DOCUMENTS", help="Raw text, as CORPUS of `fit`.")],
    out: Annotated[Path, typer.Option(help="File to write: .csv, .parquet or .npz.")],
    refine: Annotated[int, typer.Option(min=0, help="EM steps on theta after the encoder: better, slower.")] = 0,
    text_column: TextColumn = None,
    id_column: IdColumn = None,
    encoding: Encoding = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Write the topic proportions of new documents, one row each."""
    from topicnet.cli.progress import notice
    from topicnet.cli.show import describe_corpus
    from topicnet.config import read_config
    from topicnet.run import transform_to_file

    given = {"corpus": documents, "text_column": text_column, "id_column": id_column, "encoding": encoding}
    corpus = transform_to_file(run, read_config(None, given), out, refine=refine, overwrite=overwrite)
    notice(f"{describe_corpus(corpus)}; wrote {out}", quiet)


@app.command()
def export(
    run: RunArgument,
    doc_topic: Annotated[Path | None, typer.Option(help="File for the document-topic table.")] = None,
    topic_word: Annotated[Path | None, typer.Option(help="File for the topic-word table.")] = None,
    doc_component: Annotated[Path | None, typer.Option(help="File for the document-component table (gmntm).")] = None,
    component_word: Annotated[Path | None, typer.Option(help="File for the component-word table (gmntm).")] = None,
    file_format: Annotated[
        str | None, typer.Option("--format", help="csv, parquet or npz.  [default: by the file's ending]")
    ] = None,
    top: Annotated[int, typer.Option(min=0, help="Words of each topic in the table; 0 for all.")] = 50,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Write the tables of a run as CSV, Parquet or NPZ."""
    from topicnet.cli.progress import notice
    from topicnet.run import export_tables

    targets = {
        "doc-topic": doc_topic, "topic-word": topic_word, "doc-component": doc_component,
        "component-word": component_word,
    }  # fmt: skip
    for line in export_tables(run, targets, file_format, top, overwrite=overwrite):
        notice(line, quiet)


@app.command()
def corpora(
    as_json: AsJson = False,
) -> None:
    """List the named corpora."""
    from dataclasses import asdict

    from topicnet.files import json_text
    from topicnet.text.named import recipes

    found = recipes().values()
    if as_json:
        typer.echo(json_text({"corpora": [asdict(recipe) for recipe in found]}))
        return
    for recipe in found:
        origin = "downloaded when first named" if recipe.download else "no download"
        typer.echo(f"{recipe.name:16} {recipe.documents:7,} documents, {recipe.language}, {origin}: {recipe.title}")


def _named_values(given: list[str]) -> dict[str, object]:
    """Read NAME=VALUE pairs; values as in YAML."""
    import yaml

    values = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            value = None
        if isinstance(value, str):  # YAML takes 1e-3 for a word
            with contextlib.suppress(ValueError):
                value = float(value)
        if not name or not equals or value is None:
            raise typer.BadParameter(f"--param {pair} given, expected NAME=VALUE such as noise=0.2")
        values[name] = value
    return values


def document_frequency(option: str, value: str | None) -> int | float | None:
    """Read a document frequency: 5 is a number of documents, 0.01 a share of them."""
    if value is None:
        return None
    try:
        return float(value) if set(value) & set(".eE") else int(value)
    except ValueError:
        raise typer.BadParameter(
            f"{option} {value} given, expected a number such as 5, or a share such as 0.01"
        ) from None
