"""NVDM-GSM: a Gaussian softmax over topics (Miao, Grefenstette & Blunsom 2017, sections 3.1 and 4)."""

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
    """z ~ N(mu(x), diag sigma^2(x)), theta = softmax(W z) (Miao et al. 2017, section 3.1), topics as free logits."""

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
    """Neural variational document model with a Gaussian softmax.

    Parameters
    ----------
    decoder : {"mixture", "product"}
        p(w|d) as a mixture of topics, as in the paper, or as their normalised product.

    References
    ----------
    Miao, Grefenstette & Blunsom (2017), Discovering Discrete Latent Topics with Neural Variational Inference, ICML.
    """

    PLANS: ClassVar[dict[str, Plan]] = {
        "em": Plan(400, 0.004, diversity=0.0075),
        "random": Plan(3_000, 0.01, diversity=0.025, most_epochs=300),
    }

    def build_network(self, vocab_size: int) -> NVDMGSMNetwork:
        """Make an untrained network for V words."""
        return NVDMGSMNetwork(
            vocab_size, self.n_topics, self.hidden_dim, self.latent_size(), self.dropout, self.decoder
        )
