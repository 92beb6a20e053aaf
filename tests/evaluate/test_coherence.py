"""Coherence: top words, NPMI by document co-occurrence, and words that do not occur in the reference."""

from itertools import combinations
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csc_matrix, csr_array, csr_matrix

from topicnet.errors import InputError
from topicnet.evaluate.coherence import npmi, top_words, unseen

V = 6
TOPICS = np.array([[0, 1, 2, 3], [5, 3, 1, -1]])


@st.composite
def references(draw):
    n_docs = draw(st.integers(1, 12))
    return draw(arrays(np.int64, (n_docs, V), elements=st.integers(0, 2)))


def pair_score(first, second, n_docs):
    """Score a pair as the docstring of `npmi` defines it, from the sets of documents that contain each word."""
    p_both = len(first & second) / n_docs
    if p_both == 0:
        return -1.0
    if p_both == 1:
        return 1.0
    return log(p_both / (len(first) / n_docs * len(second) / n_docs)) / -log(p_both)


def npmi_by_hand(topics, dense):
    docs = {word: set(np.flatnonzero(dense[:, word])) for word in range(dense.shape[1])} | {-1: set()}
    return [
        np.mean([pair_score(docs[i], docs[j], len(dense)) for i, j in combinations(topic, 2)])
        for topic in topics.tolist()
    ]


class TestTopWords:
    def test_most_probable_first(self):
        beta = np.array([[0.1, 0.6, 0.3], [0.5, 0.2, 0.3]])
        assert top_words(beta, 2).tolist() == [[1, 2], [0, 2]]

    def test_ties_go_to_the_lower_id(self):
        beta = np.array([[0.2, 0.3, 0.2, 0.3], [0.25, 0.25, 0.25, 0.25]])
        assert top_words(beta, 3).tolist() == [[1, 3, 0], [0, 1, 2]]

    def test_at_most_all_words_of_the_vocabulary(self):
        ids = top_words(np.array([[0.1, 0.9]]), 10)
        assert ids.tolist() == [[1, 0]]
        assert ids.dtype == np.intp

    def test_unsigned_weights_are_ranked(self):
        assert top_words(np.array([[0, 3, 1]], dtype=np.uint8), 2).tolist() == [[1, 2]]

    @given(arrays(np.float32, (2, 7), elements=st.sampled_from([0.0, 0.1, 0.25, 0.5])), st.integers(1, 9))
    def test_equals_the_head_of_a_stable_sort(self, beta, n):
        assert (top_words(beta, n) == np.argsort(-beta, axis=1, kind="stable")[:, :n]).all()

    @pytest.mark.parametrize("beta", [np.ones(3), np.ones((0, 3)), np.ones((3, 0)), np.array([[0.5, np.nan]])])
    def test_refuses_what_cannot_be_ranked(self, beta):
        with pytest.raises(InputError, match="beta"):
            top_words(beta)

    def test_refuses_n_below_1(self):
        with pytest.raises(InputError, match="n is 0"):
            top_words(np.ones((1, 3)), 0)


class TestClosedForms:
    def test_independent_words_score_0(self):
        x = csr_matrix([[1, 1], [1, 0], [0, 1], [0, 0]])  # p_i = p_j = 1/2, p_ij = 1/4
        assert npmi(np.array([[0, 1]]), x) == pytest.approx([0.0])

    def test_inseparable_words_score_1(self):
        x = csr_matrix([[3, 1], [1, 2], [0, 0]])
        assert npmi(np.array([[0, 1]]), x) == pytest.approx([1.0])

    def test_words_in_every_document_score_1(self):
        assert npmi(np.array([[0, 1]]), csr_matrix(np.ones((4, 2)))).tolist() == [1.0]

    def test_words_never_together_score_minus_1(self):
        assert npmi(np.array([[0, 1]]), csr_matrix([[1, 0], [0, 1]])).tolist() == [-1.0]

    def test_a_value_computed_by_hand(self):
        x = csr_matrix([[1, 1], [1, 1], [1, 0], [0, 0]])  # p = 3/4, 2/4, 2/4: log(4/3) / log 2
        assert npmi(np.array([[0, 1]]), x) == pytest.approx([log(4 / 3) / log(2)])

    def test_is_the_mean_over_pairs(self):
        x = csr_matrix([[1, 1, 0], [1, 1, 0], [0, 0, 1]])  # one pair at 1, two at -1
        assert npmi(np.array([[0, 1, 2]]), x) == pytest.approx([-1 / 3])

    def test_rows_without_words_count_as_documents(self):
        x = csr_matrix([[1, 1], [1, 0], [0, 1]])
        longer = csr_matrix([[1, 1], [1, 0], [0, 1], [0, 0], [0, 0]])
        assert npmi(np.array([[0, 1]]), longer)[0] > npmi(np.array([[0, 1]]), x)[0]

    def test_scores_on_a_large_corpus_stay_in_bounds(self):
        n_docs = 1_000_000
        rows = np.repeat(np.arange(n_docs - 1), 2)
        x = csr_matrix((np.ones(rows.size), (rows, np.tile([0, 1], n_docs - 1))), shape=(n_docs, 2))
        assert npmi(np.array([[0, 1]]), x).tolist() == [1.0]


class TestStorage:
    def test_a_stored_zero_is_not_an_occurrence(self):
        x = csr_matrix(([1, 0, 1], ([0, 0, 1], [0, 1, 1])), shape=(2, 2))
        assert x.nnz == 3
        assert npmi(np.array([[0, 1]]), x).tolist() == [-1.0]
        assert unseen(np.array([[0, 1]]), x).words == 0

    def test_entries_stored_twice_are_one_occurrence(self):
        once = csr_matrix([[2, 1], [1, 0], [0, 1], [0, 0]])
        twice = csr_matrix(([1, 1, 1, 1, 1], [1, 0, 0, 0, 1], [0, 3, 4, 5, 5]), shape=(4, 2))
        assert (twice.toarray() == once.toarray()).all()
        assert npmi(np.array([[0, 1]]), twice) == pytest.approx(npmi(np.array([[0, 1]]), once))
        assert twice.nnz == 5  # not changed

    @pytest.mark.parametrize("make", [csr_matrix, csr_array, csc_matrix])
    @pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int32, np.float32])
    def test_any_sparse_form_and_number_type(self, make, dtype):
        dense = np.array([[1, 1, 0], [1, 0, 1], [1, 1, 0]])
        topics = np.array([[0, 1, 2]])
        assert npmi(topics, make(dense.astype(dtype))) == pytest.approx(npmi_by_hand(topics, dense))

    def test_small_counts_do_not_overflow(self):
        x = csr_matrix(np.ones((300, 3), dtype=np.uint8))  # 300 documents do not fit into 8 bits
        x[0, 0] = 0
        assert npmi(np.array([[0, 1]]), x) == pytest.approx(npmi_by_hand(np.array([[0, 1]]), x.toarray()))


class TestUnseenWords:
    def test_pairs_with_an_unseen_word_score_minus_1(self):
        x = csr_matrix([[1, 1, 0], [1, 1, 0], [0, 0, 0]])
        assert npmi(np.array([[0, 1, 2]]), x) == pytest.approx([-1 / 3])
        assert unseen(np.array([[0, 1, 2]]), x).words == 1

    def test_pairs_with_a_word_outside_the_vocabulary_score_minus_1(self):
        x = csr_matrix([[1, 1], [1, 1], [0, 0]])
        assert npmi(np.array([[0, 1, -1]]), x) == pytest.approx([-1 / 3])
        assert npmi(np.array([[-1, -1]]), x).tolist() == [-1.0]

    def test_words_are_counted_once(self):
        x = csr_matrix([[1, 0, 0]])
        assert unseen(np.array([[0, 1], [1, 2]]), x).words == 2
        assert unseen(np.array([[0, -1], [1, -1]]), x).words == 2


class TestProperties:
    @given(references())
    def test_equals_the_pair_by_pair_definition(self, dense):
        assert npmi(TOPICS, csr_matrix(dense)) == pytest.approx(npmi_by_hand(TOPICS, dense), abs=1e-12)

    @given(references())
    def test_is_bounded(self, dense):
        assert (abs(npmi(TOPICS, csr_matrix(dense))) <= 1 + 1e-12).all()

    @given(references(), st.permutations(range(4)))
    def test_ignores_word_order_within_a_topic(self, dense, order):
        x = csr_matrix(dense)
        assert npmi(TOPICS[:, order], x) == pytest.approx(npmi(TOPICS, x), abs=1e-12)

    @given(references(), st.randoms(use_true_random=False))
    def test_ignores_document_order_and_lengths(self, dense, random):
        order = random.sample(range(len(dense)), len(dense))
        assert npmi(TOPICS, csr_matrix(dense[order] * 7)) == pytest.approx(npmi(TOPICS, csr_matrix(dense)))

    @given(references())
    def test_scores_each_topic_alone(self, dense):
        x = csr_matrix(dense)
        alone = [npmi(TOPICS[[k]], x)[0] for k in range(len(TOPICS))]
        assert npmi(TOPICS, x).tolist() == alone


class TestRefusals:
    @pytest.mark.parametrize("score", [npmi, unseen])
    @pytest.mark.parametrize(
        ("topics", "counts", "message"),
        [
            (np.array([[0, 3]]), csr_matrix((2, 3)), "from 0 to 3"),
            (np.array([[-2, 1]]), csr_matrix((2, 3)), "from -2 to 1"),
            (np.array([0, 1]), csr_matrix((2, 3)), r"\(2,\)"),
            (np.zeros((0, 2), dtype=int), csr_matrix((2, 3)), r"\(0, 2\)"),
            (np.array([[0.0, 1.0]]), csr_matrix((2, 3)), "float64"),
            (np.array([[0, 1]]), csr_matrix((0, 3)), r"\(0, 3\)"),
            (np.array([[-1, -1]]), csr_matrix((2, 0)), r"\(2, 0\)"),
            (np.array([[0, 1]]), np.ones((2, 3)), "ndarray"),
        ],
    )
    def test_says_what_does_not_fit_in_one_line(self, score, topics, counts, message):
        with pytest.raises(InputError, match=message) as caught:
            score(topics, counts)
        assert "\n" not in str(caught.value)

    def test_refuses_a_topic_of_one_word(self):
        with pytest.raises(InputError, match="at least two words"):
            npmi(np.array([[0]]), csr_matrix((2, 3)))
