"""Scores of a fitted model: values, intervals, conventions and undefined scores."""

import json
import math
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from topicnet.errors import InputError
from topicnet.evaluate.bootstrap import interval_of_mean
from topicnet.evaluate.coherence import coherences, top_words
from topicnet.evaluate.occurrences import TokenStream
from topicnet.evaluate.perplexity import document_completion, log_likelihood, unigram_perplexity
from topicnet.storage.formats import json_text
from topicnet.text.corpus import Corpus
from topicnet.text.reference import Reference, reference_over
from topicnet.workflows.scores import (
    CONVENTIONS,
    REFINE_STEPS,
    completion_scores,
    halves,
    label_scores,
    score,
    topic_quality,
    topic_scores,
    values_of,
)


class Mixture:
    """A model with given topics that gives every document the same theta, more even after refinement."""

    def __init__(self, beta: NDArray[np.float64], theta: NDArray[np.float64], mixes: bool = True) -> None:
        self.components_, self.theta, self.mixes = beta, theta, mixes
        self.asked: list[tuple[NDArray[np.float64], int]] = []

    def transform(self, X: csr_matrix, refine: int = 0) -> NDArray[np.float64]:
        self.asked.append((X.toarray(), refine))
        theta = np.full_like(self.theta, 1 / len(self.theta)) if refine else self.theta
        return np.tile(theta, (X.shape[0], 1))

    def log_likelihood(self, X: csr_matrix, theta: NDArray[np.floating]) -> NDArray[np.float64]:
        return log_likelihood(theta, self.components_, X)


def random_beta(n_topics: int, n_words: int) -> NDArray[np.float64]:
    return np.random.default_rng(0).dirichlet(np.full(n_words, 0.3), n_topics)


def reference(n_docs: int = 30, n_words: int = 40) -> Reference:
    """Return random documents over words w0, w1, ..., in reading order; one of them is empty."""
    rng = np.random.default_rng(1)
    words = [f"{chr(97 + i // 26)}{chr(97 + i % 26)}x" for i in range(n_words)]
    texts = [" ".join(rng.choice(words, 12)) for _ in range(n_docs - 1)] + [""]
    return reference_over(Corpus.from_texts(texts, vocabulary=words), words)


def counts_of(*rows: list[int]) -> csr_matrix:
    return csr_matrix(np.array(rows, dtype=np.int32))


# ---------------------------------------------------------------- one score


def test_a_score_has_value_interval_and_convention() -> None:
    found = score("npmi", np.float32(0.5), interval_of_mean(np.array([0.0, 1.0])), per_topic=[0.0, 1.0])
    assert json.loads(json_text(found)) == {
        "value": 0.5, "low": 0.0, "high": 1.0, "per_topic": [0.0, 1.0], "convention": CONVENTIONS["npmi"]
    }  # fmt: skip
    assert type(found.value) is float
    assert json.loads(json_text(score("unigram", 7.0))).keys() == {"value", "convention"}
    with pytest.raises(KeyError):  # every score states its convention
        score("goodness", 1.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_has_null_where_a_score_is_not_finite_and_never_0(value: float) -> None:
    assert json.loads(json_text(score("bound", value)))["value"] is None


def test_values_of_returns_plain_values() -> None:
    assert values_of({"npmi": score("npmi", 0.25), "bound": score("bound", 12)}) == {"npmi": 0.25, "bound": 12.0}


# ---------------------------------------------------------------- topics


def test_topic_scores_equal_the_measures() -> None:
    beta, judged_on = random_beta(3, 40), reference()
    found = topic_scores(beta, judged_on)
    few = top_words(beta, 10)
    expected = coherences(few, judged_on.counts, TokenStream(judged_on.tokens, judged_on.starts))
    assert found.coherence.keys() == expected.keys() == {"npmi", "c_v", "c_npmi", "c_uci", "u_mass"}
    for name, values in expected.items():
        one = found.coherence[name]
        assert one.per_topic == values.tolist()
        assert one.value == pytest.approx(values.mean())
        assert values.min() <= one.low < one.value < one.high <= values.max()
        assert one.convention == CONVENTIONS[name]
    assert found.diversity.keys() == {"topic_diversity", "topic_uniqueness", "inverted_rbo", "js_diversity"}
    assert found.diversity["topic_diversity"].value == len(set(top_words(beta, 25).ravel())) / (3 * 25)
    assert found.diversity["topic_uniqueness"].value == pytest.approx(len(set(few.ravel())) / (3 * 10))


def test_words_missing_from_the_reference_are_counted() -> None:
    # Words 0 to 4 are known, 5 to 9 do not occur; of the known ones, 0 and 1 never co-occur.
    counts = counts_of([1, 0, 1, 1, 1, 0, 0, 0, 0, 0], [0, 2, 1, 1, 1, 0, 0, 0, 0, 0])
    tokens = np.array([0, 2, 3, 4, 1, 1, 2, 3, 4])
    found = topic_scores(np.full((1, 10), 0.1), Reference("small", counts, tokens, np.array([0, 4, 9])))
    about = found.reference
    assert asdict(about) == {
        "name": "small", "documents": 2, "tokens": 9, "known_tokens": 9, "unseen_words": 5, "unseen_pairs": 35 + 1,
        "pairs": 45,
    }  # fmt: skip


def test_one_topic_has_a_coherence_without_interval_and_full_diversity() -> None:
    found = topic_scores(random_beta(1, 40), reference())
    assert found.coherence
    for one in found.coherence.values():
        assert one.low is None  # a single value has no interval
        assert math.isfinite(one.value)
    assert set(values_of(found.diversity).values()) == {1.0}


def test_topics_with_few_words_are_scored_on_all_of_them() -> None:
    found = topic_scores(random_beta(2, 4), reference(n_words=4))
    assert found.reference.pairs == 2 * 6
    assert found.diversity["topic_diversity"].value == 0.5  # both topics have all 4 words
    assert all(math.isfinite(value) for value in values_of(found.coherence).values())


def test_a_topic_of_one_word_has_no_coherence_instead_of_0() -> None:
    found = topic_scores(np.ones((1, 1)), reference(n_words=1))
    assert found.coherence == {}
    assert found.reference.pairs is None
    assert found.diversity["topic_diversity"].value == 1.0


@pytest.mark.parametrize(
    ("npmi", "diversity", "expected"),
    [(0.5, 0.5, 0.25), (0.5, 1.0, 0.5), (0.0, 0.3, 0.0), (-0.5, 1.0, -0.5), (-0.5, 0.5, -0.75), (math.nan, 0.7, 0.7)],
)
def test_topic_quality(npmi: float, diversity: float, expected: float) -> None:
    assert topic_quality(npmi, diversity) == pytest.approx(expected)


@pytest.mark.parametrize("npmi", [-0.9, -0.1, 0.1, 0.9])
def test_more_diversity_is_better_on_both_sides_of_0(npmi: float) -> None:
    found = [topic_quality(npmi, diversity) for diversity in (0.1, 0.5, 1.0)]
    assert found == sorted(set(found))
    assert topic_quality(npmi, 0.5) > topic_quality(npmi - 0.05, 0.5)


# ---------------------------------------------------------------- perplexity


def test_halves_add_up_and_are_always_the_same() -> None:
    counts = reference().counts
    first, second = halves(counts)
    assert ((first + second) != counts).nnz == 0
    assert 0 < first.sum() < counts.sum()
    again = halves(counts)
    assert (first != again[0]).nnz == (second != again[1]).nnz == 0


def test_completion_scores_are_those_of_document_completion() -> None:
    beta, theta = random_beta(3, 40), np.array([0.7, 0.2, 0.1])
    train, (first, second) = reference(50).counts, halves(reference().counts)
    model = Mixture(beta, theta)
    found = completion_scores(model, train, first, second)
    assert [(x.tolist(), steps) for x, steps in model.asked] == [
        (first.toarray().tolist(), 0), (first.toarray().tolist(), REFINE_STEPS)
    ]  # fmt: skip
    for name, share in (("inferred", theta), ("refined", np.full(3, 1 / 3))):
        expected = document_completion(np.tile(share, (30, 1)), beta, first, second)
        one = found.scores[name]
        assert one.value == pytest.approx(expected.perplexity)
        assert one.per_document_mean == pytest.approx(expected.perplexity_doc_mean)
        assert one.low < one.value < one.high
        assert one.convention == CONVENTIONS[name]
    assert found.documents == expected.n_docs
    assert found.left_out == expected.n_left_out >= 1  # the empty document
    assert found.tokens == expected.n_tokens
    assert found.scores["unigram"].value == pytest.approx(unigram_perplexity(train, second))


def test_the_unigram_is_scored_on_the_same_documents_as_the_model() -> None:
    first, second = counts_of([2, 0], [0, 0]), counts_of([1, 0], [0, 5])
    found = completion_scores(Mixture(np.full((1, 2), 0.5), np.ones(1)), counts_of([9, 0]), first, second)
    assert (found.documents, found.left_out, found.tokens) == (1, 1, 1)
    assert found.scores["unigram"].value == pytest.approx(11 / 10)  # (9 + 1) / (9 + 2), the first word only


def test_without_the_training_documents_there_is_no_unigram() -> None:
    found = completion_scores(Mixture(random_beta(2, 40), np.array([0.5, 0.5])), None, *halves(reference().counts))
    assert found.scores.keys() == {"inferred", "refined"}


def test_a_model_that_is_not_a_mixture_is_not_refined() -> None:
    model = Mixture(random_beta(2, 40), np.array([0.5, 0.5]), mixes=False)
    found = completion_scores(model, None, *halves(reference().counts))
    assert found.scores.keys() == {"inferred"}
    assert [steps for _, steps in model.asked] == [0]


def test_a_word_of_probability_0_gives_an_infinite_perplexity_without_an_interval() -> None:
    beta = np.array([[1.0, 0.0]])
    found = completion_scores(Mixture(beta, np.ones(1)), None, counts_of([3, 0], [1, 1]), counts_of([2, 0], [1, 1]))
    for one in found.scores.values():
        assert one.value == math.inf
        assert one.low is None
    assert json.loads(json_text(found))["scores"]["inferred"]["value"] is None


def test_a_word_of_probability_0_in_a_skipped_document_has_no_effect() -> None:
    beta = np.array([[1.0, 0.0]])
    found = completion_scores(Mixture(beta, np.ones(1)), None, counts_of([3, 0], [0, 0]), counts_of([2, 0], [0, 1]))
    assert found.scores["inferred"].value == 1.0
    assert found.scores["inferred"].high == 1.0


def test_documents_of_one_token_cannot_be_scored() -> None:
    first, second = halves(counts_of([1, 0], [0, 1]))
    with pytest.raises(InputError, match="both halves"):
        completion_scores(Mixture(np.full((1, 2), 0.5), np.ones(1)), None, first, second)


# ---------------------------------------------------------------- labels


def labelled(labels: list[Any], topics: list[int], n_topics: int = 2) -> Any:
    """Return documents of one word each, with theta near 1 for the topic of the word."""
    theta = np.full((len(topics), n_topics), 0.1 / n_topics)
    theta[np.arange(len(topics)), topics] += 0.9
    return theta, csr_matrix(np.eye(n_topics, dtype=np.int32)[topics]), labels


def test_topics_equal_to_the_labels_agree_with_them_fully() -> None:
    found = label_scores(labelled(["a", "b"] * 10, [1, 0] * 10), None)
    assert (found.documents, found.without_label, found.labels) == (20, 0, 2)
    assert values_of(found.scores) == {"purity": 1.0, "nmi": 1.0, "ari": 1.0, "accuracy": 1.0}
    accuracy = found.scores["accuracy"]
    assert (accuracy.tfidf, accuracy.commonest) == (1.0, 0.5)
    assert "fold" in accuracy.how


def test_topics_independent_of_the_labels() -> None:
    found = label_scores(labelled(["a", "a", "b", "b"] * 5, [0, 1] * 10), None)
    assert values_of(found.scores)["nmi"] == pytest.approx(0, abs=1e-9)
    assert values_of(found.scores)["purity"] == 0.5
    assert values_of(found.scores)["ari"] < 0.05


def test_documents_without_a_label_are_left_out_and_counted() -> None:
    labels = ["a", None, "b", "", "a", "  ", "b", "c"]
    found = label_scores(labelled(labels, [0, 1, 1, 0, 0, 0, 1, 1]), None, classify=False)
    assert (found.documents, found.without_label, found.labels) == (5, 3, 3)
    assert found.scores["purity"].value == pytest.approx(4 / 5)


def test_documents_without_words_are_left_out() -> None:
    theta, counts, labels = labelled(["a", "b", "b", None], [0, 1, 0, 1])
    counts = csr_matrix(counts.toarray() * np.array([[1], [1], [0], [0]]))
    found = label_scores((theta, counts, labels), None, classify=False)
    assert (found.documents, found.without_label) == (2, 0)
    assert found.scores["purity"].value == 1.0


def test_labels_may_be_numbers() -> None:
    found = label_scores(labelled([0, 1] * 5, [1, 0] * 5), None)
    assert found.labels == 2
    assert found.scores["accuracy"].value == 1.0


@pytest.mark.parametrize("labels", [[None] * 4, ["", " ", "", ""], [None, "", None, ""]])
def test_no_label_at_all_is_an_error(labels: list[Any]) -> None:
    with pytest.raises(InputError, match="--label-column"):
        label_scores(labelled(labels, [0, 1, 0, 1]), None)


def test_accuracy_is_undefined_if_a_label_has_too_few_documents() -> None:
    found = label_scores(labelled(["a"] * 8 + ["b"] * 4, [0, 1] * 6), None)
    assert found.scores.keys() == {"purity", "nmi", "ari"}
    assert "fewer documents" in found.undefined
    assert all(math.isfinite(value) for value in values_of(found.scores).values())


def test_scores_are_undefined_with_one_label() -> None:
    found = label_scores(labelled(["a"] * 12, [0, 1] * 6), None)
    assert found.scores == {}
    assert "same label" in found.undefined


def test_labels_absent_from_training_are_not_scored() -> None:
    fit = labelled(["a", "b"] * 5, [0, 1] * 5)
    found = label_scores(labelled(["c", "d"] * 5, [0, 1] * 5), fit)
    assert "accuracy" not in found.scores
    assert "none of these labels" in found.undefined
    found = label_scores(labelled(["a", "d"] * 5, [0, 1] * 5), fit)
    assert found.never_learned == 5
    assert found.scores["accuracy"].value == 0.5


def test_labels_of_a_column_of_numbers_with_gaps() -> None:
    """pandas writes such a column as floats: 0.0 is label 0, and nan is missing."""
    fit = labelled(["0", "1"] * 5, [0, 1] * 5)
    found = label_scores(labelled(["0.0", "1.0", "nan", float("nan")] * 3, [0, 1, 0, 1] * 3), fit)
    assert found.without_label == 6
    assert found.labels == 2
    assert found.scores["accuracy"].value == 1.0


def test_the_classifier_learns_from_the_documents_of_the_fit() -> None:
    judged = labelled(["a", "b", "c"], [0, 1, 1])
    found = label_scores(judged, labelled(["a", "b", None] * 5, [0, 1, 1] * 5))
    accuracy = found.scores["accuracy"]
    assert accuracy.value == pytest.approx(2 / 3)  # label c was not in training
    assert accuracy.tfidf == pytest.approx(2 / 3)
    assert accuracy.commonest == pytest.approx(1 / 3)
    assert "fit" in accuracy.how


@pytest.mark.parametrize("known", [["a"] * 10, [None] * 10])
def test_a_fit_with_one_label_is_not_used_for_training(known: list[Any]) -> None:
    found = label_scores(labelled(["a", "b"] * 5, [0, 1] * 5), labelled(known, [0, 1] * 5))
    assert found.scores["accuracy"].value == 1.0
    assert "fold" in found.scores["accuracy"].how


def test_no_classifier_is_trained_without_classify() -> None:
    found = label_scores(labelled(["a", "b"] * 10, [1, 0] * 10), None, classify=False)
    assert found.scores.keys() == {"purity", "nmi", "ari"}
