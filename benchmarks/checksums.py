"""Print checksums of each fitted model for one seed, to verify that a change keeps the results to the bit.

Fits the four models to Lee (which is part of gensim) and, if the shared corpora are available, to the counts of
`20ng_etm_bow`, and prints a SHA-256 of `components_` and of theta. Run it before and after a change, on the same
machine with the same thread count, and compare the lines.

    python benchmarks/checksums.py > before.txt
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import load_npz

import topicnet

DATA = Path(os.environ.get("TOPICNET_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def digest(array: Any) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of an array's shape, type and bytes."""
    array = np.ascontiguousarray(array)
    found = hashlib.sha256(f"{array.shape} {array.dtype.str}".encode())
    found.update(array.tobytes())
    return found.hexdigest()[:16]


def fits(n_topics: int) -> Iterator[tuple[str, str, Any, Any, float]]:
    """Yield corpus, model, beta (K, V), theta (D, K) and seconds of each fit."""
    from topicnet.cli import run

    for name in topicnet.MODELS:
        with tempfile.TemporaryDirectory() as folder:
            out, began = Path(folder) / "run", time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()):
                status = run(["fit", "lee", "--model", name, "-k", str(n_topics), "--out", str(out), "--quiet"])
            seconds = time.perf_counter() - began
            assert status == 0
            fitted = topicnet.load(out)
            yield "lee", name, fitted.model.components_, fitted.theta, seconds
    path = DATA / "20ng_etm_bow" / "tr.npz"
    if path.is_file():
        counts = load_npz(path).tocsr()
        for name, kind in topicnet.MODELS.items():
            began = time.perf_counter()
            model = kind(n_topics=n_topics, random_state=0, device="cpu").fit(counts)
            seconds = time.perf_counter() - began
            yield "20ng_etm_bow", name, model.components_, model.transform(counts), seconds


def main() -> None:
    """Fit every model and print one line per model and corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--topics", type=int, default=20, help="number of topics K")
    given = parser.parse_args()
    for corpus, model, beta, theta, seconds in fits(given.topics):
        print(f"{corpus:13} {model:9} beta {digest(beta)} theta {digest(theta)} {seconds:7.1f} s", flush=True)


if __name__ == "__main__":
    main()
