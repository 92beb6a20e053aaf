"""Measure `topicnet prepare` and one epoch of `topicnet fit` on corpora larger than memory (2,000,000 documents).

The large corpus is made from the reviews of IMDB. Each document is a review with some sentences omitted, the others
shuffled, and some words renamed, so that the vocabulary keeps growing like a real one.

Usage: python benchmarks/large.py [--documents 100000 2000000] [--data FOLDER] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PARTS = ("train", "test", "unsup")
RENAMED = 0.002  # fraction of the words that get a random ending


def measure(command: list[str], folder: Path) -> tuple[float, float, list[str]]:
    """Run a command; returns seconds, peak resident MB and the lines on stderr."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as messages:
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=messages)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        messages.seek(0)
        lines = messages.read().splitlines()
    if status:
        raise SystemExit(f"{' '.join(command)} ended with status {status}: {lines[-1:]}")
    return seconds, usage.ru_maxrss / 1024, lines


def reviews(folder: Path) -> list[str]:
    """Read the 100,000 reviews."""
    texts = []
    for part in PARTS:
        with gzip.open(folder / "imdb" / f"{part}.jsonl.gz", "rt", encoding="utf-8") as lines:
            texts += [json.loads(line)["text"] for line in lines]
    return texts


def documents(texts: list[str], number: int) -> Iterator[str]:
    """Yield `number` documents: the reviews once, then modified copies of them."""
    chance = random.Random(0)
    for n in range(number):
        text = texts[n % len(texts)]
        if n < len(texts):
            yield text
            continue
        sentences = [s for s in text.split(". ") if chance.random() > 0.15]
        chance.shuffle(sentences)
        words = ". ".join(sentences).split(" ")
        for _ in range(int(RENAMED * len(words)) + (chance.random() < 0.3)):
            at = chance.randrange(len(words))
            words[at] += "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=2))
        yield " ".join(words)


def write(path: Path, texts: list[str], number: int) -> float:
    """Write `number` documents to a file; returns its size in bytes."""
    with path.open("w", encoding="utf-8") as out:
        for n, text in enumerate(documents(texts, number)):
            out.write(json.dumps({"id": f"r{n}", "text": text, "part": n % 7}) + "\n")
    return path.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TOPICNET_DATA", default)))
    parser.add_argument("--documents", type=int, nargs="+", default=[100_000, 2_000_000])
    parser.add_argument("--folder", type=Path, help="Folder for about 6 GB of files.  [default: a temporary folder]")
    arguments = parser.parse_args()
    texts = reviews(arguments.data)
    topicnet = [sys.executable, "-m", "topicnet"]
    print("| documents | text, MB | step | seconds | µs/document | peak MB |\n|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        for number in arguments.documents:
            size = write(folder / "corpus.jsonl", texts, number)
            steps = {
                "prepare": [*topicnet, "prepare", "corpus.jsonl", "--out", f"counts-{number}"],
                "fit, one epoch": [
                    *topicnet, "fit", f"counts-{number}", "--epochs", "1", "--out", f"run-{number}",
                ],
            }  # fmt: skip
            for step, command in steps.items():
                seconds, peak, _ = measure(command, folder)
                row = f"{seconds:.1f} | {1e6 * seconds / number:.0f} | {peak:.0f}"
                print(f"| {number:,} | {size / 1e6:.0f} | {step} | {row} |", flush=True)


if __name__ == "__main__":
    main()
