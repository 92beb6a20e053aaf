"""Commands for a finished run: `topics`, `transform` and `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from topicnet.cli.app import Command, app
from topicnet.cli.options.shared import (
    AsJson,
    Overwrite,
    Quiet,
    RunArgument,
    TopOption,
    group,
    integer,
    named_path,
    one_or_several,
    takes,
)
from topicnet.cli.options.text import COLUMNS, COUNTING, READING, TABLES
from topicnet.cli.printing.output import echo

WORKERS = group(
    "Text", {"workers": integer("Tokenise in this many processes.  [default: all cores if it takes seconds]")}
)


@app.command(cls=Command)
def topics(
    run: RunArgument,
    top: TopOption = 10,
    as_json: AsJson = False,
    tree: Annotated[bool, typer.Option("--tree", help="Draw the tree of the topics by their distances.")] = False,
) -> None:
    """Print the top words of each topic."""
    from topicnet.cli.printing.topic_table import print_topics, topics_json
    from topicnet.workflows.topics import read_topics

    if tree:
        from topicnet.cli.printing.explore import print_tree, tree_json
        from topicnet.explore.tree import topic_tree
        from topicnet.workflows.run import load

        loaded = load(run)
        found = topic_tree(loaded)
        if as_json:
            echo(tree_json(found, loaded.topic_table(top)), block=True)
        else:
            print_tree(found, loaded.topic_table(top))
        return
    table = read_topics(run, top)
    if table is None:
        from topicnet.workflows.run import load

        table = load(run).topic_table(top)
    if as_json:
        echo(topics_json(table), block=True)
    else:
        print_topics(table)


@app.command(cls=Command)
@takes(READING, COLUMNS, COUNTING.only("vocabulary"), WORKERS)
def transform(
    run: RunArgument,
    documents: Annotated[
        list[str], typer.Argument(metavar="NEW_DOCUMENTS", help="Documents, in any form that CORPUS of `fit` can have.")
    ],
    out: Annotated[
        Path, typer.Option(parser=named_path, metavar="PATH", help="Write to this file: .csv, .parquet or .npz.")
    ],
    refine: Annotated[int, typer.Option(min=0, help="Improve theta by this many EM steps, which take time.")] = 0,
    by_passage: Annotated[
        Path | None,
        typer.Option(
            parser=named_path,
            metavar="PATH",
            help="Write theta of each passage to this .csv or .parquet, for models fitted with --passages.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    *,
    given: dict[str, Any],
) -> None:
    """Write the topic proportions of new documents to a file."""
    from topicnet.cli.printing.progress import notice, reporter_of
    from topicnet.workflows.config import read_config
    from topicnet.workflows.transform import transform_to_file

    workers = given.pop("workers")
    config = read_config(None, given | {"corpus": one_or_several(documents)})
    corpus = transform_to_file(
        run,
        config,
        out,
        refine=refine,
        overwrite=overwrite,
        by_passage=by_passage,
        workers=workers,
        reporter=reporter_of(quiet),
    )
    written = str(out) if by_passage is None else f"{out} and {by_passage}"
    notice(f"{corpus.summary()}; wrote {written}", quiet)


@app.command(cls=Command)
@takes(TABLES)
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of `topicnet fit`, or counts of `prepare`.")],
    file_format: Annotated[
        str | None, typer.Option("--format", help="Format: csv, parquet, npz, ldac or mm.  [default: by file ending]")
    ] = None,
    top: Annotated[int, typer.Option(min=0, help="Write this many words of each topic; 0 for all.")] = 50,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    *,
    given: dict[str, Any],
) -> None:
    """Write the tables and counts of a run in other formats.

    Tables are written as CSV, Parquet or NPZ, counts as LDA-C or Matrix Market.
    """
    from topicnet.cli.printing.progress import notice
    from topicnet.workflows.export import export_tables

    targets = {name.replace("_", "-"): path for name, path in given.items()}
    for line in export_tables(run, targets, file_format, top, overwrite=overwrite):
        notice(line, quiet)
