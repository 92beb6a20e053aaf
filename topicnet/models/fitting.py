"""How a topic model is fitted: documents kept apart, an EM start, teaching, training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from topicnet.core.em import MixtureFit, fit_mixture
from topicnet.core.schedule import Schedule
from topicnet.core.seeding import draw_seed
from topicnet.core.sparse import SparseBatches
from topicnet.core.train import Listener, Progress, TrainResult, train, validation_bound
from topicnet.errors import InputError
from topicnet.models.network import Teacher, TopicNetwork

# More passes part the topics better and fit held-out text worse: the table is in README, "Choices".
EM_PASSES = 60
EM_DOCS = 30_000  # a start needs no more documents than this
TEACH_EPOCHS, TEACH_STEPS = 5, 200
TEACH_RATE = 0.01
# Steps of a run whose length is not given: a start by EM leaves less to learn.
STEP_BUDGET = {"em": 1_200, "random": 3_000}
RATE = {"em": 0.002, "random": 0.01}
VALIDATION_DOCS = (10, 2_000)  # fewer measure nothing, more cost time
EVALUATION_BATCH = 1_000
EVALUATION_SEED = 0  # the noise of every bound: scores of one model can be compared


@dataclass(frozen=True)
class Settings:
    """The checked parameters of a fit; see the models for what each one means."""

    n_topics: int
    init: Literal["em", "random"]
    batch_size: int
    max_epochs: int | None
    learning_rate: float | None
    kl_warm_up: float
    kl_weight: float
    weight_decay: float
    validation_fraction: float
    patience: int
    seed: int

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ("max_epochs", "learning_rate") and value is None:
                continue
            if field.name in ("n_topics", "batch_size", "max_epochs", "patience"):
                check_count(field.name, value)
            elif field.name not in ("init", "seed"):
                check_number(field.name, value)
        if self.batch_size < 2:
            raise InputError(f"batch_size={self.batch_size} given, expected 2 or more documents")
        if self.init not in STEP_BUDGET:
            raise InputError(f'init={self.init!r} given, expected "em" or "random"')
        if self.learning_rate is not None and self.learning_rate == 0:
            raise InputError("learning_rate=0 given, expected a number above 0")
        check_share("validation_fraction", self.validation_fraction)

    def epochs(self, n_batches: int) -> int:
        """Epochs to run: those asked for, or as many as the step budget allows, from 5 to 100."""
        if self.max_epochs is not None:
            return self.max_epochs
        return min(100, max(5, round(STEP_BUDGET[self.init] / n_batches)))


def check_count(name: str, value: object, least: int = 1) -> None:
    """Raise InputError unless value is a whole number, at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"{name}={value!r} given, expected a whole number, {least} or more")


def check_number(name: str, value: object) -> None:
    """Raise InputError unless value is a finite number, 0 or more."""
    good = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not good or not math.isfinite(float(value)) or float(value) < 0:  # type: ignore[arg-type]
        raise InputError(f"{name}={value!r} given, expected a number, 0 or more")


def check_share(name: str, value: object) -> None:
    """Raise InputError unless value is a number from 0 to below 1."""
    check_number(name, value)
    if float(value) >= 1:  # type: ignore[arg-type]
        raise InputError(f"{name}={value!r} given, expected a share from 0 to below 1")


def choose_device(name: str) -> torch.device:
    """Resolve "auto", and refuse a device this machine does not have."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"device={name!r} given, expected auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"device={name!r} given, expected auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"device={name!r} given, but this machine shows {torch.cuda.device_count()} CUDA devices; use auto or cpu"
        )
    return device


def bound_nats(network: TopicNetwork, counts: csr_matrix) -> float:
    """Negative evidence lower bound of all documents together, nats."""
    batches = SparseBatches(counts, EVALUATION_BATCH, next(network.parameters()).device)
    network.eval()
    return validation_bound(network, batches, Schedule(1, 1.0), EVALUATION_SEED) * batches.n_docs


@dataclass(frozen=True)
class Earlier:
    """Where an interrupted fit stood: the weights it kept, and how many epochs they had seen."""

    state: Mapping[str, Tensor]
    epochs_done: int


class Fitting:
    """One fit of one network to the filled documents of a corpus, (D, V) float32."""

    def __init__(
        self,
        network: TopicNetwork,
        counts: csr_matrix,
        settings: Settings,
        device: torch.device,
        listener: Listener | None,
        interrupted: Callable[[], bool],
        earlier: Earlier | None,
    ) -> None:
        self.network = network
        self.settings = settings
        self.device = device
        self.listener = listener or (lambda progress: None)
        self.interrupted = interrupted
        self.earlier = earlier
        self.start_complete = earlier is not None
        self.rng = np.random.default_rng(settings.seed)
        self.training, self.validation = self._split(counts)

    def run(self) -> TrainResult:
        """Start, teach and train; the network holds the best weights afterwards."""
        if self.earlier is not None:
            self.network.load_state_dict(self.earlier.state)
        elif self.settings.init == "em":
            self._start()
        self.start_complete = self.start_complete or not self.interrupted()
        batches = SparseBatches(self.training, self.settings.batch_size, self.device)
        epochs = self.settings.epochs(len(batches))
        return train(
            self.network,
            batches,
            self._validation_batches(),
            self._schedule(epochs * len(batches)),
            max_epochs=epochs,
            patience=self.settings.patience,
            weight_decay=self.settings.weight_decay,
            seed=draw_seed(self.rng),
            device=self.device,
            epochs_done=0 if self.earlier is None else self.earlier.epochs_done,
            measure=self._active_units,
            listener=self.listener,
            interrupted=self.interrupted,
        )

    def validation_nats_per_token(self) -> float:
        """Negative bound per token on the documents kept apart; NaN where there are none."""
        if self.validation is None:
            return math.nan
        return bound_nats(self.network, self.validation) / float(self.validation.sum())

    def _split(self, counts: csr_matrix) -> tuple[csr_matrix, csr_matrix | None]:
        least, most = VALIDATION_DOCS
        n_kept = min(most, int(self.settings.validation_fraction * counts.shape[0]))
        if n_kept < least:
            return counts, None
        order = self.rng.permutation(counts.shape[0])
        return counts[np.sort(order[n_kept:])], counts[np.sort(order[:n_kept])]

    def _start(self) -> None:
        counts = self.training
        if counts.shape[0] > EM_DOCS:
            counts = counts[np.sort(self.rng.choice(counts.shape[0], EM_DOCS, replace=False))]
        mixture = self._fit_mixture(counts)
        self.network.start_from(mixture)
        self._teach(counts, mixture)

    def _fit_mixture(self, counts: csr_matrix) -> MixtureFit:
        began = time.perf_counter()

        def on_pass(done: int) -> bool:
            self.listener(Progress("start", done, EM_PASSES, time.perf_counter() - began))
            return not self.interrupted()

        return fit_mixture(counts, self.settings.n_topics, EM_PASSES, self.rng, self.device, on_pass)

    def _teach(self, counts: csr_matrix, mixture: MixtureFit) -> None:
        batches = SparseBatches(counts, self.settings.batch_size, self.device)
        # Without any teaching theta would mean nothing: after Ctrl-C one quick epoch is still done.
        hurried = self.interrupted()
        epochs = 1 if hurried else max(TEACH_EPOCHS, math.ceil(TEACH_STEPS / len(batches)))
        train(
            Teacher(self.network, mixture.theta),
            batches,
            None,
            Schedule(epochs * len(batches), TEACH_RATE),
            max_epochs=epochs,
            patience=epochs,
            weight_decay=0.0,
            seed=draw_seed(self.rng),
            device=self.device,
            stage="teach",
            listener=self.listener,
            interrupted=(lambda: False) if hurried else self.interrupted,
        )

    def _schedule(self, n_steps: int) -> Schedule:
        settings = self.settings
        rate = RATE[settings.init] if settings.learning_rate is None else settings.learning_rate
        return Schedule(
            n_steps,
            rate,
            warm_up={"kl": settings.kl_warm_up},
            weights={"kl": settings.kl_weight},
        )

    def _validation_batches(self) -> SparseBatches | None:
        if self.validation is None:
            return None
        return SparseBatches(self.validation, EVALUATION_BATCH, self.device)

    def _active_units(self) -> dict[str, float]:
        """Active latent units on documents the network was not trained on, or on the first of the training."""
        held = self.validation if self.validation is not None else self.training
        batch = next(iter(SparseBatches(held[:EVALUATION_BATCH], EVALUATION_BATCH, self.device)))
        with torch.inference_mode():
            return {"active_units": float(self.network.active_units(batch))}
