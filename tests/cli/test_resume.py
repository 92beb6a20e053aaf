"""`fit --resume`: an interrupted run goes on; anything else is refused."""

import json
import shutil
import signal
import subprocess
import sys
import time

import polars as pl
import pytest

OPTIONS = ["fit", "lee", "-k", "5", "--epochs", "40", "--config", "patient.yaml", "--out", "run"]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A folder with a run stopped by Ctrl-C after a few epochs, to be copied."""
    folder = tmp_path_factory.mktemp("stopped")
    (folder / "patient.yaml").write_text("parameters: {patience: 1000}\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "topicnet", *OPTIONS],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in process.stderr:
        if line.startswith("training 1/"):
            break
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    return folder


@pytest.fixture
def interrupted(stopped, tmp_path):
    """A run of this test's own, stopped by Ctrl-C after a few epochs."""
    return shutil.copytree(stopped, tmp_path, dirs_exist_ok=True)


def record(folder):
    return json.loads((folder / "run" / "run.json").read_text())


def test_an_interrupted_run_goes_on_to_its_end(interrupted, topicnet, warm):
    before = record(interrupted)
    assert before["status"] == "interrupted"
    done = topicnet(*OPTIONS, "--resume", cwd=interrupted)
    assert done.returncode == 0, done.stderr
    assert "EM start" not in done.stderr
    after = record(interrupted)
    assert after["status"] == "complete"
    history = pl.read_csv(interrupted / "run" / "history.csv")
    assert history["epoch"].to_list() == list(range(1, 41))
    assert after["fit"]["epochs"] == 40
    again = warm(*OPTIONS, "--resume", cwd=interrupted)
    assert again.returncode == 2
    assert "complete" in again.stderr


@pytest.mark.parametrize(
    ("changed", "word"), [(["-k", "6"], "topics=6"), (["--seed", "3"], "seed=3"), (["--epochs", "50"], "parameters")]
)
def test_other_options_are_refused_and_the_run_stays(interrupted, warm, changed, word):
    done = warm(*OPTIONS, *changed, "--resume", cwd=interrupted)
    assert done.returncode == 2
    assert word in done.stderr
    assert record(interrupted)["status"] == "interrupted"


def test_nothing_to_resume(warm, tmp_path):
    done = warm("fit", "lee", "--out", "nowhere", "--resume", cwd=tmp_path)
    assert done.returncode == 2
    assert "no run" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_other_words_are_refused(interrupted, warm):
    """The same texts under other stop words are other columns: weights would land on their neighbours' words."""
    folder = interrupted / "run"
    header = json.loads((folder / "run.json").read_text())
    header["config"]["stop_words"] = "mine.txt"
    (folder / "run.json").write_text(json.dumps(header))
    (interrupted / "mine.txt").write_text("australia\n")
    done = warm(*OPTIONS, "--stop-words", "mine.txt", "--resume", cwd=interrupted)
    assert done.returncode == 2
    assert "the words counted are not those" in done.stderr
