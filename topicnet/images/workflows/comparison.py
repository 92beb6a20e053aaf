"""Comparison of variants: fit them on the same images with several seeds, and summarise the scores in one table."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from topicnet.errors import InputError, TopicnetError
from topicnet.images.data.load import ImageData, load_images
from topicnet.images.evaluation.evaluate import evaluate
from topicnet.images.model.variants import variant_of
from topicnet.images.workflows.config import ImageConfig
from topicnet.images.workflows.fit import estimator_of
from topicnet.runtime.interrupt import FitInterrupted, deferred_interrupt
from topicnet.runtime.reporter import Reporter
from topicnet.storage.comparison import ComparisonRow, rows_json, summarise_columns

COLUMNS = (
    "nelbo", "reconstruction", "kl_z", "kl_c", "information", "nll", "squared_error", "active_units", "accuracy",
    "frechet", "w2", "sliced_w2", "seconds",
)  # fmt: skip
OF_Z = ("kl_z", "kl_z1", "kl_z2", "kl_w")  # divergences of the continuous latents

Progress = Callable[[], AbstractContextManager[Reporter]]


@dataclass(frozen=True)
class ComparedFit:
    """One fit of a comparison.

    Attributes
    ----------
    variant : str
        Name of the variant.
    seed : int
        Seed of the fit.
    found : dict
        Seconds, how training ended, and the result of `evaluate`; empty for a failed fit.
    error : str or None
        Why the fit failed.
    """

    variant: str
    seed: int
    found: dict[str, Any]
    error: str | None = None

    def scores(self) -> dict[str, float]:
        """Return those of the scores in `COLUMNS` that the fit has."""
        found = self.found["evaluation"]
        scores = {"seconds": self.found["seconds"]}
        if found["codes"] is not None:
            scores["squared_error"] = found["reconstruction"]["per_image"]
            scores["active_units"] = found["codes"]["active_units"]
        if found["samples"] is not None:
            scores |= {"frechet": found["samples"]["frechet_distance"]}
            scores |= {name: found["samples"][name] for name in ("w2", "sliced_w2")}
        if found["bound"] is not None:
            parts = found["bound"]["parts"]
            scores |= {name: found["bound"][name] for name in ("nelbo", "nll")}
            scores |= {name: parts[name] for name in ("reconstruction", "kl_c") if name in parts}
            scores["kl_z"] = sum(parts[name] for name in OF_Z if name in parts)
        if found["categories"] is not None:
            scores["information"] = found["categories"]["mutual_information"]
            if found["categories"]["labels"] is not None:
                scores["accuracy"] = found["categories"]["labels"]["hungarian_accuracy"]
        return scores

    @property
    def collapse(self) -> list[str]:
        """Signs of collapse, see `signs_of_collapse`; none for a failed fit."""
        return [] if self.error is not None else list(self.found["evaluation"]["collapse"])

    def line(self) -> str:
        """Summarise the end of the fit in one line."""
        if self.error is not None:
            return f"{self.variant} failed: {self.error}"
        scores = self.scores()
        first = next((name for name in ("nelbo", "squared_error", "frechet") if name in scores), "seconds")
        return f"{self.variant}: {first.replace('_', ' ')} {scores[first]:.2f}, {scores['seconds']:.1f} s"

    def record(self) -> dict[str, Any]:
        """Return the fit as JSON values."""
        ending = self.found if self.error is None else {"error": self.error}
        return {"variant": self.variant, "seed": self.seed, **ending}


@dataclass(frozen=True)
class Comparison:
    """Result of a comparison.

    Attributes
    ----------
    status : str
        "complete", or "interrupted" after Ctrl-C, with the fits that were finished.
    data : dict
        Name and checksum of the images, and number of test images.
    config : dict
        Configuration of all fits.
    seeds : int
        Number of fits per variant.
    n_importance : int
        Importance draws per image.
    rows : list of ComparisonRow
        One row per variant, with each of `COLUMNS`; None for a score that the variant does not have.
    fits : list of ComparedFit
        The fits, in the order they were run.
    """

    status: str
    data: dict[str, Any]
    config: dict[str, Any]
    seeds: int
    n_importance: int
    rows: list[ComparisonRow]
    fits: list[ComparedFit]

    def record(self) -> dict[str, Any]:
        """Return the content of compare.json."""
        table, fits = rows_json(self.rows, "variant"), [fit.record() for fit in self.fits]
        plain = {name: getattr(self, name) for name in ("status", "data", "config", "seeds", "n_importance")}
        return plain | {"table": table, "fits": fits}


def compare(
    config: ImageConfig,
    variants: Sequence[str],
    seeds: int,
    *,
    n_importance: int,
    reporter: Reporter,
    progress: Progress,
) -> Comparison:
    """Fit each variant with each seed and evaluate all fits alike; a failed fit does not stop the others.

    Parameters
    ----------
    config : ImageConfig
        Data, sizes and training; its variant is ignored. Categories, estimator, likelihood and parameters are passed to
        the variants that accept them.
    variants : sequence of str
        Names of the variants; repeated ones are fitted once.
    seeds : int
        Number of fits per variant, with seeds from `config.seed` on.
    n_importance : int
        Importance draws per image.
    reporter : Reporter
        Receives notices between the fits.
    progress : callable
        Opens a reporter for the progress of one fit.

    Returns
    -------
    Comparison
        Scores by variant, and each fit.

    Raises
    ------
    InputError
        No variant accepts a given option, or no fit succeeded.
    """
    names = list(dict.fromkeys(variants))
    configs = configs_of(config, names)
    for one in configs:
        estimator_of(one)
    data = load_images(config.data)
    reporter.notice(data.summary())
    cells = [
        one.model_copy(update={"seed": (config.seed + number) % 2**32}) for number in range(seeds) for one in configs
    ]
    found: list[ComparedFit] = []
    with deferred_interrupt() as interrupted:
        for number, cell in enumerate(cells, start=1):
            reporter.notice(f"{cell.variant}, seed {cell.seed} ({number} of {len(cells)})")
            fit = _fit(cell, data, n_importance, progress)
            if fit is None or interrupted():
                break
            reporter.notice(fit.line())
            found.append(fit)
    whole = len(found) == len(cells)
    failed = [fit.error for fit in found if fit.error is not None]
    if whole and len(failed) == len(cells):
        raise InputError(f"none of the {len(cells)} fits succeeded: {failed[0]}")
    return Comparison(
        status="complete" if whole else "interrupted",
        data={"name": data.name, "sha256": data.checksum(), "test_images": len(data.test.pixels)},
        config=config.model_dump(exclude={"variant"}),
        seeds=seeds,
        n_importance=n_importance,
        rows=[_row(name, [fit for fit in found if fit.variant == name]) for name in names],
        fits=found,
    )


def configs_of(config: ImageConfig, variants: Sequence[str]) -> list[ImageConfig]:
    """Return the configuration of each variant, without the options that it does not accept.

    An option that no variant accepts stays in the first configuration, whose estimator refuses it.

    Raises
    ------
    InputError
        There are no variants, or one is unknown.
    """
    if not variants:
        raise InputError("no variants given, expected names separated by commas: `topicnet images variants` lists them")
    knowing = {
        "categories": [variant_of(name).has_categories for name in variants],
        "estimator": [variant_of(name).latents == "categorical" for name in variants],
        "likelihood": [variant_of(name).likelihood not in ("squared-error", "none") for name in variants],
    }
    known = {name: [name in variant_of(variant).parameters for variant in variants] for name in config.parameters}
    configs = []
    for i, name in enumerate(variants):
        dropped: dict[str, Any] = {option: None for option, knows in knowing.items() if not _keeps(knows, i)}
        if not _keeps([not variant_of(one).own_optimizer for one in variants], i):
            dropped["optimizer"] = "adam"
        parameters = {key: value for key, value in config.parameters.items() if _keeps(known[key], i)}
        configs.append(config.model_copy(update={"variant": name, "parameters": parameters} | dropped))
    return configs


def _keeps(knows: list[bool], i: int) -> bool:
    return knows[i] or (i == 0 and not any(knows))


def _fit(config: ImageConfig, data: ImageData, n_importance: int, progress: Progress) -> ComparedFit | None:
    """Fit and evaluate one variant with one seed; None if Ctrl-C interrupted the fit."""
    began = time.perf_counter()
    try:
        model = estimator_of(config)
        with progress() as reporter:
            pixels, validation = data.pictures(data.train.pixels), data.pictures(data.validation.pixels)
            model.fit(pixels, validation=validation, listener=reporter.listener)
        seconds = time.perf_counter() - began
        evaluation = evaluate(model, data, n_importance=n_importance, seed=config.seed)
    except FitInterrupted:
        return None
    except Exception as error:  # any failure is reported, and does not lose hours of other fits
        kind = "" if isinstance(error, TopicnetError) else f"{type(error).__name__}: "
        return ComparedFit(config.variant, config.seed, {}, kind + " ".join(str(error).split()))
    fitted = {"stopped": model.stopped_, "epochs": len(model.history_), "best_epoch": model.best_epoch_}
    return ComparedFit(config.variant, config.seed, {"seconds": seconds, "fit": fitted, "evaluation": evaluation})


def _row(variant: str, fits: Sequence[ComparedFit]) -> ComparisonRow:
    """Summarise the fits of a variant over its seeds."""
    table = [fit.scores() for fit in fits if fit.error is None]
    errors = tuple(sorted({fit.error for fit in fits if fit.error is not None}))
    return ComparisonRow(variant, variant, len(table), None, errors, summarise_columns(table, COLUMNS))
