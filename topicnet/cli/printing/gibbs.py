"""Printing of the measurements of a Gibbs VAE."""

from __future__ import annotations

from topicnet.cli.printing.output import echo
from topicnet.cli.printing.tables import print_table
from topicnet.images.gibbs.report import GibbsReport, Moment
from topicnet.images.gibbs.weights import Estimate

CHAINS = {"imh": "IMH", "mala": "MALA", "hmc": "HMC"}
UNKNOWN = "-"


def show_report(report: GibbsReport) -> None:
    """Print log Z and its bounds, the restarts, the chains and the observables."""
    objective = "" if report.objective == "corrected" else f", objective {report.objective}"
    echo(
        f"{report.potential}, {report.n_dims} dimension{'s' if report.n_dims > 1 else ''}, {report.n_draws:,} draws"
        f"{objective}\n"
    )
    _bounds(report)
    _restarts(report)
    _chains(report)
    _moments(report)
    of_target = "exact draws of the target" if report.upper_from == "exact" else "states of HMC"
    echo(
        f"\nW2 to {of_target}, {report.n_compared:,} points: IMH {report.distance:.3f}, decoder"
        f" {report.distance_raw:.3f}, the target again {report.distance_reference:.3f}"
    )
    if report.collapsed:
        echo("\ncollapsed: the decoder ignores z; IMH is still exact, but try more --restarts or --steps")


def _bounds(report: GibbsReport) -> None:
    log_z = report.log_z
    of_estimate = "" if report.exact_log_z is not None else " with the estimated log Z"
    rows = [
        ("F", f"{report.free_energy.value:.4f}", f"± {report.free_energy.se:.4f}"),
        ("std of F", f"{report.free_energy_sd:.4f}", ""),
        ("KL bound, F + log Z", f"{report.kl:.4f}", f"nats{of_estimate}"),
        *((f"KL bound, K = {one.k}", f"{one.kl:.4f}", f"± {one.bound.se:.4f}") for one in report.bounds),
        ("log Z, exact", _number(report.exact_log_z), ""),
        ("log Z, importance weights", f"{log_z.value:.4f}", f"95 % interval {log_z.low:.4f} to {log_z.high:.4f}"),
        ("log Z, lower bound -F", f"{-report.free_energy.value:.4f}", ""),
        (
            "log Z, upper bound",
            f"{report.upper.value:.4f}",
            f"± {report.upper.se:.4f} from {'exact draws' if report.upper_from == 'exact' else 'states of HMC'}",
        ),
        ("effective sample size", f"{report.effective_fraction:.3f}", "of each draw"),
        ("E KL(P || pi)", f"{report.information:.3f}", "nats; 0 if z is ignored"),
        ("mean log s of the decoder", f"{report.mean_log_scale:.3f}", ""),
    ]
    for name, value, note in rows:
        echo(f"  {name:28}{value:>10}  {note}".rstrip())


def _restarts(report: GibbsReport) -> None:
    echo("\nrestarts")
    lines = [["start", "seed", "F", "std of F", "mean log s", "E KL(P || pi)", ""]]
    for one in report.restarts:
        marks = " ".join(word for word, holds in (("chosen", one.chosen), ("collapsed", one.collapsed)) if holds)
        numbers = (one.free_energy, one.free_energy_sd, one.mean_log_scale, one.information)
        lines.append([one.init, str(one.seed), *(f"{number:.4f}" for number in numbers), marks])
    print_table(lines)


def _chains(report: GibbsReport) -> None:
    echo(f"\nchains (training made {report.n_training_calls:,} energy calls)")
    lines = [["chain", "acceptance", "tau, steps", "energy calls", "calls per independent draw"]]
    for one in report.chains:
        numbers = [f"{one.acceptance:.3f}", f"{one.tau:.1f}", f"{one.n_calls:,}", f"{one.calls_per_draw:.1f}"]
        lines.append([CHAINS[one.name], *numbers])
    print_table(lines)


def _moments(report: GibbsReport) -> None:
    echo("\nobservables")
    lines = [["mean of", "raw", "reweighted", "IMH", "MALA", "HMC", "exact"]]
    lines += [_moment(one) for one in report.moments]
    print_table(lines)


def _moment(one: Moment) -> list[str]:
    estimates = (_with_error(estimate) for estimate in (one.imh, one.mala, one.hmc))
    return [one.name, f"{one.raw:.4f}", f"{one.reweighted:.4f}", *estimates, _number(one.exact)]


def _with_error(estimate: Estimate) -> str:
    return f"{estimate.value:.4f} ± {estimate.se:.4f}"


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{round(value, 4) + 0.0:.4f}"
