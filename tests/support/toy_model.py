"""Plain VAE topic model: a new model needs one such file and one line in the registry."""

from dataclasses import dataclass

import numpy as np
from torch import nn

from topicnet.core.distributions import StandardNormal
from topicnet.core.init import normal_parameter
from topicnet.core.nets import Proportions, SparseGaussianEncoder
from topicnet.models.base import ExtraTables, VariationalModel
from topicnet.models.decoders import make_decoder
from topicnet.models.network import FreeTopicsNetwork


class ToyNetwork(FreeTopicsNetwork):
    def __init__(self, encoder: nn.Module, decoder: nn.Module, latent_dim: int, n_topics: int, vocab_size: int) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.prior = StandardNormal(latent_dim)
        self.proportions = Proportions(latent_dim, n_topics, bias=True)
        self.logits = normal_parameter(n_topics, vocab_size, std=0.1)

    def divergence(self, q, z, batch):
        return self.prior.kl(q)

    def kl_per_dimension(self, q):
        return self.prior.kl_per_dimension(q).mean(0)

    def prior_theta(self):
        return self.theta(self.logits.new_zeros(1, self.prior.latent_dim))[0]


@dataclass(eq=False, repr=False, kw_only=True)
class Toy(VariationalModel):
    """Toy model with an extra table of topic families.

    Parameters
    ----------
    n_families : int
        Number of families, to which topics are assigned in turn.
    """

    n_families: int = 2

    def build_network(self, vocab_size):
        latent_dim = self.latent_size()
        encoder = SparseGaussianEncoder(vocab_size, self.hidden_dim, latent_dim, self.dropout)
        return ToyNetwork(encoder, make_decoder(self.decoder, vocab_size), latent_dim, self.n_topics, vocab_size)

    def extra_tables(self):
        family = np.eye(self.n_families, dtype=np.float32)[np.arange(self.n_topics) % self.n_families]  # (K, n)
        words = family.T @ self.components_
        words /= words.sum(1, keepdims=True)
        return [ExtraTables("family", words, lambda counts: self.transform(counts) @ family)]
