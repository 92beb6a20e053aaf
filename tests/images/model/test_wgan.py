"""Wasserstein GANs: the alternation, the constraints, what an encoder would be needed for, and known generators."""

import math

import numpy as np
import pytest
import torch

from tests.support.generators import (
    MODES,
    RADIUS,
    line_generator,
    modes_found,
    ring_points,
    ring_samples,
    share_in_modes,
)
from tests.support.images import CPU, P, Z, small_vae, some_images
from tests.support.training import trained
from topicnet import transport
from topicnet.core.counter_rng import Noise
from topicnet.core.transport.critic import slopes
from topicnet.errors import InputError
from topicnet.images import ImageVAE
from topicnet.images.model.batches import ImageBatches
from topicnet.training.schedule import Schedule

WGANS = ["wgan", "wgan-gp"]
PIXELS = np.random.default_rng(0).random((60, 16), dtype=np.float32)


def small(name, **options):
    settings = {"latent_dim": 2, "hidden_dim": 8, "batch_size": 10, "max_epochs": 2, "random_state": 0, "device": "cpu"}
    return ImageVAE(name, **(settings | options))


def moved(before, module):
    return [name for name, value in module.named_parameters() if not torch.equal(value, before[name])]


def copies(module):
    return {name: value.detach().clone() for name, value in module.named_parameters()}


@pytest.mark.parametrize("name", WGANS)
def test_the_generator_moves_after_every_fifth_batch_and_the_critic_after_each(name):
    for n_batches, generator_moves in ((4, False), (5, True)):
        vae = small_vae(name)
        decoder, critic = copies(vae.decoder), copies(vae.critic)
        pixels = torch.as_tensor(np.random.default_rng(0).random((4 * n_batches, P)))
        data = ImageBatches(pixels, 4, CPU, binarise=False)
        phases, schedule = vae.phases(1.0), Schedule(n_batches, 1e-2, drops=())
        row = trained(vae, data, None, schedule, max_epochs=1, device=CPU, phases=phases).history[0]
        assert bool(moved(decoder, vae.decoder)) == generator_moves
        assert moved(critic, vae.critic) == list(critic)
        assert math.isfinite(row["generator"])
        assert ("gradient_penalty" in row) == (name == "wgan-gp")


def test_critic_and_generator_see_different_draws_of_z():
    vae, batch = small_vae("wgan-gp"), some_images(50)
    one, other = (vae._generated(batch, use) for use in (0, 1))
    assert not torch.equal(one, other)
    assert torch.equal(one, vae._generated(batch, 0))


def test_the_critic_s_loss_is_the_negative_dual():
    vae, batch = small_vae("wgan-gp"), some_images(30)
    terms = vae.terms(batch)
    generated = vae._generated(batch, 0)
    assert torch.allclose(terms["critic"], vae.critic(generated) - vae.critic(batch.pixels))
    with torch.no_grad():  # the loop probes the loss without gradients
        assert "gradient_penalty" not in vae.terms(batch)


def test_the_generator_s_phase_leaves_no_gradients_in_the_critic():
    vae, batch = small_vae("wgan"), some_images(30)
    (phase,) = vae.phases(1.0)
    phase.terms(batch)["generator"].mean().backward()
    assert all(value.grad is None and value.requires_grad for value in vae.critic.parameters())
    assert all(value.grad is not None for value in vae.decoder.parameters())


def test_weights_are_clipped_from_the_start_to_the_end():
    model = small("wgan", parameters={"clip": 0.003}, max_epochs=3).fit(PIXELS)
    largest = [float(value.detach().abs().max()) for value in model.network_.critic.parameters()]
    assert max(largest) == pytest.approx(0.003)
    assert float(next(model.network_.decoder.parameters()).detach().abs().max()) > 0.1


def test_a_large_weight_of_the_penalty_keeps_the_slope_near_1():
    model = small("wgan-gp", parameters={"lambda": 1000.0}, max_epochs=25, learning_rate=1e-2, hidden_dim=16)
    critic = model.fit(PIXELS).network_.critic
    assert 0.5 < float(slopes(critic, torch.as_tensor(PIXELS)).mean()) < 1.1


@pytest.mark.parametrize("name", WGANS)
def test_training_brings_samples_nearer_to_the_images(name):
    bright = (0.8 + 0.2 * PIXELS).astype(np.float32)
    before, after = (
        float(transport.wasserstein(small(name, learning_rate=1e-2, **length).fit(bright).sample(60), bright).cost)
        for length in ({"max_epochs": 1, "batch_size": 60}, {"max_epochs": 30})
    )
    assert after < 0.5 * before


@pytest.mark.parametrize("name", WGANS)
def test_without_an_encoder_there_are_no_codes(name):
    model = small(name, max_epochs=1).fit(PIXELS)
    for method in (model.transform, model.reconstruct):
        with pytest.raises(InputError, match=r"^this model has no encoder, so images have no codes"):
            method(PIXELS)
    with pytest.raises(InputError, match=rf"^{name} has no evidence lower bound: it has no encoder$"):
        model.score(PIXELS)
    assert model.decode(np.zeros((3, 2))).shape == (3, 16)
    assert np.array_equal(model.sample(4), model.sample(4, draw=True))
    assert not model.binarises


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("wgan", {"likelihood": "gaussian"}, "this variant generates images without one: leave it out"),
        ("wgan", {"optimizer": "adam_normgrad"}, "this variant has its own: leave it out"),
        ("wgan", {"parameters": {"clip": 0.0}}, "clip=0.0 given, expected a number above 0"),
        ("wgan", {"parameters": {"lambda": 1.0}}, "parameter 'lambda' given for wgan: it has clip, n_critic"),
        ("wgan-gp", {"parameters": {"n_critic": 0}}, "n_critic=0 given, expected a whole number, 1 or more"),
        ("wgan-gp", {"n_categories": 3}, "3 categories given for wgan-gp, which has none"),
    ],
)
def test_options_that_they_do_not_have_are_refused(name, options, message):
    with pytest.raises(InputError, match=message):
        small(name, **options).fit(PIXELS)


# ---------------------------------------------------------------- known generators


@pytest.mark.slow
def test_a_linear_generator_finds_mean_and_deviation():
    slope, offset = line_generator()
    assert abs(offset - 2) < 0.1
    assert abs(abs(slope) - 0.5) < 0.1


@pytest.mark.slow
def test_a_ring_of_eight_gaussians_keeps_its_modes():
    samples, others = ring_samples(), ring_points(1000, 1)
    assert modes_found(samples) >= 7
    assert share_in_modes(samples) > 0.5
    assert float(transport.wasserstein(samples, others).distance) < 0.6


def test_the_measures_of_the_ring_tell_its_points_from_a_circle_and_from_lost_modes():
    points = ring_points(1000, 1)
    assert modes_found(points) == MODES
    assert share_in_modes(points) > 0.97
    angles = 2 * np.pi * (torch.arange(1000) + 0.5) / 1000
    circle = RADIUS * torch.stack([angles.cos(), angles.sin()], 1)
    assert modes_found(circle) == 0
    assert share_in_modes(circle) < 0.25
    assert modes_found(points[points[:, 0] > 0.5]) == 3  # the right-hand modes alone


def test_the_sizes_of_critic_and_generator():
    vae = small_vae("wgan")
    assert vae.decode(vae.latents.sample(Noise.of(0, np.arange(5), CPU), 5)).shape == (5, P)
    assert vae.latents.latent_dim == Z
    assert not any(name.endswith("bias") for name, _ in vae.critic.layers[-1].named_parameters())
