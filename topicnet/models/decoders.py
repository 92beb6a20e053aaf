"""Decoders from topic proportions to words: mixture and product, chosen by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from topicnet.core.product_likelihood import product_log_likelihood
from topicnet.core.sparse import SparseBatch, mixture_log_likelihood


@dataclass(frozen=True)
class Topics:
    """The topics of a network at one moment.

    Attributes
    ----------
    logits : Tensor
        (K, V), what the decoder starts from.
    beta : Tensor
        (K, V), rows sum to 1: the decoder at one-hot theta.
    """

    logits: Tensor
    beta: Tensor


class Decoder(nn.Module, ABC):
    """p(w|d) from theta (B, K) and topics."""

    mixes: bool  # whether p(w|d) = theta @ beta, so that theta can be refined by EM

    @abstractmethod
    def topics(self, logits: Tensor) -> Topics:
        """The topics that have these logits (K, V)."""

    @abstractmethod
    def words(self, theta: Tensor, topics: Topics) -> Tensor:
        """p(w|d) of theta (n, K), (n, V): for a few rows, never for a corpus."""

    @abstractmethod
    def log_likelihood(self, theta: Tensor, topics: Topics, batch: SparseBatch) -> Tensor:
        """Multinomial log-likelihood of the counts, (B,) nats."""

    @abstractmethod
    def logits_of(self, beta: Tensor) -> Tensor:
        """The logits (K, V) under which the topics are these."""

    @abstractmethod
    def start(self, unigram: Tensor) -> None:
        """Set what depends on the corpus' word frequencies (V,), which sum to 1."""


class MixtureDecoder(Decoder):
    """p(w|d) = sum_k theta_dk softmax(logits_k)_w (Miao et al. 2017, eq. 8; Dieng et al. 2020, eq. 6)."""

    mixes = True

    def topics(self, logits: Tensor) -> Topics:
        """softmax over words."""
        return Topics(logits, logits.softmax(-1))

    def words(self, theta: Tensor, topics: Topics) -> Tensor:
        """theta @ beta, (n, V)."""
        return theta @ topics.beta

    def log_likelihood(self, theta: Tensor, topics: Topics, batch: SparseBatch) -> Tensor:
        """At the nonzero counts only, (B,) nats."""
        return mixture_log_likelihood(theta, topics.beta, batch)

    def logits_of(self, beta: Tensor) -> Tensor:
        """log beta about its mean, (K, V)."""
        log_beta = beta.clamp_min(1e-30).log()
        return log_beta - log_beta.mean(-1, keepdim=True)

    def start(self, unigram: Tensor) -> None:
        """Nothing: a mixture has no background."""


class ProductDecoder(Decoder):
    """p(w|d) = softmax(theta_d @ logits + bias), bias starting at the word frequencies (Nan et al. 2019, section 3)."""

    mixes = False

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(vocab_size))  # (V,)

    def topics(self, logits: Tensor) -> Topics:
        """softmax over words of a topic's logits and the background."""
        return Topics(logits, (logits + self.bias).softmax(-1))

    def words(self, theta: Tensor, topics: Topics) -> Tensor:
        """softmax(theta @ logits + bias), (n, V)."""
        return torch.addmm(self.bias, theta, topics.logits).softmax(-1)

    def log_likelihood(self, theta: Tensor, topics: Topics, batch: SparseBatch) -> Tensor:
        """Normalised over all words for each document, (B,) nats."""
        return product_log_likelihood(theta, topics.logits, self.bias, batch)

    def logits_of(self, beta: Tensor) -> Tensor:
        """log beta above the background, (K, V)."""
        return beta.clamp_min(1e-30).log() - self.bias

    @torch.no_grad()
    def start(self, unigram: Tensor) -> None:
        """Set the background to the log of the word frequencies."""
        self.bias.copy_(unigram.log())


def make_decoder(name: str, vocab_size: int) -> Decoder:
    """A decoder by its name in `parameter_values.DECODERS`."""
    return ProductDecoder(vocab_size) if name == "product" else MixtureDecoder()
