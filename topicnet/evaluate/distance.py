"""Jensen-Shannon divergence between topics, without a table of topics by topics by words."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from topicnet.errors import InputError
from topicnet.evaluate.checks import checked_rows


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
    p, q = checked_rows(first, "topics", 1), checked_rows(second, "topics", 1)
    if p.shape[1] != q.shape[1]:
        raise InputError(f"topics over {p.shape[1]} and {q.shape[1]} words given; expected one vocabulary")
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    mixed = np.stack([_entropy((row + q) / 2) for row in p])  # (K, L)
    apart = mixed - (_entropy(p)[:, None] + _entropy(q)) / 2
    bits: NDArray[np.float64] = np.clip(apart, 0.0, 1.0)  # what rounding carries past the ends
    return bits


def _entropy(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bits, of each row."""
    bits: NDArray[np.float64] = -xlogy(rows, rows).sum(axis=1) / np.log(2.0)
    return bits
