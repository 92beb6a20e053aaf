"""Work ahead of the one who asks: batches read by another thread, and answers made two at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Queue
from typing import TypeVar

from topicnet.text.rows import Documents

T = TypeVar("T")
R = TypeVar("R")
BATCHES_AHEAD = 2  # of documents, read while others are counted
WORKERS = 2


def read_ahead(batches: Iterator[Documents]) -> Iterator[Documents]:
    """The same batches, read by a thread of its own while those before are worked on."""
    queue: Queue[Documents | BaseException | None] = Queue(BATCHES_AHEAD)
    given_up = threading.Event()

    def read() -> None:
        try:
            for documents in batches:
                if given_up.is_set():
                    return
                queue.put(documents)
            queue.put(None)
        except BaseException as error:  # handed over to who asked
            queue.put(error)

    threading.Thread(target=read, daemon=True).start()
    try:
        while (item := queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        given_up.set()
        while not queue.empty():  # the thread may wait for room
            queue.get_nowait()


def in_order(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """What the work makes of each item, in order; as many are worked on at a time as there are workers."""
    with ThreadPoolExecutor(WORKERS) as workers:
        pending: deque[Future[R]] = deque()
        for item in items:
            pending.append(workers.submit(work, item))
            if len(pending) > WORKERS:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
