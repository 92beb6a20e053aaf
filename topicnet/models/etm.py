"""ETM, the embedded topic model: topics as vectors in the space of word embeddings (Dieng, Ruiz & Blei 2020)."""

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
    """Network of the ETM: q(delta|x) = N(mu, Sigma), theta = softmax(W delta + b), topic logits rho alpha_k."""

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
        # W is the identity in the paper; a latent space of another size than K needs a linear map.
        self.proportions = nn.Softmax(-1) if latent_dim is None else Proportions(latent_dim, n_topics, bias=True)
        self.decoder = make_decoder(decoder, vocab_size)
        self.rho_is_given = False  # an EM start must not overwrite word vectors given by the user
        scale = embedding_dim**-0.25  # inner products start with variance 1
        self.rho = normal_parameter(vocab_size, embedding_dim, std=scale)  # (V, L)
        self.alpha = normal_parameter(n_topics, embedding_dim, std=scale)  # (K, L)

    def topic_logits(self) -> Tensor:
        """Inner products alpha_k . rho_v, (K, V)."""
        return functional.linear(self.alpha, self.rho)

    @torch.no_grad()
    def set_topic_logits(self, logits: Tensor, topics: Tensor | None) -> None:
        """Fit the embeddings to logits: alpha and rho by truncated SVD, or alpha alone by ridge regression.

        Rho stays as it is if it was given or frozen, or if only some topics are set.
        """
        if topics is None and self.rho.requires_grad and not self.rho_is_given:
            factorise(logits, self.alpha, self.rho)
        else:
            chosen = slice(None) if topics is None else topics
            self.alpha[chosen] = nearest_rows(self.rho, logits)

    def set_embeddings(self, vectors: Tensor, freeze: bool) -> None:
        """Set rho (V, L) to word vectors, scaled to the norm of the random start.

        If `freeze`, rho is not trained.
        """
        self.rho_is_given = True
        with torch.no_grad():
            # Longer vectors than those of the random start would make the first topics overconfident.
            self.rho.copy_(vectors * (self.rho.norm() / vectors.norm().clamp_min(1e-12)))
        self.rho.requires_grad_(not freeze)


@dataclass(eq=False, repr=False, kw_only=True)
class ETM(VariationalModel):
    """Embedded topic model (ETM): topics and words are vectors in one embedding space.

    Parameters
    ----------
    decoder : {"mixture", "product"}
        Model p(w|d) as a mixture of topics, as in the paper, or as their normalised product.
    latent_dim : int, optional
        Size Z of the latent Gaussian, mapped linearly to K topics. By default K without a map, as in the paper.
    embedding_dim : int, optional
        Size L of the embeddings. By default that of the given `embeddings`, or else the larger of 100 and K. The
        paper's 300 is slower and scores the same here (docs/explanation/defaults.md).
    embeddings : ndarray of shape (vocab_size, embedding_dim), optional
        Word vectors from which rho starts, one row for each word. `topicnet.fit` and the command line also take a
        word2vec or GloVe file, or "train" to learn vectors from the corpus first.
    freeze_embeddings : bool
        Keep rho fixed at the given vectors.

    Notes
    -----
    delta_d ~ N(0, I), theta_d = softmax(delta_d), p(w|d) = sum_k theta_dk beta_kw, beta_k = softmax(rho alpha_k) (Dieng
    et al. 2020, eq. 5-8). The rows of rho (V, L) are word embeddings, those of alpha (K, L) topic embeddings.

    References
    ----------
    Dieng, Ruiz & Blei (2020), Topic Modeling in Embedding Spaces, TACL 8.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet import ETM
    >>> counts = np.random.default_rng(0).poisson(1.0, (20, 12))  # 20 documents, 12 words
    >>> model = ETM(n_topics=3, init="random", max_epochs=2, random_state=0).fit(counts)
    >>> model.components_.shape, model.transform(counts).shape
    ((3, 12), (20, 3))
    """

    PLANS: ClassVar[dict[str, Plan]] = {
        "em": Plan(400, 0.004, diversity=0.01, short_document_lr_decay=4.0, short_document_lr_decay_of="network"),
        "random": Plan(3_000, 0.01, diversity=0.015, most_epochs=300),
    }

    embedding_dim: int | None = None
    embeddings: NDArray[np.floating] | None = None
    freeze_embeddings: bool = False

    def build_network(self, vocab_size: int) -> ETMNetwork:
        """Build an untrained network.

        Parameters
        ----------
        vocab_size : int
            Number of words V.

        Returns
        -------
        ETMNetwork
            Network with random weights, and with rho set to `embeddings` if they are given.

        Raises
        ------
        InputError
            If an option of this model is out of its range, or `embeddings` does not have one row for each word.

        Examples
        --------
        >>> from topicnet import ETM
        >>> ETM(n_topics=3).build_network(vocab_size=12).beta().shape
        torch.Size([3, 12])
        """
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
            network.set_embeddings(torch.as_tensor(vectors), self.freeze_embeddings)
        return network
