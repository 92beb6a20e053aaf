"""How many threads a fit uses on the CPU: a choice, not whatever the machine happens to have.

Two kinds of work want two numbers. The products of a training step last microseconds, and threads that share one meet
at a barrier each time: `thread_count`. Blocks of documents that need nothing of each other (EM, inference, the halves
of a large product) are given to whole threads, which meet once: `worker_count`.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

import torch
from threadpoolctl import ThreadpoolController

from topicnet.errors import InputError
from topicnet.runtime.forking import is_forked
from topicnet.runtime.prefetch import map_in_order
from topicnet.runtime.shared_setting import SharedSetting
from topicnet.runtime.torch_state import usual_torch

VARIABLE = "TOPICNET_THREADS"
# The sparse products of one step last microseconds. Measured on two cores: a second thread saves a quarter on a
# quiet machine and more than doubles the time beside other work, as each barrier then waits for a scheduler's turn.
DEFAULT_THREADS = 1
MOST_WORKERS = 16  # each holds a block of its own, and Python lets one at a time start its products

T = TypeVar("T")
R = TypeVar("R")


def thread_count(default: int = DEFAULT_THREADS) -> int:
    """Threads to use: `TOPICNET_THREADS`, or one, or another default.

    Raises
    ------
    InputError
        The variable is not a whole number from 1.
    """
    given = os.environ.get(VARIABLE, "")
    if not given:
        return default
    if not given.isdecimal() or int(given) < 1:
        raise InputError(f"{VARIABLE}={given!r} given, expected a whole number of threads, 1 or more")
    return int(given)


def worker_count() -> int:
    """Blocks of documents to work on at a time: `TOPICNET_THREADS`, or as many as there are cores, 16 at most."""
    if os.environ.get(VARIABLE, ""):
        return min(MOST_WORKERS, thread_count())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST_WORKERS, cores)


def in_inference(work: Callable[[T], R], items: Iterable[T], device: torch.device) -> Iterator[R]:
    """What the work makes of each item, in order and without gradients, several items at a time on the CPU."""

    def one(item: T) -> R:
        with torch.inference_mode():  # a thread's own setting
            return work(item)

    yield from map_in_order(one, items, worker_count() if device.type == "cpu" else 1, _alone)


def together(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """What the work makes of each item, without gradients; the first is done here, others meanwhile by other threads.

    For pieces of a millisecond or so, of a step that does nothing else meanwhile. The pieces are the same however many
    threads there are, and so are the bits.
    """
    if len(items) == 1 or torch.get_num_threads() > 1 or worker_count() == 1:
        return [work(item) for item in items]

    def other(item: T) -> R:
        with torch.no_grad():  # a thread's own setting
            return work(item)

    others = [_pool().submit(other, item) for item in items[1:]]
    return [work(items[0]), *(future.result() for future in others)]


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MOST_WORKERS, "topicnet", _alone)


def _alone() -> None:
    """Let a new thread do its products by itself, from the first one on: torch else settles that after it."""
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):  # a forked process has the pool but none of its threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


@contextmanager
def chosen_threads(most: int = DEFAULT_THREADS) -> Iterator[None]:
    """Compute in a block with `thread_count` threads of torch, BLAS and OpenMP, and with torch as a new process has it.

    Where nobody chose, one, or the processors up to `most`, for work whose products gain by it. A forked process takes
    one: it would wait for the other threads of its parent without end. The caller's settings are restored afterwards,
    when no other thread computes any more; while others compute with another number of threads, the block waits.
    """
    count = thread_count(min(most, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else most))
    if is_forked():
        count = 1
    _found.libraries = ThreadpoolController()  # a millisecond or two
    openmp = _found.libraries.select(user_api="openmp")
    # OpenMP's settings are each thread's own: saved here and restored last. The others are the process's.
    with openmp.limit(limits=None), _threads.held(count), openmp.limit(limits=count), usual_torch():
        torch.set_num_threads(count)
        yield


@contextmanager
def _limited(count: int) -> Iterator[None]:
    """Hold the whole process to a number of threads."""
    before = torch.get_num_threads()
    with _found.libraries.select(user_api="blas").limit(limits=count):
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)


_found = threading.local()  # in each thread: the libraries whose threads it limits
_threads = SharedSetting(_limited)
