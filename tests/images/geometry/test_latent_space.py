"""Latent spaces of image models: metrics of the decoder, geodesics between images, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from topicnet.core import geometry
from topicnet.core.geometry.geodesics import METHODS as SOLVERS
from topicnet.errors import InputError
from topicnet.images.data.load import ImageData, load_images
from topicnet.images.geometry.choices import METHODS, SPLITS
from topicnet.images.geometry.latent_space import LatentSpace
from topicnet.images.model.estimator import ImageVAE
from topicnet.images.model.latents import CategoricalLatents
from topicnet.images.model.variants import VARIANTS
from topicnet.images.workflows import fit


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load_images("digits")


def fitted(variant: str, data: ImageData, **options: object) -> ImageVAE:
    settings: dict[str, object] = {"latent_dim": 2, "hidden_dim": 24, "max_epochs": 8, "random_state": 0}
    settings |= {"n_categories": 3 if VARIANTS[variant].has_categories else None, "device": "cpu"} | options
    return ImageVAE(variant, **settings).fit(data.train.pixels[:300])  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def model(digits: ImageData) -> ImageVAE:
    return fitted("vae", digits, max_epochs=60)


@pytest.fixture(scope="module")
def space(model: ImageVAE, digits: ImageData) -> LatentSpace:
    return LatentSpace.of(model, digits.train.pixels[:300])


def jacobian(model: ImageVAE, z: NDArray[np.float64], step: float = 1e-2) -> NDArray[np.float64]:
    """Central differences of the decoded image in single precision: (P, Z)."""
    columns = []
    for unit in np.eye(len(z)) * step:
        ahead, behind = model.decode(np.stack([z + unit, z - unit])).astype(np.float64)
        columns.append((ahead - behind) / (2 * step))
    return np.stack(columns, 1)


def test_the_pullback_metric_is_that_of_the_decoded_probabilities(model: ImageVAE, digits: ImageData) -> None:
    space = LatentSpace.of(model, digits.train.pixels[:50], metric="pullback")
    z = np.array([0.3, -0.7])
    by_differences = jacobian(model, z)
    np.testing.assert_allclose(space.metric.tensor(z), by_differences.T @ by_differences, rtol=2e-3)
    p = model.decode(z[None])[0].astype(np.float64)
    fisher_rao = LatentSpace.of(model, digits.train.pixels[:50], metric="fisher-rao").metric
    expected = by_differences.T @ (by_differences / (p * (1 - p))[:, None])
    np.testing.assert_allclose(fisher_rao.tensor(z), expected, rtol=5e-3)


@pytest.mark.parametrize("variant", ["vae", "cp-vae", "vade", "hvae", "wae-mmd", "aae"])
def test_a_space_encodes_and_decodes_as_the_model(variant: str, digits: ImageData) -> None:
    model, X = fitted(variant, digits, max_epochs=1), digits.test.pixels[:40]
    takes = model.network_.latents.decodes_categories
    category = 1 if takes else None
    space = LatentSpace.of(model, digits.train.pixels[:60], metric="pullback", category=category)
    codes = space.encode(X)
    own = model.category_probabilities(X).argmax(1) == 1 if takes else np.ones(40, bool)
    np.testing.assert_allclose(codes.numpy()[own], model.transform(X)[own], atol=1e-6)
    c = np.eye(3)[[1] * 40] if takes else None
    np.testing.assert_allclose(space.decode(codes), model.decode(codes.numpy(), c), atol=1e-5)


def test_a_convolutional_decoder_in_colour_has_a_metric() -> None:
    images = np.random.default_rng(0).random((40, 8, 8, 3))
    options = {"architecture": "conv", "latent_dim": 2, "hidden_dim": 8, "n_layers": 2, "max_epochs": 1}
    model = ImageVAE("vae", **options, random_state=0, device="cpu").fit(images)
    space = LatentSpace.of(model, images, metric="pullback")
    z = np.array([0.3, -0.7])
    by_differences = jacobian(model, z)
    np.testing.assert_allclose(space.metric.tensor(z), by_differences.T @ by_differences, rtol=2e-2)
    assert bool(torch.isfinite(space.metric.tensor(np.stack([z, -z]))).all())  # at several points, without a warning


def test_leaving_the_codes_is_dear_in_the_expected_metric_alone(
    space: LatentSpace, model: ImageVAE, digits: ImageData
) -> None:
    """The scale hardly matters among the codes; away from them it grows, whereas the decoder saturates."""
    codes = space.reference_codes
    center, radius = codes.mean(0), (codes - codes.mean(0)).norm(dim=1).max()
    away = center + torch.tensor([6.0, 0.0], dtype=codes.dtype) * radius
    plain = LatentSpace.of(model, digits.train.pixels[:300], metric="pullback").metric
    inside, outside = (
        [float(geometry.curve_length(metric, geometry.straight_line(a, b, 400))) for metric in (plain, space.metric)]
        for a, b in ((codes[0], codes[1]), (center, away))
    )
    assert inside[0] <= inside[1] < 2 * inside[0]
    assert outside[1] > 5 * outside[0]


def test_geodesics_are_no_longer_than_straight_lines(space: LatentSpace, digits: ImageData) -> None:
    rng = np.random.default_rng(0)
    shorter = 0
    for _ in range(4):
        i, j = rng.choice(len(digits.test.pixels), 2, replace=False)
        path = space.geodesic(digits.test.pixels[i], digits.test.pixels[j], n_segments=30)
        assert path.ratio <= 1 + 1e-6
        shorter += path.ratio < 0.99
        assert path.geodesic.energy >= path.geodesic.length**2 * (1 - 1e-9)
    assert shorter >= 1


def test_a_path_is_decoded_at_equal_times(space: LatentSpace, digits: ImageData) -> None:
    start, end = digits.test.pixels[0], digits.test.pixels[3]
    path = space.geodesic(start, end, method="energy", n_segments=40, n_points=5)
    ends = space.encode(np.stack([start, end])).numpy()
    np.testing.assert_allclose(path.times, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(path.codes, path.geodesic.curve.numpy()[::10], atol=1e-12)
    np.testing.assert_allclose(path.straight_codes, ends[0] + path.times[:, None] * (ends[1] - ends[0]))
    np.testing.assert_array_equal(path.images[[0, -1]], path.straight_images[[0, -1]])
    np.testing.assert_array_equal(path.images, space.decode(path.codes))
    again = space.geodesic(start, end, method="energy", n_segments=40, n_points=5)
    np.testing.assert_array_equal(again.codes, path.codes)


def test_methods_agree_on_a_smooth_metric(model: ImageVAE, digits: ImageData) -> None:
    space = LatentSpace.of(model, digits.train.pixels[:100], metric="pullback")
    start, end = digits.test.pixels[1], digits.test.pixels[2]
    lengths = {
        method: space.geodesic(start, end, method=method).geodesic.length
        for method in ("refined", "energy", "spline", "bvp")
    }
    assert max(lengths.values()) - min(lengths.values()) < 2e-3 * lengths["bvp"]
    assert space.geodesic(start, end, method="graph").geodesic.length >= lengths["bvp"] * (1 - 1e-3)


def test_a_discrete_curve_may_not_skip_images(model: ImageVAE, digits: ImageData) -> None:
    """On a circle, the chord of one long step across is shorter than the way around."""
    space = LatentSpace.of(model, digits.train.pixels[:60], metric="pullback")
    circle = geometry.pullback(lambda z: torch.stack([(3 * z[0]).cos(), (3 * z[0]).sin(), 1e-3 * z[1]]))
    round_trip = replace(space, metric=circle)
    times = torch.linspace(0, 1, 11, dtype=torch.float64)
    skipping = torch.stack([torch.where(times < 0.5, 0.0, 2.0).double(), times], 1)
    short = float(geometry.curve_length(circle, skipping))
    found = round_trip._remeasured(geometry.Geodesic(skipping, short, short**2, True, "energy"))
    assert short < 0.6
    assert found.length == pytest.approx(6, rel=0.02)
    assert not found.converged


def test_the_only_path_in_one_dimension_is_the_line(digits: ImageData) -> None:
    model = fitted("vae", digits, latent_dim=1)
    path = LatentSpace.of(model, digits.train.pixels[:300]).geodesic(*digits.test.pixels[[3, 14]])
    assert path.ratio == pytest.approx(1)
    assert path.geodesic.converged


def test_lengths_are_symmetric(space: LatentSpace, digits: ImageData) -> None:
    a, b = digits.test.pixels[[4, 9]]
    there, back = (space.geodesic(*pair, n_segments=40).geodesic.length for pair in ((a, b), (b, a)))
    assert there == pytest.approx(back, rel=1e-4)


def test_a_gaussian_model_scales_its_fisher_rao_metric_by_its_variance(digits: ImageData) -> None:
    model = fitted("vae", digits, likelihood="gaussian", max_epochs=1)
    plain, scaled = (
        LatentSpace.of(model, digits.train.pixels[:60], metric=name).metric.tensor([0.1, 0.2])
        for name in ("pullback", "fisher-rao")
    )
    variance = model.network_.likelihood.log_var.exp().item()  # type: ignore[operator,union-attr]
    torch.testing.assert_close(scaled, plain / variance, rtol=1e-5, atol=0)


def test_the_category_is_held(digits: ImageData) -> None:
    """q(z | x, c) and the decoder get the category of the space, whatever the image's own is."""
    model, X = fitted("cp-vae", digits, max_epochs=1), digits.test.pixels[:30]
    latents = model.network_.latents
    assert isinstance(latents, CategoricalLatents)
    first, second = (LatentSpace.of(model, digits.train.pixels[:60], category=k) for k in (0, 2))
    own = model.category_probabilities(X).argmax(1)
    np.testing.assert_allclose(first.encode(X).numpy()[own == 0], model.transform(X)[own == 0], atol=1e-6)
    assert not torch.allclose(first.encode(X), second.encode(X))
    path = second.geodesic(X[0], X[1], method="energy", n_segments=20)
    np.testing.assert_allclose(path.images, model.decode(path.codes, np.eye(3)[[2] * 11]), atol=1e-5)


def test_what_is_refused(space: LatentSpace, model: ImageVAE, digits: ImageData) -> None:
    X = digits.train.pixels[:60]
    cp = fitted("cp-vae", digits, max_epochs=1)
    wae = fitted("wae-mmd", digits, max_epochs=1)
    for act, message in (
        (lambda: LatentSpace.of(model, X, metric="euclid"), "metric='euclid' given, expected one of expected"),
        (lambda: LatentSpace.of(model, X, category=1), "category 1 given for vae, which decodes z alone"),
        (lambda: LatentSpace.of(cp, X), "category=None given for cp-vae, whose decoder takes a category"),
        (lambda: LatentSpace.of(cp, X, category=3), "expected one to hold, from 0 to 2"),
        (lambda: LatentSpace.of(wae, X, metric="fisher-rao"), "without a likelihood"),
        (lambda: LatentSpace.of(model, X[:, :9]), "60 images of 9 pixels given, expected at least one, of 64"),
        (lambda: space.geodesic(X[0], X[0]), "the same latent code"),
        (lambda: space.geodesic(X[0], X[1], method="guess"), "method='guess' given"),
        (lambda: space.geodesic(X[0], X[1], n_points=1), "n_points=1 given"),
        (lambda: space.geodesic(X[0], X[1], n_segments=1), "n_segments=1 given"),
        (lambda: space.geodesic(X, X), "2 images of 3840 pixels given, expected at least one, of 64"),
    ):
        with pytest.raises(InputError, match=message):
            act()


def test_a_decoder_that_ignores_a_dimension_has_a_singular_metric(digits: ImageData) -> None:
    model = fitted("vae", digits, max_epochs=1)
    with torch.no_grad():
        model.network_.decoder.branches[0][0].both.weight[:, 1] = 0  # type: ignore[index,union-attr]
    space = LatentSpace.of(model, digits.train.pixels[:60], metric="pullback")
    for method in ("refined", "energy", "graph"):
        with pytest.raises(InputError, match="singular"):
            space.geodesic(digits.test.pixels[0], digits.test.pixels[1], method=method)


def test_a_disconnected_graph_is_refused_by_graph_alone(digits: ImageData) -> None:
    """Two groups of codes, of more images each than a code has neighbours."""
    model = fitted("vae", digits)
    black, white = np.zeros((30, 64), np.float32), np.ones((30, 64), np.float32)
    noise = np.random.default_rng(0).random((60, 64), dtype=np.float32) * 0.02
    X = np.abs(np.concatenate([black, white]) - noise)
    space = LatentSpace.of(model, X, metric="pullback")
    with pytest.raises(InputError, match="disconnected"):
        space.geodesic(X[0], X[-1], method="graph")
    assert space.geodesic(X[0], X[-1], n_segments=20).ratio <= 1 + 1e-6


def test_torch_and_the_model_are_left_as_they_were(model: ImageVAE, digits: ImageData) -> None:
    before = {name: value.clone() for name, value in model.network_.state_dict().items()}
    state = torch.get_rng_state()
    LatentSpace.of(model, digits.train.pixels[:60]).geodesic(*digits.test.pixels[:2], method="energy", n_segments=10)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in model.network_.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.network_.decoder.parameters())
    assert next(model.network_.parameters()).dtype == torch.float32


@pytest.mark.slow
def test_all_pairs_of_a_trained_model_are_no_longer_than_straight(digits: ImageData) -> None:
    model = ImageVAE(latent_dim=2, device="cpu", random_state=0).fit(
        digits.train.pixels, validation=digits.validation.pixels
    )
    space = LatentSpace.of(model, digits.train.pixels)
    X = digits.test.pixels[:12]
    lengths = np.zeros((12, 12))
    for i in range(12):
        for j in range(i):
            path = space.geodesic(X[i], X[j])
            assert path.ratio <= 1 + 1e-6
            lengths[i, j] = lengths[j, i] = path.geodesic.length
    assert (lengths <= (lengths[:, None] + lengths.T[None]).min(2) * 1.02).all()  # triangle inequality


def test_every_solver_and_every_split_can_be_chosen() -> None:
    assert ("refined", *SOLVERS) == METHODS
    assert SPLITS == fit.SPLITS


def test_a_graph_of_codes_has_the_lengths_of_the_metric(space: LatentSpace) -> None:
    graph = space.graph(n_neighbors=5)
    rows, columns = graph.lengths.nonzero()
    first = geometry.straight_line(graph.points[rows[0]], graph.points[columns[0]], 5)
    assert graph.lengths[rows[0], columns[0]] == pytest.approx(float(geometry.curve_length(space.metric, first)))
    np.testing.assert_allclose((graph.lengths - graph.lengths.T).toarray(), 0)
