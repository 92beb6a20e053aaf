"""The only training loop: mini-batches, Adam, a schedule, early stopping on documents kept apart."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sized
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from topicnet.core.outcome import Listener, Progress, Rollback, TrainResult
from topicnet.core.schedule import Schedule
from topicnet.core.seeding import seeded

CHECK_STEPS = 20  # how often the device is asked whether the loss is sound: each question waits for its answer
SECONDS_OF_NEWS = 2.0  # between news from within an epoch
RUNAWAY = 3.0  # a mean loss so many times that of the first step is no training
ROLLBACK_FACTOR, MOST_ROLLBACKS = 0.1, 5
TREATMENT_PRICE = 0.01  # share of the validation loss that a treatment may cost in the end


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
    rollbacks_done: int = 0,
    rates: Mapping[str, float] | None = None,
    measure: Callable[[], dict[str, float]] = dict,
    treat: Callable[[int, bool], bool] = lambda epoch, stopping: False,
    listener: Listener | None = None,
    interrupted: Callable[[], bool] = lambda: False,
) -> TrainResult:
    """Minimise the weighted sum of the network's terms and leave the best weights in place.

    A loss that is no longer finite, or far above where it began, is looked for every `CHECK_STEPS` steps: the run
    then goes back to the best weights and on with a tenth of the rate, at most `MOST_ROLLBACKS` times.

    Parameters
    ----------
    validation : Batches or None
        Documents kept apart: their loss picks the best epoch and stops the run after `patience` epochs without
        improvement. Without them the last epoch is the best.
    epochs_done : int
        Epochs of an earlier run that this one goes on from: the schedule and the count start after them.
    rollbacks_done : int
        Rollbacks of that run: this one goes on with the rate they led to.
    rates : mapping of str to float, optional
        Share of the learning rate for the parameters named; all others have the whole.
    measure : callable
        Called after each epoch, in evaluation mode; its numbers join the history.
    treat : callable
        Called after that with the epoch and whether the run is about to stop early; True when it has changed the
        weights, which then count as a new start. The best weights of before are returned to if the run is
        interrupted right then, or ends with a validation loss more than `TREATMENT_PRICE` above the least before.
    interrupted : callable
        Asked before each step; True stops the run cleanly.

    Returns
    -------
    TrainResult
    """
    run = _Run(network, batches, validation, schedule, weight_decay, seed, rates or {}, rollbacks_done, interrupted)
    rng = np.random.default_rng(seed)
    began = time.perf_counter()
    stopped = "done"
    with seeded(seed, device):
        run.begin(epochs_done)
        epoch = epochs_done + 1

        def on_way(share: float) -> None:
            if listener is not None:
                listener(Progress(stage, epoch - 1, max_epochs, time.perf_counter() - began, within=share))

        while epoch <= max_epochs:
            epoch_began = time.perf_counter()
            ending = run.epoch(epoch, rng, on_way)
            if ending == "interrupted":
                stopped = ending
                break
            loss = math.nan if ending == "lost" else run.validation_loss()
            if ending == "lost" or not run.sound(loss):
                if not run.roll_back(epoch):
                    stopped = "diverged"
                    break
                continue
            row = {"epoch": float(epoch)} | run.averages()
            row |= {"learning_rate": run.rate(), "validation_loss": loss} | measure()
            row["seconds"] = time.perf_counter() - epoch_began
            run.history.append(row)
            if listener is not None:
                listener(Progress(stage, epoch, max_epochs, time.perf_counter() - began, row))
            run.keeper.offer(epoch, loss)
            idle = run.idle_epochs(epoch, epochs_done) >= patience
            if idle:
                run.keeper.restore()
            if epoch < max_epochs and treat(epoch, idle):
                run.begin_anew(epoch)
            elif idle and epoch < max_epochs:
                stopped = "early"
                break
            epoch += 1
    return run.finish(stopped)


class _Run:
    """The moving parts of one training run."""

    def __init__(
        self,
        network: nn.Module,
        batches: Batches,
        validation: Batches | None,
        schedule: Schedule,
        weight_decay: float,
        seed: int,
        rates: Mapping[str, float],
        rollbacks_done: int,
        interrupted: Callable[[], bool],
    ) -> None:
        self.network = network
        self.batches = batches
        self.validation = validation
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.seed = seed
        self.rates = rates
        self.interrupted = interrupted
        self.history: list[dict[str, float]] = []
        self.rollbacks: list[Rollback] = []
        self.keeper = _Keeper(network, treatments=0)
        self.before: _Keeper | None = None  # what the last treatment can be undone to
        self.least_loss = math.inf  # before any treatment
        self.treated_to_the_end = True
        self.rollbacks_left = MOST_ROLLBACKS - rollbacks_done
        self.slowdown = ROLLBACK_FACTOR**rollbacks_done
        self.step = 0
        self.done = 0  # steps of this epoch
        self.sums: dict[str, Tensor] = {}
        self.optimizer: torch.optim.Optimizer
        self.first_loss = self.first_probe = math.nan  # where the run, and its probe, began

    @property
    def best_epoch(self) -> int:
        return self.keeper.epoch

    def begin(self, epoch: int) -> None:
        """Take the weights as they are for a start: Adam's moments do not speak of them."""
        self.network.eval()
        self.keeper.offer(epoch, self.validation_loss())
        self.first_loss, self.first_probe = math.nan, self._probe()
        self.optimizer = self._new_optimizer()

    def begin_anew(self, epoch: int) -> None:
        """Take the weights a treatment left for a new start; those of before are kept beside."""
        if self.before is None or not self._too_dear(self.keeper):
            self.before = self.keeper
        self.least_loss = min(self.least_loss, self.keeper.loss)
        self.keeper = _Keeper(self.network, self.keeper.treatments + 1)
        self.begin(epoch)
        self.treated_to_the_end = not self.interrupted()

    def idle_epochs(self, epoch: int, epochs_done: int) -> int:
        """Epochs without improvement, not counting those in which rate and weights still rose."""
        risen = math.ceil(self.schedule.settled() * self.schedule.n_steps / len(self.batches))
        return epoch - max(self.best_epoch, min(risen, epoch), epochs_done)

    def sound(self, loss: float) -> bool:
        """Whether the weights an epoch ended with may be kept: its last step is seen by no later loss."""
        known = self.validation is None or math.isfinite(loss)
        return known and self._probe() <= RUNAWAY * abs(self.first_probe)

    def rate(self) -> float:
        return self.slowdown * self.schedule.rate(self.step)

    def epoch(self, epoch: int, rng: np.random.Generator, on_way: Callable[[float], None]) -> str:
        """Run one epoch; "whole", "interrupted", or "lost" when the loss is no longer worth going on from.

        Of a long one `on_way` is told, every few seconds, what share is done.
        """
        self.network.train()
        self.sums, self.done = {}, 0
        self.step = (epoch - 1) * len(self.batches)
        ending, told = "whole", time.perf_counter()
        for batch in self.batches.shuffled(rng):
            if self.interrupted():
                ending = "interrupted"
                break
            self._step(batch)
            if self._lost():
                ending = "lost"
                break
            if self.done % CHECK_STEPS == 0 and time.perf_counter() - told > SECONDS_OF_NEWS:
                told = time.perf_counter()
                on_way(self.done / len(self.batches))
        self.network.eval()
        return ending

    def roll_back(self, epoch: int) -> bool:
        """Go back to the best weights and slow down; False when that has been done often enough."""
        self.keeper.restore()
        if self.rollbacks_left <= 0:
            return False
        self.rollbacks_left -= 1
        self.slowdown *= ROLLBACK_FACTOR
        self.optimizer = self._new_optimizer()
        self.rollbacks.append(Rollback(epoch, self.done, self.slowdown * self.schedule.learning_rate))
        return True

    def averages(self) -> dict[str, float]:
        """Terms of the epoch, per document."""
        return {name: float(value) / self.batches.n_docs for name, value in self.sums.items()}

    def validation_loss(self) -> float:
        return validation_loss(self.network, self.validation, self.schedule, self.seed)

    def finish(self, stopped: str) -> TrainResult:
        """Put the best weights in place."""
        self.network.eval()
        if self.before is not None and (self._too_dear(self.keeper) or not self.treated_to_the_end):
            self.keeper = self.before
        self.keeper.restore()
        loss = math.nan if self.validation is None else self.keeper.loss
        return TrainResult(self.history, self.keeper.epoch, loss, stopped, self.rollbacks, self.keeper.treatments)

    def _too_dear(self, keeper: _Keeper) -> bool:
        # Without validation documents both are infinite: there is nothing to tell them apart by.
        return keeper.loss > self.least_loss + TREATMENT_PRICE * abs(self.least_loss)

    def _step(self, batch: Any) -> None:
        """One step of Adam; adds each term to `sums`, on the device, so that no step waits for a number."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["share"] * self.rate()
        terms = _terms(self.network, batch)
        weights = {name: self.schedule.weight(name, self.step) for name in terms}
        loss = torch.stack([weights[name] * value.mean() for name, value in terms.items()]).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            n_docs = max((value.numel() for value in terms.values()), default=1)
            for name, value in terms.items():
                # A scalar term speaks of every document of its batch.
                total = value.detach().sum() * (1 if value.numel() == n_docs else n_docs)
                self.sums[name] = self.sums.get(name, 0.0) + total
                self.sums["loss"] = self.sums.get("loss", 0.0) + weights[name] * total
        self.step += 1
        self.done += 1
        if math.isnan(self.first_loss):
            self.first_loss = self._yardstick(self.sums)

    def _lost(self) -> bool:
        """Whether the loss is not finite, or far above where the run began; asked of the device now and then."""
        if self.done % CHECK_STEPS and self.done < len(self.batches):
            return False
        return not self._yardstick(self.sums) / self.done <= RUNAWAY * abs(self.first_loss)

    def _probe(self) -> float:
        """The yardstick of one batch of the training data, the same at every call, in evaluation mode."""
        with seeded(self.seed, _device_of(self.network)), torch.inference_mode():
            terms = _terms(self.network, next(iter(self.batches)))
            return self._yardstick({name: value.mean() for name, value in terms.items()})

    def _yardstick(self, sums: dict[str, Tensor]) -> float:
        """Sum of the terms; none counts more than once, so that a weight alone is no runaway loss."""
        weights = {name: min(1.0, self.schedule.full_weight(name)) for name in sums if name != "loss"}
        values = [weight * sums[name] for name, weight in weights.items() if weight > 0]
        # The loss itself is asked only whether it is finite.
        return float(torch.stack([*values, *(0.0 * sums[name] for name in sums)]).sum())

    def _new_optimizer(self) -> torch.optim.Optimizer:
        groups = _parameter_groups(self.network, self.weight_decay, self.rates)
        return torch.optim.Adam(groups, lr=self.schedule.learning_rate, fused=True)


def validation_loss(network: nn.Module, batches: Batches | None, schedule: Schedule, seed: int) -> float:
    """Mean over documents of the fully weighted terms, under the same noise at every call; NaN for no batches."""
    if batches is None:
        return math.nan
    total = 0.0
    with seeded(seed, _device_of(network)), torch.inference_mode():
        for batch in batches:
            terms = _terms(network, batch)
            n_docs = max(value.numel() for value in terms.values())
            # A scalar term speaks of every document of its batch.
            parts = [schedule.full_weight(name) * n_docs * value.mean() for name, value in terms.items()]
            total += float(torch.stack(parts).sum())
    return total / batches.n_docs


def _terms(network: nn.Module, batch: Any) -> dict[str, Tensor]:
    terms: dict[str, Tensor] = network.terms(batch)  # type: ignore[operator]
    return terms


def _device_of(network: nn.Module) -> torch.device:
    return next(network.parameters()).device


def _parameter_groups(network: nn.Module, weight_decay: float, rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """Decay weights, leave biases and normalisation alone; each with its share of the learning rate."""
    unknown = rates.keys() - dict(network.named_parameters()).keys()
    if unknown:
        raise KeyError(f"no parameters {', '.join(sorted(unknown))}")
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            key = (rates.get(name, 1.0), weight_decay if parameter.ndim > 1 else 0.0)
            groups.setdefault(key, []).append(parameter)
    return [
        {"params": parameters, "share": share, "weight_decay": decay} for (share, decay), parameters in groups.items()
    ]


class _Keeper:
    """Holds the best weights seen, on the device."""

    def __init__(self, network: nn.Module, treatments: int) -> None:
        self.network = network
        self.treatments = treatments
        self.epoch = 0
        self.loss = math.inf
        self.state: dict[str, Tensor] = {}

    def offer(self, epoch: int, loss: float) -> None:
        """Keep the weights if their loss is the lowest so far; without one (NaN) the latest are the best."""
        if self.state and loss >= self.loss:
            return
        self.epoch, self.loss = epoch, math.inf if math.isnan(loss) else loss
        if not self.state:
            self.state = {name: value.clone() for name, value in self.network.state_dict().items()}
            return
        for name, value in self.network.state_dict().items():
            self.state[name].copy_(value)

    def restore(self) -> None:
        """Put the best weights back."""
        self.network.load_state_dict(self.state)
