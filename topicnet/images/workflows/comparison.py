"""Many fits on the same images: variants beside one another in one table."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from topicnet.errors import InputError, TopicnetError
from topicnet.images.data.load import ImageData, load_images
from topicnet.images.evaluation.evaluate import evaluate
from topicnet.images.model.variants import variant_of
from topicnet.images.workflows.config import ImageConfig
from topicnet.images.workflows.fit import estimator_of
from topicnet.runtime.interrupt import FitInterrupted, deferred_interrupt
from topicnet.runtime.reporter import Reporter

COLUMNS = (
    "nelbo", "reconstruction", "kl_z", "kl_c", "nll", "squared_error", "active_units", "information", "accuracy",
    "seconds",
)  # fmt: skip
OF_Z = ("kl_z", "kl_z1", "kl_z2", "kl_w")  # divergences of all that is continuous

Progress = Callable[[], AbstractContextManager[Reporter]]


def compare(
    config: ImageConfig,
    variants: Sequence[str],
    seeds: int,
    *,
    n_importance: int,
    on_data: Callable[[ImageData], None],
    on_notice: Callable[[str], None],
    progress: Progress,
) -> dict[str, Any]:
    """Fit every variant with every seed and evaluate all alike; one that fails does not lose the others.

    Parameters
    ----------
    config : ImageConfig
        Data, sizes and training; its variant is not looked at. Categories, an estimator, a likelihood and parameters go
        to the variants that know them.
    seeds : int
        Of each variant, from `config.seed` on.
    progress : callable
        Opens a listener for each fit.

    Returns
    -------
    dict
        status, data, seeds, `table` (a row a variant: mean, sd and values of each of `COLUMNS`, None where the variant
        has no such number) and `fits`, with all that `evaluate` found. After Ctrl-C its status is "interrupted", and
        it holds what was finished by then.

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
    on_data(data)
    cells = [(one, (config.seed + number) % 2**32) for number in range(seeds) for one in configs]
    found: list[dict[str, Any]] = []
    with deferred_interrupt() as interrupted:
        for number, (one, seed) in enumerate(cells, start=1):
            on_notice(f"{one.variant}, seed {seed} ({number} of {len(cells)})")
            fit = _fit(one.model_copy(update={"seed": seed}), data, n_importance, progress)
            if fit is None or interrupted():
                break
            on_notice(_told(fit))
            found.append(fit)
    whole = len(found) == len(cells)
    failed = [fit["error"] for fit in found if "error" in fit]
    if whole and len(failed) == len(cells):
        raise InputError(f"none of the {len(cells)} fits succeeded: {failed[0]}")
    return {
        "status": "complete" if whole else "interrupted",
        "data": {"name": data.name, "sha256": data.checksum(), "test_images": len(data.test.pixels)},
        "config": config.model_dump(exclude={"variant"}),
        "seeds": seeds,
        "n_importance": n_importance,
        "table": [_row(name, [fit for fit in found if fit["variant"] == name]) for name in names],
        "fits": found,
    }


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


def _fit(config: ImageConfig, data: ImageData, n_importance: int, progress: Progress) -> dict[str, Any] | None:
    """Fit and evaluate one; None where Ctrl-C ended the fit."""
    told: dict[str, Any] = {"variant": config.variant, "seed": config.seed}
    began = time.perf_counter()
    try:
        model = estimator_of(config)
        with progress() as reporter:
            model.fit(data.train.pixels, validation=data.validation.pixels, listener=reporter.listener)
        seconds = time.perf_counter() - began
        evaluation = evaluate(model, data, n_importance=n_importance, seed=config.seed)
    except FitInterrupted:
        return None
    except Exception as error:  # whatever goes wrong with one of many hours' fits is told, and the others go on
        kind = "" if isinstance(error, TopicnetError) else f"{type(error).__name__}: "
        return told | {"error": kind + " ".join(str(error).split())}
    fitted = {"stopped": model.stopped_, "epochs": len(model.history_), "best_epoch": model.best_epoch_}
    return told | {"seconds": seconds, "fit": fitted, "evaluation": evaluation}


def _told(fit: dict[str, Any]) -> str:
    """One line about a fit that has ended."""
    if "error" in fit:
        return f"{fit['variant']} failed: {fit['error']}"
    numbers = _numbers(fit)
    first = "nelbo" if "nelbo" in numbers else "squared_error"
    return f"{fit['variant']}: {first.replace('_', ' ')} {numbers[first]:.2f}, {fit['seconds']:.1f} s"


def _numbers(fit: dict[str, Any]) -> dict[str, float]:
    """Those of `COLUMNS` that a fit has."""
    found = fit["evaluation"]
    numbers = {
        "squared_error": found["reconstruction"]["per_image"],
        "active_units": found["codes"]["active_units"],
        "seconds": fit["seconds"],
    }
    if found["bound"] is not None:
        parts = found["bound"]["parts"]
        numbers |= {name: found["bound"][name] for name in ("nelbo", "nll")}
        numbers |= {name: parts[name] for name in ("reconstruction", "kl_c") if name in parts}
        numbers["kl_z"] = sum(parts[name] for name in OF_Z if name in parts)
    if found["categories"] is not None:
        numbers["information"] = found["categories"]["mutual_information"]
        if found["categories"]["labels"] is not None:
            numbers["accuracy"] = found["categories"]["labels"]["hungarian_accuracy"]
    return numbers


def _row(variant: str, fits: list[dict[str, Any]]) -> dict[str, Any]:
    """A variant's line of the table: mean and spread over its seeds."""
    table = [_numbers(fit) for fit in fits if "error" not in fit]
    row: dict[str, Any] = {"variant": variant, "fits": len(table)}
    row["errors"] = sorted({fit["error"] for fit in fits if "error" in fit})
    for name in COLUMNS:
        values = [numbers[name] for numbers in table if name in numbers]
        sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
        row[name] = {"mean": float(np.mean(values)), "sd": sd, "values": values} if values else None
    return row


def table_csv(rows: Sequence[dict[str, Any]]) -> str:
    """A line a variant: mean and standard deviation of each number; empty where there is none."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["variant", "fits", *(f"{name}{end}" for name in COLUMNS for end in ("", "_sd"))])
    for row in rows:
        pairs = [("", "") if row[name] is None else (row[name]["mean"], row[name]["sd"]) for name in COLUMNS]
        table.writerow([row["variant"], row["fits"], *("" if v is None else v for pair in pairs for v in pair)])
    return out.getvalue()
