"""Schedule of learning rate and term weights over a training run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Ramp:
    """A number that rises linearly from 0 to `most` over a fraction of the run, and stays there."""

    most: float
    fraction: float

    def at(self, done: float) -> float:
        """Value when this fraction of the run is done."""
        return self.most * (min(1.0, done / self.fraction) if self.fraction > 0 else 1.0)


@dataclass(frozen=True)
class Schedule:
    """Learning rate of each step, and weight of each named loss term.

    Attributes
    ----------
    n_steps : int
        Steps of the whole run.
    learning_rate : float
        The highest rate, reached after `rise` of the run; it starts at a tenth and falls to a hundredth
        (one-cycle; Smith & Topin 2018).
    warm_up : mapping of str to float
        For each loss term that is phased in, the fraction of the run until its full weight.
    weights : mapping of str to float
        Full weight of each term; 1 where it is not named.
    targets : mapping of str to Ramp
        Terms that count by how far their mean over the batch is from a number that rises: their capacity (Burgess et
        al. 2018, eq. 8).
    drops : tuple of (float, float), optional
        Instead of the one cycle: a constant rate, multiplied by each factor once its fraction of the run is done.
    """

    n_steps: int
    learning_rate: float
    rise: float = 0.1
    warm_up: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    targets: Mapping[str, Ramp] = field(default_factory=dict)
    drops: tuple[tuple[float, float], ...] | None = None

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        done = step / max(1, self.n_steps)
        if self.drops is not None:
            return self.learning_rate * math.prod(factor for fraction, factor in self.drops if done >= fraction)
        if done < self.rise:
            return self.learning_rate * (0.1 + 0.9 * done / self.rise)
        fallen = (done - self.rise) / (1 - self.rise)
        return self.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, fallen))))

    def settled(self) -> float:
        """Fraction of the run after which no weight and no rate rises any more."""
        rises = [self.rise] if self.drops is None else []
        return max([0.0, *rises, *self.warm_up.values(), *(target.fraction for target in self.targets.values())])

    def full_weight(self, term: str) -> float:
        """Weight of a term once it is fully phased in."""
        return self.weights.get(term, 1.0)

    def weight(self, term: str, step: int) -> float:
        """Weight of a term at a step."""
        fraction = self.warm_up.get(term, 0.0)
        ramp = 1.0 if fraction <= 0 else min(1.0, (step + 1) / (fraction * self.n_steps))
        return self.full_weight(term) * ramp

    def weighted(self, term: str, mean: Tensor, step: int) -> Tensor:
        """Contribution of a term's mean over a batch to the loss of a step."""
        if term in self.targets:
            mean = (mean - self.targets[term].at((step + 1) / max(1, self.n_steps))).abs()
        return self.weight(term, step) * mean

    def fully_weighted(self, term: str, mean: float) -> float:
        """Contribution of a term's mean over a data set to the loss at the end of the run."""
        distance = abs(mean - self.targets[term].most) if term in self.targets else mean
        return self.full_weight(term) * distance
