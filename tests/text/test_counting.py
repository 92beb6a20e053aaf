"""Counting batches: the same result on disk and in memory, equal to scikit-learn's."""

import gzip
import json
import string
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer

from tests.support.examples import examples
from topicnet.errors import CorpusError, InputError
from topicnet.runtime.prefetch import PREFETCHED, map_in_order, prefetch
from topicnet.storage.mapped import is_mapped
from topicnet.text import counting as counting_module
from topicnet.text.corpus import Corpus
from topicnet.text.counting import Counting
from topicnet.text.growing_arrays import Checksum, GrowingArray, WordNumbers
from topicnet.text.readers.documents import Documents
from topicnet.text.tokens import tokenize as cutting_module
from topicnet.text.tokens.options import TextOptions
from topicnet.text.vocabulary import Pruning

EVERY = Pruning(min_df=1, max_df=1.0)
LETTERS = r"(?u)[^\W\d_]{2,}"  # scikit-learn's name for two letters or more
ARRAYS = ("data", "indices", "indptr", "tokens")

WORDS = "new york New YORK the of city état é 12 x km² , \u200b prime minister the_end"
words = st.sampled_from([*WORDS.split(), "\n"])
texts = st.lists(st.lists(words, max_size=12).map(" ".join) | st.text(max_size=12), min_size=1, max_size=8)
ascii_texts = st.lists(
    st.text(string.printable, max_size=40)
    | st.lists(words, max_size=8).map(lambda w: " ".join(w).encode().decode("ascii", "ignore")),
    max_size=6,
)


def in_batches(given: list[str], cuts: list[int]) -> list[Documents]:
    """Split the texts into batches at the given positions; some batches are empty."""
    bounds = [0, *sorted(min(cut, len(given)) for cut in cuts), len(given)]
    numbers = [str(n) for n in range(1, len(given) + 1)]
    return [
        Documents(numbers[a:b], given[a:b], [{"row": i, "odd": i % 2 == 1} for i in range(a, b)])
        for a, b in pairwise(bounds)
    ]


def assert_same(left: Corpus, right: Corpus) -> None:
    assert left.vocabulary == right.vocabulary
    assert left.ids == right.ids
    assert left.source == right.source
    for name in ARRAYS:
        one, other = (corpus.tokens if name == "tokens" else getattr(corpus.counts, name) for corpus in (left, right))
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype == np.int32
    np.testing.assert_array_equal(left.status, right.status)
    assert left.metadata.to_dict(as_series=False) == right.metadata.to_dict(as_series=False)


# ---------------------------------------------------------------- on disk as in memory


def options_for(how: str) -> TextOptions:
    match how:
        case "stop words":
            return TextOptions("en", pruning=EVERY, more_stop_words=("york",))
        case "given vocabulary":
            return TextOptions("none", vocabulary=("york", "new", "état", "zzz"))
        case "given phrases":
            return TextOptions("en", phrases=(("new", "york"), ("prime", "minister")), pruning=EVERY)
        case "given vocabulary with phrases":
            return TextOptions("en", phrases=(("new", "york"),), vocabulary=("new_york", "york", "city"))
        case "phrases":
            return TextOptions("en", phrases=True, pruning=EVERY)
        case _:
            return TextOptions("none", pruning=EVERY, missing=())


HOWS = ("every word", "stop words", "given vocabulary", "given phrases", "given vocabulary with phrases", "phrases")


@examples(12)
@given(texts, st.lists(st.integers(0, 8), max_size=4), st.booleans())
@example(["new york city"] * 6 + ["the", ""], [0, 0, 3], False)
@pytest.mark.parametrize("how", HOWS)
def test_counting_to_a_folder_or_in_memory_gives_the_same(
    how: str, given: list[str], cuts: list[int], every_word: bool
) -> None:
    arguments: dict[str, Any] = {"options": options_for(how), "every_word": every_word}
    try:
        in_memory = Corpus.from_documents(in_batches(given, []), **arguments)
    except CorpusError:
        in_memory = None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if in_memory is None:
            with pytest.raises(CorpusError):
                Corpus.from_documents(in_batches(given, cuts), **arguments, folder=folder)
            return
        on_disk = Corpus.from_documents(in_batches(given, cuts), **arguments, folder=folder)
        assert sorted(path.name for path in folder.iterdir()) == sorted(f"{name}.npy" for name in ARRAYS)
        assert_same(on_disk, in_memory)
        assert_same(Corpus.from_documents(in_batches(given, cuts), **arguments), in_memory)
        on_disk.save(folder)
        assert_same(Corpus.load(folder), in_memory)
    assert in_memory.counts.has_canonical_format
    assert in_memory.n_docs == len(given)


def test_counts_in_a_folder_are_memory_mapped(tmp_path: Path) -> None:
    corpus = Corpus.from_documents(in_batches(["new york", "new city"], [1]), options=options_for(""), folder=tmp_path)
    for array in (corpus.counts.data, corpus.counts.indices, corpus.tokens):
        assert is_mapped(array)
    assert corpus.folder == tmp_path


def test_documents_without_words_give_empty_counts(tmp_path: Path) -> None:
    """An empty file cannot be memory-mapped."""
    options = TextOptions("none", vocabulary=("zzz",))
    corpus = Corpus.from_documents(in_batches(["aa", "", "bb"], [1]), options=options, folder=tmp_path)
    assert corpus.counts.shape == (3, 1)
    assert corpus.status.tolist() == ["oov", "empty", "oov"]
    corpus.save(tmp_path)
    assert Corpus.load(tmp_path).counts.nnz == 0


def test_metadata_whose_type_differs_between_batches_becomes_text() -> None:
    batches = [
        Documents(["1", "2"], ["aa", "aa"], [{"label": 1, "late": None}, {"label": 2}]),
        Documents([], [], []),
        Documents(["3", "4"], ["aa", "aa"], [{"label": "x", "new": True}, {}]),
    ]
    table = Corpus.from_documents(batches, options=options_for("")).metadata
    assert table.to_dict(as_series=False) == {
        "label": ["1", "2", "x", None],
        "late": [None, None, None, None],
        "new": [None, None, True, None],
    }


def test_excerpts_are_kept_of_all_documents_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting_module, "EXCERPT_DOCS", 3)
    given = ["aa bb", "cc", "dd", "ee"]
    assert Corpus.from_documents(in_batches(given[:3], [1]), options=options_for("")).excerpts == given[:3]
    assert Corpus.from_documents(in_batches(given, [1, 2, 3]), options=options_for("")).excerpts == [""] * 4
    spared = Counting(options_for(""), excerpts=False).run(in_batches(given, []))
    assert spared.excerpts == []


def test_too_many_counts_are_refused_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(counting_module, "MAX_NONZEROS", 3)
    batches = in_batches(["aa bb", "cc dd"], [1])
    with pytest.raises(CorpusError, match="more than 3 nonzero counts") as caught:
        Corpus.from_documents(batches, options=options_for(""), folder=tmp_path)
    assert str(caught.value).isprintable()


@examples(40)
@given(texts, st.integers(1, 9))
def test_splitting_large_batches_and_long_texts_does_not_change_the_counts(given: list[str], size: int) -> None:
    spaced = [" ".join(text.split()) for text in given]
    batches = in_batches([*spaced, " ".join(spaced)], [])
    whole = Corpus.from_documents(batches, options=options_for(""), every_word=True, keep_texts=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting_module, "BATCH_DOCS", size)
        longest = max(len(word) for text in batches[0].texts for word in text.split(" "))
        patch.setattr(cutting_module, "LONG_TEXT", longest + size)
        parts = Corpus.from_documents(batches, options=options_for(""), every_word=True, keep_texts=True)
    assert_same(parts, whole)
    assert parts.excerpts == whole.excerpts
    assert parts.texts == whole.texts


def test_phrases_neither_contain_nor_span_stop_words() -> None:
    given = ["lord of rings", "new york"] * 30
    found = Corpus.from_texts(given, options=TextOptions("en", phrases=True, pruning=EVERY))
    assert found.vocabulary == ["lord", "new_york", "rings"]
    assert found.source["options"]["phrases"] == [["new", "york"]]
    told = TextOptions("en", phrases=(("lord", "rings"), ("new", "york")), pruning=EVERY)
    assert Corpus.from_texts(given, options=told).vocabulary == ["lord", "new_york", "rings"]


# ---------------------------------------------------------------- scikit-learn


def peer_counts(given: list[str]) -> tuple[csr_matrix, list[str]]:
    peer = CountVectorizer(token_pattern=LETTERS)
    counts = peer.fit_transform(given)
    return counts, list(peer.get_feature_names_out())


@examples(50)
@given(ascii_texts)
@example(["it's a_b c3po 10km U.S.A. don't", "\x1c\x0b\x00 ab"])
def test_counts_of_ascii_text_are_those_of_scikit_learn(given: list[str]) -> None:
    try:
        expected, names = peer_counts(given)
    except ValueError:  # no text, or no word in them
        with pytest.raises(CorpusError):
            Corpus.from_texts(given, options=options_for(""))
        return
    corpus = Corpus.from_texts(given, options=options_for(""))
    assert corpus.vocabulary == names
    np.testing.assert_array_equal(corpus.counts.toarray(), expected.toarray())


@pytest.mark.parametrize(
    ("text", "theirs", "ours"),
    [
        ("10 km² and m³", ["and", "km²", "m³"], ["and", "km"]),  # for Python, a superscript is a letter
        ("x₂ H₂O", ["h₂o", "x₂"], []),
        ("½½ Ⅻ ⅻⅻ", ["½½", "ⅻⅻ"], []),  # and so are fractions and Roman numerals
        ("e\u0301te\u0301", ["te"], ["été"]),  # a letter and its mark are one letter, composed
        ("हिन्दी", [], ["हिन्दी"]),
        ("naïve straße ªº", ["naïve", "straße", "ªº"], ["naïve", "straße", "ªº"]),
    ],
)
def test_where_scikit_learn_differs_outside_ascii(text: str, theirs: list[str], ours: list[str]) -> None:
    given = [text, "zzz"]
    assert [name for name in peer_counts(given)[1] if name != "zzz"] == theirs
    assert [word for word in Corpus.from_texts(given, options=options_for("")).vocabulary if word != "zzz"] == ours


@pytest.mark.data
def test_counts_of_imdb_are_those_of_scikit_learn(shared_data: Path) -> None:
    with gzip.open(shared_data / "imdb" / "train.jsonl.gz", "rt", encoding="utf-8") as file:
        given = [json.loads(line)["text"] for line, _ in zip(file, range(2_000), strict=False)]
    corpus = Corpus.from_texts(given, options=TextOptions("none", pruning=Pruning(2, 0.5, 10**9)))
    peer = CountVectorizer(token_pattern=LETTERS, min_df=2, max_df=0.5)
    expected = peer.fit_transform(given)
    names = list(peer.get_feature_names_out())
    other = set(names) ^ set(corpus.vocabulary)
    assert not [word for word in other if word.isascii()]
    assert len(other) <= 3
    shared = [word for word in names if word not in other]
    at = {word: i for i, word in enumerate(names)}
    place = {word: i for i, word in enumerate(corpus.vocabulary)}
    left = corpus.counts[:, [place[word] for word in shared]]
    right = expected[:, [at[word] for word in shared]]
    assert (left != right).nnz == 0
    assert left.sum() > 100_000


# ---------------------------------------------------------------- other words, other tools


@examples(50)
@given(texts, st.lists(st.sampled_from(["york", "new", "city", "état", "zzz"]), unique=True))
def test_over_gives_the_counts_of_these_words(given: list[str], vocabulary: list[str]) -> None:
    corpus = Corpus.from_texts(given, options=TextOptions("none", pruning=EVERY), vocabulary=["city", "new", "york"])
    over = corpus.over(vocabulary)
    known = [word for word in vocabulary if word in corpus.vocabulary]
    expected = Corpus.from_texts(given, options=TextOptions("none"), vocabulary=vocabulary)
    for word in vocabulary:
        column = over.counts[:, [vocabulary.index(word)]].toarray()
        if word in known:
            np.testing.assert_array_equal(column, expected.counts[:, [vocabulary.index(word)]].toarray())
        else:
            assert not column.any()
    assert over.ids == corpus.ids
    assert over.n_docs == len(given)
    lengths = np.asarray(over.counts.sum(1)).ravel()
    for before, after, length in zip(corpus.status, over.status, lengths, strict=True):
        assert after == ("empty" if before == "empty" else "ok" if length else "oov")
    np.testing.assert_array_equal(over.lengths, lengths)
    ends = np.cumsum(lengths)[:-1]
    for row, part in zip(over.counts.toarray(), np.split(over.tokens, ends), strict=True):
        np.testing.assert_array_equal(np.bincount(part, minlength=len(vocabulary)), row)
    assert corpus.over(corpus.vocabulary) is corpus


def test_over_does_not_change_saved_counts(tmp_path: Path) -> None:
    corpus = Corpus.from_texts(["new york", "city", "", "12"], options=TextOptions("none"), vocabulary=["city", "york"])
    corpus.save(tmp_path)
    over = Corpus.load(tmp_path).over(["york", "zzz"])
    assert over.counts.toarray().tolist() == [[1, 0], [0, 0], [0, 0], [0, 0]]
    assert over.status.tolist() == ["ok", "oov", "empty", "oov"]
    assert over.folder is None
    over.save(tmp_path / "again")
    assert_same(Corpus.load(tmp_path / "again"), over)


def test_counts_of_another_tool_are_a_corpus(tmp_path: Path) -> None:
    counts = csr_matrix(np.array([[2, 0, 1], [0, 0, 0], [0, 3, 0]], dtype=np.int32))
    corpus = Corpus.from_counts(counts, ["b", "a", "two words"], ["x", "y", "z"], name="theirs")
    assert corpus.status.tolist() == ["ok", "empty", "ok"]
    assert corpus.ids == ["x", "y", "z"]
    assert corpus.tokens.tolist() == [0, 0, 2, 1, 1, 1]
    assert corpus.lengths.tolist() == [3, 0, 3]
    assert corpus.source["name"] == "theirs"
    assert corpus.source["reading_order"] is False
    corpus.save(tmp_path)
    assert_same(Corpus.load(tmp_path), corpus)
    numbered = Corpus.from_counts(counts, ["b", "a", "c"])
    assert numbered.ids == ["1", "2", "3"]
    other = csr_matrix(np.array([[2, 0, 1], [0, 1, 0], [0, 3, 0]], dtype=np.int32))
    assert Corpus.from_counts(other, ["b", "a", "c"]).source["sha256"] != numbered.source["sha256"]


@pytest.mark.parametrize(("n_words", "ids"), [(2, None), (4, None), (3, ["1"]), (3, [])])
def test_counts_need_one_word_per_column_and_one_id_per_row(n_words: int, ids: list[str] | None) -> None:
    counts = csr_matrix(np.ones((2, 3), dtype=np.int32))
    with pytest.raises(InputError, match="one word a column and one id a row") as caught:
        Corpus.from_counts(counts, list("abcd")[:n_words], ids)
    assert str(caught.value).isprintable()


# ---------------------------------------------------------------- growing arrays


@given(st.lists(st.lists(st.text(max_size=3), max_size=6), max_size=5), st.lists(st.text(max_size=2), unique=True))
def test_each_word_has_one_number_and_the_given_words_come_first(batches: list[list[str]], first: list[str]) -> None:
    numbers = WordNumbers(first)
    coded = [numbers.encode(pl.Series(batch, dtype=pl.String)) for batch in batches]
    listed = numbers.listed().to_list()
    assert listed[: len(first)] == first
    assert len(set(listed)) == len(listed) == len(set(first).union(*batches))
    for batch, codes in zip(batches, coded, strict=True):
        assert [listed[code] for code in codes] == batch


@given(st.lists(st.tuples(st.text(max_size=4), st.text(max_size=6))), st.data())
def test_a_checksum_depends_on_the_documents_alone(pairs: list[tuple[str, str]], data: st.DataObject) -> None:
    def checksum(of: list[list[tuple[str, str]]]) -> str:
        made = Checksum()
        for part in of:
            made.add(Documents([i for i, _ in part], [text for _, text in part], [{} for _ in part]))
        return made.hexdigest()

    cut = data.draw(st.integers(0, len(pairs)))
    assert checksum([pairs]) == checksum([pairs[:cut], pairs[cut:]])
    moved = [(i + "a", text) for i, text in pairs]
    assert not pairs or checksum([moved]) != checksum([pairs])
    assert not pairs or checksum([[*pairs, ("", "")]]) != checksum([pairs])


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_growing_array_returns_what_was_appended(on_disk: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.npy" if on_disk else None
    array = GrowingArray(path)
    for part in ([1, 2], [], [3]):
        array.append(np.array(part, dtype=np.int32))
    whole = array.whole()
    assert whole.tolist() == [1, 2, 3]
    assert is_mapped(whole) == on_disk
    del whole
    array.discard()
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- reading ahead


def documents(n: int) -> Documents:
    return Documents([str(n)], [f"text {n}"], [{}])


class Threads:
    """Threads that were started since this object was made."""

    def __init__(self) -> None:
        self.before = set(threading.enumerate())

    def reseeded(self) -> int:
        return len(set(threading.enumerate()) - self.before)

    def end(self, seconds: float = 5) -> bool:
        """Return whether all of these threads end in time."""
        return until(lambda: self.reseeded() == 0, seconds)


def until(true: Callable[[], bool], seconds: float = 5) -> bool:
    """Return whether a condition becomes true in time."""
    last = time.monotonic() + seconds
    while not true() and time.monotonic() < last:
        time.sleep(0.005)
    return true()


@pytest.mark.parametrize("n_batches", [0, 1, 2, 3, 20])
def test_prefetched_batches_are_the_same_in_order(n_batches: int) -> None:
    threads = Threads()
    assert list(prefetch(map(documents, range(n_batches)))) == [documents(n) for n in range(n_batches)]
    assert threads.end()


@pytest.mark.parametrize("error", [CorpusError("line 3 is broken"), OSError("gone"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("good", [0, 1, 9])
def test_an_error_of_the_reader_is_raised_after_the_earlier_batches(error: BaseException, good: int) -> None:
    def read() -> Iterator[Documents]:
        yield from map(documents, range(good))
        raise error

    threads, seen = Threads(), []
    ahead = prefetch(read())
    with pytest.raises(type(error)) as caught:
        seen.extend(ahead)
    assert caught.value is error
    assert seen == [documents(n) for n in range(good)]
    assert threads.end()


def test_a_reader_prefetches_only_a_few_batches() -> None:
    asked: list[int] = []

    def read() -> Iterator[Documents]:
        for number in range(100):
            asked.append(number)
            yield documents(number)

    ahead = prefetch(read())
    assert asked == []  # nothing has been requested yet
    next(ahead)
    assert until(lambda: len(asked) >= 1 + PREFETCHED)
    time.sleep(0.05)
    assert len(asked) <= 2 + PREFETCHED
    ahead.close()


@pytest.mark.parametrize("taken", [1, 2, 5])
def test_an_abandoned_reader_ends_its_thread(taken: int) -> None:
    threads = Threads()
    ahead = prefetch(map(documents, range(10**9)))
    for _ in range(taken):
        next(ahead)
    assert threads.reseeded() == 1
    ahead.close()
    assert threads.end()


def test_a_count_that_fails_ends_the_reading(tmp_path: Path) -> None:
    threads = Threads()
    endless = (Documents([str(n)], ["aa bb"], [{}]) for n in range(10**9))

    def failing() -> Iterator[Documents]:
        for number, batch in enumerate(prefetch(endless)):
            if number == 3:
                raise CorpusError("broken")
            yield batch

    with pytest.raises(CorpusError, match="broken"):
        Corpus.from_documents(failing(), options=options_for(""), folder=tmp_path)
    assert threads.end()


def test_map_in_order_keeps_the_order_and_raises_errors() -> None:
    def slow(number: int) -> int:
        time.sleep(0.01 if number % 2 else 0)
        if number == 7:
            raise CorpusError("seven")
        return number * number

    assert list(map_in_order(slow, range(6))) == [0, 1, 4, 9, 16, 25]
    assert list(map_in_order(slow, [])) == []
    with pytest.raises(CorpusError, match="seven"):
        list(map_in_order(slow, range(20)))
