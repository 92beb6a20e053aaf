"""RMSProp, the optimiser of Wasserstein critics: Adam without its first moment."""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-8  # added to the root mean square


@torch.no_grad()
def rmsprop_step(
    parameters: list[Tensor],
    gradients: list[Tensor],
    squares: list[Tensor],
    *,
    rate: float,
    decay: float,
    correct_from: int | None = None,
) -> None:
    """Divide gradients by the root of their mean square, and step against them; updates `parameters` and `squares`.

    Parameters
    ----------
    parameters : list of Tensor
        Updated in place.
    gradients : list of Tensor
        One per parameter.
    squares : list of Tensor
        Moving averages of the squared gradients, which start at 0.
    rate : float
        Learning rate.
    decay : float
        Decay of the moving averages.
    correct_from : int, optional
        Number of this step, from 1: the averages are corrected for their start at 0, as in Adam with beta1 = 0
        (Kingma & Ba 2015). By default they are not, as in RMSProp (Tieleman & Hinton 2012).
    """
    torch._foreach_mul_(squares, decay)
    torch._foreach_addcmul_(squares, gradients, gradients, 1 - decay)
    scale = 1.0 if correct_from is None else 1 - decay**correct_from
    roots = torch._foreach_sqrt(list(torch._foreach_div(squares, scale)))
    torch._foreach_add_(roots, EPSILON)
    torch._foreach_addcdiv_(parameters, gradients, list(roots), -rate)
