"""Loss of a network: the weighted sum of its named terms, on a batch or over validation documents."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from topicnet.training.protocols import Batches
from topicnet.training.schedule import Schedule


def named_terms(network: nn.Module, batch: Any) -> dict[str, Tensor]:
    """Return the loss terms of a batch, each (B,) or a scalar, in nats per document.

    Random numbers come from the batch's own `Noise`, never from a generator.
    """
    terms: dict[str, Tensor] = network.terms(batch)  # type: ignore[operator]
    return terms


def validation_loss(network: nn.Module, batches: Batches | None, schedule: Schedule) -> float:
    """Return the mean loss over documents, with final weights of the terms and fixed noise; NaN without batches."""
    if batches is None:
        return math.nan
    sums: dict[str, float] = {}
    with torch.inference_mode():
        for batch in batches:
            terms = named_terms(network, batch)
            n_docs = max(value.numel() for value in terms.values())
            # A scalar term applies to every document of its batch.
            means = torch.stack([value.mean() for value in terms.values()])
            for name, mean in zip(terms, means.tolist(), strict=True):
                sums[name] = sums.get(name, 0.0) + n_docs * mean
    return sum(schedule.fully_weighted(name, total / batches.n_docs) for name, total in sums.items())
