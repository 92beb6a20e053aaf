"""Measure fits with hundreds of topics: number of topics in use, coherence, diversity and perplexity.

Usage: python benchmarks/many_topics.py [--topics 300,1000] [--models nvdm-gsm,etm] [--passes 60,20] [--data DIR]

Fits `20ng_etm_bow` (11,214 documents) with default settings. Prints for each model and K the topics in use (largest in
some document), duplicate topics, active latent dimensions, NPMI on the training documents, topic diversity, perplexity
of the second halves of test documents given the first (as inferred, and with 20 MAP-EM steps on theta, "refined"), and
seconds. "em" is EM alone. --passes sets the number of passes of the EM start.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from measuring import add_data, check_data, chosen, machine
from tasks import Task, read_20ng

from topicnet.core.em import fit_mixture
from topicnet.evaluate.coherence import npmi, top_words
from topicnet.evaluate.diversity import topic_diversity
from topicnet.evaluate.perplexity import document_completion
from topicnet.models import MODELS, fitting
from topicnet.runtime.threads import chosen_threads
from topicnet.training.collapse import largest_topics

TITLES = (
    "system", "K", "EM passes", "in use", "duplicates", "active dimensions", "NPMI", "TD", "perplexity", "refined",
    "seconds",
)  # fmt: skip


def em(task: Task, n_topics: int) -> tuple[list[str], np.ndarray]:
    """Fit by EM alone; returns table cells and beta."""
    import torch

    counts, rng = task.train.astype(np.float32), np.random.default_rng(0)
    with chosen_threads():
        mixture = fit_mixture(counts, n_topics, fitting.em_passes(n_topics), rng, torch.device("cpu"))
    return [str(int((largest_topics(mixture.theta) > 0).sum())), "", "", "", ""], mixture.beta.numpy()


def neural(name: str, task: Task, n_topics: int) -> tuple[list[str], np.ndarray]:
    """Fit a model; returns table cells and beta."""
    model = MODELS[name](n_topics, random_state=0, device="cpu").fit(task.train)
    health, beta = model.health_, model.components_.astype(np.float64)
    cells = [n_topics - len(health.dead), len({j for _, j in health.duplicates}), health.active_units]
    for refine in (0, 20) if model.network_.decoder.mixes else ():
        theta = model.transform(task.first, refine=refine).astype(np.float64)
        cells.append(round(document_completion(theta, beta, task.first, task.second).perplexity))
    return [*map(str, cells), "", ""][:5], model.components_


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_data(parser)
    parser.add_argument("--topics", default="300,1000")
    parser.add_argument("--models", default="em,nvdm-gsm,etm")
    parser.add_argument("--passes", help="Passes of the EM start, separated by commas.  [default: depends on K]")
    given = parser.parse_args()
    names = chosen(given.models, ("em", *MODELS), "--models")
    task = read_20ng(check_data(given.data))
    print(machine())
    print(f"| {' | '.join(TITLES)} |\n|{'---|' * len(TITLES)}")
    topics = [int(n_topics) for n_topics in given.topics.split(",")]
    defaults = {n_topics: str(fitting.em_passes(n_topics)) for n_topics in topics}
    for name in names:
        for n_topics in topics:
            for passes in map(int, (given.passes or defaults[n_topics]).split(",")):
                fitting.EM_PASSES = fitting.LEAST_EM_PASSES = passes
                began = time.perf_counter()
                cells, beta = em(task, n_topics) if name == "em" else neural(name, task, n_topics)
                seconds = time.perf_counter() - began
                words = top_words(beta, 25)
                coherence, diversity = float(np.mean(npmi(words[:, :10], task.train))), topic_diversity(words)
                row = [name, str(n_topics), str(passes), *cells[:3], f"{coherence:.3f}", f"{diversity:.2f}", *cells[3:]]
                print(f"| {' | '.join([*row, f'{seconds:.1f}'])} |", flush=True)


if __name__ == "__main__":
    main()
