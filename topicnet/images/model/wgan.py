"""Wasserstein GANs: a generator without an encoder, trained against a critic of images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import torch
from torch import Tensor

from topicnet.core.counter_rng import PRIOR, Noise
from topicnet.core.distributions import StandardNormal
from topicnet.core.transport.critic import DualCritic, gradient_penalty
from topicnet.errors import InputError
from topicnet.images.model.batches import ImageBatch
from topicnet.images.model.latents import Draw, ImportanceDraw, Latents
from topicnet.images.model.likelihoods import Likelihood
from topicnet.images.model.nets import Decoder, Sizes
from topicnet.images.model.vae import Vae
from topicnet.training.alternating import Phase
from topicnet.training.rmsprop import RmsProp

NO_ENCODER = "this model has no encoder, so images have no codes: it can only draw and decode; choose another variant"
ADAM_DECAY, RMSPROP_DECAY = 0.9, 0.99  # of the mean squared gradients
ADVERSARIAL = ("critic", "gradient_penalty", "generator")  # terms without a scale: each depends on the opponent
USES = 3  # independent uses of the noise of a batch: the critic's samples, the generator's, the points between


class PriorLatents(Latents):
    """Latents with the prior N(0, I) and no posterior: a Wasserstein GAN has no encoder."""

    origin: Tensor

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.prior = StandardNormal(sizes.latent_dim)
        self.register_buffer("origin", torch.zeros(sizes.latent_dim))  # has the device and type of the network

    def draw(self, x: Tensor, noise: Noise) -> Draw:
        """Raise InputError: there is no encoder."""
        self._refuse()

    def importance_draw(self, x: Tensor, noise: Noise) -> ImportanceDraw:
        """Raise InputError: there is no encoder."""
        self._refuse()

    def sample(self, noise: Noise, n: int, category: int | Tensor | None = None) -> tuple[Tensor, ...]:
        """Draw z from N(0, I)."""
        return (self.prior.sample(noise, self.origin.new_empty(n, self.latent_dim)),)

    def codes(self, x: Tensor) -> Tensor:
        """Raise InputError: there is no encoder."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise InputError(NO_ENCODER)


class Deterministic(Likelihood):
    """Images equal to the decoder's mean: a generator of a GAN has no likelihood."""

    def nats(self, x: Tensor, out: Tensor) -> Tensor:
        """Raise InputError: there is no likelihood."""
        raise InputError("this model has no likelihood: it only generates images")

    def sample(self, out: Tensor, noise: Noise) -> Tensor:
        """Return the mean image."""
        return self.mean(out)


class Wgan(Vae):
    """Wasserstein GAN: min over G, max over f of E f(x) - E f(G(z)), with a constraint on the slope of f.

    The critic f is trained by the main loss, on each batch; the generator G by a phase after every `n_critic` batches,
    so that each step of the critic has new images (Arjovsky et al. 2017, algorithm 1).

    Parameters
    ----------
    latents : PriorLatents
        The prior of z.
    decoder : Decoder
        The generator.
    likelihood : Likelihood
        Maps the generator's output to images by its mean.
    critic : DualCritic
        The function f.
    penalised : bool
        Penalise slopes of f above 1 in the term "gradient_penalty". Otherwise the weights are to be clipped, which is
        left to the optimiser.
    n_critic : int
        Steps of the critic for one of the generator.
    """

    def __init__(
        self,
        latents: PriorLatents,
        decoder: Decoder,
        likelihood: Likelihood,
        critic: DualCritic,
        *,
        penalised: bool,
        n_critic: int,
    ) -> None:
        super().__init__(latents, decoder, likelihood)
        self.critic = critic
        self.penalised = penalised
        self.n_critic = n_critic

    @property
    def has_critic(self) -> bool:
        """True: the loss is a critic's."""
        return True

    def optimizer(self, part: torch.nn.Module, clip: float | None) -> RmsProp:
        """Return RMSProp that clips the critic's weights, or Adam with beta (0, 0.9) if nothing is clipped."""
        if clip is None:
            return RmsProp(part, ADAM_DECAY, corrected=True)
        return RmsProp(part, RMSPROP_DECAY, project=lambda: self.critic.clip(clip))

    def terms(self, batch: ImageBatch) -> dict[str, Tensor]:
        """Return the critic's loss, (B,) each: f(G(z)) - f(x), minus an estimate of W_1, and the gradient penalty."""
        x = batch.pixels
        with torch.no_grad():
            generated = self._generated(batch, 0)
        terms = {"critic": self.critic(generated) - self.critic(x)}
        if self.penalised and torch.is_grad_enabled():  # a probe of the loss has no gradients to penalise
            weight = _part(batch.noise, 2).uniform(PRIOR, x[:, :1])
            terms["gradient_penalty"] = gradient_penalty(self.critic, x, generated, weight)
        return terms

    def phases(self, critic_rate: float) -> list[Phase]:
        """Return the step of the generator."""
        return [Phase(self.decoder, self._generator_terms, every=self.n_critic)]

    def _generator_terms(self, batch: ImageBatch) -> dict[str, Tensor]:
        """Return -f(G(z)), (B,), with gradients for the generator alone."""
        with _frozen(self.critic):
            return {"generator": -self.critic(self._generated(batch, 1))}

    def _generated(self, batch: ImageBatch, use: int) -> Tensor:
        return self.decode(self.latents.sample(_part(batch.noise, use), len(batch.pixels)))


def _part(noise: Noise, use: int) -> Noise:
    """Return the noise of one of the uses of a batch."""
    return Noise(noise.repeated(USES).keys.view(USES, -1)[use])


@contextmanager
def _frozen(module: torch.nn.Module) -> Iterator[None]:
    """Context manager: graphs built within it give the module's parameters no gradients."""
    required = [value.requires_grad for value in module.parameters()]
    module.requires_grad_(False)
    try:
        yield
    finally:
        for value, before in zip(module.parameters(), required, strict=True):
            value.requires_grad_(before)
