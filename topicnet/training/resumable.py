"""Working folder of an unfinished fit, from which `--resume` continues it.

::

    RUN.unfinished/fit.json       configuration and checksums of the inputs
                   checkpoints/   checkpoints (topicnet.training.checkpoint)
                   lock           held by the process that is running the fit
                   .RUN.*.part    the run as it is being written; worthless once that process has ended
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topicnet.errors import BundleError, InputError, OutputError, StoppedError
from topicnet.storage import atomic, formats
from topicnet.storage.ownership import is_staged
from topicnet.training.checkpoint_files import checkpoint_seconds, has_checkpoints, remove_all

RECORD, CHECKPOINTS = "fit.json", "checkpoints"
ENGINE_FOLDERS = ("fitted", "ray", "counts")  # temporary folders of remote fits among the checkpoints


@dataclass(frozen=True)
class Unfinished:
    """Fit that is running or was interrupted.

    Attributes
    ----------
    folder : Path
        Its working folder.
    target : Path
        The run that it will write.
    """

    folder: Path
    target: Path

    @property
    def checkpoints(self) -> Path:
        """Folder of its checkpoints."""
        return self.folder / CHECKPOINTS

    @property
    def saved(self) -> bool:
        """True if there are checkpoints to resume from."""
        return has_checkpoints(self.checkpoints)

    def check_inputs(self, checksums: dict[str, str]) -> None:
        """Record checksums of the inputs of the fit, by name.


        Raises
        ------
        InputError
            The fit to resume had other inputs.
        """
        other = self._other("met", checksums)
        if other is not None:
            raise InputError(
                f"--resume given, but the {other} differ from those of {str(self.target)!r}: start again with"
                " --overwrite"
            )

    def check_config(self, config: dict[str, Any]) -> None:
        """Record the configuration of the fit.

        Raises
        ------
        InputError
            The fit to resume had another configuration.
        """
        before = self._read().get("config", {})
        other = self._other("config", config)
        if other is not None:
            raise InputError(
                f"--resume given with {other}={config[other]!r}, but {str(self.target)!r} has {before.get(other)!r}:"
                " give the same options, or start again with --overwrite"
            )

    def clear(self, *, keep_saved: bool = False) -> None:
        """Remove the files of earlier fits, or only those partly written, and keep all other files."""
        for path in [*self.folder.iterdir(), *self.checkpoints.glob("*")]:
            if is_staged(path.name) or (path.parent == self.checkpoints and path.name in ENGINE_FOLDERS):
                atomic.remove_staged(path)
        if not keep_saved:
            remove_all(self.checkpoints)
            (self.folder / RECORD).unlink(missing_ok=True)

    def _other(self, part: str, values: dict[str, Any]) -> str | None:
        """Return the name of a value that differs from the recorded one, or record all values if there is none."""
        record, now = self._read(), json.loads(formats.json_text(values))
        before = record.get(part, now)
        other = next((name for name in now if before.get(name) != now[name]), None)
        if other is None:
            with atomic.atomic_file(self.folder / RECORD, overwrite=True) as written:
                formats.write_json(written, record | {part: now})
        return other

    def _read(self) -> dict[str, Any]:
        if not (self.folder / RECORD).exists():
            return {}
        try:
            return dict(json.loads((self.folder / RECORD).read_text("utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise BundleError(f"{str(self.folder / RECORD)!r} is damaged: start again with --overwrite") from error


@contextmanager
def unfinished_fit(target: Path, config: dict[str, Any], *, overwrite: bool, resume: bool) -> Iterator[Unfinished]:
    """Context manager: lock the working folder of a fit, which is kept afterwards if it has checkpoints.

    Raises
    ------
    InputError
        There is nothing to resume, or the fit had another configuration.
    OutputError
        There is an unfinished fit and neither `resume` nor `overwrite` is given, another process is running it, or the
        disk rejects a write.
    StoppedError
        Ctrl-C was pressed after a checkpoint was saved.
    """
    checkpoint_seconds()
    fit = unfinished_of(target)
    _check_work_folder(fit, resume=resume)
    with atomic.folder_lock(fit.folder):
        _check_saved(fit, overwrite=overwrite, resume=resume)
        atomic.check_folder(target, overwrite=overwrite or resume)  # before any checkpoint is removed
        fit.clear(keep_saved=resume)
        try:
            with atomic.disk_errors(target):
                fit.check_config(config)
            yield fit
        except BaseException as error:
            if fit.saved and isinstance(error, OutputError):
                raise OutputError(f"{error}; the last checkpoint is kept, and --resume continues from it") from error
            if fit.saved and isinstance(error, KeyboardInterrupt):
                raise StoppedError(
                    f"interrupted; {str(target)!r} was not written, but its last checkpoint is kept: repeat the command"
                    " with --resume to continue from it"
                ) from error
            if not resume and not fit.saved:
                fit.clear()
            raise


def unfinished_of(target: Path) -> Unfinished:
    """Return the working folder of the fit that will write a run.

    Raises
    ------
    OutputError
        No run can be written there.
    """
    atomic.refuse_occupied(target)
    named = target.name not in ("", "..") and not target.is_symlink()
    real = target if named else Path(os.path.realpath(target))  # on the file system of the target of a link
    return Unfinished(real.with_name(f"{real.name}.unfinished"), target)


def check_destination(target: Path, *, overwrite: bool, resume: bool) -> None:
    """Run the checks of `unfinished_fit` early, without importing torch and without leaving files behind.

    Raises
    ------
    InputError, OutputError
        As `unfinished_fit`.
    """
    fit = unfinished_of(target)
    _check_work_folder(fit, resume=resume)
    if fit.folder.exists():
        with atomic.folder_lock(fit.folder):
            _check_saved(fit, overwrite=overwrite, resume=resume)
    atomic.probe_folder(atomic.check_folder(target, overwrite=overwrite or resume))


def _check_work_folder(fit: Unfinished, *, resume: bool) -> None:
    if resume:
        _check_resumable(fit)
    elif fit.folder.exists() and not _is_work_folder(fit.folder):
        raise OutputError(
            f"{str(fit.folder)!r} was not created by topicnet, but the fit needs that name temporarily: choose another"
            " --out"
        )


def _check_saved(fit: Unfinished, *, overwrite: bool, resume: bool) -> None:
    if not resume and not overwrite and fit.saved:
        raise OutputError(
            f"an unfinished fit of {str(fit.target)!r} exists: continue it with --resume, or start again with"
            " --overwrite"
        )


def _check_resumable(fit: Unfinished) -> None:
    if fit.target.exists():
        if _status(fit.target) != "interrupted":
            if _is_work_folder(fit.folder):  # left by a process that was killed while clearing it
                with atomic.folder_lock(fit.folder):
                    fit.clear()
            raise InputError(f"--resume given, but {str(fit.target)!r} is complete: there is nothing left to do")
        if not _is_work_folder(fit.folder):
            raise InputError(
                f"--resume given, but {str(fit.folder)!r} with the checkpoints of {str(fit.target)!r} does not exist:"
                " start again with --overwrite"
            )
    elif not _is_work_folder(fit.folder):
        raise InputError(f"--resume given, but there is no run in {str(fit.target)!r}: omit --resume")


def _status(run: Path) -> str:
    try:
        return str(json.loads((run / "run.json").read_text("utf-8"))["status"])
    except FileNotFoundError as error:
        raise InputError(
            f"--resume given, but {str(run)!r} is not a run of topicnet: omit --resume, and choose another folder with"
            " --out"
        ) from error
    except (OSError, ValueError, LookupError, TypeError) as error:  # which --overwrite does not replace either
        raise BundleError(f"run.json in {str(run)!r} cannot be read: choose another folder with --out") from error


def _is_work_folder(folder: Path) -> bool:
    """Return whether a folder is empty or the working folder of a fit."""
    return folder.is_dir() and ((folder / atomic.LOCK).exists() or not any(folder.iterdir()))
