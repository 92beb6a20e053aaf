"""The only place that writes: whole files or none, checksums, tables a spreadsheet can open safely."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from topicnet.errors import OutputError

OURS = ("run.json", "counts.json")  # a folder with one of these was written by topicnet, and may be replaced
LOCK = "lock"  # in a folder that a process holds


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn what the operating system says about a write into one OutputError."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        hint = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else "check it"
        raise OutputError(
            f"cannot write {str(target)!r}: {reason}; nothing was left behind: {hint} or name another place with --out"
        ) from error


@contextmanager
def atomic_folder(target: Path, *, overwrite: bool, within: Path | None = None) -> Iterator[Path]:
    """Yield an empty folder that becomes the target when the block succeeds.

    It lies beside the target, or within another folder of the same disk.

    Raises
    ------
    OutputError
        The target exists and `overwrite` is false (asked before the block, so before any work), or the disk
        refuses. After an error nothing is left behind and an existing target is as it was; only a result whose
        target appeared meanwhile is kept, beside it.
    """
    with disk_errors(target):
        target = Path(os.path.realpath(target)) if overwrite else target
        if target.exists() and not overwrite:
            raise OutputError(
                f"{str(target)!r} exists already: name another folder with --out, or replace it with --overwrite"
            )
        ours = any((target / name).is_file() for name in OURS)
        if target.exists() and not (target.is_dir() and (ours or not any(target.iterdir()))):
            raise OutputError(
                f"{str(target)!r} is nothing that topicnet wrote and will not be overwritten: name another with --out"
            )
        made = _make_parents(target)
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=within or target.parent))
        staging.chmod(0o777 & ~umask())
    try:
        yield staging
        with disk_errors(target):
            for path in [*sorted(staging.rglob("*")), staging]:
                _sync(path)
            if target.exists() and not overwrite:
                free = next(p for n in range(2, 10_000) if not (p := target.with_name(f"{target.name}-{n}")).exists())
                staging.rename(free)
                raise OutputError(
                    f"{str(target)!r} appeared while this ran and was left as it is: this result is in {str(free)!r}"
                )
            _replace_folder(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        remove_empty(made)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Make a folder where there is none, and keep other processes out of it until the block ends.

    A process that is killed lets go of it. A folder that is left empty is removed again.

    Raises
    ------
    OutputError
        Another process holds it, or the disk refuses.
    """
    made = [folder, *(parent for parent in folder.parents if not parent.exists())]
    handle = None
    try:
        with disk_errors(folder):
            while handle is None:  # until it is not one that its last holder has just removed
                folder.mkdir(parents=True, exist_ok=True)
                handle = _lock(folder / LOCK)
        yield
    finally:
        if handle is not None:
            if folder.is_dir() and [path.name for path in folder.iterdir()] == [LOCK]:
                (folder / LOCK).unlink()
            os.close(handle)
        remove_empty([one for one in made if os.path.isdir(one)])  # the folder first


def _lock(path: Path) -> int | None:
    """Lock a file, which ends with this process; None if the file was removed meanwhile."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except FileNotFoundError:
        return None
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            os.close(handle)
            raise OutputError(
                f"another process is writing in {str(path.parent)!r}: wait for it, or name another place"
            ) from error
        # A disk that knows no locks: nothing can be asked of it.
    if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
        return handle
    os.close(handle)
    return None


def remove(path: Path) -> None:
    """Remove a file, or a folder with all it holds; what cannot be removed stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _replace_folder(staging: Path, target: Path) -> None:
    aside = staging.with_suffix(".old")
    if target.exists():
        target.rename(aside)
    try:
        staging.rename(target)
    except OSError:
        if aside.exists():
            aside.rename(target)
        raise
    _sync(target.parent)
    shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def atomic_file(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a path beside the target that becomes the target when the block succeeds.

    Raises
    ------
    OutputError
        The target exists and `overwrite` is false, or the disk refuses.
    """
    if not overwrite:
        refuse_existing(target)
    with disk_errors(target):
        if target.exists() and not target.is_file():
            kind = "a folder" if target.is_dir() else "no plain file"
            raise OutputError(f"{str(target)!r} is {kind}, expected a file name: name another place")
        made = _make_parents(target)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        os.close(handle)
        os.chmod(name, 0o666 & ~umask())
    part = Path(name)
    try:
        yield part
        with disk_errors(target):
            _sync(part)
            if not overwrite:
                refuse_existing(target)
            part.replace(target)
            _sync(target.parent)
    finally:
        part.unlink(missing_ok=True)
        remove_empty(made)


def refuse_existing(target: Path) -> None:
    """Raise OutputError if there is something at the target."""
    with disk_errors(target):
        if os.path.lexists(target):
            raise OutputError(f"{str(target)!r} exists already: name another file, or replace it with --overwrite")


def _make_parents(target: Path) -> list[Path]:
    """Make the folders above the target and return those that were not there, deepest first."""
    missing = [folder for folder in target.parents if not folder.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    return missing


def remove_empty(folders: list[Path]) -> None:
    """Remove folders made for a target that never came; one that holds something stays."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file that is never changed in place a second name, or copy it where the disk has no links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync(path: Path) -> None:
    """Have the disk write a file or a folder's list of names now."""
    handle = os.open(path, os.O_RDONLY)  # a linked file may be one that may not be written
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
