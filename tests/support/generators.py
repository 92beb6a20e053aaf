"""Samples with known Wasserstein distances, and generators of points trained as Wasserstein GANs."""

import numpy as np
import torch
from scipy.stats import norm

from tests.support.tensors import CPU
from tests.support.training import trained
from topicnet.core.counter_rng import Noise
from topicnet.core.transport.critic import DualCritic
from topicnet.images.model.batches import ImageBatches
from topicnet.images.model.nets import Decoder, Sizes
from topicnet.images.model.training import ADVERSARIAL
from topicnet.images.model.wgan import Deterministic, PriorLatents, Wgan
from topicnet.runtime.seeding import seeded
from topicnet.training.schedule import Schedule

N = 1000
RADIUS, SPREAD, MODES = 2.0, 0.05, 8
DROPS = ((0.5, 0.3), (0.75, 0.3), (0.9, 0.3))


def quantiles(mean=0.0, sd=1.0, n=N):
    """Return a grid of quantiles of a Gaussian, (n, 1)."""
    return torch.as_tensor(norm.ppf((np.arange(n) + 0.5) / n, mean, sd), dtype=torch.float32)[:, None]


def disc(scale, n=N, seed=0):
    """Return Gaussian points in the plane, (n, 2), scaled so that their mean length is that of the density."""
    points = np.random.default_rng(seed).normal(size=(n, 2))
    points *= np.sqrt(np.pi / 2) / np.linalg.norm(points, axis=1).mean()
    return torch.as_tensor(scale * points, dtype=torch.float32)


# Two samples and W_1 between their densities.
CASES = {
    "N(2, 1/4) and N(0, 1)": (quantiles(2, 0.5), quantiles(), 2.0),
    "N(0, 4) and N(0, 1)": (quantiles(0, 2), quantiles(), float(np.sqrt(2 / np.pi))),
    "N(0, 4 I) and N(0, I) in the plane": (disc(2.0), disc(1.0), float(np.sqrt(np.pi / 2))),
    "a shift by 2 in the plane": (disc(1.0) + torch.tensor([2.0, 0.0]), disc(1.0), 2.0),
}
LINE = "N(2, 1/4) and N(0, 1)"


class Plane(Deterministic):
    """Points as the generator gives them, instead of pixels in [0, 1]."""

    def mean(self, out):
        return out


def generator_of(
    points,
    *,
    latent_dim,
    hidden_dim,
    n_layers,
    n_epochs,
    rate,
    lam=10.0,
    n_critic=5,
    critic_layers=2,
    batch_size=256,
    seed=0,
):
    """Train a generator of points (n, d) with a one-sided gradient penalty; returns the network."""
    d = points.shape[1]
    with seeded(seed):
        latents = PriorLatents(Sizes(d, latent_dim, hidden_dim, n_layers, None))
        decoder, critic = Decoder((latent_dim,), hidden_dim, n_layers, d), DualCritic(d, 64, critic_layers)
        wgan = Wgan(latents, decoder, Plane(), critic, penalised=True, n_critic=n_critic)
    data = ImageBatches(points, batch_size, CPU, binarise=False)
    schedule = Schedule(n_epochs * len(data), rate, weights={"gradient_penalty": lam}, drops=DROPS)
    options = {"max_epochs": n_epochs, "device": CPU, "phases": wgan.phases(1.0), "unmonitored": ADVERSARIAL}
    trained(wgan, data, None, schedule, optimizer=lambda part: wgan.optimizer(part, None), **options)
    return wgan


def line_generator():
    """Train G(z) = a z + b on N(2, 0.5^2) for 2,000 steps of the generator; returns a and b."""
    points = torch.as_tensor(np.random.default_rng(0).normal(2, 0.5, (2560, 1)), dtype=torch.float32)
    out = generator_of(points, latent_dim=1, hidden_dim=1, n_layers=0, n_epochs=1000, rate=2e-3).decoder.out
    return out.weight.item(), out.bias.item()


def ring_centres():
    """Return the centres (8, 2) of eight Gaussians on a ring."""
    angles = 2 * np.pi * np.arange(MODES) / MODES
    return torch.as_tensor(RADIUS * np.stack([np.cos(angles), np.sin(angles)], 1), dtype=torch.float32)


def ring_points(n, seed):
    """Draw points (n, 2) of eight Gaussians on a ring."""
    rng = np.random.default_rng(seed)
    modes = ring_centres()[torch.as_tensor(rng.integers(MODES, size=n))]
    return modes + torch.as_tensor(SPREAD * rng.normal(size=(n, 2)), dtype=torch.float32)


def ring_samples(seed=0):
    """Train a generator on eight Gaussians on a ring for 3,200 steps of the generator; returns 1,000 samples.

    The slope of the generator must become steep between modes, which takes large weights: hence the high rate, and a
    step after every second of the critic.
    """
    options = {"n_epochs": 400, "rate": 3e-3, "lam": 1.0, "n_critic": 2, "critic_layers": 3, "seed": seed}
    wgan = generator_of(ring_points(4000, 0), latent_dim=2, hidden_dim=128, n_layers=3, **options)
    with torch.no_grad():
        return wgan.decode(wgan.latents.sample(Noise.of(9, np.arange(N), CPU), N))


def modes_found(samples):
    """Count the centres with at least half of their part of the samples within 6 standard deviations."""
    distances = torch.cdist(samples, ring_centres())
    near = distances.min(1).values < 6 * SPREAD
    counts = torch.bincount(distances.argmin(1)[near], minlength=MODES)
    return int((counts >= len(samples) / MODES / 2).sum())


def share_in_modes(samples):
    """Return the fraction of the samples within 3 standard deviations of a centre; 0.989 for points of the ring."""
    return float((torch.cdist(samples, ring_centres()).min(1).values < 3 * SPREAD).float().mean())
