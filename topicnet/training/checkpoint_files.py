"""Files of checkpoints on disk: save interval, detection and removal, without importing torch.

A command can therefore check a folder before torch is imported.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

from topicnet.errors import InputError
from topicnet.storage import atomic, ownership

TENSORS, HEADER = "state.safetensors", "state.json"
PREFIX = "checkpoint-"
VARIABLE = "TOPICNET_CHECKPOINT_SECONDS"
DEFAULT_SECONDS = 20.0


def checkpoint_seconds() -> float:
    """Return the minimum seconds between two checkpoints: `TOPICNET_CHECKPOINT_SECONDS`, or 20.

    With 0, every step is saved.

    Raises
    ------
    InputError
        The variable is not a number of 0 or more.
    """
    given = os.environ.get(VARIABLE, "")
    try:
        seconds = float(given) if given else DEFAULT_SECONDS
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise InputError(f"{VARIABLE}={given!r} given, expected a number of seconds, 0 or more")
    return seconds


def checkpoints_in(folder: Path) -> list[Path]:
    """List the checkpoints in a folder, damaged ones included, in any order."""
    found = folder.glob(f"{PREFIX}*")
    return [path for path in found if path.name.removeprefix(PREFIX).isdecimal() and path.is_dir()]


def remove_all(folder: Path) -> None:
    """Remove the checkpoints, and nothing else, in a folder and in its per-seed subfolders."""
    for one in [*folder.glob("seed-*"), folder]:
        for checkpoint in checkpoints_in(one):
            remove(checkpoint)
        remove_staged(one)
        atomic.remove_lock(one)
        atomic.remove_empty([one])


def remove(checkpoint: Path) -> None:
    """Remove the files of a checkpoint, and keep other files in its folder."""
    ownership.remove_files(checkpoint, (TENSORS, HEADER))


def remove_staged(folder: Path) -> None:
    """Remove partly written checkpoints of processes that were killed."""
    for part in folder.glob(f".{PREFIX}*"):
        if ownership.is_staged(part.name):
            atomic.remove_staged(part)


def has_checkpoints(folder: Path) -> bool:
    """Return whether a folder holds checkpoints, damaged ones included."""
    found = [path for name in (TENSORS, HEADER) for path in folder.rglob(f"{PREFIX}*/{name}")]
    return any(path.parent.name.removeprefix(PREFIX).isdecimal() for path in found)
