"""Standard normal KL, learning-rate schedule, seeding and deferred interrupts."""

import os
import signal
import threading
import time
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.distributions import Normal as TorchNormal
from torch.distributions import kl_divergence

from topicnet.core.counter_rng import Noise
from topicnet.core.distributions import Normal, StandardNormal
from topicnet.runtime.interrupt import deferred_interrupt
from topicnet.runtime.seeding import draw_seed, seeded
from topicnet.training.schedule import Ramp, Schedule


def test_kl_equals_torch_s():
    torch.manual_seed(0)
    q = Normal(torch.randn(5, 3), torch.randn(5, 3))
    expected = kl_divergence(TorchNormal(q.mean, (0.5 * q.log_var).exp()), TorchNormal(0.0, 1.0))
    assert torch.allclose(StandardNormal(3).kl_per_dimension(q), expected, atol=1e-6)
    assert torch.allclose(StandardNormal(3).kl(q), expected.sum(-1), atol=1e-6)


def test_kl_of_the_prior_is_zero():
    assert torch.equal(StandardNormal(4).kl(Normal(torch.zeros(2, 4), torch.zeros(2, 4))), torch.zeros(2))


def test_samples_have_the_posterior_s_moments():
    noise = Noise.of(0, np.arange(20_000), torch.device("cpu"))
    q = Normal(torch.full((20_000, 1), 2.0), torch.full((20_000, 1), 2 * np.log(0.5)), noise)
    z = q.sample()
    assert z.mean().item() == pytest.approx(2.0, abs=0.02)
    assert z.std().item() == pytest.approx(0.5, abs=0.02)


def test_the_rate_rises_then_falls():
    schedule = Schedule(1000, 0.01)
    rates = [schedule.rate(step) for step in range(1001)]
    assert rates[0] == pytest.approx(0.001)
    assert max(rates) == pytest.approx(0.01)
    assert np.argmax(rates) == 100
    assert rates[-1] == pytest.approx(0.0001)
    assert all(after <= before for before, after in pairwise(rates[100:]))


def test_a_term_warms_up_to_its_weight():
    schedule = Schedule(100, 0.01, warm_up={"kl": 0.5}, weights={"kl": 2.0})
    assert schedule.weight("kl", 0) == pytest.approx(2 / 50)
    assert schedule.weight("kl", 49) == pytest.approx(2.0)
    assert schedule.weight("kl", 99) == pytest.approx(2.0)
    assert schedule.weight("reconstruction", 0) == 1.0


def test_a_seeded_block_repeats_and_leaves_torch_s_generator_unchanged():
    torch.manual_seed(7)
    state = torch.get_rng_state()
    with seeded(3):
        first = torch.rand(4)
    with seeded(3):
        second = torch.rand(4)
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)


def test_drawn_seeds_differ_and_repeat():
    rng = np.random.default_rng(0)
    seeds = [draw_seed(rng) for _ in range(20)]
    assert len(set(seeds)) == 20
    assert draw_seed(np.random.default_rng(0)) == seeds[0]


def test_the_first_ctrl_c_is_noted_and_the_second_raises():
    handler = signal.getsignal(signal.SIGINT)
    with deferred_interrupt() as interrupted:
        assert not interrupted()
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            _press_and_wait()
    assert signal.getsignal(signal.SIGINT) is handler


def _press_and_wait():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(1)


def test_outside_the_main_thread_nothing_is_changed():
    seen = []

    def work():
        with deferred_interrupt() as interrupted:
            seen.append(interrupted())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


def test_a_signal_handler_of_the_caller_is_kept():
    def mine(signum, frame):
        raise AssertionError

    before = signal.signal(signal.SIGINT, mine)
    try:
        with deferred_interrupt():
            assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, before)


# ---------------------------------------------------------------- drops, capacities


def test_a_ramp_rises_to_its_maximum_and_stays_there():
    ramp = Ramp(8.0, 0.5)
    assert [ramp.at(done) for done in (0.0, 0.125, 0.25, 0.5, 0.75, 1.0)] == [0.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert Ramp(8.0, 0.0).at(0.0) == 8.0


def test_drops_multiply_a_constant_rate():
    schedule = Schedule(10, 0.1, drops=((0.3, 0.5), (0.5, 0.2)))
    assert [schedule.rate(step) for step in range(10)] == pytest.approx([0.1] * 3 + [0.05] * 2 + [0.01] * 5)
    constant = Schedule(10, 0.1, drops=())
    assert {constant.rate(step) for step in range(10)} == {0.1}


def test_a_term_with_a_target_is_its_distance_from_the_capacity():
    schedule = Schedule(10, 0.1, weights={"kl": 3.0}, targets={"kl": Ramp(4.0, 0.5)})
    mean = torch.tensor(1.0, requires_grad=True)
    # After steps 1 to 5 the capacity is 0.8, 1.6, ... 4.
    weighted = [schedule.weighted("kl", mean, step).item() for step in (0, 1, 4, 9)]
    assert weighted == pytest.approx([3 * 0.2, 3 * 0.6, 3 * 3.0, 3 * 3.0])
    for step, slope in ((0, 3.0), (4, -3.0)):  # a term decreases above its capacity and increases below it
        (gradient,) = torch.autograd.grad(schedule.weighted("kl", mean, step), mean)
        assert gradient.item() == slope
    assert schedule.fully_weighted("kl", 1.0) == schedule.fully_weighted("kl", 7.0) == 9.0


def test_a_term_without_a_target_is_only_weighted():
    schedule = Schedule(10, 0.1, warm_up={"kl": 0.5}, weights={"kl": 3.0}, targets={"other": Ramp(4.0, 0.5)})
    assert float(schedule.weighted("kl", torch.tensor(-2.0), 0)) == pytest.approx(-6.0 * 0.2)
    assert float(schedule.weighted("unnamed", torch.tensor(-2.0), 0)) == -2.0
    assert schedule.fully_weighted("kl", -2.0) == -6.0


@pytest.mark.parametrize(
    ("options", "fraction"),
    [
        ({}, 0.1),
        ({"rise": 0.25}, 0.25),
        ({"drops": ()}, 0.0),
        ({"drops": ((0.9, 0.5),)}, 0.0),  # falling rates do not count
        ({"warm_up": {"kl": 0.4, "other": 0.2}}, 0.4),
        ({"warm_up": {"kl": 0.05}}, 0.1),
        ({"drops": (), "warm_up": {"kl": 0.05}}, 0.05),
        ({"targets": {"kl": Ramp(25.0, 0.5)}, "warm_up": {"kl": 0.4}}, 0.5),
    ],
)
def test_a_run_is_settled_once_nothing_rises_any_more(options, fraction):
    assert Schedule(100, 0.01, **options).settled() == fraction
