"""ImageVAE: every image model behind one scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from topicnet.core.counter_rng import Noise
from topicnet.errors import InputError
from topicnet.images.data.checks import checked_images
from topicnet.images.data.load import fixed_binarisation
from topicnet.images.model.batches import ImageBatches, as_shares
from topicnet.images.model.building import build
from topicnet.images.model.fingerprint import checkpoints_of
from topicnet.images.model.latents import CategoricalLatents, Latents
from topicnet.images.model.nets import Sizes
from topicnet.images.model.settings import (
    RATE,
    RATE_OF_A_CYCLE,
    Categories,
    check_course,
    checked_categories,
    checked_rows,
    resolve_estimator,
    resolve_likelihood,
    resolve_sizes,
    threads_for,
)
from topicnet.images.model.training import Course, Training, epochs_of
from topicnet.images.model.vae import Vae
from topicnet.images.model.variants import Value, Variant, numbers_in, resolve_parameters, variant_of
from topicnet.runtime.devices import choose_device
from topicnet.runtime.interrupt import FitInterrupted, deferred_interrupt
from topicnet.runtime.seeding import seeded
from topicnet.runtime.threads import chosen_threads
from topicnet.runtime.torch_state import usual_gradients, usual_torch
from topicnet.storage import atomic
from topicnet.training.checks import check_count
from topicnet.training.progress import Callback, Listener, TrainResult, logged, with_callback

ROWS = 1_000  # images at a time, where nothing is learned


def rows_at_once(latents: Latents) -> int:
    """Return how many images are evaluated at a time: with enumerated categories, each is decoded K times."""
    enumerates = isinstance(latents, CategoricalLatents) and latents.estimator == "enumerate"
    return max(1, ROWS // (latents.n_categories or 1)) if enumerates else ROWS


class ImageVAE(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A variational autoencoder of images, or of any vectors in [0, 1].

    Parameters
    ----------
    variant : str
        Name in `VARIANTS`.
    latent_dim : int, optional
        Z; by default one for 8 pixels, from 2 to 40. Two-level variants have so many in each level.
    n_categories : int, optional
        K of the discrete code, 10 by default, of variants that have one.
    hidden_dim, n_layers : int
        Width and number of the gated layers of encoder and decoder; 0 layers make a linear model.
    likelihood : {"bernoulli", "gaussian", "logistic"}, optional
        By default the variant's own.
    binarise : {"auto", "never"}
        Under a Bernoulli likelihood, pixels of training images are drawn from their gray values anew in each epoch, and
        those of validation images once; or values in [0, 1] are taken as they are.
    estimator : {"gumbel", "straight-through", "enumerate"}, optional
        How gradients pass categories; by default gumbel, where there are some to be drawn.
    parameters : mapping, optional
        The variant's own, such as {"beta": 8}.
    batch_size : int
    max_epochs : int, optional
        By default about 3,000 steps, and at least 10 epochs.
    learning_rate : float, optional
        The highest; by default 0.003 where it rises and falls in one cycle, else 0.001.
    warm_up : int, optional
        Epochs in which divergences are phased in: a tenth of all, at most 100, for variants that have a warm-up.
    schedule : {"one-cycle", "constant"}
        How the rate goes; wae-mmd, wae-gan and vade have their own.
    optimizer : {"adam", "adam_normgrad"}
    patience : int
        Epochs without a better loss on validation images after which the training ends.
    device : str
        auto, cpu, cuda or cuda:N.
    random_state : int, RandomState or None

    Attributes
    ----------
    network_ : Vae
    history_ : list of dict
        One row per epoch: terms per image.
    n_features_in_ : int
        P.
    parameters_ : dict
        The variant's, settled.
    sizes_ : Sizes
    """

    def __init__(
        self,
        variant: str = "vae",
        *,
        latent_dim: int | None = None,
        n_categories: int | None = None,
        hidden_dim: int = 300,
        n_layers: int = 2,
        likelihood: str | None = None,
        binarise: Literal["auto", "never"] = "auto",
        estimator: str | None = None,
        parameters: Mapping[str, Value] | None = None,
        batch_size: int = 100,
        max_epochs: int | None = None,
        learning_rate: float | None = None,
        warm_up: int | None = None,
        schedule: Literal["one-cycle", "constant"] = "one-cycle",
        optimizer: Literal["adam", "adam_normgrad"] = "adam",
        patience: int = 50,
        device: str = "auto",
        random_state: int | RandomState | None = None,
    ) -> None:
        self.variant = variant
        self.latent_dim = latent_dim
        self.n_categories = n_categories
        self.hidden_dim = hidden_dim
        self.n_layers = n_layers
        self.likelihood = likelihood
        self.binarise = binarise
        self.estimator = estimator
        self.parameters = parameters
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.warm_up = warm_up
        self.schedule = schedule
        self.optimizer = optimizer
        self.patience = patience
        self.device = device
        self.random_state = random_state

    @usual_torch()
    def check_parameters(self, n_pixels: int = 1) -> Sizes:
        """Sizes for images of P pixels.

        Raises
        ------
        InputError
            A parameter out of its range, or that the variant does not have.
        """
        variant = variant_of(self.variant)
        resolve_parameters(self.variant, self.parameters or {})
        resolve_likelihood(variant, self.likelihood)
        resolve_estimator(variant, self.estimator)
        check_course(self.get_params())
        return resolve_sizes(self.variant, n_pixels, self.latent_dim, self.hidden_dim, self.n_layers, self.n_categories)

    @usual_torch()
    @usual_gradients()
    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        validation: Any = None,
        callback: Callback | None = None,
        listener: Listener | None = None,
        checkpoints: str | Path | None = None,
    ) -> ImageVAE:
        """Learn images.

        Parameters
        ----------
        X : array of shape (n_images, P), (n_images, h, w) or (n_images, h, w, 1)
            Bytes, bools, or numbers in [0, 1].
        y : ignored
        validation : array, optional
            Images kept apart, by which the best epoch is chosen; without them the last is kept.
        callback : callable, optional
            Called with an `EpochReport` after every epoch; see `TopicModel.fit`.
        listener : callable, optional
            Called with a `Progress` after every epoch.
        checkpoints : str or Path, optional
            A folder to save the fit to as it goes; if it holds checkpoints of this very fit, it goes on from there.

        Raises
        ------
        InputError
            A parameter or a pixel out of its range, or checkpoints of another fit.
        FitInterrupted
            Ctrl-C (a KeyboardInterrupt): the model is fitted with the best it had by then.
        """
        pixels = self._pixels(X, "X")
        if len(pixels) < 2:
            raise InputError(f"n_samples={len(pixels)} images given, expected 2 or more to fit")
        kept = None if validation is None else self._pixels(validation, "validation")
        if kept is not None and kept.shape[1] != pixels.shape[1]:
            raise InputError(f"validation images of {kept.shape[1]} pixels given, those of X have {pixels.shape[1]}")
        sizes = self.check_parameters(pixels.shape[1])
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        device = choose_device(self.device)
        with ExitStack() as stack:
            # May wait for other threads: Ctrl-C ends that at once.
            stack.enter_context(chosen_threads(threads_for(self.batch_size, sizes)))
            interrupted = stack.enter_context(deferred_interrupt())
            saved = None
            if checkpoints is not None:
                stack.enter_context(atomic.folder_lock(Path(checkpoints)))
                saved = checkpoints_of(self, Path(checkpoints), pixels, kept, seed)
            with seeded(seed):
                network = self._network(sizes, len(pixels)).to(device)
            variant, rows = variant_of(self.variant), rows_at_once(network.latents)
            batches = ImageBatches(pixels, self.batch_size, device, binarise=self.binarises)
            watched = None if kept is None else ImageBatches(self.fixed(kept), rows, device, binarise=False)
            numbers = numbers_in(resolve_parameters(self.variant, self.parameters or {}))
            course, observer = self._course(variant, len(batches)), logged(with_callback(listener, callback))
            training = Training(network, variant, numbers, course, batches, watched, seed, observer, interrupted)
            result = training.run(saved)
        self._adopt(network, sizes, result)
        if result.stopped == "interrupted":
            raise FitInterrupted
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Posterior means (n, Z) of images, gray values as they are; given their most probable category, if any."""
        return self._answer(X, lambda pixels: self.network_.latents.codes(pixels))

    def category_probabilities(self, X: Any) -> NDArray[np.float32]:
        """q(c | x), (n, K).

        Raises
        ------
        InputError
            The variant has no categories.
        """
        self._check_categories()
        return self._answer(X, lambda pixels: self.network_.latents.log_categories(pixels).exp())

    def reconstruct(self, X: Any) -> NDArray[np.float32]:
        """Mean images (n, P) of the posterior means."""
        return self._answer(X, lambda pixels: self.network_.reconstruct(pixels))

    def decode(self, z: NDArray[np.floating], categories: NDArray[np.floating] | None = None) -> NDArray[np.float32]:
        """Mean images (n, P) of codes (n, Z), and of categories (n, K) where the variant has some."""
        check_is_fitted(self)
        takes = self.network_.latents.decodes_categories
        if takes != (categories is not None):
            raise InputError(f"{self.variant} decodes {'z and categories: give both' if takes else 'z alone'}")
        latents, device = self.network_.latents, self.network_.device
        with torch.inference_mode(), chosen_threads(threads_for(ROWS, self.sizes_)):
            points = checked_rows("z", z, latents.latent_dim).to(device)
            c = None if categories is None else checked_rows("categories", categories, latents.n_categories).to(device)
            return np.asarray(self.network_.decode(latents.code_of(points, c)).cpu().numpy())

    @usual_torch()
    def sample(
        self, n_samples: int = 1, *, category: Categories | None = None, random_state: int = 0, draw: bool = False
    ) -> NDArray[np.float32]:
        """Ancestral samples: mean images (n, P), or pixels drawn from the likelihood.

        Categories are drawn from q(c) over the training images, unless one is named, or (n,) one for each.
        """
        check_is_fitted(self)
        check_count("n_samples", n_samples)
        check_count("random_state", random_state, least=0)
        chosen = None
        if category is not None:
            self._check_categories()
            chosen = checked_categories(category, n_samples, self.network_.latents.n_categories or 1)
        network = self.network_.eval()
        noise = Noise.of(random_state, np.arange(n_samples), network.device)
        with torch.inference_mode(), chosen_threads(threads_for(ROWS, self.sizes_)):
            out = network.decoder(network.latents.sample(noise, n_samples, chosen))
            images = network.likelihood.sample(out, noise) if draw else network.likelihood.mean(out)
        return np.asarray(images.cpu().numpy())

    @usual_torch()
    def score(self, X: Any, y: Any = None) -> float:
        """Evidence lower bound per image, nats (one draw each, fixed noise); higher is better.

        Gray images are binarised once under a Bernoulli likelihood, as validation images are in the fit.
        """
        check_is_fitted(self)
        if not variant_of(self.variant).has_bound:
            raise InputError(f"{self.variant} has no bound: its encoder has no density")
        network = self.network_.eval()
        with torch.inference_mode(), chosen_threads(threads_for(ROWS, self.sizes_)):
            total = sum(float(torch.stack(list(network.bound(batch).values())).sum()) for batch in self.batches(X))
        return -total / len(X)

    def batches(self, X: Any) -> ImageBatches:
        """Images as the model is evaluated on them, in batches on its device."""
        check_is_fitted(self)
        rows, device = rows_at_once(self.network_.latents), self.network_.device
        return ImageBatches(self.fixed(self._known_pixels(X)), rows, device, binarise=False)

    def fixed(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Pixels (n, P) binarised once, where the model learns binarised ones."""
        return fixed_binarisation(pixels) if self.binarises else pixels

    @property
    def binarises(self) -> bool:
        """Whether gray values are taken for probabilities of ones."""
        return self.binarise == "auto" and resolve_likelihood(variant_of(self.variant), self.likelihood) == "bernoulli"

    @usual_torch()
    @usual_gradients()
    def restore(self, n_pixels: int, tensors: Mapping[str, Tensor], ending: Mapping[str, Any]) -> None:
        """Take over saved weights, as `fit` would leave them, on the CPU.

        Raises
        ------
        InputError
            The tensors are not those of this variant with these parameters.
        """
        sizes = self.check_parameters(n_pixels)
        with torch.device("meta"):
            network = self._network(sizes, int(ending["n_images"]))
        try:
            network.load_state_dict(dict(tensors), strict=True, assign=True)
        except RuntimeError as error:
            raise InputError(f"the tensors do not fit the model: {str(error).splitlines()[0]}") from error
        result = TrainResult(ending["history"], ending["best_epoch"], ending["best_loss"], ending["stopped"], [], 0)
        self._adopt(network, sizes, result)

    def _network(self, sizes: Sizes, n_images: int) -> Vae:
        variant = variant_of(self.variant)
        self.n_images_ = n_images
        return build(
            variant,
            sizes,
            resolve_parameters(self.variant, self.parameters or {}),
            likelihood=resolve_likelihood(variant, self.likelihood),
            estimator=resolve_estimator(variant, self.estimator),
            n_images=n_images,
        )

    def _course(self, variant: Variant, n_batches: int) -> Course:
        epochs = epochs_of(n_batches) if self.max_epochs is None else self.max_epochs
        falls, warm_up, rate = self.schedule == "one-cycle", self.warm_up, self.learning_rate
        if warm_up is None:
            warm_up = min(100, epochs // 10) if variant.warms_up else 0
        if rate is None:
            rate = RATE_OF_A_CYCLE if falls and variant.drops is None else RATE
        normalise = self.optimizer == "adam_normgrad"
        return Course(epochs, self.patience, rate, min(warm_up, epochs), falls, normalise)

    def _adopt(self, network: Vae, sizes: Sizes, result: TrainResult) -> None:
        self.network_ = network.eval()
        self.sizes_ = sizes
        self.parameters_ = resolve_parameters(self.variant, self.parameters or {})
        self.n_features_in_ = sizes.n_pixels
        self.history_ = result.history
        self.best_epoch_, self.best_loss_, self.stopped_ = result.best_epoch, result.best_loss, result.stopped

    def _pixels(self, X: Any, where: str) -> NDArray[Any]:
        pixels = checked_images(np.asarray(X), where)
        if len(pixels) == 0:
            raise InputError(f"{where} holds no images, expected at least 1")
        return np.ascontiguousarray(pixels.reshape(len(pixels), -1))

    def _known_pixels(self, X: Any) -> NDArray[Any]:
        """Those of images like the ones of the fit."""
        check_is_fitted(self)
        pixels = self._pixels(X, "X")
        if pixels.shape[1] != self.n_features_in_:
            raise InputError(f"images of {pixels.shape[1]} pixels given, expected {self.n_features_in_}")
        return pixels

    @usual_torch()
    def _answer(self, X: Any, question: Callable[[Tensor], Tensor]) -> NDArray[np.float32]:
        pixels = self._known_pixels(X)
        device = self.network_.eval().device
        with torch.inference_mode(), chosen_threads(threads_for(ROWS, self.sizes_)):
            parts = torch.split(torch.as_tensor(pixels), ROWS)
            answers = [question(as_shares(part.to(device))).float().cpu() for part in parts]
        return np.asarray(torch.cat(answers).numpy())

    def _check_categories(self) -> None:
        check_is_fitted(self)
        if self.network_.latents.n_categories is None:
            raise InputError(f"{self.variant} has no categories")
