"""Perplexity: splitting documents, the likelihood of a mixture, document completion, the unigram baseline."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_array, csr_matrix, load_npz

from topicnet.errors import InputError
from topicnet.evaluate import perplexity
from topicnet.evaluate.perplexity import (
    Completion,
    document_completion,
    log_likelihood,
    split_documents,
    summarise_completion,
    unigram_perplexity,
)

ONE = np.ones((1, 1))


def corpus(n_docs=40, n_words=30, n_topics=4, seed=0):
    rng = np.random.default_rng(seed)
    theta = rng.dirichlet(np.ones(n_topics), n_docs)
    beta = rng.dirichlet(np.full(n_words, 0.3), n_topics)
    return theta, beta, csr_matrix(rng.poisson(0.5, (n_docs, n_words)))


def dense_log_likelihood(theta, beta, counts):
    return (counts.toarray() * np.log(theta @ beta)).sum(axis=1)


class TestSplitDocuments:
    @given(arrays(np.int32, (4, 5), elements=st.integers(0, 6)), st.integers(0, 2**32))
    def test_halves_add_up_to_the_whole(self, dense, seed):
        whole = csr_matrix(dense)
        first, second = split_documents(whole, seed)
        assert ((first + second).toarray() == dense).all()
        assert first.dtype == second.dtype == whole.dtype
        for half in (first, second):
            assert (half.data > 0).all()
            assert half.has_canonical_format

    def test_same_seed_same_halves(self):
        counts = corpus()[2]
        one, other, third = (split_documents(counts, seed)[0].toarray() for seed in (5, 5, 6))
        assert (one == other).all()
        assert (one != third).any()

    def test_halves_do_not_depend_on_the_order_of_storage(self):
        tidy = csr_matrix([[3, 2, 4], [0, 5, 1]])
        jumbled = csr_matrix(([4, 1, 2, 2, 5, 0, 1], [2, 0, 1, 0, 1, 0, 2], [0, 4, 7]), shape=(2, 3))
        before = jumbled.data.copy(), jumbled.indices.copy()
        assert (split_documents(jumbled, 1)[0].toarray() == split_documents(tidy, 1)[0].toarray()).all()
        assert (jumbled.data == before[0]).all()
        assert (jumbled.indices == before[1]).all()

    def test_every_token_goes_to_either_half_with_equal_probability(self):
        n_tokens, n_docs = 7, 20_000
        first, _ = split_documents(csr_matrix(np.full((n_docs, 1), n_tokens)), 0)
        heads = first.toarray().ravel()
        assert heads.mean() == pytest.approx(n_tokens / 2, abs=5 * np.sqrt(n_tokens / 4 / n_docs))
        assert heads.var() == pytest.approx(n_tokens / 4, rel=0.05)  # independent for each token, not for each word

    @pytest.mark.parametrize("make", [csr_matrix, csr_array])
    @pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64, np.float32])
    def test_keeps_the_dtype(self, make, dtype):
        first, second = split_documents(make(np.ones((3, 4), dtype=dtype)), 0)
        assert first.dtype == second.dtype == dtype
        assert (first.toarray().astype(int) + second.toarray().astype(int) == 1).all()

    @pytest.mark.parametrize(
        ("values", "message"), [([1.5, 1.0], "fractions"), ([-1, 2], "negative"), ([np.nan, 1.0], "non-finite")]
    )
    def test_refuses_counts_that_are_not_tokens(self, values, message):
        with pytest.raises(InputError, match=message):
            split_documents(csr_matrix([values]), 0)

    def test_refuses_a_dense_table_and_a_negative_seed(self):
        with pytest.raises(InputError, match="ndarray"):
            split_documents(np.ones((2, 2)), 0)
        with pytest.raises(InputError, match="seed is -1"):
            split_documents(csr_matrix([[1]]), -1)


class TestLogLikelihood:
    def test_a_value_computed_by_hand(self):
        theta, beta = np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[0.8, 0.2], [0.2, 0.8]])
        nats = log_likelihood(theta, beta, csr_matrix([[1, 2], [0, 3]]))
        assert nats == pytest.approx([3 * np.log(0.5), 3 * np.log(0.2)])

    @pytest.mark.parametrize("chunk", [1, 7, 4 * 16, perplexity.CHUNK_ELEMENTS])
    def test_equals_the_dense_computation_for_any_chunk_size(self, chunk, monkeypatch):
        monkeypatch.setattr(perplexity, "CHUNK_ELEMENTS", chunk)
        theta, beta, counts = corpus()
        expected = dense_log_likelihood(theta, beta, counts)
        assert log_likelihood(theta, beta, counts) == pytest.approx(expected, rel=1e-10)

    def test_empty_documents_at_any_position(self, monkeypatch):
        monkeypatch.setattr(perplexity, "CHUNK_ELEMENTS", 4)
        theta, beta, counts = corpus(n_docs=9)
        keep = csr_matrix(np.diag([0, 0, 1, 1, 0, 1, 0, 0, 0])) @ counts
        nats = log_likelihood(theta, beta, csr_matrix(keep))
        assert nats == pytest.approx(dense_log_likelihood(theta, beta, keep))
        assert nats[[0, 1, 4, 6, 7, 8]].tolist() == [0.0] * 6

    def test_an_empty_corpus_and_an_empty_document(self):
        assert log_likelihood(np.ones((0, 1)), ONE, csr_matrix((0, 1))).shape == (0,)
        assert log_likelihood(ONE, ONE, csr_matrix((1, 1))).tolist() == [0.0]

    def test_single_precision_input_gives_double_precision(self):
        theta, beta, counts = corpus()
        theta, beta = theta.astype(np.float32), beta.astype(np.float32)
        nats = log_likelihood(theta, beta, counts)
        assert nats.dtype == np.float64
        expected = dense_log_likelihood(theta.astype(np.float64), beta.astype(np.float64), counts)
        assert nats == pytest.approx(expected, rel=1e-10)

    def test_probability_0_gives_minus_infinity(self):
        beta = np.array([[1.0, 0.0]])
        nats = log_likelihood(np.ones((2, 1)), beta, csr_matrix([[1, 1], [1, 0]]))
        assert nats.tolist() == [-np.inf, 0.0]

    def test_a_stored_zero_is_not_a_token(self):
        counts = csr_matrix(([2, 0], [0, 1], [0, 2]), shape=(1, 2))
        assert log_likelihood(ONE, np.array([[1.0, 0.0]]), counts).tolist() == [0.0]

    @given(st.integers(0, 1000))
    def test_ignores_the_order_of_documents_and_of_words(self, seed):
        theta, beta, counts = corpus(seed=seed, n_docs=6, n_words=8)
        rng = np.random.default_rng(seed)
        docs, words = rng.permutation(6), rng.permutation(8)
        moved = log_likelihood(theta[docs], beta[:, words], counts[docs][:, words])
        assert moved == pytest.approx(log_likelihood(theta, beta, counts)[docs])

    @pytest.mark.parametrize(
        ("theta", "beta", "counts", "message"),
        [
            (np.full((2, 3), 1 / 3), np.full((2, 4), 0.25), csr_matrix((2, 4)), "do not fit"),
            (np.full((3, 2), 0.5), np.full((2, 4), 0.25), csr_matrix((2, 4)), "do not fit"),
            (np.full((2, 2), 0.5), np.full((2, 4), 0.25), csr_matrix((2, 5)), "do not fit"),
            (np.ones(2), np.full((2, 4), 0.25), csr_matrix((2, 4)), "theta has shape"),
            (np.full((1, 2), 0.5), np.array([[0.5, 0.5], [3.0, 4.0]]), csr_matrix((1, 2)), "row 1 of beta"),
            (np.array([[np.nan]]), ONE, csr_matrix((1, 1)), "row 0 of theta"),
            (np.array([[1.5, -0.5]]), np.full((2, 2), 0.5), csr_matrix((1, 2)), "row 0 of theta"),
            (ONE, ONE, csr_matrix([[-1]]), "negative"),
            (ONE, ONE, np.array([[1]]), "ndarray"),
        ],
    )
    def test_says_what_does_not_fit_in_one_line(self, theta, beta, counts, message):
        with pytest.raises(InputError, match=message) as caught:
            log_likelihood(theta, beta, counts)
        assert "\n" not in str(caught.value)


class TestDocumentCompletion:
    def test_a_uniform_model_has_the_vocabulary_size(self):
        counts = corpus(n_words=30)[2]
        scored = document_completion(np.ones((40, 1)), np.full((1, 30), 1 / 30), counts, counts)
        assert scored.perplexity == pytest.approx(30)
        assert scored.perplexity_doc_mean == pytest.approx(30)

    def test_both_means_computed_by_hand(self):
        beta = np.array([[0.5, 0.5, 0.0], [0.25, 0.25, 0.5]])
        second = csr_matrix([[1, 0, 0], [2, 1, 0]])  # 1 token at 1/2, 3 tokens at 1/4
        scored = document_completion(np.eye(2), beta, csr_matrix(np.ones((2, 3))), second)
        assert scored == Completion(
            perplexity=pytest.approx(2 ** (7 / 4)),
            perplexity_doc_mean=pytest.approx(2 ** (3 / 2)),
            n_docs=2,
            n_left_out=0,
            n_tokens=4.0,
        )

    def test_documents_with_an_empty_half_are_left_out_and_counted(self):
        theta, beta, counts = corpus(n_docs=4)
        full = counts + csr_matrix(np.ones(counts.shape))
        first = csr_matrix(np.diag([1, 0, 1, 1]) @ full.toarray())
        second = csr_matrix(np.diag([1, 1, 0, 1]) @ full.toarray())
        scored = document_completion(theta, beta, first, second)
        alone = document_completion(theta[[0, 3]], beta, first[[0, 3]], second[[0, 3]])
        assert (scored.n_docs, scored.n_left_out) == (2, 2)
        assert scored.n_tokens == full[[0, 3]].sum()
        assert scored.perplexity == pytest.approx(alone.perplexity)
        assert scored.perplexity_doc_mean == pytest.approx(alone.perplexity_doc_mean)

    def test_a_half_of_stored_zeros_is_empty(self):
        first = csr_matrix(([0, 1], [0, 0], [0, 1, 2]), shape=(2, 1))
        scored = document_completion(np.ones((2, 1)), ONE, first, csr_matrix([[1], [1]]))
        assert (scored.n_docs, scored.n_left_out) == (1, 1)

    def test_a_token_with_probability_0_makes_it_infinite(self):
        counts = csr_matrix([[1, 1]])
        scored = document_completion(ONE, np.array([[1.0, 0.0]]), counts, counts)
        assert scored.perplexity == np.inf
        assert scored.perplexity_doc_mean == np.inf

    def test_impossible_tokens_of_left_out_documents_do_not_matter(self):
        first, second = csr_matrix([[0, 0], [1, 0]]), csr_matrix([[0, 1], [1, 0]])
        assert document_completion(np.ones((2, 1)), np.array([[1.0, 0.0]]), first, second).perplexity == 1.0

    def test_the_true_model_beats_the_unigram(self):
        rng = np.random.default_rng(1)
        theta = rng.dirichlet(np.full(4, 0.1), 300)
        beta = rng.dirichlet(np.full(50, 0.1), 4)
        first, second = (csr_matrix(rng.multinomial(30, theta @ beta)) for _ in range(2))
        assert document_completion(theta, beta, first, second).perplexity < unigram_perplexity(first, second)

    def test_refuses_a_corpus_without_tokens_in_both_halves(self):
        with pytest.raises(InputError, match="none of 2 documents"):
            document_completion(np.ones((2, 1)), ONE, csr_matrix([[1], [0]]), csr_matrix([[0], [1]]))

    def test_refuses_halves_of_different_documents(self):
        with pytest.raises(InputError, match="expected"):
            document_completion(np.ones((2, 1)), ONE, csr_matrix((3, 1)), csr_matrix((2, 1)))


class TestSummariseCompletion:
    @pytest.mark.parametrize("nats", [np.array([np.nan]), np.array([np.inf])])
    def test_refuses_values_that_are_not_log_likelihoods(self, nats):
        with pytest.raises(InputError, match="nats holds"):
            summarise_completion(nats, csr_matrix([[1]]), csr_matrix([[1]]))

    def test_a_perplexity_too_large_for_a_number_is_infinite(self):
        scored = summarise_completion(np.array([-1000.0]), csr_matrix([[1]]), csr_matrix([[1]]))
        assert scored.perplexity == np.inf


class TestUnigramPerplexity:
    def test_a_value_computed_by_hand(self):
        train, test = csr_matrix([[2, 0], [1, 1]]), csr_matrix([[1, 1]])  # p = 4/6, 2/6
        assert unigram_perplexity(train, test) == pytest.approx((4 / 6 * 2 / 6) ** -0.5)

    def test_a_word_unseen_in_training_has_a_probability(self):
        assert unigram_perplexity(csr_matrix([[8, 0]]), csr_matrix([[0, 3]])) == pytest.approx(10)

    def test_is_close_to_unsmoothed_frequencies_on_a_large_corpus(self):
        rng = np.random.default_rng(0)
        frequency = rng.dirichlet(np.ones(20))
        train = csr_matrix(rng.multinomial(100_000, frequency, size=2))
        n_tokens = train.toarray().sum(axis=0)
        entropy = -np.log(n_tokens / n_tokens.sum()) @ n_tokens / n_tokens.sum()
        assert unigram_perplexity(train, train) == pytest.approx(np.exp(entropy), rel=1e-4)

    @pytest.mark.parametrize(
        ("train", "test", "message"),
        [
            (csr_matrix((1, 2)), csr_matrix([[1, 1]]), "train has no tokens"),
            (csr_matrix([[1, 1]]), csr_matrix((0, 2)), "test has no tokens"),
            (csr_matrix([[1, 1]]), csr_matrix([[1]]), "train has 2 words, test 1"),
        ],
    )
    def test_refuses_corpora_without_tokens(self, train, test, message):
        with pytest.raises(InputError, match=message):
            unigram_perplexity(train, test)

    @pytest.mark.data
    def test_the_value_on_20_newsgroups(self, shared_data):
        folder = shared_data / "20ng_etm_bow"
        train, second = load_npz(folder / "tr.npz"), load_npz(folder / "ts_h2.npz")
        assert unigram_perplexity(train, second) == pytest.approx(2219, rel=0.01)
