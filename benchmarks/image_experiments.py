"""Run the experiments of configs/images, and print their scores next to published ones, one row per setting.

Usage: python benchmarks/image_experiments.py [--experiments digits-categories,bimodal-2,mnist-vae,...] [--epochs 20]
       [--settings '*K = 10'] [--seeds 1] [--data DIR] [--device auto] [--importance 100]
       [--schedule one-cycle --learning-rate 4e-3 --optimizer adam --warm-up 10]
       [--param head=gated] [--record images [--keep-checkpoints DIR]] [--publish NAME]

With --record, every finished fit is added to benchmarks/fits/NAME.json, and fits that it holds already are not run
again, so that hours of fits can be spread over several days or, on one machine, over several processes. A fit is known
by its experiment, setting, seed, epochs and overrides. With --keep-checkpoints an interrupted fit continues.

Experiments are the files of configs/images. One for several data sets has a name for each, such as mnist-cp-vae or
fashion_mnist-shared-categories. Patterns such as 'mnist-*' are allowed. By default, runs the experiments that need no
data folder. Prints a Markdown table for each file; settings that were not selected are listed as "not run".

All fits stop early on the validation images and are scored on the test images, binarised once, in nats per image, with
hard draws of categories. NELBO is the mean over 10 draws of the noise; NLL uses importance weighting; I(c; x) is exact
over the test set; accuracy is Hungarian; "decoded I" is a lower bound of the information of decoded images about the
code; "distinct" and "shared" count the five most likely categories of each label. Scores are means over the seeds, with
the standard deviation for two or more. "Epochs" gives those run and those configured; there are fewer with --epochs
(marked) or if the validation loss stopped improving. Seconds are the median per fit. Published scores are of single
runs; those of Omniglot use another split.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import math
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from publish import add_option, current_commit, machine, publish

import topicnet
from topicnet.images.data.load import ImageData, load_images
from topicnet.images.evaluation.evaluate import evaluate
from topicnet.images.evaluation.information import information_bound
from topicnet.images.model.estimator import ImageVAE
from topicnet.images.model.variants import variant_of
from topicnet.images.workflows.config import ImageConfig, read_config
from topicnet.images.workflows.fit import estimator_of
from topicnet.runtime.threads import thread_count

ROOT = Path(__file__).resolve().parents[1]
FITS = ROOT / "benchmarks" / "fits"
CONFIGS = ROOT / "configs" / "images"
IN_FOLDER = {"mnist": "mnist", "fashion_mnist": "fashion_mnist", "omniglot": "omniglot/omniglot28.npz"}
DEFAULT = "digits-*,bimodal-*"
OVERRIDES = ("schedule", "learning_rate", "optimizer", "warm_up")  # options that override the configuration
AXES = ("categories", "components", "lambda", "variants")
SYMBOLS = {"categories": "K = ", "components": "K = ", "lambda": "lambda = ", "variants": ""}

Report = dict[str, Any]


@dataclass(frozen=True)
class Fitted:
    model: ImageVAE
    data: ImageData
    report: Report
    seconds: float


MEASURES: dict[str, tuple[str, Callable[[Fitted], float]]] = {
    "nelbo": ("NELBO", lambda fit: fit.report["bound"]["nelbo"]),
    "nll": ("NLL", lambda fit: fit.report["bound"]["nll"]),
    "kl_c": ("KL(c)", lambda fit: fit.report["categories"]["mean_kl"]),
    "information": ("I(c; x)", lambda fit: fit.report["categories"]["mutual_information"]),
    "in_use": ("in use", lambda fit: fit.report["categories"]["n_in_use"]),
    "accuracy": ("accuracy", lambda fit: fit.report["categories"]["labels"]["hungarian_accuracy"]),
    "distinct_top": ("distinct", lambda fit: fit.report["categories"]["labels"]["n_distinct_top"]),
    "shared_top": ("shared", lambda fit: len(fit.report["categories"]["labels"]["shared_top"])),
    "active_units": ("active units", lambda fit: fit.report["codes"]["active_units"]),
    "decoded_information": ("decoded I", lambda fit: information_bound(fit.model, fit.data)["bound"]),
}
COLUMNS = ["experiment", "setting", "ours", "published", "seeds", "epochs", "fit, s"]
OF_CATEGORIES = ("kl_c", "information", "in_use", "accuracy", "distinct_top", "shared_top")


@dataclass(frozen=True)
class Cell:
    """One setting of an experiment, and its published scores."""

    title: str
    experiment: str
    setting: str
    config: ImageConfig
    measures: list[str]
    published: dict[str, float]


def cells_of(path: Path) -> Iterator[Cell]:
    config = read_config(path, {})
    experiment = config.experiment or {}
    axis = next((name for name in AXES if name in experiment), None)
    for data in experiment["data"]:
        name = path.stem if len(experiment["data"]) == 1 else f"{data}-{path.stem}"
        values = [None] if axis is None else experiment[axis]
        known = experiment.get("published", {}).get(data, {})
        for value in values[data] if isinstance(values, dict) else values:
            one = varied(config, axis, value).model_copy(update={"data": data})
            published = {
                measure: given[value] if isinstance(given, dict) else given
                for measure, given in known.items()
                if not isinstance(given, dict) or value in given
            }
            # A collapsed code can have a good bound: so the information in c is shown with every bound.
            measures = experiment.get("measures", ["nelbo", "nll", "kl_c", "information"])
            if not variant_of(one.variant).has_categories:
                measures = [measure for measure in measures if measure not in OF_CATEGORIES]
            setting = data if axis is None else f"{data}, {SYMBOLS[axis]}{value}"
            yield Cell(experiment["title"], name, setting, one, measures, published)


def varied(config: ImageConfig, axis: str | None, value: Any) -> ImageConfig:
    if axis is None:
        return config
    if axis == "categories":
        return config.model_copy(update={"categories": value})
    if axis == "variants":
        categories = config.categories if variant_of(value).has_categories else None
        return config.model_copy(update={"variant": value, "categories": categories})
    return config.model_copy(update={"parameters": config.parameters | {axis: value}})


def shortened(config: ImageConfig, epochs: int | None) -> ImageConfig:
    """Reduce the epochs, and the warm-up in proportion."""
    if epochs is None or config.epochs is None or epochs >= config.epochs:
        return config
    warm_up = config.warm_up
    if isinstance(warm_up, int):  # a fraction holds for any length
        warm_up = math.ceil(warm_up * epochs / config.epochs)
    return config.model_copy(update={"epochs": epochs, "warm_up": warm_up})


def changed(config: ImageConfig, arguments: argparse.Namespace) -> ImageConfig:
    """Apply the options that override the configuration."""
    given = {name: getattr(arguments, name) for name in OVERRIDES if getattr(arguments, name) is not None}
    return shortened(config, arguments.epochs).model_copy(update=given)


@dataclass(frozen=True)
class Scored:
    """Scores of one fit, as they are recorded."""

    experiment: str
    setting: str
    seed: int
    epochs: int | None  # at most, after --epochs
    overrides: dict[str, Any]
    scores: dict[str, float]
    epochs_run: int
    seconds: float
    commit: str | None
    machine: str

    @property
    def key(self) -> tuple[Any, ...]:
        """Identity of the fit."""
        return self.experiment, self.setting, self.seed, self.epochs, tuple(sorted(self.overrides.items()))


def fit(config: ImageConfig, data: ImageData, importance: int, checkpoints: Path | None) -> Fitted:
    model = estimator_of(config)
    began = time.perf_counter()
    pixels, validation = data.pictures(data.train.pixels), data.pictures(data.validation.pixels)
    model.fit(pixels, validation=validation, checkpoints=checkpoints)
    seconds = time.perf_counter() - began
    return Fitted(model, data, evaluate(model, data, n_importance=importance, seed=config.seed), seconds)


class Record:
    """Finished fits in a JSON file, shared by processes on one machine; without a file, in memory."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.fits: list[Scored] = []

    def find(self, key: tuple[Any, ...]) -> Scored | None:
        self._read()
        return next((one for one in self.fits if one.key == key), None)

    def add(self, scored: Scored) -> None:
        with self._locked():
            self._read()
            self.fits = [*(one for one in self.fits if one.key != scored.key), scored]
            if self.path is not None:
                in_order = sorted(self.fits, key=lambda one: str(one.key))
                lines = ",\n".join(f"  {json.dumps(asdict(one))}" for one in in_order)
                text = f'{{\n "title": "Single fits of the image experiments",\n "fits": [\n{lines}\n ]\n}}\n'
                part = self.path.with_suffix(".part")
                part.write_text(text, encoding="utf-8")
                part.replace(self.path)

    @contextmanager
    def claimed(self, key: tuple[Any, ...]) -> Iterator[bool]:
        """Give False if another process is at work on this fit."""
        if self.path is None:
            yield True
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        name = "-".join(re.sub(r"\W+", "-", str(part)) for part in key)
        with self.path.with_name(f".{name}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self.path is None:
            yield
            return
        with self.path.with_name(f".{self.path.stem}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _read(self) -> None:
        if self.path is not None and self.path.exists():
            self.fits = [Scored(**one) for one in json.loads(self.path.read_text(encoding="utf-8"))["fits"]]


def row(cell: Cell, config: ImageConfig, fits: list[Scored]) -> list[str]:
    ours = [f"{MEASURES[name][0]} {shown([one.scores[name] for one in fits])}" for name in cell.measures]
    ran = statistics.mean(one.epochs_run for one in fits)
    mark = ", --epochs" if config.epochs != cell.config.epochs else ""
    epochs = f"{ran:.0f} of {cell.config.epochs}{mark}"
    seconds = f"{statistics.median(one.seconds for one in fits):.0f}"
    return cells(cell, "; ".join(ours), str(len(fits)), epochs, seconds)


def cells(cell: Cell, ours: str, seeds: str = "", epochs: str = "", seconds: str = "") -> list[str]:
    published = "; ".join(f"{MEASURES[name][0]} {value:g}" for name, value in cell.published.items())
    return [cell.experiment, cell.setting, ours, published, seeds, epochs, seconds]


def shown(values: list[float]) -> str:
    digits = 0 if all(value == int(value) for value in values) and len(values) == 1 else 2
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.2f}"


def run(cell: Cell, sources: dict[str, str], arguments: argparse.Namespace, record: Record) -> list[str]:
    source = sources.get(cell.config.data, cell.config.data)
    if cell.config.data in IN_FOLDER and not Path(source).exists():
        return cells(cell, f"not run: no {source}")
    config = changed(cell.config, arguments).model_copy(update={"device": arguments.device})
    config = config.model_copy(update={"parameters": config.parameters | arguments.param})
    overrides = {name: getattr(arguments, name) for name in OVERRIDES if getattr(arguments, name) is not None}
    overrides |= arguments.param
    fits: list[Scored] = []
    data: ImageData | None = None
    for seed in range(config.seed, config.seed + arguments.seeds):
        key = (cell.experiment, cell.setting, seed, config.epochs, tuple(sorted(overrides.items())))
        found = record.find(key)
        if found is None and not arguments.only_recorded:
            data = data or load_images(source)
            with record.claimed(key) as is_ours:
                if not is_ours:
                    continue
                name = "-".join(re.sub(r"\W+", "-", str(part)) for part in key)
                kept = arguments.keep_checkpoints
                one = fit(
                    config.model_copy(update={"seed": seed}),
                    data,
                    arguments.importance,
                    None if kept is None else kept / name,
                )
                scores = {measure: float(MEASURES[measure][1](one)) for measure in cell.measures}
                ran = len(one.model.history_)
                found = Scored(*key[:4], overrides, scores, ran, one.seconds, current_commit(), machine())
                record.add(found)
        if found is not None:
            fits.append(found)
    return row(cell, config, fits) if fits else cells(cell, "not run")


def parameter(given: str) -> tuple[str, Any]:
    name, _, value = given.partition("=")
    return name, yaml.safe_load(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = ROOT.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TOPICNET_DATA", default)))
    parser.add_argument("--experiments", default=DEFAULT)
    parser.add_argument("--epochs", type=int, help="run fewer epochs than configured (marked in the table)")
    parser.add_argument("--schedule", help="override the configuration, as do the next three options")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--optimizer")
    parser.add_argument("--warm-up", type=int, help="epochs of warm-up; by default the configured fraction")
    parser.add_argument("--settings", default="*", help="run only settings that match this pattern")
    parser.add_argument("--param", type=parameter, action="append", default=[], help="override a parameter: NAME=VALUE")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--importance", type=int, default=100)
    parser.add_argument("--record", metavar="NAME", help="keep finished fits in benchmarks/fits/NAME.json")
    parser.add_argument("--only-recorded", action="store_true", help="run nothing: print the fits that are recorded")
    parser.add_argument("--keep-checkpoints", type=Path, help="folder of checkpoints, from which a fit continues")
    add_option(parser)
    arguments = parser.parse_args()
    arguments.param = dict(arguments.param)
    tables = {path: list(cells_of(path)) for path in sorted(CONFIGS.glob("*.yaml"))}
    names = {cell.experiment for settings in tables.values() for cell in settings}
    patterns = arguments.experiments.split(",")
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in names):
            raise SystemExit(f"no experiment {pattern!r}, expected some of: {', '.join(sorted(names))}")
    sources = {name: str(arguments.data / place) for name, place in IN_FOLDER.items()}
    print(
        f"{os.cpu_count()} cores, topicnet {topicnet.__version__} on {thread_count()} thread(s), torch"
        f" {torch.__version__}, device {arguments.device}, Python {platform.python_version()};"
        f" {arguments.seeds} seed(s)"
    )
    overrides = [f"{name} {getattr(arguments, name)}" for name in OVERRIDES if getattr(arguments, name) is not None]
    if overrides:
        print(f"Overrides: {', '.join(overrides)}.")
    record = Record(None if arguments.record is None else FITS / f"{arguments.record}.json")
    every: list[list[str]] = []
    for path, settings in tables.items():
        print(f"\n{settings[0].title} (configs/images/{path.name})\n")
        print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
        for cell in settings:
            selected = any(fnmatch(cell.experiment, pattern) for pattern in patterns)
            selected = selected and fnmatch(cell.setting, arguments.settings)
            one = run(cell, sources, arguments, record) if selected else cells(cell, "not run")
            print(f"| {' | '.join(one)} |", flush=True)
            if one[2] != "not run":
                every.append(one)
    if arguments.publish:
        publish(arguments.publish, "Image experiments and published figures", COLUMNS, every)


if __name__ == "__main__":
    main()
