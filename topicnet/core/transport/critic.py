"""Dual of W_1 by a critic: a network, constrained to be Lipschitz, that separates two samples.

The same critic and penalty train the image variants `wgan` and `wgan-gp`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral, Real
from typing import Literal, cast, get_args

import numpy as np
import torch
from torch import Tensor, nn

from topicnet.core.rmsprop import rmsprop_step
from topicnet.core.transport.inputs import Array, checked_count, checked_points
from topicnet.errors import InputError
from topicnet.runtime.seeding import seeded

Constraint = Literal["penalty", "two-sided-penalty", "clipping"]
CONSTRAINTS: tuple[Constraint, ...] = get_args(Constraint)
SLOPE = 0.2  # of the leaky ReLU below 0
BATCH = 256  # points of each sample in a step
RATES = {"penalty": 1e-3, "clipping": 5e-5}
DECAYS = {"penalty": 0.9, "clipping": 0.99}  # Adam(0, 0.9) of Gulrajani et al. 2017; RMSProp of Arjovsky et al. 2017
DECLINE = 0.5  # fraction of the steps after which the rate of a penalised critic falls linearly to 0


class DualCritic(nn.Module):
    """Multilayer perceptron f that maps points (B, d) to numbers (B,).

    The output has no bias: f counts only up to a constant, which has no gradient.

    Parameters
    ----------
    n_inputs : int
        Dimension d of the points.
    hidden_dim : int
        Width of the hidden layers.
    n_layers : int
        Number of hidden layers; 0 gives a linear function.
    """

    def __init__(self, n_inputs: int, hidden_dim: int, n_layers: int) -> None:
        super().__init__()
        widths = [n_inputs, *[hidden_dim] * n_layers]
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(widths):
            layers += [nn.Linear(n_in, n_out), nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], 1, bias=False))
        for name, value in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(value)
            else:
                nn.init.xavier_uniform_(value)

    def forward(self, points: Tensor) -> Tensor:
        """Map points (B, d) to numbers (B,)."""
        return cast(Tensor, self.layers(points)).squeeze(-1)

    @torch.no_grad()
    def clip(self, largest: float) -> None:
        """Clip every weight to [-largest, largest] (Arjovsky et al. 2017, algorithm 1)."""
        torch._foreach_clamp_max_(list(self.parameters()), largest)
        torch._foreach_clamp_min_(list(self.parameters()), -largest)


def slopes(critic: Callable[[Tensor], Tensor], points: Tensor, *, differentiable: bool = False) -> Tensor:
    """Return the lengths (B,) of a critic's gradients at points (B, d)."""
    at = points.detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(critic(at).sum(), at, create_graph=differentiable)
    # The root has no derivative at 0.
    return (gradient.square().sum(-1) + 1e-12).sqrt()


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, weight: Tensor, *, one_sided: bool = True
) -> Tensor:
    """Penalty (B,) on a critic's slope above 1, at points between those of two batches.

    Parameters
    ----------
    critic : callable
        Maps (B, d) to (B,).
    x, y : Tensor of shape (B, d)
        Points, in pairs.
    weight : Tensor of shape (B, 1)
        Weights of `x`, uniform in [0, 1].
    one_sided : bool, default True
        Penalise ``max(0, |grad f| - 1)^2``; otherwise ``(|grad f| - 1)^2`` (Gulrajani et al. 2017, eq. 3), which has a
        second minimum with the wrong sign of f on the line.
    """
    excess = slopes(critic, weight * x + (1 - weight) * y, differentiable=True) - 1
    return (excess.clamp_min(0.0) if one_sided else excess).square()


@dataclass(frozen=True, eq=False)
class CriticEstimate:
    """Estimate of W_1 between two samples by a critic f.

    Parameters
    ----------
    value : float
        The mean of f over the first sample minus that over the second. It estimates ``K W_1``, with K the Lipschitz
        constant of f: about 1 with a penalty, unknown and small with clipping.
    slope : float
        Largest length of f's gradient at the points and between random pairs of them, an estimate of K from below.
    f : Tensor
        (n,): f at the points of the first sample.
    g : Tensor
        (m,): -f at the points of the second sample.
    critic : callable
        f itself, which maps (B, d) to (B,).

    Examples
    --------
    >>> import torch
    >>> from topicnet import transport
    >>> x = torch.linspace(-1, 1, 50)[:, None]
    >>> found = transport.critic_wasserstein(x + 1.0, x, n_steps=5, seed=0)
    >>> bool(abs(found.f.mean() + found.g.mean() - found.value) < 1e-5)
    True
    """

    value: float
    slope: float
    f: Tensor
    g: Tensor
    critic: Callable[[Tensor], Tensor]

    @property
    def distance(self) -> float:
        """The value divided by the slope: the estimate of W_1 that is comparable between constraints."""
        return self.value / self.slope


def critic_wasserstein(
    x: Array,
    y: Array,
    constraint: Constraint = "penalty",
    *,
    lam: float = 100.0,
    clip: float = 0.01,
    hidden_dim: int = 64,
    n_layers: int = 2,
    n_steps: int = 1500,
    learning_rate: float | None = None,
    seed: int = 0,
) -> CriticEstimate:
    """Estimate W_1 between two samples by the dual of a Wasserstein GAN: a trained critic.

    The critic f maximises ``E f(x) - E f(y)`` under a constraint on its slope. Use it to see what a critic finds;
    `wasserstein` is exact, and faster up to some thousand points.

    Parameters
    ----------
    x : array of shape (n, d)
        Points of the first sample.
    y : array of shape (m, d)
        Points of the second sample.
    constraint : {"penalty", "two-sided-penalty", "clipping"}
        "penalty" adds ``lam E max(0, |grad f| - 1)^2`` at points between the samples. "two-sided-penalty" adds
        ``lam E (|grad f| - 1)^2``, which has a second minimum on the line, where f has the wrong sign. "clipping" keeps
        every weight in ``[-clip, clip]``, so that only `CriticEstimate.distance` is on the scale of W_1.
    lam : float, default 100
        Weight of the penalty. The optimal slope is about ``1 + W / (2 lam)``, with W in units of the pooled standard
        deviation, so `value` is too high by this factor.
    clip : float, default 0.01
        Largest weight with clipping.
    hidden_dim : int, default 64
        Width of the hidden layers.
    n_layers : int, default 2
        Number of hidden layers.
    n_steps : int, default 1500
        Training steps, each with at most 256 points of each sample.
    learning_rate : float, optional
        By default 0.001 with a penalty (Adam with beta 0 and 0.9) and 0.00005 with clipping (RMSProp).
    seed : int, default 0
        Seed of weights and batches. Random generators are neither read nor changed.

    Returns
    -------
    CriticEstimate
        Value, largest slope, and the critic.

    Raises
    ------
    InputError
        If a sample is empty or not finite, the dimensions differ, all points coincide, or a number is out of range.

    Notes
    -----
    Arjovsky, Chintala & Bottou 2017, Wasserstein GAN, algorithm 1 (clipping); Gulrajani et al. 2017, Improved training
    of Wasserstein GANs (penalty, there two-sided). Points are centred, and divided by their pooled standard deviation,
    for the critic, so that the units do not matter. ``dual_value(ground_cost(x, y, 1), found.f)`` is a certified lower
    bound on W_1 of the samples, whatever the critic is: the c-transform replaces ``-f(y)``.

    Examples
    --------
    >>> import torch
    >>> from topicnet import transport
    >>> x = torch.linspace(-1, 1, 200)[:, None]
    >>> found = transport.critic_wasserstein(x + 2.0, x, n_steps=300, seed=0)
    >>> 1.9 < found.value < 2.1
    True
    """
    first, second = (points.detach() for points in checked_points(x, y))
    if constraint not in CONSTRAINTS:
        raise InputError(f"constraint={constraint!r} given; expected one of {', '.join(CONSTRAINTS)}")
    kind = "clipping" if constraint == "clipping" else "penalty"
    rate = RATES[kind] if learning_rate is None else learning_rate
    for name, value in (("lam", lam), ("clip", clip), ("learning_rate", rate)):
        if not isinstance(value, Real) or not 0 < value < float("inf"):
            raise InputError(f"{name}={value!r} given; expected a finite number above 0")
    for name, value in (("hidden_dim", hidden_dim), ("n_steps", n_steps)):
        checked_count(value, name)
    if not isinstance(n_layers, Integral) or n_layers < 0:
        raise InputError(f"n_layers={n_layers!r} given; expected a whole number of at least 0")
    if not isinstance(seed, Integral) or not 0 <= seed < 2**63:
        raise InputError(f"seed={seed!r} given; expected a whole number from 0 to 2^63 - 1")
    centre, scale = _pooled(first, second)
    with seeded(int(seed)):
        network = DualCritic(first.shape[1], hidden_dim, n_layers).to(first)
    scaled = (first - centre) / scale, (second - centre) / scale
    blended = _train(network, *scaled, constraint, lam, clip, n_steps, rate, int(seed))
    with torch.no_grad():
        f, g = network(scaled[0]) * scale, -network(scaled[1]) * scale
    largest = float(torch.cat([slopes(network, points) for points in (*scaled, blended)]).max())
    value = float(f.double().mean() + g.double().mean())
    return CriticEstimate(value, largest, f, g, lambda points: network((points - centre) / scale) * scale)


def _pooled(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean (d,) of two samples, each with half of the mass, and the root of their mean variance."""
    centre = (x.mean(0) + y.mean(0)) / 2
    scale = (((x - centre).square().mean() + (y - centre).square().mean()) / 2).sqrt()
    if not 0 < float(scale) < float("inf"):
        raise InputError("all points coincide, or their variance overflows; expected two samples that differ")
    return centre, scale


def _train(
    network: DualCritic,
    x: Tensor,
    y: Tensor,
    constraint: Constraint,
    lam: float,
    clip: float,
    n_steps: int,
    rate: float,
    seed: int,
) -> Tensor:
    """Train a critic; returns the points between pairs of its last batch."""
    rng = np.random.default_rng(seed)
    clips = constraint == "clipping"
    parameters: list[Tensor] = list(network.parameters())
    squares = [torch.zeros_like(parameter) for parameter in parameters]
    if clips:
        network.clip(clip)
    size = min(BATCH, max(len(x), len(y)))
    blended = x[:1]
    for step in range(n_steps):
        a, b = (sample[torch.as_tensor(rng.integers(len(sample), size=size)).to(x.device)] for sample in (x, y))
        weight = torch.as_tensor(rng.random((size, 1))).to(x)
        blended = weight * a + (1 - weight) * b
        loss = network(b).mean() - network(a).mean()
        if not clips:
            one_sided = constraint == "penalty"
            loss = loss + lam * gradient_penalty(network, a, b, weight, one_sided=one_sided).mean()
        gradients = torch.autograd.grad(loss, parameters)
        left = 1.0 if clips else min(1.0, (1 - step / n_steps) / DECLINE)
        correct = None if clips else step + 1
        decay = DECAYS["clipping" if clips else "penalty"]
        rmsprop_step(parameters, list(gradients), squares, rate=rate * left, decay=decay, correct_from=correct)
        if clips:
            network.clip(clip)
    return blended
