"""How learning rate and term weights move over a training run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Schedule:
    """One-cycle learning rate and a linear warm-up of named loss terms.

    Attributes
    ----------
    n_steps : int
        Steps of the whole run.
    learning_rate : float
        The highest rate, reached after `rise` of the run; it starts at a tenth and falls to a hundredth
        (one-cycle; Smith & Topin 2018).
    warm_up : mapping of str to float
        For each loss term that is phased in, the share of the run until its full weight.
    weights : mapping of str to float
        Full weight of each term; 1 where it is not named.
    """

    n_steps: int
    learning_rate: float
    rise: float = 0.1
    warm_up: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        done = step / max(1, self.n_steps)
        if done < self.rise:
            return self.learning_rate * (0.1 + 0.9 * done / self.rise)
        fallen = (done - self.rise) / (1 - self.rise)
        return self.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, fallen))))

    def settled(self) -> float:
        """Share of the run after which no weight and no rate rises any more."""
        return max([self.rise, *self.warm_up.values()])

    def full_weight(self, term: str) -> float:
        """Weight of a term once it is fully phased in."""
        return self.weights.get(term, 1.0)

    def weight(self, term: str, step: int) -> float:
        """Weight of a term at a step."""
        share = self.warm_up.get(term, 0.0)
        ramp = 1.0 if share <= 0 else min(1.0, (step + 1) / (share * self.n_steps))
        return self.full_weight(term) * ramp
