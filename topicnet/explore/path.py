"""Path between two documents: the mixtures, words and real documents met along the geodesic between them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy.optimize import linear_sum_assignment

from topicnet.errors import InputError
from topicnet.explore.distances import NEGLIGIBLE, geodesic_length
from topicnet.explore.documents import DocumentTable, documents_of
from topicnet.explore.geodesics import SEGMENTS, TopicGeodesic, direct_distances, geodesic
from topicnet.explore.neighbours import largest_shares
from topicnet.explore.words import Array, WordModel, arc, word_model
from topicnet.storage.atomic import probe_file
from topicnet.storage.overlap import check_apart
from topicnet.workflows.frames import frame_like
from topicnet.workflows.run import Run
from topicnet.workflows.tables import write_table

LEAST_STEPS, MOST_STEPS = 3, 200
ENDINGS = (".csv", ".parquet")
WORDS = 8  # words of a step


@dataclass(frozen=True)
class PathStep:
    """Point of a path, with the words and the document met there.

    Parameters
    ----------
    step : int
        0 at the first document.
    at : float
        Fraction of the path's length up to here, from 0 to 1.
    topics : list of (int, float)
        Largest topics of the mixture with their shares.
    words : list of str
        Words whose probability is high relative to the corpus and to the steps before and after; each word is listed
        at one step.
    row : int, optional
        Row of the document nearest to the point, at most once on the path; None if the run has too few documents.
    doc_id : str, optional
        Id of that document.
    distance : float, optional
        Geodesic distance of the document from the point.
    text : str
        Beginning of the document's text.

    Examples
    --------
    >>> import topicnet
    >>> texts = ["cat dog", "bread butter", "cat bread", "dog butter"] * 3
    >>> run = topicnet.fit(texts, n_topics=2, min_df=1, init="random", max_epochs=1)
    >>> run.path(0, 1, steps=3).steps[0].text
    'cat dog'
    """

    step: int
    at: float
    topics: list[tuple[int, float]]
    words: list[str]
    row: int | None
    doc_id: str | None
    distance: float | None
    text: str


@dataclass(frozen=True, eq=False, repr=False)
class DocumentPath:
    """Shortest path between two documents under the Fisher-Rao metric of a model's words.

    `topicnet.Run.path` returns it.

    Parameters
    ----------
    steps : list of PathStep
        Points at equal distances, from the first document to the second.
    theta : ndarray of shape (n_steps, n_topics)
        Topic proportions of the points.
    length : float
        Length of the path, at most 0.1 % above the distance of the documents for a mixture of topics.
    lower : float
        Lower bound of the distance.
    straight : float
        Length of the straight line between the topic proportions.
    direct : float
        Distance on the simplex of all word distributions, 2 arccos(sum sqrt(p q)), at most the distance.
    converged : bool
        Whether the solver met its tolerance.
    library : str, default="pandas"
        Library of the table: "pandas", "polars" or "pyarrow".

    Examples
    --------
    >>> import topicnet
    >>> texts = ["cat dog", "bread butter", "cat bread", "dog butter"] * 3
    >>> run = topicnet.fit(texts, n_topics=2, min_df=1, init="random", max_epochs=1)
    >>> len(run.path(0, 1, steps=3).steps)
    3
    """

    steps: list[PathStep]
    theta: Array
    length: float
    lower: float
    straight: float
    direct: float
    converged: bool
    library: str = "pandas"

    def __repr__(self) -> str:
        first, last = self.steps[0].doc_id, self.steps[-1].doc_id
        return f"DocumentPath({first!r} to {last!r}: {len(self.steps)} steps, length {self.length:.3f})"

    def table(self) -> Any:
        """Return the steps as a table.

        Returns
        -------
        pandas.DataFrame, polars.DataFrame or pyarrow.Table
            One row per step with the columns "step", "at", "doc_id", "row", "distance", "topics", "words" and "text".
            In the library of the table or column of the fit, by default pandas.

        Examples
        --------
        >>> import topicnet
        >>> texts = ["cat dog", "bread butter", "cat bread", "dog butter"] * 3
        >>> run = topicnet.fit(texts, n_topics=2, min_df=1, init="random", max_epochs=1)
        >>> run.path(0, 1, steps=3).table()["step"].to_list()
        [0, 1, 2]
        """
        return frame_like(path_table(self), self.library)


def path(run: Run, a: str | int, b: str | int, steps: int = 7, library: str = "pandas") -> DocumentPath:
    """Find the path between two documents; see `topicnet.Run.path`."""
    check_steps(steps)
    documents = documents_of(run)
    rows = documents.row_of(a), documents.row_of(b)
    if rows[0] == rows[1]:
        raise InputError(f"document {documents.ids[rows[0]]!r} given as both ends of a path, expected two documents")
    words = word_model(run)
    if words.n_topics == 1:
        raise InputError("a run with a single topic given, expected two or more: all its documents have the same words")
    ends = documents.proportions(list(rows))
    if float(arc(*words.roots(ends))) < NEGLIGIBLE:
        raise InputError(
            f"documents {documents.label(rows[0])!r} and {documents.label(rows[1])!r} have the same topic proportions,"
            " so the path between them has no length: choose two other documents"
        )
    every = math.ceil(SEGMENTS / (steps - 1))  # segments of a step, so that the length is accurate for few steps
    found = geodesic(words, ends[0], ends[1], every * (steps - 1))
    theta = found.theta[::every]
    met = _documents_met(words, documents, theta, rows)
    listed = step_words(words, theta, np.asarray(run.sizes, dtype=np.float64), run.vocabulary)
    return _path(documents, found, theta, met, listed, library)


def check_steps(steps: int) -> None:
    """Raise InputError for a number of steps that is not a whole number from 3 to 200."""
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or not LEAST_STEPS <= steps <= MOST_STEPS:
        raise InputError(f"steps={steps} given, expected a whole number from {LEAST_STEPS} to {MOST_STEPS}")


def check_output(out: Path, run: Path, *, overwrite: bool) -> None:
    """Raise an error unless the table of a path can be written to a file outside the run."""
    if out.suffix.lower() not in ENDINGS:
        raise InputError(f"file {str(out)!r} given, expected one that ends in {' or '.join(ENDINGS)}")
    check_apart([out], [("the run", run)])
    probe_file(out, overwrite=overwrite, recognised=True)


def write_path(found: DocumentPath, out: Path, *, overwrite: bool) -> None:
    """Write the steps of a path as a .csv or .parquet file, atomically."""
    write_table(out, path_table(found), out.suffix.lower().removeprefix("."), overwrite=overwrite)


def _path(
    documents: DocumentTable,
    found: TopicGeodesic,
    theta: Array,
    met: list[tuple[int, float] | None],
    listed: list[list[str]],
    library: str,
) -> DocumentPath:
    steps = []
    for number, (point, document, words) in enumerate(zip(theta, met, listed, strict=True)):
        row, distance = document if document is not None else (None, None)
        steps.append(
            PathStep(
                step=number,
                at=number / (len(theta) - 1),
                topics=largest_shares(point),
                words=words,
                row=row,
                doc_id=None if row is None else documents.ids[row],
                distance=distance,
                text="" if row is None else documents.excerpt(row),
            )
        )
    return DocumentPath(steps, theta, found.length, found.lower, found.straight, found.direct, found.converged, library)


def _documents_met(
    words: WordModel, documents: DocumentTable, theta: Array, ends: tuple[int, int]
) -> list[tuple[int, float] | None]:
    """Return the row and distance of the document at each step, each document once, at the least total distance."""
    rows = documents.with_words[~np.isin(documents.with_words, ends)]
    inner = theta[1:-1]
    distances = direct_distances(words, inner, documents.proportions(rows))  # (steps - 2, n)
    # Only the nearest few of each step can be part of the best assignment: as many as there are steps.
    near = np.unique(np.argsort(distances, axis=1, kind="stable")[:, : len(inner)])
    chosen: list[tuple[int, float] | None] = [None] * len(inner)
    for step, column in zip(*linear_sum_assignment(distances[:, near]), strict=True):
        row = int(rows[near[column]])
        chosen[step] = row, geodesic_length(words, inner[step], documents.proportions([row])[0])
    return [(ends[0], 0.0), *chosen, (ends[1], 0.0)]


def step_words(words: WordModel, theta: Array, sizes: Array, vocabulary: list[str], n: int = WORDS) -> list[list[str]]:
    """Choose the words that describe each step of a path.

    The score of a word is p log(p^2 / (q r)), with p its probability at the step, q that of the whole corpus and r the
    mean of the steps before and after. Each word is listed once: the steps take turns, from the ends inwards.
    """
    p = np.maximum(words.words(theta), 1e-300)  # (steps, V)
    corpus = np.maximum(words.words((sizes / sizes.sum())[None]), 1e-300)
    padded = np.concatenate([p[1:2], p, p[-2:-1]])
    score = p * (2 * np.log(p) - np.log(corpus) - np.log((padded[:-2] + padded[2:]) / 2))
    some = min(len(vocabulary), n * len(theta))  # enough, even if the other steps take all words before
    ranked = [iter([word for word in np.argsort(-row, kind="stable")[:some] if row[word] > 0]) for row in score]
    inwards = sorted(range(len(theta)), key=lambda step: min(step, len(theta) - 1 - step))
    listed: list[list[str]] = [[] for _ in theta]
    taken = set[int]()
    for _ in range(n):
        for step in inwards:
            word = next((word for word in ranked[step] if word not in taken), None)
            if word is not None:
                taken.add(word)
                listed[step].append(vocabulary[word])
    return listed


def path_table(found: DocumentPath) -> pl.DataFrame:
    """Return the steps of a path as a polars table."""
    rows = [
        {
            "step": step.step,
            "at": step.at,
            "doc_id": step.doc_id,
            "row": step.row,
            "distance": step.distance,
            "topics": " ".join(f"{k}:{share:.3f}" for k, share in step.topics),
            "words": " ".join(step.words),
            "text": step.text,
        }
        for step in found.steps
    ]
    kinds = {"doc_id": pl.String, "row": pl.Int64, "distance": pl.Float64, "text": pl.String}
    return pl.DataFrame(rows, schema_overrides=kinds)
