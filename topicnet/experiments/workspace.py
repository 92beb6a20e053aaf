"""Folder of an experiment, with the split corpus and the result of each fit, which is computed only once."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from topicnet._version import __version__
from topicnet.errors import CorpusError, InputError
from topicnet.experiments.folder import CELLS, clear, clear_tables, earlier_record, tables
from topicnet.experiments.job import ExperimentJob, default_name
from topicnet.experiments.worker import Cell, FailedCell, FittedCell, Workers, read_cell
from topicnet.runtime.reporter import Reporter
from topicnet.runtime.threads import thread_count
from topicnet.storage import atomic, formats
from topicnet.storage.ownership import file_checksum, listed
from topicnet.text.corpus import Corpus
from topicnet.text.reference import reference_over
from topicnet.text.status import OK
from topicnet.text.tokens.options import options_of
from topicnet.workflows.config import FitConfig
from topicnet.workflows.corpus import CorpusRequest, count_every_word, read_corpus, resolve_corpus
from topicnet.workflows.engine import check_size
from topicnet.workflows.scores import check_halves, halves

FORMAT = 1  # of compare.json and tune.json
HELD_OUT = 0.1  # fraction of the documents held out from every fit, unless a test corpus is given
MIN_HELD_OUT, MAX_HELD_OUT = 2, 20_000  # documents
HELD_OUT_SEED = 0
COLUMNS = (
    "npmi", "c_v", "topic_diversity", "inferred", "refined", "nmi", "stability", "seconds", "peak_memory_mb",
)  # fmt: skip


@dataclass(frozen=True)
class Workspace:
    """Folder of an experiment, with the split corpus, the result of each fit and the tables.

    ::

        train/ test/        counts of the documents of the fits, and of the held-out ones
        cells/NAME.json     scores of one fit, NAME.npy its topics
        NAME.json .csv .html
    """

    folder: Path

    def prepare(self, corpus: Corpus, test: Corpus | None, record: str) -> None:
        """Split the corpus and write both parts, after removing the files of an earlier experiment.

        Until both are written, the record names no corpus.
        """
        train, held_out = (corpus, test) if test is not None else split(corpus)
        check_halves(*halves(held_out.counts), str(held_out.source["name"]))
        with atomic.disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            clear(self.folder, record)
        self.write_record(record, {"status": "interrupted"})
        for name, part in (("train", train), ("test", held_out)):
            with atomic.atomic_folder(self.folder / name, overwrite=True) as staged, atomic.disk_errors(self.folder):
                part.save(staged)
        (self.folder / "cells").mkdir(exist_ok=True)

    def result(self, cell: Cell) -> FittedCell | None:
        """Return the result of an earlier call, or None if there is none or it failed."""
        path = self.folder / "cells" / f"{cell.name}.json"
        try:
            found = read_cell(path.read_text("utf-8"))
        except (OSError, ValueError, TypeError):
            return None
        return found if found.cell == cell and path.with_name(f"{cell.name}.npy").is_file() else None

    def run(self, cell: Cell, by: Workers, seconds: float | None = None) -> FittedCell | FailedCell | None:
        """Fit a cell and save its result; return None if it takes longer than `seconds`."""
        found = by.run(cell, seconds)
        if isinstance(found, FittedCell):
            self.write_json(f"cells/{cell.name}.json", found.json())
        return found

    def topics(self, cell: Cell) -> NDArray[np.float32]:
        """Read the topics (K, V) of a fitted cell."""
        found: NDArray[np.float32] = np.load(self.folder / "cells" / f"{cell.name}.npy", allow_pickle=False)
        return found

    def write_record(self, name: str, content: dict[str, Any]) -> None:
        """Write NAME.json with a checksum of its content."""
        self.write_json(f"{name}.json", formats.with_own_checksum(content))

    def write_results(self, name: str, content: dict[str, Any], csv: str, figure: str | None) -> None:
        """Write the table, the figure if there is one, and NAME.json, which lists their checksums and the cells'."""
        with ExitStack() as stack:
            parts = {}
            for file, text in zip(tables(name), (csv, figure), strict=True):
                if text is None:
                    continue
                part = stack.enter_context(atomic.atomic_file(self.folder / file, overwrite=True))
                with atomic.disk_errors(self.folder / file):
                    formats.write_text(part, text)
                parts[file] = file_checksum(part)
            cells = sorted(f"{CELLS}/{path.name}" for path in (self.folder / CELLS).iterdir() if path.is_file())
            # The record is written first, so that after a kill a table is missing rather than unlisted.
            self.write_record(name, content | {"files": parts | listed(self.folder, cells)})

    def write_json(self, name: str, content: Any) -> None:
        """Write a JSON file of the folder."""
        with atomic.atomic_file(self.folder / name, overwrite=True) as part:
            formats.write_json(part, content)


def split(corpus: Corpus) -> tuple[Corpus, Corpus]:
    """Hold out a random tenth of the documents with words, the same for every call.

    Raises
    ------
    InputError
        Too few documents contain known words.
    """
    filled = np.flatnonzero(corpus.status == OK)
    n_held = min(MAX_HELD_OUT, max(MIN_HELD_OUT, round(HELD_OUT * len(filled))))
    if len(filled) < 2 * MIN_HELD_OUT:
        raise InputError(
            f"{len(filled)} documents contain known words, expected {2 * MIN_HELD_OUT} or more, as some are held out:"
            " give more documents"
        )
    held = np.zeros(corpus.n_docs, dtype=bool)
    held[np.random.default_rng(HELD_OUT_SEED).permutation(filled)[:n_held]] = True
    name = corpus.source["name"]
    return corpus.take(np.flatnonzero(~held), name), corpus.take(np.flatnonzero(held), f"{name}, held-out part")


def read_parts(
    request: CorpusRequest, test: FitConfig | None, n_topics: int, reporter: Reporter | None = None
) -> tuple[Corpus, Corpus | None]:
    """Read the corpus, and count the test documents in its vocabulary."""
    corpus = read_corpus(request, reporter)
    check_size(corpus, n_topics)
    if test is None:
        return corpus, None
    given = count_every_word(resolve_corpus(test), lambda _: options_of(corpus.source["options"]), reporter)
    try:
        counts = reference_over(given, corpus.vocabulary)
    except CorpusError:
        raise InputError(
            f"none of the {given.n_docs} documents of {given.source['name']!r} holds a word of the corpus: give"
            " documents in the same language"
        ) from None
    tokens = counts.tokens[counts.tokens >= 0].astype(np.int32)
    tested = replace(given, counts=counts.counts, tokens=tokens, vocabulary=corpus.vocabulary)
    return corpus, tested


def fit_cells(
    space: Workspace, cells: Sequence[Cell], reporter: Reporter
) -> tuple[dict[str, FittedCell | FailedCell], bool]:
    """Fit the cells that have no result from an earlier call.

    After Ctrl-C, the finished ones are returned.

    Returns
    -------
    dict of str to FittedCell or FailedCell, bool
        The result of each cell, by its name, and whether all cells have one.
    """
    found: dict[str, FittedCell | FailedCell] = {}
    try:
        with closing(Workers(space.folder)) as by:
            for number, cell in enumerate(cells, 1):
                place = f"{number}/{len(cells)} {cell.model}, seed {cell.seed}"
                kept = space.result(cell)
                if kept is None:
                    reporter.notice(f"{place}: fitting")
                fitted = kept or space.run(cell, by)
                assert fitted is not None
                found[cell.name] = fitted
                reporter.notice(f"{place}: {fitted.line()}{' (kept)' if kept else ''}")
    except KeyboardInterrupt:
        return found, False
    return found, True


@dataclass(frozen=True)
class CorpusRecord:
    """Name, checksums and text options of the corpus of an experiment, which must be the same on resume.

    Attributes
    ----------
    name, sha256 : str
        Name and checksum of the corpus.
    text : dict
        Its text options.
    test : str, optional
        Checksum of the test documents; None if they are held out from the corpus.
    """

    name: str
    sha256: str
    text: dict[str, Any]
    test: str | None


@dataclass(frozen=True)
class Experiment:
    """Experiment with its corpus and prepared folder.

    Attributes
    ----------
    space : Workspace
        The folder.
    corpus : Corpus
        The whole corpus.
    about : CorpusRecord
        Its name, checksums and text options.
    topics : int or None
        Number of topics, K; None if the experiment tries several.
    """

    space: Workspace
    corpus: Corpus
    about: CorpusRecord
    topics: int | None

    def record(self) -> dict[str, Any]:
        """Return the first entries of NAME.json."""
        fixed = {"corpus": asdict(self.about)} | ({} if self.topics is None else {"topics": self.topics})
        return {
            "format": FORMAT,
            **fixed,
            "machine": {"cores": os.cpu_count(), "threads": thread_count(), "platform": platform.machine()},
            "versions": {"topicnet": __version__, "python": platform.python_version()},
        }


def begin(job: ExperimentJob, name: str, reporter: Reporter, topics: int | None, most_topics: int) -> Experiment:
    """Read the corpus and prepare the folder of an experiment, or check that the experiment can be resumed.

    Parameters
    ----------
    job : ExperimentJob
        The experiment.
    name : str
        Name of its record, NAME.json: "compare" or "tune".
    reporter : Reporter
        Receives the notices of reading.
    topics : int or None
        K of all fits, which must be the same on resume; None if the experiment tries several K.
    most_topics : int
        The largest K of the experiment.

    Returns
    -------
    Experiment
        The experiment, ready for its fits.

    Raises
    ------
    TopicnetError
        The folder or the corpus cannot be used, or the experiment to resume has another corpus.
    """
    request = resolve_corpus(job.config)
    out = job.destination.folder(default_name(request.source.name, name, topics))
    space, earlier = Workspace(out), earlier_record(out, name, job.destination)
    corpus, tested = read_parts(request, job.test, most_topics, reporter)
    source = corpus.source
    test = None if tested is None else tested.source["sha256"]
    begun = Experiment(space, corpus, CorpusRecord(source["name"], source["sha256"], source["options"], test), topics)
    if earlier is None:
        space.prepare(corpus, tested, name)
    elif earlier["corpus"] != asdict(begun.about) or topics not in (None, earlier.get("topics")):
        raise InputError(
            f"--resume given, but {str(out)!r} was made on another corpus, or with another -k or text options: give the"
            " same, or start over with --overwrite"
        )
    else:
        clear_tables(out, name)
    return begun
