"""Jensen-Shannon divergence between topics, computed one row of topics at a time to limit memory."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from topicnet.errors import InputError
from topicnet.evaluate.checks import checked_rows


def js_divergence(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """Jensen-Shannon divergence of every row of `first` from every row of `second`.

    The divergence of p and q is H((p + q) / 2) - (H(p) + H(q)) / 2, with H the entropy in bits.

    Parameters
    ----------
    first : ndarray of shape (K, V)
        Topic-word probabilities, rows sum to 1.
    second : ndarray of shape (L, V)
        Topic-word probabilities over the same vocabulary, rows sum to 1.

    Returns
    -------
    ndarray of shape (K, L), float64
        Bits, each in [0, 1]: 0 between equal rows, 1 between rows without a word in common.

    Raises
    ------
    InputError
        If the vocabularies differ in size, or a row is not a distribution.

    Notes
    -----
    Lin 1991, Divergence measures based on the Shannon entropy, IEEE Transactions on Information Theory 37. The square
    root of the divergence is a distance.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.distance import js_divergence
    >>> js_divergence(np.array([[1.0, 0.0, 0.0]]), np.eye(3)).tolist()
    [[0.0, 1.0, 1.0]]
    """
    p, q = checked_rows(first, "topics", 1), checked_rows(second, "topics", 1)
    if p.shape[1] != q.shape[1]:
        raise InputError(f"topics over {p.shape[1]} and {q.shape[1]} words given; expected one vocabulary")
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    mixed = np.stack([_entropy((row + q) / 2) for row in p])  # (K, L)
    apart = mixed - (_entropy(p)[:, None] + _entropy(q)) / 2
    bits: NDArray[np.float64] = np.clip(apart, 0.0, 1.0)  # rounding may leave the range
    return bits


def _entropy(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the entropy of each row, in bits."""
    bits: NDArray[np.float64] = -xlogy(rows, rows).sum(axis=1) / np.log(2.0)
    return bits
