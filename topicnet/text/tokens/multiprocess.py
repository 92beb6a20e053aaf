"""Cutting text into words in several processes, for tokenizers that keep one core busy.

Each process is ``python -m topicnet.text.tokens.multiprocess``: it loads the tokenizer, reads texts on standard
input and writes their words on standard output, as Arrow tables. The caller reads, counts and infers; it gets the
very words its own tokenizer would find, in the same order.
"""

from __future__ import annotations

import io
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from itertools import pairwise
from queue import Empty, SimpleQueue
from typing import IO

import numpy as np
import polars as pl

from topicnet.errors import InputError, TopicnetError
from topicnet.text.tokens.options import TextOptions
from topicnet.text.tokens.tokenizer import Tokenizer, choose_tokenizer

MOST_WORKERS = 256
# What these cut, they cut in one thread; letters are found by polars and Korean by kiwi, both on all cores already.
IN_ONE_THREAD = ("jieba-", "sudachi-", "spacy-")
WORTH_STARTING = 3.0  # seconds of cutting, after which processes of our own choice are started: each takes one or two
PIECES = 4  # of a batch, for each process: the last to end keeps the others waiting
LEAST_BYTES = 20_000  # of a piece
WAIT = 0.1  # seconds
_HEAD = struct.Struct("<?Q")  # of a message: whether all went well, and how many bytes follow


def is_worth_multiprocessing(options: TextOptions) -> bool:
    """Whether the tokenizer of these options would leave other cores idle."""
    return options.segmenter.name.startswith(IN_ONE_THREAD)


def check_workers(workers: int) -> None:
    """Raise InputError for a number of processes that cannot be."""
    whole = isinstance(workers, int | np.integer) and not isinstance(workers, bool)
    if not whole or not 1 <= workers <= MOST_WORKERS:
        raise InputError(f"workers={workers!r} given, expected a number of processes from 1 to {MOST_WORKERS}")


@contextmanager
def tokenize_in_processes(options: TextOptions, workers: int, *, at_once: bool = True) -> Iterator[TextOptions]:
    """Yield options that cut text into the same words in several processes, which end with the block.

    Parameters
    ----------
    options : TextOptions
    workers : int
        Most processes to tokenise in; with 1, or where `is_worth_multiprocessing` is false, this process alone.
    at_once : bool
        Whether they are started with the first text; else once this process has been cutting for 3 seconds.

    Raises
    ------
    InputError
        A number of processes that cannot be; while cutting, one of them that was ended from outside.
    """
    check_workers(workers)
    if workers == 1 or not is_worth_multiprocessing(options):
        yield options
        return
    cutter = MultiprocessTokenizer(options, int(workers), at_once=at_once)
    try:
        yield replace(options, cutter=cutter)
    finally:
        cutter.close()


class MultiprocessTokenizer:
    """A tokenizer that has its texts cut by processes of their own.

    Parameters
    ----------
    options : TextOptions
        Whose tokenizer it stands for.
    workers : int
        Processes, at most: one more is started when a piece of text finds all others busy.
    at_once : bool
        See `tokenize_in_processes`.
    """

    def __init__(self, options: TextOptions, workers: int, *, at_once: bool = True) -> None:
        self.name = options.segmenter.name
        self.workers = workers
        self.processes: list[subprocess.Popen[bytes]] = []
        self._here = options.segmenter
        self._arguments = [options.lang, options.tokenizer, options.lemmatize, options.cleaning.keep_numbers]
        self._seconds_here = 0.0 if not at_once else WORTH_STARTING
        self._free: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        self._threads = ThreadPoolExecutor(workers)  # one waits for each process
        self._starting = threading.Lock()
        self._closed = False

    def __call__(self, texts: pl.Series) -> pl.Series:
        """The words of each text."""
        pieces = _pieces(texts, self.workers * PIECES)
        words: list[pl.Series] = []
        while pieces and self._seconds_here < WORTH_STARTING:
            began = time.perf_counter()
            words.append(self._here(pieces.pop(0)))
            self._seconds_here += time.perf_counter() - began
        asked = [self._threads.submit(self._ask, piece) for piece in pieces]
        words += [_result(answer) for answer in asked]
        return pl.concat(words) if len(words) > 1 else words[0]

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        with self._starting:
            self._closed = True
        for process in self.processes:
            with suppress(ProcessLookupError):  # it has ended by itself
                os.killpg(process.pid, signal.SIGKILL)
        self._threads.shutdown(cancel_futures=True)
        for process in self.processes:
            process.wait()
            for stream in (process.stdin, process.stdout):
                assert stream is not None
                with suppress(BrokenPipeError):
                    stream.close()

    def _ask(self, texts: pl.Series) -> pl.Series:
        """Have one process cut texts."""
        question = _packed(texts)
        try:
            process = self._free.get_nowait()
        except Empty:
            process = self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            _send(process.stdin, question)
            answer = _receive(process.stdout)
        except OSError:
            answer = None
        if answer is None:
            raise InputError(_ended(process))
        good, content = answer
        if not good:
            raise InputError(content.decode("utf-8"))
        self._free.put(process)
        return _unpacked(content).rename(texts.name)

    def _start(self) -> subprocess.Popen[bytes]:
        environment = os.environ | {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
        with self._starting:
            if self._closed:
                raise InputError("the text is not cut any more: ask within the block of spread()")
            # A session of its own: Ctrl-C is for this process, which then ends the others.
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "topicnet.text.tokens.multiprocess", json.dumps(self._arguments)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True,
            )  # fmt: skip
            self.processes.append(process)
        return process


def _pieces(texts: pl.Series, most: int) -> list[pl.Series]:
    """Texts in pieces of about as many bytes, in order; at least one piece."""
    ends = np.cumsum(texts.str.len_bytes().fill_null(0).to_numpy().astype(np.int64))
    n_bytes = int(ends[-1]) if len(ends) else 0
    n_pieces = max(1, min(most, n_bytes // LEAST_BYTES))
    stops = np.searchsorted(ends, np.arange(1, n_pieces) * n_bytes // n_pieces, side="left") + 1
    marks = [0, *np.unique(stops).tolist(), len(texts)]
    return [texts[begin:end] for begin, end in pairwise(marks) if end > begin] or [texts]


def _result(answer: Future[pl.Series]) -> pl.Series:
    # Under polars a wait is not ended by Ctrl-C, only taken up again: many short ones let it through.
    while not wait([answer], WAIT).done:
        pass
    return answer.result()


def _ended(process: subprocess.Popen[bytes]) -> str:
    with suppress(subprocess.TimeoutExpired):
        process.wait(WAIT)
    status = process.poll()
    how = "ended" if status is None else f"ended with status {status}"
    if status is not None and status < 0:
        how = f"was ended from outside by {signal.Signals(-status).name}"
    hint = "; where memory is short, fewer --workers need less" if status == -signal.SIGKILL else ""
    return f"one of the processes that cut the text into words {how}: start again{hint}"


def _packed(texts: pl.Series) -> bytes:
    buffer = io.BytesIO()
    texts.rename("").to_frame().write_ipc_stream(buffer)
    return buffer.getvalue()


def _unpacked(content: bytes) -> pl.Series:
    return pl.read_ipc_stream(io.BytesIO(content)).to_series()


def _send(stream: IO[bytes], content: bytes, good: bool = True) -> None:
    stream.write(_HEAD.pack(good, len(content)))
    stream.write(content)
    stream.flush()


def _receive(stream: IO[bytes]) -> tuple[bool, bytes] | None:
    """A message: whether all went well, and its content; None where the stream has ended."""
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    good, length = _HEAD.unpack(head)
    content = stream.read(length)
    return (good, content) if len(content) == length else None


@cache
def _tokenizer(arguments: str) -> Tokenizer:
    lang, kind, lemmatize, numbers = json.loads(arguments)
    return choose_tokenizer(lang, kind, lemmatize, numbers=numbers)


def _answer(arguments: str, content: bytes) -> tuple[bool, bytes]:
    try:
        return True, _packed(_tokenizer(arguments)(_unpacked(content)))
    except TopicnetError as error:
        return False, str(error).encode()
    except (Exception, pl.exceptions.PanicException) as error:  # said in one line by who asked
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        line = f"the text could not be cut into words ({reason}): with one worker the whole of what is wrong is shown"
        return False, line.encode()


def _serve(arguments: str) -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    while (question := _receive(sys.stdin.buffer)) is not None:
        good, content = _answer(arguments, question[1])
        _send(answers, content, good)


if __name__ == "__main__":
    with suppress(BrokenPipeError):  # who asked has gone
        _serve(sys.argv[1])
