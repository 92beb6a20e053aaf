"""Fixtures for the command line: real processes, real files, exit statuses."""

import gzip
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.command_line import QUICK, Topicnet, Warm, run_topicnet
from tests.support.corpora import themed_documents


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


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """Return a function like `topicnet` that starts at once, for the many small cases."""
    runner = Warm(tmp_path_factory.mktemp("warm"))
    yield runner
    runner.close()


@pytest.fixture(scope="session")
def themed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a corpus of 60 documents in four themes, one document per line."""
    path = tmp_path_factory.mktemp("corpus") / "themed.txt"
    path.write_text("".join(f"{text}\n" for text in themed_documents()), "utf-8")
    path.with_name("themed.txt.gz").write_bytes(gzip.compress(path.read_bytes()))
    return path


@pytest.fixture(scope="session")
def lee_fit(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Return the run folder and the output of a short fit on `lee`."""
    folder = tmp_path_factory.mktemp("lee")
    done = warm("fit", "lee", "-k", "5", "--epochs", "3", "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run", done


@pytest.fixture(scope="session")
def lee_run(lee_fit: tuple[Path, subprocess.CompletedProcess[str]]) -> Path:
    """Return a run folder that tests must not change."""
    return lee_fit[0]


@pytest.fixture(scope="session")
def themed_run(warm: Warm, themed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small run folder to copy and damage."""
    folder = tmp_path_factory.mktemp("themed")
    done = warm("fit", themed, *QUICK, "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"
