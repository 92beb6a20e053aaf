"""Corpus: a document-term matrix with vocabulary, document ids, status and metadata; saving and loading."""

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
from topicnet.text.token_counts import count_tokens, keep_tokens
from topicnet.text.tokens.options import TextOptions
from topicnet.text.tokens.tokenize import Tokenization, tokenize_locally
from topicnet.text.validation import all_below, check_counts, check_parts, whole_counts

COUNTS_FORMAT = 1
ARRAYS = ("data", "indices", "indptr", "tokens")
_RESERVED = {"doc_id", "status", "n_tokens", "text"}
# Exceptions that numpy, polars and the JSON reader raise on damaged or malicious files.
_DAMAGE = (
    OSError, EOFError, MemoryError, RecursionError, OverflowError, ValueError, KeyError, TypeError, AttributeError,
    SyntaxError, tokenize.TokenError, pl.exceptions.PolarsError, pl.exceptions.PanicException,
)  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class Corpus:
    """Word counts of a corpus, one row per input document, in input order.

    Build one with `from_texts`, `from_frame`, `from_documents`, `from_counts` or `load` rather than with the
    constructor. Each parameter is an attribute of the same name.

    Parameters
    ----------
    counts : csr_matrix of shape (D, V), int32
        How often each word occurs in each document.
    vocabulary : list of str, length V
        The word of each column; in alphabetical order where topicnet chose the vocabulary.
    tokens : ndarray of shape (N,), int32
        Word ids of all documents in reading order, end to end; document d has `counts[d].sum()` of them.
    ids : list of str, length D
        Document ids.
    status : ndarray of shape (D,), str
        "ok", or the reason why a document has no counted words: "empty" (no text, or a missing-value marker), "oov"
        (no word of the vocabulary), "short" (fewer than `min_tokens`) or "duplicate" (repeats an earlier text, with
        `drop_duplicates`).
    metadata : polars.DataFrame
        The other columns of the source, D rows; an empty table if there are none.
    excerpts : list of str, length D
        The first characters of each text, for display. They are not saved.
    texts : list of str or None, length D
        The full texts, if they were kept.
    source : dict
        Name and SHA-256 of the input, and the text options.
    folder : Path, optional
        The folder that the arrays are memory-mapped from.
    table : object, optional
        The kind of table the documents came from: the index of a pandas table or column, which tables of documents
        then use for their rows, or "polars". It is not saved.

    Attributes
    ----------
    n_docs
    vocab_size
    lengths

    Examples
    --------
    >>> import topicnet
    >>> corpus = topicnet.Corpus.from_texts(["Cats chase mice.", "Mice fear cats.", "Dogs chase cats."])
    >>> corpus
    Corpus('texts': 3 documents, 5 words, 9 tokens)
    >>> corpus.vocabulary
    ['cats', 'chase', 'dogs', 'fear', 'mice']
    >>> corpus.counts.toarray()
    array([[1, 1, 0, 0, 1],
           [1, 0, 0, 1, 1],
           [1, 1, 1, 0, 0]], dtype=int32)
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
        """Number of documents, D.

        Examples
        --------
        >>> Corpus.from_texts(["Cats chase mice.", ""]).n_docs
        2
        """
        return int(self.counts.shape[0])

    @property
    def vocab_size(self) -> int:
        """Number of words in the vocabulary, V.

        Examples
        --------
        >>> Corpus.from_texts(["Cats chase mice.", ""]).vocab_size
        3
        """
        return len(self.vocabulary)

    def summary(self) -> str:
        """Describe the corpus in one line.

        Returns
        -------
        str
            The number of documents, how many of them have no counted words and why, and the numbers of words and
            tokens.

        Examples
        --------
        >>> Corpus.from_texts(["Cats chase mice.", ""]).summary()
        '2 documents (1 empty), 3 words, 3 tokens'
        """
        note = status_in_words(self.status)
        documents = "1 document" if self.n_docs == 1 else f"{self.n_docs:,} documents"
        return f"{documents}{note}, {self.vocab_size:,} words, {len(self.tokens):,} tokens"

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Number of counted tokens of each document, (D,) int64.

        Examples
        --------
        >>> Corpus.from_texts(["Cats chase mice.", ""]).lengths
        array([3, 0])
        """
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
        texts : iterable of str, list of str or None, length D
            The documents. None counts as an empty document. The words of a list are lower-cased and otherwise left
            unchanged (tokenizer "spaces", unless the options name another).
        ids : sequence of str, length D, optional
            Document ids. Default: "1", "2", ...
        options : TextOptions, optional
            How to tokenise, and which words to count. Default: `TextOptions()`.
        vocabulary : list of str, length V, optional
            Count these words instead of choosing a vocabulary.
        keep_texts : bool, default False
            Keep the full texts in `Corpus.texts`.

        Returns
        -------
        Corpus
            The counts, one row per text.

        Raises
        ------
        InputError
            An item of `texts` is not a text, or the number of ids differs from the number of texts.
        CorpusError
            No word is left to count.

        Examples
        --------
        >>> Corpus.from_texts(["Cats chase mice.", "Mice fear cats."], ids=["a", "b"]).vocabulary
        ['cats', 'chase', 'fear', 'mice']
        >>> Corpus.from_texts(["Cats chase mice."], vocabulary=["cats", "dogs"]).counts.toarray()
        array([[1, 0]], dtype=int32)
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
        """Count the words of a text column of a table, whose other columns become metadata.

        Parameters
        ----------
        frame : pandas.DataFrame, polars.DataFrame, polars.LazyFrame or datasets.Dataset
            The table, one row per document.
        text_column : str or sequence of str, default "text"
            The column that holds the texts, or several columns, whose texts are joined by newlines.
        id_column : str, optional
            The column that holds the document ids. By default ids are "1", "2", ...
        options : TextOptions, optional
            How to tokenise, and which words to count. Default: `TextOptions()`.
        keep_texts : bool, default False
            Keep the full texts in `Corpus.texts`.

        Returns
        -------
        Corpus
            The counts, one row per row of the table.

        Raises
        ------
        InputError
            `frame` is not such a table, or a cell of the text column is not a text.
        CorpusError
            A column does not exist, two columns have the same name, or no word is left to count.

        Examples
        --------
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"text": ["Cats chase mice.", None], "year": [2001, 2002]})
        >>> corpus = Corpus.from_frame(frame)
        >>> corpus
        Corpus('texts': 2 documents (1 empty), 3 words, 3 tokens)
        >>> corpus.metadata["year"].to_list()
        [2001, 2002]
        """
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
        """Count batches of documents, as `topicnet.text.readers.read.read_documents` yields them.

        Parameters
        ----------
        batches : iterable of Documents
            The documents; only one batch at a time is held in memory.
        options : TextOptions, optional
            How to tokenise, and which words to count. Default: `TextOptions()`.
        vocabulary : list of str, length V, optional
            Count these words instead of choosing a vocabulary.
        every_word : bool, default False
            Count every word except the stop words: nothing is pruned, and the corpus may be empty.
        keep_texts : bool, default False
            Keep the full texts in `Corpus.texts`.
        name : str, default "texts"
            Name of the corpus in `Corpus.source` and in messages.
        folder : Path, optional
            Write the arrays to this folder while counting and memory-map them, so that memory holds only the ids, the
            metadata and one batch.
        excerpts : bool, default True
            Keep the first characters of each text.
        columns : list of str, optional
            Metadata columns to keep. Default: all.
        tokenization : callable, optional
            Splits the batches into words; see `topicnet.text.tokens.tokenize.Tokenization`. By default in this process.

        Returns
        -------
        Corpus
            The counts, one row per document.

        Raises
        ------
        CorpusError
            No word is left to count, or there are more counts than 32-bit indices can address.

        Examples
        --------
        >>> from topicnet.text.readers.documents import Documents
        >>> batches = [Documents(["a"], ["Cats chase mice."], [{}]), Documents(["b"], ["Mice fear cats."], [{}])]
        >>> Corpus.from_documents(batches, name="pets")
        Corpus('pets': 2 documents, 4 words, 6 tokens)
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
        """Make a corpus from counts that another tool produced.

        Parameters
        ----------
        counts : csr_matrix of shape (D, V)
            Whole numbers, 0 or more.
        vocabulary : list of str, length V
            The word of each column.
        ids : list of str, length D, optional
            Document ids. Default: "1", "2", ...
        name : str, default "counts"
            Name of the corpus in `Corpus.source` and in messages.

        Returns
        -------
        Corpus
            Counts do not tell the order of the words, so `tokens` is sorted by word within each document, and
            `source["reading_order"]` is False.

        Raises
        ------
        InputError
            The counts are not a matrix of whole numbers, their shape does not fit the words and ids, or a word occurs
            twice in the vocabulary.

        Examples
        --------
        >>> from scipy.sparse import csr_matrix
        >>> Corpus.from_counts(csr_matrix([[2, 0], [1, 1]]), ["cats", "dogs"])
        Corpus('counts': 2 documents, 2 words, 4 tokens)
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
        """Return the same documents counted over another vocabulary, without the words outside it.

        Parameters
        ----------
        vocabulary : list of str, length W
            The words to count.

        Returns
        -------
        Corpus
            (D, W) counts. Documents that have no word left have status "oov".

        Examples
        --------
        >>> corpus = Corpus.from_texts(["Cats chase mice.", "Dogs bark."])
        >>> fewer = corpus.over(["cats", "elephants"])
        >>> fewer.counts.toarray()
        array([[1, 0],
               [0, 0]], dtype=int32)
        >>> fewer.status.tolist()
        ['ok', 'oov']
        """
        if vocabulary == self.vocabulary:
            return self
        tokens = self.tokens_over(vocabulary)
        known, lengths = keep_tokens(tokens, self.lengths, tokens >= 0)
        counts = count_tokens(known, lengths, len(vocabulary))
        status = np.where((lengths == 0) & (self.status == OK), OOV, self.status)
        return replace(self, counts=counts, vocabulary=vocabulary, tokens=known, status=status, folder=None)

    def tokens_over(self, vocabulary: list[str]) -> NDArray[np.int32]:
        """Return all tokens as word ids of another vocabulary.

        Parameters
        ----------
        vocabulary : list of str
            The words to number.

        Returns
        -------
        ndarray of shape (N,), int32
            In the order of `tokens`; -1 for a word that the vocabulary lacks.

        Examples
        --------
        >>> Corpus.from_texts(["Cats chase mice."]).tokens_over(["mice", "cats"])
        array([ 1, -1,  0], dtype=int32)
        """
        position = {word: i for i, word in enumerate(vocabulary)}
        number = np.array([position.get(word, -1) for word in self.vocabulary], dtype=np.int32)
        return number[self.tokens] if number.size else np.zeros(0, dtype=np.int32)

    def take(self, rows: NDArray[np.intp], name: str) -> Corpus:
        """Return some of the documents over the same vocabulary.

        Parameters
        ----------
        rows : ndarray of shape (n,), int
            Rows of the documents, in the order wanted.
        name : str
            Name of the new corpus.

        Returns
        -------
        Corpus
            (n, V) counts.

        Examples
        --------
        >>> import numpy as np
        >>> corpus = Corpus.from_texts(["Cats chase mice.", "Mice fear cats.", "Dogs chase cats."])
        >>> corpus.take(np.array([2, 0]), "two of them").ids
        ['3', '1']
        """
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
        """Save the corpus to a folder, without its excerpts.

        The folder holds the arrays (`data.npy`, `indices.npy`, `indptr.npy`, `tokens.npy`), `vocabulary.txt`,
        `documents.parquet` (ids, status, number of tokens, metadata, and the texts if they were kept) and
        `counts.json`, with the checksums of the other files.

        Parameters
        ----------
        folder : Path
            The folder to write into; it is created if it does not exist, and files of the same names are replaced.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Corpus.from_texts(["Cats chase mice."]).save(Path(folder) / "counts")
        ...     print(Corpus.load(Path(folder) / "counts").vocabulary)
        ['cats', 'chase', 'mice']
        """
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
        """Open a saved corpus with memory-mapped arrays.

        Parameters
        ----------
        folder : str or Path
            A folder that `save` or `topicnet prepare` wrote.

        Returns
        -------
        Corpus
            The saved corpus, with blank excerpts.

        Raises
        ------
        CorpusError
            The folder does not hold counts that this version can read.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Corpus.from_texts(["Cats chase mice."]).save(Path(folder) / "counts")
        ...     print(Corpus.load(Path(folder) / "counts").vocabulary)
        ['cats', 'chase', 'mice']
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
        agree = tokens.ndim == 1 and len(tokens) == row_sums(counts).sum() and all_below(tokens, shape[1])
        if not agree or len(vocabulary) != shape[1] or documents.height != shape[0]:
            raise CorpusError(f"{str(folder)!r} holds counts whose parts do not agree: count the corpus again")
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
    """Return the options for texts in memory: lists of words use the tokenizer "spaces" unless another is named."""
    if options.tokenizer is None and are_word_lists(texts, text_column):
        return replace(options, tokenizer="spaces")
    return options


def _free_names(columns: list[str]) -> dict[str, str]:
    """Map each metadata column to a name that does not clash with the reserved columns of `documents.parquet`."""
    taken = _RESERVED | set(columns)
    names: dict[str, str] = {}
    for column in columns:
        name = column
        while name in _RESERVED or (name != column and name in taken):
            name += "_"
        taken.add(name)
        names[column] = name
    return names
