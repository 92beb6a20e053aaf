"""Estimate of the time, memory and disk space needed to count a corpus, from its size and its first documents."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from topicnet.errors import CorpusError
from topicnet.runtime.memory import resident_memory
from topicnet.text.readers.compression import COMPRESSIONS
from topicnet.text.readers.documents import Documents
from topicnet.text.readers.folders import ARCHIVE, contents_of_folder, named_sources
from topicnet.text.readers.mallet import OCTIS_CORPUS, is_octis
from topicnet.text.tokens.options import TextOptions
from topicnet.text.tokens.tokenize import LONG_TEXT

SAMPLE_DOCS, SAMPLE_CHARACTERS = 1_000, 20_000  # documents to sample, and characters of each
COMPRESSED = (*COMPRESSIONS, ARCHIVE, ".parquet", ".xlsx", ".xlsm", ".xlsb", ".ods")
COMPRESSION_RATIO = 3.0  # assumed where a file does not store its uncompressed size
GZIP_LIMIT = 2**32  # a gzip file stores its uncompressed size in four bytes
# Measured on two cores while tokenising: reading, numbering words, sorting and writing.
OTHER_SECONDS_PER_MB = 1 / 60
HEAPS_EXPONENT = 0.6  # distinct words grow with this power of the text (Heaps' law); higher than corpora show
WORD_BYTES, DOCUMENT_BYTES, BATCH_BYTES = 110, 200, 350_000_000
LONG_DOCUMENT_BYTES = 9  # per character of a document that is longer than a batch
TOKEN_BYTES, NONZERO_BYTES = 8, 8  # each token is stored twice until the vocabulary is chosen


@dataclass(frozen=True)
class CountForecast:
    """Estimated cost of counting a corpus.

    Attributes
    ----------
    n_docs : int
        Number of documents.
    seconds : float
        Time to count them, in seconds.
    memory_bytes : int
        Peak memory of the whole process.
    disk_bytes : int
        Size of the files that are written.
    """

    n_docs: int
    seconds: float
    memory_bytes: int
    disk_bytes: int


def forecast_counting(first: Documents, source: str | Sequence[str], options: TextOptions) -> CountForecast | None:
    """Estimate the cost of counting a source from its first batch; None if its size is unknown.

    Parameters
    ----------
    first : Documents
        The first batch of documents.
    source : str or sequence of str
        Files, folders or glob patterns, as for `read_documents`.
    options : TextOptions

    Returns
    -------
    CountForecast or None
    """
    batches = _batches(first, source)
    if batches is None or not first.ids:
        return None
    sample = first.texts[:SAMPLE_DOCS]
    texts = pl.Series([text[:SAMPLE_CHARACTERS] for text in sample], dtype=pl.String)
    lengths = [len(text) for text in first.texts]
    factor = batches * sum(lengths) / max(1, int(texts.str.len_chars().sum()))  # of all text to the sample
    options.tokens(texts.head(5))  # warm up: loads the tokenizer
    began = time.perf_counter()
    words = options.tokens(texts)
    seconds = time.perf_counter() - began
    n_tokens = int(words.list.len().sum() or 0)
    distinct = words.explode().n_unique()
    nonzeros = int(words.list.n_unique().sum() or 0)
    cells = sum(len(str(value)) for row in first.metadata[:SAMPLE_DOCS] for value in row.values()) / len(sample)
    n_docs = round(batches * len(first.ids))
    text_bytes = int(texts.str.len_bytes().sum())
    memory = BATCH_BYTES + WORD_BYTES * distinct * factor**HEAPS_EXPONENT + (DOCUMENT_BYTES + cells) * n_docs
    return CountForecast(
        n_docs,
        factor * (seconds + text_bytes / 1e6 * OTHER_SECONDS_PER_MB),
        resident_memory() + round(memory + LONG_DOCUMENT_BYTES * max(0, max(lengths) - LONG_TEXT)),
        round(factor * (TOKEN_BYTES * n_tokens + NONZERO_BYTES * nonzeros)),
    )


def _batches(first: Documents, source: str | Sequence[str]) -> float | None:
    """Estimate the number of batches in a source if all are as large as the first; None if its size is unknown."""
    files = _files_of(source)
    if not files or not first.ids:
        return None
    if all(file.suffix.lower() == ".parquet" for file in files):
        with suppress(pl.exceptions.PolarsError):
            n_docs = sum(int(pl.scan_parquet(file, glob=False).select(pl.len()).collect().item()) for file in files)
            return max(1.0, n_docs / len(first.ids))
        return None
    if not first.n_bytes:
        return None
    return max(1.0, sum(_text_bytes(file) for file in files) / first.n_bytes)


def _files_of(source: str | Sequence[str]) -> list[Path]:
    """Return the files that a source names; an empty list for standard input and unknown paths."""
    found: list[Path] = []
    with suppress(OSError, CorpusError):
        for one in named_sources(source):
            path = Path(one)
            if path.is_dir():
                octis = is_octis(path)
                found += [path / OCTIS_CORPUS] if octis else [one.path for one in contents_of_folder(path, None).files]
            elif path.is_file():
                found.append(path)
            else:
                return []
    return found


def _text_bytes(path: Path) -> int:
    """Return the uncompressed size of a file, estimated if it is not stored."""
    size = path.stat().st_size
    kind = path.suffix.lower()
    if kind == ".gz" and 18 <= size < GZIP_LIMIT // 8:
        with path.open("rb") as file:
            file.seek(-4, 2)
            stored = int(np.frombuffer(file.read(4), dtype="<u4")[0])
        # In a file of several members this is the size of the last member only.
        return stored if size / 2 <= stored <= 50 * size else round(COMPRESSION_RATIO * size)
    return round(COMPRESSION_RATIO * size) if kind in COMPRESSED else size
