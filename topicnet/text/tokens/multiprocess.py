"""Tokenise in several processes with loky, for tokenizers that keep one core busy.

The calling process reads, counts and infers. It gets the same words as from its own tokenizer, in the same order.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from itertools import pairwise
from multiprocessing import resource_tracker

import numpy as np
import polars as pl

from topicnet.errors import InputError, TopicnetError
from topicnet.text.tokens.options import TextOptions
from topicnet.text.tokens.tokenizer import Tokenizer, choose_tokenizer

MOST_WORKERS = 256
# These tokenise in one thread; polars finds letters and kiwi tokenises Korean on all cores already.
IN_ONE_THREAD = ("jieba-", "sudachi-", "spacy-")
WORTH_STARTING = 3.0  # seconds of tokenising before processes are started unasked: each takes one or two to start
PIECES = 4  # of a batch, for each process: the others wait for the last to end
LEAST_BYTES = 20_000  # of a piece
WAIT = 0.1  # seconds
ONE_THREAD = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}  # in the environment of each process
Arguments = tuple[str, str | None, bool, bool]  # of choose_tokenizer


def is_worth_multiprocessing(options: TextOptions) -> bool:
    """Return whether the tokenizer of these options would leave other cores idle."""
    return options.segmenter.name.startswith(IN_ONE_THREAD)


def check_workers(workers: int) -> None:
    """Raise InputError for an impossible number of processes."""
    whole = isinstance(workers, int | np.integer) and not isinstance(workers, bool)
    if not whole or not 1 <= workers <= MOST_WORKERS:
        raise InputError(f"workers={workers!r} given, expected a number of processes from 1 to {MOST_WORKERS}")


@contextmanager
def tokenize_in_processes(options: TextOptions, workers: int, *, at_once: bool = True) -> Iterator[TextOptions]:
    """Yield options that find the same words in several processes, which end with the block.

    Parameters
    ----------
    options : TextOptions
    workers : int
        Most processes to tokenise in; with 1, or where `is_worth_multiprocessing` is false, this process alone.
    at_once : bool
        Start them with the first text; otherwise once this process has been tokenising for 3 seconds.

    Raises
    ------
    InputError
        An impossible number of processes; while tokenising, a process that was ended from outside.
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


class MultiprocessTokenizer:
    """The tokenizer of some options in a pool of processes; `tokenize_in_processes` explains the parameters."""

    def __init__(self, options: TextOptions, workers: int, at_once: bool) -> None:
        self._here = options.segmenter
        self._arguments: Arguments = (
            options.lang, options.tokenizer, options.lemmatize, options.cleaning.keep_numbers,
        )  # fmt: skip
        self._seconds_here = WORTH_STARTING if at_once else 0.0
        self._most = workers
        self._workers = 0
        self._pool: Executor | None = None

    def __call__(self, texts: pl.Series) -> pl.Series:
        """Return the words of each text."""
        pieces = _pieces(texts, self._most * PIECES)
        words: list[pl.Series] = []
        while pieces and self._seconds_here < WORTH_STARTING:
            began = time.perf_counter()
            words.append(self._here(pieces.pop(0)))
            self._seconds_here += time.perf_counter() - began
        try:
            words += [_result(answer).rename(texts.name) for answer in self._submit(pieces)]
        except BrokenProcessPool as error:
            raise InputError(_ended(str(error))) from error
        return pl.concat(words) if len(words) > 1 else words[0]

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        if self._pool is not None:
            self._pool.shutdown(kill_workers=True)  # type: ignore[call-arg]

    def _submit(self, pieces: list[pl.Series]) -> list[Future[pl.Series]]:
        if not pieces:
            return []
        if min(self._most, len(pieces)) > self._workers:
            self._start(self._most if self._workers else min(self._most, len(pieces)))
        assert self._pool is not None
        # Ctrl-C is for this process, which then ends the others: they begin with the signal blocked.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return [self._pool.submit(_tokenize, self._arguments, piece) for piece in pieces]
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _start(self, workers: int) -> None:
        from joblib.externals.loky import ProcessPoolExecutor

        self.close()
        resource_tracker.ensure_running()  # it would unblock the signal
        self._workers = workers
        self._pool = ProcessPoolExecutor(workers, initializer=_begin, initargs=(os.getpid(),), env=ONE_THREAD)


def _pieces(texts: pl.Series, most: int) -> list[pl.Series]:
    """Cut texts into pieces of about as many bytes, in order; at least one piece."""
    ends = np.cumsum(texts.str.len_bytes().fill_null(0).to_numpy().astype(np.int64))
    n_bytes = int(ends[-1]) if len(ends) else 0
    n_pieces = max(1, min(most, n_bytes // LEAST_BYTES))
    stops = np.searchsorted(ends, np.arange(1, n_pieces) * n_bytes // n_pieces, side="left") + 1
    marks = [0, *np.unique(stops).tolist(), len(texts)]
    return [texts[begin:end] for begin, end in pairwise(marks) if end > begin] or [texts]


def _result(answer: Future[pl.Series]) -> pl.Series:
    # Polars has interrupted waits resumed: many short ones let Ctrl-C through.
    while not wait([answer], WAIT).done:
        pass
    return answer.result()


def _ended(reason: str) -> str:
    """Describe the end of a process, from the exit codes in the message of loky."""
    name = re.search(r"\bSIG[A-Z0-9]+", reason)
    status = re.search(r"\bEXIT\((\d+)\)", reason)
    how = f"was ended from outside by {name[0]}" if name else f"ended with status {status[1]}" if status else "ended"
    hint = "; where memory is short, fewer --workers need less" if name and name[0] == "SIGKILL" else ""
    return f"one of the processes that cut the text into words {how}: start again{hint}"


def _begin(parent: int) -> None:
    """Prepare a process of the pool."""
    os.setsid()  # out of reach of the terminal's signals
    os.dup2(2, 1)  # standard output is for results alone
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


_tokenizer = cache(choose_tokenizer)


def _tokenize(arguments: Arguments, texts: pl.Series) -> pl.Series:
    """Tokenise in a process of the pool."""
    try:
        return _tokenizer(*arguments)(texts)
    except TopicnetError:
        raise
    except (Exception, pl.exceptions.PanicException) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(
            f"the text could not be cut into words ({reason}): with one worker the whole of what is wrong is shown"
        ) from None
