"""Fits that are killed repeatedly, at any checkpoint, end with the result of an undisturbed fit."""

import numpy as np
import pytest

from tests.support.corpora import planted
from tests.support.models import everything
from topicnet.models import MODELS, WLDA, fitting
from topicnet.training.checkpoint import Checkpoints


class KilledError(Exception):
    """Simulated kill of a fit at a checkpoint."""


def killed_fits(monkeypatch, rng, folder, most, make, corpus):
    """Restart a fit that fails at random checkpoints until it is done; return the model and the number of failures."""
    save, n_kills = Checkpoints.save, 0
    left = [0]

    def save_or_raise(self, saved):
        if left[0] == 0:
            raise KilledError
        left[0] -= 1
        save(self, saved)

    monkeypatch.setattr(Checkpoints, "save", save_or_raise)
    monkeypatch.setenv("TOPICNET_CHECKPOINT_SECONDS", "0")
    while True:
        left[0] = int(rng.integers(most))
        try:
            return make().fit(corpus, checkpoints=folder), n_kills
        except KilledError:
            n_kills += 1


CASES = [(name, init, rate) for name in MODELS for init in ("em", "random") for rate in (0.3, 1.0)]
QUICK = ("etm", "em", 0.3)


@pytest.mark.parametrize(
    ("name", "init", "rate"), [pytest.param(*case, marks=[] if case == QUICK else pytest.mark.slow) for case in CASES]
)
def test_a_fit_killed_repeatedly_ends_with_the_same_bits(name, init, rate, monkeypatch, tmp_path):
    """More topics than planted, so that some are reseeded, and a rate so high that the loss diverges."""
    monkeypatch.setattr(fitting, "EM_PASSES", 5)
    monkeypatch.setattr(fitting, "WARM_UP_STEPS", 10)
    kind = MODELS[name]
    counts, _ = planted(200, 60, 3, seed=4)

    def make():
        return kind(8, init=init, learning_rate=rate, batch_size=60, max_epochs=6, random_state=1)

    whole = make().fit(counts)
    assert whole.health_.reseeded or whole.health_.rollbacks or kind is WLDA  # which needs neither
    again, n_kills = killed_fits(monkeypatch, np.random.default_rng(0), tmp_path, 9, make, counts)
    assert n_kills > 2
    assert everything(again, counts) == everything(whole, counts)
