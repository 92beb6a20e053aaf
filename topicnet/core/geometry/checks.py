"""Checks of points, curves and maps, with errors that name the value and the remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from topicnet.errors import InputError


def as_points(points: Any, name: str = "points", n_dims: int | None = None) -> Tensor:
    """Return points as a float32 or float64 tensor of shape (..., d).

    A tensor of floats keeps its type. Other input becomes float64, whatever torch's default type is. If `n_dims` is
    given, the tensor must have that many dimensions.
    """
    tensor = points if isinstance(points, Tensor) else _as_float64(points, name)
    if tensor.dtype not in (torch.float32, torch.float64):
        raise InputError(f"{name} of type {tensor.dtype} given, expected torch.float32 or torch.float64")
    if tensor.ndim == 0 or tensor.shape[-1] == 0 or (n_dims is not None and tensor.ndim != n_dims):
        expected = "(..., d)" if n_dims is None else "(d,)" if n_dims == 1 else "(n, d)"
        raise InputError(f"{name} of shape {tuple(tensor.shape)} given, expected {expected}")
    if not tensor.isfinite().all():
        raise InputError(f"{name} with NaN or infinite values given, expected finite numbers")
    return tensor


def _as_float64(points: Any, name: str) -> Tensor:
    try:
        return torch.as_tensor(points, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name} of type {type(points).__name__} given, expected a tensor of numbers") from error


def as_end_points(start: Any, end: Any) -> tuple[Tensor, Tensor]:
    """Return two different points of one shape (d,) and one type."""
    start, end = as_points(start, "start", 1).detach().clone(), as_points(end, "end", 1).detach().clone()
    if start.shape != end.shape:
        raise InputError(f"start has {len(start)} dimensions and end {len(end)}, expected the same number")
    if start.dtype != end.dtype or start.device != end.device:
        raise InputError(
            f"start is {start.dtype} on {start.device} and end {end.dtype} on {end.device}, expected the same"
        )
    if torch.equal(start, end):
        raise InputError(f"start and end are both {described(start)}, expected two different points")
    return start, end


def described(point: Tensor) -> str:
    """Return the coordinates of a point (d,) for a message, at most five of them."""
    shown = ", ".join(f"{value:.4g}" for value in point[:5].tolist())
    return f"({shown}{', ...' if len(point) > 5 else ''})"


@contextmanager
def map_errors() -> Iterator[None]:
    """Context manager: raise an `InputError` for any error of a map that torch evaluates or differentiates."""
    try:
        yield
    except InputError:
        raise
    except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"the map cannot be evaluated and differentiated by torch.func: {reason}; expected torch operations that "
            "take one point (d,) of the points' type"
        ) from error
