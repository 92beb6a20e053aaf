"""Validation of device names without importing torch."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

from topicnet.errors import InputError

_NAME = re.compile(r"auto|(cpu|cuda)(:\d+)?")


def check_device_name(name: str) -> None:
    """Raise InputError for an unknown device name, or for a GPU if torch was built without CUDA."""
    if not _NAME.fullmatch(name):
        raise InputError(f"device={name!r} given, expected auto, cpu, cuda or cuda:N")
    if name.startswith("cuda") and _is_cpu_build():
        raise InputError(f"device={name!r} given, but this machine shows 0 CUDA devices; use auto or cpu")


def _is_cpu_build() -> bool:
    try:
        return version("torch").endswith("+cpu")
    except PackageNotFoundError:
        return False
