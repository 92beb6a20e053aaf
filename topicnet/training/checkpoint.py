"""Checkpoints: what a long computation needs to go on from where it was, to the same bits.

::

    FOLDER/checkpoint-000123/state.safetensors   tensors
                             state.json          everything else, whose it is, and the checksums of both

Each appears whole or not at all, and the newest two are kept: should the last be damaged, the one before is gone on
from, and the same bits come later.
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
from topicnet.training.checkpoint_files import HEADER, PREFIX, TENSORS, checkpoint_seconds, checkpoints_in, exist

FORMAT = 1
KEPT = 2
MOST_FRACTION = 0.01  # of the time, that saving may take: large states are saved more seldom


__all__ = ["Checkpoints", "Saved", "checkpoint_seconds", "exist"]


@dataclass(frozen=True)
class Saved:
    """What a computation needs to go on.

    Attributes
    ----------
    tensors : dict of str to Tensor
        On the CPU, once read.
    values : dict
        Anything JSON can hold; floats come back exactly, those that are not finite too.
    """

    tensors: dict[str, Tensor]
    values: dict[str, Any]


class Checkpoints:
    """The checkpoints of one computation, in a folder of their own.

    Parameters
    ----------
    folder : Path
        Made when first needed. Whoever writes there holds it (`folder_lock`).
    owner : dict
        What decides the result, as JSON values: checkpoints of another owner are refused.
    seconds : float
        Least time between two; 0 saves at every occasion.
    """

    def __init__(self, folder: Path, fingerprint: dict[str, Any], seconds: float) -> None:
        self.folder = folder
        self.fingerprint = _plain(fingerprint)
        self.seconds = seconds
        self._next = -math.inf  # when the next one is due
        self._whole: list[Path] = []  # those known to be

    def due(self) -> bool:
        """Whether it is time for another."""
        return time.monotonic() >= self._next

    def save(self, saved: Saved) -> None:
        """Write one, and remove all but the newest two known to be whole.

        Raises
        ------
        OutputError
            The disk refuses; the earlier ones stay.
        """
        began = time.monotonic()
        found = self._found()
        folder = self.folder / f"{PREFIX}{_number(found[-1]) + 1 if found else 1:06}"
        try:
            with atomic.atomic_folder(folder, overwrite=False) as staged:
                tensors = {name: value.detach().cpu().contiguous() for name, value in saved.tensors.items()}
                save_file(tensors, staged / TENSORS)
                header = {"format": FORMAT, "owner": self.fingerprint, "values": _plain(saved.values)}
                header |= {"sha256": formats.sha256(staged / TENSORS)}
                formats.write_json(staged / HEADER, header | {"checksum": formats.json_checksum(header)})
        except (OSError, SafetensorError) as error:
            raise OutputError(
                f"cannot write a checkpoint in {str(self.folder)!r}: {_reason(error)}; earlier ones are kept: free"
                " some space or name another place"
            ) from error
        self._whole = [*self._whole, folder][-KEPT:]
        for old in found:
            if old not in self._whole:
                checkpoint_files.remove(old)
        now = time.monotonic()
        self._next = now + (max(self.seconds, (now - began) / MOST_FRACTION) if self.seconds else 0.0)

    def newest(self) -> Saved | None:
        """Read the newest that is whole; None if there is none.

        Raises
        ------
        InputError
            It is another owner's, or of a newer format.
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
            return Saved(load_file(folder / TENSORS), _back(header["values"]))
        except InputError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError):
            return None

    def _check_fingerprint(self, fingerprint: dict[str, Any]) -> None:
        mine = json.loads(json.dumps(self.fingerprint))
        other = [name for name in sorted(fingerprint.keys() | mine.keys()) if fingerprint.get(name) != mine.get(name)]
        if other:
            raise InputError(
                f"the checkpoints in {str(self.folder)!r} are of a fit with another value of {other[0]}: give what that"
                " fit was given, or name another folder"
            )


def _reason(error: Exception) -> str:
    """What the operating system said, whoever passes it on."""
    told = re.search(r"os error (\d+)", str(error))  # as Rust writes it
    number = error.errno if isinstance(error, OSError) else int(told[1]) if told else None
    return os.strerror(number) if number else str(error)


def _number(folder: Path) -> int:
    return int(folder.name.removeprefix(PREFIX))


def _plain(value: Any) -> Any:
    """A value as JSON has it; floats that JSON does not know are named."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    return value


def _back(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"float"}:
            return float(value["float"])
        return {name: _back(one) for name, one in value.items()}
    return [_back(one) for one in value] if isinstance(value, list) else value
