"""Random numbers of torch from a generator of one's own, in the bits that torch's seeded global one would give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# Functions that draw, and take a generator. Of `nn.init`, those that ask for overrides before they draw.
_DRAWS = {
    torch.rand, torch.randn, torch.randint, torch.randperm, torch.normal, torch.bernoulli, torch.multinomial,
    Tensor.normal_, Tensor.uniform_, Tensor.bernoulli_, Tensor.exponential_, Tensor.random_,
    nn.init.uniform_, nn.init.normal_, nn.init.kaiming_uniform_, nn.init.kaiming_normal_,
}  # fmt: skip


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw the random numbers of a block from a generator with this seed.

    torch's global generator, which other threads may draw from at the same time, is neither read nor changed. Only
    calls in this thread are concerned, and only functions that take a generator; the block should be short, as every
    call of torch in it takes longer.

    Parameters
    ----------
    seed : int
        Seed of the block, below 2**63.
    """
    with _OwnGenerator(seed):
        yield


def draw_seed(rng: np.random.Generator) -> int:
    """Draw a seed for one part of a computation, so that parts do not share a stream."""
    return int(rng.integers(2**31 - 1))


class _OwnGenerator(TorchFunctionMode):
    """Gives a generator to the functions that draw and have none, one for each device."""

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
            if device.type != "meta":  # where nothing is drawn
                kwargs = kwargs | {"generator": self._of(device)}
        return func(*args, **kwargs)

    def _of(self, device: torch.device) -> torch.Generator:
        if device not in self.generators:
            self.generators[device] = torch.Generator(device)
            self.generators[device].manual_seed(self.seed)
        return self.generators[device]


def _device_of(args: Sequence[Any], kwargs: dict[str, Any]) -> torch.device:
    """The device that a function draws on: of its tensor, or the one that it names."""
    for given in (*args, *kwargs.values()):
        if isinstance(given, Tensor):
            return given.device
    return torch.device(kwargs.get("device") or "cpu")
