"""Potentials U(x) of target densities exp(-U(x)) / Z, with their exact answers where these are known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from topicnet.errors import InputError
from topicnet.images.gibbs.exact import TAIL, Answers, FieldChain, Function, Grid
from topicnet.training.checks import check_count

MOST_DIMS = 1_000
LISTED_DIMS = 4  # up to here each coordinate is an observable
# Mueller & Brown 1979: amplitudes, coefficients a, b, c and centres of four exponentials.
AMPLITUDES = (-200.0, -100.0, -170.0, 15.0)
COEFFICIENTS = ((-1.0, 0.0, -10.0), (-1.0, 0.0, -10.0), (-6.5, 11.0, -6.5), (0.7, 0.6, 0.7))
CENTRES = ((1.0, 0.0), (0.0, 0.5), (-0.5, 1.5), (-1.0, 1.0))
LARGEST_EXPONENT = 8.0  # beyond it the growing exponential is continued by its tangent
BASIN = 0.75  # y above which a point belongs to the deepest basin
BOX = Grid((-3.5, -2.0), (2.5, 3.5), (1200, 1100))  # 0.75 is an edge of cells
WIDEST_FIELD = 100.0  # of a site, in a transfer matrix
LEAST_NODES, MOST_NODES = 25, {1: 801, 2: 41}  # grid points of a site, by the width of a column
RESOLUTION = 0.8  # step of that grid in standard deviations of the narrowest factor


@dataclass(frozen=True, eq=False)
class Potential:
    """Potential U of a target density exp(-U(x)) / Z on R^D.

    Parameters
    ----------
    name : str
        Name in reports.
    n_dims : int
        D, from 1 to 1,000.
    energy : callable
        U, from points (n, D) in double precision to (n,), in differentiable torch operations.
    observables : mapping of str to callable, optional
        Functions from points (n, D) to (n,) whose means are reported; by default the coordinates and their squares.
    exact : callable, optional
        Returns the `Answers`, computed when they are asked for.
    sampler : callable, optional
        Exact draws (n, D) given n and a seed.
    binder : bool
        Report the Binder cumulant of the mean of all coordinates too.
    window : tuple of (float, float), optional
        Interval of each axis that figures show; by default that of the samples.

    Raises
    ------
    InputError
        `energy` is not callable, or `n_dims` is out of range.

    Examples
    --------
    >>> import torch
    >>> from topicnet.images import gibbs
    >>> quartic = gibbs.Potential("quartic", 1, lambda x: (x**4).sum(-1))
    >>> quartic.energies(torch.tensor([[2.0]])).tolist(), quartic.answers() is None
    ([16.0], True)
    """

    name: str
    n_dims: int
    energy: Function
    observables: Mapping[str, Function] = field(default_factory=dict)
    exact: Callable[[], Answers] | None = None
    sampler: Callable[[int, int], Tensor] | None = None
    binder: bool = False
    window: tuple[tuple[float, float], ...] | None = None

    def __post_init__(self) -> None:
        check_count("n_dims", self.n_dims, most=MOST_DIMS)
        if not callable(self.energy):
            raise InputError(
                f"energy of type {type(self.energy).__name__} given, expected a function of points (n, D) to (n,)"
            )
        if not self.observables:
            object.__setattr__(self, "observables", _coordinates(self.n_dims))

    def energies(self, x: Tensor) -> Tensor:
        """Evaluate U at points and check the result.

        Parameters
        ----------
        x : Tensor of shape (n, D)
            Points.

        Returns
        -------
        Tensor of shape (n,)
            U in double precision. It has a gradient if `x` requires one.

        Raises
        ------
        InputError
            The function raises an error, returns another shape or a value that is not finite, or has no gradient.
        """
        points = x.double()
        found = self._called(points)
        if not isinstance(found, Tensor) or found.shape != points.shape[:1] or found.is_complex():
            got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise InputError(
                f"the energy of {self.name!r} returned {got} for points {tuple(points.shape)}, expected a real tensor"
                f" {tuple(points.shape[:1])}"
            )
        if not bool(found.isfinite().all()):
            row = int((~found.isfinite()).nonzero()[0, 0])
            where = ", ".join(f"{value:.4g}" for value in points[row, :5].tolist())
            more = ", ..." if self.n_dims > 5 else ""
            raise InputError(
                f"the energy of {self.name!r} is {float(found[row].detach())} at ({where}{more}), expected finite"
                " values everywhere: replace infinite walls by steep ones"
            )
        if points.requires_grad and not found.requires_grad:
            raise InputError(
                f"the energy of {self.name!r} has no gradient, expected differentiable torch operations: avoid round,"
                " detach, item and numpy"
            )
        return found.double()

    def gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluate U (n,) and its gradient (n, D) at points.

        Parameters
        ----------
        x : Tensor of shape (n, D)
            Points.

        Returns
        -------
        energies : Tensor of shape (n,)
            U.
        gradients : Tensor of shape (n, D)
            Gradient of U.

        Raises
        ------
        InputError
            As `energies`, or a gradient is not finite.
        """
        with torch.enable_grad():
            points = x.detach().double().requires_grad_()
            values = self.energies(points)
            (slopes,) = torch.autograd.grad(values.sum(), points)
        if not bool(slopes.isfinite().all()):
            raise InputError(
                f"the energy of {self.name!r} has a gradient that is not finite, expected a finite one everywhere:"
                " smooth its kinks, such as sqrt at 0"
            )
        return values.detach(), slopes

    def answers(self) -> Answers | None:
        """Compute the exact answers; None where they are not known.

        Returns
        -------
        Answers or None
            log Z and expectations of observables.
        """
        return None if self.exact is None else self.exact()

    def _called(self, points: Tensor) -> Any:
        try:
            return self.energy(points)
        except InputError:
            raise
        except Exception as error:
            reason = (str(error).strip().splitlines() or [""])[0]
            raise InputError(
                f"the energy of {self.name!r} failed at points {tuple(points.shape)} in double precision"
                f" ({type(error).__name__}: {reason}), expected torch operations that return one number per point"
            ) from error


def _coordinates(n_dims: int) -> dict[str, Function]:
    """Return the coordinates and their squares as observables; their means over coordinates if there are many."""
    if n_dims > LISTED_DIMS:
        return {"<x>": lambda x: x.mean(-1), "<x^2>": lambda x: x.square().mean(-1)}
    found: dict[str, Function] = {}
    for dim in range(n_dims):
        found[f"x_{dim}"] = partial(_power, dim=dim, power=1)
        found[f"x_{dim}^2"] = partial(_power, dim=dim, power=2)
    return found


def _power(x: Tensor, dim: int, power: int) -> Tensor:
    return x[:, dim] ** power


def gaussian(mean: Any = (0.0, 0.0), covariance: Any = ((2.0, 0.8), (0.8, 0.75))) -> Potential:
    """Gaussian potential U = (x - m)^T S^-1 (x - m) / 2, with ``log Z = log |2 pi S| / 2``.

    Parameters
    ----------
    mean : array of shape (D,)
        m.
    covariance : array of shape (D, D)
        S, symmetric and positive definite.

    Returns
    -------
    Potential
        With exact answers and draws.

    Raises
    ------
    InputError
        The shapes do not fit, or the covariance is not symmetric and positive definite.

    Examples
    --------
    >>> from topicnet.images import gibbs
    >>> round(gibbs.gaussian([0.0], [[4.0]]).answers().log_z, 4)
    1.6121
    """
    m, s = _array(mean, "mean", 1), _array(covariance, "covariance", 2)
    if s.shape != (len(m), len(m)) or not torch.equal(s, s.T):
        raise InputError(
            f"covariance of shape {tuple(s.shape)} given with a mean of {len(m)} numbers, expected a symmetric matrix"
            f" ({len(m)}, {len(m)})"
        )
    factored = torch.linalg.cholesky_ex(s)
    root: Tensor = factored[0]
    if int(factored[1]):
        raise InputError("covariance given that is not positive definite, expected positive eigenvalues")
    log_z = 0.5 * len(m) * math.log(2 * math.pi) + float(root.diagonal().log().sum())

    def energy(x: Tensor) -> Tensor:
        whitened: Tensor = torch.linalg.solve_triangular(root, (x - m).T, upper=False)
        return 0.5 * whitened.square().sum(0)

    def draw(n: int, seed: int) -> Tensor:
        noise: Tensor = torch.as_tensor(np.random.default_rng(seed).standard_normal((n, len(m))))
        return m + noise @ root.T

    observables = _coordinates(len(m))
    first, second = m.tolist(), (m.square() + s.diagonal()).tolist()
    if len(m) > LISTED_DIMS:
        means = {"<x>": float(np.mean(first)), "<x^2>": float(np.mean(second))}
    else:
        means = {f"x_{j}": first[j] for j in range(len(m))} | {f"x_{j}^2": second[j] for j in range(len(m))}
    return Potential("gaussian", len(m), energy, observables, lambda: Answers(log_z, means), draw)


def double_well(height: float = 4.0, n_dims: int = 1) -> Potential:
    """Double well U = h (x_0^2 - 1)^2, with x_j^2 / 2 for further coordinates.

    Parameters
    ----------
    height : float
        h, the barrier between the wells at -1 and 1; from 0.01 to 100.
    n_dims : int
        D.

    Returns
    -------
    Potential
        With answers and draws from a grid.

    Raises
    ------
    InputError
        A number is out of range.

    Examples
    --------
    >>> from topicnet.images import gibbs
    >>> round(gibbs.double_well(8.0).answers().log_z, 6)
    -0.439586
    """
    _check_between("height", height, 0.01, 100.0)
    check_count("n_dims", n_dims, most=MOST_DIMS)
    end = math.sqrt(1 + math.sqrt(TAIL / height))
    grid = Grid((-end,), (end,), (4000,))

    def wells(x: Tensor) -> Tensor:
        return height * (x[:, 0].square() - 1).square()

    def energy(x: Tensor) -> Tensor:
        return wells(x) + 0.5 * x[:, 1:].square().sum(-1)

    def exact() -> Answers:
        line = grid.answers(wells, observables)
        return Answers(line.log_z + 0.5 * (n_dims - 1) * math.log(2 * math.pi), line.means)

    def draw(n: int, seed: int) -> Tensor:
        others = np.random.default_rng((seed, 1)).standard_normal((n, n_dims - 1))
        return torch.cat([grid.draw(wells, n, seed), torch.as_tensor(others)], 1)

    observables: dict[str, Function] = {
        "P(x>0)": lambda x: (x[:, 0] > 0).double(),
        "x^2": lambda x: x[:, 0].square(),
    }
    window = ((-end * 0.8, end * 0.8),) if n_dims == 1 else None
    return Potential("double-well", n_dims, energy, observables, exact, draw, window=window)


def mixture(n_modes: int = 4, radius: float = 2.0, variance: float = 0.25, n_dims: int = 2) -> Potential:
    """Mixture of Gaussians on a circle, ``U = -log sum_k exp(-|x - c_k|^2 / (2 s^2))``.

    The centres c_k are equally spaced on a circle in the first two dimensions, so every mode has the same mass.

    Parameters
    ----------
    n_modes : int
        K.
    radius : float
        Radius of the circle.
    variance : float
        s^2 of each component.
    n_dims : int
        D, at least 2.

    Returns
    -------
    Potential
        With exact answers and draws.

    Raises
    ------
    InputError
        A number is out of range.

    Examples
    --------
    >>> from topicnet.images import gibbs
    >>> round(gibbs.mixture().answers().log_z, 6)
    1.837877
    """
    check_count("n_modes", n_modes, most=100)
    _check_between("radius", radius, 0.01, 100.0)
    _check_between("variance", variance, 1e-4, 100.0)
    check_count("n_dims", n_dims, least=2, most=MOST_DIMS)
    angles = 2 * math.pi * torch.arange(n_modes, dtype=torch.float64) / n_modes
    centres = torch.zeros(n_modes, n_dims, dtype=torch.float64)
    centres[:, 0], centres[:, 1] = radius * angles.cos(), radius * angles.sin()

    def squares(x: Tensor) -> Tensor:
        return (x[:, None] - centres).square().sum(-1)  # (n, K)

    def energy(x: Tensor) -> Tensor:
        return -(-squares(x) / (2 * variance)).logsumexp(-1)

    def draw(n: int, seed: int) -> Tensor:
        rng = np.random.default_rng(seed)
        noise = torch.as_tensor(rng.standard_normal((n, n_dims)))
        return centres[torch.as_tensor(rng.integers(n_modes, size=n))] + math.sqrt(variance) * noise

    def occupancy(x: Tensor, mode: int) -> Tensor:
        return (squares(x).argmin(-1) == mode).double()

    observables: dict[str, Function] = {f"mode {k}": partial(occupancy, mode=k) for k in range(n_modes)}
    observables["x_0^2"] = partial(_power, dim=0, power=2)
    log_z = math.log(n_modes) + 0.5 * n_dims * math.log(2 * math.pi * variance)
    means = {f"mode {k}": 1 / n_modes for k in range(n_modes)}  # by symmetry
    means["x_0^2"] = variance + float(centres[:, 0].square().mean())
    side = radius + 3.5 * math.sqrt(variance)
    window = ((-side, side), (-side, side)) if n_dims == 2 else None
    return Potential("mixture", n_dims, energy, observables, lambda: Answers(log_z, means), draw, window=window)


def mueller_brown(temperature: float = 20.0) -> Potential:
    """Potential of Mueller and Brown divided by a temperature, in two dimensions.

    Its fourth exponential is continued by its tangent above exp(8), 45,000 energy units above the minimum, so that
    gradients stay finite.

    Parameters
    ----------
    temperature : float
        From 5 to 1,000.

    Returns
    -------
    Potential
        With answers and draws from a grid.

    Raises
    ------
    InputError
        The temperature is out of range.

    References
    ----------
    Mueller & Brown (1979), "Location of saddle points and minimum energy paths by a constrained simplex optimization
    procedure".

    Examples
    --------
    >>> import torch
    >>> from topicnet.images import gibbs
    >>> potential = gibbs.mueller_brown(1000.0)
    >>> round(1000 * float(potential.energies(torch.tensor([[-0.558, 1.442]]))), 1)
    -146.7
    """
    _check_between("temperature", temperature, 5.0, 1_000.0)

    def surface(x: Tensor) -> Tensor:
        total = torch.zeros_like(x[:, 0])
        for amplitude, (a, b, c), centre in zip(AMPLITUDES, COEFFICIENTS, CENTRES, strict=True):
            dx, dy = x[:, 0] - centre[0], x[:, 1] - centre[1]
            exponent = a * dx.square() + b * dx * dy + c * dy.square()
            bounded = exponent.clamp(max=LARGEST_EXPONENT)
            total = total + amplitude * bounded.exp() * (1 + exponent - bounded)
        return total

    def energy(x: Tensor) -> Tensor:
        return surface(x) / temperature

    observables: dict[str, Function] = {
        "P(y>0.75)": lambda x: (x[:, 1] > BASIN).double(),
        "U": surface,
        "x": partial(_power, dim=0, power=1),
        "y": partial(_power, dim=1, power=1),
    }
    return Potential(
        "mueller-brown",
        2,
        energy,
        observables,
        lambda: BOX.answers(energy, observables),
        lambda n, seed: BOX.draw(energy, n, seed),
        window=((-1.8, 1.4), (-0.6, 2.1)),
    )


def phi4_ring(n_sites: int = 8, mass: float = -1.0, coupling: float = 0.25) -> Potential:
    """Scalar field on a ring, U = sum_i [(p_i - p_{i+1})^2 / 2 + m^2 p_i^2 / 2 + lambda p_i^4].

    Parameters
    ----------
    n_sites : int
        N, from 2.
    mass : float
        m^2, which may be negative if lambda is positive.
    coupling : float
        lambda, 0 or more.

    Returns
    -------
    Potential
        With answers from the transfer matrix, unless its grid would need too many points.

    Raises
    ------
    InputError
        A number is out of range, or the density cannot be normalised.

    Examples
    --------
    >>> from topicnet.images import gibbs
    >>> answers = gibbs.phi4_ring(8).answers()
    >>> round(answers.log_z, 6), round(answers.means["<p^2>"], 6)
    (6.404221, 0.693553)
    """
    check_count("n_sites", n_sites, least=2, most=MOST_DIMS)
    _check_field(mass, coupling)

    def energy(x: Tensor) -> Tensor:
        links = 0.5 * (x - x.roll(-1, 1)).square()
        sites: Tensor = _site(x, mass, coupling)
        return (links + sites).sum(-1)

    exact = _field_answers_of(n_sites, 1, mass, coupling)
    return Potential("phi4-ring", n_sites, energy, _field_observables(), exact, binder=True)


def phi4_lattice(length: int = 4, mass: float = -2.0, coupling: float = 0.5) -> Potential:
    """Scalar field on a periodic lattice of 2 x L sites, each joined to its neighbours in both directions.

    Two links join the sites of a column, one around the period of length 2.

    Parameters
    ----------
    length : int
        L, from 2.
    mass : float
        m^2, which may be negative if lambda is positive.
    coupling : float
        lambda, 0 or more.

    Returns
    -------
    Potential
        Points list the sites column by column. With answers from the transfer matrix, unless its grid would need too
        many points.

    Raises
    ------
    InputError
        A number is out of range, or the density cannot be normalised.

    Examples
    --------
    >>> from topicnet.images import gibbs
    >>> round(gibbs.phi4_lattice(4).answers().log_z, 5)
    5.06081
    """
    check_count("length", length, least=2, most=MOST_DIMS // 2)
    _check_field(mass, coupling)

    def energy(x: Tensor) -> Tensor:
        columns = x.view(-1, length, 2)
        along = 0.5 * (columns - columns.roll(-1, 1)).square()
        across = (columns[..., 0] - columns[..., 1]).square()  # two links of 1/2 each
        sites: Tensor = _site(columns, mass, coupling)
        return (along + sites).sum((1, 2)) + across.sum(-1)

    exact = _field_answers_of(length, 2, mass, coupling)
    return Potential("phi4-lattice", 2 * length, energy, _field_observables(), exact, binder=True)


def _site(p: Any, mass: float, coupling: float) -> Any:
    return 0.5 * mass * p**2 + coupling * p**4


def _check_field(mass: float, coupling: float) -> None:
    _check_between("coupling", coupling, 0.0, 1e4)
    _check_between("mass", mass, -1e4, 1e4)
    if coupling == 0 and mass <= 0:
        raise InputError(f"mass={mass:g} and coupling=0 given, expected a positive mass: the density has no integral")
    if coupling > 0 and mass < 0 and mass**2 / (16 * coupling) > TAIL:
        raise InputError(
            f"mass={mass:g} and coupling={coupling:g} given, whose wells are {mass**2 / (16 * coupling):.0f} deep,"
            f" expected at most {TAIL:.0f}: raise the coupling"
        )


def _field_answers_of(n_columns: int, width: int, mass: float, coupling: float) -> Callable[[], Answers] | None:
    """Return a function that solves a field by its transfer matrix, or None if that needs too many grid points.

    The interval ends where the density of a single site is negligible. Its step resolves the narrowest Gaussian factor,
    that of a site at its minimum and its links to its neighbours.
    """
    values = np.linspace(0.0, WIDEST_FIELD, 100_001)
    energies = _site(values, mass, coupling)
    above = np.flatnonzero(energies <= energies.min() + 0.75 * TAIL)
    limit = float(values[above[-1]])
    curvature = (mass if mass > 0 else -2 * mass) + 2 * width
    n_nodes = max(LEAST_NODES, math.ceil(2 * limit / (RESOLUTION / math.sqrt(curvature)))) | 1
    if n_nodes > MOST_NODES[width] or above[-1] == len(values) - 1:
        return None
    return partial(_field_answers, n_columns, width, mass, coupling, limit, n_nodes)


@lru_cache(maxsize=32)
def _field_answers(n_columns: int, width: int, mass: float, coupling: float, limit: float, n_nodes: int) -> Answers:
    site = partial(_site, mass=mass, coupling=coupling)
    return FieldChain(n_columns, width, site, 2.0, limit, n_nodes).answers()


def _field_observables() -> dict[str, Function]:
    return {"<p>": lambda x: x.mean(-1), "<p^2>": lambda x: x.square().mean(-1)}


def _check_between(name: str, value: object, low: float, high: float) -> None:
    """Raise InputError unless a value is a number from low to high."""
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not low <= float(value) <= high:  # type: ignore[arg-type]
        raise InputError(f"{name}={value!r} given, expected a number from {low:g} to {high:g}")


def _array(values: Any, name: str, n_axes: int) -> Tensor:
    try:
        array = torch.as_tensor(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}={values!r} given, expected numbers") from error
    if array.ndim != n_axes or array.numel() == 0 or not bool(array.isfinite().all()):
        raise InputError(f"{name} of shape {tuple(array.shape)} given, expected finite numbers in {n_axes} axes")
    return array
