"""Run: a fitted model with the corpus it was fitted to, in memory and as a run folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
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
from topicnet.text.readers.in_memory import documents_of_texts
from topicnet.text.readers.missing import MissingValues
from topicnet.text.status import OK, status_in_words
from topicnet.workflows.bundle import Bundle, load_bundle, save_bundle
from topicnet.workflows.config import FitConfig
from topicnet.workflows.corpus import corpus_of_run
from topicnet.workflows.frames import frame_like
from topicnet.workflows.tables import doc_topic_table, passage_table, read_doc_topic, read_kept, topic_word_table
from topicnet.workflows.text_options import kept_columns
from topicnet.workflows.topics import ENTRIES, TABLE_WORDS, TopicTable

if TYPE_CHECKING:
    from topicnet.models import HealthReport, TopicModel

TOPIC_WORDS = 10  # words of each topic in topics.json
# Of stability. On 20 Newsgroups and Lee, a topic below it shares fewer than five of its top ten words with its
# counterpart, one above it more; chance gives 0.25.
FRAGILE = 0.4
TYPICAL_DOCS = 3
# A document of fewer words than this says little, however pure its theta.
TYPICAL_WORDS = 10


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """A fitted model with the corpus it was fitted to.

    Attributes
    ----------
    bundle : Bundle
        The model, its vocabulary and its text pipeline.
    theta : ndarray of shape (n_docs, n_topics), float32
        Topic proportions of the documents it was fitted to, in input order.
    ids, status : list of str
        Of each document: its id; "ok", "empty", "oov", "short" or "duplicate" (see `Corpus`).
    sizes : ndarray of shape (n_topics,)
        Mean theta over the documents that hold known words.
    coherence : ndarray of shape (n_topics,)
        NPMI of each topic on the corpus of the fit.
    metrics, record : dict
        What metrics.json and run.json hold.
    corpus : Corpus, optional
        The counts; None for a run that was saved without them.
    extra : dict of str to ndarray of shape (n_docs, n)
        The model's extra tables of the documents, by unit: q(c|x) of "component" for GMNTM.
    stability : ndarray of shape (n_topics,), optional
        How close each topic comes to its counterparts in the runs of other seeds, of a fit with several.
    kept : polars.DataFrame, optional
        (D, ...) columns of the source that doc_topic.csv keeps.
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
        """The fitted estimator."""
        return self.bundle.model

    @property
    def vocabulary(self) -> list[str]:
        """(V,) words in column order."""
        return self.bundle.vocabulary

    @property
    def health(self) -> HealthReport:
        """Signs of collapse, and whether the model is fit for use."""
        return self.model.health_

    @property
    def components(self) -> NDArray[np.float32] | None:
        """q(c|x) of the documents (n_docs, n_components), for a model whose prior has components."""
        return self.extra.get("component")

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the fit."""
        return bool(self.record["status"] == "interrupted")

    @property
    def fragile(self) -> list[int]:
        """Topics without a close counterpart in the runs of other seeds; none where one seed was fitted."""
        return [] if self.stability is None else np.flatnonzero(self.stability < FRAGILE).tolist()

    def top_words(self, n: int = 10) -> list[list[str]]:
        """The n most probable words of each topic."""
        table = top_words(self.model.components_, n)
        return [[self.vocabulary[i] for i in row] for row in table]

    def topic_table(self, n: int = 10) -> TopicTable:
        """The topics as `topicnet topics` prints them, with their n most probable words."""
        return TopicTable(self.sizes.tolist(), self.coherence.tolist(), self.top_words(n))

    def topics(self, n: int = 10) -> Any:
        """Table of topics: proportion of the corpus, NPMI and the n most probable words.

        A pandas table with the topics as its index; after a fit to a table of polars or pyarrow one of that library,
        with a column `topic`.
        """
        check_can_use_polars("make a table")
        words = [" ".join(words) for words in self.top_words(n)]
        columns = {"topic": range(len(words)), "size": self.sizes, "npmi": self.coherence, "words": words}
        return frame_like(pl.DataFrame(columns), self._library, index_column="topic")

    def doc_topic(self) -> Any:
        """Table of documents: doc_id, status, top_topic and theta, one row per input document, in input order.

        A fit to a pandas table or column has its index here too, so that ``df["topic"] = run.doc_topic()["top_topic"]``
        is right whatever the index; after a fit to a table or column of polars or pyarrow the table is one of that
        library. The index is not saved: a run that was loaded numbers the rows from 0.
        """
        check_can_use_polars("make a table")
        index = None if self._library != "pandas" or self.corpus is None else self.corpus.table
        return frame_like(doc_topic_table(self.ids, self.status, self.theta), self._library, index)

    @property
    def _library(self) -> str:
        """The library whose tables the run gives: that of the table it was fitted to."""
        like = None if self.corpus is None else self.corpus.table
        return like if isinstance(like, str) else "pandas"

    def transform(
        self, texts: Iterable[str | list[str] | None], refine: int = 0, workers: int = 1
    ) -> NDArray[np.float32]:
        """Infer theta (n_docs, n_topics) of new raw texts, or lists of words, one row each.

        With `workers`, text that is tokenised on one core (Chinese, Japanese, by spaCy) is tokenised in this number of
        processes: the same theta, sooner where it takes more than a few seconds.
        """
        documents = documents_of_texts(texts, None, MissingValues(self.bundle.text.get("missing", ())))
        return self.bundle.theta(self.bundle.count([documents], workers), refine)

    def passages(self) -> Any:
        """Table of the passages of a fit with `passages`: doc_id, passage, tokens, top_topic and theta, a row each.

        A table of the library of `doc_topic`.
        """
        check_can_use_polars("make a table")
        return frame_like(self._passage_table(), self._library)

    def _passage_table(self) -> pl.DataFrame:
        if "passages" not in self.bundle.text:
            raise InputError("this run was fitted to whole documents: fit with passages=200 to cut them into passages")
        if self.corpus is None:
            raise InputError("this run was saved without its corpus (--no-keep-corpus), which passages are cut from")
        return passage_table(self.bundle, self.corpus)

    def typical_documents(self, topic: int, n: int = TYPICAL_DOCS) -> list[int]:
        """Rows of the n documents that show a topic best, short documents discounted."""
        if self.corpus is None:
            raise InputError("this run was saved without its corpus (--no-keep-corpus), which typical documents need")
        length = self.corpus.lengths
        weight = self.theta[:, topic] * (length / (length + TYPICAL_WORDS))
        if n < len(weight):  # sorting all documents of a large corpus for three takes long
            least = -np.partition(-weight, n - 1)[n - 1] if n else np.inf
            near = np.flatnonzero(weight >= least)
            best = near[np.argsort(-weight[near], kind="stable")[:n]]
        else:
            best = np.argsort(-weight, kind="stable")
        return [int(row) for row in best if self.status[row] == OK]

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the run folder, whole or not at all.

        Raises
        ------
        OutputError
            It exists and is not to be overwritten, or the disk refuses.
        """
        target = Path(path)
        check_can_use_polars("write a run")
        with atomic.atomic_folder(target, overwrite=overwrite) as folder:
            self.write(folder, target)
        return target

    def write(self, folder: Path, target: Path) -> None:
        """Write the files of the run into a staged folder that will become `target`."""
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
        """Yield the tables of the run, by name."""
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
        ]

    def stability_of(self, k: int) -> dict[str, Any]:
        """The stability of a topic, and whether it is fragile; empty where one seed was fitted."""
        if self.stability is None:
            return {}
        return {"stability": float(self.stability[k]), "fragile": k in self.fragile}


def load(path: str | Path) -> Run:
    """Load a run folder written by `fit` or `Run.save`.

    Raises
    ------
    BundleError
        There is no run, or it is damaged, foreign or too new.
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
    topics = read_json(folder, "topics.json")
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
        kept=_kept(folder, record["config"], corpus, bundle.model.n_topics),
    )


def _kept(folder: Path, config: dict[str, Any], corpus: Corpus | None, n_topics: int) -> pl.DataFrame:
    """The kept columns: of the corpus, where they have kept their kinds, or as doc_topic.csv writes them."""
    columns = kept_columns(FitConfig.model_construct(**config))
    if corpus is not None and set(columns) <= set(corpus.metadata.columns):
        return corpus.metadata.select(columns)
    return read_kept(folder, n_topics)
