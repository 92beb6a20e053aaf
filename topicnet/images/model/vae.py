"""The network of all image models: latents, decoder, likelihood and penalty combined into one loss."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from topicnet.images.model.batches import ImageBatch
from topicnet.images.model.latents import Draw, Latents, one_hot
from topicnet.images.model.likelihoods import Likelihood
from topicnet.images.model.nets import Decoder
from topicnet.images.model.penalties import Penalty
from topicnet.training.alternating import Phase


class Vae(nn.Module):
    """Variational autoencoder, or a model derived from it, as one network.

    Parameters
    ----------
    latents : Latents
        Encoder and prior.
    decoder : Decoder
        Maps codes to the parameters of the likelihood.
    likelihood : Likelihood
        p(x | z).
    penalty : Penalty, optional
        Additional loss terms.
    n_draws : int
        Above 1, the loss is the importance-weighted bound with this many draws (Burda et al. 2016, eq. 8).
    two_phases : bool
        Whether the encoder is trained against the critic in a separate step, as in an adversarial autoencoder.
    """

    def __init__(
        self,
        latents: Latents,
        decoder: Decoder,
        likelihood: Likelihood,
        penalty: Penalty | None = None,
        *,
        n_draws: int = 1,
        two_phases: bool = False,
    ) -> None:
        super().__init__()
        self.latents = latents
        self.decoder = decoder
        self.likelihood = likelihood
        self.penalty = penalty
        self.n_draws = n_draws
        self.two_phases = two_phases

    @property
    def has_critic(self) -> bool:
        """True if the loss depends on a critic."""
        return self.penalty is not None and self.penalty.critic is not None

    @property
    def device(self) -> torch.device:
        """Device of the parameters."""
        return next(self.parameters()).device

    def terms(self, batch: ImageBatch) -> dict[str, Tensor]:
        """Return the loss terms of a batch: nats per image, or the penalties that replace them."""
        if self.n_draws > 1:
            log_w = self.log_weights(batch, self.n_draws)
            return {"importance_bound": math.log(self.n_draws) - log_w.logsumexp(0)}
        draw = self.latents.draw(batch.pixels, batch.noise)
        reads_features = self.penalty is not None and self.penalty.reads_features
        features = self.decoder.features(draw.code) if reads_features else None
        out = self.decoder(draw.code) if features is None else self.decoder.out(features)
        terms = {"reconstruction": self._reconstruction(batch.pixels, draw, out)} | draw.terms
        terms |= {name: terms[name].clamp_min(least) for name, least in self.latents.free_nats.items()}
        if self.penalty is None:
            return terms
        seen = self.likelihood.mean(out) if self.penalty.sees_images else out if features is None else features
        further = {} if self.two_phases else self.penalty.terms(draw, seen)
        return {name: value for name, value in terms.items() if name not in self.penalty.replaces} | further

    def bound(self, batch: ImageBatch) -> dict[str, Tensor]:
        """Return the parts of the negative evidence lower bound, (B,) nats each, regardless of the loss."""
        draw = self.latents.draw(batch.pixels, batch.noise)
        return {"reconstruction": self._reconstruction(batch.pixels, draw, self.decoder(draw.code))} | draw.terms

    def reconstruction(self, batch: ImageBatch) -> dict[str, Tensor]:
        """Return the loss (B,) of a plain autoencoder, which decodes posterior means.

        The decoder must take z alone.
        """
        out = self.decoder(self.latents.code_of(self.latents.codes(batch.pixels), None))
        return {"reconstruction": self.likelihood.nats(batch.pixels, out)}

    def log_weights(self, batch: ImageBatch, n_draws: int) -> Tensor:
        """Return log p(x, latents) - log q(latents | x) of draws from q, (n_draws, B)."""
        drawn = self.latents.importance_draw(batch.pixels, batch.noise.repeated(n_draws))
        nats = self.likelihood.nats(batch.pixels.repeat(n_draws, 1), self.decoder(drawn.code))
        return (drawn.log_ratio - nats).view(n_draws, -1)

    def decode(self, code: tuple[Tensor, ...]) -> Tensor:
        """Decode codes to mean images (B, P)."""
        return self.likelihood.mean(self.decoder(code))

    def reconstruct(self, x: Tensor) -> Tensor:
        """Decode the posterior means of images, and their most probable categories, to mean images (B, P)."""
        z = self.latents.codes(x)
        c = None
        if self.latents.n_categories is not None:
            log_q_c = self.latents.log_categories(x)
            c = one_hot(log_q_c.argmax(-1), log_q_c)
        return self.decode(self.latents.code_of(z, c))

    def phases(self, critic_rate: float) -> list[Phase]:
        """Return the additional training steps: of the critic, and of an encoder trained against it separately."""
        penalty = self.penalty
        if penalty is None or penalty.critic is None:
            return []
        critic = Phase(penalty.critic, self._critic_terms, critic_rate)
        return [critic, Phase(self.latents, self._fooling, critic=False)] if self.two_phases else [critic]

    def _critic_terms(self, batch: ImageBatch) -> dict[str, Tensor]:
        assert self.penalty is not None
        with torch.no_grad():
            draw = self.latents.draw(batch.pixels, batch.noise)
            seen = self.decode(draw.code) if self.penalty.sees_images else draw.z
            if self.penalty.reads_features:
                seen = self.decoder.features(draw.code)
        return self.penalty.critic_terms(draw, seen)

    def _fooling(self, batch: ImageBatch) -> dict[str, Tensor]:
        assert self.penalty is not None
        draw = self.latents.draw(batch.pixels, batch.noise)
        return self.penalty.terms(draw, draw.z)

    def _reconstruction(self, x: Tensor, draw: Draw, out: Tensor) -> Tensor:
        repeats = len(out) // len(x)
        return draw.averaged(self.likelihood.nats(x if repeats == 1 else x.repeat(repeats, 1), out))


class Objective(nn.Module):
    """Network with a separate training objective: `terms` maps a batch to the loss terms, (B,) each."""

    def __init__(self, network: nn.Module, terms: Callable[[ImageBatch], dict[str, Tensor]]) -> None:
        super().__init__()
        self.network = network
        self.terms = terms
