"""Boilerplate: planted headers, signatures and lines are found with correct evidence; subject words are not."""

import gzip
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.support.examples import examples
from topicnet.cli.printing.words import records, show_words, write_words
from topicnet.errors import InputError, OutputError
from topicnet.text import boilerplate
from topicnet.text.boilerplate import Suggestion, suggest
from topicnet.text.corpus import Corpus
from topicnet.text.repeated_lines import FEWEST, repeated_lines
from topicnet.text.tokens.options import TextOptions
from topicnet.text.tokens.word_lists import read_words
from topicnet.text.vocabulary import Pruning

EVERY_WORD = TextOptions(lang="none", pruning=Pruning(min_df=1, max_df=1.0))
SUBJECTS = [[f"{name}{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"] for name in ("sport", "law", "music")]
COMMON = ["big", "new", "good", "old", "day", "year"]
HEADER = ["from", "subject", "lines"]
FOOTER = ["click", "here", "to", "unsubscribe", "now"]


def mail(n: int = 240, seed: int = 0) -> list[str]:
    """Generate letters on three subjects, with common words and a header, and a footer on every fourth."""
    rng = np.random.default_rng(seed)
    texts = []
    for number in range(n):
        length = int(rng.integers(20, 120))
        body = rng.choice(SUBJECTS[number % 3], length).tolist()
        body += [str(word) for word in rng.choice(COMMON, length // 4)]
        rng.shuffle(body)
        texts.append(" ".join(HEADER + body + (FOOTER if number % 4 == 0 else [])))
    return texts


def counted(texts: list[str]) -> Corpus:
    return Corpus.from_texts(texts, options=EVERY_WORD)


@pytest.fixture(scope="module")
def letters() -> Corpus:
    return counted(mail())


@pytest.fixture(scope="module")
def suggested(letters: Corpus) -> dict[str, Suggestion]:
    return {found.word: found for found in suggest(letters, 14)}


# ---------------------------------------------------------------- words


def test_planted_boilerplate_ranks_first_without_subject_words(suggested: dict[str, Suggestion]) -> None:
    words = list(suggested)
    assert set(words[:3]) == set(HEADER)
    assert set(words) == {*HEADER, *FOOTER, *COMMON}


def test_evidence_is_correct(letters: Corpus, suggested: dict[str, Suggestion]) -> None:
    dense = letters.counts.toarray()
    for word, found in suggested.items():
        column = dense[:, letters.vocabulary.index(word)]
        assert found.tokens == column.sum()
        assert found.document_share == pytest.approx((column > 0).mean())
        assert found.information == pytest.approx(found.spread + found.company)
        assert found.examples == tuple(letters.ids[row] for row in np.flatnonzero(column)[:3])
    assert suggested["subject"].place < 0.1
    assert suggested["unsubscribe"].place > 0.9
    assert suggested["good"].place == pytest.approx(0.5, abs=0.05)
    for word in HEADER:
        assert "near the start; evenly spread" in suggested[word].reason
    assert "near the end" in suggested["click"].reason
    assert "spread as expected by chance" in suggested["good"].reason
    assert "near" not in suggested["good"].reason


def test_subject_words_are_informative(letters: Corpus, suggested: dict[str, Suggestion]) -> None:
    found = {one.word: one for one in suggest(letters, 200)}
    least = min(found[word].information for words in SUBJECTS for word in words)
    assert least > 1 > max(one.information for one in suggested.values())


def test_random_words_are_uninformative() -> None:
    """For words placed at random in documents of different lengths, spread is 0 up to sampling noise."""
    rng = np.random.default_rng(1)
    words = rng.choice([f"{a}{b}" for a in "abcde" for b in "fghij"], (300, 200))
    texts = [" ".join(row[: rng.integers(10, 200)]) for row in words]
    suggested = suggest(counted(texts), 25)
    assert len(suggested) == 25
    assert abs(np.mean([found.spread for found in suggested])) < 0.02
    for found in suggested:
        assert abs(found.spread) < 0.12
        assert found.company < 0.01
        assert found.narrowness == pytest.approx(1, abs=0.1)


def test_expectations_are_those_of_poisson_counts() -> None:
    n = np.arange(1, 3000)
    for mean in (1e-7, 1e-4, 0.03, 0.7, 2.0, 30.0, 99.0, 101.0, 800.0):
        expected = (stats.poisson.pmf(n, mean) * n * np.log2(n)).sum()
        assert boilerplate._expected_count_bits(np.array([mean]))[0] == pytest.approx(expected, rel=2e-3)


def test_company_is_the_divergence_from_the_mean_document() -> None:
    corpus = counted(["aa bb bb", "aa cc", "cc bb dd", "aa aa bb dd"])
    share = corpus.counts.toarray() / corpus.counts.sum(1).A
    tally = boilerplate._tally(corpus)
    for word in range(corpus.vocab_size):
        others = np.delete(share, word, axis=1)
        overall, observed = others.sum(0), others[share[:, word] > 0].sum(0)
        found = boilerplate._company(corpus, tally, np.array([word]))
        assert found[0] == pytest.approx(stats.entropy(observed, overall, base=2))


@pytest.mark.parametrize("at_once", [1, 7, 500])
def test_block_size_does_not_change_results(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = counted([*mail(30), "", "from subject lines", ""])
    words, lines = suggest(corpus, 20), repeated_lines(corpus, 5, length=3)
    monkeypatch.setattr(boilerplate, "TOKENS_AT_ONCE", at_once)
    monkeypatch.setattr(boilerplate, "COMPANY_NUMBERS", at_once)
    monkeypatch.setattr("topicnet.text.token_counts.TOKENS_AT_ONCE", at_once)
    parts = suggest(corpus, 20)
    assert [found.word for found in parts] == [found.word for found in words]
    assert [found.reason for found in parts] == [found.reason for found in words]
    np.testing.assert_allclose([f.information for f in parts], [f.information for f in words], atol=1e-9)
    assert repeated_lines(corpus, 5, length=3) == lines


def test_saved_counts_give_the_same_results(letters: Corpus, tmp_path: Path) -> None:
    letters.save(tmp_path / "counts")
    loaded = Corpus.load(tmp_path / "counts")
    assert suggest(loaded, 5) == suggest(letters, 5)
    assert repeated_lines(loaded, 5) == repeated_lines(letters, 5)


@examples(30)
@given(st.lists(st.lists(st.sampled_from(["aa", "bb", "cc"]), max_size=6).map(" ".join), min_size=1, max_size=8))
def test_any_corpus_gives_finite_evidence(texts: list[str]) -> None:
    corpus = Corpus.from_texts(texts, vocabulary=["aa", "bb", "cc"])
    for found in suggest(corpus):
        assert np.isfinite([found.information, found.place, found.narrowness]).all()
        assert 0 < found.document_share <= 1
        assert found.company >= -1e-9
        assert found.reason


# ---------------------------------------------------------------- lines


def test_planted_lines_are_found_whole(letters: Corpus) -> None:
    footer, *others = repeated_lines(letters, 20)
    assert footer.words == tuple(FOOTER)
    assert footer.documents == 60
    assert footer.document_share == 0.25
    assert footer.examples == ("1", "5", "9")
    assert all(not set(line.words) & set(FOOTER) for line in others)


def windows_by_counting(corpus: Corpus, length: int) -> dict[tuple[str, ...], int]:
    ends = np.concatenate([[0], np.cumsum(np.asarray(corpus.counts.sum(1)).ravel())])
    documents = [[corpus.vocabulary[i] for i in corpus.tokens[begin:end]] for begin, end in pairwise(ends)]
    held: dict[tuple[str, ...], int] = {}
    for words in documents:
        for window in {tuple(words[i : i + length]) for i in range(len(words) - length + 1)}:
            held[window] = held.get(window, 0) + 1
    return held


@examples(50)
@given(st.lists(st.lists(st.sampled_from(["aa", "bb"]), max_size=9).map(" ".join), max_size=12), st.integers(2, 4))
def test_lines_consist_of_exactly_the_frequent_windows(texts: list[str], length: int) -> None:
    corpus = Corpus.from_texts(texts, vocabulary=["aa", "bb"])
    held = windows_by_counting(corpus, length)
    many = {window for window, documents in held.items() if documents >= FEWEST}
    lines = repeated_lines(corpus, 100, length=length)
    parts = [[line.words[i : i + length] for i in range(len(line.words) - length + 1)] for line in lines]
    assert {window for windows in parts for window in windows} == many
    for line, windows in zip(lines, parts, strict=True):
        assert line.documents == min(held[window] for window in windows)
    assert [line.documents for line in lines] == sorted((line.documents for line in lines), reverse=True)


def test_a_text_without_repetition_has_no_lines() -> None:
    assert repeated_lines(counted(["aa bb cc dd ee", "ee dd cc bb aa", "", "aa cc"])) == []
    assert repeated_lines(Corpus.from_texts([], vocabulary=["aa"])) == []


@pytest.mark.parametrize("top", [0, -1])
def test_asking_for_no_results_is_refused(letters: Corpus, top: int) -> None:
    with pytest.raises(InputError, match="expected a whole number from 1"):
        suggest(letters, top)
    with pytest.raises(InputError, match="expected at least 1 line"):
        repeated_lines(letters, top)


# ---------------------------------------------------------------- showing


def test_words_are_shown_with_their_evidence(
    letters: Corpus, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    show_words(suggest(letters, 6), repeated_lines(letters, 1))
    out, err = capsys.readouterr()
    rows = out.splitlines()
    assert rows[0].split() == ["word", "documents", "tokens", "information", "evidence"]
    assert any(row.startswith("subject") and " 100.0% " in row and "near the start" in row for row in rows)
    assert rows[-1].split() == ["60", *FOOTER, "[1,", "5,", "9]"]
    assert max(map(len, rows)) <= 110
    assert "--add-stop-words FILE" in err
    show_words([])
    assert "no word" in capsys.readouterr().out


def test_records_are_json(letters: Corpus) -> None:
    written = json.loads(json.dumps(records(suggest(letters, 2), repeated_lines(letters, 1))))
    assert [entry["word"] for entry in written["words"]] == [found.word for found in suggest(letters, 2)]
    assert written["lines"][0]["words"] == FOOTER
    assert written["lines"][0]["documents"] == 60


def test_written_words_can_be_read_as_a_list(letters: Corpus, tmp_path: Path) -> None:
    found = suggest(letters, 6)
    write_words(found, tmp_path / "more.txt")
    assert read_words(tmp_path / "more.txt", "stop words") == [one.word for one in found]
    with pytest.raises(OutputError, match="exists already"):
        write_words(found, tmp_path / "more.txt")
    with pytest.raises(OutputError, match="refusing to replace"):
        write_words(found[:1], tmp_path / "more.txt", overwrite=True)
    (tmp_path / "more.txt").write_text(f"{found[0].word}\n")
    write_words(found, tmp_path / "more.txt", overwrite=True)
    assert read_words(tmp_path / "more.txt", "stop words") == [one.word for one in found]


@pytest.mark.data
def test_the_headers_of_20_newsgroups_are_found(shared_data: Path) -> None:
    with gzip.open(shared_data / "20ng" / "raw_train.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines][::4]
    corpus = Corpus.from_texts(texts, options=TextOptions(pruning=Pruning(max_df=1.0)))
    first = [found.word for found in suggest(corpus, 15)]
    assert {"subject", "lines", "organization", "writes", "article", "nntp", "posting", "host"} <= set(first[:9])
    assert {"distribution", "reply", "keywords", "university", "edu"} <= set(first)
    assert repeated_lines(corpus, 1)[0].words == ("lines", "nntp", "posting", "host")
