"""What the arrays given to the measures have to be: tables of word ids, sparse counts, rows that sum to 1."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from topicnet.errors import InputError
from topicnet.evaluate.occurrences import Counts

SUM_TOLERANCE = 1e-3  # how far from 1 a row of probabilities may sum: float32 softmax over a large vocabulary


def checked_topics(topics: NDArray[np.integer], *, distinct: bool = False) -> NDArray[np.intp]:
    """Topics (K, N) as word ids; with `distinct` no topic may repeat a word."""
    table = np.asarray(topics)
    if table.ndim != 2 or 0 in table.shape:
        raise InputError(f"topics has shape {table.shape}; expected (K, N) word ids, at least one of each")
    if not np.issubdtype(table.dtype, np.integer):
        raise InputError(f"topics holds {table.dtype}; expected integer word ids, as top_words gives them")
    repeats = (np.diff(np.sort(table, axis=1), axis=1) == 0).any(axis=1)
    if distinct and repeats.any():
        raise InputError(f"topic {int(repeats.argmax())} repeats a word; expected distinct ids in a topic")
    return table.astype(np.intp, copy=False)


def checked_counts(counts: Counts, name: str = "counts") -> csr_array:
    """Counts (D, V) as a CSR array; their values are not looked at."""
    if not issparse(counts) or counts.ndim != 2:
        raise InputError(f"{name} is a {type(counts).__name__}; expected a scipy sparse matrix (D, V)")
    return csr_array(counts)


def checked_rows(table: NDArray[np.floating], name: str, least: int = 0) -> NDArray[np.float64]:
    """A table of at least so many rows, each a distribution but for rounding."""
    rows = np.asarray(table, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] == 0 or len(rows) < least:
        raise InputError(f"{name} has shape {rows.shape}; expected a table with a distribution in each row")
    valid = (rows >= 0).all(axis=1) & (np.abs(rows.sum(axis=1) - 1.0) <= SUM_TOLERANCE)
    if not valid.all():
        raise InputError(f"row {int(valid.argmin())} of {name} is no distribution; expected rows that sum to 1")
    return rows
