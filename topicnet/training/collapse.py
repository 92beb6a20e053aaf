"""Signs of collapse in a fitted model, and the report on them: findings, remedies, fitness for use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from topicnet.runtime.html_tables import html_table
from topicnet.training.progress import TrainResult

TOP_WORDS, SHARED_WORDS = 10, 8  # topics are duplicates when they share 8 of their top 10 words
ACTIVE = 0.01  # a latent dimension is in use above this: nats of KL per document, or variance where there is none
TOLERATED = 0.1  # fraction of topics, or of latent dimensions in use, at which a model becomes unfit
LEAST_SPREAD = 0.02  # of the topic that differs most between documents: its standard deviation
MOST_LISTED = 5


def duplicate_pairs(beta: Tensor) -> list[tuple[int, int]]:
    """Pairs of topics of beta (K, V) that share 8 of their top 10 words; with fewer words, the same fraction."""
    n_topics, vocab_size = beta.shape
    # Of a tiny vocabulary every topic lists most words: half of it is the most that can tell topics apart.
    n_words = max(1, min(TOP_WORDS, vocab_size // 2))
    least = -(-n_words * SHARED_WORDS // TOP_WORDS)
    top = beta.topk(n_words).indices  # (K, n)
    words, position = torch.unique(top, return_inverse=True)
    lists = beta.new_zeros(n_topics, len(words)).scatter_(1, position, 1.0)
    same = (lists @ lists.T >= least).triu(1)
    return [(int(i), int(j)) for i, j in same.nonzero().tolist()]


def largest_topics(theta: Tensor) -> Tensor:
    """Count the documents of theta (D, K) whose largest topic is each: (K,)."""
    return torch.bincount(theta.argmax(-1), minlength=theta.shape[1])


@dataclass(frozen=True)
class HealthReport:
    """Signs of collapse in a fit, and what was done about them.

    Attributes
    ----------
    fit_for_use : bool
        False when training failed, or more than a tenth of the topics or nine tenths of the latent space are lost.
    findings : list of str
        Each fault, in plain words.
    duplicates : list of pairs of int
        Topics that share 8 of their top 10 words.
    dead : list of int
        Unused topics: the largest of no training document.
    usage : list of float
        For each latent dimension: mean KL in nats per document, or the variance of its points where there is no KL.
    active_units : int
        Number of those above 0.01.
    reseeded : int
        Topics that were restarted from badly explained documents.
    rollbacks : list of dict
        Epoch and step at which the loss diverged, and the learning rate from there on.
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
        """Read a report back from JSON, which has no tuples."""
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
        """Summarise the report in one line."""
        if not self.usage:
            return "not examined: saved by a version that did not look for collapse"
        if not self.findings:
            return (
                "healthy: no topic repeats another, none is dead,"
                f" {self.active_units} of {len(self.usage)} latent dimensions are in use"
            )
        return f"{'usable' if self.fit_for_use else 'unfit'}: {'; '.join(self.findings)}"


def judge(
    beta: Tensor, largest: Tensor, kl_per_dimension: Tensor, theta_spread: float, training: TrainResult, reseeded: int
) -> HealthReport:
    """Judge the signs of collapse at the end of a fit.

    Parameters
    ----------
    beta : Tensor
        (K, V).
    largest : Tensor
        (K,) documents whose largest topic is each.
    kl_per_dimension : Tensor
        (Z,) see `HealthReport`.
    theta_spread : float
        Largest standard deviation of a topic's proportion over documents.
    training : TrainResult
    reseeded : int
        Topics restarted.
    """
    n_topics, n_dimensions = len(beta), len(kl_per_dimension)
    duplicates = duplicate_pairs(beta)
    dead = (largest == 0).nonzero().ravel().tolist()
    active = int((kl_per_dimension > ACTIVE).sum())
    findings = _of_training(training) + _of_topics(n_topics, duplicates, dead)
    n_lost = max(_n_repeating(duplicates), len(dead))
    unfit = training.stopped == "diverged" or n_lost > TOLERATED * n_topics
    if n_topics > 1 and active <= TOLERATED * n_dimensions:
        unfit = True
        verb = "says" if active == 1 else "say"
        findings.append(f"{active} of {n_dimensions} latent dimensions {verb} anything of the documents")
    if n_topics > 1 and theta_spread < LEAST_SPREAD:
        unfit = True
        findings.append("every document has the same topics, or nearly")
    return HealthReport(
        fit_for_use=not unfit,
        findings=findings,
        duplicates=duplicates,
        dead=dead,
        usage=kl_per_dimension.tolist(),
        active_units=active,
        reseeded=reseeded,
        rollbacks=[asdict(rollback) for rollback in training.rollbacks],
    )


def _of_training(training: TrainResult) -> list[str]:
    """Findings about the loss."""
    rollbacks = training.rollbacks
    if training.stopped == "diverged":
        kept = "the start is kept" if training.best_epoch == 0 else f"epoch {training.best_epoch} is kept"
        return [f"the loss ran away however small the learning rate was made, and {kept}"]
    if not rollbacks:
        return []
    times = "once" if len(rollbacks) == 1 else f"{len(rollbacks)} times"
    return [
        f"the loss ran away {times}, first in epoch {rollbacks[0].epoch}, and training went back"
        f" and on with a learning rate of at most {rollbacks[-1].learning_rate:.2g}"
    ]


def _of_topics(n_topics: int, duplicates: list[tuple[int, int]], dead: list[int]) -> list[str]:
    """Findings about duplicate topics and unused ones."""
    findings = []
    if duplicates:
        pairs, n_repeating = _listed(f"{i}~{j}" for i, j in duplicates), _n_repeating(duplicates)
        verb = "repeats" if n_repeating == 1 else "repeat"
        findings.append(f"{n_repeating} of {n_topics} topics {verb} another: {pairs}")
    if dead:
        verb = "is" if len(dead) == 1 else "are"
        findings.append(f"{len(dead)} of {n_topics} topics {verb} no document's largest: {_listed(map(str, dead))}")
    return findings


def _n_repeating(duplicates: list[tuple[int, int]]) -> int:
    return len({j for _, j in duplicates})


def _listed(items: Iterable[str]) -> str:
    names = list(items)
    more = f", ... ({len(names)} in all)" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more
