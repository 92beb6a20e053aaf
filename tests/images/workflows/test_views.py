"""Views of a fitted model: traversals, galleries, category usage and tables."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from topicnet.errors import BundleError, InputError
from topicnet.images.data.checks import Split
from topicnet.images.data.load import ImageData, load_images
from topicnet.images.model.estimator import ImageVAE
from topicnet.images.model.latents import CategoricalLatents
from topicnet.images.model.variants import VARIANTS
from topicnet.images.workflows import pictures
from topicnet.images.workflows.category_usage import category_usage_of, read_category_usage
from topicnet.images.workflows.fit import codes_table
from topicnet.images.workflows.pictures import pictures_of
from topicnet.images.workflows.views import Traversal, check_category, read_dims, traverse


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load_images("digits")


def fitted(variant: str, data: ImageData, **options: object) -> ImageVAE:
    settings: dict[str, object] = {"latent_dim": 3, "hidden_dim": 12, "max_epochs": 1, "random_state": 0}
    settings |= {"n_categories": 4 if VARIANTS[variant].has_categories else None, "device": "cpu"} | options
    return ImageVAE(variant, **settings).fit(data.train.pixels[:60])  # type: ignore[arg-type]


@pytest.mark.parametrize("variant", ["vae", "cp-vae", "vade", "gmvae", "hvp", "wae-mmd"])
def test_a_traversal_varies_one_dimension_at_a_time(variant: str, digits: ImageData) -> None:
    model, image = fitted(variant, digits), digits.test.pixels[5]
    moved = traverse(model, [2, 0], image=image, span=2.0, steps=5)
    assert moved.values.shape == (2, 5)
    assert moved.images.shape == (2, 5, 64)
    z = model.transform(image[None]).repeat(5, 0)
    one_hot = None
    if model.network_.latents.decodes_categories:
        k = int(model.category_probabilities(image[None])[0].argmax())
        assert moved.category == k
        one_hot = np.eye(4, dtype=np.float32)[[k] * 5]
    for row, dim in enumerate((2, 0)):
        there = z.copy()
        there[:, dim] = moved.values[row]
        np.testing.assert_allclose(moved.images[row], model.decode(there, one_hot), atol=1e-6)
        gaps = np.diff(moved.values[row])
        np.testing.assert_allclose(gaps, gaps[0], rtol=1e-4)


def test_a_traversal_spans_the_prior(digits: ImageData) -> None:
    """From -3 to 3 for N(0, I), and over the category's own Gaussian."""
    moved = traverse(fitted("vae", digits), [0, 1, 2])
    np.testing.assert_allclose(moved.values, np.linspace(-3, 3, 9)[None].repeat(3, 0), atol=0.15)
    model = fitted("cp-vae", digits)
    latents = model.network_.latents
    assert isinstance(latents, CategoricalLatents)
    assert latents.mixture is not None
    moved = traverse(model, [1], category=3, span=1.0, steps=3)
    mean = latents.mixture.means[3, 1].item()
    sd = (0.5 * latents.mixture.free_log_var[3, 1]).exp().item()
    np.testing.assert_allclose(moved.values[0], [mean - sd, mean, mean + sd], atol=0.05)
    assert moved.category == 3


def test_a_traversal_with_another_category_than_the_image_s(digits: ImageData) -> None:
    """The code comes from q(z|x, c) for this category, with which it is decoded."""
    model, image = fitted("cp-vae", digits), digits.test.pixels[0]
    own = int(model.category_probabilities(image[None])[0].argmax())
    others = [traverse(model, [0], image=image, category=k).images for k in range(4)]
    np.testing.assert_array_equal(others[own], traverse(model, [0], image=image).images)
    assert all(np.abs(others[k] - others[own]).max() > 1e-4 for k in range(4) if k != own)


def test_invalid_numbers(digits: ImageData) -> None:
    model = fitted("vae", digits)
    for options, message in (
        ({"category": 0}, "has none: leave it out, or fit one of cp-vae"),
        ({"steps": 1}, "--steps=1 given, expected a whole number, from 2"),
        ({"span": 0.0}, "--span=0.0 given"),
        ({"span": float("inf")}, "--span=inf given"),
    ):
        with pytest.raises(InputError, match=message):
            traverse(model, [0], **options)
    check_category(model, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3", "no dimension 3: the model has 0 to 2"), ("0,0", "names 0 more than once"), ("", "numbers of dimensions"),
        ("1,", "numbers of dimensions"), ("1.0", "numbers of dimensions"), ("-1", "numbers of dimensions"),
        ("²", "numbers of dimensions"), ("9" * 5000, "numbers of dimensions"), ("0, 01,1", "names 1 more than once"),
    ],
)  # fmt: skip
def test_invalid_dimensions(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_dims(text, 3)


def test_dimensions_are_read() -> None:
    assert read_dims("2, 0", 3) == [2, 0]


def test_vectors_are_drawn_as_curves() -> None:
    moved = Traversal([1, 4], np.zeros((2, 3), np.float32), np.zeros((2, 3, 2), np.float32), None)
    assert moved.picture(None, "title").startswith(b"\x89PNG")
    many = Traversal([0], np.zeros((1, 3), np.float32), np.zeros((1, 3, 40), np.float32), None)
    with pytest.raises(InputError, match="40 series"):
        many.picture(None, "title")


def vectors(n_pixels: int, shape: tuple[int, int] | None, labels: bool = False, n: int = 60) -> ImageData:
    rng = np.random.default_rng(0)
    train, validation, test = (
        Split(rng.random((size, n_pixels), dtype=np.float32), rng.integers(5, size=size) if labels else None)
        for size in (n, 10, 12)
    )
    return ImageData("made", train, validation, test, shape, False)


@pytest.mark.parametrize("n_categories", [1, 3, 1500])
def test_pictures_for_any_number_of_categories(n_categories: int) -> None:
    data = vectors(16, (4, 4), labels=True)
    model = fitted("indqp", data, n_categories=n_categories)
    found = dict(pictures_of(model, data, category_usage_of(model, data.train)))
    assert [*found] == ["samples.png", "reconstructions.png", "categories.png", "labels.png", "q_c.png"]
    for png in found.values():
        Image.open(io.BytesIO(png)).load()


def test_pictures_of_vectors_are_histograms_of_the_categories_used_most() -> None:
    data = vectors(3, None)
    model = fitted("cp-vae", data, likelihood="gaussian", n_categories=30)
    assert [name for name, _ in pictures_of(model, data, category_usage_of(model, data.train))] == [
        "histogram.png",
        "q_c.png",
    ]


def test_large_images_are_few_in_a_gallery(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gallery too large to draw would end a fit without its run."""
    monkeypatch.setattr(pictures, "MOST_TILE_PIXELS", 1500)
    data = vectors(400, (20, 20), labels=True)
    model = fitted("cp-vae", data)
    for name, png in pictures_of(model, data, category_usage_of(model, data.train)):
        if name != "q_c.png":
            width, height = Image.open(io.BytesIO(png)).size
            assert width * height < 200_000, name


def test_category_usage_is_the_mean_of_category_probabilities(tmp_path: Path) -> None:
    data = vectors(9, (3, 3), labels=True)
    model = fitted("indq", data)
    usage = category_usage_of(model, data.train)
    assert usage is not None
    assert data.train.labels is not None
    q, labels = model.category_probabilities(data.train.pixels), data.train.labels
    np.testing.assert_allclose(usage.q_c, q.mean(0), atol=1e-6)
    assert usage.labels == sorted(set(labels.tolist()))
    counts = np.bincount(labels)[usage.labels]
    np.testing.assert_allclose(usage.q_c_given_label[1], q[labels == usage.labels[1]].mean(0), atol=1e-6)
    np.testing.assert_allclose(
        counts @ usage.q_c_given_label / len(q), usage.q_c, atol=1e-6
    )  # q(c) = sum q(label) q(c|label)
    path = tmp_path / "categories.csv"
    usage.table().write_csv(path)
    again = read_category_usage(path, 4)
    assert again is not None
    np.testing.assert_array_equal(again.q_c, usage.q_c)
    np.testing.assert_array_equal(again.q_c_given_label, usage.q_c_given_label)
    assert again.labels == usage.labels
    assert read_category_usage(tmp_path / "none.csv", 4) is None
    assert category_usage_of(fitted("vae", data), data.train) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "category,q_c\n", "category,q_c\n0,0.5\n", "category,q_c\n0,0.5\n1,0.6\n", "category,q_c\n0,1.5\n1,-0.5\n",
        "category,q_c\n0,a\n1,b\n", "category,q_c,label_x\n0,0.5,0.5\n1,0.5,0.5\n", "q_c,category\n0.5,0\n0.5,1\n",
        "category,q_c\n0,nan\n1,0.5\n", "category,q_c,3\n0,0.5,0.5\n1,0.5,0.5\n", "\0\n", "q_c\n0.5\n0.5\n",
    ],
)  # fmt: skip
def test_invalid_category_tables(text: str, tmp_path: Path) -> None:
    path = tmp_path / "categories.csv"
    path.write_text(text)
    with pytest.raises(BundleError, match=r"categories\.csv in .* is damaged"):
        read_category_usage(path, 2)


def test_samples_of_a_label_come_from_its_categories(digits: ImageData) -> None:
    model = fitted("cp-vae", digits)
    of_two = pictures.samples_of_label(model, np.array([0.0, 0.4, 0.0, 0.6]), 30, seed=3)
    one, three = (model.sample(30, category=k, random_state=3) for k in (1, 3))
    from_one = (of_two == one).all(1)
    np.testing.assert_array_equal(of_two[~from_one], three[~from_one])
    assert 3 < from_one.sum() < 20
    np.testing.assert_array_equal(pictures.samples_of_label(model, np.eye(4)[3], 30, seed=3), three)


def test_codes_without_labels(tmp_path: Path) -> None:
    data = vectors(9, (3, 3))
    table = codes_table(fitted("hvae", data), data)
    assert table.columns == ["image", "split", *(f"z_{j}" for j in range(6))]
    assert table["split"].to_list() == ["train"] * 60 + ["validation"] * 10 + ["test"] * 12
    assert table["image"].to_list() == [*range(60), *range(10), *range(12)]
