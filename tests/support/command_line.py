"""Run the command line in real processes, and check its output and files."""

import contextlib
import hashlib
import importlib
import io
import json
import os
import pkgutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest
import typer.main

import topicnet.cli
import topicnet.cli.commands

SECONDS = 120
# One thread, because torch's threads mostly wait for each other on two shared cores. Warnings are errors, as in tests.
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "COLUMNS": "100"}
PYTHON = [sys.executable, "-W", "error"]
COMMAND = [*PYTHON, "-m", "topicnet"]
QUICK = ("-k", "4", "--epochs", "2", "--init", "random")  # options for a fit of one second

HEAVY = ("torch", "sklearn", "polars", "pandas", "gensim", "spacy", "scipy", "pydantic", "numpy", "matplotlib")
LOADED = """
import contextlib, io, json, sys
from topicnet import cli
for arguments in json.loads(sys.argv[1]):
    out, messages = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(messages):
        status = cli.run(arguments)
    print(json.dumps([status, messages.getvalue(), sorted(name for name in sys.modules if "." not in name)]))
"""


class Topicnet(Protocol):
    """Function that runs `topicnet` with arguments, in the folder of the test unless `cwd` is given."""

    def __call__(
        self,
        *arguments: str | Path,
        stdin: str | bytes | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]: ...


def run_topicnet(
    *arguments: str | Path,
    cwd: Path,
    stdin: str | bytes | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `python -m topicnet` in a new process."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        env=ENVIRONMENT | dict(env or {}),
        timeout=SECONDS,
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def run_here(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `topicnet` in this process, so that a test can patch modules."""
    on_sigterm = signal.getsignal(signal.SIGTERM)
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        status = topicnet.cli.run(list(map(str, arguments)))
    signal.signal(signal.SIGTERM, on_sigterm)
    return subprocess.CompletedProcess(list(map(str, arguments)), status, stdout.getvalue(), stderr.getvalue())


def fit_here(*arguments: str | Path, cwd: Path) -> tuple[int, str, str]:
    """Run `topicnet fit` in this process, which saves imports; returns status, stdout and stderr."""
    done = run_here("fit", *arguments, cwd=cwd)
    return done.returncode, done.stdout, done.stderr


class Warm:
    """Run `topicnet` in forks of a process that has already imported it (`warm.py`).

    EM starts, encoder warm-ups and bootstraps are shortened unless `full_warm_up` is true. A call can be killed after a
    number of seconds, or once a file that matches a pattern appears, with SIGKILL (status -9) or another signal.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = subprocess.Popen(
            [*PYTHON, Path(__file__).with_name("warm.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=ENVIRONMENT,
            text=True,
        )

    def __call__(
        self,
        *arguments: str | Path,
        cwd: Path,
        stdin: str | bytes | None = None,
        env: Mapping[str, str] | None = None,
        file_limit: int | None = None,
        stdout: str | None = None,
        kill_after: float | None = None,
        kill_when: str | None = None,
        kill_with: signal.Signals = signal.SIGKILL,
        full_warm_up: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        streams = {name: self.folder / name for name in ("stdin", "stdout", "stderr")}
        given = stdin.encode() if isinstance(stdin, str) else stdin or b""
        for name, path in streams.items():
            path.write_bytes(given if name == "stdin" else b"")
        request = {name: str(path) for name, path in streams.items()} | {
            "arguments": [os.fsencode(argument).hex() for argument in arguments],
            "cwd": str(cwd),
            "env": dict(env or {}),
            "file_limit": file_limit,
            "kill_after": 0.0 if kill_when is not None and kill_after is None else kill_after,
            "kill_when": kill_when,
            "kill_with": kill_with,
            "full_warm_up": full_warm_up,
        }
        if stdout is not None:
            request["stdout"] = stdout
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        status = int(self.server.stdout.readline())
        texts = {name: path.read_bytes().decode() for name, path in streams.items()}
        return subprocess.CompletedProcess(list(map(str, arguments)), status, texts["stdout"], texts["stderr"])

    def close(self) -> None:
        """End the server."""
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.close()
        self.server.wait(timeout=SECONDS)
        self.server.stdout.close()


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    """Start `topicnet` with the default handling of Ctrl-C, even if this process ignores it."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(process: subprocess.Popen[str], beginning: str) -> None:
    """Read stderr up to a line that starts with `beginning`."""
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        if line.startswith(beginning):
            return
        seen.append(line)
    pytest.fail(f"no line {beginning!r} in: {''.join(seen)}")


def loaded_by(commands: list[list[str]], cwd: Path) -> list[tuple[int, str, set[str]]]:
    """Run commands in sequence in a new process; returns status, messages and the heavy libraries imported by then."""
    done = subprocess.run(
        [*PYTHON, "-c", LOADED, json.dumps(commands)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=SECONDS,
        check=False,
        cwd=cwd,
    )
    assert (done.returncode, done.stderr) == (0, "")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return [(status, messages, set(loaded) & set(HEAVY)) for status, messages, loaded in rows]


def commands() -> dict[tuple[str, ...], Any]:
    """Return every command of the app and its groups, by its words on the command line."""
    for module in pkgutil.iter_modules(topicnet.cli.commands.__path__):
        importlib.import_module(f"topicnet.cli.commands.{module.name}")  # registers its commands with the app
    return _walk((), typer.main.get_command(importlib.import_module("topicnet.cli.app").app))


def _walk(names: tuple[str, ...], command: Any) -> dict[tuple[str, ...], Any]:
    found = {names: command}
    if hasattr(command, "list_commands"):
        context = typer.Context(command)
        for name in command.list_commands(context):
            found |= _walk((*names, name), command.get_command(context, name))
    return found


def snapshot(folder: Path) -> dict[str, str]:
    """Return checksums of all files below a folder, including hidden ones, with "folder" for folders."""
    return {
        path.relative_to(folder).as_posix(): "folder"
        if path.is_dir()
        else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
    }


def assert_refused(done: subprocess.CompletedProcess[str], *mentions: str) -> None:
    """Assert status 2, one printable line on stderr and nothing on stdout."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("topicnet: ")
    assert done.stderr.endswith("\n")
    assert done.stderr[:-1].isprintable(), repr(done.stderr)  # one line without escape sequences
    for mention in mentions:
        assert mention in done.stderr


def one_json(text: str) -> Any:
    """Parse a text that is one JSON document."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
