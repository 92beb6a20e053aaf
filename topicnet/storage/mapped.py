"""Counts larger than memory: iteration over blocks of rows, release of memory-mapped pages, and piecewise .npy files.

Counts on disk are mapped instead of read. A page counts as memory of this process from its first access until it is
released, so loops over all counts release pages as they go.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

BLOCK_NONZEROS = 2_000_000  # nonzeros per block: 16 MB of counts and word ids
ROW_BYTES = 2 << 16  # bytes mapped by access to one row, because the system maps 64 KB around each page fault
BYTES_HELD = 64 << 20  # mapped bytes to accumulate by random access before releasing them


def row_blocks(counts: csr_matrix, nonzeros: int = BLOCK_NONZEROS) -> Iterator[tuple[slice, csr_matrix]]:
    """Yield blocks of consecutive rows of the counts (D, V), with about `nonzeros` entries each, and their slices."""
    n_docs = counts.shape[0]
    begin = 0
    while begin < n_docs:
        reach = int(counts.indptr[begin]) + nonzeros
        end = max(begin + 1, int(np.searchsorted(counts.indptr, reach, side="right")) - 1)
        yield slice(begin, end), rows_between(counts, begin, end)
        release_pages(counts.data, counts.indices)
        begin = end


def rows_between(counts: csr_matrix, begin: int, end: int) -> csr_matrix:
    """Return rows `begin` to `end` of the counts without accessing other rows."""
    first, last = int(counts.indptr[begin]), int(counts.indptr[end])
    starts = counts.indptr[begin : end + 1] - counts.indptr[begin]
    parts = (counts.data[first:last], counts.indices[first:last], starts)
    return csr_matrix(parts, shape=(end - begin, counts.shape[1]), copy=False)


def check_structure(counts: Any) -> None:
    """Raise ValueError unless the index arrays of a sparse matrix point within it.

    scipy does not check this, and its compiled code accesses memory wherever they point. Mapped CSR arrays are read
    block by block.
    """
    if counts.format == "coo":
        for ids, size in zip((counts.row, counts.col), counts.shape, strict=True):
            _check_ids(ids, size)
        return
    if counts.format not in ("csr", "csc", "bsr"):
        return
    n_major = counts.shape[counts.format == "csc"]
    n_minor = counts.shape[counts.format != "csc"]
    if counts.format == "bsr":
        n_major, n_minor = (size // block for size, block in zip(counts.shape, counts.blocksize, strict=True))
    indptr = counts.indptr
    if indptr.ndim != 1 or indptr.dtype.kind not in "iu" or len(indptr) != n_major + 1:
        raise ValueError(f"indptr is not an array of {n_major + 1} integers")
    if indptr[0] != 0 or (indptr[1:] < indptr[:-1]).any():
        raise ValueError("indptr decreases, or does not start at 0")
    if counts.indices.ndim != 1 or not indptr[-1] <= min(len(counts.indices), len(counts.data)):
        raise ValueError(f"indptr ends at {indptr[-1]}, but there are fewer counts or indices")
    step = BLOCK_NONZEROS
    for begin in range(0, int(indptr[-1]), step):
        _check_ids(counts.indices[begin : min(begin + step, int(indptr[-1]))], n_minor)
        release_pages(counts.indices)


def _check_ids(ids: NDArray[Any], size: int) -> None:
    if len(ids) and (ids.dtype.kind not in "iu" or ids.min() < 0 or ids.max() >= size):
        raise ValueError(f"indices are not integers from 0 to {size - 1}")


def row_sums(counts: csr_matrix) -> NDArray[np.float64]:
    """Return the sum of each row of the counts: (D,)."""
    sums = np.zeros(counts.shape[0])
    for where, block in row_blocks(counts):
        sums[where] = np.asarray(block.sum(1), dtype=np.float64).ravel()
    return sums


def is_mapped(array: NDArray[Any]) -> bool:
    """Return whether an array is memory-mapped from a file."""
    return _map_of(array) is not None


def update_digest(digest: hashlib._Hash, array: NDArray[Any], dtype: type[np.generic] | None = None) -> None:
    """Update a digest with the numbers of an array, block by block, optionally converted to another type."""
    flat = array.reshape(-1)
    for begin in range(0, len(flat), BLOCK_NONZEROS):
        digest.update(np.ascontiguousarray(flat[begin : begin + BLOCK_NONZEROS], dtype=dtype).data)
        release_pages(array)


def array_checksum(array: NDArray[Any], dtype: type[np.generic] | None = None) -> str:
    """Return the SHA-256 of the shape and numbers of an array, optionally converted to another type."""
    digest = hashlib.sha256(str(array.shape).encode())
    update_digest(digest, array, dtype)
    return digest.hexdigest()


def release_pages(*arrays: NDArray[Any]) -> None:
    """Release the pages of mapped arrays, which are read from the file again on access.

    Arrays that are not mapped are ignored.
    """
    for array in arrays:
        mapped = _map_of(array)
        if mapped is not None and hasattr(mapped, "madvise"):
            mapped.madvise(mmap.MADV_DONTNEED)


def _map_of(array: Any) -> mmap.mmap | None:
    while isinstance(array, np.ndarray):
        array = array.base
    return array if isinstance(array, mmap.mmap) else None


class ArrayFile:
    """One-dimensional .npy file written piece by piece.

    Parameters
    ----------
    path : Path
        File in a staged folder; complete once `close` was called.
    dtype : str or type
        Type of all pieces.
    """

    def __init__(self, path: Path, dtype: Any) -> None:
        self.path, self.dtype, self.length = path, np.dtype(dtype), 0
        self._handle = path.open("wb")
        self._write_header()

    def append(self, part: NDArray[Any]) -> None:
        """Append the values of a piece."""
        self._handle.write(part.astype(self.dtype, copy=False).data)
        self.length += len(part)

    def close(self) -> None:
        """Write the length into the header, for which numpy reserves space, and close the file.

        Further calls have no effect.
        """
        if self._handle.closed:
            return
        self._handle.seek(0)
        self._write_header()
        self._handle.close()

    def _write_header(self) -> None:
        header = {"descr": npy.dtype_to_descr(self.dtype), "fortran_order": False, "shape": (self.length,)}
        npy.write_array_header_1_0(self._handle, header)
