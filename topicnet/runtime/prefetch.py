"""Prefetching: read items in a background thread, and map a function over items in parallel, keeping their order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Queue
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
PREFETCHED = 2  # items to read ahead
WORKERS = 2


def prefetch(items: Iterator[T]) -> Iterator[T]:
    """Yield the same items, read ahead by a background thread.

    Examples
    --------
    >>> list(prefetch(iter("abc")))
    ['a', 'b', 'c']
    """
    queue: Queue[tuple[T] | BaseException | None] = Queue(PREFETCHED)
    cancelled = threading.Event()

    def read() -> None:
        try:
            for item in items:
                if cancelled.is_set():
                    return
                queue.put((item,))
            queue.put(None)
        except BaseException as error:  # raised again in the consumer
            queue.put(error)

    threading.Thread(target=read, daemon=True).start()
    try:
        while (item := queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item[0]
    finally:
        cancelled.set()
        while not queue.empty():  # the thread may be waiting for space in the queue
            queue.get_nowait()


def map_in_order(
    work: Callable[[T], R], items: Iterable[T], workers: int = WORKERS, prepare: Callable[[], None] | None = None
) -> Iterator[R]:
    """Map a function over items in a thread pool, and yield the results in order.

    Parameters
    ----------
    work : callable
        Function of one item.
    items : iterable
        At most one more item than there are workers is taken ahead of the results.
    workers : int
        Number of threads; with 1, everything runs in the calling thread.
    prepare : callable, optional
        Called first in each thread.

    Examples
    --------
    >>> list(map_in_order(str.upper, "abc"))
    ['A', 'B', 'C']
    """
    if workers == 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(workers, initializer=prepare) as pool:
        pending: deque[Future[R]] = deque()
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
