"""Measure seconds and peak memory of command-line processes, medians of several runs.

Usage: python benchmarks/command_line.py [--runs 3] [--data FOLDER]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def measure(command: list[str], folder: str) -> tuple[float, float]:
    """Run a command; returns seconds and peak resident MB."""
    began = time.perf_counter()
    with open(os.devnull, "w") as nowhere:
        process = subprocess.Popen(command, cwd=folder, stdout=nowhere, stderr=nowhere)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} ended with status {status}")
    return time.perf_counter() - began, usage.ru_maxrss / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TOPICNET_DATA", default)))
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    topicnet = [sys.executable, "-m", "topicnet"]
    corpus = str((arguments.data / "20ng" / "train.jsonl.gz").resolve())
    test = str((arguments.data / "20ng" / "test.jsonl.gz").resolve())
    imdb = str((arguments.data / "imdb" / "unsup.jsonl.gz").resolve())
    commands = {
        "topicnet --help": [*topicnet, "--help"],
        "topicnet fit lee -k 10": [*topicnet, "fit", "lee", "-k", "10", "--out", "small", "--overwrite"],
        "topicnet fit 20ng/train.jsonl.gz --model etm -k 20": [
            *topicnet, "fit", corpus, "--model", "etm", "-k", "20", "--out", "news", "--overwrite",
        ],
        "topicnet transform (7,532 documents)": [*topicnet, "transform", "news", test, "--out", "t.csv", "--overwrite"],
        "topicnet topics": [*topicnet, "topics", "news"],
        "topicnet fit imdb/unsup.jsonl.gz -k 50 (50,000 documents)": [
            *topicnet, "fit", imdb, "-k", "50", "--out", "imdb", "--overwrite",
        ],
    }  # fmt: skip
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, median of {arguments.runs} runs (min-max)\n")
    print("| command | seconds | peak memory, MB |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for title, command in commands.items():
            if not all(Path(part).exists() for part in command if part.endswith(".gz")):
                print(f"| `{title}` | no corpus in {arguments.data} | |")
                continue
            runs = [measure(command, folder) for _ in range(arguments.runs)]
            seconds, memory = zip(*runs, strict=True)
            print(
                f"| `{title}` | {statistics.median(seconds):.2f} ({min(seconds):.2f}-{max(seconds):.2f})"
                f" | {statistics.median(memory):.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
