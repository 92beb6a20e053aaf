"""Initial values of parameters: random draws, or factors fitted to given topics."""

import torch
from torch import Tensor, nn


def normal_parameter(rows: int, columns: int, std: float) -> nn.Parameter:
    """Draw a parameter (rows, columns) from N(0, std^2).

    On the meta device, used to lay out a model that is being loaded, nothing is drawn: torch would import its
    compiler for that, which takes longer than the rest of loading.
    """
    values = torch.empty(rows, columns)
    return nn.Parameter(values if values.is_meta else values.normal_(std=std))


@torch.no_grad()
def factorise(logits: Tensor, left: nn.Parameter, right: nn.Parameter) -> None:
    """Set left (K, L) and right (V, L) by truncated SVD so that left @ right.T approximates the logits (K, V)."""
    topics, scale, words = torch.linalg.svd(logits, full_matrices=False)
    rank = min(len(scale), right.shape[1])
    root = scale[:rank].sqrt()
    # Dimensions beyond the rank of the logits stay small, free to be used in training.
    for parameter in (right, left):
        parameter.mul_(0.01 / parameter.std().clamp_min(1e-12))
    right[:, :rank] = words[:rank].T * root
    left[:, :rank] = topics[:, :rank] * root


def nearest_rows(right: Tensor, logits: Tensor) -> Tensor:
    """Return rows (n, L) whose products with right (V, L) best fit the logits (n, V), by ridge regression."""
    gram = right.T @ right
    ridge = 1e-3 * gram.diagonal().mean().clamp_min(1e-12)
    eye = torch.eye(len(gram), device=right.device, dtype=right.dtype)
    solution: Tensor = torch.linalg.solve(gram + ridge * eye, right.T @ logits.T).T
    return solution
