"""LDA, NMF and the unigram behind the interface of the models, so that every table can have them."""

from __future__ import annotations

import itertools
import warnings
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from topicnet.core.em import belief, refine_theta
from topicnet.core.sparse import SparseBatches
from topicnet.errors import InputError
from topicnet.evaluate.perplexity import log_likelihood
from topicnet.runtime.extras import is_installed, message_of
from topicnet.runtime.threads import chosen_threads, thread_count

REFINE_BATCH = 1_000
FEW = 5_000  # documents
CPU = torch.device("cpu")


class Baseline(ABC):
    """A mixture of topics fitted by another library: p(w|d) = theta @ beta.

    Abstract: a subclass fits and infers; a document without words gets equal shares.
    """

    mixes = True
    TITLE = ""

    def __init__(self, n_topics: int, random_state: int = 0) -> None:
        self.n_topics = n_topics
        self.random_state = random_state
        self.components_: NDArray[np.float64] = np.zeros((0, 0))

    @abstractmethod
    def fit(self, X: csr_matrix) -> Baseline:
        """Learn the topics of counts (D, V)."""

    @abstractmethod
    def infer(self, X: csr_matrix) -> NDArray[np.float64]:
        """Theta (D, K) of documents that hold words, rows above 0 in sum."""

    def transform(self, X: csr_matrix, refine: int = 0) -> NDArray[np.float64]:
        """Theta (D, K); `refine` EM steps as `TopicModel.transform` takes them."""
        theta = np.full((X.shape[0], self.n_topics), 1.0 / self.n_topics)
        filled = np.flatnonzero(np.diff(X.indptr) > 0)
        if filled.size:
            theta[filled] = _rows(self.infer(X[filled]))
        return self._refined(theta, X, refine) if refine else theta

    def log_likelihood(self, X: csr_matrix, theta: NDArray[np.floating]) -> NDArray[np.float64]:
        """Nats of each document (D,)."""
        return log_likelihood(theta, self.components_, X)

    def _refined(self, theta: NDArray[np.float64], X: csr_matrix, steps: int) -> NDArray[np.float64]:
        beta = torch.as_tensor(self.components_, dtype=torch.float32)
        with torch.inference_mode(), chosen_threads():
            parts = []
            for batch in SparseBatches(X.astype(np.float32), REFINE_BATCH, CPU):
                start = torch.as_tensor(theta[batch.index.numpy()], dtype=torch.float32)
                parts.append(refine_theta(start, beta, batch, steps, belief(start, batch)))
        refined: NDArray[np.float64] = torch.cat(parts).double().numpy()
        refined /= refined.sum(axis=1, keepdims=True)
        return refined


class SklearnLDA(Baseline):
    """Variational LDA: online (Hoffman, Blei & Bach 2010), 10 passes in batches of 1,000.

    Below `FEW` documents, where that makes too few updates, 50 passes over all of them.
    """

    TITLE = "LDA (scikit-learn)"

    def fit(self, X: csr_matrix) -> SklearnLDA:
        """Learn the topics of counts (D, V)."""
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
        """The variational posterior's mean."""
        return np.asarray(self.model_.transform(X), dtype=np.float64)


class TomotopyLDA(Baseline):
    """Collapsed Gibbs sampling LDA: 1,000 iterations, as many workers as topicnet has threads, two at least."""

    TITLE = "LDA (tomotopy)"

    def fit(self, X: csr_matrix) -> TomotopyLDA:
        """Learn the topics of counts (D, V)."""
        import tomotopy

        model = tomotopy.LDAModel(k=self.n_topics, seed=self.random_state)
        for tokens in _documents(X):
            if tokens:
                model.add_doc(tokens)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # several workers: another result under the same seed
            model.train(1_000, workers=max(2, thread_count()))
        known = np.array([int(word) for word in model.used_vocabs], dtype=np.intp)
        n_tokens = np.asarray(model.get_count_by_topics(), dtype=np.float64)  # (K,)
        # Its prior on words, over the whole vocabulary: words that no document of the fit holds have their share too.
        beta = np.full((self.n_topics, X.shape[1]), float(model.eta))
        for k in range(self.n_topics):
            beta[k, known] = model.get_topic_word_dist(k) * (n_tokens[k] + model.eta * len(known))
        self.model_, self.known_ = model, set(known.tolist())
        self.components_ = _rows(beta)
        return self

    def infer(self, X: csr_matrix) -> NDArray[np.float64]:
        """100 sweeps over each document."""
        theta = np.full((X.shape[0], self.n_topics), 1.0 / self.n_topics)
        tokens = [[word for word in words if int(word) in self.known_] for words in _documents(X)]
        filled = [row for row, words in enumerate(tokens) if words]
        if filled:
            documents = [self.model_.make_doc(tokens[row]) for row in filled]
            theta[filled] = np.array(self.model_.infer(documents, iterations=100, workers=max(2, thread_count()))[0])
        return theta


class NMF(Baseline):
    """Non-negative matrix factorisation of the counts under the Kullback-Leibler divergence.

    That is PLSA's likelihood; its rows, scaled to sum to 1, are topics and shares (Ding, Li & Peng 2008).
    """

    TITLE = "NMF (scikit-learn)"

    def fit(self, X: csr_matrix) -> NMF:
        """Learn the topics of counts (D, V)."""
        from sklearn.decomposition import NMF as Factorisation  # noqa: N811
        from sklearn.exceptions import ConvergenceWarning

        model = Factorisation(
            self.n_topics, init="random", solver="mu", beta_loss="kullback-leibler", random_state=self.random_state
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 200 rounds are its default, converged or not
            model.fit(X.astype(np.float64))
        self.model_ = model
        self.sizes_ = model.components_.sum(axis=1)
        self.components_ = _rows(model.components_)
        return self

    def infer(self, X: csr_matrix) -> NDArray[np.float64]:
        """The weights of the topics, each times the size of its topic."""
        weights: NDArray[np.float64] = self.model_.transform(X.astype(np.float64)) * self.sizes_
        return weights


BASELINES: dict[str, type[Baseline]] = {"lda": SklearnLDA, "lda-tomotopy": TomotopyLDA, "nmf": NMF}


def installed(name: str) -> bool:
    """Whether the library behind a baseline is there."""
    return name != "lda-tomotopy" or is_installed("tomotopy")


def check_installed(name: str) -> None:
    """Raise InputError if the library behind a baseline is missing."""
    if not installed(name):
        raise InputError(message_of(f"model {name!r}", "tomotopy"))


def _rows(table: NDArray[Any]) -> NDArray[np.float64]:
    """Rows that sum to 1; a row of zeros becomes uniform."""
    sums = table.sum(axis=1, keepdims=True)
    rows: NDArray[np.float64] = np.where(sums > 0, table / np.where(sums > 0, sums, 1.0), 1.0 / table.shape[1])
    return rows


def _documents(X: csr_matrix) -> list[list[str]]:
    """Each document as words named by their column, as often as they occur."""
    words = np.repeat(X.indices, X.data.astype(np.int64)).astype(str)
    ends = np.concatenate([[0], np.cumsum(np.asarray(X.sum(1), dtype=np.int64).ravel())])
    return [words[begin:end].tolist() for begin, end in itertools.pairwise(ends)]
