"""Shortest paths between mixtures of topics, under the Fisher-Rao metric of their word distributions.

A curve of proportions theta_0, ..., theta_n has the energy n sum_i |x_i+1 - x_i|^2, where x = 2 sqrt(p(w|theta)). For a
mixture decoder it is jointly convex in the thetas, since sum_w sqrt(p_w q_w) is concave in (p, q) and p is linear in
theta. Any minimum is then the global one, and it gives a lower bound of the distance: see `TopicGeodesic`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import solve_triangular
from scipy.optimize import minimize

from topicnet.errors import InputError
from topicnet.explore.words import Array, WordModel, arc, proportions

SEGMENTS = 8  # the length is then within about 0.1 % of the distance
STRAIGHT_ARCS = 32  # arcs that measure a straight line
BLOCK = 2**22  # numbers in a dense block of word probabilities
BUMP = 0.03  # start of the topics that both ends lack, as a square root; at 0 their derivative would be 0
ITERATIONS = 200
TOLERANCE = 1e-4  # of the gradient; the error of the energy is its square


@dataclass(frozen=True, eq=False)
class TopicGeodesic:
    """Shortest path between two mixtures of topics.

    Parameters
    ----------
    theta : ndarray of shape (n + 1, K)
        Topic proportions along the path at constant speed, rows sum to 1.
    length : float
        Length of the path through these points, an upper bound of the distance (radians on a sphere of radius 2).
    lower : float
        Lower bound of the distance. For a mixture decoder it is 4 n arcsin(sqrt(E) / 4 n) from the least energy E; for
        a product decoder it is `direct`.
    straight : float
        Length of the straight line between the proportions, at least the distance.
    direct : float
        Distance 2 arccos(sum sqrt(p q)) on the simplex of all word distributions, at most the distance; the shortest
        path there leaves the distributions that the model can express.
    converged : bool
        Whether the solver met its tolerance and the path is no longer than the straight line.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet import explore
    >>> from topicnet.explore.words import Mixture
    >>> found = explore.geodesic(Mixture(np.array([[0.9, 0.1], [0.1, 0.9]])), [1.0, 0.0], [0.0, 1.0])
    >>> found.theta.shape, found.converged
    ((9, 2), True)
    """

    theta: Array
    length: float
    lower: float
    straight: float
    direct: float
    converged: bool


def geodesic(words: WordModel, start: ArrayLike, end: ArrayLike, n_segments: int = SEGMENTS) -> TopicGeodesic:
    """Find the shortest path between two mixtures of topics.

    The energy is minimised by L-BFGS over ``theta = u^2 / |u|^2``, from a great circle in u. One evaluation takes
    4 n_segments K V operations, and memory for n_segments V numbers.

    Parameters
    ----------
    words : WordModel
        The decoder, from `word_model`.
    start, end : array-like of shape (K,)
        Topic proportions, which differ.
    n_segments : int, default=8
        Number of segments of the curve, at least 2.

    Returns
    -------
    TopicGeodesic
        The path, its length and bounds of the distance.

    Raises
    ------
    InputError
        The ends are equal, or are not K proportions.

    Notes
    -----
    Amari & Nagaoka (2000), Methods of Information Geometry, chapter 2, for the metric.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet import explore
    >>> from topicnet.explore.words import Mixture
    >>> found = explore.geodesic(Mixture(np.eye(2)), [1.0, 0.0], [0.0, 1.0], 4)
    >>> round(found.length, 4), found.theta[1].round(4).tolist()
    (3.1416, [0.8536, 0.1464])
    """
    first, last = proportions(start, words.n_topics), proportions(end, words.n_topics)
    if isinstance(n_segments, bool) or not isinstance(n_segments, int | np.integer) or n_segments < 2:
        raise InputError(f"n_segments={n_segments} given, expected a whole number from 2")
    straight = straight_length(words, first, last)
    direct = float(arc(*words.roots(np.stack([first, last]))))
    if np.array_equal(first, last) or straight == 0:
        raise InputError("two equal mixtures of topics given, expected different ones")
    theta, energy, converged = _least_energy(words, first, last, int(n_segments))
    length = sum(straight_length(words, a, b, 4) for a, b in pairwise(theta))
    if length > straight * (1 + 1e-9):  # of a product decoder, whose energy is not convex, or short of convergence
        times = np.linspace(0, 1, n_segments + 1)[:, None]
        theta, length, converged = (1 - times) * first + times * last, straight, converged and length < straight * 1.001
    lower = max(direct, 4 * n_segments * float(np.arcsin(np.sqrt(energy) / (4 * n_segments))) if words.convex else 0.0)
    return TopicGeodesic(theta, length, float(min(lower, length)), straight, direct, converged)


def straight_length(words: WordModel, start: Array, end: Array, n_arcs: int = STRAIGHT_ARCS) -> float:
    """Measure the straight line between two mixtures of topics (K,) by arcs between points on it."""
    times = np.linspace(0, 1, n_arcs + 1)[:, None]
    roots = words.roots((1 - times) * start + times * end)
    return float(arc(roots[1:], roots[:-1]).sum())


def direct_distances(words: WordModel, theta: Array, others: Array) -> Array:
    """Compute 2 arccos(sum_w sqrt(p_w q_w)) between mixtures (n, K) and (m, K): (n, m), in blocks of the others."""
    roots = words.roots(theta)
    rows = max(1, BLOCK // roots.shape[1])
    found = np.empty((len(theta), len(others)))
    for begin in range(0, len(others), rows):
        overlap = roots @ words.roots(others[begin : begin + rows]).T
        found[:, begin : begin + rows] = 2 * np.arccos(np.clip(overlap, 0.0, 1.0))
    return found


def _least_energy(words: WordModel, start: Array, end: Array, n: int) -> tuple[Array, float, bool]:
    """Minimise the energy of a curve of n segments: its proportions (n + 1, K), energy, and whether it converged."""
    first, last = np.sqrt(start), np.sqrt(end)
    angle = np.arccos(min(1.0, float(first @ last)))
    times = np.linspace(0, 1, n + 1)[1:-1, None]
    # The great circle is the geodesic of topics that share no words.
    weights = (1 - times, times) if angle < 1e-6 else (np.sin((1 - times) * angle), np.sin(times * angle))
    line = weights[0] * first + weights[1] * last
    line = line / np.linalg.norm(line, axis=1, keepdims=True)
    line += BUMP * min(1.0, float(angle)) * np.sin(np.pi * times) * np.exp(-line / BUMP)
    # Whitened by the second differences, whose conditioning would otherwise grow with n^2.
    second = 2 * np.eye(n - 1) - np.eye(n - 1, k=1) - np.eye(n - 1, k=-1)
    basis = solve_triangular(np.linalg.cholesky(second), np.eye(n - 1), lower=True).T / np.sqrt(n)
    ends = words.roots(np.stack([start, end]))

    def objective(flat: Array) -> tuple[float, Array]:
        u = line + basis @ flat.reshape(line.shape)
        square = np.square(u).sum(1, keepdims=True)
        theta = np.square(u) / square
        roots = words.roots(theta)
        chain = np.concatenate([ends[:1], roots, ends[1:]])  # (n + 1, V)
        steps = chain[1:] - chain[:-1]
        slope = words.gradient(roots, 8 * n * (steps[:-1] - steps[1:]))
        slope = 2 * u / square * (slope - (slope * theta).sum(1, keepdims=True))
        return 4 * n * float(np.square(steps).sum()), (basis.T @ slope).ravel()

    found = minimize(
        objective,
        np.zeros(line.size),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": ITERATIONS, "maxcor": 20, "ftol": 1e-8, "gtol": TOLERANCE},
    )
    u = line + basis @ found.x.reshape(line.shape)
    inner = np.square(u) / np.square(u).sum(1, keepdims=True)
    return np.concatenate([start[None], inner, end[None]]), float(found.fun), bool(found.success)
