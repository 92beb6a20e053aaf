"""Word distributions of mixtures of topics, p(w|theta), and their Fisher-Rao metric, in numpy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from topicnet.errors import InputError
from topicnet.workflows.run import Run

Array = NDArray[np.float64]
SUM_TOLERANCE = 1e-3  # of proportions that were rounded in a table


class WordModel(ABC):
    """Decoder of a topic model as a map from topic proportions (K,) to word probabilities (V,); abstract.

    The probabilities of all words are one categorical distribution, whose Fisher-Rao metric is
    ds^2 = sum_w dp_w^2 / p_w. With x = 2 sqrt(p) it is the metric of a sphere of radius 2. `word_model` makes one.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.explore.words import Mixture
    >>> Mixture(np.array([[0.5, 0.5], [0.1, 0.9]])).words(np.array([[0.5, 0.5]])).round(6)
    array([[0.3, 0.7]])
    """

    n_topics: int
    convex: bool  # True if the energy of curves is convex in theta, so that a minimum is the global one

    @abstractmethod
    def roots(self, theta: Array) -> Array:
        """Compute the square roots of the word probabilities.

        Parameters
        ----------
        theta : ndarray of shape (n, K)
            Topic proportions.

        Returns
        -------
        ndarray of shape (n, V)
            sqrt(p(w|theta)), rows of length 1.
        """

    @abstractmethod
    def gradient(self, roots: Array, upstream: Array) -> Array:
        """Multiply by the derivatives of `roots` in theta.

        Parameters
        ----------
        roots : ndarray of shape (n, V)
            Square roots of the word probabilities.
        upstream : ndarray of shape (n, V)
            Derivatives of a function in the roots.

        Returns
        -------
        ndarray of shape (n, K)
            Derivatives of the function in theta.
        """

    @abstractmethod
    def _tensor(self, theta: Array) -> Array:
        """Return the metric tensor (K, K) at proportions (K,)."""

    def words(self, theta: Array) -> Array:
        """Compute word probabilities.

        Parameters
        ----------
        theta : ndarray of shape (n, K)
            Topic proportions.

        Returns
        -------
        ndarray of shape (n, V)
            p(w|theta), rows sum to 1.
        """
        return np.square(self.roots(theta))

    def theta_metric(self, theta: ArrayLike) -> Array:
        """Compute the Fisher-Rao metric M(theta) on the simplex of topic proportions.

        Parameters
        ----------
        theta : array-like of shape (K,)
            Topic proportions, which sum to 1.

        Returns
        -------
        ndarray of shape (K, K)
            For changes of theta that sum to 0, the squared length is d^T M d. For a mixture, M_kl is
            sum_w beta_kw beta_lw / p_w; for a product, the covariance of the topics' logits under p.

        Raises
        ------
        InputError
            `theta` is not K proportions.
        """
        return self._tensor(proportions(theta, self.n_topics))

    def latent_metric(self, z: ArrayLike) -> Array:
        """Compute the Fisher-Rao metric on latent points z with theta = softmax(z).

        Parameters
        ----------
        z : array-like of shape (K,)
            Logits of the topic proportions.

        Returns
        -------
        ndarray of shape (K, K)
            J^T M(theta) J with J = diag(theta) - theta theta^T. It is singular along (1, ..., 1), because adding a
            constant to z does not change theta.

        Raises
        ------
        InputError
            `z` is not K finite numbers.
        """
        point = np.asarray(z, dtype=np.float64)
        if point.shape != (self.n_topics,) or not np.isfinite(point).all():
            raise InputError(f"z of shape {point.shape} given, expected {self.n_topics} finite numbers")
        theta = np.exp(point - point.max())
        theta /= theta.sum()
        jacobian = np.diag(theta) - np.outer(theta, theta)
        return np.asarray(jacobian @ self._tensor(theta) @ jacobian)


class Mixture(WordModel):
    """Mixture of topics: p = theta @ beta."""

    convex = True

    def __init__(self, beta: Array) -> None:
        self.beta, self.n_topics = beta, len(beta)

    def roots(self, theta: Array) -> Array:
        """Compute sqrt(theta @ beta)."""
        return np.sqrt(theta @ self.beta)

    def gradient(self, roots: Array, upstream: Array) -> Array:
        """Compute upstream / (2 roots) @ beta^T."""
        return np.asarray((upstream / (2 * np.maximum(roots, 1e-150))) @ self.beta.T)

    def _tensor(self, theta: Array) -> Array:
        p = theta @ self.beta
        some = p > 0  # a word that no topic has is no part of the metric
        if self.beta[:, ~some].any():
            raise InputError(
                "the metric at these proportions is infinite: a topic without weight has words that the others lack;"
                " expected proportions above 0"
            )
        beta = self.beta if some.all() else self.beta[:, some]
        return np.asarray((beta / p[some]) @ beta.T)


class Product(WordModel):
    """Normalised product of topics: p = softmax(theta @ logits + background), an exponential family."""

    convex = False

    def __init__(self, logits: Array, background: Array) -> None:
        self.logits, self.background, self.n_topics = logits, background, len(logits)

    def roots(self, theta: Array) -> Array:
        """Compute the square root of the softmax."""
        logits = theta @ self.logits + self.background
        roots = np.exp((logits - logits.max(-1, keepdims=True)) / 2)
        return np.asarray(roots / np.linalg.norm(roots, axis=-1, keepdims=True))

    def gradient(self, roots: Array, upstream: Array) -> Array:
        """Compute upstream * roots / 2, centred under p, times logits^T."""
        inner = (upstream * roots).sum(-1, keepdims=True)
        return np.asarray((roots * (upstream - inner * roots) / 2) @ self.logits.T)

    def _tensor(self, theta: Array) -> Array:
        p = self.words(theta[None])[0]
        mean = self.logits @ p
        return np.asarray((self.logits * p) @ self.logits.T - np.outer(mean, mean))


def word_model(run: Run) -> WordModel:
    """Return the decoder of a run as a map from topic proportions to word probabilities, in double precision.

    Parameters
    ----------
    run : Run
        The run.

    Returns
    -------
    WordModel
        A `Mixture` or a `Product`, with methods `words`, `theta_metric` and `latent_metric`.

    Examples
    --------
    >>> import topicnet
    >>> from topicnet import explore
    >>> run = topicnet.fit(["cat", "bread butter"] * 4, n_topics=2, init="random", max_epochs=1)
    >>> explore.word_model(run).theta_metric([0.5, 0.5]).shape
    (2, 2)
    """
    network = run.model.network_
    topics = network.topics()
    if network.decoder.mixes:
        return Mixture(_array(topics.beta))
    return Product(_array(topics.logits), _array(network.decoder.get_parameter("bias")))


def proportions(theta: ArrayLike, n_topics: int) -> Array:
    """Return K proportions that sum to exactly 1, or raise InputError."""
    point = np.asarray(theta, dtype=np.float64)
    if point.shape != (n_topics,) or not np.isfinite(point).all():
        raise InputError(f"theta of shape {point.shape} given, expected {n_topics} finite proportions")
    if (point < 0).any() or abs(point.sum() - 1) > SUM_TOLERANCE:
        raise InputError(
            f"theta from {point.min():.4g} with the sum {point.sum():.6g} given, expected proportions that sum to 1"
        )
    return np.asarray(point / point.sum())


def arc(first: Array, second: Array) -> Array:
    """Compute the Fisher-Rao distance of categorical distributions from their square roots (..., V).

    It is 2 arccos(sum sqrt(p q)), which loses half of the digits near 0, computed as 4 arcsin(|x - y| / 2).
    """
    chord = np.sqrt(np.square(first - second).sum(-1))
    return np.asarray(4 * np.arcsin(np.minimum(chord / 2, 1.0)))


def _array(tensor: Any) -> Array:
    return np.asarray(tensor.detach().cpu().double().numpy())
