"""Encoder warm-ups read their number of steps when they start, so that tests can shorten them."""

import math

import pytest

from tests.support.corpora import planted
from topicnet.models import MODELS, fitting

K, N_BATCHES = 5, 2


def warm_up_epochs(init):
    """Collect the numbers of epochs of a fit's warm-ups; after a random start only reseeding has any."""
    counts, _ = planted(300, 40, K, length=30, seed=1)
    found = set()

    def listen(progress):
        if progress.stage == "warm-up":
            found.add(progress.total)

    epochs = 1 if init == "em" else 2
    model = MODELS["gmntm"](K, init=init, random_state=0, batch_size=150, max_epochs=epochs, hidden_dim=16)
    model.fit(counts, listener=listen)
    assert init == "em" or model.health_.reseeded
    return found


def epochs_of(steps):
    return {math.ceil(steps / N_BATCHES)}


def test_the_fixture_shortens_warm_ups_after_a_start_and_after_reseeding():
    assert warm_up_epochs("em") == warm_up_epochs("random") == epochs_of(10)


@pytest.mark.full_warm_up
def test_default_lengths_of_warm_ups():
    assert warm_up_epochs("em") == epochs_of(fitting.WARM_UP_STEPS) == epochs_of(200)
    assert warm_up_epochs("random") == epochs_of(fitting.RESEED_WARM_UP_STEPS) == epochs_of(100)
