"""`topicnet images geodesic` and `topicnet images grid` in real processes."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.support.command_line import Warm, assert_refused, snapshot
from topicnet.images.data.load import load_images
from topicnet.images.geometry.latent_space import LatentSpace
from topicnet.images.workflows.fit import load_run

GEODESIC = ("images", "geodesic", "run")
QUICK = ("--segments", "20", "--points", "4", "--method", "energy")


@pytest.fixture(scope="module")
def folder(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a short fit of a VAE with two latent dimensions to digits, in `run`."""
    folder = tmp_path_factory.mktemp("geometry")
    fit = ("images", "fit", "--variant", "vae", "--hidden-dim", "16", "--latent-dim", "2", "--epochs", "3", "--quiet")
    done = warm(*fit, "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def here(folder: Path, tmp_path: Path) -> Path:
    """Return a folder of the test's own with a copy of the run."""
    shutil.copytree(folder / "run", tmp_path / "run")
    return tmp_path


def read_size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        image.load()
        return image.size


def test_a_geodesic_is_drawn_next_to_the_run(here: Path, warm: Warm) -> None:
    before = snapshot(here / "run")
    done = warm(*GEODESIC, "--from", "3", "--to", "12", *QUICK, cwd=here)
    assert done.returncode == 0, done.stderr
    assert "expected metric: length" in done.stdout
    assert "straight line: length" in done.stdout
    assert done.stdout.splitlines()[-1] == "wrote run-geodesics/geodesic-test-3-12.csv"
    assert read_size(here / "run-geodesics" / "geodesic-test-3-12.png")[0] > 700
    assert pl.read_csv(here / "run-geodesics" / "geodesic-test-3-12.csv").height == 4
    assert snapshot(here / "run") == before
    assert_refused(warm(*GEODESIC, "--from", "3", "--to", "12", *QUICK, cwd=here), "exists already", "--overwrite")
    again = warm(*GEODESIC, "--from", "3", "--to", "12", *QUICK, "--overwrite", cwd=here)
    assert again.stdout == done.stdout
    assert warm(*GEODESIC, "--from", "3", "--to", "13", *QUICK, cwd=here).returncode == 0


@pytest.mark.slow
def test_python_gives_the_same_result(here: Path, warm: Warm) -> None:
    done = warm(*GEODESIC, "--from", "3", "--to", "12", *QUICK, "--set", "train", "--json", cwd=here)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert not (here / "run-geodesics").exists()
    images = load_images("digits")
    space = LatentSpace.of(load_run(here / "run").model, images.train.pixels)
    path = space.geodesic(*images.train.pixels[[3, 12]], method="energy", n_segments=20, n_points=4)
    assert record["length"] == path.geodesic.length
    assert record["straight_length"] == path.straight_length
    np.testing.assert_array_equal(np.array(record["codes"]), path.codes)
    assert np.array(record["images"]).shape == (4, 64)


def test_a_picture_alone(here: Path, warm: Warm) -> None:
    done = warm(*GEODESIC, "--from", "0", "--to", "1", *QUICK, "--json", "--out", "one/path.png", cwd=here)
    found = json.loads(done.stdout)
    assert found["ratio"] <= 1 + 1e-6 or not found["converged"]
    assert {path.name for path in (here / "one").iterdir()} == {"path.png", ".topicnet.json"}
    done = warm("images", "grid", "run", "--steps", "5", "--out", "grid.png", cwd=here)
    assert done.stdout == "wrote grid.png\n", done.stderr
    assert read_size(here / "grid.png")[0] > 700
    done = warm("images", "grid", "run", "--dims", "1, 0", "--image", "4", "--span", "2", "--steps", "3", cwd=here)
    assert done.stdout == "wrote run-grids/grid-1-0.png\n", done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("geodesic", "run", "--from", "5", "--to", "5"), "--from and --to are both 5"),
        (("geodesic", "run", "--from", "0", "--to", "400"), "expected a test image from 0 to 396"),
        (("geodesic", "run", "--from", "0", "--to", "x"), "--to 'x' given, expected a whole number"),
        (("geodesic", "run", "--from", "0", "--to", "1", "--set", "all"), "--set 'all' given, expected one of train"),
        (("geodesic", "run", "--from", "0", "--to", "1", "--metric", "l2"), "--metric 'l2' given, expected one of"),
        (("geodesic", "run", "--from", "0", "--to", "1", "--method", "l2"), "--method 'l2' given, expected one of"),
        (("geodesic", "run", "--from", "0", "--to", "1", "--category", "1"), "has none"),
        (("geodesic", "run", "--from", "0", "--to", "1", "--points", "1"), "n_points=1 given"),
        (("geodesic", "run", "--from", "0", "--to", "1", "--segments", "1"), "n_segments=1 given"),
        (("geodesic", "run", "--from", "0", "--to", "1", "--out", "run/path.png"), "run"),
        (("geodesic", "nowhere", "--from", "0", "--to", "1"), "no image model in 'nowhere'"),
        (("geodesic", "run", "--from", "0"), "--to"),
        (("grid", "run", "--dims", "0"), "--dims '0' given, expected two dimensions"),
        (("grid", "run", "--dims", "0,2"), "there is no dimension 2"),
        (("grid", "run", "--dims", "../x"), "expected numbers of dimensions"),
        (("grid", "run", "--image", "400"), "--image 400 given"),
        (("grid", "run", "--steps", "1"), "--steps=1 given"),
    ],
)  # fmt: skip
def test_input_errors(arguments: tuple[str, ...], message: str, folder: Path, warm: Warm) -> None:
    before = snapshot(folder)
    assert_refused(warm("images", *arguments, cwd=folder), message)
    assert snapshot(folder) == before
