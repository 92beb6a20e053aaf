"""Saved image models: identical results for every variant; damaged, foreign and newer files are refused in one line."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from topicnet.errors import BundleError
from topicnet.images.data.load import load_images
from topicnet.images.model.estimator import ImageVAE
from topicnet.images.model.variants import VARIANTS
from topicnet.images.workflows.storage import SavedModel, load_model, save_model
from topicnet.storage import formats
from topicnet.storage.model_files import HEADER, TENSORS

FIXTURES = Path(__file__).parents[2] / "fixtures"
SHAPE = (8, 8)
N_IMAGES = 40


def small_model(variant: str = "vae", **options: object) -> ImageVAE:
    """A model of forty digits, trained for one epoch."""
    has_categories = VARIANTS[variant].has_categories
    settings = {
        "latent_dim": 3,
        "hidden_dim": 12,
        "max_epochs": 1,
        "batch_size": 20,
        "random_state": 0,
        "device": "cpu",
    }
    settings |= {"n_categories": 3 if has_categories else None} | options
    pixels = load_images("digits").train.pixels[:N_IMAGES]
    return ImageVAE(variant, **settings).fit(pixels)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder to copy and damage."""
    folder = tmp_path_factory.mktemp("saved") / "run" / "model"
    save_model(SavedModel(small_model("cp-vae"), SHAPE), folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of the model folder for one test."""
    return shutil.copytree(saved, tmp_path / "model")


def rewrite(folder: Path, **entries: object) -> None:
    """Change the header and its checksum, as a foreign program could."""
    header = json.loads((folder / HEADER).read_text())
    header.pop("checksum")
    header |= entries
    (folder / HEADER).write_text(json.dumps(header | {"checksum": formats.json_checksum(header)}))


def test_a_model_saved_before_information_could_be_measured_loads(tmp_path: Path) -> None:
    model, test = small_model("vmi-z"), load_images("digits").test.pixels[:30]
    save_model(SavedModel(model, SHAPE), tmp_path)
    parameters = json.loads((tmp_path / HEADER).read_text())["parameters"]
    assert parameters.pop("information_every") is None
    assert parameters.pop("architecture") == "dense"
    rewrite(tmp_path, parameters=parameters)
    again = load_model(tmp_path).model
    assert again.parameters_ == model.parameters_
    np.testing.assert_array_equal(again.reconstruct(test), model.reconstruct(test))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_loaded_model_gives_identical_results(variant: str, tmp_path: Path) -> None:
    model, test = small_model(variant), load_images("digits").test.pixels[:30]
    save_model(SavedModel(model, SHAPE), tmp_path)
    loaded = load_model(tmp_path)
    again = loaded.model
    assert loaded.shape == SHAPE
    assert again.get_params() == model.get_params()
    assert repr(again.history_) == repr(model.history_)
    assert (again.best_epoch_, repr(again.best_loss_), again.stopped_) == (
        model.best_epoch_, repr(model.best_loss_), model.stopped_,
    )  # fmt: skip
    if VARIANTS[variant].has_encoder:
        np.testing.assert_array_equal(again.transform(test), model.transform(test))
        np.testing.assert_array_equal(again.reconstruct(test), model.reconstruct(test))
    np.testing.assert_array_equal(again.sample(7, draw=True), model.sample(7, draw=True))
    if VARIANTS[variant].has_categories:
        np.testing.assert_array_equal(again.category_probabilities(test), model.category_probabilities(test))
        np.testing.assert_array_equal(again.sample(3, category=2), model.sample(3, category=2))
    if VARIANTS[variant].has_bound:
        assert again.score(test) == model.score(test)
    state = model.network_.state_dict()
    assert {name: value.dtype for name, value in again.network_.state_dict().items()} == {
        name: value.dtype for name, value in state.items()
    }


def test_parameters_of_any_type_are_restored(tmp_path: Path) -> None:
    """JSON has no infinity, numpy numbers or random states."""
    parameters = {"gamma": np.float64(7.5), "capacity_c": math.inf}
    model = small_model("joint-vae", parameters=parameters, hidden_dim=9, random_state=np.random.RandomState(0))
    save_model(SavedModel(model, None), tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.shape is None
    assert loaded.model.parameters == parameters
    assert loaded.model.parameters_ == model.parameters_
    assert loaded.model.random_state is None
    model = small_model("beta-tcvae", parameters={"tc_estimator": "mws", "beta": 2})
    save_model(SavedModel(model, None), tmp_path)
    assert load_model(tmp_path).model.parameters_ == model.parameters_


def test_a_run_folder_and_its_model_folder_load_the_same_model(saved: Path) -> None:
    assert load_model(saved.parent).model.get_params() == load_model(str(saved)).model.get_params()


def test_a_saved_model_is_two_files_without_executable_content(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == [HEADER, TENSORS]
    header = json.loads((saved / HEADER).read_text())
    assert header["format"] == 2
    assert header["shape"] == list(SHAPE)
    assert header["n_pixels"] == 64
    assert header["sha256"] == {TENSORS: formats.sha256(saved / TENSORS)}


def test_only_models_with_a_head_need_the_newer_format(tmp_path: Path) -> None:
    for variant, expected in (("vae", 1), ("indq", 1), ("indp", 2)):
        save_model(SavedModel(small_model(variant), SHAPE), tmp_path / variant)
        assert json.loads((tmp_path / variant / HEADER).read_text())["format"] == expected


def test_a_model_of_version_0_2_has_a_linear_head_and_gives_the_same_results() -> None:
    """Saved by 0.2.0, without the parameter: CP-VAE, 60 images of 4 x 4, K = 3, 5 epochs."""
    model = load_model(FIXTURES / "images-1-cp-vae").model
    expected = json.loads((FIXTURES / "images-1-cp-vae" / "expected.json").read_text())
    x = np.array(expected["images"])
    assert model.parameters_["head"] == "linear"
    np.testing.assert_allclose(model.transform(x), expected["codes"], rtol=1e-5)
    np.testing.assert_allclose(model.category_probabilities(x), expected["categories"], rtol=1e-5)
    assert model.score(x) == pytest.approx(expected["score"], rel=1e-5)


def test_a_model_of_version_0_2_is_saved_and_loaded_again(tmp_path: Path) -> None:
    old = load_model(FIXTURES / "images-1-cp-vae")
    save_model(old, tmp_path)
    again, x = load_model(tmp_path).model, np.random.default_rng(0).random((5, 16))
    assert again.get_params() == old.model.get_params()
    np.testing.assert_array_equal(again.transform(x), old.model.transform(x))


def test_a_loaded_model_can_be_fitted_again(saved: Path) -> None:
    model = load_model(saved).model
    pixels = load_images("digits").train.pixels[:N_IMAGES]
    np.testing.assert_array_equal(model.fit(pixels).transform(pixels), small_model("cp-vae").transform(pixels))


def test_every_damaged_byte_is_detected(saved: Path, tmp_path: Path) -> None:
    """A sample of all bytes: no change may go unnoticed."""
    rng = np.random.default_rng(0)
    for name in (HEADER, TENSORS):
        content = (saved / name).read_bytes()
        for place in rng.integers(len(content), size=25):
            damaged = bytearray(content)
            damaged[place] ^= 1 << int(rng.integers(8))
            folder = shutil.copytree(saved, tmp_path / "model", dirs_exist_ok=True)
            (folder / name).write_bytes(damaged)
            if same_content(folder, saved):  # white space between entries has no meaning
                assert load_model(folder).model.get_params() == load_model(saved).model.get_params()
            else:
                with pytest.raises(BundleError):
                    load_model(folder)


def same_content(folder: Path, other: Path) -> bool:
    """Return whether two model folders hold the same tensors and equivalent headers."""
    if formats.sha256(folder / TENSORS) != formats.sha256(other / TENSORS):
        return False
    try:
        return bool(json.loads((folder / HEADER).read_text()) == json.loads((other / HEADER).read_text()))
    except ValueError:
        return False


@pytest.mark.parametrize("name", [HEADER, TENSORS])
@pytest.mark.parametrize("length", [0, 1, 100])
def test_a_truncated_file_is_refused(name: str, length: int, folder: Path) -> None:
    (folder / name).write_bytes((folder / name).read_bytes()[:length])
    with pytest.raises(BundleError, match="damaged"):
        load_model(folder)


def test_missing_tensors_are_refused(folder: Path) -> None:
    (folder / TENSORS).unlink()
    with pytest.raises(BundleError, match=r"damaged \(model.safetensors cannot be read\): copy it again or fit again"):
        load_model(folder)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"format": 4}, "has format 4, this version of topicnet .* reads up to 3: update topicnet"),
        ({"kind": "sounds"}, "is not an image model of topicnet: expected a run folder of `topicnet images fit`"),
        ({"kind": None, "vocab_size": 5}, "is a topic model of `topicnet fit`: expected a run folder of"),
        ({"n_pixels": 65}, "the tensors do not fit the model"),
        ({"n_pixels": -3}, "damaged"),
        ({"n_pixels": "64"}, "lacks an entry"),
        ({"history": None}, "lacks an entry"),
        ({"history": [5]}, "damaged"),
        ({"ending": {}}, "damaged"),
        ({"shape": 5}, "damaged"),
        ({"parameters": {"variant": "nonsense"}}, "variant 'nonsense' given, expected one of vae"),
        ({"parameters": {"depth": 3}}, "damaged"),
        ({"parameters": {"parameters": [3]}}, "damaged"),
        ({"parameters": {}}, "the tensors do not fit the model"),
        ({"sha256": {}}, "the checksum of model.safetensors differs"),
    ],
)
def test_an_inconsistent_header_is_refused(entries: dict[str, object], message: str, folder: Path) -> None:
    rewrite(folder, **entries)
    with pytest.raises(BundleError, match=message) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[]", "5", "null", "[" * 100_000, '{"format": 1}', "\udc80"])
def test_an_invalid_header_is_refused(content: str, folder: Path) -> None:
    (folder / HEADER).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(BundleError, match=r"damaged|not an image model"):
        load_model(folder)


def test_folders_without_a_model_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BundleError, match=r"no image model in .*: expected a run folder of `topicnet images fit`"):
            load_model(path)
