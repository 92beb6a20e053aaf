"""Sliced transport between samples on the unit sphere."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from torch import Tensor

from topicnet.core.counter_rng import Noise
from topicnet.core.transport.inputs import Array, checked_count, checked_points, checked_tensor
from topicnet.core.transport.losses import random_planes, spherical_sliced_loss
from topicnet.core.transport.result import Transport
from topicnet.errors import InputError

LENGTH_TOLERANCE = 1e-3  # allowed deviation of a vector's length from 1


def spherical_sliced_wasserstein(
    x: Array, y: Array | None = None, *, n_projections: int = 128, seed: int = 0
) -> Transport:
    """Spherical sliced Wasserstein distance: the mean of ``W_2^2`` over projections onto great circles.

    Parameters
    ----------
    x : array of shape (n, d)
        Unit vectors of the first measure, each with the mass 1/n.
    y : array of shape (n, d), optional
        Unit vectors of the second measure, as many. By default the uniform distribution on the sphere, in closed form.
    n_projections : int, default 128
        Number of great circles, drawn uniformly.
    seed : int, default 0
        The same seed gives the same circles on every device. Random generators are neither read nor changed.

    Returns
    -------
    Transport
        `cost` is the mean of ``W_2^2`` in squared turns, with a gradient in the points. There is no plan.

    Raises
    ------
    InputError
        If a sample is empty, not finite or not of unit vectors in two dimensions or more, the samples differ in size or
        dimension, `n_projections` is below 1, or `seed` is not in 0 to 2^64 - 1.

    Notes
    -----
    Bonet, Berg, Courty, Septier, Drumetz & Pham 2023, Spherical Sliced-Wasserstein. A circle has the length 1. Angles
    are matched in cyclic order (Delon, Salomon & Sobolevski 2010).

    Examples
    --------
    >>> import torch
    >>> from topicnet import transport
    >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> round(float(transport.spherical_sliced_wasserstein(x, -x, n_projections=4).cost), 4)
    0.0625
    """
    first = _checked_sphere(x, "x")
    second = None if y is None else _checked_sphere(y, "y")
    if second is not None:
        first, second = checked_points(first, second)
        if len(first) != len(second):
            raise InputError(f"x has {len(first)} and y {len(second)} points; expected equally many")
    if not isinstance(seed, Integral) or not 0 <= seed < 2**64:
        raise InputError(f"seed={seed!r} given; expected a whole number from 0 to 2^64 - 1")
    noise = Noise.of(int(seed), np.arange(1), first.device)
    planes = random_planes(noise, checked_count(n_projections, "n_projections"), first)
    return Transport(spherical_sliced_loss(first, second, planes), power=2.0)


def _checked_sphere(points: Array, name: str) -> Tensor:
    tensor = checked_tensor(points, name, 2)
    if tensor.shape[1] < 2:
        raise InputError(f"{name} has {tensor.shape[1]} column; expected unit vectors in 2 dimensions or more")
    lengths = tensor.detach().norm(dim=1)
    if float((lengths - 1).abs().max()) > LENGTH_TOLERANCE:
        raise InputError(
            f"rows of {name} have lengths from {float(lengths.min()):.3g} to {float(lengths.max()):.3g}; expected unit"
            " vectors: divide each row by its length"
        )
    return tensor
