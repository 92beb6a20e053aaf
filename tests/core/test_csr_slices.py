"""Mini-batches cut from CSR counts, several per call."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from scipy.sparse import csr_matrix, random_array

from tests.support.examples import examples
from topicnet.core import csr_slices
from topicnet.core.csr_slices import slice_rows


def counts_of(n_docs, n_words, seed):
    rng = np.random.default_rng(seed)
    drawn = random_array((n_docs, n_words), density=0.3, rng=rng, data_sampler=lambda size: rng.integers(1, 9, size))
    return csr_matrix(drawn).astype(np.int32)


def check(part, dense):
    """Check that a slice equals this dense matrix, by row and by column."""
    n_docs, n_words = dense.shape
    assert all(values.dtype == np.int32 for values in part)
    rows, columns = np.nonzero(dense)
    np.testing.assert_array_equal(part.rows, rows)
    np.testing.assert_array_equal(part.columns, columns)
    np.testing.assert_array_equal(part.counts, dense[rows, columns])
    np.testing.assert_array_equal(part.starts, np.searchsorted(rows, np.arange(n_docs + 1)))
    words, rows_by_word = np.nonzero(dense.T)
    np.testing.assert_array_equal(part.rows_by_word, rows_by_word)
    np.testing.assert_array_equal(part.word_starts, np.searchsorted(words, np.arange(n_words + 1)))
    np.testing.assert_array_equal(part.counts[part.order], dense.T[words, rows_by_word])


@examples(30)
@given(
    n_words=st.integers(1, 12),
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=7),
    at_once=st.sampled_from([1, 30, 10_000]),
    some=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_batches_cut_in_one_call_equal_batches_cut_one_by_one(n_words, sizes, at_once, some, seed):
    rng = np.random.default_rng(seed)
    counts = counts_of(30, n_words, seed)
    rows = np.sort(rng.choice(30, 20, replace=False)) if some else None
    batches = [rng.integers(0, 20, size) for size in sizes]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csr_slices, "NONZEROS_PER_CALL", at_once)
        patch.setattr(csr_slices, "WORDS_PER_CALL", at_once)
        parts = list(slice_rows(counts, batches, rows))
    assert len(parts) == len(batches)
    for part, batch in zip(parts, batches, strict=True):
        check(part, counts[batch if rows is None else rows[batch]].toarray())


def test_counts_without_nonzeros_are_cut():
    parts = list(slice_rows(csr_matrix((4, 3), dtype=np.int32), [np.array([0, 1]), np.array([2, 3])]))
    for part in parts:
        check(part, np.zeros((2, 3)))
    assert len(parts) == 2


def test_batches_are_cut_lazily(monkeypatch):
    """A run that stops early, or needs a single batch, does not wait for all of them."""
    done = []
    slice_group = csr_slices._slice_group
    monkeypatch.setattr(csr_slices, "_slice_group", lambda part, sizes: done.append(sizes) or slice_group(part, sizes))
    monkeypatch.setattr(csr_slices, "WORDS_PER_CALL", 10)
    batches = [np.arange(4) + 4 * number for number in range(7)]
    parts = slice_rows(counts_of(28, 5, 0), batches)
    next(parts)
    assert done == [[4, 4]]
    assert sum(1 for _ in parts) == 6
    assert done == [[4, 4], [4, 4], [4, 4], [4]]
