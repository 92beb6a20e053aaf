"""--debug and --log-file: the records, and where they are written."""

import contextlib
import logging
import os
import re
from pathlib import Path

import pytest

from tests.support.command_line import QUICK, Warm, assert_refused, run_here

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \d+ (INFO|ERROR) topicnet\.(cli|notices|training): .+")


def logged(path: Path) -> list[str]:
    lines = path.read_text("utf-8").splitlines()
    assert all(LINE.fullmatch(line) for line in lines), lines
    return [line.split(": ", 1)[1] for line in lines]


def test_a_fit_is_logged_to_a_file_and_the_next_one_appended(warm: Warm, tmp_path: Path) -> None:
    fit = ("fit", "lee", *QUICK, "--out", "run", "--quiet")
    done = warm(*fit, "--log-file", "log.txt", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = logged(tmp_path / "log.txt")
    assert lines[0] == f"began: topicnet {' '.join(fit)}"
    assert [line for line in lines if line.startswith("epoch ")] == lines[-6:-4]
    assert lines[-4] == "trained 2 epochs, kept the weights of epoch 2"
    assert lines[-3].startswith(("healthy: ", "usable: ", "unfit: "))
    assert lines[-2] == "wrote run"
    assert any(line.startswith("300 documents, ") for line in lines)
    assert re.fullmatch(r"ended: done, exit status 0, after \d+\.\d s", lines[-1])
    first = (tmp_path / "log.txt").read_bytes()
    assert_refused(warm("--log-file=log.txt", *fit, cwd=tmp_path), "exists already")
    assert (tmp_path / "log.txt").read_bytes().startswith(first)
    *_, reason, ending = logged(tmp_path / "log.txt")
    assert "exists already" in reason
    assert ending.startswith("ended: refused, exit status 2, after ")


def test_debug_logs_epochs_to_stderr(warm: Warm, tmp_path: Path) -> None:
    done = warm("fit", "lee", *QUICK, "--out", "run", "--quiet", "--debug", cwd=tmp_path)
    assert done.returncode == 0
    kinds = [line.split(": ")[1] for line in done.stderr.splitlines() if LINE.fullmatch(line)]
    assert len(kinds) == len(done.stderr.splitlines())
    assert [kind for kind in kinds if kind.startswith("epoch")] == ["epoch 1/2", "epoch 2/2"]
    assert "topicnet.notices" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--log-file",), "expected a file"),
        (("--log-file="), "expected a file"),
        (("--log-file", "--quiet"), "expected a file"),
        (("--log-file", "a", "--log-file", "b"), "given twice"),
        (("--log-file", "."), "not a file"),
        (("--log-file", "nowhere/log.txt"), "No such file"),
        (("--log-file", "corpus.txt"), "refusing to append"),
        (("--log-file", "a\0b"), "cannot write the log"),
    ],
)  # fmt: skip
def test_a_bad_log_file_is_one_line(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("a document\n")
    given = [arguments] if isinstance(arguments, str) else arguments
    assert_refused(run_here("corpora", *given, cwd=tmp_path), message)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.txt"]
    assert (tmp_path / "corpus.txt").read_text() == "a document\n"


@pytest.mark.parametrize(
    ("command", "log", "message"),
    [
        ("fit texts -k 2", "texts/log.txt", "is inside 'texts'"),
        ("fit texts/*.txt -k 2", "texts/log.txt", "matches 'texts/*.txt'"),
        ("fit missing.csv", "missing.csv", "is 'missing.csv'"),
        ("fit --config fit.yaml", "fit.yaml", "is 'fit.yaml'"),
        ("fit --config fit.yaml", "texts/log.txt", "is inside 'texts'"),
        ("fit a.txt --test=texts", "linked/log.txt", "is inside 'texts'"),
        ("fit a.txt --out runs/m99", "runs/m99", "is 'runs/m99'"),
        ("topics run", "run/x.log", "is inside 'run'"),
        ("corpora", "run/tables/x.log", "a folder that topicnet wrote"),
    ],
)  # fmt: skip
def test_a_log_in_an_input_or_output_is_refused_before_it_is_opened(
    command: str, log: str, message: str, tmp_path: Path
) -> None:
    for folder in ("texts", "runs", "run/tables"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "linked").symlink_to("texts")
    (tmp_path / "fit.yaml").write_text("corpus: [texts]\n")
    (tmp_path / "run" / "run.json").write_text('{"status": "complete", "versions": {}}')
    before = sorted(tmp_path.rglob("*"))
    assert_refused(run_here(*command.split(), "--log-file", log, cwd=tmp_path), message, "name another --log-file")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_log_may_have_the_name_of_a_command_or_column(tmp_path: Path) -> None:
    (tmp_path / "fit").mkdir()
    done = run_here("fit", "missing.csv", "--text-column", "fit", "--log-file", "fit/x.log", cwd=tmp_path)
    assert "missing.csv" in done.stderr
    assert len(logged(tmp_path / "fit" / "x.log")) == 3


def test_no_name_can_look_like_another_record(tmp_path: Path) -> None:
    done = run_here("topics", "x\n2026-01-01 00:00:00,000 INFO topicnet.cli: forged", "--log-file", "log", cwd=tmp_path)
    assert done.returncode == 2
    assert len(logged(tmp_path / "log")) == 3


@pytest.mark.parametrize(
    ("error", "ending"),
    [(KeyboardInterrupt, "interrupted, exit status 130"), (RuntimeError, "failed, exit status 1")],
)
def test_the_log_states_how_a_command_ended(
    error: type[BaseException], ending: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def stop() -> None:
        raise error

    monkeypatch.setattr("topicnet.text.readers.named_corpora.recipes", stop)
    with contextlib.suppress(RuntimeError):
        run_here("corpora", "--log-file", "log", cwd=tmp_path)
    (line,) = [one for one in (tmp_path / "log").read_text().splitlines() if ": ended: " in one]
    assert f" {os.getpid()} " in line
    assert f"ended: {ending}, after " in line


def test_a_log_of_an_earlier_version_is_continued(tmp_path: Path) -> None:
    earlier = "2026-01-01 00:00:00,000 INFO topicnet.cli: began: topicnet corpora\n"
    (tmp_path / "log").write_text(earlier)
    assert run_here("corpora", "--log-file", "log", cwd=tmp_path).returncode == 0
    assert (tmp_path / "log").read_text().startswith(earlier)
    assert len((tmp_path / "log").read_text().splitlines()) == 3


def test_handlers_do_not_outlive_the_command(tmp_path: Path) -> None:
    before = list(logging.getLogger("topicnet").handlers)
    run_here("corpora", "--debug", "--log-file", "log", cwd=tmp_path)
    assert logging.getLogger("topicnet").handlers == before
    assert logging.getLogger("topicnet").level == logging.NOTSET
