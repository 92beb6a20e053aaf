"""Command line of topicnet: entry point, errors as one line on stderr, exit status and signals."""

import errno
import os
import signal
import sys
import time
from importlib import import_module
from types import FrameType
from typing import NoReturn

from topicnet.runtime.logs import command_line

INPUT_AT_FAULT, UNFIT, INTERRUPTED = 2, 3, 130
KEPT = "kept"  # returned by commands that were interrupted and wrote their results so far
COLLAPSED = "collapsed"  # returned under --strict if the health check finds the model unfit
REPORT_SECONDS = 10.0  # for which torchrun processes wait for the first one on their machine to report an error
LONGEST_SHOWN = 60  # characters of a path in the message that it is too long
# Modules with commands, in the order of the help.
COMMANDS = (
    "fit", "runs", "explore", "corpora", "experiments", "images", "images_geometry", "images_drawings", "images_gibbs",
)  # fmt: skip


def main() -> NoReturn:
    """Run the command line and exit with its status."""
    # Read by OpenMP when torch is loaded: threads that wait for each other sleep instead of spinning.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status.

    The status is 0 on success, 2 for an input error, 3 for an unfit model under --strict and 130 after an interrupt.
    Any other exception is a bug: it keeps its traceback and the status is 1.
    """
    from topicnet.cli.general import logging_as, split_options
    from topicnet.errors import TopicnetError

    try:
        taken, options = split_options(arguments)
        if options.no_color:
            os.environ["NO_COLOR"] = "1"
        with logging_as(options, taken) as log_end:
            status = _run(taken, options.debug)
            log_end(status)
            return status
    except TopicnetError as error:  # about the log: `_run` reports those of commands
        return _refuse(str(error))


def _run(arguments: list[str], debug: bool) -> int:
    try:
        from typer.exceptions import TyperException

        from topicnet.cli.app import app
        from topicnet.cli.complaints import describe
        from topicnet.errors import StoppedError, TopicnetError

        for name in COMMANDS:
            import_module(f"topicnet.cli.commands.{name}")
    except KeyboardInterrupt:
        return _interrupted()
    _end_on_signals()
    try:
        outcome = app(arguments, standalone_mode=False)
    except StoppedError as error:
        return _refuse(str(error), INTERRUPTED, debug)
    except TopicnetError as error:
        return _refuse(str(error), debug=debug)
    except TyperException as error:
        return _refuse(describe(error), debug=debug)
    except SystemExit as error:
        # typer exits like this when the reader of the output has closed it (`topicnet topics RUN | head`).
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # of an output or an input
            given = str(error.filename or "a path")
            shown = repr(given if len(given) <= LONGEST_SHOWN else f"{given[:LONGEST_SHOWN]}...")
            message = (
                f"{shown} given, which is too long for the disk, expected names of up to 255 bytes: check the path"
            )
            return _refuse(message, debug=debug)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        message = f"cannot write the output: {error.strerror or error}; free some space or write elsewhere"
        return _refuse(message, debug=debug)
    except Exception:
        if debug:
            _print_versions()
        raise
    if outcome == INTERRUPTED:  # returned by typer after a KeyboardInterrupt
        return _interrupted()
    return {KEPT: INTERRUPTED, COLLAPSED: UNFIT}.get(outcome, 0)


def _end_on_signals() -> None:
    """Make a scheduler's SIGTERM, and the SIGHUP of a closed terminal, act like Ctrl-C.

    The weights so far are kept and partial files removed. A SIGHUP that nohup ignores stays ignored.
    """
    from topicnet.runtime.interrupt import interrupt

    signals = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    signals = [one for one in signals if one == signal.SIGTERM or signal.getsignal(one) is not signal.SIG_IGN]
    terminals = [stream for stream in (1, 2) if os.isatty(stream)]

    def end(signum: int, frame: FrameType | None) -> None:
        # A second signal is ignored: a scheduler and torchrun each send one to every process.
        for one in signals:
            signal.signal(one, signal.SIG_IGN)
        if signum != signal.SIGTERM:
            for stream in terminals:  # writing to a closed terminal would fail
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        interrupt()

    for one in signals:
        signal.signal(one, end)


def _interrupted() -> int:
    line = "interrupted; nothing was written"
    command_line.info("%s", line)
    print(f"topicnet: {line}", file=sys.stderr)
    return INTERRUPTED


def _wait_for_first_process() -> None:
    """Wait while the first torchrun process on this machine reports the same error, so that it appears only once.

    torchrun ends this process once the first has exited. If it is not ended, it reports the error itself after the
    wait.
    """
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, signal.SIG_DFL)
    time.sleep(REPORT_SECONDS)


def _refuse(message: str, status: int = INPUT_AT_FAULT, debug: bool = False) -> int:
    if status == INPUT_AT_FAULT and "RANK" in os.environ and os.environ.get("LOCAL_RANK", "0") != "0":
        _wait_for_first_process()
    if debug:
        import traceback

        from topicnet.cli.printing.output import echo

        echo(traceback.format_exc(), err=True, block=True)
        _print_versions()
    line = "".join(c if c.isprintable() else "?" for c in " ".join(message.split()))
    command_line.error("%s", line)
    print(f"topicnet: {line}", file=sys.stderr)
    return status


def _print_versions() -> None:
    """Print the versions of topicnet, Python and the main libraries, for a bug report."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from topicnet._version import __version__

    found = [f"topicnet {__version__}", f"Python {platform.python_version()}", platform.platform()]
    for name in ("torch", "numpy", "scipy", "scikit-learn", "polars", "typer"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} missing")
    print(", ".join(found), file=sys.stderr)
