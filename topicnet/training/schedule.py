"""Schedule of the learning rate and the weights of loss terms over a training run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Ramp:
    """Value that rises linearly from 0 to `most` over a fraction of the run and then stays there."""

    most: float
    fraction: float

    def at(self, done: float) -> float:
        """Return the value after this fraction of the run."""
        return self.most * (min(1.0, done / self.fraction) if self.fraction > 0 else 1.0)


@dataclass(frozen=True)
class Schedule:
    """Learning rate of each step, and weight of each named loss term.

    Attributes
    ----------
    n_steps : int
        Steps of the whole run.
    learning_rate : float
        Peak rate, reached after the fraction `rise` of the run; the rate starts at a tenth of it and ends at a
        hundredth (one-cycle; Smith & Topin 2018).
    rise : float
        Fraction of the run until the peak rate.
    warm_up : mapping of str to float
        Fraction of the run until a loss term has its full weight; 0 for terms not named.
    weights : mapping of str to float
        Full weight of each term; 1 for terms not named.
    targets : mapping of str to Ramp
        Terms that are replaced by the distance of their batch mean from a rising target, their capacity (Burgess et
        al. 2018, eq. 8).
    drops : tuple of (float, float), optional
        Replaces the one-cycle schedule: pairs of a fraction of the run and a factor that multiplies the otherwise
        constant rate from there on.

    Examples
    --------
    >>> schedule = Schedule(n_steps=100, learning_rate=0.01)
    >>> [round(schedule.rate(step), 5) for step in (0, 10, 100)]
    [0.001, 0.01, 0.0001]
    """

    n_steps: int
    learning_rate: float
    rise: float = 0.1
    warm_up: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    targets: Mapping[str, Ramp] = field(default_factory=dict)
    drops: tuple[tuple[float, float], ...] | None = None

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        done = step / max(1, self.n_steps)
        if self.drops is not None:
            return self.learning_rate * math.prod(factor for fraction, factor in self.drops if done >= fraction)
        if done < self.rise:
            return self.learning_rate * (0.1 + 0.9 * done / self.rise)
        fallen = (done - self.rise) / (1 - self.rise)
        return self.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, fallen))))

    def settled(self) -> float:
        """Return the fraction of the run after which no rate or weight rises any more."""
        rises = [self.rise] if self.drops is None else []
        return max([0.0, *rises, *self.warm_up.values(), *(target.fraction for target in self.targets.values())])

    def full_weight(self, term: str) -> float:
        """Return the weight of a term at the end of its warm-up."""
        return self.weights.get(term, 1.0)

    def weight(self, term: str, step: int) -> float:
        """Return the weight of a term at a step."""
        fraction = self.warm_up.get(term, 0.0)
        ramp = 1.0 if fraction <= 0 else min(1.0, (step + 1) / (fraction * self.n_steps))
        return self.full_weight(term) * ramp

    def weighted(self, term: str, mean: Tensor, step: int) -> Tensor:
        """Return the contribution of a term's batch mean to the loss of a step."""
        if term in self.targets:
            mean = (mean - self.targets[term].at((step + 1) / max(1, self.n_steps))).abs()
        return self.weight(term, step) * mean

    def fully_weighted(self, term: str, mean: float) -> float:
        """Return the contribution of a term's mean over a data set to the loss, with the final weight of the term."""
        distance = abs(mean - self.targets[term].most) if term in self.targets else mean
        return self.full_weight(term) * distance
