"""Corpus: sparse counts with their vocabulary, ids, status and metadata; memory-mapped on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from topicnet import files
from topicnet.errors import CorpusError, InputError
from topicnet.text.frames import documents_of_frame, documents_of_texts
from topicnet.text.languages import TOKENIZER, check_language, stop_words, tokenize
from topicnet.text.readers import Documents, Value
from topicnet.text.vocabulary import Pruning

COUNTS_FORMAT = 1
EXCERPT_CHARACTERS = 120
OK, EMPTY, OOV = "ok", "empty", "oov"
_RESERVED = {"doc_id", "status", "n_tokens", "text"}


@dataclass(frozen=True)
class TextOptions:
    """How text becomes tokens and which tokens are counted.

    Attributes
    ----------
    lang : str
        Two-letter code, or "none" for no stop words.
    stop_words : tuple of str, optional
        Takes the place of the language's stop words.
    pruning : Pruning
        Bounds on document frequencies.
    """

    lang: str = "en"
    stop_words: tuple[str, ...] | None = None
    pruning: Pruning = field(default_factory=Pruning)

    def __post_init__(self) -> None:
        check_language(self.lang)
        if isinstance(self.stop_words, str):
            raise InputError(f"stop_words={self.stop_words!r} given, expected a list of words: put it in brackets")

    def dropped(self) -> list[str]:
        """The stop words, cut as the tokenizer cuts."""
        if self.stop_words is None:
            return stop_words(self.lang)
        words = pl.Series(self.stop_words, dtype=pl.String)
        return sorted(set(tokenize(words).explode().drop_nulls()))

    def describe(self) -> dict[str, Any]:
        """What a saved model remembers of its text pipeline, as JSON values."""
        pruning = self.pruning
        return {
            "tokenizer": TOKENIZER,
            "lang": self.lang,
            "stop_words": self.dropped(),
            "min_df": pruning.min_df,
            "max_df": pruning.max_df,
            "max_vocab": pruning.max_vocab,
        }


@dataclass(frozen=True, eq=False)
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
        (D,) "ok", "empty" (no text) or "oov" (no known word).
    metadata : polars.DataFrame
        (D, ...) other columns of the source.
    excerpts : list of str
        (D,) first characters of each text, for showing; never saved.
    texts : list of str, optional
        (D,) whole texts, kept only when asked for.
    source : dict
        Name and sha256 of what was read, and the text options.
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

    @property
    def n_docs(self) -> int:
        """Number of documents, D."""
        return int(self.counts.shape[0])

    @property
    def vocab_size(self) -> int:
        """Number of words, V."""
        return len(self.vocabulary)

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        *,
        ids: Sequence[str] | None = None,
        options: TextOptions | None = None,
        vocabulary: list[str] | None = None,
        keep_texts: bool = False,
    ) -> Corpus:
        """Count the words of texts.

        Parameters
        ----------
        texts : iterable of str
            None counts as an empty document.
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
        return cls.from_documents(
            [documents_of_texts(texts, ids)], options=options, vocabulary=vocabulary, keep_texts=keep_texts
        )

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        text_column: str = "text",
        id_column: str | None = None,
        *,
        options: TextOptions | None = None,
        keep_texts: bool = False,
    ) -> Corpus:
        """Count the words of one column of a pandas or polars table; the other columns become metadata."""
        documents = documents_of_frame(frame, text_column, id_column)
        return cls.from_documents([documents], options=options, keep_texts=keep_texts)

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
    ) -> Corpus:
        """Count batches of documents as `read_documents` yields them; `every_word` prunes none, and allows for none."""
        options = options or TextOptions()
        tally = _Tally(options.dropped() if vocabulary is None else [], keep_texts)
        for documents in batches:
            tally.add(documents)
        if every_word:
            vocabulary = sorted(tally.word_ids)
        elif vocabulary is None:
            vocabulary = tally.choose_vocabulary(options.pruning)
        return tally.corpus(vocabulary, {"name": name, "options": options.describe()})

    def take(self, rows: NDArray[np.intp], name: str) -> Corpus:
        """The documents in these rows, in this order, over the same vocabulary."""
        lengths = np.asarray(self.counts.sum(1), dtype=np.int64).ravel()
        begins = np.concatenate([[0], np.cumsum(lengths)])[rows]
        taken = lengths[rows]
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
        )

    def save(self, folder: Path) -> None:
        """Write the counts into a staged folder, in the layout of `COUNTS/` in the design."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in (
            ("data", self.counts.data),
            ("indices", self.counts.indices),
            ("indptr", self.counts.indptr),
            ("tokens", self.tokens),
        ):
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
        files.write_text(folder / "vocabulary.txt", "".join(f"{word}\n" for word in self.vocabulary))
        columns = {
            "doc_id": self.ids,
            "status": self.status.tolist(),
            "n_tokens": np.asarray(self.counts.sum(1)).ravel(),
        }
        if self.texts is not None:
            columns["text"] = self.texts
        table = pl.DataFrame(columns).with_columns(
            self.metadata[column].alias(name) for column, name in _free_names(self.metadata.columns).items()
        )
        files.write_table(folder / "documents.parquet", table, parquet=True)
        files.write_json(
            folder / "counts.json",
            {
                "format": COUNTS_FORMAT,
                "n_docs": self.n_docs,
                "vocab_size": self.vocab_size,
                "source": self.source,
            },
        )

    @classmethod
    def load(cls, folder: str | Path) -> Corpus:
        """Open saved counts, memory-mapped.

        Raises
        ------
        CorpusError
            The folder does not hold counts this version can read.
        """
        folder = Path(folder)
        try:
            header = json.loads((folder / "counts.json").read_text("utf-8"))
            if header["format"] > COUNTS_FORMAT:
                raise CorpusError(
                    f"{str(folder)!r} holds counts of format {header['format']}, this version reads up to"
                    f" {COUNTS_FORMAT}: update topicnet"
                )
            parts = {
                name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
                for name in ("data", "indices", "indptr", "tokens")
            }
            shape = (header["n_docs"], header["vocab_size"])
            counts = csr_matrix((parts["data"], parts["indices"], parts["indptr"]), shape=shape, copy=False)
            counts.check_format(full_check=True)
            vocabulary = (folder / "vocabulary.txt").read_text("utf-8").split("\n")[:-1]
            documents = pl.read_parquet(folder / "documents.parquet")
            ids, status = documents["doc_id"].to_list(), documents["status"].to_numpy().astype(np.str_)
            source = dict(header["source"])
        except (OSError, EOFError, RecursionError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
            if isinstance(error, CorpusError):
                raise
            raise CorpusError(f"{str(folder)!r} does not hold readable counts: {error}".splitlines()[0]) from error
        tokens = parts["tokens"]
        agree = tokens.ndim == 1 and len(tokens) == counts.sum() and (tokens.size == 0 or tokens.max() < shape[1])
        if not agree or len(vocabulary) != shape[1] or documents.height != shape[0]:
            raise CorpusError(f"{str(folder)!r} holds counts whose parts do not agree: make them anew")
        return cls(
            counts=counts,
            vocabulary=vocabulary,
            tokens=tokens,
            ids=ids,
            status=status,
            metadata=documents.drop("doc_id", "status", "n_tokens", "text", strict=False),
            excerpts=[""] * shape[0],
            texts=documents["text"].to_list() if "text" in documents.columns else None,
            source=source,
        )


class _Tally:
    """Word ids of all documents so far, over every word met; 4 bytes a token."""

    def __init__(self, dropped: list[str], keep_texts: bool) -> None:
        self.dropped = pl.Series(dropped, dtype=pl.String)
        self.word_ids: dict[str, int] = {}
        self.tokens: list[NDArray[np.int32]] = []
        self.lengths: list[NDArray[np.int64]] = []
        self.ids: list[str] = []
        self.blank: list[NDArray[np.bool_]] = []
        self.metadata: list[dict[str, Value]] = []
        self.excerpts: list[str] = []
        self.texts: list[str] | None = [] if keep_texts else None
        self.checksum = hashlib.sha256()

    def add(self, documents: Documents) -> None:
        texts = pl.Series("token", documents.texts, dtype=pl.String)
        words = tokenize(texts)
        rows = np.repeat(np.arange(len(words)), words.list.len().to_numpy())
        flat = words.filter(words.list.len() > 0).explode()
        kept = ~flat.is_in(self.dropped.implode())
        flat, rows = flat.filter(kept), rows[kept.to_numpy()]
        self.tokens.append(self._encode(flat))
        self.lengths.append(np.bincount(rows, minlength=len(words)))
        self.ids.extend(documents.ids)
        self.blank.append((texts.str.strip_chars().str.len_bytes() == 0).to_numpy())
        self.metadata.extend(documents.metadata)
        start = texts.str.slice(0, 4 * EXCERPT_CHARACTERS).str.replace_all(r"[\s\p{C}]+", " ").str.strip_chars()
        self.excerpts.extend(start.str.slice(0, EXCERPT_CHARACTERS).to_list())
        if self.texts is not None:
            self.texts.extend(documents.texts)
        pairs = zip(documents.ids, documents.texts, strict=True)
        told = "".join(f"{len(i)}:{i}{len(text)}:{text}" for i, text in pairs)
        self.checksum.update(told.encode("utf-8"))

    def _encode(self, flat: pl.Series) -> NDArray[np.int32]:
        if len(flat) == 0:
            return np.zeros(0, dtype=np.int32)
        distinct = flat.unique()
        numbers = [self.word_ids.setdefault(word, len(self.word_ids)) for word in distinct]
        known = pl.Series(numbers, dtype=pl.Int32)
        return flat.replace_strict(distinct, known, return_dtype=pl.Int32).to_numpy()

    def choose_vocabulary(self, pruning: Pruning) -> list[str]:
        if not self.ids:
            raise CorpusError("the corpus holds no documents: expected one document a line, a row or a file")
        words = list(self.word_ids)
        if not words:
            raise CorpusError(
                f"none of the {len(self.ids)} documents holds a word (two letters or more, not a stop word):"
                " check the file, --text-column and --lang"
            )
        counts = self._counts(np.concatenate(self.tokens), np.concatenate(self.lengths), len(words))
        document_frequency = np.bincount(counts.indices, minlength=len(words))
        n_filled = int((np.diff(counts.indptr) > 0).sum())
        return [words[i] for i in pruning.keep(words, document_frequency, n_filled)]

    def corpus(self, vocabulary: list[str], source: dict[str, Any]) -> Corpus:
        position = {word: i for i, word in enumerate(vocabulary)}
        renumber = np.array([position.get(word, -1) for word in self.word_ids], dtype=np.int32)
        lengths = np.concatenate([np.zeros(0, dtype=np.int64), *self.lengths])
        blank = np.concatenate([np.zeros(0, dtype=bool), *self.blank])
        tokens = np.concatenate([np.zeros(0, dtype=np.int32), *self.tokens])
        rows = np.repeat(np.arange(len(lengths)), lengths)
        tokens = renumber[tokens] if len(renumber) else tokens
        rows, tokens = rows[tokens >= 0], tokens[tokens >= 0]
        lengths = np.bincount(rows, minlength=len(lengths))
        counts = self._counts(tokens, lengths, len(vocabulary))
        metadata = pl.DataFrame(self.metadata, infer_schema_length=None, strict=False) if any(self.metadata) else None
        return Corpus(
            counts=counts,
            vocabulary=vocabulary,
            tokens=tokens,
            ids=self.ids,
            status=np.where(blank, EMPTY, np.where(lengths == 0, OOV, OK)),
            metadata=pl.DataFrame() if metadata is None else metadata,
            excerpts=self.excerpts,
            texts=self.texts,
            source=source | {"sha256": self.checksum.hexdigest()},
        )

    @staticmethod
    def _counts(tokens: NDArray[np.int32], lengths: NDArray[np.int64], n_words: int) -> csr_matrix:
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        ones = np.ones(len(tokens), dtype=np.int32)
        counts = csr_matrix((ones, tokens, indptr), shape=(len(lengths), n_words), copy=True)
        counts.sum_duplicates()
        return counts


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
