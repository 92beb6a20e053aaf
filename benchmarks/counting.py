"""Compare counting of compressed text with scikit-learn's CountVectorizer, in paired runs.

Both read the 100,000 IMDB reviews from .jsonl.gz files, convert to lower case, extract runs of two or more letters,
count words of at least two documents, and save a sparse matrix with its vocabulary. The counts are compared entry by
entry.

Usage: python benchmarks/counting.py [--runs 3] [--data FOLDER]
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PARTS = ("train", "test", "unsup")
LETTERS = r"(?u)[^\W\d_]{2,}"


def ours(files: list[Path], out: Path) -> None:
    from topicnet.runtime.prefetch import prefetch
    from topicnet.text.corpus import Corpus
    from topicnet.text.readers.read import read_documents
    from topicnet.text.tokens.options import TextOptions
    from topicnet.text.vocabulary import Pruning

    options = TextOptions(lang="none", pruning=Pruning(min_df=2, max_df=1.0, max_vocab=10**9))
    documents = prefetch(read_documents(files))
    corpus = Corpus.from_documents(documents, options=options, folder=out, excerpts=False)
    corpus.save(out)


def theirs(files: list[Path], out: Path) -> None:
    from scipy.sparse import save_npz
    from sklearn.feature_extraction.text import CountVectorizer

    texts = []
    for file in files:
        with gzip.open(file, "rb") as lines:
            texts += [json.loads(line)["text"] for line in lines]
    vectorizer = CountVectorizer(token_pattern=LETTERS, min_df=2)
    counts = vectorizer.fit_transform(texts)
    save_npz(out / "counts.npz", counts, compressed=False)
    (out / "vocabulary.txt").write_text("\n".join(vectorizer.get_feature_names_out()) + "\n", "utf-8")


def compare(first: Path, second: Path) -> str:
    """Describe the differences between the two results."""
    import numpy as np
    from scipy.sparse import load_npz

    from topicnet.text.corpus import Corpus

    corpus = Corpus.load(first)
    words = (second / "vocabulary.txt").read_text("utf-8").split("\n")[:-1]
    counts = load_npz(second / "counts.npz").tocsr()
    both = sorted(set(words) & set(corpus.vocabulary))
    theirs, mine = {w: i for i, w in enumerate(words)}, {w: i for i, w in enumerate(corpus.vocabulary)}
    differ = (counts[:, [theirs[w] for w in both]] != corpus.counts[:, [mine[w] for w in both]]).nnz
    only = sorted(set(words) ^ set(corpus.vocabulary))
    beyond = sum(not word.isascii() for word in only)
    total = np.int64(corpus.counts.sum())
    return (
        f"{len(both):,} words in both, of which {differ:,} counts differ (of {total:,} tokens); {len(only):,} words"
        f" in only one, {beyond:,} of these not ASCII"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TOPICNET_DATA", default)))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=("topicnet", "scikit-learn"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    files = [arguments.data / "imdb" / f"{part}.jsonl.gz" for part in PARTS]
    if arguments.only:
        began = time.perf_counter()
        (ours if arguments.only == "topicnet" else theirs)(files, arguments.out)
        print(time.perf_counter() - began)  # includes the imports
        return
    size = sum(len(gzip.decompress(file.read_bytes())) for file in files) / 1e6
    seconds: dict[str, list[float]] = {"topicnet": [], "scikit-learn": []}
    peaks: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for run in range(arguments.runs):
            for name, taken in seconds.items():
                out = Path(folder) / f"{name}-{run}"
                out.mkdir()
                command = [sys.executable, __file__, "--data", str(arguments.data), "--only", name, "--out", str(out)]
                with tempfile.TemporaryFile("w+") as output:
                    process = subprocess.Popen(command, stdout=output)
                    _, status, usage = os.wait4(process.pid, 0)
                    if status:
                        raise SystemExit(f"{name} ended with status {status}")
                    output.seek(0)
                    taken.append(float(output.read()))
                peaks[name] = max(peaks.get(name, 0.0), usage.ru_maxrss / 1024)
        print(f"{size:.0f} MB of JSON Lines, gzipped; medians of {arguments.runs} paired runs\n")
        print("| | seconds | MB/s | peak MB |\n|---|---|---|---|")
        for name, taken in seconds.items():
            median = statistics.median(taken)
            print(f"| {name} | {median:.2f} | {size / median:.1f} | {peaks[name]:.0f} |")
        ratios = [b / a for a, b in zip(seconds["topicnet"], seconds["scikit-learn"], strict=True)]
        print(f"\nratio, median: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        print(compare(Path(folder) / "topicnet-0", Path(folder) / "scikit-learn-0"))


if __name__ == "__main__":
    main()
