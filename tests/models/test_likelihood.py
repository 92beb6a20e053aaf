"""Marginal likelihood of documents against numerical quadrature, for every model and both decoders."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.sparse import csr_matrix
from scipy.special import log_softmax, logsumexp, softmax
from scipy.stats import beta as beta_distribution

from topicnet.errors import InputError
from topicnet.models import MODELS
from topicnet.models.likelihood import LikelihoodOptions, document_likelihoods
from topicnet.runtime.interrupt import interrupt
from topicnet.runtime.reporter import Reporter

V = 7
CONVERGED = 1e-6  # of the quadrature, nats
_rng = np.random.default_rng(0)
COUNTS = _rng.poisson(_rng.dirichlet(np.full(V, 0.4), 40) * 9.0)
TEST = csr_matrix(np.vstack([COUNTS[:5], np.zeros((1, V), int)]))  # the last document has no word
CASES = {
    "etm": ("etm", {"n_topics": 2}),
    "nvdm-gsm": ("nvdm-gsm", {"n_topics": 3, "latent_dim": 1}),
    "gmntm": ("gmntm", {"n_topics": 2, "n_components": 3}),
    "w-lda": ("w-lda", {"n_topics": 2}),
    "wtm-gmm": ("w-lda", {"n_topics": 2, "prior": "gaussian-mixture"}),
}
EFFORT = LikelihoodOptions(draws=1500, chains=32, temperatures=16)


def _default(case, decoder):
    """Return whether a case runs by default: every model once, and both decoders."""
    return (decoder == "product") == (case in ("gmntm", "w-lda"))


CASES_AND_DECODERS = [
    pytest.param((case, decoder), marks=() if _default(case, decoder) else pytest.mark.slow)
    for case in CASES
    for decoder in ("mixture", "product")
]


@pytest.fixture(scope="module", params=CASES_AND_DECODERS)
def fitted(request):
    """Return the name of a case and a model after a short fit."""
    case, decoder = request.param
    name, options = CASES[case]
    given = {"init": "random", "max_epochs": 3, "hidden_dim": 16, "random_state": 0} | options
    return case, MODELS[name](decoder=decoder, **given).fit(COUNTS)


def word_log_probabilities(model, theta):
    """Return log p(w|theta) (n, V) in double precision."""
    if model.decoder == "mixture":
        return np.log(theta @ softmax(parameter(model.network_.topic_logits()), -1))
    decoder = model.network_.decoder
    return log_softmax(theta @ parameter(model.network_.topic_logits()) + parameter(decoder.bias), -1)


def parameter(tensor):
    return tensor.detach().double().numpy()


def log_prior(case, model, z):
    """Return the log-density of the prior at z (n, Z)."""
    unit = -0.5 * (np.log(2 * np.pi) + z**2).sum(1)
    if case == "gmntm":
        prior = model.network_.prior
        means, log_var = parameter(prior.means), parameter(prior.log_var)
        parts = -0.5 * (np.log(2 * np.pi) + log_var + (z[:, None] - means) ** 2 / np.exp(log_var)).sum(-1)
        return logsumexp(parts + parameter(prior.log_weights()), axis=1)
    if case == "wtm-gmm":
        centres = model.network_.matching.prior.distance * np.eye(2)
        parts = -0.5 * (np.log(2 * np.pi) + (z[:, None] - centres) ** 2).sum(-1)
        return logsumexp(parts, axis=1) - np.log(2)
    return unit


def theta_of(model, z):
    linear = getattr(model.network_.proportions, "linear", None)
    if linear is None:
        return softmax(z, -1)
    bias = 0.0 if linear.bias is None else parameter(linear.bias)
    return softmax(z @ parameter(linear.weight).T + bias, -1)


def on_grid(case, model, n, half_width=11.0):
    """Integrate over z by the trapezoidal rule, which converges exponentially for such densities."""
    axis, step = np.linspace(-half_width, half_width, n, retstep=True)
    dim = getattr(model, "latent_dim", None) or 2
    z = np.stack([part.ravel() for part in np.meshgrid(*[axis] * dim)], 1)
    nats = word_log_probabilities(model, theta_of(model, z)) @ TEST.toarray().T + log_prior(case, model, z)[:, None]
    return logsumexp(nats, axis=0) + dim * np.log(step)


def over_dirichlet(model):
    """Integrate over theta_1 by its quantiles under the Beta(a, a) distribution."""
    prior = beta_distribution(model.concentration, model.concentration)

    def likelihood(u, counts, scale):
        theta = np.array([[prior.ppf(u), prior.ppf(1 - u)]])
        return float(np.exp(word_log_probabilities(model, theta)[0] @ counts - scale))

    found = []
    for counts in TEST.toarray():
        scale = max(word_log_probabilities(model, np.array([[p, 1 - p]]))[0] @ counts for p in np.linspace(0, 1, 101))
        # Symmetric, and split where theta changes fastest, so that both ends are resolved.
        parts = [quad(likelihood, *ends, (counts, scale), epsabs=1e-9, limit=200)[0] for ends in ((0, 0.5), (0.5, 1))]
        found.append(np.log(sum(parts)) + scale)
    return np.array(found)


def exact(case, model):
    if case == "w-lda":
        return over_dirichlet(model)
    values = on_grid(case, model, 441)
    assert np.abs(values - on_grid(case, model, 331)).max() < CONVERGED
    return values


def test_both_estimates_agree_with_quadrature(fitted):
    case, model = fitted
    found, truth = document_likelihoods(model, TEST, EFFORT), exact(case, model)
    estimates = [found.annealed] if case == "wtm-gmm" else [found.annealed, found.importance]
    for one in estimates:
        assert (np.abs(one.log_mean - truth)[:5] < 4.5 * one.error[:5] + 1e-4).all()
        assert (one.error < 0.2).all()
        assert truth[5] == pytest.approx(0.0, abs=1e-6)
        assert (one.log_mean[5], one.error[5]) == (0.0, 0.0)
    if case == "wtm-gmm":
        assert found.importance is None
        assert found.bound is None
    else:
        assert (found.bound <= truth + 4.5 * found.importance.error + 0.02).all()
        assert (found.bound[:5] < found.importance.log_mean[:5]).all()


@pytest.fixture(scope="module")
def etm():
    return MODELS["etm"](n_topics=3, init="random", max_epochs=3, random_state=0).fit(COUNTS)


QUICK = LikelihoodOptions(draws=40, chains=4, temperatures=8)


def test_same_seed_same_result_and_documents_do_not_depend_on_others(etm):
    once, again = document_likelihoods(etm, COUNTS[:6], QUICK), document_likelihoods(etm, COUNTS[:6], QUICK)
    assert np.array_equal(once.annealed.log_mean, again.annealed.log_mean)
    assert np.array_equal(once.importance.log_mean, again.importance.log_mean)
    first = document_likelihoods(etm, COUNTS[:3], QUICK)
    assert np.allclose(first.importance.log_mean, once.importance.log_mean[:3], atol=1e-4)
    other = document_likelihoods(etm, COUNTS[:6], LikelihoodOptions(draws=40, chains=4, temperatures=8, seed=1))
    assert not np.array_equal(once.annealed.log_mean, other.annealed.log_mean)


def test_fitting_and_gradients_are_left_as_they_were(etm):
    before = {name: tensor.clone() for name, tensor in etm.network_.state_dict().items()}
    with torch.inference_mode():
        document_likelihoods(etm, COUNTS[:2], QUICK)
    assert all(torch.equal(before[name], tensor) for name, tensor in etm.network_.state_dict().items())
    assert all(one.grad is None for one in etm.network_.parameters())
    assert etm.network_.rho.requires_grad


def test_only_empty_documents_have_a_likelihood_of_one(etm):
    found = document_likelihoods(etm, csr_matrix((3, V)), QUICK)
    assert found.annealed.log_mean.tolist() == [0.0] * 3
    assert found.annealed.ess.tolist() == [4.0] * 3


def test_progress_reaches_the_last_document_and_the_cost_is_stated(etm):
    lines, seen = [], []
    document_likelihoods(etm, COUNTS, QUICK, Reporter(lines.append, seen.append))
    assert lines[0].startswith("estimate: ")
    assert "40 documents" in lines[0]
    assert [progress.done for progress in seen] == sorted({progress.done for progress in seen})
    assert (seen[-1].done, seen[-1].total, seen[-1].stage) == (40, 40, "likelihood")


def test_ctrl_c_ends_the_estimate_at_the_next_step(etm):
    seen = []

    def press(progress):
        seen.append(progress.done)
        interrupt()

    with pytest.raises(KeyboardInterrupt):
        document_likelihoods(etm, COUNTS, QUICK, Reporter(listener=press))
    assert seen == seen[:1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draws": -1}, "draws=-1 given"),
        ({"chains": 1}, "chains=1 given, expected 2 or more"),
        ({"draws": 0, "chains": 0}, "draws=0 and chains=0 given"),
        ({"temperatures": 0}, "temperatures=0 given"),
        ({"seed": 2**32}, "below 2\\^32"),
    ],
)
def test_impossible_options_are_refused(etm, options, message):
    with pytest.raises(InputError, match=message):
        document_likelihoods(etm, COUNTS, LikelihoodOptions(**options))


def test_importance_weighting_alone_is_refused_without_a_proposal():
    model = MODELS["w-lda"](n_topics=2, prior="gaussian-mixture", init="random", max_epochs=1, random_state=0).fit(
        COUNTS
    )
    with pytest.raises(InputError, match="only annealing is valid"):
        document_likelihoods(model, COUNTS, LikelihoodOptions(chains=0))


def test_a_uniform_prior_on_the_circle_agrees_with_quadrature():
    given = {"n_topics": 2, "init": "random", "max_epochs": 3, "hidden_dim": 16, "random_state": 0}
    model = MODELS["w-lda"](divergence="spherical-sliced", **given).fit(COUNTS)
    angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    points = torch.as_tensor(np.stack([np.cos(angles), np.sin(angles)], 1), dtype=torch.float32)
    with torch.inference_mode():
        theta = parameter(model.network_.theta(points))
    truth = logsumexp(word_log_probabilities(model, theta) @ TEST.toarray().T, axis=0) - np.log(len(angles))
    found = document_likelihoods(model, TEST, EFFORT)
    assert found.importance is None
    assert (np.abs(found.annealed.log_mean - truth) < 4.5 * found.annealed.error + 1e-3).all()


def test_a_prior_without_a_smooth_density_is_refused():
    given = {"n_topics": 2, "init": "random", "max_epochs": 1, "random_state": 0}
    model = MODELS["w-lda"](divergence="sliced", prior="vmf", **given).fit(COUNTS)
    with pytest.raises(InputError, match="not available under a von Mises-Fisher prior"):
        document_likelihoods(model, COUNTS, QUICK)
