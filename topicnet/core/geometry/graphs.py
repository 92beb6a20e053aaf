"""Geodesics as shortest paths in a graph over a latent space (scipy.sparse.csgraph)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree
from torch import Tensor

from topicnet.core.geometry.checks import as_end_points, as_points, map_errors
from topicnet.core.geometry.curves import Geodesic, check_n_segments, constant_speed, curve_length, straight_line
from topicnet.core.geometry.metrics import Metric, check_regular
from topicnet.errors import InputError

CHORDS = 5  # into which an edge is divided to measure its length
STRAIGHT_CHORDS = 100  # least number of chords that measure the straight line between the ends of a path
BLOCK = 4096  # edges measured at the same time


@dataclass(frozen=True, eq=False)
class LatentGraph:
    """Graph over a latent space whose edges carry the lengths of straight segments under a metric.

    Make one with `from_points`, for example of latent codes, or with `on_grid`, and use it for many pairs of points.

    Parameters
    ----------
    metric : Metric
        Metric of the latent space.
    points : Tensor
        (n, d) nodes.
    lengths : scipy.sparse.csr_matrix
        (n, n), symmetric, the lengths of the edges.
    n_neighbors : int
        Number of nodes to which a start or end of a path is joined.

    Examples
    --------
    >>> from topicnet import geometry
    >>> graph = geometry.LatentGraph.on_grid(geometry.pullback(lambda z: 2 * z), [0.0, 0.0], [1.0, 1.0], 5)
    >>> found = graph.shortest_path([0.0, 0.0], [1.0, 1.0])
    >>> round(found.length, 4), found.method
    (2.8284, 'graph')
    """

    metric: Metric
    points: Tensor
    lengths: csr_matrix
    n_neighbors: int

    @classmethod
    def from_points(cls, metric: Metric, points: Any, n_neighbors: int = 12) -> LatentGraph:
        """Join each point to its nearest neighbours in latent space.

        Parameters
        ----------
        metric : Metric
            Metric of the latent space.
        points : Tensor or array-like
            (n, d), for example posterior means of documents or images.
        n_neighbors : int
            Number of neighbours, at least 1. Edges run both ways.

        Returns
        -------
        LatentGraph
            The graph, which need not be connected.

        Raises
        ------
        InputError
            For fewer than two points, values that are not finite, or n_neighbors out of range.
        """
        points = as_points(points, "points", 2).detach()
        if not 1 <= n_neighbors < len(points):
            raise InputError(
                f"n_neighbors={n_neighbors} given for {len(points)} points, expected 1 to {len(points) - 1}"
            )
        array = points.double().cpu().numpy()
        neighbors = np.asarray(cKDTree(array).query(array, n_neighbors + 1)[1])[:, 1:]
        pairs = np.stack([np.repeat(np.arange(len(array)), n_neighbors), neighbors.ravel()], 1)
        return cls._of_pairs(metric, points, pairs, n_neighbors)

    @classmethod
    def on_grid(
        cls, metric: Metric, low: Any, high: Any, n_per_axis: int | Sequence[int], radius: int = 3
    ) -> LatentGraph:
        """Join each node of a grid to all nodes within a radius, along directions without a common divisor.

        Paths that may take only the 8 directions of radius 1 are too long by up to 8 %, however fine the grid. With
        radius 3 (32 directions in the plane) this falls below 1 %.

        Parameters
        ----------
        metric : Metric
            Metric of the latent space.
        low, high : Tensor or array-like
            (d,), opposite corners of the grid.
        n_per_axis : int or sequence of int
            Number of nodes along each axis, at least 2.
        radius : int
            Largest difference of the indices of joined nodes along an axis, at least 1.

        Returns
        -------
        LatentGraph
            The graph of n_per_axis ** d nodes.

        Raises
        ------
        InputError
            For corners that are not in order, fewer than two nodes along an axis, or a radius below 1.
        """
        low, high = as_end_points(low, high)
        sizes = [n_per_axis] * len(low) if isinstance(n_per_axis, int) else list(n_per_axis)
        if len(sizes) != len(low) or min(sizes) < 2 or radius < 1 or not (low < high).all():
            raise InputError(
                f"grid from {low.tolist()} to {high.tolist()} with n_per_axis={n_per_axis} and radius={radius} given, "
                "expected low below high, at least two nodes along each axis, and a radius from 1"
            )
        axes = [
            torch.linspace(float(a), float(b), n, dtype=low.dtype, device=low.device)
            for a, b, n in zip(low, high, sizes, strict=True)
        ]
        points = torch.stack([axis.flatten() for axis in torch.meshgrid(*axes, indexing="ij")], 1)
        index = np.indices(sizes).reshape(len(sizes), -1).T  # (n, d)
        strides = np.array([math.prod(sizes[axis + 1 :]) for axis in range(len(sizes))])
        pairs = []
        for step in product(range(-radius, radius + 1), repeat=len(sizes)):
            if math.gcd(*step) == 1 and step > tuple([0] * len(sizes)):  # each edge once
                inside = ((index + step >= 0) & (index + step < sizes)).all(1)
                begin = np.flatnonzero(inside)
                pairs.append(np.stack([begin, begin + int(strides @ step)], 1))
        return cls._of_pairs(metric, points, np.concatenate(pairs), 2 ** len(sizes))

    @classmethod
    def _of_pairs(cls, metric: Metric, points: Tensor, pairs: NDArray[np.intp], n_neighbors: int) -> LatentGraph:
        pairs = np.unique(np.sort(pairs, 1), axis=0)
        n = len(points)
        lengths = _segment_lengths(metric, points[pairs[:, 0]], points[pairs[:, 1]])
        upper = csr_matrix((lengths, (pairs[:, 0], pairs[:, 1])), shape=(n, n))
        return cls(metric, points, csr_matrix(upper + upper.T), min(n_neighbors, n))

    def shortest_path(self, start: Any, end: Any, n_segments: int = 100) -> Geodesic:
        """Find the shortest path between two points, which are joined to the nodes nearest to them.

        Parameters
        ----------
        start, end : Tensor or array-like
            (d,), two different points, which need not be nodes.
        n_segments : int
            Number of segments n of the resulting curve.

        Returns
        -------
        Geodesic
            The polygon through the nodes of the path, at constant speed. Its length is the sum of the lengths of the
            edges and so an upper bound up to the error of the chords. Where the straight line is shorter than every
            path, it is the result. `converged` is true.

        Raises
        ------
        InputError
            For equal points, or if no path joins them because the graph is disconnected.
        """
        start, end = as_end_points(start, end)
        check_n_segments(n_segments, 1)
        if start.shape != self.points.shape[1:] or start.dtype != self.points.dtype:
            raise InputError(
                f"points ({len(start)},) of {start.dtype} given for a graph over {tuple(self.points.shape)} of "
                f"{self.points.dtype}, expected the same dimensions and type"
            )
        check_regular(self.metric, torch.stack([start, end]))
        n = len(self.points)
        nodes = torch.cat([self.points, start[None], end[None]])
        distances, before = dijkstra(self._joined(nodes), indices=np.array([n]), return_predecessors=True)
        distances, before = distances[0], before[0]
        if not np.isfinite(distances[n + 1]):
            raise InputError(
                "no path of the graph joins start and end, because it is disconnected; give more points or a larger "
                "n_neighbors"
            )
        path = [n + 1]
        while path[-1] != n:
            path.append(int(before[path[-1]]))
        length, polygon = float(distances[n + 1]), _subdivided(nodes[path[::-1]])
        line = straight_line(start, end, max(n_segments, STRAIGHT_CHORDS))
        straight = float(curve_length(self.metric, line).detach())
        if straight <= length:
            length, polygon = straight, line
        curve = constant_speed(self.metric, polygon, n_segments)
        curve[0], curve[-1] = start, end
        return Geodesic(curve, length, length**2, True, "graph")

    def _joined(self, nodes: Tensor) -> csr_matrix:
        """Return the lengths with two more nodes, the last ones, joined to the nodes nearest to them."""
        n, k = len(self.points), self.n_neighbors
        array = nodes.double().cpu().numpy()
        near = np.asarray(cKDTree(array[:n]).query(array[n:], k)[1])
        rows, columns = np.repeat([n, n + 1], k), near.ravel()
        # A stored zero joins a point to the node that it equals.
        added = _segment_lengths(self.metric, nodes[rows], nodes[columns])
        known = self.lengths.tocoo()
        data = np.concatenate([known.data, added, added])
        from_, to = np.concatenate([known.row, rows, columns]), np.concatenate([known.col, columns, rows])
        return csr_matrix((data, (from_, to)), shape=(n + 2, n + 2))


def _segment_lengths(metric: Metric, begin: Tensor, end: Tensor) -> NDArray[np.float64]:
    """Return the lengths of straight segments between points (m, d), each divided into chords."""
    lengths = []
    t = torch.linspace(0, 1, CHORDS + 1, dtype=begin.dtype, device=begin.device)[:, None]
    with map_errors(), torch.no_grad():
        for first, last in zip(torch.split(begin, BLOCK), torch.split(end, BLOCK), strict=True):
            curves = first[:, None] + t * (last - first)[:, None]  # (m, CHORDS + 1, d)
            lengths.append(metric.squared_steps(curves).sqrt().sum(-1).double().cpu())
    found = np.asarray(torch.cat(lengths).numpy())
    if not np.isfinite(found).all():
        raise InputError(
            "the length of an edge of the graph is not finite; expected a map with finite values everywhere"
        )
    return found


def _subdivided(nodes: Tensor) -> Tensor:
    """Divide each segment of a polygon (m + 1, d) into as many chords as measure an edge."""
    t = torch.arange(CHORDS, dtype=nodes.dtype, device=nodes.device)[:, None] / CHORDS
    inner = nodes[:-1, None] + t * (nodes[1:] - nodes[:-1])[:, None]
    return torch.cat([inner.reshape(-1, nodes.shape[1]), nodes[-1:]])
