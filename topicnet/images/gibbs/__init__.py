"""Gibbs VAE: sampling from a known energy U, and its log Z, with a variational autoencoder trained without data.

::

    from topicnet.images import gibbs

    vae = gibbs.GibbsVAE(random_state=0).fit(gibbs.double_well(4.0))
    report = gibbs.measure(vae)                    # log Z with interval, bounds, chains, observables
    report.log_z, report.effective_fraction

    mine = gibbs.Potential("mine", 2, lambda x: (x**4).sum(-1))     # any differentiable torch function (n, D) -> (n,)
"""

from topicnet.images.gibbs.chains import Chain, autocorrelation_time, hamiltonian, independence, langevin
from topicnet.images.gibbs.estimator import GibbsVAE
from topicnet.images.gibbs.exact import Answers
from topicnet.images.gibbs.potentials import (
    Potential,
    double_well,
    gaussian,
    mixture,
    mueller_brown,
    phi4_lattice,
    phi4_ring,
)
from topicnet.images.gibbs.report import (
    BoundOfK,
    ChainResult,
    Draws,
    GibbsReport,
    Moment,
    measure,
    measure_with_draws,
)
from topicnet.images.gibbs.training import Restart
from topicnet.images.gibbs.weights import Estimate, effective_fraction, log_partition

__all__ = [
    "Answers",
    "BoundOfK",
    "Chain",
    "ChainResult",
    "Draws",
    "Estimate",
    "GibbsReport",
    "GibbsVAE",
    "Moment",
    "Potential",
    "Restart",
    "autocorrelation_time",
    "double_well",
    "effective_fraction",
    "gaussian",
    "hamiltonian",
    "independence",
    "langevin",
    "log_partition",
    "measure",
    "measure_with_draws",
    "mixture",
    "mueller_brown",
    "phi4_lattice",
    "phi4_ring",
]
