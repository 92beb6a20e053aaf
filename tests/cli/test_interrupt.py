"""Ctrl-C gives status 130, and either a complete run, marked interrupted, or nothing."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.command_line import COMMAND, ENVIRONMENT, SECONDS, Warm, snapshot, start, wait_for
from topicnet import cli

LONG = ("-k", "5", "--epochs", "100000", "--config", "patient.yaml")


@pytest.mark.parametrize(
    ("stage", "options"),
    [("EM start 1/", ()), pytest.param("training 1/", ("--init", "random"), marks=pytest.mark.slow)],
)
def test_an_interrupted_fit_keeps_the_best_weights(
    stage: str, options: tuple[str, ...], warm: Warm, tmp_path: Path
) -> None:
    (tmp_path / "patient.yaml").write_text("parameters: {patience: 100000}\n")
    with start("fit", "lee", *LONG, *options, "--out", "run", cwd=tmp_path) as process:
        wait_for(process, stage)
        process.send_signal(signal.SIGINT)
        out, message = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, message
    assert "Traceback" not in message
    assert message.splitlines()[-1].startswith("topicnet: interrupted")
    assert out.endswith("wrote run\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["patient.yaml", "run", "run.unfinished"]
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["status"] == "interrupted"
    assert record["fit"]["stopped"] == "interrupted"
    files = {name for name, content in snapshot(tmp_path / "run").items() if content != "folder"}
    assert files == {*record["files"], "run.json"}
    done = warm("transform", "run", "lee", "--out", "theta.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "theta.csv").read_bytes() == (tmp_path / "run/doc_topic.csv").read_bytes()
    shown = warm("topics", "run", "--json", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert len(json.loads(shown.stdout)["topics"]) == 5


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("fit", "-", "--out", "run"), id="fit", marks=pytest.mark.slow),
        pytest.param(("transform", "RUN", "-", "--out", "theta.csv"), id="transform"),
    ],
)
def test_an_interrupted_reading_leaves_nothing(arguments: tuple[str, ...], lee_run: Path, tmp_path: Path) -> None:
    given = [str(lee_run) if word == "RUN" else word for word in arguments]
    with start(*given, cwd=tmp_path) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        # This exceeds the buffer of a pipe, so once it is written, reading has started; then it waits for more.
        process.stdin.write("planet orbit rocket comet\n" * 20_000)
        process.stdin.flush()
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            pytest.fail("still waiting for its input 10 s after Ctrl-C")
        assert process.returncode == 130
        assert process.stderr.read() == "topicnet: interrupted; nothing was written\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)])
def test_a_background_job_of_a_script_keeps_the_best_weights(ending: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "patient.yaml").write_text("parameters: {patience: 100000}\n")

    def as_a_script_starts_it() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for a command with `&`
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    process = subprocess.Popen(
        [*COMMAND, "fit", "lee", *LONG, "--init", "random", "--out", "run"], preexec_fn=as_a_script_starts_it,
        cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for(process, "training 1/")
    process.send_signal(ending)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["patient.yaml", "run", "run.unfinished"]


@pytest.mark.parametrize("inherited", [signal.SIG_DFL, signal.SIG_IGN])
def test_a_hang_up_that_nohup_ignores_stays_ignored(
    inherited: signal.Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_to = {signal.SIGHUP: inherited}
    monkeypatch.setattr(signal, "getsignal", lambda one: set_to.get(one, signal.SIG_DFL))
    monkeypatch.setattr(signal, "signal", lambda one, handler: set_to.update({one: handler}))
    cli._end_on_signals()
    assert callable(set_to[signal.SIGTERM])
    assert (set_to[signal.SIGHUP] is signal.SIG_IGN) == (inherited is signal.SIG_IGN)
