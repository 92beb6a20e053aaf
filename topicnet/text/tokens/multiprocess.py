"""Tokenisation in several processes, for tokenizers that use only one core.

Each process runs ``python -m topicnet.text.tokens.multiprocess`` and has its own pipe, so that the calling process
notices when it dies, even in the middle of an answer. The calling process reads, counts and infers. The words and their
order are the same as with the tokenizer in one process.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from multiprocessing.connection import Connection, Pipe
from queue import Empty, SimpleQueue

import numpy as np
import polars as pl

from topicnet.errors import InputError, TopicnetError
from topicnet.text.tokens.options import TextOptions
from topicnet.text.tokens.tokenizer import Tokenizer, choose_tokenizer

MAX_WORKERS = 256
# These run in one thread; the polars tokenizers and kiwi already use all cores.
SINGLE_THREADED = ("jieba-", "sudachi-", "spacy-")
START_AFTER = 3.0  # seconds of tokenising before processes start by default: starting one takes one or two seconds
PIECES = 4  # pieces of a batch per process; small pieces shorten the wait for the last one
MIN_BYTES = 20_000  # smallest piece
WAIT = 0.1  # seconds
Arguments = tuple[str, str | None, bool, bool, bool]  # arguments of choose_tokenizer


def is_worth_multiprocessing(options: TextOptions) -> bool:
    """Return whether the tokenizer of these options uses only one core."""
    return options.segmenter.name.startswith(SINGLE_THREADED)


def check_workers(workers: int) -> None:
    """Raise InputError unless `workers` is a valid number of processes."""
    whole = isinstance(workers, int | np.integer) and not isinstance(workers, bool)
    if not whole or not 1 <= workers <= MAX_WORKERS:
        raise InputError(f"workers={workers!r} given, expected a number of processes from 1 to {MAX_WORKERS}")


@contextmanager
def tokenize_in_processes(options: TextOptions, workers: int, *, at_once: bool = True) -> Iterator[TextOptions]:
    """Yield options whose tokenizer runs in several processes, which stop when the context exits.

    Parameters
    ----------
    options : TextOptions
        Options whose words the new options reproduce.
    workers : int
        Most processes to use. With 1, or if `is_worth_multiprocessing` is false, only this process is used.
    at_once : bool
        Start the processes with the first text, rather than after this process has tokenised for 3 seconds.

    Yields
    ------
    TextOptions

    Raises
    ------
    InputError
        The number of processes is invalid, or (while tokenising) a process was killed.
    """
    check_workers(workers)
    if workers == 1 or not is_worth_multiprocessing(options):
        yield options
        return
    tokenizer = MultiprocessTokenizer(options, int(workers), at_once)
    try:
        yield replace(options, cutter=Tokenizer(options.segmenter.name, tokenizer))
    finally:
        tokenizer.close()


@dataclass(frozen=True)
class _Process:
    """Tokenising process, and the pipe to it."""

    popen: subprocess.Popen[bytes]
    pipe: Connection


class MultiprocessTokenizer:
    """Tokenizer that runs in several processes; `tokenize_in_processes` describes the parameters.

    A process is started when a piece of text is to be tokenised and all running processes are busy.
    """

    def __init__(self, options: TextOptions, workers: int, at_once: bool) -> None:
        self.workers = workers
        self.processes: list[_Process] = []
        self._here = options.segmenter
        self._arguments: Arguments = (
            options.lang, options.tokenizer, options.lemmatize, options.cleaning.keep_numbers, options.fold_letters,
        )  # fmt: skip
        self._seconds_here = START_AFTER if at_once else 0.0
        self._free: SimpleQueue[_Process] = SimpleQueue()
        self._threads = ThreadPoolExecutor(workers)  # one thread waits for each process
        self._starting = threading.Lock()
        self._closed = False

    def __call__(self, texts: pl.Series) -> pl.Series:
        """Return the words of each text."""
        pieces = _pieces(texts, self.workers * PIECES)
        words: list[pl.Series] = []
        while pieces and self._seconds_here < START_AFTER:
            began = time.perf_counter()
            words.append(self._here(pieces.pop(0)))
            self._seconds_here += time.perf_counter() - began
        answers = [self._threads.submit(self._ask, piece) for piece in pieces]
        words += [_result(answer) for answer in answers]
        return pl.concat(words) if len(words) > 1 else words[0]

    def close(self) -> None:
        """Kill the processes."""
        with self._starting:
            self._closed = True
        for process in self.processes:
            with suppress(ProcessLookupError):  # it has already ended
                os.killpg(process.popen.pid, signal.SIGKILL)
        self._threads.shutdown(cancel_futures=True)
        for process in self.processes:
            process.popen.wait()
            process.pipe.close()

    def _ask(self, texts: pl.Series) -> pl.Series:
        """Have one process tokenise texts."""
        try:
            process = self._free.get_nowait()
        except Empty:
            process = self._start()
        try:
            process.pipe.send((self._arguments, texts))
            answer: pl.Series | InputError = process.pipe.recv()
        except (OSError, EOFError) as error:
            raise InputError(_ended(process.popen)) from error
        if isinstance(answer, InputError):
            raise answer
        self._free.put(process)
        return answer.rename(texts.name)

    def _start(self) -> _Process:
        environment = os.environ | {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
        with self._starting:
            if self._closed:
                raise InputError("the tokenizer is closed: use it within the block of tokenize_in_processes()")
            here, there = Pipe()
            with there:
                # In a separate session, so that only this process receives Ctrl-C; it then kills the others.
                # Anything that a library prints goes to standard error.
                popen = subprocess.Popen(
                    [sys.executable, "-P", "-m", "topicnet.text.tokens.multiprocess", str(there.fileno())],
                    stdin=subprocess.DEVNULL, stdout=2, pass_fds=[there.fileno()], env=environment,
                    start_new_session=True,
                )  # fmt: skip
            process = _Process(popen, here)
            self.processes.append(process)
        return process


def _pieces(texts: pl.Series, most: int) -> list[pl.Series]:
    """Split texts into at least one piece, in order, of about the same number of bytes."""
    ends = np.cumsum(texts.str.len_bytes().fill_null(0).to_numpy().astype(np.int64))
    n_bytes = int(ends[-1]) if len(ends) else 0
    n_pieces = max(1, min(most, n_bytes // MIN_BYTES))
    stops = np.searchsorted(ends, np.arange(1, n_pieces) * n_bytes // n_pieces, side="left") + 1
    marks = [0, *np.unique(stops).tolist(), len(texts)]
    return [texts[begin:end] for begin, end in pairwise(marks) if end > begin] or [texts]


def _result(answer: Future[pl.Series]) -> pl.Series:
    # Polars makes an interrupted wait resume, so wait in short steps to let Ctrl-C through.
    while not wait([answer], WAIT).done:
        pass
    return answer.result()


def _ended(process: subprocess.Popen[bytes]) -> str:
    """Return the error message for a process that has ended."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(WAIT)
    status = process.poll()
    how = "ended" if status is None else f"ended with status {status}"
    if status is not None and status < 0:
        how = f"was killed by {signal.Signals(-status).name}"
    hint = "; if memory is short, use fewer --workers" if status == -signal.SIGKILL else ""
    return f"one of the processes that tokenise the text {how}: try again{hint}"


_tokenizer = cache(choose_tokenizer)


def _answer(arguments: Arguments, texts: pl.Series) -> pl.Series | InputError:
    try:
        lang, kind, lemmatize, numbers, fold = arguments
        return _tokenizer(lang, kind, lemmatize, numbers, fold)(texts)
    except TopicnetError as error:
        return InputError(str(error))
    except (Exception, pl.exceptions.PanicException) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return InputError(f"the text could not be tokenised ({reason}): use one worker to see the full error")


def _serve(pipe: Connection) -> None:
    with pipe, suppress(EOFError, OSError):  # the calling process has ended
        while True:
            pipe.send(_answer(*pipe.recv()))


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))
