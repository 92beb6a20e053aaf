"""A process that fits and scores models on request, each in a fork of its own: so that peak memory is one model's.

Run as ``python -m topicnet.experiments.worker``; a request is a line of JSON on standard input, the answer a
line on standard output. Importing what a fit needs takes seconds, and is done once.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from topicnet.errors import TopicnetError

WAIT = 0.1  # seconds


@dataclass(frozen=True)
class Cell:
    """One model to fit on the corpus of an experiment, and to score.

    Attributes
    ----------
    model : str
        A name in `MODELS` or `BASELINES`.
    n_topics, seed : int
    parameters : dict
        Further parameters of the model.
    """

    model: str
    n_topics: int
    seed: int
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What its files are called."""
        epochs = self.parameters.get("max_epochs")
        return f"{self.model}-{self.n_topics}-{self.seed}" + (f"-{epochs}" if epochs else "")


class Workers:
    """The process that cells are sent to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = self._start()
        self.reader = threading.Thread()

    def _start(self) -> subprocess.Popen[str]:
        self.ready = self.ended = False
        # A session of its own: Ctrl-C is for the parent, which then ends this.
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "topicnet.experiments.worker", str(self.folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def run(self, cell: Cell, seconds: float | None = None) -> dict[str, Any] | None:
        """Fit and score a cell; the answer has "error" when that failed, and is None when the time was over before."""
        self.wait()
        lines: list[str] = []
        self.reader = threading.Thread(target=lambda: lines.append(self._ask(cell)), daemon=True)
        self.reader.start()
        self._join(seconds)
        if self.reader.is_alive():
            self.end()
            return None
        if not lines[0]:
            self.end()
            return {"error": "the process that fits was ended from outside"}
        try:
            answer: dict[str, Any] = json.loads(lines[0])
        except ValueError:
            answer = {"error": f"the process that fits said {lines[0].strip()[:80]!r}, no answer"}
        return answer

    def wait(self) -> None:
        """Wait until it has imported what a fit needs: seconds that are no fit's. One that was ended begins anew."""
        if self.ended:
            self.process = self._start()
        assert self.process.stdout is not None
        if not self.ready:
            self.reader = threading.Thread(target=self.process.stdout.readline, daemon=True)
            self.reader.start()
            self._join(None)
            self.ready = True

    def _join(self, seconds: float | None) -> None:
        """Wait for the reader, so long at most."""
        until = math.inf if seconds is None else time.monotonic() + seconds
        while self.reader.is_alive() and time.monotonic() < until:
            # Under polars a wait is not ended by Ctrl-C, only taken up again: many short ones let it through.
            self.reader.join(min(WAIT, max(0.0, until - time.monotonic())))

    def _ask(self, cell: Cell) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(asdict(cell)) + "\n")
            self.process.stdin.flush()
            return self.process.stdout.readline()
        except (BrokenPipeError, ValueError):
            return ""

    def end(self) -> None:
        """End the process and whatever it is fitting."""
        if self.ended:
            return
        self.ended = True
        with contextlib.suppress(ProcessLookupError):  # nobody is left of it
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.reader.is_alive():  # Ctrl-C while it waited: there is nothing more to read
            self.reader.join()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()


@contextmanager
def workers(folder: Path) -> Iterator[Workers]:
    """Yield a worker on the corpus of a folder; it ends with the block."""
    started = Workers(folder)
    try:
        yield started
    finally:
        started.end()


def fit_cell(folder: Path, cell: Cell) -> dict[str, Any]:
    """Fit a cell to ``folder/train``, score it there and on ``folder/test``, and keep its topics in ``folder/cells``.

    Returns
    -------
    dict
        The cell, its scores, seconds of the fit, peak memory, verdict.
    """
    import numpy as np

    from topicnet.experiments.baselines import BASELINES
    from topicnet.models import MODELS, TopicModel
    from topicnet.runtime.memory import peak_memory_bytes
    from topicnet.storage import atomic
    from topicnet.text.corpus import Corpus
    from topicnet.text.reference import reference_over
    from topicnet.workflows.scores import any_label, completion_scores, halves, label_scores, topic_scores

    train, test = (Corpus.load(folder / name) for name in ("train", "test"))
    model: Any
    if cell.model in MODELS:
        model = MODELS[cell.model](cell.n_topics, random_state=cell.seed, **cell.parameters)
    else:
        model = BASELINES[cell.model](cell.n_topics, random_state=cell.seed)
    began = time.perf_counter()
    model.fit(train.counts)
    seconds = time.perf_counter() - began
    memory = peak_memory_bytes()
    scores = topic_scores(model.components_, reference_over(train, train.vocabulary))
    scores["perplexity"] = completion_scores(model, train.counts, *halves(test.counts))
    labels = train.metadata["label"].to_list() if "label" in train.metadata.columns else []
    if any_label(train.counts, labels):
        given = (model.transform(train.counts), train.counts, labels)
        scores["labels"] = label_scores(given, None, classify=False)
    with atomic.atomic_file(folder / "cells" / f"{cell.name}.npy", overwrite=True) as part, part.open("wb") as handle:
        np.save(handle, np.asarray(model.components_, dtype=np.float32), allow_pickle=False)
    neural = isinstance(model, TopicModel)
    return {
        **asdict(cell),
        "seconds": seconds,
        "peak_memory_bytes": memory,
        "verdict": model.health_.line() if neural else None,
        "fit_for_use": model.health_.fit_for_use if neural else None,
        "epochs": len(model.history_) if neural else None,
        "scores": scores,
    }


def _answer(folder: Path, request: str) -> str:
    from topicnet.storage.formats import json_text

    try:
        answer = fit_cell(folder, Cell(**json.loads(request)))
    except TopicnetError as error:
        answer = {"error": str(error)}
    except Exception as error:
        traceback.print_exc()
        answer = {"error": f"{type(error).__name__}: {error}"}
    return json.dumps(json.loads(json_text(answer)), ensure_ascii=False)


def _serve(folder: Path) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer

    from topicnet.experiments import baselines  # noqa: F401 - imported once, for every fork
    from topicnet.workflows import record  # noqa: F401

    answers.write("ready\n")
    answers.flush()
    for request in sys.stdin:
        child = os.fork() if hasattr(os, "fork") else -1
        if child <= 0:
            status = 1
            try:
                answers.write(_answer(folder, request) + "\n")
                answers.flush()
                status = 0
            finally:
                if child == 0:
                    os._exit(status)
            continue
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status:
            how = "ran out of memory or was killed" if status == -signal.SIGKILL else f"ended with status {status}"
            answers.write(json.dumps({"error": f"the process that fitted it {how}"}) + "\n")
            answers.flush()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
