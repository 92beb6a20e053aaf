"""Validation of counts, passed in by a caller or read from a folder."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, issparse

from topicnet.errors import InputError
from topicnet.storage.mapped import check_structure, release_pages, row_blocks


def whole_counts(counts: Any) -> csr_matrix:
    """Return counts (D, V) as int32 in canonical CSR form, without changing the input.

    Raises
    ------
    InputError
        The counts are not a matrix of whole numbers, 0 or more.
    """
    try:
        if issparse(counts):
            check_structure(counts)
        given = csr_matrix(counts)
    except (TypeError, ValueError) as error:
        if issparse(counts):
            raise InputError(f"the sparse counts are damaged: {error}; expected a matrix as scipy builds it") from error
        raise InputError(f"{type(counts).__name__} given as counts, expected a sparse matrix (D, V)") from error
    valid = given.dtype.kind in "iuf" and (given.data >= 0).all() and (given.data < 2**31).all()
    if not valid or (given.data != np.floor(given.data)).any():
        raise InputError(
            "counts given that are not whole numbers, 0 or more: expected how often each word occurs in each document"
        )
    if given.dtype == np.int32 and given.has_canonical_format and (given.data > 0).all():
        return given
    whole = given.astype(np.int32)  # a copy: the caller's matrix stays unchanged
    whole.sum_duplicates()
    whole.eliminate_zeros()
    return whole


def check_parts(source: dict[str, Any], vocabulary: list[str], documents: pl.DataFrame) -> None:
    """Raise ValueError unless the source, the vocabulary and the documents are as `Corpus.save` writes them."""
    options = source.get("options")
    named = all(isinstance(source.get(name), str) for name in ("name", "sha256"))
    if not named or not isinstance(options, dict) or not isinstance(options.get("tokenizer"), str):
        raise ValueError("counts.json does not describe their source")
    if len(set(vocabulary)) < len(vocabulary):
        raise ValueError("a word occurs twice in vocabulary.txt")
    if documents["doc_id"].dtype != pl.String or documents["status"].dtype != pl.String:
        raise ValueError("documents.parquet has unexpected columns")


def check_counts(counts: csr_matrix) -> None:
    """Raise ValueError unless the arrays are valid counts, reading one block of rows at a time."""
    check_structure(counts)
    counts.check_format(full_check=False)
    if counts.dtype.kind not in "iu":
        raise ValueError("the counts are not whole numbers")
    for _, block in row_blocks(counts):
        block.check_format(full_check=True)


def all_below(ids: NDArray[np.integer], limit: int) -> bool:
    """Return whether all ids are at least 0 and below the limit."""
    step = 1 << 22
    for begin in range(0, len(ids), step):
        part = ids[begin : begin + step]
        if part.min() < 0 or part.max() >= limit:
            return False
        release_pages(ids)
    return True
