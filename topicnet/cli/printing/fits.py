"""Lines about any fit, of text or of images: what it runs on, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from topicnet.runtime.devices import choose_device


def device_line(name: str) -> str:
    """Which device is used, and why."""
    chosen = choose_device(name)
    found = "a CUDA GPU is there" if chosen.type == "cuda" else "no CUDA GPU found"
    return f"device: {chosen} ({found if name == 'auto' else 'as asked'})"


def ending_line(fitted: Mapping[str, Any], kept_apart: str) -> str:
    """How training ended, as run.json has it; `kept_apart` names what it was watched by."""
    ending = {
        "done": "trained",
        "early": f"stopped early, as {kept_apart} gained nothing more: trained",
        "interrupted": "interrupted: trained",
        "diverged": "the loss was lost again and again and training was ended: trained",
    }[fitted["stopped"]]
    return f"{ending} {fitted['epochs']} epochs, kept the weights of epoch {fitted['best_epoch']}"
