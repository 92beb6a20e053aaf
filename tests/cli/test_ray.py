"""`fit --engine ray` on a cluster of one machine."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import numpy as np
import pytest

from tests.support.command_line import ENVIRONMENT, Topicnet, Warm, snapshot
from tests.support.corpora import THEMES
from topicnet.text.corpus import Corpus
from topicnet.text.readers.documents import Documents
from topicnet.text.tokens.options import TextOptions

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="needs Ray: pip install 'topicnet-neural[ray]'"
)
SECONDS = 300  # on a busy machine; the start of Ray takes ten
OPTIONS = ("-k", "4", "--epochs", "8", "--param", "patience=100")
LEARNED = ("model/model.safetensors", "doc_topic.csv", "topic_word.csv")


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of 400 documents."""
    rng = np.random.default_rng(0)
    themes = [words.split() for words in THEMES.values()]
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    path.write_text("".join(" ".join(rng.choice(themes[n % 4], 15)) + "\n" for n in range(400)))
    return path


def on_ray(
    cwd: Path, *arguments: str | Path, stdin: TextIO | int = subprocess.DEVNULL, **more: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "topicnet", "fit", "--engine", "ray", "--workers", "2", *map(str, arguments)],
        cwd=cwd,
        env=ENVIRONMENT | {"PYTHONPATH": str(Path(__file__).parents[2])} | more,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Return the output of a fit that must succeed."""
    with process:
        try:
            out, message = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
    assert process.returncode == 0, message
    return out, message


def wait_until(process: subprocess.Popen[str], so: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not so():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def losses(run: Path) -> list[float]:
    with (run / "history.csv").open(newline="") as table:
        return [float(row["loss"]) for row in csv.DictReader(table)]


def workers_of(mark: str) -> list[int]:
    """Return the training processes of a cluster, recognised by a variable of their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            named = b"RayTrainWorker" in (folder / "cmdline").read_bytes()
            if named and mark.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:  # it has ended
            continue
    return sorted(found)


@needs_ray
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # raised by Ray itself
def test_the_counts_are_those_of_one_process(texts: Path) -> None:
    import ray

    from topicnet.text.tokenize_on_ray import tokenize_on_ray

    lines = [
        *texts.read_text().splitlines(),
        "",
        "   ",
        "été 東京 naïve 🙂 www.site.example/a <b>bold</b>",
        "a",
        "word " * 9,
    ]
    batches = [
        Documents([str(n) for n in range(begin, begin + len(some))], some, [{}] * len(some))
        for begin in range(0, len(lines), 7)
        if (some := lines[begin : begin + 7])
    ]
    options = TextOptions("en", phrases=True)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="CRITICAL")
    try:
        there = Corpus.from_documents(batches, options=options, cutting=tokenize_on_ray)
    finally:
        ray.shutdown()
    here = Corpus.from_documents(batches, options=options)
    assert there.n_docs == len(lines)
    assert there.vocabulary == here.vocabulary
    assert there.status.tolist() == here.status.tolist()
    assert np.array_equal(there.tokens, here.tokens)
    assert np.array_equal(there.counts.indptr, here.counts.indptr)
    assert np.array_equal(there.counts.toarray(), here.counts.toarray())
    assert there.source == here.source


@needs_ray
@pytest.mark.slow
def test_two_workers_fit_what_one_process_fits_with_twice_the_batch(
    texts: Path, tmp_path: Path, topicnet: Topicnet
) -> None:
    out, message = ended(on_ray(tmp_path, texts, *OPTIONS, "--batch-size", "20", "--out", "two"))
    assert out.endswith("wrote two\n")
    assert "training 8/8" in message
    assert [path.name for path in tmp_path.iterdir()] == ["two"]
    done = topicnet("fit", texts, *OPTIONS, "--batch-size", "40", "--out", "one", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    two, one = losses(tmp_path / "two"), losses(tmp_path / "one")
    assert len(one) == 8
    assert two == pytest.approx(one, rel=1e-3)
    assert (tmp_path / "two/doc_topic.csv").read_text().count("\n") == 401
    shown = topicnet("topics", "two", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr


@needs_ray
@pytest.mark.slow
@pytest.mark.parametrize("which", [0, 1])
def test_a_killed_worker_does_not_change_the_result(texts: Path, tmp_path: Path, which: int) -> None:
    long = ("-k", "4", "--epochs", "60", "--param", "patience=1000", "--batch-size", "10")
    often = {"TOPICNET_CHECKPOINT_SECONDS": "0.05"}
    ended(on_ray(tmp_path, texts, *long, "--out", "whole", **often))
    mark = uuid.uuid4().hex
    process = on_ray(tmp_path, texts, *long, "--out", "broken", TOPICNET_MARK=mark, **often)
    wait_until(process, lambda: list(tmp_path.glob("broken.unfinished/checkpoints/checkpoint-*")))
    workers = workers_of(mark)
    assert len(workers) == 2
    os.kill(workers[which], signal.SIGKILL)
    _, message = ended(process)
    before, notice, after = message.partition("a worker was lost: all workers resume from the last checkpoint\n")
    assert notice, message
    assert "EM start" in before
    assert "EM start" not in after  # which a fit from the start would repeat
    whole, broken = snapshot(tmp_path / "whole"), snapshot(tmp_path / "broken")
    for name in LEARNED:
        assert broken[name] == whole[name]
    assert losses(tmp_path / "broken") == losses(tmp_path / "whole")


@needs_ray
@pytest.mark.slow
def test_ctrl_c_keeps_the_best_weights_and_resume_gives_the_same_result(texts: Path, tmp_path: Path) -> None:
    long = ("-k", "4", "--epochs", "60", "--param", "patience=1000", "--batch-size", "10")
    ended(on_ray(tmp_path, texts, *long, "--out", "whole"))
    process = on_ray(tmp_path, texts, *long, "--out", "broken")
    wait_until(process, lambda: list(tmp_path.glob("broken.unfinished/checkpoints/checkpoint-*")))
    process.send_signal(signal.SIGINT)
    out, message = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, message
    assert "wrote broken" in out
    assert json.loads((tmp_path / "broken/run.json").read_text())["status"] == "interrupted"
    ended(on_ray(tmp_path, texts, *long, "--out", "broken", "--resume"))
    whole, broken = snapshot(tmp_path / "whole"), snapshot(tmp_path / "broken")
    for name in LEARNED:
        assert broken[name] == whole[name]


@needs_ray
@pytest.mark.slow
def test_seeds_passages_and_standard_input(texts: Path, tmp_path: Path) -> None:
    """Files left by a process that was killed at the very end do no harm."""
    left = tmp_path / "run.unfinished" / "checkpoints" / "seed-0" / "fitted"
    left.mkdir(parents=True)
    (left / "model.json").write_text("{}")
    (tmp_path / "run.unfinished" / "lock").touch()
    arguments = (
        "-",
        "-k",
        "3",
        "--seeds",
        "2",
        "--passages",
        "8",
        "--epochs",
        "2",
        "--no-keep-corpus",
        "--resume",
        "--out",
        "run",
    )
    with texts.open() as lines:
        _, message = ended(on_ray(tmp_path, *arguments, stdin=lines))
    assert "seed 1, 2 of 2" in message
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert [one["seed"] for one in record["seeds"]] == [0, 1]
    assert record["config"]["workers"] == 2
    assert (tmp_path / "run/doc_topic.csv").read_text().count("\n") == 401
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@needs_ray
@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--workers", "500"), "--workers 500 given, but the cluster has "),
        (("--topics", "900"), "-k 900 given, but only "),
        (("--model", "etm", "--param", "embeddings=nowhere.txt"), "nowhere.txt"),
    ],
)
def test_impossible_options_are_refused_in_one_line(
    texts: Path, tmp_path: Path, options: tuple[str, ...], expected: str
) -> None:
    process = on_ray(tmp_path, texts, "-q", "--out", "run", *options)
    out, message = process.communicate(timeout=SECONDS)
    assert (process.returncode, out) == (2, ""), message
    assert expected in message
    assert message.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--engine", "slurm"), "engine='slurm' given, expected local or ray"),
        pytest.param(
            ("--workers", "2"),
            "--workers 2 given without --engine ray: give both, or start with torchrun",
            marks=pytest.mark.slow,
        ),
        (("--engine", "ray", "--workers", "0"), "workers=0 given, expected 1 or more"),
    ],
)
def test_an_unknown_engine_is_refused_in_one_line(
    texts: Path, tmp_path: Path, warm: Warm, options: tuple[str, ...], message: str
) -> None:
    done = warm("fit", texts, *options, "--out", "run", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"topicnet: {message}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_the_error_names_the_package_to_install(texts: Path, tmp_path: Path, warm: Warm) -> None:
    done = warm("fit", texts, "--engine", "ray", "--out", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert "pip install 'topicnet-neural[ray]'" in done.stderr
    assert done.stderr.count("\n") == 1
