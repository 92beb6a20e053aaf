"""Pictures of finished runs: which images, categories and samples they show, and what they refuse."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from topicnet.errors import InputError
from topicnet.images.data.checks import Split
from topicnet.images.data.load import ImageData, load_images
from topicnet.images.model.estimator import ImageVAE
from topicnet.images.workflows import drawings
from topicnet.images.workflows.category_usage import CategoryUsage, category_usage_of
from topicnet.images.workflows.drawings import DrawingOptions, NamedRun, draw_picture, one_per_label, titles_of
from topicnet.images.workflows.picture_names import PICTURES, check_picture

NONE = DrawingOptions()


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load_images("digits")


def named(variant: str, data: ImageData, n_categories: int | None = 4, folder: str = "run", **options: Any) -> NamedRun:
    """Return a short fit as a run, without a folder."""
    model = ImageVAE(
        variant, latent_dim=2, hidden_dim=8, max_epochs=1, n_categories=n_categories, device="cpu", random_state=0,
        **options,
    ).fit(data.train.pixels[:60])  # fmt: skip
    usage = category_usage_of(model, Split(data.train.pixels[:60], data.train.labels[:60]))  # type: ignore[index]
    record = {"data": {"sha256": data.name}}
    run = SimpleNamespace(model=model, shape=data.shape, usage=usage, record=record, images=lambda: data)
    return NamedRun(folder, run)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def cp(digits: ImageData) -> NamedRun:
    return named("cp-vae", digits)


@pytest.fixture(scope="module")
def toy() -> NamedRun:
    return named("indq", load_images("bimodal"), 2, likelihood="gaussian")


def recorded(monkeypatch: pytest.MonkeyPatch, function: str) -> list[Any]:
    """Return the arguments of the next calls of a drawing function, which draws nothing."""
    calls: list[Any] = []
    monkeypatch.setattr(drawings, function, lambda *given, **options: calls.append(given) or b"png")
    return calls


def test_changed_categories_decode_the_same_z(cp: NamedRun, digits: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = recorded(monkeypatch, "table")
    draw_picture("changed-categories", [cp], DrawingOptions(n=3))
    rows, columns, shape, marked = calls[0]
    assert columns == ["original", "c = 0", "c = 1", "c = 2", "c = 3"]
    assert shape == (8, 8)
    model = cp.model
    for (name, images), where in zip(rows, marked, strict=True):
        number = int(name.split()[1].rstrip(":"))
        image = digits.test.pixels[number]
        assert name.endswith(f"label {digits.test.labels[number]}")  # type: ignore[index]
        np.testing.assert_array_equal(images[0], image)
        z = model.transform(image[None])
        expected = [model.decode(z, np.eye(4, dtype=np.float32)[k][None])[0] for k in range(4)]
        np.testing.assert_allclose(images[1:], expected, atol=1e-6)
        np.testing.assert_allclose(images[where], model.reconstruct(image[None])[0], atol=1e-6)


def test_the_categories_of_the_images_come_first() -> None:
    q_c = np.array([0.1, 0.4, 0.3, 0.15, 0.05])
    assert drawings._shown_categories(np.array([4, 4]), q_c, 3) == [1, 2, 4]
    assert drawings._shown_categories(np.array([4, 0, 3]), q_c, 2) == [0, 4]


def test_images_are_one_of_each_label_in_turn() -> None:
    pixels = np.zeros((6, 4), np.float32)
    assert one_per_label(Split(pixels, np.array([1, 1, 0, 0, 2, 1])), 5) == [2, 0, 4, 3, 1]
    assert one_per_label(Split(pixels, None), 3) == [0, 1, 2]
    assert len(one_per_label(Split(pixels, None), 100)) == 6


def test_probabilities_of_several_runs(cp: NamedRun, digits: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = recorded(monkeypatch, "fraction_panels")
    other = named("vade", digits, 3)
    drawn = draw_picture("category-probabilities", [cp, other], NONE)
    largest, every = calls[0][0]
    assert [name for name, _ in largest.series] == ["cp-vae, K = 4", "vade, K = 3"]
    q = cp.model.category_probabilities(digits.test.pixels)
    np.testing.assert_array_equal(largest.series[0][1], q.max(1))
    np.testing.assert_array_equal(every.series[0][1], q.ravel())
    assert drawn.lines[0].startswith(f"cp-vae, K = 4: largest q(c|x) {q.max(1).mean():.3f} on average")


def test_bars_show_which_labels_share_categories(cp: NamedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = recorded(monkeypatch, "bar_panels")
    table = np.array([[0.1, 0.6, 0.3, 0.0], [0.0, 0.02, 0.5, 0.48]])
    monkeypatch.setattr(cp.run, "usage", CategoryUsage(table.mean(0), [3, 7], table))
    drawn = draw_picture("label-categories", [cp], DrawingOptions(top=3))
    first, second = calls[0][0]
    assert (first.title, list(first.names), first.kinds) == ("label 3", ["1", "2", "0"], [0, 1, 2])
    assert (second.title, list(second.names), second.kinds) == ("label 7", ["2", "3", "1"], [1, 0, 2])
    assert drawn.lines == ("2 categories belong to one label, 1 to several, 1 to none",)


def test_uniform_categories_differ_from_those_of_q(cp: NamedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = recorded(monkeypatch, "blocks")
    one_hot = np.array([0.0, 0.0, 1.0, 0.0])
    monkeypatch.setattr(cp.run, "usage", CategoryUsage(one_hot, [], np.zeros((0, 4))))
    draw_picture("uniform-categories", [cp], DrawingOptions(n=9, seed=5))
    (first, uniform), (second, used) = calls[0][0]
    assert (first, second) == ("cp-vae, K = 4: c from 1/K", "cp-vae, K = 4: c from q(c)")
    np.testing.assert_array_equal(used, cp.model.sample(9, category=2, random_state=5))
    assert not np.array_equal(uniform, used)
    assert len(uniform) == 9


def test_samples_of_runs_side_by_side(cp: NamedRun, digits: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = recorded(monkeypatch, "blocks")
    runs = [named("wgan", digits, None), cp, NamedRun("again", cp.run)]
    draw_picture("samples", runs, DrawingOptions(n=4, seed=2))
    assert [name for name, _ in calls[0][0]] == ["wgan", "run: cp-vae, K = 4", "again: cp-vae, K = 4"]
    np.testing.assert_array_equal(calls[0][0][1][1], cp.model.sample(4, random_state=2))


def test_titles_name_the_components_of_a_prior(digits: ImageData) -> None:
    assert titles_of([named("mog", digits, None, parameters={"components": 3})]) == ["mog, K = 3"]


def test_densities_are_drawn_against_the_truth(toy: NamedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = recorded(monkeypatch, "density_panels")
    drawn = draw_picture("density", [toy], DrawingOptions(n=500))
    panels, truth, *_ = calls[0]
    assert truth[0] == "true density"
    np.testing.assert_array_equal(panels[0].series[0][1], toy.model.sample(500, draw=True).ravel())
    test = toy.run.images().test.pixels.ravel()
    quantiles = np.linspace(0.5, 499.5, 500) / 500
    gap = np.abs(np.sort(panels[0].series[0][1]) - np.quantile(test, quantiles)).mean()
    assert float(drawn.lines[0].split()[-1]) == pytest.approx(gap, abs=2e-3)
    draw_picture("uniform-categories", [toy], DrawingOptions(n=50))
    assert [name for name, _ in calls[1][0][0].series] == ["c from 1/K", "c from q(c)"]


@pytest.mark.parametrize("picture", PICTURES)
def test_every_picture_is_drawn(picture: str, cp: NamedRun, toy: NamedRun) -> None:
    run = toy if picture == "density" else cp
    drawn = draw_picture(picture, [run], NONE)
    assert drawn.png.startswith(b"\x89PNG")
    assert drawn == draw_picture(picture, [run], NONE)


def test_runs_that_cannot_be_drawn(cp: NamedRun, toy: NamedRun, digits: ImageData) -> None:
    plain, clustered = named("vae", digits, None), named("vade", digits, 3)
    for picture in ("changed-categories", "category-probabilities", "label-categories", "uniform-categories"):
        with pytest.raises(InputError, match=f"{picture} given for 'run', a run of vae, which has no categories"):
            draw_picture(picture, [plain], NONE)
    for picture, runs, message in (
        ("changed-categories", [clustered], "a run of vade, whose decoder depends on z alone"),
        ("changed-categories", [toy], "a run of vectors, expected pictures"),
        ("samples", [cp, toy], "a run of vectors, expected pictures: use --picture density"),
        ("density", [toy, cp], "a run of pictures, expected vectors: use --picture samples"),
        ("uniform-categories", [toy, cp], "a run of pictures, expected vectors"),
    ):
        with pytest.raises(InputError, match=message):
            draw_picture(picture, runs, NONE)


def test_images_without_labels(cp: NamedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cp.run, "usage", CategoryUsage(np.full(4, 0.25), [], np.zeros((0, 4))))
    with pytest.raises(InputError, match="training images have no labels"):
        draw_picture("label-categories", [cp], NONE)


def test_options_belong_to_pictures() -> None:
    absent: dict[str, int | None] = {"n": None, "top": None, "columns": None}
    assert check_picture("density", 14, absent | {"n": 5}).library == "matplotlib"
    for name, n_runs, given, message in (
        ("pie", 1, {}, "--picture 'pie' given, expected one of changed-categories, "),
        ("density", 1, {"top": 3}, "--top given for --picture density, which does not take it: it takes -n and"),
        ("category-probabilities", 1, {"n": 3}, "which does not take it: leave it out"),
        ("label-categories", 2, {}, "2 runs given for --picture label-categories, expected one"),
    ):
        with pytest.raises(InputError, match=message):
            check_picture(name, n_runs, absent | given)
    for options in (DrawingOptions(n=0), DrawingOptions(top=1000), DrawingOptions(columns=-1)):
        with pytest.raises(InputError, match="given, expected a whole number"):
            options.check()
