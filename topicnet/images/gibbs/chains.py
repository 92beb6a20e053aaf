"""Markov chains for exp(-U): independence Metropolis-Hastings with a Gibbs VAE, MALA and HMC, and their times."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from topicnet.errors import InputError
from topicnet.images.gibbs.potentials import Potential
from topicnet.images.gibbs.weights import Estimate
from topicnet.training.checks import check_count

WINDOW = 5.0  # the sum over lags ends at this multiple of the autocorrelation time (Sokal 1997)
N_CHAINS = 20  # of MALA and HMC, in parallel
LEAPFROG_STEPS = 10
WARM_UP = 0.2  # fraction of the energy calls of MALA and HMC in which the step size is adapted
ACCEPTANCE = {"mala": 0.574, "hmc": 0.8}  # targets of the adaptation (Roberts & Rosenthal 1998; Beskos et al. 2013)
FIRST_STEP, GAIN = 0.1, 2.0  # of the adaptation
LARGEST_LOG_STEP = 3.0
DESCENT_CALLS, DESCENT_LENGTH = 50, 0.1  # one call in 50 descends from the starts, at first by steps of this length

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Chain:
    """States of one Markov chain or of several.

    Parameters
    ----------
    name : str
        "imh", "mala" or "hmc".
    states : Tensor of shape (C, T, D)
        T states of each of C chains, without warm-up.
    acceptance : float
        Fraction of accepted proposals.
    n_calls : int
        Evaluations of the energy (with its gradient for MALA and HMC), with warm-up.

    Examples
    --------
    >>> from topicnet.images import gibbs
    >>> chain = gibbs.hamiltonian(gibbs.gaussian(), 4_000, random_state=0)
    >>> chain.states.shape, chain.n_calls <= 4_000
    (torch.Size([20, 16, 2]), True)
    """

    name: str
    states: Tensor
    acceptance: float
    n_calls: int

    def values(self, function: object) -> Array:
        """Evaluate a function of points (n, D) at all states.

        Parameters
        ----------
        function : callable
            Maps (n, D) to (n,).

        Returns
        -------
        ndarray of shape (C, T)
            Its values.
        """
        assert callable(function)
        found = function(self.states.flatten(0, 1)).double().view(self.states.shape[:2])
        values: Array = found.numpy()
        return values


def autocorrelation_time(values: Array) -> float:
    """Return the integrated autocorrelation time 1 + 2 sum_t rho(t) of chains, in steps.

    Correlations are averaged over the chains, about their common mean, and summed up to the first lag of 5 times the
    result.

    Parameters
    ----------
    values : ndarray of shape (C, T) or (T,)
        Values of an observable.

    Returns
    -------
    float
        At least 1; 1 for values that do not vary.

    Raises
    ------
    InputError
        There are fewer than two values, or they are not finite.

    References
    ----------
    Sokal (1997), "Monte Carlo methods in statistical mechanics: foundations and new algorithms", section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.images import gibbs
    >>> noise = np.random.default_rng(0).standard_normal(10_000)
    >>> round(gibbs.autocorrelation_time(noise), 1)
    1.0
    """
    chains = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if chains.ndim != 2 or chains.shape[1] < 2 or not np.isfinite(chains).all():
        raise InputError(f"values of shape {np.shape(values)} given, expected at least two finite ones in each chain")
    rho = autocorrelation(chains)
    times = 2 * np.cumsum(rho) - 1
    ends = np.flatnonzero(np.arange(len(times)) >= WINDOW * times)
    return max(1.0, float(times[ends[0] if len(ends) else -1]))


def autocorrelation(chains: Array) -> Array:
    """Return the autocorrelation at each lag (T,), averaged over chains (C, T); 1, 0, 0, ... if nothing varies."""
    n = chains.shape[1]
    centred = chains - chains.mean()
    spectrum = np.fft.rfft(centred, 2 * n, axis=1)
    products = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :n].mean(0) / n
    if products[0] <= 1e-30 + 1e-24 * chains.mean() ** 2:
        return np.concatenate([[1.0], np.zeros(n - 1)])
    found: Array = products / products[0]
    return found


def mean_of(values: Array, tau: float) -> Estimate:
    """Estimate a mean from chains (C, T), with the larger of two standard errors: by tau, and between chains."""
    n_chains = len(values)
    se = float(values.std()) * math.sqrt(tau / values.size)
    if n_chains > 1:
        se = max(se, float(values.mean(1).std(ddof=1)) / math.sqrt(n_chains))
    return Estimate(float(values.mean()), se)


def independence(x: Tensor, log_weights: Tensor, random_state: int = 0) -> Chain:
    """Run independence Metropolis-Hastings on (x, z), with weighted joint draws as proposals.

    A proposal is accepted with probability min(1, w' / w). The chain has the invariant law mu(x) P(z|x), so its points
    follow the target exactly.

    Parameters
    ----------
    x : Tensor of shape (n, D)
        Points of joint draws, such as those of `GibbsVAE.weighted_draws`; the first starts the chain.
    log_weights : Tensor of shape (n,)
        Their log-weights.
    random_state : int
        Seed.

    Returns
    -------
    Chain
        One chain of n states.

    Raises
    ------
    InputError
        The shapes differ, or there are fewer than two draws.

    Examples
    --------
    >>> from topicnet.images import gibbs
    >>> vae = gibbs.GibbsVAE(n_steps=50).fit(gibbs.gaussian())
    >>> _, x, log_weights = vae.weighted_draws(1_000)
    >>> gibbs.independence(x, log_weights).acceptance > 0.2
    True
    """
    if x.ndim != 2 or log_weights.shape != x.shape[:1] or len(x) < 2:
        raise InputError(
            f"points {tuple(x.shape)} and log-weights {tuple(log_weights.shape)} given, expected (n, D) and (n,) with"
            " n of at least 2"
        )
    logs = log_weights.tolist()
    thresholds = np.log(np.random.default_rng(random_state).random(len(logs))).tolist()
    current, rows, accepted = 0, [0], 0
    for row in range(1, len(logs)):
        if thresholds[row] < logs[row] - logs[current]:
            current = row
            accepted += 1
        rows.append(current)
    return Chain("imh", x[torch.tensor(rows)][None], accepted / (len(logs) - 1), len(logs))


def langevin(potential: Potential, n_calls: int, random_state: int = 0) -> Chain:
    """Run the Metropolis-adjusted Langevin algorithm with 20 chains that start below draws of N(0, I).

    Parameters
    ----------
    potential : Potential
        Target.
    n_calls : int
        Evaluations of the energy's gradient of all chains together, a fifth of them for the adaptation of the step,
        and a fiftieth for a descent from the starts.
    random_state : int
        Seed.

    Returns
    -------
    Chain
        States after the adaptation.

    Raises
    ------
    InputError
        There are too few calls, or the energy cannot be evaluated.

    References
    ----------
    Roberts & Rosenthal (1998), "Optimal scaling of discrete approximations to Langevin diffusions".

    Examples
    --------
    >>> from topicnet.images import gibbs
    >>> gibbs.langevin(gibbs.gaussian(), 2_000).states.shape
    torch.Size([20, 78, 2])
    """
    return _hamiltonian("mala", potential, n_calls, 1, random_state)


def hamiltonian(potential: Potential, n_calls: int, random_state: int = 0) -> Chain:
    """Run Hamiltonian Monte Carlo with 10 leapfrog steps and 20 chains that start below draws of N(0, I).

    Parameters
    ----------
    potential : Potential
        Target.
    n_calls : int
        Evaluations of the energy's gradient of all chains together, a fifth of them for the adaptation of the step,
        and a fiftieth for a descent from the starts.
    random_state : int
        Seed.

    Returns
    -------
    Chain
        States after the adaptation.

    Raises
    ------
    InputError
        There are too few calls, or the energy cannot be evaluated.

    References
    ----------
    Neal (2011), "MCMC using Hamiltonian dynamics".

    Examples
    --------
    >>> from topicnet.images import gibbs
    >>> gibbs.hamiltonian(gibbs.gaussian(), 4_000).states.shape
    torch.Size([20, 16, 2])
    """
    return _hamiltonian("hmc", potential, n_calls, LEAPFROG_STEPS, random_state)


def _hamiltonian(name: str, potential: Potential, n_calls: int, n_leapfrog: int, seed: int) -> Chain:
    """Run HMC; with one leapfrog step it is MALA (Neal 2011, section 5.2)."""
    least = 10 * N_CHAINS * n_leapfrog
    check_count("n_calls", n_calls, least=least, most=1_000_000_000)
    check_count("random_state", seed, least=0)
    generator = torch.Generator().manual_seed(seed)
    n_descents = n_calls // N_CHAINS // DESCENT_CALLS
    n_steps = (n_calls // N_CHAINS - 1 - n_descents) // n_leapfrog  # the starts cost a call each
    n_warm_up = max(1, int(WARM_UP * n_steps))
    x = torch.randn(N_CHAINS, potential.n_dims, generator=generator, dtype=torch.float64)
    x, energy, slope = _descend(potential, x, n_descents)
    log_step, mean_log_step, accepted = math.log(FIRST_STEP), 0.0, 0.0
    states = []
    for t in range(n_steps):
        momentum = torch.randn(x.shape, generator=generator, dtype=torch.float64)
        # A random length of each trajectory avoids periodic ones.
        step = math.exp(log_step) * (0.8 + 0.4 * float(torch.rand((), generator=generator)))
        proposal, p, g = x, momentum - 0.5 * step * slope, slope
        for i in range(n_leapfrog):
            proposal = proposal + step * p
            new_energy, g = _gradient(potential, proposal)
            p = p - (step if i < n_leapfrog - 1 else 0.5 * step) * g
        change = energy - new_energy + 0.5 * (momentum.square() - p.square()).sum(-1)
        u = torch.rand(N_CHAINS, generator=generator, dtype=torch.float64)
        yes = u.log() < change
        x, energy, slope = (
            torch.where(yes[:, None], proposal, x),
            torch.where(yes, new_energy, energy),
            torch.where(yes[:, None], g, slope),
        )
        rate = float(change.clamp_max(0.0).exp().nan_to_num(0.0).mean())
        if t < n_warm_up:  # Robbins & Monro, then the mean of the second half
            log_step = min(LARGEST_LOG_STEP, log_step + GAIN * (rate - ACCEPTANCE[name]) / math.sqrt(t + 1))
            mean_log_step += log_step if t >= n_warm_up // 2 else 0.0
            if t == n_warm_up - 1:
                log_step = mean_log_step / (n_warm_up - n_warm_up // 2)
        else:
            states.append(x)
            accepted += float(yes.double().mean())
    calls = N_CHAINS * (n_steps * n_leapfrog + 1 + n_descents)
    return Chain(name, torch.stack(states, 1), accepted / len(states), calls)


def _descend(potential: Potential, x: Tensor, n_steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """Descend from steep slopes, where a chain would reject every step; returns points, energies and gradients.

    Steps that do not lower the energy are undone and halve the length of the next.
    """
    energy, slope = potential.gradient(x)
    length = torch.full((len(x), 1), DESCENT_LENGTH, dtype=torch.float64)
    for _ in range(n_steps):
        size = slope.norm(dim=-1, keepdim=True).clamp_min(1e-12)
        moved = x - slope / size * torch.minimum(length, size)
        new_energy, new_slope = potential.gradient(moved)
        lower = (new_energy < energy)[:, None]
        x, slope = torch.where(lower, moved, x), torch.where(lower, new_slope, slope)
        energy = torch.where(lower[:, 0], new_energy, energy)
        length = torch.where(lower, length, length / 2)
    return x, energy, slope


def _gradient(potential: Potential, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return energies and gradients; where a trajectory has left the range of numbers, an infinite energy."""
    lost = ~(x.abs() < 1e12).all(-1)
    if not bool(lost.any()):
        return potential.gradient(x)
    energy, slope = potential.gradient(x.masked_fill(lost[:, None], 0.0))
    return energy.masked_fill(lost, math.inf), slope.masked_fill(lost[:, None], 0.0)
