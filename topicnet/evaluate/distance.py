"""Jensen-Shannon divergence between topics, without a table of topics by topics by words."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from topicnet.errors import InputError

SUM_TOLERANCE = 1e-3  # how far from 1 a row of probabilities may sum: float32 softmax over a large vocabulary


def js_divergence(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """Jensen-Shannon divergence of every row of ``first`` from every row of ``second``.

    H((p + q) / 2) - (H(p) + H(q)) / 2 in bits (Lin 1991); its square root is a distance.

    Parameters
    ----------
    first, second : (K, V) and (L, V) arrays
        Distributions in the rows.

    Returns
    -------
    (K, L) array, each in [0, 1]: 0 between equal rows, 1 between rows without a word in common.

    Raises
    ------
    InputError
        The numbers of words differ, or a row is no distribution.
    """
    p, q = _checked(first), _checked(second)
    if p.shape[1] != q.shape[1]:
        raise InputError(f"topics over {p.shape[1]} and {q.shape[1]} words given; expected one vocabulary")
    mixed = np.stack([_entropy((row + q) / 2) for row in p])  # (K, L)
    apart = mixed - (_entropy(p)[:, None] + _entropy(q)) / 2
    bits: NDArray[np.float64] = np.clip(apart, 0.0, 1.0)  # what rounding carries past the ends
    return bits


def _entropy(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bits, of each row."""
    bits: NDArray[np.float64] = -xlogy(rows, rows).sum(axis=1) / np.log(2.0)
    return bits


def _checked(table: NDArray[np.floating]) -> NDArray[np.float64]:
    rows = np.asarray(table, dtype=np.float64)
    if rows.ndim != 2 or 0 in rows.shape:
        raise InputError(f"topics of shape {rows.shape} given; expected (K, V), at least one topic and one word")
    sums = rows.sum(axis=1, keepdims=True)
    if not ((rows >= 0).all() and (np.abs(sums - 1.0) <= SUM_TOLERANCE).all()):
        raise InputError("a topic is no distribution; expected rows of probabilities that sum to 1")
    probabilities: NDArray[np.float64] = rows / sums
    return probabilities
