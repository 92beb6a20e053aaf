"""Topics of a run as a printed table or as JSON, without importing torch."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from topicnet.cli.printing.output import echo
from topicnet.storage.formats import json_text
from topicnet.workflows.topics import TopicTable


def print_topics(table: TopicTable, examples: Mapping[int, Sequence[tuple[str, str]]] | None = None) -> None:
    """Print the size and words of each topic, followed by ids and excerpts of its typical documents."""
    width = shutil.get_terminal_size((100, 24)).columns
    echo("topic  share  top words")
    for k, (size, words) in enumerate(zip(table.sizes, table.words, strict=True)):
        echo(f"{k:5d} {size:6.1%}  {' '.join(words)}")
        for name, excerpt in (examples or {}).get(k, []):
            line = f"{'':14}[{name}] {excerpt}"
            echo(line if len(line) <= width else line[: width - 1] + "…")
    for unit, further in table.further.items():
        echo(f"{unit}  share  top words")
        for c, (size, words) in enumerate(zip(further.sizes, further.words, strict=True)):
            echo(f"{c:{len(unit)}d} {size:6.1%}  {' '.join(words)}")


def topics_json(table: TopicTable) -> str:
    """Return the topics as one JSON document."""
    return json_text({f"{unit}s": _entries(one, unit) for unit, one in {"topic": table, **table.further}.items()})


def _entries(table: TopicTable, unit: str) -> list[dict[str, Any]]:
    rows = zip(table.sizes, table.npmi, table.words, strict=True)
    return [{unit: k, "size": size, "npmi": npmi, "words": words} for k, (size, npmi, words) in enumerate(rows)]
