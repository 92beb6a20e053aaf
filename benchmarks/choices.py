"""Measurements behind the default settings: 20ng_etm_bow with K = 50 and the titles of M10 with K = 20, seed 0.

Usage: python benchmarks/choices.py [--data FOLDER]

Measures the number of EM passes, the overlap penalty, W-LDA's noise, the alternative decoder of each model, the
embedding size, the weight of the encoder in refinement, the learning rate on titles, and the number of threads.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_matrix, load_npz
from tasks import read_titles

import topicnet
from topicnet.core.em import fit_mixture, refine_theta
from topicnet.core.sparse import SparseBatch
from topicnet.evaluate.coherence import npmi, top_words
from topicnet.evaluate.diversity import topic_diversity
from topicnet.evaluate.perplexity import document_completion
from topicnet.models import MODELS, TopicModel
from topicnet.runtime.threads import VARIABLE, chosen_threads

Data = tuple[csr_matrix, csr_matrix, csr_matrix]  # training documents, first and second halves of test documents
CPU = torch.device("cpu")
TOPICS = 50
OTHER_DECODERS = {"etm": "product", "nvdm-gsm": "product", "w-lda": "mixture", "gmntm": "product"}
# Ends with this process, however it ends, so that it cannot disturb later measurements.
BUSY = f"import os\nwhile os.getppid() == {os.getpid()}: pass"
FIT = """
import sys, time, topicnet
from scipy.sparse import load_npz
train = load_npz(sys.argv[1]).tocsr()
began = time.perf_counter()
topicnet.ETM(50, random_state=0, max_epochs=10).fit(train)
print(time.perf_counter() - began)
"""


def scores(
    beta: np.ndarray, theta: np.ndarray, train: csr_matrix, first: csr_matrix, second: csr_matrix
) -> tuple[float, float, float]:
    """Return NPMI, topic diversity and document-completion perplexity."""
    beta = beta.astype(np.float64)
    words = top_words(beta, 25)
    completion = document_completion(theta.astype(np.float64), beta, first, second)
    return float(npmi(words[:, :10], train).mean()), topic_diversity(words), completion.perplexity


def em_passes(train: csr_matrix, first: csr_matrix, second: csr_matrix) -> None:
    print("| EM passes | NPMI | TD | perplexity, 20 EM steps on theta | seconds |\n|---|---|---|---|---|")
    batch = SparseBatch.from_csr(first.astype(np.float32), np.arange(first.shape[0]), CPU)
    for passes in (10, 20, 40, 60, 100):
        with chosen_threads():
            began = time.perf_counter()
            fitted = fit_mixture(train.astype(np.float32), TOPICS, passes, np.random.default_rng(0), CPU)
            seconds = time.perf_counter() - began
            theta = refine_theta(torch.full((first.shape[0], TOPICS), 1 / TOPICS), fitted.beta, batch, 20)
        n, td, perplexity = scores(fitted.beta.numpy(), theta.numpy(), train, first, second)
        print(f"| {passes} | {n:.3f} | {td:.2f} | {perplexity:.0f} | {seconds:.1f} |", flush=True)


def embedding_sizes(train: csr_matrix, first: csr_matrix, second: csr_matrix) -> None:
    print("\n| embedding size | NPMI | TD | perplexity, refined | seconds |\n|---|---|---|---|---|")
    for size in (100, 300):
        began = time.perf_counter()
        model = topicnet.ETM(TOPICS, embedding_dim=size, random_state=0).fit(train)
        seconds = time.perf_counter() - began
        n, td, perplexity = scores(model.components_, model.transform(first, refine=20), train, first, second)
        print(f"| {size} | {n:.3f} | {td:.2f} | {perplexity:.0f} | {seconds:.1f} |", flush=True)


def trained(title: str, rows: dict[str, TopicModel], data: Data) -> None:
    """Print a table for the values of one option; perplexity after 20 EM steps on theta, for mixture decoders."""
    train, first, second = data
    print(f"\n| {title} | NPMI | TD | perplexity, refined |\n|---|---|---|---|")
    for name, model in rows.items():
        model.fit(train)
        mixes = model.network_.decoder.mixes
        theta = model.transform(first, refine=20 if mixes else 0)
        n, td, perplexity = scores(model.components_, theta, train, first, second)
        print(f"| {name} | {n:.3f} | {td:.2f} | {f'{perplexity:.0f}' if mixes else ''} |", flush=True)


def refinement(name: str, model: TopicModel, data: Data) -> None:
    """Print the perplexity of held-out halves after 20 steps, by the weights of `encoder_pseudo_counts`."""
    train, first, second = data
    model.fit(train)
    beta, theta = torch.as_tensor(model.components_), torch.as_tensor(model.transform(first))
    batch = SparseBatch.from_csr(first.astype(np.float32), np.arange(first.shape[0]), CPU)
    length = batch.row_sums(batch.counts)[:, None]
    print(f"\n| {name}: added to every topic | encoder weight 0 | 0.25 per token | 1 per token |\n|---|---|---|---|")
    for uniform in (0.05, 0.1, 0.3):
        cells = []
        for weight in (0.0, 0.25, 1.0):
            refined = refine_theta(theta, beta, batch, 20, uniform + weight * length * theta)
            cells.append(f"{scores(model.components_, refined.numpy(), train, first, second)[2]:.0f}")
        print(f"| {uniform} | {' | '.join(cells)} |", flush=True)


def threads(path: Path) -> None:
    print("\n| threads | idle machine, s | with one busy process, s |\n|---|---|---|")
    for count in (1, 2):
        seconds = []
        for busy in (False, True):
            other = subprocess.Popen([sys.executable, "-c", BUSY]) if busy else None
            try:
                done = subprocess.run(
                    [sys.executable, "-c", FIT, str(path)],
                    env=os.environ | {VARIABLE: str(count)}, capture_output=True, text=True, check=True,
                )  # fmt: skip
                seconds.append(float(done.stdout))
            finally:
                if other is not None:
                    other.kill()
                    other.wait()
        print(f"| {count} | {seconds[0]:.1f} | {seconds[1]:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TOPICNET_DATA", default)))
    folder = parser.parse_args().data / "20ng_etm_bow"
    if not folder.is_dir():
        raise SystemExit(f"no corpus in {folder}: set the folder of the real corpora with --data or TOPICNET_DATA")
    train, first, second = (load_npz(folder / f"{name}.npz").tocsr() for name in ("tr", "ts_h1", "ts_h2"))
    print(f"{os.cpu_count()} cores, torch {torch.__version__}, topicnet {topicnet.__version__}\n")
    em_passes(train, first, second)
    data = (train, first, second)
    overlap = {str(w): topicnet.NVDMGSM(TOPICS, diversity_weight=w, random_state=0) for w in (0.0, 0.0075, 0.02, 0.05)}
    trained("overlap weight, NVDM-GSM", overlap, data)
    penalties = {str(w): topicnet.WLDA(TOPICS, diversity_weight=w, random_state=0) for w in (0.0, 0.01, 0.03, 0.1)}
    trained("overlap weight, W-LDA", penalties, data)
    noise = {str(a): topicnet.WLDA(TOPICS, noise=a, random_state=0) for a in (0.0, 0.2, 0.3, 0.4)}
    trained("noise, W-LDA", noise, data)
    decoders = {f"{n}, {d}": MODELS[n](TOPICS, decoder=d, random_state=0) for n, d in OTHER_DECODERS.items()}
    trained("decoder", decoders, data)
    embedding_sizes(train, first, second)
    m10 = read_titles(folder.parent, "m10")
    titles = (m10.train, m10.first, m10.second)
    refinement("20 Newsgroups, NVDM-GSM", topicnet.NVDMGSM(TOPICS, random_state=0), data)
    refinement("M10, NVDM-GSM", topicnet.NVDMGSM(m10.n_topics, random_state=0), titles)
    rates = {
        f"{name}, {title}": MODELS[name](m10.n_topics, random_state=0, **options)
        for name in ("etm", "nvdm-gsm", "w-lda")
        for title, options in {
            "by the length of documents": {},
            "as for long documents": {"learning_rate": MODELS[name].PLANS["em"].rate},
        }.items()
    }
    trained("learning rate on M10", rates, titles)
    threads((folder / "tr.npz").resolve())


if __name__ == "__main__":
    main()
