"""Detection of forked processes, which inherit the locks of their parent's threads, but not the threads."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from pathlib import Path

from topicnet.errors import InputError

_THREADS = Path("/proc/self/task")
_POLARS = re.compile(r"polars-\d|async-executor")  # threads of its pools; one other starts at import

_forked = False
_without_polars = False


def is_forked() -> bool:
    """Return whether this process was forked by Python code, directly or through multiprocessing."""
    return _forked


def check_can_use_polars(what: str = "read or tokenise text") -> None:
    """Raise InputError in a forked process whose parent has used polars, because polars would deadlock.

    Parameters
    ----------
    what : str
        The action to name in the message.
    """
    if _without_polars:
        raise InputError(
            f"a forked process cannot {what}, because the reader threads of its parent do not exist here: start"
            " processes with multiprocessing's 'spawn' or 'forkserver' (or joblib's loky), load the run in each process"
            " after the fork (gunicorn without --preload), or transform counts instead of text"
        )


def _polars_runs() -> bool:
    """Return whether polars has started its threads."""
    if "polars" not in sys.modules:
        return False
    if not _THREADS.is_dir():
        return True  # unknown, so assume that it has
    for thread in _THREADS.iterdir():
        with suppress(OSError):  # the thread has ended
            if _POLARS.match((thread / "comm").read_text()):
                return True
    return False


def _before() -> None:
    global _polars_ran
    with suppress(Exception):  # Python would print an error here and fork anyway
        _polars_ran = _polars_runs()


def _in_child() -> None:
    global _forked, _without_polars
    _forked = True
    _without_polars = _without_polars or _polars_ran


_polars_ran = False
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_child=_in_child)
