"""Scores of a fitted model (coherence, diversity, perplexity, label agreement) and their intervals."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from topicnet.errors import InputError
from topicnet.evaluate.bootstrap import Interval, interval_of_mean, interval_of_ratio
from topicnet.evaluate.coherence import coherences, top_words, unseen
from topicnet.evaluate.diversity import inverted_rbo, js_diversity, topic_diversity, uniqueness_of_each
from topicnet.evaluate.downstream import Accuracy, accuracy, agreement, cross_validated_accuracy
from topicnet.evaluate.occurrences import TokenStream
from topicnet.evaluate.perplexity import split_documents, summarise_completion, unigram_perplexity
from topicnet.text.reference import Reference

COHERENCE_WORDS, DIVERSITY_WORDS = 10, 25
REFINE_STEPS = 20
SPLIT_SEED = 0  # seed of the split of held-out documents into halves

CONVENTIONS = {
    "npmi": "mean over topics and word pairs of the top 10 words by probability; document co-occurrence in the"
    " reference; a pair that never co-occurs scores -1",
    "c_v": "as gensim: top 10 words, sliding window of 110 of the reference's tokens, cosine of C_NPMI vectors",
    "c_npmi": "as gensim: top 10 words, sliding window of 10 of the reference's tokens, 1e-12 added to p_ij",
    "c_uci": "as gensim: top 10 words, sliding window of 10 of the reference's tokens, 1e-12 added to p_ij, nats",
    "u_mass": "as gensim: top 10 words, document co-occurrence in the reference, 1e-12 added to p_ij, nats",
    "topic_diversity": "unique words among all topics' top 25 / (25 K)",
    "topic_uniqueness": "mean over the top 10 words of 1 / number of topics that list the word",
    "inverted_rbo": "1 - mean rank-biased overlap of the top 10 words over pairs of topics, p = 0.9",
    "js_diversity": "mean Jensen-Shannon divergence over pairs of topics, all words, bits",
    "inferred": "document completion: theta from one half of each document's tokens (a fair coin a token), perplexity"
    " per token of the other half; documents with an empty half are left out",
    "refined": f"the same, after {REFINE_STEPS} MAP-EM steps on theta from the first half, topics held fixed",
    "unigram": "the same second halves under the word frequencies of the training documents, 1 added to each count",
    "bound": "exp(-evidence lower bound per token) of the whole documents, one sample of z each: an upper bound",
    "elbo": "evidence lower bound of the whole documents, mean over the encoder's draws, nats per document",
    "importance": "log p(x) of whole documents by importance weighting with the encoder as proposal (a tenth of the"
    " draws from the prior), nats per document: a lower bound in expectation",
    "annealed": "log p(x) of whole documents by annealed importance sampling from the prior, Hamiltonian transitions,"
    " nats per document: a lower bound in expectation",
    "likelihood_perplexity": "exp(-log p(x) per token) of the whole documents, theta integrated out",
    "purity": "share of documents whose label is the commonest one of their top topic",
    "nmi": "mutual information of top topic and label over the mean of both entropies",
    "ari": "adjusted Rand index of top topic and label",
    "accuracy": "logistic regression on theta, beside the same on TF-IDF and the commonest label",
}


STABILITY = (
    "1 - Jensen-Shannon distance of what each topic has above its run's mean topic to its counterpart in the runs of"
    " the other seeds (Hungarian matching), mean over topics and runs; chance gives about 0.25; kept is the run, among"
    " those fit for use, with the highest NPMI x topic diversity"
)


@dataclass(frozen=True, kw_only=True)
class Score:
    """One score of a model, with its fields in the order of the JSON, which omits those that are None.

    Attributes
    ----------
    value : float
        The score.
    low, high : float, optional
        Ends of the 95 % interval.
    infinite : bool, optional
        True if the value is infinite, which is null in JSON.
    per_topic : list of float, optional
        The score of each topic, (K,).
    how : str, optional
        How an accuracy was measured.
    tfidf, commonest : float, optional
        Accuracy of a classifier on TF-IDF, and of always predicting the commonest label.
    convention : str
        How the score is defined.
    per_document_mean : float, optional
        Mean perplexity over documents, instead of over tokens.
    """

    value: float
    low: float | None = None
    high: float | None = None
    infinite: bool | None = None
    per_topic: list[float] | None = None
    how: str | None = None
    tfidf: float | None = None
    commonest: float | None = None
    convention: str
    per_document_mean: float | None = None


Scores = dict[str, Score]
Labelled = tuple[NDArray[np.floating], csr_matrix, Any]  # theta (D, K), counts (D, V), labels (D,)


@dataclass(frozen=True, kw_only=True)
class ReferenceSummary:
    """Size of a reference corpus, and the top words and pairs that it lacks.

    Attributes
    ----------
    name : str
        Name of the corpus.
    documents, tokens, known_tokens : int
        Number of documents, of tokens, and of tokens that are words of the model.
    unseen_words, unseen_pairs : int, optional
        Number of top words, and of pairs of them, that do not occur in a document; None for topics of one word.
    pairs : int, optional
        Number of pairs of top words over all topics.
    """

    name: str
    documents: int
    tokens: int
    known_tokens: int
    unseen_words: int | None = None
    unseen_pairs: int | None = None
    pairs: int | None = None


@dataclass(frozen=True, kw_only=True)
class TopicScores:
    """Coherence on a reference and diversity of the topics of a model.

    Attributes
    ----------
    reference : ReferenceSummary
        The corpus that co-occurrences are counted in.
    coherence, diversity : dict of str to Score
        The scores, by name; `coherence` is empty for topics of one word.
    """

    reference: ReferenceSummary
    coherence: Scores
    diversity: Scores

    @property
    def quality(self) -> float:
        """Topic quality: NPMI times diversity."""
        npmi = self.coherence["npmi"].value if self.coherence else math.nan
        return topic_quality(npmi, self.diversity["topic_diversity"].value)


@dataclass(frozen=True, kw_only=True)
class Completion:
    """Perplexity of one half of each document given the other (document completion).

    Attributes
    ----------
    documents, left_out : int
        Number of documents scored, and of those left out as a half of them has no known word.
    tokens : int
        Number of tokens predicted.
    scores : dict of str to Score
        Perplexities per token, by name.
    """

    documents: int
    left_out: int
    tokens: int
    scores: Scores


@dataclass(frozen=True, kw_only=True)
class LabelScores:
    """Agreement of topics with the labels of documents.

    Attributes
    ----------
    corpus, column : str, optional
        Name of the corpus and of its column of labels.
    documents, without_label : int
        Number of documents with words that have a label, and that have none.
    labels : int
        Number of distinct labels.
    scores : dict of str to Score
        Purity, NMI, adjusted Rand index and accuracy, as far as they are defined.
    undefined : str, optional
        Why scores are missing.
    never_learned : int, optional
        Number of documents whose label does not occur in the fit.
    """

    corpus: str | None = None
    column: str | None = None
    documents: int
    without_label: int
    labels: int
    scores: Scores
    undefined: str | None = None
    never_learned: int | None = None


@dataclass(frozen=True, kw_only=True)
class SeedStability:
    """Agreement of the topics of several seeds, as in metrics.json.

    Attributes
    ----------
    value, of_the_model : float
        Mean stability over the topics of the kept run, and over those of all runs.
    seeds : list of int
        The seeds of the runs.
    kept : int
        The seed of the kept run.
    convention : str
        How stability is defined.
    """

    value: float
    of_the_model: float
    seeds: list[int]
    kept: int
    convention: str


class Model(Protocol):
    """Model that can be scored: a `TopicModel` or a baseline."""

    @property
    def components_(self) -> NDArray[np.floating]:
        """Topics, (K, V); rows sum to 1."""

    @property
    def mixes(self) -> bool:
        """True if theta can be refined."""

    def transform(self, X: csr_matrix, refine: int = 0) -> NDArray[np.floating]:
        """Infer theta, (D, K)."""

    def log_likelihood(self, X: csr_matrix, theta: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the log-likelihood of each document in nats, (D,)."""


def topic_scores(beta: NDArray[np.floating], reference: Reference) -> TopicScores:
    """Compute coherence on a reference, per topic, and diversity of topics beta (K, V) over the same vocabulary.

    Topics of one word have no coherence. Windowed measures are left out if the reading order is unknown.
    """
    words = top_words(beta, DIVERSITY_WORDS)
    few = words[:, :COHERENCE_WORDS]
    unique = uniqueness_of_each(few)
    coherence: Scores = {}
    missed: dict[str, int] = {}
    if few.shape[1] > 1:
        stream = TokenStream(reference.tokens, reference.starts) if reference.ordered else None
        for name, values in coherences(few, reference.counts, stream).items():
            interval = interval_of_mean(values) if len(values) > 1 else None
            coherence[name] = score(name, values.mean(), interval, per_topic=values.tolist())
        never = unseen(few, reference.counts)
        pairs = len(few) * math.comb(few.shape[1], 2)
        missed = {"unseen_words": never.words, "unseen_pairs": never.pairs, "pairs": pairs}
    return TopicScores(
        reference=ReferenceSummary(
            name=reference.name,
            documents=int(reference.counts.shape[0]),
            tokens=len(reference.tokens),
            known_tokens=int((reference.tokens >= 0).sum()),
            **missed,
        ),
        coherence=coherence,
        diversity={
            "topic_diversity": score("topic_diversity", topic_diversity(words)),
            "topic_uniqueness": score("topic_uniqueness", unique.mean(), per_topic=unique.tolist()),
            "inverted_rbo": score("inverted_rbo", inverted_rbo(few)),
            "js_diversity": score("js_diversity", js_diversity(beta)),
        },
    )


def check_halves(first: csr_matrix, second: csr_matrix, name: str) -> None:
    """Raise InputError if no document has known words in both halves."""
    if not in_both_halves(first, second).any():
        raise InputError(
            f"none of the {first.shape[0]} documents of {name!r} has known words in both halves, as perplexity needs:"
            " give longer documents, or more, with --test"
        )


def completion_scores(model: Model, train: csr_matrix | None, first: csr_matrix, second: csr_matrix) -> Completion:
    """Compute the perplexity of second halves given the first, and of a unigram model if `train` is given.

    Raises
    ------
    InputError
        No document has tokens in both halves.
    """
    scores: Scores = {}
    for name, steps in (("inferred", 0), ("refined", REFINE_STEPS)):
        if steps and not model.mixes:
            continue
        theta = model.transform(first, refine=steps)
        nats = model.log_likelihood(second, theta)
        summary = summarise_completion(nats, first, second)
        interval = _interval(nats, first, second)
        scores[name] = score(name, summary.perplexity, interval, per_document_mean=summary.perplexity_doc_mean)
    if train is not None:
        scores["unigram"] = score("unigram", unigram_perplexity(train, second[in_both_halves(first, second)]))
    return Completion(
        documents=summary.n_docs, left_out=summary.n_left_out, tokens=int(summary.n_tokens), scores=scores
    )


def topic_quality(npmi: float, diversity: float) -> float:
    """Return coherence times diversity (Dieng, Ruiz & Blei 2020).

    A coherence below 0 is multiplied by 2 - diversity, so that more diversity is always better. If the coherence is
    NaN, this is the diversity.
    """
    if math.isnan(npmi):
        return diversity
    return npmi * (diversity if npmi >= 0 else 2.0 - diversity)


def halves(counts: csr_matrix) -> tuple[csr_matrix, csr_matrix]:
    """Split the tokens of each held-out document into two halves, with a fixed seed."""
    return split_documents(counts, SPLIT_SEED)


def label_scores(test: Labelled, train: Labelled | None, *, classify: bool = True) -> LabelScores:
    """Measure the agreement of topics with labels.

    Parameters
    ----------
    test : tuple of theta (D, K), counts (D, V) and labels (D,)
        The documents to score; those without a label or without words are left out and counted.
    train : tuple of theta, counts and labels, optional
        The documents to train a classifier on; by default five-fold cross-validation on `test`.
    classify : bool
        Train the classifier, which takes seconds.

    Raises
    ------
    InputError
        No document has a label.
    """
    theta, counts, labels, n_without = _select_labelled(*test)
    if len(labels) == 0:
        raise InputError("none of the documents has a label: name the column of the labels with --label-column")
    found = LabelScores(documents=len(labels), without_label=n_without, labels=len(np.unique(labels)), scores={})
    if found.labels == 1:
        return replace(found, undefined="all documents have the same label")
    agreed = agreement(theta.argmax(1), labels)
    found = replace(found, scores={name: score(name, getattr(agreed, name)) for name in ("purity", "nmi", "ari")})
    return _classified(found, (theta, counts, labels), train) if classify else found


def _classified(found: LabelScores, test: Labelled, train: Labelled | None) -> LabelScores:
    """Add the accuracy of a classifier on theta, trained on `train` if that has two labels or more."""
    labels = test[2]
    learn_from = None if train is None else _select_labelled(*train)[:3]
    judged: Accuracy | None
    if learn_from is not None and len(np.unique(learn_from[2])) > 1:
        known = np.isin(labels, learn_from[2])
        if not known.any():
            why = "accuracy: none of these labels occurs in the fit"
            return replace(found, undefined=why)
        found = replace(found, never_learned=int((~known).sum()))
        judged, how = accuracy(learn_from, test), "trained on the documents of the fit"
    else:
        judged, how = cross_validated_accuracy(*test), "five-fold cross-validation"
        if judged is None:
            return replace(found, undefined="accuracy: a label has fewer documents than the 5 folds")
    shown = score("accuracy", judged.theta, how=how, tfidf=judged.tfidf, commonest=judged.commonest)
    return replace(found, scores=found.scores | {"accuracy": shown})


def any_label(counts: csr_matrix, labels: list[Any]) -> bool:
    """Return True if a document with words has a label."""
    return len(labels) > 0 and bool(((np.diff(counts.indptr) > 0) & (_texts(labels) != "")).any())


def score(name: str, value: float, interval: Interval | None = None, **more: Any) -> Score:
    """Build a score with its convention, and its 95 % interval if it has one."""
    ends = {} if interval is None else vars(interval)
    return Score(value=float(value), **ends, infinite=math.isinf(value) or None, convention=CONVENTIONS[name], **more)


def values_of(scores: Mapping[str, Score]) -> dict[str, float]:
    """Return the values of scores, by name."""
    return {name: one.value for name, one in scores.items()}


def _interval(nats: NDArray[np.float64], first: csr_matrix, second: csr_matrix) -> Interval | None:
    """Return the interval of the perplexity per token over documents; None if it is infinite."""
    kept = in_both_halves(first, second)
    loss, n_tokens = -nats[kept], np.asarray(second[kept].sum(1), dtype=np.float64).ravel()
    if not np.isfinite(loss).all():
        return None
    ends = interval_of_ratio(loss, n_tokens)
    return Interval(math.exp(ends.low), math.exp(ends.high))


def _texts(labels: list[Any]) -> NDArray[np.str_]:
    """Convert labels to text, "" if missing.

    1.0 becomes "1", because a column of integers with missing values holds floats.
    """
    texts = ("" if label is None else str(label).strip() for label in labels)
    return np.array(["" if one.lower() == "nan" else re.sub(r"^(-?\d+)\.0$", r"\1", one) for one in texts], np.str_)


def in_both_halves(first: csr_matrix, second: csr_matrix) -> NDArray[np.bool_]:
    """Return the mask of the documents that have tokens in both halves, (D,)."""
    held: NDArray[np.bool_] = (np.diff(first.indptr) > 0) & (np.diff(second.indptr) > 0)
    return held


def _select_labelled(
    theta: NDArray[np.floating], counts: csr_matrix, labels: list[Any]
) -> tuple[NDArray[np.floating], csr_matrix, NDArray[np.str_], int]:
    """Select the documents that have both known words and a label.

    The last value is the number of documents that have known words but no label.
    """
    filled, texts = np.diff(counts.indptr) > 0, _texts(labels)
    kept = filled & (texts != "")
    return theta[kept], counts[kept], texts[kept], int((filled & ~kept).sum())
