"""Matching of latent points to a prior: the choice of a prior, and of the distance of a batch from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from topicnet.core.distributions import Dirichlet, SoftmaxMixture, UniformSphere, VonMisesFisher
from topicnet.core.divergences import KERNELS, mmd, transport_divergence
from topicnet.core.sparse import SparseBatch
from topicnet.errors import InputError

Prior = Dirichlet | SoftmaxMixture | UniformSphere | VonMisesFisher

# Factors of the divergences in the loss. That of MMD is the paper's; the others give usable topics at weight 1.
SCALES = {"mmd": 1.0, "sinkhorn": 0.1, "sliced": 3.0, "spherical-sliced": 1.0}
SIMPLEX_PRIORS, SPHERE_PRIORS = ("dirichlet", "gaussian-mixture"), ("uniform", "vmf", "vmf-mixture")
VMF_CONCENTRATION = 10.0  # that of S2WTM


def make_prior(name: str | None, divergence: str, n_topics: int, concentration: float) -> Prior:
    """Make the prior of this name over theta, or over unit vectors, for K topics.

    Parameters
    ----------
    name : str or None
        One of `SIMPLEX_PRIORS` or `SPHERE_PRIORS`. By default uniform under "spherical-sliced", else Dirichlet.
    divergence : str
        One of `DIVERGENCES`.
    n_topics : int
        K, 2 or more for a prior over unit vectors.
    concentration : float
        Concentration of the Dirichlet.

    Raises
    ------
    InputError
        If the divergence is MMD and the prior is on the sphere, or the sphere has a single dimension.
    """
    name = name or ("uniform" if divergence == "spherical-sliced" else "dirichlet")
    if name in SPHERE_PRIORS and divergence == "mmd":
        raise InputError(
            f'prior="{name}" given with divergence="mmd", whose kernels compare points of the simplex: choose another'
            " divergence, or one of the priors " + " and ".join(SIMPLEX_PRIORS)
        )
    if name in SPHERE_PRIORS and n_topics < 2:
        raise InputError(f'n_topics={n_topics} given with prior="{name}", expected 2 or more')
    if name == "dirichlet":
        return Dirichlet(n_topics, concentration)
    if name == "gaussian-mixture":
        # At this distance the topic of a component has about two thirds of a document, as under concentration 0.1.
        return SoftmaxMixture(n_topics, math.log(max(2, n_topics)) + 1.5)
    if name == "uniform":
        return UniformSphere(n_topics)
    return VonMisesFisher(n_topics, VMF_CONCENTRATION, 1 if name == "vmf" else 2 * n_topics)


def loss_term(divergence: str) -> str:
    """Return the name of the loss term of a divergence."""
    return divergence.replace("-", "_")


@dataclass(frozen=True)
class Matching:
    """Choice of a prior and of the divergence by which latent points of a batch are matched to it.

    Attributes
    ----------
    divergence : {"mmd", "sinkhorn", "sliced", "spherical-sliced"}
        Distance between samples.
    prior : Dirichlet, SoftmaxMixture, UniformSphere or VonMisesFisher
        Distribution over theta, or over unit vectors; MMD needs one over theta.
    kernel : str
        Name of the kernel of MMD in `KERNELS`.
    n_projections : int
        Number of projections of the sliced distances.
    """

    divergence: str
    prior: Prior
    kernel: str
    n_projections: int

    @property
    def spherical(self) -> bool:
        """True if latent points are unit vectors from which theta is computed, False if they are theta itself."""
        return isinstance(self.prior, UniformSphere | VonMisesFisher)

    @property
    def term(self) -> str:
        """Name of the divergence among the loss terms."""
        return loss_term(self.divergence)

    def mean(self, like: Tensor) -> Tensor:
        """Latent point (1, Z) of the mean of the prior: 0, or the mean direction on the sphere."""
        if isinstance(self.prior, UniformSphere | VonMisesFisher):
            return self.prior.mean_direction(like)
        return like.new_zeros(1, self.prior.n_topics)

    def distance(self, z: Tensor, batch: SparseBatch) -> Tensor:
        """Squared distance between unit vectors that the latent points (B, K) give and draws from the prior, a scalar.

        Without a prior on the sphere, these are the square roots of theta = softmax(z).
        """
        draws: Tensor | None
        if self.spherical:
            points = functional.normalize(z, dim=-1)
            closed_form = self.divergence == "spherical-sliced" and isinstance(self.prior, UniformSphere)
            draws = None if closed_form else self.prior.sample(batch.noise, z)
        else:
            points = (z.log_softmax(-1) / 2).exp()  # sqrt(theta), with a finite gradient at theta = 0
            draws = self.prior.sample(batch.noise, z).sqrt()
        if self.divergence == "mmd":
            assert draws is not None
            kernel = KERNELS[self.kernel]
            return mmd(points, draws, lambda a, b: kernel(a, b, 1.0), batch.shard)
        return transport_divergence(self.divergence, points, draws, batch.noise, self.n_projections, batch.shard)

    def variances(self, mean: Tensor) -> Tensor:
        """Variance of each latent dimension over documents (Z,), given latent means (B, Z).

        Unit vectors are scaled by the square root of Z, so that the uniform distribution has a variance of 1.
        """
        points = functional.normalize(mean, dim=-1) * mean.shape[1] ** 0.5 if self.spherical else mean
        return points.var(0, correction=0)
