"""Passages: documents split into parts of nearly equal length, whose theta is combined into that of the document."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from topicnet.errors import InputError
from topicnet.text.corpus import Corpus
from topicnet.text.token_counts import count_tokens, passage_lengths, token_blocks


@dataclass(frozen=True, eq=False)
class Passages:
    """Passages of a corpus, in reading order, at least one per document.

    Attributes
    ----------
    counts : csr_matrix of shape (P, V), int32
        Word counts of each passage.
    document : ndarray of shape (P,), int64
        Row of the document that each passage is part of, ascending.
    number : ndarray of shape (P,), int64
        Number of the passage in its document, from 1.
    n_tokens : ndarray of shape (P,), int64
        Number of counted words of each passage.
    """

    counts: csr_matrix
    document: NDArray[np.int64]
    number: NDArray[np.int64]
    n_tokens: NDArray[np.int64]

    @property
    def n_passages(self) -> int:
        """Number of passages, P."""
        return int(self.counts.shape[0])


def in_passages(corpus: Corpus, size: int) -> Passages:
    """Split each document into passages of about `size` counted words.

    A document of L counted words gives L / size passages, rounded, and at least one. Their lengths differ by at most
    one word, so no short remainder is left over. A document without words gives one passage without words.

    Parameters
    ----------
    corpus : Corpus
    size : int
        Counted words per passage, 1 or more.

    Raises
    ------
    InputError
        `size` is not a whole number from 1.
    """
    if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 1:
        raise InputError(f"passages of {size!r} words requested, expected a whole number from 1, such as 100")
    document, number, n_tokens = passage_lengths(corpus.lengths, size)  # (P,) each
    parts = [count_tokens(corpus.tokens[:0], n_tokens[:0], corpus.vocab_size)]  # vstack needs at least one matrix
    for rows, tokens in token_blocks(corpus.tokens, n_tokens):
        parts.append(count_tokens(tokens, n_tokens[rows], corpus.vocab_size))
    return Passages(csr_matrix(vstack(parts, format="csr")), document, number + 1, n_tokens)


def document_theta(
    theta: NDArray[np.floating], passages: Passages, prior: NDArray[np.floating] | None = None
) -> NDArray[np.floating]:
    """Compute theta of the documents: the mean over their passages, weighted by the number of counted words.

    Parameters
    ----------
    theta : ndarray of shape (P, K)
        Theta of the passages.
    passages : Passages
    prior : ndarray of shape (K,), optional
        Theta of a document without words. By default that of its passage, which a model sets to its prior.

    Returns
    -------
    ndarray of shape (D, K)
        With the dtype of `theta`.

    Raises
    ------
    InputError
        `theta` or `prior` does not fit the passages.
    """
    if theta.ndim != 2 or len(theta) != passages.n_passages:
        raise InputError(
            f"theta of shape {theta.shape} given for {passages.n_passages} passages, expected one row per passage"
        )
    if prior is not None and prior.shape != theta.shape[1:]:
        raise InputError(f"a prior of shape {prior.shape} given, expected ({theta.shape[1]},), one value per topic")
    if len(theta) == 0:
        return theta.copy()
    first = np.flatnonzero(passages.number == 1)  # (D,)
    empty = np.add.reduceat(passages.n_tokens, first) == 0  # (D,)
    n_tokens = np.where(empty[passages.document], 1, passages.n_tokens)  # (P,)
    weights = n_tokens / np.add.reduceat(n_tokens, first)[passages.document]  # (P,) sum to 1 in each document
    mean: NDArray[np.floating] = np.add.reduceat(theta * weights[:, None], first).astype(theta.dtype)  # (D, K)
    if prior is not None:
        mean[empty] = prior
    return mean
