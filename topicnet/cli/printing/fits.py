"""How a fit ended, of text or of images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RESUMABLE = (
    "topicnet: interrupted; the best so far is kept, marked interrupted in run.json; the same command with --resume"
    " goes on"
)


def ending_line(fitted: Mapping[str, Any], kept_apart: str) -> str:
    """How training ended, as run.json has it; `kept_apart` names what it was watched by."""
    ending = {
        "done": "trained",
        "early": f"stopped early, as {kept_apart} gained nothing more: trained",
        "interrupted": "interrupted: trained",
        "diverged": "the loss was lost again and again and training was ended: trained",
    }[fitted["stopped"]]
    return f"{ending} {fitted['epochs']} epochs, kept the weights of epoch {fitted['best_epoch']}"
