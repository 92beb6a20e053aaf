"""Word vectors: three formats give the same result, errors are one line, and training is deterministic."""

import gzip
import pickle
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from tests.support.examples import examples
from topicnet.errors import InputError
from topicnet.text.word_vectors import WordVectors, read_word_vectors, train_word_vectors

WORDS = ["apple", "été", "हिन्दी", "zebra", "new_york"]
DIM = 6
VECTORS = np.random.default_rng(0).normal(size=(len(WORDS), DIM)).astype(np.float32)


def header(words: list[str], vectors: np.ndarray) -> bytes:
    return f"{len(words)} {vectors.shape[1]}\n".encode()


def glove(words: list[str], vectors: np.ndarray) -> bytes:
    lines = (f"{word} {' '.join(map(str, row))}\n" for word, row in zip(words, vectors.tolist(), strict=True))
    return "".join(lines).encode()


def text(words: list[str], vectors: np.ndarray) -> bytes:
    return header(words, vectors) + glove(words, vectors)


def binary(words: list[str], vectors: np.ndarray, after: bytes = b"") -> bytes:
    records = (
        word.encode() + b" " + struct.pack(f"<{len(row)}f", *row) + after
        for word, row in zip(words, vectors, strict=True)
    )
    return header(words, vectors) + b"".join(records)


def binary_of_the_original_tool(words: list[str], vectors: np.ndarray) -> bytes:
    return binary(words, vectors, after=b"\n")


FORMATS = [text, glove, binary, binary_of_the_original_tool]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vectors"


def refusal(path: Path, vocabulary: list[str] = WORDS) -> str:
    with pytest.raises(InputError) as caught:
        read_word_vectors(path, vocabulary, seed=0)
    message = str(caught.value)
    assert message.isprintable()
    assert repr(str(path)) in message
    return message


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_read_correctly(path, form, compress):
    path.write_bytes(compress(form(WORDS, VECTORS)))
    vocabulary = ["zebra", "apple", "हिन्दी"]
    found = read_word_vectors(path, vocabulary, seed=0)
    assert found.known.all()
    assert found.vectors.dtype == np.float32
    np.testing.assert_array_equal(found.vectors, VECTORS[[3, 0, 2]])
    assert found.report(vocabulary) == "all 3 words have a vector"


@examples(30)
@given(
    st.lists(st.text("abcdé.,0123'-_中", min_size=1, max_size=12), min_size=1, max_size=30, unique_by=str.lower),
    st.integers(4, 60),
    st.integers(0, 2**32),
)
def test_files_written_by_gensim_are_read_exactly(tmp_path_factory, words, dim, seed):
    path = tmp_path_factory.mktemp("vectors") / "gensim"
    kept = KeyedVectors(dim)
    kept.add_vectors(words, np.random.default_rng(seed).normal(scale=0.3, size=(len(words), dim)).astype(np.float32))
    for is_binary, write_header in ((True, True), (False, True), (False, False)):
        kept.save_word2vec_format(path, binary=is_binary, write_header=write_header)
        found = read_word_vectors(path, words, seed=0)
        assert found.known.all()
        np.testing.assert_array_equal(found.vectors, kept[words])


def test_a_file_larger_than_one_chunk(path):
    words = [f"word{i}" for i in range(4000)]
    vectors = np.random.default_rng(1).normal(size=(4000, 100)).astype(np.float32)
    for form in FORMATS:
        path.write_bytes(form(words, vectors))
        np.testing.assert_array_equal(read_word_vectors(path, words[::7], seed=0).vectors, vectors[::7])


def test_spaces_tabs_blank_lines_and_a_byte_order_mark(path):
    for start in (b"", b"2 3\r\n"):
        path.write_bytes(b"\xef\xbb\xbf" + start + b"cat 1 2 3 \r\n\r\nse ven\t4\t5\t6\r\n\n")
        found = read_word_vectors(path, ["cat", "se ven"], seed=0)
        np.testing.assert_array_equal(found.vectors, [[1, 2, 3], [4, 5, 6]])
        assert found.known.all()


def test_words_with_spaces_are_accepted(path):
    """GloVe's 840B has such lines: words of several tokens, not vectors of another dimension."""
    path.write_bytes(b"the 1 2\n. . . 3 4\nat name@domain.com 5 6\ncat 7 8\n")
    np.testing.assert_array_equal(read_word_vectors(path, ["cat", ". . ."], seed=0).vectors, [[7, 8], [3, 4]])


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("words", "winner"),
    [
        (["Paris", "paris", "PARIS"], 1),
        (["paris", "Paris", "paris"], 0),
        (["PARIS", "Paris", "rome"], 0),
        (["rome", "Paris", "PARIS"], 1),
    ],
)
def test_exact_matches_take_precedence_and_then_the_first_match(path, form, words, winner):
    path.write_bytes(form(words, VECTORS[: len(words)]))
    np.testing.assert_array_equal(read_word_vectors(path, ["paris"], seed=0).vectors[0], VECTORS[winner])


def test_a_vocabulary_in_mixed_case_is_matched_both_ways(path):
    path.write_bytes(text(["paris", "ROME"], VECTORS[:2]))
    found = read_word_vectors(path, ["Paris", "paris", "Rome", "oslo"], seed=0)
    assert found.known.tolist() == [True, True, True, False]
    np.testing.assert_array_equal(found.vectors[:3], VECTORS[[0, 0, 1]])


def test_words_without_a_vector_are_drawn_like_the_others(path):
    words = [f"w{i}" for i in range(500)]
    vectors = np.random.default_rng(2).normal([-3, 0, 5, 1], [0.1, 1, 2, 0.5], size=(500, 4)).astype(np.float32)
    path.write_bytes(text(words, vectors))
    vocabulary = words + [f"no{i}" for i in range(2000)]
    found = read_word_vectors(path, vocabulary, seed=7)
    assert found.known.tolist() == [True] * 500 + [False] * 2000
    assert np.isfinite(found.vectors).all()
    np.testing.assert_array_equal(found.vectors[:500], vectors)
    np.testing.assert_allclose(found.vectors[500:].mean(0), vectors.mean(0), atol=0.25)
    np.testing.assert_allclose(found.vectors[500:].std(0), vectors.std(0), rtol=0.1)
    assert len(np.unique(found.vectors[500:], axis=0)) == 2000

    np.testing.assert_array_equal(found.vectors, read_word_vectors(path, vocabulary, seed=7).vectors)
    assert (found.vectors[500:] != read_word_vectors(path, vocabulary, seed=8).vectors[500:]).any()


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ([], "all 1,200 words have a vector"),
        ([4], "1 of 1,200 words has no vector (w4): it starts at random"),
        ([9, 4], "2 of 1,200 words have no vector (w4, w9): they start at random"),
        (range(1100), "1,100 of 1,200 words have no vector (w0, w1, w2, ...): they start at random"),
    ],
)
def test_the_report_counts_and_names_the_words_without_a_vector(missing, expected):
    known = np.ones(1200, dtype=np.bool_)
    known[list(missing)] = False
    report = WordVectors(np.zeros((1200, 2), dtype=np.float32), known).report([f"w{i}" for i in range(1200)])
    assert report == expected


def test_only_the_numbers_of_the_vocabulary_are_parsed(path):
    path.write_bytes(b"cat 1 2\ndog x nan\n")
    np.testing.assert_array_equal(read_word_vectors(path, ["cat"], seed=0).vectors, [[1, 2]])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"cat 1 2 3\ndog 1 2\n", "line 2 of PATH has 2 number(s), expected 3 as in line 1"),
        (b"cat 1 2 3\nrat 1 2 3\nowl 1 2 3 4\n", "line 3 of PATH has 4 number(s), expected 3 as in line 1"),
        (b"2 3\ncat 1 2\ndog 1 2 3\n", "line 2 of PATH has 2 number(s), expected 3 as in the header"),
        (b"2 3\ncat 1 2 3\ndog 1 2 3 4\n", "line 3 of PATH has 4 number(s), expected 3 as in the header"),
        (b"2 3\ncat  1 2\ndog 1 2 3\n", "line 2 of PATH has 2 number(s), expected 3 as in the header"),
        (b"2 3\ncat 1 2 3\ndog 1 two 3\n", "line 3 of PATH has 'two', expected a number"),
        (b"cat 1 2 3\ndog 1 2\x07 3\n", "line 2 of PATH has '2\\x07', expected a number"),
        (b"cat 1 two 3\n", "line 1 of PATH has 'two', expected a word and its numbers"),
        (b"cat\ndog\n", "line 1 of PATH has 'cat', expected a word and its numbers"),
        (b"\ncat 1 2\n", "line 1 of PATH has '', expected a word and its numbers"),
        (b"\x00\xff\n\x01", "line 1 of PATH has '\\x00\ufffd', expected a word and its numbers"),
        (b"cat 1 2 3\ndog 1 nan 3\n", "line 2 of PATH has a number that is not finite"),
        (b"2 3\ncat -inf 2 3\ndog 1 2 3\n", "line 2 of PATH has a number that is not finite"),
        (b"2 4\nowl nan nan nan nan\ncat nan nan nan nan\n", "line 3 of PATH has a number that is not finite"),
        (b"cat 1 2 3\ndog 1 1e39 3\n", "line 2 of PATH has a number that is not finite"),
        (b"owl 1 2 3\n", "a vector for none of the 2 words"),
        (b"0 3\n", "a vector for none of the 2 words"),
        (b"3 3\ncat 1 2 3\ndog 1 2 3\n", "holds 2 vectors of 3 numbers, expected the 3 that its header states"),
        (b"3 3", "holds 0 vectors of 3 numbers, expected the 3 that its header states"),
        (b"3 0\ncat\n", "line 1 of PATH implies vectors of 0 numbers, expected 1 to 10,000"),
        (b"3 99999999999\ncat 1\n", "line 1 of PATH implies vectors of 99999999999 numbers"),
        (b"cat" + b" 1" * 10_001, "line 1 of PATH implies vectors of 10001 numbers"),
        (gzip.compress(b"cat 1 2 3\n" * 1000, mtime=0)[:-9], "is a damaged or truncated gzip file"),
        (b"\x1f\x8b" + b"cat 1 2 3\n", "is a damaged or truncated gzip file"),
        (b"PK\x03\x04...", "is a zip archive"),
        (b"\xba\x16\x4f\x2f...", "is a fastText model"),
        (b"\x93NUMPY\x01\x00", "is a NumPy array"),
    ],
)
def test_an_invalid_file_gives_a_one_line_error(path, content, expected):
    path.write_bytes(content)
    assert expected.replace("PATH", repr(str(path))) in refusal(path, ["cat", "dog"])


def test_a_text_file_without_line_breaks_is_not_read_whole(path):
    path.write_bytes(b"2 3\ncat 1 2 3\ndog 1 2 " + b"3" * (1 << 21))
    assert "not finite" in refusal(path, ["cat", "dog"])


@pytest.mark.parametrize("after", [b"", b"\n"])
def test_a_truncated_binary_file_is_refused(path, after):
    whole = binary(WORDS, VECTORS, after)
    for end in range(len(header(WORDS, VECTORS)), len(whole) - len(after)):
        path.write_bytes(whole[:end])
        assert "expected the 5 that its header states" in refusal(path)


def test_a_binary_vector_that_is_not_finite_is_refused(path):
    vectors = VECTORS.copy()
    vectors[3, 2] = np.inf
    path.write_bytes(binary(WORDS, vectors))
    assert "word 4 of" in refusal(path)
    assert read_word_vectors(path, ["apple", "été"], seed=0).known.all()


@pytest.mark.parametrize("name", ["absent", ".", "new\nline", "x" * 300])
def test_a_file_that_cannot_be_opened_is_refused(tmp_path, name):
    message = refusal(tmp_path / name)
    assert message.startswith("cannot read")
    assert "Check the path" in message


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("a file was executed",)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_refused_and_never_run(path, protocol, compress):
    path.write_bytes(compress(pickle.dumps(Bomb(), protocol)))
    assert "expected" in refusal(path)


def test_gensims_own_format_is_refused_with_a_remedy(path):
    kept = KeyedVectors(DIM)
    kept.add_vectors(WORDS, VECTORS)
    kept.save(str(path))
    message = refusal(path)
    assert "is a pickle" in message
    assert "save_word2vec_format" in message


@examples(50)
@given(st.binary(max_size=200), st.sampled_from([b"", b"2 3\n", b"cat ", b"1 1\ncat ", b"\x1f\x8b\x08"]))
def test_any_bytes_give_finite_vectors_or_one_line(tmp_path_factory, content, start):
    path = tmp_path_factory.getbasetemp() / "any-bytes"
    path.write_bytes(start + content)
    try:
        found = read_word_vectors(path, ["cat", "dog"], seed=0)
    except InputError as error:
        assert str(error).isprintable()  # noqa: PT017 - most bytes are refused, a few are vectors
    else:
        assert np.isfinite(found.vectors).all()


def planted(n_docs: int, length: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Generate documents of words 0-9 or of words 10-19."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 2, size=(n_docs, 1))
    tokens = (10 * groups + rng.integers(0, 10, size=(n_docs, length))).astype(np.int32)
    return tokens.ravel(), np.full(n_docs, length)


def cosines(vectors: np.ndarray) -> np.ndarray:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit @ unit.T


def assert_planted(vectors: np.ndarray) -> None:
    similar = cosines(vectors)
    within = min(similar[:10, :10].min(), similar[10:20, 10:20].min())
    assert within > similar[:10, 10:20].max()


def test_words_that_co_occur_are_closer_than_words_that_do_not():
    tokens, lengths = planted(n_docs=300, length=12)
    trained = train_word_vectors(tokens, lengths, vocab_size=20, dim=16, seed=0)
    assert trained.vectors.shape == (20, 16)
    assert trained.known.all()
    assert_planted(trained.vectors)


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    tokens, lengths = planted(n_docs=250, length=100)  # three of gensim's batches: threads would race
    first, again, other = (train_word_vectors(tokens, lengths, 22, 8, seed) for seed in (3, 3, 2**40))
    assert first.vectors.tobytes() == again.vectors.tobytes()
    assert (first.vectors != other.vectors).any()


def test_words_that_never_occur_are_drawn():
    tokens = np.array([1, 2, 1, 2, 4], dtype=np.int32)
    trained = train_word_vectors(tokens, np.array([2, 0, 3]), vocab_size=6, dim=5, seed=0)
    assert trained.known.tolist() == [False, True, True, False, True, False]
    assert np.isfinite(trained.vectors).all()
    assert trained.vectors.any(axis=1).all()


def test_lengths_may_be_a_column_matrix():
    tokens, lengths = planted(n_docs=30, length=8)
    counts = csr_matrix((np.ones(len(tokens), dtype=np.int32), tokens, np.r_[0, lengths.cumsum()]), shape=(30, 20))
    plain = train_word_vectors(tokens, lengths, 20, 4, 0)
    np.testing.assert_array_equal(train_word_vectors(tokens, counts.sum(1), 20, 4, 0).vectors, plain.vectors)


def test_windows_do_not_span_documents():
    """Words 0 and 1 are neighbours only across the boundary of two documents."""
    tokens = np.tile(np.array([1, 4, 2, 3, 4, 0], dtype=np.int32), 2000)
    similar = cosines(train_word_vectors(tokens, np.full(2000, 6), vocab_size=5, dim=8, seed=0).vectors)
    joined = cosines(train_word_vectors(tokens, np.array([12_000]), vocab_size=5, dim=8, seed=0).vectors)
    assert similar[0, 1] < joined[0, 1] - 0.3


@pytest.mark.slow
def test_a_document_longer_than_gensims_limit_is_used_completely():
    rare = 20 + np.arange(10_500) % 2000
    tail, _ = planted(n_docs=250, length=12)
    tokens = np.r_[rare, tail].astype(np.int32)
    trained = train_word_vectors(tokens, np.array([len(tokens)]), vocab_size=2020, dim=16, seed=0)
    assert_planted(trained.vectors)


@pytest.mark.parametrize(
    ("tokens", "lengths", "vocab_size", "dim", "expected"),
    [
        ([], [], 5, 4, "no tokens given"),
        ([], [0, 0], 5, 4, "no tokens given"),
        ([1, 2], [1], 5, 4, "lengths that add up to 1 given, expected the 2 tokens"),
        ([1, 2], [], 5, 4, "lengths that add up to 0 given, expected the 2 tokens"),
        ([1, 2], [3, -1], 5, 4, "lengths that add up to 2 given, expected the 2 tokens"),
        ([1, 5], [2], 5, 4, "word ids 1 to 5 given, expected 0 to 4"),
        ([-1, 2], [2], 5, 4, "word ids -1 to 2 given, expected 0 to 4"),
        ([1, 2], [2], 5, 0, "dim=0 given, expected 1 or more"),
    ],
)
def test_a_corpus_that_cannot_be_trained_on_is_refused(tokens, lengths, vocab_size, dim, expected):
    with pytest.raises(InputError, match=re.escape(expected)):
        train_word_vectors(np.array(tokens, dtype=np.int32), np.array(lengths), vocab_size, dim, 0)


@pytest.mark.parametrize("lengths", [[1], [1, 1]])
def test_a_corpus_without_neighbours_still_gives_finite_vectors(lengths):
    tokens = np.zeros(len(lengths), dtype=np.int32)
    assert np.isfinite(train_word_vectors(tokens, np.array(lengths), vocab_size=3, dim=4, seed=0).vectors).all()
