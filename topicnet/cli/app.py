"""One thin function per command; heavy imports happen inside it, so that help stays quick."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from topicnet.cli import COLLAPSED, KEPT
from topicnet.cli.options.text import COLUMNS, CORPUS_HELP, COUNTING, READING, takes

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


CorpusArgument = Annotated[list[str], typer.Argument(metavar="CORPUS", help=CORPUS_HELP)]


def _there(run: Path) -> Path:
    """Refuse what is no run at once, before seconds of imports."""
    from topicnet.storage.model_files import check_there, folder_of

    check_there(folder_of(run))
    return run


RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder of `topicnet fit`.", callback=_there)]
TopOption = Annotated[int, typer.Option("--top", min=1, help="Words to show of each topic.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Topics = Annotated[
    int | None,
    typer.Option("--topics", "-k", parser=whole, metavar="INTEGER", help="Number of topics.  [default: 20]"),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notices.")]


def _version(asked: bool) -> None:
    if asked:
        from topicnet._version import __version__

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
@takes(READING, COLUMNS, COUNTING)
def fit(
    corpus: Annotated[list[str] | None, typer.Argument(metavar="CORPUS", help=CORPUS_HELP)] = None,
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
    passages: Annotated[
        int | None,
        typer.Option(min=1, help="Cut documents into passages of about so many counted words, and learn from these."),
    ] = None,
    init: Annotated[str | None, typer.Option(help="Start of the training: em or random.  [default: em]")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the corpus.  [default: a budget of steps]")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Documents per step.  [default: 200, of w-lda 100]")] = None,
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
    engine: Annotated[
        str | None, typer.Option(help="Who does the work: local, or ray for a Ray cluster.  [default: local]")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            parser=whole, metavar="INTEGER", help="Workers of --engine ray.  [default: one for each GPU, or CPU]"
        ),
    ] = None,
    top: TopOption = 10,
    examples: Annotated[int, typer.Option(min=0, help="Typical documents to show of each topic.")] = 1,
    overwrite: Overwrite = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a fit that was broken off, given the same options.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with status 3 when the health check finds the model unfit.")
    ] = False,
    quiet: Quiet = False,
    *,
    given: dict[str, Any],
) -> str | None:
    """Fit a topic model to a corpus, print its topics and write a run folder."""
    began = time.perf_counter()
    from topicnet.workflows.config import read_config
    from topicnet.workflows.corpus import check_corpus_there

    named = named_values(parameters or [])
    options = {
        "init": init, "max_epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate,
        "decoder": decoder, "embeddings": embeddings,
    }  # fmt: skip
    options = {name: value for name, value in options.items() if value is not None}
    if twice := sorted(options.keys() & named.keys()):
        raise typer.BadParameter(f"{twice[0]} was given twice, by its option and by --param: give it once")
    given |= {
        "corpus": one_or_several(corpus), "model": model, "topics": topics, "seed": seed, "seeds": seeds,
        "device": device, "keep_corpus": keep_corpus, "keep_texts": keep_texts, "passages": passages,
        "engine": engine, "workers": workers, "parameters": named | options,
    }  # fmt: skip
    resolved = read_config(config, given)
    check_corpus_there(resolved)  # a slip is told at once, before seconds of imports
    from topicnet.cli.engines import engine_of
    from topicnet.cli.printing.corpus import describe_corpus
    from topicnet.cli.printing.progress import notice, show_progress
    from topicnet.cli.printing.topics import describe_fit, describe_stability, device_notice, show_scores, show_topics
    from topicnet.errors import InputError
    from topicnet.runtime.distributed import distributed
    from topicnet.workflows.engine import Engine
    from topicnet.workflows.fit import fit_to_folder
    from topicnet.workflows.follower import follow_fit

    def fit_and_tell(engine: Engine) -> str | None:
        with show_progress(quiet) as listener:
            run, target = fit_to_folder(
                resolved.model_copy(update={"workers": engine.workers}),
                out,
                overwrite=overwrite,
                resume=resume,
                on_corpus=lambda counted: notice(
                    f"{describe_corpus(counted)}\n{device_notice(resolved.device)}", quiet
                ),
                on_notice=lambda line: notice(line, quiet),
                listener=listener,
                began=began,
                engine=engine,
            )
        notice(describe_fit(run), quiet)
        notice(run.health.line(), quiet and not (strict and not run.health.fit_for_use))
        if stable := describe_stability(run):
            notice(stable, quiet)
        show_topics(run, top, examples)
        show_scores(run)
        typer.echo(f"wrote {target}")
        if run.interrupted:
            notice(
                "topicnet: interrupted; the best so far is kept, marked interrupted in run.json; the same command with"
                " --resume goes on"
            )
            return KEPT
        return COLLAPSED if strict and not run.health.fit_for_use else None

    with distributed() as world:
        if world is not None and resolved.corpus == "-":
            raise InputError(f"- given to {world.size} processes, expected something each can read: write it to a file")
        if world is None or world.is_rank_zero:
            with engine_of(resolved, world is not None) as chosen:
                outcome = fit_and_tell(chosen)
        else:
            interrupted, fit_for_use = follow_fit(resolved)
            outcome = KEPT if interrupted else COLLAPSED if strict and not fit_for_use else None
        if world is not None and outcome is not None:
            world.wait()  # torchrun stops all processes as soon as one ends with another status than 0
        return outcome


@app.command()
def topics(
    run: RunArgument,
    top: TopOption = 10,
    as_json: AsJson = False,
) -> None:
    """Print each topic's top words."""
    from topicnet.cli.printing.topics import show_topics, topics_json
    from topicnet.workflows.run import load

    loaded = load(run)
    if as_json:
        typer.echo(topics_json(loaded, top))
    else:
        show_topics(loaded, top, examples=0)


@app.command()
@takes(READING, COLUMNS, {"vocabulary": COUNTING["vocabulary"]})
def transform(
    run: RunArgument,
    documents: Annotated[list[str], typer.Argument(metavar="NEW_DOCUMENTS", help="As CORPUS of `fit`.")],
    out: Annotated[Path, typer.Option(help="File to write: .csv, .parquet or .npz.")],
    refine: Annotated[int, typer.Option(min=0, help="EM steps on theta after the encoder: better, slower.")] = 0,
    by_passage: Annotated[
        Path | None, typer.Option(help="File for the passages too, .csv or .parquet, of a model of --passages.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            parser=whole,
            metavar="INTEGER",
            help="Processes that cut the text into words.  [default: all cores, where it takes seconds]",
        ),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    *,
    given: dict[str, Any],
) -> None:
    """Write the topic proportions of new documents, one row each."""
    from topicnet.cli.printing.corpus import describe_corpus
    from topicnet.cli.printing.progress import notice
    from topicnet.workflows.config import read_config
    from topicnet.workflows.transform import transform_to_file

    config = read_config(None, given | {"corpus": one_or_several(documents)})
    corpus = transform_to_file(
        run,
        config,
        out,
        refine=refine,
        overwrite=overwrite,
        by_passage=by_passage,
        workers=workers,
        on_notice=lambda line: notice(line, quiet),
    )
    written = str(out) if by_passage is None else f"{out} and {by_passage}"
    notice(f"{describe_corpus(corpus)}; wrote {written}", quiet)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder of `topicnet fit`, or counts of `prepare`.")],
    doc_topic: Annotated[Path | None, typer.Option(help="File for the document-topic table.")] = None,
    topic_word: Annotated[Path | None, typer.Option(help="File for the topic-word table.")] = None,
    doc_component: Annotated[Path | None, typer.Option(help="File for the document-component table (gmntm).")] = None,
    component_word: Annotated[Path | None, typer.Option(help="File for the component-word table (gmntm).")] = None,
    counts: Annotated[
        Path | None, typer.Option(help="File for the counts, .ldac or .mm; their words go beside it, as .vocab.")
    ] = None,
    file_format: Annotated[
        str | None, typer.Option("--format", help="csv, parquet, npz, ldac or mm.  [default: by the file's ending]")
    ] = None,
    top: Annotated[int, typer.Option(min=0, help="Words of each topic in the table; 0 for all.")] = 50,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Write the tables of a run as CSV, Parquet or NPZ, and its counts as LDA-C or Matrix Market."""
    from topicnet.cli.printing.progress import notice
    from topicnet.workflows.export import export_tables

    targets = {
        "doc-topic": doc_topic, "topic-word": topic_word, "doc-component": doc_component,
        "component-word": component_word, "counts": counts,
    }  # fmt: skip
    for line in export_tables(run, targets, file_format, top, overwrite=overwrite):
        notice(line, quiet)


@app.command()
def corpora(
    as_json: AsJson = False,
) -> None:
    """List the named corpora."""
    from dataclasses import asdict

    from topicnet.storage.formats import json_text
    from topicnet.text.readers.named_corpora import recipes

    found = recipes().values()
    if as_json:
        typer.echo(json_text({"corpora": [asdict(recipe) for recipe in found]}))
        return
    for recipe in found:
        origin = "downloaded when first named" if recipe.download else "no download"
        typer.echo(f"{recipe.name:16} {recipe.documents:7,} documents, {recipe.language}, {origin}: {recipe.title}")


def one_or_several(corpus: list[str] | None) -> str | list[str] | None:
    """A corpus as a configuration has it: one name, or a list where there are several."""
    return corpus[0] if corpus is not None and len(corpus) == 1 else corpus


def named_values(given: list[str]) -> dict[str, object]:
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
