"""Training of all restarts of a Gibbs VAE side by side, and the choice of one of them.

The loop of `topicnet.training` judges a run by the size of its first loss, which presumes a positive loss. A free
energy has any sign, so these steps are made here, with the shared optimiser and schedule.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from topicnet.core.distributions import Normal, StandardNormal
from topicnet.errors import InputError
from topicnet.images.gibbs.networks import INITS, GibbsNetwork
from topicnet.images.gibbs.objectives import document_objective, fixed, free_energy
from topicnet.images.gibbs.potentials import Potential
from topicnet.training.optimizer import Adam
from topicnet.training.progress import Listener, Progress
from topicnet.training.schedule import Schedule

MOST_GRADIENT = 10.0  # length to which the gradient of each restart is clipped
REPORT_STEPS = 100  # steps that count as an epoch in progress reports and in the history
JUDGED = 10_000  # joint draws that compare the restarts
RISE = 0.02  # fraction of the run until the peak learning rate
LEAST_INFORMATION = 0.1  # nats of E KL(P || pi) below which z is ignored
DOUBT_SPREAD = 0.1  # std of F below which the target itself needs no code


@dataclass(frozen=True)
class GibbsOptions:
    """Options of training.

    Attributes
    ----------
    objective : str
        "corrected" or "document".
    n_restarts : int
        R.
    n_steps, batch_size : int
        Steps, and joint draws per restart and step.
    learning_rate : float
        Peak rate of Adam.
    initial_beta : float
        Factor of the energy in the first step.
    annealing : float
        Fraction of the steps until the factor is 1.
    """

    objective: str
    n_restarts: int
    n_steps: int
    batch_size: int
    learning_rate: float
    initial_beta: float
    annealing: float

    def beta(self, step: int) -> float:
        """Return the factor of the energy in a step."""
        if self.annealing == 0:
            return 1.0
        return min(1.0, self.initial_beta + (1 - self.initial_beta) * step / (self.annealing * self.n_steps))


@dataclass(frozen=True)
class Restart:
    """Result of one restart.

    Parameters
    ----------
    number : int
        From 0.
    init : str
        "default" or "narrow".
    seed : int
        Seed of its weights.
    free_energy : float
        F, nats.
    free_energy_sd : float
        Standard deviation of the integrand of F: 0 at an exact solution.
    mean_log_scale : float
        Mean log s of the decoder: large if one broad Gaussian covers everything.
    information : float
        E KL(P(z|x) || pi): 0 if the decoder ignores z.
    collapsed : bool
        Whether z is ignored although F is not exact.
    chosen : bool
        Whether this restart is used.

    Examples
    --------
    >>> from topicnet.images import gibbs
    >>> vae = gibbs.GibbsVAE(n_steps=20, n_restarts=2).fit(gibbs.double_well())
    >>> [restart.init for restart in vae.restarts_], sum(restart.chosen for restart in vae.restarts_)
    (['default', 'narrow'], 1)
    """

    number: int
    init: str
    seed: int
    free_energy: float
    free_energy_sd: float
    mean_log_scale: float
    information: float
    collapsed: bool
    chosen: bool


def start(n_restarts: int, seed: int, n_dims: int, latent_dim: int, hidden_dim: int) -> tuple[GibbsNetwork, list[int]]:
    """Create the networks of all restarts, alternating the two initialisations; returns their seeds too.

    Successive pairs share a seed, so that four restarts are two initialisations with two seeds each.
    """
    seeds = [4 * (seed + 7_919 * (number // len(INITS))) for number in range(n_restarts)]
    inits = [INITS[number % len(INITS)] for number in range(n_restarts)]
    return GibbsNetwork(inits, seeds, n_dims, latent_dim, hidden_dim), seeds


def train(
    network: GibbsNetwork,
    potential: Potential,
    options: GibbsOptions,
    seed: int,
    listener: Listener,
) -> list[dict[str, float]]:
    """Minimise the objective of every restart; returns a row of losses for every 100 steps.

    Raises
    ------
    InputError
        The energy cannot be evaluated or differentiated where the decoder draws, or training diverged.
    """
    generator = torch.Generator().manual_seed(seed)
    schedule = Schedule(options.n_steps, options.learning_rate, rise=RISE)
    optimizer = Adam(network, 0.0, {})
    parameters = list(network.parameters())
    began, history = time.perf_counter(), list[dict[str, float]]()
    sums = torch.zeros(options.n_restarts)
    for step in range(options.n_steps):
        loss = batch_loss(network, potential, options, options.beta(step), generator)  # (R, B)
        means = loss.mean(1)
        means.sum().backward()  # type: ignore[no-untyped-call]
        _clip(parameters, options.n_restarts)
        optimizer.step(schedule.rate(step))
        sums += means.detach()
        done = step + 1
        if done % REPORT_STEPS == 0 or done == options.n_steps:
            row = {f"loss_{r}": value / ((step % REPORT_STEPS) + 1) for r, value in enumerate(sums.tolist())}
            history.append({"step": float(done), "beta": options.beta(step)} | row)
            seconds = time.perf_counter() - began
            n_epochs = -(-options.n_steps // REPORT_STEPS)
            listener(Progress("train", len(history), n_epochs, seconds, {"loss": min(row.values())}))
            if not bool(sums.isfinite().all()):
                raise InputError(
                    f"training diverged on {potential.name!r} at learning_rate={options.learning_rate:g}: lower it"
                )
            sums.zero_()
    return history


def batch_loss(
    network: GibbsNetwork, potential: Potential, options: GibbsOptions, beta: float, generator: torch.Generator
) -> Tensor:
    """Return the objective of new joint draws with the energy multiplied by beta, (R, B)."""
    shape = (options.n_restarts, options.batch_size)
    z = torch.randn(*shape, network.latent_dim, generator=generator)
    q = network.decoder(z)
    noise = torch.randn(*shape, network.n_dims, generator=generator)
    x = q.mean + noise * (0.5 * q.log_var).exp()
    energy = beta * potential.energies(x.flatten(0, 1)).view(shape).float()
    p = network.encoder(x)
    if options.objective == "document":
        return document_objective(x, fixed(q), p, energy)
    return free_energy(z, x, fixed(q), p, energy)


def _clip(parameters: list[torch.nn.Parameter], n_restarts: int) -> None:
    """Clip the gradient of each restart to `MOST_GRADIENT`, over all of its parameters."""
    squares = torch.zeros(n_restarts)
    for one in parameters:
        assert one.grad is not None
        squares += one.grad.flatten(1).square().sum(1)
    factors = (MOST_GRADIENT / squares.sqrt().clamp_min(1e-12)).clamp_max(1.0).view(-1, 1, 1)
    for one in parameters:
        assert one.grad is not None
        one.grad.mul_(factors)


def judge(
    network: GibbsNetwork, seeds: list[int], potential: Potential, seed: int, draws: Callable[..., tuple[Tensor, ...]]
) -> list[Restart]:
    """Compare the restarts by F on the same noise, and choose that of the lowest."""
    found = []
    for number, its_seed in enumerate(seeds):
        member = network.member(number)
        z, x, loss = draws(member, potential, JUDGED, seed)
        log_scale = 0.5 * float(member.decode(z).log_var.mean())
        found.append((its_seed, float(loss.mean()), float(loss.std()), log_scale, information(member.encode(x))))
    best = min(range(len(found)), key=lambda number: found[number][1])
    return [
        Restart(number, INITS[number % len(INITS)], *one, is_collapsed(one[4], one[2]), number == best)
        for number, one in enumerate(found)
    ]


def information(p: Normal) -> float:
    """Return the mean KL(P(z|x) || pi) over points, nats."""
    return float(StandardNormal(p.mean.shape[-1]).kl(p).mean())


def is_collapsed(nats: float, spread: float) -> bool:
    """Return whether z is ignored although the fit is not exact; a Gaussian target needs no code."""
    return nats < LEAST_INFORMATION and spread > DOUBT_SPREAD
