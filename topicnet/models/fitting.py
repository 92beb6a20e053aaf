"""How a topic model is fitted: documents kept apart, an EM start, teaching, training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
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
from topicnet.training.progress import Listener, Progress, TrainResult
from topicnet.training.schedule import Schedule

# More passes part the topics better and fit held-out text worse: README, quality against seconds. Topics beyond a
# hundred have few documents each, which as many passes narrow to a handful of words: a thousand no encoder tells apart.
EM_PASSES, LEAST_EM_PASSES = 60, 20
# A start needs no more documents than this, nor more nonzeros, but always some documents.
EM_DOCS, EM_NONZEROS, EM_LEAST_DOCS = 60_000, 3_000_000, 5_000
WARM_UP_STEPS, MORE_A_TOPIC, FEW_TOPICS = 200, 6, 20  # of a start, at least; and more for each topic beyond a few
RESEED_WARM_UP_STEPS = 100  # after a treatment, of a network that knows all topics but a few
WARM_UP_RATE = 0.01
VALIDATION_DOCS = (10, 2_000)  # fewer measure nothing, more cost time
EVALUATION_BATCH = 1_000


def start_docs(documents: Rows) -> int:
    """Most documents that a start looks at."""
    return min(EM_DOCS, max(EM_LEAST_DOCS, EM_NONZEROS * documents.n_docs // documents.nonzeros))


def em_passes(n_topics: int) -> int:
    """Passes of an EM start."""
    return min(EM_PASSES, max(LEAST_EM_PASSES, EM_PASSES * MANY_TOPICS // n_topics))


def warm_up_steps(plan: Plan, n_topics: int) -> int:
    """Fewest steps in which an encoder learns what an EM start found: with 200, of 300 topics it uses 43."""
    return max(round(plan.encoder_warm_up_factor * WARM_UP_STEPS), MORE_A_TOPIC * (n_topics - FEW_TOPICS))


def likelihood_nats(network: TopicNetwork, counts: csr_matrix) -> float:
    """Negative evidence lower bound of all documents together, nats; without a bound, the likelihood at their theta."""
    batches = SparseBatches(counts, EVALUATION_BATCH, next(network.parameters()).device)
    network.eval()
    scored = network if network.has_bound else Autoencoder(network)
    schedule = Schedule(1, 1.0, weights={"overlap": 0.0})
    return validation_loss(scored, batches, schedule) * batches.n_docs


class Fitting:
    """One fit of one network to the filled documents of a corpus.

    Inside `parallel.distributed` several processes share it: the first makes the start and looks after the network, all
    teach and train. Each is given the same documents and settings, and a network of the same shape.
    """

    def __init__(
        self,
        network: TopicNetwork,
        documents: Rows,
        settings: Settings,
        device: torch.device,
        listener: Listener | None,
        interrupted: Callable[[], bool],
        checkpoints: Checkpoints | None,
    ) -> None:
        self.network = network
        self.settings = settings
        self.device = device
        self.listener = listener or (lambda progress: None)
        self.world = world = current()
        self.pressed = interrupted  # of this process
        self.interrupted = interrupted if world is None else lambda: world.any(interrupted())
        self.checkpoints = checkpoints
        self.start_complete = False
        self.monitor: CollapseMonitor
        self.rng = np.random.default_rng(on_rank_zero(world, lambda: settings.seed))
        self.training, self.validation = self._split(documents)
        self.train_seed, monitor_seed = draw_seed(self.rng), draw_seed(self.rng)
        self.monitor_rng = np.random.default_rng(monitor_seed)

    def run(self) -> TrainResult:
        """Start, teach and train, or go on from a checkpoint; the network holds the best weights afterwards."""
        totals = self.training.column_sums()
        self._check_same(totals)
        saved = self._saved()
        self.network.meet(*self._summary(totals))
        if saved is None:
            self._start()
        self.start_complete = saved is not None or not self.interrupted()
        batches = self._batches(self.training)
        epochs = self.settings.epochs(len(batches))
        mean_length = self.network.mean_length
        unigram = torch.as_tensor(totals, device=self.device)
        self.monitor = CollapseMonitor(
            self.network,
            self.training,
            unigram,
            epochs,
            self.monitor_rng,
            self.device,
            self._warm_up_encoder,
            self.world,
        )
        return train(
            self.network,
            batches,
            self._validation_batches(),
            self.settings.schedule(epochs * len(batches), mean_length),
            max_epochs=epochs,
            patience=self.settings.patience,
            weight_decay=self.settings.weight_decay,
            seed=self.train_seed,
            device=self.device,
            rates=dict.fromkeys(self.network.topic_parameters(), self.settings.topic_lr_scale(mean_length)),
            measure=self.monitor.measure,
            intervene=self.monitor.intervene,
            listener=self.listener,
            interrupted=self.pressed,
            checkpoints=self.checkpoints if self.start_complete else None,
            saved=saved,
            companions=(self, self.monitor),
            world=self.world,
        )

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps beside the training and the doctor: seeds of what is taught are drawn from here."""
        return {"rng": self.rng.bit_generator.state}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.rng.bit_generator.state = state["rng"]

    def health_report(self, result: TrainResult) -> HealthReport:
        """What the doctor says of the weights that were kept."""
        return HealthReport.read(on_rank_zero(self.world, lambda: asdict(self.monitor.health_report(result))))

    def validation_nats_per_token(self) -> float:
        """Negative bound per token on the documents kept apart; NaN where there are none, or no bound."""
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
        """What the first process finds to go on from."""

        def read() -> dict[str, Any] | None:
            newest = None if self.checkpoints is None else self.checkpoints.newest()
            return None if newest is None else {"tensors": newest.tensors, "values": newest.values}

        found = on_rank_zero(self.world, read)
        return None if found is None else Saved(**found)

    def _batches(self, documents: Rows | csr_matrix) -> SparseBatches:
        return batches_of(documents, self.settings.batch_size, self.device, self.world)

    def _level(self) -> None:
        """Give every process the first one's weights."""
        if self.world is not None:
            self.world.broadcast(self.network.state_dict().values())

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
        return documents.take(np.sort(order[n_kept:])), documents.take(np.sort(order[:n_kept])).matrix()

    def _start(self) -> None:
        """EM and its teaching where asked for, then whatever the model's prior needs."""
        self._level()
        n_all, n_docs = self.training.n_docs, start_docs(self.training)
        few = self.training
        if n_all > n_docs:
            few = few.take(np.sort(self.rng.choice(n_all, n_docs, replace=False)))
        counts = few.matrix()
        if self.settings.init == "em":
            mixture = self._fit_mixture(counts)
            self.network.start_from(mixture)
            self._level()
            self._warm_up_encoder(counts, mixture.theta, warm_up_steps(self.settings.plan, self.settings.n_topics))
        if self.network.pretrain_epochs and not self.interrupted():
            # Unlike the teacher the autoencoder moves the topics too: it goes no faster than the training.
            mean_length = self.network.mean_length
            rate = self.settings.topic_lr_scale(mean_length) * self.settings.rate(mean_length)
            self._prepare("pretrain", Autoencoder(self.network), counts, self.network.pretrain_epochs, rate)
        if not self.interrupted():
            seed = draw_seed(self.rng)
            if is_rank_zero():
                self.network.initialise(self._latent_means(counts), seed)
            self._level()

    def _fit_mixture(self, counts: csr_matrix) -> MixtureFit:
        began = time.perf_counter()

        def on_pass(done: int, total: int) -> bool:
            self.listener(Progress("start", done, total, time.perf_counter() - began))
            return not self.pressed()

        def fit() -> tuple[Tensor, Tensor, Any]:
            n_topics = self.settings.n_topics
            found = fit_mixture(counts, n_topics, em_passes(n_topics), self.rng, self.device, on_pass)
            return found.theta, found.beta, self.rng.bit_generator.state

        theta, beta, self.rng.bit_generator.state = on_rank_zero(self.world, fit)
        return MixtureFit(theta.to(self.device), beta.to(self.device))

    def _warm_up_encoder(self, counts: csr_matrix, theta: Tensor, steps: int | None = None) -> None:
        """Train the encoder to give theta (n, K) for documents (n, V); by default for as long as after a reseeding."""
        steps = RESEED_WARM_UP_STEPS if steps is None else steps
        n_batches = len(SparseBatches(counts, self.settings.batch_size, self.device, self.world))
        # Without any teaching theta would mean nothing: after Ctrl-C one quick epoch is still done.
        epochs = (
            1 if self.interrupted() else max(self.settings.plan.encoder_warm_up_epochs, math.ceil(steps / n_batches))
        )
        self._prepare("warm-up", EncoderWarmUp(self.network, theta), counts, epochs, WARM_UP_RATE)

    def _prepare(self, stage: str, part: nn.Module, counts: csr_matrix, epochs: int, rate: float) -> None:
        """Train on another objective before, or between, the epochs of the real one."""
        batches = self._batches(counts)
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
            interrupted=(lambda: False) if hurried else self.pressed,
            world=self.world,
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
