"""`transform --workers` writes the same files for any number of processes and leaves none of them running."""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from tests.support.command_line import COMMAND, ENVIRONMENT, SECONDS, Warm, assert_refused

SENTENCES = [
    "我们在北京的公司开发了新的机器学习系统",
    "足球比赛中球员踢进了一个漂亮的进球",
    "银行提高了贷款利率，投资者担心通货膨胀",
    "火箭飞向月球轨道上的卫星",
]
FAST = ("-k", "3", "--epochs", "1", "--init", "random", "--quiet")
NEW_DOCS = 700
NEW = ("--label-column", "part", "--skip-bad-rows", "--refine", "3")


def sentences(n: int, seed: int) -> str:
    return "。".join(random.Random(seed).choices(SENTENCES, k=n))


@pytest.fixture(scope="module")
def made(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of Chinese passages, and new documents, some without words; tests must not change them."""
    folder = tmp_path_factory.mktemp("workers")
    (folder / "zh.txt").write_text("".join(f"{sentences(1 + n % 5, n)}\n" for n in range(60)), "utf-8")
    rows = [{"id": f"d{n}", "text": sentences(1 + n % 7, n), "part": n % 3} for n in range(NEW_DOCS)]
    for n in range(0, NEW_DOCS, 50):
        rows[n]["text"] = "" if n % 100 else "zebra"
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    lines[5:5] = ['{"text": {}}', "no JSON"]
    (folder / "new.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    for command in (
        ("fit", "zh.txt", "--lang", "zh", "--max-df", "1.0", "--passages", "8", *FAST, "--out", "run"),
        ("transform", "run", "new.jsonl", *NEW, "--workers", "1", "--out", "1.csv", "--by-passage", "1p.csv"),
    ):
        done = warm(*command, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


def processes() -> dict[int, tuple[int, str]]:
    """Return the parent and the command of every process."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if status[0] != "Z":
            found[int(folder.name)] = (int(status[1]), command)
    return found


def cutters_of(pid: int) -> list[int]:
    """Return the tokenising processes of a process."""
    found = processes().items()
    return sorted(
        child for child, (parent, command) in found if parent == pid and "topicnet.text.tokens.multiprocess" in command
    )


@contextmanager
def half_way(made: Path, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """Start a `transform` that has tokenised 10,000 documents of stdin in two processes and waits for more."""
    process = subprocess.Popen(
        [*COMMAND, "transform", str(made / "run"), "-", "--workers", "2", "--out", "theta.csv"],
        cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        assert process.stdin is not None
        process.stdin.write("".join(f"{sentence}\n" for sentence in SENTENCES * 3_000).encode())
        process.stdin.flush()
        until = time.monotonic() + SECONDS
        while len(cutters := cutters_of(process.pid)) < 2:
            assert process.poll() is None
            assert time.monotonic() < until, "no processes were started"
            time.sleep(0.05)
        yield process, cutters
    finally:
        process.kill()
        process.communicate()


def assert_gone(pids: list[int]) -> None:
    """Assert that none of these processes is left, after a moment for killed ones to end."""
    until = time.monotonic() + 10
    while set(pids) & processes().keys():
        assert time.monotonic() < until, "processes were left behind"
        time.sleep(0.05)


@pytest.mark.parametrize(
    "workers",
    [("--workers", "2"), pytest.param(("--workers", "3"), marks=pytest.mark.slow), ()],
    ids=["2", "3", "default"],
)
def test_the_number_of_processes_changes_no_byte(
    workers: tuple[str, ...], warm: Warm, made: Path, tmp_path: Path
) -> None:
    new = ("transform", made / "run", made / "new.jsonl", *NEW, *workers)
    done = warm(*new, "--out", "t.csv", "--by-passage", "p.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "left out 2 rows" in done.stderr
    assert (tmp_path / "t.csv").read_bytes() == (made / "1.csv").read_bytes()
    assert (tmp_path / "p.csv").read_bytes() == (made / "1p.csv").read_bytes()
    table = pl.read_csv(tmp_path / "t.csv")
    assert table["doc_id"].to_list() == [f"d{n}" for n in range(NEW_DOCS)]
    assert table["part"].to_list() == [n % 3 for n in range(NEW_DOCS)]
    silent = {n: "empty" if n % 100 else "oov" for n in range(0, NEW_DOCS, 50)}
    assert table["status"].to_list() == [silent.get(n, "ok") for n in range(NEW_DOCS)]
    assert table["top_topic"].null_count() == len(silent)


def test_a_tokenizer_that_uses_all_cores_starts_no_processes(
    warm: Warm, themed_run: Path, themed: Path, tmp_path: Path
) -> None:
    for options in ((), ("--workers", "2")):
        name = f"t{len(options)}.csv"
        done = warm("transform", themed_run, themed, *options, "--out", name, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        message = (
            "--workers 2 given, but unicode-letters-2 uses all cores in one process: no other process is started\n"
        )
        assert (message in done.stderr) == bool(options)
    assert (tmp_path / "t0.csv").read_bytes() == (tmp_path / "t2.csv").read_bytes()


def test_workers_have_no_effect_on_counts(warm: Warm, made: Path, tmp_path: Path) -> None:
    counts = ("prepare", made / "zh.txt", "--lang", "zh", "--max-df", "1.0", "--out", "counts")
    assert warm(*counts, cwd=tmp_path).returncode == 0
    done = warm("transform", made / "run", "counts", "--workers", "2", "--out", "t.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "these are counts: there is no text to tokenise" in done.stderr


@pytest.mark.parametrize("workers", ["0", "257", "two"])
def test_an_invalid_number_of_processes_is_refused(workers: str, warm: Warm, made: Path, tmp_path: Path) -> None:
    new = ("transform", made / "run", made / "new.jsonl", *NEW, "--workers", workers, "--out", "t.csv")
    assert_refused(warm(*new, cwd=tmp_path), workers)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_killed_process_ends_the_command_with_one_line(made: Path, tmp_path: Path) -> None:
    with half_way(made, tmp_path) as (process, cutters):
        os.kill(cutters[0], signal.SIGKILL)
        out, message = process.communicate("".join(f"{sentence}\n" for sentence in SENTENCES * 3_000).encode(), SECONDS)
    done = subprocess.CompletedProcess("transform", process.returncode, out.decode(), message.decode())
    assert_refused(done, "one of the processes that tokenise the text", "SIGKILL")
    assert list(tmp_path.iterdir()) == []
    assert_gone(cutters)


@pytest.mark.slow
def test_ctrl_c_ends_all_processes(made: Path, tmp_path: Path) -> None:
    with half_way(made, tmp_path) as (process, cutters):
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert message.decode() == "topicnet: interrupted; nothing was written\n"
    assert list(tmp_path.iterdir()) == []
    assert_gone(cutters)


@pytest.mark.slow
def test_no_process_outlives_the_main_one(made: Path, tmp_path: Path) -> None:
    with half_way(made, tmp_path) as (process, cutters):
        process.kill()
        process.communicate()
        assert_gone(cutters)
