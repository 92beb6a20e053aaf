"""The folder of an experiment: the corpus cut once, and what every fit gave, so that nothing is fitted twice."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from topicnet._version import __version__
from topicnet.errors import BundleError, CorpusError, InputError, OutputError
from topicnet.experiments.worker import Cell, Workers, workers
from topicnet.runtime.reporter import Reporter, silent
from topicnet.runtime.threads import thread_count
from topicnet.storage import atomic, formats
from topicnet.text.corpus import OK, Corpus
from topicnet.text.reference import reference_over
from topicnet.text.tokens.options import options_of
from topicnet.workflows.config import FitConfig
from topicnet.workflows.corpus import count_every_word, read_corpus, resolve_corpus
from topicnet.workflows.engine import check_size
from topicnet.workflows.scores import check_halves, halves, values_of

FORMAT = 1  # of compare.json and tune.json
HELD_OUT = 0.1  # share of the documents that no model sees, unless a test corpus is given
LEAST_HELD_OUT, MOST_HELD_OUT = 2, 20_000
HELD_OUT_SEED = 0
COLUMNS = (
    "npmi", "c_v", "topic_diversity", "inferred", "refined", "nmi", "stability", "seconds", "peak_memory_mb",
)  # fmt: skip


class Workspace:
    """The folder of an experiment: the corpus, cut once; what each fit gave; the tables.

    ::

        train/ test/        counts, as `COUNTS/` of the design
        cells/NAME.json     scores of one fit, NAME.npy its topics
        NAME.json .csv .html
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self, corpus: Corpus, test: Corpus | None, record: str) -> None:
        """Cut the corpus and write both parts, whole; what an earlier experiment left is removed first.

        Until that is done, the record says nothing of a corpus.
        """
        train, held_out = (corpus, test) if test is not None else split(corpus)
        check_halves(*halves(held_out.counts), str(held_out.source["name"]))
        with atomic.disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self.write_json(f"{record}.json", {"status": "interrupted"})
        shutil.rmtree(self.folder / "cells", ignore_errors=True)
        for name, part in (("train", train), ("test", held_out)):
            with atomic.atomic_folder(self.folder / name, overwrite=True) as staged, atomic.disk_errors(self.folder):
                part.save(staged)
        (self.folder / "cells").mkdir(exist_ok=True)

    def result(self, cell: Cell) -> dict[str, Any] | None:
        """What an earlier call found, or None; a failure is tried again."""
        path = self.folder / "cells" / f"{cell.name}.json"
        try:
            found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            return None
        same = all(found.get(name) == value for name, value in asdict(cell).items())
        return found if same and (self.folder / "cells" / f"{cell.name}.npy").is_file() else None

    def run(self, cell: Cell, by: Workers, seconds: float | None = None) -> dict[str, Any] | None:
        """Fit a cell and keep what it gave; None when the time was over before."""
        found = by.run(cell, seconds)
        if found is None or "error" in found:
            return None if found is None else asdict(cell) | found
        self.write_json(f"cells/{cell.name}.json", found)
        return found

    def topics(self, cell: Cell) -> NDArray[np.float32]:
        """The topics (K, V) of a cell that was fitted."""
        found: NDArray[np.float32] = np.load(self.folder / "cells" / f"{cell.name}.npy", allow_pickle=False)
        return found

    def write_json(self, name: str, content: Any) -> None:
        """Write one of the folder's JSON files, whole."""
        with atomic.atomic_file(self.folder / name, overwrite=True) as part:
            formats.write_json(part, content)


def split(corpus: Corpus) -> tuple[Corpus, Corpus]:
    """Keep a tenth of the documents with words apart, at random, always the same ones.

    Raises
    ------
    InputError
        Too few documents hold words.
    """
    filled = np.flatnonzero(corpus.status == OK)
    n_held = min(MOST_HELD_OUT, max(LEAST_HELD_OUT, round(HELD_OUT * len(filled))))
    if len(filled) < 2 * LEAST_HELD_OUT:
        raise InputError(
            f"{len(filled)} documents hold known words, expected {2 * LEAST_HELD_OUT} or more: some are kept apart"
        )
    held = np.zeros(corpus.n_docs, dtype=bool)
    held[np.random.default_rng(HELD_OUT_SEED).permutation(filled)[:n_held]] = True
    name = corpus.source["name"]
    return corpus.take(np.flatnonzero(~held), name), corpus.take(np.flatnonzero(held), f"{name}, a part kept apart")


def open_workspace(out: Path, name: str, *, overwrite: bool, resume: bool) -> tuple[Workspace, dict[str, Any] | None]:
    """Name the folder of an experiment, or open it to go on; nothing is written or removed yet.

    Returns
    -------
    Workspace, dict or None
        What NAME.json of the folder holds, where an experiment goes on with what it prepared.

    Raises
    ------
    OutputError
        It exists and neither `overwrite` nor `resume` was given.
    InputError
        There is nothing to resume.
    """
    record = out / f"{name}.json"
    if resume:
        if not record.is_file():
            raise InputError(f"--resume given, but there is no {name}.json in {str(out)!r}: leave --resume out")
        try:
            earlier = json.loads(record.read_text("utf-8"))
        except ValueError:
            earlier = None
        if not isinstance(earlier, dict) or "status" not in earlier:
            raise BundleError(f"{str(record)!r} is damaged: begin anew with --overwrite")
        return Workspace(out), earlier if "corpus" in earlier else None  # without one it was cut short at its start
    if out.exists() and any(out.iterdir()):
        if not overwrite:
            raise OutputError(
                f"{str(out)!r} exists already: name another folder with --out, go on with --resume, or replace it with"
                " --overwrite"
            )
        if not record.is_file():
            raise OutputError(f"{str(out)!r} holds no {name}.json and will not be overwritten: name another with --out")
    return Workspace(out), None


def read_parts(
    config: FitConfig, test: FitConfig | None, n_topics: int, on_notice: Callable[[str], None] = silent
) -> tuple[Corpus, Corpus | None]:
    """Read the corpus, and test documents in its words."""
    corpus = read_corpus(resolve_corpus(config), Reporter(on_notice))
    check_size(corpus, n_topics)
    if test is None:
        return corpus, None
    given = count_every_word(resolve_corpus(test), lambda _: options_of(corpus.source["options"]), Reporter(on_notice))
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
    space: Workspace, cells: Sequence[Cell], on_notice: Callable[[str], None]
) -> tuple[dict[str, dict[str, Any]], bool]:
    """Fit the cells that earlier calls have not; after Ctrl-C, those that were finished.

    Returns
    -------
    dict of str to dict, bool
        What each cell gave, by its name, and whether all are there.
    """
    found: dict[str, dict[str, Any]] = {}
    try:
        with workers(space.folder) as by:
            for number, cell in enumerate(cells, 1):
                place = f"{number}/{len(cells)} {cell.model}, seed {cell.seed}"
                kept = space.result(cell)
                if kept is None:
                    on_notice(f"{place}: fitting")
                fitted = kept or space.run(cell, by)
                assert fitted is not None
                found[cell.name] = fitted
                on_notice(f"{place}: {told(fitted)}{' (kept)' if kept else ''}")
    except KeyboardInterrupt:
        return found, False
    return found, True


def values_of_cell(cell: dict[str, Any]) -> dict[str, float | None]:
    """The numbers of a fit that tables show: None for an infinite one, no entry for what it does not have."""
    scores = cell["scores"]
    values: dict[str, float | None] = {**values_of(scores["coherence"]), **values_of(scores["diversity"])}
    values |= values_of(scores["perplexity"]["scores"])
    if "labels" in scores:
        values["nmi"] = scores["labels"]["scores"]["nmi"]["value"]
    values["seconds"] = cell["seconds"]
    values["peak_memory_mb"] = cell["peak_memory_bytes"] / 2**20
    return {name: values[name] for name in COLUMNS if name in values}


def told(cell: dict[str, Any]) -> str:
    """One line about a fit."""
    if "error" in cell:
        return f"failed: {cell['error']}"
    values = values_of_cell(cell)
    best = values["refined" if "refined" in values else "inferred"]
    parts = [
        f"NPMI {values['npmi']:.3f}" if "npmi" in values else "NPMI undefined",
        f"diversity {values['topic_diversity']:.2f}",
        "perplexity infinite" if best is None else f"perplexity {best:,.0f}",
        f"{cell['seconds']:.1f} s",
    ]
    return ", ".join(parts)


def about_machine() -> dict[str, Any]:
    """Where an experiment ran, for its record."""
    return {
        "machine": {"cores": os.cpu_count(), "threads": thread_count(), "platform": platform.machine()},
        "versions": {"topicnet": __version__, "python": platform.python_version()},
    }


def begin(
    out: Path,
    name: str,
    config: FitConfig,
    test: FitConfig | None,
    *,
    overwrite: bool,
    resume: bool,
    n_topics: int | None = None,
    same: dict[str, Any] | None = None,
    on_notice: Callable[[str], None] = silent,
) -> tuple[Workspace, Corpus, dict[str, Any]]:
    """Read the corpus and prepare the folder of an experiment, or check that it is the one that goes on.

    Parameters
    ----------
    n_topics : int, optional
        The most topics that will be fitted; by default K of the configuration.
    same : dict, optional
        Entries of the record, beside the corpus, that must not have changed.

    Returns
    -------
    Workspace, Corpus, dict
        The corpus as it was read, and the beginning of the record.

    Raises
    ------
    TopicnetError
        The folder or the corpus cannot be used, or it is another one.
    """
    space, earlier = open_workspace(out, name, overwrite=overwrite, resume=resume)
    corpus, tested = read_parts(config, test, n_topics or config.topics, on_notice)
    about = {
        "name": corpus.source["name"],
        "sha256": corpus.source["sha256"],
        "text": corpus.source["options"],
        "test": None if tested is None else tested.source["sha256"],
    }
    fixed = {"corpus": about} | (same or {})
    if earlier is not None and any(earlier.get(entry) != value for entry, value in fixed.items()):
        raise InputError(
            f"--resume given, but {str(out)!r} was made on another corpus, or with another -k or text options: give the"
            " same, or begin anew with --overwrite"
        )
    if earlier is None:
        space.prepare(corpus, tested, name)
    return space, corpus, {"format": FORMAT} | fixed | about_machine()
