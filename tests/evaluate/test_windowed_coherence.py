"""C_UCI, C_NPMI, C_V and U_Mass: closed forms, unseen words, invariances, and gensim's own values."""

from dataclasses import dataclass
from itertools import chain, combinations
from math import log, sqrt

import numpy as np
import pytest
from gensim.corpora import Dictionary
from gensim.models import CoherenceModel
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from tests.support.examples import examples
from topicnet.errors import InputError
from topicnet.evaluate import coherence
from topicnet.evaluate.coherence import MEASURES, c_npmi, c_uci, c_v, coherences, npmi, u_mass, unseen
from topicnet.evaluate.occurrences import TokenStream
from topicnet.text.corpus import Corpus
from topicnet.text.readers.named_corpora import recipes

WINDOWED = [c_uci, c_npmi, c_v]
V = 6
TOPICS = np.array([[0, 1, 2, 3], [5, 3, 1, -1]])
PAIR = np.array([[0, 1]])
E = 1e-12  # smoothing: keeps the logarithm finite for a pair that never co-occurs
LEAST = log(E)
few_examples = examples(20)


def stream_of(documents):
    return TokenStream(np.array(list(chain(*documents)), dtype=np.int64), np.cumsum([0, *map(len, documents)]))


def counts_of(documents):
    stream = stream_of(documents)
    ones = np.ones(len(stream.tokens), dtype=np.int32)
    return csr_matrix((ones, stream.tokens, stream.starts), shape=(len(documents), V))


@st.composite
def corpora(draw):
    """Draw documents of up to 12 tokens, at least one of them not empty; word 5 is rare or missing."""
    words = st.sampled_from([0, 0, 0, 1, 1, 2, 2, 3, 4, 5])
    documents = draw(st.lists(st.lists(words, max_size=12), max_size=6))
    return [*documents, draw(st.lists(words, min_size=1, max_size=12))]


def windows_of(documents, window):
    """List the set of words in every window; an empty document is one window."""
    return [set(text[at : at + window]) for text in documents for at in range(max(len(text) - window + 1, 1))]


def score(measure, documents, topics=TOPICS, window=3):
    return measure(topics, counts_of(documents)) if measure is u_mass else measure(topics, stream_of(documents), window)


class ByHand:
    """Definitions of the measures, computed directly from sets of words."""

    def __init__(self, contexts):
        self.contexts = contexts

    def p(self, *words):
        return sum({*words} <= context for context in self.contexts) / len(self.contexts)

    def c_uci(self, i, j):
        independent = self.p(i) * self.p(j)
        return log((self.p(i, j) + E) / independent) if independent else LEAST

    def c_npmi(self, i, j):
        if self.p(i) * self.p(j) == 0:
            return -1.0
        return 1.0 if self.p(i, j) == 1 else self.c_uci(i, j) / -log(self.p(i, j) + E)

    def u_mass(self, likelier, i):
        return min(log((self.p(i, likelier) + E) / self.p(likelier)), 0.0) if self.p(likelier) else LEAST

    def c_v(self, topic):
        seen = [i for i in topic if self.p(i)]
        vectors = np.array([[self.c_npmi(i, j) for j in seen] for i in seen]).reshape(len(seen), len(seen))
        whole = vectors.sum(axis=0)
        norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(whole)
        cosines = vectors @ whole / norms if whole.any() else np.zeros(len(seen))
        return (sum(cosines) - (len(topic) - len(seen))) / len(topic)

    def scores(self, measure, topics):
        if measure is c_v:
            return [self.c_v(topic) for topic in topics.tolist()]
        pair_score = getattr(self, measure.__name__)
        return [np.mean([pair_score(i, j) for i, j in combinations(topic, 2)]) for topic in topics.tolist()]


class TestClosedForms:
    SHORT = ([0, 1], [1, 0], [0, 2], [2])  # windows of 10 hold each document: p = 3/4, 2/4, together 2/4

    def test_c_uci(self):
        assert c_uci(PAIR, stream_of(self.SHORT)) == pytest.approx([log(4 / 3)])

    def test_c_npmi(self):
        assert c_npmi(PAIR, stream_of(self.SHORT)) == pytest.approx([log(4 / 3) / log(2)])

    def test_c_v(self):
        # vectors (1, m) and (m, 1), their sum (1 + m, 1 + m)
        m = log(4 / 3) / log(2)
        assert c_v(PAIR, stream_of(self.SHORT)) == pytest.approx([(1 + m) / sqrt(2 * (1 + m**2))])

    def test_c_v_of_three_words(self):
        # 0 and 1 only ever together in half of the contexts, 2 in the other half: never together scores n
        n = log(4 * E) / -log(E)
        vectors = np.array([[1, 1, n], [1, 1, n], [n, n, 1]])
        whole = np.array([2 + n, 2 + n, 2 * n + 1])
        cosines = vectors @ whole / np.linalg.norm(vectors, axis=1) / np.linalg.norm(whole)
        assert c_v(np.array([[0, 1, 2]]), stream_of([[0, 1], [2]])) == pytest.approx([cosines.mean()])

    def test_u_mass_is_given_the_more_probable_word(self):
        counts = csr_matrix([[1, 1], [2, 1], [1, 0], [0, 0]])  # p = 3/4, 2/4, together 2/4
        assert u_mass(PAIR, counts) == pytest.approx([log(2 / 3)])
        assert u_mass(PAIR[:, ::-1], counts).tolist() == [0.0]  # and not 2e-12

    @pytest.mark.parametrize(
        ("measure", "expected"),
        [
            (c_uci, (log(2) + 2 * log(4 * E)) / 3),
            (c_npmi, (1 + 2 * log(4 * E) / -log(E)) / 3),
            (u_mass, (0 + 2 * log(2 * E)) / 3),
        ],
    )
    def test_are_means_over_pairs(self, measure, expected):
        # 0 and 1 only ever together, 2 alone; each in half of the contexts
        assert score(measure, [[0, 1], [2]], np.array([[0, 1, 2]])) == pytest.approx([expected])

    @pytest.mark.parametrize(("measure", "expected"), [(c_npmi, 1.0), (c_v, 1.0), (c_uci, log(2))])
    def test_inseparable_words(self, measure, expected):
        assert measure(PAIR, stream_of([[0, 1], [2]])) == pytest.approx([expected])

    @pytest.mark.parametrize(("measure", "expected"), [(c_npmi, 1.0), (c_v, 1.0), (c_uci, 0.0), (u_mass, 0.0)])
    def test_a_pair_in_every_context(self, measure, expected):
        assert score(measure, [[0, 1], [1, 0, 2]], PAIR) == pytest.approx([expected], abs=1e-11)

    def test_a_rare_pair_that_never_co_occurs_scores_minus_two_thirds(self):
        # p = 1/100 each: log(1e-12 / 1e-4) / -log 1e-12 = -8 / 12
        assert c_npmi(PAIR, stream_of([[0], [1], *[[2]] * 98])) == pytest.approx([-2 / 3])

    def test_windows_slide(self):
        stream = stream_of([[0, 2, 1]])  # of two: 02 and 21
        assert c_uci(PAIR, stream, 2) == pytest.approx([log(4 * E)])
        assert c_uci(PAIR, stream, 3) == pytest.approx([0.0], abs=1e-11)

    @pytest.mark.parametrize(("measure", "window"), [(c_uci, 10), (c_npmi, 10), (c_v, 110)])
    def test_default_windows_are_as_wide_as_those_of_gensim(self, measure, window):
        inside = stream_of([[0, *[2] * (window - 2), 1], [3]])  # one window holds both ends, and 3 is alone
        outside = stream_of([[0, *[2] * (window - 1), 1], [3]])
        assert measure(PAIR, inside) == pytest.approx(measure(PAIR, stream_of([[0, 1], [3]])))
        assert measure(PAIR, outside) == pytest.approx(measure(PAIR, stream_of([[0], [1], [3]])))

    @pytest.mark.parametrize(
        ("measure", "as_defined", "as_gensim_does"),
        [(c_uci, 0.0, log(3 / 4)), (c_npmi, 0.0, log(3 / 4) / log(3))],
    )
    def test_a_word_that_occurs_twice_in_a_window(self, measure, as_defined, as_gensim_does):
        # windows 00, 01, 01: p = 3/3, 2/3, together 2/3; for gensim 0, 1, 01: 2/3, 2/3, together 1/3
        stream = stream_of([[0, 0, 1], [0, 1]])
        assert measure(PAIR, stream, 2, exact=True) == pytest.approx([as_defined], abs=1e-11)
        assert measure(PAIR, stream, 2, exact=False) == pytest.approx([as_gensim_does])
        assert measure(PAIR, stream, 2) == pytest.approx([as_gensim_does])


class TestUnseenWords:
    DOCUMENTS = ([0, 1], [1], [0, 1], [2])

    @pytest.mark.parametrize("word", [4, -1])
    @pytest.mark.parametrize(("measure", "least"), [(c_npmi, -1.0), (c_uci, LEAST)])
    def test_pairs_with_them_have_the_lowest_score(self, measure, least, word):
        topics = np.array([[0, word], [word, 0], [word, word]])
        assert score(measure, self.DOCUMENTS, topics) == pytest.approx([least] * 3)

    @pytest.mark.parametrize("word", [4, -1])
    def test_u_mass_as_first_and_as_second_word(self, word):
        topics = np.array([[word, 0], [word, word], [0, word]])  # 0 is in half of the documents
        assert score(u_mass, self.DOCUMENTS, topics) == pytest.approx([LEAST, LEAST, log(2 * E)])

    def test_under_c_v_they_score_minus_1_and_do_not_affect_other_words(self):
        alone = c_v(np.array([[0, 1]]), stream_of(self.DOCUMENTS))
        assert c_v(np.array([[0, 1, -1]]), stream_of(self.DOCUMENTS)) == pytest.approx((2 * alone - 1) / 3)
        assert c_v(np.array([[0, -1]]), stream_of(self.DOCUMENTS)) == pytest.approx([0.0])

    def test_a_topic_of_unseen_words_is_not_coherent(self):
        assert c_v(np.array([[4, 5, -1]]), stream_of(self.DOCUMENTS)) <= [0.0]

    @pytest.mark.parametrize(("measure", "least"), [(c_npmi, -1.0), (c_uci, LEAST)])
    def test_a_reference_without_the_words(self, measure, least):
        stream = TokenStream(np.full(4, -1), np.array([0, 3, 4]))
        assert measure(TOPICS, stream) == pytest.approx([least] * 2)

    def test_words_and_pairs_are_counted(self):
        counts = csr_matrix([[1, 1, 0, 0], [0, 1, 1, 0]])  # 3 in no document; 0 and 2 in none together
        assert unseen(np.array([[0, 1, 2]]), counts) == coherence.Unseen(words=0, pairs=1)
        assert unseen(np.array([[0, 1, 3]]), counts) == coherence.Unseen(words=1, pairs=2)
        assert unseen(np.array([[0, 2, 3], [1, 3, -1]]), counts) == coherence.Unseen(words=2, pairs=6)
        assert unseen(np.array([[0, 1], [1, 2]]), counts) == coherence.Unseen(words=0, pairs=0)

    def test_a_stored_zero_is_not_an_occurrence(self):
        counts = csr_matrix(([1, 0, 1, 1], [0, 1, 0, 1], [0, 2, 4]), shape=(2, 2))
        assert u_mass(PAIR, counts) == pytest.approx([log(1 / 2)])
        assert unseen(PAIR, csr_matrix(([1, 0], [0, 1], [0, 2]), shape=(1, 2))) == coherence.Unseen(words=1, pairs=1)


class TestProperties:
    @pytest.mark.parametrize("measure", [*WINDOWED, u_mass])
    @given(documents=corpora())
    def test_equal_their_definitions(self, measure, documents):
        if measure is u_mass:
            found, contexts = u_mass(TOPICS, counts_of(documents)), [*map(set, documents)]
        else:
            found, contexts = measure(TOPICS, stream_of(documents), 3, exact=True), windows_of(documents, 3)
        assert found == pytest.approx(ByHand(contexts).scores(measure, TOPICS), abs=1e-9)

    @pytest.mark.parametrize(
        ("measure", "low", "high"),
        [(c_npmi, -1, 1), (c_v, -1, 1), (c_uci, LEAST, -2 * LEAST), (u_mass, LEAST, 0)],
    )
    @given(documents=corpora(), window=st.integers(1, 12))
    def test_are_finite_and_bounded(self, measure, low, high, documents, window):
        scores = score(measure, documents, np.array([[0, 1, 2, 3], [5, 3, 1, -1], [-1, -1, 5, 4]]), window)
        assert scores.shape == (3,)
        assert scores.dtype == np.float64
        assert np.isfinite(scores).all()
        assert (scores >= low - 1e-9).all()
        assert (scores <= high + (0 if measure is u_mass else 1e-9)).all()

    @pytest.mark.parametrize("measure", WINDOWED)
    @given(documents=corpora(), order=st.permutations(range(4)))
    @few_examples
    def test_windowed_ones_ignore_word_order_within_a_topic(self, measure, documents, order):
        assert score(measure, documents, TOPICS[:, order]) == pytest.approx(score(measure, documents), abs=1e-9)

    @pytest.mark.parametrize("measure", [*WINDOWED, u_mass])
    @given(documents=corpora(), random=st.randoms(use_true_random=False))
    @few_examples
    def test_ignore_document_order(self, measure, documents, random):
        shuffled = random.sample(documents, len(documents))
        assert score(measure, shuffled) == pytest.approx(score(measure, documents), abs=1e-9)

    @pytest.mark.parametrize("measure", [*WINDOWED, u_mass])
    @given(documents=corpora(), times=st.integers(2, 3))
    @few_examples
    def test_ignore_a_corpus_given_several_times(self, measure, documents, times):
        assert score(measure, documents * times) == pytest.approx(score(measure, documents), abs=1e-9)

    @pytest.mark.parametrize("measure", [*WINDOWED, u_mass])
    @given(documents=corpora())
    @few_examples
    def test_score_each_topic_alone(self, measure, documents):
        alone = [score(measure, documents, topic[None])[0] for topic in TOPICS]
        assert score(measure, documents) == pytest.approx(alone, abs=1e-12)

    @given(corpora())
    @few_examples
    def test_words_without_an_id_score_as_unseen_words(self, documents):
        named, unnamed = np.array([[0, 1, 2, 77]]), np.array([[0, 1, 2, -1]])
        for measure in WINDOWED:
            assert score(measure, documents, named) == pytest.approx(score(measure, documents, unnamed))


class TestAllAtOnce:
    @given(corpora())
    def test_equals_the_measures_one_by_one(self, documents):
        counts, stream = counts_of(documents), stream_of(documents)
        found = coherences(TOPICS, counts, stream)
        assert tuple(found) == MEASURES
        for measure in WINDOWED:
            assert found[measure.__name__].tolist() == measure(TOPICS, stream).tolist()
        for measure in (npmi, u_mass):
            assert found[measure.__name__].tolist() == measure(TOPICS, counts).tolist()

    def test_without_a_stream_the_windowed_ones_are_left_out(self):
        assert [*coherences(PAIR, csr_matrix([[1, 1], [0, 1]]))] == ["npmi", "u_mass"]


class TestRefusals:
    @pytest.mark.parametrize("measure", WINDOWED)
    @pytest.mark.parametrize(
        ("topics", "tokens", "message"),
        [
            ([0, 1], [0, 1], r"\(2,\)"),
            (np.zeros((0, 2), dtype=int), [0, 1], r"\(0, 2\)"),
            ([[0.0, 1.0]], [0, 1], "float64"),
            ([[0]], [0, 1], "at least two words"),
            ([[-2, 1]], [0, 1], "ids from -2"),
            ([[0, 1]], [], "has no tokens"),
        ],
    )
    def test_say_what_does_not_fit_in_one_line(self, measure, topics, tokens, message):
        stream = TokenStream(np.array(tokens, dtype=int), np.array([0, len(tokens)]))
        with pytest.raises(InputError, match=message) as caught:
            measure(np.array(topics), stream)
        assert "\n" not in str(caught.value)
        with pytest.raises(InputError, match=message):
            coherences(np.array(topics), csr_matrix((2, 3)), stream)

    @pytest.mark.parametrize("measure", WINDOWED)
    def test_a_window_without_tokens(self, measure):
        with pytest.raises(InputError, match="window of 0 tokens"):
            measure(PAIR, stream_of([[0, 1]]), 0)

    @pytest.mark.parametrize("measure", [u_mass, coherences])
    @pytest.mark.parametrize(
        ("topics", "counts", "message"),
        [
            ([[0, 3]], csr_matrix((2, 3)), "from 0 to 3"),
            ([[-2, 1]], csr_matrix((2, 3)), "from -2 to 1"),
            ([[0]], csr_matrix((2, 3)), "at least two words"),
            ([[0, 1]], csr_matrix((0, 3)), r"\(0, 3\)"),
            ([[0, 1]], np.ones((2, 3)), "ndarray"),
        ],
    )
    def test_of_those_by_document(self, measure, topics, counts, message):
        with pytest.raises(InputError, match=message) as caught:
            measure(np.array(topics), counts)
        assert "\n" not in str(caught.value)


@dataclass(frozen=True)
class Reference:
    """Real corpus as counted by topicnet, and topics of words that occur in it."""

    words: NDArray[np.object_]
    stream: TokenStream
    counts: csr_matrix
    topics: NDArray[np.intp]

    @classmethod
    def of(cls, words, stream, counts):
        """Nine topics: random words, random frequent words, and the most frequent words."""
        rng = np.random.default_rng(0)
        ranked = np.argsort(-np.bincount(stream.tokens, minlength=len(words)), kind="stable")
        draws = [rng.choice(pool, 10, replace=False) for pool in (ranked, ranked[:60]) for _ in range(4)]
        return cls(np.array(words, dtype=object), stream, counts, np.stack([*draws, ranked[:10]]))

    def by_gensim(self, name):
        texts = np.split(self.words[self.stream.tokens], self.stream.starts[1:-1])
        texts = [text.tolist() for text in texts]
        dictionary = Dictionary(texts)
        given = {"corpus": [dictionary.doc2bow(text) for text in texts]} if name == "u_mass" else {"texts": texts}
        topics = self.words[self.topics].tolist()
        model = CoherenceModel(topics=topics, dictionary=dictionary, coherence=name, topn=10, processes=1, **given)
        return model.get_coherence_per_topic()

    def ours(self, measure, **options):
        return measure(self.topics, self.counts if measure is u_mass else self.stream, **options)


@pytest.fixture(scope="module")
def lee():
    corpus = Corpus.from_documents(recipes()["lee"].read())
    starts = np.concatenate([[0], np.cumsum(np.asarray(corpus.counts.sum(1)).ravel())])
    return Reference.of(corpus.vocabulary, TokenStream(corpus.tokens, starts), corpus.counts)


@pytest.fixture(scope="module")
def m10(shared_data):
    lines = (shared_data / "m10" / "corpus.tsv").read_text("utf-8").splitlines()
    texts = [line.split("\t")[0].split() for line in lines]
    words, ids = np.unique(np.array(list(chain(*texts)), dtype=object), return_inverse=True)
    starts = np.cumsum([0, *map(len, texts)])
    counts = csr_matrix((np.ones(len(ids), dtype=np.int32), ids, starts), shape=(len(texts), len(words)))
    return Reference.of(words, TokenStream(ids, starts), counts)


class TestEqualGensim:
    @pytest.mark.parametrize("measure", [u_mass, *WINDOWED])
    def test_on_news(self, lee, measure):
        assert lee.ours(measure) == pytest.approx(lee.by_gensim(measure.__name__), abs=1e-9)

    @pytest.mark.data
    @pytest.mark.parametrize("measure", [u_mass, *WINDOWED])
    def test_on_titles(self, m10, measure):
        assert m10.ours(measure) == pytest.approx(m10.by_gensim(measure.__name__), abs=1e-9)

    @pytest.mark.parametrize("measure", WINDOWED)
    def test_differ_from_the_definition(self, lee, measure):
        assert (abs(lee.ours(measure, exact=True) - lee.by_gensim(measure.__name__)) > 1e-6).any()
