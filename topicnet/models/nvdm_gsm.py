"""NVDM-GSM, the neural variational document model with a Gaussian softmax (Miao, Grefenstette & Blunsom 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from topicnet.core.distributions import StandardNormal
from topicnet.core.init import normal_parameter
from topicnet.core.nets import Proportions, SparseGaussianEncoder
from topicnet.models.base import VariationalModel
from topicnet.models.decoders import make_decoder
from topicnet.models.fit_settings import Plan
from topicnet.models.network import FreeTopicsNetwork, StandardNormalNetwork


class NVDMGSMNetwork(FreeTopicsNetwork, StandardNormalNetwork):
    """Network of NVDM-GSM: q(z|x) = N(mu, diag sigma^2), theta = softmax(W z), topics as free logits."""

    def __init__(
        self, vocab_size: int, n_topics: int, hidden_dim: int, latent_dim: int, dropout: float, decoder: str
    ) -> None:
        super().__init__()
        self.encoder = SparseGaussianEncoder(vocab_size, hidden_dim, latent_dim, dropout)
        self.prior = StandardNormal(latent_dim)
        self.proportions = Proportions(latent_dim, n_topics, bias=False)
        self.decoder = make_decoder(decoder, vocab_size)
        self.logits = normal_parameter(n_topics, vocab_size, std=0.1)  # (K, V)


@dataclass(eq=False, repr=False, kw_only=True)
class NVDMGSM(VariationalModel):
    """Neural variational document model with a Gaussian softmax (NVDM-GSM).

    Parameters
    ----------
    decoder : {"mixture", "product"}
        Model p(w|d) as a mixture of topics, as in the paper, or as their normalised product.

    Notes
    -----
    z_d ~ N(0, I), theta_d = softmax(W z_d) (Miao et al. 2017, section 3.1), p(w|d) = sum_k theta_dk beta_kw (eq. 8).
    Each topic beta_k is the softmax of free logits over words; the paper factorises them into topic and word vectors.

    References
    ----------
    Miao, Grefenstette & Blunsom (2017), Discovering Discrete Latent Topics with Neural Variational Inference, ICML.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet import NVDMGSM
    >>> counts = np.random.default_rng(0).poisson(1.0, (20, 12))  # 20 documents, 12 words
    >>> model = NVDMGSM(n_topics=3, init="random", max_epochs=2, random_state=0).fit(counts)
    >>> model.components_.shape, model.transform(counts).shape
    ((3, 12), (20, 3))
    """

    PLANS: ClassVar[dict[str, Plan]] = {
        "em": Plan(400, 0.004, diversity=0.0075),
        "random": Plan(3_000, 0.01, diversity=0.025, most_epochs=300),
    }

    def build_network(self, vocab_size: int) -> NVDMGSMNetwork:
        """Build an untrained network.

        Parameters
        ----------
        vocab_size : int
            Number of words V.

        Returns
        -------
        NVDMGSMNetwork
            Network with random weights.

        Raises
        ------
        InputError
            If `latent_dim` is not an integer of 1 or more.

        Examples
        --------
        >>> from topicnet import NVDMGSM
        >>> NVDMGSM(n_topics=3).build_network(vocab_size=12).beta().shape
        torch.Size([3, 12])
        """
        return NVDMGSMNetwork(
            vocab_size, self.n_topics, self.hidden_dim, self.latent_size(), self.dropout, self.decoder
        )
