"""The only place that writes: whole files or none, checksums, tables a spreadsheet can open safely."""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from topicnet.errors import OutputError
from topicnet.storage.ownership import Contents, contents_of, named, remove_files
from topicnet.storage.recognition import check_replaceable

LOCK = "lock"  # in a folder that a process holds
ASIDE = ".old"  # ends the name of a folder that is being replaced in steps
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of renameat2(2); renamex_np of macOS has the same flag


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

    It is made in the folder of the target, or within another folder of the same disk. An earlier target is exchanged
    for it in one step, then removed, and of that only files that its record lists; see `storage.ownership`.

    Raises
    ------
    OutputError
        The target exists and `overwrite` is false, or it holds files that topicnet did not write (asked before the
        block, so before any work), or the disk refuses. After an error nothing is left behind and an existing target
        is as it was; only a result whose target appeared or changed in the meantime is kept, under a free name.
    """
    target = check_folder(target, overwrite=overwrite)
    with disk_errors(target):
        made = _make_parents(target)
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=within or target.parent))
        staging.chmod(0o777 & ~umask())
    try:
        yield staging
        with disk_errors(target):
            for path in [*sorted(staging.rglob("*")), staging]:
                _sync(path)
            _put(staging, target, overwrite=overwrite)
    finally:
        remove_staged(staging)
        remove_empty(made)


def check_folder(target: Path, *, overwrite: bool) -> Path:
    """Return the folder to write, its links followed where it may be replaced; nothing is written.

    Raises
    ------
    OutputError
        It exists and `overwrite` is false; or it holds anything but the files that its record lists, unchanged; or it
        can never be replaced: the folder of this process or one above it, a mounted disk, a file.
    """
    with disk_errors(target):
        restore(target)
        target = Path(os.path.realpath(target)) if overwrite else target
        refuse_occupied(target)
        if not os.path.lexists(target):
            return target
        if not overwrite and not target.exists():
            raise OutputError(
                f"{str(target)!r} is a link to {os.readlink(target)!r}, where nothing is: name another folder with"
                " --out, or remove the link"
            )
        if not overwrite:
            raise OutputError(
                f"{str(target)!r} exists already: name another folder with --out, or replace it with --overwrite"
            )
        contents = _contents(target)
        if contents.strangers and not contents.recorded:
            raise OutputError(
                f"{str(target)!r} is nothing that topicnet wrote and will not be overwritten: name another with --out"
            )
        if contents.strangers:
            raise OutputError(
                f"{str(target)!r} holds files that topicnet did not write, or that were changed since:"
                f" {named(contents.strangers)}; none will be deleted: move them away, or name another folder with --out"
            )
        return target


def refuse_occupied(target: Path) -> None:
    """Raise OutputError for a folder that no process can replace: its own, one above it, or a mounted disk."""
    real = Path(os.path.realpath(target))
    here = Path(os.path.realpath(os.curdir))
    if real == here or real in here.parents:
        raise OutputError(
            f"{str(target)!r} is the folder that this command runs in, or one above it, and cannot be replaced: name"
            " a new folder with --out, such as runs/mine"
        )
    if os.path.ismount(real):
        raise OutputError(
            f"{str(target)!r} is a mounted disk and cannot be replaced: name a folder on it with --out, such as"
            f" {str(target / 'run')!r}"
        )


def probe_folder(target: Path) -> None:
    """Raise OutputError if a folder cannot be made here; nothing is left behind."""
    with disk_errors(target):
        made = _make_parents(target)
        try:
            os.rmdir(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
        finally:
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
            remove_lock(folder)
            os.close(handle)
        remove_empty([one for one in made if os.path.isdir(one)])  # the folder first


def remove_lock(folder: Path) -> None:
    """Remove the lock of a folder that holds nothing else."""
    lock = folder / LOCK
    if folder.is_dir() and [path.name for path in folder.iterdir()] == [LOCK] and not lock.stat().st_size:
        lock.unlink()


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


def probe_file(target: Path, *, overwrite: bool, recognised: bool = False) -> None:
    """Raise OutputError if `atomic_file` would, before any work; nothing is left behind.

    With `recognised`, also for a file to replace that topicnet does not recognise as one that it wrote.
    """
    if not overwrite:
        refuse_existing(target)
    elif recognised:
        check_replaceable(target)
    with disk_errors(target):
        _refuse_other_than_file(target)
        made = _make_parents(target)
        try:
            handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
            os.close(handle)
            os.unlink(name)
        finally:
            remove_empty(made)


def _refuse_other_than_file(target: Path) -> None:
    if str(target) == ".":
        raise OutputError("no file name was given for the output: name a file, such as theta.csv")
    if target.exists() and not target.is_file():
        kind = "a folder" if target.is_dir() else "no plain file"
        raise OutputError(f"{str(target)!r} is {kind}, expected a file name: name another place")


def remove_staged(path: Path) -> None:
    """Remove a file or folder that was being written; one with a record may be an earlier target, and keeps others'."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    contents = contents_of(path)
    if not contents.recorded:
        shutil.rmtree(path, ignore_errors=True)
    elif not remove_files(path, contents.files):
        _keep(path)


def restore(target: Path) -> None:
    """Bring back a folder whose replacement was cut short by a kill, on a disk that cannot exchange two names."""
    if os.path.lexists(target):
        return
    for aside in _asides(target)[:1]:
        aside.rename(target)


def _asides(target: Path) -> list[Path]:
    """Earlier targets that were moved aside, and left there by a kill."""
    if target.name in ("", ".."):
        return []
    found = list[Path]()
    for place in (target.parent, target.with_name(f"{target.name}.unfinished")):
        with suppress(OSError, ValueError):  # a name that no disk takes
            found += place.glob(f".{glob.escape(target.name)}.????????{ASIDE}")
    return sorted(found)


def _contents(target: Path) -> Contents:
    return contents_of(target) if target.is_dir() else Contents(strangers=(target.name,))


def _put(staging: Path, target: Path, *, overwrite: bool) -> None:
    """Give a finished folder its name, in place of an earlier one that holds nothing of the user's."""
    if not os.path.lexists(target):
        staging.rename(target)
        _sync(target.parent)
        return
    contents = _contents(target)
    if not overwrite or contents.strangers:
        free = _free_name(target)
        staging.rename(free)
        event = "appeared" if not overwrite else "was changed"
        raise OutputError(
            f"{str(target)!r} {event} while this ran and was left as it is: this result is in {str(free)!r}"
        )
    if not _exchange(staging, target):
        _exchange_in_steps(staging, target)
    _sync(target.parent)
    if not remove_files(staging, contents.files):  # a file was added in this very moment
        _keep(staging)
    for aside in _asides(target):  # of a process that was killed
        remove_staged(aside)


def _keep(staging: Path) -> None:
    """Give a visible name to a folder that holds something of the user's."""
    staging.rename(staging.with_name(f"{staging.name.removeprefix('.').removesuffix('.part')}.kept"))


def _free_name(target: Path) -> Path:
    return next(p for n in range(2, 10_000) if not os.path.lexists(p := target.with_name(f"{target.name}-{n}")))


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where the system or the disk cannot."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(os.path.abspath(one)), os.fsencode(os.path.abspath(other))
    if hasattr(libc, "renameat2"):  # Linux
        return bool(libc.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0)
    if hasattr(libc, "renamex_np"):  # macOS
        return bool(libc.renamex_np(names[0], names[1], RENAME_EXCHANGE) == 0)
    return False


def _exchange_in_steps(staging: Path, target: Path) -> None:
    """Exchange two folders by three renames; after a kill between them, `restore` brings the target back."""
    aside = staging.with_suffix(ASIDE)
    target.rename(aside)
    try:
        staging.rename(target)
    except BaseException:
        if aside.exists() and not target.exists():
            aside.rename(target)
        raise
    aside.rename(staging)


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
        _refuse_other_than_file(target)
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
