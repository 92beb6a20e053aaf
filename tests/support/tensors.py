"""Comparison of tensors and gradients."""

import torch

CPU = torch.device("cpu")
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-9}


def twin(tensor):
    """Copy a tensor to a new leaf that requires gradients."""
    return tensor.detach().clone().requires_grad_()


def relative_difference(a, b):
    """Return the largest difference relative to the largest entry, as sums of cancelling terms lose digits."""
    return float((a - b).detach().abs().max() / b.detach().abs().max())
