"""Checkpoints of a training run, from which it resumes with bit-identical results.

::

    FOLDER/checkpoint-000123/state.safetensors   tensors
                             state.json          everything else, the fingerprint of the fit, checksums of both files

A checkpoint is written as a whole or not at all. The newest two are kept: if the last is damaged, the run resumes from
the one before, with the same result.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from topicnet.errors import InputError, OutputError
from topicnet.storage import atomic, formats
from topicnet.training import checkpoint_files
from topicnet.training.checkpoint_files import (
    HEADER,
    PREFIX,
    TENSORS,
    checkpoint_seconds,
    checkpoints_in,
    has_checkpoints,
)

FORMAT = 1
N_KEPT = 2
MAX_TIME_FRACTION = 0.01  # fraction of the running time that saving may take; large states are saved less often


__all__ = ["Checkpoints", "Saved", "checkpoint_seconds", "has_checkpoints"]


@dataclass(frozen=True)
class Saved:
    """State of a computation between two steps.

    Attributes
    ----------
    tensors : dict of str to Tensor
        On the CPU after reading.
    values : dict
        JSON values; floats are restored exactly, including NaN and the infinities.
    """

    tensors: dict[str, Tensor]
    values: dict[str, Any]


class Checkpoints:
    """Checkpoints of one computation, in a separate folder.

    Parameters
    ----------
    folder : Path
        Created when first needed. The process that writes there must hold its `folder_lock`.
    fingerprint : dict
        JSON values that determine the result; checkpoints with another fingerprint are rejected.
    seconds : float
        Minimum time between two checkpoints; 0 saves at every opportunity.
    """

    def __init__(self, folder: Path, fingerprint: dict[str, Any], seconds: float) -> None:
        self.folder = folder
        self.fingerprint = _encode(fingerprint)
        self.seconds = seconds
        self._next = -math.inf  # when the next one is due
        self._whole: list[Path] = []  # checkpoints known to be undamaged

    def due(self) -> bool:
        """Return whether the next checkpoint is due."""
        return time.monotonic() >= self._next

    def save(self, saved: Saved) -> None:
        """Write a checkpoint, and remove all but the newest two that are known to be undamaged.

        Raises
        ------
        OutputError
            The disk rejects the write; earlier checkpoints stay.
        """
        began = time.monotonic()
        found = self._found()
        folder = self.folder / f"{PREFIX}{_number(found[-1]) + 1 if found else 1:06}"
        try:
            with atomic.atomic_folder(folder, overwrite=False) as staged:
                tensors = {name: value.detach().cpu().contiguous() for name, value in saved.tensors.items()}
                save_file(tensors, staged / TENSORS)
                header = {"format": FORMAT, "owner": self.fingerprint, "values": _encode(saved.values)}
                header |= {"sha256": formats.sha256(staged / TENSORS)}
                formats.write_json(staged / HEADER, header | {"checksum": formats.json_checksum(header)})
        except (OSError, SafetensorError) as error:
            raise OutputError(
                f"cannot write a checkpoint in {str(self.folder)!r}: {_reason(error)}; earlier checkpoints are kept:"
                " free some space, or choose another folder"
            ) from error
        self._whole = [*self._whole, folder][-N_KEPT:]
        for old in found:
            if old not in self._whole:
                checkpoint_files.remove(old)
        now = time.monotonic()
        self._next = now + (max(self.seconds, (now - began) / MAX_TIME_FRACTION) if self.seconds else 0.0)

    def newest(self) -> Saved | None:
        """Read the newest undamaged checkpoint; None if there is none.

        Raises
        ------
        InputError
            It belongs to another fit, or has a newer format.
        """
        checkpoint_files.remove_staged(self.folder)
        for folder in reversed(self._found()):
            saved = self._read(folder)
            if saved is not None:
                self._next = time.monotonic() + self.seconds
                self._whole = [folder]
                return saved
        return None

    def _found(self) -> list[Path]:
        return sorted(checkpoints_in(self.folder), key=_number)

    def _read(self, folder: Path) -> Saved | None:
        try:
            header = json.loads((folder / HEADER).read_text("utf-8"))
            if header["format"] > FORMAT:
                raise InputError(
                    f"the checkpoints in {str(self.folder)!r} have format {header['format']}, this version of topicnet"
                    f" reads up to {FORMAT}: update topicnet"
                )
            whole = header.pop("checksum") == formats.json_checksum(header)
            if not whole or header["sha256"] != formats.sha256(folder / TENSORS):
                return None
            self._check_fingerprint(header["owner"])
            return Saved(load_file(folder / TENSORS), _decode(header["values"]))
        except InputError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError):
            return None

    def _check_fingerprint(self, fingerprint: dict[str, Any]) -> None:
        mine = json.loads(json.dumps(self.fingerprint))
        other = [name for name in sorted(fingerprint.keys() | mine.keys()) if fingerprint.get(name) != mine.get(name)]
        if other:
            raise InputError(
                f"the checkpoints in {str(self.folder)!r} are of a fit with another value of {other[0]}: use the same"
                " settings as that fit, or choose another folder"
            )


def _reason(error: Exception) -> str:
    """Return the operating system's message for an error, also for one raised by Rust code."""
    code = re.search(r"os error (\d+)", str(error))  # as Rust formats it
    number = error.errno if isinstance(error, OSError) else int(code[1]) if code else None
    return os.strerror(number) if number else str(error)


def _number(folder: Path) -> int:
    return int(folder.name.removeprefix(PREFIX))


def _encode(value: Any) -> Any:
    """Convert a value to JSON values; floats that JSON does not know become `{"float": name}`."""
    if isinstance(value, dict):
        return {name: _encode(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(one) for one in value]
    if isinstance(value, np.generic):
        return _encode(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    return value


def _decode(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"float"}:
            return float(value["float"])
        return {name: _decode(one) for name, one in value.items()}
    return [_decode(one) for one in value] if isinstance(value, list) else value
