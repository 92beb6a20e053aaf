"""Progress reports and the result of a training run."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import takewhile
from numbers import Integral

from topicnet.runtime.logs import training


@dataclass(frozen=True)
class Progress:
    """Progress of a fit, for display.

    Attributes
    ----------
    stage : str
        "start", "warm-up", "pretrain" or "train"; "likelihood" of an evaluation.
    done, total : int
        Finished and total passes, epochs or documents.
    seconds : float
        Time since the stage began.
    values : dict
        Measurements of the last epoch, by name.
    within : float
        Finished fraction of the current epoch; long epochs are reported before they end.
    seed : int, optional
        Seed of the fit, if its `random_state` is an integer.
    """

    stage: str
    done: int
    total: int
    seconds: float
    values: dict[str, float] = field(default_factory=dict)
    within: float = 0.0
    seed: int | None = None


Listener = Callable[[Progress], None]


@dataclass(frozen=True)
class EpochReport:
    """One finished epoch of training, the argument of a `callback`.

    Parameters
    ----------
    epoch : int
        Number of the epoch, from 1.
    total_epochs : int
        Maximum number of epochs; a fit that stops early has fewer.
    losses : dict of str to float
        Each term of the loss and their weighted sum `loss`, as means over the training documents in nats per document
        (or image), and `validation_loss` if documents are held out.
    learning_rate : float
        Learning rate at the end of the epoch.
    seconds : float
        Duration of the epoch.
    seed : int or None
        `random_state` of the fit if it is an integer; it tells the fits of several seeds apart.

    Examples
    --------
    >>> import topicnet
    >>> seen = []
    >>> options = {"n_topics": 1, "init": "random", "max_epochs": 2}
    >>> run = topicnet.fit(["cat and dog", "bread", "bread"] * 4, callback=seen.append, **options)
    >>> [(report.epoch, report.total_epochs) for report in seen], "loss" in seen[0].losses
    ([(1, 2), (2, 2)], True)
    """

    epoch: int
    total_epochs: int
    losses: dict[str, float]
    learning_rate: float
    seconds: float
    seed: int | None = None


def epoch_report(progress: Progress) -> EpochReport | None:
    """Report the epoch that has just ended; None within an epoch and in the stages before training."""
    row = progress.values
    if progress.stage != "train" or progress.within or "learning_rate" not in row:
        return None
    losses = {name: row[name] for name in takewhile(lambda name: name != "learning_rate", row) if name != "epoch"}
    if not math.isnan(row["validation_loss"]):
        losses["validation_loss"] = row["validation_loss"]
    return EpochReport(progress.done, progress.total, losses, row["learning_rate"], row["seconds"], progress.seed)


Callback = Callable[[EpochReport], None]


def with_callback(listener: Listener | None, callback: Callback | None) -> Listener | None:
    """Make a listener that passes progress on and calls `callback` after every epoch."""
    if callback is None:
        return listener

    def both(progress: Progress) -> None:
        if listener is not None:
            listener(progress)
        report = epoch_report(progress)
        if report is not None:
            callback(report)

    return both


def logged(listener: Listener | None, random_state: object = None) -> Listener:
    """Make a listener that logs every epoch under "topicnet.training" and passes progress on, with the seed."""
    seed = int(random_state) if isinstance(random_state, Integral) else None

    def log(report: EpochReport) -> None:
        if training.isEnabledFor(logging.INFO):
            losses = ", ".join(f"{name} {value:.4f}" for name, value in report.losses.items())
            training.info("epoch %d/%d: %s, %.2f s", report.epoch, report.total_epochs, losses, report.seconds)

    both = with_callback(listener, log)
    assert both is not None
    return lambda progress: both(replace(progress, seed=seed))


@dataclass(frozen=True)
class Rollback:
    """Report of a return to the best weights after the loss diverged or was not finite.

    Attributes
    ----------
    epoch : int
        Epoch in which it was detected.
    step : int
        Step of that epoch at which it was detected; the cause is among the last `CHECK_STEPS` steps.
    learning_rate : float
        Highest learning rate from there on.
    """

    epoch: int
    step: int
    learning_rate: float


@dataclass(frozen=True)
class TrainResult:
    """Result of a training run; the network holds the best weights.

    Attributes
    ----------
    history : list of dict
        One row per epoch: each loss term (raw, nats per document), the weighted loss, learning rate and seconds.
    best_epoch : int
        Epoch of the best weights, counted from 1; 0 if no epoch improved on the initial weights.
    best_loss : float
        Weighted sum of the terms on the validation documents, nats per document; NaN without them.
    stopped : str
        "done", "early", "interrupted" or "diverged".
    rollbacks : list of Rollback
        Returns to the best weights after the loss diverged, each with a lower learning rate.
    interventions : int
        Number of interventions before the best weights; those that were interrupted or raised the loss too much are
        undone and not counted.
    """

    history: list[dict[str, float]]
    best_epoch: int
    best_loss: float
    stopped: str
    rollbacks: list[Rollback]
    interventions: int
