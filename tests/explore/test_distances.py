"""Distances of topics and documents, neighbours and their pruning, and the topic tree, on a small run."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster

import topicnet
from tests.support.corpora import themed_documents
from topicnet import explore
from topicnet.errors import InputError
from topicnet.explore.distances import topic_costs, transport_between_topics, transport_cost, word_vectors
from topicnet.explore.neighbours import nearest_by_geodesic, nearest_by_transport
from topicnet.explore.tree import TopicTree, draw_tree, tree_records
from topicnet.explore.words import Mixture

ot = pytest.importorskip("ot", reason="exact transport between different masses needs POT (the extra [transport])")


@pytest.fixture(scope="module")
def run() -> topicnet.Run:
    texts = [*themed_documents(60), "", "the"]
    return topicnet.fit(texts, model="etm", n_topics=4, min_df=1, init="random", max_epochs=3, random_state=0)


@pytest.fixture(scope="module")
def product_run() -> topicnet.Run:
    texts = themed_documents(40)
    return topicnet.fit(texts, model="w-lda", n_topics=3, min_df=1, init="random", max_epochs=2, random_state=0)


@pytest.mark.parametrize("metric", ["geodesic", "direct", "hellinger", "cosine", "transport"])
def test_topic_distance_is_symmetric_and_zero_on_the_diagonal(metric: str, run: topicnet.Run) -> None:
    found = explore.topic_distance(run, metric)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(np.diag(found), 0)
    assert (found[~np.eye(4, dtype=bool)] > 0).all()


def test_topic_distances_follow_their_definitions(run: topicnet.Run) -> None:
    p, q = run.model.components_[:2].astype(float)
    overlap = np.sqrt(p * q).sum()
    assert explore.topic_distance(run, "direct")[0, 1] == pytest.approx(2 * np.arccos(overlap), rel=1e-5)
    assert explore.topic_distance(run, "hellinger")[0, 1] == pytest.approx(np.sqrt(1 - overlap), rel=1e-5)
    cosine = p @ q / np.linalg.norm(p) / np.linalg.norm(q)
    assert explore.topic_distance(run, "cosine")[0, 1] == pytest.approx(1 - cosine, rel=1e-5)
    assert (explore.topic_distance(run, "geodesic") >= explore.topic_distance(run, "direct") - 1e-6).all()


def test_topic_transport_is_that_of_pot(run: topicnet.Run) -> None:
    vectors, beta = word_vectors(run), run.model.components_.astype(float)
    assert vectors is not None
    found = transport_between_topics(beta, vectors)
    top = np.argsort(-beta, 1)[:, :20]
    a, b = (beta[k, top[k]] / beta[k, top[k]].sum() for k in (0, 1))
    assert found[0, 1] == pytest.approx(ot.emd2(a, b, ot.dist(vectors[top[0]], vectors[top[1]], "euclidean")), rel=1e-6)


def test_a_product_decoder_has_distances_too(product_run: topicnet.Run) -> None:
    direct = explore.topic_distance(product_run, "direct")
    geodesic = explore.topic_distance(product_run)
    assert (geodesic >= direct - 1e-6).all()
    np.testing.assert_allclose(topic_costs(product_run), direct)  # it has no word vectors
    with pytest.raises(InputError, match="no word vectors"):
        explore.topic_distance(product_run, "transport")


@pytest.mark.parametrize("metric", ["cosine", "hellinger", "geodesic", "transport"])
def test_document_distance_to_all_agrees_with_pairs(metric: str, run: topicnet.Run) -> None:
    found = explore.document_distance(run, 0, metric=metric)
    assert found.shape == (62,)
    assert np.isnan(found[60:]).all()  # without counted words
    assert found[0] == pytest.approx(0, abs=1e-7)
    assert explore.document_distance(run, 0, 5, metric) == pytest.approx(found[5], abs=1e-12)
    np.testing.assert_allclose(explore.document_distance(run, 0, [5, 7], metric), found[[5, 7]], atol=1e-12)
    assert explore.document_distance(run, 5, 0, metric) == pytest.approx(found[5], rel=1e-4)


@pytest.mark.parametrize("metric", ["cosine", "hellinger", "geodesic", "transport"])
def test_neighbours_are_the_nearest_documents(metric: str, run: topicnet.Run) -> None:
    distances = explore.document_distance(run, 3, metric=metric)
    distances[3] = np.nan
    found = run.neighbours(3, metric=metric, top=7)
    assert found["rank"].to_list() == list(range(1, 8))
    np.testing.assert_allclose(found["distance"], np.sort(distances)[:7], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(distances[found["row"]], found["distance"], rtol=1e-6, atol=1e-9)


def test_transport_search_solves_few_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    points = rng.standard_normal((8, 3))
    cost = np.linalg.norm(points[:, None] - points, axis=-1)  # a metric
    others, theta = rng.dirichlet(np.full(8, 0.3), 500), rng.dirichlet(np.full(8, 0.3))
    exact = np.array([transport_cost(cost, theta, other)[0] for other in others])
    solved = []
    monkeypatch.setattr(
        "topicnet.explore.neighbours.transport_cost",
        lambda cost, a, b: solved.append(1) or transport_cost(cost, a, b),  # type: ignore[func-returns-value]
    )
    rows, distances = nearest_by_transport(cost, theta, others, 10)
    np.testing.assert_array_equal(rows, np.argsort(exact, kind="stable")[:10])
    np.testing.assert_allclose(distances, np.sort(exact)[:10])
    assert len(solved) < 100


def test_geodesic_search_solves_few_problems() -> None:
    rng = np.random.default_rng(0)
    words = Mixture(rng.dirichlet(np.full(40, 0.1), 5))
    others, theta = rng.dirichlet(np.full(5, 0.3), 60), rng.dirichlet(np.full(5, 0.3))
    exact = np.array([explore.geodesic(words, theta, other).length for other in others])
    rows, distances = nearest_by_geodesic(words, theta, others, 5)
    np.testing.assert_array_equal(rows, np.argsort(exact)[:5])
    np.testing.assert_allclose(distances, np.sort(exact)[:5])


def test_equal_documents_are_at_distance_zero_in_input_order() -> None:
    texts = ["cat dog mouse", "bread butter jam", "cat dog mouse", "cat dog mouse"] * 3
    run = topicnet.fit(texts, n_topics=2, min_df=1, init="random", max_epochs=1, random_state=0)
    for metric in ("cosine", "hellinger", "geodesic", "transport"):
        found = run.neighbours(0, metric, top=3)
        assert found["row"].to_list() == [2, 3, 4], metric
        assert found["distance"].abs().max() < 1e-6


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (60, "no counted words"),
        ("62", "no counted words"),  # an id, since the ids are 1 to 62
        ("63", "no document '63'"),
        (62, "row 62 given, expected 0 to 61"),
        (-1, "row -1 given"),
        ("nobody", "no document 'nobody'"),
        (1.5, "expected an id or a row number"),
    ],
)
def test_unknown_and_empty_documents_are_refused(document: object, message: str, run: topicnet.Run) -> None:
    with pytest.raises(InputError, match=message):
        run.neighbours(document)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("option", "message"), [({"metric": "euclidean"}, "metric='euclidean'"), ({"top": 0}, "top=0")]
)
def test_wrong_options_are_refused(option: dict[str, object], message: str, run: topicnet.Run) -> None:
    with pytest.raises(InputError, match=message):
        run.neighbours(0, **option)  # type: ignore[arg-type]


def test_decoder_metric_of_a_run_is_its_closed_form(run: topicnet.Run, product_run: topicnet.Run) -> None:
    """In K - 1 coordinates, the metric is A^T M A with A the derivative of theta or z in them."""
    for one in (run, product_run):
        n = one.model.n_topics
        z = np.linspace(-1, 1, n - 1)
        words = explore.word_model(one)
        found = explore.decoder_metric(one).tensor(z)
        np.testing.assert_allclose(found, words.latent_metric([*z, 0.0])[:-1, :-1], rtol=1e-5, atol=1e-9)
        theta = np.full(n, 1 / n)
        chart = np.vstack([np.eye(n - 1), -np.ones(n - 1)])
        found = explore.decoder_metric(one, "simplex").tensor(theta[:-1])
        np.testing.assert_allclose(found, chart.T @ words.theta_metric(theta) @ chart, rtol=1e-5, atol=1e-9)
    with pytest.raises(InputError, match="space"):
        explore.decoder_metric(run, "words")


BLOCKS = np.array([[0, 1, 4, 4.5], [1, 0, 4.2, 4.1], [4, 4.2, 0, 2], [4.5, 4.1, 2, 0]])


def test_topic_tree_merges_the_nearest_topics_first(run: topicnet.Run) -> None:
    tree = explore.topic_tree(run, distances=BLOCKS)
    np.testing.assert_allclose(tree.merges[:, 2], [1, 2, 4.2])
    np.testing.assert_array_equal(tree.groups(2) == tree.groups(2)[0], [True, True, False, False])
    for n in (1, 2, 3, 4):
        assert len(set(tree.groups(n))) == n
        expected = fcluster(tree.merges, n, "maxclust")
        np.testing.assert_array_equal(tree.groups(n)[:, None] == tree.groups(n), expected[:, None] == expected)
    with pytest.raises(InputError, match="n=5 groups"):
        tree.groups(5)
    assert [merge["topics"] for merge in tree_records(tree)["merges"]] == [2, 2, 4]


def test_tree_is_drawn_in_text(run: topicnet.Run) -> None:
    tree = explore.topic_tree(run, "cosine", "single", BLOCKS)
    lines = draw_tree(TopicTree(tree.merges, np.arange(4), "cosine", "single"), ["a", "bb", "c", "d"], 6)
    assert lines == ["a  ──┬─────┐", "bb ──┘     │", "c  ────┬───┘", "d  ────┘"]


def test_options_of_a_tree_are_checked(run: topicnet.Run) -> None:
    with pytest.raises(InputError, match="method='ward'"):
        explore.topic_tree(run, method="ward")
    with pytest.raises(InputError, match=r"expected a symmetric \(4, 4\)"):
        explore.topic_tree(run, distances=np.zeros((3, 3)))
    single = topicnet.fit(["cat", "dog"], n_topics=1, init="random", max_epochs=1)
    with pytest.raises(InputError, match="single topic"):
        explore.topic_tree(single)
