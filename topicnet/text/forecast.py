"""What counting a corpus will take, from its size on disk and a look at its first documents."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from topicnet.blocks import resident_memory
from topicnet.errors import CorpusError
from topicnet.text.folders import named_sources
from topicnet.text.options import TextOptions
from topicnet.text.rows import Documents

LOOKED_AT = 1_000  # documents
TELLING_BYTES, MOST_TIMES = 100_000, 100  # of text looked at, for a corpus so many times as large
PACKED = 3.0  # bytes of text to a byte of an archive that does not say
GZIP_LIMIT = 2**32  # a gzip file's last four bytes hold the size of its text up to here
CELL_BYTES = 6  # of punctuation about a cell, in a row of a table
# Measured on two cores beside the tokenizer: reading, coding, sorting and writing.
OTHER_SECONDS_OF_MB = 1 / 60
HEAPS = 0.6  # distinct words grow with this power of the text (Heaps' law), above what corpora show
WORD_BYTES, DOCUMENT_BYTES, BATCH_BYTES = 110, 200, 350_000_000
TOKEN_BYTES, NONZERO_BYTES = 8, 8  # of each token its number twice, until the vocabulary is chosen


@dataclass(frozen=True)
class CountForecast:
    """About what counting a corpus takes.

    Attributes
    ----------
    n_docs : int
    seconds : float
    memory_bytes, disk_bytes : int
        Of the whole process at its peak, and of the files it writes.
    """

    n_docs: int
    seconds: float
    memory_bytes: int
    disk_bytes: int


def forecast_counting(first: Documents, source: str | Sequence[str], options: TextOptions) -> CountForecast | None:
    """Say what counting documents will take, of which the first batch is at hand; None where that tells too little.

    Parameters
    ----------
    first : Documents
    source : str or sequence of str
        Files, folders or patterns, as `read_documents` takes them.
    """
    n_bytes = bytes_of(source)
    if n_bytes is None or not first.ids:
        return None
    looked = slice(0, LOOKED_AT)
    texts = pl.Series(first.texts[looked], dtype=pl.String)
    text_bytes = int(texts.str.len_bytes().sum())
    cells = sum(len(str(k)) + len(str(v)) + CELL_BYTES for row in first.metadata[looked] for k, v in row.items())
    share = max(1.0, n_bytes / max(1, text_bytes + cells + CELL_BYTES * len(texts)))
    if text_bytes < TELLING_BYTES and share > MOST_TIMES:
        return None  # a few short documents say little of what follows
    began = time.perf_counter()
    words = options.tokens(texts)
    seconds = time.perf_counter() - began
    n_tokens = int(words.list.len().sum() or 0)
    distinct = words.explode().n_unique()
    nonzeros = int(words.list.n_unique().sum() or 0)
    n_docs = round(share * len(texts))
    return CountForecast(
        n_docs,
        share * (seconds + text_bytes / 1e6 * OTHER_SECONDS_OF_MB),
        resident_memory() + round(BATCH_BYTES + WORD_BYTES * distinct * share**HEAPS + DOCUMENT_BYTES * n_docs),
        round(share * (TOKEN_BYTES * n_tokens + NONZERO_BYTES * nonzeros)),
    )


def bytes_of(source: str | Sequence[str]) -> int | None:
    """About how many bytes the text of these files has once unpacked; None for standard input and unknown paths."""
    total = 0
    with suppress(OSError, CorpusError):
        for one in named_sources(source):
            path = Path(one)
            if not path.exists():
                return None
            files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
            total += sum(_unpacked(file) for file in files)
        return total
    return None


def _unpacked(path: Path) -> int:
    size = path.stat().st_size
    kind = path.suffix.lower()
    if kind == ".gz" and 18 <= size < GZIP_LIMIT // 8:
        with path.open("rb") as file:
            file.seek(-4, 2)
            said = int(np.frombuffer(file.read(4), dtype="<u4")[0])
        return said if size / 2 <= said <= 50 * size else round(PACKED * size)  # of several members, the last one's
    return round(PACKED * size) if kind in (".gz", ".zst", ".parquet", ".xlsx") else size
