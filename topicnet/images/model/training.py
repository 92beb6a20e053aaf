"""Training of an image model: initialisation or pretraining if the variant needs it, then the shared training loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from topicnet.core.distributions import StandardNormal
from topicnet.errors import InputError
from topicnet.images.model.batches import ImageBatches
from topicnet.images.model.hierarchies import ClusteredLatents
from topicnet.images.model.latents import GaussianLatents
from topicnet.images.model.penalties import PointInformation
from topicnet.images.model.tracking import InformationTracker
from topicnet.images.model.vae import Objective, Vae
from topicnet.images.model.variants import Variant, ramps
from topicnet.images.model.wgan import ADVERSARIAL, Wgan
from topicnet.runtime.seeding import draw_seed
from topicnet.training.checkpoint import Checkpoints
from topicnet.training.collapse import ACTIVE
from topicnet.training.loop import train
from topicnet.training.optimizer import Adam
from topicnet.training.options import TrainHooks, TrainOptions
from topicnet.training.progress import Listener, TrainResult
from topicnet.training.protocols import Optimizer
from topicnet.training.schedule import Schedule

LEAST_EPOCHS = 10
START_IMAGES = 10_000  # most images used for the initialisation


@dataclass(frozen=True)
class TrainingSettings:
    """Length and learning rates of a training run.

    Attributes
    ----------
    max_epochs : int
        Number of epochs.
    patience : int
        Stop after this many epochs without a better validation loss.
    learning_rate : float
        Highest learning rate.
    warm_up : float
        Fraction of the run in which divergences are phased in.
    one_cycle : bool
        Whether the rate rises and falls in one cycle; otherwise it is constant, as in the papers.
    normalise : bool
        Whether the gradient of each parameter is normalised before Adam.
    """

    max_epochs: int
    patience: int
    learning_rate: float
    warm_up: float
    one_cycle: bool
    normalise: bool


def default_epochs(n_batches: int, n_steps: int) -> int:
    """Return the default number of epochs: enough for this many steps, and at least 10."""
    return max(LEAST_EPOCHS, math.ceil(n_steps / n_batches))


@dataclass(frozen=True)
class Training:
    """Training run of one image model.

    Attributes
    ----------
    vae : Vae
        The model, trained in place.
    variant : Variant
        Entry of the table.
    parameters : mapping
        Numeric parameters of the variant.
    settings : TrainingSettings
        Length and learning rates.
    batches : ImageBatches
        Training images.
    validation : ImageBatches or None
        Validation images.
    seed : int
        Seed of the run.
    listener : callable
        Called with a `Progress` after every epoch.
    interrupted : callable
        Returns whether Ctrl-C was pressed.
    tracker : InformationTracker, optional
        Measures the information of decoded images during training.
    """

    vae: Vae
    variant: Variant
    parameters: Mapping[str, float]
    settings: TrainingSettings
    batches: ImageBatches
    validation: ImageBatches | None
    seed: int
    listener: Listener
    interrupted: Callable[[], bool]
    tracker: InformationTracker | None = None

    def run(self, checkpoints: Checkpoints | None) -> TrainResult:
        """Train, from the newest checkpoint if there is one, and leave the best weights in the model."""
        rng = np.random.default_rng(self.seed)
        start_seed, train_seed = draw_seed(rng), draw_seed(rng)
        saved = None if checkpoints is None else checkpoints.newest()
        if saved is None:
            self._start(np.random.default_rng(start_seed))
        checkpoints = None if self.interrupted() else checkpoints
        settings, device = self.settings, self.batches.device
        # With a critic the loss depends on how well the critic is trained, so it cannot select the best epoch.
        judged = None if self.vae.has_critic else self.validation
        normalise, phases = settings.normalise, self.vae.phases(self.parameters.get("critic_rate", 1.0))
        options = TrainOptions(
            settings.max_epochs,
            settings.patience,
            0.0,
            train_seed,
            device,
            normalise_gradients=normalise,
            phases=phases,
            optimizer=self._optimizer(),
            unmonitored=() if self.variant.has_encoder else ADVERSARIAL,
        )
        companions = () if self.tracker is None else (self.tracker,)
        hooks = TrainHooks(
            self._measure, self._intervene, self.listener, self.interrupted, checkpoints, saved, companions
        )
        result = train(self.vae, self.batches, judged, self._schedule(), options, hooks)
        self._store_category_weights()
        return result

    def _optimizer(self) -> Callable[[nn.Module], Optimizer]:
        """Return a function that makes the optimiser of the network, or of a part of it."""
        if self.variant.own_optimizer:
            assert isinstance(self.vae, Wgan)
            return partial(self.vae.optimizer, clip=self.parameters.get("clip"))
        normalise, first_decay = self.settings.normalise, self.variant.first_decay
        return partial(Adam, weight_decay=0.0, lr_scales={}, normalise=normalise, first_decay=first_decay)

    def _schedule(self) -> Schedule:
        settings, n_categories = self.settings, self.vae.latents.n_categories or 1
        drops: tuple[tuple[float, float], ...] | None = None if settings.one_cycle else ()
        if self.variant.drops is not None:
            drops = self.variant.drops(settings.max_epochs)
        fraction = settings.warm_up
        divergences = ("kl_z", "kl_c", "kl_z1", "kl_z2", "kl_w")
        return Schedule(
            settings.max_epochs * len(self.batches),
            settings.learning_rate,
            warm_up=dict.fromkeys(divergences, fraction) if fraction else {},
            weights=self.variant.weights(self.parameters),
            targets=ramps(self.variant, self.parameters, n_categories),
            drops=drops,
        )

    def _start(self, rng: np.random.Generator) -> None:
        """Initialise pseudo-inputs from images, clusters by pretraining, and the choice of informed dimensions."""
        latents, chosen = self.vae.latents, rng.permutation(self.batches.n_docs)[:START_IMAGES]
        pixels = torch.cat([batch.pixels for batch in self.batches.at(chosen)])
        latents.initialise_from(pixels)
        epochs = math.ceil(self.variant.pretrained * self.settings.max_epochs)
        if not epochs:
            return
        terms = self.vae.reconstruction if isinstance(latents, ClusteredLatents) else self.vae.bound
        self._pretrain(Objective(self.vae, terms), epochs, draw_seed(rng))
        with torch.inference_mode():
            if isinstance(latents, ClusteredLatents):
                cluster(latents, latents.codes(pixels), draw_seed(rng))
            if isinstance(self.vae.penalty, PointInformation) and isinstance(latents, GaussianLatents):
                q = latents.posterior(pixels)
                self.vae.penalty.choose(StandardNormal(latents.latent_dim).kl_per_dimension(q).mean(0))

    def _pretrain(self, part: nn.Module, epochs: int, seed: int) -> None:
        settings, device = self.settings, self.batches.device
        schedule = Schedule(
            epochs * len(self.batches), settings.learning_rate, drops=None if settings.one_cycle else ()
        )
        options = TrainOptions(
            epochs, epochs, 0.0, seed, device, stage="pretrain", normalise_gradients=settings.normalise
        )
        hooks = TrainHooks(listener=self.listener, interrupted=self.interrupted)
        train(part, self.batches, None, schedule, options, hooks)

    def _measure(self) -> dict[str, float]:
        latents = self.vae.latents
        monitored = self.batches if self.validation is None else self.validation
        if not self.variant.has_encoder:
            return {}
        with torch.inference_mode():
            codes = latents.codes(next(iter(monitored)).pixels)
        found = {"active_units": float((codes.var(0) > ACTIVE).sum())} if len(codes) > 1 else {}
        if self.tracker is not None:
            found |= self.tracker.measure()
        temperature = getattr(latents, "temperature", None)
        return found if temperature is None else found | {"temperature": float(temperature)}

    def _intervene(self, epoch: int, stopping: bool) -> bool:
        self.vae.latents.anneal(epoch / self.settings.max_epochs)
        return False

    def _store_category_weights(self) -> None:
        """Store q(c) averaged over the training images."""
        latents = self.vae.latents
        if latents.n_categories is None:
            return
        with torch.inference_mode():
            sums = torch.stack([latents.log_categories(batch.pixels).exp().sum(0) for batch in self.batches])
            latents.set_category_weights(sums.sum(0) / self.batches.n_docs)


def cluster(latents: ClusteredLatents, points: Tensor, seed: int) -> None:
    """Initialise the mixture of clustered latents with a Gaussian mixture fitted to points (n, Z) by EM."""
    from sklearn.mixture import GaussianMixture

    n_clusters = latents.n_categories or 1
    if n_clusters > len(points):
        raise InputError(f"{n_clusters} categories given, expected at most {len(points)}, one per image: lower it")
    values: NDArray[np.float64] = points.double().cpu().numpy()
    fitted = GaussianMixture(n_clusters, covariance_type="diag", random_state=seed, reg_covar=1e-3, max_iter=200)
    fitted.fit(values)
    means, variances, weights = (
        torch.as_tensor(value, dtype=points.dtype, device=points.device)
        for value in (fitted.means_, fitted.covariances_, fitted.weights_)
    )
    latents.cluster(means, variances.log(), weights)
