"""Work ahead of the one who asks: items read by another thread, and answers made several at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Queue
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
AHEAD = 2  # items read while others are worked on
WORKERS = 2


def prefetch(items: Iterator[T]) -> Iterator[T]:
    """The same items, read by a thread of its own while those before are worked on."""
    queue: Queue[tuple[T] | BaseException | None] = Queue(AHEAD)
    given_up = threading.Event()

    def read() -> None:
        try:
            for item in items:
                if given_up.is_set():
                    return
                queue.put((item,))
            queue.put(None)
        except BaseException as error:  # handed over to who asked
            queue.put(error)

    threading.Thread(target=read, daemon=True).start()
    try:
        while (item := queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item[0]
    finally:
        given_up.set()
        while not queue.empty():  # the thread may wait for room
            queue.get_nowait()


def map_in_order(
    work: Callable[[T], R], items: Iterable[T], workers: int = WORKERS, prepare: Callable[[], None] | None = None
) -> Iterator[R]:
    """What the work makes of each item, in order; as many are worked on at a time as there are workers.

    Each worker, a thread, is prepared first.
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
