"""Documents of a run: ids, status, topic proportions and the beginnings of their texts, without importing torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from topicnet.errors import BundleError, InputError
from topicnet.storage.model_files import folder_of
from topicnet.storage.run_folder import RECORD, check_unchanged, read_json, read_record
from topicnet.text.corpus import Corpus
from topicnet.text.status import OK
from topicnet.workflows.corpus import corpus_of_run
from topicnet.workflows.run import Run
from topicnet.workflows.tables import read_doc_topic
from topicnet.workflows.topics import ENTRIES

EXCERPT = 400  # characters of a text that are shown or written
EXCERPT_WORDS = 40  # words that are shown of a document whose text was not kept
SHOWN_ROWS = 3  # rows in a message about an id that several documents share


@dataclass(frozen=True, eq=False)
class DocumentTable:
    """Documents of a run with their topic proportions.

    Parameters
    ----------
    ids : sequence of str
        Document ids, (D,).
    status : sequence of str
        Status of each document, (D,); only those that are "ok" have topic proportions of their own.
    theta : ndarray of shape (D, K)
        Topic proportions.
    corpus : Corpus, optional
        The counts, for the beginnings of the texts.
    """

    ids: Sequence[str]
    status: Sequence[str]
    theta: NDArray[np.float32]
    corpus: Corpus | None = None

    @cached_property
    def with_words(self) -> NDArray[np.intp]:
        """Rows of the documents that have counted words."""
        return np.flatnonzero(np.asarray(self.status) == OK)

    def proportions(self, rows: NDArray[np.intp] | Sequence[int]) -> NDArray[np.float64]:
        """Return theta of some rows in double precision, with rows that sum to exactly 1."""
        theta = self.theta[rows].astype(np.float64)
        return np.asarray(theta / theta.sum(-1, keepdims=True))

    def row_of(self, document: str | int) -> int:
        """Return the row of a document, given its id or row number.

        Raises
        ------
        InputError
            There is no such document, several have the id, or it has no counted words.
        """
        row = self._row_by_number(document) if isinstance(document, int | np.integer) else self._row_by_id(document)
        if self.status[row] != OK:
            raise InputError(
                f"document {self.ids[row]!r} (row {row}) has no counted words (status {self.status[row]!r}), so it has"
                " no topic proportions of its own: choose another document"
            )
        return row

    def _row_by_number(self, number: int) -> int:
        if isinstance(number, bool) or not 0 <= number < len(self.ids):
            raise InputError(f"row {number} given, expected 0 to {len(self.ids) - 1:,}")
        return int(number)

    def _row_by_id(self, name: str) -> int:
        if not isinstance(name, str):
            raise InputError(f"a document of type {type(name).__name__} given, expected an id or a row number")
        rows = [row for row, given in enumerate(self.ids) if given == name]
        if len(rows) > 1:
            shown = ", ".join(map(str, rows[:SHOWN_ROWS])) + (", ..." if len(rows) > SHOWN_ROWS else "")
            raise InputError(f"{len(rows)} documents have the id {name!r}: give one of their rows instead ({shown})")
        if rows:
            return rows[0]
        if name.isascii() and name.isdigit() and int(name) < len(self.ids):
            return int(name)
        raise InputError(
            f"no document {name!r} in this run: expected an id such as {self.ids[0]!r}, or a row number from 0 to"
            f" {len(self.ids) - 1}"
            if self.ids
            else f"document {name!r} asked for in a run without documents"
        )

    def label(self, row: int) -> str:
        """Return the id of a document, with its row if other documents have the same id."""
        name = self.ids[row]
        return name if self._uses[name] == 1 else f"{name}, row {row}"

    @cached_property
    def _uses(self) -> Counter[str]:
        return Counter(self.ids)

    @property
    def has_texts(self) -> bool:
        """True if excerpts are beginnings of texts, False if they are counted words."""
        return self.corpus is not None and (self.corpus.texts is not None or any(self.corpus.excerpts))

    def excerpt(self, row: int) -> str:
        """Return the beginning of a text on one line; the first counted words if texts were not kept; or ""."""
        corpus = self.corpus
        if corpus is None:
            return ""
        text = corpus.excerpts[row] if corpus.texts is None else corpus.texts[row]
        if text:
            return " ".join(text[: 4 * EXCERPT].split())[:EXCERPT]
        begin, end = self._places[row], min(self._places[row + 1], self._places[row] + EXCERPT_WORDS)
        return " ".join(corpus.vocabulary[word] for word in corpus.tokens[begin:end])

    @cached_property
    def _places(self) -> NDArray[np.int64]:
        """First token of each document, and the end, (D + 1,)."""
        assert self.corpus is not None
        return np.concatenate([[0], np.cumsum(self.corpus.lengths)])


def documents_of(run: Run) -> DocumentTable:
    """Return the documents of a run."""
    return DocumentTable(run.ids, run.status, run.theta, run.corpus)


def read_documents(folder: str | Path) -> DocumentTable:
    """Read the documents of a run folder from its tables, without loading the model.

    Raises
    ------
    BundleError
        The folder is not a run of topics, or is damaged.
    """
    folder = Path(folder)
    if not (folder / RECORD).is_file():
        raise BundleError(f"no {RECORD} in {str(folder_of(folder))!r}: expected a run folder of `topicnet fit`")
    record = read_record(folder, ENTRIES)
    if record.get("kind") == "images":
        raise BundleError(f"{str(folder)!r} holds an image model: read it with the commands of `topicnet images`")
    for name in ("topics.json", "doc_topic.csv"):
        check_unchanged(folder, name, record)
    n_topics = sum("topic" in one for one in read_json(folder, "topics.json"))  # GMNTM lists components as well
    table = read_doc_topic(folder, n_topics)
    corpus = corpus_of_run(folder, record) if (folder / "corpus").is_dir() else None
    theta = table.select(pl.col("^topic_.*$")).to_numpy().astype(np.float32)
    return DocumentTable(table["doc_id"].to_list(), table["status"].to_list(), theta, corpus)
