"""Baselines for comparisons: LDA (scikit-learn, tomotopy) and NMF with the interface of the topic models."""

from __future__ import annotations

import itertools
import warnings
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from topicnet.core.em import encoder_pseudo_counts, refine_theta
from topicnet.core.sparse import SparseBatches
from topicnet.errors import InputError
from topicnet.evaluate.perplexity import log_likelihood
from topicnet.runtime.extras import is_installed, message_of
from topicnet.runtime.threads import chosen_threads, thread_count

REFINE_BATCH = 1_000  # documents
FEW = 5_000  # documents below which LDA uses all of them in each update
CPU = torch.device("cpu")


class Baseline(ABC):
    """Abstract mixture of topics fitted by another library, p(w|d) = theta @ beta.

    A subclass implements `fit` and `infer`. Theta of a document without words is uniform.

    Parameters
    ----------
    n_topics : int
        Number of topics, K.
    random_state : int, default=0
        Seed.
    """

    mixes = True
    TITLE = ""

    def __init__(self, n_topics: int, random_state: int = 0) -> None:
        self.n_topics = n_topics
        self.random_state = random_state
        self.components_: NDArray[np.float64] = np.zeros((0, 0))

    @abstractmethod
    def fit(self, X: csr_matrix) -> Baseline:
        """Learn topics from counts X (D, V)."""

    @abstractmethod
    def infer(self, X: csr_matrix) -> NDArray[np.float64]:
        """Infer unnormalised theta (D, K) of documents with words; every row has a sum above 0."""

    def transform(self, X: csr_matrix, refine: int = 0) -> NDArray[np.float64]:
        """Infer theta (D, K), with `refine` EM steps as in `TopicModel.transform`."""
        theta = np.full((X.shape[0], self.n_topics), 1.0 / self.n_topics)
        filled = np.flatnonzero(np.diff(X.indptr) > 0)
        if filled.size:
            theta[filled] = _rows(self.infer(X[filled]))
        return self._refined(theta, X, refine) if refine else theta

    def log_likelihood(self, X: csr_matrix, theta: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the log-likelihood of each document in nats, (D,)."""
        return log_likelihood(theta, self.components_, X)

    def _refined(self, theta: NDArray[np.float64], X: csr_matrix, steps: int) -> NDArray[np.float64]:
        beta = torch.as_tensor(self.components_, dtype=torch.float32)
        with torch.inference_mode(), chosen_threads():
            parts = []
            for batch in SparseBatches(X.astype(np.float32), REFINE_BATCH, CPU):
                start = torch.as_tensor(theta[batch.index.numpy()], dtype=torch.float32)
                parts.append(refine_theta(start, beta, batch, steps, encoder_pseudo_counts(start, batch)))
        refined: NDArray[np.float64] = torch.cat(parts).double().numpy()
        refined /= refined.sum(axis=1, keepdims=True)
        return refined


class SklearnLDA(Baseline):
    """Variational LDA of scikit-learn, online (Hoffman, Blei & Bach 2010): 10 passes in batches of 1,000.

    With fewer than 5,000 documents that makes too few updates, so each of 50 passes uses all documents.

    Parameters
    ----------
    n_topics : int
        Number of topics, K.
    random_state : int, default=0
        Seed.
    """

    TITLE = "LDA (scikit-learn)"

    def fit(self, X: csr_matrix) -> SklearnLDA:
        """Learn topics from counts X (D, V)."""
        from sklearn.decomposition import LatentDirichletAllocation

        few = X.shape[0] < FEW
        self.model_ = LatentDirichletAllocation(
            self.n_topics,
            learning_method="batch" if few else "online",
            max_iter=50 if few else 10,
            batch_size=1_000,
            random_state=self.random_state,
        ).fit(X)
        self.components_ = _rows(self.model_.components_)
        return self

    def infer(self, X: csr_matrix) -> NDArray[np.float64]:
        """Return the mean of the variational posterior of theta."""
        return np.asarray(self.model_.transform(X), dtype=np.float64)


class TomotopyLDA(Baseline):
    """LDA by collapsed Gibbs sampling (tomotopy): 1,000 iterations with one worker per thread, at least two.

    Parameters
    ----------
    n_topics : int
        Number of topics, K.
    random_state : int, default=0
        Seed; with several workers, results still differ from run to run.
    """

    TITLE = "LDA (tomotopy)"

    def fit(self, X: csr_matrix) -> TomotopyLDA:
        """Learn topics from counts X (D, V)."""
        import tomotopy

        model = tomotopy.LDAModel(k=self.n_topics, seed=self.random_state)
        for tokens in _documents(X):
            if tokens:
                model.add_doc(tokens)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # with several workers a seed does not fix the result
            model.train(1_000, workers=max(2, thread_count()))
        known = np.array([int(word) for word in model.used_vocabs], dtype=np.intp)
        n_tokens = np.asarray(model.get_count_by_topics(), dtype=np.float64)  # (K,)
        # The prior on words covers the whole vocabulary, so words outside the documents of the fit have mass as well.
        beta = np.full((self.n_topics, X.shape[1]), float(model.eta))
        for k in range(self.n_topics):
            beta[k, known] = model.get_topic_word_dist(k) * (n_tokens[k] + model.eta * len(known))
        self.model_, self.known_ = model, set(known.tolist())
        self.components_ = _rows(beta)
        return self

    def infer(self, X: csr_matrix) -> NDArray[np.float64]:
        """Infer theta by 100 Gibbs sweeps over each document."""
        theta = np.full((X.shape[0], self.n_topics), 1.0 / self.n_topics)
        tokens = [[word for word in words if int(word) in self.known_] for words in _documents(X)]
        filled = [row for row, words in enumerate(tokens) if words]
        if filled:
            documents = [self.model_.make_doc(tokens[row]) for row in filled]
            theta[filled] = np.array(self.model_.infer(documents, iterations=100, workers=max(2, thread_count()))[0])
        return theta


class NMF(Baseline):
    """Non-negative matrix factorisation of the counts under the Kullback-Leibler divergence (scikit-learn).

    This maximises the likelihood of PLSA: the rows, scaled to sum to 1, are topics and theta (Ding, Li & Peng 2008).

    Parameters
    ----------
    n_topics : int
        Number of topics, K.
    random_state : int, default=0
        Seed.
    """

    TITLE = "NMF (scikit-learn)"

    def fit(self, X: csr_matrix) -> NMF:
        """Learn topics from counts X (D, V)."""
        from sklearn.decomposition import NMF as Factorisation  # noqa: N811
        from sklearn.exceptions import ConvergenceWarning

        model = Factorisation(
            self.n_topics, init="random", solver="mu", beta_loss="kullback-leibler", random_state=self.random_state
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the default of 200 iterations is kept
            model.fit(X.astype(np.float64))
        self.model_ = model
        self.sizes_ = model.components_.sum(axis=1)
        self.components_ = _rows(model.components_)
        return self

    def infer(self, X: csr_matrix) -> NDArray[np.float64]:
        """Return the weight of each topic times the size of the topic."""
        weights: NDArray[np.float64] = self.model_.transform(X.astype(np.float64)) * self.sizes_
        return weights


BASELINES: dict[str, type[Baseline]] = {"lda": SklearnLDA, "lda-tomotopy": TomotopyLDA, "nmf": NMF}


def installed(name: str) -> bool:
    """Return True if the library of a baseline is installed."""
    return name != "lda-tomotopy" or is_installed("tomotopy")


def check_installed(name: str) -> None:
    """Raise InputError if the library of a baseline is not installed."""
    if not installed(name):
        raise InputError(message_of(f"model {name!r}", "tomotopy"))


def _rows(table: NDArray[Any]) -> NDArray[np.float64]:
    """Scale rows to sum to 1; a row of zeros becomes uniform."""
    sums = table.sum(axis=1, keepdims=True)
    rows: NDArray[np.float64] = np.where(sums > 0, table / np.where(sums > 0, sums, 1.0), 1.0 / table.shape[1])
    return rows


def _documents(X: csr_matrix) -> list[list[str]]:
    """Return the tokens of each document, each word named by its column and repeated as often as it occurs."""
    words = np.repeat(X.indices, X.data.astype(np.int64)).astype(str)
    ends = np.concatenate([[0], np.cumsum(np.asarray(X.sum(1), dtype=np.int64).ravel())])
    return [words[begin:end].tolist() for begin, end in itertools.pairwise(ends)]
