"""GibbsVAE: a variational autoencoder fitted to a potential instead of data."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch
from torch import Tensor

from topicnet.errors import InputError
from topicnet.images.gibbs.networks import GibbsNetwork
from topicnet.images.gibbs.objectives import OBJECTIVES, free_energy
from topicnet.images.gibbs.potentials import MOST_DIMS, Potential
from topicnet.images.gibbs.training import GibbsOptions, judge, start, train
from topicnet.runtime.seeding import draw_seed
from topicnet.runtime.threads import chosen_threads
from topicnet.runtime.torch_state import usual_gradients
from topicnet.training.checks import check_count, check_number
from topicnet.training.progress import Listener

MOST_SEED = 2**32 - 1
BLOCK = 20_000  # draws evaluated at a time


class GibbsVAE:
    """Sampler of a density exp(-U(x)) / Z: a decoder Q(x|z) of codes z ~ N(0, I), and an encoder P(z|x).

    Both are diagonal Gaussians given by networks with two hidden layers. Training minimises the free energy F of joint
    draws, F + log Z = KL(pi Q || mu P) >= 0, from several starts, of which the one with the lowest F is kept.

    Parameters
    ----------
    latent_dim : int, optional
        Dimension of z; by default that of x.
    hidden_dim : int
        Width of the hidden layers.
    objective : {"corrected", "document"}
        "document" is the objective (1.7) of the source document, which does not bound log Z: an ablation.
    n_restarts : int
        Restarts, alternating two initialisations.
    n_steps : int
        Steps of Adam.
    batch_size : int
        Joint draws per restart and step.
    learning_rate : float
        Peak learning rate.
    initial_beta : float
        Factor of the energy in the first step, from 0 to 1.
    annealing : float
        Fraction of the steps until this factor has risen to 1.
    random_state : int
        Seed; the same seed gives the same result.

    Attributes
    ----------
    potential_ : Potential
        The fitted potential.
    network_ : GibbsNetwork
        Networks of the chosen restart, in double precision.
    restarts_ : list of Restart
        Results of all restarts.
    history_ : list of dict
        Mean loss of each restart over every 100 steps, with `step` and `beta`.
    n_training_calls_ : int
        Evaluations of the energy's gradient during training.

    Examples
    --------
    >>> from topicnet.images import gibbs
    >>> vae = gibbs.GibbsVAE(n_steps=50).fit(gibbs.gaussian())
    >>> vae.sample(3).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        latent_dim: int | None = None,
        hidden_dim: int = 64,
        objective: str = "corrected",
        n_restarts: int = 4,
        n_steps: int = 3_000,
        batch_size: int = 256,
        learning_rate: float = 2e-3,
        initial_beta: float = 0.3,
        annealing: float = 1 / 3,
        random_state: int = 0,
    ) -> None:
        self.latent_dim = latent_dim
        self.hidden_dim = hidden_dim
        self.objective = objective
        self.n_restarts = n_restarts
        self.n_steps = n_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.initial_beta = initial_beta
        self.annealing = annealing
        self.random_state = random_state

    def check_parameters(self) -> None:
        """Check the parameters without fitting.

        Raises
        ------
        InputError
            A parameter is out of range.
        """
        if self.objective not in OBJECTIVES:
            raise InputError(f"objective={self.objective!r} given, expected one of {', '.join(OBJECTIVES)}")
        if self.latent_dim is not None:
            check_count("latent_dim", self.latent_dim, most=MOST_DIMS)
        check_count("hidden_dim", self.hidden_dim, most=4_096)
        check_count("n_restarts", self.n_restarts, most=64)
        check_count("n_steps", self.n_steps, most=10_000_000)
        check_count("batch_size", self.batch_size, most=1_000_000)
        check_number("learning_rate", self.learning_rate, above=0.0, most=1.0)
        check_number("initial_beta", self.initial_beta, above=0.0, most=1.0)
        check_number("annealing", self.annealing)
        if self.annealing > 1:
            raise InputError(f"annealing={self.annealing!r} given, expected a fraction of the steps, from 0 to 1")
        check_count("random_state", self.random_state, least=0, most=MOST_SEED)

    def fit(self, potential: Potential, listener: Listener = lambda progress: None) -> GibbsVAE:
        """Fit the networks to a potential.

        Parameters
        ----------
        potential : Potential
            Target.
        listener : callable, optional
            Called with a `Progress` after every 100 steps.

        Returns
        -------
        GibbsVAE
            Itself.

        Raises
        ------
        InputError
            A parameter is out of range, or the energy is not finite or not differentiable where the decoder draws.
        """
        self.check_parameters()
        if not isinstance(potential, Potential):
            raise InputError(
                f"a potential of type {type(potential).__name__} given, expected a gibbs.Potential: wrap a function as"
                " gibbs.Potential('mine', n_dims, function)"
            )
        latent_dim = potential.n_dims if self.latent_dim is None else self.latent_dim
        rng = np.random.default_rng(self.random_state)
        first, noise, judging = (draw_seed(rng) for _ in range(3))
        options = GibbsOptions(
            self.objective,
            self.n_restarts,
            self.n_steps,
            self.batch_size,
            self.learning_rate,
            self.initial_beta,
            self.annealing,
        )
        with chosen_threads(), usual_gradients():
            network, seeds = start(self.n_restarts, first, potential.n_dims, latent_dim, self.hidden_dim)
            self.history_ = train(network, potential, options, noise, listener)
        with chosen_threads(), torch.no_grad():
            self.restarts_ = judge(network, seeds, potential, judging, joint_draws)
        chosen = next(one.number for one in self.restarts_ if one.chosen)
        self.network_, self.potential_ = network.member(chosen), potential
        self.n_training_calls_ = self.n_restarts * self.n_steps * self.batch_size
        return self

    def sample(self, n: int, random_state: int = 0) -> Tensor:
        """Draw x from the decoder, without correction by weights.

        Parameters
        ----------
        n : int
            Number of draws.
        random_state : int
            Seed.

        Returns
        -------
        Tensor of shape (n, D)
            Draws in double precision.

        Raises
        ------
        InputError
            The model is not fitted, or a number is out of range.
        """
        return self.weighted_draws(n, random_state)[1]

    def weighted_draws(self, n: int, random_state: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Draw (z, x) jointly with their importance weights, whose mean is Z.

        Parameters
        ----------
        n : int
            Number of draws.
        random_state : int
            Seed.

        Returns
        -------
        z : Tensor of shape (n, d)
            Codes from N(0, I).
        x : Tensor of shape (n, D)
            Points from Q(.|z).
        log_weights : Tensor of shape (n,)
            -U(x) + log P(z|x) - log pi(z) - log Q(x|z).

        Raises
        ------
        InputError
            The model is not fitted, a number is out of range, or the energy of a draw is not finite.
        """
        self.check_fitted()
        check_count("n", n, most=100_000_000)
        check_count("random_state", random_state, least=0, most=MOST_SEED)
        with chosen_threads(), torch.no_grad():
            z, x, loss = joint_draws(self.network_, self.potential_, n, random_state)
        return z, x, -loss

    def check_fitted(self) -> None:
        """Check that the model is fitted.

        Raises
        ------
        InputError
            It is not.
        """
        if not hasattr(self, "network_"):
            raise InputError("a GibbsVAE that is not fitted given: call fit(potential) first")

    def parameters(self) -> dict[str, Any]:
        """Return the parameters by name.

        Returns
        -------
        dict
            Value of each parameter of the constructor.
        """
        return {name: getattr(self, name) for name in inspect.signature(GibbsVAE).parameters}

    def __repr__(self) -> str:
        return f"GibbsVAE({', '.join(f'{name}={value!r}' for name, value in self.parameters().items())})"


def joint_draws(network: GibbsNetwork, potential: Potential, n: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return codes (n, d), points (n, D) and the integrand of F (n,) at joint draws."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for begin in range(0, n, BLOCK):
        size = min(BLOCK, n - begin)
        z = torch.randn(size, network.latent_dim, generator=generator, dtype=torch.float64)
        q = network.decode(z)
        noise = torch.randn(size, network.n_dims, generator=generator, dtype=torch.float64)
        x = q.mean + noise * (0.5 * q.log_var).exp()
        parts.append((z, x, free_energy(z, x, q, network.encode(x), potential.energies(x))))
    z, x, loss = (torch.cat(part) for part in zip(*parts, strict=True))
    return z, x, loss
