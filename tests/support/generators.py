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


def generator_of(points, *, latent_dim, hidden_dim, n_layers, n_epochs, rate, batch_size=256, seed=0):
    """Train a generator of points (n, d) with a one-sided gradient penalty; returns the network."""
    d = points.shape[1]
    with seeded(seed):
        latents = PriorLatents(Sizes(d, latent_dim, hidden_dim, n_layers, None))
        decoder, critic = Decoder((latent_dim,), hidden_dim, n_layers, d), DualCritic(d, 64, 2)
        wgan = Wgan(latents, decoder, Plane(), critic, penalised=True, n_critic=5)
    data = ImageBatches(points, batch_size, CPU, binarise=False)
    schedule = Schedule(n_epochs * len(data), rate, weights={"gradient_penalty": 10.0}, drops=DROPS)
    options = {"max_epochs": n_epochs, "device": CPU, "phases": wgan.phases(1.0), "unmonitored": ADVERSARIAL}
    trained(wgan, data, None, schedule, optimizer=lambda part: wgan.optimizer(part, None), **options)
    return wgan


def line_generator():
    """Train G(z) = a z + b on N(2, 0.5^2) for 2,000 steps of the generator; returns a and b."""
    points = torch.as_tensor(np.random.default_rng(0).normal(2, 0.5, (2560, 1)), dtype=torch.float32)
    out = generator_of(points, latent_dim=1, hidden_dim=1, n_layers=0, n_epochs=1000, rate=2e-3).decoder.out
    return out.weight.item(), out.bias.item()


def ring_samples():
    """Train a generator on a ring of eight Gaussians; returns 1,000 samples, as many other points, and the centres."""
    rng = np.random.default_rng(0)
    centres = RADIUS * np.exp(2j * np.pi * np.arange(MODES) / MODES)
    ring = centres[rng.integers(MODES, size=5000)]
    plane = np.stack([ring.real, ring.imag], 1) + SPREAD * rng.normal(size=(5000, 2))
    points = torch.as_tensor(plane, dtype=torch.float32)
    wgan = generator_of(points[1000:], latent_dim=2, hidden_dim=64, n_layers=2, n_epochs=700, rate=1e-3)
    with torch.no_grad():
        samples = wgan.decode(wgan.latents.sample(Noise.of(9, np.arange(1000), CPU), 1000))
    return samples, points[:1000], torch.as_tensor(np.stack([centres.real, centres.imag], 1), dtype=torch.float32)


def modes_found(samples, centres):
    """Count the centres that have at least half of their part of the samples within a distance of 0.3."""
    distances = torch.cdist(samples, centres)
    near = distances.min(1).values < 6 * SPREAD
    counts = torch.bincount(distances.argmin(1)[near], minlength=len(centres))
    return int((counts >= len(samples) / len(centres) / 2).sum())
