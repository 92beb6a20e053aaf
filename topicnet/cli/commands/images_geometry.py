"""Commands `topicnet images geodesic` and `topicnet images grid`, with imports inside the functions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from topicnet.cli.app import Command
from topicnet.cli.commands.images import _check_folder, _sibling, _write, images
from topicnet.cli.options.images import RunArgument, Seed
from topicnet.cli.options.shared import AsJson, Overwrite, named_path, whole
from topicnet.cli.printing.output import echo

Start = Annotated[int, typer.Option("--from", parser=whole, metavar="INTEGER", help="Start at this image.")]
End = Annotated[int, typer.Option("--to", parser=whole, metavar="INTEGER", help="End at this image.")]
Split = Annotated[str, typer.Option("--set", help="Take both images from this split: test, validation or train.")]
MetricName = Annotated[
    str, typer.Option(help="Measure lengths by this metric of the decoder: expected, pullback or fisher-rao.")
]
Method = Annotated[
    str, typer.Option(help="Find the path by this method: refined, energy, spline, bvp, graph or shooting.")
]
FirstHeld = Annotated[
    int | None,
    typer.Option(
        parser=whole, metavar="INTEGER", help="Hold this category.  [default: the most probable one of --from]"
    ),
]
GeodesicOut = Annotated[
    Path | None,
    typer.Option(
        parser=named_path,
        metavar="PATH",
        help="Write the picture to this .png file, or the picture and a table to this folder."
        "  [default: RUN-geodesics]",
    ),
]
Other = Annotated[
    int | None,
    typer.Option(
        parser=whole,
        metavar="INTEGER",
        help="Take the other components from this test image, counted from 0.  [default: the prior mean]",
    ),
]
Span = Annotated[
    float | None,
    typer.Option(
        help="Space the values evenly over this many standard deviations of the prior to each side."
        "  [default: quantiles of the prior]"
    ),
]
Held = Annotated[
    int | None,
    typer.Option(
        parser=whole, metavar="INTEGER", help="Hold this category.  [default: the image's, or the most used one]"
    ),
]
GridOut = Annotated[
    Path | None,
    typer.Option(
        parser=named_path,
        metavar="PATH",
        help="Write the picture to this .png file or to this folder.  [default: RUN-grids]",
    ),
]


@images.command(cls=Command)
def geodesic(
    run: RunArgument,
    start: Start,
    end: End,
    split: Split = "test",
    metric: MetricName = "expected",
    method: Method = "refined",
    points: Annotated[int, typer.Option(help="Draw this many images along each path.")] = 11,
    segments: Annotated[int, typer.Option(help="Divide the path into this many segments.")] = 100,
    category: FirstHeld = None,
    seed: Seed = 0,
    out: GeodesicOut = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Draw the geodesic between two images, and the images along it.

    Images are numbered as in codes.csv. The path is drawn over the latent space, next to the straight line.
    """
    from topicnet.images.geometry.choices import METHODS, METRICS, SPLITS, check_choice

    for name, value, known in (("set", split, SPLITS), ("metric", metric, METRICS), ("method", method, METHODS)):
        check_choice(f"--{name} ", value, known)
    one_file = out is not None and out.suffix.lower() == ".png"
    stem = f"geodesic-{split}-{start}-{end}"
    folder = out if out is not None or as_json else _sibling(run, "geodesics")
    files: list[Path] = []
    if folder is not None:
        files = [folder] if one_file else [folder / f"{stem}.png", folder / f"{stem}.csv"]
    _check_files(run, files, overwrite)
    from topicnet.images.geometry.path_view import geodesic_of_run
    from topicnet.images.workflows.fit import load_run
    from topicnet.storage.formats import json_text

    loaded = load_run(run)
    found = geodesic_of_run(
        loaded,
        loaded.images(),
        start,
        end,
        split=split,
        metric=metric,
        method=method,
        n_segments=segments,
        n_points=points,
        category=category,
        seed=seed,
    )
    if as_json:
        if files:
            _write({path: _content(found, path) for path in files}, overwrite, report=False)
        echo(json_text(found.record(run)), block=True)
        return
    for line in found.summary():
        echo(line)
    _write({path: _content(found, path) for path in files}, overwrite)


@images.command(cls=Command)
def grid(
    run: RunArgument,
    dims: Annotated[str, typer.Option(help="Vary these two latent components, along x and y, counted from 0.")] = "0,1",
    image: Other = None,
    steps: Annotated[int, typer.Option(help="Decode this many images along each axis.")] = 20,
    span: Span = None,
    category: Held = None,
    out: GridOut = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw images over a grid of two latent components.

    All other components are held. Without --span, values are quantiles of the prior.
    """
    file = out if out is not None and out.suffix.lower() == ".png" else None
    if file is None:
        folder = out if out is not None else _sibling(run, "grids")
        file = folder / f"grid-{dims.replace(' ', '').replace(',', '-').replace('/', '-')}.png"
    _check_files(run, [file], overwrite)
    from topicnet.errors import InputError
    from topicnet.images.geometry.grids import latent_grid
    from topicnet.images.workflows.fit import load_run
    from topicnet.images.workflows.views import image_of, read_dims

    loaded = load_run(run)
    n_dims = loaded.model.network_.latents.latent_dim
    if n_dims < 2:
        raise InputError("the model has one latent dimension, expected two or more: use traverse instead")
    pair = read_dims(dims, n_dims)
    if len(pair) != 2:
        raise InputError(f"--dims {dims!r} given, expected two dimensions, such as 0,1")
    other = None if image is None else image_of(loaded.images(), image)
    found = latent_grid(loaded.model, (pair[0], pair[1]), image=other, steps=steps, span=span, category=category)
    held = f", category {found.category}" if found.category is not None else ""
    spacing = "quantiles of the prior" if found.quantiles else "evenly spaced values"
    title = f"{loaded.model.variant}: decoded over {spacing}{held}"
    _write({file: found.picture(loaded.shape, title)}, overwrite)


def _content(found: object, path: Path) -> object:
    from topicnet.images.geometry.path_view import RunGeodesic

    assert isinstance(found, RunGeodesic)
    return found.picture() if path.suffix.lower() == ".png" else found.table()


def _check_files(run: Path, files: list[Path], overwrite: bool) -> None:
    """Check that the files lie outside the run and may be written, and that matplotlib is installed."""
    from topicnet.runtime.extras import check_installed
    from topicnet.storage.loose_files import check_files

    if not files:
        return
    check_installed("a chart", ["matplotlib"])
    _check_folder(run, files[0], None, overwrite)
    check_files(files, overwrite=overwrite)
