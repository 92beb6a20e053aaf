"""Would I get the same topics again: topics of several runs matched one to one."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from topicnet.errors import InputError
from topicnet.evaluate.distance import js_divergence

CHANCE = 0.25  # what topics of documents drawn by lot reach, on 300 documents and on 11,000, from 4 topics to 50


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

    Compared is what a topic has above the mean of its run's topics: the words that all topics have in common bring even
    topics of random documents together.

    Parameters
    ----------
    first, second : (K, V) arrays
        Topic-word probabilities over one vocabulary, rows sum to 1.

    Returns
    -------
    (K,) array
        The topic of ``second`` that topic k of ``first`` is matched with.
    (K,) array
        The Jensen-Shannon distances of those parts (square root of the divergence in bits), each in [0, 1].

    Raises
    ------
    InputError
        The shapes differ, or a row is no distribution.
    """
    if np.shape(first) != np.shape(second):
        raise InputError(f"topics of shapes {np.shape(first)} and {np.shape(second)} given; expected one (K, V)")
    distance = np.sqrt(js_divergence(_above_the_mean(first), _above_the_mean(second)))
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
        Each number in [0, 1]: 1 when all runs have the same topics, in whatever order; about `CHANCE` when they have
        nothing in common but the language.

    Raises
    ------
    InputError
        Fewer than two runs, a single topic, or as :func:`match_topics`.

    Notes
    -----
    Hungarian matching of topics across runs: Greene, O'Callaghan & Cunningham 2014; here on Jensen-Shannon distance.
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
    """(K, V) what each topic has above the mean topic, rows that sum to 1; a topic that is the mean stays as it is."""
    rows = np.asarray(topics, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < 2:
        return rows
    above = np.maximum(rows - rows.mean(axis=0), 0.0)
    sums = above.sum(axis=1, keepdims=True)
    parts: NDArray[np.float64] = np.where(sums > 1e-9, above / np.where(sums > 1e-9, sums, 1.0), rows)
    return parts
