"""Dendrogram of topics: agglomerative clustering of topic distances, and its drawing in text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
from scipy.spatial.distance import squareform

from topicnet.errors import InputError
from topicnet.explore.distances import topic_distance
from topicnet.workflows.run import Run

Method = Literal["average", "complete", "single"]
METHODS: tuple[Method, ...] = ("average", "complete", "single")
ORDERED = 300  # topics up to which leaves are put in the order of least distance between neighbours, a cubic cost
LEAVING = {"┐": "┬", "┘": "┴", "│": "├"}  # the bar of a merge, where the line to the next merge leaves it


@dataclass(frozen=True, eq=False)
class TopicTree:
    """Dendrogram of topics.

    Parameters
    ----------
    merges : ndarray of shape (K - 1, 4)
        Linkage as in `scipy.cluster.hierarchy`: the two clusters that merge, their distance, and the number of topics.
        Topics are 0 to K - 1, and merge i makes cluster K + i.
    order : ndarray of shape (K,)
        Topics from first to last leaf.
    metric : str
        Metric of the distances.
    method : str
        Method of the linkage.

    Examples
    --------
    >>> import topicnet
    >>> from topicnet import explore
    >>> run = topicnet.fit(["cat", "bread butter"] * 4, n_topics=2, init="random", max_epochs=1)
    >>> explore.topic_tree(run).groups(2)
    array([0, 1])
    """

    merges: NDArray[np.float64]
    order: NDArray[np.intp]
    metric: str
    method: str

    def groups(self, n: int) -> NDArray[np.intp]:
        """Cut the tree into n groups of topics.

        Parameters
        ----------
        n : int
            Number of groups, 1 to K.

        Returns
        -------
        ndarray of shape (K,)
            Group of each topic, numbered from 0 in the order of the leaves.

        Raises
        ------
        InputError
            `n` is out of range.
        """
        n_topics = len(self.order)
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or not 1 <= n <= n_topics:
            raise InputError(f"n={n} groups given, expected a whole number from 1 to {n_topics}")
        members = {k: [k] for k in range(n_topics)}
        for number, (a, b, *_) in enumerate(self.merges[: n_topics - n]):
            members[n_topics + number] = members.pop(int(a)) + members.pop(int(b))
        found = np.empty(n_topics, dtype=np.intp)
        place = np.argsort(self.order)
        for group, topics in enumerate(sorted(members.values(), key=lambda topics: min(place[topics]))):
            found[topics] = group
        return found


def topic_tree(
    run: Run, metric: str = "geodesic", method: Method = "average", distances: ArrayLike | None = None
) -> TopicTree:
    """Cluster the topics of a run by their distances.

    Parameters
    ----------
    run : Run
        The run.
    metric : {"geodesic", "direct", "hellinger", "cosine", "transport"}, default="geodesic"
        Distance of topics; see `topic_distance`.
    method : {"average", "complete", "single"}, default="average"
        Distance of two clusters: the mean, the largest or the smallest of the distances between their topics.
    distances : array-like of shape (n_topics, n_topics), optional
        Distances of the topics, if they have been computed; `metric` is then their name.

    Returns
    -------
    TopicTree
        The merges, and an order of the topics in which similar ones are neighbours.

    Raises
    ------
    InputError
        The run has a single topic, or an option is unknown.

    Examples
    --------
    >>> import topicnet
    >>> from topicnet import explore
    >>> run = topicnet.fit(["cat", "bread butter"] * 4, n_topics=2, init="random", max_epochs=1)
    >>> explore.topic_tree(run).merges.shape
    (1, 4)
    """
    if method not in METHODS:
        raise InputError(f"method={method!r} given, expected one of {', '.join(METHODS)}")
    n_topics = run.model.n_topics
    if n_topics < 2:
        raise InputError("a run with a single topic given, expected two or more for a tree")
    matrix = topic_distance(run, metric) if distances is None else np.asarray(distances, dtype=np.float64)
    if matrix.shape != (n_topics, n_topics) or not np.allclose(matrix, matrix.T):
        raise InputError(f"distances of shape {matrix.shape} given, expected a symmetric ({n_topics}, {n_topics})")
    condensed = squareform(matrix, checks=False)
    merges = linkage(condensed, method)
    if n_topics <= ORDERED:
        merges = optimal_leaf_ordering(merges, condensed)
    return TopicTree(merges, leaves_list(merges).astype(np.intp), metric, method)


def draw_tree(tree: TopicTree, labels: Sequence[str], width: int = 24) -> list[str]:
    """Draw a dendrogram in text: one line for each topic, in the order of the leaves, the root at the right.

    Columns are proportional to distances between the least and the largest merge, except that a merge is always to the
    right of those inside it, so that deep trees can be wider.

    Parameters
    ----------
    tree : TopicTree
        The tree.
    labels : sequence of str
        Text of each topic, (K,); padded to the longest.
    width : int, default=24
        Columns from the first merge to the last.

    Returns
    -------
    list of str
        K lines.
    """
    n = len(tree.order)
    canvas = np.full((n, width + n + 2), " ", dtype="<U1")
    low, high = float(tree.merges[0, 2]), float(tree.merges[-1, 2])
    at = {int(topic): (row, 0) for row, topic in enumerate(tree.order)}  # cluster to (row, column)
    for number, (a, b, height, _) in enumerate(tree.merges):
        (upper, left), (lower, right) = sorted((at[int(a)], at[int(b)]))
        scaled = round((float(height) - low) / (high - low) * width) if high > low else 0
        column = max(2 + scaled, left + 1, right + 1)
        for row, begin in ((upper, left), (lower, right)):
            canvas[row, begin] = LEAVING.get(str(canvas[row, begin]), "─")
            canvas[row, begin + 1 : column] = "─"
        canvas[upper, column], canvas[lower, column] = "┐", "┘"
        canvas[upper + 1 : lower, column] = "│"
        at[n + number] = ((upper + lower) // 2, column)
    widest = max(map(len, labels))
    return [f"{labels[topic].ljust(widest)} {''.join(canvas[row])}".rstrip() for row, topic in enumerate(tree.order)]


def tree_records(tree: TopicTree) -> dict[str, Any]:
    """Return a tree as JSON values."""
    merges = [
        {"clusters": [int(a), int(b)], "distance": float(height), "topics": int(size)}
        for a, b, height, size in tree.merges
    ]
    return {"metric": tree.metric, "method": tree.method, "order": tree.order.tolist(), "merges": merges}
