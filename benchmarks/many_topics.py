"""Hundreds of topics: how many of them a fit uses.

Usage: python benchmarks/many_topics.py [--topics 300,1000] [--models nvdm-gsm,etm] [--data DIR]

Fits `20ng_etm_bow` (11,214 documents) with default settings and prints, for each model and K, the topics that are some
document's largest, those that repeat another, latent dimensions in use, NPMI over the training documents, topic
diversity and seconds. For what EM alone finds, "em".
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from measuring import add_data, check_data, machine
from tasks import read_20ng

from topicnet.core.em import fit_mixture
from topicnet.core.health import largest_topics
from topicnet.core.threads import chosen_threads
from topicnet.evaluate.coherence import npmi, top_words
from topicnet.evaluate.diversity import topic_diversity
from topicnet.models import MODELS
from topicnet.models.fitting import em_passes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_data(parser)
    parser.add_argument("--topics", default="300,1000")
    parser.add_argument("--models", default="em,nvdm-gsm,etm")
    given = parser.parse_args()
    counts = read_20ng(check_data(given.data)).train
    print(machine())
    print("| system | K | in use | repeating | latent dimensions | NPMI | TD | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    for name in given.models.split(","):
        for n_topics in map(int, given.topics.split(",")):
            began = time.perf_counter()
            if name == "em":
                with chosen_threads():
                    rng = np.random.default_rng(0)
                    mixture = fit_mixture(
                        counts.astype(np.float32), n_topics, em_passes(n_topics), rng, torch.device("cpu")
                    )
                used, repeating, active = int((largest_topics(mixture.theta) > 0).sum()), "", ""
                beta = mixture.beta.numpy()
            else:
                model = MODELS[name](n_topics, random_state=0, device="cpu").fit(counts)
                health = model.health_
                used, repeating = n_topics - len(health.dead), str(len({j for _, j in health.duplicates}))
                active, beta = str(health.active_units), model.components_
            seconds = time.perf_counter() - began
            words = top_words(beta, 25)
            coherence = float(np.mean(npmi(words[:, :10], counts)))
            diversity = topic_diversity(words)
            print(
                f"| {name} | {n_topics} | {used} | {repeating} | {active} | {coherence:.3f} | {diversity:.2f} |"
                f" {seconds:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
