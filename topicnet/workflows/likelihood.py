"""Log-likelihood of held-out documents, with intervals over documents and the Monte-Carlo error of the estimates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from topicnet.errors import InputError
from topicnet.evaluate.bootstrap import Interval, interval_of_mean, interval_of_ratio
from topicnet.runtime.reporter import Reporter
from topicnet.workflows.scores import Score, score

if TYPE_CHECKING:
    from topicnet.core.annealing import WeightSummary
    from topicnet.models import TopicModel
    from topicnet.models.likelihood import DocumentLikelihoods, LikelihoodOptions

MOST_DOCUMENTS = 1000
LEAST_DRAWS = 10.0  # effective draws of importance weighting below which an estimate is poor
LEAST_CHAINS = 0.25  # effective fraction of the chains below which annealing is poor


@dataclass(frozen=True, kw_only=True)
class LikelihoodEstimate:
    """One estimate of the log-likelihood of documents.

    Attributes
    ----------
    nats : Score
        Mean log p(x) per document; higher is better. Its interval is over documents.
    perplexity : Score
        exp of minus the log-likelihood per token; lower is better. Its interval is over documents.
    monte_carlo_error : float
        Standard error of the mean of `nats` for these documents, from the finite number of draws or chains.
    draws : int
        Number of draws or chains per document.
    ess : float
        Median over documents of the effective sample size, at most `draws`.
    least_ess, poor : float, int
        Effective sample size below which an estimate is poor, and the number of such documents. Their estimates are
        too low, and their errors are underestimated.
    """

    nats: Score
    perplexity: Score
    monte_carlo_error: float
    draws: int
    ess: float
    least_ess: float
    poor: int


@dataclass(frozen=True, kw_only=True)
class ScoredDocument:
    """Estimates of log p(x) of one document, in nats.

    Attributes
    ----------
    document : str
        Id of the document.
    tokens : int
        Number of its tokens that are words of the model.
    bound : float, optional
        Evidence lower bound.
    importance, importance_error, importance_ess : float, optional
        Importance weighting, its standard error and effective sample size.
    annealed, annealed_error, annealed_ess : float, optional
        The same of annealed importance sampling.
    """

    document: str
    tokens: int
    bound: float | None = None
    importance: float | None = None
    importance_error: float | None = None
    importance_ess: float | None = None
    annealed: float | None = None
    annealed_error: float | None = None
    annealed_ess: float | None = None


@dataclass(frozen=True, kw_only=True)
class HeldOutLikelihood:
    """Log-likelihood of test documents with their latent variables integrated out.

    Attributes
    ----------
    corpus : str
        Name of the test corpus.
    given, empty, documents : int
        Number of documents given, of those without a known word (log p(x) = 0, left out), and of those scored.
    tokens : int
        Number of tokens of the documents scored.
    bound : Score, optional
        Mean evidence lower bound, nats per document.
    estimates : dict of str to LikelihoodEstimate
        "importance" and "annealed", as far as they were asked for and are valid.
    only_annealed : bool
        True if importance weighting was left out because the model has no valid proposal.
    per_document : list of ScoredDocument
        The values of each document scored.
    """

    corpus: str
    given: int
    empty: int
    documents: int
    tokens: int
    bound: Score | None = None
    estimates: dict[str, LikelihoodEstimate]
    only_annealed: bool
    per_document: list[ScoredDocument]


def held_out_likelihood(
    model: TopicModel,
    counts: csr_matrix,
    *,
    ids: list[str],
    name: str,
    options: LikelihoodOptions,
    documents: int = MOST_DOCUMENTS,
    reporter: Reporter | None = None,
) -> HeldOutLikelihood:
    """Estimate the log-likelihood of counted documents, or of a random sample of them.

    Parameters
    ----------
    model : TopicModel
        A fitted model.
    counts : csr_matrix of shape (n_docs, vocab_size)
        Counts in the vocabulary of the model.
    ids : list of str
        Ids of the documents, (n_docs,).
    name : str
        Name of the corpus.
    options : LikelihoodOptions
        Numbers of draws, chains and temperatures, and the seed, which also draws the sample.
    documents : int
        Largest number of documents to score; 0 scores all.
    reporter : Reporter, optional
        Receives the estimate of the time and the progress.

    Returns
    -------
    HeldOutLikelihood
        The estimates, their intervals and errors.

    Raises
    ------
    InputError
        An option is out of its range, or no document has a known word.
    """
    from topicnet.models.likelihood import document_likelihoods

    filled = np.flatnonzero(np.diff(counts.indptr) > 0)
    if len(filled) == 0:
        raise InputError(f"none of the {counts.shape[0]} documents of {name!r} has a known word: give other documents")
    chosen = filled
    if 0 < documents < len(filled):
        chosen = np.sort(np.random.default_rng(options.seed).choice(filled, documents, replace=False))
    found = document_likelihoods(model, counts[chosen], options, reporter)
    estimates = {}
    if found.importance is not None:
        estimates["importance"] = _estimate("importance", found.importance, found.tokens, options.draws, LEAST_DRAWS)
    if found.annealed is not None:
        least = LEAST_CHAINS * options.chains
        estimates["annealed"] = _estimate("annealed", found.annealed, found.tokens, options.chains, least)
    return HeldOutLikelihood(
        corpus=name,
        given=int(counts.shape[0]),
        empty=int(counts.shape[0]) - len(filled),
        documents=len(chosen),
        tokens=int(found.tokens.sum()),
        bound=None if found.bound is None else score("elbo", found.bound.mean(), interval_of_mean(found.bound)),
        estimates=estimates,
        only_annealed=options.draws > 0 and found.importance is None,
        per_document=_per_document(found, [ids[at] for at in chosen]),
    )


def _estimate(
    name: str, found: WeightSummary, tokens: NDArray[np.float64], draws: int, least_ess: float
) -> LikelihoodEstimate:
    loss = -found.log_mean
    ends = interval_of_ratio(loss, tokens)
    interval = Interval(math.exp(ends.low), math.exp(ends.high))
    return LikelihoodEstimate(
        nats=score(name, found.log_mean.mean(), interval_of_mean(found.log_mean)),
        perplexity=score("likelihood_perplexity", math.exp(loss.sum() / tokens.sum()), interval),
        monte_carlo_error=float(np.sqrt((found.error**2).sum()) / len(tokens)),
        draws=draws,
        ess=float(np.median(found.ess)),
        least_ess=least_ess,
        poor=int((found.ess < least_ess).sum()),
    )


def _per_document(found: DocumentLikelihoods, ids: list[str]) -> list[ScoredDocument]:
    columns = {} if found.bound is None else {"bound": found.bound}
    for name, one in (("importance", found.importance), ("annealed", found.annealed)):
        if one is not None:
            columns |= {name: one.log_mean, f"{name}_error": one.error, f"{name}_ess": one.ess}
    return [
        ScoredDocument(
            document=document,
            tokens=int(found.tokens[row]),
            **{name: float(values[row]) for name, values in columns.items()},
        )
        for row, document in enumerate(ids)
    ]
