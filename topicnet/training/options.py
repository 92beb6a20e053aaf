"""Options and callbacks of a training run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from topicnet.runtime.distributed import World
from topicnet.training.alternating import Phase
from topicnet.training.checkpoint import Checkpoints, Saved
from topicnet.training.progress import Listener
from topicnet.training.protocols import Checkpointed, Optimizer


@dataclass(frozen=True)
class TrainOptions:
    """Length, optimiser settings and processes of a training run.

    Attributes
    ----------
    max_epochs : int
        Epochs to run at most.
    patience : int
        Epochs without improvement on the validation documents before the run stops.
    weight_decay, normalise_gradients
        See `Adam`.
    seed : int
        Seed of the document order and of the noise.
    device : torch.device
        Device of the network and the batches.
    stage : str
        Name of the run in its `Progress` reports.
    lr_scales : mapping of str to float
        Factor of the learning rate by parameter name; 1 for parameters not named.
    optimizer : callable, optional
        Makes the optimiser of the network, and of the part of each phase. By default it is `Adam` with the settings
        above.
    unmonitored : collection of str
        Loss terms that may take any finite value without being regarded as divergence.
    phases : sequence of Phase
        Additional losses, each with its own optimiser step after every main step. Not available in distributed runs.
    world : World, optional
        Processes that train together, each on its shard of every batch. All of them must call `train` with the same
        weights; all end with the same weights. Rank zero alone validates, measures and saves checkpoints.
    """

    max_epochs: int
    patience: int
    weight_decay: float
    seed: int
    device: torch.device
    stage: str = "train"
    lr_scales: Mapping[str, float] = field(default_factory=dict)
    normalise_gradients: bool = False
    optimizer: Callable[[nn.Module], Optimizer] | None = None
    unmonitored: Collection[str] = ()
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
        Called after each epoch, in evaluation mode; returns numbers to add to the history.
    intervene : callable
        Called after `measure` with the epoch and whether the run is about to stop early. Returns True if it changed
        the weights, which are then treated as a new start. The change is undone if the run is interrupted during it,
        or if the run ends with a validation loss more than `INTERVENTION_TOLERANCE` above the lowest loss before it.
    listener : callable
        Called with a `Progress` after each epoch, and every few seconds during a long one.
    interrupted : callable
        Called before each step; return True to stop the run cleanly.
    checkpoints : Checkpoints, optional
        Destination of checkpoints: before the first step, whenever one is due, and on interruption.
    saved : Saved, optional
        Checkpoint of an identical run, which is resumed, with a bit-identical result.
    companions : sequence of Checkpointed
        Saved with the run. State that `measure` and `intervene` keep between calls belongs here.
    """

    measure: Callable[[], dict[str, float]] = dict
    intervene: Callable[[int, bool], bool] = lambda epoch, stopping: False
    listener: Listener = lambda progress: None
    interrupted: Callable[[], bool] = lambda: False
    checkpoints: Checkpoints | None = None
    saved: Saved | None = None
    companions: Sequence[Checkpointed] = ()


NO_HOOKS = TrainHooks()
