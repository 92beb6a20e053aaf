"""Seeded random numbers from torch in a local generator, equal to those of a seeded global generator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# Functions that draw random numbers and accept a generator; of `nn.init`, those that dispatch before they draw.
_DRAWS = {
    torch.rand, torch.randn, torch.randint, torch.randperm, torch.normal, torch.bernoulli, torch.multinomial,
    Tensor.normal_, Tensor.uniform_, Tensor.bernoulli_, Tensor.exponential_, Tensor.random_,
    nn.init.uniform_, nn.init.normal_, nn.init.kaiming_uniform_, nn.init.kaiming_normal_,
}  # fmt: skip


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Context manager: draw all random numbers of torch from a new generator with this seed.

    torch's global generator, which other threads may use at the same time, is neither read nor changed. Only calls in
    this thread are affected, and only functions that accept a generator. Keep the `with` block short, because every
    call to torch in it is slower.

    Parameters
    ----------
    seed : int
        Below 2**63.

    Examples
    --------
    >>> with seeded(0):
    ...     first = torch.rand(3)
    >>> with seeded(0):
    ...     print(torch.equal(first, torch.rand(3)))
    True
    """
    with _OwnGenerator(seed):
        yield


def draw_seed(rng: np.random.Generator) -> int:
    """Draw a seed for one part of a computation, so that parts use different streams."""
    return int(rng.integers(2**31 - 1))


class _OwnGenerator(TorchFunctionMode):
    """Torch function mode that passes a generator, one per device, to random functions called without one."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.generators: dict[torch.device, torch.Generator] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[Any],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in _DRAWS and kwargs.get("generator") is None:
            device = _device_of(args, kwargs)
            if device.type != "meta":  # on which nothing is drawn
                kwargs = kwargs | {"generator": self._of(device)}
        return func(*args, **kwargs)

    def _of(self, device: torch.device) -> torch.Generator:
        if device not in self.generators:
            self.generators[device] = torch.Generator(device)
            self.generators[device].manual_seed(self.seed)
        return self.generators[device]


def _device_of(args: Sequence[Any], kwargs: dict[str, Any]) -> torch.device:
    """Return the device that a function draws on: that of its tensor, or the one in its arguments."""
    for given in (*args, *kwargs.values()):
        if isinstance(given, Tensor):
            return given.device
    return torch.device(kwargs.get("device") or "cpu")
