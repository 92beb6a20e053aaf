"""Stability of topics over seeds: topics of several runs matched one to one, and how well they agree."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from topicnet.errors import InputError
from topicnet.evaluate.distance import js_divergence

CHANCE = 0.25  # stability of topics of randomly drawn documents: measured on 300 and 11,000 documents, 4 to 50 topics


@dataclass(frozen=True)
class Stability:
    """Agreement of the topics of S runs, each number in [0, 1].

    Parameters
    ----------
    topics : ndarray of shape (S, K)
        For each topic of each run: 1 minus its distance to the matched topic, averaged over the other runs.
    runs : ndarray of shape (S,)
        Mean over the topics of each run.
    value : float
        Mean over all pairs of runs.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.stability import Stability
    >>> Stability(topics=np.ones((3, 5)), runs=np.ones(3), value=1.0).topics.shape
    (3, 5)
    """

    topics: NDArray[np.float64]
    runs: NDArray[np.float64]
    value: float


def match_topics(
    first: NDArray[np.floating], second: NDArray[np.floating]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Match the topics of two runs one to one, with the least total distance.

    Topics are compared by the part that exceeds the mean of their run's topics, because words that all topics share
    would make even the topics of random documents look alike.

    Parameters
    ----------
    first, second : ndarray of shape (K, V)
        Topic-word probabilities over one vocabulary, rows sum to 1.

    Returns
    -------
    counterpart : ndarray of shape (K,), intp
        The topic of `second` that topic k of `first` is matched with.
    distance : ndarray of shape (K,), float64
        Jensen-Shannon distance of each matched pair (square root of the divergence in bits), in [0, 1].

    Raises
    ------
    InputError
        If the shapes differ, or a row is not a distribution.

    Notes
    -----
    Hungarian matching of topics: Greene, O'Callaghan & Cunningham 2014; the distance here is
    Jensen-Shannon.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.stability import match_topics
    >>> counterpart, distance = match_topics(np.eye(3), np.eye(3)[[2, 0, 1]])
    >>> counterpart.tolist(), distance.tolist()
    ([1, 2, 0], [0.0, 0.0, 0.0])
    """
    if np.shape(first) != np.shape(second):
        raise InputError(f"topics of shapes {np.shape(first)} and {np.shape(second)} given; expected one (K, V)")
    distance = np.sqrt(js_divergence(_above_the_mean(first), _above_the_mean(second)))
    rows, columns = linear_sum_assignment(distance)
    return columns, distance[rows, columns]


def stability(runs: list[NDArray[np.floating]]) -> Stability:
    """Score how well the topics of several runs agree, usually runs that differ only in their seed.

    Parameters
    ----------
    runs : list of ndarray of shape (K, V)
        Topic-word probabilities of two or more runs, over one vocabulary; rows sum to 1.

    Returns
    -------
    Stability
        Each number in [0, 1]: 1 when all runs have the same topics, in any order; about 0.25 (`CHANCE`) when the
        topics are those of randomly drawn documents.

    Raises
    ------
    InputError
        If there are fewer than two runs or a single topic, shapes differ, or a row is not a distribution.

    Notes
    -----
    Hungarian matching of topics across runs: Greene, O'Callaghan & Cunningham 2014, How Many Topics? Stability Analysis
    for Topic Models, ECML; the distance here is Jensen-Shannon.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.stability import stability
    >>> stability([np.eye(3), np.eye(3)[[2, 0, 1]]]).value
    1.0
    """
    if len(runs) < 2:
        raise InputError(f"{len(runs)} run(s) given; stability compares two or more")
    n_runs, n_topics = len(runs), len(runs[0])
    if n_topics == 1:
        raise InputError("one topic was given; a single topic is the corpus itself, whatever the seed")
    agreement = np.zeros((n_runs, n_topics))
    for i, j in combinations(range(n_runs), 2):
        counterpart, distance = match_topics(runs[i], runs[j])
        agreement[i] += 1.0 - distance
        agreement[j, counterpart] += 1.0 - distance
    agreement /= n_runs - 1
    return Stability(agreement, agreement.mean(axis=1), float(agreement.mean()))


def _above_the_mean(topics: NDArray[np.floating]) -> NDArray[np.float64]:
    """Keep the part of each topic that exceeds the mean topic, (K, V), rows sum to 1.

    A topic equal to the mean is left as it is.
    """
    rows = np.asarray(topics, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < 2:
        return rows
    above = np.maximum(rows - rows.mean(axis=0), 0.0)
    sums = above.sum(axis=1, keepdims=True)
    parts: NDArray[np.float64] = np.where(sums > 1e-9, above / np.where(sums > 1e-9, sums, 1.0), rows)
    return parts
