"""ETM beside LDA on the bag-of-words of the ETM paper: quality and seconds, in one run on one machine.

Usage: python benchmarks/etm_20news.py [--topics 50] [--seeds 3] [--data FOLDER] [--models etm,em,...]

Prints a Markdown table: NPMI of the top 10 words on the training documents, TD of the top 25, document-completion
perplexity (theta from ts_h1, scored on ts_h2) amortised and with 20 EM steps on theta, and seconds of the fit. Each
row is the mean over the seeds, seconds the median. LDA's theta is its own inference. scikit-learn's batch of 1,000 was
the best of those tried (its default of 128 gives perplexity above 2,000 here); tomotopy uses 2 workers.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_matrix, load_npz

import topicnet
from topicnet.core.em import fit_mixture, refine_theta
from topicnet.core.sparse import SparseBatch
from topicnet.core.threads import chosen_threads, thread_count
from topicnet.evaluate.coherence import npmi, top_words
from topicnet.evaluate.diversity import duplicate_topics, topic_diversity
from topicnet.evaluate.perplexity import document_completion, unigram_perplexity

CPU = torch.device("cpu")
Result = tuple[np.ndarray, np.ndarray, "np.ndarray | None", float]  # beta, theta, refined theta, seconds


def etm(train: csr_matrix, first: csr_matrix, n_topics: int, seed: int, **options: object) -> Result:
    began = time.perf_counter()
    model = topicnet.ETM(n_topics, random_state=seed, **options).fit(train)
    seconds = time.perf_counter() - began
    return model.components_, model.transform(first), model.transform(first, refine=20), seconds


def em(train: csr_matrix, first: csr_matrix, n_topics: int, seed: int) -> Result:
    with chosen_threads():
        began = time.perf_counter()
        fitted = fit_mixture(train.astype(np.float32), n_topics, 60, np.random.default_rng(seed), CPU)
        seconds = time.perf_counter() - began
        batch = SparseBatch.from_csr(first.astype(np.float32), np.arange(first.shape[0]), CPU)
        theta = refine_theta(torch.full((first.shape[0], n_topics), 1 / n_topics), fitted.beta, batch, 20)
    return fitted.beta.numpy(), theta.numpy(), None, seconds


def sklearn_lda(train: csr_matrix, first: csr_matrix, n_topics: int, seed: int) -> Result:
    from sklearn.decomposition import LatentDirichletAllocation

    began = time.perf_counter()
    model = LatentDirichletAllocation(
        n_topics, learning_method="online", max_iter=10, batch_size=1000, random_state=seed
    )
    model.fit(train)
    seconds = time.perf_counter() - began
    beta = model.components_ / model.components_.sum(1, keepdims=True)
    return beta, model.transform(first), None, seconds


def tomotopy_lda(train: csr_matrix, first: csr_matrix, n_topics: int, seed: int) -> Result:
    import tomotopy

    def words(row: csr_matrix) -> list[str]:
        return [str(w) for w, n in zip(row.indices, row.data, strict=True) for _ in range(int(n))]

    model = tomotopy.LDAModel(k=n_topics, seed=seed)
    for row in train:
        model.add_doc(words(row))
    began = time.perf_counter()
    model.train(1000, workers=2)
    seconds = time.perf_counter() - began
    order = np.array([int(w) for w in model.used_vocabs])
    beta = np.full((n_topics, train.shape[1]), 1e-12)
    for k in range(n_topics):
        beta[k, order] = model.get_topic_word_dist(k)
    beta /= beta.sum(1, keepdims=True)
    documents = [model.make_doc(words(row) or ["0"]) for row in first]
    theta, _ = model.infer(documents, iterations=100, workers=2)
    return beta, np.array(theta), None, seconds


MODELS: dict[str, Callable[..., Result]] = {
    "etm": etm,
    "etm-random": lambda *given: etm(*given, init="random"),
    "em": em,
    "sklearn-lda": sklearn_lda,
    "tomotopy-lda": tomotopy_lda,
}
TITLES = {
    "etm": "topicnet ETM, defaults",
    "etm-random": 'topicnet ETM, init="random"',
    "em": "its EM start alone, 60 passes",
    "sklearn-lda": "scikit-learn LDA, online, 10 passes, batch 1000",
    "tomotopy-lda": "tomotopy LDA, 1000 iterations",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TOPICNET_DATA", beside)))
    parser.add_argument("--topics", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--models", default=",".join(MODELS))
    arguments = parser.parse_args()
    folder = arguments.data / "20ng_etm_bow"
    if not folder.is_dir():
        raise SystemExit(f"no corpus in {folder}: name the folder of the real corpora with --data or TOPICNET_DATA")
    train, first, second = (load_npz(folder / f"{name}.npz").tocsr() for name in ("tr", "ts_h1", "ts_h2"))
    print(
        f"20ng_etm_bow, K = {arguments.topics}, {arguments.seeds} seeds; {os.cpu_count()} cores,"
        f" topicnet {topicnet.__version__} on {thread_count()} thread(s), torch {torch.__version__},"
        f" Python {platform.python_version()}; unigram perplexity {unigram_perplexity(train, second):.0f}\n"
    )
    print("| system | NPMI | TD | pairs sharing 8 of 10 words | perplexity | refined | fit, s |")
    print("|---|---|---|---|---|---|---|")
    for name in arguments.models.split(","):
        rows, seconds = [], []
        for seed in range(arguments.seeds):
            try:
                beta, theta, refined, took = MODELS[name](train, first, arguments.topics, seed)
            except ImportError as error:
                print(f"| {TITLES[name]} | not installed: {error.name} | | | | | |")
                break
            beta = beta.astype(np.float64)
            words = top_words(beta, 25)
            scores = [npmi(words[:, :10], train).mean(), topic_diversity(words), len(duplicate_topics(words[:, :10]))]
            scores += [
                np.nan if t is None else document_completion(t.astype(np.float64), beta, first, second).perplexity
                for t in (theta, refined)
            ]
            rows.append(scores)
            seconds.append(took)
        if rows:
            n, td, pairs, plain, better = np.mean(rows, axis=0)
            shown = "" if np.isnan(better) else f"{better:.0f}"
            took = statistics.median(seconds)
            print(
                f"| {TITLES[name]} | {n:.3f} | {td:.2f} | {pairs:.1f} | {plain:.0f} | {shown} | {took:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
