"""Counts larger than memory: blocks of rows, sums and released pages give the same numbers."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_matrix

from topicnet.models import MODELS, fitting
from topicnet.storage.mapped import is_mapped, release_pages, row_blocks, row_sums, rows_between

PARTS = ("data", "indices", "indptr")
dense_counts = st.tuples(st.integers(0, 8), st.integers(0, 5)).flatmap(
    lambda shape: arrays(np.int32, shape, elements=st.sampled_from([0, 0, 0, 1, 2, 9]))
)


def mapped(counts: csr_matrix, folder: Path) -> csr_matrix:
    """Save counts and return them memory-mapped."""
    for name in PARTS:
        np.save(folder / f"{name}.npy", getattr(counts, name))
    parts = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in PARTS]
    return csr_matrix(tuple(parts), shape=counts.shape, copy=False)


@pytest.fixture(params=["in memory", "mapped"])
def sample(request: pytest.FixtureRequest, tmp_path: Path) -> csr_matrix:
    """Counts (40, 30) with empty rows at the start, in the middle and at the end."""
    dense = np.random.default_rng(0).poisson(0.3, (40, 30)).astype(np.int32)
    dense[[0, 17, 18, 39]] = 0
    counts = csr_matrix(dense)
    return mapped(counts, tmp_path) if request.param == "mapped" else counts


@given(dense_counts, st.integers(1, 12))
def test_blocks_cover_each_row_once_in_order(dense: np.ndarray, nonzeros: int) -> None:
    counts = csr_matrix(dense)
    begin = 0
    for where, block in row_blocks(counts, nonzeros):
        assert where.start == begin < where.stop
        np.testing.assert_array_equal(block.toarray(), dense[where])
        assert block.nnz <= nonzeros or where.stop - where.start == 1
        begin = where.stop
    assert begin == len(dense)


@given(dense_counts)
def test_row_sums_equal_those_of_dense_counts(dense: np.ndarray) -> None:
    counts = csr_matrix(dense)
    np.testing.assert_array_equal(row_sums(counts), dense.sum(1))


@pytest.mark.parametrize("nonzeros", [1, 7, 10_000])
def test_blocks_and_sums_of_mapped_counts(sample: csr_matrix, nonzeros: int) -> None:
    dense = sample.toarray()
    found = [block.toarray() for _, block in row_blocks(sample, nonzeros)]
    np.testing.assert_array_equal(np.concatenate(found), dense)
    np.testing.assert_array_equal(row_sums(sample), dense.sum(1))


def test_blocks_stay_valid_after_their_pages_are_released(sample: csr_matrix) -> None:
    """Access to a block that is kept reads it from the file again."""
    dense = sample.toarray()
    kept = [(where, block) for where, block in row_blocks(sample, 20)]
    release_pages(sample.data, sample.indices, sample.indptr)
    assert len(kept) > 3
    for where, block in kept:
        np.testing.assert_array_equal(block.toarray(), dense[where])


def test_rows_between_are_those_rows(sample: csr_matrix) -> None:
    dense = sample.toarray()
    for begin, end in ((0, 40), (0, 0), (40, 40), (16, 20), (39, 40)):
        rows = rows_between(sample, begin, end)
        assert rows.shape == (end - begin, 30)
        np.testing.assert_array_equal(rows.toarray(), dense[begin:end])
    assert np.shares_memory(rows_between(sample, 0, 39).data, sample.data)


def test_only_arrays_of_a_file_are_mapped(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(10))
    array = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert is_mapped(array)
    assert is_mapped(array[2:5])
    assert is_mapped(np.asarray(array)[::2])
    assert not is_mapped(np.array(array))
    assert not is_mapped(np.arange(3)[1:])
    counts = mapped(csr_matrix(np.eye(3, dtype=np.int32)), tmp_path)
    assert is_mapped(counts.data)
    assert is_mapped(counts.indices)


def test_released_pages_are_read_again(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(100_000))
    array, own = np.load(tmp_path / "a.npy", mmap_mode="r"), np.arange(5)
    assert array.sum() == 4_999_950_000
    release_pages(array, array[5:], own)
    release_pages()
    assert array.sum() == 4_999_950_000
    assert own.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("name", "init"), [("etm", "em"), ("gmntm", "random")])
def test_a_fit_of_mapped_counts_gives_the_same_bits(
    name: str, init: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "EM_PASSES", 20)
    monkeypatch.setattr(fitting, "WARM_UP_STEPS", 10)
    monkeypatch.setattr(fitting, "RESEED_WARM_UP_STEPS", 10)
    rng = np.random.default_rng(1)
    dense = rng.poisson(rng.gamma(0.3, 1.0, (120, 1)) * rng.gamma(0.5, 1.0, (1, 40)), (120, 40)).astype(np.int32)
    dense[3] = 0
    counts = csr_matrix(dense)
    on_disk = mapped(counts, tmp_path)
    one, other = (
        MODELS[name](4, max_epochs=1, batch_size=60, init=init, random_state=0, device="cpu").fit(given)
        for given in (counts, on_disk)
    )
    assert np.array_equal(one.components_, other.components_)
    assert np.array_equal(one.transform(counts), other.transform(on_disk))
    assert np.array_equal(one.transform(on_disk), other.transform(counts))
    assert [row["loss"] for row in one.history_] == [row["loss"] for row in other.history_]
    np.testing.assert_array_equal(on_disk.toarray(), dense)
