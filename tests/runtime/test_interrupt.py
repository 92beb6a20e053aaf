"""Ctrl-C, and signals that act like it, inside and outside a block that defers them."""

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from topicnet.runtime.interrupt import deferred_interrupt, interrupt


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["foreground", "background"])
def handler(request: pytest.FixtureRequest) -> Iterator[Any]:
    """SIGINT handler of a process in the foreground, or in the background, where scripts ignore SIGINT."""
    before = signal.signal(signal.SIGINT, request.param)
    yield request.param
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_is_deferred_in_a_block(handler: Any) -> None:
    with deferred_interrupt() as pressed:
        assert not pressed()
        interrupt()
        assert pressed()
        with deferred_interrupt() as inner:
            assert inner()
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_interrupt_outside_a_block_raises_at_once(handler: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupt()


def test_ctrl_c_stays_ignored_in_the_background(handler: Any) -> None:
    with deferred_interrupt() as pressed:
        signal.raise_signal(signal.SIGINT)
        assert pressed() == (handler is not signal.SIG_IGN)
