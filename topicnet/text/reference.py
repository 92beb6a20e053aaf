"""A corpus to judge topics on: its counts and its reading order, in the words of the model that is judged."""

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
    """Counts and tokens over a given vocabulary.

    Where every word of the text was counted, those outside the vocabulary hold their places in `tokens`, as -1, so that
    windows are as wide as in the text; where only known words were, windows run over these.

    Attributes
    ----------
    name : str
    counts : csr_matrix
        (D, V).
    tokens : ndarray of int
        Word ids in reading order, documents end to end; -1 for a word outside the vocabulary.
    starts : (D + 1,) ndarray
        Where each document begins in `tokens`.
    ordered : bool
        Whether the tokens stand in reading order, which no one knows of counts that another tool made.
    """

    name: str
    counts: csr_matrix
    tokens: NDArray[np.integer]
    starts: NDArray[np.int64]
    ordered: bool = True


def reference_over(corpus: Corpus, vocabulary: list[str]) -> Reference:
    """Put a corpus, counted over whatever words, into the words of a model.

    Raises
    ------
    CorpusError
        The corpus has no document, or none of the words.
    """
    name = str(corpus.source["name"])
    if corpus.n_docs == 0:
        raise CorpusError(f"the reference {name!r} holds no documents: expected one document a line, a row or a file")
    over = corpus.over(vocabulary)
    # Words outside the vocabulary hold their places.
    tokens = corpus.tokens if over is corpus else corpus.tokens_over(vocabulary)
    if over.counts.nnz == 0:
        raise CorpusError(
            f"none of the {corpus.n_docs} documents of the reference {name!r} holds a word of the model:"
            " give documents in the language of the fit"
        )
    ordered = bool(corpus.source.get("reading_order", True))
    return Reference(name, over.counts, tokens, starts_of(corpus.lengths), ordered)
