"""Thread counts and thread pools for computation on the CPU.

Two kinds of work need different counts. The products of a training step last microseconds, and threads that share one
wait for each other at a barrier every time: `thread_count`. Independent blocks of documents (EM, inference, the halves
of a large product) each run on one thread, and the threads synchronise once: `worker_count`.
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
# Measured on two cores: a second thread in the microsecond-long products of a step saves a quarter on a quiet machine,
# and more than doubles the time if other processes compete, because every barrier then waits for the scheduler.
DEFAULT_THREADS = 1
MOST_WORKERS = 16  # each needs memory for a block, and Python's lock lets one start its products at a time
T = TypeVar("T")
R = TypeVar("R")


def thread_count(default: int = DEFAULT_THREADS) -> int:
    """Return the number of threads to use: `TOPICNET_THREADS` if set, else `default`.

    Raises
    ------
    InputError
        The variable is not an integer of 1 or more.
    """
    given = os.environ.get(VARIABLE, "")
    if not given:
        return default
    if not given.isdecimal() or int(given) < 1:
        raise InputError(f"{VARIABLE}={given!r} given, expected a whole number of threads, 1 or more")
    return int(given)


def limited_threads(most: int) -> int:
    """Return `TOPICNET_THREADS` if set, else the available processors up to `most`, and one if threads would spin.

    A thread that spins while it waits for the others takes the processor from them. Next to other busy processes, a
    step of an image model took 20 times as long with two spinning threads, and half as long with two that sleep.
    """
    sleeps = os.environ.get("OMP_WAIT_POLICY", "").lower() == "passive"  # set by the command line before torch loads
    return thread_count(min(most, _n_cores()) if sleeps else 1)


def _n_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_count() -> int:
    """Return the number of blocks to process in parallel: `TOPICNET_THREADS` if set, else all cores, at most 16."""
    if os.environ.get(VARIABLE, ""):
        return min(MOST_WORKERS, thread_count())
    return min(MOST_WORKERS, _n_cores())


def map_inference(work: Callable[[T], R], items: Iterable[T], device: torch.device) -> Iterator[R]:
    """Map a function over items in order, in inference mode, with several items in parallel on the CPU."""

    def one(item: T) -> R:
        with torch.inference_mode():  # is set per thread
            return work(item)

    yield from map_in_order(one, items, worker_count() if device.type == "cpu" else 1, _use_one_thread)


def map_blocks(work: Callable[[T], R], items: Iterable[T], device: torch.device) -> Iterator[R]:
    """Map a function that may compute gradients over items in order, with several items in parallel on the CPU."""
    yield from map_in_order(work, items, worker_count() if device.type == "cpu" else 1, _use_one_thread)


def map_on_threads(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Map a function over items without gradients, on this thread and pool threads.

    Meant for the pieces of one training step, about a millisecond each. This thread takes the first item. The pieces do
    not depend on the number of threads, so the results are bit-identical for any number.
    """
    if len(items) == 1 or torch.get_num_threads() > 1 or worker_count() == 1:
        return [work(item) for item in items]

    def other(item: T) -> R:
        with torch.no_grad():  # is set per thread
            return work(item)

    others = [_pool().submit(other, item) for item in items[1:]]
    return [work(items[0]), *(future.result() for future in others)]


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MOST_WORKERS, "topicnet", _use_one_thread)


def _use_one_thread() -> None:
    """Limit a new pool thread to one torch thread before its first operation.

    Without this, torch applies its setting to a new thread only later.
    """
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):  # a forked process inherits the pool object, but none of its threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


@contextmanager
def chosen_threads(most: int = DEFAULT_THREADS) -> Iterator[None]:
    """Context manager: limit torch, BLAS and OpenMP to `thread_count` threads, with torch's default settings.

    Without `TOPICNET_THREADS`, uses one thread, or several up to `most` (see `limited_threads`) for work whose products
    gain from it. A forked process uses one thread, because it would deadlock on the other threads of its parent. The
    caller's settings are restored when no other thread computes any more. While other threads compute with another
    count, entering waits for them.
    """
    count = limited_threads(most)
    if is_forked():
        count = 1
    _found.libraries = ThreadpoolController()  # takes a millisecond or two
    openmp = _found.libraries.select(user_api="openmp")
    # OpenMP's settings belong to each thread: saved here and restored last. The others belong to the process.
    with openmp.limit(limits=None), _threads.held(count), openmp.limit(limits=count), usual_torch():
        torch.set_num_threads(count)
        yield


@contextmanager
def _limited(count: int) -> Iterator[None]:
    """Context manager: set the number of threads of the whole process."""
    before = torch.get_num_threads()
    with _found.libraries.select(user_api="blas").limit(limits=count):
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)


_found = threading.local()  # per thread: the libraries whose threads it limits
_threads = SharedSetting(_limited)
