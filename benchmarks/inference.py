"""Inference: documents a second of `transform`, and of `transform(refine=20)`, beside tomotopy and scikit-learn.

Usage: python benchmarks/inference.py [--documents 100000] [--peer-documents 2000] [--repeats 5] [--models etm,...]

The documents have 50 tokens each and are drawn from topics that EM finds in `20ng_etm_bow`; every model is fitted to
that corpus, K = 50, for two epochs (`transform` takes as long after more). topicnet's time is that of the whole call:
counts in, theta out. tomotopy's is that of `infer` alone (100 iterations as in
`topicnet.experiments.baselines`, 2 workers), without the making of its documents; its documents,
 and those of scikit-learn, are fewer, as they take much longer.
All take turns. Medians of the repeats, with the slowest and the quickest.
"""

from __future__ import annotations

import argparse
import statistics
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import add_data, check_data, chosen, cores, draw_documents, in_turn, load, machine
from scipy.sparse import csr_matrix
from tasks import read_20ng

from topicnet.core.em import fit_mixture
from topicnet.models import MODELS
from topicnet.runtime.threads import chosen_threads

TOKENS, REFINED = 50, 20
EPOCHS, EM_PASSES = 2, 20
GIBBS_FIT, GIBBS_INFER, GIBBS_WORKERS = 100, 100, 2
WARM_DOCS = 2_000
LEAST_DOCS, LEAST_RATIO = 100_000, 100  # a second; and times tomotopy's
TOMOTOPY = f"tomotopy infer, {GIBBS_INFER} iterations, {GIBBS_WORKERS} workers"

Work = tuple[int, Callable[[], object]]  # documents, and what infers them


def drawn_documents(train: csr_matrix, n_topics: int, n_docs: int) -> csr_matrix:
    """Documents from topics that are those of the corpus."""
    with chosen_threads():
        rng = np.random.default_rng(0)
        mixture = fit_mixture(train.astype(np.float32), n_topics, EM_PASSES, rng, torch.device("cpu"))
    return draw_documents(mixture.beta.double().numpy(), n_docs, TOKENS, np.random.default_rng(1))


def topicnet_works(names: list[str], train: csr_matrix, n_topics: int, counts: csr_matrix) -> dict[str, Work]:
    """Plain and refined inference of each model."""
    works: dict[str, Work] = {}
    for name in names:
        model = MODELS[name](n_topics, max_epochs=EPOCHS, random_state=0, device="cpu").fit(train)

        def infer(refine: int, model: Any = model) -> object:
            return model.transform(counts, refine=refine)

        model.transform(counts[:WARM_DOCS])
        works[name] = (counts.shape[0], lambda infer=infer: infer(0))
        if model.mixes:
            works[f"{name}, refine={REFINED}"] = (counts.shape[0], lambda infer=infer: infer(REFINED))
    return works


def tomotopy_work(train: csr_matrix, n_topics: int, counts: csr_matrix) -> dict[str, Work]:
    """tomotopy's LDA, fitted briefly."""
    try:
        import tomotopy
    except ImportError:
        print("tomotopy is not installed: no row of it, and no ratio", flush=True)
        return {}
    model = tomotopy.LDAModel(k=n_topics, seed=0)
    for row in train:
        if row.nnz:
            model.add_doc(as_words(row))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # several workers: another result under the same seed
        model.train(GIBBS_FIT, workers=GIBBS_WORKERS)
    known = set(model.used_vocabs)
    rows = [[word for word in as_words(row) if word in known] for row in counts]
    documents = [model.make_doc(words) for words in rows if words]

    def infer() -> object:
        return model.infer(documents, iterations=GIBBS_INFER, workers=GIBBS_WORKERS)

    return {TOMOTOPY: (len(documents), infer)}


def as_words(row: csr_matrix) -> list[str]:
    """A document as words named by their column, as often as they occur."""
    return [str(word) for word in np.repeat(row.indices, row.data)]


def sklearn_works(train: csr_matrix, n_topics: int, counts: csr_matrix) -> dict[str, Work]:
    """scikit-learn's LDA after one pass, on one core, which is its default, and on all."""
    from sklearn.decomposition import LatentDirichletAllocation

    options: dict[str, Any] = {"learning_method": "online", "max_iter": 1, "batch_size": 1000, "random_state": 0}
    works: dict[str, Work] = {}
    for jobs in dict.fromkeys((1, cores())):
        model = LatentDirichletAllocation(n_topics, n_jobs=jobs, **options).fit(train)
        model.transform(counts[:100])
        works[f"scikit-learn LDA transform, n_jobs={jobs}"] = (counts.shape[0], lambda m=model: m.transform(counts))
    return works


def report(works: Mapping[str, Work], seconds: Mapping[str, list[float]]) -> None:
    """The table, and what of it is asked for."""
    rates = {name: [works[name][0] / value for value in values] for name, values in seconds.items()}
    middle = {name: statistics.median(values) for name, values in rates.items()}
    gibbs = middle.get(TOMOTOPY)
    print("\n| system | documents | documents a second | slowest-quickest | times tomotopy |\n|---|---|---|---|---|")
    for name, values in rates.items():
        ratio = "" if gibbs is None else f"{middle[name] / gibbs:.1f}"
        spread = f"{min(values):,.0f}-{max(values):,.0f}"
        print(f"| {name} | {works[name][0]:,} | {middle[name]:,.0f} | {spread} | {ratio} |")
    print()
    for name in [name for name in rates if name in MODELS]:
        sound = middle[name] >= LEAST_DOCS
        line = f"{name}: {middle[name]:,.0f} documents a second, asked {LEAST_DOCS:,}: {'PASS' if sound else 'miss'}"
        if gibbs is not None:
            ratio = middle[name] / gibbs
            verdict = "PASS" if ratio >= LEAST_RATIO else "miss"
            line += f"; {ratio:.0f} times tomotopy, asked {LEAST_RATIO}: {verdict}"
        print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_data(parser)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--peer-documents", type=int, default=2_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--models", default=",".join(MODELS))
    arguments = parser.parse_args()
    names = chosen(arguments.models, MODELS, "--models")
    task = read_20ng(check_data(Path(arguments.data)))
    print(machine("scikit-learn", "tomotopy"), flush=True)
    counts = drawn_documents(task.train, task.n_topics, max(arguments.documents, arguments.peer_documents))
    few = counts[: arguments.peer_documents]
    counts = counts[: arguments.documents]
    works = topicnet_works(names, task.train, task.n_topics, counts)
    works |= tomotopy_work(task.train, task.n_topics, few) | sklearn_works(task.train, task.n_topics, few)
    print(
        f"{counts.shape[0]:,} documents of {TOKENS} tokens and {counts.nnz / counts.shape[0]:.1f} nonzeros,"
        f" {counts.shape[1]:,} words, K = {task.n_topics}; {arguments.repeats} repeats"
    )
    report(works, in_turn({name: work for name, (_, work) in works.items()}, arguments.repeats))
    print(f"\nat the end: {load()}")


if __name__ == "__main__":
    main()
