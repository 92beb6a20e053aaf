"""Ctrl-C that stops a computation between steps instead of in the middle of one."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_noted: threading.Event | None = None  # of the block now open in the main thread
_elsewhere = threading.local()  # in threads that are told of it from elsewhere: the event


class FitInterrupted(KeyboardInterrupt):
    """Ctrl-C stopped a fit; the estimator is fitted with the best it had by then."""


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether Ctrl-C was pressed inside the block.

    The first press is only noted; a second one raises KeyboardInterrupt at once. Outside the main thread, where
    Python delivers no signals, and where the caller has a handler of its own, nothing is changed. Inside another such
    block the two share one note. Where Ctrl-C is ignored, as by a job that a script starts in the background, the note
    is made by `interrupt` alone.
    """
    global _noted
    in_main_thread = threading.current_thread() is threading.main_thread()
    shared: threading.Event | None = getattr(_elsewhere, "pressed", _noted if in_main_thread else None)
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
    """Do in a signal handler as Ctrl-C would do: note it in a block of `deferred_interrupt`, else end what is running.

    SIGINT itself does nothing in a process that inherited it as ignored.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.raise_signal(signal.SIGINT)
    elif _noted is None:
        raise KeyboardInterrupt
    else:
        _noted.set()


@contextmanager
def pressed_elsewhere(pressed: threading.Event) -> Iterator[None]:
    """Let `deferred_interrupt`, in this thread and inside the block, look at an event that someone else sets."""
    _elsewhere.pressed = pressed
    try:
        yield
    finally:
        del _elsewhere.pressed
