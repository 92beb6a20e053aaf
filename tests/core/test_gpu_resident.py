"""Batches cut on the device equal those cut on the host."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix, random_array

from topicnet.core.counter_rng import Noise
from topicnet.core.gpu_resident import LARGEST_COUNT, ResidentBatches, bytes_needed, fits
from topicnet.core.row_subset import Rows
from topicnet.core.sparse import Pattern, SparseBatches

CPU = torch.device("cpu")


def corpus(n_docs=57, vocab_size=40, dtype=np.int32):
    rng = np.random.default_rng(1)
    counts = random_array((n_docs, vocab_size), density=0.2, format="csr", rng=rng)
    counts.data = rng.integers(1, 9, counts.nnz)
    return csr_matrix(counts).astype(dtype)


def same(one, other):
    for field in dataclasses.fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, Pattern):
            assert a.shape == b.shape
            assert torch.equal(a.starts, b.starts)
            assert torch.equal(a.columns, b.columns)
            assert a.columns.dtype == b.columns.dtype
        elif isinstance(a, Noise):
            assert torch.equal(a.keys, b.keys)
        elif field.name == "shard":
            assert a is b is None
        else:
            assert a.dtype == b.dtype, field.name
            assert torch.equal(a, b), field.name


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
@pytest.mark.parametrize("some", [False, True])
def test_resident_batches_equal_batches_cut_on_the_host(dtype, some):
    counts = corpus(dtype=dtype)
    documents = Rows(counts, np.arange(3, 50, 2)) if some else counts
    on_host, resident = (kind(documents, 10, CPU) for kind in (SparseBatches, ResidentBatches))
    assert len(on_host) == len(resident) > 1
    for one, other in zip(on_host, resident, strict=True):
        same(one, other)
    shuffled = [batches.shuffled(np.random.default_rng(4)) for batches in (on_host, resident)]
    for one, other in zip(*shuffled, strict=True):
        same(one, other)


def test_counts_above_16_bits_are_kept_exactly():
    counts = corpus()
    counts.data[5] = LARGEST_COUNT + 1
    resident = list(ResidentBatches(counts, 20, CPU))
    for one, other in zip(SparseBatches(counts, 20, CPU), resident, strict=True):
        same(one, other)
    assert max(float(batch.counts.max()) for batch in resident) == LARGEST_COUNT + 1


def test_estimated_bytes_equal_the_bytes_used():
    counts = corpus()
    batches = ResidentBatches(counts, 20, CPU)
    used = sum(t.element_size() * t.numel() for t in (batches.starts, batches.words, batches.data))
    assert bytes_needed(batches.documents) == used


def test_a_corpus_never_fits_on_a_cpu_device():
    assert not fits(Rows.filled(corpus()), CPU)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_batches_on_a_gpu_need_no_synchronisation():
    device = torch.device("cuda")
    counts = corpus(500, 300)
    batches = ResidentBatches(counts, 100, device)
    torch.cuda.set_sync_debug_mode("error")
    try:
        cut = list(batches.shuffled(np.random.default_rng(0)))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    expected = SparseBatches(counts, 100, CPU).shuffled(np.random.default_rng(0))
    for one, other in zip(cut, expected, strict=True):
        assert torch.equal(one.transposed.columns.cpu(), other.transposed.columns)
