"""`topicnet images gibbs` in real processes: output, files, and input that cannot be used."""

import json
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from tests.support.command_line import Warm, assert_refused, snapshot

QUICK = ("--steps", "30", "--batch-size", "32", "--hidden-dim", "16", "--restarts", "2", "--draws", "2000", "--quiet")
FILES = {
    "report.json", "moments.csv", "restarts.csv", "samples.csv", "chain.csv", "density.png", "samples.png",
    "chain.png", ".topicnet.json",
}  # fmt: skip


def gibbs(*more: str) -> tuple[str, ...]:
    return ("images", "gibbs", *more, *QUICK)


def test_the_report_is_printed_and_written(warm: Warm, tmp_path: Path) -> None:
    done = warm(*gibbs("--potential", "double-well", "--height", "2", "--out", "well"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("double-well, 1 dimension, 2,000 draws")
    for line in ("log Z, exact                    0.3442", "P(x>0)", "IMH", "MALA", "HMC", "wrote well"):
        assert line in done.stdout
    assert {path.name for path in (tmp_path / "well").iterdir()} == FILES
    report = json.loads((tmp_path / "well" / "report.json").read_text())
    assert report["settings"]["parameters"] == {"height": 2.0}
    assert report["settings"]["training"]["n_steps"] == 30
    moments = pl.read_csv(tmp_path / "well" / "moments.csv")
    assert moments["observable"].to_list() == ["P(x>0)", "x^2"]
    assert moments["exact"][0] == pytest.approx(0.5)
    assert pl.read_csv(tmp_path / "well" / "samples.csv").columns == ["x_0", "log_weight"]
    assert pl.read_csv(tmp_path / "well" / "restarts.csv")["chosen"].sum() == 1
    for name in ("density.png", "samples.png", "chain.png"):
        with Image.open(tmp_path / "well" / name) as image:
            image.load()
            assert image.size[0] > 400


def test_json_is_one_document_and_a_second_run_is_the_same(warm: Warm, tmp_path: Path) -> None:
    command = gibbs("--potential", "mixture", "--modes", "3", "--seed", "5", "--json")
    one, other = (warm(*command, cwd=tmp_path) for _ in range(2))
    assert one.returncode == 0, one.stderr
    assert one.stdout == other.stdout
    found = json.loads(one.stdout)
    assert [moment["name"] for moment in found["moments"]] == ["mode 0", "mode 1", "mode 2", "x_0^2"]
    assert [bound["k"] for bound in found["bounds"]] == [1, 4, 16, 64]
    assert not list(tmp_path.iterdir())


def test_only_files_of_topicnet_are_replaced(warm: Warm, tmp_path: Path) -> None:
    command = gibbs("--potential", "gaussian", "--out", "run")
    assert warm(*command, cwd=tmp_path).returncode == 0
    before = snapshot(tmp_path)
    assert_refused(warm(*command, cwd=tmp_path), "exists already")
    assert snapshot(tmp_path) == before
    assert warm(*command, "--overwrite", cwd=tmp_path).returncode == 0
    (tmp_path / "run" / "moments.csv").write_text("mine")
    before = snapshot(tmp_path)
    assert_refused(warm(*command, "--overwrite", cwd=tmp_path), "was not written by topicnet or has changed")
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--potential", "triple-well"], "--potential triple-well given, expected one of gaussian, double-well"),
        (["--potential", "gaussian", "--height", "3"], "--height 3.0 given for gaussian, which does not take it"),
        (["--potential", "mixture", "--sites", "3"], "--sites 3 given for mixture, which does not take it, expected"),
        (["--potential", "double-well", "--height", "-1"], "height=-1.0 given, expected a number from 0.01 to 100"),
        (["--potential", "double-well", "--height", "nan"], "height=nan given, expected a number"),
        (["--potential", "phi4-ring", "--mass", "-1", "--coupling", "0"], "expected a positive mass"),
        (["--potential", "gaussian", "--objective", "elbo"], "objective='elbo' given, expected one of corrected"),
        (["--potential", "gaussian", "--draws", "10"], "10 draws given, expected"),
        (["--potential", "gaussian", "--out", "taken"], "taken"),
    ],
)
def test_input_that_cannot_be_used_is_one_line(warm: Warm, tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "taken").write_text("mine")
    assert_refused(warm("images", "gibbs", *arguments, cwd=tmp_path), message)
    assert (tmp_path / "taken").read_text() == "mine"


def test_the_folder_of_a_run_is_refused(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    done = warm(*gibbs("--potential", "gaussian", "--out", "run"), cwd=tmp_path)
    assert done.returncode == 2
    assert "--out 'run' is the folder of a run" in done.stderr
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.json"]
