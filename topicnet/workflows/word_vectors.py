"""Word vectors of a fit, read or trained, and aligned to the vocabulary of its corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from topicnet.errors import InputError
from topicnet.text.corpus import Corpus
from topicnet.text.word_vectors import WordVectors, read_word_vectors, train_word_vectors

if TYPE_CHECKING:
    from topicnet.models import TopicModel


def load_word_vectors(given: str, asked_dim: int | None, corpus: Corpus, model: TopicModel) -> WordVectors:
    """Read word vectors from a file, or train them if `given` is "train".

    Row i belongs to word i of the vocabulary.
    """
    seed = model.random_state
    assert isinstance(seed, int)
    if given == "train":
        dim = model.get_params()["embedding_dim"] or max(100, model.n_topics)
        lengths = np.asarray(corpus.counts.sum(1)).ravel()
        vectors = train_word_vectors(corpus.tokens, lengths, corpus.vocab_size, dim, seed)
    else:
        vectors = read_word_vectors(given, corpus.vocabulary, seed)
    if asked_dim is not None and asked_dim != vectors.vectors.shape[1]:
        raise InputError(f"embedding_dim={asked_dim} given, but {given!r} has {vectors.vectors.shape[1]}: leave it out")
    return vectors
