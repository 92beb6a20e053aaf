"""Parameters of a fit after checking, and the defaults of its length, learning rate and warm-up."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from topicnet.errors import InputError
from topicnet.models.parameter_values import check_shared_values
from topicnet.training.schedule import Schedule

# After an EM start the learning rate is reduced for documents shorter than the first, and constant below the second.
ENOUGH_TOKENS, LEAST_TOKENS = 20.0, 5.0


@dataclass(frozen=True)
class Plan:
    """Default length and learning rate of a training run.

    Parameters
    ----------
    steps : int
        Steps of the whole run. Fewer are needed after an EM start.
    rate : float
        Peak of the one-cycle learning rate.
    diversity : float
        Weight of the overlap of topics, nats per token.
    least_epochs, most_epochs : int
        Bounds on the number of epochs that `steps` gives.
    short_document_lr_decay : float
        Exponent with which the learning rate falls with the mean length of short documents after an EM start.
    short_document_lr_decay_of : {"topics", "network"}
        Parameters whose learning rate is reduced.
    encoder_warm_up_epochs : int
        Minimum number of passes over the documents of an EM start in which the encoder is fitted to their theta.
    encoder_warm_up_factor : float
        Factor of the usual minimum number of warm-up steps.
    """

    steps: int
    rate: float
    diversity: float
    least_epochs: int = 5
    most_epochs: int = 100
    short_document_lr_decay: float = 2.0
    short_document_lr_decay_of: Literal["topics", "network"] = "topics"
    encoder_warm_up_epochs: int = 5
    encoder_warm_up_factor: float = 1.0

    def epochs(self, n_batches: int) -> int:
        """Return the number of epochs that is nearest to `steps` steps within the bounds."""
        return min(self.most_epochs, max(self.least_epochs, round(self.steps / n_batches)))


@dataclass(frozen=True)
class Settings:
    """Parameters of a fit, checked when created; :class:`~topicnet.models.base.TopicModel` describes each.

    `divergence_name` is the name of the divergence among the loss terms, such as "kl" or "mmd"; `divergence_weight` is
    the model's `kl_weight` or `mmd_weight`.
    """

    n_topics: int
    hidden_dim: int
    dropout: float
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
    divergence_name: str
    seed: int

    def __post_init__(self) -> None:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        check_shared_values({name.replace("divergence", self.divergence_name): one for name, one in values.items()})

    def epochs(self, n_batches: int) -> int:
        """Return the number of epochs to run: `max_epochs`, or by default that of the plan."""
        return self.plan.epochs(n_batches) if self.max_epochs is None else self.max_epochs

    def rate(self, mean_length: float) -> float:
        """Return the peak learning rate for documents of this mean length in tokens."""
        whole = self.plan.short_document_lr_decay_of == "network"
        scale = self._short_document_lr_scale(mean_length) if whole else 1.0
        return scale * self.plan.rate if self.learning_rate is None else self.learning_rate

    def topic_lr_scale(self, mean_length: float) -> float:
        """Return the factor by which the learning rate of the topics differs from `rate`."""
        return self._short_document_lr_scale(mean_length) if self.plan.short_document_lr_decay_of == "topics" else 1.0

    def _short_document_lr_scale(self, mean_length: float) -> float:
        if self.init == "random" or self.learning_rate is not None:
            return 1.0
        # Adam's step size does not depend on how much a document tells about topics: short ones need a lower rate.
        return float(min(1.0, max(LEAST_TOKENS, mean_length) / ENOUGH_TOKENS) ** self.plan.short_document_lr_decay)

    def schedule(self, n_steps: int, mean_length: float) -> Schedule:
        """Build the schedule of a run of `n_steps` steps on documents of this mean length in tokens."""
        diversity = self.plan.diversity if self.diversity_weight is None else self.diversity_weight
        return Schedule(
            n_steps,
            self.rate(mean_length),
            warm_up={self.divergence_name: self.divergence_warm_up},
            weights={self.divergence_name: self.divergence_weight, "overlap": diversity},
        )


def check_vectors(embeddings: object, embedding_dim: int | None) -> NDArray[np.float32]:
    """Return word vectors as an array (V, L), or raise InputError.

    Parameters
    ----------
    embeddings : ndarray of shape (V, L)
        Finite numbers.
    embedding_dim : int or None
        Expected L, if any.

    Returns
    -------
    ndarray of shape (V, L), float32
        The vectors.

    Raises
    ------
    InputError
        If `embeddings` is not a table of finite numbers, or has another width than `embedding_dim`.
    """
    if isinstance(embeddings, str):
        raise InputError(
            f"embeddings={embeddings!r} given, expected an array with a row for each word: use topicnet.fit or the"
            " command line, which read a file and align its vectors to the words"
        )
    try:
        with np.errstate(over="ignore"):  # infinities are rejected below
            vectors = np.asarray(embeddings, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"embeddings of type {type(embeddings).__name__} given, expected finite numbers, (vocab_size, L)"
        ) from error
    if vectors.ndim != 2 or not vectors.size or not np.isfinite(vectors).all():
        raise InputError(f"embeddings of shape {vectors.shape} given, expected finite numbers, (vocab_size, L)")
    if embedding_dim is not None and embedding_dim != vectors.shape[1]:
        raise InputError(
            f"embedding_dim={embedding_dim} given with embeddings of {vectors.shape[1]} dimensions: leave it out"
        )
    return vectors
