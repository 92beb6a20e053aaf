"""The training loop on a network small enough to know the answer."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from topicnet.core.schedule import Schedule
from topicnet.core.train import train, validation_bound

CPU = torch.device("cpu")


class Points:
    """Batches of numbers."""

    def __init__(self, values, batch_size=5):
        self.values = torch.tensor(values)
        self.batch_size = batch_size

    @property
    def n_docs(self):
        return len(self.values)

    def __len__(self):
        return -(-len(self.values) // self.batch_size)

    def __iter__(self):
        yield from self.values.split(self.batch_size)

    def shuffled(self, rng):
        yield from self.values[torch.as_tensor(rng.permutation(len(self.values)))].split(self.batch_size)


class Mean(nn.Module):
    """Learns the mean of its data; a second term pulls to zero."""

    def __init__(self, start=0.0):
        super().__init__()
        self.mean = nn.Parameter(torch.tensor([start]))

    def terms(self, batch):
        return {"fit": (batch - self.mean) ** 2, "pull": (self.mean**2).sum()}


def run(network, batches, validation=None, *, epochs=50, rate=0.1, weights=None, **options):
    schedule = Schedule(epochs * len(batches), rate, weights=weights or {"pull": 0.0})
    settings = {"max_epochs": epochs, "patience": 1000, "weight_decay": 0.0, "seed": 0, "device": CPU} | options
    return train(network, batches, validation, schedule, **settings)


def test_it_finds_the_minimum_and_logs_every_term():
    network = Mean()
    result = run(network, Points(np.full(20, 3.0, dtype=np.float32)))
    assert network.mean.item() == pytest.approx(3.0, abs=0.05)
    assert result.stopped == "done"
    assert len(result.history) == 50
    row = result.history[-1]
    assert {"epoch", "fit", "pull", "loss", "learning_rate", "seconds"} <= set(row)
    assert row["loss"] == pytest.approx(row["fit"], abs=1e-5)
    assert math.isnan(row["validation_bound"])


def test_weights_of_terms_count():
    network = Mean()
    run(network, Points(np.full(20, 3.0, dtype=np.float32)), weights={"pull": 1.0})
    assert network.mean.item() == pytest.approx(1.5, abs=0.05)


def test_the_best_weights_on_validation_are_restored_and_training_stops_early():
    network = Mean()
    bounds = []
    result = run(
        network,
        Points(np.full(20, 3.0, dtype=np.float32)),
        Points(np.full(5, 1.0, dtype=np.float32)),
        patience=4,
        listener=lambda progress: bounds.append(progress.values["validation_bound"]),
    )
    assert result.stopped == "early"
    assert result.best_epoch == int(np.argmin(bounds)) + 1
    assert len(bounds) == result.best_epoch + 4
    schedule = Schedule(1, 0.1, weights={"pull": 0.0})
    restored = validation_bound(network, Points(np.full(5, 1.0, dtype=np.float32)), schedule, 0)
    assert restored == pytest.approx(min(bounds), rel=1e-6)
    assert result.best_bound == pytest.approx(min(bounds), rel=1e-6)


def test_a_start_that_is_never_improved_on_is_kept():
    network = Mean(start=1.0)
    values = np.full(20, 3.0, dtype=np.float32)
    result = run(network, Points(values), Points(np.full(5, 1.0, dtype=np.float32)), patience=3)
    assert result.best_epoch == 0
    assert network.mean.item() == 1.0


def test_an_interrupt_stops_between_steps():
    calls = iter([False] * 7)
    network = Mean()
    values = np.full(20, 3.0, dtype=np.float32)
    result = run(network, Points(values), interrupted=lambda: next(calls, True))
    assert result.stopped == "interrupted"
    assert len(result.history) == 1  # 4 steps an epoch: one whole epoch, then three steps


def test_a_loss_that_is_not_finite_ends_the_run_with_the_best_weights():
    network = Mean(start=1.0)
    values = np.array([1.0, np.nan, 1.0, 1.0], dtype=np.float32)
    result = run(network, Points(values), Points(np.ones(2, dtype=np.float32)))
    assert result.stopped == "diverged"
    assert network.mean.item() == 1.0


def test_same_seed_same_bits_and_the_caller_s_random_state_is_left():
    values = np.random.default_rng(0).normal(size=30).astype(np.float32)
    state = torch.get_rng_state()
    means = []
    for _ in range(2):
        network = Mean()
        run(network, Points(values), epochs=5)
        means.append(network.mean.item())
    assert means[0] == means[1]
    assert torch.equal(torch.get_rng_state(), state)


def test_what_is_measured_joins_the_history():
    result = run(Mean(), Points(np.ones(10, dtype=np.float32)), epochs=2, measure=lambda: {"active_units": 4.0})
    assert [row["active_units"] for row in result.history] == [4.0, 4.0]
