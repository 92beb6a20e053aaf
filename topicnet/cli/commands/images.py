"""Commands `topicnet images ...`, with imports inside the functions so that help is quick."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from topicnet.cli import KEPT
from topicnet.cli.app import Command, Commands, app
from topicnet.cli.options.images import (
    FITTING,
    Category,
    Components,
    FromPrior,
    Importance,
    Information,
    Label,
    MeanImage,
    ResultFile,
    RunArgument,
    RunArguments,
    Seed,
    TestSource,
)
from topicnet.cli.options.shared import AsJson, Overwrite, Quiet, named_path, named_values, names_in, takes
from topicnet.cli.printing.output import echo
from topicnet.runtime.logs import notices

images = typer.Typer(help="Fit and inspect variational autoencoders of images.", cls=Commands, rich_markup_mode=None)
app.add_typer(images, name="images")


@images.callback(invoke_without_command=True)
def root(context: typer.Context) -> None:
    """Fit and inspect variational autoencoders of images."""
    if context.invoked_subcommand is None:
        echo(context.get_help(), block=True)


def _configured(given: dict[str, Any], **further: Any) -> Any:
    from topicnet.images.workflows.config import read_config

    named = named_values(given.pop("parameters") or [], "noise=0.2")
    return read_config(given.pop("config"), given | further | {"parameters": named})


@images.command(cls=Command)
@takes(FITTING)
def fit(
    variant: Annotated[
        str | None, typer.Option(help="Fit this variant of `topicnet images variants`.  [default: vae]")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=named_path, metavar="PATH", help="Write the run to this folder.  [default: runs/NAME-VARIANT]"
        ),
    ] = None,
    overwrite: Overwrite = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted fit, given the same options.")
    ] = False,
    quiet: Quiet = False,
    *,
    given: dict[str, Any],
) -> str | None:
    """Fit an image model and write a run folder with pictures."""
    began = time.perf_counter()
    config_file = given["config"]
    config = _configured(given, variant=variant)
    from topicnet.images.workflows.preflight import check_fit
    from topicnet.storage.run_folder import Destination

    destination = Destination(out, overwrite, resume)
    check_fit(config, destination, config_file)  # input errors are reported before imports that take seconds
    from topicnet.cli.printing.fits import RESUMABLE, ending_line
    from topicnet.cli.printing.image_scores import show_metrics
    from topicnet.cli.printing.progress import notice, show_progress
    from topicnet.images.workflows.fit import fit_to_folder

    with show_progress(quiet, began) as reporter:
        run, target = fit_to_folder(config, destination, reporter)
    if run.left_out is not None:
        notice(f"some pictures were not drawn: {run.left_out}")
    notice(ending_line(run.record["fit"], "validation images"), quiet)
    notices.info("wrote %s", target)
    show_metrics(run)
    echo(f"wrote {target}")
    if run.interrupted:
        notice(RESUMABLE)
        return KEPT
    return None


@images.command(cls=Command)
def sample(
    run: RunArgument,
    n: Annotated[int, typer.Option("-n", min=1, max=100_000, help="Draw this many samples.")] = 64,
    category: Category = None,
    label: Label = None,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=named_path, metavar="PATH", help="Write pictures and a table to this folder.  [default: RUN-samples]"
        ),
    ] = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the samples as one JSON document.")] = False,
) -> None:
    """Draw new images and a gallery of each category.

    An image is the mean of its likelihood; vectors are drawn from it.
    """
    folder = out if out is not None or as_json else _sibling(run, "samples")
    if folder is not None:
        _check_folder(run, folder, "samples.csv", overwrite)
    from topicnet.cli.printing.progress import notice
    from topicnet.images.workflows.fit import load_run
    from topicnet.images.workflows.views import (
        sample_galleries,
        samples,
        samples_picture,
        samples_table,
        unused_category_notice,
    )
    from topicnet.storage.formats import json_text

    loaded = load_run(run)
    drawn = samples(loaded, n, category, label, seed)
    if doubt := unused_category_notice(loaded, category):
        notice(doubt)
    if folder is not None:
        title = f"{n} samples of {loaded.model.variant}"
        picture = folder / ("samples.png" if loaded.shape is not None else "histogram.png")
        contents = {picture: samples_picture(drawn, loaded.shape, title), folder / "samples.csv": samples_table(drawn)}
        if category is None and label is None:
            contents |= {folder / name: png for name, png in sample_galleries(loaded, seed)}
        _write(contents, overwrite, report=not as_json)
    if as_json:
        header = {"run": str(run), "n": n, "category": category, "label": label, "seed": seed, "shape": loaded.shape}
        echo(json_text(header | {"samples": drawn.tolist()}), block=True)


@images.command(cls=Command)
def reconstruct(
    run: RunArgument,
    n: Annotated[int, typer.Option("-n", min=1, help="Draw this many test images, starting with the first.")] = 16,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=named_path, metavar="PATH", help="Write the picture to this folder.  [default: RUN-reconstructions]"
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw test images above their reconstructions."""
    folder = out if out is not None else _sibling(run, "reconstructions")
    _check_folder(run, folder, None, overwrite)
    from topicnet.images.workflows.fit import load_run
    from topicnet.images.workflows.views import reconstructions, reconstructions_picture

    loaded = load_run(run)
    data = loaded.images()
    given, back = reconstructions(loaded, data, n)
    picture = folder / ("reconstructions.png" if loaded.shape is not None else "histogram.png")
    title = f"{data.name}: {loaded.model.variant}"
    _write({picture: reconstructions_picture(given, back, loaded.shape, title)}, overwrite)
    error = ((given - back) ** 2).mean()
    echo(f"{len(given)} test images, mean squared error {error:.5f} per pixel")


@images.command(cls=Command)
def traverse(
    run: RunArgument,
    dims: Annotated[str, typer.Option(help="Vary these latent dimensions, separated by commas and counted from 0.")],
    image: Annotated[
        int | None, typer.Option(help="Start from this test image, counted from 0.  [default: the prior mean]")
    ] = None,
    span: Annotated[float, typer.Option(help="Vary by this many standard deviations of the prior to each side.")] = 3.0,
    steps: Annotated[int, typer.Option(help="Draw this many images per row.")] = 9,
    category: Annotated[
        int | None, typer.Option(help="Hold this category.  [default: the image's, or the most used one]")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=named_path, metavar="PATH", help="Write the picture to this folder.  [default: RUN-traversals]"
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw images while one latent dimension varies.

    Each row varies one dimension and holds all others.
    """
    folder = out if out is not None else _sibling(run, "traversals")
    _check_folder(run, folder, "traversal.png", overwrite)
    from topicnet.images.workflows.fit import load_run
    from topicnet.images.workflows.views import check_category, image_of, read_dims
    from topicnet.images.workflows.views import traverse as traverse_model

    loaded = load_run(run)
    numbers = read_dims(dims, loaded.model.network_.latents.latent_dim)
    check_category(loaded.model, category)
    start = None if image is None else image_of(loaded.images(), image)
    moved = traverse_model(loaded.model, numbers, image=start, span=span, steps=steps, category=category)
    title = f"{loaded.model.variant}: decoded, as one dimension moves"
    _write({folder / "traversal.png": moved.picture(loaded.shape, title)}, overwrite)
    if moved.category is not None:
        echo(f"category {moved.category} is held")


@images.command(cls=Command)
def evaluate(
    run: RunArgument,
    data: TestSource = None,
    importance: Importance = 500,
    information: Information = False,
    components: Components = None,
    from_prior: FromPrior = False,
    mean_image: MeanImage = False,
    seed: Seed = 0,
    device: Annotated[str, typer.Option(help="Run on this device: auto, cpu, cuda or cuda:N.")] = "auto",
    out: ResultFile = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Score a run on test images.

    The scores are the bound, the likelihood, and measures of codes, categories, prior and samples.
    """
    from topicnet.images.workflows.preflight import check_information, check_outputs, check_source
    from topicnet.runtime.device_names import check_device_name
    from topicnet.storage.atomic import atomic_file, probe_file
    from topicnet.storage.formats import json_text, write_json

    check_device_name(device)
    further = {"components": components, "from-prior": from_prior, "mean-image": mean_image}
    check_information(further, wanted=information)
    if data is not None:
        check_source(data)
    check_outputs(run, [out], data)
    if out is not None:
        probe_file(out, overwrite=overwrite, recognised=True)
    from topicnet.cli.printing.image_scores import show_evaluation
    from topicnet.images.evaluation.evaluate import evaluate as evaluate_model
    from topicnet.images.workflows.fit import load_run
    from topicnet.runtime.devices import choose_device

    chosen = choose_device(device)
    loaded = load_run(run)
    tested = loaded.images(data)
    loaded.model.network_.to(chosen)
    found: dict[str, Any] = {"run": str(run), "variant": loaded.model.variant, "seed": seed}
    if information:  # first, as components may be refused
        from topicnet.images.evaluation.information import information_bound

        found["information"] = information_bound(
            loaded.model,
            tested,
            components=components,
            drawn_from="prior" if from_prior else None,
            image="mean" if mean_image else "draw",
            seed=seed,
        )
    found |= evaluate_model(loaded.model, tested, n_importance=importance, seed=seed)
    if out is not None:
        with atomic_file(out, overwrite=overwrite) as part:
            write_json(part, found)
        notices.info("wrote %s", out)
    if as_json:
        echo(json_text(found), block=True)
    else:
        show_evaluation(found)


@images.command(cls=Command)
def information(
    runs: RunArguments,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=named_path,
            metavar="PATH",
            help="Write the picture and its table to this folder.  [default: RUN-information, of the first run]",
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw the information of decoded images about the code over the epochs of one or several fits.

    The runs were fitted with `--information-every`, for instance with `--param lambda=0` and without.
    """
    from topicnet.images.workflows.preflight import check_outputs
    from topicnet.runtime.extras import check_installed
    from topicnet.storage.loose_files import check_files

    folder = out if out is not None else _sibling(runs[0], "information")
    check_installed("a chart", ["matplotlib"])
    for run in runs:
        check_outputs(run, [folder])
    check_files([folder / "information.png", folder / "information.csv"], overwrite=overwrite)
    from topicnet.images.workflows.information import information_chart, read_tracked, table_of

    tracked = [read_tracked(run) for run in runs]
    picture = information_chart(tracked, "information of decoded images: bound, 95 % interval")
    _write({folder / "information.png": picture, folder / "information.csv": table_of(tracked)}, overwrite)
    for one in tracked:
        epoch, bound, low, high, entropy = one.table[:, -1]
        echo(f"{one.name}: {bound:.3f} nats ({low:.3f} to {high:.3f}) after epoch {epoch:.0f}, entropy {entropy:.3f}")


@images.command(cls=Command)
@takes(FITTING)
def compare(
    variants: Annotated[
        str, typer.Option(help="Compare these variants of `topicnet images variants`, separated by commas.")
    ],
    seeds: Annotated[int, typer.Option(min=1, help="Fit each variant with this many seeds.")] = 1,
    importance: Importance = 500,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=named_path,
            metavar="PATH",
            help="Write compare.csv and compare.json to this folder.  [default: not written]",
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    *,
    given: dict[str, Any],
) -> str | None:
    """Compare variants by the scores of fits to the same images."""
    config_file = given["config"]
    config = _configured(given)
    from topicnet.images.workflows.preflight import check_comparison
    from topicnet.storage.formats import json_text, write_json, write_text
    from topicnet.storage.loose_files import check_files, write_files

    names = [] if out is None else [out / "compare.csv", out / "compare.json"]
    check_comparison(config, names_in(variants), out, config_file)
    check_files(names, overwrite=overwrite)
    from topicnet.cli.printing.image_scores import print_comparison
    from topicnet.cli.printing.progress import notice, reporter_of, show_progress
    from topicnet.images.workflows.comparison import compare as compare_variants
    from topicnet.storage.comparison import csv_of

    found = compare_variants(
        config,
        names_in(variants),
        seeds,
        n_importance=importance,
        reporter=reporter_of(quiet),
        progress=lambda: show_progress(quiet),
    )
    if out is not None:
        table, record = csv_of(found.rows, "variant"), found.record()
        writers = (lambda part: write_text(part, table), lambda part: write_json(part, record))
        write_files(dict(zip(names, writers, strict=True)), overwrite=overwrite)
        notices.info("wrote %s", out)
    if as_json:
        echo(json_text(found.record()), block=True)
    else:
        print_comparison(found)
        if out is not None:
            echo(f"wrote {out}")
    if found.status == "interrupted":
        notice("topicnet: interrupted; the table shows the finished fits")
        return KEPT
    return None


@images.command(cls=Command)
def variants(as_json: AsJson = False) -> None:
    """List the variants of image models and their parameters."""
    from topicnet.cli.printing.image_scores import show_variants, variants_record
    from topicnet.storage.formats import json_text

    if as_json:
        echo(json_text(variants_record()), block=True)
    else:
        show_variants()


def _sibling(run: Path, what: str) -> Path:
    """Return the default folder for pictures of a run, next to it, so that the run itself stays unchanged."""
    named = run if run.name not in ("", "..") else run.resolve()
    return named.with_name(f"{named.name}-{what}")


def _check_folder(run: Path, folder: Path, name: str | None, overwrite: bool) -> None:
    """Check that a folder of pictures is outside the run, and that its file of this name may be written."""
    from topicnet.images.workflows.preflight import check_drawing, check_outputs
    from topicnet.storage.loose_files import check_files

    check_drawing(run)
    check_outputs(run, [folder])
    check_files([] if name is None else [folder / name], overwrite=overwrite)


def _write(contents: dict[Path, Any], overwrite: bool, report: bool = True) -> None:
    """Write pictures and tables atomically; if one exists already, write none."""
    from functools import partial

    from topicnet.storage.formats import write_bytes, write_table
    from topicnet.storage.loose_files import write_files

    writers = {
        path: partial(write_bytes, content=one) if isinstance(one, bytes) else partial(write_table, table=one)
        for path, one in contents.items()
    }
    write_files(writers, overwrite=overwrite)
    for path in contents:
        notices.info("wrote %s", path)
        if report:
            echo(f"wrote {path}")
