"""Processes forked from one that had threads: the child has the locks of those threads, but not the threads."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from pathlib import Path

from topicnet.errors import InputError

_THREADS = Path("/proc/self/task")
_POLARS = re.compile(r"polars-\d|async-executor")  # the threads of its pools; another one starts with its import

_forked = False
_without_polars = False


def is_forked() -> bool:
    """Return whether this process was forked by Python code, directly or through multiprocessing."""
    return _forked


def check_can_use_polars(what: str = "read or tokenise text") -> None:
    """Raise InputError in a forked process whose parent had used polars: it would wait for its threads without end.

    Raises
    ------
    InputError
        Names the remedy.
    """
    if _without_polars:
        raise InputError(
            f"a forked process cannot {what}, as the threads of its parent's text reader are missing here: start"
            " processes with multiprocessing's 'spawn' or 'forkserver' (or joblib's loky), load the run in each process"
            " after the fork (gunicorn without --preload), or transform counts instead of text"
        )


def _polars_runs() -> bool:
    """Return whether polars has started its threads."""
    if "polars" not in sys.modules:
        return False
    if not _THREADS.is_dir():
        return True  # no way to know
    for thread in _THREADS.iterdir():
        with suppress(OSError):  # it has ended
            if _POLARS.match((thread / "comm").read_text()):
                return True
    return False


def _before() -> None:
    global _polars_ran
    with suppress(Exception):  # Python would print it and fork all the same
        _polars_ran = _polars_runs()


def _in_child() -> None:
    global _forked, _without_polars
    _forked = True
    _without_polars = _without_polars or _polars_ran


_polars_ran = False
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_child=_in_child)
