"""Alternating phases: which parts each one updates, and resuming to the same bits."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.training import Memory, Points, outcome, trained
from topicnet.training.alternating import Phase, Phases
from topicnet.training.optimizer import Adam
from topicnet.training.progress import Rollback
from topicnet.training.schedule import Schedule

CPU = torch.device("cpu")
VALUES = np.random.default_rng(0).normal(3, 1, 22).astype(np.float32)


class Duel(nn.Module):
    """Network with a player that fits numbers and a critic that scores it."""

    def __init__(self, lost_at=()):
        super().__init__()
        self.player = nn.Linear(1, 1)
        self.critic = nn.Linear(1, 1)
        with torch.no_grad():
            for value, start in zip(self.parameters(), (0.5, 0.0, 0.2, 0.1), strict=True):
                value.fill_(start)
        self.lost_at, self.taken = lost_at, 0

    def terms(self, batch):
        self.taken += self.training
        made = self.player(batch[:, None])
        lost = math.nan if self.training and self.taken in self.lost_at else 1.0
        return {"fit": lost * (made - batch[:, None]).square().sum(-1), "judged": 0.1 * self.critic(made).sum(-1)}

    def critic_terms(self, batch):
        with torch.no_grad():
            made = self.player(batch[:, None])
        return {"critic": (self.critic(made) - made).square().sum(-1)}

    def player_terms(self, batch):
        return {"shy": self.critic(self.player(batch[:, None])).square().sum(-1)}

    def phases(self, critic_rate=1.0):
        return [
            Phase(self.critic, self.critic_terms, critic_rate),
            Phase(self.player, self.player_terms, critic=False),
        ]


def weights_of(part):
    return torch.cat([value.detach().ravel().clone() for value in part.parameters()])


def run(network, phases, *, epochs=4, rate=0.05, weights=None, **options):
    batches = Points(VALUES)
    schedule = Schedule(epochs * len(batches), rate, weights=weights or {})
    return trained(network, batches, None, schedule, max_epochs=epochs, device=CPU, phases=phases, **options)


def started(phases):
    made = Phases(phases, lambda part: Adam(part, 0.0, {}))
    made.begin()
    return made


def test_the_critic_s_phase_updates_only_the_critic():
    network = Duel()
    before = weights_of(network.player), weights_of(network.critic)
    assert set(started(network.phases()[:1]).step(torch.tensor([1.0, 2.0]), 0.1)) == {"critic"}
    assert torch.equal(weights_of(network.player), before[0])
    assert (weights_of(network.critic) != before[1]).all()
    assert all(value.grad is None for value in network.parameters())


def test_the_player_s_phase_uses_the_critic_without_updating_it():
    network = Duel()
    both = Phases(network.phases(critic_rate=0.0), lambda part: Adam(part, 0.0, {}))
    with both.frozen_critics():
        both.begin()
        before = weights_of(network.player), weights_of(network.critic)
        means = both.step(torch.tensor([1.0, 2.0]), 0.1)
    assert list(means) == ["critic", "shy"]
    assert not any(mean.requires_grad for mean in means.values())
    assert (weights_of(network.player) != before[0]).all()
    assert torch.equal(weights_of(network.critic), before[1])
    assert all(value.grad is None for value in network.parameters())


def test_a_step_returns_the_means_before_the_update():
    network, batch = Duel(), torch.tensor([1.0, 2.0, 4.0])
    expected = network.critic_terms(batch)["critic"].mean()
    assert torch.allclose(started(network.phases()[:1]).step(batch, 0.1)["critic"], expected)


@pytest.mark.parametrize("lr_scale", [1.0, 0.5, 0.0])
def test_a_phase_scales_the_learning_rate(lr_scale):
    network = Duel()
    before = weights_of(network.critic)
    started(network.phases(lr_scale)[:1]).step(torch.tensor([1.0, 2.0]), 0.1)
    # Adam's first step has the size of the rate, for any gradient.
    assert (weights_of(network.critic) - before).abs().tolist() == pytest.approx([0.1 * lr_scale] * 2, rel=1e-4)


def test_a_phase_that_is_not_due_returns_its_terms_and_leaves_the_weights():
    network, batch = Duel(), torch.tensor([1.0, 2.0, 4.0])
    phases = started([replace(network.phases()[0], every=3)])
    before, expected = weights_of(network.critic), network.critic_terms(batch)["critic"].mean().detach()
    moved = []
    for done in range(1, 7):
        means = phases.step(batch, 0.1, done)
        moved.append(not torch.equal(weights_of(network.critic), before))
        before = weights_of(network.critic)
        assert not means["critic"].requires_grad
        assert done > 3 or torch.allclose(means["critic"], expected)
    assert moved == [False, False, True, False, False, True]


def test_unmonitored_terms_must_only_be_finite():
    """A critic's loss can be far above its first value, which is near 0."""

    class Adversary(nn.Module):
        def __init__(self, values):
            super().__init__()
            self.weight, self.values = nn.Parameter(torch.zeros(1)), iter(values)

        def terms(self, batch):
            return {"critic": next(self.values) + 0 * self.weight * batch}

    def end(values, **options):
        schedule = Schedule(60, 0.1, drops=())
        batches = Points([1.0] * 20, batch_size=1)
        return trained(Adversary(values), batches, None, schedule, max_epochs=1, device=CPU, **options)

    rising = [0.001] * 3 + [5.0] * 500
    assert end(rising).rollbacks
    whole = end(rising, unmonitored=["critic"])
    assert (whole.stopped, whole.rollbacks) == ("done", [])
    assert end([0.001] * 10 + [float("nan")] * 500, unmonitored=["critic"]).stopped == "diverged"


def test_the_main_loss_flows_through_critics_without_updating_them():
    alone, watched = Duel(), Duel()
    run(alone, alone.phases()[:1], epochs=1, weights={"judged": 0.0})
    run(watched, watched.phases()[:1], epochs=1)
    assert not torch.equal(weights_of(alone.player), weights_of(watched.player))
    still = Duel()
    run(still, still.phases(critic_rate=0.0)[:1], epochs=2)
    assert torch.equal(weights_of(still.critic), weights_of(Duel().critic))


def test_critics_are_frozen_before_the_first_step_and_between_steps():
    network = Duel()
    phases = Phases(network.phases(), lambda part: Adam(part, 0.0, {}))
    with phases.frozen_critics():
        frozen = [not any(value.requires_grad for value in network.critic.parameters())]
        phases.begin()
        phases.step(torch.tensor([1.0, 2.0]), 0.1)
        frozen.append(not any(value.requires_grad for value in network.critic.parameters()))
        assert all(value.requires_grad for value in network.player.parameters())
    assert frozen == [True, True]


def test_a_critic_without_a_phase_is_trained_by_the_main_loss():
    network = Duel()
    run(network, [], epochs=1)
    assert (weights_of(network.critic) != weights_of(Duel().critic)).all()


class BrokenError(Exception):
    """Ends a run at any point."""


@pytest.mark.parametrize("breaks", [False, True])
def test_critics_can_be_trained_again_after_a_run_however_it_ended(breaks):
    network = Duel()

    def intervene(epoch, stopping):
        if breaks:
            raise BrokenError
        return False

    try:
        run(network, network.phases(), intervene=intervene)
    except BrokenError:
        assert breaks
    assert all(value.requires_grad for value in network.parameters())


def test_a_critic_learns_its_regression():
    """With a fixed player, the critic is a regression of the player's points on themselves."""
    network = Duel()
    network.player.requires_grad_(False)
    phases, batch = started(network.phases()[:1]), torch.as_tensor(VALUES)
    losses = [float(phases.step(batch, 0.05)["critic"]) for _ in range(300)]
    assert losses[-1] < 1e-3 * losses[0]


def test_phases_appear_in_the_history_but_not_in_the_loss():
    network = Duel()
    result = run(network, network.phases(), epochs=2, weights={"judged": 0.5})
    row = result.history[-1]
    assert {"fit", "judged", "critic", "shy", "loss"} <= set(row)
    assert row["loss"] == pytest.approx(row["fit"] + 0.5 * row["judged"], rel=1e-5)


def test_phases_require_a_single_process():
    network = Duel()
    with pytest.raises(AssertionError, match="phases"):
        run(network, network.phases(), world=object())


@pytest.mark.parametrize("rate", [0.05, 100.0], ids=["smooth", "rolled back"])
def test_a_run_with_phases_interrupted_before_any_step_resumes_to_the_same_bits(rate):
    def duel(checkpoints, saved=None):
        network = Duel()
        result = run(network, network.phases(0.5), rate=rate, checkpoints=checkpoints, saved=saved)
        return outcome(network, result)

    memory = Memory()
    whole = duel(memory)
    assert ("Rollback" in whole[1]) == (rate > 1)
    assert duel(None) == whole
    for saved in memory.all:
        assert any(name.startswith("phases.1.first.") for name in saved.tensors) or saved.values["done"] == 0
        assert duel(None, saved) == whole


def test_a_rollback_resets_the_moments_of_phases():
    """With one step per epoch, the critic's first step after the rollback is a tenth of the rate, as in a new Adam."""
    network = Duel(lost_at={3})
    seen = []
    batches = Points(VALUES, batch_size=len(VALUES))
    schedule = Schedule(4, 0.05, drops=())
    result = trained(
        network, batches, None, schedule, max_epochs=4, patience=9, device=CPU,
        phases=network.phases()[:1], listener=lambda news: seen.append(weights_of(network.critic)),
    )  # fmt: skip
    assert result.rollbacks == [Rollback(epoch=3, step=1, learning_rate=pytest.approx(0.005))]
    assert (seen[2] - seen[1]).abs().tolist() == pytest.approx([0.005] * 2, rel=1e-3)


def test_states_of_many_phases_are_kept_separate():
    """Among eleven phases, the names of the second and the eleventh share a prefix."""
    parts = [nn.Linear(1, 1) for _ in range(11)]
    all_phases = [
        Phase(part, lambda batch, part=part, i=i: {f"t{i}": ((i + 1) * part(batch[:, None])).square().sum(-1)})
        for i, part in enumerate(parts)
    ]
    first = started(all_phases)
    for _ in range(3):
        first.step(torch.tensor([1.0, 2.0]), 0.1)
    second = Phases(all_phases, lambda part: Adam(part, 0.0, {}))
    second.load(first.state())
    assert second.state().keys() == first.state().keys()
    assert all(torch.equal(value, first.state()[name]) for name, value in second.state().items())
