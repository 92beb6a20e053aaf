"""Reference corpus for coherence: counts and tokens of a corpus over the vocabulary of a model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from topicnet.errors import CorpusError
from topicnet.text.corpus import Corpus
from topicnet.text.token_counts import starts_of


@dataclass(frozen=True, eq=False)
class Reference:
    """Counts and tokens of a corpus over a given vocabulary.

    If every word of the text was counted, words outside the vocabulary keep their positions in `tokens`, as -1, so that
    windows are as wide as in the text. If only known words were counted, windows run over these.

    Attributes
    ----------
    name : str
        Name of the corpus.
    counts : csr_matrix of shape (D, V)
        Word counts of each document.
    tokens : ndarray of shape (N,), int
        Word ids in reading order, documents end to end; -1 for a word outside the vocabulary.
    starts : ndarray of shape (D + 1,), int64
        Position in `tokens` at which each document begins, and the end of the last.
    ordered : bool
        Whether the tokens are in reading order, which is not known of counts that another tool produced.
    """

    name: str
    counts: csr_matrix
    tokens: NDArray[np.integer]
    starts: NDArray[np.int64]
    ordered: bool = True


def reference_over(corpus: Corpus, vocabulary: list[str]) -> Reference:
    """Express a corpus in the vocabulary of a model.

    Parameters
    ----------
    corpus : Corpus
        Counted over any vocabulary.
    vocabulary : list of str, length V
        The words of the model.

    Returns
    -------
    Reference

    Raises
    ------
    CorpusError
        The corpus has no documents, or contains none of the words.
    """
    name = str(corpus.source["name"])
    if corpus.n_docs == 0:
        raise CorpusError(f"the reference {name!r} holds no documents: expected one document per line, row or file")
    over = corpus.over(vocabulary)
    # Words outside the vocabulary keep their positions, as -1.
    tokens = corpus.tokens if over is corpus else corpus.tokens_over(vocabulary)
    if over.counts.nnz == 0:
        raise CorpusError(
            f"none of the {corpus.n_docs} documents of the reference {name!r} holds a word of the model:"
            " use documents in the language of the fit"
        )
    ordered = bool(corpus.source.get("reading_order", True))
    return Reference(name, over.counts, tokens, starts_of(corpus.lengths), ordered)
