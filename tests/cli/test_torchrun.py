"""`fit` under torchrun: rank 0 prints and writes, the other ranks take part in the fit."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.command_line import SECONDS, snapshot, wait_for
from tests.support.corpora import THEMES
from tests.support.processes import ended, started, surroundings
from topicnet import cli


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of 120 documents."""
    rng = np.random.default_rng(0)
    themes = [words.split() for words in THEMES.values()]
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    path.write_text("".join(" ".join(rng.choice(themes[n % 4], 15)) + "\n" for n in range(120)))
    return path


def theta(run: Path) -> np.ndarray:
    with (run / "doc_topic.csv").open(newline="") as table:
        return np.array([row[3:] for row in csv.reader(table)][1:], dtype=float)


def torchrun(*arguments: str | Path, cwd: Path, **more: str) -> subprocess.Popen[str]:
    """Return the command for two processes on this machine; torchrun chooses the port."""
    surrounding = surroundings(0, 2, 0, PYTHONPATH=Path(__file__).parents[2], PYTHONWARNINGS="default", **more)
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "topicnet"]
        + [str(argument) for argument in arguments],
        cwd=cwd,
        env={name: value for name, value in surrounding.items() if name not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def children(pid: int) -> list[str]:
    """Return the child processes of a process."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_the_first_process_prints_and_writes(texts: Path, tmp_path: Path) -> None:
    """With an unfit model under --strict, the others wait, or torchrun would stop rank 0 while it writes."""
    run = tmp_path / "run"
    # After two epochs from a random start, most of these topics are not the largest of any document.
    options = ("-k", 30, "--batch-size", 20, "--init", "random", "--epochs", 2, "--strict", "--min-df", 1)
    first, second = ended(started(2, ["-m", "topicnet", "fit", texts, *options, "--out", run]))
    assert first[0] == second[0] == 3, first[2] + second[2]
    assert first[1].endswith(f"wrote {run}\n")
    assert "training 2/2" in first[2]
    assert "unfit: " in first[2]
    assert second[1:] == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert json.loads((run / "run.json").read_text())["status"] == "complete"


@pytest.mark.parametrize("local", ["0", "1"])
def test_bad_input_is_reported_by_the_first_process_of_a_machine(
    local: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others wait for torchrun to end them, and report the error if it does not."""
    errors: list[str] = []
    monkeypatch.setattr(cli.time, "sleep", lambda seconds: errors.append(capsys.readouterr().err))
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    for name, value in {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": local}.items():
        monkeypatch.setenv(name, value)
    assert cli.run(["fit", "nowhere.txt"]) == 2
    assert errors == ([] if local == "0" else [""])
    assert capsys.readouterr().err.count("nowhere.txt") == 1


@pytest.mark.slow
def test_bad_input_under_torchrun_is_reported_once(tmp_path: Path) -> None:
    with torchrun("fit", "nowhere.txt", cwd=tmp_path) as process:
        errors = process.communicate(timeout=SECONDS)[1]
    assert process.returncode != 0
    assert errors.count("topicnet: ") == 1
    assert "nowhere.txt" in errors


@pytest.mark.slow
def test_torchrun_fits_what_one_process_fits_with_twice_the_batch(texts: Path, tmp_path: Path) -> None:
    options = ("-k", "4", "--epochs", "8", "--param", "patience=100")
    with torchrun("fit", texts, *options, "--batch-size", "20", "--out", "two", cwd=tmp_path) as process:
        out, message = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, message
    assert out.count("wrote two") == 1
    ((status, _, message),) = ended(
        started(1, ["-m", "topicnet", "fit", texts, *options, "--batch-size", 40, "--out", tmp_path / "one"])
    )
    assert status == 0, message
    assert np.allclose(theta(tmp_path / "two"), theta(tmp_path / "one"), atol=1e-3)


LONG = ("-k", "4", "--batch-size", "10", "--epochs", "200", "--param", "patience=1000")


def ends_as_if_unbroken(options: tuple[str | Path, ...], folder: Path) -> None:
    """Resume the run "broken" and check that it equals an uninterrupted one bit for bit."""
    for run in (("broken", "--resume"), ("whole",)):
        with torchrun(*options, "--out", *run, cwd=folder) as process:
            _, message = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, message
    whole, broken = snapshot(folder / "whole"), snapshot(folder / "broken")
    for name in ("model/model.safetensors", "doc_topic.csv", "topic_word.csv"):
        assert broken[name] == whole[name]
    assert sorted(path.name for path in folder.iterdir()) == ["broken", "whole"]


@pytest.mark.slow
def test_ctrl_c_on_torchrun_keeps_the_run_and_resume_gives_the_same_result(texts: Path, tmp_path: Path) -> None:
    options = ("fit", texts, *LONG)
    with torchrun(*options, "--out", "broken", cwd=tmp_path) as process:
        wait_for(process, "training 1/")
        process.send_signal(signal.SIGINT)
        out, message = process.communicate(timeout=SECONDS)
    assert "wrote broken" in out, message
    assert json.loads((tmp_path / "broken/run.json").read_text())["status"] == "interrupted"
    ends_as_if_unbroken(options, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["one", "all"])
def test_torchrun_killed_and_resumed_gives_the_same_result(killed: str, texts: Path, tmp_path: Path) -> None:
    """Kill one worker, after which torchrun ends the other, or all at once; twice, then let it finish."""
    options = ("fit", texts, *LONG)
    for again, reached in (((), "training 1/"), (("--resume",), "training ")):
        with torchrun(*options, "--out", "broken", *again, cwd=tmp_path, TOPICNET_CHECKPOINT_SECONDS="0") as process:
            wait_for(process, reached)
            workers = [int(pid) for pid in children(process.pid)]
            assert len(workers) == 2
            for pid in workers[1:] if killed == "one" else [process.pid, *workers]:
                os.kill(pid, signal.SIGKILL)
            process.communicate(timeout=SECONDS)
        assert process.returncode != 0
        assert not (tmp_path / "broken").exists()
    ends_as_if_unbroken(options, tmp_path)


@pytest.mark.slow
def test_standard_input_cannot_be_shared(tmp_path: Path) -> None:
    for status, out, message in ended(started(2, ["-m", "topicnet", "fit", "-", "--out", tmp_path / "run"])):
        assert (status, out) == (2, "")
        assert message == "topicnet: - given to 2 processes, expected a corpus that each can read: write it to a file\n"
