"""Pictures and tables of geodesics between images of a run, and grids of two latent components."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from topicnet.errors import InputError
from topicnet.images.data.checks import Split
from topicnet.images.data.load import ImageData, load_images
from topicnet.images.drawing.latent_space import Plane, paths_picture
from topicnet.images.geometry import latent_space, path_view
from topicnet.images.geometry.grids import latent_grid
from topicnet.images.geometry.path_view import geodesic_of_run, images_of, principal_axes
from topicnet.images.model.estimator import ImageVAE
from topicnet.images.model.variants import VARIANTS
from topicnet.images.workflows.fit import ImageRun


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load_images("digits")


def run_of(variant: str, data: ImageData, **options: object) -> ImageRun:
    settings: dict[str, object] = {"latent_dim": 2, "hidden_dim": 16, "max_epochs": 3, "random_state": 0}
    settings |= {"n_categories": 3 if VARIANTS[variant].has_categories else None, "device": "cpu"} | options
    model = ImageVAE(variant, **settings).fit(data.train.pixels[:200])  # type: ignore[arg-type]
    return ImageRun(model, data.shape, {}, {}, None)


def size(png: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(png)) as image:
        image.load()
        return image.size


@pytest.mark.parametrize(("variant", "latent_dim"), [("vae", 1), ("vae", 2), ("hvae", 2)])
def test_a_picture_for_any_latent_dimension(
    variant: str, latent_dim: int, digits: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path_view, "VOLUME_SIDE", 10)
    run = run_of(variant, digits, latent_dim=latent_dim)
    found = geodesic_of_run(run, digits, 1, 7, n_segments=20, n_points=4, method="energy")
    width, height = size(found.picture())
    assert width > 700
    assert height > 600
    d = run.model.network_.latents.latent_dim
    assert found.table().shape == (4, 1 + 2 * d)
    plane = found._plane()
    assert (plane.volume is not None) == (d == 2)
    assert plane.path.shape == (21, 2)
    assert ("variance" in plane.x_label) == (d > 2)


def test_the_category_of_the_first_image_is_held_and_reported(digits: ImageData) -> None:
    run = run_of("cp-vae", digits)
    found = geodesic_of_run(run, digits, 4, 2, n_segments=10, method="energy")
    own = int(run.model.category_probabilities(digits.test.pixels[4][None])[0].argmax())
    assert found.space.category == own
    assert found.summary()[-1].startswith(f"category {own} is held")
    other = (own + 1) % 3
    assert geodesic_of_run(run, digits, 4, 2, n_segments=10, method="energy", category=other).space.category == other
    with pytest.raises(InputError, match="category 3 given, expected one from 0 to 2"):
        geodesic_of_run(run, digits, 4, 2, category=3)
    with pytest.raises(InputError, match="which has none"):
        geodesic_of_run(run_of("vae", digits), digits, 4, 2, category=0)


def test_the_record_agrees_with_the_table(digits: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latent_space, "MOST_NODES", 60)
    found = geodesic_of_run(run_of("vae", digits), digits, 3, 5, split="train", metric="pullback", n_points=5)
    record, table = found.record(Path("run")), found.table()
    assert (record["set"], record["from"], record["to"], record["method"]) == ("train", 3, 5, "refined")
    assert record["ratio"] == record["length"] / record["straight_length"] <= 1 + 1e-6
    np.testing.assert_array_equal(np.array(record["codes"]), table.select("z_0", "z_1").to_numpy())
    np.testing.assert_array_equal(np.array(record["straight_codes"])[:, 1], table["straight_z_1"].to_numpy())
    assert np.array(record["images"]).shape == (5, 64)


@pytest.mark.parametrize(
    ("split", "numbers", "message"),
    [
        ("test", (0, 397), "--to 397 given, expected a test image from 0 to 396"),
        ("train", (-1, 0), "--from -1 given, expected a train image from 0 to 1199"),
        ("test", (5, 5), "--from and --to are both 5"), ("all", (0, 1), "--set 'all' given, expected one of train"),
    ],
)  # fmt: skip
def test_images_that_are_not_there(split: str, numbers: tuple[int, int], message: str, digits: ImageData) -> None:
    with pytest.raises(InputError, match=message):
        images_of(digits, split, numbers)


def test_vectors_are_drawn_as_columns() -> None:
    rng = np.random.default_rng(0)
    train, test = (Split(rng.random((n, 3), dtype=np.float32), None) for n in (60, 10))
    data = ImageData("made", train, test, test, None, False)
    run = run_of("vae", data, likelihood="gaussian")
    found = geodesic_of_run(run, data, 0, 1, n_segments=10, n_points=3, method="energy")
    assert size(found.picture())[1] > 600


def test_principal_axes_project_orthogonally() -> None:
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(500, 4)) * np.array([3.0, 0.1, 2.0, 0.1]) + 5
    center, axes, shares = principal_axes(codes)
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(np.abs(axes[[0, 1], [0, 2]]), 1, atol=1e-2)
    assert axes[0, 0] > 0 < axes[1, 2]
    assert shares.sum() == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(center, codes.mean(0))


def test_labels_without_a_legend_and_no_labels() -> None:
    points = np.random.default_rng(0).normal(size=(50, 2))
    ends, images = np.array([[0.0, 0.0], [1.0, 1.0]]), np.zeros((2, 4))
    for labels in (None, np.arange(50)):
        plane = Plane(points, labels, ends, ends, ends, ends, "a", "$b")
        assert size(paths_picture(plane, [("one", images), ("two", images)], (2, 2), "title"))[0] > 600
    with pytest.raises(InputError, match="finite"):
        paths_picture(plane, [("one", images * np.nan)], (2, 2), "title")


@pytest.mark.parametrize("variant", ["vae", "cp-vae", "vade", "hvae"])
def test_a_grid_varies_two_components_alone(variant: str, digits: ImageData) -> None:
    model, image = run_of(variant, digits, latent_dim=3, max_epochs=1).model, digits.test.pixels[5]
    grid = latent_grid(model, (2, 0), image=image, steps=3, span=1.0)
    assert grid.images.shape == (3, 3, 64)
    code = model.transform(image[None])[0]
    takes = model.network_.latents.decodes_categories
    c = np.eye(3)[[int(model.category_probabilities(image[None])[0].argmax())]] if takes else None
    assert grid.category == (None if c is None else int(c[0].argmax()))
    for row in range(3):
        for column in range(3):
            there = code.copy()
            there[2], there[0] = grid.values[0][column], grid.values[1][row]
            np.testing.assert_allclose(grid.images[row, column], model.decode(there[None], c)[0], atol=1e-5)
    gaps = np.diff(grid.values[0])
    np.testing.assert_allclose(gaps, gaps[0])


def test_a_grid_has_quantiles_of_the_prior(digits: ImageData) -> None:
    """For N(0, I), the inverse of the normal distribution function at (i + 1/2) / n."""
    model = run_of("vae", digits, max_epochs=1).model
    grid = latent_grid(model, (0, 1), steps=4)
    for values in grid.values:
        np.testing.assert_allclose(values, [-1.1503, -0.3186, 0.3186, 1.1503], atol=0.05)
    width, height = size(grid.picture((8, 8), "title"))
    assert 800 < width < 1000 > height > 800
    with pytest.raises(InputError, match="grid of vectors"):
        grid.picture(None, "title")


def test_invalid_grids(digits: ImageData) -> None:
    model = run_of("vae", digits, max_epochs=1).model
    for dims, options, message in (
        ((0, 0), {}, r"components \(0, 0\) given, expected two different ones from 0 to 1"),
        ((0, 2), {}, "expected two different ones from 0 to 1"),
        ((0, 1), {"steps": 1}, "--steps=1 given"),
        ((0, 1), {"steps": 61}, "--steps=61 given"),
        ((0, 1), {"span": 0.0}, "--span=0.0 given"),
        ((0, 1), {"category": 1}, "which has none"),
    ):
        with pytest.raises(InputError, match=message):
            latent_grid(model, dims, **options)  # type: ignore[arg-type]
