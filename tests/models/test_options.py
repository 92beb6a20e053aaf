"""Options that belong to one model: priors, kernels, embeddings, latent sizes, components."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.metrics import adjusted_rand_score

from tests.support.corpora import matched_cosine, planted
from topicnet.core.counter_rng import Noise
from topicnet.core.distributions import Point
from topicnet.core.divergences import DIVERGENCES
from topicnet.core.sparse import SparseBatch
from topicnet.errors import InputError
from topicnet.models import ETM, GMNTM, MODELS, NVDMGSM, WLDA

K, V = 5, 80
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def corpus():
    return planted(300, V, K, seed=1)


SEEDS = pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))])


def clusters(seed):
    """Draw documents of one topic each; return counts, topics, and the cluster of each document."""
    rng = np.random.default_rng(seed)
    beta = rng.dirichlet(np.full(120, 0.05), 8)
    cluster = rng.integers(8, size=400)
    counts = np.stack([rng.multinomial(50, beta[c]) for c in cluster]).astype(np.float32)
    return csr_matrix(counts), beta, cluster


@cache
def fitted_to_clusters(kind, seed, **options):
    """Fit a model once for all tests that use it."""
    return kind(8, random_state=seed, **options).fit(clusters(seed)[0])


# ---------------------------------------------------------------- planted truth


@SEEDS
@pytest.mark.full_warm_up
@pytest.mark.parametrize("kind", MODELS.values(), ids=MODELS.keys())
def test_topics_of_clearly_separated_clusters_are_found(kind, seed):
    _, truth, _ = clusters(seed)
    assert matched_cosine(fitted_to_clusters(kind, seed).components_, truth) >= 0.9


@SEEDS
@pytest.mark.full_warm_up
@pytest.mark.parametrize("assignment", ["optimal", pytest.param("mean_posterior", marks=pytest.mark.slow)])
def test_components_of_gmntm_are_the_clusters(assignment, seed):
    counts, truth, cluster = clusters(seed)
    model = fitted_to_clusters(GMNTM, seed, **({} if assignment == "optimal" else {"assignment": assignment}))
    assert model.assignment == assignment
    found = model.predict_component(counts)
    assert found.shape == (400, 8)
    assert np.allclose(found.sum(1), 1, atol=1e-5)
    assert adjusted_rand_score(cluster, found.argmax(1)) >= 0.9
    assert model.component_word_.shape == (8, 120)
    assert np.allclose(model.component_word_.sum(1), 1, atol=1e-5)
    assert matched_cosine(model.component_word_, truth) >= 0.9


@pytest.mark.slow
def test_w_lda_solves_the_synthetic_task_of_its_paper():
    """Nan et al. 2019, section 5.1: 10,000 documents, V 100, K 5, alpha 0.1."""
    counts, truth = planted(10_000, 100, 5, seed=0)
    for init in ("em", "random"):
        assert matched_cosine(WLDA(5, init=init, random_state=0).fit(counts).components_, truth) >= 0.9


# ---------------------------------------------------------------- W-LDA


@pytest.mark.parametrize(
    "options",
    [
        {"prior": "gaussian-mixture"}, {"kernel": "gaussian"}, {"kernel": "imq"}, {"noise": 0.0}, {"noise": 0.5},
        {"concentration": 0.01}, {"decoder": "mixture"}, {"mmd_weight": 0.0}, {"encoder": "gaussian"},
        {"divergence": "sliced", "prior": "gaussian-mixture"},
        {"divergence": "spherical-sliced", "prior": "vmf-mixture"},
        {"divergence": "spherical-sliced", "prior": "dirichlet", "n_projections": 30},
        {"divergence": "sinkhorn", "prior": "vmf", "encoder": "gaussian"},
    ],
    ids=str,
)  # fmt: skip
def test_w_lda_trains_under_each_option(corpus, options):
    counts, truth = corpus
    model = WLDA(K, random_state=0, max_epochs=8, **options).fit(counts)
    assert matched_cosine(model.components_, truth) > 0.8
    name = options.get("divergence", "mmd").replace("-", "_")
    assert np.isfinite([row[name] for row in model.history_]).all()


@pytest.mark.parametrize(
    "divergence", [pytest.param(name, marks=[pytest.mark.slow] if name == "sinkhorn" else []) for name in DIVERGENCES]
)
def test_w_lda_matches_its_latent_points_to_the_prior(corpus, divergence):
    """Training with a large weight lowers the divergence."""
    counts, _ = corpus
    options = {
        "divergence": divergence,
        "random_state": 0,
        "max_epochs": 15 if divergence == "mmd" else 8,
        "patience": 15,
    }
    loose, tight = (
        WLDA(K, mmd_weight=w, **options).fit(counts).history_[-1][divergence.replace("-", "_")] for w in (0.0, 20.0)
    )
    assert tight < loose


@pytest.mark.parametrize("divergence", ["sliced", pytest.param("sinkhorn", marks=pytest.mark.slow)])
def test_a_fit_with_a_transport_divergence_has_the_same_bits_for_a_seed(corpus, divergence):
    counts, _ = corpus
    first, again, other = (
        WLDA(K, divergence=divergence, encoder="gaussian", random_state=seed, max_epochs=1).fit(counts)
        for seed in (0, 0, 1)
    )
    assert np.array_equal(first.components_, again.components_)
    assert np.array_equal(first.transform(counts), again.transform(counts))
    assert not np.array_equal(first.components_, other.components_)


def test_theta_of_a_document_does_not_depend_on_the_others(corpus):
    counts, _ = corpus
    model = WLDA(K, divergence="spherical-sliced", random_state=0, max_epochs=2).fit(counts)
    assert np.array_equal(model.transform(counts)[7:8], model.transform(counts[7]))


def test_latent_points_on_the_sphere_have_unit_length(corpus):
    """Scaling a latent point changes neither theta nor the divergence."""
    network = WLDA(K, divergence="spherical-sliced").build_network(V)
    z, noise = torch.randn(6, K, generator=torch.Generator().manual_seed(0)), Noise.of(0, np.arange(6), CPU)
    batch = SimpleNamespace(noise=noise, shard=None)
    assert torch.allclose(network.theta(z), network.theta(3 * z), atol=1e-6)
    assert torch.allclose(network.divergence(Point(z), z, batch), network.divergence(Point(z), 3 * z, batch))
    assert network.kl_per_dimension(Point(network.matching.prior.sample(noise, z))).mean() < 1.0


def test_a_gaussian_encoder_samples_in_training_and_not_in_inference(corpus):
    counts, _ = corpus
    model = WLDA(K, encoder="gaussian", random_state=0, max_epochs=2).fit(counts)
    batch = SparseBatch.from_csr(counts.astype(np.float32), np.arange(300), CPU)
    q = model.network_.encode(batch)
    assert float((q.sample() - q.mean).detach().std()) > 0.05
    assert np.array_equal(model.transform(counts), model.transform(counts))
    assert np.allclose(model.network_.theta(q.mean).detach().numpy(), model.transform(counts), atol=1e-5)


def test_noise_is_in_the_loss_and_not_in_inference(corpus):
    counts, _ = corpus
    model = WLDA(K, random_state=0, max_epochs=2).fit(counts)
    assert np.array_equal(model.transform(counts), model.transform(counts))
    theta = torch.full((4, K), 1 / K)
    noisy = model.network_.theta_noise(theta, Noise.of(0, np.arange(4), torch.device("cpu")))
    assert torch.allclose(noisy.sum(-1), torch.ones(4), atol=1e-5)
    assert not torch.allclose(noisy, theta)


def test_an_empty_document_of_w_lda_is_uniform(corpus):
    model = WLDA(K, random_state=0, max_epochs=1).fit(corpus[0])
    assert np.allclose(model.transform(csr_matrix((1, V))), 1 / K)


@pytest.mark.parametrize("prior", ["uniform", "vmf", "vmf-mixture"])
def test_an_empty_document_has_the_theta_of_the_mean_of_a_prior_on_the_sphere(corpus, prior):
    model = WLDA(K, divergence="spherical-sliced", prior=prior, random_state=0, max_epochs=1).fit(corpus[0])
    mean = torch.eye(K)[:1] if prior == "vmf" else torch.zeros(1, K)
    expected = model.network_.theta(mean).detach().numpy()
    assert np.allclose(model.transform(csr_matrix((1, V))), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prior", "normal"), ("kernel", "rbf"), ("noise", 1.0), ("noise", -0.1), ("concentration", 0),
        ("mmd_weight", -1), ("divergence", "kl"), ("divergence", None), ("divergence", ["mmd"]), ("encoder", "normal"),
        ("n_projections", 0), ("prior", ["vmf"]),
    ],
)  # fmt: skip
def test_a_bad_option_of_w_lda_is_refused_by_name(corpus, name, value):
    with pytest.raises(InputError, match=name):
        WLDA(K, **{name: value}).fit(corpus[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prior": "vmf"}, 'prior="vmf" given with divergence="mmd", whose kernels compare points of the simplex'),
        (
            {"divergence": "spherical-sliced", "n_topics": 1},
            'n_topics=1 given with prior="uniform", expected 2 or more',
        ),
    ],
)
def test_options_of_w_lda_that_do_not_go_together_are_refused(corpus, options, message):
    with pytest.raises(InputError, match=message):
        WLDA(**({"n_topics": K} | options)).fit(corpus[0])


# ---------------------------------------------------------------- latent sizes


@pytest.mark.parametrize("kind", [ETM, NVDMGSM, GMNTM])
@pytest.mark.parametrize("latent_dim", [2, 9])
def test_a_latent_space_of_another_size_than_k(kind, corpus, latent_dim):
    counts, _ = corpus
    model = kind(K, latent_dim=latent_dim, random_state=0, max_epochs=3).fit(counts)
    assert model.transform(counts).shape == (300, K)
    assert len(model.health_.usage) == latent_dim
    with pytest.raises(InputError, match="latent_dim"):
        kind(K, latent_dim=0).fit(counts)


# ---------------------------------------------------------------- GMNTM


def test_gmntm_may_have_fewer_components_than_topics(corpus):
    counts, _ = corpus
    model = GMNTM(K, n_components=3, random_state=0, max_epochs=2).fit(counts)
    assert model.predict_component(counts).shape == (300, 3)
    assert model.component_word_.shape == (3, V)
    empty = model.predict_component(csr_matrix((1, V)))
    assert np.allclose(empty, model.network_.prior.log_weights().exp().detach().numpy())


def test_component_words_under_the_mixture_decoder_are_theta_times_components(corpus):
    model = GMNTM(K, random_state=0, max_epochs=2).fit(corpus[0])
    theta = model.network_.component_theta().detach().numpy()
    assert np.allclose(theta @ model.components_, model.component_word_, atol=1e-6)


@pytest.mark.parametrize(("name", "value"), [("n_components", 0), ("pretrain_epochs", -1), ("assignment", "soft")])
def test_a_bad_option_of_gmntm_is_refused_by_name(corpus, name, value):
    with pytest.raises(InputError, match=name):
        GMNTM(K, **{name: value}).fit(corpus[0])


# ---------------------------------------------------------------- ETM's embeddings


def vectors(dim=7):
    return np.random.default_rng(0).normal(size=(V, dim)).astype(np.float32)


@pytest.mark.parametrize("init", ["em", "random"])
def test_training_changes_embeddings_unless_they_are_frozen(corpus, init):
    counts, _ = corpus
    frozen, free = (
        ETM(K, embeddings=vectors(), freeze_embeddings=f, init=init, random_state=0, max_epochs=2).fit(counts)
        for f in (True, False)
    )

    def angle(model):
        rho = model.network_.rho.detach().numpy()
        return (rho * vectors()).sum(1) / np.linalg.norm(rho, axis=1) / np.linalg.norm(vectors(), axis=1)

    assert np.allclose(angle(frozen), 1, atol=1e-5)
    assert not np.allclose(angle(free), 1, atol=1e-5)
    assert frozen.network_.rho.shape == (V, 7)


def test_topics_are_found_among_given_embeddings(corpus):
    counts, truth = corpus
    model = ETM(K, embeddings=vectors(60), freeze_embeddings=True, random_state=0).fit(counts)
    assert matched_cosine(model.components_, truth) > 0.8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"embeddings": vectors()[:10]}, "embeddings of 10 words"),
        ({"embeddings": vectors()[0]}, "embeddings of shape"),
        ({"embeddings": vectors() * np.nan}, "finite"),
        ({"embeddings": vectors(), "embedding_dim": 9}, "embedding_dim=9"),
        ({"embeddings": "vectors.txt"}, "use topicnet.fit or the command line"),
    ],
)
def test_embeddings_that_do_not_fit_are_refused(corpus, options, message):
    with pytest.raises(InputError, match=message):
        ETM(K, **options).fit(corpus[0])
