"""Marginal likelihood by importance weights and by annealed importance sampling with Hamiltonian transitions.

Everything here works on rows: n draws or chains of each of B documents, as n repetitions of the whole batch, (n * B,).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from topicnet.core.counter_rng import LATENT, ORDER, THETA, Noise

LEAPFROG_STEPS = 8
ACCEPTANCE = 0.8  # rate that step sizes are tuned to (Betancourt, Byrne & Girolami 2014 find 0.6 to 0.9 equally good)
GAIN = 0.5  # change of the log step size per unit of excess acceptance
FIRST_STEP = 0.3
LARGEST_STEP = 0.4  # 8 such steps cross half a period of a unit Gaussian; longer trajectories would return
SHORTEST = 0.5  # each trajectory takes a random fraction of its step size, from this to 1, against periodic orbits

LogDensity = Callable[[Tensor], Tensor]  # points (n, Z) to nats (n,)
NoiseAt = Callable[[int], Noise]  # number of a transition to the noise of all rows


class WeightSummary(NamedTuple):
    """Logarithm of the mean of importance weights, with its Monte-Carlo error.

    Attributes
    ----------
    log_mean : ndarray of shape (B,), float64
        Log of the mean weight. The mean is unbiased, so that its log is a lower bound in expectation (Jensen).
    error : ndarray of shape (B,), float64
        Standard error of `log_mean` (delta method); NaN for a single draw.
    ess : ndarray of shape (B,), float64
        Effective sample size (sum w)^2 / sum w^2, from 1 to the number of draws.
    """

    log_mean: NDArray[np.float64]
    error: NDArray[np.float64]
    ess: NDArray[np.float64]


def summarise_weights(log_weights: NDArray[np.floating]) -> WeightSummary:
    """Summarise importance weights.

    Parameters
    ----------
    log_weights : ndarray of shape (n, B)
        Log-weights of n draws for each of B documents; -inf is allowed, but not in all draws of a document.

    Returns
    -------
    WeightSummary
        One value per document.

    Examples
    --------
    >>> found = summarise_weights(np.log([[1.0], [3.0]]))
    >>> np.exp(found.log_mean).round(6).tolist(), found.ess.round(6).tolist()
    ([2.0], [1.6])
    """
    logs = np.asarray(log_weights, dtype=np.float64)
    n = len(logs)
    largest = logs.max(0)
    weights = np.exp(logs - largest)
    total = weights.sum(0)
    ess = total**2 / (weights**2).sum(0)
    relative_variance = (n / ess - 1.0).clip(0.0) * n / max(n - 1, 1)  # of one weight
    error = np.sqrt(relative_variance / n) if n > 1 else np.full(logs.shape[1], np.nan)
    return WeightSummary(largest + np.log(total / n), error, ess)


def geometric_schedule(n_temperatures: int, flat: Tensor) -> Tensor:
    """Return inverse temperatures that grow in proportion to themselves, and linearly near 0.

    b_t = f ((1 + 1/f)^(t/T) - 1). The spread of the log-likelihood falls like 1 / b once the posterior is narrower than
    the prior; f is the inverse temperature at which this begins.

    Parameters
    ----------
    n_temperatures : int
        T.
    flat : Tensor
        (B,) f of each document, above 0.

    Returns
    -------
    Tensor
        (T + 1, B), float64, from 0 to 1.

    Examples
    --------
    >>> geometric_schedule(2, torch.tensor([1 / 8])).ravel().tolist()
    [0.0, 0.25, 1.0]
    """
    f = flat.double()
    t = torch.arange(n_temperatures + 1, dtype=torch.float64, device=f.device)[:, None] / n_temperatures
    betas = f * torch.expm1(t * torch.log1p(1.0 / f))
    betas[-1] = 1.0
    return betas


@dataclass(frozen=True)
class AnnealedPath:
    """Path of densities from a start that can be sampled to an unnormalised target: base(z) exp(b tilt(z)).

    Attributes
    ----------
    base : callable
        Log-density of the start, normalised.
    tilt : callable
        Log of the target minus `base`; the log-likelihood if the path starts at the prior.
    """

    base: LogDensity
    tilt: LogDensity

    def at(self, z: Tensor) -> State:
        """Evaluate both terms and their gradients."""
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            base, tilt = self.base(z), self.tilt(z)
            (of_base,), (of_tilt,) = torch.autograd.grad(base.sum(), z), torch.autograd.grad(tilt.sum(), z)
        return State(z.detach(), base.detach(), tilt.detach(), of_base, of_tilt)


@dataclass(frozen=True)
class State:
    """Points of all chains, with both terms of the path there and their gradients.

    Attributes
    ----------
    z : Tensor
        (n, Z).
    base, tilt : Tensor
        (n,) nats.
    of_base, of_tilt : Tensor
        (n, Z) gradients.
    """

    z: Tensor
    base: Tensor
    tilt: Tensor
    of_base: Tensor
    of_tilt: Tensor

    def log_density(self, beta: Tensor) -> Tensor:
        """Return the log-density at inverse temperatures (n,)."""
        return self.base + beta * self.tilt

    def force(self, beta: Tensor) -> Tensor:
        """Return its gradient (n, Z)."""
        return torch.addcmul(self.of_base, beta[:, None], self.of_tilt)

    def where(self, chosen: Tensor, other: State) -> State:
        """Keep the chosen rows and take the others from another state."""
        rows = chosen[:, None]
        return State(
            torch.where(rows, self.z, other.z),
            torch.where(chosen, self.base, other.base),
            torch.where(chosen, self.tilt, other.tilt),
            torch.where(rows, self.of_base, other.of_base),
            torch.where(rows, self.of_tilt, other.of_tilt),
        )


def hamiltonian_transition(
    path: AnnealedPath, state: State, beta: Tensor, step: Tensor, noise: Noise
) -> tuple[State, Tensor]:
    """Move each chain by one trajectory of Hamiltonian Monte Carlo, which leaves its density invariant.

    Duane, Kennedy, Pendleton & Roweth 1987; Neal 2011, section 5.3, with identity mass. A trajectory that ends at a
    non-finite density is rejected.

    Parameters
    ----------
    path : AnnealedPath
        The densities.
    state : State
        Current points, n rows.
    beta, step : Tensor
        (n,) inverse temperature and leapfrog step size of each chain.
    noise : Noise
        Random numbers of n rows, not used before.

    Returns
    -------
    state : State
        New points.
    acceptance : Tensor
        (n,) probability with which each trajectory was accepted.
    """
    momentum = noise.normal(LATENT, state.z)
    before = state.log_density(beta) - 0.5 * momentum.square().sum(-1)
    by = step[:, None] * (SHORTEST + (1.0 - SHORTEST) * noise.uniform(ORDER, state.z[:, :1]))
    half = 0.5 * by
    end = state
    for _ in range(LEAPFROG_STEPS):
        momentum = momentum + half * end.force(beta)
        end = path.at(end.z + by * momentum)
        momentum = momentum + half * end.force(beta)
    after = end.log_density(beta) - 0.5 * momentum.square().sum(-1)
    acceptance = (after - before).nan_to_num(-math.inf, math.inf, -math.inf).clamp_max(0.0).exp()
    acceptance = torch.where(torch.isfinite(end.of_tilt).all(-1) & torch.isfinite(after), acceptance, 0.0)
    accepted = noise.uniform(THETA, acceptance[:, None])[:, 0] < acceptance
    return end.where(accepted, state), acceptance


def tuned_steps(
    path: AnnealedPath, z: Tensor, betas: Tensor, noise_at: NoiseAt, check: Callable[[], None] = lambda: None
) -> Tensor:
    """Tune the step sizes of annealing in a pilot run of separate chains.

    Adapting them in the run itself would bias its weights.

    Parameters
    ----------
    path : AnnealedPath
        The densities.
    z : Tensor
        (n * B, Z) draws from the start.
    betas : Tensor
        (T + 1, B) inverse temperatures, from 0 to 1.
    noise_at : callable
        Noise of the n * B rows by transition.
    check : callable
        Called before every transition; may raise to end the run.

    Returns
    -------
    Tensor
        (T - 1, B) step sizes of the transitions at the inner temperatures.
    """
    n_docs = betas.shape[1]
    n_chains = len(z) // n_docs
    log_step = z.new_full((n_docs,), math.log(FIRST_STEP))
    state, steps = path.at(z), []
    for t in range(1, len(betas) - 1):
        check()
        step = log_step.exp()
        steps.append(step)
        beta = betas[t].to(z.dtype).repeat(n_chains)
        state, acceptance = hamiltonian_transition(path, state, beta, step.repeat(n_chains), noise_at(t))
        excess = acceptance.view(n_chains, n_docs).mean(0) - ACCEPTANCE
        log_step = (log_step + GAIN * excess).clamp_max(math.log(LARGEST_STEP))
    return torch.stack(steps) if steps else z.new_empty(0, n_docs)


def annealed_log_weights(
    path: AnnealedPath,
    z: Tensor,
    betas: Tensor,
    steps: Tensor,
    noise_at: NoiseAt,
    check: Callable[[], None] = lambda: None,
) -> Tensor:
    """Run annealed importance sampling, whose weights have the target's normalising constant as their mean.

    log w = sum_t (b_t - b_{t-1}) tilt(z_{t-1}), where z_t follows z_{t-1} by a transition that leaves the density at
    b_t invariant (Neal 2001, eq. 11; Wallach et al. 2009, section 4.1).

    Parameters
    ----------
    path : AnnealedPath
        The densities.
    z : Tensor
        (n * B, Z) independent draws from the start.
    betas : Tensor
        (T + 1, B) inverse temperatures, from 0 to 1.
    steps : Tensor
        (T - 1, B) step sizes, chosen without these chains.
    noise_at : callable
        Noise of the n * B rows by transition.
    check : callable
        Called before every transition; may raise to end the run.

    Returns
    -------
    Tensor
        (n, B) log-weights, float64.
    """
    n_docs = betas.shape[1]
    n_chains = len(z) // n_docs
    state = path.at(z)
    log_weights = z.new_zeros(n_chains, n_docs, dtype=torch.float64)
    for t in range(1, len(betas)):
        check()
        log_weights += (betas[t] - betas[t - 1]) * state.tilt.double().view(n_chains, n_docs)
        if t < len(betas) - 1:
            beta, step = betas[t].to(z.dtype).repeat(n_chains), steps[t - 1].repeat(n_chains)
            state, _ = hamiltonian_transition(path, state, beta, step, noise_at(t))
    return log_weights
