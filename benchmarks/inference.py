"""Compare documents per second of `transform` and `transform(refine=20)` with tomotopy and scikit-learn.

Usage: python benchmarks/inference.py [--documents 100000] [--peer-documents 2000] [--repeats 5] [--models etm,...]

The documents have 50 tokens each and are drawn from topics that EM finds in `20ng_etm_bow`. Every model is fitted to
that corpus, K = 50, for two epochs, because more epochs do not change the time of `transform`. topicnet's time covers
the whole call, from counts to theta. tomotopy's time covers only `infer` (100 iterations as in
`topicnet.experiments.baselines`, 2 workers), not the creation of its documents. tomotopy and scikit-learn get fewer
documents because they take much longer. The systems alternate; prints medians of the repeats with minimum and maximum.
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
LEAST_DOCS, LEAST_RATIO = 100_000, 100  # targets: documents per second, and multiple of tomotopy's rate
TOMOTOPY = f"tomotopy infer, {GIBBS_INFER} iterations, {GIBBS_WORKERS} workers"

Work = tuple[int, Callable[[], object]]  # number of documents, and function that infers them


def drawn_documents(train: csr_matrix, n_topics: int, n_docs: int) -> csr_matrix:
    """Draw documents from topics fitted to the corpus."""
    with chosen_threads():
        rng = np.random.default_rng(0)
        mixture = fit_mixture(train.astype(np.float32), n_topics, EM_PASSES, rng, torch.device("cpu"))
    return draw_documents(mixture.beta.double().numpy(), n_docs, TOKENS, np.random.default_rng(1))


def topicnet_works(names: list[str], train: csr_matrix, n_topics: int, counts: csr_matrix) -> dict[str, Work]:
    """Return plain and refined inference of each model."""
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
    """Return inference by tomotopy's LDA after a short fit."""
    try:
        import tomotopy
    except ImportError:
        print("tomotopy is not installed: no comparison with it", flush=True)
        return {}
    model = tomotopy.LDAModel(k=n_topics, seed=0)
    for row in train:
        if row.nnz:
            model.add_doc(as_words(row))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # results with several workers depend on timing
        model.train(GIBBS_FIT, workers=GIBBS_WORKERS)
    known = set(model.used_vocabs)
    rows = [[word for word in as_words(row) if word in known] for row in counts]
    documents = [model.make_doc(words) for words in rows if words]

    def infer() -> object:
        return model.infer(documents, iterations=GIBBS_INFER, workers=GIBBS_WORKERS)

    return {TOMOTOPY: (len(documents), infer)}


def as_words(row: csr_matrix) -> list[str]:
    """Convert a document to words named by their column, with repetitions."""
    return [str(word) for word in np.repeat(row.indices, row.data)]


def sklearn_works(train: csr_matrix, n_topics: int, counts: csr_matrix) -> dict[str, Work]:
    """Return inference by scikit-learn's LDA after one pass, on one core (its default) and on all."""
    from sklearn.decomposition import LatentDirichletAllocation

    options: dict[str, Any] = {"learning_method": "online", "max_iter": 1, "batch_size": 1000, "random_state": 0}
    works: dict[str, Work] = {}
    for jobs in dict.fromkeys((1, cores())):
        model = LatentDirichletAllocation(n_topics, n_jobs=jobs, **options).fit(train)
        model.transform(counts[:100])
        works[f"scikit-learn LDA transform, n_jobs={jobs}"] = (counts.shape[0], lambda m=model: m.transform(counts))
    return works


def report(works: Mapping[str, Work], seconds: Mapping[str, list[float]]) -> None:
    """Print the table, and the results against the targets."""
    rates = {name: [works[name][0] / value for value in values] for name, values in seconds.items()}
    middle = {name: statistics.median(values) for name, values in rates.items()}
    gibbs = middle.get(TOMOTOPY)
    print("\n| system | documents | documents per second | min-max | times tomotopy |\n|---|---|---|---|---|")
    for name, values in rates.items():
        ratio = "" if gibbs is None else f"{middle[name] / gibbs:.1f}"
        limits = f"{min(values):,.0f}-{max(values):,.0f}"
        print(f"| {name} | {works[name][0]:,} | {middle[name]:,.0f} | {limits} | {ratio} |")
    print()
    for name in [name for name in rates if name in MODELS]:
        passed = middle[name] >= LEAST_DOCS
        line = (
            f"{name}: {middle[name]:,.0f} documents per second, target {LEAST_DOCS:,}: {'PASS' if passed else 'miss'}"
        )
        if gibbs is not None:
            ratio = middle[name] / gibbs
            result = "PASS" if ratio >= LEAST_RATIO else "miss"
            line += f"; {ratio:.0f} times tomotopy, target {LEAST_RATIO}: {result}"
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
