"""Fitting of a topic model, step by step: held-out documents, EM start, encoder warm-up, training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from topicnet.core.em import MANY_TOPICS, MixtureFit, fit_mixture
from topicnet.core.gpu_resident import batches_of
from topicnet.core.row_subset import Rows
from topicnet.core.sparse import SparseBatches
from topicnet.models.collapse_monitor import CollapseMonitor
from topicnet.models.fit_settings import Plan, Settings
from topicnet.models.network import Autoencoder, EncoderWarmUp, TopicNetwork
from topicnet.runtime.distributed import current, is_rank_zero, on_rank_zero
from topicnet.runtime.seeding import draw_seed
from topicnet.storage.mapped import array_checksum
from topicnet.training.checkpoint import Checkpoints, Saved
from topicnet.training.collapse import HealthReport
from topicnet.training.loop import train
from topicnet.training.loss import validation_loss
from topicnet.training.options import TrainHooks, TrainOptions
from topicnet.training.progress import Listener, Progress, TrainResult
from topicnet.training.schedule import Schedule

# More passes separate the topics better and fit held-out text worse (docs/benchmarks/time-to-quality.md). Beyond a
# hundred topics each has few documents, and this many passes would narrow it to a handful of words; an encoder cannot
# distinguish a thousand such topics.
EM_PASSES, LEAST_EM_PASSES = 60, 20
# Bounds of the documents used for a start: at most this many documents and nonzeros, but at least EM_LEAST_DOCS.
EM_DOCS, EM_NONZEROS, EM_LEAST_DOCS = 60_000, 3_000_000, 5_000
WARM_UP_STEPS = 200  # at least
WARM_UP_STEPS_PER_TOPIC, FEW_TOPICS = 6, 20  # and this many for each topic beyond FEW_TOPICS
RESEED_WARM_UP_STEPS = 100  # after reseeding, when the network knows all topics but a few
WARM_UP_RATE = 0.01
VALIDATION_DOCS = (10, 2_000)  # fewer are too few to measure a loss, more cost time
EVALUATION_BATCH = 1_000


def start_docs(documents: Rows) -> int:
    """Return the maximum number of documents for an EM start."""
    return min(EM_DOCS, max(EM_LEAST_DOCS, EM_NONZEROS * documents.n_docs // documents.nonzeros))


def em_passes(n_topics: int) -> int:
    """Return the number of passes of an EM start."""
    return min(EM_PASSES, max(LEAST_EM_PASSES, EM_PASSES * MANY_TOPICS // n_topics))


def warm_up_steps(plan: Plan, n_topics: int) -> int:
    """Return the minimum number of encoder warm-up steps after an EM start.

    It grows with the number of topics: after 200 steps an encoder uses only 43 of 300 topics.
    """
    return max(round(plan.encoder_warm_up_factor * WARM_UP_STEPS), WARM_UP_STEPS_PER_TOPIC * (n_topics - FEW_TOPICS))


def likelihood_nats(network: TopicNetwork, counts: csr_matrix) -> float:
    """Compute the total negative evidence lower bound of all documents, in nats.

    For a network without a bound, the negative log-likelihood at the inferred theta.
    """
    batches = SparseBatches(counts, EVALUATION_BATCH, next(network.parameters()).device)
    network.eval()
    scored = network if network.has_bound else Autoencoder(network)
    schedule = Schedule(1, 1.0, weights={"overlap": 0.0})
    return validation_loss(scored, batches, schedule) * batches.n_docs


@dataclass(eq=False)
class Fitting:
    """One fit of one network to the non-empty documents of a corpus.

    Inside `distributed`, several processes fit together. Rank 0 runs EM and monitors the network; all processes take
    part in encoder warm-up and training. Each must have the same documents and settings, and a network of the same
    shape.

    Parameters
    ----------
    network : TopicNetwork
        Untrained network on `device`.
    documents : Rows
        Documents with at least one word.
    settings : Settings
        Checked parameters.
    device : torch.device
        Device to train on.
    listener : callable
        Function called with a `Progress` after every pass and epoch.
    interrupt_requested : callable
        Function that returns True once Ctrl-C was pressed in this process.
    checkpoints : Checkpoints or None
        Where to save the fit and look for an interrupted one; None on ranks above 0.
    """

    network: TopicNetwork
    documents: Rows
    settings: Settings
    device: torch.device
    listener: Listener
    interrupt_requested: Callable[[], bool]
    checkpoints: Checkpoints | None

    def __post_init__(self) -> None:
        self.world = current()
        self.start_complete = False
        self.monitor: CollapseMonitor
        self.rng = np.random.default_rng(on_rank_zero(self.world, lambda: self.settings.seed))
        self.training, self.validation = self._split(self.documents)
        self.train_seed, monitor_seed = draw_seed(self.rng), draw_seed(self.rng)
        self.monitor_rng = np.random.default_rng(monitor_seed)

    def interrupted(self) -> bool:
        """Check whether Ctrl-C was pressed in any process."""
        requested = self.interrupt_requested()
        return requested if self.world is None else self.world.any(requested)

    def run(self) -> TrainResult:
        """Start, warm up and train the network, or resume from a checkpoint, and leave the best weights in it."""
        totals = self.training.column_sums()
        self._check_same(totals)
        saved = self._saved()
        mean_length = float(totals.sum()) / self.training.n_docs
        smoothed = (totals + 0.5) / (totals + 0.5).sum()
        unigram = torch.as_tensor(smoothed, dtype=torch.float32, device=self.device)
        self.network.set_corpus_statistics(unigram, mean_length)
        if saved is None:
            self._start()
        self.start_complete = saved is not None or not self.interrupted()
        batches = self._batches(self.training)
        epochs = self.settings.epochs(len(batches))
        self.monitor = CollapseMonitor(
            self.network,
            self.training,
            torch.as_tensor(totals, device=self.device),
            epochs,
            self.monitor_rng,
            self.device,
            self._warm_up_encoder,
            self.world,
        )
        return train(
            self.network,
            batches,
            None if self.validation is None else SparseBatches(self.validation, EVALUATION_BATCH, self.device),
            self.settings.schedule(epochs * len(batches), mean_length),
            TrainOptions(
                epochs,
                self.settings.patience,
                self.settings.weight_decay,
                self.train_seed,
                self.device,
                lr_scales=dict.fromkeys(self.network.topic_parameters(), self.settings.topic_lr_scale(mean_length)),
                world=self.world,
            ),
            TrainHooks(
                self.monitor.measure,
                self.monitor.intervene,
                self.listener,
                self.interrupt_requested,
                checkpoints=self.checkpoints if self.start_complete else None,
                saved=saved,
                companions=(self, self.monitor),
            ),
        )

    def state(self) -> dict[str, Any]:
        """Return the state of the generator that seeds the encoder warm-ups, as JSON values."""
        return {"rng": self.rng.bit_generator.state}

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore a saved state."""
        self.rng.bit_generator.state = state["rng"]

    def health_report(self, result: TrainResult) -> HealthReport:
        """Report the signs of collapse of the weights that were kept."""
        return HealthReport.read(on_rank_zero(self.world, lambda: asdict(self.monitor.health_report(result))))

    def validation_nats_per_token(self) -> float:
        """Compute the negative bound per token on the held-out documents; NaN without documents or without a bound."""
        if self.validation is None or not self.network.has_bound:
            return math.nan
        kept = self.validation
        return on_rank_zero(self.world, lambda: likelihood_nats(self.network, kept) / float(kept.sum()))

    def _check_same(self, totals: NDArray[np.float64]) -> None:
        if self.world is not None:
            shapes = {name: list(value.shape) for name, value in self.network.state_dict().items()}
            settings = {name: str(value) for name, value in asdict(self.settings).items() if name != "seed"}
            given = [self.training.n_docs, self.training.nonzeros, array_checksum(totals, np.float64)]
            self.world.check_same([shapes, settings, given], "documents or parameters")

    def _saved(self) -> Saved | None:
        """Read the newest checkpoint on rank 0, if there is one, and share it with all processes."""

        def read() -> dict[str, Any] | None:
            newest = None if self.checkpoints is None else self.checkpoints.newest()
            return None if newest is None else vars(newest)

        found = on_rank_zero(self.world, read)
        return None if found is None else Saved(**found)

    def _batches(self, documents: Rows | csr_matrix) -> SparseBatches:
        return batches_of(documents, self.settings.batch_size, self.device, self.world)

    def _broadcast_weights(self) -> None:
        """Copy the weights of rank 0 to every process."""
        if self.world is not None:
            self.world.broadcast(self.network.state_dict().values())

    def _split(self, documents: Rows) -> tuple[Rows, csr_matrix | None]:
        least, most = VALIDATION_DOCS
        n_kept = min(most, int(self.settings.validation_fraction * documents.n_docs))
        if n_kept < least:
            return documents, None
        order = self.rng.permutation(documents.n_docs)
        return documents.take(np.sort(order[n_kept:])), documents.take(np.sort(order[:n_kept])).matrix()

    def _start(self) -> None:
        """Run EM and the encoder warm-up if `init` is "em", pre-train if the model does, and initialise the prior."""
        self._broadcast_weights()
        n_all, n_docs = self.training.n_docs, start_docs(self.training)
        few = self.training
        if n_all > n_docs:
            few = few.take(np.sort(self.rng.choice(n_all, n_docs, replace=False)))
        counts = few.matrix()
        if self.settings.init == "em":
            mixture = self._fit_mixture(counts)
            self.network.start_from(mixture)
            self._broadcast_weights()
            self._warm_up_encoder(counts, mixture.theta, warm_up_steps(self.settings.plan, self.settings.n_topics))
        if self.network.pretrain_epochs and not self.interrupted():
            # Unlike the warm-up, this also changes the topics, hence the learning rate of training.
            mean_length = self.network.mean_length
            rate = self.settings.topic_lr_scale(mean_length) * self.settings.rate(mean_length)
            self._train_objective("pretrain", Autoencoder(self.network), counts, self.network.pretrain_epochs, rate)
        if not self.interrupted():
            seed = draw_seed(self.rng)
            if is_rank_zero():
                self.network.initialise(self._latent_means(counts), seed)
            self._broadcast_weights()

    def _fit_mixture(self, counts: csr_matrix) -> MixtureFit:
        began = time.perf_counter()

        def on_pass(done: int, total: int) -> bool:
            self.listener(Progress("start", done, total, time.perf_counter() - began))
            return not self.interrupt_requested()

        def fit() -> tuple[Tensor, Tensor, Any]:
            n_topics = self.settings.n_topics
            found = fit_mixture(counts, n_topics, em_passes(n_topics), self.rng, self.device, on_pass)
            return found.theta, found.beta, self.rng.bit_generator.state

        theta, beta, self.rng.bit_generator.state = on_rank_zero(self.world, fit)
        return MixtureFit(theta.to(self.device), beta.to(self.device))

    def _warm_up_encoder(self, counts: csr_matrix, theta: Tensor, steps: int | None = None) -> None:
        """Fit the encoder to the theta (n, K) of documents (n, V), by default for the steps of a reseeding."""
        steps = RESEED_WARM_UP_STEPS if steps is None else steps
        n_batches = len(SparseBatches(counts, self.settings.batch_size, self.device, self.world))
        # Theta would be arbitrary without any warm-up: one quick epoch runs even after Ctrl-C.
        epochs = (
            1 if self.interrupted() else max(self.settings.plan.encoder_warm_up_epochs, math.ceil(steps / n_batches))
        )
        self._train_objective("warm-up", EncoderWarmUp(self.network, theta), counts, epochs, WARM_UP_RATE)

    def _train_objective(
        self, stage: str, objective: nn.Module, counts: csr_matrix, epochs: int, learning_rate: float
    ) -> None:
        """Train on a preparatory objective, before or between the epochs of the main one."""
        batches = self._batches(counts)
        hooks = TrainHooks(listener=self.listener)
        if not self.interrupted():
            hooks = replace(hooks, interrupted=self.interrupt_requested)
        options = TrainOptions(epochs, epochs, 0.0, draw_seed(self.rng), self.device, stage, world=self.world)
        train(objective, batches, None, Schedule(epochs * len(batches), learning_rate), options, hooks)

    def _latent_means(self, counts: csr_matrix) -> Tensor:
        """Compute the posterior means of documents, (D, Z)."""
        self.network.eval()
        with torch.inference_mode():
            batches = SparseBatches(counts, EVALUATION_BATCH, self.device)
            return torch.cat([self.network.encode(batch).mean for batch in batches])
