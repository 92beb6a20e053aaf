"""Training loop on networks whose optimum is known."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.training import KilledError, Memory, Points, outcome, trained
from topicnet.training.loop import CHECK_STEPS, DIVERGENCE_FACTOR, MOST_ROLLBACKS, validation_loss
from topicnet.training.progress import Rollback
from topicnet.training.schedule import Schedule

CPU = torch.device("cpu")


class Mean(nn.Module):
    """Network that learns the mean of its data; a second term pulls it to zero."""

    def __init__(self, start=0.0):
        super().__init__()
        self.mean = nn.Parameter(torch.tensor([start]))

    def terms(self, batch):
        return {"fit": (batch - self.mean) ** 2, "pull": (self.mean**2).sum()}


def run(network, batches, validation=None, *, epochs=50, rate=0.1, weights=None, **options):
    schedule = Schedule(epochs * len(batches), rate, weights=weights or {"pull": 0.0})
    return trained(network, batches, validation, schedule, max_epochs=epochs, device=CPU, **options)


def test_training_finds_the_minimum_and_logs_every_term():
    network = Mean()
    result = run(network, Points(np.full(20, 3.0, dtype=np.float32)))
    assert network.mean.item() == pytest.approx(3.0, abs=0.05)
    assert result.stopped == "done"
    assert len(result.history) == 50
    row = result.history[-1]
    assert {"epoch", "fit", "pull", "loss", "learning_rate", "seconds"} <= set(row)
    assert row["loss"] == pytest.approx(row["fit"], abs=1e-5)
    assert math.isnan(row["validation_loss"])


def test_term_weights_affect_the_minimum():
    network = Mean()
    run(network, Points(np.full(20, 3.0, dtype=np.float32)), weights={"pull": 1.0})
    assert network.mean.item() == pytest.approx(1.5, abs=0.05)


def test_the_best_weights_on_validation_are_restored_and_training_stops_early():
    network = Mean()
    losses = []
    result = run(
        network,
        Points(np.full(20, 3.0, dtype=np.float32)),
        Points(np.full(5, 1.0, dtype=np.float32)),
        patience=4,
        listener=lambda progress: losses.append(progress.values["validation_loss"]),
    )
    assert result.stopped == "early"
    assert result.best_epoch == int(np.argmin(losses)) + 1
    assert len(losses) == result.best_epoch + 4
    schedule = Schedule(1, 0.1, weights={"pull": 0.0})
    restored = validation_loss(network, Points(np.full(5, 1.0, dtype=np.float32)), schedule)
    assert restored == pytest.approx(min(losses), rel=1e-6)
    assert result.best_loss == pytest.approx(min(losses), rel=1e-6)


def test_initial_weights_that_are_never_improved_are_kept():
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
    assert len(result.history) == 1  # 4 steps per epoch: one complete epoch, then three steps


def test_a_loss_that_is_not_finite_ends_the_run_with_the_best_weights():
    network = Mean(start=1.0)
    values = np.array([1.0, np.nan, 1.0, 1.0], dtype=np.float32)
    result = run(network, Points(values), Points(np.ones(2, dtype=np.float32)))
    assert result.stopped == "diverged"
    assert network.mean.item() == 1.0


def test_the_same_seed_gives_the_same_bits_and_torch_s_generator_is_unchanged():
    values = np.random.default_rng(0).normal(size=30).astype(np.float32)
    state = torch.get_rng_state()
    means = []
    for _ in range(2):
        network = Mean()
        run(network, Points(values), epochs=5)
        means.append(network.mean.item())
    assert means[0] == means[1]
    assert torch.equal(torch.get_rng_state(), state)


def test_measurements_are_added_to_the_history():
    result = run(Mean(), Points(np.ones(10, dtype=np.float32)), epochs=2, measure=lambda: {"active_units": 4.0})
    assert [row["active_units"] for row in result.history] == [4.0, 4.0]


class NaNLoss(Mean):
    """Network with a loss of NaN at these training steps, counted from 1."""

    def __init__(self, steps, start=0.0):
        super().__init__(start)
        self.steps, self.taken = steps, 0

    def terms(self, batch):
        self.taken += self.training
        lost = self.training and self.taken in self.steps
        return {name: value * math.nan if lost else value for name, value in super().terms(batch).items()}


def threes(n_docs=20, batch_size=5, value=3.0):
    return Points(np.full(n_docs, value, dtype=np.float32), batch_size)


def test_after_a_nan_loss_training_rolls_back_and_continues_at_a_tenth_of_the_rate():
    network = NaNLoss({10})  # the second step of the third epoch; 4 steps per epoch
    result = run(network, threes(), epochs=50)
    assert result.stopped == "done"
    assert result.rollbacks == [Rollback(epoch=3, step=4, learning_rate=pytest.approx(0.01))]
    assert [row["epoch"] for row in result.history] == list(range(1, 51))  # the third is repeated
    rates = np.array([row["learning_rate"] for row in result.history])
    undisturbed = np.array([row["learning_rate"] for row in run(Mean(), threes(), epochs=50).history])
    assert rates / undisturbed == pytest.approx([1.0] * 2 + [0.1] * 48)
    assert all(math.isfinite(row["loss"]) for row in result.history)


def test_a_rollback_goes_back_to_the_best_weights():
    network = NaNLoss({10})
    means = []
    run(network, threes(), epochs=3, listener=lambda progress: means.append(network.mean.item()))
    # Adam restarts without moments, so each of its first steps is about the rate.
    rates = [Schedule(12, 0.1).rate(step) for step in range(8, 12)]
    assert means[2] - means[1] == pytest.approx(0.1 * sum(rates), rel=0.01)


@pytest.mark.parametrize(("lost_at", "detected_at"), [(1, CHECK_STEPS), (CHECK_STEPS + 1, 2 * CHECK_STEPS), (47, 50)])
def test_a_nan_loss_is_detected_within_the_check_interval(lost_at, detected_at):
    result = run(NaNLoss({lost_at}), threes(100, 2), epochs=1)
    assert [(back.epoch, back.step) for back in result.rollbacks] == [(1, detected_at)]


@pytest.mark.parametrize("rate", [0.5, 100.0, 10_000.0])
def test_a_rate_far_too_large_is_lowered_until_the_run_converges(rate):
    network = Mean()
    result = run(network, threes(), threes(5), rate=rate, epochs=200)
    assert result.stopped == "done"
    assert network.mean.item() == pytest.approx(3.0, abs=0.05)
    assert (len(result.rollbacks) > 0) == (rate > 1)
    assert [back.learning_rate for back in result.rollbacks] == pytest.approx(
        [rate * 0.1**n for n in range(1, len(result.rollbacks) + 1)]
    )


def test_too_many_rollbacks_end_the_run_with_the_best_weights():
    network = NaNLoss(range(9, 1000))
    means = []
    result = run(network, threes(), threes(5), listener=lambda progress: means.append(network.mean.item()))
    assert result.stopped == "diverged"
    assert [back.epoch for back in result.rollbacks] == [3] * MOST_ROLLBACKS
    assert result.best_epoch == 2
    assert network.mean.item() == means[1]
    assert result.best_loss == pytest.approx((3 - means[1]) ** 2, rel=1e-5)


def test_a_large_term_weight_does_not_count_as_divergence():
    """The divergence check uses weights of at most 1."""
    result = run(Mean(), threes(), weights={"pull": 1000.0}, epochs=5, rate=1.0)
    assert result.history[0]["loss"] > DIVERGENCE_FACTOR * 9  # the first loss is 9
    assert result.rollbacks == []


def change_to(network, value, at):
    """Make an intervention that sets the mean at these epochs."""

    def intervene(epoch, stopping):
        if epoch in at:
            with torch.no_grad():
                network.mean.fill_(value)
        return epoch in at

    return intervene


@pytest.mark.parametrize(("value", "kept"), [(1.2, True), (2.0, False)])
def test_an_intervention_is_undone_if_it_raises_the_loss_by_more_than_the_tolerance(value, kept):
    """The validation loss 9 + (mean - 1)^2 is a hundredth higher at a mean of 1.3."""
    network, validation = Mean(start=1.0), Points(np.array([-2.0, 4.0], dtype=np.float32))
    result = run(network, threes(), validation, epochs=5, rate=1e-6, intervene=change_to(network, value, {3}))
    assert network.mean.item() == pytest.approx(value if kept else 1.0, abs=1e-3)
    assert (result.interventions, result.best_epoch) == ((1, 3) if kept else (0, 0))
    assert result.best_loss == pytest.approx(9 + (network.mean.item() - 1) ** 2, rel=1e-4)


@pytest.mark.parametrize(
    ("first", "second", "left", "interventions"),
    [(2.0, 2.0, 1.0, 0), (1.2, 2.0, 1.2, 1), (1.2, 1.25, 1.25, 2), (2.0, 1.2, 1.2, 2), (1.25, 1.35, 1.25, 1)],
)
def test_two_interventions_are_compared_with_the_loss_before_both(first, second, left, interventions):
    """The tolerance refers to the lowest loss before any intervention, so that costs do not accumulate."""
    network, validation = Mean(start=1.0), Points(np.array([-2.0, 4.0], dtype=np.float32))

    def intervene(epoch, stopping):
        if epoch in (2, 4):
            with torch.no_grad():
                network.mean.fill_(first if epoch == 2 else second)
        return epoch in (2, 4)

    result = run(network, threes(), validation, epochs=6, rate=1e-6, intervene=intervene)
    assert network.mean.item() == pytest.approx(left, abs=1e-3)
    assert result.interventions == interventions


@pytest.mark.parametrize("validation", [None, threes(5)], ids=["none", "validation"])
def test_an_intervention_interrupted_by_ctrl_c_is_undone(validation):
    network, stop = Mean(start=1.0), []

    def intervene(epoch, stopping):
        with torch.no_grad():
            network.mean.fill_(3.0)
        stop.append(epoch)
        return True

    result = run(network, threes(), validation, rate=1e-6, intervene=intervene, interrupted=lambda: bool(stop))
    assert (result.stopped, result.interventions, len(result.history)) == ("interrupted", 0, 1)
    assert network.mean.item() == pytest.approx(1.0, abs=1e-3)


def test_patience_restarts_after_an_intervention():
    network, validation = Mean(start=1.0), threes(5, value=1.0)
    result = run(network, threes(), validation, epochs=10, patience=4, intervene=change_to(network, 1.0, {3}))
    assert len(result.history) == 3 + 4
    assert (result.stopped, result.best_epoch, network.mean.item()) == ("early", 3, 1.0)


def test_adam_s_moments_are_reset_after_an_intervention():
    network = Mean()
    run(network, threes(batch_size=20), epochs=4, intervene=change_to(network, 6.0, {3}))
    assert network.mean.item() == pytest.approx(6.0 - Schedule(4, 0.1).rate(3), rel=1e-5)


def test_a_rollback_does_not_undo_an_intervention():
    network = NaNLoss({13}, start=1.0)  # the first step after the third epoch
    result = run(network, threes(), threes(5), epochs=4, rate=1e-6, intervene=change_to(network, 2.5, {3}))
    assert [back.epoch for back in result.rollbacks] == [4]
    assert network.mean.item() == pytest.approx(2.5, abs=1e-3)


def test_an_intervention_before_an_early_stop_lets_the_run_continue():
    asked = []

    def intervene(epoch, stopping):
        asked.append((epoch, stopping))
        return epoch == 4

    # The rate rises for one epoch of ten; patience is counted from there.
    result = run(Mean(start=1.0), threes(), threes(5, value=1.0), epochs=10, patience=3, intervene=intervene)
    assert asked == [(1, False), (2, False), (3, False), (4, True), (5, False), (6, False), (7, True)]
    assert (result.stopped, len(result.history)) == ("early", 7)


def test_patience_is_counted_after_the_warm_up():
    schedule = Schedule(20 * 4, 0.1, warm_up={"pull": 0.5}, weights={"pull": 0.0})
    network = Mean(start=1.0)
    result = trained(network, threes(), threes(5, value=1.0), schedule, max_epochs=20, patience=3, device=CPU)
    assert (result.stopped, result.best_epoch, len(result.history)) == ("early", 0, 10 + 3)


def test_there_is_no_intervention_after_the_last_epoch():
    asked = []
    run(Mean(), threes(), epochs=3, intervene=lambda epoch, stopping: bool(asked.append(epoch)))
    assert asked == [1, 2]


@pytest.mark.parametrize("value", [0.01, 3.0, 1000.0])
def test_adam_s_first_step_has_the_size_of_the_rate_for_any_gradient(value):
    network = Mean()
    run(network, threes(batch_size=20, value=value), epochs=1, rate=0.02)
    assert network.mean.item() == pytest.approx(Schedule(1, 0.02).rate(0), rel=1e-5)


def test_parameters_may_have_their_own_learning_rate_scale():
    whole, tenth, still = Mean(), Mean(), Mean()
    for network, rates in ((whole, {}), (tenth, {"mean": 0.1}), (still, {"mean": 0.0})):
        run(network, threes(batch_size=20), epochs=1, rate=0.02, lr_scales=rates)
    assert whole.mean.item() == pytest.approx(10 * tenth.mean.item(), rel=1e-4)
    assert (still.mean.item(), whole.mean.item() > 0) == (0.0, True)
    with pytest.raises(KeyError, match="other"):
        run(Mean(), threes(), lr_scales={"other": 0.5})


class Pair(nn.Module):
    """Network with the same loss twice: per document, and as a scalar per batch."""

    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.tensor([2.0]))

    def terms(self, batch):
        return {"each": self.value.expand(len(batch)), "whole": self.value.sum()}


def test_a_scalar_term_counts_for_every_document():
    """Seven documents come in batches of five and two."""
    result = run(Pair(), threes(7), threes(7), epochs=1, rate=1e-12, weights={"each": 0.5, "whole": 0.25})
    row = result.history[0]
    assert row["each"] == row["whole"] == pytest.approx(2.0)
    assert row["loss"] == row["validation_loss"] == pytest.approx(0.75 * 2)


class Cliff(Mean):
    """Network with a finite loss whose gradient is NaN at one training step."""

    def __init__(self, at):
        super().__init__(1.0)
        self.at, self.taken = at, 0

    def terms(self, batch):
        self.taken += self.training
        flat = 0 * (self.mean - self.mean).abs().sqrt() if self.taken == self.at and self.training else 0
        return {name: value + flat for name, value in super().terms(batch).items()}


@pytest.mark.parametrize("validation", [None, threes(5)], ids=["none", "validation"])
def test_nan_weights_from_the_last_step_of_an_epoch_are_not_kept(validation):
    network = Cliff(at=4)  # the last step of the first epoch
    result = run(network, threes(), validation)
    assert math.isfinite(network.mean.item())
    assert result.stopped == "done"


@pytest.mark.parametrize("batch_size", [20, 5], ids=["one batch", "four"])
@pytest.mark.parametrize("rate", [100.0, 10_000.0])
def test_a_rate_far_too_large_without_validation(rate, batch_size):
    network = Mean()
    run(network, threes(batch_size=batch_size), rate=rate, epochs=200)
    assert network.mean.item() == pytest.approx(3.0, abs=0.05)


def test_weights_far_from_the_start_after_an_intervention_do_not_count_as_divergence():
    network = Mean(start=1.0)
    result = run(network, threes(), threes(5), epochs=5, intervene=change_to(network, 9.0, {3}))
    assert result.rollbacks == []


# ---------------------------------------------------------------- resuming


class Wandering(nn.Module):
    """Network with two parameters, a running mean and a scalar term, so that every part of the state matters."""

    def __init__(self, lost=()):
        super().__init__()
        self.mean = nn.Parameter(torch.tensor([1.0, -1.0]))
        self.scale = nn.Parameter(torch.tensor(0.5))
        self.register_buffer("seen", torch.zeros(()))
        self.lost = lost

    def terms(self, batch):
        if self.training:
            self.seen.mul_(0.9).add_(batch.mean())
        error = ((batch[:, None] - self.mean * self.scale) ** 2).sum(1) + 1e-3 * self.seen * self.scale
        lost = self.training and float(batch.sum()) in self.lost
        return {"fit": error * (math.nan if lost else 1.0), "pull": (self.mean**2).sum()}


class Mover:
    """Intervention that moves the mean at random; its generator and count are saved in checkpoints."""

    def __init__(self, network):
        self.network, self.rng, self.left = network, np.random.default_rng(3), 2

    def __call__(self, epoch, stopping):
        if self.left == 0 or epoch % 3:
            return False
        self.left -= 1
        with torch.no_grad():
            self.network.mean += torch.as_tensor(self.rng.normal(size=2) / 10, dtype=torch.float32)
        return True

    def state(self):
        return {"rng": self.rng.bit_generator.state, "left": self.left}

    def load(self, state):
        self.rng.bit_generator.state, self.left = state["rng"], state["left"]


VALUES = np.random.default_rng(0).normal(3, 1, 22).astype(np.float32)


def wander(checkpoints, saved=None, lost=(), validation=True, patience=1000, **options):
    network = Wandering(lost)
    mover = Mover(network)
    kept = Points(np.array([2.0, 3.5], dtype=np.float32)) if validation else None
    options = {"epochs": 10, "intervene": mover, "companions": [mover], "rate": 0.05} | options
    result = run(network, Points(VALUES), kept, checkpoints=checkpoints, saved=saved, patience=patience, **options)
    return network, result


def lost_batches(n):
    """Return the sums of one batch in each of `n` epochs; `Wandering` has a loss of NaN there."""
    rng = np.random.default_rng(0)
    orders = [VALUES[rng.permutation(len(VALUES))] for _ in range(6)]
    return {float(torch.tensor(order[5:10]).sum()) for order in orders[2 : 2 + n]}


@pytest.mark.parametrize(
    "options",
    [{}, {"lost": lost_batches(2)}, {"validation": False}, {"patience": 2, "rate": 0.5}],
    ids=["interventions", "rolled back", "no validation", "early"],
)
def test_a_run_interrupted_before_any_step_resumes_to_the_same_bits(options):
    memory = Memory()
    whole = outcome(*wander(memory, **options))
    if "lost" in options:
        assert "Rollback" in whole[1]
    if "patience" in options:
        assert "early" in whole[1]
    assert len(memory.all) > 20
    assert outcome(*wander(None, **options)) == whole  # saving changes nothing
    for saved in memory.all:
        assert outcome(*wander(None, saved, **options)) == whole


def test_a_run_interrupted_repeatedly_resumes_to_the_same_bits():
    whole = outcome(*wander(None))
    saved, breaks = None, 0
    while True:
        memory = Memory(last=4)  # resumes from three steps further each time
        try:
            ended = wander(memory, saved)
        except KilledError:
            saved, breaks = memory.all[-1], breaks + 1
            continue
        assert outcome(*ended) == whole
        assert breaks == 10 * len(Points(VALUES)) // 3
        return


@pytest.mark.parametrize("last", [1, 5, 8, 30])
def test_an_interrupted_run_is_saved_at_its_last_step(last):
    """Ctrl-C comes after `last` steps, when no checkpoint is due."""
    whole = outcome(*wander(None))
    memory, asked = Memory(), iter(range(1000))
    memory.due = lambda: False
    _, result = wander(memory, interrupted=lambda: next(asked) >= last)
    assert result.stopped == "interrupted"
    assert len(memory.all) == 1
    assert outcome(*wander(None, memory.all[0])) == whole


def test_weights_of_an_interrupted_intervention_are_not_saved():
    memory, stop = Memory(), []
    network = Wandering()

    def intervene(epoch, stopping):
        stop.append(epoch)
        return True

    run(network, Points(VALUES), None, intervene=intervene, interrupted=lambda: bool(stop), checkpoints=memory)
    assert [saved.values["epoch"] for saved in memory.all] == [1] * 5
