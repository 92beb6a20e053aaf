"""Suggestions of uninformative words: words that occur in many documents but say little about their subject.

A word is likely boilerplate if it occurs in many documents and carries little information: it is spread over documents
as chance would spread it or more evenly (a header occurs once in each document, long or short), and its documents
contain the same words as all others. A fixed position in the document, as in a header or a signature, adds to the
score.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import gammaln

from topicnet.errors import InputError
from topicnet.storage.mapped import row_blocks
from topicnet.text.corpus import Corpus
from topicnet.text.token_counts import TOKENS_AT_ONCE, token_blocks

LEAST_FRACTION, LEAST_DOCUMENTS = 0.01, 3  # a word in fewer documents is not boilerplate
CANDIDATES = 8  # candidates examined per suggestion
COMPANY_DOCUMENTS = 50_000  # size of the evenly spaced sample of documents for `company`
COMPANY_NUMBERS = 2**23  # most floats that `_company` holds in one array
NARROW, FULLY_NARROW = 1.5, 3  # thresholds of `narrowness`: mentioned in `reason`; no further effect on the score
EVEN, AS_BY_CHANCE, ALIKE = -0.25, 0.1, 0.1  # thresholds in bits for `reason`
EXAMPLES = 3


@dataclass(frozen=True)
class Suggestion:
    """Word that may be boilerplate, with the evidence.

    Attributes
    ----------
    word : str
    document_share : float
        Fraction of the documents (of those with words) that contain the word.
    tokens : int
        Number of occurrences in the corpus.
    information : float
        `spread` plus `company`, in bits. At 0 or below the word is uninformative.
    spread : float
        Entropy, in bits, of the word's distribution over documents if it occurred at random, minus that of its actual
        distribution (Gerlach, Shi & Amaral 2019): 0 at random, positive if the word concentrates in few documents,
        negative if it is spread more evenly than at random.
    company : float
        Kullback-Leibler divergence, in bits, of the mean word distribution of the documents that contain the word from
        that of all documents.
    place : float
        Mean position in a document, from 0 (first word) to 1 (last word).
    narrowness : float
        Standard deviation of the position of a word placed at random, divided by that of this word.
    examples : tuple of str
        Ids of documents that contain the word.
    reason : str
        The evidence in words.
    """

    word: str
    document_share: float
    tokens: int
    information: float
    spread: float
    company: float
    place: float
    narrowness: float
    examples: tuple[str, ...]
    reason: str


def suggest(corpus: Corpus, top: int = 30) -> list[Suggestion]:
    """Suggest words that may be boilerplate, the likeliest first.

    The score is the fraction of documents that contain the word, halved for each bit of information, times the square
    of its narrowness (clipped to between 1 and 3).

    Parameters
    ----------
    corpus : Corpus
        Its counts and tokens may be memory-mapped; they are read block by block.
    top : int
        Suggest at most this many words, 1 or more.

    Returns
    -------
    list of Suggestion

    Raises
    ------
    InputError
        `top` is below 1.
    """
    if top < 1:
        raise InputError(f"{top} words requested, expected a whole number from 1")
    found = _tally(corpus)
    least = max(LEAST_DOCUMENTS, LEAST_FRACTION * found.n_filled)
    words = np.argsort(-found.documents, kind="stable")[: max(200, CANDIDATES * top)]
    words = words[found.documents[words] >= least]
    if len(words) == 0:
        return []
    spread, company = _spread(found, words), _company(corpus, found, words)
    ordered = corpus.source.get("reading_order", True)  # False for counts of other tools
    narrowness = _narrowness(found, words) if ordered else np.ones(len(words))
    fraction = found.documents[words] / found.n_filled
    score = fraction * np.exp2(-spread - company) * np.clip(narrowness, 1, FULLY_NARROW) ** 2
    best = np.argsort(-score.round(9), kind="stable")[:top]  # ties keep the order of the vocabulary
    examples = _examples(corpus, words[best])
    return [
        Suggestion(
            word=corpus.vocabulary[word],
            document_share=float(fraction[i]),
            tokens=int(found.tokens[word]),
            information=float(spread[i] + company[i]),
            spread=float(spread[i]),
            company=float(company[i]),
            place=float(found.place[word] / found.tokens[word]),
            narrowness=float(narrowness[i]),
            examples=tuple(corpus.ids[row] for row in rows),
            reason=_reason(found.place[word] / found.tokens[word], narrowness[i], spread[i], company[i]),
        )
        for i, word, rows in zip(best, words[best], examples, strict=True)
    ]


def _reason(place: float, narrowness: float, spread: float, company: float) -> str:
    """Put the evidence into words."""
    reasons = []
    if narrowness >= NARROW:
        where = "near the start" if place < 0.35 else "near the end" if place > 0.65 else "near the middle"
        reasons.append(where)
    if spread <= EVEN:
        reasons.append("evenly spread")
    elif spread <= AS_BY_CHANCE:
        reasons.append("spread as expected by chance")
    if company <= ALIKE:
        reasons.append("in typical documents")
    return "; ".join(reasons) or "in many documents"


@dataclass(frozen=True)
class _Tally:
    """Sums over the corpus for each word."""

    lengths: NDArray[np.int64]  # (D,) counted words per document
    documents: NDArray[np.int64]  # (V,) documents that contain the word
    tokens: NDArray[np.float64]  # (V,) occurrences
    count_bits: NDArray[np.float64]  # (V,) sum of n log2 n over documents
    place: NDArray[np.float64]  # (V,) sum of the positions of the word
    place_squared: NDArray[np.float64]  # (V,) sum of their squares
    place_chance: NDArray[np.float64]  # (V,) sum of the variances of a position drawn at random

    @property
    def n_filled(self) -> int:
        """Number of documents that contain words."""
        return int((self.lengths > 0).sum())


def _tally(corpus: Corpus) -> _Tally:
    counts, n_words = corpus.counts, corpus.vocab_size
    lengths = np.asarray(counts.sum(1), dtype=np.int64).ravel()
    documents = np.zeros(n_words, dtype=np.int64)
    tokens, bits, place, squared, chance = (np.zeros(n_words) for _ in range(5))
    for rows, stream in token_blocks(corpus.tokens, lengths):
        cells = slice(int(counts.indptr[rows.start]), int(counts.indptr[rows.stop]))
        words, n = counts.indices[cells], np.asarray(counts.data[cells], dtype=np.float64)
        documents += np.bincount(words, minlength=n_words)
        tokens += np.bincount(words, n, minlength=n_words)
        bits += np.bincount(words, n * np.log2(n), minlength=n_words)
        own = lengths[rows]
        length = np.repeat(own, own)
        at = (np.arange(len(stream)) - np.repeat(np.cumsum(own) - own, own) + 0.5) / length
        place += np.bincount(stream, at, minlength=n_words)
        squared += np.bincount(stream, at**2, minlength=n_words)
        chance += np.bincount(stream, (1 - 1.0 / length**2) / 12, minlength=n_words)
    return _Tally(lengths, documents, tokens, bits, place, squared, chance)


def _spread(found: _Tally, words: NDArray[np.intp]) -> NDArray[np.float64]:
    """Compute how unevenly each word is spread over documents: `Suggestion.spread`, in bits.

    The baseline is a word placed at random: Poisson counts in proportion to the length of a document.
    """
    lengths, n_docs = np.unique(found.lengths[found.lengths > 0], return_counts=True)
    rate = lengths / found.lengths.sum()
    by_chance = [float(n_docs @ _expected_count_bits(n * rate)) for n in found.tokens[words]]
    result: NDArray[np.float64] = (found.count_bits[words] - by_chance) / found.tokens[words]
    return result


@cache
def _table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Tabulate the logarithm of E[n log2 n] of Poisson counts n by their mean."""
    mean, n = np.logspace(-6, 2, 400), np.arange(2, 300)
    probability = np.exp(n * np.log(mean[:, None]) - mean[:, None] - gammaln(n + 1))  # (means, counts)
    return mean, np.log((probability * n * np.log2(n)).sum(1))


def _expected_count_bits(mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return E[n log2 n] of Poisson counts n: from a table, and outside its range from series expansions."""
    means, log_bits = _table()
    expected: NDArray[np.float64] = np.exp(np.interp(np.log(mean), np.log(means), log_bits))
    small, large = mean < means[0], mean > means[-1]
    expected[small] = mean[small] ** 2
    expected[large] = mean[large] * np.log2(mean[large]) + (0.5 + 1 / (12 * mean[large])) / np.log(2)
    return expected


def _narrowness(found: _Tally, words: NDArray[np.intp]) -> NDArray[np.float64]:
    tokens = found.tokens[words]
    variance = found.place_squared[words] / tokens - (found.place[words] / tokens) ** 2
    chance = found.place_chance[words] / tokens
    result: NDArray[np.float64] = np.sqrt((chance + 1e-4) / (np.maximum(variance, 0) + 1e-4))
    return result


def _company(corpus: Corpus, found: _Tally, words: NDArray[np.intp]) -> NDArray[np.float64]:
    """Compute how far the words that occur with each word differ from all words: `Suggestion.company`, in bits.

    The divergence is estimated on a sample of documents and leaves out the word itself.
    """
    filled = np.flatnonzero(found.lengths)
    rows = filled[:: max(1, len(filled) // COMPANY_DOCUMENTS)]
    at_once = max(1, COMPANY_NUMBERS // corpus.vocab_size)
    parts = [_company_of(corpus, rows, words[i : i + at_once]) for i in range(0, len(words), at_once)]
    return np.concatenate(parts)


def _company_of(corpus: Corpus, rows: NDArray[np.intp], words: NDArray[np.intp]) -> NDArray[np.float64]:
    observed = np.zeros((len(words), corpus.vocab_size))  # word distributions of the documents that contain each word
    overall = np.zeros(corpus.vocab_size)
    step = max(1, int(TOKENS_AT_ONCE * len(rows) / max(1, corpus.counts.nnz)))
    for begin in range(0, len(rows), step):
        documents = csr_matrix(corpus.counts[rows[begin : begin + step]], dtype=np.float64)
        sums = np.asarray(documents.sum(1)).ravel()
        holds = documents[:, words]
        holds.data[:] = 1
        documents.data /= np.repeat(sums, np.diff(documents.indptr))
        observed += (holds.T @ documents).toarray()
        overall += np.asarray(documents.sum(0)).ravel()
    itself = np.arange(len(words)), words
    expected = np.tile(overall, (len(words), 1))
    observed[itself] = expected[itself] = 0
    observed /= np.maximum(observed.sum(1, keepdims=True), 1e-300)
    expected /= np.maximum(expected.sum(1, keepdims=True), 1e-300)
    ratio = np.divide(observed, expected, out=np.ones_like(observed), where=observed > 0)
    divergence: NDArray[np.float64] = (observed * np.log2(ratio)).sum(1)
    return divergence


def _examples(corpus: Corpus, words: NDArray[np.intp]) -> list[list[int]]:
    """Return the rows of the first documents that contain each word."""
    rows: list[list[int]] = [[] for _ in words]
    for at, block in row_blocks(corpus.counts):
        columns = block[:, words].tocsc()
        for own, begin, end in zip(rows, columns.indptr, columns.indptr[1:], strict=False):
            own.extend((at.start + columns.indices[begin:end][: EXAMPLES - len(own)]).tolist())
        if all(len(own) == EXAMPLES for own in rows):
            break
    return rows
