"""Corpus: sparse counts with their vocabulary, ids, status and metadata; memory-mapped on disk."""

from __future__ import annotations

import hashlib
import json
import tokenize
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from topicnet.errors import CorpusError, InputError
from topicnet.runtime.forking import check_can_use_polars
from topicnet.runtime.html_tables import html_table
from topicnet.storage import atomic, formats, ownership
from topicnet.storage.mapped import row_sums
from topicnet.text.counting import Counting
from topicnet.text.readers.in_memory import are_word_lists, documents_of_frame, documents_of_texts, table_of
from topicnet.text.readers.missing import MissingValues
from topicnet.text.readers.read import Documents
from topicnet.text.status import EMPTY, OK, OOV, STATUSES, status_in_words
from topicnet.text.token_counts import count_tokens, only
from topicnet.text.tokens.options import TextOptions
from topicnet.text.tokens.tokenize import Tokenization, tokenize_locally
from topicnet.text.validation import are_below, check_counts, check_parts, whole_counts

COUNTS_FORMAT = 1
ARRAYS = ("data", "indices", "indptr", "tokens")
_RESERVED = {"doc_id", "status", "n_tokens", "text"}
# What numpy, polars and the JSON reader raise on files that are damaged or made to harm.
_DAMAGE = (
    OSError, EOFError, MemoryError, RecursionError, OverflowError, ValueError, KeyError, TypeError, AttributeError,
    SyntaxError, tokenize.TokenError, pl.exceptions.PolarsError, pl.exceptions.PanicException,
)  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class Corpus:
    """A corpus as counts; one row per input document, in input order.

    Attributes
    ----------
    counts : csr_matrix
        (D, V) int32.
    vocabulary : list of str
        (V,) words in alphabetical order.
    tokens : ndarray of int32
        Word ids of all documents in reading order, end to end; document d has `counts[d].sum()` of them.
    ids : list of str
        (D,) ids, as the source gives them.
    status : ndarray of str
        (D,) "ok", or why a document has no counted words: "empty" (no text, or a marker of a missing value), "oov" (no
        known word), "short" (fewer than `min_tokens`) or "duplicate" (repeats an earlier text, with `drop_duplicates`).
    metadata : polars.DataFrame
        (D, ...) other columns of the source.
    excerpts : list of str
        (D,) first characters of each text, for showing; never saved.
    texts : list of str, optional
        (D,) whole texts, kept only when asked for.
    source : dict
        Name and sha256 of what was read, and the text options.
    folder : Path, optional
        Where the arrays lie, when they are mapped from files.
    table : object, optional
        The kind of table the documents came from: the index of a pandas table or column, whose rows tables of
        documents have too, or "polars"; never saved.
    """

    counts: csr_matrix
    vocabulary: list[str]
    tokens: NDArray[np.int32]
    ids: list[str]
    status: NDArray[np.str_]
    metadata: pl.DataFrame
    excerpts: list[str]
    texts: list[str] | None
    source: dict[str, Any]
    folder: Path | None = None
    table: Any = None

    def __repr__(self) -> str:
        return f"Corpus({str(self.source.get('name'))[:40]!r}: {self.summary()})"

    def _repr_html_(self) -> str:
        counted = [(name, f"{n:,}") for name in STATUSES if (n := int((self.status == name).sum()))]
        rows = [("documents", f"{self.n_docs:,}"), *counted, ("words of the vocabulary", f"{self.vocab_size:,}")]
        rows += [("tokens", f"{len(self.tokens):,}"), ("columns", ", ".join(self.metadata.columns) or "none")]
        return html_table(f"Corpus {self.source.get('name')}", (), rows, len(rows))

    @property
    def n_docs(self) -> int:
        """Number of documents, D."""
        return int(self.counts.shape[0])

    @property
    def vocab_size(self) -> int:
        """Number of words, V."""
        return len(self.vocabulary)

    def summary(self) -> str:
        """Describe the corpus in one line: documents, how many are empty, words and tokens."""
        note = status_in_words(self.status)
        documents = "1 document" if self.n_docs == 1 else f"{self.n_docs:,} documents"
        return f"{documents}{note}, {self.vocab_size:,} words, {len(self.tokens):,} tokens"

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each document that were counted, (D,)."""
        return row_sums(self.counts).astype(np.int64)

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str | list[str] | None],
        *,
        ids: Sequence[str] | None = None,
        options: TextOptions | None = None,
        vocabulary: list[str] | None = None,
        keep_texts: bool = False,
    ) -> Corpus:
        """Count the words of texts.

        Parameters
        ----------
        texts : iterable of str or lists of str
            None counts as an empty document. Lists of words are taken as they are, in lower case (the tokenizer
            "spaces", unless the options name another).
        ids : sequence of str, optional
            By default "1", "2", ...
        vocabulary : list of str, optional
            Count these words instead of choosing a vocabulary.

        Raises
        ------
        InputError
            Something that is not a text, or another number of ids than of texts.
        CorpusError
            No word is left to count.
        """
        options = options_for(texts, "text", options or TextOptions())
        documents = documents_of_texts(texts, ids, MissingValues(options.markers))
        corpus = cls.from_documents([documents], options=options, vocabulary=vocabulary, keep_texts=keep_texts)
        return replace(corpus, table=table_of(texts))

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        text_column: str | Sequence[str] = "text",
        id_column: str | None = None,
        *,
        options: TextOptions | None = None,
        keep_texts: bool = False,
    ) -> Corpus:
        """Count the words of one column of a pandas or polars table; the other columns become metadata."""
        options = options_for(frame, text_column, options or TextOptions())
        documents = documents_of_frame(frame, text_column, id_column, MissingValues(options.markers))
        corpus = cls.from_documents([documents], options=options, keep_texts=keep_texts)
        return replace(corpus, table=table_of(frame))

    @classmethod
    def from_documents(
        cls,
        batches: Iterable[Documents],
        *,
        options: TextOptions | None = None,
        vocabulary: list[str] | None = None,
        every_word: bool = False,
        keep_texts: bool = False,
        name: str = "texts",
        folder: Path | None = None,
        excerpts: bool = True,
        columns: list[str] | None = None,
        tokenization: Tokenization = tokenize_locally,
    ) -> Corpus:
        """Count batches of documents as `read_documents` yields them; `every_word` prunes none, and allows for none.

        Of the other columns all are kept, or those in `columns`. With a `folder`, the arrays are written there as they
        come and mapped: memory holds the ids, the other columns and one batch.
        """
        found = Counting(
            options or TextOptions(),
            vocabulary=vocabulary,
            every_word=every_word,
            keep_texts=keep_texts,
            folder=folder,
            excerpts=excerpts,
            columns=columns,
            tokenization=tokenization,
        ).run(batches)
        shape = (len(found.ids), len(found.vocabulary))
        return cls(
            counts=csr_matrix((found.data, found.indices, found.indptr), shape=shape, copy=False),
            vocabulary=found.vocabulary,
            tokens=found.tokens,
            ids=found.ids.to_list(),
            status=found.status,
            metadata=found.metadata,
            excerpts=found.excerpts or [""] * len(found.ids),
            texts=found.texts,
            source={"name": name, "options": found.options, "sha256": found.sha256} | found.duplicates,
            folder=folder,
        )

    @classmethod
    def from_counts(
        cls, counts: csr_matrix, vocabulary: list[str], ids: list[str] | None = None, *, name: str = "counts"
    ) -> Corpus:
        """A corpus that another tool has counted.

        Parameters
        ----------
        counts : csr_matrix
            (D, V) whole numbers.
        vocabulary : list of str
            (V,) words of the columns.
        ids : list of str, optional
            By default "1", "2", ...

        Returns
        -------
        Corpus
            Its words do not stand in reading order, which no one knows: `source["reading_order"]` is False.
        """
        counts = whole_counts(counts)
        n_docs, n_words = counts.shape
        if len(set(vocabulary)) < len(vocabulary):
            twice = next(word for i, word in enumerate(vocabulary) if word in vocabulary[:i])
            raise InputError(f"the vocabulary has {twice!r} twice, expected each word once")
        if n_words != len(vocabulary) or (ids is not None and len(ids) != n_docs):
            raise InputError(
                f"counts of shape {counts.shape} given with {len(vocabulary)} words and"
                f" {n_docs if ids is None else len(ids)} ids: expected one word a column and one id a row"
            )
        lengths = row_sums(counts)
        described = TextOptions(lang="none").describe()
        checksum = hashlib.sha256(counts.indptr.tobytes() + counts.indices.tobytes() + counts.data.tobytes())
        return cls(
            counts=counts,
            vocabulary=vocabulary,
            tokens=np.repeat(counts.indices, counts.data).astype(np.int32),
            ids=[str(i) for i in range(1, n_docs + 1)] if ids is None else ids,
            status=np.where(lengths == 0, EMPTY, OK),
            metadata=pl.DataFrame(),
            excerpts=[""] * n_docs,
            texts=None,
            source={
                "name": name,
                "options": described | {"counted_elsewhere": True},
                "sha256": checksum.hexdigest(),
                "reading_order": False,
            },
        )

    def over(self, vocabulary: list[str]) -> Corpus:
        """The same documents in the words of another vocabulary; other words are dropped."""
        if vocabulary == self.vocabulary:
            return self
        tokens = self.tokens_over(vocabulary)
        known, lengths = only(tokens, self.lengths, tokens >= 0)
        counts = count_tokens(known, lengths, len(vocabulary))
        status = np.where((lengths == 0) & (self.status == OK), OOV, self.status)
        return replace(self, counts=counts, vocabulary=vocabulary, tokens=known, status=status, folder=None)

    def tokens_over(self, vocabulary: list[str]) -> NDArray[np.int32]:
        """All tokens, numbered in another vocabulary; -1 for the words it does not have."""
        position = {word: i for i, word in enumerate(vocabulary)}
        number = np.array([position.get(word, -1) for word in self.vocabulary], dtype=np.int32)
        return number[self.tokens] if number.size else np.zeros(0, dtype=np.int32)

    def take(self, rows: NDArray[np.intp], name: str) -> Corpus:
        """The documents in these rows, in this order, over the same vocabulary."""
        begins = np.concatenate([[0], np.cumsum(self.lengths)])[rows]
        taken = self.lengths[rows]
        offsets = np.arange(int(taken.sum())) - np.repeat(np.cumsum(taken) - taken, taken)
        return Corpus(
            counts=self.counts[rows],
            vocabulary=self.vocabulary,
            tokens=self.tokens[np.repeat(begins, taken) + offsets],
            ids=[self.ids[row] for row in rows],
            status=self.status[rows],
            metadata=self.metadata[rows.tolist()] if self.metadata.width else self.metadata,
            excerpts=[self.excerpts[row] for row in rows],
            texts=None if self.texts is None else [self.texts[row] for row in rows],
            source=self.source | {"name": name},
            folder=None,
            table=self.table if self.table is None or isinstance(self.table, str) else self.table[rows],
        )

    def save(self, folder: Path) -> None:
        """Write the counts into a staged folder, in the layout of `COUNTS/` in the design."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ARRAYS:
            if self.folder is None:
                array = self.tokens if name == "tokens" else getattr(self.counts, name)
                np.save(folder / f"{name}.npy", array, allow_pickle=False)
            elif self.folder != folder:
                atomic.link_or_copy(self.folder / f"{name}.npy", folder / f"{name}.npy")
        formats.write_text(folder / "vocabulary.txt", "".join(f"{word}\n" for word in self.vocabulary))
        columns = {
            "doc_id": pl.Series(self.ids, dtype=pl.String),
            "status": pl.Series(self.status.tolist(), dtype=pl.String),
            "n_tokens": self.lengths,
        }
        if self.texts is not None:
            columns["text"] = pl.Series(self.texts, dtype=pl.String)
        free = _free_names(self.metadata.columns)
        table = pl.DataFrame(columns).with_columns(self.metadata[column].alias(name) for column, name in free.items())
        formats.write_table(folder / "documents.parquet", table, parquet=True)
        header = {
            "format": COUNTS_FORMAT,
            "n_docs": self.n_docs,
            "vocab_size": self.vocab_size,
            "source": self.source,
            "renamed": {name: column for column, name in free.items() if name != column},
            "files": ownership.listed(folder, ownership.COUNTS_FILES),
        }
        formats.write_json(folder / ownership.COUNTS, formats.with_own_checksum(header))

    @classmethod
    def load(cls, folder: str | Path) -> Corpus:
        """Open saved counts, memory-mapped.

        Raises
        ------
        CorpusError
            The folder does not hold counts this version can read.
        """
        folder = Path(folder)
        check_can_use_polars("load counts")
        try:
            header = json.loads((folder / "counts.json").read_text("utf-8"))
            if header["format"] > COUNTS_FORMAT:
                raise CorpusError(
                    f"{str(folder)!r} holds counts of format {header['format']}, this version reads up to"
                    f" {COUNTS_FORMAT}: update topicnet"
                )
            parts = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS}
            shape = (int(header["n_docs"]), int(header["vocab_size"]))
            if len(parts["indptr"]) != shape[0] + 1:
                raise ValueError("counts.json and indptr.npy do not agree")
            counts = csr_matrix((parts["data"], parts["indices"], parts["indptr"]), shape=shape, copy=False)
            check_counts(counts)
            vocabulary = (folder / "vocabulary.txt").read_text("utf-8").split("\n")[:-1]
            documents = pl.read_parquet(folder / "documents.parquet", glob=False, hive_partitioning=False)
            ids, status = documents["doc_id"].to_list(), documents["status"].to_numpy().astype(np.str_)
            source = dict(header["source"])
            check_parts(source, vocabulary, documents)
            metadata = documents.drop(*_RESERVED, strict=False).rename(dict(header.get("renamed", {})), strict=False)
        except _DAMAGE as error:
            if isinstance(error, CorpusError):
                raise
            raise CorpusError(f"{str(folder)!r} does not hold readable counts: {error}".splitlines()[0]) from error
        tokens = parts["tokens"]
        agree = tokens.ndim == 1 and len(tokens) == row_sums(counts).sum() and are_below(tokens, shape[1])
        if not agree or len(vocabulary) != shape[1] or documents.height != shape[0]:
            raise CorpusError(f"{str(folder)!r} holds counts whose parts do not agree: make them anew")
        return cls(
            counts=counts,
            vocabulary=vocabulary,
            tokens=tokens,
            ids=ids,
            status=status,
            metadata=metadata,
            excerpts=[""] * shape[0],
            texts=documents["text"].to_list() if "text" in documents.columns else None,
            source=source,
            folder=folder,
        )


def options_for(texts: Any, text_column: str | Sequence[str], options: TextOptions) -> TextOptions:
    """The options for texts in memory: lists of words are parted already, unless a tokenizer is named."""
    if options.tokenizer is None and are_word_lists(texts, text_column):
        return replace(options, tokenizer="spaces")
    return options


def _free_names(columns: list[str]) -> dict[str, str]:
    """Names under which metadata can stand beside the table's own columns."""
    taken = _RESERVED | set(columns)
    names: dict[str, str] = {}
    for column in columns:
        name = column
        while name in _RESERVED or (name != column and name in taken):
            name += "_"
        taken.add(name)
        names[column] = name
    return names
