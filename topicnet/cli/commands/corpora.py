"""The commands about a corpus: prepare and words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from topicnet.cli.app import AsJson, CorpusArgument, Overwrite, Quiet, app, one_or_several  # the commands join it
from topicnet.cli.options.text import COLUMNS, COUNTING, READING, takes

KEEP_HELP = "Of the other columns, store these alone, with commas between.  [default: all]"
STORED = {name: COLUMNS[name] for name in ("label_column", "time_column")} | {
    "keep_columns": Annotated[str | None, typer.Option(help=KEEP_HELP)]
}


@app.command()
@takes(READING, STORED, COUNTING)
def prepare(
    corpus: CorpusArgument,
    out: Annotated[Path, typer.Option(help="Folder to write the counts to.")],
    reference: Annotated[
        bool, typer.Option("--reference", help="Keep every word, for `evaluate --reference`.")
    ] = False,
    keep_texts: Annotated[bool | None, typer.Option("--keep-texts", help="Save the texts with the counts.")] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    *,
    given: dict[str, Any],
) -> None:
    """Count a corpus once, for `fit` and later commands; it may be larger than memory."""
    from topicnet.cli.printing.corpus import describe_corpus
    from topicnet.cli.printing.progress import notice
    from topicnet.workflows.config import read_config
    from topicnet.workflows.prepare import prepare as prepare_counts
    from topicnet.workflows.prepare import prepare_reference

    config = read_config(None, given | {"corpus": one_or_several(corpus), "keep_texts": keep_texts})
    count = prepare_reference if reference else prepare_counts
    counted = count(config, out, overwrite=overwrite, on_notice=lambda line: notice(line, quiet))
    notice(f"{describe_corpus(counted)}; wrote {out}", quiet)


@app.command()
def words(
    counts: Annotated[Path, typer.Argument(metavar="COUNTS", help="Counts of `topicnet prepare`, or a run folder.")],
    top: Annotated[int, typer.Option("--top", min=1, help="Words to suggest.")] = 30,
    lines: Annotated[int, typer.Option(min=0, help="Repeated lines to show.")] = 10,
    out: Annotated[Path | None, typer.Option(help="File for the words alone, one a line, to look through.")] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Suggest words that may be boilerplate, with the evidence: in many documents, and little said by them."""
    from topicnet.cli.printing.progress import notice
    from topicnet.cli.printing.words import records, show_words, write_words
    from topicnet.storage.atomic import refuse_existing
    from topicnet.storage.formats import json_text
    from topicnet.text.boilerplate import suggest
    from topicnet.text.repeated_lines import repeated_lines
    from topicnet.workflows.corpus import counts_of

    if out is not None and not overwrite:
        refuse_existing(out)
    corpus = counts_of(counts)
    ordered = corpus.source.get("reading_order", True)
    if not ordered:
        notice("another tool made these counts: nothing is known of where words stand, nor of lines that come again")
    found, repeated = suggest(corpus, top), repeated_lines(corpus, lines) if lines and ordered else []
    if as_json:
        typer.echo(json_text(records(found, repeated)))
    else:
        show_words(found, repeated)
    if out is not None:
        write_words(found, out, overwrite=overwrite)
