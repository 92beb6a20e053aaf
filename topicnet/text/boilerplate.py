"""Words and lines that are in many documents and tell nothing of what they are about, with the evidence.

A word is boilerplate where it is in many documents and has little information: it is spread over documents as chance
would spread it or more evenly (headers stand once in each, long or short), and its documents have the words that all
others have. That it always stands at one place, as in a header or a signature, counts beside.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import gammaln

from topicnet.errors import InputError
from topicnet.text.corpus import Corpus
from topicnet.text.token_counts import TOKENS_AT_ONCE, token_blocks

LEAST_SHARE, LEAST_DOCUMENTS = 0.01, 3  # a word in fewer documents is no boilerplate
CANDIDATES = 8  # words looked at closely, for each that is asked for
COMPANY_DOCUMENTS = 50_000  # so many, evenly chosen, tell what stands beside a word
COMPANY_NUMBERS = 2**23  # held at once
NARROW, FULLY_NARROW = 1.5, 3  # times closer to its place than words that stand anywhere
EVEN, AS_BY_CHANCE, ALIKE = -0.25, 0.1, 0.1  # bits
EXAMPLES = 3


@dataclass(frozen=True)
class Suggestion:
    """A word that may be boilerplate.

    Attributes
    ----------
    word : str
    document_share : float
        Share of the documents (of those with words) that hold it.
    tokens : int
        How often it stands in the corpus.
    information : float
        Bits, `spread` and `company` together: at 0 and below the word says nothing about a document.
    spread : float
        Entropy of the documents a word would be in by chance less that of those it is in (Gerlach, Shi & Amaral 2019):
        0 as by chance, above where it gathers in few documents, below where it is more even than chance.
    company : float
        Kullback-Leibler divergence, from the words of the mean document, of those of the mean document that holds it.
    place : float
        Its mean place in a document, 0 the first word and 1 the last.
    narrowness : float
        How many times closer to its place it stands than words that stand anywhere.
    examples : tuple of str
        Ids of documents that hold it.
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
    """Words that may be boilerplate, the likeliest first.

    They are ranked by their share of documents, halved for each bit of information, times the square of how narrowly
    they stand at one place.

    Parameters
    ----------
    corpus : Corpus
        Its counts and tokens may be memory-mapped: they are gone through in blocks.
    top : int
        Most words to suggest, 1 or more.

    Raises
    ------
    InputError
        `top` is below 1.
    """
    if top < 1:
        raise InputError(f"{top} words asked for, expected a whole number from 1")
    found = _tally(corpus)
    least = max(LEAST_DOCUMENTS, LEAST_SHARE * found.n_filled)
    words = np.argsort(-found.documents, kind="stable")[: max(200, CANDIDATES * top)]
    words = words[found.documents[words] >= least]
    if len(words) == 0:
        return []
    spread, company = _spread(found, words), _company(corpus, found, words)
    ordered = corpus.source.get("reading_order", True)  # counts of other tools have none
    narrowness = _narrowness(found, words) if ordered else np.ones(len(words))
    share = found.documents[words] / found.n_filled
    score = share * np.exp2(-spread - company) * np.clip(narrowness, 1, FULLY_NARROW) ** 2
    best = np.argsort(-score.round(9), kind="stable")[:top]  # equals in the order of the vocabulary
    examples = _examples(corpus, words[best])
    return [
        Suggestion(
            word=corpus.vocabulary[word],
            document_share=float(share[i]),
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
    """The evidence in words."""
    reasons = []
    if narrowness >= NARROW:
        where = "near the start" if place < 0.35 else "near the end" if place > 0.65 else "about the middle"
        reasons.append(where)
    if spread <= EVEN:
        reasons.append("even in short documents and long")
    elif spread <= AS_BY_CHANCE:
        reasons.append("spread by chance")
    if company <= ALIKE:
        reasons.append("its documents like all others")
    return "; ".join(reasons) or "in many documents"


@dataclass(frozen=True)
class _Tally:
    """Sums over the corpus, by word."""

    lengths: NDArray[np.int64]  # (D,) counted words
    documents: NDArray[np.int64]  # (V,) that hold the word
    tokens: NDArray[np.float64]  # (V,)
    count_bits: NDArray[np.float64]  # (V,) sum of n log2 n over documents
    place: NDArray[np.float64]  # (V,) sums of the places, of their squares, and of the variance a word that stands
    place_squared: NDArray[np.float64]  # anywhere would have
    place_chance: NDArray[np.float64]

    @property
    def n_filled(self) -> int:
        return int((self.lengths > 0).sum())


def _tally(corpus: Corpus) -> _Tally:
    counts, n_words = corpus.counts, corpus.vocab_size
    lengths = np.asarray(counts.sum(1), dtype=np.int64).ravel()
    documents = np.zeros(n_words, dtype=np.int64)
    tokens, bits, place, squared, chance = (np.zeros(n_words) for _ in range(5))
    for rows, stream in token_blocks(corpus.tokens, lengths):
        cells = slice(int(counts.indptr[rows.start]), int(counts.indptr[rows.stop]))
        words, often = counts.indices[cells], np.asarray(counts.data[cells], dtype=np.float64)
        documents += np.bincount(words, minlength=n_words)
        tokens += np.bincount(words, often, minlength=n_words)
        bits += np.bincount(words, often * np.log2(often), minlength=n_words)
        own = lengths[rows]
        length = np.repeat(own, own)
        at = (np.arange(len(stream)) - np.repeat(np.cumsum(own) - own, own) + 0.5) / length
        place += np.bincount(stream, at, minlength=n_words)
        squared += np.bincount(stream, at**2, minlength=n_words)
        chance += np.bincount(stream, (1 - 1.0 / length**2) / 12, minlength=n_words)
    return _Tally(lengths, documents, tokens, bits, place, squared, chance)


def _spread(found: _Tally, words: NDArray[np.intp]) -> NDArray[np.float64]:
    """Bits a word's documents are told from those it would be in by chance, longer documents oftener."""
    lengths, often = np.unique(found.lengths[found.lengths > 0], return_counts=True)
    share = lengths / found.lengths.sum()
    by_chance = [float(often @ _expected_count_bits(n * share)) for n in found.tokens[words]]
    result: NDArray[np.float64] = (found.count_bits[words] - by_chance) / found.tokens[words]
    return result


@cache
def _table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means of Poisson counts n, and the logarithm of the expectation of n log2 n at each."""
    mean, n = np.logspace(-6, 2, 400), np.arange(2, 300)
    probability = np.exp(n * np.log(mean[:, None]) - mean[:, None] - gammaln(n + 1))  # (means, counts)
    return mean, np.log((probability * n * np.log2(n)).sum(1))


def _expected_count_bits(mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Expectation of n log2 n where n is Poisson: from a table, beyond it the first terms of its expansions."""
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
    """Bits the words of the mean document that holds a word diverge from those of the mean document, itself apart."""
    filled = np.flatnonzero(found.lengths)
    rows = filled[:: max(1, len(filled) // COMPANY_DOCUMENTS)]
    at_once = max(1, COMPANY_NUMBERS // corpus.vocab_size)
    parts = [_company_of(corpus, rows, words[i : i + at_once]) for i in range(0, len(words), at_once)]
    return np.concatenate(parts)


def _company_of(corpus: Corpus, rows: NDArray[np.intp], words: NDArray[np.intp]) -> NDArray[np.float64]:
    beside = np.zeros((len(words), corpus.vocab_size))
    every = np.zeros(corpus.vocab_size)
    step = max(1, int(TOKENS_AT_ONCE * len(rows) / max(1, corpus.counts.nnz)))
    for begin in range(0, len(rows), step):
        documents = csr_matrix(corpus.counts[rows[begin : begin + step]], dtype=np.float64)
        sums = np.asarray(documents.sum(1)).ravel()
        holds = documents[:, words]
        holds.data[:] = 1
        documents.data /= np.repeat(sums, np.diff(documents.indptr))
        beside += (holds.T @ documents).toarray()
        every += np.asarray(documents.sum(0)).ravel()
    itself = np.arange(len(words)), words
    expected = np.tile(every, (len(words), 1))
    beside[itself] = expected[itself] = 0
    beside /= np.maximum(beside.sum(1, keepdims=True), 1e-300)
    expected /= np.maximum(expected.sum(1, keepdims=True), 1e-300)
    seen = beside > 0
    ratio = np.divide(beside, expected, out=np.ones_like(beside), where=seen)
    divergence: NDArray[np.float64] = (beside * np.log2(ratio)).sum(1)
    return divergence


def _examples(corpus: Corpus, words: NDArray[np.intp]) -> list[list[int]]:
    """Rows of the first documents that hold each word."""
    rows: list[list[int]] = [[] for _ in words]
    counts = corpus.counts
    for begin in range(0, counts.nnz, TOKENS_AT_ONCE):
        indices = counts.indices[begin : begin + TOKENS_AT_ONCE]
        for word, own in zip(words, rows, strict=True):
            if len(own) < EXAMPLES:
                cells = begin + np.flatnonzero(indices == word)[: EXAMPLES - len(own)]
                own.extend((np.searchsorted(counts.indptr, cells, side="right") - 1).tolist())
        if all(len(own) == EXAMPLES for own in rows):
            break
    return rows
