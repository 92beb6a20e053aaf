"""Process-wide settings, such as the number of torch threads, that several threads may need at the same time."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Generic, TypeVar

T = TypeVar("T")
WAIT = 0.2  # seconds; if polars is loaded, Ctrl-C does not end a longer wait


class SharedSetting(Generic[T]):
    """Process-wide setting, applied when the first thread enters and undone when the last one leaves.

    If each thread saved and restored the setting on its own, it would be undone while another thread still relies on
    it, and a temporary value could be restored in the end. Threads that need another value wait until the current
    value is no longer used. A thread that already holds the setting never waits.

    Parameters
    ----------
    make : callable
        Maps a value to a context manager that sets it for the whole process.
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
        """Context manager: keep the setting at a value."""
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
        """Forget other threads in a forked child, where they do not exist and their locks would stay locked."""
        self._changed = threading.Condition()
        me = threading.get_ident()
        self._holders = Counter({me: self._holders[me]})
        with suppress(Exception):  # errors cannot be reported during a fork
            self._undo_unused()
