"""The one place that touches torch's random state: forked, seeded, given back as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Run a block under its own random state and put the caller's back afterwards.

    Parameters
    ----------
    seed : int
        Seed of the block, below 2**63.
    device : torch.device, optional
        The device whose generator is forked beside the CPU's.
    """
    devices = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def draw_seed(rng: np.random.Generator) -> int:
    """Draw a seed for one part of a computation, so that parts do not share a stream."""
    return int(rng.integers(2**31 - 1))
