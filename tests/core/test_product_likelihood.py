"""Product decoder likelihood: values, gradients and slice sizes against dense computation."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from torch.utils._python_dispatch import TorchDispatchMode

from tests.support.corpora import counts_matrix
from tests.support.tensors import CPU, TOLERANCE, relative_difference, twin
from topicnet.core import product_likelihood
from topicnet.core.product_likelihood import product_log_likelihood
from topicnet.core.sparse import SparseBatch
from topicnet.runtime.threads import chosen_threads

N_DOCS, N_WORDS, K = 20, 150, 3
THREE_DOCS = 3 * N_WORDS

dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
# A slice smaller than the vocabulary still holds one document.
slices = pytest.mark.parametrize(
    "entries", [product_likelihood.SLICE_ENTRIES, THREE_DOCS, 7], ids=["whole", "threes", "ones"]
)


def whole(counts, dtype):
    batch = SparseBatch.from_csr(counts, np.arange(counts.shape[0]), CPU)
    return replace(batch, counts=batch.counts.to(dtype))


def parameters(dtype, n_docs=N_DOCS, n_words=N_WORDS):
    torch.manual_seed(0)
    parts = torch.randn(n_docs, K).softmax(-1), torch.randn(K, n_words), torch.randn(n_words)
    return [part.to(dtype).requires_grad_() for part in parts]


def dense_log_likelihood(theta, weight, bias, counts):
    return (counts * (theta @ weight + bias).log_softmax(-1)).sum(-1)


@dtypes
@slices
def test_likelihood_and_gradients_equal_the_dense_ones(monkeypatch, dtype, entries):
    monkeypatch.setattr(product_likelihood, "SLICE_ENTRIES", entries)
    counts = counts_matrix(N_DOCS, N_WORDS)
    ours = parameters(dtype)
    theirs = [twin(part) for part in ours]
    upstream = torch.randn(N_DOCS, dtype=dtype)
    sparse = product_log_likelihood(*ours, whole(counts, dtype))
    dense = dense_log_likelihood(*theirs, torch.tensor(counts.toarray(), dtype=dtype))
    (sparse * upstream).sum().backward()
    (dense * upstream).sum().backward()
    assert relative_difference(sparse, dense) < TOLERANCE[dtype]
    for mine, other in zip(ours, theirs, strict=True):
        assert relative_difference(mine.grad, other.grad) < TOLERANCE[dtype]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("entries", [product_likelihood.SLICE_ENTRIES, THREE_DOCS], ids=["whole", "threes"])
def test_pieces_on_threads_give_the_same_gradients_to_the_bit(monkeypatch, entries, threads):
    monkeypatch.setattr(product_likelihood, "SLICE_ENTRIES", entries)
    counts, upstream = counts_matrix(N_DOCS, N_WORDS), torch.randn(N_DOCS)
    found = []
    for least, workers in ((2**60, 1), (0, 1), (0, threads)):
        monkeypatch.setattr(product_likelihood, "LEAST_ENTRIES", least)
        monkeypatch.setattr("topicnet.runtime.threads.worker_count", lambda workers=workers: workers)
        with chosen_threads():
            ours = parameters(torch.float32)
            likelihood = product_log_likelihood(*ours, whole(counts, torch.float32))
            (likelihood * upstream).sum().backward()
        found.append([likelihood.detach(), *(part.grad for part in ours)])
    for uncut, alone, in_threads in zip(*found, strict=True):
        assert torch.equal(alone, in_threads)
        assert relative_difference(uncut, alone) < 1e-5


@pytest.mark.parametrize("entries", [product_likelihood.SLICE_ENTRIES, 16], ids=["whole", "twos"])
def test_gradients_pass_finite_differences(monkeypatch, entries):
    monkeypatch.setattr(product_likelihood, "SLICE_ENTRIES", entries)
    batch = whole(counts_matrix(5, 8, density=0.4), torch.float64)
    inputs = parameters(torch.float64, 5, 8)
    assert torch.autograd.gradcheck(lambda *parts: product_log_likelihood(*parts, batch), inputs)


@slices
def test_an_empty_document_has_likelihood_zero_and_no_gradient(monkeypatch, entries):
    monkeypatch.setattr(product_likelihood, "SLICE_ENTRIES", entries)
    theta, weight, bias = parameters(torch.float32)
    likelihood = product_log_likelihood(theta, weight, bias, whole(counts_matrix(N_DOCS, N_WORDS), torch.float32))
    likelihood.sum().backward()
    assert likelihood[3] == 0
    assert (theta.grad[3] == 0).all()
    assert (theta.grad[4] != 0).any()


def test_documents_that_are_all_empty_give_zeros():
    theta, weight, bias = parameters(torch.float32)
    likelihood = product_log_likelihood(theta, weight, bias, whole(csr_matrix((N_DOCS, N_WORDS)), torch.float32))
    likelihood.sum().backward()
    assert (likelihood == 0).all()
    assert all((part.grad == 0).all() for part in (theta, weight, bias))


def test_logits_far_apart_stay_finite():
    """The logits reach several hundred, and exp(200) is infinite in single precision."""
    theta, weight, bias = parameters(torch.float32)
    far = (1000 * weight).detach().requires_grad_()
    product_log_likelihood(theta, far, bias, whole(counts_matrix(N_DOCS, N_WORDS), torch.float32)).sum().backward()
    assert all(torch.isfinite(part.grad).all() for part in (theta, far, bias))


class Largest(TorchDispatchMode):
    """Mode that records the number of entries of the largest dense array made, views included."""

    def __init__(self):
        super().__init__()
        self.entries = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor) and made.layout is torch.strided:
            self.entries = max(self.entries, made.numel())
        return made


@pytest.mark.parametrize(
    ("entries", "largest"), [(product_likelihood.SLICE_ENTRIES, N_DOCS * N_WORDS), (THREE_DOCS, THREE_DOCS)]
)
def test_no_array_is_larger_than_a_slice(monkeypatch, entries, largest):
    """The topics (K, V) are as large as a slice of three documents here, so they do not count as larger."""
    monkeypatch.setattr(product_likelihood, "SLICE_ENTRIES", entries)
    batch = whole(counts_matrix(N_DOCS, N_WORDS), torch.float32)
    parts = parameters(torch.float32)
    assert len(batch.counts) < largest
    with Largest() as seen:
        product_log_likelihood(*parts, batch).sum().backward()
    assert seen.entries == largest
