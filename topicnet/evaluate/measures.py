"""Formulas of topic coherence, without the counting: from co-occurrence counts (K, N, N) to one score per topic (K,).

Most callers want the functions of the same names in :mod:`topicnet.evaluate.coherence`, which count and score in one
call.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from topicnet.evaluate.occurrences import Occurrences

EPSILON = 1e-12  # gensim's smoothing: keeps the logarithm finite for a pair that never co-occurs


def pairs_of(table: NDArray[Any]) -> NDArray[Any]:
    """Select the entries i < j of a table of word pairs.

    Parameters
    ----------
    table : ndarray of shape (K, N, N)
        One value for each pair of words of each topic.

    Returns
    -------
    ndarray of shape (K, N (N - 1) / 2)
        Pairs in the order (0, 1), (0, 2), ..., (N - 2, N - 1).

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.measures import pairs_of
    >>> pairs_of(np.arange(9).reshape(1, 3, 3)).tolist()
    [[1, 2, 5]]
    """
    first, second = np.triu_indices(table.shape[1], k=1)
    return table[:, first, second]


def _probabilities(occurrences: Occurrences) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return p_ij (K, N, N) and p_i p_j (K, N, N)."""
    p = occurrences.joint / float(occurrences.n_contexts)
    alone = np.diagonal(p, axis1=1, axis2=2)
    return p, alone[:, :, None] * alone[:, None, :]


def _mean(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average over the pairs, or the words, of each topic: (K,)."""
    means: NDArray[np.float64] = scores.mean(axis=1)
    return means


def npmi(occurrences: Occurrences) -> NDArray[np.float64]:
    """Mean normalised pointwise mutual information (NPMI), without smoothing.

    Parameters
    ----------
    occurrences : Occurrences
        Co-occurrence counts, usually of documents.

    Returns
    -------
    ndarray of shape (K,), float64
        Each in [-1, 1]. A pair that never co-occurs scores -1, one that occurs in every context 1.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.measures import npmi
    >>> from topicnet.evaluate.occurrences import Occurrences
    >>> npmi(Occurrences(n_contexts=4, joint=np.array([[[2, 1], [1, 2]]]))).tolist()
    [0.0]
    """
    joint, n_contexts = pairs_of(occurrences.joint), float(occurrences.n_contexts)
    alone = np.diagonal(occurrences.joint, axis1=1, axis2=2).astype(np.float64)
    expected = pairs_of(alone[:, :, None] * alone[:, None, :])
    scores = np.full(joint.shape, -1.0)
    scores[joint == occurrences.n_contexts] = 1.0
    some = (joint > 0) & (joint < occurrences.n_contexts)
    lift = n_contexts * joint[some] / expected[some]  # p_ij / (p_i p_j)
    scores[some] = np.log(lift) / np.log(n_contexts / joint[some])
    return _mean(scores)


def u_mass(occurrences: Occurrences) -> NDArray[np.float64]:
    """Mean log conditional probability of a word given a more probable one (U_Mass).

    Parameters
    ----------
    occurrences : Occurrences
        Co-occurrence counts, usually of documents, for words in descending order of probability.

    Returns
    -------
    ndarray of shape (K,), float64
        Nats, each in [log 1e-12, 0].

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.measures import u_mass
    >>> from topicnet.evaluate.occurrences import Occurrences
    >>> u_mass(Occurrences(n_contexts=4, joint=np.array([[[2, 1], [1, 2]]]))).round(6).tolist()  # log 1/2
    [-0.693147]
    """
    p, _ = _probabilities(occurrences)
    given = pairs_of(np.repeat(np.diagonal(p, axis1=1, axis2=2)[:, :, None], p.shape[1], axis=2))  # p_j of the earlier
    with np.errstate(divide="ignore"):
        scores = np.where(given > 0, np.log(pairs_of(p) + EPSILON) - np.log(given), np.log(EPSILON))
    return _mean(np.minimum(scores, 0.0))


def c_uci(occurrences: Occurrences) -> NDArray[np.float64]:
    """Mean smoothed pointwise mutual information (C_UCI).

    Parameters
    ----------
    occurrences : Occurrences
        Co-occurrence counts, usually of sliding windows.

    Returns
    -------
    ndarray of shape (K,), float64
        Nats; log 1e-12 for a pair with a word that never occurs.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.measures import c_uci
    >>> from topicnet.evaluate.occurrences import Occurrences
    >>> c_uci(Occurrences(n_contexts=4, joint=np.array([[[2, 2], [2, 2]]]))).round(6).tolist()  # log 2
    [0.693147]
    """
    return _mean(pairs_of(_information(occurrences)))


def _information(occurrences: Occurrences) -> NDArray[np.float64]:
    """Smoothed pointwise mutual information of each pair, (K, N, N) nats."""
    p, independent = _probabilities(occurrences)
    with np.errstate(divide="ignore"):
        return np.where(independent > 0, np.log(p + EPSILON) - np.log(independent), np.log(EPSILON))


def _normalised(occurrences: Occurrences) -> NDArray[np.float64]:
    """Smoothed pointwise mutual information divided by -log p_ij, (K, N, N)."""
    p, _ = _probabilities(occurrences)
    scores = _information(occurrences) / -np.log(np.where(p < 1, p, 0.5) + EPSILON)
    scores[p == 1] = 1.0
    return scores


def c_npmi(occurrences: Occurrences) -> NDArray[np.float64]:
    """Mean smoothed, normalised pointwise mutual information (C_NPMI).

    Parameters
    ----------
    occurrences : Occurrences
        Co-occurrence counts, usually of sliding windows.

    Returns
    -------
    ndarray of shape (K,), float64
        Each in [-1, 1], but for the smoothing.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.measures import c_npmi
    >>> from topicnet.evaluate.occurrences import Occurrences
    >>> c_npmi(Occurrences(n_contexts=4, joint=np.array([[[2, 2], [2, 2]]]))).round(6).tolist()
    [1.0]
    """
    return _mean(pairs_of(_normalised(occurrences)))


def c_v(occurrences: Occurrences) -> NDArray[np.float64]:
    """Mean cosine between each word's vector of C_NPMI scores and the sum of these vectors (C_V).

    Parameters
    ----------
    occurrences : Occurrences
        Co-occurrence counts, usually of sliding windows.

    Returns
    -------
    ndarray of shape (K,), float64
        Each in [-1, 1]. A word that never occurs scores -1 and is left out of the other words' vectors.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.measures import c_v
    >>> from topicnet.evaluate.occurrences import Occurrences
    >>> c_v(Occurrences(n_contexts=4, joint=np.array([[[2, 2], [2, 2]]]))).round(6).tolist()
    [1.0]
    """
    vectors = _normalised(occurrences)  # (K, N, N)
    seen = np.diagonal(occurrences.joint, axis1=1, axis2=2) > 0  # (K, N)
    # A word that never occurs has the same lowest score with every other word, which would make their vectors alike.
    vectors = vectors * (seen[:, :, None] & seen[:, None, :])
    whole = vectors.sum(axis=1)  # (K, N)
    lengths = np.linalg.norm(vectors, axis=2) * np.linalg.norm(whole, axis=1, keepdims=True)
    products = np.einsum("kij,kj->ki", vectors, whole)
    cosines = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    return _mean(np.where(seen, cosines, -1.0))
