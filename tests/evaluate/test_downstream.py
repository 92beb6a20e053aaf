"""Downstream: agreement of top topics with labels, and classifiers on theta and on TF-IDF."""

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_matrix

from topicnet.errors import InputError
from topicnet.evaluate.downstream import Accuracy, accuracy, agreement, cross_validated_accuracy

LABELS = np.array(["a", "a", "b", "b", "b", "b"])


def theta_from(labels, names=("a", "b", "c")):
    """Make theta (D, K) whose top topic is the label."""
    return 0.1 + 0.7 * (np.asarray(labels)[:, None] == names)


def flat_counts(n_docs):
    """Make counts that are the same for every document."""
    return csr_matrix(np.ones((n_docs, 4), dtype=np.int32))


def flat_theta(n_docs):
    return np.full((n_docs, 3), 1 / 3)


def counts_from(labels, names=("a", "b", "c")):
    return csr_matrix((np.asarray(labels)[:, None] == names).astype(np.int32) * 3)


@st.composite
def clusterings(draw):
    n = draw(st.integers(1, 25))
    return draw(arrays(np.int64, n, elements=st.integers(0, 5))), draw(arrays(np.int64, n, elements=st.integers(0, 3)))


class TestAgreement:
    def test_computed_by_hand(self):
        found = agreement(np.array([7, 7, 7, 2, 2, 2]), LABELS)  # aab, bbb
        assert found.purity == pytest.approx(5 / 6)
        # I = 1/3 log 2 + 1/6 log 1/2 + 1/2 log 3/2; H = log 2 and log 3 - 2/3 log 2
        information = log(2) / 6 + log(3 / 2) / 2
        assert found.nmi == pytest.approx(information / ((log(2) + log(3) - 2 / 3 * log(2)) / 2))
        # pairs together in both: 1 + 3; in clusters 3 + 3, in labels 1 + 6, of 15; by chance 6 * 7 / 15 = 2.8
        assert found.ari == pytest.approx((4 - 2.8) / ((6 + 7) / 2 - 2.8))

    def test_independent_clusters(self):
        found = agreement(np.array([0, 0, 1, 1]), np.array(["a", "b", "a", "b"]))
        assert found.purity == 0.5
        assert found.nmi == pytest.approx(0.0, abs=1e-12)
        assert found.ari == pytest.approx((0 - 2 / 3) / (2 - 2 / 3))  # worse than chance

    @pytest.mark.parametrize("clusters", [[0, 0, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0], [40, 40, 8, 8, 8, 8]])
    def test_clusters_equal_to_labels_score_1(self, clusters):
        found = agreement(np.array(clusters), LABELS)
        assert (found.purity, found.nmi, found.ari) == pytest.approx((1.0, 1.0, 1.0))

    def test_a_single_cluster_scores_0_but_for_purity(self):
        found = agreement(np.zeros(6, dtype=int), LABELS)
        assert found.purity == pytest.approx(4 / 6)
        assert (found.nmi, found.ari) == pytest.approx((0.0, 0.0), abs=1e-12)

    def test_one_cluster_per_document_is_pure_and_scores_no_better_than_chance(self):
        found = agreement(np.arange(6), LABELS)
        assert found.purity == 1.0
        assert found.ari == pytest.approx(0.0, abs=1e-12)
        assert 0 < found.nmi < 1

    @given(clusterings())
    def test_stays_in_bounds(self, given_):
        clusters, labels = given_
        found = agreement(clusters, labels)
        commonest = np.bincount(labels).max() / len(labels)
        assert commonest - 1e-12 <= found.purity <= 1
        assert -1e-12 <= found.nmi <= 1 + 1e-12
        assert found.ari <= 1 + 1e-12

    @given(clusterings(), st.permutations(range(6)), st.permutations("abcd"))
    def test_ignores_names(self, given_, numbers, names):
        clusters, labels = given_
        found, renamed = agreement(clusters, labels), agreement(np.array(numbers)[clusters], np.array(names)[labels])
        assert renamed.purity == pytest.approx(found.purity)
        assert renamed.nmi == pytest.approx(found.nmi, abs=1e-9)
        assert renamed.ari == pytest.approx(found.ari, abs=1e-9)

    @given(clusterings())
    def test_purity_counts_the_commonest_label_of_each_cluster(self, given_):
        clusters, labels = given_
        right = sum(np.bincount(labels[clusters == cluster]).max() for cluster in {*clusters.tolist()})
        assert agreement(clusters, labels).purity == pytest.approx(right / len(labels))

    @pytest.mark.parametrize(("n_clusters", "n_labels"), [(0, 0), (3, 2), (2, 3), (0, 1)])
    def test_refuses_unequal_lengths(self, n_clusters, n_labels):
        with pytest.raises(InputError, match=f"{n_clusters} clusters and {n_labels} labels") as caught:
            agreement(np.zeros(n_clusters, dtype=int), np.full(n_labels, "a"))
        assert "\n" not in str(caught.value)


class TestAccuracy:
    TRAIN = np.array(["a"] * 12 + ["b"] * 6 + ["c"] * 6)
    TEST = np.array(["a", "b", "b", "c", "c"])

    def test_informative_theta_and_flat_counts(self):
        found = accuracy(
            (theta_from(self.TRAIN), flat_counts(24), self.TRAIN),
            (theta_from(self.TEST), flat_counts(5), self.TEST),
        )
        assert found == Accuracy(theta=1.0, tfidf=0.2, commonest=0.2)

    def test_informative_counts_and_flat_theta(self):
        found = accuracy(
            (flat_theta(24), counts_from(self.TRAIN), self.TRAIN),
            (flat_theta(5), counts_from(self.TEST), self.TEST),
        )
        assert found == Accuracy(theta=0.2, tfidf=1.0, commonest=0.2)

    def test_the_majority_label_is_that_of_the_training_documents(self):
        train, test = np.array(["b"] * 3 + ["a"] * 2), np.array(["a", "a", "a", "b"])
        found = accuracy((theta_from(train), flat_counts(5), train), (theta_from(test), flat_counts(4), test))
        assert found.commonest == 0.25

    def test_a_label_missing_in_training_is_never_predicted(self):
        train, test = np.array(["a", "b"] * 5), np.array(["a", "c"])
        found = accuracy((theta_from(train), counts_from(train), train), (theta_from(test), counts_from(test), test))
        assert (found.theta, found.tfidf, found.commonest) == (0.5, 0.5, 0.5)

    def test_a_small_column_of_theta_is_used(self):
        labels = np.array(["a"] * 20 + ["b"] * 10)
        small = np.where(labels == "b", 1e-4, 1e-6)
        theta = np.stack([1 - small, small], axis=1)
        part = (theta, flat_counts(30), labels)
        assert accuracy(part, part).theta == 1.0

    def test_a_frequent_word_weighs_little(self):
        """TF-IDF: frequent words of all documents do not hide the word that predicts the label."""
        labels = np.array(["a"] * 20 + ["b"] * 20)
        noise = np.random.default_rng(0).integers(1, 400, size=40)
        part = (
            flat_theta(40),
            csr_matrix(np.stack([noise, noise[::-1], labels == "a", labels == "b"], 1)),
            labels,
        )
        assert accuracy(part, part).tfidf == 1.0

    def test_words_weigh_the_same_in_long_and_short_documents(self):
        rng = np.random.default_rng(0)
        labels, held = rng.choice(["a", "b", "c"], 60), rng.integers(0, 2, (60, 8))
        held[:, 0] |= labels == "a"
        tfidf = []
        for lengths in (np.ones((60, 1), dtype=int), rng.integers(1, 200, (60, 1))):
            counts = csr_matrix(held * lengths)
            tfidf.append(accuracy(*[(flat_theta(30), counts[i::2], labels[i::2]) for i in (0, 1)]).tfidf)
        assert tfidf[0] == tfidf[1] < 1

    def test_labels_may_be_numbers(self):
        train, test = np.array([30, 10, 30, 10]), np.array([10, 10, 30])
        parts = [(theta_from(part, (10, 30)), counts_from(part, (10, 30)), part) for part in (train, test)]
        assert accuracy(*parts) == Accuracy(theta=1.0, tfidf=1.0, commonest=2 / 3)  # 10: the lower of two as common

    def test_empty_documents_are_scored(self):
        train = np.array(["a"] * 6 + ["b"] * 3)
        counts = counts_from(train)
        empty = csr_matrix((2, 3), dtype=np.int32)
        test = np.array(["a", "b"])
        assert accuracy((theta_from(train), counts, train), (theta_from(test), empty, test)).tfidf == 0.5

    def test_a_stored_zero_is_not_an_occurrence(self):
        labels = np.array(["a"] * 6 + ["b"] * 6)
        counts = csr_matrix(np.ones((12, 2)))
        counts.data[:] = (labels[:, None] == ["a", "b"]).ravel()
        assert counts.nnz == 24
        part = (theta_from(labels), counts, labels)
        assert accuracy(part, part).tfidf == 1.0

    def test_does_not_change_its_input(self):
        theta, counts = theta_from(self.TRAIN), counts_from(self.TRAIN)
        before = theta.copy(), counts.copy()
        accuracy((theta, counts, self.TRAIN), (theta, counts, self.TRAIN))
        assert (theta == before[0]).all()
        assert (counts.toarray() == before[1].toarray()).all()
        assert counts.dtype == np.int32

    @pytest.mark.parametrize(("train", "test"), [(["a", "a"], ["a"]), (["a", "b"], []), ([], ["a"])])
    def test_refuses_too_few_labels(self, train, test):
        parts = [(flat_theta(len(part)), flat_counts(len(part)), np.array(part, dtype=str)) for part in (train, test)]
        with pytest.raises(InputError, match="fewer than two labels to learn, or no labelled document") as caught:
            accuracy(*parts)
        assert "\n" not in str(caught.value)


class TestCrossValidation:
    def test_every_document_is_predicted_once(self):
        labels = np.array(["a"] * 6 + ["b"] * 5)  # folds of 3, 2, 2, 2 and 2: the mean over documents, not folds
        found = cross_validated_accuracy(theta_from(labels), flat_counts(11), labels)
        assert found.theta == 1.0
        assert found.commonest == pytest.approx(6 / 11)

    def test_informative_counts(self):
        labels = np.array(["a", "b", "b", "c", "b"] * 5)
        found = cross_validated_accuracy(flat_theta(25), counts_from(labels), labels)
        assert (found.theta, found.tfidf, found.commonest) == pytest.approx((0.6, 1.0, 0.6))

    def test_no_document_is_predicted_from_itself(self):
        labels = np.array(["a"] * 10 + ["b"] * 6)
        own_topic = np.eye(16)  # can be memorised, but does not help with other documents
        found = cross_validated_accuracy(own_topic, csr_matrix(own_topic), labels)
        assert found.theta == pytest.approx(10 / 16)
        assert found.tfidf == pytest.approx(10 / 16)

    def test_is_deterministic(self):
        rng = np.random.default_rng(0)
        theta, labels = rng.dirichlet(np.ones(3), 60), np.array(["a", "b"] * 30)
        counts = csr_matrix(rng.poisson(1.0, (60, 8)))
        assert cross_validated_accuracy(theta, counts, labels) == cross_validated_accuracy(theta, counts, labels)

    @pytest.mark.parametrize("labels", [["a"] * 9 + ["b"] * 4, ["a"] * 9 + ["b"] * 9 + ["c"], ["a"] * 20, []])
    def test_too_few_of_a_label_for_five_folds(self, labels):
        n_docs = len(labels)
        assert cross_validated_accuracy(flat_theta(n_docs), flat_counts(n_docs), np.array(labels, dtype=str)) is None

    def test_five_documents_of_each_label_are_enough(self):
        labels = np.array(["a", "b"] * 5)
        found = cross_validated_accuracy(theta_from(labels), counts_from(labels), labels)
        assert found == Accuracy(theta=1.0, tfidf=1.0, commonest=0.5)
