"""Destination of the notices and progress reports of a running job, as one object."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from topicnet.runtime.logs import notices


def silent(line: str) -> None:
    """Ignore a notice."""


@dataclass(frozen=True)
class Reporter:
    """Destination of a job's notices and progress; by default, they are discarded.

    Attributes
    ----------
    notice : callable
        Called with one line of text.
    listener : callable, optional
        Called with a `topicnet.training.progress.Progress` after every pass and epoch.
    began : float
        `time.perf_counter()` at the start of the job, from which its seconds are counted.
    """

    notice: Callable[[str], None] = silent
    listener: Callable[[Any], None] | None = None
    began: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        if not isinstance(self.notice, _Logged):
            object.__setattr__(self, "notice", _Logged(self.notice))


@dataclass(frozen=True)
class _Logged:
    """Callable that logs a notice under "topicnet.notices" and passes it on."""

    notice: Callable[[str], None]

    def __call__(self, line: str) -> None:
        notices.info("%s", line)
        self.notice(line)
