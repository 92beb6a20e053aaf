"""First step of counting: tokenisation of batches of documents, in this process or on other machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from topicnet.text.readers.documents import Documents
from topicnet.text.tokens.options import TextOptions

BATCH_DOCS = 10_000  # most documents per small batch
LONG_TEXT = 8_000_000  # most characters per small batch; a longer document is tokenised piece by piece


class Tokenized(NamedTuple):
    """Words of n texts.

    Attributes
    ----------
    words : polars.Series
        The words of all texts, end to end; or, with `numbers`, each distinct word once.
    numbers : ndarray of shape (N,), int32, optional
        The words of all texts, end to end, as positions in `words`.
    lengths : ndarray of shape (n,), int64
        Number of words of each text.
    blank : ndarray of shape (n,), bool
        Whether a text consists of white space only.
    hashes : ndarray of shape (n,), uint64
        Hash of each text without the white space around it; equal for equal texts.
    """

    words: pl.Series
    numbers: NDArray[np.int32] | None
    lengths: NDArray[np.int64]
    blank: NDArray[np.bool_]
    hashes: NDArray[np.uint64]


# Yields small batches with their words: one `Tokenized` per batch, or one per piece of a single very long text.
Tokenization = Callable[[TextOptions, Iterable[Documents]], Iterator[tuple[Documents, Iterable[Tokenized]]]]


def tokenize_texts(options: TextOptions, texts: list[str]) -> Tokenized:
    """Split texts into words."""
    series = pl.Series("token", texts, dtype=pl.String)
    words = options.tokens(series)
    stripped = series.str.strip_chars()
    blank = (stripped.str.len_bytes() == 0).to_numpy()
    flat = words.explode(keep_nulls=False, empty_as_null=False)
    return Tokenized(flat, None, words.list.len().to_numpy().astype(np.int64), blank, stripped.hash().to_numpy())


def text_hashes(texts: pl.Series) -> NDArray[np.uint64]:
    """Hash each text without the white space around it; comparable only within one process."""
    return texts.str.strip_chars().hash().to_numpy()


def tokenize_locally(
    options: TextOptions, batches: Iterable[Documents]
) -> Iterator[tuple[Documents, Iterable[Tokenized]]]:
    """Tokenise the texts of all batches in this process."""
    for documents in small_batches(batches):
        yield documents, (tokenize_texts(options, piece) for piece in in_pieces(documents.texts))


def small_batches(batches: Iterable[Documents]) -> Iterator[Documents]:
    """Split batches into smaller ones of bounded size, with a very long document in a batch by itself."""
    for documents in batches:
        begin, n_characters = 0, 0
        for at, text in enumerate(documents.texts):
            if at > begin and (at - begin == BATCH_DOCS or n_characters + len(text) > LONG_TEXT):
                yield _part(documents, begin, at)
                begin, n_characters = at, 0
            n_characters += len(text)
        yield _part(documents, begin, len(documents.texts)) if begin else documents


def in_pieces(texts: list[str]) -> Iterator[list[str]]:
    """Yield the texts, or the pieces of a single very long text one by one, split at spaces where possible."""
    if len(texts) != 1 or len(texts[0]) <= LONG_TEXT:
        yield texts
        return
    text, begin = texts[0], 0
    while begin < len(text):
        end = begin + LONG_TEXT
        if end < len(text):
            space = max(text.rfind(" ", begin + 1, end), text.rfind("\n", begin + 1, end))
            end = space if space > 0 else end
        yield [text[begin:end]]
        begin = end


def _part(documents: Documents, begin: int, end: int) -> Documents:
    numbered = [at - begin for at in documents.numbered if begin <= at < end]
    ids, texts, metadata = documents.ids[begin:end], documents.texts[begin:end], documents.metadata[begin:end]
    return Documents(ids, texts, metadata, numbered=numbered)
