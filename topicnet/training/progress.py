"""Progress reports and the result of a training run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Progress:
    """Progress of a fit, for display.

    Attributes
    ----------
    stage : str
        "start", "warm-up", "pretrain" or "train".
    done, total : int
        Finished and total passes or epochs.
    seconds : float
        Time since the stage began.
    values : dict
        Measurements of the last epoch, by name.
    within : float
        Finished fraction of the current epoch; long epochs are reported before they end.
    """

    stage: str
    done: int
    total: int
    seconds: float
    values: dict[str, float] = field(default_factory=dict)
    within: float = 0.0


Listener = Callable[[Progress], None]


@dataclass(frozen=True)
class Rollback:
    """Return to the best weights after the loss diverged or was not finite.

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
