"""Topic diversity: scores of how different the topics of a model are, by top words or by whole distributions."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from topicnet.errors import InputError
from topicnet.evaluate.checks import checked_topics
from topicnet.evaluate.distance import js_divergence


def topic_diversity(topics: NDArray[np.integer]) -> float:
    """Fraction of distinct words among the top words of all topics (topic diversity, TD).

    Parameters
    ----------
    topics : ndarray of shape (K, N), int
        Word ids, each topic's top words. TD is defined on the top 25: pass N = 25.

    Returns
    -------
    float
        Distinct words / (K N), in [1/K, 1]: 1 when no two topics share a word.

    Raises
    ------
    InputError
        If `topics` is not a table of integer ids, or a topic repeats a word.

    Notes
    -----
    Dieng, Ruiz & Blei 2020, Topic Modeling in Embedding Spaces, TACL 8.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.diversity import topic_diversity
    >>> topic_diversity(np.array([[0, 1], [1, 2]]))
    0.75
    """
    topics = checked_topics(topics, distinct=True)
    return np.unique(topics).size / topics.size


def uniqueness_of_each(topics: NDArray[np.integer]) -> NDArray[np.float64]:
    """Uniqueness of each topic (TU): mean over its words of 1 / (number of topics that list the word).

    Parameters
    ----------
    topics : ndarray of shape (K, N), int
        Word ids, each topic's top words; usually N = 10.

    Returns
    -------
    ndarray of shape (K,), float64
        Each in [1/K, 1]: 1 when no other topic lists any of the topic's words.

    Raises
    ------
    InputError
        If `topics` is not a table of integer ids, or a topic repeats a word.

    Notes
    -----
    Nan, Ding, Nallapati & Xiang 2019, Topic Modeling with Wasserstein Autoencoders, ACL. A word in c lists adds 1/c to
    each of them, 1 in all. The mean over topics therefore equals :func:`topic_diversity` at the same N; in papers the
    two scores differ only because N is 10 for TU and 25 for TD.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.diversity import uniqueness_of_each
    >>> uniqueness_of_each(np.array([[0, 1], [1, 2], [3, 4]])).tolist()
    [0.75, 0.75, 1.0]
    """
    topics = checked_topics(topics, distinct=True)
    _, position, n_topics = np.unique(topics, return_inverse=True, return_counts=True)
    means: NDArray[np.float64] = (1.0 / n_topics[position.reshape(topics.shape)]).mean(axis=1)
    return means


def inverted_rbo(topics: NDArray[np.integer], weight: float = 0.9) -> float:
    """One minus the mean rank-biased overlap of all pairs of topics.

    The overlap of two lists is ``p^N X_N / N + (1 - p) / p * sum_{d=1}^{N} p^d X_d / d``, with ``X_d`` the number of
    words that the first d entries of both lists share, and p = `weight`.

    Parameters
    ----------
    topics : ndarray of shape (K, N), int
        Word ids, each topic's top words, the most probable first; usually N = 10.
    weight : float
        The p of the formula, in (0, 1): the smaller it is, the more the first entries count.

    Returns
    -------
    float
        In [0, 1]: 1 when no two topics share a word, 0 when all lists are the same. A single topic scores 1.

    Raises
    ------
    InputError
        If `topics` is not a table of integer ids, a topic repeats a word, or `weight` is outside (0, 1).

    Notes
    -----
    Extrapolated rank-biased overlap: Webber, Moffat & Zobel 2010, eq. 32, on lists of equal length. Its use as a topic
    diversity: Bianchi, Terragni & Hovy 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.diversity import inverted_rbo
    >>> round(inverted_rbo(np.array([[0, 1], [1, 0]])), 6)
    0.1
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
    """Mean Jensen-Shannon divergence of all pairs of topics, over the whole vocabulary.

    Parameters
    ----------
    beta : ndarray of shape (K, V)
        Topic-word probabilities, rows sum to 1.

    Returns
    -------
    float
        Bits, in [0, 1]: 1 when no two topics share a word, 0 when all are the same. A single topic scores 1.

    Raises
    ------
    InputError
        If `beta` has no row, or a row is not a distribution.

    Notes
    -----
    Divergence: Lin 1991; see :func:`topicnet.evaluate.distance.js_divergence`.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.diversity import js_diversity
    >>> js_diversity(np.eye(3))
    1.0
    """
    apart = js_divergence(beta, beta)
    if len(apart) == 1:
        return 1.0
    return float(apart[np.triu_indices(len(apart), k=1)].mean())


def _shared_words(topics: NDArray[np.intp]) -> NDArray[np.int64]:
    """Count the words that the lists of each pair of topics share, (K, K)."""
    n_topics, n_words = topics.shape
    words, position = np.unique(topics, return_inverse=True)
    rows = np.arange(0, topics.size + 1, n_words)
    ones = np.ones(topics.size, dtype=np.int64)
    member = csr_array((ones, position.reshape(-1), rows), shape=(n_topics, words.size))
    return (member @ member.T).toarray()
