"""One object for what a job reports while it runs: notices, and how far it has come."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from topicnet.runtime.logs import notices


def silent(line: str) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class Reporter:
    """Where notices and progress of a job go; by default nowhere.

    Attributes
    ----------
    notice : callable
        Called with one line of text.
    listener : callable, optional
        Called with a `topicnet.training.progress.Progress` after every pass and epoch.
    began : float
        `time.perf_counter()` when the job began; its seconds are counted from there.
    """

    notice: Callable[[str], None] = silent
    listener: Callable[[Any], None] | None = None
    began: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        if not isinstance(self.notice, _Logged):
            object.__setattr__(self, "notice", _Logged(self.notice))


@dataclass(frozen=True)
class _Logged:
    """Logs a notice under "topicnet.notices" and passes it on."""

    notice: Callable[[str], None]

    def __call__(self, line: str) -> None:
        notices.info("%s", line)
        self.notice(line)
