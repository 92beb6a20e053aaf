"""The only training loop: mini-batches, Adam, a schedule, early stopping on documents kept apart."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sized
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from topicnet.core.schedule import Schedule
from topicnet.core.seeding import seeded


class Network(Protocol):
    """What the loop asks of a network: named loss terms, each (B,) or a scalar, in nats per document."""

    def terms(self, batch: Any) -> dict[str, Tensor]:
        """Loss terms of a batch."""
        ...


class Batches(Sized, Protocol):
    """Batches of one data set, in order or shuffled."""

    @property
    def n_docs(self) -> int:
        """Number of documents in all batches."""
        ...

    def __iter__(self) -> Iterator[Any]: ...

    def shuffled(self, rng: np.random.Generator) -> Iterator[Any]:
        """Every document once, in random order."""
        ...


@dataclass(frozen=True)
class Progress:
    """Where a fit stands, for whoever shows it.

    Attributes
    ----------
    stage : str
        "start", "teach" or "train".
    done, total : int
        Passes or epochs.
    seconds : float
        Since the stage began.
    values : dict
        Numbers of the last epoch, by name.
    """

    stage: str
    done: int
    total: int
    seconds: float
    values: dict[str, float] = field(default_factory=dict)


Listener = Callable[[Progress], None]


@dataclass(frozen=True)
class TrainResult:
    """How a training run ended; the network holds the best weights.

    Attributes
    ----------
    history : list of dict
        One row per epoch: named terms in nats per document, raw and weighted, rates, seconds.
    best_epoch : int
        The epoch whose weights were kept, counted from 1; 0 when the start was never improved on.
    best_bound : float
        Sum of the terms on the validation documents, nats per document (lower is better); NaN without them.
    stopped : str
        "done", "early", "interrupted" or "diverged".
    """

    history: list[dict[str, float]]
    best_epoch: int
    best_bound: float
    stopped: str


def train(
    network: nn.Module,
    batches: Batches,
    validation: Batches | None,
    schedule: Schedule,
    *,
    max_epochs: int,
    patience: int,
    weight_decay: float,
    seed: int,
    device: torch.device,
    stage: str = "train",
    epochs_done: int = 0,
    measure: Callable[[], dict[str, float]] = dict,
    listener: Listener | None = None,
    interrupted: Callable[[], bool] = lambda: False,
) -> TrainResult:
    """Minimise the weighted sum of the network's terms and leave the best weights in place.

    Parameters
    ----------
    validation : Batches or None
        Documents kept apart: their bound picks the best epoch and stops the run after `patience` epochs without
        improvement. Without them the last epoch is the best.
    epochs_done : int
        Epochs of an earlier run that this one goes on from: the schedule and the count start after them.
    measure : callable
        Called after each epoch, in evaluation mode; its numbers join the history.
    interrupted : callable
        Asked before each step; True stops the run cleanly.

    Returns
    -------
    TrainResult
    """
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.Adam(_parameter_groups(network, weight_decay), lr=schedule.learning_rate, fused=True)
    history: list[dict[str, float]] = []
    keeper = _Keeper(network) if validation is not None else None
    began = time.perf_counter()
    stopped = "done"
    step = epochs_done * len(batches)
    with seeded(seed, device):
        if keeper is not None:
            keeper.offer(epochs_done, validation_bound(network, validation, schedule, seed))
        for epoch in range(epochs_done + 1, max_epochs + 1):
            epoch_began = time.perf_counter()
            network.train()
            sums: dict[str, Tensor] = {}
            for batch in batches.shuffled(rng):
                if interrupted():
                    stopped = "interrupted"
                    break
                _step(network, batch, optimizer, schedule, step, sums)
                step += 1
            network.eval()
            if stopped == "interrupted":
                break
            row = {"epoch": float(epoch)} | _per_document(sums, batches.n_docs)
            bound = validation_bound(network, validation, schedule, seed)
            row |= {"learning_rate": schedule.rate(step), "validation_bound": bound} | measure()
            row["seconds"] = time.perf_counter() - epoch_began
            history.append(row)
            if listener is not None:
                listener(Progress(stage, epoch, max_epochs, time.perf_counter() - began, row))
            if not math.isfinite(row["loss"]):
                stopped = "diverged"
                break
            if keeper is not None:
                keeper.offer(epoch, bound)
                if epoch - keeper.epoch >= patience and epoch < max_epochs:
                    stopped = "early"
                    break
    network.eval()
    if keeper is None:
        return TrainResult(history, epochs_done + len(history), math.nan, stopped)
    keeper.restore()
    return TrainResult(history, keeper.epoch, keeper.bound, stopped)


def validation_bound(network: nn.Module, batches: Batches | None, schedule: Schedule, seed: int) -> float:
    """Mean over documents of the fully weighted terms, under the same noise at every call; NaN for no batches."""
    if batches is None:
        return math.nan
    total = 0.0
    with seeded(seed, _device_of(network)), torch.inference_mode():
        for batch in batches:
            terms = _terms(network, batch)
            parts = [schedule.full_weight(name) * value.sum() for name, value in terms.items()]
            total += float(torch.stack(parts).sum())
    return total / batches.n_docs


def _step(
    network: nn.Module,
    batch: Any,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    step: int,
    sums: dict[str, Tensor],
) -> None:
    """One step of Adam; adds each term to `sums`, on the device, so that no step waits for a number."""
    for group in optimizer.param_groups:
        group["lr"] = schedule.rate(step)
    terms = _terms(network, batch)
    loss = torch.stack([schedule.weight(name, step) * value.mean() for name, value in terms.items()]).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    with torch.no_grad():
        for name, value in terms.items():
            total = value.detach().sum()
            sums[name] = sums.get(name, 0.0) + total
            weighted = schedule.weight(name, step) * total
            sums["loss"] = sums.get("loss", 0.0) + weighted


def _terms(network: nn.Module, batch: Any) -> dict[str, Tensor]:
    terms: dict[str, Tensor] = network.terms(batch)  # type: ignore[operator]
    return terms


def _device_of(network: nn.Module) -> torch.device:
    return next(network.parameters()).device


def _per_document(sums: dict[str, Tensor], n_docs: int) -> dict[str, float]:
    return {name: float(value) / n_docs for name, value in sums.items()}


def _parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Decay weights, leave biases and normalisation alone."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


class _Keeper:
    """Holds the best weights seen, on the device."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.epoch = 0
        self.bound = math.inf
        self.state: dict[str, Tensor] = {}

    def offer(self, epoch: int, bound: float) -> None:
        """Keep the weights if their bound is the lowest so far."""
        if self.state and not bound < self.bound:
            return
        self.epoch, self.bound = epoch, bound
        if not self.state:
            self.state = {name: value.clone() for name, value in self.network.state_dict().items()}
            return
        for name, value in self.network.state_dict().items():
            self.state[name].copy_(value)

    def restore(self) -> None:
        """Put the best weights back."""
        self.network.load_state_dict(self.state)
