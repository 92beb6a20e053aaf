"""Counter-based noise: distributions, independence, and the same draws for a document in any batch."""

import numpy as np
import pytest
import torch
from scipy import stats

from topicnet.core.counter_rng import CATEGORY, COMPONENT, DROPOUT, LATENT, ORDER, PIXEL, PRIOR, THETA, UPPER, Noise

CPU = torch.device("cpu")


def noise(seed=0, n=4_000):
    return Noise.of(seed, np.arange(n), CPU)


def test_a_document_draws_the_same_alone_and_among_others():
    some = np.array([3, 17, 900])
    alone, among = Noise.of(5, some, CPU), Noise.of(5, np.arange(1_000), CPU)
    like = torch.zeros(3, 20), torch.zeros(1_000, 20)
    assert torch.equal(alone.normal(LATENT, like[0]), among.normal(LATENT, like[1])[some])
    assert torch.equal(alone.dropout_mask(DROPOUT, like[0], 0.3), among.dropout_mask(DROPOUT, like[1], 0.3)[some])
    assert torch.equal(alone.log_gamma(PRIOR, like[0], 0.1), among.log_gamma(PRIOR, like[1], 0.1)[some])
    assert torch.equal(alone.choice(THETA, 7), among.choice(THETA, 7)[some])


@pytest.mark.parametrize("other", [Noise.of(1, np.arange(4_000), CPU), Noise.of(2**40, np.arange(4_000), CPU)])
def test_other_seeds_and_other_streams_are_uncorrelated(other):
    like = torch.zeros(4_000, 5)
    first = noise().normal(LATENT, like)
    for second in (other.normal(LATENT, like), noise().normal(PRIOR, like)):
        correlation = np.corrcoef(first.ravel(), second.ravel())[0, 1]
        assert abs(correlation) < 0.03


def test_normal_numbers_are_normal_and_finite():
    drawn = noise(3).normal(LATENT, torch.zeros(4_000, 50)).double().numpy()
    assert np.isfinite(drawn).all()
    assert stats.kstest(drawn.ravel(), "norm").pvalue > 1e-3
    assert abs(drawn).max() > 4


def test_rows_and_columns_are_uncorrelated():
    drawn = noise(4, 2_000).normal(LATENT, torch.zeros(2_000, 60)).double().numpy()
    for table in (drawn, drawn.T[:, :500]):
        correlation = np.corrcoef(table, rowvar=False)
        off = correlation[~np.eye(len(correlation), dtype=bool)]
        assert abs(off).max() < 6 / np.sqrt(len(table))
        assert off.std() == pytest.approx(1 / np.sqrt(len(table)), rel=0.1)


def test_bits_are_uniform():
    bits = noise(6).bits(LATENT, 64).numpy().view(np.uint32)
    for place in range(32):
        assert ((bits >> np.uint32(place)) & np.uint32(1)).mean() == pytest.approx(0.5, abs=0.005)
    counts = np.bincount((bits >> np.uint32(24)).ravel(), minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_units_are_dropped_at_the_rate(rate):
    kept = noise().dropout_mask(DROPOUT, torch.zeros(4_000, 64), rate)
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    assert kept.mean().item() == pytest.approx(1 - rate, abs=0.005)


@pytest.mark.parametrize("concentration", [0.001, 0.1, 1.0, 7.5])
def test_gamma_numbers_have_the_gamma_distribution(concentration):
    logs = noise(7).log_gamma(PRIOR, torch.zeros(4_000, 20, dtype=torch.float64), concentration).numpy().ravel()
    assert np.isfinite(logs).all()
    # Compared by the distribution function, except where the gamma itself would underflow.
    uniform = stats.gamma(concentration).cdf(np.exp(np.maximum(logs, -700)))
    seen = logs > -690
    assert stats.kstest(uniform[seen], stats.uniform(uniform[seen].min(), 1 - uniform[seen].min()).cdf).pvalue > 1e-4


def test_choices_are_uniform():
    chosen = noise(8, 30_000).choice(THETA, 6)
    assert chosen.shape == (30_000, 1)
    assert stats.chisquare(np.bincount(chosen.ravel(), minlength=6)).pvalue > 1e-3


def test_the_batch_order_and_large_document_numbers_do_not_matter():
    far = np.array([2**33 + 5, 5, 2**32 + 5])
    keys = Noise.of(0, far, CPU).keys
    assert len(set(keys.tolist())) == 3
    assert torch.equal(Noise.of(0, far[::-1].copy(), CPU).keys, keys.flip(0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_uniform_numbers_are_uniform_and_never_0_or_1(dtype, monkeypatch):
    drawn = noise(9).uniform(PIXEL, torch.zeros(4_000, 50, dtype=dtype))
    assert drawn.dtype == dtype
    assert stats.kstest(drawn.double().numpy().ravel(), "uniform").pvalue > 1e-3
    ends = torch.tensor([[-(2**31), -(2**31) + 255, 2**31 - 1]], dtype=torch.int32)
    monkeypatch.setattr(Noise, "bits", lambda self, stream, n: ends.clone())
    like = torch.zeros(1, 3, dtype=dtype)
    lowest, _, highest = noise().uniform(PIXEL, like)[0].tolist()
    assert 0 < lowest < 1e-6
    assert 1 - 1e-6 < highest < 1
    assert torch.isfinite(noise().gumbel(CATEGORY, like)).all()


def test_gumbel_numbers_are_gumbel():
    drawn = noise(10).gumbel(CATEGORY, torch.zeros(4_000, 50)).double().numpy()
    assert np.isfinite(drawn).all()
    assert stats.kstest(drawn.ravel(), "gumbel_r").pvalue > 1e-3


def test_the_largest_of_perturbed_logs_is_drawn_by_its_weight():
    weights = torch.tensor([0.6, 0.3, 0.1])
    chosen = (weights.log() + noise(11, 30_000).gumbel(CATEGORY, torch.zeros(30_000, 3))).argmax(-1)
    counts = np.bincount(chosen, minlength=3)
    assert stats.chisquare(counts, 30_000 * weights.double().numpy() / weights.double().sum().item()).pvalue > 1e-3


def test_repeated_noise_starts_with_the_document_s_own_and_continues_with_new_numbers():
    like = torch.zeros(2_000, 20)
    drawn = noise(12, 2_000).repeated(4).normal(LATENT, torch.zeros(8_000, 20)).view(4, 2_000, 20)
    assert torch.equal(drawn[0], noise(12, 2_000).normal(LATENT, like))
    correlation = np.corrcoef(drawn.reshape(4, -1).numpy())
    assert abs(correlation[~np.eye(4, dtype=bool)]).max() < 5 / np.sqrt(40_000)
    assert stats.kstest(drawn.double().numpy().ravel(), "norm").pvalue > 1e-3


def test_repeated_noise_is_the_same_alone_and_among_others():
    among = noise(13, 100).repeated(3).uniform(PIXEL, torch.zeros(300, 7)).view(3, 100, 7)
    alone = Noise.of(13, np.array([42]), CPU).repeated(3).uniform(PIXEL, torch.zeros(3, 7))
    assert torch.equal(alone, among[:, 42])


@pytest.mark.parametrize(
    "use", [lambda n, like: n.uniform(PIXEL, like), lambda n, like: n.gumbel(CATEGORY, like)], ids=["uniform", "gumbel"]
)
def test_other_draws_are_the_same_alone_and_among_others(use):
    some = np.array([3, 17, 900])
    alone = use(Noise.of(5, some, CPU), torch.zeros(3, 20))
    assert torch.equal(alone, use(Noise.of(5, np.arange(1_000), CPU), torch.zeros(1_000, 20))[some])


def test_streams_of_a_batch_are_uncorrelated():
    uses = [LATENT, DROPOUT, THETA, PRIOR, COMPONENT, PIXEL, CATEGORY, UPPER, ORDER]
    drawn = np.stack([noise(14).uniform(use, torch.zeros(4_000, 5)).numpy().ravel() for use in uses])
    correlation = np.corrcoef(drawn)
    assert abs(correlation[~np.eye(len(uses), dtype=bool)]).max() < 5 / np.sqrt(20_000)
