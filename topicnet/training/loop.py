"""Training loop: mini-batches, Adam, learning-rate schedule, early stopping, rollback after divergence."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from topicnet.runtime.distributed import on_rank_zero
from topicnet.training.alternating import Phases
from topicnet.training.best_weights import BestWeights
from topicnet.training.checkpoint import Saved
from topicnet.training.loss import named_terms, validation_loss
from topicnet.training.optimizer import Adam
from topicnet.training.options import NO_HOOKS, TrainHooks, TrainOptions
from topicnet.training.progress import Progress, Rollback, TrainResult
from topicnet.training.protocols import Batches, Optimizer
from topicnet.training.schedule import Schedule

CHECK_STEPS = 20  # steps between checks of the loss, because each check synchronises with the device
REPORT_SECONDS = 2.0  # between progress reports within an epoch
DIVERGENCE_FACTOR = 3.0  # roll back when the mean loss exceeds this multiple of the first step's
ROLLBACK_FACTOR, MOST_ROLLBACKS = 0.1, 5
INTERVENTION_TOLERANCE = 0.01  # largest relative rise of the validation loss for which an intervention is kept
# Attributes saved in checkpoints, in addition to tensors.
SAVED_ATTRIBUTES = (
    "epoch", "done", "drawn", "names", "history", "slowdown", "first_loss", "first_probe", "least_loss", "seconds",
)  # fmt: skip


def train(
    network: nn.Module,
    batches: Batches,
    validation: Batches | None,
    schedule: Schedule,
    options: TrainOptions,
    hooks: TrainHooks = NO_HOOKS,
) -> TrainResult:
    """Minimise the weighted sum of the network's loss terms, and leave the best weights in the network.

    Every `CHECK_STEPS` steps the loss is checked. If it is not finite or far above its initial value, the run returns
    to the best weights and continues with a tenth of the learning rate, at most `MOST_ROLLBACKS` times.

    Parameters
    ----------
    network : nn.Module
        Network with a method `terms` that maps a batch to named loss terms.
    batches : Batches
        Training documents.
    validation : Batches or None
        Held-out documents. Their loss selects the best epoch and stops the run early. Without them, the last epoch
        counts as the best.
    schedule : Schedule
        Learning rate and weights of the terms.
    options : TrainOptions
        Length, seed, optimiser settings.
    hooks : TrainHooks
        Callbacks and checkpoints.

    Returns
    -------
    TrainResult
        History, best epoch and reason for stopping.
    """
    run = _Run(network, batches, validation, schedule, options, hooks)
    with run.phases.frozen_critics():
        run.begin()
        stopped = None
        while stopped is None and run.epoch <= options.max_epochs:
            stopped = run.advance()
        return run.finish(stopped or "done")


@dataclass(eq=False)
class _Run:
    """State of one training run."""

    network: nn.Module
    batches: Batches
    validation: Batches | None
    schedule: Schedule
    options: TrainOptions
    hooks: TrainHooks

    def __post_init__(self) -> None:
        options, network = self.options, self.network
        self.world = options.world
        self.rng = np.random.default_rng(options.seed)
        self.history: list[dict[str, float]] = []
        self.rollbacks: list[Rollback] = []
        self.best_weights = BestWeights(network, interventions=0)
        self.before: BestWeights | None = None  # weights to return to if the last intervention is undone
        self.least_loss = math.inf  # lowest loss before any intervention
        self.intervention_complete = True
        self.slowdown = 1.0
        self.epoch = 1  # current epoch
        self.done = 0  # finished steps of the epoch
        self.step = 0  # step of the run
        self.drawn: dict[str, Any] = {}  # generator state before the document order of the epoch was drawn
        self.names: list[str] = []  # loss terms, and "loss"
        self.sums: Tensor  # their sums over the documents of the epoch, on the device
        self.first_loss = self.first_probe = math.nan  # initial values for the divergence checks
        self.seconds = self.epoch_seconds = 0.0  # time spent on the run and on its epoch before a checkpoint
        self.began = self.epoch_began = 0.0
        decay, normalise = options.weight_decay, options.normalise_gradients
        # A lambda would refer to this run and delay the release of its memory until garbage collection.
        make = options.optimizer
        whole = partial(Adam, network, decay, options.lr_scales, normalise)
        self.new_optimizer: Callable[[], Optimizer] = whole if make is None else partial(make, network)
        self.optimizer: Optimizer
        self.phases = Phases(options.phases, make or (lambda part: Adam(part, decay, {}, normalise)))

    def begin(self) -> None:
        """Start from the current weights, or from the given checkpoint."""
        if self.hooks.saved is None:
            self._begin(0)
        else:
            self._load(self.hooks.saved)
        self.began = time.perf_counter() - self.seconds

    def advance(self) -> str | None:
        """Run the rest of the epoch; returns the reason for stopping, or None to continue."""
        epoch, last = self.epoch, self.options.max_epochs
        ending = self._run_steps()
        self.network.eval()
        if ending == "interrupted":
            return ending
        loss = math.nan if ending == "diverged" else self._validation_loss()
        if ending == "diverged" or not self._weights_usable(loss):
            return None if self._roll_back() else "diverged"
        row = {"epoch": float(epoch)} | {
            name: total / self.batches.n_docs for name, total in zip(self.names, self.sums.tolist(), strict=True)
        }
        row |= {"learning_rate": self._rate(), "validation_loss": loss} | on_rank_zero(self.world, self.hooks.measure)
        row["seconds"] = time.perf_counter() - self.epoch_began
        self.history.append(row)
        self._report(epoch, row)
        self.best_weights.update(epoch, loss)
        idle = self._idle_epochs() >= self.options.patience
        if idle:
            self.best_weights.restore()
        if epoch < last and self.hooks.intervene(epoch, idle):
            self._restart()
        elif idle and epoch < last:
            return "early"
        self.epoch, self.done = epoch + 1, 0
        return None

    def finish(self, stopped: str) -> TrainResult:
        """Load the best weights, and undo the last intervention if it was incomplete or costly."""
        self.network.eval()
        if self.before is not None and (self._costs_too_much(self.best_weights) or not self.intervention_complete):
            self.best_weights = self.before
        self.best_weights.restore()
        loss = math.nan if self.validation is None else self.best_weights.loss
        return TrainResult(
            self.history, self.best_weights.epoch, loss, stopped, self.rollbacks, self.best_weights.interventions
        )

    def _restart(self) -> None:
        """Start again from weights changed by an intervention, and keep the earlier ones to return to."""
        if self.before is None or not self._costs_too_much(self.best_weights):
            self.before = self.best_weights
        self.least_loss = min(self.least_loss, self.best_weights.loss)
        self.best_weights = BestWeights(self.network, self.best_weights.interventions + 1)
        self._begin(self.epoch)
        self.intervention_complete = not self._interrupted()

    def _begin(self, epoch: int) -> None:
        self.network.eval()
        self.best_weights.update(epoch, self._validation_loss())
        self.first_loss, self.first_probe = math.nan, self._probe()
        self._forget_moments()  # which belong to other weights

    def _interrupted(self) -> bool:
        pressed = self.hooks.interrupted()
        return pressed if self.world is None else self.world.any(pressed)

    def _report(self, done: int, row: dict[str, float], within: float = 0.0) -> None:
        seconds = time.perf_counter() - self.began
        self.hooks.listener(Progress(self.options.stage, done, self.options.max_epochs, seconds, row, within))

    def _save(self, at_once: bool) -> None:
        """Save a checkpoint if one is due, or in any case if `at_once`."""
        checkpoints = self.hooks.checkpoints
        if checkpoints is not None and (at_once or checkpoints.due()):
            self.seconds = time.perf_counter() - self.began
            checkpoints.save(self._saved())

    def _saved(self) -> Saved:
        """Return the state of the run between two steps."""
        parts = {"network": self.network.state_dict(), "optimizer": self.optimizer.state()}
        parts |= {"keeper": self.best_weights.tensors, "before": {} if self.before is None else self.before.tensors}
        parts |= {"epoch": {"sums": self.sums} if self.names else {}, "phases": self.phases.state()}
        values = {name: getattr(self, name) for name in SAVED_ATTRIBUTES}
        values |= {"companions": [companion.state() for companion in self.hooks.companions]}
        values |= {"keeper": self.best_weights.values, "before": None if self.before is None else self.before.values}
        values |= {"rollbacks": [asdict(rollback) for rollback in self.rollbacks]}
        values |= {"epoch_seconds": time.perf_counter() - self.epoch_began}
        return Saved({f"{part}.{name}": value for part, held in parts.items() for name, value in held.items()}, values)

    def _load(self, saved: Saved) -> None:
        """Restore the state saved in a checkpoint."""
        parts: dict[str, dict[str, Tensor]] = {"before": {}, "epoch": {}, "phases": {}}
        for key, value in saved.tensors.items():
            part, _, name = key.partition(".")
            parts.setdefault(part, {})[name] = value
        for name in SAVED_ATTRIBUTES:
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
            self.sums = parts["epoch"]["sums"].to(self.options.device, copy=True)
        for companion, state in zip(self.hooks.companions, saved.values["companions"], strict=True):
            companion.load(state)

    def _idle_epochs(self) -> int:
        """Count the epochs without improvement, except those in which the rate or a weight still rose."""
        risen = math.ceil(self.schedule.settled() * self.schedule.n_steps / len(self.batches))
        return self.epoch - max(self.best_weights.epoch, min(risen, self.epoch))

    def _weights_usable(self, loss: float) -> bool:
        """Check the weights at the end of an epoch, whose last step no training loss has seen yet."""
        known = self.validation is None or math.isfinite(loss)
        return known and self._probe() <= DIVERGENCE_FACTOR * abs(self.first_probe)

    def _rate(self) -> float:
        return self.slowdown * self.schedule.rate(self.step)

    def _run_steps(self) -> str:
        """Run the remaining steps of the epoch; returns "complete", "interrupted" or "diverged"."""
        self.network.train()
        reported = time.perf_counter()
        self.epoch_began = reported - self.epoch_seconds
        self.epoch_seconds = 0.0
        if self.done == 0:
            self.names = []
        self.step = (self.epoch - 1) * len(self.batches) + self.done
        self.drawn = self.rng.bit_generator.state  # type: ignore[assignment]
        for batch in self.batches.shuffled(self.rng, self.done):
            # All processes stop at the same step, one in which they check for interruption together.
            stop = (self.world is None or self.done % CHECK_STEPS == 0) and self._interrupted()
            if self.intervention_complete:  # else resuming would continue from other weights
                self._save(at_once=stop)
            if stop:
                return "interrupted"
            self._step(batch)
            if self._has_diverged():
                return "diverged"
            if self.done % CHECK_STEPS == 0 and time.perf_counter() - reported > REPORT_SECONDS:
                reported = time.perf_counter()
                self._report(self.epoch - 1, {}, self.done / len(self.batches))
        return "complete"

    def _roll_back(self) -> bool:
        """Return to the best weights with a lower learning rate; returns False after too many rollbacks."""
        self.best_weights.restore()
        if len(self.rollbacks) >= MOST_ROLLBACKS:
            return False
        self.slowdown *= ROLLBACK_FACTOR
        self._forget_moments()
        self.rollbacks.append(Rollback(self.epoch, self.done, self.slowdown * self.schedule.learning_rate))
        self.done = 0
        return True

    def _validation_loss(self) -> float:
        return on_rank_zero(self.world, lambda: validation_loss(self.network, self.validation, self.schedule))

    def _costs_too_much(self, best_weights: BestWeights) -> bool:
        # Without validation documents both losses are infinite, and this is False.
        return best_weights.loss > self.least_loss + INTERVENTION_TOLERANCE * abs(self.least_loss)

    def _step(self, batch: Any) -> None:
        """Make one optimiser step and add each term to `sums` on the device, so that no step waits for a number."""
        terms = named_terms(self.network, batch)
        means = [value.mean() for value in terms.values()]
        loss = sum(self.schedule.weighted(name, mean, self.step) for name, mean in zip(terms, means, strict=True))
        assert isinstance(loss, Tensor)
        rate = self._rate()
        if self.world is None:
            loss.backward()  # type: ignore[no-untyped-call]
            # A scalar term applies to every document of its batch.
            n_docs = max((value.numel() for value in terms.values()), default=1)
            tally = torch.stack([*means, loss]).detach_()
        else:
            shard = batch.shard
            (loss * shard.weight).backward()
            tally = torch.stack([*means, loss]).detach_().mul_(shard.weight)
            tally, n_docs = self.world.sum_gradients(self.network, tally), shard.n_docs
        self.optimizer.step(rate)
        names = [*terms, "loss"]
        if self.phases.phases:
            further = self.phases.step(batch, rate, self.step + 1)
            names, tally = [*names, *further], torch.stack([*tally, *further.values()])
        if not self.names:
            self.names, self.sums = names, torch.zeros_like(tally)
        self.sums.add_(tally, alpha=n_docs)
        self.step += 1
        self.done += 1
        if math.isnan(self.first_loss):
            self.first_loss = self._reference_loss(self.names, self.sums)

    def _has_diverged(self) -> bool:
        """Return whether the loss, checked every `CHECK_STEPS` steps, is not finite or far above its initial value."""
        if self.done % CHECK_STEPS and self.done < len(self.batches):
            return False
        return not self._reference_loss(self.names, self.sums) / self.done <= DIVERGENCE_FACTOR * abs(self.first_loss)

    def _probe(self) -> float:
        """Compute the reference loss of the same training batch at every call, in evaluation mode."""
        with torch.inference_mode():
            batch = next(iter(self.batches))
            terms = named_terms(self.network, batch)
            means = torch.stack([value.mean() for value in terms.values()])
            if self.world is not None:
                means = self.world.sum(means * batch.shard.weight)
            return self._reference_loss([*terms], means)

    def _reference_loss(self, names: list[str], sums: Tensor) -> float:
        """Sum the terms with weights of at most 1, so that a large weight alone does not look like divergence.

        Differences of a critic have no scale of their own: they must be finite, and are left out of the sum.
        """
        values = dict(zip(names, sums.tolist(), strict=True))
        if not all(map(math.isfinite, values.values())):
            return math.nan  # the weighted loss is only checked for being finite
        left_out = {"loss", *self.options.unmonitored}
        return float(
            sum(min(1.0, self.schedule.full_weight(name)) * values[name] for name in names if name not in left_out)
        )

    def _forget_moments(self) -> None:
        self.optimizer = self.new_optimizer()
        self.phases.begin()
