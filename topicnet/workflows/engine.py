"""Model of a configuration: its estimator, and the engine that fits it to a corpus, locally or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from topicnet.errors import CorpusError, InputError
from topicnet.models import MODELS, TopicModel
from topicnet.models.parameter_names import check_parameter_names
from topicnet.runtime.allocator import keep_freed_memory
from topicnet.runtime.interrupt import FitInterrupted
from topicnet.runtime.reporter import Reporter
from topicnet.text.corpus import Corpus
from topicnet.text.passages import in_passages
from topicnet.text.status import OK
from topicnet.text.token_counts import passage_lengths
from topicnet.text.tokens.tokenize import Tokenization, tokenize_locally
from topicnet.training.progress import Progress
from topicnet.workflows.bundle import check_reading_order
from topicnet.workflows.config import FitConfig
from topicnet.workflows.option_checks import check_embeddings
from topicnet.workflows.word_vectors import load_word_vectors


@dataclass(frozen=True)
class ModelPlan:
    """Model to fit: its name, seed and checked parameters.

    Attributes
    ----------
    name : str
        A name in `MODELS`.
    n_topics : int
        Number of topics, K.
    seed : int
        Seed of the fit.
    device : str
        "auto", "cpu", "cuda" or "cuda:N".
    parameters : dict
        The other parameters, under the names of the estimator; `embeddings` is "none", "train" or a file.
    passages : int, optional
        Split documents into passages of about this many counted words and fit these.
    """

    name: str
    n_topics: int
    seed: int
    device: str = "auto"
    parameters: dict[str, Any] = field(default_factory=dict)
    passages: int | None = None

    @property
    def embeddings(self) -> str:
        """Source of the word vectors: "none", "train" or a file."""
        return self.parameters.get("embeddings") or "none"

    def build(self) -> TopicModel:
        """Build the estimator; `learn` loads its word vectors, which depend on the corpus."""
        own = {name: value for name, value in self.parameters.items() if name != "embeddings"}
        return MODELS[self.name](n_topics=self.n_topics, random_state=self.seed, device=self.device, **own)

    def with_seed(self, number: int) -> ModelPlan:
        """Return the plan of one of several fits, numbered from 0."""
        return replace(self, seed=(self.seed + number) % 2**32)


def resolve_model(config: FitConfig) -> ModelPlan:
    """Resolve the model that a configuration names, and check its parameters.

    Raises
    ------
    InputError
        The model or a parameter is unknown or out of its range, or the file of word vectors is missing.
    """
    check_parameter_names(config.model, config.parameters)
    plan = ModelPlan(config.model, config.topics, config.seed, config.device, dict(config.parameters), config.passages)
    check_embeddings(plan.parameters)
    plan.build().check_parameters()
    return plan


def check_size(corpus: Corpus, n_topics: int, passages: int | None = None) -> None:
    """Raise InputError unless the corpus, or its passages of this many words, can be fitted with this many topics."""
    n_filled = int((corpus.status == OK).sum())
    if passages is not None and int((passage_lengths(corpus.lengths, passages)[2] > 0).sum()) < 2:
        raise CorpusError(
            f"{corpus.n_docs} document(s) give fewer than 2 passages of {passages} words, expected 2 or more: lower"
            " --passages, or give more text"
        )
    if passages is None and n_filled < 2:
        raise CorpusError(
            f"{n_filled} of {corpus.n_docs} documents contain a known word, expected 2 or more: give more documents,"
            " or split long ones with --passages"
        )
    if n_topics > corpus.vocab_size:
        left = "1 word is" if corpus.vocab_size == 1 else f"{corpus.vocab_size} words are"
        raise InputError(
            f"-k {n_topics} given, but only {left} left in the vocabulary: ask for fewer topics or lower --min-df"
        )


def learn(plan: ModelPlan, model: TopicModel, corpus: Corpus, checkpoints: Path | None, reporter: Reporter) -> bool:
    """Fit a model to the counts of a corpus, or of its passages; return True if the fit was interrupted."""
    if plan.embeddings != "none":
        vectors = load_word_vectors(plan.embeddings, plan.parameters.get("embedding_dim"), corpus, model)
        reporter.notice(f"word vectors: {vectors.report(corpus.vocabulary)}")
        model.set_params(embeddings=vectors.vectors, embedding_dim=vectors.vectors.shape[1])
    counts = corpus.counts
    if plan.passages is not None:
        check_reading_order(corpus, f"passages of {plan.passages} words")
        counts = in_passages(corpus, plan.passages).counts
    try:
        model.fit(counts, listener=reporter.listener, checkpoints=checkpoints)
    except FitInterrupted:
        return True
    return False


def learn_tuned(
    plan: ModelPlan, model: TopicModel, corpus: Corpus, checkpoints: Path | None, reporter: Reporter
) -> bool:
    """Fit like `learn`, with glibc's malloc tuned during the fit.

    Only for the command line and processes that it starts, because the tuning affects the whole process.
    """
    with keep_freed_memory(largest_array(model, corpus.vocab_size)) as release:

        def listener(progress: Progress) -> None:
            if not progress.within and (progress.stage == "train" or progress.done == progress.total):
                release()
            if reporter.listener is not None:
                reporter.listener(progress)

        return learn(plan, model, corpus, checkpoints, replace(reporter, listener=listener))


def largest_array(model: TopicModel, vocab_size: int) -> int:
    """Return the size in bytes of the largest array of a training step: the gradient of a parameter."""
    widths = (model.n_topics, model.hidden_dim, getattr(model, "embedding_dim", None) or 0)
    return 4 * vocab_size * max(widths)


Learn = Callable[[ModelPlan, TopicModel, Corpus, Path | None, Reporter], bool]  # the signature of `learn`


@dataclass(frozen=True)
class Engine:
    """Pair of functions that tokenise the texts of a fit and train its model: locally by default, or on a Ray cluster.

    Attributes
    ----------
    tokenization : callable
        Tokenises the documents.
    learn : callable
        Fits the model to the counts; see `learn`.
    workers : int, optional
        Number of processes that train together, if the engine starts them.
    """

    tokenization: Tokenization = tokenize_locally
    learn: Learn = learn
    workers: int | None = None


LOCAL_ENGINE = Engine()
