"""The only training loop: mini-batches, Adam, a schedule, early stopping on documents kept apart."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from topicnet.runtime.distributed import World, on_rank_zero
from topicnet.training.alternating import Phase, Phases
from topicnet.training.best_weights import BestWeights
from topicnet.training.checkpoint import Checkpoints, Saved
from topicnet.training.loss import named_terms, validation_loss
from topicnet.training.optimizer import Adam
from topicnet.training.progress import Listener, Progress, Rollback, TrainResult
from topicnet.training.protocols import Batches, Companion
from topicnet.training.schedule import Schedule

CHECK_STEPS = 20  # how often the device is asked whether the loss is sound: each question waits for its answer
SECONDS_OF_NEWS = 2.0  # between news from within an epoch
RUNAWAY = 3.0  # a mean loss so many times that of the first step is no training
ROLLBACK_FACTOR, MOST_ROLLBACKS = 0.1, 5
INTERVENTION_PRICE = 0.01  # share of the validation loss that a treatment may cost in the end
# Of a run between two steps, beside its tensors.
REMEMBERED = (
    "epoch", "done", "drawn", "names", "history", "slowdown", "first_loss", "first_probe", "least_loss", "seconds",
)  # fmt: skip


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
    rates: Mapping[str, float] | None = None,
    measure: Callable[[], dict[str, float]] = dict,
    intervene: Callable[[int, bool], bool] = lambda epoch, stopping: False,
    listener: Listener | None = None,
    interrupted: Callable[[], bool] = lambda: False,
    checkpoints: Checkpoints | None = None,
    saved: Saved | None = None,
    companions: Sequence[Companion] = (),
    world: World | None = None,
    phases: Sequence[Phase] = (),
    normalise_gradients: bool = False,
) -> TrainResult:
    """Minimise the weighted sum of the network's terms and leave the best weights in place.

    A loss that is no longer finite, or far above where it began, is looked for every `CHECK_STEPS` steps: the run
    then goes back to the best weights and on with a tenth of the rate, at most `MOST_ROLLBACKS` times.

    Parameters
    ----------
    validation : Batches or None
        Documents kept apart: their loss picks the best epoch and stops the run after `patience` epochs without
        improvement. Without them the last epoch is the best.
    rates : mapping of str to float, optional
        Share of the learning rate for the parameters named; all others have the whole.
    measure : callable
        Called after each epoch, in evaluation mode; its numbers join the history.
    treat : callable
        Called after that with the epoch and whether the run is about to stop early; True when it has changed the
        weights, which then count as a new start. The best weights of before are returned to if the run is
        interrupted right then, or ends with a validation loss more than `INTERVENTION_PRICE` above the least before.
    interrupted : callable
        Asked before each step; True stops the run cleanly.
    checkpoints : Checkpoints, optional
        Where the run is saved, between steps: before the first, whenever it is due, and when it is interrupted.
    saved : Saved, optional
        What an equal run saved: this one goes on from there, and ends as that one would have, to the bit.
    companions : sequence of Companion
        Saved with the run. What `measure` and `intervene` remember from call to call belongs here.
    world : World, optional
        Processes that train together, each on its share of every batch. All have to be here, with the same weights, and
        end with the same; the first alone validates, measures, and is given `checkpoints`.
    phases : sequence of Phase
        Further losses, each with a step of its own after every step. For one process alone.
    normalise_gradients : bool
        See `Adam`.

    Returns
    -------
    TrainResult
    """
    assert world is None or not phases, "the gradients of phases are not summed over processes"
    run = _Run(network, batches, validation, schedule, seed, interrupted, world)
    run.optimise(weight_decay, rates or {}, normalise_gradients, phases)
    with run.phases.critics_alone():
        if saved is None:
            run.begin()
        else:
            run.load(saved, device)
            for companion, state in zip(companions, saved.values["companions"], strict=True):
                companion.load(state)
        began = time.perf_counter() - run.seconds
        stopped = "done"

        def keep(at_once: bool) -> None:
            if checkpoints is not None and (at_once or checkpoints.due()):
                run.seconds = time.perf_counter() - began
                checkpoints.save(run.saved([companion.state() for companion in companions]))

        def on_way(share: float) -> None:
            if listener is not None:
                listener(Progress(stage, run.epoch - 1, max_epochs, time.perf_counter() - began, within=share))

        while run.epoch <= max_epochs:
            epoch = run.epoch
            ending = run.go_through(keep, on_way)
            if ending == "interrupted":
                stopped = ending
                break
            loss = math.nan if ending == "lost" else run.validation_loss()
            if ending == "lost" or not run.sound(loss):
                if not run.roll_back():
                    stopped = "diverged"
                    break
                continue
            row = {"epoch": float(epoch)} | run.averages()
            row |= {"learning_rate": run.rate(), "validation_loss": loss} | on_rank_zero(world, measure)
            row["seconds"] = time.perf_counter() - run.epoch_began
            run.history.append(row)
            if listener is not None:
                listener(Progress(stage, epoch, max_epochs, time.perf_counter() - began, row))
            run.best_weights.offer(epoch, loss)
            idle = run.idle_epochs() >= patience
            if idle:
                run.best_weights.restore()
            if epoch < max_epochs and intervene(epoch, idle):
                run.restart()
            elif idle and epoch < max_epochs:
                stopped = "early"
                break
            run.epoch, run.done = epoch + 1, 0
        return run.finish(stopped)


class _Run:
    """The moving parts of one training run."""

    def __init__(
        self,
        network: nn.Module,
        batches: Batches,
        validation: Batches | None,
        schedule: Schedule,
        seed: int,
        interrupted: Callable[[], bool],
        world: World | None,
    ) -> None:
        self.network = network
        self.batches = batches
        self.validation = validation
        self.schedule = schedule
        self.world = world
        self.interrupted = interrupted if world is None else lambda: world.any(interrupted())
        self.rng = np.random.default_rng(seed)
        self.history: list[dict[str, float]] = []
        self.rollbacks: list[Rollback] = []
        self.best_weights = BestWeights(network, interventions=0)
        self.before: BestWeights | None = None  # what the last treatment can be undone to
        self.least_loss = math.inf  # before any treatment
        self.treated_to_the_end = True
        self.slowdown = 1.0
        self.epoch = 1  # the one that is run
        self.done = 0  # steps of it
        self.step = 0  # of the run
        self.drawn: dict[str, Any] = {}  # the generator, before the order of the epoch was drawn
        self.names: list[str] = []  # of the terms, and the loss
        self.sums: Tensor  # of those over the documents of the epoch, on the device
        self.optimizer: Adam
        self.first_loss = self.first_probe = math.nan  # where the run, and its probe, began
        self.seconds = self.epoch_seconds = 0.0  # that went into the run, and its epoch, before they were saved
        self.epoch_began = 0.0

    def optimise(
        self, weight_decay: float, rates: Mapping[str, float], normalise: bool, phases: Sequence[Phase]
    ) -> None:
        """Say how steps are made."""
        # No lambda: one that knows this run would keep it, and its moments, from being forgotten at once.
        self.new_optimizer = partial(Adam, self.network, weight_decay, rates, normalise)
        self.phases = Phases(phases, lambda part: Adam(part, weight_decay, {}, normalise))

    def begin(self) -> None:
        """Take the weights as they are for a start."""
        self._begin(0)

    def restart(self) -> None:
        """Take the weights a treatment left for a new start; those of before are kept beside."""
        if self.before is None or not self._too_dear(self.best_weights):
            self.before = self.best_weights
        self.least_loss = min(self.least_loss, self.best_weights.loss)
        self.best_weights = BestWeights(self.network, self.best_weights.interventions + 1)
        self._begin(self.epoch)
        self.treated_to_the_end = not self.interrupted()

    def _begin(self, epoch: int) -> None:
        self.network.eval()
        self.best_weights.offer(epoch, self.validation_loss())
        self.first_loss, self.first_probe = math.nan, self._probe()
        self._forget_moments()  # they do not speak of these weights

    def saved(self, companions: list[dict[str, Any]]) -> Saved:
        """All there is to remember between two steps."""
        parts = {"network": self.network.state_dict(), "optimizer": self.optimizer.state()}
        parts |= {"keeper": self.best_weights.tensors, "before": {} if self.before is None else self.before.tensors}
        parts |= {"epoch": {"sums": self.sums} if self.names else {}, "phases": self.phases.state()}
        values = {name: getattr(self, name) for name in REMEMBERED} | {"companions": companions}
        values |= {"keeper": self.best_weights.values, "before": None if self.before is None else self.before.values}
        values |= {"rollbacks": [asdict(rollback) for rollback in self.rollbacks]}
        values |= {"epoch_seconds": time.perf_counter() - self.epoch_began}
        return Saved({f"{part}.{name}": value for part, held in parts.items() for name, value in held.items()}, values)

    def load(self, saved: Saved, device: torch.device) -> None:
        """Remember it."""
        parts: dict[str, dict[str, Tensor]] = {"before": {}, "epoch": {}, "phases": {}}
        for key, value in saved.tensors.items():
            part, _, name = key.partition(".")
            parts.setdefault(part, {})[name] = value
        for name in REMEMBERED:
            setattr(self, name, saved.values[name])
        self.epoch_seconds = saved.values["epoch_seconds"]
        self.rollbacks = [Rollback(**rollback) for rollback in saved.values["rollbacks"]]
        self.rng.bit_generator.state = self.drawn
        self.network.load_state_dict(parts["network"])
        self.optimizer = self.new_optimizer()
        self.optimizer.load(parts["optimizer"])
        self.phases.load(parts["phases"])
        self.best_weights = BestWeights.of(self.network, saved.values["keeper"], parts["keeper"])
        if parts["before"]:
            self.before = BestWeights.of(self.network, saved.values["before"], parts["before"])
        if self.names:
            self.sums = parts["epoch"]["sums"].to(device, copy=True)

    def idle_epochs(self) -> int:
        """Epochs without improvement, not counting those in which rate and weights still rose."""
        risen = math.ceil(self.schedule.settled() * self.schedule.n_steps / len(self.batches))
        return self.epoch - max(self.best_weights.epoch, min(risen, self.epoch))

    def sound(self, loss: float) -> bool:
        """Whether the weights an epoch ended with may be kept: its last step is seen by no later loss."""
        known = self.validation is None or math.isfinite(loss)
        return known and self._probe() <= RUNAWAY * abs(self.first_probe)

    def rate(self) -> float:
        return self.slowdown * self.schedule.rate(self.step)

    def go_through(self, keep: Callable[[bool], None], on_way: Callable[[float], None]) -> str:
        """Run the epoch, or what is left of it.

        `keep` is called before each step, with whether it is the last chance; of a long epoch `on_way` is told, every
        few seconds, what share is done.

        Returns
        -------
        str
            "whole", "interrupted", or "lost" when the loss is no longer worth going on from.
        """
        self.network.train()
        told = time.perf_counter()
        self.epoch_began = told - self.epoch_seconds
        self.epoch_seconds = 0.0
        if self.done == 0:
            self.names = []
        self.step = (self.epoch - 1) * len(self.batches) + self.done
        self.drawn = self.rng.bit_generator.state  # type: ignore[assignment]
        ending = "whole"
        for batch in self.batches.shuffled(self.rng, self.done):
            # Processes stop together, at steps in which they ask each other.
            stop = (self.world is None or self.done % CHECK_STEPS == 0) and self.interrupted()
            if self.treated_to_the_end:  # else these are not the weights of a run that goes through
                keep(stop)
            if stop:
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

    def roll_back(self) -> bool:
        """Go back to the best weights and slow down; False when that has been done often enough."""
        self.best_weights.restore()
        if len(self.rollbacks) >= MOST_ROLLBACKS:
            return False
        self.slowdown *= ROLLBACK_FACTOR
        self._forget_moments()
        self.rollbacks.append(Rollback(self.epoch, self.done, self.slowdown * self.schedule.learning_rate))
        self.done = 0
        return True

    def averages(self) -> dict[str, float]:
        """Terms of the epoch, per document."""
        return {name: value / self.batches.n_docs for name, value in zip(self.names, self.sums.tolist(), strict=True)}

    def validation_loss(self) -> float:
        return on_rank_zero(self.world, lambda: validation_loss(self.network, self.validation, self.schedule))

    def finish(self, stopped: str) -> TrainResult:
        """Put the best weights in place."""
        self.network.eval()
        if self.before is not None and (self._too_dear(self.best_weights) or not self.treated_to_the_end):
            self.best_weights = self.before
        self.best_weights.restore()
        loss = math.nan if self.validation is None else self.best_weights.loss
        return TrainResult(
            self.history, self.best_weights.epoch, loss, stopped, self.rollbacks, self.best_weights.interventions
        )

    def _too_dear(self, best_weights: BestWeights) -> bool:
        # Without validation documents both are infinite: there is nothing to tell them apart by.
        return best_weights.loss > self.least_loss + INTERVENTION_PRICE * abs(self.least_loss)

    def _step(self, batch: Any) -> None:
        """One step of Adam; adds each term to `sums`, on the device, so that no step waits for a number."""
        terms = named_terms(self.network, batch)
        means = [value.mean() for value in terms.values()]
        loss = sum(self.schedule.weighted(name, mean, self.step) for name, mean in zip(terms, means, strict=True))
        assert isinstance(loss, Tensor)
        rate = self.rate()
        if self.world is None:
            loss.backward()  # type: ignore[no-untyped-call]
            # A scalar term speaks of every document of its batch.
            n_docs = max((value.numel() for value in terms.values()), default=1)
            tally = torch.stack([*means, loss]).detach_()
        else:
            share = batch.noise.share
            (loss * share.weight).backward()
            tally = torch.stack([*means, loss]).detach_().mul_(share.weight)
            tally, n_docs = self.world.sum_gradients(self.network, tally), share.n_docs
        self.optimizer.step(rate)
        names = [*terms, "loss"]
        if self.phases.phases:
            further = self.phases.step(batch, rate)
            names, tally = [*names, *further], torch.stack([*tally, *further.values()])
        if not self.names:
            self.names, self.sums = names, torch.zeros_like(tally)
        self.sums.add_(tally, alpha=n_docs)
        self.step += 1
        self.done += 1
        if math.isnan(self.first_loss):
            self.first_loss = self._yardstick(self.names, self.sums)

    def _lost(self) -> bool:
        """Whether the loss is not finite, or far above where the run began; asked of the device now and then."""
        if self.done % CHECK_STEPS and self.done < len(self.batches):
            return False
        return not self._yardstick(self.names, self.sums) / self.done <= RUNAWAY * abs(self.first_loss)

    def _probe(self) -> float:
        """The yardstick of one batch of the training data, the same at every call, in evaluation mode."""
        with torch.inference_mode():
            batch = next(iter(self.batches))
            terms = named_terms(self.network, batch)
            means = torch.stack([value.mean() for value in terms.values()])
            if self.world is not None:
                means = self.world.sum(means * batch.noise.share.weight)
            return self._yardstick([*terms], means)

    def _yardstick(self, names: list[str], sums: Tensor) -> float:
        """Sum of the terms; none counts more than once, so that a weight alone is no runaway loss."""
        values = dict(zip(names, sums.tolist(), strict=True))
        if not all(map(math.isfinite, values.values())):
            return math.nan  # the loss itself is asked only whether it is finite
        return float(sum(min(1.0, self.schedule.full_weight(name)) * values[name] for name in names if name != "loss"))

    def _forget_moments(self) -> None:
        self.optimizer = self.new_optimizer()
        self.phases.begin()
