"""Word counts of a stream of documents, computed in one pass over the text.

Words are numbered when they first appear, and only the numbers are kept: 4 bytes per token, in memory or in a file.
Once all documents have been read, the vocabulary is chosen and the counts are made from those numbers. Polars tokenises
and numbers the words on all cores, while a second thread counts the previous batch and a third reads the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from topicnet.errors import CorpusError
from topicnet.runtime.forking import check_can_use_polars
from topicnet.runtime.prefetch import map_in_order
from topicnet.storage.mapped import release_pages
from topicnet.text.growing_arrays import Checksum, GrowingArray, WordNumbers
from topicnet.text.phrases import JOINT, Joiner, find_phrases
from topicnet.text.readers.documents import Documents
from topicnet.text.status import RepeatedTexts, free_row_ids, status_of
from topicnet.text.token_counts import count_tokens, keep_tokens, passage_lengths, starts_of
from topicnet.text.tokens.options import TextOptions
from topicnet.text.tokens.tokenize import Tokenization, Tokenized, text_hashes, tokenize_locally
from topicnet.text.vocabulary import SMALL_CORPUS, Pruning

EXCERPT_CHARACTERS = 120
EXCERPT_DOCS = 200_000  # a larger corpus has no excerpts
ROW_NUMBER = "\0row"  # a name that no column of a table has
MAX_NONZEROS = 2**31 - 1  # scipy's 32-bit indices


class Counted(NamedTuple):
    """Result of a count: the parts of a `Corpus`, which describes them."""

    data: NDArray[np.int32]
    indices: NDArray[np.int32]
    indptr: NDArray[np.int32]
    tokens: NDArray[np.int32]
    vocabulary: list[str]
    ids: pl.Series
    status: NDArray[np.str_]
    metadata: pl.DataFrame
    excerpts: list[str]
    texts: list[str] | None
    sha256: str
    options: dict[str, Any]
    duplicates: dict[str, Any]


@dataclass(eq=False)
class Counting:
    """One count of a corpus: its settings, and its state while batches are added.

    Parameters
    ----------
    options : TextOptions
    vocabulary : list of str, optional
        Count these words instead of choosing a vocabulary.
    every_word : bool
        Count every word except the stop words.
    keep_texts : bool
        Keep the full texts.
    folder : Path, optional
        Write the arrays to files in this folder instead of holding them in memory.
    excerpts : bool
        Keep the first characters of each text.
    columns : list of str, optional
        Metadata columns to keep. Default: all.
    tokenization : Tokenization
        Function that splits batches of texts into words.
    """

    options: TextOptions
    _: KW_ONLY
    vocabulary: list[str] | None = None
    every_word: bool = False
    keep_texts: bool = False
    folder: Path | None = None
    excerpts: bool = True
    columns: list[str] | None = None
    tokenization: Tokenization = tokenize_locally

    def __post_init__(self) -> None:
        if self.options.vocabulary is not None:
            self.vocabulary = sorted(set(self.options.vocabulary))
        self.phrases = self.options.phrases if isinstance(self.options.phrases, tuple) else ()
        self.finds_phrases = self.options.phrases is True
        # Numbered first: the vocabulary, or the stop words, which are then dropped by their number.
        self.first_words = self.options.dropped() if self.vocabulary is None else self.vocabulary
        parts = {word for phrase in self.phrases for word in (*phrase, JOINT.join(phrase))}
        known = [*self.first_words, *sorted(parts - set(self.first_words))]
        self.words = WordNumbers(known)
        self.joiner = Joiner(list(self.phrases), {word: code for code, word in enumerate(known)})
        self.starts = [np.zeros(1, dtype=np.int64)]
        self.nonzeros = 0
        self.n_stop_words = 0  # occurrences of stop words that were dropped
        self.lengths: list[NDArray[np.int64]] = []  # tokens per document in `spill`, batch by batch
        self.document_frequency = np.zeros(0, dtype=np.int64)
        self.n_filled = 0  # documents, or passages, that contain words
        self.ids: list[pl.Series] = []
        self.numbered: list[NDArray[np.bool_]] = []  # which of the ids are row numbers
        self.blank: list[NDArray[np.bool_]] = []
        self.short: list[NDArray[np.bool_]] = []
        self.repeated = RepeatedTexts(self.options.drop_duplicates and not self.every_word)
        self.min_tokens = 0 if self.every_word else self.options.min_tokens
        self.metadata: list[pl.DataFrame] = []
        self.excerpts_found: list[str] = []
        self.texts: list[str] = []
        self.checksum = Checksum()

    def run(self, batches: Iterable[Documents]) -> Counted:
        """Count all batches.

        Raises
        ------
        CorpusError
            No word is left to count, or there are more nonzero counts than 32-bit indices can address.
        """
        check_can_use_polars()
        with ExitStack() as self.open_files:
            self.spill = self._array("spill") if self.vocabulary is None else None
            self.results = {name: self._array(name) for name in ("data", "indices", "tokens")}
            with ThreadPoolExecutor(1) as worker:
                pending: Future[None] | None = None
                for documents, tokenized in self.tokenization(self.options, batches):
                    codes, lengths = self._split(documents, tokenized)
                    if pending is not None:
                        pending.result()
                    pending = worker.submit(self._add_batch, documents, codes, lengths)
                if pending is not None:
                    pending.result()
            if self.spill is not None:
                self._count_spilled(self.spill)
            return self._result()

    def _array(self, name: str) -> GrowingArray:
        array = GrowingArray(None if self.folder is None else self.folder / f"{name}.npy")
        if array.file is not None:
            self.open_files.callback(array.file.close)
        return array

    def _split(
        self, documents: Documents, tokenized: Iterable[Tokenized]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return the word ids of a batch, documents end to end, and the number of tokens of each document."""
        parts = [(self._encode(one), one.lengths, one.blank, one.hashes) for one in tokenized]
        self.ids.append(pl.Series(documents.ids, dtype=pl.String))
        numbered = np.zeros(len(documents.ids), dtype=bool)
        numbered[np.asarray(documents.numbered, dtype=np.intp)] = True
        self.numbered.append(numbered)
        self.metadata.append(_metadata_table(documents, self.columns))
        if self.excerpts and len(self.excerpts_found) < EXCERPT_DOCS:
            start = pl.Series([text[: 4 * EXCERPT_CHARACTERS] for text in documents.texts], dtype=pl.String)
            start = start.str.replace_all(r"[\s\p{C}]+", " ").str.strip_chars().str.slice(0, EXCERPT_CHARACTERS)
            self.excerpts_found.extend(start.to_list())
        if self.keep_texts:
            self.texts.extend(documents.texts)
        if len(parts) == 1:
            codes, lengths, blank, hashes = parts[0]
        else:  # the pieces of one long text
            codes = np.concatenate([part[0] for part in parts])
            lengths = np.array([len(codes)])
            blank = np.array([all(part[2].all() for part in parts)])
            hashes = text_hashes(pl.Series(documents.texts, dtype=pl.String))
        self.blank.append(blank)
        dropped = self.repeated.add(hashes, blank)
        return _drop_documents(codes, lengths, dropped) if dropped.any() else (codes, lengths)

    def _encode(self, tokenized: Tokenized) -> NDArray[np.int32]:
        """Return the word ids of texts, end to end."""
        codes = self.words.encode(tokenized.words)
        return codes if tokenized.numbers is None else codes[tokenized.numbers]

    def _add_batch(self, documents: Documents, codes: NDArray[np.int32], lengths: NDArray[np.int64]) -> None:
        self.checksum.add(documents)
        if self.phrases:
            codes, starts = self.joiner(codes, starts_of(lengths))
            lengths = np.diff(starts)
        if self.spill is None:
            codes, lengths = keep_tokens(codes, lengths, codes < len(self.first_words))
            if self.min_tokens:
                self.short.append(self._is_short(lengths))
                codes, lengths = _drop_documents(codes, lengths, self.short[-1])
            self._append(count_tokens(codes, lengths, len(self.first_words)), codes)
            return
        if not self.finds_phrases:  # phrases do not span stop words, so these have to stay for now
            codes, lengths = self._without_stop_words(codes, lengths)
            self._add_frequencies(codes, lengths)
        self.spill.append(codes)
        self.lengths.append(lengths)

    def _without_stop_words(
        self, codes: NDArray[np.int32], lengths: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        n_codes = len(codes)
        codes, lengths = keep_tokens(codes, lengths, codes >= len(self.first_words))
        self.n_stop_words += n_codes - len(codes)
        return codes - np.int32(len(self.first_words)), lengths

    def _add_frequencies(self, codes: NDArray[np.int32], lengths: NDArray[np.int64]) -> None:
        n_words = int(codes.max()) + 1 if len(codes) else 0
        if n_words > len(self.document_frequency):
            grown = np.zeros(max(n_words, 2 * len(self.document_frequency)), dtype=np.int64)
            grown[: len(self.document_frequency)] = self.document_frequency
            self.document_frequency = grown
        # Only the positions of nonzero counts matter, so overflow of int8 does no harm.
        found = np.bincount(count_tokens(codes, lengths, n_words, np.int8).indices, minlength=n_words)
        self.document_frequency[:n_words] += found

    def _count_spilled(self, spill: GrowingArray) -> None:
        """Choose the vocabulary and count its words among the tokens in `spill`."""
        tokens = spill.whole()
        listed = self.words.listed()
        if self.finds_phrases:
            tokens, listed = self._with_phrases(tokens, listed)
        self._count_passages(tokens)
        chosen = self._choose(listed[len(self.first_words) :], self.options.pruning)
        if self.min_tokens:
            chosen = self._without_short(tokens, chosen, len(listed))
        numbers = np.full(len(listed), -1, dtype=np.int32)
        numbers[chosen] = np.arange(len(chosen), dtype=np.int32)

        def count(
            batch: tuple[tuple[NDArray[np.int32], NDArray[np.int64]], NDArray[np.bool_] | None],
        ) -> tuple[csr_matrix, NDArray[np.int32]]:
            (codes, lengths), short = batch
            renumbered = numbers[codes]
            known, lengths = keep_tokens(renumbered, lengths, renumbered >= 0)
            if short is not None:
                known, lengths = _drop_documents(known, lengths, short)
            return count_tokens(known, lengths, len(chosen)), known

        left_out = self.short if self.min_tokens else repeat(None)
        for counts, known in map_in_order(count, zip(self._batches(tokens), left_out, strict=False)):
            self._append(counts, known)
            release_pages(tokens)
        del tokens
        spill.discard()
        if self.finds_phrases and self.folder is not None:
            (self.folder / "joined.npy").unlink()

    def _count_passages(self, tokens: NDArray[np.int32]) -> None:
        """Count document frequencies over passages, if the corpus is small and is to be split into passages."""
        self.n_filled = sum(int((lengths > 0).sum()) for lengths in self.lengths)
        size = self.options.pruning.passages
        if size is None or self.n_filled >= SMALL_CORPUS or self.every_word:
            return
        self.document_frequency = np.zeros(0, dtype=np.int64)
        self.n_filled = 0
        for codes, lengths in self._batches(tokens):
            _, _, lengths_of_passages = passage_lengths(lengths, size)
            self._add_frequencies(np.asarray(codes), lengths_of_passages)
            self.n_filled += int((lengths_of_passages > 0).sum())

    def _is_short(self, lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which documents of a batch, given their numbers of counted tokens, have some but too few."""
        return (lengths > 0) & (lengths < self.min_tokens)

    def _without_short(self, tokens: NDArray[np.int32], chosen: NDArray[np.intp], n_words: int) -> NDArray[np.intp]:
        """Find the documents with too few counted tokens, and keep the chosen words that other documents contain."""
        is_chosen, seen = np.zeros(n_words, dtype=bool), np.zeros(n_words, dtype=bool)
        is_chosen[chosen] = True
        for codes, lengths in self._batches(tokens):
            known, lengths = keep_tokens(codes, lengths, is_chosen[codes])
            self.short.append(self._is_short(lengths))
            seen[_drop_documents(known, lengths, self.short[-1])[0]] = True
            release_pages(tokens)
        if not seen.any():
            raise CorpusError(
                f"no document has {self.min_tokens} counted words or more: lower --min-tokens, or check --min-df"
            )
        kept = seen[chosen]
        self.vocabulary = [word for word, keep in zip(self.vocabulary or [], kept, strict=True) if keep]
        return chosen[kept]

    def _batches(self, tokens: NDArray[np.int32]) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int64]]]:
        begin = 0
        for lengths in self.lengths:
            end = begin + int(lengths.sum())
            yield tokens[begin:end], lengths
            begin = end

    def _with_phrases(self, tokens: NDArray[np.int32], listed: pl.Series) -> tuple[NDArray[np.int32], pl.Series]:
        """Find and join phrases in the tokens, drop the stop words, and append the phrases to the words."""

        def documents() -> Iterator[list[str]]:
            for codes, lengths in self._batches(tokens):
                words = listed.gather(codes).to_list()
                ends = np.cumsum(lengths).tolist()
                yield from (words[end - n : end] for end, n in zip(ends, lengths.tolist(), strict=True))

        self.phrases = tuple(find_phrases(documents(), stop_words=set(self.first_words)))
        codes_of = {word: code for code, word in enumerate(listed.to_list())}
        new = [word for word in dict.fromkeys(map(JOINT.join, self.phrases)) if word not in codes_of]
        codes_of |= {word: len(codes_of) + i for i, word in enumerate(new)}
        joined, joiner = self._array("joined"), Joiner(list(self.phrases), codes_of)
        for number, (codes, lengths) in enumerate(self._batches(tokens)):
            codes, starts = joiner(np.asarray(codes), starts_of(lengths))
            codes, kept = self._without_stop_words(codes, np.diff(starts))
            self._add_frequencies(codes, kept)
            joined.append(codes)
            self.lengths[number] = kept
        return joined.whole(), pl.concat([listed, pl.Series(new, dtype=pl.String)])

    def _choose(self, words: pl.Series, pruning: Pruning) -> NDArray[np.intp]:
        """Return the ids of the words to count, in alphabetical order, and set the vocabulary."""
        n_docs = sum(len(ids) for ids in self.ids)
        if n_docs == 0 and not self.every_word:
            raise CorpusError("the corpus holds no documents: expected one document per line, row or file")
        frequency = np.zeros(len(words), dtype=np.int64)
        known = self.document_frequency[: len(words)]
        frequency[: len(known)] = known
        if self.every_word:
            seen = np.flatnonzero(frequency)
            chosen: NDArray[np.intp] = seen[words.gather(seen).arg_sort().to_numpy()]
        else:
            if not frequency.any():
                n_blank = sum(int(blank.sum()) for blank in self.blank)
                empty = f"{n_blank:,} are empty or a marker of a missing value, and " if n_blank else ""
                raise CorpusError(
                    f"none of the {n_docs:,} documents holds a word (two letters or more, not a stop word);"
                    f" {empty}{self.n_stop_words:,} stop words were left out: check the file, --text-column, --lang and"
                    " --stop-words"
                )
            chosen = pruning.keep(words, frequency, self.n_filled, n_stop_words=self.n_stop_words)
        self.vocabulary = words.gather(chosen).to_list()
        return chosen

    def _append(self, counts: csr_matrix, codes: NDArray[np.int32]) -> None:
        """Append the counts and the tokens of a batch, numbered by the vocabulary."""
        before = self.nonzeros
        self.nonzeros += counts.nnz
        if self.nonzeros > MAX_NONZEROS:
            raise CorpusError(
                f"the corpus has more than {MAX_NONZEROS:,} nonzero counts, the most that topicnet can hold:"
                " raise --min-df, lower --max-vocab, or split the corpus"
            )
        self.starts.append(before + counts.indptr[1:].astype(np.int64))
        for name, part in (("data", counts.data), ("indices", counts.indices), ("tokens", codes)):
            self.results[name].append(part)

    def _result(self) -> Counted:
        indptr = np.concatenate(self.starts).astype(np.int32)
        if self.folder is not None:
            np.save(self.folder / "indptr.npy", indptr, allow_pickle=False)
        described = self.options.describe()
        if self.finds_phrases:
            described |= {"phrases": [list(words) for words in self.phrases]}
        blank = np.concatenate([np.zeros(0, dtype=bool), *self.blank])
        short = np.concatenate([np.zeros(0, dtype=bool), *self.short]) if self.min_tokens else np.zeros_like(blank)
        numbered = np.concatenate([np.zeros(0, dtype=bool), *self.numbered])
        return Counted(
            **{name: array.whole() for name, array in self.results.items()},
            indptr=indptr,
            vocabulary=self.vocabulary or [],
            ids=free_row_ids(pl.concat([pl.Series([], dtype=pl.String), *self.ids]), numbered),
            status=status_of(np.diff(indptr), blank, short, self.repeated.dropped()),
            metadata=_join_tables(self.metadata),
            excerpts=self.excerpts_found if len(self.excerpts_found) == sum(map(len, self.ids)) else [],
            texts=self.texts if self.keep_texts else None,
            sha256=self.checksum.hexdigest(),
            options=described,
            duplicates=self.repeated.described(),
        )


def _drop_documents(
    codes: NDArray[np.int32], lengths: NDArray[np.int64], left_out: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Remove the tokens of the documents left out, which stay in the batch with length 0."""
    return codes[~np.repeat(left_out, lengths)], np.where(left_out, 0, lengths)


def _metadata_table(documents: Documents, columns: list[str] | None) -> pl.DataFrame:
    """Return the metadata columns of a batch (all, or those requested) as a table, with the row number first."""
    rows = pl.DataFrame({ROW_NUMBER: np.arange(len(documents.ids))})
    metadata = documents.metadata
    if columns is not None:
        metadata = [{name: row[name] for name in columns if name in row} for row in metadata]
    if not any(metadata):
        return rows
    return rows.hstack(pl.DataFrame(metadata, infer_schema_length=None, strict=False))


def _join_tables(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Join the tables of all batches, converting a column to text if its type differs between batches."""
    if all(frame.width == 1 for frame in frames):
        return pl.DataFrame()
    try:
        table = pl.concat(frames, how="diagonal_relaxed")
    except pl.exceptions.PolarsError:
        kinds: dict[str, set[pl.DataType]] = {}
        for frame in frames:
            for name, kind in frame.schema.items():
                kinds.setdefault(name, set()).add(kind)
        mixed = [name for name, found in kinds.items() if len(found - {pl.Null()}) > 1]
        texts = [frame.with_columns(pl.col(n).cast(pl.String) for n in mixed if n in frame.columns) for frame in frames]
        table = pl.concat(texts, how="diagonal_relaxed")
    return table.drop(ROW_NUMBER)
