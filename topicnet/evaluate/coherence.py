"""Topic coherence by document co-occurrence: which words speak for a topic, and do they occur together."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array, csr_matrix, issparse

from topicnet.errors import InputError

Counts: TypeAlias = csr_matrix | csr_array

NOT_IN_REFERENCE = -1  # the id of a topic word that the reference's vocabulary does not hold


def top_words(beta: NDArray[np.floating], n: int = 10) -> NDArray[np.intp]:
    """Ids of the ``n`` most probable words of each topic, the most probable first.

    Parameters
    ----------
    beta : (K, V) array
        Topic-word probabilities, or any other weights by which words can be ranked.
    n : int
        Words per topic; all V of them when ``n`` is larger.

    Returns
    -------
    (K, min(n, V)) array of word ids. Of equally probable words the lower id comes first.

    Raises
    ------
    InputError
        If ``beta`` is not a table with at least one topic and one word, holds NaN, or ``n`` is below 1.
    """
    table = np.asarray(beta)
    if table.ndim != 2 or 0 in table.shape:
        raise InputError(f"beta has shape {table.shape}; expected (K, V), at least one topic and one word")
    if np.isnan(table).any():
        raise InputError("beta holds NaN; expected numbers by which words can be ranked")
    if n < 1:
        raise InputError(f"n is {n}; ask for at least 1 word per topic")
    n = min(n, table.shape[1])
    return np.stack([_best(row.astype(np.float64), n) for row in table])  # (K, n)


def npmi(topics: NDArray[np.integer], counts: Counts) -> NDArray[np.float64]:
    """Mean normalised pointwise mutual information over the word pairs of each topic.

    A pair (i, j), i < j in the list, scores ``log(p_ij / (p_i p_j)) / -log p_ij``, where ``p_i`` is the share
    of the reference documents that hold word i, and ``p_ij`` the share that hold both.

    Parameters
    ----------
    topics : (K, N) integer array
        Word ids, by custom the 10 most probable words; -1 for a word that is not in the reference's
        vocabulary.
    counts : (D, V) sparse matrix
        The reference corpus. A count above 0 is an occurrence; a stored 0 is not. D counts every row, those
        without any word too.

    Returns
    -------
    (K,) array without a unit, each score in [-1, 1]: 1 when the words only ever occur together, 0 when they
    are independent, -1 when no two of them share a document.

    Raises
    ------
    InputError
        If a topic has fewer than two words, an id is neither -1 nor below V, or the reference is empty.

    Notes
    -----
    A pair that never co-occurs scores -1, as in the ETM and ProdLDA papers (W-LDA's paper scores it 0); so
    does a pair with a word the reference never saw, of which :func:`unseen_words` keeps count. ``p_ij = 1``
    scores 1, the limit. Measure: Bouma 2009; its mean over topic words: Lau, Newman & Baldwin 2014; the
    convention: Dieng, Ruiz & Blei 2020.
    """
    topics, reference = _checked(topics, counts)
    if topics.shape[1] < 2:
        raise InputError(f"topics has shape {topics.shape}; a pair needs at least two words per topic")
    words, position = _distinct(topics)
    seen = _occurrences(words, reference)  # (D, U)
    pairs = np.triu_indices(topics.shape[1], k=1)
    scores = [_pair_scores(seen[:, columns])[pairs].mean() for columns in position]
    return np.array(scores, dtype=np.float64)  # (K,)


def unseen_words(topics: NDArray[np.integer], counts: Counts) -> int:
    """How many distinct topic words the reference never saw.

    Parameters
    ----------
    topics : (K, N) integer array
        Word ids, as for :func:`npmi`. All -1 count as one word: what they stand for cannot be told apart.
    counts : (D, V) sparse matrix
        The reference corpus.

    Returns
    -------
    Number of words, between 0 and K * N.

    Raises
    ------
    InputError
        If an id is neither -1 nor below V, or the reference is empty.
    """
    topics, reference = _checked(topics, counts)
    words, _ = _distinct(topics)
    n_docs = _occurrences(words, reference).sum(axis=0)  # (U,)
    return int(np.count_nonzero(n_docs == 0))


def _best(weights: NDArray[np.float64], n: int) -> NDArray[np.intp]:
    """Positions of the ``n`` largest weights, without sorting the rest; of ties the lower position first."""
    least = np.partition(weights, -n)[-n]
    candidates = np.flatnonzero(weights >= least)  # ascending, more than n of them where weights tie
    return candidates[np.argsort(-weights[candidates], kind="stable")[:n]]


def _pair_scores(seen: csc_array) -> NDArray[np.float64]:
    """NPMI of every pair of the columns of ``seen`` (D, N), a matrix of zeros and ones; (N, N)."""
    n_docs = float(seen.shape[0])
    joint = (seen.T @ seen).toarray().astype(np.float64)  # (N, N) documents
    single = joint.diagonal()
    scores = np.full(joint.shape, -1.0)
    scores[joint == n_docs] = 1.0
    some = (joint > 0) & (joint < n_docs)
    lift = n_docs * joint[some] / np.outer(single, single)[some]  # p_ij / (p_i p_j)
    scores[some] = np.log(lift) / np.log(n_docs / joint[some])
    return scores


def _occurrences(words: NDArray[np.intp], counts: csr_array) -> csc_array:
    """(D, U) zeros and ones: does the document hold the word; a word -1 has an empty column."""
    taken = csr_array(counts[:, np.maximum(words, 0)])  # a copy: the reference stays as it was
    taken.sum_duplicates()
    held = (taken.data > 0) & (words != NOT_IN_REFERENCE)[taken.indices]
    seen = csr_array((held.astype(np.int64), taken.indices, taken.indptr), shape=taken.shape)
    seen.eliminate_zeros()
    return seen.tocsc()


def _distinct(topics: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The distinct word ids (U,), and each topic word's position among them (K, N)."""
    words, position = np.unique(topics, return_inverse=True)
    return words, position.reshape(topics.shape)  # numpy 1 and 2 shape the inverse differently


def _checked(topics: NDArray[np.integer], counts: Counts) -> tuple[NDArray[np.intp], csr_array]:
    """Topics and reference, ready for use and fitting each other."""
    reference, table = _checked_reference(counts), _checked_topics(topics)
    n_words = reference.shape[1]
    if table.min() < NOT_IN_REFERENCE or table.max() >= n_words:
        raise InputError(
            f"topics holds ids from {table.min()} to {table.max()}; expected 0 to {n_words - 1} for words of "
            f"the reference, {NOT_IN_REFERENCE} for others"
        )
    return table, reference


def _checked_topics(topics: NDArray[np.integer]) -> NDArray[np.intp]:
    table = np.asarray(topics)
    if table.ndim != 2 or 0 in table.shape:
        raise InputError(f"topics has shape {table.shape}; expected (K, N) word ids, at least one of each")
    if not np.issubdtype(table.dtype, np.integer):
        raise InputError(f"topics holds {table.dtype}; expected integer word ids, as top_words gives them")
    return table.astype(np.intp, copy=False)


def _checked_reference(counts: Counts) -> csr_array:
    if not issparse(counts) or counts.ndim != 2:
        raise InputError(f"counts is a {type(counts).__name__}; expected a scipy sparse matrix (D, V)")
    if 0 in counts.shape:
        raise InputError(f"counts has shape {counts.shape}; expected at least one document and one word")
    return csr_array(counts)
