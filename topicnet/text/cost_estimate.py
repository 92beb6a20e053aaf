"""What counting a corpus will take, from its size on disk and a look at its first documents."""

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

LOOKED_AT, CHARACTERS = 1_000, 20_000  # documents, and of each
COMPRESSED = (*COMPRESSIONS, ARCHIVE, ".parquet", ".xlsx", ".xlsm", ".xlsb", ".ods")
PACKED = 3.0  # bytes of text to a byte of an archive that does not say
GZIP_LIMIT = 2**32  # a gzip file's last four bytes hold the size of its text up to here
# Measured on two cores beside the tokenizer: reading, coding, sorting and writing.
OTHER_SECONDS_OF_MB = 1 / 60
HEAPS = 0.6  # distinct words grow with this power of the text (Heaps' law), above what corpora show
WORD_BYTES, DOCUMENT_BYTES, BATCH_BYTES = 110, 200, 350_000_000
LONGEST_BYTES = 9  # of each character of a document that is longer than a batch
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
    share = _share(first, source)
    if share is None or not first.ids:
        return None
    looked = first.texts[:LOOKED_AT]
    texts = pl.Series([text[:CHARACTERS] for text in looked], dtype=pl.String)
    lengths = [len(text) for text in first.texts]
    times = share * sum(lengths) / max(1, int(texts.str.len_chars().sum()))  # all text, to what is cut here
    options.tokens(texts.head(5))  # whatever is loaded at first use
    began = time.perf_counter()
    words = options.tokens(texts)
    seconds = time.perf_counter() - began
    n_tokens = int(words.list.len().sum() or 0)
    distinct = words.explode().n_unique()
    nonzeros = int(words.list.n_unique().sum() or 0)
    cells = sum(len(str(value)) for row in first.metadata[:LOOKED_AT] for value in row.values()) / len(looked)
    n_docs = round(share * len(first.ids))
    text_bytes = int(texts.str.len_bytes().sum())
    memory = BATCH_BYTES + WORD_BYTES * distinct * times**HEAPS + (DOCUMENT_BYTES + cells) * n_docs
    return CountForecast(
        n_docs,
        times * (seconds + text_bytes / 1e6 * OTHER_SECONDS_OF_MB),
        resident_memory() + round(memory + LONGEST_BYTES * max(0, max(lengths) - LONG_TEXT)),
        round(times * (TOKEN_BYTES * n_tokens + NONZERO_BYTES * nonzeros)),
    )


def _share(first: Documents, source: str | Sequence[str]) -> float | None:
    """How many times as many documents there are as in the first batch; None where nothing tells."""
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
    return max(1.0, sum(_unpacked(file) for file in files) / first.n_bytes)


def _files_of(source: str | Sequence[str]) -> list[Path]:
    """The files that are read for a source; none for standard input and unknown paths."""
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


def _unpacked(path: Path) -> int:
    size = path.stat().st_size
    kind = path.suffix.lower()
    if kind == ".gz" and 18 <= size < GZIP_LIMIT // 8:
        with path.open("rb") as file:
            file.seek(-4, 2)
            said = int(np.frombuffer(file.read(4), dtype="<u4")[0])
        return said if size / 2 <= said <= 50 * size else round(PACKED * size)  # of several members, the last one's
    return round(PACKED * size) if kind in COMPRESSED else size
