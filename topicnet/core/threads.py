"""How many threads a fit uses on the CPU: a choice, not whatever the machine happens to have."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

from topicnet.errors import InputError

VARIABLE = "TOPICNET_THREADS"
# The sparse products of one step last microseconds. Measured on two cores: a second thread saves a quarter on a
# quiet machine and more than doubles the time beside other work, as each barrier then waits for a scheduler's turn.
DEFAULT_THREADS = 1


def thread_count() -> int:
    """Threads to use: `TOPICNET_THREADS`, or one.

    Raises
    ------
    InputError
        The variable is not a whole number from 1.
    """
    given = os.environ.get(VARIABLE, "")
    if not given:
        return DEFAULT_THREADS
    if not given.isdecimal() or int(given) < 1:
        raise InputError(f"{VARIABLE}={given!r} given, expected a whole number of threads, 1 or more")
    return int(given)


@contextmanager
def chosen_threads() -> Iterator[None]:
    """Hold torch, BLAS and OpenMP to `thread_count` threads and give the caller's setting back."""
    count = thread_count()
    before = torch.get_num_threads()
    with threadpool_limits(limits=count):
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)
