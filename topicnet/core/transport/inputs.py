"""Checks of points, masses and costs, and the ground cost between points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from topicnet.errors import InputError

Array: TypeAlias = Tensor | NDArray[Any] | Sequence[Any]

MASS_TOLERANCE = 1e-5  # allowed error of a sum of masses: that of a float32 softmax over a large vocabulary


def checked_tensor(values: Array, name: str, dim: int) -> Tensor:
    """Return finite values as a floating-point tensor of `dim` dimensions, none of them empty, or raise InputError."""
    try:
        tensor = values if isinstance(values, Tensor) else torch.as_tensor(np.asarray(values))
    except (TypeError, ValueError) as wrong:
        raise InputError(f"{name} is not an array of numbers; expected {dim} dimensions") from wrong
    if tensor.ndim != dim or 0 in tensor.shape:
        raise InputError(f"{name} has shape {tuple(tensor.shape)}; expected {dim} dimensions, none of them empty")
    if tensor.is_complex() or tensor.dtype == torch.bool:
        raise InputError(f"{name} holds {tensor.dtype}; expected real numbers")
    if not tensor.is_floating_point():
        tensor = tensor.double()
    elif tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.float()  # half precision is too coarse for costs
    if not bool(torch.isfinite(tensor).all()):
        raise InputError(f"{name} holds NaN or infinite values; expected finite numbers")
    return tensor


def checked_cost(cost: Array) -> Tensor:
    """Return a cost matrix (n, m) of finite numbers, or raise InputError."""
    matrix = checked_tensor(cost, "cost", 2)
    if not math.isfinite(float(matrix.detach().max() - matrix.detach().min())):
        raise InputError(f"the differences of cost exceed the range of {matrix.dtype}; scale the cost down")
    return matrix


def checked_points(x: Array, y: Array) -> tuple[Tensor, Tensor]:
    """Return two samples (n, d) and (m, d) with one floating-point type, or raise InputError."""
    first, second = checked_tensor(x, "x", 2), checked_tensor(y, "y", 2)
    if first.shape[1] != second.shape[1]:
        raise InputError(f"x has {first.shape[1]} and y {second.shape[1]} columns; expected points of one space")
    dtype = torch.promote_types(first.dtype, second.dtype)
    return first.to(dtype), second.to(dtype)


def checked_power(p: float) -> float:
    """Return the exponent of a ground cost, or raise InputError if it is below 1 or not finite."""
    if not isinstance(p, Real) or not 1 <= p < math.inf:
        raise InputError(f"p={p!r} given; expected a finite power of at least 1")
    return float(p)


def checked_count(value: int, name: str) -> int:
    """Return a whole number of at least 1, or raise InputError."""
    if not isinstance(value, Integral) or value < 1:
        raise InputError(f"{name}={value!r} given; expected a whole number of at least 1")
    return int(value)


def checked_mass(mass: Array | None, n: int, name: str, like: Tensor) -> Tensor:
    """Return masses (n,) in double precision that sum to 1, uniform if none are given, or raise InputError.

    A sum within 1e-5 of 1 (`MASS_TOLERANCE`) is accepted and normalised; the gradient passes through the division.
    """
    if mass is None:
        return torch.full((n,), 1 / n, dtype=torch.float64, device=like.device)
    checked = checked_tensor(mass, name, 1).to(device=like.device, dtype=torch.float64)
    if len(checked) != n:
        raise InputError(f"{name} has {len(checked)} masses for {n} points; expected one mass per point")
    least, total = float(checked.detach().min()), float(checked.detach().sum())
    if least < 0:
        raise InputError(f"{name} has the negative mass {least:g}; expected masses of 0 or more")
    if abs(total - 1) > MASS_TOLERANCE:
        raise InputError(f"{name} sums to {total:.6g}; expected masses that sum to 1: divide them by their sum")
    return checked / checked.sum()


def ground_cost(x: Array, y: Array, p: float = 2) -> Tensor:
    """Cost ``|x - y|^p`` of moving each point to each point, with Euclidean distances.

    Parameters
    ----------
    x : array of shape (n, d)
        Points of the first measure.
    y : array of shape (m, d)
        Points of the second measure.
    p : float, default 2
        Power of the distance, at least 1.

    Returns
    -------
    Tensor of shape (n, m)
        Costs, differentiable in both sets of points. The gradient at coinciding points is 0.

    Raises
    ------
    InputError
        If a sample is empty or not finite, the dimensions differ, or `p` is below 1.

    Examples
    --------
    >>> from topicnet import transport
    >>> transport.ground_cost([[0.0, 0.0]], [[3.0, 4.0]], p=1).tolist()
    [[5.0]]
    """
    first, second = checked_points(x, y)
    distances = torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")
    cost = distances if checked_power(p) == 1 else distances**p
    if not bool(torch.isfinite(cost.detach()).all()):
        raise InputError(f"the cost |x - y|^{p:g} exceeds the range of {cost.dtype}; scale the points down")
    return cost
