"""The best weights of a training run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class BestWeights:
    """The best weights so far, on the device.

    Parameters
    ----------
    interventions : int
        Interventions that the weights have had.
    """

    def __init__(self, network: nn.Module, interventions: int) -> None:
        self.network = network
        self.interventions = interventions
        self.epoch = 0
        self.loss = math.inf
        self.tensors: dict[str, Tensor] = {}

    @classmethod
    def of(cls, network: nn.Module, values: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> BestWeights:
        """Restore from `values` and `tensors` of another."""
        best_weights = cls(network, values["treatments"])
        best_weights.epoch, best_weights.loss = values["epoch"], values["loss"]
        devices = {name: value.device for name, value in network.state_dict().items()}
        best_weights.tensors = {name: value.to(devices[name], copy=True) for name, value in tensors.items()}
        return best_weights

    @property
    def values(self) -> dict[str, Any]:
        """Epoch, loss and interventions of the weights."""
        return {"treatments": self.interventions, "epoch": self.epoch, "loss": self.loss}

    def offer(self, epoch: int, loss: float) -> None:
        """Keep the weights if their loss is the lowest so far; without one (NaN) the latest are the best."""
        if self.tensors and loss >= self.loss:
            return
        self.epoch, self.loss = epoch, math.inf if math.isnan(loss) else loss
        if not self.tensors:
            self.tensors = {name: value.clone() for name, value in self.network.state_dict().items()}
            return
        for name, value in self.network.state_dict().items():
            self.tensors[name].copy_(value)

    def restore(self) -> None:
        """Put the best weights back."""
        self.network.load_state_dict(self.tensors)
