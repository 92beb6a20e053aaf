"""Compare coherence scores and seconds with gensim's CoherenceModel on the same topics and texts.

Usage: python benchmarks/coherence.py [--data FOLDER] [--runs 3] [--publish coherence]

Scores 50 topics of 10 words (an EM fit) on the stripped training posts of 20 Newsgroups, in reading order, counted as
`topicnet fit` does. gensim uses two processes for the times and one for the values, because with several processes it
counts a negative number of windows for documents shorter than the window. Prints medians of alternating runs.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import gensim
import numpy as np
import torch
from gensim.corpora import Dictionary
from gensim.models import CoherenceModel
from publish import add_option, publish_markdown

from topicnet.core.em import fit_mixture
from topicnet.evaluate.coherence import c_npmi, c_uci, c_v, npmi, top_words, u_mass
from topicnet.evaluate.occurrences import TokenStream
from topicnet.runtime.threads import chosen_threads
from topicnet.text.corpus import Corpus
from topicnet.text.readers.read import read_documents

TOPICS = 50


def seconds_of(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TOPICNET_DATA", default)))
    parser.add_argument("--runs", type=int, default=3)
    add_option(parser)
    arguments = parser.parse_args()
    corpus = Corpus.from_documents(read_documents(arguments.data / "20ng/train.jsonl.gz"))
    starts = np.concatenate([[0], np.cumsum(np.asarray(corpus.counts.sum(1)).ravel())])
    stream = TokenStream(corpus.tokens, starts)
    with chosen_threads():
        fitted = fit_mixture(
            corpus.counts.astype(np.float32), TOPICS, 20, np.random.default_rng(0), torch.device("cpu")
        )
    topics = top_words(fitted.beta.numpy(), 10)

    words = np.array(corpus.vocabulary, dtype=object)
    texts = [words[corpus.tokens[a:b]].tolist() for a, b in itertools.pairwise(starts)]
    dictionary = Dictionary(texts)
    named = words[topics].tolist()
    bags = [dictionary.doc2bow(text) for text in texts]
    print(
        f"{os.cpu_count()} cores, gensim {gensim.__version__}: {len(texts):,} documents,"
        f" {len(corpus.tokens):,} tokens, {TOPICS} topics; seconds, medians of {arguments.runs}\n"
    )
    lines = [
        "| measure | topicnet, s | gensim, 2 processes, s | speed-up | largest difference |",
        "|---|---|---|---|---|",
    ]
    print("\n".join(lines))
    ours: dict[str, Callable[[], np.ndarray]] = {
        "npmi": lambda: npmi(topics, corpus.counts),
        "u_mass": lambda: u_mass(topics, corpus.counts),
        "c_uci": lambda: c_uci(topics, stream),
        "c_npmi": lambda: c_npmi(topics, stream),
        "c_v": lambda: c_v(topics, stream),
    }
    warnings.simplefilter("ignore")
    for name, work in ours.items():
        if name == "npmi":
            lines.append(f"| {name} | {statistics.median(seconds_of(work) for _ in range(9)):.3f} | | | |")
            print(lines[-1], flush=True)
            continue

        def peer(processes: int, name: str = name) -> np.ndarray:
            given = {"corpus": bags} if name == "u_mass" else {"texts": texts}
            model = CoherenceModel(
                topics=named, dictionary=dictionary, coherence=name, topn=10, processes=processes, **given
            )
            return np.array(model.get_coherence_per_topic())

        times = [(seconds_of(work), seconds_of(lambda: peer(2))) for _ in range(arguments.runs)]
        mine, theirs = (statistics.median(column) for column in zip(*times, strict=True))
        difference = abs(work() - peer(1)).max()
        lines.append(f"| {name} | {mine:.3f} | {theirs:.2f} | {theirs / mine:.0f} | {difference:.1e} |")
        print(lines[-1], flush=True)
    if arguments.publish:
        publish_markdown(arguments.publish, "Coherence measures compared with gensim", "\n".join(lines), ["gensim"])


if __name__ == "__main__":
    main()
