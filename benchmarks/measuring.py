"""Helpers for benchmarks of speed: description of the machine, alternating timing, synthetic corpora, subprocesses."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from topicnet.runtime.threads import thread_count

DRAWN_DOCS = 10_000  # documents drawn per block
TOPICS_OF_A_DOCUMENT = 3.0  # sum of the Dirichlet's concentrations, about the number of topics of a document
RESULT = "result: "  # prefix of the line with the result of a subprocess


def machine(*packages: str) -> str:
    """Describe cores, load, threads and versions in one line."""
    from topicnet.runtime import threads

    # Earlier versions have no worker threads for blocks of documents.
    blocks = getattr(threads, "worker_count", thread_count)()
    found = [f"{name} {installed(name)}" for name in ("topicnet", "torch", "numpy", "scipy", *packages)]
    return (
        f"{cores()} cores, {load()}; topicnet uses {thread_count()} thread(s) for steps and {blocks} for blocks of"
        f" documents; {', '.join(found)}, Python {platform.python_version()}"
    )


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load() -> str:
    """Describe the load average of the machine."""
    return f"load average {' '.join(f'{value:.2f}' for value in os.getloadavg())}"


def installed(package: str) -> str:
    """Return the version of a package, or "(not installed)"."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add the option for the folder of the real corpora."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TOPICNET_DATA", default)))


def check_data(folder: Path) -> Path:
    """Return the folder of the real corpora, or exit with a message if it does not exist."""
    if not folder.is_dir():
        raise SystemExit(f"no folder {folder}: set that of the real corpora with --data or TOPICNET_DATA")
    return folder


def chosen(given: str, known: Mapping[str, Any] | tuple[str, ...], option: str) -> list[str]:
    """Split names at commas, and exit with a message if any is unknown."""
    names = given.split(",")
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"{option} {','.join(unknown)} given, expected some of {','.join(known)}")
    return names


def in_turn(
    works: Mapping[str, Callable[[], object]], repeats: int, now: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Time functions in alternation, `repeats` times each, so that other load on the machine affects all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            began = now()
            work()
            seconds[name].append(now() - began)
    return seconds


def low(values: list[float]) -> float:
    """Return the 10th percentile, an estimate for an idle machine."""
    return float(np.percentile(values, 10))


def planted_topics(n_topics: int, vocab_size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw topics (K, V) with rows that sum to 1, each over part of the words, with Zipf-distributed frequencies."""
    zipf = 1.0 / (np.arange(vocab_size) + 10.0)
    beta: NDArray[np.float64] = rng.standard_gamma(0.1, (n_topics, vocab_size)) * zipf + 1e-3 * zipf
    beta /= beta.sum(axis=1, keepdims=True)
    return beta


def draw_documents(beta: NDArray[np.float64], n_docs: int, n_tokens: int, rng: np.random.Generator) -> csr_matrix:
    """Draw sparse counts (D, V) of documents with `n_tokens` tokens each from LDA with topics beta (K, V)."""
    n_topics, vocab_size = beta.shape
    words = _steps(beta)
    parts = []
    for begin in range(0, n_docs, DRAWN_DOCS):
        n = min(DRAWN_DOCS, n_docs - begin)
        theta = rng.standard_gamma(TOPICS_OF_A_DOCUMENT / n_topics, (n, n_topics))
        rows = np.repeat(np.arange(n), n_tokens)
        topics = _drawn(_steps(theta), rows, n_topics, rng)
        cells_drawn = rows * vocab_size + _drawn(words, topics, vocab_size, rng)
        cells_drawn, counts = np.unique(cells_drawn, return_counts=True)
        starts = np.concatenate([[0], np.cumsum(np.bincount(cells_drawn // vocab_size, minlength=n))])
        cells = (counts.astype(np.int32), (cells_drawn % vocab_size).astype(np.int32), starts.astype(np.int32))
        parts.append(csr_matrix(cells, shape=(n, vocab_size)))
    drawn: csr_matrix = vstack(parts, format="csr")
    return drawn


def _steps(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Concatenate the cumulative distributions of the rows (n, m), each shifted by one, to a single ascending array."""
    sums = weights.cumsum(axis=1)
    return (sums / sums[:, -1:] + np.arange(len(weights))[:, None]).ravel()


def _drawn(
    steps: NDArray[np.float64], rows: NDArray[np.int64], width: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw a column for each given row."""
    found = np.searchsorted(steps, rows + rng.random(len(rows)), side="right") - rows * width
    return found.clip(0, width - 1)


def ask(script: str, request: Mapping[str, Any], package: Path | None = None) -> dict[str, Any]:
    """Run a script with a request in a subprocess, optionally with the topicnet of another checkout."""
    environment = dict(os.environ)
    if package is not None:
        environment["PYTHONPATH"] = str(package.resolve())
    command = [sys.executable, script, "--request", json.dumps(request)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith(RESULT)]
    if done.returncode or not lines:
        raise SystemExit(f"{Path(script).name} {json.dumps(request)} ended with {done.returncode}:\n{done.stderr}")
    answer: dict[str, Any] = json.loads(lines[-1].removeprefix(RESULT))
    return answer


def answer(values: Mapping[str, Any]) -> None:
    """Print the result of a request."""
    print(RESULT + json.dumps(values), flush=True)
