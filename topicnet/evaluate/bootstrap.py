"""Percentile bootstrap intervals of a score, resampled over topics or over documents (Efron 1979)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from topicnet.errors import InputError

RESAMPLES = 1_000
LEVEL = 0.95
SEED = 0
MOST_UNITS = 5_000  # above this, documents are first summed in this many random groups, to save time


@dataclass(frozen=True)
class Interval:
    """Bootstrap interval of a score: the middle 95 % (`LEVEL`) of its values over 1,000 (`RESAMPLES`) resamples.

    Parameters
    ----------
    low, high : float
        Ends of the interval, in the unit of the score.

    Examples
    --------
    >>> from topicnet.evaluate.bootstrap import Interval
    >>> interval = Interval(low=0.25, high=0.75)
    >>> interval.high - interval.low
    0.5
    """

    low: float
    high: float


def interval_of_mean(values: NDArray[np.floating]) -> Interval:
    """Bootstrap interval of the mean of `values`.

    Parameters
    ----------
    values : ndarray of shape (n,)
        One value for each topic, or for each document.

    Returns
    -------
    Interval
        95 % interval, in the unit of `values`. A single value gives an interval of width 0.

    Raises
    ------
    InputError
        If `values` is empty or holds a number that is not finite.

    Notes
    -----
    Percentile bootstrap: Efron 1979, Annals of Statistics 7. The seed is fixed, so that equal values give the same
    interval.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.bootstrap import interval_of_mean
    >>> interval_of_mean(np.array([0.0, 1.0]))
    Interval(low=0.0, high=1.0)
    """
    return interval_of_ratio(values, np.ones(np.shape(values)))


def interval_of_ratio(numerators: NDArray[np.floating], denominators: NDArray[np.floating]) -> Interval:
    """Bootstrap interval of sum(numerators) / sum(denominators), both resampled together.

    Parameters
    ----------
    numerators, denominators : ndarray of shape (n,)
        One pair for each document or topic, such as its nats and its tokens. Denominators must be above 0.

    Returns
    -------
    Interval
        95 % interval of the ratio. A single pair gives an interval of width 0.

    Raises
    ------
    InputError
        If the shapes differ, the arrays are empty, a number is not finite, or a denominator is not above 0.

    Notes
    -----
    To save time, more than 5,000 (`MOST_UNITS`) pairs are first summed in 5,000 random groups, which are resampled.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.bootstrap import interval_of_ratio
    >>> interval_of_ratio(np.array([2.0, 4.0, 6.0]), np.array([1.0, 2.0, 3.0]))
    Interval(low=2.0, high=2.0)
    """
    above, below = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)
    if above.ndim != 1 or above.shape != below.shape or above.size == 0:
        raise InputError(f"values of shapes {above.shape} and {below.shape} given; expected (n,) both, n 1 or more")
    both = np.stack([above, below])
    if not np.isfinite(both).all() or (both[1] <= 0).any():
        raise InputError("values that are not finite, or denominators not above 0, given; expected finite numbers")
    rng = np.random.default_rng(SEED)
    if both.shape[1] > MOST_UNITS:
        groups = rng.permutation(both.shape[1]) % MOST_UNITS
        both = np.stack([np.bincount(groups, weights=row) for row in both])
    n = both.shape[1]
    ratios = np.empty(RESAMPLES)
    for at in range(RESAMPLES):
        drawn = both[:, rng.integers(n, size=n)].sum(axis=1)
        ratios[at] = drawn[0] / drawn[1]
    low, high = np.quantile(ratios, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))
