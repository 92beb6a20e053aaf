"""Copy of the best weights of a training run, for early stopping and rollback."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn


@dataclass(eq=False)
class BestWeights:
    """Best weights so far, stored on the device.

    Parameters
    ----------
    network : nn.Module
        Network whose weights are tracked.
    interventions : int
        Number of interventions before these weights.
    epoch : int
        Epoch of the weights; 0 before training.
    loss : float
        Their validation loss.
    tensors : dict of str to Tensor
        The weights.
    """

    network: nn.Module
    interventions: int
    epoch: int = 0
    loss: float = math.inf
    tensors: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, network: nn.Module, values: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> BestWeights:
        """Recreate from the `values` and `tensors` of another instance."""
        devices = {name: value.device for name, value in network.state_dict().items()}
        copies = {name: value.to(devices[name], copy=True) for name, value in tensors.items()}
        return cls(network, values["treatments"], values["epoch"], values["loss"], copies)

    @property
    def values(self) -> dict[str, Any]:
        """Epoch, loss and interventions of the weights."""
        return {"treatments": self.interventions, "epoch": self.epoch, "loss": self.loss}

    def update(self, epoch: int, loss: float) -> None:
        """Copy the network's weights if this is the lowest loss so far; without a loss (NaN), always copy them."""
        if self.tensors and loss >= self.loss:
            return
        self.epoch, self.loss = epoch, math.inf if math.isnan(loss) else loss
        if not self.tensors:
            self.tensors = {name: value.clone() for name, value in self.network.state_dict().items()}
            return
        for name, value in self.network.state_dict().items():
            self.tensors[name].copy_(value)

    def restore(self) -> None:
        """Load the best weights into the network."""
        self.network.load_state_dict(self.tensors)
