"""Command `topicnet images draw`, with imports inside the function."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from topicnet.cli.app import Command
from topicnet.cli.commands.images import _sibling, _write, images
from topicnet.cli.options.images import RunArguments, Seed
from topicnet.cli.options.shared import Overwrite, named_path
from topicnet.cli.printing.output import echo

Picture = Annotated[
    str,
    typer.Option(
        help="Draw changed-categories (test images decoded with each c), category-probabilities (histograms of q(c|x)),"
        " label-categories (bars of q(c|label)), uniform-categories (samples with c from 1/K and from q(c)), samples"
        " (of each run, side by side) or density (of samples against the truth)."
    ),
]
Number = Annotated[
    int | None,
    typer.Option(
        "-n", help="Draw this many test images or samples of each run.  [default: 10 images, 64 or 20,000 samples]"
    ),
]
Top = Annotated[int | None, typer.Option(help="Draw this many categories.  [default: 20, or 10 of each label]")]
Columns = Annotated[
    int | None, typer.Option(help="Draw this many panels or blocks per row.  [default: by the picture]")
]
Out = Annotated[
    Path | None,
    typer.Option(
        parser=named_path,
        metavar="PATH",
        help="Write the picture to this .png file or to this folder.  [default: RUN-drawings, of the first run]",
    ),
]


@images.command(cls=Command)
def draw(
    runs: RunArguments,
    picture: Picture,
    n: Number = None,
    top: Top = None,
    columns: Columns = None,
    seed: Seed = 0,
    out: Out = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw categories, samples or densities of one or several runs.

    changed-categories and label-categories show one run, the others any number.
    """
    from topicnet.images.workflows.picture_names import check_picture

    library = check_picture(picture, len(runs), {"n": n, "top": top, "columns": columns}).library
    one_file = out is not None and out.suffix.lower() == ".png"
    folder = _sibling(runs[0], "drawings") if out is None else out
    file = folder if one_file else folder / f"{picture}.png"
    _check_file(runs, file, library, overwrite)
    from topicnet.images.workflows.drawings import DrawingOptions, NamedRun, draw_picture
    from topicnet.images.workflows.fit import load_run

    loaded = [NamedRun(run.resolve().name, load_run(run)) for run in runs]
    drawn = draw_picture(picture, loaded, DrawingOptions(n, top, columns, seed))
    for line in drawn.lines:
        echo(line)
    _write({file: drawn.png}, overwrite)


def _check_file(runs: list[Path], file: Path, library: str | None, overwrite: bool) -> None:
    """Check that the file is outside the runs and may be written, and that the library that draws it is installed."""
    from topicnet.images.workflows.preflight import check_drawing, check_outputs
    from topicnet.runtime.extras import check_installed
    from topicnet.storage.loose_files import check_files

    if library is None:
        check_drawing(runs[0])
    else:
        check_installed("a chart" if library == "matplotlib" else "a gallery of images", [library])
    for run in runs:
        check_outputs(run, [file])
    check_files([file], overwrite=overwrite)
