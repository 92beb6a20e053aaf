"""Fit topic models: a job resolved from a configuration -> corpus -> fit -> tables, scores and the run folder."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from topicnet.errors import InputError
from topicnet.evaluate.coherence import top_words
from topicnet.evaluate.stability import stability
from topicnet.models.cost_estimate import forecast
from topicnet.runtime.devices import describe_device
from topicnet.runtime.forking import check_can_use_polars
from topicnet.runtime.interrupt import deferred_interrupt
from topicnet.runtime.reporter import Reporter
from topicnet.runtime.threads import thread_count
from topicnet.storage import atomic
from topicnet.storage.run_folder import Destination
from topicnet.text.corpus import Corpus
from topicnet.text.passages import in_passages
from topicnet.text.readers.in_memory import are_word_lists
from topicnet.text.status import OK
from topicnet.text.tokens.cleaning import Cleaning
from topicnet.training.progress import Callback, Listener, with_callback
from topicnet.training.resumable import Unfinished, unfinished_fit
from topicnet.workflows.bundle import Bundle, check_reading_order
from topicnet.workflows.config import FitConfig, read_config
from topicnet.workflows.corpus import (
    CorpusRequest,
    Counting,
    InMemory,
    check_columns,
    check_memory,
    read_corpus,
    resolve_corpus,
)
from topicnet.workflows.engine import HERE, Engine, ModelPlan, check_size, resolve_model
from topicnet.workflows.preflight import run_name
from topicnet.workflows.record import met, metrics_of, record_of, topic_coherence
from topicnet.workflows.run import Run
from topicnet.workflows.scores import COHERENCE_WORDS, DIVERSITY_WORDS, STABILITY, topic_quality
from topicnet.workflows.text_options import kept_columns, reading_options, resolve_text


@dataclass(frozen=True)
class FitJob:
    """A fit, resolved from its configuration: nothing in it has to be looked up again.

    Attributes
    ----------
    corpus : CorpusRequest
    model : ModelPlan
    seeds : int
        How many seeds to fit, from that of the model on.
    keep_corpus : bool
        Save the counts in the run.
    record : dict
        The configuration, as run.json keeps it.
    """

    corpus: CorpusRequest
    model: ModelPlan
    seeds: int
    keep_corpus: bool
    record: dict[str, Any]

    def with_seed(self, number: int) -> FitJob:
        """The job of a single fit, of this number from 0."""
        model = self.model.with_seed(number)
        return replace(self, model=model, seeds=1, record=self.record | {"seed": model.seed})


def resolve_job(config: FitConfig) -> FitJob:
    """Resolve a configuration into the job it asks for; nothing is read or fitted yet.

    Raises
    ------
    InputError
        Something that the configuration names is not there, unknown or out of its range.
    """
    model = resolve_model(config)
    return FitJob(resolve_corpus(config), model, config.seeds, config.keep_corpus, config.model_dump())


def fit(
    texts: Any,
    model: str = "etm",
    n_topics: int = 20,
    *,
    ids: Sequence[str] | None = None,
    text_column: str | Sequence[str] = "text",
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
    missing: str | Sequence[str] | None = None,
    drop_duplicates: bool = False,
    min_tokens: int = 0,
    passages: int | None = None,
    random_state: int = 0,
    seeds: int = 1,
    device: str = "auto",
    keep_texts: bool = False,
    checkpoints: str | Path | None = None,
    callback: Callback | None = None,
    listener: Listener | None = None,
    **parameters: Any,
) -> Run:
    """Fit a topic model to raw texts.

    Parameters
    ----------
    texts : iterable of str or lists of str, table or Corpus
        One document each; None is an empty document. Lists of words are taken as they are, in lower case (the
        tokenizer "spaces", unless another is named). Or a pandas or polars table, or a Hugging Face dataset, with the
        texts in `text_column`; or a corpus that is counted already, for which the options of text are left out.
    model : str
        A name in `MODELS`.
    n_topics : int
        K.
    ids : sequence of str, optional
        By default "1", "2", ...; of a table, `id_column`.
    text_column : str or sequence of str
        Column of a table that holds the texts, or columns whose texts are joined by newlines.
    keep_columns : sequence of str
        Columns of a table that stand in `doc_topic.csv` too.
    lang, tokenizer, lemmatize, phrases, stop_words, add_stop_words, vocabulary, cleaning
        See `TextOptions`; `lang="auto"` detects the language.
    min_df, max_df, max_vocab
        See `Pruning`.
    missing, drop_duplicates, min_tokens
        See `TextOptions`.
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
    callback : callable, optional
        Called with an `EpochReport` after every epoch of training, of each seed in turn. It does not change the result
        and is not saved. An exception that it raises ends the fit and is passed on.
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
    check_can_use_polars()
    reporter = Reporter(listener=with_callback(listener, callback))
    if tokenizer is None and are_word_lists(texts, text_column):
        tokenizer = "spaces"
    if isinstance(keep_columns, str):
        raise InputError(f"keep_columns={keep_columns!r} given, expected a list of names: put it in brackets")
    given = {
        "model": model, "topics": n_topics, "seed": random_state, "seeds": seeds, "device": device, "lang": lang,
        "tokenizer": tokenizer, "lemmatize": lemmatize, "phrases": phrases, "passages": passages,
        "keep_columns": list(keep_columns), "text_column": _listed(text_column), "id_column": id_column,
        "min_df": min_df, "max_df": max_df, "max_vocab": max_vocab, "keep_texts": keep_texts, "parameters": parameters,
        "min_tokens": min_tokens, "drop_duplicates": drop_duplicates, "missing": _listed(missing),
    }  # fmt: skip
    config = read_config(None, _without_numpy(given))
    text = replace(
        resolve_text(config),
        stop_words=_checked_words("stop_words", stop_words),
        add_stop_words=_checked_words("add_stop_words", add_stop_words),
        vocabulary=_checked_words("vocabulary", vocabulary),
        cleaning=cleaning or Cleaning(),
    )
    request = CorpusRequest(InMemory(texts, ids, reading_options(config)), text, kept_columns(config), keep_texts)
    job = FitJob(request, resolve_model(config), config.seeds, config.keep_corpus, config.model_dump())
    corpus = texts if isinstance(texts, Corpus) else read_corpus(request, reporter)
    check_columns(request.columns, corpus.metadata.columns, "the table has")
    check_size(corpus, n_topics, passages)
    return fit_job(job, corpus, None if checkpoints is None else Path(checkpoints), reporter)


def _without_numpy(given: dict[str, Any]) -> dict[str, Any]:
    """Turn numpy's scalars into Python's."""
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in given.items()}


def _listed(names: str | Sequence[str] | None) -> str | list[str] | None:
    """Give one name or several as a configuration has them."""
    return names if isinstance(names, str | None) else list(names)


def _checked_words(name: str, words: Iterable[str] | None) -> tuple[str, ...] | None:
    """Raise InputError if a list of words is one string, or holds something else than strings."""
    if words is None:
        return None
    if isinstance(words, str):
        raise InputError(f"{name}={words!r} given, expected a list of words: put it in brackets")
    listed = tuple(words)
    if (odd := next((word for word in listed if not isinstance(word, str)), None)) is not None:
        raise InputError(f"{name} holds {odd!r}, expected words")
    return listed


def fit_to_folder(job: FitJob, destination: Destination, reporter: Reporter, engine: Engine = HERE) -> tuple[Run, Path]:
    """Read, count, fit and write; the place to write is tried before any work is done.

    Returns
    -------
    Run, Path
        The run, and the folder it was written to.
    """
    job = replace(job, record=job.record | {"workers": engine.workers})
    target = destination.folder(run_name(job.corpus.source.name, job.model.name, job.model.n_topics))
    overwrite, resume = destination.overwrite, destination.resume
    with unfinished_fit(target, job.record, overwrite=overwrite, resume=resume) as unfinished:
        with atomic.atomic_folder(target, overwrite=overwrite or resume, within=unfinished.folder) as folder:
            run = _fit_within(job, unfinished, folder, reporter, engine)
        if not run.interrupted:
            unfinished.clear()
    return run, target


def _fit_within(job: FitJob, unfinished: Unfinished, folder: Path, reporter: Reporter, engine: Engine) -> Run:
    """Fit and write into a staged folder."""
    target = unfinished.target
    with _place_for_counts(folder, job.keep_corpus) as place:
        with atomic.disk_errors(target):
            corpus = read_corpus(job.corpus, reporter, Counting(place, tokenization=engine.tokenization))
        check_size(corpus, job.model.n_topics, job.model.passages)
        unfinished.check_met(met(corpus))
        if job.model.passages is not None:
            check_reading_order(corpus, f"passages of {job.model.passages} words")
        reporter.notice(corpus.summary())
        reporter.notice(f"{describe_device(job.model.device)}, {thread_count()} CPU thread(s)")
        _check_memory(job, corpus, reporter)
        # From here on Ctrl-C ends the training, not the run: what was learned is written.
        with deferred_interrupt():
            run = fit_job(job, corpus, unfinished.checkpoints, reporter, engine)
            run.write(folder, target)
    return run


@contextmanager
def _place_for_counts(folder: Path, keep: bool) -> Iterator[Path]:
    """Make a folder for the counts: in the run, or, if it is not to keep them, beside it for now."""
    if keep:
        place = folder / "corpus"
        place.mkdir()
        yield place
    else:
        with TemporaryDirectory(prefix=f"{folder.name}.counts.", dir=folder.parent) as beside:
            yield Path(beside)


def _check_memory(job: FitJob, corpus: Corpus, reporter: Reporter) -> None:
    """Report what the fit will take, and refuse what exceeds the free memory by half."""
    passages = job.model.passages
    counts = corpus.counts if passages is None else in_passages(corpus, passages).counts
    expected = forecast(job.model.build(), counts)
    reporter.notice(replace(expected, seconds=job.seeds * expected.seconds).line())
    advice = "lower --max-vocab, --param hidden_dim or -k, or use a larger machine"
    check_memory("this fit", expected.memory_bytes, advice)


def fit_job(job: FitJob, corpus: Corpus, checkpoints: Path | None, reporter: Reporter, engine: Engine = HERE) -> Run:
    """Fit the job's model to a corpus, with one seed or several."""
    fit_all = fit_seeds if job.seeds > 1 else fit_corpus
    return fit_all(job, corpus, checkpoints, reporter, engine)


def fit_corpus(job: FitJob, corpus: Corpus, checkpoints: Path | None, reporter: Reporter, engine: Engine = HERE) -> Run:
    """Fit the job's model with one seed; an interrupted fit gives the run with the best it had.

    If checkpoints of the same fit are there, it continues from them.
    """
    model = job.model.build()
    interrupted = engine.learn(job.model, model, corpus, checkpoints, reporter)
    passages = {} if job.model.passages is None else {"passages": job.model.passages}
    bundle = Bundle(job.model.name, model, corpus.vocabulary, corpus.source["options"] | passages)
    theta = bundle.theta(corpus)
    words = top_words(model.components_, max(COHERENCE_WORDS, DIVERSITY_WORDS))
    coherence = topic_coherence(words[:, :COHERENCE_WORDS], corpus, job.model.passages)
    status = "interrupted" if interrupted else "complete"
    return Run(
        bundle=bundle,
        theta=theta,
        ids=corpus.ids,
        status=corpus.status.tolist(),
        sizes=theta.mean(0, where=(corpus.status == OK)[:, None], dtype=np.float64),
        coherence=coherence,
        metrics=metrics_of(model, coherence, words[:, :DIVERSITY_WORDS]),
        record=record_of(job.record, corpus, model, status, time.perf_counter() - reporter.began),
        corpus=corpus,
        keep_corpus=job.keep_corpus,
        extra=bundle.extra_documents(corpus),
        kept=corpus.metadata.select(job.corpus.columns),
    )


def fit_seeds(job: FitJob, corpus: Corpus, checkpoints: Path | None, reporter: Reporter, engine: Engine = HERE) -> Run:
    """Fit with `job.seeds` seeds, keep the best run and measure how stable its topics are.

    The best is the first among those fit for use by `topic_quality`; where none is, among all. After Ctrl-C the runs
    that were finished count, and the run kept is marked interrupted. Each seed has its own folder of checkpoints; one
    that was finished repeats its last steps, to the same bits.
    """
    best: tuple[tuple[bool, float], int, Run] | None = None
    finished: list[dict[str, Any]] = []
    topics: list[NDArray[np.float32]] = []
    for number in range(job.seeds):
        one = job.with_seed(number)
        seed = one.model.seed
        reporter.notice(f"seed {seed}, {number + 1} of {job.seeds}")
        run = fit_corpus(one, corpus, None if checkpoints is None else checkpoints / f"seed-{seed}", reporter, engine)
        if run.interrupted and finished:
            break
        quality = topic_quality(run.metrics["npmi"]["value"], run.metrics["topic_diversity"]["value"])
        rank = (run.health.fit_for_use, quality)
        if best is None or rank > best[0]:
            best = rank, number, run
        finished.append({"seed": seed, "quality": quality, "fit_for_use": run.health.fit_for_use})
        topics.append(run.model.components_)
        if run.interrupted:
            break
    assert best is not None
    _, kept, run = best
    whole = len(finished) == job.seeds and not run.interrupted
    record = run.record | {"config": job.record, "status": "complete" if whole else "interrupted"}
    record |= {"seeds": finished, "seconds": time.perf_counter() - reporter.began}
    if len(finished) < 2 or job.model.n_topics == 1:
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
