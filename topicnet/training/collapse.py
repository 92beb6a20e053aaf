"""Detection of collapse in a fitted model: duplicate and unused topics, inactive latent dimensions, divergence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from topicnet.runtime.html_tables import html_table
from topicnet.training.progress import TrainResult

TOP_WORDS, SHARED_WORDS = 10, 8  # topics are duplicates when they share 8 of their top 10 words
ACTIVE = 0.01  # lower limit for an active latent dimension: nats of KL per document, or variance if there is no KL
TOLERATED_FRACTION = 0.1  # largest fraction of duplicate or unused topics, and of active dimensions of an unfit model
MIN_THETA_SD = 0.02  # least standard deviation over documents of the topic that varies most
MOST_LISTED = 5


def duplicate_pairs(beta: Tensor) -> list[tuple[int, int]]:
    """Find pairs of topics of beta (K, V) that share 8 of their top 10 words.

    With fewer than 20 words, the same fraction of half the vocabulary is used.

    Examples
    --------
    >>> duplicate_pairs(torch.tensor([[0.6, 0.4, 0.0, 0.0], [0.0, 0.0, 0.4, 0.6], [0.5, 0.5, 0.0, 0.0]]))
    [(0, 2)]
    """
    n_topics, vocab_size = beta.shape
    # In a tiny vocabulary every topic would list most words; half of it is the most that can distinguish topics.
    n_words = max(1, min(TOP_WORDS, vocab_size // 2))
    least = -(-n_words * SHARED_WORDS // TOP_WORDS)
    top = beta.topk(n_words).indices  # (K, n)
    words, position = torch.unique(top, return_inverse=True)
    lists = beta.new_zeros(n_topics, len(words)).scatter_(1, position, 1.0)
    same = (lists @ lists.T >= least).triu(1)
    return [(int(i), int(j)) for i, j in same.nonzero().tolist()]


def largest_topics(theta: Tensor) -> Tensor:
    """Count, for each topic, the documents of theta (D, K) in which it is the largest: (K,)."""
    return torch.bincount(theta.argmax(-1), minlength=theta.shape[1])


@dataclass(frozen=True)
class HealthReport:
    """Signs of collapse found in a fit.

    Attributes
    ----------
    fit_for_use : bool
        False if training failed, more than a tenth of the topics are duplicates or unused, no more than a tenth of the
        latent dimensions are active, or all documents have nearly the same theta.
    findings : list of str
        One sentence per problem.
    duplicates : list of pairs of int
        Topics that share 8 of their top 10 words.
    dead : list of int
        Unused topics: not the largest topic of any training document.
    usage : list of float
        For each latent dimension, the mean KL in nats per document, or the variance of its points if there is no KL.
    active_units : int
        Number of latent dimensions in which this KL, or variance, is above 0.01.
    reseeded : int
        Topics that were restarted from poorly explained documents.
    rollbacks : list of dict
        Epoch and step at which the loss diverged, and the learning rate from there on.

    Examples
    --------
    >>> HealthReport(fit_for_use=True, usage=[0.5, 0.4, 0.0], active_units=2).line()
    'healthy: no duplicate or unused topics, 2 of 3 latent dimensions are active'
    """

    fit_for_use: bool
    findings: list[str] = field(default_factory=list)
    duplicates: list[tuple[int, int]] = field(default_factory=list)
    dead: list[int] = field(default_factory=list)
    usage: list[float] = field(default_factory=list)
    active_units: int = 0
    reseeded: int = 0
    rollbacks: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, saved: Mapping[str, Any]) -> HealthReport:
        """Recreate a report from JSON values, in which the pairs are lists."""
        pairs = [(int(i), int(j)) for i, j in saved["duplicates"]]
        return cls(**(dict(saved) | {"duplicates": pairs}))

    def _repr_html_(self) -> str:
        rows: list[tuple[str, object]] = [
            ("duplicate topics", ", ".join(f"{i} and {j}" for i, j in self.duplicates) or "none"),
            ("unused topics", ", ".join(map(str, self.dead)) or "none"),
            ("active latent dimensions", f"{self.active_units} of {len(self.usage)}"),
            ("topics reseeded", self.reseeded),
            ("rollbacks", len(self.rollbacks)),
        ]
        return html_table(self.line(), (), rows, len(rows))

    def line(self) -> str:
        """Return a one-line summary."""
        if not self.usage:
            return "not checked: saved by a version of topicnet that did not check for collapse"
        if not self.findings:
            return (
                "healthy: no duplicate or unused topics,"
                f" {self.active_units} of {len(self.usage)} latent dimensions are active"
            )
        return f"{'usable' if self.fit_for_use else 'unfit'}: {'; '.join(self.findings)}"


def check_for_collapse(
    beta: Tensor, largest: Tensor, kl_per_dimension: Tensor, theta_spread: float, training: TrainResult, reseeded: int
) -> HealthReport:
    """Check a finished fit for signs of collapse.

    Parameters
    ----------
    beta : Tensor
        (K, V) topics.
    largest : Tensor
        (K,) number of documents in which each topic is the largest.
    kl_per_dimension : Tensor
        (Z,) KL, or variance, of each latent dimension; see `HealthReport.usage`.
    theta_spread : float
        Largest standard deviation, over documents, of a topic's proportion.
    training : TrainResult
        Result of the training.
    reseeded : int
        Number of topics that were restarted.

    Returns
    -------
    HealthReport
    """
    n_topics, n_dimensions = len(beta), len(kl_per_dimension)
    duplicates = duplicate_pairs(beta)
    unused = (largest == 0).nonzero().ravel().tolist()
    active = int((kl_per_dimension > ACTIVE).sum())
    findings = _training_findings(training) + _topic_findings(n_topics, duplicates, unused)
    n_affected = max(_n_duplicates(duplicates), len(unused))
    unfit = training.stopped == "diverged" or n_affected > TOLERATED_FRACTION * n_topics
    if n_topics > 1 and active <= TOLERATED_FRACTION * n_dimensions:
        unfit = True
        verb = "carries" if active == 1 else "carry"
        findings.append(f"{active} of {n_dimensions} latent dimensions {verb} information about the documents")
    if n_topics > 1 and theta_spread < MIN_THETA_SD:
        unfit = True
        findings.append("all documents have nearly the same topic proportions")
    return HealthReport(
        fit_for_use=not unfit,
        findings=findings,
        duplicates=duplicates,
        dead=unused,
        usage=kl_per_dimension.tolist(),
        active_units=active,
        reseeded=reseeded,
        rollbacks=[asdict(rollback) for rollback in training.rollbacks],
    )


def _training_findings(training: TrainResult) -> list[str]:
    """Describe divergence of the loss."""
    rollbacks = training.rollbacks
    if training.stopped == "diverged":
        kept = "initial weights" if training.best_epoch == 0 else f"weights of epoch {training.best_epoch}"
        return [f"the loss diverged at every learning rate tried; the {kept} are kept"]
    if not rollbacks:
        return []
    times = "once" if len(rollbacks) == 1 else f"{len(rollbacks)} times"
    return [
        f"the loss diverged {times}, first in epoch {rollbacks[0].epoch}; training continued from the best weights"
        f" with a learning rate of at most {rollbacks[-1].learning_rate:.2g}"
    ]


def _topic_findings(n_topics: int, duplicates: list[tuple[int, int]], unused: list[int]) -> list[str]:
    """Describe duplicate and unused topics."""
    findings = []
    if duplicates:
        pairs, n_duplicates = _shortened(f"{i}~{j}" for i, j in duplicates), _n_duplicates(duplicates)
        verb = "duplicates" if n_duplicates == 1 else "duplicate"
        findings.append(f"{n_duplicates} of {n_topics} topics {verb} another: {pairs}")
    if unused:
        verb = "is" if len(unused) == 1 else "are"
        listed = _shortened(map(str, unused))
        findings.append(f"{len(unused)} of {n_topics} topics {verb} unused (largest in no document): {listed}")
    return findings


def _n_duplicates(duplicates: list[tuple[int, int]]) -> int:
    return len({j for _, j in duplicates})


def _shortened(items: Iterable[str]) -> str:
    names = list(items)
    more = f", ... ({len(names)} in all)" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more
