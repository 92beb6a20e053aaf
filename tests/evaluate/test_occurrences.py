"""Occurrences: numbers of documents and of sliding windows that contain the words of a topic, alone and in pairs."""

from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array, csr_matrix

from topicnet.errors import InputError
from topicnet.evaluate.occurrences import TokenStream, document_occurrences, window_occurrences

NOWHERE = 9  # a word id that no generated corpus contains


def stream_of(documents):
    starts = np.cumsum([0, *map(len, documents)])
    return TokenStream(np.array(list(chain(*documents)), dtype=np.int64), starts)


def tables(first_id, last_id, widths):
    """Draw word ids (K, N), possibly repeated in a topic."""
    ids = st.integers(first_id, last_id)
    rows = widths.flatmap(lambda n: st.lists(st.lists(ids, min_size=n, max_size=n), min_size=1, max_size=3))
    return rows.map(np.array)


def texts(last_id, longest):
    return st.lists(st.lists(st.integers(-2, last_id), max_size=longest), max_size=5)


def windows_of(document, size):
    return [document[at : at + size] for at in range(max(len(document) - size + 1, 1))]


def as_defined(document, size):
    return [set(window) for window in windows_of(document, size)]


def as_gensim_does(document, size):
    """Remove the word of the token that leaves, even if a copy of it remains; add the one that enters."""
    windows = windows_of(document, size)
    sets = [set(windows[0])]
    for before, now in pairwise(windows):
        sets.append((sets[-1] - {before[0]}) | {now[-1]})
    return sets


def joint_by_hand(topics, contexts):
    words_of = [{word for word in context if word >= 0} for context in contexts]
    return [
        [[sum({i, j} <= words for words in words_of) for j in topic] for i in topic]
        for topic in np.asarray(topics).tolist()
    ]


def check_windows(topics, documents, size, exact):
    sets = as_defined if exact else as_gensim_does
    contexts = [context for document in documents for context in sets(document, size)]
    found = window_occurrences(topics, stream_of(documents), size, exact=exact)
    assert found.n_contexts == len(contexts)
    assert found.joint.tolist() == joint_by_hand(topics, contexts)


class TestWindowClosedForms:
    def test_a_window_begins_at_every_token_with_enough_behind_it(self):
        found = window_occurrences(np.array([[0, 1]]), stream_of([[0, 2, 1, 2]]), 2, exact=True)
        assert found.n_contexts == 3  # 02, 21, 12
        assert found.joint.tolist() == [[[1, 0], [0, 2]]]

    def test_a_shorter_document_is_one_window_and_so_is_one_without_tokens(self):
        found = window_occurrences(np.array([[0, 1]]), stream_of([[0, 1], [], [1]]), 5, exact=True)
        assert found.n_contexts == 3
        assert found.joint.tolist() == [[[1, 1], [1, 2]]]

    def test_no_window_reaches_into_the_next_document(self):
        found = window_occurrences(np.array([[0, 1]]), stream_of([[2, 0], [1, 2]]), 2, exact=False)
        assert found.n_contexts == 2
        assert found.joint.tolist() == [[[1, 0], [0, 1]]]

    def test_a_second_copy_counts_by_definition_but_not_for_gensim(self):
        topics, stream = np.array([[0, 1]]), stream_of([[0, 0, 1]])  # windows 00 and 01
        assert window_occurrences(topics, stream, 2, exact=True).joint.tolist() == [[[2, 1], [1, 1]]]
        assert window_occurrences(topics, stream, 2, exact=False).joint.tolist() == [[[1, 0], [0, 1]]]

    def test_gensim_counts_a_word_that_enters_again(self):
        topics, stream = np.array([[0, 1]]), stream_of([[0, 0, 1, 0]])  # 001, then 0 leaves and 0 enters
        assert window_occurrences(topics, stream, 3, exact=False).joint.tolist() == [[[2, 2], [2, 2]]]

    def test_negative_ids_take_up_a_position_and_are_not_words(self):
        found = window_occurrences(np.array([[0, 1, -1]]), stream_of([[0, -1, 1, -1]]), 2, exact=True)
        assert found.n_contexts == 3
        assert found.joint.tolist() == [[[1, 0, 0], [0, 2, 0], [0, 0, 0]]]

    def test_a_corpus_without_tokens_has_a_window_for_each_document(self):
        for documents in [[], [[], []]]:
            found = window_occurrences(np.array([[0, -1]]), stream_of(documents), 3, exact=True)
            assert found.n_contexts == len(documents)
            assert found.joint.tolist() == [[[0, 0], [0, 0]]]


class TestWindowProperties:
    @given(tables(-2, NOWHERE, st.integers(1, 6)), texts(4, 14), st.integers(1, 8), st.booleans())
    def test_equals_counting_every_window(self, topics, documents, size, exact):
        check_windows(topics, documents, size, exact)

    @given(tables(-2, NOWHERE, st.integers(1, 4)), texts(4, 14), st.booleans())
    def test_equals_counting_windows_of_one_token(self, topics, documents, exact):
        check_windows(topics, documents, 1, exact)

    @given(tables(-1, 30, st.sampled_from([15, 16, 17, 24, 25])), texts(30, 20), st.integers(1, 25), st.booleans())
    def test_of_topics_with_many_words_too(self, topics, documents, size, exact):
        check_windows(topics, documents, size, exact)

    @given(tables(0, 5, st.integers(1, 5)), texts(4, 14), st.integers(1, 8), st.booleans())
    def test_counts_each_topic_alone(self, topics, documents, size, exact):
        stream = stream_of(documents)
        together = window_occurrences(topics, stream, size, exact=exact).joint
        alone = [window_occurrences(topic[None], stream, size, exact=exact).joint[0] for topic in topics]
        assert (together == np.stack(alone)).all()

    @given(tables(0, 5, st.integers(1, 5)), st.lists(st.permutations(range(6)).map(lambda ids: ids[:4])))
    def test_without_repeated_words_both_definitions_agree(self, topics, documents):
        stream = stream_of(documents)
        one, other = (window_occurrences(topics, stream, 3, exact=exact) for exact in (True, False))
        assert (one.joint == other.joint).all()

    @given(tables(-1, 4, st.integers(1, 4)), st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=9), min_size=1))
    def test_windows_that_hold_whole_documents_count_documents(self, topics, documents):
        stream = stream_of(documents)
        counts = csr_matrix((np.ones(len(stream.tokens)), stream.tokens, stream.starts), shape=(len(documents), 5))
        whole, windows = document_occurrences(topics, counts), window_occurrences(topics, stream, 9, exact=False)
        assert windows.n_contexts == whole.n_contexts == len(documents)
        assert (windows.joint == whole.joint).all()


class TestWindowStorage:
    @pytest.mark.parametrize("exact", [True, False])
    @pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.uint8, np.uint32, np.uint64])
    @pytest.mark.parametrize("of", ["tokens", "starts", "topics"])
    def test_any_integer_type(self, of, dtype, exact):
        parts = {
            "topics": np.array([[0, 1, 2]]),
            "tokens": np.array([0, 1, 2, 0, 0, 1, 2, 1, 1]),
            "starts": np.array([0, 6, 6, 8, 9]),  # two documents shorter than the window
        }
        expected = window_occurrences(parts["topics"], TokenStream(parts["tokens"], parts["starts"]), 4, exact=exact)
        parts[of] = parts[of].astype(dtype)
        found = window_occurrences(parts["topics"], TokenStream(parts["tokens"], parts["starts"]), 4, exact=exact)
        assert found.n_contexts == expected.n_contexts == 6
        assert (found.joint == expected.joint).all()

    def test_a_window_wider_than_the_number_type_of_starts(self):
        stream = TokenStream(np.array([0, 1, 0], dtype=np.int8), np.array([0, 2, 3], dtype=np.int8))
        found = window_occurrences(np.array([[0, 1]]), stream, 1000, exact=False)
        assert found.joint.tolist() == [[[2, 1], [1, 1]]]

    def test_does_not_change_the_corpus(self):
        tokens, starts = np.array([0, -1, 1, 0]), np.array([0, 3, 4])
        window_occurrences(np.array([[0, 1]]), TokenStream(tokens, starts), 2, exact=False)
        assert tokens.tolist() == [0, -1, 1, 0]
        assert starts.tolist() == [0, 3, 4]

    def test_more_words_times_windows_than_fit_in_32_bits(self):
        tokens = np.arange(1_000_000, dtype=np.int32) % 5_000
        stream = TokenStream(tokens, np.array([0, tokens.size], dtype=np.int32))
        topics = np.arange(5_000, dtype=np.int32).reshape(500, 10)
        joint = window_occurrences(topics, stream, 2, exact=True).joint
        alone = np.full(5_000, 400)  # 200 copies, each in two windows
        alone[[0, 4_999]] -= 1  # except for the first and the last token
        assert (np.diagonal(joint, axis1=1, axis2=2).ravel() == alone).all()
        assert (np.diagonal(joint, offset=1, axis1=1, axis2=2) == 200).all()

    def test_more_words_than_fit_in_16_bits(self):
        topics = np.arange(40_000).reshape(4_000, 10)
        joint = window_occurrences(topics, TokenStream(np.arange(40_000), np.array([0, 40_000])), 1, exact=True).joint
        assert (joint == np.eye(10)).all()


class TestDocuments:
    def test_by_hand(self):
        found = document_occurrences(np.array([[0, 1, 3]]), csr_matrix([[2, 1, 0, 0], [0, 5, 1, 0], [0, 0, 0, 0]]))
        assert found.n_contexts == 3
        assert found.joint.tolist() == [[[1, 1, 0], [1, 2, 0], [0, 0, 0]]]

    @given(
        tables(-2, 5, st.integers(1, 5)),
        st.lists(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), max_size=8), max_size=8),
        st.sampled_from([csr_matrix, csr_array]),
    )
    def test_equals_counting_every_document(self, topics, rows, make):
        """Rows list words and counts in any order, with repeated words and zeros."""
        indices, data = (np.array([entry[part] for entry in chain(*rows)], dtype=np.int64) for part in (0, 1))
        counts = make((data, indices, np.cumsum([0, *map(len, rows)])), shape=(len(rows), 6))
        found = document_occurrences(topics, counts)
        assert found.n_contexts == len(rows)
        assert found.joint.tolist() == joint_by_hand(topics, [{word for word, n in row if n > 0} for row in rows])
        assert counts.nnz == len(data)  # not changed

    @given(
        tables(-1, 29, st.sampled_from([16, 17, 24, 25])),
        st.lists(st.sets(st.integers(0, 29)), min_size=1, max_size=8),
    )
    def test_of_topics_with_many_words_too(self, topics, documents):
        dense = np.array([[word in document for word in range(30)] for document in documents])
        found = document_occurrences(topics, csr_matrix(dense.astype(np.int32)))
        assert found.joint.tolist() == joint_by_hand(topics, documents)


class TestRefusals:
    @pytest.mark.parametrize("size", [0, -3])
    def test_a_window_without_tokens(self, size):
        with pytest.raises(InputError, match=f"window of {size} tokens") as caught:
            window_occurrences(np.array([[0, 1]]), stream_of([[0, 1]]), size, exact=True)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("dtype", [np.int64, np.uint64])
    @pytest.mark.parametrize("starts", [[], [1, 4], [0, 3], [0, 5], [0, 3, 2, 4], [[0, 4]]])
    def test_starts_that_do_not_fit_the_tokens(self, starts, dtype):
        with pytest.raises(InputError, match="starts does not fit 4 tokens") as caught:
            TokenStream(np.arange(4), np.array(starts, dtype=dtype))
        assert "\n" not in str(caught.value)

    def test_tokens_that_are_not_one_dimensional(self):
        with pytest.raises(InputError, match="starts does not fit 4 tokens"):
            TokenStream(np.zeros((4, 1), dtype=int), np.array([0, 4]))
