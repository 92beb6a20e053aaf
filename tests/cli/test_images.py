"""`topicnet images` in real processes: run folders, pictures, evaluation, invalid input, Ctrl-C and kill -9."""

import gzip
import json
import math
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.support.command_line import (
    SECONDS,
    Topicnet,
    Warm,
    assert_refused,
    run_here,
    snapshot,
    start,
    wait_for,
)
from topicnet.images.data.load import ImageData, load_images
from topicnet.images.workflows.storage import load_model

FIT = ("images", "fit")
SMALL = ("--hidden-dim", "12", "--latent-dim", "3")
QUICK = (*SMALL, "--epochs", "2", "--quiet")
CP = ("--variant", "cp-vae", "--categories", "4")
PNG = ("q_c.png", "categories.png", "labels.png", "samples.png", "reconstructions.png")
TILE = 8 * 7 + 2  # 8 pixels, enlarged, with a border


def read(path: Path) -> dict[str, object]:
    """Return a parsed JSON document."""
    return dict(json.loads(path.read_text()))


def png_size(path: Path) -> tuple[int, int]:
    """Return width and height of a complete PNG."""
    with Image.open(path) as image:
        image.load()
        return image.size


@pytest.fixture(scope="module")
def fitted(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Return the run folder and the output of a short fit of CP-VAE on digits."""
    folder = tmp_path_factory.mktemp("digits")
    done = warm(*FIT, *CP, *SMALL, "--epochs", "2", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "digits-cp-vae", done


@pytest.fixture(scope="module")
def run(fitted: tuple[Path, subprocess.CompletedProcess[str]]) -> Path:
    """Return a run folder that tests must not change."""
    return fitted[0]


@pytest.fixture(scope="module")
def plain(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `points.npz`, vectors of length 1, and a run on them without categories or labels."""
    folder = tmp_path_factory.mktemp("plain")
    np.savez(folder / "points.npz", x=np.random.default_rng(0).random((60, 1)))
    done = warm(*FIT, "--data", "points.npz", "--likelihood", "gaussian", *QUICK, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("wrote runs/points-vae\n")
    return folder


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load_images("digits")


# ---------------------------------------------------------------- the run


def test_a_run_is_complete_and_named(fitted: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    run, done = fitted
    assert done.stdout.splitlines()[-1] == "wrote runs/digits-cp-vae"
    assert "NELBO" in done.stdout
    assert "of 4 categories in use" in done.stdout
    assert ", KL of c " in done.stdout
    assert ", I(c;x) " in done.stdout
    assert "digits: 1,200 training, 200 validation and 397 test images; 8 x 8 pixels" in done.stderr
    assert "training 2/2" in done.stderr
    record = read(run / "run.json")
    written = {name: sum_ for name, sum_ in snapshot(run).items() if sum_ != "folder"}
    assert written.keys() == {
        "model/model.json", "model/model.safetensors", "categories.csv", "codes.csv", "history.csv", "metrics.json",
        "run.json",
        *(f"pictures/{name}" for name in PNG),
    }  # fmt: skip
    del written["run.json"]
    assert record["files"] == written
    assert record["status"] == "complete"
    assert record["config"] == {
        "variant": "cp-vae", "data": "digits", "categories": 4, "latent_dim": 3, "hidden_dim": 12, "layers": 2,
        "likelihood": None, "estimator": None, "epochs": 2, "batch_size": 100, "learning_rate": None, "warm_up": None,
        "schedule": "one-cycle", "optimizer": "adam", "patience": 50, "parameters": {}, "device": "auto", "seed": 0,
        "information_every": None, "architecture": "dense",
    }  # fmt: skip
    assert {"device", "versions", "seconds", "peak_memory_bytes", "fit", "seed"} <= record.keys()
    assert [path.name for path in run.parent.iterdir()] == ["digits-cp-vae"]


def test_the_record_names_the_images(run: Path, digits: ImageData) -> None:
    recorded = read(run / "run.json")["data"]
    assert recorded == {
        "name": "digits", "source": "digits", "sha256": digits.checksum(), "pixels": 64, "shape": [8, 8],
        "binary": False, "images": {"train": 1200, "validation": 200, "test": 397},
        "labelled": {"train": True, "validation": True, "test": True},
    }  # fmt: skip


def test_codes_have_a_row_for_every_image(run: Path, digits: ImageData) -> None:
    table = pl.read_csv(run / "codes.csv")
    model = load_model(run).model
    assert table.columns == ["image", "split", "label", "category", "z_0", "z_1", "z_2"]
    assert table.height == 1797
    begin = 0
    for name, split in (("train", digits.train), ("validation", digits.validation), ("test", digits.test)):
        part = table.slice(begin, len(split.pixels))
        begin += len(split.pixels)
        assert part["split"].unique().to_list() == [name]
        assert part["image"].to_list() == list(range(len(split.pixels)))
        assert split.labels is not None
        assert part["label"].to_list() == split.labels.tolist()
        assert part["category"].to_list() == model.category_probabilities(split.pixels).argmax(1).tolist()
        z = part.select("z_0", "z_1", "z_2").cast(pl.Float32).to_numpy()
        np.testing.assert_array_equal(z, model.transform(split.pixels))  # float32 values are written with all digits


def test_history_and_scores(run: Path) -> None:
    history = pl.read_csv(run / "history.csv")
    assert history["epoch"].to_list() == [1, 2]
    assert {"reconstruction", "kl_z", "kl_c", "loss", "validation_loss", "seconds"} <= set(history.columns)
    metrics = read(run / "metrics.json")
    bound = metrics["bound"]
    assert isinstance(bound, dict)
    assert bound["parts"].keys() == {"reconstruction", "kl_z", "kl_c"}
    assert bound["nelbo"] == pytest.approx(sum(bound["parts"].values()))
    assert metrics["validation_loss"]["value"] == pytest.approx(history["validation_loss"].min())  # type: ignore[index]
    categories = metrics["categories"]
    assert isinstance(categories, dict)
    assert 0 <= categories["mutual_information"] <= math.log(4)
    assert 0 < categories["hungarian_accuracy"] <= categories["majority_accuracy"] < 1
    assert isinstance(metrics["collapse"], list)


def test_a_collapsed_fit_says_so_and_what_to_do(warm: Warm, tmp_path: Path) -> None:
    options = ("--variant", "indqp", "--categories", "3", *QUICK, "--out", "run", "--quiet")
    done = warm(*FIT, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (line,) = [one for one in done.stdout.splitlines() if one.startswith("sign of collapse: the categories")]
    assert "use cp-vae, indq or vmi-c" in line
    done = warm("images", "evaluate", "run", "--importance", "2", cwd=tmp_path)
    assert "sign of collapse: the categories" in done.stdout
    assert "B1  I(z; x)" in done.stdout
    assert "I(z; c), in B1 and not in C1" in done.stdout
    compared = ("images", "compare", "--variants", "indqp", "--categories", "3", *QUICK, "--importance", "2")
    done = warm(*compared, cwd=tmp_path)
    assert "indqp: 1 of 1 fits with signs of collapse; seed 0: the categories" in done.stdout


def test_pictures_have_the_expected_size(run: Path, digits: ImageData) -> None:
    q_c = load_model(run).model.category_probabilities(digits.train.pixels).mean(0)
    heights = {name: png_size(run / "pictures" / name)[1] for name in PNG}
    one_row = heights["labels.png"] / 10
    assert one_row > TILE
    assert heights["categories.png"] == pytest.approx((q_c > 1 / 4).sum() * one_row, abs=2 * 12)
    assert heights["samples.png"] > 8 * TILE
    assert heights["reconstructions.png"] > 4 * TILE  # twenty pairs, ten per row


def test_vectors_have_a_histogram(plain: Path) -> None:
    run = plain / "runs" / "points-vae"
    assert [path.name for path in (run / "pictures").iterdir()] == ["histogram.png"]
    png_size(run / "pictures" / "histogram.png")
    assert pl.read_csv(run / "codes.csv").columns == ["image", "split", "z_0", "z_1", "z_2"]
    record = read(run / "run.json")
    assert record["data"]["source"] == str(plain / "points.npz")  # type: ignore[index]
    assert read(run / "metrics.json")["categories"] is None


def test_labels_may_be_missing_in_the_test_set(warm: Warm, tmp_path: Path) -> None:
    """An archive has labels for training only; every image still gets a category."""
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "some.npz",
        x_train=rng.random((30, 4, 4)), y_train=rng.integers(3, size=30), x_test=rng.random((8, 4, 4)),
    )  # fmt: skip
    done = warm(*FIT, "--data", "some.npz", "--variant", "indqp", "--categories", "2", *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "runs" / "some-indqp"
    table = pl.read_csv(run / "codes.csv")
    assert table["label"].null_count() == 8
    assert table.filter(pl.col("label").is_null())["split"].unique().to_list() == ["test"]
    assert table["category"].null_count() == 0
    assert (run / "pictures" / "labels.png").exists()


def test_a_variant_without_a_bound_prints_its_other_scores(warm: Warm, tmp_path: Path) -> None:
    done = warm(*FIT, "--variant", "wae-mmd", *QUICK, "--out", "run", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "NELBO" not in done.stdout
    assert "squared error" in done.stdout
    assert read(tmp_path / "run" / "metrics.json")["bound"] is None
    done = warm("images", "evaluate", "run", "--importance", "2", "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["bound"] is None
    assert warm("images", "evaluate", "run", "--importance", "2", cwd=tmp_path).returncode == 0


def test_a_variant_without_an_encoder_has_samples_alone(warm: Warm, tmp_path: Path) -> None:
    done = warm(*FIT, "--variant", "wgan-gp", *QUICK, "--out", "run", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("samples: Frechet distance squared ")
    assert not (tmp_path / "run" / "codes.csv").exists()
    assert [path.name for path in (tmp_path / "run" / "pictures").iterdir()] == ["samples.png"]
    metrics = read(tmp_path / "run" / "metrics.json")
    assert [metrics[name] for name in ("bound", "squared_error", "active_units", "categories")] == [None] * 4
    assert warm("images", "sample", "run", "-n", "4", cwd=tmp_path).returncode == 0
    assert warm("images", "traverse", "run", "--dims", "0", cwd=tmp_path).returncode == 0
    done = warm("images", "evaluate", "run", cwd=tmp_path)
    assert done.returncode == 0
    assert "no encoder: no codes, no reconstructions and no bound" in done.stdout
    assert "sliced W2 squared" in done.stdout
    for command in (("reconstruct", "run"), ("traverse", "run", "--dims", "0", "--image", "3", "--out", "other")):
        done = warm("images", *command, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith("topicnet: this model has no encoder, so images have no codes"), done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "run-samples", "run-traversals"]


def test_an_existing_run_is_left_unchanged(run: Path, warm: Warm, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    before = snapshot(tmp_path)
    done = warm(*FIT, *QUICK, "--out", "run", cwd=tmp_path)
    assert_refused(done, "'run' exists already", "--overwrite")
    assert_refused(warm(*FIT, *CP, *SMALL, "--out", "run", "--resume", cwd=tmp_path), "'run' is complete")
    assert_refused(warm(*FIT, "--out", "nowhere", "--resume", cwd=tmp_path), "there is no run in 'nowhere'")
    assert snapshot(tmp_path) == before
    assert warm(*FIT, *QUICK, "--out", "run", "--overwrite", cwd=tmp_path).returncode == 0
    assert read(tmp_path / "run" / "run.json")["config"]["variant"] == "vae"  # type: ignore[index]


def test_the_command_line_overrides_a_file_of_options(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "variant: beta-tcvae\nhidden_dim: 12\nlatent_dim: 3\nepochs: 1\nlearning_rate: 5e-4\nseed: 9\n"
        "parameters: {beta: 3, tc_estimator: mws}\nexperiment: {data: [digits], published: {nelbo: 1}}\n"
    )
    done = warm(*FIT, "--config", "mine.yaml", "--seed", "4", "--param", "beta=8", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = read(tmp_path / "runs" / "digits-beta-tcvae" / "run.json")
    config = record["config"]
    assert isinstance(config, dict)
    assert (config["seed"], config["learning_rate"], config["epochs"]) == (4, 5e-4, 1)
    assert config["parameters"] == {"beta": 8, "tc_estimator": "mws"}
    assert record["parameters"] == {"alpha": 1, "beta": 8, "gamma": 1, "tc_estimator": "mws"}
    assert "experiment" not in config


def test_categories_are_configured_by_a_file_and_on_the_command_line(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "variant: indp\nhidden_dim: 12\nlatent_dim: 3\nepochs: 4\nwarm_up: 0.5\nestimator: straight-through\n"
        "parameters: {head: linear, temperature: 1.0, temperature_end: 0.5}\n"
    )
    options = ("--estimator", "enumerate", "--warm-up", "0.25", "--param", "temperature_end=0.25")
    done = warm(*FIT, "--config", "mine.yaml", *options, "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "runs" / "digits-indp"
    record, history = read(run / "run.json"), pl.read_csv(run / "history.csv")
    config = record["config"]
    assert isinstance(config, dict)
    assert (config["estimator"], config["warm_up"]) == ("enumerate", 0.25)
    assert record["parameters"] == {"head": "linear", "temperature": 1.0, "temperature_end": 0.25}
    assert history["temperature"].to_list() == pytest.approx([1.0, 0.5, 0.25, 0.25])


# ---------------------------------------------------------------- pictures and scores of a run


def test_samples(run: Path, warm: Warm, tmp_path: Path) -> None:
    done = warm("images", "sample", run, "-n", "9", "--category", "2", "--out", "here", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "wrote here/samples.png\nwrote here/samples.csv\n"
    width, height = png_size(tmp_path / "here" / "samples.png")
    assert width == height
    table = pl.read_csv(tmp_path / "here" / "samples.csv")
    assert table.shape == (9, 64)
    expected = load_model(run).model.sample(9, category=2)
    np.testing.assert_array_equal(table.cast(pl.Float32).to_numpy(), expected)
    shown = warm("images", "sample", run, "-n", "9", "--category", "2", "--json", cwd=tmp_path)
    recorded = json.loads(shown.stdout)
    np.testing.assert_array_equal(np.array(recorded["samples"], dtype=np.float32), expected)
    assert (recorded["n"], recorded["category"], recorded["label"], recorded["shape"]) == (9, 2, None, [8, 8])
    other = json.loads(warm("images", "sample", run, "-n", "9", "--seed", "1", "--json", cwd=tmp_path).stdout)
    assert other["samples"] != recorded["samples"]
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
    before = snapshot(tmp_path)
    assert_refused(warm("images", "sample", run, "--out", "here", cwd=tmp_path), "exists already", "--overwrite")
    assert snapshot(tmp_path) == before
    assert warm("images", "sample", run, "--out", "here", "--overwrite", cwd=tmp_path).returncode == 0


def test_galleries_of_categories_and_labels(run: Path, warm: Warm, tmp_path: Path) -> None:
    """Unless a category is named, each category in use and each label is drawn, as by the fit."""
    done = warm("images", "sample", run, "--out", "here", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    names = ("samples.png", "samples.csv", "categories.png", "labels.png")
    assert done.stdout == "".join(f"wrote here/{name}\n" for name in names)
    for name in ("categories.png", "labels.png"):
        assert (tmp_path / "here" / name).read_bytes() == (run / "pictures" / name).read_bytes()
    assert warm("images", "sample", run, "--seed", "7", "--out", "other", cwd=tmp_path).returncode == 0
    assert (tmp_path / "other" / "labels.png").read_bytes() != (run / "pictures" / "labels.png").read_bytes()
    table = pl.read_csv(run / "categories.csv")
    assert table.columns == ["category", "q_c", *(f"label_{label}" for label in range(10))]
    assert table.height == 4
    of_label = warm("images", "sample", run, "-n", "4", "--label", "7", "--out", "seven", cwd=tmp_path)
    assert of_label.stdout == "wrote seven/samples.png\nwrote seven/samples.csv\n"
    shutil.copytree(run, tmp_path / "older")
    (tmp_path / "older" / "categories.csv").unlink()
    plain = warm("images", "sample", "older", "-n", "4", cwd=tmp_path)
    assert (plain.returncode, plain.stdout.count("wrote")) == (0, 2)


def test_a_rarely_used_category_is_reported(run: Path, warm: Warm, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "categories.csv").write_text("category,q_c\n0,0.5\n1,0.5\n2,0\n3,0\n")
    done = warm("images", "sample", "run", "-n", "4", "--category", "2", cwd=tmp_path)
    assert done.returncode == 0
    assert "category 2 is hardly used" in done.stderr
    assert warm("images", "sample", "run", "-n", "4", "--category", "1", "--out", "b", cwd=tmp_path).stderr == ""


def test_pictures_are_written_next_to_the_run(run: Path, warm: Warm, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    before = snapshot(tmp_path / "run")
    for arguments in (("sample", "run"), ("reconstruct", "run", "-n", "5"), ("traverse", "run", "--dims", "2,0")):
        done = warm("images", *arguments, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
    found = {path.parent.name: png_size(path) for path in sorted(tmp_path.glob("run-*/*.png"))}
    assert found.keys() == {"run-samples", "run-reconstructions", "run-traversals"}
    assert 2 * TILE < found["run-reconstructions"][1] < 3 * TILE
    assert 2 * TILE < found["run-traversals"][1] < 3 * TILE
    assert found["run-traversals"][0] > 9 * TILE
    assert snapshot(tmp_path / "run") == before


def test_a_traversal_of_an_image(run: Path, warm: Warm, tmp_path: Path) -> None:
    arguments = ("--dims", "0", "--image", "396", "--category", "3", "--steps", "4", "--span", "1.5", "--out", "t")
    done = warm("images", "traverse", run, *arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "wrote t/traversal.png\ncategory 3 is held\n"
    assert 4 * TILE < png_size(tmp_path / "t" / "traversal.png")[0] < 7 * TILE


def test_vectors_are_drawn_as_charts(plain: Path, warm: Warm, tmp_path: Path) -> None:
    run = shutil.copytree(plain / "runs" / "points-vae", tmp_path / "run")
    for arguments in (("sample", run, "-n", "50"), ("reconstruct", run), ("traverse", run, "--dims", "0,1")):
        done = warm("images", *arguments, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
    names = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("run-*/*.png"))
    assert names == [
        "run-reconstructions/histogram.png", "run-samples/histogram.png", "run-traversals/traversal.png",
    ]  # fmt: skip


def test_an_evaluation_is_printed_and_written_to_a_file(run: Path, warm: Warm, tmp_path: Path) -> None:
    asked = ("images", "evaluate", run, "--importance", "3", "--device", "cpu")
    done = warm(*asked, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("NELBO", "NLL by importance weighting", "I(c; x)", "one-to-one accuracy", "label 9:", "Frechet"):
        assert word in done.stdout
    assert list(tmp_path.iterdir()) == []
    as_json = warm(*asked, "--json", "--out", "found.json", cwd=tmp_path)
    found = json.loads(as_json.stdout)
    assert found == read(tmp_path / "found.json")
    assert found["bound"]["n_importance"] == 3
    assert f"{found['bound']['nelbo']:.3f}" in done.stdout
    before = snapshot(tmp_path)
    assert_refused(warm(*asked, "--out", "found.json", cwd=tmp_path), "'found.json' exists already", "--overwrite")
    assert snapshot(tmp_path) == before


def test_information_is_measured_during_a_fit_and_drawn_for_several(warm: Warm, tmp_path: Path) -> None:
    asked = (*FIT, "--variant", "vmi-c", *SMALL, "--epochs", "3", "--information-every", "2", "--quiet")
    assert warm(*asked, "--out", "with", cwd=tmp_path).returncode == 0
    assert warm(*asked, "--param", "lambda=0", "--out", "without", cwd=tmp_path).returncode == 0
    history = pl.read_csv(tmp_path / "with" / "history.csv")
    assert [value is not None for value in history["information"].fill_nan(None)] == [False, True, True]
    last = history.row(2, named=True)
    assert 0 <= last["information_low"] <= last["information"] <= last["information_high"] <= last["code_entropy"]
    png_size(tmp_path / "with" / "pictures" / "information.png")
    again = load_model(tmp_path / "with").model.history_
    assert again[2]["information"] == last["information"]
    assert math.isnan(again[0]["information"])
    before = snapshot(tmp_path / "with")
    done = warm("images", "information", "without", "with", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "without: vmi-c, lambda = 0: " in done.stdout
    assert f"with: vmi-c, lambda = 5: {last['information']:.3f} nats" in done.stdout
    table = pl.read_csv(tmp_path / "without-information" / "information.csv")
    assert table["epoch"].to_list() == [2, 3, 2, 3]
    assert png_size(tmp_path / "without-information" / "information.png")[0] > 640
    assert snapshot(tmp_path / "with") == before
    assert_refused(warm("images", "information", "without", cwd=tmp_path), "exists already", "--overwrite")
    assert (
        warm("images", "information", "with", "--out", "without-information", "--overwrite", cwd=tmp_path).returncode
        == 0
    )


@pytest.mark.slow
def test_information_of_a_run_is_printed(run: Path, warm: Warm, tmp_path: Path) -> None:
    asked = ("images", "evaluate", run, "--importance", "1", "--information")
    done = warm(*asked, "--components", "0,2", "--from-prior", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "information of drawn images about z_0 and z_2 from the prior, nats" in done.stdout
    found = json.loads(warm(*asked, "--mean-image", "--json", cwd=tmp_path).stdout)["information"]
    assert (found["of"], found["image"], found["drawn_from"]) == ("c", "mean", "posterior")


def test_other_images_are_evaluated_only_with_data(plain: Path, warm: Warm, tmp_path: Path) -> None:
    shutil.copytree(plain, tmp_path, dirs_exist_ok=True)
    run = "runs/points-vae"
    record = read(tmp_path / run / "run.json")
    record["data"]["source"] = str(tmp_path / "points.npz")  # type: ignore[index]
    (tmp_path / run / "run.json").write_text(json.dumps(record))
    asked = ("images", "evaluate", run, "--importance", "2", "--json")
    assert warm(*asked, cwd=tmp_path).returncode == 0
    np.savez(tmp_path / "points.npz", x=np.random.default_rng(1).random((50, 1)))
    for command in (asked, ("images", "reconstruct", run), ("images", "traverse", run, "--dims", "0", "--image", "0")):
        assert_refused(warm(*command, cwd=tmp_path), "has changed since the fit", "--data")
    done = warm(*asked, "--data", "points.npz", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["data"]["n_images"] == 5
    assert_refused(warm(*asked, "--data", "digits", cwd=tmp_path), "64 pixels", "expected 1 as in the fit: give images")
    (tmp_path / "points.npz").unlink()
    assert_refused(warm(*asked, cwd=tmp_path), "there is no", "points.npz")


def test_variants_are_listed(warm: Warm, tmp_path: Path) -> None:
    done = warm("images", "variants", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "beta=6" in done.stdout
    listed = json.loads(warm("images", "variants", "--json", cwd=tmp_path).stdout)["variants"]
    assert [one["name"] for one in listed if one["name"] in done.stdout] == [one["name"] for one in listed]
    with_categories = {one["name"] for one in listed if one["categories"]}
    assert with_categories == {"cp-vae", "indq", "indp", "indqp", "joint-vae", "vade", "gmvae", "vmi-c"}
    assert next(one for one in listed if one["name"] == "beta-vae")["parameters"] == {"beta": 4.0}


def test_a_comparison(warm: Warm, tmp_path: Path) -> None:
    asked = ("images", "compare", "--variants", "beta-vae,cp-vae,wae-mmd", "--categories", "3", "--param", "beta=2")
    asked = (*asked, *QUICK, "--seeds", "2", "--importance", "2")
    done = warm(*asked, "--out", "table", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("beta-vae", "cp-vae", "wae-mmd", "NELBO", "KL_c", "NLL", "I(c;x)", "accuracy", "±", "wrote table"):
        assert word in done.stdout
    table = pl.read_csv(tmp_path / "table" / "compare.csv")
    assert table["variant"].to_list() == ["beta-vae", "cp-vae", "wae-mmd"]
    assert table["fits"].to_list() == [2, 2, 2]
    assert [value is None for value in table["nelbo"]] == [False, False, True]
    assert [value is None for value in table["accuracy"]] == [True, False, True]
    record = read(tmp_path / "table" / "compare.json")
    assert record["status"] == "complete"
    fits = record["fits"]
    assert isinstance(fits, list)
    assert [(fit["variant"], fit["seed"]) for fit in fits[2:4]] == [("wae-mmd", 0), ("beta-vae", 1)]
    for fit in fits:
        if fit["evaluation"]["bound"] is not None:
            parts = fit["evaluation"]["bound"]["parts"]
            assert fit["evaluation"]["bound"]["nelbo"] == pytest.approx(sum(parts.values()))
    assert_refused(warm(*asked, "--out", "table", cwd=tmp_path), "exists already", "--overwrite")


@pytest.mark.slow
def test_a_comparison_as_json(warm: Warm, tmp_path: Path) -> None:
    asked = ("images", "compare", "--variants", "dip-vae-i", *QUICK, "--importance", "1", "--json")
    done = warm(*asked, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [row["variant"] for row in json.loads(done.stdout)["table"]] == ["dip-vae-i"]
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- invalid input


def idx(n: int, cut: int = 0) -> bytes:
    """Return an idx file of n images of 4 x 4, without its last bytes."""
    content = struct.pack(">IIII", 0x803, n, 4, 4) + bytes(range(16)) * n
    return content[: len(content) - cut]


def png(size: int) -> Image.Image:
    return Image.new("L", (size, size), 128)


@pytest.fixture(scope="module")
def wrong(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of invalid data and runs."""
    folder = tmp_path_factory.mktemp("wrong")
    (folder / "cut-idx3-ubyte").write_bytes(idx(20, cut=5))
    (folder / "cut-idx3-ubyte.gz").write_bytes(gzip.compress(idx(20))[:-9])
    (folder / "few-idx3-ubyte").write_bytes(idx(3))
    np.savez(folder / "nan.npz", x=np.full((20, 4), np.nan))
    np.savez(folder / "levels.npz", x=np.full((20, 4), 200.0))
    np.savez(folder / "odd.npz", pictures=np.zeros((20, 4)))
    (folder / "cut.npz").write_bytes((folder / "nan.npz").read_bytes()[:200])
    (folder / "hollow").mkdir()
    (folder / "album").mkdir()
    for i in range(12):
        png(4).save(folder / "album" / f"{i:02}.png")
    (folder / "album" / "07.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"?" * 40)
    (folder / "sizes").mkdir()
    for i in range(12):
        png(4 + i // 11).save(folder / "sizes" / f"{i:02}.png")
    (folder / "notes.txt").write_text("no images")
    shutil.copytree(run, folder / "run")
    damaged = shutil.copytree(run, folder / "damaged")
    tensors = (damaged / "model" / "model.safetensors").read_bytes()
    (damaged / "model" / "model.safetensors").write_bytes(tensors[:-1] + bytes([tensors[-1] ^ 1]))
    newer = shutil.copytree(run, folder / "newer")
    header = read(newer / "model" / "model.json")
    (newer / "model" / "model.json").write_text(json.dumps(header | {"format": 7}))
    bare = shutil.copytree(run, folder / "bare")
    (bare / "run.json").unlink()
    for name, content in (("unknown", "variante: vae"), ("kind", "patience: many"), ("unsafe", "x: !!python/name:os")):
        (folder / f"{name}.yaml").write_text(content)
    return folder


DATA = {
    "nonsense": ["there is no 'nonsense'", "digits, bimodal"],
    "cut-idx3-ubyte": ["ends after"],
    "cut-idx3-ubyte.gz": ["cut-idx3-ubyte.gz"],
    "few-idx3-ubyte": ["3 images"],
    "nan.npz": ["nan in image 0"],
    "levels.npz": ["Divide by 255"],
    "odd.npz": ["'pictures'", "x_train"],
    "cut.npz": ["damaged or cut off"],
    "hollow": ["is empty"],
    "album": ["07.png"],
    "sizes": ["5 x 5", "4 x 4"],
    "notes.txt": ["notes.txt"],
    "": ["there is no ''"],
}
OPTIONS = {
    "variant": (["--variant", "nonsense"], ["'nonsense'", "expected one of vae, beta-vae"]),
    "categories of a variant without them": (["--categories", "5"], ["5 categories given for vae", "cp-vae, indq"]),
    "categories for a prior": (["--variant", "mog", "--categories", "5"], ["components=K"]),
    "too many categories": ([*CP, "--categories", "70000"], ["categories=70000", "from 1 to 65536"]),
    "categories in words": ([*CP, "--categories", "ten"], ["ten"]),
    "likelihood": (["--likelihood", "poisson"], ["poisson", "bernoulli"]),
    "estimator": ([*CP, "--estimator", "reinforce"], ["gumbel, straight-through, enumerate"]),
    "warm-up beyond the run": (["--warm-up", "1.5"], ["warm_up=1.5", "a fraction of the run between 0 and 1"]),
    "warm-up in words": (["--warm-up", "long"], ["'long'", "epochs such as 10"]),
    "temperature": ([*CP, "--param", "temperature=0"], ["temperature=0", "a number above 0"]),
    "head": ([*CP, "--param", "head=deep"], ["head='deep'", "gated or linear"]),
    "unknown parameter": (["--param", "beta=2"], ["'beta'", "it has none"]),
    "parameter out of range": (["--variant", "beta-vae", "--param", "beta=-1"], ["beta=-1"]),
    "parameter of a wrong kind": (["--variant", "beta-vae", "--param", "beta=much"], ["beta='much'"]),
    "parameter without value": (["--param", "beta"], ["--param beta"]),
    "no epochs": (["--epochs", "0"], ["max_epochs=0"]),
    "rate nan": (["--learning-rate", "nan"], ["learning_rate=nan"]),
    "no room": (["--hidden-dim", "100000000000"], ["more memory than there is", "--hidden-dim"]),
    "seed": (["--seed", "-1"], ["seed=-1"]),
    "device": (["--device", "tpu"], ["tpu"]),
    "cuda": (["--device", "cuda"], ["auto or cpu"]),
    "option": (["--latents", "5"], ["--latents"]),
    "argument": (["digits"], ["digits"]),
    "config": (["--config", "none.yaml"], ["none.yaml"]),
    "unknown entry": (["--config", "unknown.yaml"], ["'variante'", "expected one of: variant, data, categories"]),
    "entry of a wrong kind": (["--config", "kind.yaml"], ["patience='many'", "a whole number"]),
    "unsafe tag": (["--config", "unsafe.yaml"], ["not YAML"]),
    "out below a file": (["--out", "notes.txt/run"], ["cannot write"]),
    "out that cannot be created": (["--out", "/proc/no/run"], ["cannot write '/proc/no/run'"]),
    "out that topicnet did not write": (["--out", "album", "--overwrite"], ["album': it was not created by topicnet"]),
}
RUNS = {
    "sample of nothing": (["sample", "nowhere"], ["no image model in 'nowhere'", "topicnet images fit"]),
    "sample of a folder": (["sample", "hollow"], ["no image model in 'hollow'"]),
    "sample of a damaged model": (["sample", "damaged"], ["checksum of model.safetensors differs"]),
    "sample of a newer model": (["sample", "newer"], ["format 7", "update topicnet"]),
    "sample without record": (["sample", "bare"], ["run.json in 'bare' cannot be read"]),
    "no samples": (["sample", "run", "-n", "0"], ["-n"]),
    "sample of a category": (["sample", "run", "--category", "4"], ["category 4 given", "from 0 to 3"]),
    "sample of a label": (["sample", "run", "--label", "12"], ["label 12 given", "0, 1, 2"]),
    "sample of both": (["sample", "run", "--label", "1", "--category", "1"], ["category 1 and label 1", "one of them"]),
    "sample to nowhere": (["sample", "run", "--out", "notes.txt/here"], ["cannot write"]),
    "too many samples for a picture": (["sample", "run", "-n", "50000"], ["show less"]),
    "traverse without dimensions": (["traverse", "run"], ["--dims"]),
    "traverse a missing dimension": (["traverse", "run", "--dims", "0,3"], ["no dimension 3", "0 to 2"]),
    "traverse a dimension below 0": (["traverse", "run", "--dims", "-1"], ["numbers of dimensions"]),
    "traverse a dimension twice": (["traverse", "run", "--dims", "1,1"], ["names 1 more than once"]),
    "traverse words": (["traverse", "run", "--dims", "first"], ["'first'", "0,1"]),
    "traverse nothing": (["traverse", "run", "--dims", ""], ["''"]),
    "traverse a missing image": (["traverse", "run", "--dims", "0", "--image", "397"], ["from 0 to 396"]),
    "traverse an image below 0": (["traverse", "run", "--dims", "0", "--image", "-1"], ["--image -1"]),
    "traverse no span": (["traverse", "run", "--dims", "0", "--span", "nan"], ["--span=nan"]),
    "traverse one step": (["traverse", "run", "--dims", "0", "--steps", "1"], ["--steps=1"]),
    "evaluate without draws": (["evaluate", "run", "--importance", "0"], ["--importance"]),
    "evaluate on nothing": (["evaluate", "run", "--data", "nonsense"], ["'nonsense'"]),
    "evaluate on a device": (["evaluate", "run", "--device", "tpu"], ["tpu"]),
    "evaluate to a folder": (["evaluate", "run", "--importance", "1", "--out", "hollow"], ["'hollow'"]),
    "components without information": (
        ["evaluate", "run", "--components", "0"],
        ["--components given without --information"],
    ),
    "the prior without information": (["evaluate", "run", "--from-prior"], ["--from-prior given without"]),
    "information about a word": (["evaluate", "run", "--information", "--components", "x"], ["'x'", "or c, or z"]),
    "information about too much": (
        ["evaluate", "run", "--information", "--components", "1,3"],
        ["expected dimensions of z from 0 to 2"],
    ),
    "information that was not measured": (["information", "run"], ["'run'", "--information-every"]),
    "information of no run": (["information", "hollow"], ["'hollow'"]),
    "compare nothing": (["compare", "--variants", ","], ["no variants given"]),
    "compare unknown": (["compare", "--variants", "vae,nonsense"], ["'nonsense'"]),
    "compare categories of a variant without them": (
        ["compare", "--variants", "vae,hvae", "--categories", "3"],
        ["3 categories given"],
    ),
    "compare parameters of a variant without them": (
        ["compare", "--variants", "vae,hvae", "--param", "beta=3"],
        ["'beta'"],
    ),
    "compare to a file": (["compare", "--variants", "vae", "--out", "notes.txt"], ["notes.txt"]),
    "unknown command": (["frobnicate"], ["frobnicate"]),
}


@pytest.mark.parametrize("source", DATA)
def test_invalid_data_are_refused(source: str, wrong: Path, warm: Warm) -> None:
    before = snapshot(wrong)
    assert_refused(warm(*FIT, *QUICK, "--data", source, cwd=wrong), *DATA[source])
    assert snapshot(wrong) == before


@pytest.mark.parametrize("case", OPTIONS)
def test_invalid_options_are_refused(case: str, wrong: Path, warm: Warm) -> None:
    arguments, mentions = OPTIONS[case]
    before = snapshot(wrong)
    assert_refused(warm(*FIT, *QUICK, *arguments, cwd=wrong), *mentions)
    assert snapshot(wrong) == before


@pytest.mark.parametrize("case", RUNS)
def test_invalid_runs_are_refused(case: str, wrong: Path, warm: Warm) -> None:
    arguments, mentions = RUNS[case]
    before = snapshot(wrong)
    assert_refused(warm("images", *arguments, cwd=wrong), *mentions)
    assert snapshot(wrong) == before


def test_categories_are_refused_for_a_run_without_them(plain: Path, warm: Warm) -> None:
    done = warm("images", "sample", "runs/points-vae", "--category", "0", cwd=plain)
    assert_refused(done, "category 0 given for a run of vae, which has none", "cp-vae, indq, indp, indqp")


def test_a_run_of_topics_is_refused(run: Path, themed_run: Path, warm: Warm, tmp_path: Path) -> None:
    for command in ("sample", "reconstruct", "evaluate"):
        assert_refused(warm("images", command, themed_run, cwd=tmp_path), "is a topic model of `topicnet fit`")
    assert_refused(warm("topics", run, cwd=tmp_path), "holds an image model")


def test_without_matplotlib_charts_are_left_out_or_refused(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("matplotlib", *(name for name in sys.modules if name.startswith("matplotlib."))):
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    done = run_here(*FIT, *CP, *QUICK, "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    left_out = "some pictures were not drawn: a chart needs matplotlib, which is not installed: pip install"
    assert done.stderr == f"{left_out} 'topicnet-neural[plots]'\n"
    assert {path.name for path in (tmp_path / "run" / "pictures").iterdir()} == {*PNG} - {"q_c.png"}
    asked = ("images", "sample", plain / "runs" / "points-vae", "--out", "here")
    assert_refused(run_here(*asked, cwd=tmp_path), "a chart needs matplotlib", "pip install 'topicnet-neural[plots]'")
    assert not (tmp_path / "here").exists()


def test_a_disk_that_refuses_to_write(warm: Warm, tmp_path: Path) -> None:
    done = warm(*FIT, *QUICK, "--out", "run", cwd=tmp_path, file_limit=4_000)
    assert_refused(done, "cannot write", "free some space")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_fresh_process_refuses_in_the_same_way(topicnet: Topicnet, tmp_path: Path) -> None:
    assert_refused(topicnet(*FIT, "--variant", "nonsense"), "'nonsense' given, expected one of vae, beta-vae")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- Ctrl-C and kill -9

LONG = (*FIT, *CP, *SMALL, "--epochs", "40", "--batch-size", "300", "--patience", "1000", "--out")
ALWAYS = {"TOPICNET_CHECKPOINT_SECONDS": "0"}
SAVED = "run.unfinished/checkpoints/checkpoint-*"


def contents(run: Path) -> dict[str, object]:
    """Return the parts of a run that must not depend on interruptions."""
    found = snapshot(run)
    for name in ("run.json", "model/model.json", "history.csv"):  # contain times
        del found[name]
    header = read(run / "model" / "model.json")
    record = read(run / "run.json")
    history = pl.read_csv(run / "history.csv").drop("seconds").rows()
    kept = {name: record[name] for name in ("status", "fit", "data", "config")}
    return {"files": found, "history": repr(history), "ending": header["ending"], "record": kept}


@pytest.fixture(scope="module")
def whole(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    done = warm(*LONG, "run", "--quiet", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.mark.slow
def test_an_interrupted_fit_keeps_the_best_weights_and_resumes_to_the_same_result(
    whole: Path, warm: Warm, tmp_path: Path
) -> None:
    with start(*LONG, "run", cwd=tmp_path) as process:
        wait_for(process, "training 1/")
        process.send_signal(signal.SIGINT)
        out, message = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, message
    assert "Traceback" not in message
    assert message.splitlines()[-1].startswith("topicnet: interrupted; the best weights so far were saved")
    assert out.endswith("wrote run\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "run.unfinished"]
    assert read(tmp_path / "run" / "run.json")["status"] == "interrupted"
    assert warm("images", "sample", "run", "-n", "4", "--json", cwd=tmp_path).returncode == 0
    before = snapshot(tmp_path)
    assert_refused(warm(*LONG, "run", cwd=tmp_path), "an unfinished fit of 'run' exists", "--resume", "--overwrite")
    assert_refused(warm(*LONG, "run", "--seed", "1", "--resume", cwd=tmp_path), "seed=1", "has 0")
    assert snapshot(tmp_path) == before
    done = warm(*LONG, "run", "--resume", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "run") == contents(whole)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_killed_fit_resumes_to_the_same_result(whole: Path, warm: Warm, tmp_path: Path) -> None:
    for again, step in (((), 2), (("--resume",), 9)):
        done = warm(*LONG, "run", *again, cwd=tmp_path, env=ALWAYS, kill_when=f"{SAVED[:-1]}{step:06}")
        assert done.returncode == -9
        assert [path.name for path in tmp_path.iterdir()] == ["run.unfinished"]
    assert_refused(warm(*LONG, "run", cwd=tmp_path), "an unfinished fit of 'run' exists")
    done = warm(*LONG, "run", "--resume", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "run") == contents(whole)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_fit_is_not_resumed_with_other_images(warm: Warm, tmp_path: Path) -> None:
    np.savez(tmp_path / "images.npz", x=np.random.default_rng(0).random((40, 4, 4)))
    fit = (*FIT, *SMALL, "--data", "images.npz", "--epochs", "50", "--batch-size", "4", "--out", "run")
    assert warm(*fit, cwd=tmp_path, env=ALWAYS, kill_when=f"{SAVED[:-1]}000003").returncode == -9
    np.savez(tmp_path / "images.npz", x=np.random.default_rng(1).random((40, 4, 4)))
    assert_refused(warm(*fit, "--quiet", "--resume", cwd=tmp_path), "the images differ from those of 'run'")


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["vade", "factor-vae", "aae", "vmi-c", "vmi-z", "hvp"])
def test_other_variants_resume_to_the_same_result_after_a_kill(variant: str, warm: Warm, tmp_path: Path) -> None:
    fit = (*FIT, "--variant", variant, *SMALL, "--epochs", "8", "--batch-size", "300", "--out")
    for again, step in (((), 4), (("--resume",), 17)):
        done = warm(*fit, "run", *again, cwd=tmp_path, env=ALWAYS, kill_when=f"{SAVED[:-1]}{step:06}")
        assert done.returncode == -9
    assert warm(*fit, "run", "--resume", cwd=tmp_path).returncode == 0
    assert warm(*fit, "whole", cwd=tmp_path).returncode == 0
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


@pytest.mark.slow  # tests/images/test_comparison.py tests its parts quickly
def test_an_interrupted_comparison_shows_the_finished_fits(tmp_path: Path) -> None:
    asked = ("images", "compare", "--variants", "vae,wae-mmd", *SMALL, "--epochs", "400", "--patience", "1000")
    with start(*asked, "--importance", "1", "--out", "table", cwd=tmp_path) as process:
        wait_for(process, "wae-mmd, seed 0")
        wait_for(process, "training 1/")
        process.send_signal(signal.SIGINT)
        out, message = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, message
    assert "Traceback" not in message
    assert "vae" in out
    assert read(tmp_path / "table" / "compare.json")["status"] == "interrupted"
    table = pl.read_csv(tmp_path / "table" / "compare.csv")
    assert dict(zip(table["variant"], table["fits"], strict=True)) == {"vae": 1, "wae-mmd": 0}
