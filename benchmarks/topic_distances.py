"""Accuracy of nearest neighbours by each distance of documents: labels of held-out documents from those of a fit.

Usage: python benchmarks/topic_distances.py RUN ... --test FILE [--label label] [--documents N] [--publish NAME]

Each RUN was fitted to the training split with `--keep-columns LABEL`; FILE is the test split (JSON Lines with `text`
and the label). The label of a test document is the most frequent one among its 10 nearest training documents, of
several the one with the nearest document. Intervals are 95 % bootstrap intervals over documents. Geodesics are found
for the first `--geodesics` of the documents; the table has the accuracy of the other distances on these too. The last
column is the processor time of a document against all training documents.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from publish import add_option, publish

import topicnet
from topicnet.explore.distances import proportion_distances, topic_costs
from topicnet.explore.documents import documents_of
from topicnet.explore.geodesics import direct_distances
from topicnet.explore.neighbours import nearest_by_geodesic, nearest_by_transport
from topicnet.explore.words import word_model
from topicnet.text.readers.in_memory import documents_of_texts

NEIGHBOURS = 10
COLUMNS = ["model", "distance", "accuracy", "on the first {}", "ms"]
BOOTSTRAPS = 1000


def labelled(path: Path, label: str) -> tuple[list[str], list[str]]:
    """Read texts and labels of a test split."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [row["text"] for row in rows], [row[label] for row in rows]


def vote(labels: list[str]) -> str:
    """Return the most frequent of labels in order of distance; of several the first."""
    return Counter(labels).most_common(1)[0][0]


def searches(run: topicnet.Run, others: Any) -> dict[str, Callable[[Any], Any]]:
    """Return a function for each distance, from theta (n, K) to the rows (n, 10) of the nearest documents."""
    words, cost = word_model(run), topic_costs(run)

    def by_proportions(metric: str) -> Callable[[Any], Any]:
        return lambda thetas: [nearest(proportion_distances(theta, others, metric)) for theta in thetas]

    def by_geodesic(thetas: Any) -> Any:
        bounds = direct_distances(words, thetas, others)
        return [
            nearest_by_geodesic(words, theta, others, NEIGHBOURS, bound)[0]
            for theta, bound in zip(thetas, bounds, strict=True)
        ]

    return {
        "cosine": by_proportions("cosine"),
        "Hellinger": by_proportions("hellinger"),
        "transport": lambda thetas: [nearest_by_transport(cost, theta, others, NEIGHBOURS)[0] for theta in thetas],
        "direct": lambda thetas: [nearest(row) for row in direct_distances(words, thetas, others)],
        "geodesic": by_geodesic,
    }


def nearest(distances: Any) -> Any:
    """Return the rows of the 10 least distances."""
    return np.argsort(distances, kind="stable")[:NEIGHBOURS]


def accuracy(hits: Any) -> str:
    """Return the mean of hits in per cent with its bootstrap interval."""
    rng = np.random.default_rng(0)
    means = 100 * rng.choice(np.asarray(hits, dtype=float), (BOOTSTRAPS, len(hits))).mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{100 * np.mean(hits):.1f} ({low:.1f}-{high:.1f})"


def measured(run: topicnet.Run, theta: Any, truth: list[str], labels: list[str], n_geodesics: int) -> list[list[str]]:
    """Measure each distance on one run: rows of the table."""
    documents = documents_of(run)
    others = documents.proportions(documents.with_words)
    known = [labels[row] for row in documents.with_words]
    rows = []
    for name, search in searches(run, others).items():
        some = theta[:n_geodesics] if name == "geodesic" else theta
        start = time.process_time()
        found = search(some)
        each = 1000 * (time.process_time() - start) / len(some)
        hits = [vote([known[row] for row in one]) == right for one, right in zip(found, truth, strict=False)]
        whole = accuracy(hits) if len(some) == len(theta) else "-"
        rows.append([run.bundle.name, name, whole, accuracy(hits[:n_geodesics]), f"{each:.1f}"])
        print(f"| {' | '.join(rows[-1])} |", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--test", type=Path, required=True, help="test split, as .jsonl.gz")
    parser.add_argument("--label", default="label", help="name of the column of labels")
    parser.add_argument("--documents", type=int, default=2000, help="number of test documents, drawn with seed 0")
    parser.add_argument("--geodesics", type=int, default=300, help="number of these for which geodesics are found")
    add_option(parser)
    arguments = parser.parse_args()
    texts, truth = labelled(arguments.test, arguments.label)
    columns = [column.format(arguments.geodesics) for column in COLUMNS]
    rows = []
    for path in arguments.runs:
        run = topicnet.load(path)
        counts = run.bundle.count([documents_of_texts(texts, None)])
        theta = run.bundle.theta(counts).astype(np.float64)
        usable = np.flatnonzero(counts.status == "ok")
        chosen = np.random.default_rng(0).permutation(usable)[: arguments.documents]
        labels = run.kept[arguments.label].to_list()
        rows += measured(
            run,
            theta[chosen] / theta[chosen].sum(1, keepdims=True),
            [truth[i] for i in chosen],
            labels,
            arguments.geodesics,
        )
    if arguments.publish:
        title = f"Label accuracy of {NEIGHBOURS} nearest neighbours by distance of documents, in per cent"
        publish(arguments.publish, title, columns, rows, ["pot"])


if __name__ == "__main__":
    main()
