"""Topic diversity: how little the top words of different topics repeat one another."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from topicnet.errors import InputError
from topicnet.evaluate.checks import checked_topics
from topicnet.evaluate.distance import js_divergence


def topic_diversity(topics: NDArray[np.integer]) -> float:
    """Share of distinct words among the top words of all topics (TD; Dieng, Ruiz & Blei 2020).

    Parameters
    ----------
    topics : (K, N) integer array
        Word ids, each topic's top words. TD is defined on the top 25: pass N = 25.

    Returns
    -------
    Distinct words / (K N), in [1/K, 1]: 1 when no two topics share a word.

    Raises
    ------
    InputError
        If ``topics`` is not a table of integer ids, or a topic repeats a word.
    """
    topics = checked_topics(topics, distinct=True)
    return np.unique(topics).size / topics.size


def uniqueness_of_each(topics: NDArray[np.integer]) -> NDArray[np.float64]:
    """Topic uniqueness (TU; Nan et al. 2019): mean over a topic's words of 1 / (number of topics that list the word).

    Parameters
    ----------
    topics : (K, N) integer array
        Word ids, each topic's top words; by custom N = 10.

    Returns
    -------
    (K,) array, each in [1/K, 1]: 1 when no other topic has any of its words. A word in c lists adds 1/c to each of
    them, 1 in all, so their mean equals :func:`topic_diversity` at the same N: the two differ by their customary N
    (10 and 25) alone.

    Raises
    ------
    InputError
        If ``topics`` is not a table of integer ids, or a topic repeats a word.
    """
    topics = checked_topics(topics, distinct=True)
    _, position, n_topics = np.unique(topics, return_inverse=True, return_counts=True)
    means: NDArray[np.float64] = (1.0 / n_topics[position.reshape(topics.shape)]).mean(axis=1)
    return means


def inverted_rbo(topics: NDArray[np.integer], weight: float = 0.9) -> float:
    """One minus the mean rank-biased overlap of all pairs of topics.

    With ``X_d`` the number of words that the first d places of two lists share, and p = ``weight``,
    ``RBO = p^N X_N / N + (1 - p) / p * sum_{d=1}^{N} p^d X_d / d``: the extrapolated RBO of Webber, Moffat &
    Zobel (2010, eq. 32) on lists of one length. As a diversity of topics: Bianchi, Terragni & Hovy 2021.

    Parameters
    ----------
    topics : (K, N) integer array
        Word ids, each topic's top words, the most probable first; by custom N = 10.
    weight : float
        p in (0, 1): the smaller, the more the first places count.

    Returns
    -------
    In [0, 1]: 1 when no two topics share a word, 0 when all lists are the same. One topic alone scores 1.

    Raises
    ------
    InputError
        If ``topics`` is not a table of integer ids, a topic repeats a word, or ``weight`` is outside (0, 1).
    """
    topics = checked_topics(topics, distinct=True)
    if not 0.0 < weight < 1.0:
        raise InputError(f"weight is {weight}; expected a number between 0 and 1, both excluded")
    n_topics, n_words = topics.shape
    if n_topics == 1:
        return 1.0
    pairs = np.triu_indices(n_topics, k=1)
    overlap = np.zeros(pairs[0].size)
    for depth in range(1, n_words + 1):
        agreement = _shared_words(topics[:, :depth])[pairs] / depth  # X_d / d
        overlap += (1.0 - weight) * weight ** (depth - 1) * agreement
    overlap += weight**n_words * agreement
    return float(1.0 - overlap.mean())


def js_diversity(beta: NDArray[np.floating]) -> float:
    """Mean Jensen-Shannon divergence of all pairs of topics, over all words and not the top ones alone.

    Parameters
    ----------
    beta : (K, V) array
        Topic-word probabilities, rows sum to 1.

    Returns
    -------
    Bits, in [0, 1]: 1 when no two topics share a word, 0 when all are the same. One topic alone scores 1.

    Raises
    ------
    InputError
        A row is no distribution.
    """
    apart = js_divergence(beta, beta)
    if len(apart) == 1:
        return 1.0
    return float(apart[np.triu_indices(len(apart), k=1)].mean())


def _shared_words(topics: NDArray[np.intp]) -> NDArray[np.int64]:
    """(K, K) number of words that two topics' lists have in common."""
    n_topics, n_words = topics.shape
    words, position = np.unique(topics, return_inverse=True)
    rows = np.arange(0, topics.size + 1, n_words)
    ones = np.ones(topics.size, dtype=np.int64)
    member = csr_array((ones, position.reshape(-1), rows), shape=(n_topics, words.size))
    return (member @ member.T).toarray()
