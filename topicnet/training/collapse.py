"""Signs of collapse, and the plain verdict on them: what was seen, what was done, whether the model is fit for use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from topicnet.training.progress import Rollback

TOP_WORDS, SHARED_WORDS = 10, 8  # two topics are the same that share so many of so many top words
ACTIVE = 0.01  # a latent dimension says something above this: nats of KL per document, or variance where there is none
TOLERATED = 0.1  # share of topics, or of latent dimensions, that may be lost before a model is unfit
LEAST_SPREAD = 0.02  # of the topic that differs most between documents: its standard deviation
MOST_LISTED = 5


def duplicate_pairs(beta: Tensor) -> list[tuple[int, int]]:
    """Pairs of topics of beta (K, V) that share 8 of their 10 most probable words; of fewer words, the same share."""
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
    """How many documents of theta (D, K) have each topic for their largest: (K,)."""
    return torch.bincount(theta.argmax(-1), minlength=theta.shape[1])


@dataclass(frozen=True)
class HealthReport:
    """What was seen of collapse in a fit.

    Attributes
    ----------
    fit_for_use : bool
        False when training failed, or more than a tenth of the topics or nine tenths of the latent space are lost.
    findings : list of str
        Each thing that is not as it should be, in plain words.
    duplicates : list of pairs of int
        Topics that share 8 of their top 10 words.
    dead : list of int
        Topics that are no training document's largest.
    usage : list of float
        Of each latent dimension: mean KL in nats per document, or the variance of its points where there is no KL.
    active_units : int
        How many of those exceed 0.01.
    reseeded : int
        Topics that were begun anew from badly explained documents.
    rollbacks : list of dict
        Epoch and step at which the loss was lost, and the learning rate from there on.
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
        """The verdict as it was before it was written as JSON, which has no tuples."""
        pairs = [(int(i), int(j)) for i, j in saved["duplicates"]]
        return cls(**(dict(saved) | {"duplicates": pairs}))

    def line(self) -> str:
        """The verdict in one line."""
        if not self.usage:
            return "not examined: saved by a version that did not look for collapse"
        if not self.findings:
            return (
                "healthy: no topic repeats another, none is dead,"
                f" {self.active_units} of {len(self.usage)} latent dimensions are in use"
            )
        return f"{'usable' if self.fit_for_use else 'unfit'}: {'; '.join(self.findings)}"


def judge(
    beta: Tensor,
    largest: Tensor,
    kl_per_dimension: Tensor,
    theta_spread: float,
    *,
    stopped: str,
    best_epoch: int,
    rollbacks: list[Rollback],
    reseeded: int,
) -> HealthReport:
    """Weigh the signs at the end of a fit.

    Parameters
    ----------
    beta : Tensor
        (K, V).
    largest : Tensor
        (K,) documents of which each topic is the largest.
    kl_per_dimension : Tensor
        (Z,) see `HealthReport`.
    theta_spread : float
        Largest standard deviation of a topic's proportion over documents.
    stopped, best_epoch, rollbacks
        Of the training.
    reseeded : int
        Topics begun anew.
    """
    n_topics = len(beta)
    duplicates = duplicate_pairs(beta)
    repeating = {j for _, j in duplicates}
    dead = [int(k) for k in (largest == 0).nonzero().ravel().tolist()]
    active = int((kl_per_dimension > ACTIVE).sum())
    findings = []
    unfit = stopped == "diverged" or len(repeating) > TOLERATED * n_topics or len(dead) > TOLERATED * n_topics
    if stopped == "diverged":
        kept = "the start is kept" if best_epoch == 0 else f"epoch {best_epoch} is kept"
        findings.append(f"the loss ran away however small the learning rate was made, and {kept}")
    elif rollbacks:
        findings.append(
            f"the loss ran away {_times(len(rollbacks))}, first in epoch {rollbacks[0].epoch}, and training went back"
            f" and on with a learning rate of at most {rollbacks[-1].learning_rate:.2g}"
        )
    if duplicates:
        pairs = _listed(f"{i}~{j}" for i, j in duplicates)
        verb = "repeats" if len(repeating) == 1 else "repeat"
        findings.append(f"{len(repeating)} of {n_topics} topics {verb} another: {pairs}")
    if dead:
        verb = "is" if len(dead) == 1 else "are"
        findings.append(f"{len(dead)} of {n_topics} topics {verb} no document's largest: {_listed(map(str, dead))}")
    if n_topics > 1 and active <= TOLERATED * len(kl_per_dimension):
        unfit = True
        verb = "says" if active == 1 else "say"
        findings.append(f"{active} of {len(kl_per_dimension)} latent dimensions {verb} anything of the documents")
    if n_topics > 1 and theta_spread < LEAST_SPREAD:
        unfit = True
        findings.append("every document has the same topics, or nearly")
    return HealthReport(
        fit_for_use=not unfit,
        findings=findings,
        duplicates=duplicates,
        dead=dead,
        usage=[float(value) for value in kl_per_dimension.tolist()],
        active_units=active,
        reseeded=reseeded,
        rollbacks=[{"epoch": r.epoch, "step": r.step, "learning_rate": r.learning_rate} for r in rollbacks],
    )


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"


def _listed(items: Iterable[str]) -> str:
    names = list(items)
    more = f", ... ({len(names)} in all)" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more
