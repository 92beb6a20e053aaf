"""The files of checkpoints on disk: how often they are written, whether they are there, and their removal.

Nothing here needs torch, so that a command can refuse a folder before torch is imported.
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
    """Least seconds between two checkpoints: `TOPICNET_CHECKPOINT_SECONDS`, or 20; 0 saves at every step.

    Raises
    ------
    InputError
        The variable is not a number from 0.
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
    """The checkpoints in a folder, whole or damaged, in any order."""
    found = folder.glob(f"{PREFIX}*")
    return [path for path in found if path.name.removeprefix(PREFIX).isdecimal() and path.is_dir()]


def remove_all(folder: Path) -> None:
    """Remove the checkpoints in a folder and in those of its seeds, and nothing else."""
    for one in [*folder.glob("seed-*"), folder]:
        for checkpoint in checkpoints_in(one):
            remove(checkpoint)
        remove_staged(one)
        atomic.remove_lock(one)
        atomic.remove_empty([one])


def remove(checkpoint: Path) -> None:
    """Remove a checkpoint; whatever else is in its folder stays."""
    ownership.remove_files(checkpoint, (TENSORS, HEADER))


def remove_staged(folder: Path) -> None:
    """Remove what a process was writing when it was killed."""
    for part in folder.glob(f".{PREFIX}*"):
        if ownership.is_staged(part.name):
            atomic.remove_staged(part)


def exist(folder: Path) -> bool:
    """Whether a folder holds checkpoints, whole or damaged."""
    found = [path for name in (TENSORS, HEADER) for path in folder.rglob(f"{PREFIX}*/{name}")]
    return any(path.parent.name.removeprefix(PREFIX).isdecimal() for path in found)
