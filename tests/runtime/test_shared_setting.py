"""Process-wide settings: the first thread makes them, the last one undoes them."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from topicnet.runtime.shared_setting import SharedSetting


class Process:
    """Imitation of a process with one setting."""

    def __init__(self) -> None:
        self.value = "usual"
        self.setting = SharedSetting(self.make)

    @contextmanager
    def make(self, value: str) -> Iterator[None]:
        before, self.value = self.value, value
        try:
            yield
        finally:
            self.value = before


def test_the_last_thread_to_leave_undoes_it() -> None:
    process, inside, leave, seen = Process(), threading.Event(), threading.Event(), []

    def hold() -> None:
        with process.setting.held("ours"):
            inside.set()
            leave.wait(10)
            seen.append(process.value)

    thread = threading.Thread(target=hold)
    with process.setting.held("ours"):
        thread.start()
        assert inside.wait(10)
    assert process.value == "ours"
    leave.set()
    thread.join(10)
    assert (seen, process.value) == (["ours"], "usual")


def test_another_value_waits_until_the_first_is_no_longer_used() -> None:
    process, seen = Process(), []

    def hold() -> None:
        with process.setting.held("other"):
            seen.append(process.value)

    thread = threading.Thread(target=hold)
    with process.setting.held("ours"):
        thread.start()
        thread.join(0.05)
        assert (seen, process.value) == ([], "ours")
    thread.join(10)
    assert (seen, process.value) == (["other"], "usual")


def test_nested_blocks_of_one_thread_do_not_wait() -> None:
    process = Process()
    with process.setting.held("ours"):
        with process.setting.held("other"):
            assert process.value == "other"
        with process.setting.held("ours"):
            assert process.value == "ours"
    assert process.value == "usual"


def test_an_error_undoes_the_setting() -> None:
    process = Process()
    with pytest.raises(ValueError, match="wrong"), process.setting.held("ours"):
        raise ValueError("wrong")
    assert process.value == "usual"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_forgets_the_other_threads() -> None:
    process, inside, leave = Process(), threading.Event(), threading.Event()

    def hold() -> None:
        with process.setting.held("ours"):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    assert inside.wait(10)
    child = os.fork()
    if child == 0:
        undone = process.value == "usual"
        with process.setting.held("other"):
            os._exit(0 if undone and process.value == "other" else 1)
    status = os.waitpid(child, 0)[1]
    leave.set()
    thread.join(10)
    assert status == 0
