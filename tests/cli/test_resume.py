"""`fit --resume`: an interrupted fit resumes to bitwise the same result; any other fit is refused."""

import json
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import polars as pl
import pytest

from tests.support.command_line import (
    COMMAND,
    ENVIRONMENT,
    SECONDS,
    Topicnet,
    Warm,
    assert_refused,
    snapshot,
)
from topicnet.storage.atomic import folder_lock

OPTIONS = ("fit", "lee", "-k", "5", "--epochs", "40", "--config", "patient.yaml", "--out", "run")
ALWAYS = {"TOPICNET_CHECKPOINT_SECONDS": "0"}
SAVED = "run.unfinished/checkpoints/checkpoint-*"
# Many fast steps, which take a second or two.
SHORT = ("-k", "4", "--epochs", "6", "--batch-size", "20", "--param", "patience=100")
MODELS = ("etm", "nvdm-gsm", "w-lda", "gmntm")


def record(run: Path) -> dict[str, object]:
    """Return the contents of run.json."""
    return dict(json.loads((run / "run.json").read_text()))


def contents(run: Path) -> dict[str, object]:
    """Return the parts of a run that must not depend on interruptions."""
    found = snapshot(run)
    for name in ("run.json", "model/model.json", "history.csv"):  # contain times
        del found[name]
    header = json.loads((run / "model/model.json").read_text())
    history = pl.read_csv(run / "history.csv").drop("seconds")
    kept = {name: value for name, value in record(run).items() if name in ("status", "fit", "health", "data", "seed")}
    return {"files": found, "history": repr(history.rows()), "ending": header["ending"], "record": kept}


# ---------------------------------------------------------------- Ctrl-C


@pytest.fixture(scope="module")
def stopped(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run that Ctrl-C interrupted after a few epochs, to be copied."""
    folder = tmp_path_factory.mktemp("stopped")
    (folder / "patient.yaml").write_text("parameters: {patience: 1000, batch_size: 20}\n")
    trained = f"{SAVED[:-1]}000020"  # the second epoch has started
    done = warm(*OPTIONS, cwd=folder, env=ALWAYS, kill_when=trained, kill_with=signal.SIGINT, full_warm_up=True)
    assert done.returncode == 130, done.stderr
    assert "to continue, repeat the command with --resume" in done.stderr
    return folder


@pytest.fixture
def interrupted(stopped: Path, tmp_path: Path) -> Path:
    """Return a copy of a run that Ctrl-C interrupted after a few epochs."""
    return shutil.copytree(stopped, tmp_path, dirs_exist_ok=True)


@pytest.mark.slow
def test_an_interrupted_run_resumes_to_the_same_result(interrupted: Path, warm: Warm) -> None:
    assert record(interrupted / "run")["status"] == "interrupted"
    assert warm(*OPTIONS[:-1], "whole", cwd=interrupted, full_warm_up=True).returncode == 0
    done = warm(*OPTIONS, "--resume", cwd=interrupted)
    assert done.returncode == 0, done.stderr
    assert "EM start" not in done.stderr
    assert contents(interrupted / "run") == contents(interrupted / "whole")
    assert not (interrupted / "run.unfinished").exists()
    assert_refused(warm(*OPTIONS, "--resume", cwd=interrupted), "'run' is complete: there is nothing left to do")


@pytest.mark.parametrize(
    ("changed", "word"), [(["-k", "6"], "topics=6"), (["--seed", "3"], "seed=3"), (["--epochs", "50"], "parameters")]
)
def test_other_options_are_refused_and_the_run_is_kept(
    interrupted: Path, warm: Warm, changed: list[str], word: str
) -> None:
    before = snapshot(interrupted)
    assert_refused(warm(*OPTIONS, *changed, "--resume", cwd=interrupted), word, "--overwrite")
    assert snapshot(interrupted) == before


def test_other_words_are_refused(interrupted: Path, warm: Warm) -> None:
    """With other stop words the columns are different words, and weights would belong to the wrong ones."""
    header = json.loads((interrupted / "run.unfinished/fit.json").read_text())
    header["config"]["stop_words"] = "mine.txt"
    (interrupted / "run.unfinished/fit.json").write_text(json.dumps(header))
    (interrupted / "mine.txt").write_text("australia\n")
    done = warm(*OPTIONS, "--stop-words", "mine.txt", "--resume", cwd=interrupted)
    assert done.returncode == 2
    assert "the words counted differ from those of 'run'" in done.stderr


def test_an_interrupted_run_without_its_checkpoints_is_refused(interrupted: Path, warm: Warm) -> None:
    """Early versions wrote none."""
    shutil.rmtree(interrupted / "run.unfinished")
    before = snapshot(interrupted)
    done = warm(*OPTIONS, "--resume", cwd=interrupted)
    assert_refused(done, "run.unfinished' with the checkpoints of 'run' does not exist: start again with --overwrite")
    assert snapshot(interrupted) == before


def test_an_interrupted_run_is_not_restarted_without_overwrite(interrupted: Path, warm: Warm) -> None:
    before = snapshot(interrupted)
    done = warm(*OPTIONS, cwd=interrupted)
    assert_refused(
        done, "an unfinished fit of 'run' exists: continue it with --resume, or start again with --overwrite"
    )
    assert snapshot(interrupted) == before
    assert warm(*OPTIONS, "--epochs", "1", "--overwrite", cwd=interrupted).returncode == 0
    assert (record(interrupted / "run")["status"], (interrupted / "run.unfinished").exists()) == ("complete", False)


def test_a_folder_of_the_user_is_not_resumed(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.md").write_text("mine")
    before = snapshot(tmp_path)
    assert_refused(warm("fit", "lee", "--out", "mine", "--resume", cwd=tmp_path), "not a run of topicnet", "--out")
    assert snapshot(tmp_path) == before


def test_nothing_to_resume(warm: Warm, tmp_path: Path) -> None:
    assert_refused(warm("fit", "lee", "--out", "nowhere", "--resume", cwd=tmp_path), "no run")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- kill -9


@pytest.fixture(scope="module")
def killed(warm: Warm, themed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a fit that was killed at its third step, to be copied."""
    folder = tmp_path_factory.mktemp("killed")
    done = warm("fit", themed, *SHORT, "--out", "run", cwd=folder, env=ALWAYS, kill_when=f"{SAVED[:-1]}000003")
    assert done.returncode == -9
    assert [path.name for path in folder.iterdir()] == ["run.unfinished"]
    return folder


@pytest.fixture
def leftovers(killed: Path, tmp_path: Path) -> Path:
    """Return a copy of the files of a killed fit."""
    return shutil.copytree(killed, tmp_path, dirs_exist_ok=True)


def test_a_killed_fit_is_not_restarted_without_overwrite(leftovers: Path, themed: Path, warm: Warm) -> None:
    before = snapshot(leftovers)
    fit = ("fit", themed, *SHORT, "--out", "run")
    assert_refused(
        warm(*fit, cwd=leftovers), "an unfinished fit of 'run' exists: continue it with --resume, or start again"
    )
    assert snapshot(leftovers) == before
    done = warm(*fit, "--overwrite", cwd=leftovers)
    assert done.returncode == 0, done.stderr
    assert "EM start" in done.stderr
    assert [path.name for path in leftovers.iterdir()] == ["run"]


def test_a_damaged_checkpoint_is_skipped(leftovers: Path, themed: Path, warm: Warm) -> None:
    newest = max(leftovers.glob(SAVED)) / "state.safetensors"
    newest.write_bytes(newest.read_bytes()[:1000])
    for arguments in (("run", "--resume"), ("whole",)):
        done = warm("fit", themed, *SHORT, "--out", *arguments, cwd=leftovers)
        assert done.returncode == 0, done.stderr
        assert ("EM start" in done.stderr) == (arguments == ("whole",))
    assert contents(leftovers / "run") == contents(leftovers / "whole")


def test_a_fit_killed_during_initialisation_repeats_it(themed: Path, warm: Warm, tmp_path: Path) -> None:
    fit = ("fit", themed, *SHORT, "--out")
    started = "run.unfinished/.run.*.part/corpus/indptr.npy"
    for arguments in ((), ("--resume",), ()):  # without checkpoints nothing is lost in either case
        assert warm(*fit, "run", *arguments, cwd=tmp_path, kill_when=started).returncode == -9
        assert not list(tmp_path.glob(SAVED))
    for arguments in (("run", "--resume"), ("whole",)):
        assert warm(*fit, *arguments, cwd=tmp_path).returncode == 0
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "whole"]


def test_checkpoints_are_kept_if_the_run_cannot_be_written(themed: Path, warm: Warm, tmp_path: Path) -> None:
    fit = ("fit", themed, *SHORT, "--epochs", "1", "--quiet", "--out")
    assert warm(*fit, "whole", cwd=tmp_path).returncode == 0
    limit = (
        (tmp_path / "whole/model/model.safetensors").stat().st_size * 5 // 2
    )  # the first checkpoint is twice as large
    failed = warm(*fit, "run", cwd=tmp_path, env=ALWAYS, file_limit=limit)
    assert_refused(failed, "cannot write", "File too large", "the last checkpoint is kept, and --resume continues")
    assert len(list(tmp_path.glob(SAVED))) == 1
    assert warm(*fit, "run", "--resume", cwd=tmp_path).returncode == 0
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_two_fits_do_not_write_to_the_same_place_at_once(themed: Path, warm: Warm, tmp_path: Path) -> None:
    fit = ("fit", str(themed), *SHORT, "--out", "run")
    with folder_lock(tmp_path / "run.unfinished"):  # like a fit, for its whole duration
        for arguments in ((), ("--resume",), ("--overwrite",)):
            assert_refused(warm(*fit, *arguments, cwd=tmp_path), "another process is writing in", "run.unfinished")
    assert warm(*fit, cwd=tmp_path).returncode == 0


def test_a_folder_of_the_user_is_left_unchanged(themed: Path, warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "run.unfinished").mkdir()
    (tmp_path / "run.unfinished/thesis.txt").write_text("years of work")
    before = snapshot(tmp_path)
    for arguments in ((), ("--overwrite",)):
        done = warm("fit", themed, *SHORT, "--out", "run", *arguments, cwd=tmp_path)
        assert_refused(done, "run.unfinished' was not created by topicnet")
    assert_refused(warm("fit", themed, *SHORT, "--out", "run", "--resume", cwd=tmp_path), "there is no run in 'run'")
    assert snapshot(tmp_path) == before


def killed_again_and_again(warm: Warm, arguments: tuple[object, ...], folder: Path, seed: int, most: int) -> int:
    """Repeat a fit with kills at random moments until it is done; return the number of kills.

    A moment is some time after the start, or a few steps and a little time after the previous one.
    """
    assert warm(*arguments, "--out", "whole", cwd=folder, env=ALWAYS).returncode == 0
    rng, kills = random.Random(seed), 0
    while not (folder / "run").exists():
        again = ("--resume",) if (folder / "run.unfinished").exists() else ()
        last = max((int(path.name[-6:]) for path in folder.glob(SAVED)), default=0)
        steps = rng.randrange(8) if kills < most else 10_000
        when = f"{SAVED[:-1]}{last + steps:06}" if steps else None
        after = rng.random() * (0.02 if steps else 0.5)
        done = warm(
            *arguments, "--out", "run", *again, cwd=folder, env=ALWAYS, kill_after=after, kill_when=when
        )  # fmt: skip
        assert done.returncode in (0, -9), done.stderr
        kills += done.returncode == -9
        assert {path.name for path in folder.iterdir()} <= {"whole", "run", "run.unfinished"}
    assert record(folder / "run")["status"] == "complete"
    shutil.rmtree(
        folder / "run.unfinished", ignore_errors=True
    )  # if the last kill came between the writing of the run and the removal
    assert contents(folder / "run") == contents(folder / "whole")
    return kills


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_fit_killed_at_random_moments_gives_the_same_result(
    seed: int, warm: Warm, themed: Path, tmp_path: Path
) -> None:
    assert killed_again_and_again(warm, ("fit", themed, *SHORT), tmp_path, seed, most=4) > 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("model", MODELS)
def test_a_fit_killed_more_often(model: str, seed: int, warm: Warm, tmp_path: Path) -> None:
    """The corpus has held-out documents and topics that are reseeded."""
    fit = ("fit", "lee", "--model", model, "-k", "12", "--epochs", "12", "--batch-size", "60")
    assert killed_again_and_again(warm, fit, tmp_path, seed, most=12) > 2


@pytest.mark.slow
def test_a_real_process_killed_and_resumed(themed: Path, topicnet: Topicnet, warm: Warm, tmp_path: Path) -> None:
    """Separate processes without a wrapper, as a user runs them."""
    fit = ("fit", str(themed), *SHORT, "--out", "run")
    process = subprocess.Popen([*COMMAND, *fit], cwd=tmp_path, env=ENVIRONMENT | ALWAYS, stderr=subprocess.DEVNULL)
    until = time.monotonic() + SECONDS
    while not (tmp_path / f"{SAVED[:-1]}000003").exists() and time.monotonic() < until:
        time.sleep(0.001)
    process.kill()
    assert process.wait() == -9
    done = topicnet(*fit, "--resume")
    assert done.returncode == 0, done.stderr
    assert warm(*fit[:-1], "whole", cwd=tmp_path, full_warm_up=True).returncode == 0
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")
