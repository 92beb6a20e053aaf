"""Deferred Ctrl-C: stop a computation between steps instead of in the middle of one."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_noted: threading.Event | None = None  # event of the open `deferred_interrupt` in the main thread
_external = threading.local()  # per thread: the event of `pressed_elsewhere`


class FitInterrupted(KeyboardInterrupt):
    """Ctrl-C stopped a fit; the estimator is fitted with the best weights so far."""


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Context manager: defer Ctrl-C, and yield a function that returns whether it was pressed.

    The first press is only recorded; the second raises KeyboardInterrupt at once. Nothing changes outside the main
    thread, where Python delivers no signals, or if the caller has installed a signal handler. Nested blocks share one
    event. If Ctrl-C is ignored, as in background jobs of a script, only `interrupt` sets the event.
    """
    global _noted
    in_main_thread = threading.current_thread() is threading.main_thread()
    shared: threading.Event | None = getattr(_external, "pressed", _noted if in_main_thread else None)
    pressed = shared or threading.Event()
    handler = signal.getsignal(signal.SIGINT)
    if shared is not None or not in_main_thread or handler not in (signal.default_int_handler, signal.SIG_IGN):
        yield pressed.is_set
        return

    def note(signum: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        pressed.set()

    if handler is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, note)
    _noted = pressed
    try:
        yield pressed.is_set
    finally:
        _noted = None
        signal.signal(signal.SIGINT, handler)


def interrupt() -> None:
    """Act like Ctrl-C in a signal handler: set the event of a `deferred_interrupt` block or raise KeyboardInterrupt.

    SIGINT itself has no effect in a process that inherited it as ignored.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.raise_signal(signal.SIGINT)
    elif _noted is None:
        raise KeyboardInterrupt
    else:
        _noted.set()


@contextmanager
def pressed_elsewhere(pressed: threading.Event) -> Iterator[None]:
    """Context manager: let `deferred_interrupt` in this thread react to an event that another thread sets."""
    _external.pressed = pressed
    try:
        yield
    finally:
        del _external.pressed
