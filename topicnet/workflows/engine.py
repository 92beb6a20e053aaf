"""What a configuration has learned: its estimator, and the fit of it to a corpus, in this process or elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from topicnet.errors import CorpusError, InputError
from topicnet.models import MODELS, TopicModel
from topicnet.runtime.interrupt import FitInterrupted
from topicnet.text.corpus import OK, Corpus
from topicnet.text.passages import in_passages
from topicnet.text.tokens.tokenize import Tokenization, tokenize_locally
from topicnet.training.progress import Listener
from topicnet.workflows.bundle import check_reading_order
from topicnet.workflows.config import FitConfig
from topicnet.workflows.corpus import Notice, silent
from topicnet.workflows.word_vectors import check_embeddings, give_word_vectors


def build_model(config: FitConfig) -> TopicModel:
    """Make the configured estimator and check its parameters, before any work is done."""
    kind = MODELS.get(config.model)
    if kind is None:
        raise InputError(f"--model {config.model!r} given, this version has: {', '.join(MODELS)}")
    reserved: dict[str, Any] = {"n_topics": config.topics, "random_state": config.seed, "device": config.device}
    known = set(kind().get_params()) - set(reserved)
    for name in config.parameters:
        if name not in known:
            raise InputError(f"parameter {name!r} given, {config.model} has: {', '.join(sorted(known))}")
    check_embeddings(config)
    if config.parameters.get("freeze_embeddings") is True and config.parameters.get("embeddings") in (None, "none"):
        raise InputError("freeze_embeddings given without embeddings: give word vectors to freeze, or leave it out")
    estimator = kind(**reserved, **{name: v for name, v in config.parameters.items() if name != "embeddings"})
    estimator.check_parameters()
    return estimator


def of_seed(config: FitConfig, number: int) -> FitConfig:
    """The configuration of the fit of this number, from 0, of those with several seeds."""
    return config.model_copy(update={"seed": (config.seed + number) % 2**32})


def check_size(corpus: Corpus, n_topics: int) -> None:
    """Raise InputError unless the corpus can be fitted with so many topics."""
    n_filled = int((corpus.status == OK).sum())
    if n_filled < 2:
        raise CorpusError(
            f"{n_filled} of {corpus.n_docs} documents hold a known word, expected 2 or more: give more documents"
        )
    if n_topics > corpus.vocab_size:
        raise InputError(
            f"-k {n_topics} given, but only {corpus.vocab_size} words are left in the vocabulary: ask for fewer topics"
            " or lower --min-df"
        )


def learn(
    corpus: Corpus,
    config: FitConfig,
    model: TopicModel,
    listener: Listener | None = None,
    checkpoints: Path | None = None,
    on_notice: Notice = silent,
) -> bool:
    """Fit the configured model to counts, or to passages of them, and say whether it was interrupted."""
    give_word_vectors(model, config, corpus, on_notice)
    counts = corpus.counts
    if config.passages is not None:
        check_reading_order(corpus, f"passages of {config.passages} words")
        counts = in_passages(corpus, config.passages).counts
    try:
        model.fit(counts, listener=listener, checkpoints=checkpoints)
    except FitInterrupted:
        return True
    return False


class Learn(Protocol):
    """As `learn`, which is one."""

    def __call__(
        self,
        corpus: Corpus,
        config: FitConfig,
        model: TopicModel,
        listener: Listener | None = None,
        checkpoints: Path | None = None,
        on_notice: Notice = silent,
    ) -> bool: ...


@dataclass(frozen=True)
class Engine:
    """Who does the work of a fit: what cuts its texts, and what learns from their counts."""

    tokenization: Tokenization = tokenize_locally
    learn: Learn = learn
    workers: int | None = None  # that learn together, where it starts them


HERE = Engine()
