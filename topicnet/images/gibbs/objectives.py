"""Objectives of a Gibbs VAE on joint draws z ~ pi, x ~ Q(.|z)."""

from __future__ import annotations

import torch
from torch import Tensor

from topicnet.core.distributions import Normal, StandardNormal

OBJECTIVES = ("corrected", "document")


def free_energy(z: Tensor, x: Tensor, q: Normal, p: Normal, energy: Tensor) -> Tensor:
    """Return log pi(z) + log Q(x|z) - log P(z|x) + U(x), whose mean over pi(z) Q(x|z) is at least -log Z.

    It is constant, and equal to -log Z, where pi(z) Q(x|z) = exp(-U(x)) P(z|x) / Z.

    Parameters
    ----------
    z, x : Tensor
        (..., d) and (..., D), draws z ~ pi and x ~ Q(.|z).
    q, p : Normal
        Q(.|z) and P(.|x) at these draws.
    energy : Tensor
        (...), U(x).

    Returns
    -------
    Tensor
        (...) nats; minus the logarithm of the importance weight.
    """
    prior = StandardNormal(z.shape[-1])
    return prior.log_density(z) + q.log_density(x) - p.log_density(z) + energy


def document_objective(x: Tensor, q: Normal, p: Normal, energy: Tensor) -> Tensor:
    """Return KL(pi || P(.|x)) + log Q(x|z) + U(x), the objective (1.7) of the source document.

    It replaces the joint mean of log pi(z) - log P(z|x) by a divergence over a code that is independent of x. Its
    minimum over P is P = pi, whatever the decoder.
    """
    pi = Normal(torch.zeros_like(p.mean), torch.zeros_like(p.log_var))
    return pi.kl_from(p) + q.log_density(x) + energy


def fixed(q: Normal) -> Normal:
    """Return a Gaussian without gradients of its parameters.

    The gradient of log Q(x|z) in the decoder's parameters at fixed x has mean zero. Without it, the variance of the
    whole gradient of the decoder vanishes at the optimum (Roeder, Wu & Duvenaud 2017).
    """
    return Normal(q.mean.detach(), q.log_var.detach())
