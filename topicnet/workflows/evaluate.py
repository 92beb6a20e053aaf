"""Evaluation of a run: coherence on a reference corpus, perplexity and label agreement on test documents."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from topicnet.errors import CorpusError, InputError
from topicnet.evaluate.bootstrap import LEVEL
from topicnet.runtime.html_tables import html_table
from topicnet.runtime.reporter import Reporter
from topicnet.text.corpus import Corpus
from topicnet.text.reference import Reference, reference_over
from topicnet.text.tokens.options import options_of
from topicnet.training.checks import check_count
from topicnet.workflows.bundle import Bundle
from topicnet.workflows.config import FitConfig
from topicnet.workflows.corpus import count_every_word, resolve_corpus
from topicnet.workflows.likelihood import MOST_DOCUMENTS, HeldOutLikelihood, held_out_likelihood
from topicnet.workflows.run import Run, load
from topicnet.workflows.scores import (
    LabelScores,
    ReferenceSummary,
    Scores,
    SeedStability,
    any_label,
    check_halves,
    completion_scores,
    halves,
    label_scores,
    score,
    topic_scores,
)
from topicnet.workflows.transform import with_columns_of

if TYPE_CHECKING:
    from topicnet.models.likelihood import LikelihoodOptions

LABELS = "label"  # default column of the labels


@dataclass(frozen=True, kw_only=True)
class ValidationBound:
    """Evidence lower bound on the validation documents of the fit.

    Attributes
    ----------
    corpus : str
        Description of the documents.
    scores : dict of str to Score
        "bound": perplexity from the bound.
    """

    corpus: str
    scores: Scores


@dataclass(frozen=True, kw_only=True)
class HeldOutPerplexity:
    """Perplexity of test documents, and the numbers of documents and tokens that were scored.

    Attributes
    ----------
    corpus : str
        Name of the test corpus.
    given, documents, left_out : int
        Number of documents given, scored, and left out as one of their halves has no known word.
    same_as_fit : bool
        True if the documents are those of the fit.
    tokens : int
        Number of tokens predicted.
    scores : dict of str to Score
        Perplexities, by name.
    unknown_share : float
        Fraction of all tokens that are not words of the model, which are not scored.
    """

    corpus: str
    given: int
    same_as_fit: bool
    documents: int
    left_out: int
    tokens: int
    scores: Scores
    unknown_share: float


@dataclass(frozen=True, kw_only=True)
class ScoredTopic:
    """One topic: its mean proportion of the documents, its top words and its scores.

    Attributes
    ----------
    topic : int
        Number of the topic, from 0.
    size : float
        Mean theta over the documents of the fit.
    words : list of str
        The 10 most probable words, in order of decreasing probability.
    npmi, c_v, c_npmi, c_uci, u_mass : float, optional
        Coherence; None if it is undefined.
    topic_uniqueness : float
        Mean over the words of 1 / number of topics that list the word.
    stability : float, optional
        Similarity to the counterparts in the fits with other seeds; None for a single seed.
    fragile : bool, optional
        True if the stability is below 0.4.
    """

    topic: int
    size: float
    words: list[str]
    npmi: float | None = None
    c_v: float | None = None
    c_npmi: float | None = None
    c_uci: float | None = None
    u_mass: float | None = None
    topic_uniqueness: float
    stability: float | None = None
    fragile: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Scorecard:
    """All scores of a run, in the order of `topicnet evaluate --json`.

    Attributes
    ----------
    run, model : str
        Run folder and name of the model.
    topics : int
        Number of topics, K.
    interval : float
        Level of the intervals of the scores: 0.95.
    status : str
        "complete" or "interrupted".
    verdict : str
        The health report in one line.
    reference : ReferenceSummary
        The corpus that co-occurrences are counted in.
    coherence, diversity : dict of str to Score
        Scores of the topics, by name.
    perplexity : HeldOutPerplexity or ValidationBound
        Perplexity of test documents, or the bound on the validation documents of the fit without any.
    likelihood : HeldOutLikelihood, optional
        Log-likelihood of test documents; None if it was not asked for.
    labels : LabelScores, optional
        Agreement with labels; None without labels.
    stability : SeedStability, optional
        Agreement of several seeds; None for a single seed.
    per_topic : list of ScoredTopic
        The scores of each topic.
    """

    run: str
    model: str
    topics: int
    interval: float
    status: str
    verdict: str
    reference: ReferenceSummary
    coherence: Scores
    diversity: Scores
    perplexity: HeldOutPerplexity | ValidationBound
    likelihood: HeldOutLikelihood | None = None
    labels: LabelScores | None
    stability: SeedStability | None
    per_topic: list[ScoredTopic]

    def _repr_html_(self) -> str:
        labels = self.labels.scores if self.labels is not None else {}
        groups = {"coherence": self.coherence, "diversity": self.diversity, "perplexity": self.perplexity.scores}
        if self.likelihood is not None:
            groups |= {"log-likelihood": {name: one.nats for name, one in self.likelihood.estimates.items()}}
        groups |= {"labels": labels}
        rows = [
            (group, name, one.value, "" if one.low is None or one.high is None else f"{one.low:.3f} to {one.high:.3f}")
            for group, scores in groups.items()
            for name, one in scores.items()
        ]
        caption = f"{self.run}: {self.model}, {self.topics} topics; {self.verdict}"
        return html_table(caption, ("", "score", "value", f"{self.interval:.0%} interval"), rows, len(rows))


def evaluate_run(
    folder: Path,
    *,
    test: FitConfig | None = None,
    reference: FitConfig | None = None,
    label_column: str | None = None,
    likelihood: LikelihoodOptions | None = None,
    likelihood_documents: int = MOST_DOCUMENTS,
    reporter: Reporter | None = None,
) -> Scorecard:
    """Compute all scores of a run.

    Parameters
    ----------
    folder : Path
        A run folder.
    test : FitConfig, optional
        Test corpus for perplexity and agreement with labels. Without it, the bound on the validation documents of the
        fit is reported instead of perplexity, and labels are those of the corpus of the fit.
    reference : FitConfig, optional
        Corpus to count co-occurrences in; by default that of the fit.
    label_column : str, optional
        Column of the labels; by default "label", if there is one.
    likelihood : LikelihoodOptions, optional
        Estimate the log-likelihood of the test documents with this effort. It takes seconds to hours.
    likelihood_documents : int
        Largest number of documents to estimate it for, drawn at random; 0 takes all.
    reporter : Reporter, optional
        Receives the notices of reading, and the progress of the likelihood.

    Returns
    -------
    Scorecard
        The scores, with their conventions and intervals.

    Raises
    ------
    TopicnetError
        The run, the test corpus or the reference cannot be used.
    """
    reporter = reporter or Reporter()
    if likelihood is not None:
        check_likelihood(likelihood, likelihood_documents, test)
    run = load(folder)
    judged_on = _reference(run, folder, reference, reporter)
    tested = None if test is None else _counted(run.bundle, with_columns_of(folder, test), reporter)
    found = topic_scores(run.model.components_, judged_on)
    return Scorecard(
        run=str(folder),
        model=run.bundle.name,
        topics=run.model.n_topics,
        interval=LEVEL,
        status=run.record["status"],
        verdict=run.health.line(),
        **vars(found),
        perplexity=_on_validation(run) if tested is None else _on_test(run, tested),
        likelihood=None
        if likelihood is None or tested is None
        else held_out_likelihood(
            run.model,
            tested.over.counts,
            ids=tested.corpus.ids,
            name=tested.over.name,
            options=likelihood,
            documents=likelihood_documents,
            reporter=reporter,
        ),
        labels=_labels(run, tested, label_column),
        stability=None if run.stability is None else SeedStability(**run.metrics["stability"]),
        per_topic=_per_topic(run, found.coherence | {"topic_uniqueness": found.diversity["topic_uniqueness"]}),
    )


def check_likelihood(options: LikelihoodOptions, documents: int, test: FitConfig | None) -> None:
    """Check the options of the likelihood before anything is read.

    Parameters
    ----------
    options : LikelihoodOptions
        Numbers of draws, chains and temperatures.
    documents : int
        Largest number of documents, 0 or more.
    test : FitConfig or None
        The test corpus.

    Raises
    ------
    InputError
        A number is out of its range, or there is no test corpus.
    """
    options.check()
    check_count("likelihood_documents", documents, least=0)
    if test is None:
        raise InputError(
            "a likelihood was asked for without test documents, expected documents that the model has not seen: give"
            " them with --test"
        )


def _per_topic(run: Run, measures: Scores) -> list[ScoredTopic]:
    return [
        ScoredTopic(
            topic=k,
            size=float(run.sizes[k]),
            words=words,
            **run.stability_of(k)
            | {name: one.per_topic[k] for name, one in measures.items() if one.per_topic is not None},
        )
        for k, words in enumerate(run.top_words(10))
    ]


@dataclass(frozen=True, eq=False)
class _Counted:
    """Test documents counted in the vocabulary of the model, and the corpus with their other columns."""

    over: Reference
    corpus: Corpus


def _reference(run: Run, folder: Path, config: FitConfig | None, reporter: Reporter) -> Reference:
    if config is not None:
        request = resolve_corpus(with_columns_of(folder, config))
        counted = count_every_word(request, lambda _: options_of(run.bundle.text), reporter)
        return reference_over(counted, run.vocabulary)
    if run.corpus is None:
        raise InputError(
            f"{str(folder)!r} was saved without its corpus (--no-keep-corpus), which coherence needs: give a corpus"
            " with --reference"
        )
    return reference_over(run.corpus, run.vocabulary)


def _counted(bundle: Bundle, config: FitConfig, reporter: Reporter) -> _Counted:
    # Stop words are dropped as the run stores them: tokenised a second time, some would change.
    counted = count_every_word(resolve_corpus(config), lambda _: options_of(bundle.text), reporter)
    dropped = set(bundle.text["stop_words"])
    corpus = counted.over([word for word in counted.vocabulary if word not in dropped])
    name = corpus.source["name"]
    if corpus.n_docs == 0:
        raise CorpusError(f"{name!r} holds no documents: expected one document per line, row or file")
    try:
        return _Counted(reference_over(corpus, bundle.vocabulary), corpus)
    except CorpusError:
        raise CorpusError(
            f"none of the {corpus.n_docs} documents of {name!r} holds a word of the model's vocabulary, such as"
            f" {', '.join(bundle.vocabulary[:3])}: give documents in the language of the fit"
        ) from None


def _on_validation(run: Run) -> ValidationBound:
    bound = float(run.metrics["validation_bound"]["perplexity"] or math.nan)
    return ValidationBound(corpus="held-out documents of the fit", scores={"bound": score("bound", bound)})


def _on_test(run: Run, test: _Counted) -> HeldOutPerplexity:
    counts = test.over.counts
    first, second = halves(counts)
    check_halves(first, second, test.over.name)
    found = completion_scores(run.model, None if run.corpus is None else run.corpus.counts, first, second)
    bound = {"bound": score("bound", run.model.perplexity(counts))} if run.model.network_.has_bound else {}
    return HeldOutPerplexity(
        corpus=test.over.name,
        given=int(counts.shape[0]),
        same_as_fit=run.record["data"]["sha256"] == test.corpus.source["sha256"],
        **vars(found) | {"scores": found.scores | bound},
        unknown_share=float((test.over.tokens < 0).sum() / len(test.over.tokens)),
    )


def _labels(run: Run, test: _Counted | None, column: str | None) -> LabelScores | None:
    corpus = run.corpus if test is None else test.corpus
    columns = [] if corpus is None else corpus.metadata.columns
    name = column or run.record["config"].get("label_column") or LABELS
    if name not in columns:
        if column is None:
            return None
        has = f"give one of {', '.join(columns)}" if columns else "it has none besides the text, so leave it out"
        raise InputError(f"--label-column {column!r} given, but the corpus has no such column: {has}")
    assert corpus is not None
    counts, labels = corpus.counts if test is None else test.over.counts, corpus.metadata[name].to_list()
    if column is None and not any_label(counts, labels):
        return None
    learn_from = None
    fitted = run.corpus
    if test is not None and fitted is not None and name in fitted.metadata.columns:
        learn_from = (run.theta, fitted.counts, fitted.metadata[name].to_list())
    theta = run.theta if test is None else run.bundle.theta(corpus.over(run.vocabulary))
    found = label_scores((theta, counts, labels), learn_from)
    return replace(found, corpus=str(corpus.source["name"]), column=name)
