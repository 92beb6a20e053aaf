"""The command line: errors become one line on stderr and an exit status, in this one place."""

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
KEPT = "kept"  # what `fit` returns when it was interrupted and wrote the best it had
COLLAPSED = "collapsed"  # what it returns under --strict when the health check found the model unfit
TURN_SECONDS = 10.0  # that a machine's other processes of torchrun leave its first one to report what is wrong
LONGEST_SHOWN = 60  # characters of a path, in the message about its length
COMMANDS = ("fit", "runs", "corpora", "experiments", "images")  # modules whose commands join the app, in this order


def main() -> NoReturn:
    """Run the command line and exit with its status."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status.

    0 done; 2 the user's input is at fault; 3 unfit, under --strict; 130 interrupted. A bug keeps its traceback and
    gives 1.
    """
    from topicnet.cli.general import logging_as, split_options
    from topicnet.errors import TopicnetError

    try:
        taken, options = split_options(arguments)
        if options.no_color:
            os.environ["NO_COLOR"] = "1"
        with logging_as(options, taken):
            return _run(taken, options.debug)
    except TopicnetError as error:  # about the log: `_run` reports those of commands
        return _refuse(str(error))


def _run(arguments: list[str], debug: bool) -> int:
    try:
        from typer.exceptions import TyperException

        from topicnet.cli.app import app
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
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        return _refuse(f"{message.rstrip('.')}: see topicnet --help", debug=debug)
    except SystemExit as error:
        # typer leaves so when the reader of our output has gone (`topicnet topics RUN | head`): nothing is left to say.
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # of an input too, at its first look
            given = str(error.filename or "a path")
            shown = repr(given if len(given) <= LONGEST_SHOWN else f"{given[:LONGEST_SHOWN]}...")
            message = f"{shown} given, a name too long for the disk, expected up to 255 bytes: check the path"
            return _refuse(message, debug=debug)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        message = f"cannot write the output: {error.strerror or error}; free some space or write elsewhere"
        return _refuse(message, debug=debug)
    except Exception:
        if debug:
            _print_versions()
        raise
    if outcome == INTERRUPTED:  # typer's word for a KeyboardInterrupt that left the command
        return _interrupted()
    return {KEPT: INTERRUPTED, COLLAPSED: UNFIT}.get(outcome, 0)


def _end_on_signals() -> None:
    """Let a scheduler's SIGTERM, and the SIGHUP of a terminal that is closed, act as Ctrl-C.

    What was learned is kept, what was half written is removed. A SIGHUP that nohup has had ignored stays ignored.
    """
    from topicnet.runtime.interrupt import interrupt

    signals = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    signals = [one for one in signals if one == signal.SIGTERM or signal.getsignal(one) is not signal.SIG_IGN]
    terminals = [stream for stream in (1, 2) if os.isatty(stream)]

    def end(signum: int, frame: FrameType | None) -> None:
        # A second one is no impatience: a scheduler and torchrun each send it to every process.
        for one in signals:
            signal.signal(one, signal.SIG_IGN)
        if signum != signal.SIGTERM:
            for stream in terminals:  # nothing can be written to a terminal that is gone
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        interrupt()

    for one in signals:
        signal.signal(one, end)


def _interrupted() -> int:
    print("topicnet: interrupted; nothing was written", file=sys.stderr)
    return INTERRUPTED


def _leave_it_to_the_first() -> None:
    """Wait to be ended by torchrun, as it does once a machine's first process has reported the same and ended.

    What that one does not find wrong is reported after all.
    """
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, signal.SIG_DFL)
    time.sleep(TURN_SECONDS)


def _refuse(message: str, status: int = INPUT_AT_FAULT, debug: bool = False) -> int:
    if status == INPUT_AT_FAULT and "RANK" in os.environ and os.environ.get("LOCAL_RANK", "0") != "0":
        _leave_it_to_the_first()
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
    """Print the versions of topicnet, Python and the libraries it stands on, for a report of a bug."""
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
