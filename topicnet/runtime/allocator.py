"""Tuning of glibc's malloc to reuse freed memory in the next training step.

glibc requests arrays of more than 32 MB (such as the topics of 200,000 words) from the system each time they are made,
and smaller ones once enough was freed together. Up to half of a training step is then spent on page faults, because
the system fills new pages with zeros. The tuning affects the whole process, so only the command line and processes
started by it use it.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

# Options of mallopt, from malloc.h.
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
# Values that glibc itself reaches in a process that has freed a large array.
LARGEST_THRESHOLD, USUAL_MMAPS = 32 << 20, 65_536
LEAST_ARRAY = 8 << 20  # bytes; for smaller arrays glibc already keeps enough memory
KEPT_BYTES = 2**31 - 1  # bytes to keep at the end of the heap


@contextmanager
def keep_freed_memory(largest: int) -> Iterator[Callable[[], None]]:
    """Context manager: keep freed memory for new arrays, and release it to the system at the end.

    Yields a function that releases it earlier. Does nothing if the largest array (in bytes) is small, on systems other
    than Linux with glibc, or if the environment already configures glibc's malloc.
    """
    library = _library() if largest >= LEAST_ARRAY else None
    if library is None:
        yield lambda: None
        return
    library.mallopt(MMAP_MAX, 0)
    library.mallopt(TRIM_THRESHOLD, KEPT_BYTES)
    try:
        yield lambda: library.malloc_trim(0)
    finally:
        # Once set, the thresholds no longer adapt; set them to the values that they would have reached.
        library.mallopt(MMAP_THRESHOLD, LARGEST_THRESHOLD)
        library.mallopt(MMAP_MAX, USUAL_MMAPS)
        library.mallopt(TRIM_THRESHOLD, 2 * LARGEST_THRESHOLD)
        library.malloc_trim(0)


@cache
def _library() -> Any:
    """Return the C library if its malloc can be tuned and the environment does not configure it."""
    tuned = any(name.startswith(("MALLOC_MMAP_", "MALLOC_TRIM_", "MALLOC_TOP_")) for name in os.environ)
    if tuned or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return None
    try:
        library = ctypes.CDLL(None)
        return library if library.gnu_get_libc_version and library.mallopt and library.malloc_trim else None
    except (AttributeError, OSError, TypeError):  # as on Windows, where CDLL needs a name
        return None
