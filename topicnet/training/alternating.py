"""Alternating losses: critics, and parts that learn to fool one, with a step after each step of the main loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from topicnet.training.optimizer import Adam


@dataclass(frozen=True)
class Phase:
    """A further loss, minimised by one step after each step of the main loss.

    Attributes
    ----------
    part : nn.Module
        A part of the network: what the phase moves.
    terms : callable
        Of a batch: the terms of its loss, each (B,) or a scalar. Nothing outside `part` should get a gradient.
    lr_scale : float
        Factor of the learning rate.
    critic : bool
        Whether the main loss, and other phases, leave the part alone: they look at it, and gradients flow through it.
    """

    part: nn.Module
    terms: Callable[[Any], dict[str, Tensor]]
    lr_scale: float = 1.0
    critic: bool = True


class Phases:
    """The phases of a run, each with an optimiser of its own."""

    def __init__(self, phases: Sequence[Phase], optimizer: Callable[[nn.Module], Adam]) -> None:
        self.phases = phases
        self._new_optimizer = optimizer
        self._optimizers: list[Adam] = []

    def critics_alone(self) -> AbstractContextManager[None]:
        """Keep the critics from being moved by any loss but their own."""
        return _requires_grad(False, *self.phases)

    def begin(self) -> None:
        """Forget all moments."""
        self._optimizers = []
        for phase in self.phases:
            with _requires_grad(True, phase):
                self._optimizers.append(self._new_optimizer(phase.part))

    def step(self, batch: Any, rate: float) -> dict[str, Tensor]:
        """One step of each; the means of their terms, detached."""
        found: dict[str, Tensor] = {}
        for phase, optimizer in zip(self.phases, self._optimizers, strict=True):
            with _requires_grad(True, phase):
                means = {name: value.mean() for name, value in phase.terms(batch).items()}
                sum(means.values(), start=next(iter(means.values())).new_zeros(())).backward()  # type: ignore[no-untyped-call]
                optimizer.step(phase.lr_scale * rate)
            found |= {name: mean.detach() for name, mean in means.items()}
        return found

    def state(self) -> dict[str, Tensor]:
        """What the optimisers remember, by name."""
        states = enumerate(optimizer.state() for optimizer in self._optimizers)
        return {f"{i}.{name}": value for i, state in states for name, value in state.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Remember it."""
        self.begin()
        for i, optimizer in enumerate(self._optimizers):
            prefix = f"{i}."
            mine = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
            optimizer.load(mine)


@contextmanager
def _requires_grad(wanted: bool, *phases: Phase) -> Iterator[None]:
    """Let the critics among the phases require gradients inside the block, or not; the other way afterwards."""
    critics = [phase.part for phase in phases if phase.critic]
    for critic in critics:
        critic.requires_grad_(wanted)
    try:
        yield
    finally:
        for critic in critics:
            critic.requires_grad_(not wanted)
