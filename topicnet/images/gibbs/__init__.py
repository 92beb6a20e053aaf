"""Gibbs VAE: sampling from a known energy U, and its log Z, with a variational autoencoder trained without data.

::

    from topicnet.images import gibbs

    vae = gibbs.GibbsVAE(random_state=0).fit(gibbs.double_well(4.0))
    report = gibbs.measure(vae)                    # log Z with its interval, bounds, chains, observables
    report.log_z, report.effective_fraction

    # any differentiable torch function of points (n, D) that returns (n,)
    mine = gibbs.Potential("mine", 2, lambda x: (x**4).sum(-1))

The names below are imported on first use, so that the names of potentials are known without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_HOMES = {
    "Chain": "topicnet.images.gibbs.chains",
    "autocorrelation_time": "topicnet.images.gibbs.chains",
    "hamiltonian": "topicnet.images.gibbs.chains",
    "independence": "topicnet.images.gibbs.chains",
    "langevin": "topicnet.images.gibbs.chains",
    "GibbsVAE": "topicnet.images.gibbs.estimator",
    "Answers": "topicnet.images.gibbs.exact",
    "Potential": "topicnet.images.gibbs.potentials",
    "double_well": "topicnet.images.gibbs.potentials",
    "gaussian": "topicnet.images.gibbs.potentials",
    "mixture": "topicnet.images.gibbs.potentials",
    "mueller_brown": "topicnet.images.gibbs.potentials",
    "phi4_lattice": "topicnet.images.gibbs.potentials",
    "phi4_ring": "topicnet.images.gibbs.potentials",
    "BoundOfK": "topicnet.images.gibbs.report",
    "ChainResult": "topicnet.images.gibbs.report",
    "Draws": "topicnet.images.gibbs.report",
    "GibbsReport": "topicnet.images.gibbs.report",
    "Moment": "topicnet.images.gibbs.report",
    "measure": "topicnet.images.gibbs.report",
    "measure_with_draws": "topicnet.images.gibbs.report",
    "Restart": "topicnet.images.gibbs.training",
    "Estimate": "topicnet.images.gibbs.weights",
    "effective_fraction": "topicnet.images.gibbs.weights",
    "log_partition": "topicnet.images.gibbs.weights",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
