"""Progress of a job on stderr: a bar with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from topicnet.cli.printing.output import echo
from topicnet.runtime.logs import notices
from topicnet.runtime.reporter import Reporter
from topicnet.training.progress import Listener, Progress

TITLES = {
    "start": "EM start",
    "warm-up": "encoder warm-up",
    "pretrain": "pre-training",
    "train": "training",
    "likelihood": "likelihood",
}
NUMBERS = {"loss": "loss", "validation_loss": "validation", "kl": "KL", "active_units": "active units"}
SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def show_progress(quiet: bool, began: float | None = None) -> Iterator[Reporter]:
    """Yield a reporter that shows the progress of a job that started at `began` (`time.perf_counter`)."""
    reporter = replace(reporter_of(quiet), began=time.perf_counter() if began is None else began)
    if quiet:
        yield reporter
    elif sys.stderr.isatty():
        with _bars() as listener:
            yield replace(reporter, listener=listener)
    else:
        yield replace(reporter, listener=_Lines())


def reporter_of(quiet: bool = False) -> Reporter:
    """Make a reporter that prints notices only."""
    return Reporter(lambda line: None if quiet else echo(line, err=True))  # a reporter logs its notices itself


def notice(message: str, quiet: bool = False) -> None:
    """Log a line, and print it on stderr unless `quiet`."""
    notices.info("%s", message)
    if not quiet:
        echo(message, err=True)


class _Lines:
    """Listener that prints a line when a stage begins and ends, and every few seconds in between."""

    def __init__(self) -> None:
        self.last = -SECONDS_BETWEEN_LINES

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        at_end = progress.done in (1, progress.total) and not progress.within
        if not at_end and now - self.last < SECONDS_BETWEEN_LINES:
            return
        self.last = now
        done = progress.done + progress.within
        left = progress.seconds / done * (progress.total - done)
        part = f", {progress.within:.0%} of the next" if progress.within else ""
        counted = f"{TITLES[progress.stage]} {progress.done}/{progress.total}{part}"
        echo(f"{counted}{_numbers(progress)}, {left:.0f} s left", err=True)


@contextmanager
def _bars() -> Iterator[Listener]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:20}"), BarColumn(bar_width=16), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[numbers]}"),
    )  # fmt: skip
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks = {}

        def listener(progress: Progress) -> None:
            if progress.stage not in tasks:
                tasks[progress.stage] = bars.add_task(TITLES[progress.stage], total=progress.total, numbers="")
            done = progress.done + progress.within
            if progress.within:  # keep the numbers of the last epoch
                bars.update(tasks[progress.stage], completed=done)
            else:
                numbers = _numbers(progress, ("loss", "validation_loss"))
                bars.update(tasks[progress.stage], completed=done, numbers=numbers)

        yield listener


def _numbers(progress: Progress, shown: tuple[str, ...] = tuple(NUMBERS)) -> str:
    values = {name: progress.values.get(name, math.nan) for name in shown}
    parts = [f"{NUMBERS[name]} {value:.1f}" for name, value in values.items() if not math.isnan(value)]
    return ": " + ", ".join(parts) if parts else ""
