"""Watches a fit for collapse, begins lost topics anew, and gives the verdict."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from topicnet.core.em import BETA_PSEUDO_COUNT, cluster_documents
from topicnet.core.health import ACTIVE, Verdict, duplicate_pairs, judge, largest_topics
from topicnet.core.outcome import TrainResult
from topicnet.core.rows import Rows
from topicnet.core.sparse import SparseBatch, SparseBatches
from topicnet.models.network import TopicNetwork

SAMPLE_DOCS = 4_000  # documents looked at after each epoch
ROUNDS = 5  # of treatment at most, all in the first two thirds of a run
OWN_SHARE = 0.7  # of a badly explained document, for the topic made from it

Teach = Callable[[csr_matrix, Tensor], None]


class Doctor:
    """Looks after one network in training.

    Parameters
    ----------
    documents : Rows
        Those trained on, none of them empty.
    unigram : Tensor
        (V,) how often each word stands in them.
    max_epochs : int
        Of the run.
    teach : callable
        Teaches the encoder the theta (n, K) of documents (n, V).
    """

    def __init__(
        self,
        network: TopicNetwork,
        documents: Rows,
        unigram: Tensor,
        max_epochs: int,
        rng: np.random.Generator,
        device: torch.device,
        teach: Teach,
    ) -> None:
        self.network = network
        self.documents = documents
        self.unigram = unigram
        self.rng = rng
        self.device = device
        self.teach = teach
        self.reseeded: list[int] = []  # topics, by treatment
        self.rounds_left = ROUNDS
        self.last = max_epochs * 2 // 3
        self.every = max(1, self.last // ROUNDS)
        n_sample = min(SAMPLE_DOCS, documents.n_docs)
        self.sample = documents.at(np.sort(rng.choice(documents.n_docs, n_sample, replace=False))).matrix()
        self.batch = SparseBatch.from_csr(self.sample, np.arange(n_sample), device)

    @torch.inference_mode()
    def measure(self) -> dict[str, float]:
        """Signs of collapse after an epoch, for the history."""
        usage = self.network.usage(self.network.encode(self.batch))
        largest = largest_topics(self.network.infer_theta(self.batch))
        return {
            "active_units": float((usage > ACTIVE).sum()),
            "least_used": float(usage.min()),
            "most_used": float(usage.max()),
            "duplicate_pairs": float(len(duplicate_pairs(self.network.beta()))),
            "dead_topics": float((largest == 0).sum()),
        }

    def treat(self, epoch: int, stopping: bool) -> bool:
        """Begin lost topics anew from badly explained documents; True when there were any."""
        if self.rounds_left == 0 or epoch > self.last or not (stopping or epoch % self.every == 0):
            return False
        with torch.no_grad():
            theta = self.network.infer_theta(self.batch)
            twins = self._twins(theta)
            dead = (largest_topics(theta) == 0).nonzero().ravel().tolist()
        lost = sorted(set(twins) | set(dead))
        if not lost or len(lost) == theta.shape[1] or self.documents.n_docs < 10 * theta.shape[1]:
            return False
        with torch.no_grad():
            for topic, twin in twins.items():
                theta[:, twin] += theta[:, topic]
            theta[:, lost] = 0.0
            theta = self._reseed(lost, theta)
        self.teach(self.sample, theta)
        self.network.eval()
        self.reseeded.append(len(lost))
        self.rounds_left -= 1
        return True

    @torch.inference_mode()
    def verdict(self, result: TrainResult, reseeded_before: int = 0) -> Verdict:
        """The verdict on the weights that were kept; topics may have been begun anew before this run too."""
        network = self.network
        counts = torch.zeros(len(network.beta()), dtype=torch.int64, device=self.device)
        for batch in SparseBatches(self.documents, SAMPLE_DOCS, self.device):
            counts += largest_topics(network.infer_theta(batch))
        theta = network.infer_theta(self.batch)
        return judge(
            network.beta(),
            counts,
            network.usage(network.encode(self.batch)),
            float(theta.std(0, correction=0).max()),
            stopped=result.stopped,
            best_epoch=result.best_epoch,
            rollbacks=result.rollbacks,
            reseeded=reseeded_before + sum(self.reseeded[: result.treatments]),
        )

    def _twins(self, theta: Tensor) -> dict[int, int]:
        """The smaller of each pair that repeats itself, with the topic it repeats."""
        size = theta.sum(0).tolist()
        twins: dict[int, int] = {}
        for pair in duplicate_pairs(self.network.beta()):
            smaller, larger = sorted(pair, key=lambda k: size[k])
            if smaller not in twins and larger not in twins:
                twins[smaller] = larger
        return twins

    def _reseed(self, lost: list[int], theta: Tensor) -> Tensor:
        """Make topics of the documents explained worst, and say which theta (n, K) goes with them."""
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
        theta[rows] *= (1 - OWN_SHARE) / theta[rows].sum(-1, keepdim=True).clamp_min(1e-12)
        theta[rows, topics[torch.as_tensor(cluster, device=self.device)]] += OWN_SHARE
        return theta / theta.sum(-1, keepdim=True).clamp_min(1e-12)

    def _gain(self, theta: Tensor) -> np.ndarray:
        """Nats per token by which each sampled document is likelier than under the word frequencies, (n,)."""
        network, batch = self.network, self.batch
        likelihood = network.decoder.log_likelihood(theta, network.topics(), batch)
        unigram = self.unigram.to(theta.dtype)
        background = batch.row_sums(batch.counts * (unigram / unigram.sum()).log()[batch.pattern.columns])
        gain: np.ndarray = ((likelihood - background) / batch.row_sums(batch.counts)).cpu().numpy()
        return gain
