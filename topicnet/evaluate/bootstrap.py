"""How sure is a score: percentile bootstrap over topics or over documents (Efron 1979)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from topicnet.errors import InputError

RESAMPLES = 1_000
LEVEL = 0.95
SEED = 0
MOST_UNITS = 5_000  # more documents than these are drawn in random groups: their sums vary alike


@dataclass(frozen=True)
class Interval:
    """The middle `LEVEL` of a score over resampled topics or documents."""

    low: float
    high: float


def interval_of_mean(values: NDArray[np.floating]) -> Interval:
    """Interval of the mean of these values.

    Parameters
    ----------
    values : (n,) array
        One per topic, or per document.

    Returns
    -------
    Interval
        Without width when there is one value.

    Raises
    ------
    InputError
        There is no value, or one that is not finite.
    """
    return interval_of_ratio(values, np.ones(np.shape(values)))


def interval_of_ratio(numerators: NDArray[np.floating], denominators: NDArray[np.floating]) -> Interval:
    """Interval of sum(numerators) / sum(denominators), both resampled together.

    Parameters
    ----------
    numerators, denominators : (n,) arrays
        As nats and tokens of each document. Denominators are above 0.

    Returns
    -------
    Interval

    Raises
    ------
    InputError
        There is none, one that is not finite, or a denominator that is not above 0.
    """
    above, below = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)
    if above.ndim != 1 or above.shape != below.shape or above.size == 0:
        raise InputError(f"values of shapes {above.shape} and {below.shape} given; expected (n,) both, n 1 or more")
    both = np.stack([above, below])
    if not np.isfinite(both).all() or (both[1] <= 0).any():
        raise InputError("values that are not finite, or denominators not above 0, given; no ratio can be resampled")
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
