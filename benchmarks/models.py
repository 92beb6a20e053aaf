"""Compare quality and seconds of every model with its EM start and with LDA, on four corpora.

Usage: python benchmarks/models.py [--corpora 20ng,m10,dblp,20ng-text] [--seeds 3] [--systems etm,w-lda,...]

Prints a Markdown table for each corpus: NPMI of the top 10 words on the training documents and topic diversity of the
top 25, ranked by `components_`; duplicate pairs of topics, which share 8 of their top 10 words; unused topics, which
are the largest in no document; document-completion perplexity, as inferred and with 20 EM steps on theta ("refined",
mixture decoders only); NMI of the top topic with the labels, if there are labels; seconds of the fit. Scores are means
over the seeds, seconds are medians.

20ng is `20ng_etm_bow` with its own test halves, K = 50. m10 and dblp are short titles, K = 20; models are fitted to the
train and val parts, and the halves of the test part are drawn with seed 0. 20ng-text is the stripped text of the
training posts, counted as by the command line, K = 20. LDA infers theta itself; for the EM start, theta comes from 20
MAP-EM steps from uniform, with the better of two priors. scikit-learn's batch size of 1,000 is the best of those tried
(its default, 128, gives a perplexity above 2,000 on 20ng); tomotopy uses 2 workers. "Before training" is the state
after EM on the documents that are not held out, and after the encoder warm-up.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.metrics import normalized_mutual_info_score
from tasks import CORPORA, Fitted, Task, measured

import topicnet
from topicnet.core.em import fit_mixture, refine_theta
from topicnet.core.sparse import SparseBatches
from topicnet.evaluate.coherence import npmi, top_words
from topicnet.evaluate.diversity import topic_diversity
from topicnet.evaluate.perplexity import document_completion, summarise_completion, unigram_perplexity
from topicnet.models import MODELS
from topicnet.runtime.threads import chosen_threads, thread_count
from topicnet.training.collapse import duplicate_pairs

CPU = torch.device("cpu")
EM_PASSES = 60
EM_PSEUDO_COUNTS = (0.1, 0.3)


def neural(name: str, **options: object) -> Callable[[Task, int], Fitted]:
    def run(task: Task, seed: int) -> Fitted:
        with measured() as cost:
            model = MODELS[name](task.n_topics, random_state=seed, **options).fit(task.train)
        network, theta = model.network_, torch.as_tensor(model.transform(task.first))
        with torch.inference_mode():
            parts = [
                network.decoder.log_likelihood(theta[batch.index], network.topics(), batch)
                for batch in SparseBatches(task.second.astype(np.float32), 1000, CPU)
            ]
        nats = torch.cat(parts).double().numpy()
        plain = summarise_completion(nats, task.first, task.second).perplexity
        beta = model.components_.astype(np.float64)
        refined = np.nan
        if network.decoder.mixes:
            better = model.transform(task.first, refine=20).astype(np.float64)
            refined = document_completion(better, beta, task.first, task.second).perplexity
        return Fitted(beta, model.transform(task.train), plain, refined, cost)

    return run


def infer(beta: torch.Tensor, counts: csr_matrix, pseudo_count: float) -> NDArray[np.float64]:
    """Infer theta under given topics by 20 MAP-EM steps from uniform."""
    parts = [
        refine_theta(beta.new_full((batch.n_docs, len(beta)), 1 / len(beta)), beta, batch, 20, pseudo_count)
        for batch in SparseBatches(counts.astype(np.float32), 1000, CPU)
    ]
    return torch.cat(parts).double().numpy()


def em(task: Task, seed: int) -> Fitted:
    with chosen_threads():
        with measured() as cost:
            rng = np.random.default_rng(seed)
            fitted = fit_mixture(task.train.astype(np.float32), task.n_topics, EM_PASSES, rng, CPU)
        thetas = [infer(fitted.beta, task.first, pseudo_count) for pseudo_count in EM_PSEUDO_COUNTS]
    beta = fitted.beta.double().numpy()
    score = min(document_completion(theta, beta, task.first, task.second).perplexity for theta in thetas)
    return Fitted(beta, fitted.theta.double().numpy(), np.nan, score, cost)


def sklearn_lda(task: Task, seed: int) -> Fitted:
    from sklearn.decomposition import LatentDirichletAllocation

    with measured() as cost:
        model = LatentDirichletAllocation(
            task.n_topics, learning_method="online", max_iter=10, batch_size=1000, random_state=seed
        ).fit(task.train)
    beta = model.components_ / model.components_.sum(1, keepdims=True)
    theta = model.transform(task.first)
    score = document_completion(theta, beta, task.first, task.second).perplexity
    return Fitted(beta, model.transform(task.train), score, np.nan, cost, theta)


def tomotopy_lda(task: Task, seed: int) -> Fitted:
    import tomotopy

    def words(row: csr_matrix) -> list[str]:
        return [str(w) for w, n in zip(row.indices, row.data, strict=True) for _ in range(int(n))]

    model = tomotopy.LDAModel(k=task.n_topics, seed=seed)
    rows = [words(row) for row in task.train]
    for row in rows:
        if row:
            model.add_doc(row)
    with measured() as cost:
        model.train(1000, workers=2)
    order = np.array([int(w) for w in model.used_vocabs])
    known = set(order.tolist())
    beta = np.full((task.n_topics, task.train.shape[1]), 1e-12)
    for k in range(task.n_topics):
        beta[k, order] = model.get_topic_word_dist(k)
    beta /= beta.sum(1, keepdims=True)
    documents = [model.make_doc([w for w in words(row) if int(w) in known] or [str(order[0])]) for row in task.first]
    theta = np.array(model.infer(documents, iterations=100, workers=2)[0])
    own = iter(model.docs)
    uniform = np.full(task.n_topics, 1 / task.n_topics)
    fitted = np.array([next(own).get_topic_dist() if row else uniform for row in rows])
    theta /= theta.sum(1, keepdims=True)
    score = document_completion(theta, beta, task.first, task.second).perplexity
    return Fitted(beta, fitted, score, np.nan, cost, theta)


SYSTEMS: dict[str, tuple[str, Callable[[Task, int], Fitted]]] = {
    "em": ("EM start alone", em),
    "start": ("topicnet nvdm-gsm before training", neural("nvdm-gsm", max_epochs=1, learning_rate=1e-12)),
    **{name: (f"topicnet {name}", neural(name)) for name in MODELS},
    **{f"{name}-random": (f'topicnet {name}, init="random"', neural(name, init="random")) for name in MODELS},
    "sklearn-lda": ("scikit-learn LDA, online, 10 passes, batch 1000", sklearn_lda),
    "tomotopy-lda": ("tomotopy LDA, 1000 iterations", tomotopy_lda),
}


def scores(task: Task, fitted: Fitted) -> list[float]:
    words = top_words(fitted.beta, 25)
    filled = np.diff(task.train.indptr) > 0
    top = fitted.theta.argmax(1)
    agreement = np.nan if task.labels is None else normalized_mutual_info_score(task.labels[filled], top[filled])
    return [
        float(npmi(words[:, :10], task.train).mean()),
        topic_diversity(words),
        len(duplicate_pairs(torch.as_tensor(fitted.beta))),
        task.n_topics - len(np.unique(top[filled])),
        fitted.perplexity,
        fitted.refined,
        float(agreement),
    ]


def row(title: str, task: Task, system: Callable[[Task, int], Fitted], seeds: int) -> str:
    try:
        fits = [system(task, seed) for seed in range(seeds)]
    except ImportError as error:
        return f"| {title} | not installed: {error.name} |" + " |" * (7 if task.labels is None else 8)
    table = np.array([scores(task, fitted) for fitted in fits])
    means, sds = table.mean(0), table.std(0)
    shown = ["" if np.isnan(value) else f"{value:.0f}" for value in means[4:6]]
    cells = [
        title, f"{means[0]:.3f} ± {sds[0]:.3f}", f"{means[1]:.2f}", f"{means[2]:.1f}", f"{means[3]:.1f}", *shown,
        *([] if task.labels is None else [f"{means[6]:.3f}"]),
        f"{statistics.median(fitted.cost.seconds for fitted in fits):.1f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TOPICNET_DATA", default)))
    parser.add_argument("--corpora", default=",".join(CORPORA))
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        raise SystemExit(f"no folder {arguments.data}: set that of the real corpora with --data or TOPICNET_DATA")
    print(
        f"{os.cpu_count()} cores, topicnet {topicnet.__version__} on {thread_count()} thread(s), torch"
        f" {torch.__version__}, Python {platform.python_version()}; {arguments.seeds} seeds"
    )
    for name in arguments.corpora.split(","):
        task = CORPORA[name](arguments.data)
        unigram = unigram_perplexity(task.train, task.second)
        print(
            f"\n{task.name}: {task.train.shape[0]:,} documents, {task.train.shape[1]:,} words, K = {task.n_topics};"
            f" unigram perplexity {unigram:.0f}\n"
        )
        labels = "" if task.labels is None else " NMI |"
        print(f"| system | NPMI | TD | duplicate pairs | unused topics | perplexity | refined |{labels} fit, s |")
        print("|---|---|---|---|---|---|---|---|" + ("" if task.labels is None else "---|"))
        for system in arguments.systems.split(","):
            print(row(SYSTEMS[system][0], task, SYSTEMS[system][1], arguments.seeds), flush=True)


if __name__ == "__main__":
    main()
