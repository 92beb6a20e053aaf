"""Freed memory that is kept for the next step, not given back to the system and fetched again page by page.

Arrays of more than 32 MB, such as the topics of 200,000 words, glibc fetches from the system each time they are made,
and of smaller ones what is freed together. Up to half of a step goes into pages that the system fills with zeros.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

# Of mallopt, in malloc.h.
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
# What glibc comes to by itself in a process that has freed a large array, and how many it fetches at most.
LARGEST_THRESHOLD, USUAL_MMAPS = 32 << 20, 65_536
LEAST_ARRAY = 8 << 20  # bytes, below which glibc keeps enough by itself
KEPT = 2**31 - 1  # bytes at the end of what the process has

_lock = threading.Lock()
_users = 0


@contextmanager
def keep_freed_memory(largest: int) -> Iterator[Callable[[], None]]:
    """Have memory that is freed inside kept for what is made next, where arrays of so many bytes are made.

    What it gives, called when much has been freed that is not made again soon, gives that back; so does the end.
    Nothing is done for arrays too small, on other systems than Linux with glibc, or where the environment has settings
    for glibc's allocator.
    """
    library = _library() if largest >= LEAST_ARRAY else None
    if library is None:
        yield lambda: None
        return
    _count(library, 1)
    try:
        yield lambda: library.malloc_trim(0)
    finally:
        _count(library, -1)


def _count(library: Any, change: int) -> None:
    """The first to come has freed memory kept, the last to go sets things right again."""
    global _users
    with _lock:
        _users += change
        if _users == 1 and change == 1:
            library.mallopt(MMAP_MAX, 0)
            library.mallopt(TRIM_THRESHOLD, KEPT)
        elif _users == 0:
            # Once set, they no longer grow by themselves: they are set to what they would have grown to.
            library.mallopt(MMAP_THRESHOLD, LARGEST_THRESHOLD)
            library.mallopt(MMAP_MAX, USUAL_MMAPS)
            library.mallopt(TRIM_THRESHOLD, 2 * LARGEST_THRESHOLD)
            library.malloc_trim(0)


@cache
def _library() -> Any:
    """The C library, if its allocator can be told and nobody else has."""
    told = any(name.startswith(("MALLOC_MMAP_", "MALLOC_TRIM_", "MALLOC_TOP_")) for name in os.environ)
    if told or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return None
    try:
        library = ctypes.CDLL(None)
        return library if library.gnu_get_libc_version and library.mallopt and library.malloc_trim else None
    except (AttributeError, OSError, TypeError):  # Windows has no library without a name
        return None
