"""Available, resident and peak memory of this process, and human-readable sizes and times."""

from __future__ import annotations

import mmap
import resource
import sys
from contextlib import suppress
from pathlib import Path


def available_memory() -> int | None:
    """Return the bytes that this process can allocate without swapping; None if the system does not report it."""
    found = []
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]))
    with suppress(OSError, ValueError):  # limit of a container
        limit, used = (int(Path("/sys/fs/cgroup", name).read_text()) for name in ("memory.max", "memory.current"))
        found.append(limit - used)
    return min(found, default=None)


def resident_memory() -> int:
    """Return the resident memory of this process in bytes, or its peak if the system does not report it."""
    with suppress(OSError, ValueError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE
    return peak_memory_bytes()


def peak_memory_bytes() -> int:
    """Return the peak resident memory of this process in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def readable_seconds(seconds: float) -> str:
    """Format a duration in seconds, minutes or hours.

    Examples
    --------
    >>> readable_seconds(42.3), readable_seconds(9000)
    ('42 s', '2.5 h')
    """
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 6_000 else f"{seconds / 3_600:.1f} h"


def readable_bytes(n_bytes: float) -> str:
    """Format a size in megabytes or gigabytes.

    Examples
    --------
    >>> readable_bytes(687_000_000)
    '687 MB'
    """
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes > 1e9 else f"{n_bytes / 1e6:.0f} MB"
