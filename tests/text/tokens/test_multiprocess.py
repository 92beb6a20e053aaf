"""Cutting text in several processes gives the words that one gives, and leaves no process behind."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topicnet.errors import InputError
from topicnet.text.corpus import Corpus
from topicnet.text.tokens import multiprocess as spreading
from topicnet.text.tokens.multiprocess import (
    MultiprocessTokenizer,
    check_workers,
    is_worth_multiprocessing,
    tokenize_in_processes,
)
from topicnet.text.tokens.options import TextOptions
from topicnet.text.vocabulary import Pruning

SENTENCES = {
    "zh": ["我们在北京的公司开发了新的机器学习系统", "足球比赛中球员踢进了一个漂亮的进球", "银行提高了贷款利率"],
    "ja": ["彼らは東京の会社で新しい機械学習システムを開発した。", "サッカーの試合で選手がゴールを決めた。"],
    "de": ["Die Katzen liefen durch die Straßen der Stadt.", "Der Zug fuhr nach München, l'homme n'est pas U-Bahn."],
}
OPTIONS = {
    "jieba": TextOptions("zh"),
    "sudachi, normalised": TextOptions("ja", lemmatize=True),
    "spacy": TextOptions("de", tokenizer="spacy"),
}


def many(lang: str, n_texts: int = 400) -> pl.Series:
    rng = random.Random(0)
    texts = ["".join(f"{word} " for word in rng.choices(SENTENCES[lang], k=6)) for _ in range(n_texts)]
    return pl.Series("token", [None, "", *texts, "?!", ""], dtype=pl.String)


def processes() -> list[int]:
    """Return the processes of the pools of this process."""
    return [child.pid for child in multiprocessing.active_children() if child.pid is not None]


def cutter_of(options: TextOptions) -> MultiprocessTokenizer:
    assert options.cutter is not None
    assert isinstance(options.cutter.function, MultiprocessTokenizer)
    return options.cutter.function


@given(st.lists(st.one_of(st.none(), st.text(max_size=6)), max_size=30), st.integers(1, 12), st.integers(1, 20))
def test_pieces_are_the_texts_in_order(texts: list[str | None], most: int, least: int) -> None:
    series = pl.Series("token", texts, dtype=pl.String)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spreading, "LEAST_BYTES", least)
        pieces = spreading._pieces(series, most)
    assert 1 <= len(pieces) <= most
    assert pl.concat(pieces).equals(series)
    assert all(len(piece) for piece in pieces) or not texts


def test_texts_of_one_length_make_pieces_of_one_length() -> None:
    pieces = spreading._pieces(pl.Series(["x" * 1000] * 240), 8)
    assert [len(piece) for piece in pieces] == [30] * 8


@pytest.mark.parametrize("kind", [pytest.param(k, marks=pytest.mark.slow if k == "spacy" else []) for k in OPTIONS])
def test_several_processes_find_the_words_of_one(kind: str) -> None:
    options = OPTIONS[kind]
    texts = many(options.lang)
    expected = options.tokens(texts)
    assert expected.list.len().max() > 3
    with tokenize_in_processes(options, 2) as several:
        assert several.segmenter.name == options.segmenter.name
        for _ in range(2):
            found = several.tokens(texts)
            assert found.equals(expected, check_dtypes=True, check_names=True)
        assert several.tokens(texts[:0]).equals(expected[:0], check_dtypes=True)
        assert len(processes()) == 2
    assert processes() == []


def test_counts_are_the_same_to_the_bit() -> None:
    texts = [text or "" for text in many("zh")]
    every = TextOptions("zh", pruning=Pruning(1, 1.0))
    whole = Corpus.from_texts(texts, options=every)
    with tokenize_in_processes(every, 3) as options:
        found = Corpus.from_texts(texts, options=options)
    assert found.source == whole.source
    assert found.vocabulary == whole.vocabulary
    assert found.status.tolist() == whole.status.tolist()
    for name in ("data", "indices", "indptr"):
        assert getattr(found.counts, name).tobytes() == getattr(whole.counts, name).tobytes()
    assert found.tokens.tobytes() == whole.tokens.tobytes()


@pytest.mark.parametrize(
    ("options", "workers"), [(TextOptions("en"), 4), (TextOptions("en", tokenizer="spaces"), 4), (TextOptions("zh"), 1)]
)
def test_no_process_is_started_where_none_would_help(options: TextOptions, workers: int) -> None:
    assert is_worth_multiprocessing(options) == (workers == 1)
    with tokenize_in_processes(options, workers) as several:
        assert several is options


def test_processes_of_our_own_choice_wait_until_they_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = many("zh")
    expected = TextOptions("zh").tokens(texts)
    with tokenize_in_processes(TextOptions("zh"), 2, at_once=False) as options:
        assert options.tokens(texts[:100]).equals(expected[:100])
        assert processes() == []
    monkeypatch.setattr(spreading, "WORTH_STARTING", 1e-9)
    with tokenize_in_processes(TextOptions("zh"), 2, at_once=False) as options:
        assert options.tokens(texts).equals(expected)  # the first piece here, the others there
        assert processes()


def test_a_process_that_is_killed_is_said_in_one_line() -> None:
    texts = many("ja")
    with tokenize_in_processes(TextOptions("ja"), 2) as options:
        options.tokens(texts)
        os.kill(processes()[0], signal.SIGKILL)
        with pytest.raises(InputError, match=r"one of the processes .* ended from outside by SIGKILL") as caught:
            options.tokens(texts)
    assert str(caught.value).isprintable()
    assert "--workers" in str(caught.value)
    assert processes() == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("zh", "nonsense", False, False), "--tokenizer 'nonsense' given"),
        ((), "could not be cut into words (TypeError: "),
    ],
)
def test_what_goes_wrong_there_is_said_here(arguments: tuple[object, ...], said: str) -> None:
    with tokenize_in_processes(TextOptions("zh"), 2) as options:
        cutter_of(options)._arguments = arguments  # type: ignore[assignment]
        with pytest.raises(InputError) as caught:
            options.tokens(many("zh"))
    assert said in str(caught.value)
    assert str(caught.value).isprintable()
    assert processes() == []


@pytest.mark.parametrize("workers", [0, -1, 257, 1.5, True, "2"])
def test_a_number_of_processes_that_cannot_be(workers: object) -> None:
    with pytest.raises(InputError, match="expected a number of processes from 1 to 256"):
        check_workers(workers)  # type: ignore[arg-type]
    with pytest.raises(InputError), tokenize_in_processes(TextOptions(), workers):  # type: ignore[arg-type]
        pass


SCRIPT = """
import multiprocessing, os, sys
import polars as pl
from topicnet.text.tokens.multiprocess import tokenize_in_processes
from topicnet.text.tokens.options import TextOptions

with tokenize_in_processes(TextOptions("zh"), 2) as options:
    options.tokens(pl.Series(["银行提高了贷款利率" * 100] * 40))
    print(*[child.pid for child in multiprocessing.active_children()], flush=True)
    sys.stdin.read()
"""


def test_processes_end_with_one_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", SCRIPT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()
    assert len(pids) == 2
    until = time.monotonic() + 20
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < until, "processes were left behind"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_processes_import_no_torch_and_print_nothing_there(capfd: pytest.CaptureFixture[str]) -> None:
    with tokenize_in_processes(TextOptions("zh"), 2) as options:
        options.tokens(many("zh"))
        pool = cutter_of(options)._pool
        assert pool is not None
        assert not pool.submit(eval, "'torch' in __import__('sys').modules").result()
        pool.submit(print, "printed by a library").result()
    assert capfd.readouterr().out == ""


def test_more_text_finds_more_processes() -> None:
    with tokenize_in_processes(TextOptions("zh"), 3) as options:
        for n_processes, texts in ((1, many("zh", 100)), (3, many("zh", 2_000)), (3, many("zh", 100))):
            options.tokens(texts)
            assert len(processes()) == n_processes
