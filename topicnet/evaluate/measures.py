"""The formulas of topic coherence: from how often words occur together, (K, N, N), to a score of each topic, (K,)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from topicnet.evaluate.occurrences import Occurrences

EPSILON = 1e-12  # gensim's: keeps the logarithm of a pair that never occurs finite


def pairs_of(table: NDArray[Any]) -> NDArray[Any]:
    """(K, P) the entries i < j of (K, N, N)."""
    first, second = np.triu_indices(table.shape[1], k=1)
    return table[:, first, second]


def _shares(occurrences: Occurrences) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """p_ij (K, N, N) and p_i p_j (K, N, N)."""
    p = occurrences.joint / float(occurrences.n_places)
    alone = np.diagonal(p, axis1=1, axis2=2)
    return p, alone[:, :, None] * alone[:, None, :]


def _mean(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K,) over the pairs, or the words, of each topic."""
    means: NDArray[np.float64] = scores.mean(axis=1)
    return means


def npmi(occurrences: Occurrences) -> NDArray[np.float64]:
    """NPMI, unsmoothed: -1 for a pair that shares no place, 1 for one that shares all."""
    joint, n_places = pairs_of(occurrences.joint), float(occurrences.n_places)
    alone = np.diagonal(occurrences.joint, axis1=1, axis2=2).astype(np.float64)
    expected = pairs_of(alone[:, :, None] * alone[:, None, :])
    scores = np.full(joint.shape, -1.0)
    scores[joint == occurrences.n_places] = 1.0
    some = (joint > 0) & (joint < occurrences.n_places)
    lift = n_places * joint[some] / expected[some]  # p_ij / (p_i p_j)
    scores[some] = np.log(lift) / np.log(n_places / joint[some])
    return _mean(scores)


def u_mass(occurrences: Occurrences) -> NDArray[np.float64]:
    """U_Mass: log p(word | a more probable one)."""
    p, _ = _shares(occurrences)
    given = pairs_of(np.repeat(np.diagonal(p, axis1=1, axis2=2)[:, :, None], p.shape[1], axis=2))  # p_j of the earlier
    with np.errstate(divide="ignore"):
        scores = np.where(given > 0, np.log(pairs_of(p) + EPSILON) - np.log(given), np.log(EPSILON))
    return _mean(np.minimum(scores, 0.0))


def c_uci(occurrences: Occurrences) -> NDArray[np.float64]:
    """C_UCI: smoothed pointwise mutual information."""
    return _mean(pairs_of(_information(occurrences)))


def _information(occurrences: Occurrences) -> NDArray[np.float64]:
    """Smoothed pointwise mutual information of each pair, (K, N, N)."""
    p, independent = _shares(occurrences)
    with np.errstate(divide="ignore"):
        return np.where(independent > 0, np.log(p + EPSILON) - np.log(independent), np.log(EPSILON))


def _normalised(occurrences: Occurrences) -> NDArray[np.float64]:
    """The same, normalised."""
    p, _ = _shares(occurrences)
    scores = _information(occurrences) / -np.log(np.where(p < 1, p, 0.5) + EPSILON)
    scores[p == 1] = 1.0
    return scores


def c_npmi(occurrences: Occurrences) -> NDArray[np.float64]:
    """C_NPMI: the same, normalised."""
    return _mean(pairs_of(_normalised(occurrences)))


def c_v(occurrences: Occurrences) -> NDArray[np.float64]:
    """C_V: cosine of each word's vector of normalised scores with their sum; -1 for a word that occurs nowhere."""
    vectors = _normalised(occurrences)  # (K, N, N)
    seen = np.diagonal(occurrences.joint, axis1=1, axis2=2) > 0  # (K, N)
    # A word that occurs nowhere keeps no company: what it has in common with all others must not bring them together.
    vectors = vectors * (seen[:, :, None] & seen[:, None, :])
    whole = vectors.sum(axis=1)  # (K, N)
    lengths = np.linalg.norm(vectors, axis=2) * np.linalg.norm(whole, axis=1, keepdims=True)
    products = np.einsum("kij,kj->ki", vectors, whole)
    cosines = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    return _mean(np.where(seen, cosines, -1.0))
