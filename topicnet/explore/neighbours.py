"""Nearest documents of a document, with few geodesics and transport problems."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from topicnet.errors import InputError
from topicnet.explore.distances import (
    DOCUMENT_METRICS,
    geodesic_length,
    proportion_distances,
    topic_costs,
    transport_cost,
)
from topicnet.explore.documents import DocumentTable
from topicnet.explore.geodesics import direct_distances
from topicnet.explore.words import Array, WordModel, word_model
from topicnet.workflows.run import Run

NEEDS_MODEL = ("geodesic", "transport")
SHARES = 3  # topics of a document that are shown
LEAST_SHARE = 0.05
ROUNDING = 1e-7  # of arccos near 0


@dataclass(frozen=True)
class Neighbour:
    """Document near another one.

    Attributes
    ----------
    rank : int
        1 for the nearest document.
    row, doc_id : int, str
        Row and id of the document.
    distance : float
        Distance by the chosen metric.
    topics : list of (int, float)
        Its largest topics with their shares.
    text : str
        Beginning of the text; the first counted words if the texts were not kept, "" without the corpus.
    """

    rank: int
    row: int
    doc_id: str
    distance: float
    topics: list[tuple[int, float]]
    text: str


def nearest_documents(
    documents: DocumentTable, document: str | int, metric: str = "cosine", top: int = 10, run: Run | None = None
) -> list[Neighbour]:
    """Find the documents nearest to a document.

    Parameters
    ----------
    documents : DocumentTable
        Documents of the run.
    document : str or int
        Id or row of the document.
    metric : {"cosine", "hellinger", "geodesic", "transport"}, default="cosine"
        Distance of documents; see `document_distance`.
    top : int, default=10
        Number of neighbours; all other documents with words if there are fewer.
    run : Run, optional
        The run, which "geodesic" and "transport" need.

    Returns
    -------
    list of Neighbour
        In order of increasing distance; documents at the same distance in input order.

    Raises
    ------
    InputError
        The document or metric is unknown, the document has no counted words, or `top` is below 1.
    """
    if metric not in DOCUMENT_METRICS:
        raise InputError(f"metric={metric!r} given, expected one of {', '.join(DOCUMENT_METRICS)}")
    if isinstance(top, bool) or not isinstance(top, int | np.integer) or top < 1:
        raise InputError(f"top={top} given, expected a whole number from 1")
    row = documents.row_of(document)
    rows = documents.with_words[documents.with_words != row]
    theta, others = documents.proportions([row])[0], documents.proportions(rows)
    if metric in NEEDS_MODEL:
        if run is None:
            raise InputError(f"metric={metric!r} needs the model of the run")
        if metric == "geodesic":
            best, distances = nearest_by_geodesic(word_model(run), theta, others, top)
        else:
            best, distances = nearest_by_transport(topic_costs(run), theta, others, top)
    else:
        found = proportion_distances(theta, others, metric)
        best = np.argsort(found, kind="stable")[:top]
        distances = found[best]
    return [
        Neighbour(rank, int(at), documents.ids[at], float(distance), top_topics(documents, at), documents.excerpt(at))
        for rank, (at, distance) in enumerate(zip(rows[best].tolist(), distances, strict=True), 1)
    ]


def nearest_by_geodesic(
    words: WordModel, theta: Array, others: Array, top: int, direct: Array | None = None
) -> tuple[NDArray[np.intp], Array]:
    """Find the nearest of others (n, K) to theta (K,) by geodesic: their rows and distances, (top,) each.

    The direct distance is a lower bound, so geodesics are only found for the documents below the distance of the
    nearest `top` so far. `direct` (n,) is computed if it is not given.
    """
    bounds = (direct_distances(words, theta[None], others)[0] if direct is None else direct) - ROUNDING
    return _search(bounds, top, lambda row: geodesic_length(words, theta, others[row]))


def nearest_by_transport(cost: Array, theta: Array, others: Array, top: int) -> tuple[NDArray[np.intp], Array]:
    """Find the nearest of others (n, K) to theta (K,) by transport: their rows and distances, (top,) each.

    A function f with |f_k - f_l| <= C_kl bounds every cost from below by f . (theta - other). The functions C_k. and
    the potentials of the problems that have been solved are such functions, if the cost C is a metric.
    """
    change = theta - others
    bounds = np.abs(change @ cost).max(1)

    def solve(row: int) -> float:
        distance, potential = transport_cost(cost, theta, others[row])
        np.maximum(bounds, change @ potential, out=bounds)
        return distance

    return _search(bounds, top, solve)


def _search(bounds: Array, top: int, solve: Callable[[int], float]) -> tuple[NDArray[np.intp], Array]:
    """Solve in order of the lower bounds (n,), which `solve` may raise, until none is below the largest kept."""
    found: list[tuple[float, int]] = []
    is_open = np.ones(len(bounds), dtype=bool)
    while len(found) < len(bounds):
        row = int(np.where(is_open, bounds, np.inf).argmin())
        if len(found) >= top and bounds[row] > found[top - 1][0]:
            break
        is_open[row] = False
        insort(found, (solve(row), row))
    best = found[:top]
    return np.array([row for _, row in best], dtype=np.intp), np.array([distance for distance, _ in best])


def neighbours(run: Run, document: str | int, metric: str = "cosine", top: int = 10) -> pl.DataFrame:
    """Return the table of `topicnet.Run.neighbours`, in polars."""
    from topicnet.explore.documents import documents_of

    return neighbour_table(nearest_documents(documents_of(run), document, metric, top, run))


def neighbour_table(found: list[Neighbour]) -> pl.DataFrame:
    """Return neighbours as a table, one row each."""
    columns = {
        "rank": [one.rank for one in found],
        "doc_id": [one.doc_id for one in found],
        "row": [one.row for one in found],
        "distance": [one.distance for one in found],
        "topic": [one.topics[0][0] for one in found],
        "share": [one.topics[0][1] for one in found],
        "text": [one.text for one in found],
    }
    kinds: dict[str, Any] = {
        "rank": pl.Int64,
        "row": pl.Int64,
        "topic": pl.Int64,
        "distance": pl.Float64,
        "share": pl.Float64,
    }
    kinds |= {"doc_id": pl.String, "text": pl.String}
    return pl.DataFrame(columns, schema_overrides=kinds)


def top_topics(documents: DocumentTable, row: int) -> list[tuple[int, float]]:
    """Return the largest topics of a document with their shares: the first, and others from 5 %."""
    return largest_shares(documents.theta[row])


def largest_shares(theta: NDArray[Any]) -> list[tuple[int, float]]:
    """Return the largest of proportions (K,): the first, and up to two others from 5 %."""
    order = np.argsort(-theta, kind="stable")[:SHARES]
    return [(int(k), float(theta[k])) for k in order if k == order[0] or theta[k] >= LEAST_SHARE]
