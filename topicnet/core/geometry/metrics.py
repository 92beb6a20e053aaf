"""Riemannian metrics on a latent space: pullbacks of maps, Fisher-Rao metrics of likelihoods, any metric tensor."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import grad, jacfwd, jvp, vmap

from topicnet.core.geometry.checks import as_points, described, map_errors
from topicnet.errors import InputError
from topicnet.runtime.warnings import ignored

# The first derivative in forward mode compiles formulas by `torch.jit.script`, which warns that it is deprecated.
with ignored(DeprecationWarning), forward_ad.dual_level():
    forward_ad.make_dual(torch.zeros(1, device="cpu"), torch.zeros(1, device="cpu"))  # type: ignore[no-untyped-call]

Map = Callable[[Tensor], Tensor]
BLOCK = 4096  # points whose Jacobians are in memory at the same time


class Metric(ABC):
    """Riemannian metric on R^d: a positive definite matrix M(z) at each point z.

    Metrics are made by `pullback`, `expected_pullback`, the `fisher_rao_*` functions and `metric_from_tensor`.
    Everything is computed in the data type and on the device of the points. Nothing is random.

    See Also
    --------
    geodesic : Shortest path between two points under a metric.

    Examples
    --------
    >>> metric = pullback(lambda z: 3 * z)
    >>> metric.tensor([1.0, 2.0])
    tensor([[9., 0.],
            [0., 9.]], dtype=torch.float64)
    """

    def tensor(self, points: Any) -> Tensor:
        """Compute the metric tensor M(z) of each point.

        Parameters
        ----------
        points : Tensor or array-like
            (..., d).

        Returns
        -------
        Tensor
            (..., d, d), symmetric and positive semi-definite.

        Raises
        ------
        InputError
            For points or metric tensors with NaN or infinite values, for a map that torch cannot differentiate, and for
            values of the map that are not parameters of its likelihood.
        """
        given = as_points(points)
        flat = given.reshape(-1, given.shape[-1])
        with map_errors():
            problem = self._problem(flat[:BLOCK]) if len(flat) else None
            if problem:
                raise InputError(problem)
            blocks = [self._tensors(block) for block in torch.split(flat, BLOCK)]
        tensors = torch.cat(blocks)
        wrong = ~tensors.isfinite().flatten(1).all(1)
        if wrong.any():
            raise InputError(
                f"the metric at {described(flat[wrong][0])} is not finite; expected a map with finite values and "
                "derivatives there"
            )
        return tensors.reshape(*given.shape, given.shape[-1])

    def volume(self, points: Any) -> Tensor:
        """Compute the volume element sqrt(det M(z)) of each point.

        Parameters
        ----------
        points : Tensor or array-like
            (..., d).

        Returns
        -------
        Tensor
            (...,), not negative. It is 0 where the metric is singular.

        Raises
        ------
        InputError
            As for `tensor`.
        """
        determinants: Tensor = torch.linalg.det(self.tensor(points))
        return determinants.clamp_min(0.0).sqrt()

    def squared_steps(self, curves: Tensor) -> Tensor:
        """Compute the squared length of each segment of discrete curves.

        Parameters
        ----------
        curves : Tensor
            (..., n + 1, d).

        Returns
        -------
        Tensor
            (..., n). For a pullback, the squared distance between the images of the end points; otherwise
            delta^T M(midpoint) delta.
        """
        d = curves.shape[-1]
        steps, middles = curves.diff(dim=-2), (curves[..., 1:, :] + curves[..., :-1, :]) / 2
        return self.squared_speeds(middles.reshape(-1, d), steps.reshape(-1, d)).reshape(steps.shape[:-1])

    def squared_speeds(self, points: Tensor, velocities: Tensor) -> Tensor:
        """Compute v^T M(z) v of each point and velocity.

        Parameters
        ----------
        points, velocities : Tensor
            (n, d).

        Returns
        -------
        Tensor
            (n,).
        """
        return torch.einsum("ni,nij,nj->n", velocities, self._tensors(points), velocities)

    @abstractmethod
    def accelerations(self, points: Tensor, velocities: Tensor) -> Tensor:
        """Compute the acceleration of the geodesic through each point with each velocity.

        Parameters
        ----------
        points, velocities : Tensor
            (n, d).

        Returns
        -------
        Tensor
            (n, d).

        Raises
        ------
        InputError
            For a singular metric.
        """

    @abstractmethod
    def _tensors(self, points: Tensor) -> Tensor:
        """Return M(z) of points (n, d): (n, d, d)."""

    def _problem(self, points: Tensor) -> str | None:
        """Return an error message if the map has unusable values at points (n, d)."""
        return None


@dataclass(frozen=True)
class _Pullback(Metric):
    """Pullback J^T J of a map (d,) -> (D,) into Euclidean space."""

    map: Map
    check: Callable[[Tensor], str | None] | None = None

    def _tensors(self, points: Tensor) -> Tensor:
        jacobians = _mapped(jacfwd(self.map), points)  # (n, D, d)
        return jacobians.mT @ jacobians

    def _problem(self, points: Tensor) -> str | None:
        return self.check(points) if self.check else None

    def squared_steps(self, curves: Tensor) -> Tensor:
        images = _mapped(self.map, curves.reshape(-1, curves.shape[-1]))
        return images.reshape(*curves.shape[:-1], -1).diff(dim=-2).square().sum(-1)

    def squared_speeds(self, points: Tensor, velocities: Tensor) -> Tensor:
        return _mapped(self._derivative, points, velocities).square().sum(-1)

    def accelerations(self, points: Tensor, velocities: Tensor) -> Tensor:
        """-M^-1 J^T d2f[v, v], which needs no derivative of M."""
        second = _mapped(
            lambda z, v: jvp(lambda y: self._derivative(y, v), (z,), (v,))[1], points, velocities
        )  # (n, D)
        jacobians = _mapped(jacfwd(self.map), points)
        return -_solve(jacobians.mT @ jacobians, (jacobians.mT @ second[..., None])[..., 0], points)

    def _derivative(self, z: Tensor, v: Tensor) -> Tensor:
        derivative: Tensor = jvp(self.map, (z,), (v,))[1]
        return derivative


@dataclass(frozen=True)
class _TensorMetric(Metric):
    """Metric given by its tensor, a function (d,) -> (d, d)."""

    function: Map
    check: Callable[[Tensor], str | None] | None = None

    def _tensors(self, points: Tensor) -> Tensor:
        return _mapped(self.function, points)

    def _problem(self, points: Tensor) -> str | None:
        return self.check(points) if self.check else None

    def accelerations(self, points: Tensor, velocities: Tensor) -> Tensor:
        """-M^-1 (dM[v] v - grad(v^T M v) / 2), the Christoffel form without Christoffel symbols."""

        def force(z: Tensor, v: Tensor) -> Tensor:
            change: Tensor = jvp(lambda y: self.function(y) @ v, (z,), (v,))[1]
            slope: Tensor = grad(lambda y: v @ self.function(y) @ v)(z)
            return change - slope / 2

        return -_solve(self._tensors(points), _mapped(force, points, velocities), points)


def _mapped(function: Callable[..., Tensor], *points: Tensor) -> Tensor:
    """Apply a function of one point to points (n, d)."""
    values: Tensor = vmap(function)(*points)
    return values


def _solve(tensors: Tensor, right: Tensor, points: Tensor) -> Tensor:
    solved = torch.linalg.solve_ex(tensors, right[..., None])
    solution: Tensor = solved.result[..., 0]
    wrong = (solved.info != 0) | ~solution.isfinite().all(1)
    if wrong.any():
        raise InputError(
            f"the metric at {described(points[wrong][0])} is singular or not finite, so geodesics have no equation "
            "there; expected a map with a Jacobian of full column rank, or ridge > 0"
        )
    return solution


def check_regular(metric: Metric, points: Tensor) -> None:
    """Raise an `InputError` unless the metric is positive definite at points (n, d)."""
    tensors = metric.tensor(points).detach()
    skew = (tensors - tensors.mT).abs().amax((1, 2)) > 1e-4 * tensors.abs().amax((1, 2))
    if skew.any():
        raise InputError(f"the metric at {described(points[skew][0])} is not symmetric, expected a symmetric tensor")
    eigenvalues = torch.linalg.eigvalsh(tensors)  # (n, d), ascending
    least, largest = eigenvalues[:, 0], eigenvalues[:, -1]
    singular = least <= 16 * points.shape[-1] * torch.finfo(points.dtype).eps * largest
    if not singular.any():
        return
    where, value, most = described(points[singular][0]), float(least[singular][0]), float(largest[singular][0])
    if most == 0:
        raise InputError(
            f"the derivative of the map is 0 at {where}: it is constant or not differentiable there; expected a "
            "differentiable map with a Jacobian of full column rank"
        )
    raise InputError(
        f"the metric at {where} is singular: its smallest eigenvalue is {value:.3g} and its largest {most:.3g}; "
        "expected a map with a Jacobian of full column rank, or ridge > 0"
    )


def pullback(map_: Map, *, ridge: float = 0.0) -> Metric:
    """Pull the Euclidean metric back through a map: M(z) = J(z)^T J(z).

    The matrix is d x d, and positive definite only where the Jacobian has full column rank. `ridge` adds a multiple of
    the identity: M is then the pullback of z -> (f(z), sqrt(ridge) z).

    Parameters
    ----------
    map_ : callable
        Differentiable function of one point, (d,) -> (D,). Output of another shape is flattened. Take the probabilities
        of a Bernoulli decoder rather than its logits.
    ridge : float
        Multiple of the identity that is added to M, not negative.

    Returns
    -------
    Metric
        Lengths and energies of discrete curves use distances between images (chords).

    Raises
    ------
    InputError
        For a negative ridge. Errors of the map are raised when the metric is used.

    References
    ----------
    Arvanitidis, Hansen & Hauberg (2018), "Latent space oddity: on the curvature of deep generative models", section 2.

    Examples
    --------
    >>> paraboloid = pullback(lambda z: torch.cat([z, z.square().sum()[None] / 2]))
    >>> paraboloid.tensor([1.0, 0.0])
    tensor([[2., 0.],
            [0., 1.]], dtype=torch.float64)
    """
    return _Pullback(_with_ridge(_vector(map_), ridge))


def expected_pullback(mean: Map, scale: Map, *, ridge: float = 0.0) -> Metric:
    """Average the pullback metric of a Gaussian decoder: E M = J_mean^T J_mean + J_scale^T J_scale.

    The decoder is f(z) = mean(z) + scale(z) * noise with standard normal noise. Its expected metric is exactly the
    pullback of z -> (mean(z), scale(z)). Geodesics stay near the data only if the scale grows away from the data, as
    that of `RBFPrecision` does.

    Parameters
    ----------
    mean : callable
        (d,) -> (D,).
    scale : callable
        Standard deviation, (d,) -> (D,), or one number for all D outputs.
    ridge : float
        Multiple of the identity that is added, not negative.

    Returns
    -------
    Metric
        The expected metric.

    Raises
    ------
    InputError
        For a negative ridge.

    References
    ----------
    Arvanitidis, Hansen & Hauberg (2018), eq. 9.

    Examples
    --------
    >>> metric = expected_pullback(lambda z: z, lambda z: 0.1 + z.square().sum())
    >>> metric.tensor([1.0, 0.0])
    tensor([[9., 0.],
            [0., 1.]], dtype=torch.float64)
    """
    return _Pullback(_with_ridge(_mean_and_scale(mean, scale), ridge))


def fisher_rao_bernoulli(map_: Map, *, from_logits: bool = False, ridge: float = 0.0) -> Metric:
    """Pull the Fisher-Rao metric of independent Bernoulli variables back: ds^2 = sum dp^2 / (p (1 - p)).

    It is the Euclidean metric of 2 arcsin(sqrt(p)).

    Parameters
    ----------
    map_ : callable
        (d,) -> (D,) probabilities, or logits.
    from_logits : bool
        Whether the map gives logits, which stay accurate where probabilities round to 0 or 1.
    ridge : float
        Multiple of the identity that is added, not negative.

    Returns
    -------
    Metric
        The Fisher-Rao metric on the latent space.

    Raises
    ------
    InputError
        For a negative ridge; when used, for probabilities outside [0, 1].

    Examples
    --------
    >>> fisher_rao_bernoulli(lambda z: z).tensor([0.2])
    tensor([[6.2500]], dtype=torch.float64)
    """
    vector = _vector(map_)

    def embed(z: Tensor) -> Tensor:
        if from_logits:
            return 2 * (vector(z) / 4).tanh().atan()  # 2 arcsin(sqrt(sigmoid)) without overflow, up to a constant
        return 2 * vector(z).sqrt().asin()

    def check(points: Tensor) -> str | None:
        p = _mapped(vector, points).detach()
        if from_logits or not ((p < 0) | (p > 1)).any():
            return None
        return f"probabilities from {p.min():.4g} to {p.max():.4g} given by the map, expected [0, 1] (or from_logits)"

    return _Pullback(_with_ridge(embed, ridge), check)


def fisher_rao_categorical(
    map_: Map, *, from_logits: bool = False, n_trials: float = 1.0, ridge: float = 0.0
) -> Metric:
    """Pull the Fisher-Rao metric of a categorical or multinomial distribution back: ds^2 = n sum dp^2 / p.

    It is the metric of the sphere of radius 2 sqrt(n), on which 2 sqrt(n p) is a point. Distances on the simplex itself
    are 2 sqrt(n) arccos(sum sqrt(p q)).

    Parameters
    ----------
    map_ : callable
        (d,) -> (V,) probabilities that sum to 1, or logits.
    from_logits : bool
        Whether the map gives logits, which stay accurate where probabilities round to 0.
    n_trials : float
        Number of draws n of the multinomial (tokens of a document), positive.
    ridge : float
        Multiple of the identity that is added, not negative.

    Returns
    -------
    Metric
        The Fisher-Rao metric on the latent space.

    Raises
    ------
    InputError
        For a negative ridge or n_trials that is not positive; when used, for probabilities that do not sum to 1.

    Examples
    --------
    >>> metric = fisher_rao_categorical(lambda z: torch.cat([z, 1 - z]))
    >>> metric.tensor([0.2])
    tensor([[6.2500]], dtype=torch.float64)
    """
    if not (math.isfinite(n_trials) and n_trials > 0):
        raise InputError(f"n_trials={n_trials} given, expected a positive number")
    vector, radius = _vector(map_), 2 * math.sqrt(n_trials)

    def embed(z: Tensor) -> Tensor:
        return radius * ((vector(z).log_softmax(-1) / 2).exp() if from_logits else vector(z).sqrt())

    def check(points: Tensor) -> str | None:
        p = _mapped(vector, points).detach()
        if from_logits or bool((p >= 0).all() and ((p.sum(-1) - 1).abs() < 1e-4).all()):
            return None
        return (
            f"probabilities of at least {p.min():.4g} that sum to {p.sum(-1)[0]:.4g} given by the map, expected "
            "numbers from 0 that sum to 1 (or from_logits)"
        )

    return _Pullback(_with_ridge(embed, ridge), check)


def fisher_rao_gaussian(mean: Map, scale: Map) -> Metric:
    """Pull the Fisher-Rao metric of independent Gaussians back: ds^2 = sum (dm^2 + 2 ds^2) / s^2.

    Parameters
    ----------
    mean : callable
        (d,) -> (D,).
    scale : callable
        Standard deviation s, (d,) -> (D,), or one number for all D outputs.

    Returns
    -------
    Metric
        The Fisher-Rao metric on the latent space. For one Gaussian with z = (m, s) it is hyperbolic, with distances
        sqrt(2) arccosh(1 + (dm^2 / 2 + ds^2) / (2 s0 s1)).

    Raises
    ------
    InputError
        When used, for a standard deviation that is not positive.

    Examples
    --------
    >>> metric = fisher_rao_gaussian(lambda z: z[:1], lambda z: z[1:])
    >>> metric.tensor([0.0, 2.0])
    tensor([[0.2500, 0.0000],
            [0.0000, 0.5000]], dtype=torch.float64)
    """
    both = _mean_and_scale(mean, scale)

    def tensor(z: Tensor) -> Tensor:
        jacobian, (_, s) = jacfwd(lambda y: (lambda x: (x, x.chunk(2)))(both(y)), has_aux=True)(z)
        rows = jacobian * torch.cat([1 / s, math.sqrt(2) / s])[:, None]
        product: Tensor = rows.mT @ rows
        return product

    def check(points: Tensor) -> str | None:
        s = _mapped(both, points).detach().chunk(2, -1)[1]
        return None if (s > 0).all() else f"a standard deviation of {s.min():.4g} given by the map, expected above 0"

    return _TensorMetric(tensor, check)


def metric_from_tensor(tensor: Map) -> Metric:
    """Make a metric of a function that gives the metric tensor of one point.

    Parameters
    ----------
    tensor : callable
        Differentiable function (d,) -> (d, d), symmetric and positive definite.

    Returns
    -------
    Metric
        Lengths and energies of discrete curves use the tensor at the midpoint of each segment.

    Raises
    ------
    InputError
        When used, for a tensor of another shape.

    Examples
    --------
    >>> half_plane = metric_from_tensor(lambda z: torch.eye(2, dtype=z.dtype) / z[1] ** 2)
    >>> half_plane.volume([0.0, 2.0])
    tensor(0.2500, dtype=torch.float64)
    """

    def checked(z: Tensor) -> Tensor:
        value = tensor(z)
        if not isinstance(value, Tensor) or value.shape != (len(z), len(z)):
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise InputError(f"the tensor function gives {shape} at a point ({len(z)},), expected ({len(z)}, {len(z)})")
        return value

    return _TensorMetric(checked)


def _vector(map_: Map) -> Map:
    """Flatten the output of a map, and raise an `InputError` if it is not a tensor of floats."""

    def vector(z: Tensor) -> Tensor:
        value = map_(z)
        if not isinstance(value, Tensor) or not value.is_floating_point():
            kind = value.dtype if isinstance(value, Tensor) else type(value).__name__
            raise InputError(f"the map gives {kind}, expected a tensor of floats that torch can differentiate")
        return value.flatten()

    return vector


def _mean_and_scale(mean: Map, scale: Map) -> Map:
    mean, scale = _vector(mean), _vector(scale)

    def both(z: Tensor) -> Tensor:
        m, s = mean(z), scale(z)
        if len(s) not in (1, len(m)):
            raise InputError(f"{len(m)} means and {len(s)} scales given by the maps, expected as many scales or one")
        return torch.cat([m, s.expand_as(m)])

    return both


def _with_ridge(map_: Map, ridge: float) -> Map:
    if not (math.isfinite(ridge) and ridge >= 0):
        raise InputError(f"ridge={ridge} given, expected a number from 0")
    if ridge == 0:
        return map_
    return lambda z: torch.cat([map_(z), math.sqrt(ridge) * z])
