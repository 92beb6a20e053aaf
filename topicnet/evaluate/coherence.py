"""Topic coherence: which words speak for a topic, and do they occur together, in documents or in sliding windows.

=========  ==========================  =====================================================  =================
measure    words together in           score of a pair                                        range
=========  ==========================  =====================================================  =================
NPMI       a document                  log(p_ij / p_i p_j) / -log p_ij; never together: -1    [-1, 1]
C_NPMI     a window of 10 tokens       the same of p_ij + 1e-12                               [-1, 1]
C_UCI      a window of 10 tokens       log((p_ij + 1e-12) / p_i p_j)                          from -27.6
U_Mass     a document                  log((p_ij + 1e-12) / p_j), j the more probable         [-27.6, 0]
C_V        a window of 110 tokens      cosine of a word's C_NPMI vector with the topic's sum  [-1, 1]
=========  ==========================  =====================================================  =================

NPMI is the ETM papers'; the others are those of Röder, Both & Hinneburg (2015) as gensim's `CoherenceModel` works them
out, to rounding. Where gensim's have no value, ours do: a pair with a word the reference never saw scores -1, under
C_UCI and U_Mass log 1e-12 or next to it (:func:`unseen` counts such words); under C_V such a word scores -1 and has no
part in the others' vectors; a pair in every place scores 1 under C_NPMI.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from topicnet.errors import InputError
from topicnet.evaluate import measures
from topicnet.evaluate.checks import checked_counts, checked_topics
from topicnet.evaluate.occurrences import Counts, TokenStream, document_occurrences, window_occurrences

NOT_IN_REFERENCE = -1  # the id of a topic word that the reference's vocabulary does not hold
NARROW_WINDOW, WIDE_WINDOW = 10, 110  # tokens: of C_UCI and C_NPMI, of C_V
MEASURES = ("npmi", "c_v", "c_npmi", "c_uci", "u_mass")


@dataclass(frozen=True)
class Unseen:
    """What of the topics a reference never saw.

    Attributes
    ----------
    words : int
        Distinct topic words in no document. Those without an id are one: what they stand for cannot be told apart.
    pairs : int
        Word pairs, summed over topics, in no document together; those with an unseen word are among them.
    """

    words: int
    pairs: int


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
    does a pair with a word the reference never saw; :func:`unseen` counts both. ``p_ij = 1``
    scores 1, the limit. Measure: Bouma 2009; its mean over topic words: Lau, Newman & Baldwin 2014; the
    convention: Dieng, Ruiz & Blei 2020.
    """
    return measures.npmi(document_occurrences(*_checked(_paired(topics), counts)))


def u_mass(topics: NDArray[np.integer], counts: Counts) -> NDArray[np.float64]:
    """Mean log conditional probability of each topic's words given its more probable ones (U_Mass).

    A pair (i, j), j before i in the list, scores ``log((p_ij + 1e-12) / p_j)`` over the reference's documents.

    Parameters
    ----------
    topics : (K, N) integer array
        Word ids, the most probable first; -1 for a word that is not in the reference's vocabulary.
    counts : (D, V) sparse matrix
        The reference corpus.

    Returns
    -------
    (K,) array in nats, each in [log 1e-12, 0]. The lowest is also the score under a word the reference never saw.

    Raises
    ------
    InputError
        As :func:`npmi`.

    Notes
    -----
    Measure: Mimno, Wallach, Talley, Leenders & McCallum 2011; their 1 in the numerator is gensim's 1e-12 here.
    """
    return measures.u_mass(document_occurrences(*_checked(_paired(topics), counts)))


def c_uci(
    topics: NDArray[np.integer], stream: TokenStream, window: int = NARROW_WINDOW, *, exact: bool = False
) -> NDArray[np.float64]:
    """Mean pointwise mutual information over the word pairs of each topic, in sliding windows (C_UCI).

    A pair scores ``log((p_ij + 1e-12) / (p_i p_j))``; p is a share of all windows of the reference.

    Parameters
    ----------
    topics : (K, N) integer array
        Word ids; -1 for a word that is not in the reference's vocabulary.
    stream : TokenStream
        The reference corpus in reading order.
    window : int
        Tokens.
    exact : bool
        Count windows as defined, not as gensim does; see :func:`~topicnet.evaluate.occurrences.window_occurrences`.

    Returns
    -------
    (K,) array in nats; log 1e-12 for a pair with a word the reference never saw.

    Raises
    ------
    InputError
        A topic has fewer than two words, the ids or the window are impossible, or the reference has no token.

    Notes
    -----
    Measure: Newman, Lau, Grieser & Baldwin 2010; as a sliding window over the reference: Röder et al. 2015.
    """
    return measures.c_uci(window_occurrences(*_checked_stream(topics, stream), window, exact=exact))


def c_npmi(
    topics: NDArray[np.integer], stream: TokenStream, window: int = NARROW_WINDOW, *, exact: bool = False
) -> NDArray[np.float64]:
    """Mean normalised pointwise mutual information over word pairs, in sliding windows (C_NPMI).

    A pair scores ``log((p_ij + e) / (p_i p_j)) / -log(p_ij + e)`` with e = 1e-12. One that never shares a window scores
    above -1, the more so the rarer its words: -0.667 at p_i = p_j = 0.01. See :func:`c_uci` for the parameters.

    Returns
    -------
    (K,) array, each in [-1, 1] but for the smoothing, which lifts a pair that is always together by 1e-5 at most in
    10^8 windows; -1 for a pair with a word the reference never saw, 1 for one in every window.

    Raises
    ------
    InputError
        As :func:`c_uci`.
    """
    return measures.c_npmi(window_occurrences(*_checked_stream(topics, stream), window, exact=exact))


def c_v(
    topics: NDArray[np.integer], stream: TokenStream, window: int = WIDE_WINDOW, *, exact: bool = False
) -> NDArray[np.float64]:
    """C_V: do the words of a topic have the same company (Röder, Both & Hinneburg 2015).

    Each word has a vector of its C_NPMI with the topic's words, itself included; the score is the mean cosine of these
    vectors with their sum. See :func:`c_uci` for the parameters.

    Returns
    -------
    (K,) array, each in [-1, 1], mostly in [0.2, 0.8].

    Raises
    ------
    InputError
        As :func:`c_uci`.
    """
    return measures.c_v(window_occurrences(*_checked_stream(topics, stream), window, exact=exact))


def coherences(
    topics: NDArray[np.integer], counts: Counts, stream: TokenStream | None = None
) -> dict[str, NDArray[np.float64]]:
    """Every measure of :data:`MEASURES` on one reference, counted once each way.

    Parameters
    ----------
    topics : (K, N) integer array
    counts : (D, V) sparse matrix
    stream : TokenStream, optional
        The same corpus in reading order; without it the windowed measures are left out.

    Returns
    -------
    dict of str to (K,) array

    Raises
    ------
    InputError
        As the measures.
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
    """How many topic words, and pairs of them, the reference never saw.

    Parameters
    ----------
    topics : (K, N) integer array
        Word ids, as for :func:`npmi`.
    counts : (D, V) sparse matrix
        The reference corpus.

    Returns
    -------
    Unseen

    Raises
    ------
    InputError
        If an id is neither -1 nor below V, or the reference is empty.
    """
    table, reference = _checked(topics, counts)
    joint = document_occurrences(table, reference).joint  # (K, N, N)
    alone = np.diagonal(joint, axis1=1, axis2=2)  # (K, N)
    return Unseen(
        words=int(np.unique(table[alone == 0]).size),
        pairs=int(np.count_nonzero(measures.pairs_of(joint) == 0)),
    )


def _best(weights: NDArray[np.float64], n: int) -> NDArray[np.intp]:
    """Positions of the ``n`` largest weights, without sorting the rest; of ties the lower position first."""
    least = np.partition(weights, -n)[-n]
    candidates = np.flatnonzero(weights >= least)  # ascending, more than n of them where weights tie
    return candidates[np.argsort(-weights[candidates], kind="stable")[:n]]


def _checked_stream(topics: NDArray[np.integer], stream: TokenStream) -> tuple[NDArray[np.intp], TokenStream]:
    table = _paired(topics)
    if table.min() < NOT_IN_REFERENCE:
        raise InputError(f"topics holds ids from {table.min()}; expected word ids, {NOT_IN_REFERENCE} for unknown ones")
    if len(stream.tokens) == 0:
        raise InputError("the reference holds no token; windows need some")
    return table, stream


def _paired(topics: NDArray[np.integer]) -> NDArray[np.intp]:
    """Topics of two words or more."""
    table = checked_topics(topics)
    if table.shape[1] < 2:
        raise InputError(f"topics has shape {table.shape}; a pair needs at least two words per topic")
    return table


def _checked(topics: NDArray[np.integer], counts: Counts) -> tuple[NDArray[np.intp], csr_array]:
    """Topics and reference, ready for use and fitting each other."""
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
