"""Sparse batches, and the sparse kernels' values and gradients against dense computation."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from tests.support.corpora import counts_matrix
from tests.support.examples import examples
from tests.support.tensors import CPU, TOLERANCE, relative_difference, twin
from topicnet.core.sparse import SparseBatch, SparseBatches, mixture_log_likelihood, sparse_linear


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def dtype(request):
    before = torch.get_default_dtype()
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(before)


def whole(counts):
    return SparseBatch.from_csr(counts, np.arange(counts.shape[0]), CPU)


@pytest.mark.parametrize("seed", range(3))
def test_likelihood_and_gradients_equal_the_dense_ones(dtype, seed):
    torch.manual_seed(seed)
    counts = counts_matrix(seed=seed)
    theta, beta = torch.randn(40, 7).softmax(-1).requires_grad_(), torch.randn(7, 300).softmax(-1).requires_grad_()
    upstream = torch.randn(40)
    sparse = mixture_log_likelihood(theta, beta, whole(counts))
    (sparse * upstream).sum().backward()
    theta_2, beta_2 = twin(theta), twin(beta)
    dense = (torch.tensor(counts.toarray(), dtype=dtype) * (theta_2 @ beta_2).log()).sum(-1)
    (dense * upstream).sum().backward()
    assert relative_difference(sparse, dense) < TOLERANCE[dtype]
    assert relative_difference(theta.grad, theta_2.grad) < TOLERANCE[dtype]
    assert relative_difference(beta.grad, beta_2.grad) < TOLERANCE[dtype]


def test_first_layer_and_gradient_equal_the_dense_ones(dtype):
    torch.manual_seed(0)
    counts = counts_matrix()
    batch = whole(counts)
    weight = torch.randn(300, 16, requires_grad=True)
    weight_2 = twin(weight)
    sparse = sparse_linear(batch, batch.counts, weight)
    sparse.sin().sum().backward()
    dense = torch.tensor(counts.toarray(), dtype=dtype) @ weight_2
    dense.sin().sum().backward()
    assert relative_difference(sparse, dense) < TOLERANCE[dtype]
    assert relative_difference(weight.grad, weight_2.grad) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", [torch.float64], indirect=True)
def test_gradients_pass_finite_differences(dtype):
    counts = counts_matrix(n_docs=6, n_words=12, density=0.4)
    batch = whole(counts)
    theta, beta = torch.rand(6, 3).softmax(-1).requires_grad_(), torch.rand(3, 12).softmax(-1).requires_grad_()
    weight = torch.rand(12, 4, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t, b: mixture_log_likelihood(t, b, batch), (theta, beta))
    assert torch.autograd.gradcheck(lambda w: sparse_linear(batch, batch.counts, w), (weight,))


def test_an_empty_document_has_likelihood_zero_and_no_gradient():
    counts = counts_matrix()
    theta = torch.randn(40, 7).softmax(-1).requires_grad_()
    likelihood = mixture_log_likelihood(theta, torch.randn(7, 300).softmax(-1), whole(counts))
    likelihood.sum().backward()
    assert likelihood[3] == 0
    assert (theta.grad[3] == 0).all()
    assert (theta.grad[4] != 0).any()


def test_a_probability_of_zero_stays_finite():
    counts = csr_matrix(np.array([[2.0, 1.0, 0.0]], dtype=np.float32))
    theta = torch.tensor([[1.0, 0.0]], requires_grad=True)
    beta = torch.tensor([[0.0, 0.0, 1.0], [0.5, 0.5, 0.0]], requires_grad=True)
    likelihood = mixture_log_likelihood(theta, beta, whole(counts))
    likelihood.sum().backward()
    assert torch.isfinite(likelihood).all()
    assert torch.isfinite(theta.grad).all()
    assert torch.isfinite(beta.grad).all()


@examples(50)
@given(st.integers(1, 60), st.integers(1, 40))
def test_batches_hold_every_document_once_and_none_is_alone(n_docs, batch_size):
    counts = csr_matrix(np.arange(n_docs * 3, dtype=np.float32).reshape(n_docs, 3))
    batches = SparseBatches(counts, batch_size, CPU)
    shuffled = list(batches.shuffled(np.random.default_rng(0)))
    assert len(shuffled) == len(batches)
    assert sorted(int(i) for batch in shuffled for i in batch.index) == list(range(n_docs))
    assert all(batch.n_docs >= 2 for batch in shuffled) or n_docs == 1
    for batch in batches:
        assert (batch.row_sums(batch.counts).numpy() == counts[batch.index.numpy()].sum(1).A1).all()


def test_row_sums_of_empty_rows_are_zero():
    counts = csr_matrix((4, 5), dtype=np.float32)
    batch = whole(counts)
    assert (batch.row_sums(batch.counts) == torch.zeros(4)).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_likelihood_equals_cpu_likelihood():
    counts = counts_matrix()
    theta, beta = torch.randn(40, 7).softmax(-1), torch.randn(7, 300).softmax(-1)
    on_cpu = mixture_log_likelihood(theta, beta, whole(counts))
    batch = SparseBatch.from_csr(counts, np.arange(40), torch.device("cuda"))
    on_gpu = mixture_log_likelihood(theta.cuda(), beta.cuda(), batch).cpu()
    assert relative_difference(on_gpu, on_cpu) < 1e-5
