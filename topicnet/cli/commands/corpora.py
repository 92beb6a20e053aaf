"""Commands for corpora: `corpora`, `prepare` and `words`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from topicnet.cli.app import Command, app
from topicnet.cli.options.shared import AsJson, Overwrite, Quiet, group, named_path, one_or_several, takes
from topicnet.cli.options.text import COLUMNS, COUNTING, READING, CorpusArgument
from topicnet.cli.printing.output import echo

KEEP_HELP = "Store only these of the other columns, separated by commas.  [default: all]"
STORED = group("Corpus", {"keep_columns": Annotated[str | None, typer.Option(help=KEEP_HELP)]})


@app.command(cls=Command)
def corpora(as_json: AsJson = False) -> None:
    """List the named corpora."""
    from dataclasses import asdict

    from topicnet.storage.formats import json_text
    from topicnet.text.readers.named_corpora import recipes

    found = recipes().values()
    if as_json:
        echo(json_text({"corpora": [asdict(recipe) for recipe in found]}), block=True)
        return
    for recipe in found:
        origin = "downloaded on first use" if recipe.download else "no download"
        echo(f"{recipe.name:16} {recipe.documents:7,} documents, {recipe.language}, {origin}: {recipe.title}")


@app.command(cls=Command)
@takes(READING, COLUMNS.only("label_column", "time_column"), STORED, COUNTING)
def prepare(
    corpus: CorpusArgument,
    out: Annotated[Path, typer.Option(parser=named_path, metavar="PATH", help="Write the counts to this folder.")],
    reference: Annotated[
        bool, typer.Option("--reference", help="Keep every word, for `evaluate --reference`.")
    ] = False,
    keep_texts: Annotated[bool | None, typer.Option("--keep-texts", help="Save the texts with the counts.")] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    *,
    given: dict[str, Any],
) -> None:
    """Count a corpus of any size once, for `fit` and other commands."""
    from topicnet.cli.printing.progress import notice, reporter_of
    from topicnet.workflows.config import read_config
    from topicnet.workflows.prepare import prepare as prepare_counts
    from topicnet.workflows.prepare import prepare_reference

    config = read_config(None, given | {"corpus": one_or_several(corpus), "keep_texts": keep_texts})
    count = prepare_reference if reference else prepare_counts
    counted = count(config, out, reporter_of(quiet), overwrite=overwrite)
    notice(f"{counted.summary()}; wrote {out}", quiet)


@app.command(cls=Command)
def words(
    counts: Annotated[Path, typer.Argument(metavar="COUNTS", help="Counts of `topicnet prepare`, or a run folder.")],
    top: Annotated[int, typer.Option("--top", min=1, help="Suggest this many words.")] = 30,
    lines: Annotated[int, typer.Option(min=0, help="Show this many repeated lines.")] = 10,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=named_path, metavar="PATH", help="Write the words to this file, one per line, for editing."
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Suggest words that may be boilerplate, with the evidence.

    Such words occur in many documents and carry little information about them.
    """
    from topicnet.cli.printing.progress import notice
    from topicnet.cli.printing.words import records, show_words, write_words
    from topicnet.storage.atomic import probe_file
    from topicnet.storage.formats import json_text
    from topicnet.storage.overlap import check_apart
    from topicnet.text.boilerplate import suggest
    from topicnet.text.repeated_lines import repeated_lines
    from topicnet.workflows.corpus import counts_of

    check_apart([out], [("the counts", counts)])
    if out is not None:
        probe_file(out, overwrite=overwrite)
    corpus = counts_of(counts)
    ordered = corpus.source.get("reading_order", True)
    if not ordered:
        notice("another tool made these counts, without the order of the words: repeated lines cannot be found")
    found, repeated = suggest(corpus, top), repeated_lines(corpus, lines) if lines and ordered else []
    if out is not None:  # before printing, which ends the command once the reader closes the pipe
        write_words(found, out, overwrite=overwrite)
    if as_json:
        echo(json_text(records(found, repeated)), block=True)
    else:
        show_words(found, repeated)
