"""Render the results of benchmarks/peers.py as Markdown tables, one for each corpus of a run on one machine."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from typing import Any

Record = dict[str, Any]

HEADER = (
    "system", "fit, s", "ratio to fastest", "CPU, s", "peak MB (by the fit)", "NPMI", "TD@25", "perplexity", "refined",
    "NMI", "remarks",
)  # fmt: skip


def tables(
    records: Sequence[Record],
    order: Sequence[str],
    titles: dict[str, str],
    own: Sequence[str],
    against: str = "",
) -> str:
    """Render tables with rows in `order`, and ratios of seconds to the fastest of `own` and to `against`."""
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        # Ratios of seconds are only valid within a run, on one machine with one set of libraries.
        key = (record["run"], json.dumps([record["machine"], record["versions"]]), record["corpus"])
        groups.setdefault(key, []).append(record)
    return "\n\n".join(_table(group, order, titles, own, against) for group in groups.values())


def _table(
    records: list[Record], order: Sequence[str], titles: dict[str, str], own: Sequence[str], against: str
) -> str:
    rows = {
        (system, epochs): found
        for system in order
        for epochs in sorted({r["epochs"] for r in records if r["system"] == system}, key=lambda n: n or 0)
        if (found := [r for r in records if r["system"] == system and r["epochs"] == epochs])
    }
    seconds = {
        system: statistics.median(found["seconds"] for found in fits if found["status"] == "ok")
        for (system, epochs), fits in rows.items()
        if epochs is None and any(found["status"] == "ok" for found in fits)
    }
    fastest = min((name for name in own if name in seconds), key=lambda name: seconds[name], default="")
    header = list(HEADER)
    header[2] = f"x {titles[fastest]}" if fastest else "ratio"
    references = [fastest]
    if against and against != fastest:
        header.insert(3, f"x {titles[against]}")
        references.append(against)
    lines = [_heading(records), "", f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    for (system, epochs), fits in rows.items():
        title = titles[system] if epochs is None else f"{titles[system]} (trial with {epochs} epochs)"
        ratios = [_ratio(seconds, system, other) if epochs is None else "" for other in references]
        lines.append(f"| {' | '.join([title, *_cells(fits, ratios)])} |")
    return "\n".join(lines)


def _heading(records: list[Record]) -> str:
    machine, versions = records[0]["machine"], records[0]["versions"]
    loads = [record["load"] for record in records]
    tasks = [record["task"] for record in records if record["status"] == "ok"]
    about = ""
    if tasks:
        about = (
            f"{tasks[0]['name']}: {tasks[0]['n_docs']:,} documents, {tasks[0]['n_words']:,} words, K = {tasks[0]['k']};"
            f" unigram perplexity {tasks[0]['unigram']:.0f}. "
        )
    return (
        f"{about}Run {records[0]['run']}: {machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB,"
        f" {machine['system']}; torch on {machine['torch_threads']} threads, topicnet on {machine['topicnet_threads']};"
        f" {', '.join(f'{name} {version}' for name, version in versions.items())};"
        f" load average before a fit {min(loads):.1f} to {max(loads):.1f}."
    )


def _cells(fits: list[Record], ratios: list[str]) -> list[str]:
    good = [record for record in fits if record["status"] == "ok"]
    remarks = []
    if len(fits) > 1 or len(good) < len(fits):
        remarks.append(f"{len(good)} of {len(fits)} seeds" if len(good) < len(fits) else f"{len(fits)} seeds")
    remarks += sorted({f"{record['status']}: {record['reason']}" for record in fits if record["status"] != "ok"})
    if not good:
        return ["", *ratios, *[""] * 7, "; ".join(remarks).replace("|", "/")]
    remarks += sorted({f"{r['n_topics']} topics found" for r in good if r["n_topics"] != r["task"]["k"]})
    remarks += sorted({record["note"] for record in good if record["note"]})
    peak, start = (_mean(good, name) for name in ("peak_mb", "start_mb"))
    return [
        f"{statistics.median(record['seconds'] for record in good):.1f}",
        *ratios,
        f"{statistics.median(record['cpu_seconds'] for record in good):.1f}",
        f"{peak:.0f} ({peak - start:.0f})",
        *(_spread(good, name, digits) for name, digits in (("npmi", 3), ("td", 2), ("perplexity", 0), ("refined", 0))),
        _spread(good, "nmi", 3),
        "; ".join(remarks).replace("|", "/"),
    ]


def _mean(records: list[Record], name: str) -> float:
    return statistics.fmean(record[name] for record in records)


def _spread(records: list[Record], name: str, digits: int) -> str:
    """Format mean and standard deviation over seeds; empty if a system has no such score."""
    if any(record[name] is None for record in records):
        return ""
    mean = f"{_mean(records, name):.{digits}f}"
    if len(records) == 1:
        return mean
    return f"{mean} ± {statistics.pstdev(record[name] for record in records):.{digits}f}"


def _ratio(seconds: dict[str, float], system: str, other: str) -> str:
    return f"{seconds[system] / seconds[other]:.2f}" if system in seconds and other in seconds else ""
