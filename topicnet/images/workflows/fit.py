"""Fitting of an image model to a run folder, and loading of a run folder.

::

    RUN/model/         the model (topicnet.images.workflows.storage)
        codes.csv      one row per image, with an encoder: image, split, label, category, z_0, ...
        categories.csv one row per category, with categories: category, q_c, label_0, ...
        history.csv    metrics.json    run.json
        pictures/      (topicnet.images.workflows.pictures)
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import torch

from topicnet.errors import InputError
from topicnet.images.data.load import ImageData, Shape, channels_of, load_images
from topicnet.images.model.estimator import ImageVAE
from topicnet.images.model.variants import variant_of
from topicnet.images.workflows.category_usage import FILE as CATEGORIES_FILE
from topicnet.images.workflows.category_usage import CategoryUsage, category_usage_of, read_category_usage
from topicnet.images.workflows.config import ImageConfig
from topicnet.images.workflows.pictures import pictures_of
from topicnet.images.workflows.preflight import run_name
from topicnet.images.workflows.record import metrics_of, record_of
from topicnet.images.workflows.storage import SavedModel, load_model, save_model
from topicnet.runtime.devices import choose_device, describe_device
from topicnet.runtime.interrupt import FitInterrupted, deferred_interrupt
from topicnet.runtime.reporter import Reporter
from topicnet.storage import atomic, formats
from topicnet.storage.run_folder import (
    RECORD,
    Destination,
    damaged,
    read_json,
    read_record,
    write_history,
    write_record,
)
from topicnet.training.resumable import unfinished_fit

SPLITS = ("train", "validation", "test")
# Options whose names differ from the estimator's parameters.
PARAMETERS = {"categories": "n_categories", "layers": "n_layers", "epochs": "max_epochs", "seed": "random_state"}


@dataclass(frozen=True, eq=False)
class ImageRun:
    """Fitted image model with its scores and its record.

    Attributes
    ----------
    model : ImageVAE
        The model.
    shape : (int, int), (int, int, 3) or None
        Height and width of an image, and 3 for colour; None for vectors.
    metrics : dict
        Content of metrics.json.
    record : dict
        Content of run.json.
    usage : CategoryUsage or None
        q(c) and q(c | label) over the training images; None without categories.
    left_out : str or None
        For a run just written, why some pictures were not drawn.
    """

    model: ImageVAE
    shape: Shape
    metrics: dict[str, Any]
    record: dict[str, Any]
    usage: CategoryUsage | None
    left_out: str | None = None

    @property
    def interrupted(self) -> bool:
        """True if Ctrl-C interrupted the fit."""
        return bool(self.record["status"] == "interrupted")

    def images(self, source: str | None = None) -> ImageData:
        """Read the images of the fit again, or other ones.

        Parameters
        ----------
        source : str, optional
            Another source of images.

        Raises
        ------
        InputError
            The images cannot be read, have another size or, without `source`, are not those of the fit.
        """
        recorded = self.record["data"]
        data = load_images(recorded["source"] if source is None else source)
        if data.n_pixels != self.model.n_features_in_:
            raise InputError(
                f"{data.name!r} holds images of {data.n_pixels} pixels, expected {self.model.n_features_in_} as in the"
                " fit: give images of that size"
            )
        if data.channels != channels_of(self.shape):
            kinds = ("gray", "in colour") if data.channels == 1 else ("in colour", "gray")
            raise InputError(
                f"{data.name!r} holds images {kinds[0]}, expected {kinds[1]} as in the fit: give such images"
            )
        if source is None and data.checksum() != recorded["sha256"]:
            raise InputError(
                f"{recorded['source']!r} has changed since the fit (its checksum differs): restore the images, or"
                " name others with --data"
            )
        return data


def estimator_of(config: ImageConfig) -> ImageVAE:
    """Create the configured estimator, and check its parameters and device."""
    given = config.model_dump(exclude={"data"})
    model = ImageVAE(**{PARAMETERS.get(option, option): value for option, value in given.items()})
    model.check_parameters()
    choose_device(config.device)
    return model


def fit_to_folder(config: ImageConfig, destination: Destination, reporter: Reporter) -> tuple[ImageRun, Path]:
    """Read images, fit and write a run folder, whose location is checked before any work is done.

    Returns
    -------
    run : ImageRun
        The run. After Ctrl-C it is marked as interrupted and has the best weights so far.
    folder : Path
        The folder it was written to. After Ctrl-C, a folder next to it holds what `--resume` needs.

    Raises
    ------
    TopicnetError
        An input cannot be used, or writing failed.
    """
    model = estimator_of(config)
    target = destination.folder(run_name(config))
    overwrite, resume = destination.overwrite, destination.resume
    with unfinished_fit(target, config.model_dump(), overwrite=overwrite, resume=resume) as unfinished:
        with atomic.atomic_folder(target, overwrite=overwrite or resume, within=unfinished.folder) as folder:
            data = load_images(config.data)
            unfinished.check_inputs({"images": data.checksum()})
            reporter.notice(data.summary())
            reporter.notice(describe_device(config.device))
            # From here on Ctrl-C ends training only: the run is still written.
            with deferred_interrupt():
                run = _fitted(model, data, config, unfinished.checkpoints, reporter)
                with atomic.disk_errors(target):
                    run = _write(run, data, folder)
        if not run.interrupted:
            unfinished.clear()
    return run, target


def _fitted(model: ImageVAE, data: ImageData, config: ImageConfig, checkpoints: Path, reporter: Reporter) -> ImageRun:
    status = "complete"
    pixels, validation = data.pictures(data.train.pixels), data.pictures(data.validation.pixels)
    with _memory_errors():
        try:
            model.fit(pixels, validation=validation, listener=reporter.listener, checkpoints=checkpoints)
        except FitInterrupted:
            status = "interrupted"
        metrics, usage = metrics_of(model, data), category_usage_of(model, data.train)
    record = record_of(config, model, data, status, time.perf_counter() - reporter.began)
    return ImageRun(model, data.shape, metrics, record, usage)


@contextmanager
def _memory_errors() -> Iterator[None]:
    """Convert torch's out-of-memory errors to InputError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # On the CPU torch raises a plain RuntimeError.
        full = isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)
        if not full:
            raise
        raise InputError(
            "the model and its batches need more memory than there is: lower --hidden-dim, --latent-dim, --categories"
            " or --batch-size"
        ) from error


def _write(run: ImageRun, data: ImageData, folder: Path) -> ImageRun:
    """Write a run into a staged folder, and return it with the reason for missing pictures, if any."""
    save_model(SavedModel(run.model, run.shape), folder / "model")
    if variant_of(run.model.variant).has_encoder:
        formats.write_table(folder / "codes.csv", codes_table(run.model, data))
    write_history(folder, run.model.history_)
    if run.usage is not None:
        formats.write_table(folder / CATEGORIES_FILE, run.usage.table())
    formats.write_json(folder / "metrics.json", run.metrics)
    try:
        for name, png in pictures_of(run.model, data, run.usage):
            formats.write_bytes(folder / "pictures" / name, png)
    except InputError as error:  # a picture that cannot be drawn must not lose hours of training
        run = replace(run, left_out=str(error))
    write_record(folder, run.record)
    return run


def codes_table(model: ImageVAE, data: ImageData) -> pl.DataFrame:
    """Return the table of codes.csv: one row per image, numbered from 0 within each split, splits in order.

    `label` is present if labels are known, `category` (the most probable one) with categories; z are posterior means.
    """
    tables = []
    for name in SPLITS:
        split = getattr(data, name)
        n = len(split.pixels)
        columns = [pl.Series("image", range(n), dtype=pl.Int64), pl.Series("split", [name]).new_from_index(0, n)]
        if any(getattr(data, other).labels is not None for other in SPLITS):
            labels = [None] * n if split.labels is None else split.labels
            columns.append(pl.Series("label", labels, dtype=pl.Int64))
        if model.network_.latents.n_categories is not None:
            columns.append(pl.Series("category", model.category_probabilities(split.pixels).argmax(1), dtype=pl.Int64))
        z = model.transform(split.pixels)
        columns += [pl.Series(f"z_{j}", z[:, j]) for j in range(z.shape[1])]
        tables.append(pl.DataFrame(columns))
    return pl.concat(tables)


def load_run(path: str | Path) -> ImageRun:
    """Load a run folder of `topicnet images fit`.

    Raises
    ------
    BundleError
        There is no such run, or it is damaged, of another kind, or of a newer format.
    """
    folder = Path(path)
    saved = load_model(folder)
    record = read_record(folder, {"data": dict, "status": str})
    if not {"source", "sha256"} <= record["data"].keys():
        raise damaged(folder, RECORD)
    metrics = read_json(folder, "metrics.json")
    if not isinstance(metrics, dict):
        raise damaged(folder, "metrics.json")
    n_categories = saved.model.network_.latents.n_categories
    usage = None if n_categories is None else read_category_usage(folder / CATEGORIES_FILE, n_categories)
    return ImageRun(saved.model, saved.shape, metrics, record, usage)
