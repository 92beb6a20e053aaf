"""Tuning of glibc's malloc: keep freed memory for the next step.

glibc fetches arrays of more than 32 MB, such as the topics of 200,000 words, from the system each time they are made,
and for smaller ones whatever was freed together. Up to half of a step is then spent on pages that the system fills
with zeros. This changes the whole process: only the command line and the processes that it starts do it.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

# Of mallopt, in malloc.h.
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
# glibc's own values in a process that has freed a large array.
LARGEST_THRESHOLD, USUAL_MMAPS = 32 << 20, 65_536
LEAST_ARRAY = 8 << 20  # bytes: glibc keeps enough for smaller arrays
KEPT = 2**31 - 1  # bytes at the end of the heap


@contextmanager
def keep_freed_memory(largest: int) -> Iterator[Callable[[], None]]:
    """Keep memory that is freed inside the block for the arrays that are made next; release it at the end.

    Yields a function that releases it earlier. Does nothing where the largest array, of this many bytes, is small, on
    systems other than Linux with glibc, or where the environment has settings for glibc's malloc.
    """
    library = _library() if largest >= LEAST_ARRAY else None
    if library is None:
        yield lambda: None
        return
    library.mallopt(MMAP_MAX, 0)
    library.mallopt(TRIM_THRESHOLD, KEPT)
    try:
        yield lambda: library.malloc_trim(0)
    finally:
        # Once set, they no longer grow by themselves: set them to the values that they grow to.
        library.mallopt(MMAP_THRESHOLD, LARGEST_THRESHOLD)
        library.mallopt(MMAP_MAX, USUAL_MMAPS)
        library.mallopt(TRIM_THRESHOLD, 2 * LARGEST_THRESHOLD)
        library.malloc_trim(0)


@cache
def _library() -> Any:
    """Return the C library if its malloc can be tuned and the environment does not tune it."""
    tuned = any(name.startswith(("MALLOC_MMAP_", "MALLOC_TRIM_", "MALLOC_TOP_")) for name in os.environ)
    if tuned or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return None
    try:
        library = ctypes.CDLL(None)
        return library if library.gnu_get_libc_version and library.mallopt and library.malloc_trim else None
    except (AttributeError, OSError, TypeError):  # Windows has no library without a name
        return None
