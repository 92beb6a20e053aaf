"""Small image models and batches of images."""

import numpy as np
import torch

from tests.support.tensors import CPU
from topicnet.core.counter_rng import Noise
from topicnet.images.model.batches import ImageBatch
from topicnet.images.model.building import build
from topicnet.images.model.nets import Sizes
from topicnet.images.model.variants import VARIANTS, resolve_parameters
from topicnet.runtime.seeding import seeded

P, Z, H, K = 6, 3, 8, 3  # pixels, latent and hidden dimensions, categories
CATEGORICAL = [name for name, variant in VARIANTS.items() if variant.latents == "categorical"]


def small_vae(
    name, *, n_categories=K, estimator="gumbel", likelihood=None, n_images=20, seed=0, sizes=None, **parameters
):
    """Build a small untrained model of a variant in double precision."""
    variant = VARIANTS[name]
    small = {"components": 4.0} if "components" in variant.parameters else {}
    with seeded(seed):
        vae = build(
            variant,
            sizes or Sizes(P, Z, H, 2, n_categories if variant.has_categories else None),
            resolve_parameters(name, small | parameters),
            likelihood=likelihood or variant.likelihood,
            estimator=estimator,
            n_images=n_images,
        )
    return vae.double()


def linear_head(name):
    """Options that leave out the gated layer of q(z | x, c), where the variant has one."""
    return {"head": "linear"} if VARIANTS[name].conditional else {}


def perturbed(module, seed=1, by=0.3):
    """Perturb all weights at random: many start at zero, which hides differences between models."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in module.parameters():
            value.add_(by * torch.randn(value.shape, generator=generator, dtype=value.dtype))
    return module


@torch.no_grad()
def with_zero_weights_for_c(conditional, other, **options):
    """Build two variants with the same weights; those of q(z | c, x) for c, which `other` lacks, are zero."""
    first = perturbed(small_vae(conditional, **linear_head(conditional), **options)).train()
    second = small_vae(other).train()
    for layer in (first.latents.head.mean, first.latents.head.log_var):
        layer.weight[:, -K:] = 0
    theirs = first.state_dict()
    for key, value in second.state_dict().items():
        value.copy_(theirs[key][:, : value.shape[1]] if value.ndim == 2 else theirs[key])
    return first, second


def some_noise(n, seed=0):
    """Noise of n images."""
    return Noise.of(seed, np.arange(n), CPU)


def some_images(n=20, n_pixels=P, seed=0):
    """Make a batch of binary images in double precision."""
    x = np.random.default_rng(seed).integers(0, 2, (n, n_pixels)).astype(np.float64)
    return ImageBatch(torch.as_tensor(x), some_noise(n, seed))


def one_image(n):
    """A batch with one image n times, each with its own noise."""
    return ImageBatch(some_images(1).pixels.expand(n, -1), some_noise(n, 5))


def standard_errors(values):
    """Return the distance of the mean from 0 in standard errors."""
    sd = float(values.std())
    return 0.0 if sd < 1e-12 and abs(values.mean()) < 1e-12 else float(values.mean()) / sd * len(values) ** 0.5
