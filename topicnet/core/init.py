"""How free parameters are drawn."""

import torch
from torch import nn


def normal_parameter(rows: int, columns: int, std: float) -> nn.Parameter:
    """A parameter (rows, columns) drawn from N(0, std^2).

    On the meta device, where a model to be loaded is laid out, nothing is drawn: torch would import its compiler
    for it, which takes longer than the rest of the loading.
    """
    values = torch.empty(rows, columns)
    return nn.Parameter(values if values.is_meta else values.normal_(std=std))
