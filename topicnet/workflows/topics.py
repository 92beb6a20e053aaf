"""Topics of a run, read from its tables without loading the model or importing torch."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from topicnet.storage.formats import unguarded
from topicnet.storage.run_folder import RECORD, check_unchanged, damaged, read_json, read_record

TABLE_WORDS = 50  # words of each topic in topic_word.csv
OTHER_KEYS = {"label", "words", "size", "scores", "typical_documents"}  # of an entry of topics.json, besides its unit
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
    further : dict of str to TopicTable
        The model's own tables of words, by unit: for GMNTM, "component".
    """

    sizes: Sequence[float]
    npmi: Sequence[float]
    words: list[list[str]]
    further: Mapping[str, TopicTable] = field(default_factory=dict)


def read_topics(folder: Path, top: int) -> TopicTable | None:
    """Read the topics of a run folder, with `top` words each; return None if the run has to be loaded instead.

    That is the case if `top` exceeds the words in a table, and if the folder is not a run of topics, which loading
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
    check_unchanged(folder, "topics.json", record)
    try:
        scored = scored_units(read_json(folder, "topics.json"))
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(folder, "topics.json") from error
    tables = {}
    for unit, (sizes, npmi) in scored.items():
        name = f"{unit}_word.csv"
        check_unchanged(folder, name, record)
        words = _read_words(folder, unit)
        if not words or len(words) != len(sizes):
            raise damaged(folder, name)
        if top > TABLE_WORDS and len(words[0]) == TABLE_WORDS:
            return None
        tables[unit] = TopicTable(sizes, npmi, [row[:top] for row in words])
    if "topic" not in tables:
        raise damaged(folder, "topics.json")
    topics = tables.pop("topic")
    return replace(topics, further=tables)


def scored_units(records: list[dict[str, Any]]) -> dict[str, tuple[list[float], list[float]]]:
    """Split the entries of topics.json by unit ("topic", "component"): their sizes and NPMI."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    for record in records:
        (unit,) = record.keys() - OTHER_KEYS
        score = record["scores"]["npmi"]
        sizes, npmi = found.setdefault(unit, ([], []))
        sizes.append(float(record["size"]))
        npmi.append(math.nan if score is None else float(score))
    return found


def _read_words(folder: Path, unit: str) -> list[list[str]]:
    """Read the words of each topic from topic_word.csv, or of another unit from its table."""
    name = f"{unit}_word.csv"
    try:
        with (folder / name).open(encoding="utf-8", newline="") as file:
            rows = [(row[unit], unguarded(row["word"])) for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise damaged(folder, name) from error
    return [[word for _, word in group] for _, group in groupby(rows, key=lambda row: row[0])]
