"""Comparisons of tensors and of their gradients."""

import torch

CPU = torch.device("cpu")
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-9}


def twin(tensor):
    """Copy a tensor into a leaf with a gradient of its own."""
    return tensor.detach().clone().requires_grad_()


def relative_difference(a, b):
    """Largest difference as a fraction of the largest entry, since sums of terms that cancel lose digits."""
    return float((a - b).detach().abs().max() / b.detach().abs().max())
