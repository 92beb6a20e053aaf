"""The best weights of a training run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn


@dataclass(eq=False)
class BestWeights:
    """The best weights so far, on the device.

    Parameters
    ----------
    interventions : int
        Interventions that the weights have had.
    """

    network: nn.Module
    interventions: int
    epoch: int = 0
    loss: float = math.inf
    tensors: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, network: nn.Module, values: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> BestWeights:
        """Restore from `values` and `tensors` of another."""
        devices = {name: value.device for name, value in network.state_dict().items()}
        copies = {name: value.to(devices[name], copy=True) for name, value in tensors.items()}
        return cls(network, values["treatments"], values["epoch"], values["loss"], copies)

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
