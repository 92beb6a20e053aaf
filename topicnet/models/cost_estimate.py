"""Estimates of the time and memory of a fit: memory from the sizes of its arrays, time from a few trial steps."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_matrix

from topicnet.core.em import THETA_PSEUDO_COUNT, expected_topic_counts
from topicnet.core.row_subset import Rows
from topicnet.core.sparse import SparseBatch, SparseBatches
from topicnet.models.base import TopicModel
from topicnet.models.fitting import em_passes, start_docs, warm_up_steps
from topicnet.runtime.devices import choose_device
from topicnet.runtime.memory import readable_bytes, readable_seconds, resident_memory
from topicnet.runtime.seeding import seeded
from topicnet.runtime.threads import chosen_threads
from topicnet.runtime.torch_state import usual_gradients
from topicnet.training.optimizer import Adam

TRIED_STEPS = 5  # the first two are warm-up and are not timed
EM_BATCH = 2_000
# Copies of every parameter: itself, gradient, two moments, best weights, weights before an intervention.
COPIES = 6
START_BYTES = 110  # per nonzero of the EM start: batches, and copies for clustering
START_COPIES = 5  # copies of theta in the EM start
DOCUMENT_BYTES = 200  # per document: ids, status and tables without theta
TABLE_COPIES = 3  # copies of theta while its table is written
CLUSTERING = 1.5  # time of k-means and EM, relative to EM
WARM_UP_COST = 0.5  # time of an encoder warm-up step, relative to a training step


@dataclass(frozen=True)
class Forecast:
    """Estimated cost of a fit.

    Attributes
    ----------
    seconds : float
        Upper estimate of the time, as training may stop early.
    memory_bytes : int
        Peak memory of the whole process.
    """

    seconds: float
    memory_bytes: int

    def line(self) -> str:
        """Summarise the estimate in one line to print."""
        return f"estimate: up to {readable_seconds(self.seconds)} and {readable_bytes(self.memory_bytes)} of memory"


def forecast(model: TopicModel, counts: csr_matrix, *, tables: bool = True) -> Forecast:
    """Estimate the cost of fitting a model to counts and writing its tables, without changing the model.

    Parameters
    ----------
    model : TopicModel
        Estimator, not fitted.
    counts : csr_matrix of shape (D, V)
        The corpus.
    tables : bool
        Include the memory for writing the tables of a run.

    Returns
    -------
    Forecast
        Estimated seconds and peak memory.

    Raises
    ------
    InputError
        If a parameter of the model is out of its range.
    """
    settings = model.settings(seed=0)
    documents = Rows.filled(counts)
    device = choose_device(model.device)
    batches = SparseBatches(documents, settings.batch_size, device)
    epochs = settings.epochs(len(batches))
    n_start = min(documents.n_docs, start_docs(documents))
    with chosen_threads(), usual_gradients():
        with seeded(0):
            network = model.build_network(counts.shape[1]).to(device)
        n_parameters = sum(parameter.numel() for parameter in network.parameters())
        tokens = float(documents.take(np.arange(min(1_000, documents.n_docs))).column_sums().sum())
        mean_length = max(1.0, tokens / min(1_000, documents.n_docs))
        network.set_corpus_statistics(torch.full((counts.shape[1],), 1 / counts.shape[1], device=device), mean_length)
        step = _step_seconds(network, batches, settings.batch_size)
        passing = _pass_seconds(model.n_topics, documents, n_start, device) if settings.init == "em" else 0.0
    plan = settings.plan
    warm_up = max(warm_up_steps(plan, model.n_topics), plan.encoder_warm_up_epochs * n_start // settings.batch_size)
    start_steps = warm_up if settings.init == "em" else 0
    seconds = CLUSTERING * em_passes(settings.n_topics) * passing + step * (
        epochs * len(batches) + WARM_UP_COST * start_steps
    )
    nonzeros = documents.nonzeros * n_start // documents.n_docs
    start = START_BYTES * nonzeros + 4 * START_COPIES * model.n_topics * n_start
    written = counts.shape[0] * (DOCUMENT_BYTES + 4 * TABLE_COPIES * model.n_topics) if tables else 0
    return Forecast(seconds, resident_memory() + 4 * COPIES * n_parameters + max(start, written))


def _step_seconds(network: torch.nn.Module, batches: SparseBatches, batch_size: int) -> float:
    """Measure the median seconds of a training step on the first documents."""
    few = batches.documents.take(np.arange(min(batches.n_docs, TRIED_STEPS * batch_size)))
    optimizer = Adam(network, 0.0, {})
    taken = []
    network.train()
    for batch in SparseBatches(few, batch_size, batches.device):
        began = time.perf_counter()
        terms = network.terms(batch)  # type: ignore[operator]
        torch.stack([value.mean() for value in terms.values()]).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step(1e-6)
        _wait_for(batches.device)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[2:] or taken)


def _wait_for(device: torch.device) -> None:
    """Wait until a GPU has finished its queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _pass_seconds(n_topics: int, documents: Rows, n_start: int, device: torch.device) -> float:
    """Estimate the seconds of an EM pass over `n_start` documents by timing it on a few."""
    few = documents.take(np.arange(min(EM_BATCH, documents.n_docs)))
    batch = SparseBatch.from_csr(few.matrix(), np.arange(few.n_docs), device)
    theta = torch.full((few.n_docs, n_topics), 1 / n_topics, device=device)
    beta_t = torch.full((documents.vocab_size, n_topics), 1 / documents.vocab_size, device=device)
    taken = []
    for _ in range(2):
        began = time.perf_counter()
        expected, ratio = expected_topic_counts(theta, beta_t, batch)
        theta = (expected + THETA_PSEUDO_COUNT) / (expected + THETA_PSEUDO_COUNT).sum(-1, keepdim=True)
        batch.transposed.matmul(ratio[batch.order], theta)
        _wait_for(device)
        taken.append(time.perf_counter() - began)
    return min(taken) * n_start / few.n_docs
