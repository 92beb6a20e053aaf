"""The command line as its users meet it: real processes, real files, exit statuses."""

import gzip
import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest

SECONDS = 120
# One thread: on two shared cores torch's threads mostly wait for each other. A warning is an error here too.
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "COLUMNS": "100"}
PYTHON = [sys.executable, "-W", "error"]
COMMAND = [*PYTHON, "-m", "topicnet"]

THEMES = {
    "sport": "match team goal player coach league referee stadium striker penalty season score",
    "kitchen": "recipe butter flour oven sugar garlic simmer onion pepper salt whisk dough",
    "space": "planet orbit rocket telescope galaxy astronaut comet gravity lunar satellite launch star",
    "money": "bank market shares investor inflation budget profit loan currency dividend economy trade",
}


class Topicnet(Protocol):
    """Runs `topicnet` with these arguments; without `cwd` in the test's own folder."""

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
    """Run `python -m topicnet` in a process of its own."""
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


@pytest.fixture
def topicnet(tmp_path: Path) -> Topicnet:
    def run(
        *arguments: str | Path,
        stdin: str | bytes | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        return run_topicnet(*arguments, stdin=stdin, cwd=cwd or tmp_path, env=env)

    return run


class Warm:
    """Runs `topicnet` in forks of a process that has imported it already (`warm.py`).

    Models are taught in a few steps, unless they are to be `taught` as in a process of their own.

    A call may be killed (SIGKILL, status -9) so many seconds after it began, or after a file of this pattern was there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = subprocess.Popen(
            [*PYTHON, Path(__file__).parents[1] / "support" / "warm.py"],
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
        taught: bool = False,
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
            "taught": taught,
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


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """As `topicnet`, but starts at once; the many small cases go through it."""
    runner = Warm(tmp_path_factory.mktemp("warm"))
    yield runner
    runner.close()


def themed_documents(n_docs: int = 60) -> list[str]:
    """Documents of twenty words, each about one of four things."""
    rng = random.Random(0)
    themes = [words.split() for words in THEMES.values()]
    return [" ".join(rng.choices(themes[d % len(themes)], k=20)) for d in range(n_docs)]


@pytest.fixture(scope="session")
def themed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of 60 documents in four themes, a document a line."""
    path = tmp_path_factory.mktemp("corpus") / "themed.txt"
    path.write_text("".join(f"{text}\n" for text in themed_documents()), "utf-8")
    path.with_name("themed.txt.gz").write_bytes(gzip.compress(path.read_bytes()))
    return path


@pytest.fixture(scope="session")
def lee_fit(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A short fit on `lee` by a fresh process: the run folder, and what was printed."""
    folder = tmp_path_factory.mktemp("lee")
    done = run_topicnet("fit", "lee", "-k", "5", "--epochs", "3", "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run", done


@pytest.fixture(scope="session")
def lee_run(lee_fit: tuple[Path, subprocess.CompletedProcess[str]]) -> Path:
    """A run folder that tests read and never change."""
    return lee_fit[0]


@pytest.fixture(scope="session")
def themed_run(warm: Warm, themed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run folder to copy and to damage."""
    folder = tmp_path_factory.mktemp("themed")
    done = warm("fit", themed, *QUICK, "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


# A fit of a second.
QUICK = ("-k", "4", "--epochs", "2", "--init", "random")


def snapshot(folder: Path) -> dict[str, str]:
    """Checksum of every file below a folder; folders, hidden ones too, are named as well."""
    return {
        path.relative_to(folder).as_posix(): "folder"
        if path.is_dir()
        else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
    }


def assert_refused(done: subprocess.CompletedProcess[str], *mentions: str) -> None:
    """Status 2, one printable line on stderr, nothing on stdout."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("topicnet: ")
    assert done.stderr.endswith("\n")
    assert done.stderr[:-1].isprintable(), repr(done.stderr)  # so one line, and no escape sequences
    for mention in mentions:
        assert mention in done.stderr
