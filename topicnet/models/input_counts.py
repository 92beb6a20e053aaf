"""Check the counts that an estimator is given."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array, csr_matrix, issparse
from sklearn.utils.validation import check_non_negative, validate_data

from topicnet.errors import InputError
from topicnet.storage.mapped import check_structure, row_blocks

MOST = 2**31  # of a count: those of files are below it


def check_counts(model: Any, X: Any, reset: bool) -> csr_matrix:
    """Return non-negative counts (D, V) as canonical CSR; those of a corpus, which may be mapped, uncopied."""
    if issparse(X):
        try:
            check_structure(X)
        except ValueError as error:
            raise InputError(f"the sparse counts are damaged: {error}; expected a matrix as scipy builds it") from error
    whose = f"{type(model).__name__} (counts)"
    if isinstance(X, csr_matrix | csr_array) and X.dtype.kind in "iu" and min(X.shape) > 0:
        counts = csr_matrix(X, copy=False)
        if _is_canonical(counts, whose):
            _check_size(counts)
            validate_data(model, X, reset=reset, skip_check_array=True)
            return counts
    X = validate_data(model, X, reset=reset, accept_sparse="csr", accept_large_sparse=False, dtype=np.float32)
    check_non_negative(X, whose)
    counts = csr_matrix(X, copy=True)
    counts.sum_duplicates()
    _check_size(counts)
    counts.eliminate_zeros()
    return counts


def _check_size(counts: csr_matrix) -> None:
    """Raise InputError for counts so large that theta would not be finite."""
    largest = max((float(block.data.max(initial=0)) for _, block in row_blocks(counts)), default=0.0)
    if largest > MOST:
        raise InputError(f"a count of {largest:g} given, expected at most 2^31: check the matrix, or scale it")


def _is_canonical(counts: csr_matrix, whose: str) -> bool:
    """Whether each row has its words once and in order, with positive counts; read a block at a time."""
    sound = True
    for _, block in row_blocks(counts):
        check_non_negative(block, whose)
        sound = sound and block.has_canonical_format and bool((block.data > 0).all())
    return sound


def padded(counts: csr_matrix, n_docs: int) -> csr_matrix:
    """Add empty documents to counts, up to `n_docs`."""
    starts = np.append(counts.indptr, np.full(n_docs - counts.shape[0], counts.indptr[-1]))
    return csr_matrix((counts.data, counts.indices, starts), shape=(n_docs, counts.shape[1]))
