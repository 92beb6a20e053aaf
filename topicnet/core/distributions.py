"""Posteriors and priors as values: a loss reads as its formula."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Normal:
    """A diagonal Gaussian posterior, one row a document.

    Attributes
    ----------
    mean, log_var : Tensor
        (B, Z).
    """

    mean: Tensor
    log_var: Tensor

    def sample(self) -> Tensor:
        """Draw z (B, Z) by reparameterisation (Kingma & Welling 2014)."""
        return self.mean + torch.randn_like(self.mean) * (0.5 * self.log_var).exp()


@dataclass(frozen=True)
class StandardNormal:
    """The prior N(0, I) over Z latent dimensions."""

    latent_dim: int

    def kl_per_dimension(self, q: Normal) -> Tensor:
        """KL(q || N(0, I)) of each dimension: (B, Z) nats (Kingma & Welling 2014, appendix B)."""
        return 0.5 * (q.log_var.exp() + q.mean.square() - 1.0 - q.log_var)

    def kl(self, q: Normal) -> Tensor:
        """KL(q || N(0, I)): (B,) nats."""
        return self.kl_per_dimension(q).sum(-1)
