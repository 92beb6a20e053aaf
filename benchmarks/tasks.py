"""Tasks for benchmarks of models: corpora with held-out halves, and the results and costs of fits."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, load_npz

from topicnet.evaluate.perplexity import split_documents
from topicnet.text.corpus import Corpus

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Texts:
    """Texts of a corpus, in addition to its counts.

    `train` holds the training texts, `first` the first half of each test document as words in reading order (the half
    is drawn word by word). `tokens` are the concatenated word ids of the training documents.
    """

    vocabulary: list[str]
    train: list[str]
    first: list[str]
    tokens: NDArray[np.int32]


@dataclass(frozen=True)
class Task:
    """Training documents with labels, and the two halves of the test documents."""

    name: str
    train: csr_matrix
    first: csr_matrix
    second: csr_matrix
    labels: NDArray[np.int64] | None
    n_topics: int
    texts: Texts | None = None


@dataclass
class Cost:
    """Cost of a fit: seconds, CPU seconds, and MB of memory at its start and peak, including child processes."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    start_mb: float = 0.0
    peak_mb: float = 0.0


@dataclass(frozen=True)
class Fitted:
    """Result of a fit: topics, theta of the training documents, perplexities and cost.

    A row of `beta` ranks the words of a topic as the system itself does. `half_theta` is theta of the first halves, if
    p(w|d) is theta @ beta and another library inferred it.
    """

    beta: NDArray[np.float64]
    theta: NDArray[np.float64]
    perplexity: float
    refined: float
    cost: Cost
    half_theta: NDArray[np.float64] | None = None
    note: str = ""


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure the cost of a block; the values are set at its end."""
    cost = Cost(start_mb=_memory_mb("VmRSS"))
    if CLEAR.exists():
        CLEAR.write_text("5")  # reset the peak, because reading a corpus may take more memory than a fit
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    began, cpu = time.perf_counter(), time.process_time()
    yield cost
    cost.seconds, cost.cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cost.cpu_seconds += after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime
    cost.peak_mb = _memory_mb("VmHWM")
    if after.ru_maxrss > children.ru_maxrss:
        # A fork shares the memory in use at the start of the fit.
        cost.peak_mb += max(0.0, after.ru_maxrss * _BYTES / 1e6 - cost.start_mb)


_BYTES = 1 if sys.platform == "darwin" else 1024


def _memory_mb(entry: str) -> float:
    """Read an entry of this process's memory on Linux; elsewhere return its peak."""
    if not STATUS.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _BYTES / 1e6
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(entry))
    return int(line.split()[1]) * 1024 / 1e6


def read_20ng(folder: Path) -> Task:
    train, first, second = (load_npz(folder / f"20ng_etm_bow/{name}.npz").tocsr() for name in ("tr", "ts_h1", "ts_h2"))
    return Task("20ng_etm_bow", train, first, second, None, 50)


def read_titles(folder: Path, name: str) -> Task:
    from sklearn.feature_extraction.text import CountVectorizer

    rows = [line.split("\t") for line in (folder / name / "corpus.tsv").read_text("utf-8").splitlines()]
    vocabulary = (folder / name / "vocabulary.txt").read_text("utf-8").split()
    counter = CountVectorizer(vocabulary=vocabulary, token_pattern=r"\S+")
    counts = counter.transform([text for text, _, _ in rows]).tocsr()
    test = np.array([part == "test" for _, part, _ in rows])
    labels = np.array([int(label) for _, _, label in rows])
    return Task(name, counts[~test], *split_documents(counts[test], seed=0), labels[~test], 20)


def read_20ng_text(folder: Path) -> Task:
    from topicnet.text.readers.read import read_documents

    train = Corpus.from_documents(read_documents(folder / "20ng/train.jsonl.gz"), keep_texts=True)
    test = Corpus.from_documents(read_documents(folder / "20ng/test.jsonl.gz"), vocabulary=train.vocabulary)
    labels = np.unique(train.metadata["label"].to_list(), return_inverse=True)[1]
    first, second = split_documents(test.counts, seed=0)
    texts = Texts(train.vocabulary, train.texts or [], half_texts(test, first), train.tokens)
    return Task("20ng, stripped text", train.counts, first, second, labels, 20, texts)


def half_texts(corpus: Corpus, half: csr_matrix) -> list[str]:
    """Return the words of each document's half in reading order, using the first occurrences of each word."""
    ends = np.cumsum(corpus.lengths)
    texts = []
    for row, tokens in enumerate(np.split(corpus.tokens, ends[:-1])):
        entries = slice(half.indptr[row], half.indptr[row + 1])
        left = dict(zip(half.indices[entries].tolist(), half.data[entries].tolist(), strict=True))
        words = []
        for token in tokens.tolist():
            if left.get(token, 0) > 0:
                left[token] -= 1
                words.append(corpus.vocabulary[token])
        texts.append(" ".join(words))
    return texts


CORPORA: dict[str, Callable[[Path], Task]] = {
    "20ng": read_20ng,
    "m10": lambda folder: read_titles(folder, "m10"),
    "dblp": lambda folder: read_titles(folder, "dblp"),
    "20ng-text": read_20ng_text,
}
