"""The training loop: mini-batches, Adam, a schedule, early stopping on held-out documents."""

from __future__ import annotations

import math
import time
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
from topicnet.training.protocols import Batches
from topicnet.training.schedule import Schedule

CHECK_STEPS = 20  # steps between checks of the loss: each waits for the device
SECONDS_OF_NEWS = 2.0  # between progress reports within an epoch
DIVERGENCE_FACTOR = 3.0  # roll back when the mean loss exceeds this multiple of the first step's
ROLLBACK_FACTOR, MOST_ROLLBACKS = 0.1, 5
INTERVENTION_PRICE = 0.01  # fraction of the validation loss that an intervention may cost in the end
# State of a run between two steps, apart from its tensors.
REMEMBERED = (
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
    """Minimise the weighted sum of the network's terms and leave the best weights in place.

    A loss that is no longer finite, or far above where it began, is looked for every `CHECK_STEPS` steps: the run
    then goes back to the best weights and on with a tenth of the rate, at most `MOST_ROLLBACKS` times.

    Parameters
    ----------
    validation : Batches or None
        Held-out documents: their loss picks the best epoch and stops the run early. Without them the last epoch is the
        best.

    Returns
    -------
    TrainResult
    """
    run = _Run(network, batches, validation, schedule, options, hooks)
    with run.phases.critics_alone():
        run.begin()
        stopped = None
        while stopped is None and run.epoch <= options.max_epochs:
            stopped = run.advance()
        return run.finish(stopped or "done")


@dataclass(eq=False)
class _Run:
    """The moving parts of one training run."""

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
        self.before: BestWeights | None = None  # the last intervention can be undone to these
        self.least_loss = math.inf  # before any intervention
        self.intervention_complete = True
        self.slowdown = 1.0
        self.epoch = 1  # the current one
        self.done = 0  # steps of it
        self.step = 0  # of the run
        self.drawn: dict[str, Any] = {}  # the generator, before the order of the epoch was drawn
        self.names: list[str] = []  # of the terms, and the loss
        self.sums: Tensor  # of those over the documents of the epoch, on the device
        self.first_loss = self.first_probe = math.nan  # where the run, and its probe, began
        self.seconds = self.epoch_seconds = 0.0  # spent on the run, and on its epoch, before they were saved
        self.began = self.epoch_began = 0.0
        decay, normalise = options.weight_decay, options.normalise_gradients
        # No lambda: one that refers to this run would keep it, and its moments, from being freed at once.
        self.new_optimizer = partial(Adam, network, decay, options.lr_scales, normalise)
        self.optimizer: Adam
        self.phases = Phases(options.phases, lambda part: Adam(part, decay, {}, normalise))

    def begin(self) -> None:
        """Start from the weights as they are, or from the checkpoint given."""
        if self.hooks.saved is None:
            self._begin(0)
        else:
            self._load(self.hooks.saved)
        self.began = time.perf_counter() - self.seconds

    def advance(self) -> str | None:
        """Run the epoch, or the rest of it; returns why the run stops, or None to go on."""
        epoch, last = self.epoch, self.options.max_epochs
        ending = self._run_steps()
        self.network.eval()
        if ending == "interrupted":
            return ending
        loss = math.nan if ending == "lost" else self._validation_loss()
        if ending == "lost" or not self._sound(loss):
            return None if self._roll_back() else "diverged"
        row = {"epoch": float(epoch)} | {
            name: total / self.batches.n_docs for name, total in zip(self.names, self.sums.tolist(), strict=True)
        }
        row |= {"learning_rate": self._rate(), "validation_loss": loss} | on_rank_zero(self.world, self.hooks.measure)
        row["seconds"] = time.perf_counter() - self.epoch_began
        self.history.append(row)
        self._report(epoch, row)
        self.best_weights.offer(epoch, loss)
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
        """Put the best weights in place."""
        self.network.eval()
        if self.before is not None and (self._too_dear(self.best_weights) or not self.intervention_complete):
            self.best_weights = self.before
        self.best_weights.restore()
        loss = math.nan if self.validation is None else self.best_weights.loss
        return TrainResult(
            self.history, self.best_weights.epoch, loss, stopped, self.rollbacks, self.best_weights.interventions
        )

    def _restart(self) -> None:
        """Take the weights an intervention left as a new start, and keep those before it."""
        if self.before is None or not self._too_dear(self.best_weights):
            self.before = self.best_weights
        self.least_loss = min(self.least_loss, self.best_weights.loss)
        self.best_weights = BestWeights(self.network, self.best_weights.interventions + 1)
        self._begin(self.epoch)
        self.intervention_complete = not self._interrupted()

    def _begin(self, epoch: int) -> None:
        self.network.eval()
        self.best_weights.offer(epoch, self._validation_loss())
        self.first_loss, self.first_probe = math.nan, self._probe()
        self._forget_moments()  # they belong to other weights

    def _interrupted(self) -> bool:
        pressed = self.hooks.interrupted()
        return pressed if self.world is None else self.world.any(pressed)

    def _report(self, done: int, row: dict[str, float], within: float = 0.0) -> None:
        seconds = time.perf_counter() - self.began
        self.hooks.listener(Progress(self.options.stage, done, self.options.max_epochs, seconds, row, within))

    def _save(self, at_once: bool) -> None:
        """Save the run if a checkpoint is due, or at once."""
        checkpoints = self.hooks.checkpoints
        if checkpoints is not None and (at_once or checkpoints.due()):
            self.seconds = time.perf_counter() - self.began
            checkpoints.save(self._saved())

    def _saved(self) -> Saved:
        """State of the run between two steps."""
        parts = {"network": self.network.state_dict(), "optimizer": self.optimizer.state()}
        parts |= {"keeper": self.best_weights.tensors, "before": {} if self.before is None else self.before.tensors}
        parts |= {"epoch": {"sums": self.sums} if self.names else {}, "phases": self.phases.state()}
        values = {name: getattr(self, name) for name in REMEMBERED}
        values |= {"companions": [companion.state() for companion in self.hooks.companions]}
        values |= {"keeper": self.best_weights.values, "before": None if self.before is None else self.before.values}
        values |= {"rollbacks": [asdict(rollback) for rollback in self.rollbacks]}
        values |= {"epoch_seconds": time.perf_counter() - self.epoch_began}
        return Saved({f"{part}.{name}": value for part, held in parts.items() for name, value in held.items()}, values)

    def _load(self, saved: Saved) -> None:
        """Restore the state of a checkpoint."""
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
            self.sums = parts["epoch"]["sums"].to(self.options.device, copy=True)
        for companion, state in zip(self.hooks.companions, saved.values["companions"], strict=True):
            companion.load(state)

    def _idle_epochs(self) -> int:
        """Epochs without improvement, not counting those in which rate and weights still rose."""
        risen = math.ceil(self.schedule.settled() * self.schedule.n_steps / len(self.batches))
        return self.epoch - max(self.best_weights.epoch, min(risen, self.epoch))

    def _sound(self, loss: float) -> bool:
        """Whether the weights at the end of an epoch may be kept: no later loss sees its last step."""
        known = self.validation is None or math.isfinite(loss)
        return known and self._probe() <= DIVERGENCE_FACTOR * abs(self.first_probe)

    def _rate(self) -> float:
        return self.slowdown * self.schedule.rate(self.step)

    def _run_steps(self) -> str:
        """Run the steps of the epoch that are left; returns "whole", "interrupted" or "lost" (the loss diverged)."""
        self.network.train()
        reported = time.perf_counter()
        self.epoch_began = reported - self.epoch_seconds
        self.epoch_seconds = 0.0
        if self.done == 0:
            self.names = []
        self.step = (self.epoch - 1) * len(self.batches) + self.done
        self.drawn = self.rng.bit_generator.state  # type: ignore[assignment]
        for batch in self.batches.shuffled(self.rng, self.done):
            # Processes stop together, at steps in which they ask each other.
            stop = (self.world is None or self.done % CHECK_STEPS == 0) and self._interrupted()
            if self.intervention_complete:  # else an uninterrupted run would have other weights
                self._save(at_once=stop)
            if stop:
                return "interrupted"
            self._step(batch)
            if self._lost():
                return "lost"
            if self.done % CHECK_STEPS == 0 and time.perf_counter() - reported > SECONDS_OF_NEWS:
                reported = time.perf_counter()
                self._report(self.epoch - 1, {}, self.done / len(self.batches))
        return "whole"

    def _roll_back(self) -> bool:
        """Go back to the best weights and slow down; False when that has been done often enough."""
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

    def _too_dear(self, best_weights: BestWeights) -> bool:
        # Without validation documents both are infinite: there is nothing to tell them apart by.
        return best_weights.loss > self.least_loss + INTERVENTION_PRICE * abs(self.least_loss)

    def _step(self, batch: Any) -> None:
        """One step of Adam; adds each term to `sums`, on the device, so that no step waits for a number."""
        terms = named_terms(self.network, batch)
        means = [value.mean() for value in terms.values()]
        loss = sum(self.schedule.weighted(name, mean, self.step) for name, mean in zip(terms, means, strict=True))
        assert isinstance(loss, Tensor)
        rate = self._rate()
        if self.world is None:
            loss.backward()  # type: ignore[no-untyped-call]
            # A scalar term holds for every document of its batch.
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
        return not self._yardstick(self.names, self.sums) / self.done <= DIVERGENCE_FACTOR * abs(self.first_loss)

    def _probe(self) -> float:
        """The yardstick of one batch of the training data, the same at every call, in evaluation mode."""
        with torch.inference_mode():
            batch = next(iter(self.batches))
            terms = named_terms(self.network, batch)
            means = torch.stack([value.mean() for value in terms.values()])
            if self.world is not None:
                means = self.world.sum(means * batch.shard.weight)
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
