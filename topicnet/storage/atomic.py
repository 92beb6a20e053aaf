"""Atomic writes: a file or folder appears complete or not at all, and only topicnet's own files are replaced."""

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
from topicnet.storage.ownership import Contents, contents_of, remove_files, shortened
from topicnet.storage.recognition import check_replaceable

LOCK = "lock"  # file name, in a folder that a process has locked
ASIDE = ".old"  # suffix of a folder that is being replaced in several steps
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # constants of renameat2(2); macOS's renamex_np uses the same flag


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Context manager: turn OSError into an OutputError that names the target, the reason and a remedy."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        hint = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else "check the path"
        raise OutputError(
            f"cannot write {str(target)!r}: {reason}; nothing was left behind: {hint}, or choose another place with"
            " --out"
        ) from error


@contextmanager
def atomic_folder(target: Path, *, overwrite: bool, within: Path | None = None) -> Iterator[Path]:
    """Context manager: yield an empty folder that becomes the target on success.

    It is created next to the target, or in the folder `within` on the same file system. An existing target is swapped
    with it atomically and then removed, except for files that its record does not list; see `storage.ownership`.

    Raises
    ------
    OutputError
        The target exists and `overwrite` is false, or it holds files that topicnet did not write (both are checked
        before the block), or the disk rejects a write. After an error nothing is left behind and an existing target is
        unchanged. Only if the target was created or changed during the block is the result kept, under a free name.
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
    """Return the folder to write, with links resolved if it may be replaced; writes nothing.

    Raises
    ------
    OutputError
        The folder exists and `overwrite` is false; it holds files that its record does not list or that have changed;
        or it can never be replaced: the current folder or a parent of it, a mounted disk, a file.
    """
    with disk_errors(target):
        restore(target)
        target = Path(os.path.realpath(target)) if overwrite else target
        refuse_occupied(target)
        if not os.path.lexists(target):
            return target
        if not overwrite and not target.exists():
            raise OutputError(
                f"{str(target)!r} is a link to {os.readlink(target)!r}, which does not exist: choose another folder"
                " with --out, or remove the link"
            )
        if not overwrite:
            raise OutputError(
                f"{str(target)!r} exists already: choose another folder with --out, or replace it with --overwrite"
            )
        contents = _contents(target)
        if contents.foreign and not contents.recorded:
            raise OutputError(
                f"refusing to overwrite {str(target)!r}: it was not created by topicnet; choose another --out or delete"
                " it"
            )
        if contents.foreign:
            raise OutputError(
                f"refusing to overwrite {str(target)!r}: it holds files that topicnet did not write or that have"
                f" changed since: {shortened(contents.foreign)}; move them away, or choose another folder with --out"
            )
        return target


def refuse_occupied(target: Path) -> None:
    """Raise OutputError for a folder that cannot be replaced: the current folder, a parent of it, or a mounted disk."""
    real = Path(os.path.realpath(target))
    here = Path(os.path.realpath(os.curdir))
    if real == here or real in here.parents:
        raise OutputError(
            f"{str(target)!r} is the current folder or a parent of it and cannot be replaced: choose a new folder with"
            " --out, such as runs/mine"
        )
    if os.path.ismount(real):
        raise OutputError(
            f"{str(target)!r} is a mounted disk and cannot be replaced: choose a folder on it with --out, such as"
            f" {str(target / 'run')!r}"
        )


def probe_folder(target: Path) -> None:
    """Raise OutputError if a folder cannot be created here; leaves nothing behind."""
    with disk_errors(target):
        made = _make_parents(target)
        try:
            os.rmdir(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
        finally:
            remove_empty(made)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Context manager: lock a folder, created if needed, against other processes.

    The lock ends with the process, even if it is killed. A folder that is empty afterwards is removed.

    Raises
    ------
    OutputError
        Another process holds the lock, or the disk rejects a write.
    """
    made = [folder, *(parent for parent in folder.parents if not parent.exists())]
    handle = None
    try:
        with disk_errors(folder):
            while handle is None:  # again if its last holder has just removed it
                folder.mkdir(parents=True, exist_ok=True)
                handle = _lock(folder / LOCK)
        yield
    finally:
        if handle is not None:
            remove_lock(folder)
            os.close(handle)
        remove_empty([one for one in made if os.path.isdir(one)])  # innermost first


def remove_lock(folder: Path) -> None:
    """Remove the lock file of a folder that holds nothing else."""
    lock = folder / LOCK
    if folder.is_dir() and [path.name for path in folder.iterdir()] == [LOCK] and not lock.stat().st_size:
        lock.unlink()


def _lock(path: Path) -> int | None:
    """Lock a file for the lifetime of this process; returns None if the file was removed in the meantime."""
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
                f"another process is writing in {str(path.parent)!r}: wait for it, or choose another folder"
            ) from error
        # Other errors come from file systems without locks; writing continues without one.
    if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
        return handle
    os.close(handle)
    return None


def probe_file(target: Path, *, overwrite: bool, recognised: bool = False) -> None:
    """Raise OutputError if `atomic_file` would; leaves nothing behind.

    Parameters
    ----------
    target : Path
        File to be written.
    overwrite : bool
        Accept an existing file.
    recognised : bool
        Accept an existing file only if it is recognised as written by topicnet.
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
        raise OutputError("the output '.' is not a file name: name a file, such as theta.csv")
    if target.exists() and not target.is_file():
        kind = "a folder" if target.is_dir() else "not a regular file"
        raise OutputError(f"{str(target)!r} is {kind}, expected a file name: choose another path")


def remove_staged(path: Path) -> None:
    """Remove a staged file or folder.

    A folder with a record may be an earlier target: only the files that its record lists are removed.
    """
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    contents = contents_of(path)
    if not contents.recorded:
        shutil.rmtree(path, ignore_errors=True)
    elif not remove_files(path, contents.files):
        _make_visible(path)


def restore(target: Path) -> None:
    """Restore a folder whose replacement by `_exchange_in_steps` was interrupted by a kill."""
    if os.path.lexists(target):
        return
    for aside in _asides(target)[:1]:
        aside.rename(target)


def _asides(target: Path) -> list[Path]:
    """List earlier targets that a killed process had moved aside."""
    if target.name in ("", ".."):
        return []
    found = list[Path]()
    for place in (target.parent, target.with_name(f"{target.name}.unfinished")):
        with suppress(OSError, ValueError):  # a name that no file system accepts
            found += place.glob(f".{glob.escape(target.name)}.????????{ASIDE}")
    return sorted(found)


def _contents(target: Path) -> Contents:
    return contents_of(target) if target.is_dir() else Contents(foreign=(target.name,))


def _put(staging: Path, target: Path, *, overwrite: bool) -> None:
    """Move a finished folder to its target, replacing an earlier folder that contains no files of the user."""
    if not os.path.lexists(target):
        staging.rename(target)
        _sync(target.parent)
        return
    contents = _contents(target)
    if not overwrite or contents.foreign:
        free = _free_name(target)
        staging.rename(free)
        event = "was created" if not overwrite else "was changed"
        raise OutputError(
            f"{str(target)!r} {event} while this ran and is left unchanged: this result is in {str(free)!r}"
        )
    if not _exchange(staging, target):
        _exchange_in_steps(staging, target)
    _sync(target.parent)
    if not remove_files(staging, contents.files):  # a file was added at this moment
        _make_visible(staging)
    for aside in _asides(target):  # left by killed processes
        remove_staged(aside)


def _make_visible(staging: Path) -> None:
    """Rename a temporary folder that contains files of the user to a visible name, so that they can be found."""
    staging.rename(staging.with_name(f"{staging.name.removeprefix('.').removesuffix('.part')}.kept"))


def _free_name(target: Path) -> Path:
    return next(p for n in range(2, 10_000) if not os.path.lexists(p := target.with_name(f"{target.name}-{n}")))


def _exchange(one: Path, other: Path) -> bool:
    """Swap two paths atomically; returns False if the system or file system does not support it."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(os.path.abspath(one)), os.fsencode(os.path.abspath(other))
    if hasattr(libc, "renameat2"):  # Linux
        return bool(libc.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0)
    if hasattr(libc, "renamex_np"):  # macOS
        return bool(libc.renamex_np(names[0], names[1], RENAME_EXCHANGE) == 0)
    return False


def _exchange_in_steps(staging: Path, target: Path) -> None:
    """Swap two folders by three renames.

    `restore` recovers the target if the process is killed between them.
    """
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
    """Context manager: yield a path next to the target, whose file becomes the target on success.

    Raises
    ------
    OutputError
        The target exists and `overwrite` is false, or the disk rejects a write.
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
            raise OutputError(f"{str(target)!r} exists already: choose another file, or replace it with --overwrite")


def _make_parents(target: Path) -> list[Path]:
    """Create the missing folders above the target and return them, deepest first."""
    missing = [folder for folder in target.parents if not folder.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    return missing


def remove_empty(folders: list[Path]) -> None:
    """Remove those folders, deepest first, that are still empty."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def link_or_copy(source: Path, target: Path) -> None:
    """Hard-link a file that is never changed in place, or copy it if the file system has no hard links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def umask() -> int:
    """Return the file mode mask of this process."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync(path: Path) -> None:
    """Flush a file, or a folder's list of names, to the disk."""
    handle = os.open(path, os.O_RDONLY)  # read-only, because a linked file may be write-protected
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
