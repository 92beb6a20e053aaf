"""Collapse monitor: detects duplicate and unused topics during a fit, reseeds them, and reports on the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from topicnet.core.em import BETA_PSEUDO_COUNT, cluster_documents
from topicnet.core.row_subset import Rows
from topicnet.core.sparse import SparseBatch, SparseBatches
from topicnet.models.network import TopicNetwork
from topicnet.runtime.distributed import World, on_rank_zero
from topicnet.training.collapse import ACTIVE, HealthReport, check_for_collapse, duplicate_pairs, largest_topics
from topicnet.training.progress import TrainResult

SAMPLE_DOCS, SAMPLE_PER_TOPIC = 2_000, 10  # documents examined after each epoch: at least this many, and per topic
REPORT_BATCH = 4_000
ROUNDS = 5  # reseed at most this often, always in the first two thirds of a run
OWN_FRACTION = 0.7  # proportion that a new topic gets in the documents it is made from


@dataclass(eq=False)
class CollapseMonitor:
    """Monitor that detects and reseeds duplicate and unused topics of a network in training.

    Parameters
    ----------
    network : TopicNetwork
        The network that is trained.
    documents : Rows
        Training documents, none of them empty.
    unigram : Tensor of shape (V,)
        Count of each word in them.
    max_epochs : int
        Epochs of the run.
    rng : numpy.random.Generator
        Source of the sample and of the clusterings.
    device : torch.device
        Device of the network.
    warm_up_encoder : callable
        Function that fits the encoder to the theta (n, K) of documents (n, V).
    world : World or None
        Processes that train the network together: rank 0 decides, all of them warm up the encoder.
    """

    network: TopicNetwork
    documents: Rows
    unigram: Tensor
    max_epochs: int
    rng: np.random.Generator
    device: torch.device
    warm_up_encoder: Callable[[csr_matrix, Tensor], None]
    world: World | None

    def __post_init__(self) -> None:
        self.reseeded: list[int] = []  # number of topics in each round
        self.rounds_left = ROUNDS
        self.last_epoch = self.max_epochs * 2 // 3
        self.interval = max(1, self.last_epoch // ROUNDS)
        n_docs = self.documents.n_docs
        n_sample = min(max(SAMPLE_DOCS, SAMPLE_PER_TOPIC * len(self.network.prior_theta())), n_docs)
        self.sample = self.documents.take(np.sort(self.rng.choice(n_docs, n_sample, replace=False))).matrix()
        self.batch = SparseBatch.from_csr(self.sample, np.arange(n_sample), self.device)

    def state(self) -> dict[str, Any]:
        """Return the state between epochs, as JSON values."""
        return {"rng": self.rng.bit_generator.state, "rounds_left": self.rounds_left, "reseeded": self.reseeded}

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore a saved state."""
        self.rng.bit_generator.state = state["rng"]
        self.rounds_left, self.reseeded = state["rounds_left"], list(state["reseeded"])

    @torch.inference_mode()
    def measure(self) -> dict[str, float]:
        """Measure the signs of collapse after an epoch, for the history."""
        kl_per_dimension, theta = self._examine_sample()
        largest = largest_topics(theta)
        return {
            "active_units": float((kl_per_dimension > ACTIVE).sum()),
            "least_used": float(kl_per_dimension.min()),
            "most_used": float(kl_per_dimension.max()),
            "duplicate_pairs": float(len(duplicate_pairs(self.network.beta()))),
            "dead_topics": float((largest == 0).sum()),
        }

    def intervene(self, epoch: int, stopping: bool) -> bool:
        """Reseed duplicate and unused topics, at most every few epochs; return True if there were any.

        They restart from poorly explained documents. Of duplicates the smaller topic is reseeded. A topic is unused if
        it is not the largest topic of any sampled document.
        """
        if self.rounds_left == 0 or epoch > self.last_epoch or not (stopping or epoch % self.interval == 0):
            return False
        reseeded = on_rank_zero(self.world, self._reseed_lost)
        if reseeded is None:
            return False
        if self.world is not None:
            self.world.broadcast(self.network.state_dict().values())
        n_lost, theta = reseeded
        self.warm_up_encoder(self.sample, theta.to(self.device))
        self.network.eval()
        self.reseeded.append(n_lost)
        self.rounds_left -= 1
        return True

    @torch.inference_mode()
    def health_report(self, result: TrainResult) -> HealthReport:
        """Report the signs of collapse of the weights that were kept."""
        network = self.network
        counts = torch.zeros(len(network.beta()), dtype=torch.int64, device=self.device)
        for batch in SparseBatches(self.documents, REPORT_BATCH, self.device):
            counts += largest_topics(network.infer_theta(batch))
        kl_per_dimension, theta = self._examine_sample()
        return check_for_collapse(
            network.beta(),
            counts,
            kl_per_dimension,
            float(theta.std(0, correction=0).max()),
            result,
            reseeded=sum(self.reseeded[: result.interventions]),
        )

    def _examine_sample(self) -> tuple[Tensor, Tensor]:
        """Compute KL per dimension (Z,) and theta (n, K) of the sample, which has no empty document, in one pass."""
        q = self.network.encode(self.batch)
        return self.network.kl_per_dimension(q), self.network.theta(q.mean)

    @torch.no_grad()
    def _reseed_lost(self) -> tuple[int, Tensor] | None:
        """Reseed duplicate and unused topics; return their number and the new theta (n, K), or None without any."""
        theta = self.network.infer_theta(self.batch)
        duplicates = self._smaller_duplicates(theta)
        dead = (largest_topics(theta) == 0).nonzero().ravel().tolist()
        lost = sorted(set(duplicates) | set(dead))
        if not lost or len(lost) == theta.shape[1] or self.documents.n_docs < 10 * theta.shape[1]:
            return None
        for topic, original in duplicates.items():
            theta[:, original] += theta[:, topic]
        theta[:, lost] = 0.0
        return len(lost), self._reseed(lost, theta)

    def _smaller_duplicates(self, theta: Tensor) -> dict[int, int]:
        """Map the smaller topic of each duplicate pair to the one it duplicates."""
        size = theta.sum(0).tolist()
        duplicates: dict[int, int] = {}
        for pair in duplicate_pairs(self.network.beta()):
            smaller, larger = sorted(pair, key=lambda k: size[k])
            if smaller not in duplicates and larger not in duplicates:
                duplicates[smaller] = larger
        return duplicates

    def _reseed(self, lost: list[int], theta: Tensor) -> Tensor:
        """Set these topics to clusters of the worst explained documents; return theta (n, K) of the sample."""
        gain = self._gain(theta / theta.sum(-1, keepdim=True).clamp_min(1e-12))
        n_bad = min(len(gain), max(10 * len(lost), int(len(lost) / theta.shape[1] * len(gain))))
        bad = np.sort(np.argsort(gain, kind="stable")[:n_bad])
        cluster = cluster_documents(self.sample[bad], len(lost), self.rng)
        new = np.stack([np.asarray(self.sample[bad[cluster == c]].sum(0)).ravel() for c in range(len(lost))])
        beta = torch.as_tensor(new, dtype=theta.dtype, device=self.device) + BETA_PSEUDO_COUNT
        logits = self.network.decoder.logits_of(beta / beta.sum(-1, keepdim=True))
        topics = torch.as_tensor(lost, device=self.device)
        self.network.set_topic_logits(logits, topics)
        rows = torch.as_tensor(bad, device=self.device)
        theta[rows] *= (1 - OWN_FRACTION) / theta[rows].sum(-1, keepdim=True).clamp_min(1e-12)
        theta[rows, topics[torch.as_tensor(cluster, device=self.device)]] += OWN_FRACTION
        return theta / theta.sum(-1, keepdim=True).clamp_min(1e-12)

    def _gain(self, theta: Tensor) -> np.ndarray:
        """Compute by how many nats per token each sampled document is likelier than under the unigram model, (n,)."""
        network, batch = self.network, self.batch
        likelihood = network.decoder.log_likelihood(theta, network.topics(), batch)
        unigram = self.unigram.to(theta.dtype)
        background = batch.row_sums(batch.counts * (unigram / unigram.sum()).log()[batch.pattern.columns])
        gain: np.ndarray = ((likelihood - background) / batch.row_sums(batch.counts)).cpu().numpy()
        return gain
