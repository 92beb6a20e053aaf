"""Result of a transport problem."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from topicnet.errors import InputError


@dataclass(frozen=True, eq=False)
class Transport:
    """Result of a transport problem between measures with n and m points.

    Parameters
    ----------
    cost : Tensor
        Scalar: the value of the problem. Exact problems report <P, C>, `sinkhorn` adds its entropy term, and
        `wasserstein` with power p reports ``W_p^p``. It carries a gradient where the inputs do.
    plan : Tensor, optional
        (n, m): the mass moved from each point to each point, without gradient. It is a sparse COO tensor on the line.
    f : Tensor, optional
        (n,): dual potential of the first measure, without gradient.
    g : Tensor, optional
        (m,): dual potential of the second measure, without gradient.
    gap : float, optional
        Objective at the plan minus the dual value at the potentials. The plan and the potentials are feasible, so the
        objective is within the gap of its optimum.
    marginal_error : float, default 0
        L1 distance of the first marginal from its masses when the iterations ended.
    converged : bool, default True
        Whether the method reached its tolerance. Methods without iterations always do.
    iterations : int, default 0
        Number of iterations, 0 for methods without any.
    power : float, default 1
        Exponent p of the ground cost ``|x - y|^p``, or 1 for a general cost.

    Raises
    ------
    InputError
        If the cost overflowed.

    Examples
    --------
    >>> import torch
    >>> from topicnet import transport
    >>> found = transport.wasserstein_1d(torch.tensor([0.0, 1.0]), torch.tensor([3.0, 4.0]), p=2)
    >>> float(found.cost), float(found.distance)
    (9.0, 3.0)
    """

    cost: Tensor
    plan: Tensor | None = None
    f: Tensor | None = None
    g: Tensor | None = None
    gap: float | None = None
    marginal_error: float = 0.0
    converged: bool = True
    iterations: int = 0
    power: float = 1.0

    def __post_init__(self) -> None:
        if not bool(torch.isfinite(self.cost.detach())):
            raise InputError(f"the cost exceeds the range of {self.cost.dtype}; scale the points or costs down")

    @property
    def distance(self) -> Tensor:
        """The cost to the power 1/p, a metric for the exact problems: W_p for a cost of ``W_p^p``.

        Its gradient is infinite where the cost is 0 and p > 1; train on `cost`.
        """
        return self.cost if self.power == 1 else self.cost.clamp_min(0.0) ** (1 / self.power)
