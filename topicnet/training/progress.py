"""Progress and result of a training run."""

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
        Passes or epochs.
    seconds : float
        Since the stage began.
    values : dict
        Numbers of the last epoch, by name.
    within : float
        Fraction of the next epoch that is done: a long one is reported before its end.
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
    """Where a loss was not finite or had diverged, and the highest learning rate from there on.

    Attributes
    ----------
    epoch : int
    step : int
        Step of the epoch at which it was noticed; the step at fault is among the last `CHECK_STEPS`.
    learning_rate : float
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
        One row per epoch: named terms in nats per document, raw and weighted, rates, seconds.
    best_epoch : int
        The epoch whose weights were kept, counted from 1; 0 when the start was never improved on.
    best_loss : float
        Weighted sum of the terms on the validation documents, nats per document; NaN without them.
    stopped : str
        "done", "early", "interrupted" or "diverged".
    rollbacks : list of Rollback
        Each time the loss diverged and the run went back to its best weights with a smaller rate.
    interventions : int
        Interventions that the weights kept have had: those that were interrupted or cost too much are undone.
    """

    history: list[dict[str, float]]
    best_epoch: int
    best_loss: float
    stopped: str
    rollbacks: list[Rollback]
    interventions: int
