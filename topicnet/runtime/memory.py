"""Free, resident and peak memory of this process; human-readable sizes and times."""

from __future__ import annotations

import mmap
import resource
import sys
from contextlib import suppress
from pathlib import Path


def available_memory() -> int | None:
    """Bytes this process may still take without others being pushed out; None where the system does not say."""
    found = []
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]))
    with suppress(OSError, ValueError):  # a container's limit
        limit, used = (int(Path("/sys/fs/cgroup", name).read_text()) for name in ("memory.max", "memory.current"))
        found.append(limit - used)
    return min(found, default=None)


def resident_memory() -> int:
    """Bytes of memory this process has now, or has had at most where the system does not say."""
    with suppress(OSError, ValueError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE
    return peak_memory_bytes()


def peak_memory_bytes() -> int:
    """Largest resident size of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def readable_seconds(seconds: float) -> str:
    """Seconds, minutes or hours, roughly."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 6_000 else f"{seconds / 3_600:.1f} h"


def readable_bytes(n_bytes: float) -> str:
    """Megabytes or gigabytes, roughly."""
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes > 1e9 else f"{n_bytes / 1e6:.0f} MB"
