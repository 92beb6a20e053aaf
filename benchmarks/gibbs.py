"""Accuracy of the Gibbs VAE: log Z, bounds, chains and observables of each potential against exact answers.

Usage: python benchmarks/gibbs.py [--publish NAME] [--potentials NAMES] [--seed N]

Each potential is fitted and measured with the default settings. Seconds are those of the processor, on one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from measuring import chosen
from publish import add_option, publish

from topicnet.images import gibbs

# Potential, objective, and the observable that the table shows.
CASES: dict[str, tuple[Callable[[], gibbs.Potential], str, str]] = {
    "gaussian": (gibbs.gaussian, "corrected", "x_0^2"),
    "double-well": (gibbs.double_well, "corrected", "P(x>0)"),
    "mixture": (gibbs.mixture, "corrected", "mode 0"),
    "mueller-brown-20": (lambda: gibbs.mueller_brown(20.0), "corrected", "P(y>0.75)"),
    "mueller-brown-40": (lambda: gibbs.mueller_brown(40.0), "corrected", "P(y>0.75)"),
    "phi4-ring-8": (lambda: gibbs.phi4_ring(8), "corrected", "<p^2>"),
    "phi4-ring-16": (lambda: gibbs.phi4_ring(16), "corrected", "<p^2>"),
    "phi4-lattice-2x8": (lambda: gibbs.phi4_lattice(8), "corrected", "Binder"),
    "double-well-document": (gibbs.double_well, "document", "P(x>0)"),
    "mixture-8-in-8": (lambda: gibbs.mixture(8, 4.0, 0.25, 8), "corrected", "mode 0"),
}
BOUNDS = ["potential", "log Z exact", "log Z", "95 %", "KL bound", "std F", "K = 64", "upper bound", "ESS", "s"]
CHAINS = [
    "potential", "IMH acc.", "tau", "calls: IMH", "MALA", "HMC", "observable", "raw", "weights", "IMH mean", "HMC mean",
    "exact",
]  # fmt: skip


def measured(name: str, seed: int) -> tuple[list[str], list[str]]:
    """Fit and measure one case; returns its rows of both tables."""
    make, objective, observable = CASES[name]
    began = time.process_time()
    report = gibbs.measure(gibbs.GibbsVAE(objective=objective, random_state=seed).fit(make()), random_state=seed)
    seconds = time.process_time() - began
    log_z, upper = report.log_z, report.upper
    bounds = [
        name,
        f"{report.exact_log_z:.4f}",
        f"{log_z.value:.4f}",
        f"{log_z.low:.4f} to {log_z.high:.4f}",
        f"{report.kl:.4f}",
        f"{report.free_energy_sd:.3f}",
        f"{report.bounds[-1].kl:.4f} ± {report.bounds[-1].bound.se:.4f}",
        f"{upper.value:.3f} ± {upper.se:.3f}",
        f"{report.effective_fraction:.3f}",
        f"{seconds:.0f}",
    ]
    imh, mala, hmc = report.chains
    moment = next(one for one in report.moments if one.name == observable)
    chains = [
        name,
        f"{imh.acceptance:.3f}",
        f"{imh.tau:.1f}",
        f"{imh.calls_per_draw:.1f}",
        f"{mala.calls_per_draw:.0f}",
        f"{hmc.calls_per_draw:.0f}",
        observable,
        f"{moment.raw:.4f}",
        f"{moment.reweighted:.4f}",
        f"{moment.imh.value:.4f} ± {moment.imh.se:.4f}",
        f"{moment.hmc.value:.4f} ± {moment.hmc.se:.4f}",
        f"{round(moment.exact, 4) + 0.0:.4f}",
    ]
    return bounds, chains


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--potentials", default=",".join(CASES))
    parser.add_argument("--seed", type=int, default=0)
    add_option(parser)
    arguments = parser.parse_args()
    tables: tuple[list[list[str]], list[list[str]]] = ([], [])
    for name in chosen(arguments.potentials, CASES, "--potentials"):
        for table, columns, row in zip(tables, (BOUNDS, CHAINS), measured(name, arguments.seed), strict=True):
            table.append(row)
            print("  ".join(f"{column}: {cell};" for column, cell in zip(columns, row, strict=True)), flush=True)
        if arguments.publish:  # after each case, so that an interrupted run keeps those before
            publish(arguments.publish, "Gibbs VAE: log Z and its bounds", BOUNDS, tables[0])
            publish(f"{arguments.publish}-chains", "Gibbs VAE: chains and observables", CHAINS, tables[1])


if __name__ == "__main__":
    main()
