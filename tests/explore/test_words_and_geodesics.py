"""Fisher-Rao metric of topic decoders, and geodesics between mixtures of topics, against closed forms and bounds."""

import numpy as np
import pytest
import torch

from topicnet import explore, geometry
from topicnet.errors import InputError
from topicnet.explore.geodesics import direct_distances, straight_length
from topicnet.explore.words import Mixture, Product, WordModel, arc


def mixture(n_topics: int = 4, n_words: int = 30, seed: int = 0) -> Mixture:
    return Mixture(np.random.default_rng(seed).dirichlet(np.full(n_words, 0.3), n_topics) + 0.0)


def product(n_topics: int = 4, n_words: int = 30, seed: int = 0) -> Product:
    rng = np.random.default_rng(seed)
    return Product(2 * rng.standard_normal((n_topics, n_words)), rng.standard_normal(n_words))


DECODERS = {"mixture": mixture(), "product": product()}


def some_theta(n: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(4), n)


@pytest.mark.parametrize("name", DECODERS)
def test_words_are_a_distribution_and_gradients_are_those_of_differences(name: str) -> None:
    decoder, theta = DECODERS[name], some_theta(3)
    np.testing.assert_allclose(decoder.words(theta).sum(1), 1)
    upstream = np.random.default_rng(2).standard_normal((3, 30))
    found = decoder.gradient(decoder.roots(theta), upstream)
    for k in range(4):
        step = 1e-6 * np.eye(4)[k]
        difference = (decoder.roots(theta + step) - decoder.roots(theta - step)) / 2e-6
        np.testing.assert_allclose(found[:, k], (difference * upstream).sum(1), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", DECODERS)
def test_theta_metric_measures_small_steps(name: str) -> None:
    """The squared Fisher-Rao distance of two near distributions is d^T M d."""
    decoder, (theta, other) = DECODERS[name], some_theta(2)
    change = 1e-4 * (other - theta)
    squared = float(arc(*decoder.roots(np.stack([theta - change / 2, theta + change / 2])))) ** 2
    assert change @ decoder.theta_metric(theta) @ change == pytest.approx(squared, rel=1e-6)


@pytest.mark.parametrize("name", DECODERS)
def test_latent_metric_is_singular_only_along_a_constant(name: str) -> None:
    metric = DECODERS[name].latent_metric([0.3, -1.0, 0.5, 2.0])
    np.testing.assert_allclose(metric @ np.ones(4), 0, atol=1e-12)
    assert np.linalg.eigvalsh(metric)[1] > 1e-4


def test_disjoint_topics_have_great_circles_as_geodesics() -> None:
    """Topics without words in common: the word simplex is that of the topics, distances are 2 arccos(sum sqrt(p q))."""
    decoder = Mixture(np.kron(np.eye(3), [0.2, 0.8]))
    a, b = np.array([0.7, 0.2, 0.1]), np.array([0.1, 0.3, 0.6])
    exact = 2 * np.arccos(np.sqrt(a * b).sum())
    found = explore.geodesic(decoder, a, b, 32)
    assert found.direct == pytest.approx(exact, rel=1e-12)
    assert found.length == pytest.approx(exact, rel=2e-4)
    assert exact * (1 - 1e-6) <= found.lower <= exact * (1 + 1e-9)
    assert found.straight > found.length
    assert found.converged


@pytest.mark.parametrize("name", DECODERS)
def test_geodesic_lies_between_its_bounds(name: str) -> None:
    decoder = DECODERS[name]
    for a, b in some_theta(10).reshape(5, 2, 4):
        found = explore.geodesic(decoder, a, b, 8)
        assert found.converged
        assert found.direct <= found.lower * (1 + 1e-12)
        assert found.lower <= found.length <= found.straight * (1 + 1e-9)
        np.testing.assert_allclose(found.theta.sum(1), 1)
        np.testing.assert_allclose(found.theta[[0, -1]], [a, b])
        back = explore.geodesic(decoder, b, a, 8)
        assert back.length == pytest.approx(found.length, rel=1e-4)
        if decoder.convex:
            assert found.length <= 1.01 * found.lower


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("method", ["energy", pytest.param("bvp", marks=pytest.mark.slow)])
def test_geodesic_agrees_with_the_solvers_of_geometry(name: str, method: str) -> None:
    decoder, (a, b) = DECODERS[name], some_theta(2, seed=5)

    def logits(z: torch.Tensor) -> torch.Tensor:
        theta = torch.cat([z, z.new_zeros(1)]).softmax(0)
        if isinstance(decoder, Mixture):
            return (theta @ torch.as_tensor(decoder.beta)).log()
        assert isinstance(decoder, Product)
        return theta @ torch.as_tensor(decoder.logits) + torch.as_tensor(decoder.background)

    metric = geometry.fisher_rao_categorical(logits, from_logits=True)
    ends = [np.log(theta[:-1] / theta[-1]) for theta in (a, b)]
    exact = geometry.geodesic(metric, ends[0], ends[1], method=method, n_segments=60).length
    assert explore.geodesic(decoder, a, b, 16).length == pytest.approx(exact, rel=2e-3)


def test_more_segments_tighten_the_bounds() -> None:
    a, b = some_theta(2)
    gaps = [(found := explore.geodesic(mixture(), a, b, n)).length - found.lower for n in (4, 8, 16)]
    assert gaps[0] > gaps[1] > gaps[2] > 0


def test_topics_that_both_ends_lack_can_shorten_a_path() -> None:
    """The great circle between the first two topics needs the third, which both ends lack."""
    decoder = Mixture(np.array([[0.9, 0.1, 0.0], [0.0, 0.1, 0.9], [0.0, 1.0, 0.0]]))
    found = explore.geodesic(decoder, [1, 0, 0], [0, 1, 0], 16)
    assert found.length == pytest.approx(found.direct, rel=3e-3)
    assert found.straight > found.direct * 1.01
    assert found.theta[8, 2] == pytest.approx(1 / 11, abs=0.01)


def test_direct_distances_are_those_of_categorical_distributions(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder, theta = mixture(), some_theta(7)
    p = theta @ decoder.beta
    exact = 2 * np.arccos(np.minimum(1, np.sqrt(p[:2, None] * p).sum(-1)))
    monkeypatch.setattr("topicnet.explore.geodesics.BLOCK", 60)  # blocks of two documents
    np.testing.assert_allclose(direct_distances(decoder, theta[:2], theta), exact, atol=1e-7)


def test_one_segment_lines_are_measured_exactly() -> None:
    """A straight line between disjoint topics is a great circle."""
    decoder = Mixture(np.eye(2))
    assert straight_length(decoder, np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(np.pi, rel=1e-12)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([1, 0, 0, 0], [1, 0, 0, 0], "two equal mixtures"),
        ([1, 0, 0], [0, 1, 0, 0], "expected 4 finite proportions"),
        ([0.5, 0.4, 0, 0], [0, 1, 0, 0], "expected proportions that sum to 1"),
        ([1.5, -0.5, 0, 0], [0, 1, 0, 0], "expected proportions that sum to 1"),
        ([np.nan, 1, 0, 0], [0, 1, 0, 0], "expected 4 finite proportions"),
    ],
)
def test_wrong_ends_are_refused(a: list[float], b: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        explore.geodesic(mixture(), a, b)


@pytest.mark.parametrize("n", [1, 2.5, True])
def test_wrong_number_of_segments_is_refused(n: object) -> None:
    with pytest.raises(InputError, match="n_segments"):
        explore.geodesic(mixture(), [1, 0, 0, 0], [0, 1, 0, 0], n)  # type: ignore[arg-type]


def test_equal_words_of_different_topics_are_an_equal_mixture() -> None:
    decoder: WordModel = Mixture(np.full((2, 5), 0.2))
    with pytest.raises(InputError, match="equal mixtures"):
        explore.geodesic(decoder, [1, 0], [0, 1])


def test_metric_where_a_word_has_no_probability_is_refused() -> None:
    with pytest.raises(InputError, match="infinite"):
        Mixture(np.eye(2)).theta_metric([1, 0])
