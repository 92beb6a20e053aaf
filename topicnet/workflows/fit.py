"""Fits of topic models, from a configuration or from texts in memory to a `Run` and its folder."""

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
from topicnet.workflows.arguments import as_list, check_arguments, python_names, words_in
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
from topicnet.workflows.engine import LOCAL_ENGINE, Engine, ModelPlan, check_size, resolve_model
from topicnet.workflows.preflight import run_name
from topicnet.workflows.record import extra_metrics, input_checksums, metrics_of, record_of, topic_coherence
from topicnet.workflows.run import Run
from topicnet.workflows.scores import COHERENCE_WORDS, DIVERSITY_WORDS, STABILITY, topic_quality
from topicnet.workflows.text_options import kept_columns, reading_options, resolve_text


@dataclass(frozen=True)
class FitJob:
    """Fit with everything resolved from its configuration.

    Attributes
    ----------
    corpus : CorpusRequest
        The corpus to read or count.
    model : ModelPlan
        The model to fit.
    seeds : int
        Number of fits, with consecutive seeds from that of `model`.
    keep_corpus : bool
        Save the counts in the run folder.
    record : dict
        The configuration as it is written to run.json.
    """

    corpus: CorpusRequest
    model: ModelPlan
    seeds: int
    keep_corpus: bool
    record: dict[str, Any]

    def with_seed(self, number: int) -> FitJob:
        """Return the job of one of the fits, numbered from 0."""
        model = self.model.with_seed(number)
        return replace(self, model=model, seeds=1, record=self.record | {"seed": model.seed})


def resolve_job(config: FitConfig) -> FitJob:
    """Resolve a configuration into a job, without reading the corpus.

    Raises
    ------
    InputError
        Something that the configuration names is missing, unknown or out of its range.
    """
    model = resolve_model(config)
    return FitJob(resolve_corpus(config), model, config.seeds, config.keep_corpus, config.model_dump())


@python_names()
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
    texts : iterable of str or list of str, table, or Corpus
        The documents, D of them; None is an empty document. A document that is a list of words is counted word by
        word in lower case (tokenizer "spaces", unless another is named). Also a pandas or polars table or column, or a
        Hugging Face dataset, with the texts in `text_column`; or a counted `Corpus`, for which the options of text
        have no effect.
    model : str, default="etm"
        Name of the model in `MODELS`: "etm", "nvdm-gsm", "w-lda" or "gmntm".
    n_topics : int, default=20
        Number of topics, K.
    ids : sequence of str, optional
        Ids of the D documents; by default "1", "2", .... For a table use `id_column`.
    text_column : str or sequence of str, default="text"
        Column of a table that holds the texts, or several columns whose texts are joined by newlines.
    id_column : str, optional
        Column of a table that holds the document ids; by default "id", if there is one.
    keep_columns : sequence of str, default=()
        Columns of a table to copy to doc_topic.csv.
    lang : str, default="en"
        Two-letter language code, "auto" to detect the language, or "none" for no stop words.
    tokenizer : str, optional
        "letters", "spacy", "spaces", "jieba", "sudachi" or "kiwi"; by default chosen by language.
    lemmatize : bool, default=False
        Count words in their dictionary form.
    phrases : bool, default=False
        Find phrases such as prime_minister and count each as a word.
    stop_words : iterable of str, optional
        Stop words that replace those of the language.
    add_stop_words : iterable of str, default=()
        Stop words that are added to those of the language.
    vocabulary : iterable of str, optional
        The words to count; by default all words that pass `min_df`, `max_df` and `max_vocab`.
    min_df : int or float, optional
        Minimum document frequency of a word: a number of documents (int) or a fraction of them (float). By default it
        grows with the corpus: 2 at a few hundred documents, 5 at 10,000. See `Pruning`.
    max_df : int or float, optional
        Maximum document frequency of a word, in the same units; by default 0.5.
    max_vocab : int, default=20000
        Maximum size of the vocabulary, V; the words of the highest document frequency are kept.
    cleaning : Cleaning, optional
        What to remove from the texts first: URLs, e-mail addresses, HTML; and whether to keep numbers.
    missing : str or sequence of str, optional
        Markers of a missing value in addition to NA, NaN, NULL, -, ...; a text that is only a marker is empty. "none"
        reads all markers as text.
    drop_duplicates : bool, default=False
        Count only the first of the documents that have the same text.
    min_tokens : int, default=0
        Leave out documents with fewer counted words than this.
    passages : int, optional
        Split documents into passages of about this many counted words and fit these; theta of a document is the mean
        over its passages.
    random_state : int, default=0
        Seed; the same seed gives the same result.
    seeds : int, default=1
        Number of fits, with the seeds `random_state`, `random_state` + 1, .... The best one is returned, with the
        agreement of its topics with the others in `Run.stability` and `Run.fragile`.
    device : str, default="auto"
        Device to fit on: "auto", "cpu", "cuda" or "cuda:N".
    keep_texts : bool, default=False
        Keep the texts in `Run.corpus`.
    checkpoints : str or Path, optional
        Folder to save checkpoints of the fit to, and to resume an interrupted fit from; see `TopicModel.fit`.
    callback : callable, optional
        Called with an `EpochReport` after every epoch of training, of each seed in turn. It does not change the result
        and is not saved. An exception that it raises ends the fit and is passed on.
    listener : callable, optional
        Called with a `Progress` after every pass and epoch.
    **parameters
        Parameters of the model, such as ``max_epochs=10`` or ``hidden_dim=200``; see the class of the model.

    Returns
    -------
    Run
        The fitted model with theta of the documents, (D, K).

    Raises
    ------
    InputError
        The texts, an option or a parameter cannot be used; the message names the expected values.

    See Also
    --------
    load : Load a run that was saved.

    Examples
    --------
    >>> import topicnet
    >>> pets = ["my cat sleeps", "a dog barks", "the cat and the dog play"]
    >>> food = ["bake fresh bread", "butter on warm bread", "fresh butter"]
    >>> run = topicnet.fit((pets + food) * 2, n_topics=2, min_df=1, max_epochs=1)
    >>> run
    Run('etm': 2 topics, 12 documents, 10 words, complete)
    >>> run.theta.shape
    (12, 2)
    """
    check_can_use_polars()
    check_arguments(keep_columns, cleaning, callback=callback, listener=listener)
    reporter = Reporter(listener=with_callback(listener, callback))
    if tokenizer is None and are_word_lists(texts, text_column):
        tokenizer = "spaces"
    given = {
        "model": model, "topics": n_topics, "seed": random_state, "seeds": seeds, "device": device, "lang": lang,
        "tokenizer": tokenizer, "lemmatize": lemmatize, "phrases": phrases, "passages": passages,
        "keep_columns": list(keep_columns), "text_column": as_list("text_column", text_column), "id_column": id_column,
        "min_df": min_df, "max_df": max_df, "max_vocab": max_vocab, "keep_texts": keep_texts, "parameters": parameters,
        "min_tokens": min_tokens, "drop_duplicates": drop_duplicates, "missing": as_list("missing", missing),
    }  # fmt: skip
    config = read_config(None, _without_numpy(given))
    text = replace(
        resolve_text(config),
        stop_words=words_in("stop_words", stop_words),
        add_stop_words=words_in("add_stop_words", add_stop_words),
        vocabulary=words_in("vocabulary", vocabulary),
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


def fit_to_folder(
    job: FitJob, destination: Destination, reporter: Reporter, engine: Engine = LOCAL_ENGINE
) -> tuple[Run, Path]:
    """Read and count the corpus of a job, fit its model and write the run folder.

    Whether the folder can be written is checked before any work is done.

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
    """Count, fit and write the run into a staged folder."""
    target = unfinished.target
    with _place_for_counts(folder, job.keep_corpus) as place:
        with atomic.disk_errors(target):
            corpus = read_corpus(job.corpus, reporter, Counting(place, tokenization=engine.tokenization))
        check_size(corpus, job.model.n_topics, job.model.passages)
        unfinished.check_inputs(input_checksums(corpus))
        if job.model.passages is not None:
            check_reading_order(corpus, f"passages of {job.model.passages} words")
        reporter.notice(corpus.summary())
        threads = "1 CPU thread" if thread_count() == 1 else f"{thread_count()} CPU threads"
        reporter.notice(f"{describe_device(job.model.device)}, {threads}")
        _check_memory(job, corpus, reporter)
        # From here on Ctrl-C ends the training only: the best weights so far are still written.
        with deferred_interrupt():
            run = fit_job(job, corpus, unfinished.checkpoints, reporter, engine)
            run.write(folder, target)
    return run


@contextmanager
def _place_for_counts(folder: Path, keep: bool) -> Iterator[Path]:
    """Yield a folder for the counts: in the run folder, or a temporary one next to it if they are not kept."""
    if keep:
        place = folder / "corpus"
        place.mkdir()
        yield place
    else:
        with TemporaryDirectory(prefix=f"{folder.name}.counts.", dir=folder.parent) as temporary:
            yield Path(temporary)


def _check_memory(job: FitJob, corpus: Corpus, reporter: Reporter) -> None:
    """Report the estimated time and memory of the fit, and refuse it above 1.5 times the free memory."""
    passages = job.model.passages
    counts = corpus.counts if passages is None else in_passages(corpus, passages).counts
    expected = forecast(job.model.build(), counts)
    reporter.notice(replace(expected, seconds=job.seeds * expected.seconds).line())
    advice = "lower --max-vocab, --param hidden_dim or -k, or use a larger machine"
    check_memory("this fit", expected.memory_bytes, advice)


def fit_job(
    job: FitJob, corpus: Corpus, checkpoints: Path | None, reporter: Reporter, engine: Engine = LOCAL_ENGINE
) -> Run:
    """Fit the model of a job to a corpus, with one seed or several."""
    fit_all = fit_seeds if job.seeds > 1 else fit_corpus
    return fit_all(job, corpus, checkpoints, reporter, engine)


def fit_corpus(
    job: FitJob, corpus: Corpus, checkpoints: Path | None, reporter: Reporter, engine: Engine = LOCAL_ENGINE
) -> Run:
    """Fit the model of a job with one seed; after an interrupt, return the run with the best weights so far.

    If the folder holds checkpoints of the same fit, it continues from them.
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
        metrics=metrics_of(model, coherence, words[:, :DIVERSITY_WORDS])
        | extra_metrics(model, corpus, job.model.passages),
        record=record_of(job.record, corpus, model, status, time.perf_counter() - reporter.began),
        corpus=corpus,
        keep_corpus=job.keep_corpus,
        extra=bundle.extra_documents(corpus),
        kept=corpus.metadata.select(job.corpus.columns),
    )


def fit_seeds(
    job: FitJob, corpus: Corpus, checkpoints: Path | None, reporter: Reporter, engine: Engine = LOCAL_ENGINE
) -> Run:
    """Fit with `job.seeds` seeds, keep the best run and measure the stability of its topics.

    The best run has the highest `topic_quality` among those fit for use, or among all if none is. After Ctrl-C the
    best of the finished runs is kept and marked as interrupted. Each seed has its own folder of checkpoints; on resume,
    a seed that was finished repeats its last steps and gives bitwise the same result.
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
