"""Printing of neighbours, paths and topic trees, as text and as JSON, without importing torch."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from topicnet.cli.printing.output import echo
from topicnet.storage.formats import json_text
from topicnet.workflows.topics import TopicTable

if TYPE_CHECKING:
    from topicnet.explore.documents import DocumentTable
    from topicnet.explore.neighbours import Neighbour
    from topicnet.explore.path import DocumentPath, PathStep
    from topicnet.explore.tree import TopicTree

TREE_WIDTH = 24
LEAST_DIFFERENCE = 5e-4  # of two lengths that are shown as different
LABEL_WORDS = 4
DISTANCES = {
    "cosine": "1 minus the cosine of topic proportions, from 0 (equal) to 1",
    "hellinger": "Hellinger distance of topic proportions, from 0 (equal) to 1",
    "geodesic": "length of the shortest path among the model's word distributions, 0 for equal ones",
    "transport": "cost of moving topic proportions between topics, 0 for equal ones",
}
PATH_LEGEND = (
    "each step: how far along the path it is, the mixture of topics there, words that are typical of it, and the"
    " nearest document not yet shown; lengths are Fisher-Rao distances of word distributions: 0 for equal ones,"
    " from 3.14 for those without a common word"
)
INDENT = " " * 6
LEAST_WIDTH = 40  # columns, also in a terminal that is narrower or gives no width


def print_neighbours(documents: DocumentTable, row: int, metric: str, found: Sequence[Neighbour]) -> None:
    """Print a document and its neighbours: distance, id, shares of topics, the beginning of the text, and a legend."""
    from topicnet.explore.neighbours import top_topics

    width = _width()
    echo(f"nearest to [{documents.label(row)}] by {metric} distance  ({_shares(top_topics(documents, row))})")
    _text(documents.excerpt(row), INDENT, width)
    if not found:
        echo("the run has no other document with counted words")
        return
    echo()
    for one in found:
        echo(f"{one.rank:3d}  {one.distance:7.4f}  [{documents.label(one.row)}]  {_shares(one.topics)}")
        _text(one.text, " " * 14, width)
    echo()
    _text(f"in order of distance: {DISTANCES[metric]}{_source(documents)}", "", width, lines=9)


def neighbours_json(documents: DocumentTable, row: int, metric: str, found: Sequence[Neighbour]) -> str:
    """Return neighbours as one JSON document."""
    from topicnet.explore.neighbours import top_topics

    head = {"doc_id": documents.ids[row], "row": row, "topics": _topics(top_topics(documents, row))}
    records = [
        {
            "rank": one.rank,
            "doc_id": one.doc_id,
            "row": one.row,
            "distance": one.distance,
            "topics": _topics(one.topics),
            "text": one.text,
        }
        for one in found
    ]
    return json_text({"document": head, "metric": metric, "neighbours": records})


def print_path(found: DocumentPath, documents: DocumentTable, top_words: Sequence[Sequence[str]]) -> None:
    """Print the steps of a path, its length and that of the straight line; `top_words` name the topics (K, n)."""
    width, steps = _width(), found.steps
    first, last = (step.row for step in (steps[0], steps[-1]))
    assert first is not None
    assert last is not None
    echo(f"from [{documents.label(first)}] to [{documents.label(last)}]")
    for step in steps:
        echo(f"\n{step.at:4.0%}  {_mixture(step, top_words)}")
        if step.words:
            _text(f"words: {' '.join(step.words)}", INDENT, width)
        if step.row is not None:
            away = "" if step.step in (0, steps[-1].step) else f" {step.distance:.3f} away"
            text = f": {step.text}" if step.text else ""
            _text(f"[{documents.label(step.row)}]{away}{text}", INDENT, width, lines=2)
    more = found.straight / found.length - 1
    longer = f"{more:.1%} longer" if more >= LEAST_DIFFERENCE else "no longer"
    echo(f"\nlength {found.length:.3f}; the straight line between the mixtures has {found.straight:.3f} ({longer})")
    _text(f"{PATH_LEGEND}{_source(documents)}", "", width, lines=9)
    if not found.converged:
        echo("the search for the shortest path did not converge: a shorter one may exist")


def path_json(found: DocumentPath) -> str:
    """Return a path as one JSON document."""
    steps = [
        {
            "step": step.step,
            "at": step.at,
            "topics": _topics(step.topics),
            "theta": found.theta[step.step].tolist(),
            "words": step.words,
            "doc_id": step.doc_id,
            "row": step.row,
            "distance": step.distance,
            "text": step.text,
        }
        for step in found.steps
    ]
    lengths = {name: getattr(found, name) for name in ("length", "lower", "straight", "direct", "converged")}
    return json_text(lengths | {"steps": steps})


def print_tree(tree: TopicTree, table: TopicTable) -> None:
    """Print the tree of topics, one line each, with the first words of each topic."""
    from topicnet.explore.tree import draw_tree

    labels = [f"{k:5d} {size:6.1%}  {' '.join(row[:LABEL_WORDS])}" for k, (size, row) in enumerate(_rows(table))]
    echo("topic  share  top words")
    for line in draw_tree(tree, labels, TREE_WIDTH):
        echo(line)
    first, last = tree.merges[0, 2], tree.merges[-1, 2]
    between = f"{first:.2f} to {last:.2f}" if len(tree.merges) > 1 else f"{first:.2f}"
    echo(f"\ntopics that meet further left are more similar: {tree.metric} distance {between}, {tree.method} linkage")


def tree_json(tree: TopicTree, table: TopicTable) -> str:
    """Return topics and their tree as one JSON document."""
    from topicnet.explore.tree import tree_records

    rows = zip(table.sizes, table.npmi, table.words, strict=True)
    topics = [{"topic": k, "size": size, "npmi": npmi, "words": words} for k, (size, npmi, words) in enumerate(rows)]
    return json_text({"topics": topics, "tree": tree_records(tree)})


def _rows(table: TopicTable) -> list[tuple[float, list[str]]]:
    return list(zip(table.sizes, table.words, strict=True))


def _mixture(step: PathStep, top_words: Sequence[Sequence[str]]) -> str:
    return " + ".join(f"{share:.0%} topic {k} ({' '.join(top_words[k])})" for k, share in step.topics)


def _shares(topics: Sequence[tuple[int, float]]) -> str:
    return "topic " + ", ".join(f"{k} {share:.0%}" for k, share in topics)


def _topics(topics: Sequence[tuple[int, float]]) -> list[dict[str, Any]]:
    return [{"topic": k, "share": share} for k, share in topics]


def _text(text: str, indent: str, width: int, lines: int = 1) -> None:
    """Print a text on a number of indented lines, cut at their end."""
    if not text:
        return
    for line in textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent, max_lines=lines, placeholder=" …"
    ):
        echo(line)


def _source(documents: DocumentTable) -> str:
    """Say what is shown of documents whose texts were not kept."""
    if documents.corpus is None:
        return "; the run was saved without its corpus, so no texts are shown"
    return "" if documents.has_texts else "; shown are counted words, as the run has no texts (fit with --keep-texts)"


def _width() -> int:
    return max(LEAST_WIDTH, shutil.get_terminal_size((100, 24)).columns)
