"""The wheel is complete and works outside the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("build", reason="needs the package build")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_code_recipes_and_configurations_only(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "topicnet/corpora/lee.yaml" in names
    assert "topicnet/configs/etm-lee.yaml" in names
    assert "topicnet/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/")) or name.endswith((".cor", ".gz"))]


def test_it_works_outside_the_checkout(wheel, tmp_path):
    """The unpacked wheel comes before the checkout on the path; libraries are those of this environment."""
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    env = os.environ | {"PYTHONPATH": str(site)}

    def python(*arguments):
        return subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
        ).stdout

    assert Path(python("-c", "import topicnet; print(topicnet.__file__)").strip()).is_relative_to(site)
    message = python("-m", "topicnet", "fit", "lee", "-k", "3", "--epochs", "1", "--init", "random", "--out", "run")
    assert "wrote run" in message
    assert (tmp_path / "run" / "model" / "model.safetensors").is_file()
