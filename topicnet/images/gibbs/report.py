"""All measurements of a fitted Gibbs VAE: bounds and estimates of log Z, chains, observables, distances."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from topicnet.core.transport import wasserstein
from topicnet.errors import InputError
from topicnet.images.gibbs.chains import (
    LEAPFROG_STEPS,
    N_CHAINS,
    Chain,
    autocorrelation_time,
    hamiltonian,
    independence,
    langevin,
    mean_of,
)
from topicnet.images.gibbs.estimator import GibbsVAE
from topicnet.images.gibbs.exact import Answers
from topicnet.images.gibbs.potentials import Potential
from topicnet.images.gibbs.training import Restart
from topicnet.images.gibbs.weights import (
    Estimate,
    effective_fraction,
    k_sample_bound,
    log_partition,
    reverse_log_weights,
)
from topicnet.runtime.seeding import draw_seed
from topicnet.runtime.threads import chosen_threads
from topicnet.training.checks import check_count

SAMPLE_COUNTS = (1, 4, 16, 64)  # K of the K-sample bounds
BOUND_DRAWS = 4_000
TARGET_DRAWS = 20_000
COMPARED = 1_000  # points on each side of a Wasserstein distance
LEAST_DRAWS = 10 * N_CHAINS * LEAPFROG_STEPS


@dataclass(frozen=True)
class BoundOfK:
    """Lower bound of log Z with K codes per point.

    Parameters
    ----------
    k : int
        K.
    bound : Estimate
        E log w_K, nats.
    kl : float
        log Z minus the bound.

    Examples
    --------
    >>> from topicnet.images import gibbs
    >>> gibbs.BoundOfK(1, gibbs.Estimate(-0.1, 0.01), 0.05).kl
    0.05
    """

    k: int
    bound: Estimate
    kl: float


@dataclass(frozen=True)
class ChainResult:
    """Efficiency of a Markov chain.

    Parameters
    ----------
    name : str
        "imh", "mala" or "hmc".
    acceptance : float
        Fraction of accepted proposals.
    tau : float
        Integrated autocorrelation time in steps, the largest over the observables.
    n_calls : int
        Evaluations of the energy.
    calls_per_draw : float
        Evaluations of the energy per independent draw.

    Examples
    --------
    >>> from topicnet.images import gibbs
    >>> gibbs.ChainResult("imh", 0.9, 1.2, 1_000, 1.2).name
    'imh'
    """

    name: str
    acceptance: float
    tau: float
    n_calls: int
    calls_per_draw: float


@dataclass(frozen=True)
class Moment:
    """Expectation of an observable by each method.

    Parameters
    ----------
    name : str
        Observable.
    exact : float or None
        Exact value, where it is known.
    raw, reweighted : float
        Mean over draws of the decoder, without and with weights.
    imh, mala, hmc : Estimate
        Means of the chains, with standard errors that allow for autocorrelation.

    Examples
    --------
    >>> from topicnet.images import gibbs
    >>> e = gibbs.Estimate(0.5, 0.01)
    >>> gibbs.Moment("P(x>0)", 0.5, 0.49, 0.5, e, e, e).imh.value
    0.5
    """

    name: str
    exact: float | None
    raw: float
    reweighted: float
    imh: Estimate
    mala: Estimate
    hmc: Estimate


@dataclass(frozen=True)
class GibbsReport:
    """Measurements of a fitted Gibbs VAE.

    Parameters
    ----------
    potential : str
        Name of the target.
    n_dims, latent_dim : int
        D and d.
    objective : str
        Objective of the training.
    random_state, n_draws, n_training_calls : int
        Seed, weighted draws, and evaluations of the energy's gradient during training.
    free_energy : Estimate
        F, nats; at least -log Z.
    free_energy_sd : float
        Standard deviation of its integrand, 0 at an exact solution.
    exact_log_z : float or None
        log Z where it is known.
    log_z : Estimate
        log Z by importance weighting, with a bootstrap interval of 95 %.
    kl : float
        F + log Z, which bounds KL(q || mu); with the estimated log Z where the exact one is not known.
    bounds : tuple of BoundOfK
        K-sample bounds.
    upper : Estimate
        Upper bound of log Z from draws of the target.
    upper_from : str
        "exact" draws or "hmc".
    effective_fraction : float
        Effective sample size of the weights as a fraction of their number.
    information : float
        E KL(P(z|x) || pi) of the chosen restart.
    mean_log_scale : float
        Mean log s of its decoder.
    collapsed : bool
        Whether the decoder ignores z.
    chains : tuple of ChainResult
        IMH, MALA and HMC at equal numbers of energy calls.
    moments : tuple of Moment
        Observables.
    distance, distance_raw, distance_reference : float
        W_2 between draws of the target and as many of IMH, of the decoder, and of the target again.
    n_compared : int
        Draws on each side of these distances, at most 1,000.
    restarts : tuple of Restart
        All restarts.

    Examples
    --------
    >>> from topicnet.images import gibbs
    >>> report = gibbs.measure(gibbs.GibbsVAE(n_steps=100).fit(gibbs.gaussian()), n_draws=4_000)
    >>> report.potential, len(report.bounds), report.upper_from
    ('gaussian', 4, 'exact')
    """

    potential: str
    n_dims: int
    latent_dim: int
    objective: str
    random_state: int
    n_draws: int
    n_training_calls: int
    free_energy: Estimate
    free_energy_sd: float
    exact_log_z: float | None
    log_z: Estimate
    kl: float
    bounds: tuple[BoundOfK, ...]
    upper: Estimate
    upper_from: str
    effective_fraction: float
    information: float
    mean_log_scale: float
    collapsed: bool
    chains: tuple[ChainResult, ...]
    moments: tuple[Moment, ...]
    distance: float
    distance_raw: float
    distance_reference: float
    n_compared: int
    restarts: tuple[Restart, ...]


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws behind a report, for figures and tables.

    Parameters
    ----------
    x : Tensor of shape (n, D)
        Draws of the decoder.
    log_weights : Tensor of shape (n,)
        Their log-weights.
    imh, mala, hmc : Chain
        Chains.
    target : Tensor of shape (m, D)
        Draws of the target: exact, or states of HMC.

    Examples
    --------
    >>> from topicnet.images import gibbs
    >>> _, draws = gibbs.measure_with_draws(gibbs.GibbsVAE(n_steps=20).fit(gibbs.gaussian()), n_draws=2_000)
    >>> draws.imh.states.shape
    torch.Size([1, 2000, 2])
    """

    x: Tensor
    log_weights: Tensor
    imh: Chain
    mala: Chain
    hmc: Chain
    target: Tensor


def measure(vae: GibbsVAE, n_draws: int = 100_000, random_state: int = 0) -> GibbsReport:
    """Measure a fitted Gibbs VAE against its potential.

    Parameters
    ----------
    vae : GibbsVAE
        A fitted model.
    n_draws : int
        Weighted draws, proposals of IMH, and energy calls of each of MALA and HMC; at least 2,000.
    random_state : int
        Seed of all draws.

    Returns
    -------
    GibbsReport
        The measurements.

    Raises
    ------
    InputError
        The model is not fitted, a number is out of range, or the energy of a draw cannot be evaluated.

    Examples
    --------
    >>> from topicnet.images import gibbs
    >>> report = gibbs.measure(gibbs.GibbsVAE(n_steps=300).fit(gibbs.gaussian()), n_draws=4_000)
    >>> abs(report.log_z.value - report.exact_log_z) < 0.1
    True
    """
    return measure_with_draws(vae, n_draws, random_state)[0]


def measure_with_draws(vae: GibbsVAE, n_draws: int = 100_000, random_state: int = 0) -> tuple[GibbsReport, Draws]:
    """Measure a fitted Gibbs VAE, and return the draws too.

    Parameters
    ----------
    vae : GibbsVAE
        A fitted model.
    n_draws : int
        As in `measure`.
    random_state : int
        Seed of all draws.

    Returns
    -------
    report : GibbsReport
        The measurements.
    draws : Draws
        The draws and chains.

    Raises
    ------
    InputError
        As `measure`.

    Examples
    --------
    >>> from topicnet.images import gibbs
    >>> vae = gibbs.GibbsVAE(n_steps=20).fit(gibbs.gaussian())
    >>> report, draws = gibbs.measure_with_draws(vae, n_draws=2_000)
    >>> len(draws.x) == report.n_draws
    True
    """
    vae.check_fitted()
    check_count("n_draws", n_draws, least=LEAST_DRAWS, most=100_000_000)
    check_count("random_state", random_state, least=0)
    rng = np.random.default_rng((random_state, 1))
    seeds = [draw_seed(rng) for _ in range(8)]
    with chosen_threads(), torch.no_grad():
        draws = _draws(vae, n_draws, seeds)
        return _report(vae, draws, random_state, seeds), draws


def _draws(vae: GibbsVAE, n_draws: int, seeds: list[int]) -> Draws:
    potential = vae.potential_
    _, x, log_weights = vae.weighted_draws(n_draws, seeds[0])
    imh = independence(x, log_weights, seeds[1])
    mala, hmc = langevin(potential, n_draws, seeds[2]), hamiltonian(potential, n_draws, seeds[3])
    if potential.sampler is not None:
        target = potential.sampler(min(n_draws, TARGET_DRAWS), seeds[4])
    else:
        target = hmc.states.flatten(0, 1)[:TARGET_DRAWS]
    return Draws(x, log_weights, imh, mala, hmc, target)


def _report(vae: GibbsVAE, draws: Draws, random_state: int, seeds: list[int]) -> GibbsReport:
    potential, network = vae.potential_, vae.network_
    answers = potential.answers()
    log_z = log_partition(draws.log_weights, seeds[5])
    known = log_z.value if answers is None else answers.log_z
    n_draws, spread = len(draws.x), float(draws.log_weights.std())
    energy = Estimate(-float(draws.log_weights.mean()), spread / math.sqrt(n_draws))
    bounds = [k_sample_bound(network, potential, k, min(n_draws // 25, BOUND_DRAWS), seeds[6]) for k in SAMPLE_COUNTS]
    chosen = next(one for one in vae.restarts_ if one.chosen)
    # The two halves share no draw and, where they are states of HMC, hardly a chain.
    halves = draws.target[: len(draws.target) // 2], draws.target[len(draws.target) // 2 :]
    n_compared = min(COMPARED, len(halves[0]))
    imh, raw, target, again = (_thinned(points, n_compared) for points in (draws.imh.states[0], draws.x, *halves))
    return GibbsReport(
        potential=potential.name,
        n_dims=potential.n_dims,
        latent_dim=network.latent_dim,
        objective=vae.objective,
        random_state=random_state,
        n_draws=n_draws,
        n_training_calls=vae.n_training_calls_,
        free_energy=energy,
        free_energy_sd=spread,
        exact_log_z=None if answers is None else answers.log_z,
        log_z=log_z,
        kl=energy.value + known,
        bounds=tuple(BoundOfK(k, bound, known - bound.value) for k, bound in zip(SAMPLE_COUNTS, bounds, strict=True)),
        upper=_upper_bound(vae, draws, seeds[7]),
        upper_from="hmc" if potential.sampler is None else "exact",
        effective_fraction=effective_fraction(draws.log_weights),
        information=chosen.information,
        mean_log_scale=chosen.mean_log_scale,
        collapsed=chosen.collapsed,
        chains=tuple(_efficiency(chain, potential) for chain in (draws.imh, draws.mala, draws.hmc)),
        moments=tuple(_moments(potential, draws, answers)),
        distance=_distance(imh, target),
        distance_raw=_distance(raw, target),
        distance_reference=_distance(again, target),
        n_compared=n_compared,
        restarts=tuple(vae.restarts_),
    )


def _upper_bound(vae: GibbsVAE, draws: Draws, seed: int) -> Estimate:
    """Estimate E log w over the target; draws of HMC are correlated, so their standard error is that of the chains."""
    if vae.potential_.sampler is not None:
        values = reverse_log_weights(vae.network_, vae.potential_, draws.target, seed)
        return Estimate(float(values.mean()), float(values.std()) / math.sqrt(len(values)))
    states = draws.hmc.states
    found = reverse_log_weights(vae.network_, vae.potential_, states.flatten(0, 1), seed)
    values_of_chains = found.view(states.shape[:2]).numpy()
    return mean_of(values_of_chains, autocorrelation_time(values_of_chains))


def _efficiency(chain: Chain, potential: Potential) -> ChainResult:
    times = [autocorrelation_time(chain.values(function)) for function in potential.observables.values()]
    tau = max(times)
    n_states = chain.states.shape[0] * chain.states.shape[1]
    return ChainResult(chain.name, chain.acceptance, tau, chain.n_calls, chain.n_calls * tau / n_states)


def _moments(potential: Potential, draws: Draws, answers: Answers | None) -> list[Moment]:
    exact: Mapping[str, float] = {} if answers is None else answers.means
    weights = (draws.log_weights - draws.log_weights.logsumexp(0)).exp()
    found = []
    for name, function in potential.observables.items():
        values = function(draws.x).double()
        estimates = []
        for chain in (draws.imh, draws.mala, draws.hmc):
            series = chain.values(function)
            estimates.append(mean_of(series, autocorrelation_time(series)))
        found.append(Moment(name, exact.get(name), float(values.mean()), float(weights @ values), *estimates))
    if potential.binder:
        found.append(_binder(draws, weights, exact.get("Binder")))
    return found


def _binder(draws: Draws, weights: Tensor, exact: float | None) -> Moment:
    """Return the Binder cumulant 1 - E M^4 / (3 (E M^2)^2) of the mean M of all coordinates (Binder 1981)."""
    magnetisation = draws.x.mean(-1)
    second, fourth = magnetisation**2, magnetisation**4
    raw = 1 - float(fourth.mean() / (3 * second.mean() ** 2))
    reweighted = 1 - float(weights @ fourth / (3 * (weights @ second) ** 2))
    estimates = []
    for chain in (draws.imh, draws.mala, draws.hmc):
        series = chain.values(lambda x: x.mean(-1) ** 2)
        a, b = float(series.mean()), float((series**2).mean())
        # The standard error is that of the cumulant's linearisation in the two moments (the delta method).
        linear = -(series**2) / (3 * a**2) + 2 * b * series / (3 * a**3)
        estimates.append(Estimate(1 - b / (3 * a**2), mean_of(linear, autocorrelation_time(linear)).se))
    return Moment("Binder", exact, raw, reweighted, *estimates)


def _thinned(points: Tensor, n: int) -> Tensor:
    """Return n points at equal intervals."""
    return points[torch.linspace(0, len(points) - 1, n).long()]


def _distance(x: Tensor, y: Tensor) -> float:
    return float(wasserstein(x, y).distance)


def check_draws(n_draws: int) -> None:
    """Raise InputError for a number of draws that is too small for the chains."""
    if n_draws < LEAST_DRAWS:
        raise InputError(f"{n_draws} draws given, expected at least {LEAST_DRAWS:,}: the chains need them")
