"""Additional losses, minimised in alternation with the main loss, as in adversarial training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from topicnet.training.protocols import Optimizer


@dataclass(frozen=True)
class Phase:
    """Additional loss, minimised by one step after each step of the main loss, or after every n-th.

    Attributes
    ----------
    part : nn.Module
        Part of the network that this phase updates.
    terms : callable
        Maps a batch to the loss terms, each (B,) or a scalar. Only `part` should receive gradients.
    lr_scale : float
        Factor of the learning rate.
    critic : bool
        Exclude the part from updates by the main loss and by other phases. Their gradients still flow through it.
    every : int
        Steps of the main loss for one step of this phase. After the others its terms are computed for the history only.
    """

    part: nn.Module
    terms: Callable[[Any], dict[str, Tensor]]
    lr_scale: float = 1.0
    critic: bool = True
    every: int = 1


class Phases:
    """Phases of a training run, each with its own optimiser.

    Parameters
    ----------
    phases : sequence of Phase
        Run in this order after each main step.
    optimizer : callable
        Makes the optimiser of a part of the network.
    """

    def __init__(self, phases: Sequence[Phase], optimizer: Callable[[nn.Module], Optimizer]) -> None:
        self.phases = phases
        self._new_optimizer = optimizer
        self._optimizers: list[Optimizer] = []

    def frozen_critics(self) -> AbstractContextManager[None]:
        """Context manager: exclude the critics from updates other than those of their own phases."""
        return _requires_grad(False, *self.phases)

    def begin(self) -> None:
        """Start with new optimisers."""
        self._optimizers = []
        for phase in self.phases:
            with _requires_grad(True, phase):
                self._optimizers.append(self._new_optimizer(phase.part))

    def step(self, batch: Any, rate: float, done: int = 0) -> dict[str, Tensor]:
        """Make one step of each phase that is due; returns the mean of each loss term, detached.

        The main loss has made `done` steps in the run.
        """
        means_by_name: dict[str, Tensor] = {}
        for phase, optimizer in zip(self.phases, self._optimizers, strict=True):
            if done % phase.every:
                with torch.no_grad():
                    means_by_name |= {name: value.mean() for name, value in phase.terms(batch).items()}
                continue
            with _requires_grad(True, phase):
                means = {name: value.mean() for name, value in phase.terms(batch).items()}
                sum(means.values(), start=next(iter(means.values())).new_zeros(())).backward()  # type: ignore[no-untyped-call]
                optimizer.step(phase.lr_scale * rate)
            means_by_name |= {name: mean.detach() for name, mean in means.items()}
        return means_by_name

    def state(self) -> dict[str, Tensor]:
        """Return the state of all optimisers, by name."""
        states = enumerate(optimizer.state() for optimizer in self._optimizers)
        return {f"{i}.{name}": value for i, state in states for name, value in state.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore a state returned by `state`."""
        self.begin()
        for i, optimizer in enumerate(self._optimizers):
            prefix = f"{i}."
            mine = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
            optimizer.load(mine)


@contextmanager
def _requires_grad(wanted: bool, *phases: Phase) -> Iterator[None]:
    """Context manager: enable or disable gradients of the critics among the phases, and set the opposite at the end."""
    critics = [phase.part for phase in phases if phase.critic]
    for critic in critics:
        critic.requires_grad_(wanted)
    try:
        yield
    finally:
        for critic in critics:
            critic.requires_grad_(not wanted)
