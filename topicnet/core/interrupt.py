"""Ctrl-C that stops a computation between steps instead of in the middle of one."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_noted: threading.Event | None = None  # of the block now open in the main thread


class FitInterrupted(KeyboardInterrupt):
    """Ctrl-C stopped a fit; the estimator is fitted with the best it had by then."""


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether Ctrl-C was pressed inside the block.

    The first press is only noted; a second one raises KeyboardInterrupt at once. Outside the main thread, where
    Python delivers no signals, and where the caller has a handler of its own, nothing is changed. Inside another such
    block the two share one note.
    """
    global _noted
    if _noted is not None and threading.current_thread() is threading.main_thread():
        yield _noted.is_set
        return
    pressed = threading.Event()

    def note(signum: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        pressed.set()

    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if not ours:
        yield pressed.is_set
        return
    signal.signal(signal.SIGINT, note)
    _noted = pressed
    try:
        yield pressed.is_set
    finally:
        _noted = None
        signal.signal(signal.SIGINT, signal.default_int_handler)
