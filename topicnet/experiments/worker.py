"""Worker process of an experiment: fits and scores each model in a separate fork, so that peak memory is per fit.

Run as ``python -m topicnet.experiments.worker FOLDER``; a request is a line of JSON on standard input, its answer a
line on standard output. The imports of a fit take seconds and are done once.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import asdict, dataclass, field
from multiprocessing import connection
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from topicnet.errors import TopicnetError
from topicnet.runtime.allocator import keep_freed_memory
from topicnet.runtime.memory import peak_memory_bytes
from topicnet.storage import atomic
from topicnet.storage.formats import json_text
from topicnet.text.corpus import Corpus
from topicnet.text.reference import reference_over
from topicnet.workflows.scores import (
    Completion,
    LabelScores,
    Score,
    TopicScores,
    any_label,
    completion_scores,
    halves,
    label_scores,
    topic_scores,
    values_of,
)

WAIT = 0.1  # seconds between checks for an answer


@dataclass(frozen=True)
class Cell:
    """One fit (trial) of an experiment: a model, its number of topics and its seed.

    Attributes
    ----------
    model : str
        A name in `MODELS` or `BASELINES`.
    n_topics : int
        Number of topics, K.
    seed : int
        Seed of the fit.
    parameters : dict
        Further parameters of the model.
    """

    model: str
    n_topics: int
    seed: int
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of its files, without the ending."""
        epochs = self.parameters.get("max_epochs")
        return f"{self.model}-{self.n_topics}-{self.seed}" + (f"-{epochs}" if epochs else "")


@dataclass(frozen=True, kw_only=True)
class CellScores(TopicScores):
    """Scores of a fit on its own documents and on held-out ones.

    Attributes
    ----------
    reference : ReferenceSummary
        The documents of the fit.
    coherence, diversity : dict of str to Score
        Scores of the topics on the documents of the fit, by name.
    perplexity : Completion
        Perplexity of the held-out documents.
    labels : LabelScores, optional
        Agreement with the labels of the documents of the fit; None if no document has a label.
    """

    perplexity: Completion
    labels: LabelScores | None = None


@dataclass(frozen=True, kw_only=True)
class FittedCell:
    """Successful fit and its scores.

    Attributes
    ----------
    cell : Cell
        The fit.
    seconds : float
        Time of the fit, without imports.
    peak_memory_bytes : int
        Peak memory of the process of the fit.
    verdict : str, optional
        The health report in one line; None for a baseline, like the two below.
    fit_for_use : bool, optional
        True if the health report finds the model fit for use.
    epochs : int, optional
        Number of epochs.
    scores : CellScores
        The scores.
    """

    cell: Cell
    seconds: float
    peak_memory_bytes: int
    verdict: str | None
    fit_for_use: bool | None
    epochs: int | None
    scores: CellScores

    @property
    def values(self) -> dict[str, float | None]:
        """Scores, seconds and memory by name, as in the tables.

        Infinite scores are None; missing scores are left out.
        """
        found = self.scores
        labels = {} if found.labels is None else found.labels.scores
        values = values_of(found.coherence | found.diversity | found.perplexity.scores | labels)
        values |= {"seconds": self.seconds, "peak_memory_mb": self.peak_memory_bytes / 2**20}
        return {name: value if math.isfinite(value) else None for name, value in values.items()}

    @property
    def predicted(self) -> Score:
        """Perplexity of held-out halves, with refined theta if the model supports it."""
        scores = self.scores.perplexity.scores
        return scores.get("refined", scores["inferred"])

    def json(self) -> dict[str, Any]:
        """Return the contents of ``cells/NAME.json``."""
        return asdict(self.cell) | {name: value for name, value in vars(self).items() if name != "cell"}

    def line(self) -> str:
        """Describe the scores in one line."""
        coherence, best = self.scores.coherence, self.predicted.value
        parts = [
            f"NPMI {coherence['npmi'].value:.3f}" if coherence else "NPMI undefined",
            f"diversity {self.scores.diversity['topic_diversity'].value:.2f}",
            f"perplexity {best:,.0f}" if math.isfinite(best) else "perplexity infinite",
            f"{self.seconds:.1f} s",
        ]
        return ", ".join(parts)


@dataclass(frozen=True)
class FailedCell:
    """Fit that failed.

    Attributes
    ----------
    cell : Cell
        The fit.
    error : str
        The error message.
    """

    cell: Cell
    error: str

    def json(self) -> dict[str, Any]:
        """Return its entry in the record of an experiment."""
        return asdict(self.cell) | {"error": self.error}

    def line(self) -> str:
        """Describe the failure in one line."""
        return f"failed: {self.error}"


def read_cell(text: str) -> FittedCell:
    """Parse the text of ``cells/NAME.json``.

    Raises
    ------
    ValueError, TypeError
        The text is not the result of a fit.
    """
    entries = json.loads(text, object_hook=_with_infinities)
    return TypeAdapter(FittedCell).validate_python(entries | {"cell": entries})


def _with_infinities(entries: dict[str, Any]) -> dict[str, Any]:
    """Replace null in a score by infinity or NaN, which JSON lacks."""
    if "convention" not in entries:
        return entries
    null = math.inf if entries.get("infinite") else math.nan
    read: dict[str, Any] = {name: null if value is None else value for name, value in entries.items()}
    if "per_topic" in read:
        read["per_topic"] = [null if value is None else value for value in read["per_topic"]]
    return read


class Workers:
    """Client of the worker process: starts it, sends it cells and reads their results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        self.ready = self.ended = False
        # A separate session, so that Ctrl-C reaches only the parent, which then ends this process.
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "topicnet.experiments.worker", str(self.folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def run(self, cell: Cell, seconds: float | None = None) -> FittedCell | FailedCell | None:
        """Fit and score a cell; return None if it takes longer than `seconds`."""
        self.wait()
        assert self.process.stdin is not None
        answer: str | None = ""
        with contextlib.suppress(BrokenPipeError, ValueError):
            self.process.stdin.write(json.dumps(asdict(cell)) + "\n")
            self.process.stdin.flush()
            answer = self._line(seconds)
        if answer:
            return read_answer(cell, answer)
        self.close()
        return None if answer is None else FailedCell(cell, "the worker process was killed")

    def wait(self) -> None:
        """Wait until the worker has done its imports, so that no fit is timed with them.

        A worker that has ended is restarted.
        """
        if self.ended:
            self.process = self._start()
        if not self.ready:
            self._line(None)
            self.ready = True

    def _line(self, seconds: float | None) -> str | None:
        """Return the next line of the worker: "" if it has ended, None if the time runs out first."""
        stdout = self.process.stdout
        assert stdout is not None
        until = math.inf if seconds is None else time.monotonic() + seconds
        # With polars loaded, Ctrl-C does not end a wait, which is resumed instead; short waits let it through.
        while (left := until - time.monotonic()) > 0:
            if connection.wait([stdout.fileno()], min(WAIT, left)):
                return stdout.readline()
        return None

    def close(self) -> None:
        """End the worker and any fit it is running."""
        if self.ended:
            return
        self.ended = True
        # The process may have ended already, and with it the reader of the last request.
        with contextlib.suppress(ProcessLookupError, BrokenPipeError), self.process:
            os.killpg(self.process.pid, signal.SIGKILL)


def read_answer(cell: Cell, line: str) -> FittedCell | FailedCell:
    """Parse the worker's reply for a cell."""
    try:
        answer = json.loads(line)
    except ValueError:
        return FailedCell(cell, f"the worker process answered {line.strip()[:80]!r}, expected JSON")
    return FailedCell(cell, answer["error"]) if "error" in answer else read_cell(line)


def fit_cell(folder: Path, cell: Cell) -> FittedCell:
    """Fit a cell to ``folder/train``, score it there and on ``folder/test``, and save its topics."""
    from topicnet.experiments.baselines import BASELINES
    from topicnet.models import MODELS, TopicModel
    from topicnet.workflows.engine import largest_array

    train, test = (Corpus.load(folder / name) for name in ("train", "test"))
    kind: Any = MODELS[cell.model] if cell.model in MODELS else BASELINES[cell.model]
    model = kind(cell.n_topics, random_state=cell.seed, **cell.parameters)
    neural = isinstance(model, TopicModel)
    began = time.perf_counter()
    with keep_freed_memory(largest_array(model, train.vocab_size) if neural else 0):
        model.fit(train.counts)
    seconds = time.perf_counter() - began
    memory = peak_memory_bytes()
    found = topic_scores(model.components_, reference_over(train, train.vocabulary))
    completion = completion_scores(model, train.counts, *halves(test.counts))
    labels = train.metadata["label"].to_list() if "label" in train.metadata.columns else []
    judged = None
    if any_label(train.counts, labels):
        judged = label_scores((model.transform(train.counts), train.counts, labels), None, classify=False)
    with atomic.atomic_file(folder / "cells" / f"{cell.name}.npy", overwrite=True) as part, part.open("wb") as handle:
        np.save(handle, np.asarray(model.components_, dtype=np.float32), allow_pickle=False)
    return FittedCell(
        cell=cell,
        seconds=seconds,
        peak_memory_bytes=memory,
        verdict=model.health_.line() if neural else None,
        fit_for_use=model.health_.fit_for_use if neural else None,
        epochs=len(model.history_) if neural else None,
        scores=CellScores(**vars(found), perplexity=completion, labels=judged),
    )


def _answer(folder: Path, request: str) -> str:
    try:
        answer = fit_cell(folder, Cell(**json.loads(request))).json()
    except TopicnetError as error:
        answer = {"error": str(error)}
    except Exception as error:
        traceback.print_exc()
        answer = {"error": f"{type(error).__name__}: {error}"}
    return json.dumps(json.loads(json_text(answer)), ensure_ascii=False)


def _serve(folder: Path) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of libraries goes to stderr, apart from the answers

    from topicnet.experiments import baselines  # noqa: F401 - imported once, for every fork
    from topicnet.models import MODELS
    from topicnet.text import corpus, reference  # noqa: F401

    list(MODELS.values())  # imports every model

    answers.write("ready\n")
    answers.flush()
    for request in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                answers.write(_answer(folder, request) + "\n")
                answers.flush()
                status = 0
            finally:
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status:
            how = "ran out of memory or was killed" if status == -signal.SIGKILL else f"ended with status {status}"
            answers.write(json.dumps({"error": f"the process of the fit {how}"}) + "\n")
            answers.flush()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
