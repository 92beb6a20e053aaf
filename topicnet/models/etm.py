"""ETM: topics as points among word embeddings (Dieng, Ruiz & Blei 2020, eq. 5-8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from topicnet.core.distributions import StandardNormal
from topicnet.core.init import factorise, nearest_rows, normal_parameter
from topicnet.core.nets import Proportions, SparseGaussianEncoder
from topicnet.errors import InputError
from topicnet.models.base import VariationalModel
from topicnet.models.decoders import make_decoder
from topicnet.models.fit_settings import Plan, check_vectors
from topicnet.models.network import StandardNormalNetwork
from topicnet.training.checks import check_count


class ETMNetwork(StandardNormalNetwork):
    """Encoder to N(delta; mu, Sigma), theta = softmax(W delta + b), topic logits rho alpha_k."""

    topic_logits_from: ClassVar[tuple[str, ...]] = ("rho", "alpha")

    def __init__(
        self,
        vocab_size: int,
        n_topics: int,
        hidden_dim: int,
        embedding_dim: int,
        dropout: float,
        latent_dim: int | None = None,
        decoder: str = "mixture",
    ) -> None:
        super().__init__()
        self.encoder = SparseGaussianEncoder(vocab_size, hidden_dim, latent_dim or n_topics, dropout)
        self.prior = StandardNormal(latent_dim or n_topics)
        # W is the identity in the paper; a latent space of another size needs a map.
        self.proportions = nn.Softmax(-1) if latent_dim is None else Proportions(latent_dim, n_topics, bias=True)
        self.decoder = make_decoder(decoder, vocab_size)
        self.keeps_rho = False  # given vectors are a start that no other may replace
        scale = embedding_dim**-0.25  # products of embeddings start with variance 1
        self.rho = normal_parameter(vocab_size, embedding_dim, std=scale)  # (V, L)
        self.alpha = normal_parameter(n_topics, embedding_dim, std=scale)  # (K, L)

    def topic_logits(self) -> Tensor:
        """alpha_k . rho_v, (K, V)."""
        return functional.linear(self.alpha, self.rho)

    @torch.no_grad()
    def set_topic_logits(self, logits: Tensor, topics: Tensor | None) -> None:
        """Fit embeddings to the logits: both by truncated SVD, alpha alone where rho is given or others use it."""
        if topics is None and self.rho.requires_grad and not self.keeps_rho:
            factorise(logits, self.alpha, self.rho)
        else:
            chosen = slice(None) if topics is None else topics
            self.alpha[chosen] = nearest_rows(self.rho, logits)

    def take_embeddings(self, vectors: Tensor, freeze: bool) -> None:
        """Start rho (V, L) from word vectors, and hold it there if asked."""
        self.keeps_rho = True
        with torch.no_grad():
            # Longer vectors than the random start's would make the first topics too sure of themselves.
            self.rho.copy_(vectors * (self.rho.norm() / vectors.norm().clamp_min(1e-12)))
        self.rho.requires_grad_(not freeze)


@dataclass(eq=False, repr=False, kw_only=True)
class ETM(VariationalModel):
    """Embedded topic model.

    Parameters
    ----------
    embedding_dim : int, optional
        Size L of the embeddings; by default that of the given ones, else 100, or K where that is more. The paper's 300
        is slower and scores the same here (README, "Choices").
    embeddings : ndarray of shape (vocab_size, embedding_dim), optional
        Word vectors to start rho from. `topicnet.fit` and the command line also take a word2vec or GloVe file, or
        "train" for vectors learned from the corpus first.
    freeze_embeddings : bool
        Hold rho at the given vectors.
    latent_dim : int, optional
        Size Z of the latent Gaussian, mapped to K topics; by default K and no map, as in the paper.
    decoder : {"mixture", "product"}
        p(w|d) as a mixture of topics, as in the paper, or as their normalised product.

    References
    ----------
    Dieng, Ruiz & Blei (2020), Topic Modeling in Embedding Spaces, TACL 8.
    """

    PLANS: ClassVar[dict[str, Plan]] = {
        "em": Plan(400, 0.004, diversity=0.01, short_document_lr_decay=4.0, short_document_lr_decay_of="network"),
        "random": Plan(3_000, 0.01, diversity=0.015, most_epochs=300),
    }

    embedding_dim: int | None = None
    embeddings: NDArray[np.floating] | None = None
    freeze_embeddings: bool = False

    def build_network(self, vocab_size: int) -> ETMNetwork:
        """Make an untrained network for V words."""
        self.latent_size()
        if not isinstance(self.freeze_embeddings, bool):
            raise InputError(f"freeze_embeddings={self.freeze_embeddings!r} given, expected true or false")
        vectors = None if self.embeddings is None else check_vectors(self.embeddings, self.embedding_dim)
        given = max(100, self.n_topics) if vectors is None else vectors.shape[1]
        embedding_dim = given if self.embedding_dim is None else self.embedding_dim
        check_count("embedding_dim", embedding_dim)
        network = ETMNetwork(
            vocab_size, self.n_topics, self.hidden_dim, embedding_dim, self.dropout, self.latent_dim, self.decoder
        )
        if vectors is not None and not network.rho.is_meta:
            if len(vectors) != vocab_size:
                raise InputError(
                    f"embeddings of {len(vectors)} words given for counts of {vocab_size}: expected a row for each word"
                )
            network.take_embeddings(torch.as_tensor(vectors), self.freeze_embeddings)
        return network
