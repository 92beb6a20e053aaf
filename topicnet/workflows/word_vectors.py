"""Word vectors for a run: read or trained, aligned to the words of its corpus, handed to the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from topicnet.errors import InputError
from topicnet.models import TopicModel
from topicnet.text.corpus import Corpus
from topicnet.text.word_vectors import read_word_vectors, train_word_vectors
from topicnet.workflows.config import FitConfig


def check_embeddings(config: FitConfig) -> None:
    """Raise InputError for word vectors that cannot be had, before any work is done."""
    given = config.parameters.get("embeddings", "none")
    if given is None or given in ("none", "train"):
        return
    if not isinstance(given, str):
        raise InputError(
            f"embeddings of type {type(given).__name__} given, expected none, train or a file of word vectors: an array"
            " fits the words of an estimator's own counts only"
        )
    if not Path(given).is_file():
        raise InputError(f"embeddings {given!r} given, expected none, train or a file of word vectors: check the path")


def give_word_vectors(model: TopicModel, config: FitConfig, corpus: Corpus, on_notice: Callable[[str], None]) -> None:
    """Read or train the configured word vectors, aligned to the corpus' words."""
    given = config.parameters.get("embeddings") or "none"
    if given == "none":
        return
    if given == "train":
        dim = model.get_params()["embedding_dim"] or max(100, config.topics)
        lengths = np.asarray(corpus.counts.sum(1)).ravel()
        vectors = train_word_vectors(corpus.tokens, lengths, corpus.vocab_size, dim, config.seed)
    else:
        vectors = read_word_vectors(given, corpus.vocabulary, config.seed)
    asked = config.parameters.get("embedding_dim")
    if asked is not None and asked != vectors.vectors.shape[1]:
        raise InputError(f"embedding_dim={asked} given, but {given!r} has {vectors.vectors.shape[1]}: leave it out")
    on_notice(f"word vectors: {vectors.report(corpus.vocabulary)}")
    model.set_params(embeddings=vectors.vectors, embedding_dim=vectors.vectors.shape[1])
