"""Many fits on the same images: variants side by side in one table."""

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
    "nelbo", "reconstruction", "kl_z", "kl_c", "nll", "squared_error", "active_units", "information", "accuracy",
    "seconds",
)  # fmt: skip
OF_Z = ("kl_z", "kl_z1", "kl_z2", "kl_w")  # divergences of all that is continuous

Progress = Callable[[], AbstractContextManager[Reporter]]


@dataclass(frozen=True)
class ComparedFit:
    """One fit of a comparison."""

    variant: str
    seed: int
    found: dict[str, Any]  # seconds, how training ended, and what `evaluate` found; empty for a fit that failed
    error: str | None = None  # why it failed

    def scores(self) -> dict[str, float]:
        """Return the scores of `COLUMNS` that the fit has."""
        found = self.found["evaluation"]
        scores = {
            "squared_error": found["reconstruction"]["per_image"],
            "active_units": found["codes"]["active_units"],
            "seconds": self.found["seconds"],
        }
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

    def line(self) -> str:
        """Report in one line how the fit ended."""
        if self.error is not None:
            return f"{self.variant} failed: {self.error}"
        scores = self.scores()
        first = "nelbo" if "nelbo" in scores else "squared_error"
        return f"{self.variant}: {first.replace('_', ' ')} {scores[first]:.2f}, {scores['seconds']:.1f} s"

    def record(self) -> dict[str, Any]:
        """Return the fit as JSON values."""
        ending = self.found if self.error is None else {"error": self.error}
        return {"variant": self.variant, "seed": self.seed, **ending}


@dataclass(frozen=True)
class Comparison:
    """Variants side by side."""

    status: str  # "complete", or "interrupted" after Ctrl-C: it holds what was finished by then
    data: dict[str, Any]  # name and checksum of the images, and how many test images there are
    config: dict[str, Any]  # of all fits
    seeds: int  # fits of each variant
    n_importance: int  # draws for each image
    rows: list[ComparisonRow]  # a row a variant: each of `COLUMNS`, None where the variant has no such number
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
    """Fit every variant with every seed and evaluate all alike; one that fails does not lose the others.

    Parameters
    ----------
    config : ImageConfig
        Data, sizes and training; its variant is not looked at. Categories, an estimator, a likelihood and parameters go
        to the variants that know them.
    seeds : int
        Of each variant, from `config.seed` on.
    reporter : Reporter
        For notices between the fits.
    progress : callable
        Opens a reporter of the progress of one fit.

    Raises
    ------
    InputError
        Something given cannot be used by any variant, or no fit succeeded.
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
    """The configuration of each variant, without what it does not know.

    What none of them knows stays in the first, whose estimator refuses it.

    Raises
    ------
    InputError
        No variant, or an unknown one.
    """
    if not variants:
        raise InputError("no variants given, expected names with commas between: see topicnet images variants")
    knowing = {
        "categories": [variant_of(name).has_categories for name in variants],
        "estimator": [variant_of(name).latents == "categorical" for name in variants],
        "likelihood": [variant_of(name).likelihood != "squared-error" for name in variants],
    }
    known = {name: [name in variant_of(variant).parameters for variant in variants] for name in config.parameters}
    configs = []
    for i, name in enumerate(variants):
        dropped = {option: None for option, knows in knowing.items() if not _keeps(knows, i)}
        parameters = {key: value for key, value in config.parameters.items() if _keeps(known[key], i)}
        configs.append(config.model_copy(update={"variant": name, "parameters": parameters} | dropped))
    return configs


def _keeps(knows: list[bool], i: int) -> bool:
    return knows[i] or (i == 0 and not any(knows))


def _fit(config: ImageConfig, data: ImageData, n_importance: int, progress: Progress) -> ComparedFit | None:
    """Fit and evaluate one; None where Ctrl-C ended the fit."""
    began = time.perf_counter()
    try:
        model = estimator_of(config)
        with progress() as reporter:
            model.fit(data.train.pixels, validation=data.validation.pixels, listener=reporter.listener)
        seconds = time.perf_counter() - began
        evaluation = evaluate(model, data, n_importance=n_importance, seed=config.seed)
    except FitInterrupted:
        return None
    except Exception as error:  # whatever goes wrong with one of many hours' fits is reported, and the others go on
        kind = "" if isinstance(error, TopicnetError) else f"{type(error).__name__}: "
        return ComparedFit(config.variant, config.seed, {}, kind + " ".join(str(error).split()))
    fitted = {"stopped": model.stopped_, "epochs": len(model.history_), "best_epoch": model.best_epoch_}
    return ComparedFit(config.variant, config.seed, {"seconds": seconds, "fit": fitted, "evaluation": evaluation})


def _row(variant: str, fits: Sequence[ComparedFit]) -> ComparisonRow:
    """Summarise a variant over its seeds."""
    table = [fit.scores() for fit in fits if fit.error is None]
    errors = tuple(sorted({fit.error for fit in fits if fit.error is not None}))
    return ComparisonRow(variant, variant, len(table), None, errors, summarise_columns(table, COLUMNS))
