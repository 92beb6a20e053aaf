"""Topic coherence from topics and a reference corpus: how often the top words of a topic occur together.

=========  ==========================  =====================================================  =================
measure    co-occurrence within        score of a pair                                        range
=========  ==========================  =====================================================  =================
NPMI       a document                  log(p_ij / p_i p_j) / -log p_ij; -1 if p_ij = 0        [-1, 1]
C_NPMI     a window of 10 tokens       the same with p_ij + 1e-12                             [-1, 1]
C_UCI      a window of 10 tokens       log((p_ij + 1e-12) / p_i p_j)                          from -27.6
U_Mass     a document                  log((p_ij + 1e-12) / p_j), j the more probable         [-27.6, 0]
C_V        a window of 110 tokens      cosine of a word's C_NPMI vector with the topic's sum  [-1, 1]
=========  ==========================  =====================================================  =================

NPMI follows the ETM papers. The others are those of Röder, Both & Hinneburg (2015) and equal gensim's `CoherenceModel`
to rounding. They also have a value where gensim has none: a pair with a word that does not occur in the reference
scores -1, or about log 1e-12 under C_UCI and U_Mass (:func:`unseen` counts such words). Under C_V such a word scores -1
and is left out of the other words' vectors. A pair that occurs in every window scores 1 under C_NPMI.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from topicnet.errors import InputError
from topicnet.evaluate import measures
from topicnet.evaluate.checks import checked_counts, checked_topics
from topicnet.evaluate.occurrences import Counts, TokenStream, document_occurrences, window_occurrences

NOT_IN_REFERENCE = -1  # id of a topic word outside the reference's vocabulary
NARROW_WINDOW, WIDE_WINDOW = 10, 110  # tokens; narrow for C_UCI and C_NPMI, wide for C_V
MEASURES = ("npmi", "c_v", "c_npmi", "c_uci", "u_mass")


@dataclass(frozen=True)
class Unseen:
    """Numbers of topic words and word pairs that do not occur in a reference corpus.

    Parameters
    ----------
    words : int
        Distinct topic words that occur in no document. All words with the id -1 count as one.
    pairs : int
        Word pairs, summed over topics, that share no document. They include the pairs with an unseen word.

    Examples
    --------
    >>> from topicnet.evaluate.coherence import Unseen
    >>> Unseen(words=1, pairs=3).pairs
    3
    """

    words: int
    pairs: int


def top_words(beta: NDArray[np.floating], n: int = 10) -> NDArray[np.intp]:
    """Select the ids of the `n` most probable words of each topic, the most probable first.

    Parameters
    ----------
    beta : ndarray of shape (K, V)
        Topic-word probabilities, or any other weights by which words can be ranked.
    n : int
        Words per topic; all V if `n` is larger.

    Returns
    -------
    ndarray of shape (K, min(n, V)), intp
        Word ids. Of equally probable words the lower id comes first.

    Raises
    ------
    InputError
        If `beta` is not a table with at least one topic and one word, holds NaN, or `n` is below 1.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.coherence import top_words
    >>> top_words(np.array([[0.1, 0.7, 0.2], [0.5, 0.1, 0.4]]), n=2).tolist()
    [[1, 2], [0, 2]]
    """
    table = np.asarray(beta)
    if table.ndim != 2 or 0 in table.shape:
        raise InputError(f"beta has shape {table.shape}; expected (K, V), at least one topic and one word")
    if np.isnan(table).any():
        raise InputError("beta holds NaN; expected numbers by which words can be ranked")
    if n < 1:
        raise InputError(f"n is {n}; expected at least 1 word per topic")
    n = min(n, table.shape[1])
    return np.stack([_largest(row.astype(np.float64), n) for row in table])  # (K, n)


def npmi(topics: NDArray[np.integer], counts: Counts) -> NDArray[np.float64]:
    """Mean normalised pointwise mutual information over the word pairs of each topic.

    A pair of words (i, j) scores ``log(p_ij / (p_i p_j)) / -log p_ij``, where ``p_i`` is the fraction of reference
    documents that contain word i, and ``p_ij`` the fraction that contain both.

    Parameters
    ----------
    topics : ndarray of shape (K, N), int
        Word ids, usually the 10 most probable words; -1 for a word outside the reference's vocabulary.
    counts : sparse matrix of shape (D, V)
        The reference corpus. A count above 0 is an occurrence; a stored 0 is not. D includes empty documents.

    Returns
    -------
    ndarray of shape (K,), float64
        Without a unit, each in [-1, 1]: 1 when the words only ever occur together, 0 when they are independent, -1
        when no two of them share a document.

    Raises
    ------
    InputError
        If a topic has fewer than two words, an id is neither -1 nor below V, or the reference is empty.

    Notes
    -----
    A pair that never co-occurs scores -1, as in the ETM and ProdLDA papers (W-LDA's paper scores it 0), and so does a
    pair with a word that does not occur in the reference; :func:`unseen` counts both. A pair with ``p_ij = 1`` scores
    1, the limit. Measure: Bouma 2009; its mean over topic words: Lau, Newman & Baldwin 2014; the convention: Dieng,
    Ruiz & Blei 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_matrix
    >>> from topicnet.evaluate.coherence import npmi
    >>> counts = csr_matrix([[1, 1, 0], [2, 1, 0], [0, 0, 3]])
    >>> npmi(np.array([[0, 1], [0, 2]]), counts).round(6).tolist()
    [1.0, -1.0]
    """
    return measures.npmi(document_occurrences(*_checked(_paired(topics), counts)))


def u_mass(topics: NDArray[np.integer], counts: Counts) -> NDArray[np.float64]:
    """Mean log conditional probability of each topic's words given its more probable ones (U_Mass).

    A pair of words (i, j), with j before i in the list, scores ``log((p_ij + 1e-12) / p_j)``; p is a fraction of the
    reference documents.

    Parameters
    ----------
    topics : ndarray of shape (K, N), int
        Word ids, the most probable first; -1 for a word outside the reference's vocabulary.
    counts : sparse matrix of shape (D, V)
        The reference corpus. A count above 0 is an occurrence.

    Returns
    -------
    ndarray of shape (K,), float64
        Nats, each in [log 1e-12, 0]. A pair whose more probable word does not occur in the reference has the lowest
        score.

    Raises
    ------
    InputError
        If a topic has fewer than two words, an id is neither -1 nor below V, or the reference is empty.

    Notes
    -----
    Measure: Mimno, Wallach, Talley, Leenders & McCallum 2011. They add 1 to the document count in the numerator;
    this follows gensim, which adds 1e-12 to the probability.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_matrix
    >>> from topicnet.evaluate.coherence import u_mass
    >>> counts = csr_matrix([[1, 1], [2, 0], [0, 1]])
    >>> u_mass(np.array([[0, 1]]), counts).round(6).tolist()  # log 1/2
    [-0.693147]
    """
    return measures.u_mass(document_occurrences(*_checked(_paired(topics), counts)))


def c_uci(
    topics: NDArray[np.integer], stream: TokenStream, window: int = NARROW_WINDOW, *, exact: bool = False
) -> NDArray[np.float64]:
    """Mean pointwise mutual information over the word pairs of each topic, in sliding windows (C_UCI).

    A pair of words scores ``log((p_ij + 1e-12) / (p_i p_j))``; p is a fraction of the windows of the reference.

    Parameters
    ----------
    topics : ndarray of shape (K, N), int
        Word ids; -1 for a word outside the reference's vocabulary.
    stream : TokenStream
        The reference corpus in reading order.
    window : int
        Window size in tokens.
    exact : bool
        Count windows as defined instead of as gensim does; see
        :func:`~topicnet.evaluate.occurrences.window_occurrences`.

    Returns
    -------
    ndarray of shape (K,), float64
        Nats. A pair with a word that does not occur in the reference scores log 1e-12.

    Raises
    ------
    InputError
        If a topic has fewer than two words, an id is below -1, the window is not a whole number of 1 or more, or the
        reference has no tokens.

    Notes
    -----
    Measure: Newman, Lau, Grieser & Baldwin 2010; with sliding windows over the reference: Röder, Both & Hinneburg 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.coherence import c_uci
    >>> from topicnet.evaluate.occurrences import TokenStream
    >>> stream = TokenStream(tokens=np.array([0, 1, 2, 2]), starts=np.array([0, 2, 4]))
    >>> c_uci(np.array([[0, 1]]), stream).round(6).tolist()  # log 2: together in one window of two
    [0.693147]
    """
    return measures.c_uci(window_occurrences(*_checked_stream(topics, stream), window, exact=exact))


def c_npmi(
    topics: NDArray[np.integer], stream: TokenStream, window: int = NARROW_WINDOW, *, exact: bool = False
) -> NDArray[np.float64]:
    """Mean normalised pointwise mutual information over word pairs, in sliding windows (C_NPMI).

    A pair of words scores ``log((p_ij + e) / (p_i p_j)) / -log(p_ij + e)`` with e = 1e-12.

    Parameters
    ----------
    topics : ndarray of shape (K, N), int
        Word ids; -1 for a word outside the reference's vocabulary.
    stream : TokenStream
        The reference corpus in reading order.
    window : int
        Window size in tokens.
    exact : bool
        Count windows as defined instead of as gensim does; see
        :func:`~topicnet.evaluate.occurrences.window_occurrences`.

    Returns
    -------
    ndarray of shape (K,), float64
        Each in [-1, 1], up to the smoothing, which raises a pair that always occurs together by at most 1e-5 in 10^8
        windows. A pair with a word that does not occur in the reference scores -1, one that is in every window 1.

    Raises
    ------
    InputError
        If a topic has fewer than two words, an id is below -1, the window is not a whole number of 1 or more, or the
        reference has no tokens.

    Notes
    -----
    Measure: Bouma 2009; with sliding windows over the reference: Röder, Both & Hinneburg 2015. Because of the smoothing
    a pair that shares no window scores above -1, and higher the rarer its words: -0.667 at p_i = p_j = 0.01.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.coherence import c_npmi
    >>> from topicnet.evaluate.occurrences import TokenStream
    >>> stream = TokenStream(tokens=np.array([0, 1, 2, 2]), starts=np.array([0, 2, 4]))
    >>> c_npmi(np.array([[0, 1]]), stream).round(6).tolist()
    [1.0]
    """
    return measures.c_npmi(window_occurrences(*_checked_stream(topics, stream), window, exact=exact))


def c_v(
    topics: NDArray[np.integer], stream: TokenStream, window: int = WIDE_WINDOW, *, exact: bool = False
) -> NDArray[np.float64]:
    """Mean similarity of the contexts in which a topic's words occur (C_V).

    Each word has a vector of its C_NPMI with all of the topic's words, itself included. The score is the mean cosine of
    these vectors with their sum.

    Parameters
    ----------
    topics : ndarray of shape (K, N), int
        Word ids; -1 for a word outside the reference's vocabulary.
    stream : TokenStream
        The reference corpus in reading order.
    window : int
        Window size in tokens.
    exact : bool
        Count windows as defined instead of as gensim does; see
        :func:`~topicnet.evaluate.occurrences.window_occurrences`.

    Returns
    -------
    ndarray of shape (K,), float64
        Each in [-1, 1], in practice mostly in [0.2, 0.8]. A word that does not occur in the reference scores -1.

    Raises
    ------
    InputError
        If a topic has fewer than two words, an id is below -1, the window is not a whole number of 1 or more, or the
        reference has no tokens.

    Notes
    -----
    Röder, Both & Hinneburg 2015, Exploring the Space of Topic Coherence Measures, WSDM.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.coherence import c_v
    >>> from topicnet.evaluate.occurrences import TokenStream
    >>> stream = TokenStream(tokens=np.array([0, 1, 2, 2]), starts=np.array([0, 2, 4]))
    >>> c_v(np.array([[0, 1]]), stream).round(6).tolist()
    [1.0]
    """
    return measures.c_v(window_occurrences(*_checked_stream(topics, stream), window, exact=exact))


def coherences(
    topics: NDArray[np.integer], counts: Counts, stream: TokenStream | None = None
) -> dict[str, NDArray[np.float64]]:
    """Score topics by all measures on one reference, counting co-occurrences once for each kind of context.

    Parameters
    ----------
    topics : ndarray of shape (K, N), int
        Word ids, the most probable first; -1 for a word outside the reference's vocabulary.
    counts : sparse matrix of shape (D, V)
        The reference corpus. A count above 0 is an occurrence.
    stream : TokenStream, optional
        The same corpus in reading order. Without it the windowed measures are left out.

    Returns
    -------
    dict of str to ndarray of shape (K,)
        Scores by the names in :data:`MEASURES`; see the functions of these names for ranges and units.

    Raises
    ------
    InputError
        If a topic has fewer than two words, an id is neither -1 nor below V, or the reference is empty.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_matrix
    >>> from topicnet.evaluate.coherence import coherences
    >>> sorted(coherences(np.array([[0, 1]]), csr_matrix([[1, 1], [1, 0]])))
    ['npmi', 'u_mass']
    """
    together = document_occurrences(*_checked(_paired(topics), counts))
    scores = {"npmi": measures.npmi(together)}
    if stream is not None:
        table, stream = _checked_stream(topics, stream)
        near = window_occurrences(table, stream, NARROW_WINDOW, exact=False)
        scores["c_v"] = measures.c_v(window_occurrences(table, stream, WIDE_WINDOW, exact=False))
        scores |= {"c_npmi": measures.c_npmi(near), "c_uci": measures.c_uci(near)}
    return scores | {"u_mass": measures.u_mass(together)}


def unseen(topics: NDArray[np.integer], counts: Counts) -> Unseen:
    """Count the topic words, and pairs of them, that do not occur in the reference.

    Parameters
    ----------
    topics : ndarray of shape (K, N), int
        Word ids; -1 for a word outside the reference's vocabulary.
    counts : sparse matrix of shape (D, V)
        The reference corpus. A count above 0 is an occurrence.

    Returns
    -------
    Unseen
        Number of distinct words, and of pairs summed over topics.

    Raises
    ------
    InputError
        If an id is neither -1 nor below V, or the reference is empty.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_matrix
    >>> from topicnet.evaluate.coherence import unseen
    >>> unseen(np.array([[0, 1, 2]]), csr_matrix([[1, 1, 0], [1, 0, 0]]))
    Unseen(words=1, pairs=2)
    """
    table, reference = _checked(topics, counts)
    joint = document_occurrences(table, reference).joint  # (K, N, N)
    alone = np.diagonal(joint, axis1=1, axis2=2)  # (K, N)
    return Unseen(
        words=int(np.unique(table[alone == 0]).size),
        pairs=int(np.count_nonzero(measures.pairs_of(joint) == 0)),
    )


def _largest(weights: NDArray[np.float64], n: int) -> NDArray[np.intp]:
    """Return the positions of the `n` largest weights in descending order, the lower position first among ties."""
    least = np.partition(weights, -n)[-n]
    candidates = np.flatnonzero(weights >= least)  # ascending, more than n of them where weights tie
    return candidates[np.argsort(-weights[candidates], kind="stable")[:n]]


def _checked_stream(topics: NDArray[np.integer], stream: TokenStream) -> tuple[NDArray[np.intp], TokenStream]:
    table = _paired(topics)
    if table.min() < NOT_IN_REFERENCE:
        raise InputError(f"topics holds ids from {table.min()}; expected word ids, {NOT_IN_REFERENCE} for other words")
    if len(stream.tokens) == 0:
        raise InputError("the reference has no tokens; expected some for the windows")
    return table, stream


def _paired(topics: NDArray[np.integer]) -> NDArray[np.intp]:
    """Check topics, which must have at least two words each."""
    table = checked_topics(topics)
    if table.shape[1] < 2:
        raise InputError(f"topics has shape {table.shape}; a pair needs at least two words per topic")
    return table


def _checked(topics: NDArray[np.integer], counts: Counts) -> tuple[NDArray[np.intp], csr_array]:
    """Check topics and a reference against each other."""
    reference = checked_counts(counts)
    if 0 in reference.shape:
        raise InputError(f"counts has shape {reference.shape}; expected at least one document and one word")
    table, n_words = checked_topics(topics), reference.shape[1]
    if table.min() < NOT_IN_REFERENCE or table.max() >= n_words:
        raise InputError(
            f"topics holds ids from {table.min()} to {table.max()}; expected 0 to {n_words - 1} for words of "
            f"the reference, {NOT_IN_REFERENCE} for others"
        )
    return table, reference
