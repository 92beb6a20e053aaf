"""Which device a fit uses."""

from __future__ import annotations

import torch

from topicnet.errors import InputError
from topicnet.runtime.device_names import check_device_name
from topicnet.runtime.distributed import current


def choose_device(name: str) -> torch.device:
    """Resolve "auto", and refuse a device this machine does not have."""
    if not isinstance(name, str):
        raise InputError(f"device={name!r} given, expected auto, cpu, cuda or cuda:N")
    check_device_name(name)
    try:
        device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
    except RuntimeError as error:  # a number of a GPU that torch cannot hold
        raise InputError(f"device={name!r} given, expected auto, cpu, cuda or cuda:N") from error
    world = current()
    if device.type == "cuda" and device.index is None and world is not None:
        device, name = torch.device("cuda", world.local_rank), f"cuda:{world.local_rank}"
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"device={name!r} given, but this machine shows {torch.cuda.device_count()} CUDA devices; use auto or cpu"
        )
    return device


def describe_device(name: str) -> str:
    """Say in one line which device is used, and why."""
    chosen = choose_device(name)
    found = "a CUDA GPU is there" if chosen.type == "cuda" else "no CUDA GPU found"
    return f"device: {chosen} ({found if name == 'auto' else 'as asked'})"
