"""Topics of a run, read from its tables without loading the model or importing torch."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from topicnet.storage.formats import unguarded
from topicnet.storage.run_folder import RECORD, check_unchanged, damaged, read_json, read_record

TABLE_WORDS = 50  # words of each topic in topic_word.csv
ENTRIES = {"files": dict, "config": dict}  # entries that every run.json has, and their types


@dataclass(frozen=True)
class TopicTable:
    """Topics of a run, as they are printed.

    Attributes
    ----------
    sizes : sequence of float
        Mean theta of each topic, (K,).
    npmi : sequence of float
        NPMI of each topic, (K,); NaN if topics have a single word.
    words : list of list of str
        The most probable words of each topic, in order of decreasing probability.
    """

    sizes: Sequence[float]
    npmi: Sequence[float]
    words: list[list[str]]


def read_topics(folder: Path, top: int) -> TopicTable | None:
    """Read the topics of a run folder, with `top` words each; return None if the run has to be loaded instead.

    That is the case if `top` exceeds the words in the table, and if the folder is not a run of topics, which loading
    reports.

    Raises
    ------
    BundleError
        One of run.json, topics.json and topic_word.csv is damaged.
    """
    if not (folder / RECORD).is_file():
        return None
    record = read_record(folder, ENTRIES)
    if record.get("kind") == "images":
        return None
    for name in ("topics.json", "topic_word.csv"):
        check_unchanged(folder, name, record)
    topics = read_json(folder, "topics.json")
    try:
        sizes = [float(topic["size"]) for topic in topics]
        npmi = [math.nan if (score := topic["scores"]["npmi"]) is None else float(score) for topic in topics]
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(folder, "topics.json") from error
    words = _read_words(folder)
    if not words or len(words) != len(sizes):
        raise damaged(folder, "topic_word.csv")
    if top > TABLE_WORDS and len(words[0]) == TABLE_WORDS:
        return None
    return TopicTable(sizes, npmi, [row[:top] for row in words])


def _read_words(folder: Path) -> list[list[str]]:
    """Read the words of each topic from topic_word.csv."""
    try:
        with (folder / "topic_word.csv").open(encoding="utf-8", newline="") as file:
            rows = [(row["topic"], unguarded(row["word"])) for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise damaged(folder, "topic_word.csv") from error
    return [[word for _, word in group] for _, group in groupby(rows, key=lambda row: row[0])]
