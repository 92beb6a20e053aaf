"""Documents cut into passages of nearly equal length, and their topics put together again."""

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
    """The passages of a corpus, in reading order; every document has one or more.

    Attributes
    ----------
    counts : csr_matrix
        (P, V) int32.
    document : ndarray of int64
        (P,) row of the document each passage was cut from, ascending.
    number : ndarray of int64
        (P,) place of the passage in its document, from 1.
    n_tokens : ndarray of int64
        (P,) counted words of each passage.
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
    """Cut each document into passages of about `size` counted words.

    A document of L counted words gives L / size passages, rounded, and at least one: their lengths differ by one word
    at most, so that no rest of a few words is left over. A document without words gives one passage without words.

    Parameters
    ----------
    corpus : Corpus
    size : int
        Counted words of a passage, 1 or more.

    Raises
    ------
    InputError
        `size` is not a whole number from 1.
    """
    if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 1:
        raise InputError(f"passages of {size!r} words asked for, expected a whole number from 1, such as 100")
    document, number, n_tokens = passage_lengths(corpus.lengths, size)  # (P,) each
    parts = [count_tokens(corpus.tokens[:0], n_tokens[:0], corpus.vocab_size)]  # with no passage, that of none
    for rows, tokens in token_blocks(corpus.tokens, n_tokens):
        parts.append(count_tokens(tokens, n_tokens[rows], corpus.vocab_size))
    return Passages(csr_matrix(vstack(parts, format="csr")), document, number + 1, n_tokens)


def document_theta(
    theta: NDArray[np.floating], passages: Passages, prior: NDArray[np.floating] | None = None
) -> NDArray[np.floating]:
    """Theta of the documents: the mean over their passages, each weighed by its counted words.

    Parameters
    ----------
    theta : (P, K) ndarray
        Theta of the passages.
    passages : Passages
    prior : (K,) ndarray, optional
        Theta of a document without words; by default that of its passage, to which a model gives its prior.

    Returns
    -------
    (D, K) ndarray
        Of the type of `theta`.

    Raises
    ------
    InputError
        `theta` or `prior` does not fit the passages.
    """
    if theta.ndim != 2 or len(theta) != passages.n_passages:
        raise InputError(
            f"theta of shape {theta.shape} given for {passages.n_passages} passages: expected one row each"
        )
    if prior is not None and prior.shape != theta.shape[1:]:
        raise InputError(f"a prior of shape {prior.shape} given, expected ({theta.shape[1]},) as theta has topics")
    if len(theta) == 0:
        return theta.copy()
    first = np.flatnonzero(passages.number == 1)  # (D,)
    silent = np.add.reduceat(passages.n_tokens, first) == 0  # (D,)
    weights = np.where(silent[passages.document], 1, passages.n_tokens)  # (P,)
    shares = weights / np.add.reduceat(weights, first)[passages.document]
    mean: NDArray[np.floating] = np.add.reduceat(theta * shares[:, None], first).astype(theta.dtype)  # (D, K)
    if prior is not None:
        mean[silent] = prior
    return mean
