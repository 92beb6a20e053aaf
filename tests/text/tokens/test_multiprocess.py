"""Tokenising in several processes gives the same words as in one, and leaves no process behind."""

import os
import random
import signal
import struct
import subprocess
import sys
from multiprocessing.connection import Connection, Pipe
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


def are_gone(cutter: MultiprocessTokenizer) -> bool:
    return all(process.popen.returncode is not None for process in cutter.processes)


def cutter_of(options: TextOptions) -> MultiprocessTokenizer:
    assert options.cutter is not None
    assert isinstance(options.cutter.function, MultiprocessTokenizer)
    return options.cutter.function


@given(st.lists(st.one_of(st.none(), st.text(max_size=6)), max_size=30), st.integers(1, 12), st.integers(1, 20))
def test_pieces_are_the_texts_in_order(texts: list[str | None], most: int, least: int) -> None:
    series = pl.Series("token", texts, dtype=pl.String)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spreading, "MIN_BYTES", least)
        pieces = spreading._pieces(series, most)
    assert 1 <= len(pieces) <= most
    assert pl.concat(pieces).equals(series)
    assert all(len(piece) for piece in pieces) or not texts


def test_texts_of_one_length_make_pieces_of_one_length() -> None:
    pieces = spreading._pieces(pl.Series(["x" * 1000] * 240), 8)
    assert [len(piece) for piece in pieces] == [30] * 8


@pytest.mark.parametrize("kind", [pytest.param(k, marks=pytest.mark.slow if k == "spacy" else []) for k in OPTIONS])
def test_several_processes_find_the_same_words_as_one(kind: str) -> None:
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
        cutter = cutter_of(several)
        assert len(cutter.processes) == 2
        assert not are_gone(cutter)
    assert are_gone(cutter)


def test_counts_are_the_same_to_the_bit() -> None:
    texts = [text or "" for text in many("ja")]
    every = TextOptions("ja", pruning=Pruning(1, 1.0))
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
def test_no_process_is_started_if_it_would_not_help(options: TextOptions, workers: int) -> None:
    assert is_worth_multiprocessing(options) == (workers == 1)
    with tokenize_in_processes(options, workers) as several:
        assert several is options


def test_processes_start_by_default_only_once_they_pay_off(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = many("ja")
    expected = TextOptions("ja").tokens(texts)
    with tokenize_in_processes(TextOptions("ja"), 2, at_once=False) as options:
        assert options.tokens(texts[:100]).equals(expected[:100])
        assert cutter_of(options).processes == []
    monkeypatch.setattr(spreading, "START_AFTER", 1e-9)
    with tokenize_in_processes(TextOptions("ja"), 2, at_once=False) as options:
        assert options.tokens(texts).equals(expected)  # the first piece in this process, the rest in the others
        assert cutter_of(options).processes


def test_a_killed_process_gives_a_one_line_error() -> None:
    texts = many("ja")
    with tokenize_in_processes(TextOptions("ja"), 2) as options:
        options.tokens(texts)
        cutter = cutter_of(options)
        os.kill(cutter.processes[0].popen.pid, signal.SIGKILL)
        with pytest.raises(InputError, match=r"one of the processes .* killed by SIGKILL") as caught:
            options.tokens(texts)
    assert str(caught.value).isprintable()
    assert "--workers" in str(caught.value)
    assert are_gone(cutter)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("zh", "nonsense", False, False, True), "--tokenizer 'nonsense' given"),
        ((), "could not be tokenised (ValueError: "),
    ],
)
def test_errors_in_a_process_are_raised_by_the_caller(arguments: tuple[object, ...], said: str) -> None:
    with tokenize_in_processes(TextOptions("zh"), 2) as options:
        cutter = cutter_of(options)
        cutter._arguments = arguments
        with pytest.raises(InputError) as caught:
            options.tokens(many("zh"))
    assert said in str(caught.value)
    assert str(caught.value).isprintable()
    assert are_gone(cutter)


@pytest.mark.parametrize("workers", [0, -1, 257, 1.5, True, "2"])
def test_an_invalid_number_of_processes_is_refused(workers: object) -> None:
    with pytest.raises(InputError, match="expected a number of processes from 1 to 256"):
        check_workers(workers)  # type: ignore[arg-type]
    with pytest.raises(InputError), tokenize_in_processes(TextOptions(), workers):  # type: ignore[arg-type]
        pass


@pytest.mark.parametrize("sent", [b"", b"\0\0", struct.pack("!i", 100) + b"half"])
def test_a_process_ends_when_its_caller_has_ended(tmp_path: Path, sent: bytes) -> None:
    here, there = Pipe()
    with there:
        fd = there.fileno()
        command = [sys.executable, "-P", "-m", "topicnet.text.tokens.multiprocess", str(fd)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, pass_fds=[fd]
        )  # fmt: skip
    os.write(here.fileno(), sent)
    here.close()
    assert process.communicate(timeout=60) == (b"", b"")
    assert process.returncode == 0


def test_a_process_killed_in_the_middle_of_an_answer_gives_a_one_line_error(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = many("ja", 4_000)
    with tokenize_in_processes(TextOptions("ja"), 2) as options:
        options.tokens(texts[:400])
        victim = cutter_of(options).processes[0]
        received = Connection.recv

        def kill_then_receive(pipe: Connection) -> object:
            if pipe is victim.pipe:
                pipe.poll(None)  # an answer larger than the pipe's buffer has started to arrive
                os.kill(victim.popen.pid, signal.SIGKILL)
            return received(pipe)

        monkeypatch.setattr(Connection, "recv", kill_then_receive)
        with pytest.raises(InputError, match="killed by SIGKILL"):
            options.tokens(texts)


def test_processes_import_no_torch_and_print_nothing_here(tmp_path: Path) -> None:
    script = (
        "import sys, topicnet.text.tokens.multiprocess as m\n"
        "m._tokenizer('zh', None, False, False); print([n for n in ('torch', 'joblib') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout == "[]\n"
