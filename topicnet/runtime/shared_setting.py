"""Settings of the whole process that several threads want at the same time."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Generic, TypeVar

T = TypeVar("T")
WAIT = 0.2  # seconds: under polars a longer wait is not ended by Ctrl-C, only resumed


class SharedSetting(Generic[T]):
    """A setting of the whole process: the first thread that wants it makes it, the last one to leave undoes it.

    Saving and restoring by each thread for itself would undo the setting while another thread still relies on it, and
    restore in the end what was only set for a while. Threads that want another value wait until the value in force is
    no longer used; a thread that holds the setting already never waits.

    Parameters
    ----------
    make : callable
        From a value to a context manager that sets it for the whole process.
    """

    def __init__(self, make: Callable[[T], AbstractContextManager[object]]) -> None:
        self._make = make
        self._changed = threading.Condition()
        self._holders: Counter[int] = Counter()  # by thread
        self._made: tuple[T, AbstractContextManager[object]] | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget_other_threads)

    @contextmanager
    def held(self, value: T) -> Iterator[None]:
        """Hold the setting at a value for the block."""
        me = threading.get_ident()
        with self._changed:
            while self._made is not None and self._made[0] != value and not self._holders[me]:
                self._changed.wait(WAIT)
            if self._made is None:
                setting = self._make(value)
                setting.__enter__()
                self._made = value, setting
            nested = self._made[0] != value
            self._holders[me] += 1
        try:
            if nested:
                with self._make(value):
                    yield
            else:
                yield
        finally:
            with self._changed:
                self._holders[me] -= 1
                self._undo_unused()
                self._changed.notify_all()

    def _undo_unused(self) -> None:
        if not +self._holders and self._made is not None:
            self._holders.clear()
            (_, setting), self._made = self._made, None
            setting.__exit__(None, None, None)

    def _forget_other_threads(self) -> None:
        """In a forked child only the thread that forked is left; a lock that another one held stays locked for ever."""
        self._changed = threading.Condition()
        me = threading.get_ident()
        self._holders = Counter({me: self._holders[me]})
        with suppress(Exception):  # nothing can be reported while a process forks
            self._undo_unused()
