"""Commands that explore the documents of a finished run: `neighbours` and `path`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from topicnet.cli.app import Command, app
from topicnet.cli.options.shared import AsJson, Overwrite, RunArgument, named_path
from topicnet.cli.printing.output import echo

DOCUMENT = "id, or row number from 0"


@app.command(
    cls=Command,
    epilog="""
    topicnet neighbours runs/news-etm-20 --to sci.space/59905
    topicnet neighbours runs/news-etm-20 --to 7 --metric transport --top 5
    """,
)
def neighbours(
    run: RunArgument,
    to: Annotated[str, typer.Option(metavar="DOC", help=f"Document whose neighbours are wanted: {DOCUMENT}.")],
    metric: Annotated[
        str, typer.Option(help="Distance of topic proportions: cosine, hellinger, geodesic or transport.")
    ] = "cosine",
    top: Annotated[int, typer.Option(min=1, help="Show this many documents.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Print the documents nearest to a document.

    Cosine and Hellinger compare topic proportions alone. Geodesic and transport also know how far the topics are apart.
    """
    from topicnet.cli.printing.explore import neighbours_json, print_neighbours
    from topicnet.explore.distances import DOCUMENT_METRICS
    from topicnet.explore.documents import documents_of, read_documents
    from topicnet.explore.neighbours import NEEDS_MODEL, nearest_documents

    if metric not in DOCUMENT_METRICS:
        raise typer.BadParameter(f"--metric {metric} given, expected one of {', '.join(DOCUMENT_METRICS)}")
    loaded = None
    if metric in NEEDS_MODEL:  # the decoder and its word vectors, for which torch has to be imported
        from topicnet.workflows.run import load

        loaded = load(run)
    documents = read_documents(run) if loaded is None else documents_of(loaded)
    found = nearest_documents(documents, to, metric, top, loaded)
    row = documents.row_of(to)
    if as_json:
        echo(neighbours_json(documents, row, metric, found), block=True)
    else:
        print_neighbours(documents, row, metric, found)


@app.command(
    cls=Command,
    epilog="""
    topicnet path runs/news-etm-20 --from rec.autos/102764 --to sci.space/59905
    topicnet path runs/news-etm-20 --from 3 --to 4000 --steps 11 --out path.csv
    """,
)
def path(
    run: RunArgument,
    start: Annotated[str, typer.Option("--from", metavar="DOC", help=f"Document at the start: {DOCUMENT}.")],
    end: Annotated[str, typer.Option("--to", metavar="DOC", help=f"Document at the end: {DOCUMENT}.")],
    steps: Annotated[int, typer.Option(min=3, max=200, help="Show this many points, with both ends.")] = 7,
    out: Annotated[
        Path | None,
        typer.Option(parser=named_path, metavar="PATH", help="Also write the steps to this .csv or .parquet file."),
    ] = None,
    as_json: AsJson = False,
    overwrite: Overwrite = False,
) -> None:
    """Print the documents and words met on the shortest path between two documents.

    The path runs among the mixtures of the topics, and is shortest under the Fisher-Rao metric of their words.
    """
    from topicnet.cli.printing.explore import path_json, print_path
    from topicnet.explore.path import check_output, write_path
    from topicnet.explore.path import path as find_path

    if out is not None:
        check_output(out, run, overwrite=overwrite)
    from topicnet.workflows.run import load  # the decoder, for which torch has to be imported

    loaded = load(run)
    found = find_path(loaded, start, end, steps)
    if out is not None:
        write_path(found, out, overwrite=overwrite)
    if as_json:
        echo(path_json(found), block=True)
    else:
        from topicnet.explore.documents import documents_of

        print_path(found, documents_of(loaded), loaded.top_words(3))
