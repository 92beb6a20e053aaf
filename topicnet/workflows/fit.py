"""One run end to end: configuration -> corpus -> fit -> tables, scores and the run folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from topicnet.errors import InputError
from topicnet.evaluate.coherence import top_words
from topicnet.evaluate.stability import stability
from topicnet.models import TopicModel
from topicnet.runtime.interrupt import deferred_interrupt
from topicnet.storage import atomic
from topicnet.text.corpus import OK, Corpus
from topicnet.text.tokens.cleaning import Cleaning
from topicnet.text.tokens.options import TextOptions
from topicnet.text.vocabulary import Pruning
from topicnet.training.progress import Listener
from topicnet.training.resumable import Unfinished, unfinished_fit
from topicnet.workflows.bundle import Bundle, check_reading_order
from topicnet.workflows.config import FitConfig, read_config
from topicnet.workflows.corpus import check_columns, corpus_in_memory, corpus_name, kept_columns, read_corpus, silent
from topicnet.workflows.engine import HERE, Engine, build_model, check_size, of_seed
from topicnet.workflows.memory_check import check_memory
from topicnet.workflows.record import met, metrics_of, record_of, topic_coherence
from topicnet.workflows.run import Run
from topicnet.workflows.scores import COHERENCE_WORDS, DIVERSITY_WORDS, STABILITY, topic_quality
from topicnet.workflows.text_options import with_vocabulary


def fit(
    texts: Any,
    model: str = "etm",
    n_topics: int = 20,
    *,
    ids: Sequence[str] | None = None,
    text_column: str = "text",
    id_column: str | None = None,
    keep_columns: Sequence[str] = (),
    lang: str = "en",
    tokenizer: str | None = None,
    lemmatize: bool = False,
    phrases: bool = False,
    stop_words: Iterable[str] | None = None,
    add_stop_words: Iterable[str] = (),
    vocabulary: Iterable[str] | None = None,
    min_df: int | float | None = None,
    max_df: int | float | None = None,
    max_vocab: int = 20_000,
    cleaning: Cleaning | None = None,
    passages: int | None = None,
    random_state: int = 0,
    seeds: int = 1,
    device: str = "auto",
    keep_texts: bool = False,
    checkpoints: str | Path | None = None,
    listener: Listener | None = None,
    **parameters: Any,
) -> Run:
    """Fit a topic model to raw texts.

    Parameters
    ----------
    texts : iterable of str, table or Corpus
        One document each; None is an empty document. Or a pandas or polars table, or a Hugging Face dataset, with the
        texts in `text_column`; or a corpus that is counted already, for which the options of text are left out.
    model : str
        A name in `MODELS`.
    n_topics : int
        K.
    ids : sequence of str, optional
        By default "1", "2", ...; of a table, `id_column`.
    keep_columns : sequence of str
        Columns of a table that stand in `doc_topic.csv` too.
    lang, tokenizer, lemmatize, phrases, stop_words, add_stop_words, vocabulary, cleaning
        See `TextOptions`; `lang="auto"` detects the language.
    min_df, max_df, max_vocab
        See `Pruning`.
    passages : int, optional
        Cut documents into passages of about so many counted words, and learn from these; theta of a document is the
        mean over its passages.
    random_state : int
        Seed.
    seeds : int
        Fit with so many seeds from `random_state` on, keep the best, and say how stable its topics are
        (`Run.stability`, `Run.fragile`).
    checkpoints : str or Path, optional
        A folder to save the fit to as it goes, and to go on from: see `TopicModel.fit`.
    listener : callable, optional
        Called with a `Progress` after every pass and epoch.
    **parameters
        Further parameters of the model.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        Texts, options or parameters that cannot be used.
    """
    began = time.perf_counter()
    stop_words, vocabulary = (None if given is None else _listed(given) for given in (stop_words, vocabulary))
    add_stop_words = _listed(add_stop_words)
    for name, words in (("stop_words", stop_words), ("add_stop_words", add_stop_words), ("vocabulary", vocabulary)):
        if isinstance(words, str):
            raise InputError(f"{name}={words!r} given, expected a list of words: put it in brackets")
        if words is not None and (odd := next((word for word in words if not isinstance(word, str)), None)) is not None:
            raise InputError(f"{name} holds {odd!r}, expected words")
    if isinstance(keep_columns, str):
        raise InputError(f"keep_columns={keep_columns!r} given, expected a list of names: put it in brackets")
    given = {
        "model": model, "topics": n_topics, "seed": random_state, "seeds": seeds, "device": device, "lang": lang,
        "tokenizer": tokenizer, "lemmatize": lemmatize, "phrases": phrases, "passages": passages,
        "keep_columns": list(keep_columns), "text_column": text_column, "id_column": id_column,
        "min_df": min_df, "max_df": max_df, "max_vocab": max_vocab, "keep_texts": keep_texts, "parameters": parameters,
    }  # fmt: skip
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in given.items()}
    config = read_config(None, plain)
    estimator = build_model(config)
    if isinstance(texts, Corpus):
        corpus = texts
    else:

        def options_for(lang: str) -> TextOptions:
            options = TextOptions(
                lang,
                None if stop_words is None else tuple(stop_words),
                Pruning(min_df, max_df, max_vocab),
                tuple(add_stop_words),
                tokenizer,
                lemmatize,
                cleaning or Cleaning(),
                phrases,
            )
            return options if vocabulary is None else with_vocabulary(options, vocabulary)

        corpus = corpus_in_memory(texts, config, options_for, ids)
    check_columns(config, corpus.metadata.columns, "the table has")
    check_size(corpus, n_topics)
    place = None if checkpoints is None else Path(checkpoints)
    if config.seeds > 1:
        return fit_seeds(corpus, config, listener, began, place)
    return fit_corpus(corpus, config, estimator, listener, began, place)


def _listed(words: Iterable[str]) -> Iterable[str]:
    """Words that can be gone through more than once."""
    return words if isinstance(words, str) else list(words)


def fit_to_folder(
    config: FitConfig,
    out: Path | None,
    *,
    overwrite: bool,
    resume: bool,
    on_corpus: Callable[[Corpus], None],
    on_notice: Callable[[str], None],
    listener: Listener | None,
    began: float,
    engine: Engine = HERE,
) -> tuple[Run, Path]:
    """Read, count, fit and write; the place to write is tried before any work is done.

    Returns
    -------
    Run, Path
        The run, and the folder it was written to.
    """
    model = build_model(config)
    target = out if out is not None else Path("runs") / f"{corpus_name(config)}-{config.model}"
    with unfinished_fit(target, config.model_dump(), overwrite=overwrite, resume=resume) as unfinished:
        run = _fit_within(unfinished, config, model, overwrite or resume, on_corpus, on_notice, listener, began, engine)
        if not run.interrupted:
            unfinished.clear()
    return run, target


def _fit_within(
    unfinished: Unfinished,
    config: FitConfig,
    model: TopicModel,
    overwrite: bool,
    on_corpus: Callable[[Corpus], None],
    on_notice: Callable[[str], None],
    listener: Listener | None,
    began: float,
    engine: Engine,
) -> Run:
    target = unfinished.target
    with (
        atomic.atomic_folder(target, overwrite=overwrite, within=unfinished.folder) as folder,
        _place_for_counts(folder, config) as place,
    ):
        with atomic.disk_errors(target):
            corpus = read_corpus(config, place, on_notice, tokenization=engine.tokenization)
        check_size(corpus, config.topics)
        unfinished.check_met(met(corpus))
        if config.passages is not None:
            check_reading_order(corpus, f"passages of {config.passages} words")
        on_corpus(corpus)
        check_memory(model, corpus, config, on_notice)
        # From here on Ctrl-C ends the training, not the run: what was learned is written.
        with deferred_interrupt():
            if config.seeds > 1:
                run = fit_seeds(corpus, config, listener, began, unfinished.checkpoints, on_notice, engine)
            else:
                run = fit_corpus(corpus, config, model, listener, began, unfinished.checkpoints, on_notice, engine)
            run.write(folder, target)
    return run


@contextmanager
def _place_for_counts(folder: Path, config: FitConfig) -> Iterator[Path]:
    """Where the counts are written as they are made: into the run, or, if it shall not keep them, beside it for now."""
    if config.keep_corpus:
        place = folder / "corpus"
        place.mkdir()
        yield place
    else:
        with TemporaryDirectory(prefix=f"{folder.name}.counts.", dir=folder.parent) as beside:
            yield Path(beside)


def fit_corpus(
    corpus: Corpus,
    config: FitConfig,
    model: TopicModel,
    listener: Listener | None,
    began: float,
    checkpoints: Path | None = None,
    on_notice: Callable[[str], None] = silent,
    engine: Engine = HERE,
) -> Run:
    """Fit the configured model to counts; an interrupted fit gives the run with the best it had.

    A fit whose checkpoints are there goes on from them.
    """
    interrupted = engine.learn(corpus, config, model, listener, checkpoints, on_notice)
    text = corpus.source["options"] | ({} if config.passages is None else {"passages": config.passages})
    bundle = Bundle(config.model, model, corpus.vocabulary, text)
    theta = bundle.theta(corpus)
    words = top_words(model.components_, max(COHERENCE_WORDS, DIVERSITY_WORDS))
    coherence = topic_coherence(words[:, :COHERENCE_WORDS], corpus)
    filled = corpus.status == OK
    return Run(
        bundle=bundle,
        theta=theta,
        ids=corpus.ids,
        status=corpus.status.tolist(),
        sizes=theta.mean(0, where=filled[:, None], dtype=np.float64),
        coherence=coherence,
        metrics=metrics_of(model, coherence, words[:, :DIVERSITY_WORDS]),
        record=record_of(config, corpus, model, "interrupted" if interrupted else "complete", began),
        corpus=corpus,
        keep_corpus=config.keep_corpus,
        extra=bundle.extra_documents(corpus),
        kept=corpus.metadata.select(kept_columns(config)),
    )


def fit_seeds(
    corpus: Corpus,
    config: FitConfig,
    listener: Listener | None,
    began: float,
    checkpoints: Path | None = None,
    on_notice: Callable[[str], None] = silent,
    engine: Engine = HERE,
) -> Run:
    """Fit with `config.seeds` seeds from `config.seed` on and keep the best run, with how stable its topics are.

    The best is the first among those fit for use by `topic_quality`; where none is, among all. After Ctrl-C the runs
    that were finished count, and the run kept is marked interrupted. The checkpoints of each seed lie in a folder of
    its own: one that was finished goes through its last steps again, to the same bits.
    """
    best: tuple[tuple[bool, float], int, Run] | None = None
    finished: list[dict[str, Any]] = []
    topics: list[NDArray[np.float32]] = []
    for number in range(config.seeds):
        one = of_seed(config, number)
        on_notice(f"seed {one.seed}, {number + 1} of {config.seeds}")
        place = None if checkpoints is None else checkpoints / f"seed-{one.seed}"
        run = fit_corpus(corpus, one, build_model(one), listener, began, place, on_notice, engine)
        if run.interrupted and finished:
            break
        quality = topic_quality(run.metrics["npmi"]["value"], run.metrics["topic_diversity"]["value"])
        rank = (run.health.fit_for_use, quality)
        if best is None or rank > best[0]:
            best = rank, number, run
        finished.append({"seed": one.seed, "quality": quality, "fit_for_use": run.health.fit_for_use})
        topics.append(run.model.components_)
        if run.interrupted:
            break
    assert best is not None
    _, kept, run = best
    whole = len(finished) == config.seeds and not run.interrupted
    record = run.record | {"config": config.model_dump(), "status": "complete" if whole else "interrupted"}
    record |= {"seeds": finished, "seconds": time.perf_counter() - began}
    if len(finished) < 2 or config.topics == 1:
        return replace(run, record=record)
    agreement = stability(topics)
    metrics = run.metrics | {
        "stability": {
            "value": float(agreement.runs[kept]),
            "of_the_model": agreement.value,
            "seeds": [one["seed"] for one in finished],
            "kept": finished[kept]["seed"],
            "convention": STABILITY,
        }
    }
    return replace(run, record=record, metrics=metrics, stability=agreement.topics[kept])
