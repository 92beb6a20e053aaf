"""Contract of the models, tested for each entry of MODELS and for a toy model that is not registered."""

import pickle
import signal

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from tests.support.corpora import matched_cosine, planted
from tests.support.models import everything
from tests.support.toy_model import Toy
from topicnet.core.sparse import SparseBatch
from topicnet.errors import InputError
from topicnet.models import MODELS, fitting

pytestmark = pytest.mark.parametrize("kind", [*MODELS.values(), Toy], ids=[*MODELS, "toy"])
N_DOCS, N_WORDS, K = 220, 80, 5
QUICK = {"max_epochs": 1, "init": "random", "random_state": 0}


@pytest.fixture(scope="module")
def corpus():
    counts, _ = planted(N_DOCS, N_WORDS, K, seed=1)
    dense = counts.toarray()
    dense[7] = 0
    return csr_matrix(dense)


@pytest.fixture(scope="module")
def fitted(corpus):
    models = {}

    def of(kind):
        if kind not in models:
            models[kind] = kind(K, max_epochs=4, random_state=0).fit(corpus)
        return models[kind]

    return of


def test_shapes_simplex_and_history(kind, fitted, corpus):
    model = fitted(kind)
    theta = model.transform(corpus)
    assert theta.shape == (N_DOCS, K)
    assert theta.dtype == np.float32
    assert model.components_.shape == (K, N_WORDS)
    for rows in (theta, model.components_):
        assert np.isfinite(rows).all()
        assert (rows >= 0).all()
        assert np.allclose(rows.sum(1), 1, atol=1e-5)
    assert len(model.history_) == 4
    named = {"epoch", "reconstruction", kind.DIVERGENCE, "overlap", "loss", "validation_loss", "seconds"}
    watched = {"active_units", "least_used", "most_used", "duplicate_pairs", "dead_topics"}
    assert named | watched <= set(model.history_[0])
    assert model.get_feature_names_out().tolist() == [f"{kind.__name__.lower()}{k}" for k in range(K)]


def test_fit_transform_equals_fit_then_transform(kind, fitted, corpus):
    again = kind(K, max_epochs=4, random_state=0).fit_transform(corpus)
    assert np.array_equal(again, fitted(kind).transform(corpus))


def test_the_same_seed_gives_the_same_bits(kind, fitted, corpus):
    again = kind(K, max_epochs=4, random_state=0).fit(corpus)
    other = kind(K, max_epochs=4, random_state=1).fit(corpus)
    assert np.array_equal(again.components_, fitted(kind).components_)
    assert not np.array_equal(other.components_, fitted(kind).components_)
    for name, value in again.network_.state_dict().items():
        assert torch.equal(value, fitted(kind).network_.state_dict()[name])


def test_a_fit_changes_neither_global_random_states_nor_its_input(kind, corpus):
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    before = (np.random.get_state()[1].copy(), torch.get_rng_state(), corpus.copy())  # noqa: NPY002
    kind(K, max_epochs=1, random_state=0).fit(corpus)
    assert np.array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])
    assert (corpus != before[2]).nnz == 0


def press_in_epoch(epoch):
    """Make a listener that presses Ctrl-C as soon as the previous epoch is reported."""

    def press(progress):
        if progress.stage == "train" and progress.done == epoch - 1:
            signal.raise_signal(signal.SIGINT)

    return press


def test_an_interrupted_fit_resumes_to_the_same_bits(kind, fitted, corpus, tmp_path):
    first = kind(K, max_epochs=4, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        first.fit(corpus, listener=press_in_epoch(3), checkpoints=tmp_path)
    assert (first.stopped_, first.start_complete_, len(first.history_)) == ("interrupted", True, 2)
    stages = set()
    again = kind(K, max_epochs=4, random_state=0)
    again.fit(corpus.toarray(), listener=lambda progress: stages.add(progress.stage), checkpoints=tmp_path)
    assert not stages & {"start", "pretrain"}
    assert everything(again, corpus) == everything(fitted(kind), corpus)


@pytest.mark.parametrize(
    ("changed", "named"), [({"n_topics": 4}, "n_topics"), ({"random_state": 1}, "seed"), ({"patience": 3}, "patience")]
)
def test_checkpoints_of_another_fit_are_refused(kind, changed, named, corpus, tmp_path):
    given = {"n_topics": 2, "random_state": 0} | QUICK
    kind(**given).fit(corpus, checkpoints=tmp_path)
    with pytest.raises(InputError, match=f"checkpoints in .* are of a fit with another value of {named}"):
        kind(**(given | changed)).fit(corpus, checkpoints=tmp_path)
    other = corpus.copy()
    other.data[5] += 1
    with pytest.raises(InputError, match="another value of counts"):
        kind(**given).fit(other, checkpoints=tmp_path)
    with pytest.raises(InputError, match="random_state=None, expected a number"):
        kind(2, **(QUICK | {"random_state": None})).fit(corpus, checkpoints=tmp_path)


def test_an_empty_document_gets_the_theta_of_the_prior(kind, fitted, corpus):
    model = fitted(kind)
    expected = model.network_.prior_theta().detach().numpy()
    assert np.allclose(model.transform(corpus)[7], expected)
    if model.decoder == "mixture":
        assert np.allclose(model.transform(corpus, refine=5)[7], expected)
    assert np.allclose(model.transform(csr_matrix((1, N_WORDS)))[0], expected)


def test_theta_of_a_document_does_not_depend_on_the_others(kind, fitted, corpus):
    model = fitted(kind)
    theta = model.transform(corpus)
    assert np.allclose(model.transform(corpus[10]), theta[10:11], rtol=1e-5)
    for size in (7, 37, N_DOCS):
        chosen = np.random.default_rng(size).permutation(N_DOCS)[:size]
        assert np.allclose(model.transform(corpus[chosen]), theta[chosen], rtol=1e-5)
    many = csr_matrix(np.tile(corpus.toarray(), (4, 1)))  # more than a batch
    assert np.allclose(model.transform(many), np.tile(theta, (4, 1)), rtol=1e-5)


def test_refining_theta_raises_the_likelihood(kind, corpus):
    model = kind(K, decoder="mixture", max_epochs=4, random_state=0).fit(corpus)
    counts = corpus.toarray()

    def log_likelihood(theta):
        return (counts * np.log(theta @ model.components_)).sum()

    amortised, refined = model.transform(corpus), model.transform(corpus, refine=20)
    assert np.allclose(refined.sum(1), 1, atol=1e-5)
    assert log_likelihood(refined) > log_likelihood(amortised)


def test_a_product_decoder_cannot_refine(kind, corpus):
    model = kind(K, decoder="product", max_epochs=1, random_state=0).fit(corpus)
    with pytest.raises(ValueError, match="refine=3 given, but under the product decoder"):
        model.transform(corpus, refine=3)


@pytest.mark.parametrize("decoder", ["mixture", "product"])
def test_components_are_the_decoder_at_one_hot_theta(kind, corpus, decoder):
    """Each is p(w|d) of a document with a single topic; for a mixture, p(w|d) = theta @ components_."""
    model = kind(K, decoder=decoder, max_epochs=1, random_state=0).fit(corpus)
    network = model.network_
    one_hot = torch.eye(K)
    batch = SparseBatch.from_csr(csr_matrix(np.eye(K, N_WORDS, dtype=np.float32)), np.arange(K), torch.device("cpu"))
    with torch.no_grad():
        likelihood = network.decoder.log_likelihood(one_hot, network.topics(), batch)
        blend = network.decoder.words(torch.full((1, K), 1 / K), network.topics())
    assert np.allclose(likelihood.exp().numpy(), model.components_[np.arange(K), np.arange(K)], rtol=1e-4)
    assert np.allclose(blend.sum(), 1, atol=1e-5)
    assert np.allclose(blend[0], model.components_.mean(0), atol=1e-6) == (decoder == "mixture")


@pytest.mark.parametrize("refine", [-1, 1.5, True, "many"])
def test_a_bad_refine_is_refused(kind, fitted, corpus, refine):
    with pytest.raises(InputError, match="refine"):
        fitted(kind).transform(corpus, refine=refine)


def test_gradients_flow_to_every_parameter(kind, corpus):
    network = kind(K).build_network(N_WORDS)
    network.set_corpus_statistics(torch.full((N_WORDS,), 1 / N_WORDS), 60.0)
    batch = SparseBatch.from_csr(corpus.astype(np.float32), np.arange(50), torch.device("cpu"))
    torch.manual_seed(0)
    sum(term.sum() for term in network.terms(batch).values()).backward()
    still = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # Batch normalisation subtracts the mean, and any bias before it.
    assert set(still) <= {"encoder.mean.bias", "encoder.log_var.bias"}


@pytest.mark.parametrize("decoder", ["mixture", "product"])
def test_topics_depend_exactly_on_the_topic_parameters(kind, decoder):
    network = kind(K, decoder=decoder).build_network(N_WORDS)
    network.beta()[:, 0].sum().backward()
    moved = {name for name, p in network.named_parameters() if p.grad is not None}
    assert moved == set(network.topic_parameters()) != set()


def test_short_documents_lower_the_learning_rate_of_topics_after_an_em_start(kind):
    def rate(length, **options):
        settings = kind(K, **options).settings(0)
        return settings.rate(length) * settings.topic_lr_scale(length)

    full = kind.PLANS["em"].rate
    assert rate(20) == rate(200) == pytest.approx(full)
    assert rate(1) == rate(5) < rate(6) < rate(19) < full
    assert rate(1) > full / 300
    assert rate(5, learning_rate=0.5) == 0.5
    assert rate(5, init="random") == kind.PLANS["random"].rate


@pytest.mark.full_warm_up
@pytest.mark.parametrize("init", ["em", pytest.param("random", marks=pytest.mark.slow)])
def test_planted_topics_are_found(kind, init):
    counts, truth = planted(400, 80, K, seed=2)
    epochs = {"max_epochs": 25} if init == "em" else {}  # training only has to keep the topics of an EM start
    model = kind(K, init=init, random_state=0, **epochs).fit(counts)
    assert matched_cosine(model.components_, truth) > 0.9


@pytest.mark.parametrize("n_topics", [1, 2])
def test_one_or_two_topics(kind, corpus, n_topics):
    model = kind(n_topics, max_epochs=2, random_state=0).fit(corpus)
    assert model.transform(corpus).shape == (N_DOCS, n_topics)
    assert np.isfinite(model.score(corpus))


def test_more_topics_than_words_only_warns(kind, corpus):
    with pytest.warns(UserWarning, match="exceeds"):
        kind(6, max_epochs=1, random_state=0).fit(corpus[:, :5])


def test_a_single_document_is_refused(kind, corpus):
    with pytest.raises(ValueError, match="n_samples"):
        kind(2).fit(corpus[:1])


def test_all_documents_empty_is_refused(kind):
    with pytest.raises(InputError, match="empty"):
        kind(2).fit(csr_matrix((5, 4)))


def test_score_and_perplexity_agree(kind, fitted, corpus):
    model = fitted(kind)
    assert model.score(corpus) == model.score(corpus)
    assert -np.log(N_WORDS) < model.score(corpus) < 0
    if model.network_.has_bound:
        assert model.perplexity(corpus) == pytest.approx(np.exp(-model.score(corpus)))
    else:
        with pytest.raises(InputError, match="no likelihood bound"):
            model.perplexity(corpus)


def test_the_score_is_below_the_best_likelihood(kind, corpus):
    """A lower bound, or the likelihood at the inferred theta, cannot exceed the likelihood at the best theta."""
    model = kind(K, decoder="mixture", max_epochs=4, random_state=0).fit(corpus)
    theta = model.transform(corpus, refine=50)
    likelihood = (corpus.toarray() * np.log(theta @ model.components_)).sum() / corpus.sum()
    assert model.score(corpus) < likelihood


def test_clone_pickle_pipeline_and_grid_search(kind, fitted, corpus):
    model = fitted(kind)
    assert clone(model).get_params() == model.get_params()
    thawed = pickle.loads(pickle.dumps(model))
    assert np.array_equal(thawed.transform(corpus), model.transform(corpus))
    pipeline = make_pipeline(FunctionTransformer(accept_sparse=True), kind(2, **QUICK))
    assert pipeline.fit_transform(corpus).shape == (N_DOCS, 2)
    search = GridSearchCV(kind(2, **QUICK), {"n_topics": [2, 3]}, cv=2).fit(corpus)
    assert search.best_params_["n_topics"] in (2, 3)


def test_dense_float_and_integer_counts_give_the_same_model(kind, corpus, monkeypatch):
    monkeypatch.setattr(fitting, "EM_PASSES", 5)
    monkeypatch.setattr(fitting, "WARM_UP_STEPS", 10)
    results = [
        kind(K, max_epochs=1, random_state=0).fit(x).components_
        for x in (corpus, corpus.toarray(), corpus.astype(np.int64), corpus.astype(np.float64).tocsc())
    ]
    assert all(np.array_equal(results[0], other) for other in results[1:])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_topics", 0), ("n_topics", 2.5), ("n_topics", True), ("batch_size", 1), ("max_epochs", 0),
        ("learning_rate", -1.0), ("learning_rate", 0), ("learning_rate", float("nan")), ("init", "magic"),
        ("validation_fraction", 1.0), ("patience", 0), ("DIVERGENCE_weight", -0.1), ("device", "tpu"),
        ("dropout", 1.0), ("hidden_dim", 0), ("DIVERGENCE_warm_up", "half"), ("decoder", "mlp"),
        ("diversity_weight", -1.0),
    ],
)  # fmt: skip
def test_a_bad_parameter_is_refused_by_name(kind, corpus, name, value):
    name = name.replace("DIVERGENCE", kind.DIVERGENCE)
    with pytest.raises(InputError, match=name):
        kind(**({"n_topics": 2} | {name: value})).fit(corpus)


@pytest.mark.parametrize("init", ["em", "random"])
def test_a_run_that_diverges_keeps_its_start_and_reports_it(kind, init, corpus):
    model = kind(K, init=init, learning_rate=1e30, max_epochs=3, random_state=0).fit(corpus)
    assert model.stopped_ == "diverged"
    assert not model.health_.fit_for_use
    assert "the loss diverged at every learning rate tried; the initial weights are kept" in model.health_.line()
    assert np.isfinite(model.transform(corpus)).all()
    assert np.isfinite(model.components_).all()


@pytest.mark.slow
@pytest.mark.full_warm_up
@pytest.mark.parametrize("seed", range(5))
def test_planted_topics_at_full_size(kind, seed):
    """5 of 5 seeds: D 2,000, V 200, K 10, 60 words a document, concentrations 0.1 and 0.05."""
    counts, truth = planted(2000, 200, 10, seed=seed)
    assert matched_cosine(kind(10, random_state=seed).fit(counts).components_, truth) >= 0.9


@pytest.mark.slow
@pytest.mark.full_warm_up
@pytest.mark.parametrize("seed", range(5))
def test_planted_topics_at_full_size_from_a_random_start(kind, seed):
    """Without an EM start training alone has to find the topics; ETM merges two of the ten under some seeds."""
    counts, truth = planted(2000, 200, 10, seed=seed)
    found = matched_cosine(kind(10, init="random", random_state=seed).fit(counts).components_, truth)
    assert found >= (0.8 if kind is MODELS["etm"] else 0.9)
