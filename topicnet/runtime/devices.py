"""Resolution of device names such as "auto" to torch devices."""

from __future__ import annotations

import torch

from topicnet.errors import InputError
from topicnet.runtime.device_names import check_device_name
from topicnet.runtime.distributed import current


def choose_device(name: str) -> torch.device:
    """Resolve a device name.

    Parameters
    ----------
    name : str
        "auto", "cpu", "cuda" or "cuda:N". "auto" is a GPU if there is one. Without N, each rank of a distributed fit
        gets its own GPU.

    Raises
    ------
    InputError
        The name is unknown, or this machine has no such device.

    Examples
    --------
    >>> choose_device("cpu")
    device(type='cpu')
    """
    if not isinstance(name, str):
        raise InputError(f"device={name!r} given, expected auto, cpu, cuda or cuda:N")
    check_device_name(name)
    try:
        device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
    except RuntimeError as error:  # a GPU number too large for torch
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
    """Describe in one line the device that is used, and why."""
    chosen = choose_device(name)
    found = "CUDA GPU found" if chosen.type == "cuda" else "no CUDA GPU found"
    return f"device: {chosen} ({found if name == 'auto' else 'as requested'})"
