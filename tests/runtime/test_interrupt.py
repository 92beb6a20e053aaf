"""Ctrl-C, and signals that act as Ctrl-C, inside and outside of a block that notes them."""

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from topicnet.runtime.interrupt import deferred_interrupt, interrupt


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["foreground", "background"])
def handler(request: pytest.FixtureRequest) -> Iterator[Any]:
    """How the process was started: a script starts background jobs with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, request.param)
    yield request.param
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_is_noted_in_a_block(handler: Any) -> None:
    with deferred_interrupt() as pressed:
        assert not pressed()
        interrupt()
        assert pressed()
        with deferred_interrupt() as inner:
            assert inner()
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_interrupt_ends_what_runs_outside_of_a_block(handler: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupt()


def test_ctrl_c_stays_ignored_in_the_background(handler: Any) -> None:
    with deferred_interrupt() as pressed:
        signal.raise_signal(signal.SIGINT)
        assert pressed() == (handler is not signal.SIG_IGN)
