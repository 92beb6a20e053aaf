"""One-line descriptions of how the training of a topic model or an image model ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RESUMABLE = (
    "topicnet: interrupted; the best weights so far were saved, marked as interrupted in run.json; to continue, repeat"
    " the command with --resume"
)


def ending_line(fitted: Mapping[str, Any], held_out: str) -> str:
    """Describe in one line how training ended.

    Parameters
    ----------
    fitted : mapping
        The entry "fit" of run.json: why it stopped, its epochs and the best of them.
    held_out : str
        Name of the validation data, such as "validation images".
    """
    ending = {
        "done": "trained",
        "early": f"stopped early, as the loss on {held_out} no longer improved, after",
        "interrupted": "interrupted after",
        "diverged": "training diverged repeatedly and stopped after",
    }[fitted["stopped"]]
    epochs = "1 epoch" if fitted["epochs"] == 1 else f"{fitted['epochs']} epochs"
    return f"{ending} {epochs}, kept the weights of epoch {fitted['best_epoch']}"
