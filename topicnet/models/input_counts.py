"""Checks of the count matrices passed to an estimator, without copying memory-mapped ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array, csr_matrix, issparse
from sklearn.utils.validation import check_non_negative, validate_data

from topicnet.errors import InputError
from topicnet.storage.mapped import check_structure, row_blocks

LARGEST_COUNT = 2**31  # counts in files are below it


def check_counts(model: Any, X: Any, reset: bool) -> csr_matrix:
    """Return counts as canonical CSR, or raise an error.

    Parameters
    ----------
    model : TopicModel
        The estimator. Its `n_features_in_` is set or compared.
    X : array or sparse matrix of shape (D, V)
        Non-negative counts. Integer counts in canonical CSR, such as those of a corpus, are not copied, because they
        may be memory-mapped.
    reset : bool
        Set the number of features, as in `fit`, instead of comparing it.

    Returns
    -------
    csr_matrix of shape (D, V)
        Counts without stored zeros; each row has its words once and in order.

    Raises
    ------
    InputError
        If the sparse structure is damaged, or a count is above 2^31.
    ValueError
        From scikit-learn, if a count is negative or not finite, or the number of words is another than in `fit`.
    """
    if issparse(X):
        try:
            check_structure(X)
        except ValueError as error:
            raise InputError(f"the sparse counts are damaged: {error}; expected a matrix as scipy builds it") from error
    caller = f"{type(model).__name__} (counts)"
    if isinstance(X, csr_matrix | csr_array) and X.dtype.kind in "iu" and min(X.shape) > 0:
        counts = csr_matrix(X, copy=False)
        if _is_canonical(counts, caller):
            _check_size(counts)
            validate_data(model, X, reset=reset, skip_check_array=True)
            return counts
    X = validate_data(model, X, reset=reset, accept_sparse="csr", accept_large_sparse=False, dtype=np.float32)
    check_non_negative(X, caller)
    counts = csr_matrix(X, copy=True)
    counts.sum_duplicates()
    _check_size(counts)
    counts.eliminate_zeros()
    return counts


def _check_size(counts: csr_matrix) -> None:
    """Raise InputError for a count so large that theta would not be finite."""
    largest = max((float(block.data.max(initial=0)) for _, block in row_blocks(counts)), default=0.0)
    if largest > LARGEST_COUNT:
        raise InputError(f"a count of {largest:g} given, expected at most 2^31: check the matrix, or scale it")


def _is_canonical(counts: csr_matrix, caller: str) -> bool:
    """Check block by block that each row has its words once and in order, with positive counts."""
    canonical = True
    for _, block in row_blocks(counts):
        check_non_negative(block, caller)
        canonical = canonical and block.has_canonical_format and bool((block.data > 0).all())
    return canonical


def padded(counts: csr_matrix, n_docs: int) -> csr_matrix:
    """Append empty documents to counts, up to `n_docs` rows."""
    starts = np.append(counts.indptr, np.full(n_docs - counts.shape[0], counts.indptr[-1]))
    return csr_matrix((counts.data, counts.indices, starts), shape=(n_docs, counts.shape[1]))
