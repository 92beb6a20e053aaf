"""Whether counts are sound: those given by a caller, and those read from a folder."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, issparse

from topicnet.errors import InputError
from topicnet.storage.mapped import check_structure, release_pages, row_blocks


def whole_counts(counts: Any) -> csr_matrix:
    """Counts (D, V) as int32 in canonical CSR form.

    Raises
    ------
    InputError
        They are no matrix of whole numbers, 0 or more.
    """
    try:
        if issparse(counts):
            check_structure(counts)
        given = csr_matrix(counts)
    except (TypeError, ValueError) as error:
        if issparse(counts):
            raise InputError(f"the sparse counts are damaged: {error}; expected a matrix as scipy builds it") from error
        raise InputError(f"{type(counts).__name__} given as counts, expected a sparse matrix (D, V)") from error
    good = given.dtype.kind in "iuf" and (given.data >= 0).all() and (given.data < 2**31).all()
    if not good or (given.data != np.floor(given.data)).any():
        raise InputError("counts given that are not whole numbers, 0 or more: expected how often each word stands")
    if given.dtype == np.int32 and given.has_canonical_format and (given.data > 0).all():
        return given
    whole = given.astype(np.int32)  # a copy, as the caller's stays as it is
    whole.sum_duplicates()
    whole.eliminate_zeros()
    return whole


def check_parts(source: dict[str, Any], vocabulary: list[str], documents: pl.DataFrame) -> None:
    """Raise ValueError unless the parts beside the counts are what `save` writes."""
    options = source.get("options")
    named = all(isinstance(source.get(name), str) for name in ("name", "sha256"))
    if not named or not isinstance(options, dict) or not isinstance(options.get("tokenizer"), str):
        raise ValueError("counts.json does not say where they come from")
    if len(set(vocabulary)) < len(vocabulary):
        raise ValueError("a word stands twice in vocabulary.txt")
    if documents["doc_id"].dtype != pl.String or documents["status"].dtype != pl.String:
        raise ValueError("documents.parquet holds other columns")


def check_counts(counts: csr_matrix) -> None:
    """Raise ValueError unless the arrays make sound counts, looking at a block of rows at a time."""
    check_structure(counts)
    counts.check_format(full_check=False)
    if counts.dtype.kind not in "iu":
        raise ValueError("the counts are no whole numbers")
    for _, block in row_blocks(counts):
        block.check_format(full_check=True)


def are_below(ids: NDArray[np.integer], limit: int) -> bool:
    """Whether all ids are from 0 to below the limit."""
    step = 1 << 22
    for begin in range(0, len(ids), step):
        part = ids[begin : begin + step]
        if part.min() < 0 or part.max() >= limit:
            return False
        release_pages(ids)
    return True
