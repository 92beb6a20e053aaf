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
    """Topics of a network at its current weights.

    Parameters
    ----------
    logits : Tensor of shape (K, V)
        Inputs of the decoder.
    beta : Tensor of shape (K, V)
        Word probabilities at one-hot theta; rows sum to 1.
    """

    logits: Tensor
    beta: Tensor


class Decoder(nn.Module, ABC):
    """Decoder that turns topic proportions and topics into word probabilities p(w|d); abstract."""

    mixes: bool  # True if p(w|d) = theta @ beta, so that EM can refine theta

    @abstractmethod
    def topics(self, logits: Tensor) -> Topics:
        """Compute the topics of logits (K, V)."""

    @abstractmethod
    def words(self, theta: Tensor, topics: Topics) -> Tensor:
        """Compute p(w|d), (n, V), from theta (n, K); dense, hence for a few rows only."""

    @abstractmethod
    def log_likelihood(self, theta: Tensor, topics: Topics, batch: SparseBatch) -> Tensor:
        """Compute the multinomial log-likelihood of the counts of a batch, (B,) nats."""

    @abstractmethod
    def logits_of(self, beta: Tensor) -> Tensor:
        """Invert `topics`: compute logits (K, V) that give the topics beta (K, V)."""

    @abstractmethod
    def set_unigram(self, unigram: Tensor) -> None:
        """Initialise the parts that depend on the word frequencies (V,) of the corpus, which sum to 1."""


class MixtureDecoder(Decoder):
    """Mixture of topics: p(w|d) = sum_k theta_dk softmax(logits_k)_w.

    Miao et al. 2017, eq. 8; Dieng et al. 2020, eq. 6.
    """

    mixes = True

    def topics(self, logits: Tensor) -> Topics:
        """Apply a softmax over words."""
        return Topics(logits, logits.softmax(-1))

    def words(self, theta: Tensor, topics: Topics) -> Tensor:
        """Compute theta @ beta, (n, V)."""
        return theta @ topics.beta

    def log_likelihood(self, theta: Tensor, topics: Topics, batch: SparseBatch) -> Tensor:
        """Compute the log-likelihood from the nonzero counts only, (B,) nats."""
        return mixture_log_likelihood(theta, topics.beta, batch)

    def logits_of(self, beta: Tensor) -> Tensor:
        """Compute log beta minus its mean over words, (K, V)."""
        log_beta = beta.clamp_min(1e-30).log()
        return log_beta - log_beta.mean(-1, keepdim=True)

    def set_unigram(self, unigram: Tensor) -> None:
        """Do nothing: a mixture has no background distribution."""


class ProductDecoder(Decoder):
    """Normalised product of topics: p(w|d) = softmax(theta_d @ logits + bias) (Nan et al. 2019, section 3).

    The bias is a learned background distribution; it starts at the log of the word frequencies.
    """

    mixes = False

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(vocab_size))  # (V,)

    def topics(self, logits: Tensor) -> Topics:
        """Apply a softmax over words to the sum of each topic's logits and the background."""
        return Topics(logits, (logits + self.bias).softmax(-1))

    def words(self, theta: Tensor, topics: Topics) -> Tensor:
        """Compute softmax(theta @ logits + bias), (n, V)."""
        return torch.addmm(self.bias, theta, topics.logits).softmax(-1)

    def log_likelihood(self, theta: Tensor, topics: Topics, batch: SparseBatch) -> Tensor:
        """Compute the log-likelihood, normalised over the whole vocabulary for each document, (B,) nats."""
        return product_log_likelihood(theta, topics.logits, self.bias, batch)

    def logits_of(self, beta: Tensor) -> Tensor:
        """Compute log beta minus the background, (K, V)."""
        return beta.clamp_min(1e-30).log() - self.bias

    @torch.no_grad()
    def set_unigram(self, unigram: Tensor) -> None:
        """Set the background to the log of the word frequencies."""
        self.bias.copy_(unigram.log())


def make_decoder(name: str, vocab_size: int) -> Decoder:
    """Build a decoder by its name, one of `parameter_values.DECODERS`."""
    return ProductDecoder(vocab_size) if name == "product" else MixtureDecoder()
