"""General options that any command takes, and the log on standard error or in a file."""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from topicnet.cli.log_place import check_place
from topicnet.errors import InputError, OutputError
from topicnet.runtime.logs import command_line, notices

FORM = "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"
_BEGINNING = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (\d+ )?[A-Z]+ topicnet")  # of a log of ours
ENDINGS = {0: "done", 2: "refused", 3: "unfit", 130: "interrupted"}  # by exit status; any other is "failed"


@dataclass(frozen=True)
class GeneralOptions:
    """Options that may be given anywhere on the command line.

    Attributes
    ----------
    debug : bool
        Log to standard error, and show the traceback of an error.
    no_color : bool
    log_file : Path, optional
        A file to append the log to.
    """

    debug: bool = False
    no_color: bool = False
    log_file: Path | None = None


def split_options(arguments: Sequence[str]) -> tuple[list[str], GeneralOptions]:
    """Split the general options from the arguments of a command.

    Raises
    ------
    InputError
        --log-file was given twice, or without a file.
    """
    rest: list[str] = []
    files: list[str] = []
    flags: set[str] = set()
    remaining = iter(arguments)
    for one in remaining:
        if one in ("--debug", "--no-color"):
            flags.add(one)
        elif one == "--log-file":
            files.append(next(remaining, ""))
        elif one.startswith("--log-file="):
            files.append(one.partition("=")[2])
        else:
            rest.append(one)
    if len(files) > 1:
        raise InputError("--log-file was given twice, expected one file: leave one of them out")
    if files and (not files[0].strip() or files[0].startswith("-")):
        raise InputError(f"--log-file {files[0]!r} given, expected a file to append the log to: name one")
    return rest, GeneralOptions("--debug" in flags, "--no-color" in flags, Path(files[0]) if files else None)


@contextmanager
def logging_as(options: GeneralOptions, arguments: Sequence[str]) -> Iterator[Callable[[int], None]]:
    """Context manager: log to stderr or a file, as the options request.

    Its value is a function that logs how the command ended; call it with the exit status.

    Raises
    ------
    OutputError
        The log file cannot be appended to, is another kind of file, or belongs to an input or output of the command.
    """
    handlers: list[logging.Handler] = []
    if options.log_file is not None:
        check_place(options.log_file, arguments)
        handlers.append(_file_handler(options.log_file))
    if options.debug:
        shown = _Stderr()
        # Notices and errors are printed there in any case.
        shown.addFilter(lambda record: record.name not in (notices.name, command_line.name))
        handlers.append(shown)
    if not handlers:
        yield lambda status: None
        return
    root, began = logging.getLogger("topicnet"), time.perf_counter()
    level = root.level
    root.setLevel(logging.DEBUG)

    def ended(status: int, log: Callable[..., None] = command_line.info) -> None:
        ending = ENDINGS.get(status, "failed")
        log("ended: %s, exit status %d, after %.1f s", ending, status, time.perf_counter() - began)

    for handler in handlers:
        handler.setFormatter(_OneLine(FORM))
        root.addHandler(handler)
    try:
        command_line.info("began: topicnet %s", " ".join(arguments))
        yield ended
    except Exception:
        ended(1, command_line.exception)
        raise
    finally:
        root.setLevel(level)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()


class _Stderr(logging.Handler):
    """Log handler that looks up `sys.stderr` for every record, because a progress bar replaces it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        try:
            print(self.format(record), file=sys.stderr, flush=True)
        except OSError:
            self.handleError(record)


class _OneLine(logging.Formatter):
    """Formatter that writes each record on one line, so that a file name cannot imitate another record.

    Tracebacks follow on their own lines.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name in `logging`
        """Format a record, with unprintable characters escaped."""
        line = super().formatMessage(record)
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


def _file_handler(path: Path) -> logging.FileHandler:
    try:
        if path.exists():
            if not path.is_file():
                raise OutputError(f"--log-file {str(path)!r} given, which is not a file: name a file")
            with path.open("rb") as existing:
                start = existing.read(64)
            if start and not _BEGINNING.match(start):
                raise OutputError(
                    f"refusing to append a log to {str(path)!r}: it is not a log of topicnet; name another --log-file"
                )
        return logging.FileHandler(os.fspath(path), mode="a", encoding="utf-8", errors="backslashreplace")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"cannot write the log to {str(path)!r} ({reason}): name another --log-file") from error
