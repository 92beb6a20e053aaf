"""RMSProp and Adam without a first moment, as optimisers of the training loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from topicnet.core.rmsprop import rmsprop_step


class RmsProp:
    """RMSProp over the parameters of a network that have gradients (Tieleman & Hinton 2012).

    Parameters
    ----------
    network : nn.Module
        Network to train.
    decay : float
        Decay of the mean squared gradients.
    corrected : bool
        Correct the means for their start at 0, which makes this Adam with beta1 = 0 and beta2 = `decay`.
    project : callable
        Called after each step, for instance to clip the weights.
    """

    def __init__(
        self, network: nn.Module, decay: float, *, corrected: bool = False, project: Callable[[], None] = lambda: None
    ) -> None:
        self._parameters = {name: value for name, value in network.named_parameters() if value.requires_grad}
        self._decay = decay
        self._corrected = corrected
        self._project = project
        self._squares: dict[str, Tensor] = {}
        self.n_steps = 0

    def step(self, rate: float) -> None:
        """Update every parameter that has a gradient, with this learning rate, and drop the gradients."""
        self.n_steps += 1
        members = {name: value for name, value in self._parameters.items() if value.grad is not None}
        for name, value in members.items():
            if name not in self._squares:
                self._squares[name] = torch.zeros_like(value)
        if members:
            rmsprop_step(
                list(members.values()),
                [value.grad for value in members.values() if value.grad is not None],
                [self._squares[name] for name in members],
                rate=rate,
                decay=self._decay,
                correct_from=self.n_steps if self._corrected else None,
            )
        for value in members.values():
            value.grad = None
        self._project()

    def state(self) -> dict[str, Tensor]:
        """Return the whole state by name; the tensors are not copied."""
        squares = {f"second.{name}": value for name, value in self._squares.items()}
        return {"n_steps": torch.tensor(self.n_steps)} | squares

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore a state returned by `state`, copied to the device."""
        self.n_steps = int(state["n_steps"])
        for key, value in state.items():
            name = key.removeprefix("second.")
            if name != key:
                self._squares[name] = value.to(self._parameters[name].device, copy=True)
