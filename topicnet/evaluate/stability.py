"""Would I get the same topics again: topics of several runs matched one to one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from topicnet.errors import InputError
from topicnet.evaluate.distance import js_divergence


@dataclass(frozen=True)
class Stability:
    """How well the topics of several runs find each other.

    Attributes
    ----------
    topics : (S, K) ndarray
        Of each run's topics: 1 minus the distance to its counterpart, mean over the other runs.
    runs : (S,) ndarray
        Of each run: the mean over its topics.
    value : float
        The mean over all pairs of runs.
    """

    topics: NDArray[np.float64]
    runs: NDArray[np.float64]
    value: float


def match_topics(
    first: NDArray[np.floating], second: NDArray[np.floating]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The one-to-one matching of two runs' topics with the least total distance (Hungarian method).

    Parameters
    ----------
    first, second : (K, V) arrays
        Topic-word probabilities over one vocabulary, rows sum to 1.

    Returns
    -------
    (K,) array
        The topic of ``second`` that topic k of ``first`` is matched with.
    (K,) array
        Their Jensen-Shannon distances (square root of the divergence in bits), each in [0, 1].

    Raises
    ------
    InputError
        The shapes differ, or a row is no distribution.
    """
    if np.shape(first) != np.shape(second):
        raise InputError(f"topics of shapes {np.shape(first)} and {np.shape(second)} given; expected one (K, V)")
    distance = np.sqrt(js_divergence(first, second))
    rows, columns = linear_sum_assignment(distance)
    return columns, distance[rows, columns]


def stability(runs: list[NDArray[np.floating]]) -> Stability:
    """Agreement of the topics of several runs, which differ in their seeds alone.

    Parameters
    ----------
    runs : list of (K, V) arrays
        Topic-word probabilities of each run, over one vocabulary.

    Returns
    -------
    Stability
        Each number in [0, 1]: 1 when all runs have the same topics, in whatever order.

    Raises
    ------
    InputError
        Fewer than two runs, or as :func:`match_topics`.

    Notes
    -----
    Hungarian matching of topics across runs: Greene, O'Callaghan & Cunningham 2014; here on Jensen-Shannon distance.
    """
    if len(runs) < 2:
        raise InputError(f"{len(runs)} run(s) given; stability compares two or more")
    n_runs, n_topics = len(runs), len(runs[0])
    agreement = np.zeros((n_runs, n_topics))
    for i in range(n_runs):
        for j in range(i + 1, n_runs):
            counterpart, distance = match_topics(runs[i], runs[j])
            agreement[i] += 1.0 - distance
            agreement[j, counterpart] += 1.0 - distance
    agreement /= n_runs - 1
    return Stability(agreement, agreement.mean(axis=1), float(agreement.mean()))
