"""How a topic model is fitted: documents kept apart, an EM start, teaching, training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from topicnet.core.em import MixtureFit, fit_mixture
from topicnet.core.health import Verdict
from topicnet.core.outcome import Listener, Progress, Rollback, TrainResult
from topicnet.core.rows import Rows
from topicnet.core.schedule import Schedule
from topicnet.core.seeding import draw_seed
from topicnet.core.sparse import SparseBatches
from topicnet.core.train import train, validation_loss
from topicnet.errors import InputError
from topicnet.models.decoders import DECODERS
from topicnet.models.doctor import Doctor
from topicnet.models.network import Autoencoder, Teacher, TopicNetwork

# More passes part the topics better and fit held-out text worse: the table is in README, "Choices".
EM_PASSES = 60
# A start needs no more documents than this, nor more nonzeros, but always some documents.
EM_DOCS, EM_NONZEROS, EM_LEAST_DOCS = 60_000, 3_000_000, 5_000
TEACH_EPOCHS, TEACH_STEPS = 5, 200
TEACH_RATE = 0.01
VALIDATION_DOCS = (10, 2_000)  # fewer measure nothing, more cost time
EVALUATION_BATCH = 1_000
EVALUATION_SEED = 0  # the noise of every bound: scores of one model can be compared
# In a document, for the full learning rate after an EM start; and below which the rate falls no further.
ENOUGH_TOKENS, LEAST_TOKENS = 20.0, 5.0


@dataclass(frozen=True)
class Plan:
    """How long and how fast a model trains where the user does not say.

    Attributes
    ----------
    steps : int
        Of the whole run; a start by EM leaves less to learn.
    rate : float
        Peak of the one-cycle learning rate.
    diversity : float
        Weight of the overlap of topics, nats per token.
    most_epochs : int
        However few steps an epoch has.
    care : float
        How fast the learning rate after an EM start falls with the length of documents: a power of it.
    care_of : {"topics", "network"}
        Whose rate.
    """

    steps: int
    rate: float
    diversity: float
    most_epochs: int = 100
    care: float = 2.0
    care_of: Literal["topics", "network"] = "topics"

    def epochs(self, n_batches: int) -> int:
        """Epochs that make so many steps, from 5 to the most."""
        return min(self.most_epochs, max(5, round(self.steps / n_batches)))


@dataclass(frozen=True)
class Settings:
    """The checked parameters of a fit; see the models for what each one means."""

    n_topics: int
    init: Literal["em", "random"]
    decoder: str
    batch_size: int
    max_epochs: int | None
    learning_rate: float | None
    divergence_warm_up: float
    divergence_weight: float
    diversity_weight: float | None
    weight_decay: float
    validation_fraction: float
    patience: int
    plan: Plan
    divergence: str
    seed: int

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ("max_epochs", "learning_rate", "diversity_weight") and value is None:
                continue
            name = field.name.replace("divergence", self.divergence)
            if field.name in ("n_topics", "batch_size", "max_epochs", "patience"):
                check_count(name, value)
            elif field.name not in ("init", "decoder", "plan", "divergence", "seed"):
                check_number(name, value)
        if self.batch_size < 2:
            raise InputError(f"batch_size={self.batch_size} given, expected 2 or more documents")
        if self.init not in ("em", "random"):
            raise InputError(f'init={self.init!r} given, expected "em" or "random"')
        if self.decoder not in DECODERS:
            raise InputError(f"decoder={self.decoder!r} given, expected {' or '.join(DECODERS)}")
        if self.learning_rate is not None and self.learning_rate == 0:
            raise InputError("learning_rate=0 given, expected a number above 0")
        check_share("validation_fraction", self.validation_fraction)

    def epochs(self, n_batches: int) -> int:
        """Epochs to run: those asked for, or as many as the plan allows."""
        return self.plan.epochs(n_batches) if self.max_epochs is None else self.max_epochs

    def rate(self, mean_length: float) -> float:
        """Peak learning rate in documents of so many tokens."""
        care = self._care(mean_length) if self.plan.care_of == "network" else 1.0
        return care * self.plan.rate if self.learning_rate is None else self.learning_rate

    def share_of_topics(self, mean_length: float) -> float:
        """Share of that rate that the topics get."""
        return self._care(mean_length) if self.plan.care_of == "topics" else 1.0

    def _care(self, mean_length: float) -> float:
        if self.init == "random" or self.learning_rate is not None:
            return 1.0
        # Adam moves the topics as fast however little a document says: from a good start, titles call for care.
        return float(min(1.0, max(LEAST_TOKENS, mean_length) / ENOUGH_TOKENS) ** self.plan.care)

    def schedule(self, n_steps: int, mean_length: float) -> Schedule:
        """Learning rate and weights over a run of so many steps on documents of so many tokens."""
        diversity = self.plan.diversity if self.diversity_weight is None else self.diversity_weight
        return Schedule(
            n_steps,
            self.rate(mean_length),
            warm_up={self.divergence: self.divergence_warm_up},
            weights={self.divergence: self.divergence_weight, "overlap": diversity},
        )


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


def start_docs(documents: Rows) -> int:
    """Most documents that a start looks at."""
    return min(EM_DOCS, max(EM_LEAST_DOCS, EM_NONZEROS * documents.n_docs // documents.nonzeros))


def likelihood_nats(network: TopicNetwork, counts: csr_matrix) -> float:
    """Negative evidence lower bound of all documents together, nats; without a bound, the likelihood at their theta."""
    batches = SparseBatches(counts, EVALUATION_BATCH, next(network.parameters()).device)
    network.eval()
    scored = network if network.has_bound else Autoencoder(network)
    schedule = Schedule(1, 1.0, weights={"overlap": 0.0})
    return validation_loss(scored, batches, schedule, EVALUATION_SEED) * batches.n_docs


@dataclass(frozen=True)
class Earlier:
    """Where an interrupted fit stood: the weights it kept, how many epochs they had seen, what had been seen and done.

    A fit that begins from nothing has no state.
    """

    state: Mapping[str, Tensor] | None = None
    epochs_done: int = 0
    rollbacks: tuple[Rollback, ...] = ()
    reseeded: int = 0


class Fitting:
    """One fit of one network to the filled documents of a corpus."""

    def __init__(
        self,
        network: TopicNetwork,
        documents: Rows,
        settings: Settings,
        device: torch.device,
        listener: Listener | None,
        interrupted: Callable[[], bool],
        earlier: Earlier,
    ) -> None:
        self.network = network
        self.settings = settings
        self.device = device
        self.listener = listener or (lambda progress: None)
        self.interrupted = interrupted
        self.earlier = earlier
        self.start_complete = earlier.state is not None
        self.doctor: Doctor
        self.rng = np.random.default_rng(settings.seed)
        self.training, self.validation = self._split(documents)
        # Drawn before the start, which a fit that goes on does without: both see the same noise.
        self.train_seed, doctor_seed = draw_seed(self.rng), draw_seed(self.rng)
        self.doctor_rng = np.random.default_rng(doctor_seed)

    def run(self) -> TrainResult:
        """Start, teach and train; the network holds the best weights afterwards."""
        totals = self.training.column_sums()
        self.network.meet(*self._summary(totals))
        if self.earlier.state is not None:
            self.network.load_state_dict(self.earlier.state)
        else:
            self._start()
        self.start_complete = self.start_complete or not self.interrupted()
        batches = SparseBatches(self.training, self.settings.batch_size, self.device)
        epochs = self.settings.epochs(len(batches))
        mean_length = self.network.mean_length
        unigram = torch.as_tensor(totals, device=self.device)
        self.doctor = Doctor(self.network, self.training, unigram, epochs, self.doctor_rng, self.device, self._teach)
        result = train(
            self.network,
            batches,
            self._validation_batches(),
            self.settings.schedule(epochs * len(batches), mean_length),
            max_epochs=epochs,
            patience=self.settings.patience,
            weight_decay=self.settings.weight_decay,
            seed=self.train_seed,
            device=self.device,
            epochs_done=self.earlier.epochs_done,
            rollbacks_done=len(self.earlier.rollbacks),
            rates=dict.fromkeys(self.network.topic_parameters(), self.settings.share_of_topics(mean_length)),
            measure=self.doctor.measure,
            treat=self.doctor.treat,
            listener=self.listener,
            interrupted=self.interrupted,
        )
        return replace(result, rollbacks=[*self.earlier.rollbacks, *result.rollbacks])

    def verdict(self, result: TrainResult) -> Verdict:
        """What the doctor says of the weights that were kept."""
        return self.doctor.verdict(result, reseeded_before=self.earlier.reseeded)

    def validation_nats_per_token(self) -> float:
        """Negative bound per token on the documents kept apart; NaN where there are none, or no bound."""
        if self.validation is None or not self.network.has_bound:
            return math.nan
        return likelihood_nats(self.network, self.validation) / float(self.validation.sum())

    def _summary(self, totals: NDArray[np.float64]) -> tuple[Tensor, float]:
        """Word frequencies (V,), smoothed, and tokens per document."""
        unigram = (totals + 0.5) / (totals + 0.5).sum()
        mean_length = float(totals.sum()) / self.training.n_docs
        return torch.as_tensor(unigram, dtype=torch.float32, device=self.device), mean_length

    def _split(self, documents: Rows) -> tuple[Rows, csr_matrix | None]:
        least, most = VALIDATION_DOCS
        n_kept = min(most, int(self.settings.validation_fraction * documents.n_docs))
        if n_kept < least:
            return documents, None
        order = self.rng.permutation(documents.n_docs)
        return documents.at(np.sort(order[n_kept:])), documents.at(np.sort(order[:n_kept])).matrix()

    def _start(self) -> None:
        """EM and its teaching where asked for, then whatever the model's prior needs."""
        n_all, n_docs = self.training.n_docs, start_docs(self.training)
        few = self.training
        if n_all > n_docs:
            few = few.at(np.sort(self.rng.choice(n_all, n_docs, replace=False)))
        counts = few.matrix()
        if self.settings.init == "em":
            mixture = self._fit_mixture(counts)
            self.network.start_from(mixture)
            self._teach(counts, mixture.theta)
        if self.network.pretrain_epochs and not self.interrupted():
            # Unlike the teacher the autoencoder moves the topics too: it goes no faster than the training.
            mean_length = self.network.mean_length
            rate = self.settings.share_of_topics(mean_length) * self.settings.rate(mean_length)
            self._prepare("pretrain", Autoencoder(self.network), counts, self.network.pretrain_epochs, rate)
        if not self.interrupted():
            self.network.initialise(self._latent_means(counts), draw_seed(self.rng))

    def _fit_mixture(self, counts: csr_matrix) -> MixtureFit:
        began = time.perf_counter()

        def on_pass(done: int, total: int) -> bool:
            self.listener(Progress("start", done, total, time.perf_counter() - began))
            return not self.interrupted()

        return fit_mixture(counts, self.settings.n_topics, EM_PASSES, self.rng, self.device, on_pass)

    def _teach(self, counts: csr_matrix, theta: Tensor) -> None:
        """Teach the encoder the theta (n, K) of documents (n, V)."""
        n_batches = len(SparseBatches(counts, self.settings.batch_size, self.device))
        # Without any teaching theta would mean nothing: after Ctrl-C one quick epoch is still done.
        epochs = 1 if self.interrupted() else max(TEACH_EPOCHS, math.ceil(TEACH_STEPS / n_batches))
        self._prepare("teach", Teacher(self.network, theta), counts, epochs, TEACH_RATE)

    def _prepare(self, stage: str, part: nn.Module, counts: csr_matrix, epochs: int, rate: float) -> None:
        """Train on another objective before, or between, the epochs of the real one."""
        batches = SparseBatches(counts, self.settings.batch_size, self.device)
        hurried = self.interrupted()
        train(
            part,
            batches,
            None,
            Schedule(epochs * len(batches), rate),
            max_epochs=epochs,
            patience=epochs,
            weight_decay=0.0,
            seed=draw_seed(self.rng),
            device=self.device,
            stage=stage,
            listener=self.listener,
            interrupted=(lambda: False) if hurried else self.interrupted,
        )

    def _latent_means(self, counts: csr_matrix) -> Tensor:
        self.network.eval()
        with torch.inference_mode():
            batches = SparseBatches(counts, EVALUATION_BATCH, self.device)
            return torch.cat([self.network.encode(batch).mean for batch in batches])

    def _validation_batches(self) -> SparseBatches | None:
        if self.validation is None:
            return None
        return SparseBatches(self.validation, EVALUATION_BATCH, self.device)
