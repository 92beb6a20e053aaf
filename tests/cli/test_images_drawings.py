"""`topicnet images draw` in real processes."""

import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.support.command_line import Warm, assert_refused, run_here, snapshot

DRAW = ("images", "draw", "run")


@pytest.fixture(scope="module")
def folder(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a short fit of CP-VAE to digits, in `run`."""
    folder = tmp_path_factory.mktemp("drawings")
    fit = ("images", "fit", "--variant", "cp-vae", "--categories", "4", "--hidden-dim", "12", "--latent-dim", "3")
    done = warm(*fit, "--epochs", "1", "--quiet", "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_picture_is_written_next_to_the_run(folder: Path, warm: Warm) -> None:
    before = snapshot(folder / "run")
    ask = (*DRAW, "--picture", "label-categories")
    done = warm(*ask, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].endswith("to none")
    assert done.stdout.splitlines()[1] == "wrote run-drawings/label-categories.png"
    file = folder / "run-drawings" / "label-categories.png"
    first = file.read_bytes()
    assert_refused(warm(*ask, cwd=folder), "exists already", "--overwrite")
    assert warm(*ask, "--overwrite", cwd=folder).returncode == 0
    assert file.read_bytes() == first
    file.write_text("mine")
    assert_refused(warm(*ask, "--overwrite", cwd=folder), "not written by topicnet or has changed since")
    assert snapshot(folder / "run") == before


def test_several_runs_are_drawn_to_one_file(folder: Path, warm: Warm) -> None:
    ask = (*DRAW, "run", "--picture", "samples", "-n", "9", "--columns", "1", "--out", "here/two.png")
    done = warm(*ask, cwd=folder)
    assert (done.returncode, done.stdout) == (0, "wrote here/two.png\n"), done.stderr
    with Image.open(folder / "here" / "two.png") as image:
        assert image.size[1] > 4 * 60  # two blocks of two rows


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--picture", "pie"), "--picture 'pie' given, expected one of changed-categories"),
        (("--picture", "density"), "a run of pictures, expected vectors"),
        (("--picture", "samples", "--top", "2"), "which does not take it"),
        (("--picture", "samples", "-n", "0"), "-n=0 given"),
        (("run", "--picture", "changed-categories"), "2 runs given"),
        (("--picture", "samples", "--out", "run/samples.png"), "is inside the run 'run'"),
    ],
)
def test_invalid_options_are_refused(arguments: tuple[str, ...], message: str, folder: Path, warm: Warm) -> None:
    before = snapshot(folder)
    assert_refused(warm(*DRAW, *arguments, cwd=folder), message)
    assert snapshot(folder) == before


def test_without_matplotlib_charts_are_refused_and_galleries_drawn(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("matplotlib", *(name for name in sys.modules if name.startswith("matplotlib."))):
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    ask = ("images", "draw", folder / "run", "--out", "here", "--picture")
    assert_refused(run_here(*ask, "label-categories", cwd=tmp_path), "pip install 'topicnet-neural[plots]'")
    assert run_here(*ask, "changed-categories", cwd=tmp_path).returncode == 0
