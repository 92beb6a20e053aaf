"""Options and hooks of a training run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from topicnet.runtime.distributed import World
from topicnet.training.alternating import Phase
from topicnet.training.checkpoint import Checkpoints, Saved
from topicnet.training.progress import Listener
from topicnet.training.protocols import Companion


@dataclass(frozen=True)
class TrainOptions:
    """Length, optimiser and processes of a training run.

    Attributes
    ----------
    patience : int
        Epochs without improvement on the validation documents before the run stops.
    weight_decay, normalise_gradients
        See `Adam`.
    seed : int
        Of the order of the documents and of their noise.
    stage : str
        Name of the run in its `Progress`.
    lr_scales : mapping of str to float
        Factor of the learning rate for each parameter named; 1 for all others.
    phases : sequence of Phase
        Further losses, each with a step of its own after every step. For one process alone.
    world : World, optional
        Processes that train together, each on its shard of every batch. All must call `train`, with the same weights,
        and end with the same; rank zero alone validates, measures and is given checkpoints.
    """

    max_epochs: int
    patience: int
    weight_decay: float
    seed: int
    device: torch.device
    stage: str = "train"
    lr_scales: Mapping[str, float] = field(default_factory=dict)
    normalise_gradients: bool = False
    phases: Sequence[Phase] = ()
    world: World | None = None

    def __post_init__(self) -> None:
        assert self.world is None or not self.phases, "the gradients of phases are not summed over processes"


@dataclass(frozen=True)
class TrainHooks:
    """Functions that a training run calls, and its checkpoints.

    Attributes
    ----------
    measure : callable
        Called after each epoch, in evaluation mode; its numbers join the history.
    intervene : callable
        Called after that with the epoch and whether the run is about to stop early; True when it has changed the
        weights, which then count as a new start. The best weights before it are returned to if the run is interrupted
        right then, or ends with a validation loss more than `INTERVENTION_PRICE` above the lowest before.
    listener : callable
        Called with a `Progress` after each epoch, and every few seconds of a long one.
    interrupted : callable
        Called before each step; True stops the run cleanly.
    checkpoints : Checkpoints, optional
        Where the run is saved, between steps: before the first, whenever it is due, and when it is interrupted.
    saved : Saved, optional
        Checkpoint of an equal run: this one resumes it, and ends as that one would have, to the bit.
    companions : sequence of Companion
        Saved with the run. State that `measure` and `intervene` keep between calls belongs here.
    """

    measure: Callable[[], dict[str, float]] = dict
    intervene: Callable[[int, bool], bool] = lambda epoch, stopping: False
    listener: Listener = lambda progress: None
    interrupted: Callable[[], bool] = lambda: False
    checkpoints: Checkpoints | None = None
    saved: Saved | None = None
    companions: Sequence[Companion] = ()


NO_HOOKS = TrainHooks()
