"""Parts that all networks share: the overlap of topics, the decoders, and the two preparatory objectives."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from topicnet.core.gpu_resident import ResidentBatches
from topicnet.core.sparse import SparseBatch
from topicnet.models import MODELS
from topicnet.models.base import INFERENCE_BATCH
from topicnet.models.decoders import make_decoder
from topicnet.models.input_counts import padded
from topicnet.models.network import Autoencoder, EncoderWarmUp, topic_overlap, uniform_nats
from topicnet.models.parameter_values import DECODERS
from topicnet.training.optimizer import Adam

N_DOCS, N_WORDS, K = 12, 30, 4

decoders = pytest.mark.parametrize("decoder", DECODERS)
models = pytest.mark.parametrize("kind", MODELS.values(), ids=MODELS.keys())


def random_topics(n_topics=K, n_words=N_WORDS, seed=0):
    return torch.as_tensor(np.random.default_rng(seed).dirichlet(np.full(n_words, 0.3), n_topics))


def batch_of(index=None):
    counts = csr_matrix(np.random.default_rng(0).poisson(0.7, (N_DOCS, N_WORDS)).astype(np.float32))
    return SparseBatch.from_csr(counts, np.arange(N_DOCS) if index is None else index, torch.device("cpu"))


def network_of(kind, decoder="mixture", mean_length=20.0, **options):
    """Build an untrained network in evaluation mode."""
    torch.manual_seed(0)
    network = kind(K, hidden_dim=8, decoder=decoder, **options).build_network(N_WORDS)
    network.set_corpus_statistics(torch.full((N_WORDS,), 1 / N_WORDS), mean_length)
    return network.eval()


def test_overlap_is_the_mean_over_topics_of_the_cosines_with_all_others():
    beta = random_topics()
    unit = beta / beta.norm(dim=-1, keepdim=True)
    others = (unit @ unit.T).fill_diagonal_(0)
    assert float(topic_overlap(beta)) == pytest.approx(float(others.sum(-1).mean()))


def test_the_gradient_of_the_overlap_passes_finite_differences():
    assert torch.autograd.gradcheck(topic_overlap, (random_topics(3, 7).requires_grad_(),))


def test_overlap_at_its_extremes():
    assert float(topic_overlap(torch.eye(K, N_WORDS))) == 0.0
    assert float(topic_overlap(random_topics(1).expand(K, -1))) == pytest.approx(K - 1)
    assert float(topic_overlap(random_topics(1))) == pytest.approx(0.0, abs=1e-12)


def test_descent_on_the_overlap_separates_topics():
    logits = torch.randn(K, N_WORDS, generator=torch.Generator().manual_seed(0)).requires_grad_()
    before = topic_overlap(logits.softmax(-1))
    (gradient,) = torch.autograd.grad(before, logits)
    assert topic_overlap((logits - gradient).softmax(-1)) < before


@decoders
def test_words_at_one_hot_theta_are_the_topics(decoder):
    built = make_decoder(decoder, N_WORDS)
    built.set_unigram(random_topics(1, seed=3)[0].float() + 1e-6)
    topics = built.topics(torch.randn(K, N_WORDS, generator=torch.Generator().manual_seed(0)))
    assert torch.allclose(built.words(torch.eye(K), topics), topics.beta, atol=1e-7)
    assert torch.allclose(topics.beta.sum(-1), torch.ones(K))


@decoders
def test_the_likelihood_is_computed_from_the_words(decoder):
    built, batch = make_decoder(decoder, N_WORDS), batch_of()
    built.set_unigram(random_topics(1, seed=3)[0].float() + 1e-6)
    topics = built.topics(torch.randn(K, N_WORDS, generator=torch.Generator().manual_seed(0)))
    theta = random_topics(N_DOCS, K).float()
    dense = batch.pattern.matrix(batch.counts).to_dense()
    expected = (dense * built.words(theta, topics).log()).sum(-1)
    assert torch.allclose(built.log_likelihood(theta, topics, batch), expected, rtol=1e-5)


@decoders
def test_topics_of_the_logits_of_topics_are_the_same(decoder):
    built, beta = make_decoder(decoder, N_WORDS), random_topics().float()
    built.set_unigram(random_topics(1, seed=3)[0].float() + 1e-6)
    assert torch.allclose(built.topics(built.logits_of(beta)).beta, beta, atol=1e-6)


@decoders
def test_a_word_with_probability_0_has_finite_logits(decoder):
    built = make_decoder(decoder, N_WORDS)
    logits = built.logits_of(torch.eye(K, N_WORDS))
    assert torch.isfinite(logits).all()
    assert torch.allclose(built.topics(logits).beta, torch.eye(K, N_WORDS))


def test_a_product_of_zero_logits_is_the_background():
    unigram = random_topics(1).float()[0] + 1e-6
    unigram /= unigram.sum()
    built = make_decoder("product", N_WORDS)
    built.set_unigram(unigram)
    assert torch.allclose(built.topics(torch.zeros(K, N_WORDS)).beta, unigram.expand(K, -1))
    assert torch.allclose(built.words(random_topics(2, K).float(), built.topics(torch.zeros(K, N_WORDS))), unigram)


@models
def test_the_overlap_is_multiplied_by_the_mean_document_length(kind):
    network = network_of(kind, mean_length=60.0)
    assert network.terms(batch_of())["overlap"].item() == pytest.approx(60 * topic_overlap(network.beta()).item())


@models
def test_each_loss_term_is_a_scalar_or_has_a_value_for_each_document(kind):
    network = network_of(kind)
    shapes = {name: tuple(term.shape) for name, term in network.terms(batch_of()).items()}
    divergence = () if kind.DIVERGENCE == "mmd" else (N_DOCS,)
    assert shapes == {"reconstruction": (N_DOCS,), kind.DIVERGENCE: divergence, "overlap": ()}


@models
@decoders
def test_the_loss_of_the_autoencoder_is_the_likelihood_at_the_posterior_mean(kind, decoder):
    """It involves neither a sample of z nor the noise in theta."""
    network, batch = network_of(kind, decoder), batch_of()
    theta = network.theta(network.encode(batch).mean)
    dense = batch.pattern.matrix(batch.counts).to_dense()
    expected = -(dense * network.decoder.words(theta, network.topics()).log()).sum(-1)
    terms = Autoencoder(network).terms(batch)
    assert set(terms) == {"reconstruction"}
    assert torch.allclose(terms["reconstruction"], expected, rtol=1e-5)


@models
def test_encoder_warm_up_compares_each_document_with_its_own_theta(kind):
    network = network_of(kind)
    target = random_topics(N_DOCS, K).float()
    index = np.array([7, 2, 11, 5])
    batch = batch_of(index)
    theta = network.theta(network.encode(batch).mean)
    expected = -10 * (target[index] * theta.log()).sum(-1)
    terms = EncoderWarmUp(network, target).terms(batch)
    assert set(terms) == {"cross_entropy", "divergence"}
    assert torch.allclose(terms["cross_entropy"], expected, rtol=1e-5)


@models
def test_encoder_warm_up_includes_a_tenth_of_the_divergence(kind):
    network, batch = network_of(kind), batch_of()
    q = network.encode(batch)
    torch.manual_seed(1)
    expected = network.divergence(q, q.mean, batch) / 10
    torch.manual_seed(1)  # a Wasserstein autoencoder draws from its prior
    terms = EncoderWarmUp(network, torch.full((N_DOCS, K), 1 / K)).terms(batch)
    assert torch.allclose(terms["divergence"], expected, rtol=1e-5)


def test_encoder_warm_up_assigns_components_to_the_mean_not_to_a_sample():
    network, batch = network_of(MODELS["gmntm"], assignment="mean_posterior"), batch_of()
    terms = [EncoderWarmUp(network, torch.full((N_DOCS, K), 1 / K)).terms(batch) for _ in range(2)]
    assert torch.equal(terms[0]["divergence"], terms[1]["divergence"])


@models
def test_the_loss_of_encoder_warm_up_is_the_entropy_where_the_encoder_agrees(kind):
    network, batch = network_of(kind), batch_of()
    theta = network.theta(network.encode(batch).mean).detach()
    entropy = -10 * (theta * theta.log()).sum(-1)
    assert torch.allclose(EncoderWarmUp(network, theta).terms(batch)["cross_entropy"], entropy, rtol=1e-5)


@models
def test_encoder_warm_up_does_not_change_the_topics(kind):
    network = network_of(kind)
    warm_up = EncoderWarmUp(network, torch.full((N_DOCS, K), 1 / K))
    sum(term.sum() for term in warm_up.terms(batch_of()).values()).backward()
    moved = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    assert "encoder" in moved
    assert moved <= {"encoder", "prior", "proportions"}


def test_the_target_theta_is_not_part_of_the_state():
    network = network_of(MODELS["w-lda"])
    warm_up = EncoderWarmUp(network, torch.full((N_DOCS, K), 1 / K))
    assert {name.removeprefix("network.") for name in warm_up.state_dict()} == set(network.state_dict())


def test_nats_of_the_uniform_distribution():
    assert uniform_nats(1000) == pytest.approx(np.log(1000))
    assert uniform_nats(1) > 0  # it is used as a divisor elsewhere


@pytest.mark.parametrize("n_docs", [0, 1, INFERENCE_BATCH])
def test_documents_are_padded_to_a_whole_batch(n_docs):
    counts = csr_matrix(np.random.default_rng(0).poisson(0.5, (n_docs, 6)).astype(np.float32).reshape(n_docs, 6))
    filled = padded(counts, INFERENCE_BATCH)
    assert filled.shape == (INFERENCE_BATCH, 6)
    assert (filled[:n_docs].toarray() == counts.toarray()).all()
    assert filled[n_docs:].nnz == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@decoders
@models
def test_no_step_waits_for_a_gpu(kind, decoder):
    device = torch.device("cuda")
    counts = csr_matrix(np.random.default_rng(0).poisson(0.7, (60, N_WORDS)).astype(np.int32))
    network = network_of(kind, decoder).to(device).train()
    optimizer = Adam(network, 1e-6, {})
    batches = ResidentBatches(counts, 10, device)
    for n, batch in enumerate(batches.shuffled(np.random.default_rng(0))):
        torch.cuda.set_sync_debug_mode("error" if n else "default")  # the first step initialises the GPU
        try:
            sum(value.mean() for value in network.terms(batch).values()).backward()
            optimizer.step(1e-3)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert all(bool(value.isfinite().all()) for value in network.parameters())
