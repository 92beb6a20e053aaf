"""Input checks of the scores: tables of word ids, sparse counts, rows of probabilities."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from topicnet.errors import InputError
from topicnet.evaluate.occurrences import Counts

SUM_TOLERANCE = 1e-3  # allowed error of a row's sum: that of a float32 softmax over a large vocabulary


def checked_topics(topics: NDArray[np.integer], *, distinct: bool = False) -> NDArray[np.intp]:
    """Return topics as an array of word ids, or raise InputError.

    Parameters
    ----------
    topics : ndarray of shape (K, N), int
        Word ids; at least one topic and one word.
    distinct : bool
        Reject a topic that repeats a word.

    Returns
    -------
    ndarray of shape (K, N), intp
        The same ids, not copied where their type already fits.

    Raises
    ------
    InputError
        If `topics` is not a non-empty table of integers, or a topic repeats a word under `distinct`.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.checks import checked_topics
    >>> checked_topics(np.array([[0, 1], [2, 3]]), distinct=True).shape
    (2, 2)
    """
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
    """Return counts as a CSR array, or raise InputError. Their values are not checked.

    Parameters
    ----------
    counts : sparse matrix of shape (D, V)
        Documents in the rows, words in the columns.
    name : str
        Name of the argument, for the message.

    Returns
    -------
    csr_array of shape (D, V)
        The same counts.

    Raises
    ------
    InputError
        If `counts` is not a two-dimensional scipy sparse matrix.

    Examples
    --------
    >>> from scipy.sparse import csc_matrix
    >>> from topicnet.evaluate.checks import checked_counts
    >>> checked_counts(csc_matrix([[1, 0, 2]])).format
    'csr'
    """
    if not issparse(counts) or counts.ndim != 2:
        raise InputError(f"{name} is a {type(counts).__name__}; expected a scipy sparse matrix (D, V)")
    return csr_array(counts)


def checked_rows(table: NDArray[np.floating], name: str, least: int = 0) -> NDArray[np.float64]:
    """Return rows of probabilities in double precision, or raise InputError.

    Parameters
    ----------
    table : ndarray of shape (n, m)
        A probability distribution in each row, exact to 1e-3 (`SUM_TOLERANCE`) in its sum.
    name : str
        Name of the argument, for the message.
    least : int
        Lowest number of rows to accept.

    Returns
    -------
    ndarray of shape (n, m), float64
        The same rows, not normalised again.

    Raises
    ------
    InputError
        If the table has another shape, or a row is not a distribution.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.checks import checked_rows
    >>> checked_rows(np.array([[0.25, 0.75]], dtype=np.float32), "beta").dtype
    dtype('float64')
    """
    rows = np.asarray(table, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] == 0 or len(rows) < least:
        raise InputError(f"{name} has shape {rows.shape}; expected a table with a distribution in each row")
    valid = (rows >= 0).all(axis=1) & (np.abs(rows.sum(axis=1) - 1.0) <= SUM_TOLERANCE)
    if not valid.all():
        raise InputError(f"row {int(valid.argmin())} of {name} is not a distribution; expected rows that sum to 1")
    return rows
