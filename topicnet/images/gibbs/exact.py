"""Exact answers of potentials by quadrature on grids and by transfer matrices, and exact draws from grids.

Sums over uniform grids converge faster than any power of the step for smooth densities that vanish at the ends, so no
other quadrature is needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
Function = Callable[[Tensor], Tensor]

TAIL = 45.0  # energy above the minimum at which a grid ends: exp(-45) is below the rounding of the sum
CIRCLE = 16  # points of the circle on which the moments of the magnetisation are read off
RADIUS = 2.0  # of that circle


@dataclass(frozen=True)
class Answers:
    """Exact answers of a potential.

    Parameters
    ----------
    log_z : float
        log Z, nats.
    means : mapping of str to float
        Exact expectation of the observables that have one, by name.

    Examples
    --------
    >>> from topicnet.images import gibbs
    >>> answers = gibbs.double_well(4.0).answers()
    >>> round(answers.log_z, 6), round(answers.means["P(x>0)"], 6)
    (-0.053572, 0.5)
    """

    log_z: float
    means: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Grid:
    """Midpoints of the equal cells of a box.

    Attributes
    ----------
    low, high : tuple of float
        Corners of the box.
    n_cells : tuple of int
        Cells along each axis.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    n_cells: tuple[int, ...]

    @property
    def steps(self) -> Array:
        """Edge lengths of a cell, (D,)."""
        edges: Array = (np.array(self.high) - np.array(self.low)) / np.array(self.n_cells)
        return edges

    def axis(self, dim: int) -> Array:
        """Return the midpoints along one axis."""
        midpoints: Array = self.low[dim] + self.steps[dim] * (np.arange(self.n_cells[dim]) + 0.5)
        return midpoints

    def points(self) -> Tensor:
        """Return all midpoints, (n, D), the last axis fastest."""
        axes = [torch.as_tensor(self.axis(dim)) for dim in range(len(self.low))]
        return torch.stack([one.flatten() for one in torch.meshgrid(*axes, indexing="ij")], -1)

    def log_density(self, energy: Function) -> tuple[Tensor, Tensor, float]:
        """Return the midpoints (n, D), log-probabilities (n,) of their cells, and log Z."""
        points = self.points()
        logs = -energy(points)
        total = torch.logsumexp(logs, 0)
        return points, logs - total, float(total) + float(np.log(self.steps).sum())

    def answers(self, energy: Function, observables: Mapping[str, Function]) -> Answers:
        """Integrate exp(-U) and the observables over the box."""
        points, logs, log_z = self.log_density(energy)
        weights = logs.exp()
        return Answers(log_z, {name: float(weights @ function(points)) for name, function in observables.items()})

    def draw(self, energy: Function, n: int, seed: int) -> Tensor:
        """Draw from the piecewise constant density (n, D): a cell, then a point in it."""
        rng = np.random.default_rng(seed)
        points, logs, _ = self.log_density(energy)
        steps = logs.exp().cumsum(0).numpy()
        cells = np.searchsorted(steps, rng.random(n) * steps[-1], side="right").clip(0, len(steps) - 1)
        offsets = (rng.random((n, len(self.low))) - 0.5) * self.steps
        return points[torch.as_tensor(cells)] + torch.as_tensor(offsets)


@dataclass(frozen=True)
class FieldChain:
    """Periodic chain of columns of a lattice field, solved by its transfer matrix.

    Attributes
    ----------
    n_columns : int
        Columns in the ring.
    width : int
        Sites of a column.
    site : callable
        Energy of a value of the field, arrays of any shape.
    across : float
        Weight of (p - p')^2 / 2 between the two sites of a column of width 2.
    limit : float
        The field is integrated over [-limit, limit].
    n_nodes : int
        Grid points of that interval.
    """

    n_columns: int
    width: int
    site: Callable[[Array], Array]
    across: float
    limit: float
    n_nodes: int

    def answers(self) -> Answers:
        """Compute log Z, the mean and mean square of the field and the Binder cumulant of its magnetisation."""
        matrix, states, log_scale = self._matrix()
        values, vectors = np.linalg.eigh(matrix)
        largest = values[-1]
        powers = (values / largest) ** self.n_columns
        total = powers.sum()
        log_z = self.n_columns * (math.log(largest) + log_scale) + math.log(total)
        weights = (vectors**2 @ powers) / total  # probability of each state of a column
        second, fourth = self._magnetisation_moments(matrix / largest, states, total)
        return Answers(
            log_z,
            {
                "<p>": float(weights @ states.mean(1)),
                "<p^2>": float(weights @ (states**2).mean(1)),
                "Binder": 1 - fourth / (3 * second**2),
            },
        )

    def _matrix(self) -> tuple[Array, Array, float]:
        """Return the symmetric transfer matrix (S, S) up to a factor, its states (S, width), and the factor's log."""
        nodes = np.linspace(-self.limit, self.limit, self.n_nodes)
        states = np.stack(np.meshgrid(*[nodes] * self.width, indexing="ij"), -1).reshape(-1, self.width)
        column = self.site(states).sum(1)
        if self.width == 2:
            column = column + self.across * 0.5 * (states[:, 0] - states[:, 1]) ** 2
        least = float(column.min())
        halves = np.exp(-0.5 * (column - least))
        squares = ((states[:, None] - states[None]) ** 2).sum(-1)
        matrix: Array = halves[:, None] * np.exp(-0.5 * squares) * halves
        log_scale = self.width * math.log(nodes[1] - nodes[0]) - least
        return matrix, states, log_scale

    def _magnetisation_moments(self, matrix: Array, states: Array, total: float) -> tuple[float, float]:
        """Return the second and fourth moment of the mean M of all sites.

        E exp(h M) on a circle of complex h has the moments as its Taylor coefficients (Cauchy's formula). It is real on
        the real axis and even, so a quarter of the circle is enough.
        """
        n_sites = self.n_columns * self.width
        angles = 2 * np.pi * np.arange(CIRCLE // 4 + 1) / CIRCLE
        found = []
        for h in RADIUS * np.exp(1j * angles):
            source = np.exp(0.5 * h * states.sum(1) / n_sites)
            product = np.linalg.matrix_power(source[:, None] * matrix * source, self.n_columns)
            found.append(np.trace(product) / total)
        values = np.array(found)
        # f(-h) = f(h) and f(conj h) = conj f(h) give the other three quarters.
        half = np.concatenate([values, np.conj(values[-2:0:-1])])
        circle = np.concatenate([half, half])
        taylor = np.fft.fft(circle).real / CIRCLE
        return (float(taylor[2] * 2 / RADIUS**2), float(taylor[4] * 24 / RADIUS**4))
