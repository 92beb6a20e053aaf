"""The `Run` class: a fitted model with its corpus, topics and scores, and its run folder on disk."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from topicnet.errors import BundleError, InputError
from topicnet.evaluate.coherence import top_words
from topicnet.runtime.forking import check_can_use_polars
from topicnet.runtime.html_tables import html_table
from topicnet.storage import atomic, formats
from topicnet.storage.run_folder import check_unchanged, damaged, read_json, read_record, write_history, write_record
from topicnet.text.corpus import Corpus
from topicnet.text.readers.in_memory import documents_of_frame, documents_of_texts, is_table
from topicnet.text.readers.missing import MissingValues
from topicnet.text.status import OK, status_in_words
from topicnet.workflows.arguments import python_names
from topicnet.workflows.bundle import Bundle, load_bundle, save_bundle
from topicnet.workflows.config import FitConfig
from topicnet.workflows.corpus import corpus_of_run
from topicnet.workflows.frames import frame_like
from topicnet.workflows.tables import doc_topic_table, passage_table, read_doc_topic, read_kept, topic_word_table
from topicnet.workflows.text_options import kept_columns
from topicnet.workflows.topics import ENTRIES, TABLE_WORDS, TopicTable

if TYPE_CHECKING:
    from topicnet.models import HealthReport, TopicModel
    from topicnet.models.base import ExtraTables

TOPIC_WORDS = 10  # words of each topic in topics.json
# Stability below which a topic is fragile. On 20 Newsgroups and Lee, topics below it share fewer than five of their top
# ten words with their counterparts, topics above it more; chance gives 0.25.
FRAGILE = 0.4
TYPICAL_DOCS = 3
# Word count at which a document's weight is halved: the theta of very short documents is uncertain.
TYPICAL_WORDS = 10


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """Fitted model with the corpus it was fitted to.

    `topicnet.fit` and `topicnet.load` return it; it is not built directly.

    Parameters
    ----------
    bundle : Bundle
        The model, its vocabulary and its text pipeline.
    theta : ndarray of shape (n_docs, n_topics), float32
        Topic proportions of the documents of the fit, in input order; rows sum to 1.
    ids : list of str
        Document ids, (n_docs,).
    status : list of str
        Status of each document, (n_docs,): "ok", "empty", "oov", "short" or "duplicate"; see `Corpus`.
    sizes : ndarray of shape (n_topics,)
        Mean theta of each topic over the documents that contain known words; sums to 1.
    coherence : ndarray of shape (n_topics,)
        NPMI of each topic on the corpus of the fit, each in [-1, 1].
    metrics : dict
        Contents of metrics.json: scores with their conventions.
    record : dict
        Contents of run.json: configuration, data, environment, seconds and status.
    corpus : Corpus, optional
        The counts of the fit; None if the run was saved without them.
    keep_corpus : bool, default=True
        Save the counts with the run.
    extra : dict of str to ndarray of shape (n_docs, n)
        The model's extra tables of the documents, by unit: for GMNTM, "component" holds q(c|x).
    stability : ndarray of shape (n_topics,), optional
        Similarity of each topic to its counterparts in the fits with other seeds, at most 1; None for a single seed.
    kept : polars.DataFrame, optional
        Columns of the source that are copied to doc_topic.csv, with n_docs rows.

    See Also
    --------
    topicnet.fit : Fit a model and return its run.
    topicnet.load : Load a run that was saved.

    Examples
    --------
    >>> import topicnet
    >>> texts = ["my cat sleeps", "a dog and a cat", "fresh bread", "butter on bread"] * 3
    >>> run = topicnet.fit(texts, n_topics=2, min_df=1, init="random", max_epochs=1)
    >>> run
    Run('etm': 2 topics, 12 documents, 6 words, complete)
    >>> run.transform(["my dog sleeps"]).shape
    (1, 2)
    """

    bundle: Bundle
    theta: NDArray[np.float32]
    ids: list[str]
    status: list[str]
    sizes: NDArray[np.float64]
    coherence: NDArray[np.float64]
    metrics: dict[str, Any]
    record: dict[str, Any]
    corpus: Corpus | None = None
    keep_corpus: bool = True
    extra: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    stability: NDArray[np.float64] | None = None
    kept: pl.DataFrame | None = None

    def _repr_html_(self) -> str:
        words = self.top_words()
        rows = zip(range(len(words)), self.sizes.tolist(), self.coherence.tolist(), map(" ".join, words), strict=True)
        return html_table(repr(self), ("topic", "size", "npmi", "words"), rows, len(words))

    def __repr__(self) -> str:
        note = status_in_words(np.array(self.status, dtype=np.str_))
        topics, documents, words = self.model.n_topics, len(self.ids), len(self.vocabulary)
        about = f"{topics} topics, {documents:,} documents{note}, {words:,} words, {self.record['status']}"
        return f"Run({self.bundle.name!r}: {about})"

    @property
    def model(self) -> TopicModel:
        """Fitted estimator, a `TopicModel`.

        Examples
        --------
        >>> import topicnet
        >>> run = topicnet.fit(["cat", "bread butter"], n_topics=2, init="random", max_epochs=1)
        >>> run.model.components_.shape
        (2, 3)
        """
        return self.bundle.model

    @property
    def vocabulary(self) -> list[str]:
        """Words in the order of the columns of the counts, (V,).

        Examples
        --------
        >>> import topicnet
        >>> run = topicnet.fit(["cat", "bread butter"], n_topics=2, init="random", max_epochs=1)
        >>> run.vocabulary
        ['bread', 'butter', 'cat']
        """
        return self.bundle.vocabulary

    @property
    def health(self) -> HealthReport:
        """Report on signs of collapse; its `fit_for_use` is False if the model should not be used.

        Examples
        --------
        >>> import topicnet
        >>> run = topicnet.fit(["cat", "bread butter"], n_topics=1, init="random", max_epochs=1)
        >>> run.health.duplicates
        []
        """
        return self.model.health_

    @property
    def components(self) -> NDArray[np.float32] | None:
        """Mixture components q(c|x) of the documents, (n_docs, n_components); None if the model has none.

        Examples
        --------
        >>> import topicnet
        >>> run = topicnet.fit(["cat", "bread butter"], n_topics=2, init="random", max_epochs=1)
        >>> run.components is None
        True
        """
        return self.extra.get("component")

    @property
    def interrupted(self) -> bool:
        """True if the fit was interrupted, so that the weights are the best until then.

        Examples
        --------
        >>> import topicnet
        >>> run = topicnet.fit(["cat", "bread butter"], n_topics=2, init="random", max_epochs=1)
        >>> run.interrupted
        False
        """
        return bool(self.record["status"] == "interrupted")

    @property
    def fragile(self) -> list[int]:
        """Topics whose `stability` is below 0.4, by number; empty for a fit with a single seed.

        Examples
        --------
        >>> import topicnet
        >>> run = topicnet.fit(["cat", "bread butter"], n_topics=2, init="random", max_epochs=1)
        >>> run.fragile
        []
        """
        return [] if self.stability is None else np.flatnonzero(self.stability < FRAGILE).tolist()

    def top_words(self, n: int = 10) -> list[list[str]]:
        """Return the most probable words of each topic.

        Parameters
        ----------
        n : int, default=10
            Number of words; if the vocabulary is smaller, all of it.

        Returns
        -------
        list of list of str
            The words of each topic, (n_topics, n), in order of decreasing probability.

        Examples
        --------
        >>> import topicnet
        >>> run = topicnet.fit(["cat and dog", "bread", "bread"] * 4, n_topics=1, init="random", max_epochs=1)
        >>> run.top_words(1)
        [['bread']]
        """
        return self._words(self.model.components_, n)

    def _words(self, beta: NDArray[np.float32], n: int) -> list[list[str]]:
        return [[self.vocabulary[i] for i in row] for row in top_words(beta, n)]

    def topic_table(self, n: int = 10) -> TopicTable:
        """Return the topics as `topicnet topics` prints them.

        Parameters
        ----------
        n : int, default=10
            Number of words of each topic.

        Returns
        -------
        TopicTable
            Size, NPMI and the n most probable words of each topic, as plain lists.

        Examples
        --------
        >>> import topicnet
        >>> run = topicnet.fit(["cat and dog", "bread", "bread"] * 4, n_topics=1, init="random", max_epochs=1)
        >>> run.topic_table(1).words
        [['bread']]
        """
        further = {
            extra.unit: TopicTable(*self._scores_of(extra.unit, len(extra.words)), self._words(extra.words, n))
            for extra in self._scored_tables()
        }
        return TopicTable(self.sizes.tolist(), self.coherence.tolist(), self.top_words(n), further)

    def _scored_tables(self) -> list[ExtraTables]:
        """Return the model's extra tables; none if they were not computed, or by a version that did not score them."""
        return [extra for extra in self.model.extra_tables() if extra.unit in self.extra and extra.unit in self.metrics]

    def _scores_of(self, unit: str, n: int) -> tuple[list[float], list[float]]:
        """Return the mean of each of n components over documents with words, and its NPMI."""
        is_ok = (np.array(self.status) == OK)[:, None]
        sizes = self.extra[unit].mean(0, where=is_ok, dtype=np.float64).tolist()
        npmi = [math.nan if value is None else value for value in self.metrics[unit]["npmi"]["of_each"]]
        return sizes, npmi

    def topics(self, n: int = 10) -> Any:
        """Return a table of the topics.

        Parameters
        ----------
        n : int, default=10
            Number of words of each topic.

        Returns
        -------
        pandas.DataFrame, polars.DataFrame or pyarrow.Table
            One row per topic with the columns "size" (mean theta), "npmi" and "words" (the n most probable words,
            joined by spaces). In the library of the table or column of the fit, by default pandas; in polars and
            pyarrow with a column "topic", which is the index in pandas.

        Examples
        --------
        >>> import topicnet
        >>> run = topicnet.fit(["cat and dog", "bread", "bread"] * 4, n_topics=1, init="random", max_epochs=1)
        >>> list(run.topics(1).columns), run.topics(1)["words"][0]
        (['size', 'npmi', 'words'], 'bread')
        """
        check_can_use_polars("make a table")
        words = [" ".join(words) for words in self.top_words(n)]
        columns = {"topic": range(len(words)), "size": self.sizes, "npmi": self.coherence, "words": words}
        return frame_like(pl.DataFrame(columns), self._library, index_column="topic")

    def doc_topic(self) -> Any:
        """Return a table of the topic proportions of the documents of the fit.

        The table of a fit to a pandas table or column has the same index, so ``df["topic"] =
        run.doc_topic()["top_topic"]`` assigns the right rows. The index is not saved: the rows of a loaded run are
        numbered from 0.

        Returns
        -------
        pandas.DataFrame, polars.DataFrame or pyarrow.Table
            One row per input document, in input order, with the columns "doc_id", "status", "top_topic" (missing for a
            document without known words) and "topic_0", "topic_1", ... (theta). In the library of the table or
            column of the fit, by default pandas.

        Examples
        --------
        >>> import topicnet
        >>> run = topicnet.fit(["cat and dog", "bread"] * 4, n_topics=2, min_df=1, init="random", max_epochs=1)
        >>> list(run.doc_topic().columns)
        ['doc_id', 'status', 'top_topic', 'topic_0', 'topic_1']
        """
        check_can_use_polars("make a table")
        index = None if self._library != "pandas" or self.corpus is None else self.corpus.table
        return frame_like(doc_topic_table(self.ids, self.status, self.theta), self._library, index)

    @property
    def _library(self) -> str:
        """Name of the library of the returned tables: that of the table of the fit, by default pandas."""
        like = None if self.corpus is None else self.corpus.table
        return like if isinstance(like, str) else "pandas"

    @python_names()
    def transform(
        self, texts: Iterable[str | list[str] | None] | Any, refine: int = 0, workers: int = 1
    ) -> NDArray[np.float32]:
        """Infer the topic proportions of new texts.

        Parameters
        ----------
        texts : iterable of str or list of str, or DataFrame
            The documents, as text or as lists of words; None is an empty document. Of a table (pandas, polars, pyarrow
            or datasets), the text column of the fit is read.
        refine : int, default=0
            EM steps on theta after the encoder; more give a better theta and take longer.
        workers : int, default=1
            Number of processes that tokenise the text. Text that a tokenizer processes on one core (Chinese, Japanese,
            spaCy) is done sooner, with the same result.

        Returns
        -------
        ndarray of shape (n_docs, n_topics), float32
            Theta of each document, in input order; rows sum to 1.

        Raises
        ------
        InputError
            A text is not a string or a list of words, a table lacks the text column of the fit, or the tokenizer of the
            fit is not installed.

        Examples
        --------
        >>> import topicnet
        >>> run = topicnet.fit(["cat and dog", "bread"] * 4, n_topics=2, min_df=1, init="random", max_epochs=1)
        >>> run.transform(["a cat", "bread", None]).shape
        (3, 2)
        """
        missing = MissingValues(self.bundle.text.get("missing", ()))
        if is_table(texts):
            column = self.record.get("config", {}).get("text_column") or "text"
            documents = documents_of_frame(texts, column, None, missing)
        else:
            documents = documents_of_texts(texts, None, missing)
        return self.bundle.theta(self.bundle.count([documents], workers), refine)

    def passages(self) -> Any:
        """Return a table of the topic proportions of each passage, for a fit with `passages`.

        Returns
        -------
        pandas.DataFrame, polars.DataFrame or pyarrow.Table
            One row per passage, in reading order, with the columns "doc_id", "passage" (its number in the document),
            "tokens" (counted words), "top_topic" and "topic_0", "topic_1", ... (theta), in the library of `doc_topic`.

        Raises
        ------
        InputError
            The run was fitted to whole documents, or saved without its corpus.

        Examples
        --------
        >>> import topicnet
        >>> texts = ["cat dog " * 4, "bread butter " * 4]
        >>> run = topicnet.fit(texts, n_topics=2, passages=4, init="random", max_epochs=1)
        >>> run.passages()["tokens"].to_list()
        [4, 4, 4, 4]
        """
        check_can_use_polars("make a table")
        return frame_like(self._passage_table(), self._library)

    def _passage_table(self) -> pl.DataFrame:
        if "passages" not in self.bundle.text:
            raise InputError(
                "this run was fitted to whole documents: fit with passages=200 to split them into passages"
            )
        if self.corpus is None:
            raise InputError("this run was saved without its corpus (--no-keep-corpus), which the passages come from")
        return passage_table(self.bundle, self.corpus)

    def typical_documents(self, topic: int, n: int = TYPICAL_DOCS) -> list[int]:
        """Return the documents in which a topic has the highest weight.

        The weight is theta times L / (L + 10) for a document of L counted words, which discounts short documents.

        Parameters
        ----------
        topic : int
            Number of the topic, from 0.
        n : int, default=3
            Maximum number of documents.

        Returns
        -------
        list of int
            Rows of the documents, in order of decreasing weight.

        Raises
        ------
        InputError
            The run was saved without its corpus, which holds the word counts.

        Examples
        --------
        >>> import topicnet
        >>> run = topicnet.fit(["cat", "bread butter"], n_topics=1, init="random", max_epochs=1)
        >>> run.typical_documents(0)
        [1, 0]
        """
        if self.corpus is None:
            raise InputError("this run was saved without its corpus (--no-keep-corpus), which typical documents need")
        length = self.corpus.lengths
        weight = self.theta[:, topic] * (length / (length + TYPICAL_WORDS))
        if n < len(weight):  # a partition is faster than sorting all documents of a large corpus
            least = -np.partition(-weight, n - 1)[n - 1] if n else np.inf
            near = np.flatnonzero(weight >= least)
            best = near[np.argsort(-weight[near], kind="stable")[:n]]
        else:
            best = np.argsort(-weight, kind="stable")
        return [int(row) for row in best if self.status[row] == OK]

    def neighbours(self, document: str | int, metric: str = "cosine", top: int = 10) -> Any:
        """Return a table of the documents nearest to a document.

        Parameters
        ----------
        document : str or int
            Id or row of the document.
        metric : {"cosine", "hellinger", "geodesic", "transport"}, default="cosine"
            Distance of documents; see `topicnet.explore.document_distance`.
        top : int, default=10
            Number of neighbours.

        Returns
        -------
        pandas.DataFrame, polars.DataFrame or pyarrow.Table
            One row per neighbour, nearest first, with the columns "rank", "doc_id", "row", "distance", "topic" (the
            largest), "share" (of that topic) and "text" (its beginning; the first counted words if the texts were not
            kept). In the library of the table or column of the fit, by default pandas.

        Raises
        ------
        InputError
            The document or metric is unknown, or the document has no counted words.

        Examples
        --------
        >>> import topicnet
        >>> texts = ["cat dog", "bread butter", "cat bread", "dog butter"] * 3
        >>> run = topicnet.fit(texts, n_topics=2, min_df=1, init="random", max_epochs=1)
        >>> run.neighbours(0, top=2)["text"].to_list()
        ['cat dog', 'cat dog']
        """
        check_can_use_polars("make a table")
        return frame_like(_explore("neighbours").neighbours(self, document, metric, top), self._library)

    def path(self, a: str | int, b: str | int, steps: int = 7) -> Any:
        """Find the shortest path between two documents, and the documents and words met along it.

        The path runs among the word distributions that mixtures of the topics can express, and is shortest under the
        Fisher-Rao metric.

        Parameters
        ----------
        a, b : str or int
            Ids or rows of two documents.
        steps : int, default=7
            Number of points on the path with both ends, 3 to 200.

        Returns
        -------
        DocumentPath
            The steps, and the lengths of the path and of the straight line; its `table` is a table.

        Raises
        ------
        InputError
            The documents are equal or unknown, have no counted words, or have the same topic proportions.

        Examples
        --------
        >>> import topicnet
        >>> texts = ["cat dog", "bread butter", "cat bread", "dog butter"] * 3
        >>> run = topicnet.fit(texts, n_topics=2, min_df=1, init="random", max_epochs=1)
        >>> [step.row for step in run.path(0, 1, steps=3).steps][::2]
        [0, 1]
        """
        check_can_use_polars("find a path")
        return _explore("path").path(self, a, b, steps, self._library)

    @python_names()
    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the run folder completely, or nothing if an error occurs.

        Parameters
        ----------
        path : str or Path
            Folder to write.
        overwrite : bool, default=False
            Replace a folder that topicnet wrote.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        OutputError
            The folder exists and `overwrite` is false, it holds files that topicnet did not write, or the disk is full.

        Examples
        --------
        >>> import tempfile, topicnet
        >>> run = topicnet.fit(["cat", "bread butter"], n_topics=2, init="random", max_epochs=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     topicnet.load(run.save(f"{folder}/pets"))
        Run('etm': 2 topics, 2 documents, 3 words, complete)
        """
        target = Path(path)
        check_can_use_polars("write a run")
        with atomic.atomic_folder(target, overwrite=overwrite) as folder:
            self.write(folder, target)
        return target

    def write(self, folder: Path, target: Path) -> None:
        """Write the files of the run into a staged folder.

        Parameters
        ----------
        folder : Path
            Existing folder to write to.
        target : Path
            Folder that it is renamed to when it is complete; named in error messages.

        Raises
        ------
        OutputError
            A file cannot be written.

        Examples
        --------
        >>> import tempfile, topicnet
        >>> from pathlib import Path
        >>> run = topicnet.fit(["cat", "bread butter"], n_topics=1, init="random", max_epochs=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run.write(Path(folder), Path("runs/pets"))
        ...     (Path(folder) / "run.json").is_file()
        True
        """
        with atomic.disk_errors(target):
            save_bundle(self.bundle, folder / "model")
            for name, table in self._tables():
                formats.write_table(folder / f"{name}.csv", table)
            write_history(folder, self.model.history_)
            formats.write_json(folder / "topics.json", self._topic_records())
            formats.write_json(folder / "metrics.json", self.metrics)
            if self.corpus is not None and self.keep_corpus:
                self.corpus.save(folder / "corpus")
            write_record(folder, self.record)

    def _tables(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """Yield the name and content of each table of the run folder."""
        yield "doc_topic", doc_topic_table(self.ids, self.status, self.theta, kept=self.kept)
        if "passages" in self.bundle.text and self.corpus is not None:
            yield "passages", self._passage_table()
        yield "topic_word", topic_word_table(self.model.components_, self.vocabulary, TABLE_WORDS)
        for extra in self.model.extra_tables() if self.extra else []:
            unit = extra.unit
            yield f"doc_{unit}", doc_topic_table(self.ids, self.status, self.extra[unit], unit)
            yield f"{unit}_word", topic_word_table(extra.words, self.vocabulary, TABLE_WORDS, unit)

    def _topic_records(self) -> list[dict[str, Any]]:
        return [
            {
                "topic": k,
                "label": " ".join(words[:3]),
                "words": words,
                "size": float(self.sizes[k]),
                "scores": {"npmi": float(self.coherence[k])} | self.stability_of(k),
                "typical_documents": [self.ids[row] for row in self.typical_documents(k)] if self.corpus else [],
            }
            for k, words in enumerate(self.top_words(TOPIC_WORDS))
        ] + [
            {unit: c, "label": " ".join(words[:3]), "words": words, "size": size, "scores": {"npmi": npmi}}
            for unit, table in self.topic_table(TOPIC_WORDS).further.items()
            for c, (words, size, npmi) in enumerate(zip(table.words, table.sizes, table.npmi, strict=True))
        ]

    def stability_of(self, k: int) -> dict[str, Any]:
        """Return the stability of a topic as JSON values.

        Parameters
        ----------
        k : int
            Number of the topic, from 0.

        Returns
        -------
        dict
            "stability" (float) and "fragile" (bool); empty for a fit with a single seed.

        Examples
        --------
        >>> import topicnet
        >>> run = topicnet.fit(["cat", "bread butter"], n_topics=1, init="random", max_epochs=1)
        >>> run.stability_of(0)
        {}
        """
        if self.stability is None:
            return {}
        return {"stability": float(self.stability[k]), "fragile": k in self.fragile}


def _explore(name: str) -> Any:
    """Import a module of `topicnet.explore`, which depends on this one and is therefore found by name when called."""
    return import_module(f"topicnet.explore.{name}")


def load(path: str | Path) -> Run:
    """Load a run folder written by `topicnet fit` or `Run.save`.

    Parameters
    ----------
    path : str or Path
        The run folder.

    Returns
    -------
    Run
        The run. Its `corpus` is None if the counts were not saved.

    Raises
    ------
    BundleError
        The folder is not a run of topics, is damaged, or was written by a newer version of topicnet.

    See Also
    --------
    fit : Fit a model and return its run.

    Examples
    --------
    >>> import tempfile, topicnet
    >>> run = topicnet.fit(["cat", "bread butter"], n_topics=1, init="random", max_epochs=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     loaded = topicnet.load(run.save(f"{folder}/pets"))
    >>> bool((loaded.theta == run.theta).all())
    True
    """
    folder = Path(path)
    check_can_use_polars("load a run")
    bundle = load_bundle(folder)
    if not (folder / "run.json").is_file():
        raise BundleError(f"{str(folder)!r} holds a model but no run.json: expected a run folder of `topicnet fit`")
    record = read_record(folder, ENTRIES)
    for name in ("doc_topic.csv", "topics.json", "metrics.json"):
        check_unchanged(folder, name, record)
    table = read_doc_topic(folder, bundle.model.n_topics)
    extra = {}
    for described in bundle.model.extra_tables():
        unit = described.unit
        check_unchanged(folder, f"doc_{unit}.csv", record)
        read = read_doc_topic(folder, len(described.words), unit)
        extra[unit] = read.select(pl.col(f"^{unit}_.*$")).to_numpy().astype(np.float32)
    topics = [one for one in read_json(folder, "topics.json") if "topic" in one]
    try:
        sizes = np.array([topic["size"] for topic in topics], dtype=np.float64)
        coherence = np.array([topic["scores"]["npmi"] for topic in topics], dtype=np.float64)
        found = [topic["scores"].get("stability") for topic in topics]
        stability = None if None in found else np.array(found, dtype=np.float64)
    except (KeyError, TypeError) as error:
        raise damaged(folder, "topics.json") from error
    corpus = corpus_of_run(folder, record) if (folder / "corpus").is_dir() else None
    if corpus is not None and (corpus.n_docs != table.height or corpus.vocabulary != bundle.vocabulary):
        raise damaged(folder, "corpus")
    return Run(
        bundle=bundle,
        theta=table.select(pl.col("^topic_.*$")).to_numpy().astype(np.float32),
        ids=table["doc_id"].to_list(),
        status=table["status"].to_list(),
        sizes=sizes,
        coherence=coherence,
        metrics=read_json(folder, "metrics.json"),
        record={key: value for key, value in record.items() if key not in ("files", "checksum")},
        corpus=corpus,
        extra=extra,
        stability=stability,
        kept=_load_kept_columns(folder, record["config"], corpus, bundle.model.n_topics),
    )


def _load_kept_columns(folder: Path, config: dict[str, Any], corpus: Corpus | None, n_topics: int) -> pl.DataFrame:
    """Return the kept metadata columns, with types if the corpus was saved, otherwise as text from doc_topic.csv."""
    columns = kept_columns(FitConfig.model_construct(**config))
    if corpus is not None and set(columns) <= set(corpus.metadata.columns):
        return corpus.metadata.select(columns)
    return read_kept(folder, n_topics)
