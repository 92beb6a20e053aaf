"""The folder beside a run in which a fit keeps what it needs to go on, until it is done.

::

    RUN.unfinished/fit.json       the configuration, and checksums of what it met
                   checkpoints/   what was learned (topicnet.training.checkpoint)
                   lock           held by the process that is at work
                   .RUN.*.part    the run as it is being written, which is nothing worth once that process has ended
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
from topicnet.training.checkpoint_files import checkpoint_seconds, exist, remove_all

RECORD, CHECKPOINTS = "fit.json", "checkpoints"
OF_ENGINES = ("fitted", "ray", "counts")  # folders that a fit elsewhere makes among the checkpoints, for a while


@dataclass(frozen=True)
class Unfinished:
    """A fit at work.

    Attributes
    ----------
    folder : Path
        Its own.
    target : Path
        The run it will write.
    """

    folder: Path
    target: Path

    @property
    def checkpoints(self) -> Path:
        """Where its checkpoints lie."""
        return self.folder / CHECKPOINTS

    @property
    def saved(self) -> bool:
        """Whether there is anything to go on from."""
        return exist(self.checkpoints)

    def check_met(self, met: dict[str, str]) -> None:
        """Note what the fit has met, as checksums by name.

        Raises
        ------
        InputError
            The fit that this one goes on from had met something else.
        """
        other = self._other("met", met)
        if other is not None:
            raise InputError(
                f"--resume given, but the {other} are not those of {str(self.target)!r}: fit anew with --overwrite"
            )

    def check_config(self, config: dict[str, Any]) -> None:
        """Note the configuration of the fit.

        Raises
        ------
        InputError
            The fit that this one goes on from had another.
        """
        before = self._read().get("config", {})
        other = self._other("config", config)
        if other is not None:
            raise InputError(
                f"--resume given with {other}={config[other]!r}, but {str(self.target)!r} has {before.get(other)!r}:"
                " give the same options, or fit anew with --overwrite"
            )

    def clear(self, *, keep_saved: bool = False) -> None:
        """Remove what fits have left here, or only what they were writing when killed; others' files stay."""
        for path in [*self.folder.iterdir(), *self.checkpoints.glob("*")]:
            if is_staged(path.name) or (path.parent == self.checkpoints and path.name in OF_ENGINES):
                atomic.remove_staged(path)
        if not keep_saved:
            remove_all(self.checkpoints)
            (self.folder / RECORD).unlink(missing_ok=True)

    def _other(self, part: str, values: dict[str, Any]) -> str | None:
        """Name a value that an earlier fit had otherwise; where there is none, note them."""
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
            raise BundleError(f"{str(self.folder / RECORD)!r} is damaged: fit anew with --overwrite") from error


@contextmanager
def unfinished_fit(target: Path, config: dict[str, Any], *, overwrite: bool, resume: bool) -> Iterator[Unfinished]:
    """Hold the folder of a fit that will write a run; if the fit saved anything it stays until it is cleared.

    Raises
    ------
    InputError
        There is nothing to resume, or a fit of another configuration.
    OutputError
        An unfinished fit is there that is neither resumed nor overwritten; another process is at work; the disk
        refuses.
    StoppedError
        Ctrl-C was pressed inside the block, when something was saved.
    """
    checkpoint_seconds()
    fit = unfinished_of(target)
    _check_work_folder(fit, resume=resume)
    with atomic.folder_lock(fit.folder):
        _check_saved(fit, overwrite=overwrite, resume=resume)
        atomic.check_folder(target, overwrite=overwrite or resume)  # before anything that was learned is removed
        fit.clear(keep_saved=resume)
        try:
            with atomic.disk_errors(target):
                fit.check_config(config)
            yield fit
        except BaseException as error:
            if fit.saved and isinstance(error, OutputError):
                raise OutputError(f"{error}; what was learned by then is kept, and --resume goes on from it") from error
            if fit.saved and isinstance(error, KeyboardInterrupt):
                raise StoppedError(
                    f"interrupted; {str(target)!r} was not written, but what was learned is kept, and the same command"
                    " with --resume goes on from it"
                ) from error
            if not resume and not fit.saved:
                fit.clear()
            raise


def unfinished_of(target: Path) -> Unfinished:
    """Name the folder of the fit that will write a run.

    Raises
    ------
    OutputError
        The run can never be written there.
    """
    atomic.refuse_occupied(target)
    named = target.name not in ("", "..") and not target.is_symlink()
    real = target if named else Path(os.path.realpath(target))  # to be on the disk of what a link names
    return Unfinished(real.with_name(f"{real.name}.unfinished"), target)


def check_place(target: Path, *, overwrite: bool, resume: bool) -> None:
    """Refuse what `unfinished_fit` would refuse of a place, in a moment and without torch; nothing is left behind.

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
    elif fit.folder.exists() and not _ours(fit.folder):
        raise OutputError(
            f"{str(fit.folder)!r} is nothing that topicnet wrote, and the fit needs that name for a while: name another"
            " place with --out"
        )


def _check_saved(fit: Unfinished, *, overwrite: bool, resume: bool) -> None:
    if not resume and not overwrite and fit.saved:
        raise OutputError(
            f"an unfinished fit of {str(fit.target)!r} is there: go on with --resume, or begin anew with --overwrite"
        )


def _check_resumable(fit: Unfinished) -> None:
    if fit.target.exists():
        if _status(fit.target) != "interrupted":
            if _ours(fit.folder):  # a process was killed while it cleared it away
                with atomic.folder_lock(fit.folder):
                    fit.clear()
            raise InputError(f"--resume given, but {str(fit.target)!r} is complete: nothing is left to do")
        if not _ours(fit.folder):
            raise InputError(
                f"--resume given, but {str(fit.folder)!r}, with the checkpoints of {str(fit.target)!r}, is not there:"
                " fit anew with --overwrite"
            )
    elif not _ours(fit.folder):
        raise InputError(f"--resume given, but there is no run in {str(fit.target)!r}: leave --resume out")


def _status(run: Path) -> str:
    try:
        return str(json.loads((run / "run.json").read_text("utf-8"))["status"])
    except FileNotFoundError as error:
        raise InputError(
            f"--resume given, but {str(run)!r} is not a run of topicnet: leave --resume out, and name another folder"
            " with --out"
        ) from error
    except (OSError, ValueError, LookupError, TypeError) as error:  # --overwrite would not replace it either
        raise BundleError(f"run.json in {str(run)!r} cannot be read: name another folder with --out") from error


def _ours(folder: Path) -> bool:
    """Whether a folder is one that a fit has worked in, or empty."""
    return folder.is_dir() and ((folder / atomic.LOCK).exists() or not any(folder.iterdir()))
