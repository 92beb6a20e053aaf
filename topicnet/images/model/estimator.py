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
from topicnet.images.data.load import Shape, fixed_binarisation
from topicnet.images.model.batches import ImageBatches, to_unit_interval
from topicnet.images.model.building import build
from topicnet.images.model.fingerprint import checkpoints_of
from topicnet.images.model.latents import CategoricalLatents, Latents
from topicnet.images.model.nets import Sizes
from topicnet.images.model.settings import (
    ONE_CYCLE_RATE,
    RATE,
    Categories,
    check_optimizer,
    check_training_parameters,
    checked_categories,
    checked_rows,
    resolve_estimator,
    resolve_likelihood,
    resolve_sizes,
    threads_for,
    with_architecture,
)
from topicnet.images.model.tracking import InformationTracker
from topicnet.images.model.training import Training, TrainingSettings, default_epochs
from topicnet.images.model.vae import Vae
from topicnet.images.model.variants import (
    Value,
    Variant,
    informed_dimensions,
    numbers_in,
    resolve_parameters,
    variant_of,
)
from topicnet.runtime.devices import choose_device
from topicnet.runtime.interrupt import FitInterrupted, deferred_interrupt
from topicnet.runtime.seeding import seeded
from topicnet.runtime.threads import chosen_threads
from topicnet.runtime.torch_state import usual_gradients, usual_torch
from topicnet.storage import atomic
from topicnet.training.checks import check_count
from topicnet.training.progress import Callback, Listener, TrainResult, logged, with_callback

ROWS = 1_000  # batch size for inference


def rows_at_once(latents: Latents) -> int:
    """Return the batch size for inference, smaller with enumerated categories: these decode each image K times."""
    enumerates = isinstance(latents, CategoricalLatents) and latents.estimator == "enumerate"
    return max(1, ROWS // (latents.n_categories or 1)) if enumerates else ROWS


class ImageVAE(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Variational autoencoder of images, gray or in colour, or of any vectors in [0, 1].

    One estimator for the 27 variants in `VARIANTS`. Sources of the variants are in their `Variant.summary`; the default
    network and training follow Tomczak & Welling (2018).

    Parameters
    ----------
    variant : str
        Name in `VARIANTS`.
    latent_dim : int, optional
        Dimension Z of the latent space; by default one per 8 pixels, between 2 and 40. Two-level variants have this
        many in each level.
    n_categories : int, optional
        Number K of categories, 10 by default; only for variants with categories.
    hidden_dim : int
        Width of the gated layers of encoder and decoder.
    n_layers : int
        Number of gated layers of encoder and decoder; 0 gives a linear model.
    architecture : {"dense", "conv"}
        Dense layers, or for pictures with sides of 8 pixels or more `n_layers` gated convolutions that each halve (in
        the decoder double) the sides, with a dense layer of width `hidden_dim` between them and the code. Critics stay
        dense.
    likelihood : {"bernoulli", "gaussian", "logistic", "squared-error"}, optional
        p(x | z), by default the variant's own; in colour "logistic" in place of "bernoulli". "squared-error" belongs to
        wae-mmd and wae-gan only; wgan and wgan-gp have none.
    binarise : {"auto", "never"}
        With "auto" and a Bernoulli likelihood, training pixels are drawn from their gray values in each epoch, and
        validation pixels once. With "never", values in [0, 1] are used as they are.
    estimator : {"gumbel", "straight-through", "enumerate"}, optional
        Gradient estimator of categories, "gumbel" by default: a relaxed draw (Jang et al. 2017), a hard draw with the
        gradient of the relaxed one, or the exact sum over categories. Only for variants that draw categories.
    parameters : mapping, optional
        Parameters of the variant, such as {"beta": 8}; defaults are in `VARIANTS`.
    batch_size : int
        Images per training step.
    max_epochs : int, optional
        Number of epochs; by default about 3,000 steps (20,000 for wgan and wgan-gp), and at least 10 epochs.
    learning_rate : float, optional
        Highest learning rate; by default 0.003 with one cycle, 0.001 otherwise; as in their papers, 0.00005 for wgan
        and 0.0001 for wgan-gp.
    warm_up : int or float, optional
        Length of the warm-up, in which the divergences are phased in: epochs (an integer), or a fraction of the run
        between 0 and 1 (a float). By default a tenth of the epochs, rounded down and at most 100, for variants with
        `Variant.warms_up`, and 0 for others.
    schedule : {"one-cycle", "constant"}
        Course of the learning rate; wae-mmd, wae-gan and vade have their own steps instead, wgan and wgan-gp a constant
        rate.
    optimizer : {"adam", "adam_normgrad"}
        Adam, or Adam with each parameter's gradient divided by its norm (reference code of Tomczak & Welling 2018).
        wgan has RMSProp instead, and wgan-gp Adam without a first moment.
    patience : int
        Stop after this many epochs without a better validation loss.
    information_every : int, optional
        Every n epochs, and after the last, add a lower bound on the information of decoded images about the
        code to the history, with its interval and the entropy of the code; see `information_bound`. By default never.
    device : str
        "auto", "cpu", "cuda" or "cuda:N".
    random_state : int, RandomState or None
        Seed of a reproducible fit; None draws one.

    Attributes
    ----------
    network_ : Vae
        The fitted network, with the weights of the best epoch.
    history_ : list of dict
        One row per epoch: loss terms per image (nats, except for penalties), learning rate, active units and seconds.
    best_epoch_ : int
        Epoch of the weights, counted from 1: the best by validation loss, or the last without validation images or with
        a critic in the loss.
    best_loss_ : float
        Validation loss of the weights, per image; NaN without one.
    stopped_ : str
        Why training ended: "done", "early", "interrupted" or "diverged".
    n_features_in_ : int
        Number P of pixels.
    n_images_ : int
        Number of training images.
    parameters_ : dict
        Parameters of the variant, including defaults.
    sizes_ : Sizes
        Sizes of the layers, including defaults.
    image_shape_ : tuple of int or None
        Height and width of the images, and 3 for colour; None if they were given as vectors.

    See Also
    --------
    evaluate : Measures a fitted model on test images.
    load_images : Reads images and splits them.

    References
    ----------
    Kingma & Welling (2014), "Auto-Encoding Variational Bayes", ICLR.

    Tomczak & Welling (2018), "VAE with a VampPrior", AISTATS.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.images import ImageVAE
    >>> X = np.random.default_rng(0).random((40, 16))
    >>> model = ImageVAE("vae", latent_dim=2, hidden_dim=8, max_epochs=2, device="cpu", random_state=0).fit(X)
    >>> model.transform(X).shape, model.sample(3).shape
    ((40, 2), (3, 16))
    """

    def __init__(
        self,
        variant: str = "vae",
        *,
        latent_dim: int | None = None,
        n_categories: int | None = None,
        hidden_dim: int = 300,
        n_layers: int = 2,
        architecture: Literal["dense", "conv"] = "dense",
        likelihood: str | None = None,
        binarise: Literal["auto", "never"] = "auto",
        estimator: str | None = None,
        parameters: Mapping[str, Value] | None = None,
        batch_size: int = 100,
        max_epochs: int | None = None,
        learning_rate: float | None = None,
        warm_up: float | None = None,
        schedule: Literal["one-cycle", "constant"] = "one-cycle",
        optimizer: Literal["adam", "adam_normgrad"] = "adam",
        patience: int = 50,
        information_every: int | None = None,
        device: str = "auto",
        random_state: int | RandomState | None = None,
    ) -> None:
        self.variant = variant
        self.latent_dim = latent_dim
        self.n_categories = n_categories
        self.hidden_dim = hidden_dim
        self.n_layers = n_layers
        self.architecture = architecture
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
        self.information_every = information_every
        self.device = device
        self.random_state = random_state

    @usual_torch()
    def check_parameters(self, n_pixels: int | None = None, shape: Shape = None) -> Sizes:
        """Check all parameters and resolve the sizes of the layers.

        Parameters
        ----------
        n_pixels : int, optional
            Number P of pixels of an image, if the images are known.
        shape : tuple of int, optional
            Their height and width, and 3 for colour.

        Returns
        -------
        Sizes
            Sizes of the layers, including defaults.

        Raises
        ------
        InputError
            A parameter is out of range, or the variant does not have it.

        Examples
        --------
        >>> from topicnet.images import ImageVAE
        >>> ImageVAE("cp-vae").check_parameters(784).latent_dim
        40
        """
        variant = variant_of(self.variant)
        parameters = resolve_parameters(self.variant, self.parameters or {})
        resolve_likelihood(variant, self.likelihood, shape)
        resolve_estimator(variant, self.estimator)
        check_training_parameters(self.get_params())
        check_optimizer(variant, self.optimizer)
        known = n_pixels is not None
        sizes = resolve_sizes(
            self.variant, n_pixels or 1, self.latent_dim, self.hidden_dim, self.n_layers, self.n_categories
        )
        sizes = with_architecture(sizes, self.architecture, shape, known=known)
        if self.latent_dim is not None:  # its default depends on the number of pixels, which may not be known yet
            informed_dimensions(parameters.get("informed"), sizes.latent_dim)
        return sizes

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
        """Fit the model to images.

        Parameters
        ----------
        X : array of shape (n_images, P), (n_images, h, w), (n_images, h, w, 1) or (n_images, h, w, 3)
            Bytes, bools, or numbers in [0, 1].
        y : object
            Ignored, present for scikit-learn's interface.
        validation : array, optional
            Held-out images by which the best epoch is chosen; without them the last epoch is kept.
        callback : callable, optional
            Called with an `EpochReport` after every epoch; see `TopicModel.fit`.
        listener : callable, optional
            Called with a `topicnet.training.progress.Progress` after every epoch.
        checkpoints : str or Path, optional
            Folder for checkpoints; if it holds checkpoints of the same fit, training resumes from the newest.

        Returns
        -------
        ImageVAE
            The fitted model itself.

        Raises
        ------
        InputError
            A parameter or a pixel is out of range, or the checkpoints belong to another fit.
        FitInterrupted
            Ctrl-C was pressed (a KeyboardInterrupt); the model is fitted with the best weights so far.

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet.images import ImageVAE
        >>> X = np.random.default_rng(0).random((40, 16))
        >>> model = ImageVAE("cp-vae", n_categories=3, latent_dim=2, hidden_dim=8, max_epochs=2, device="cpu")
        >>> len(model.fit(X).history_)
        2
        """
        pixels = self._pixels(X, "X")
        if len(pixels) < 2:
            raise InputError(f"n_samples={len(pixels)} images given, expected 2 or more to fit")
        held_out = None if validation is None else self._pixels(validation, "validation")
        if held_out is not None and held_out.shape[1] != pixels.shape[1]:
            given = f"validation images of {held_out.shape[1]} pixels given"
            raise InputError(f"{given}, expected {pixels.shape[1]} as in X")
        shape = _shape_of(X)
        if held_out is not None and shape is not None and (other := _shape_of(validation)) not in (None, shape):
            raise InputError(f"validation images of shape {other} given, expected {shape} as in X")
        sizes = self.check_parameters(pixels.shape[1], shape)
        self.image_shape_ = shape
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        device = choose_device(self.device)
        with ExitStack() as stack:
            # Entered first: it may wait for other threads, and Ctrl-C should end that wait at once.
            stack.enter_context(chosen_threads(threads_for(self.batch_size, sizes)))
            interrupted = stack.enter_context(deferred_interrupt())
            saved = None
            if checkpoints is not None:
                stack.enter_context(atomic.folder_lock(Path(checkpoints)))
                saved = checkpoints_of(self, Path(checkpoints), pixels, held_out, seed)
            with seeded(seed):
                network = self._network(sizes, len(pixels)).to(device)
            variant, rows = variant_of(self.variant), rows_at_once(network.latents)
            batches = ImageBatches(pixels, self.batch_size, device, binarise=self.binarises)
            monitored = None if held_out is None else ImageBatches(self.fixed(held_out), rows, device, binarise=False)
            numbers = numbers_in(resolve_parameters(self.variant, self.parameters or {}))
            settings, observer = (
                self._training_settings(variant, len(batches)),
                logged(with_callback(listener, callback), self.random_state),
            )
            tracker = None
            if self.information_every is not None:
                epochs, measured = settings.max_epochs, batches if monitored is None else monitored
                tracker = InformationTracker(
                    network, measured, sizes, every=self.information_every, max_epochs=epochs, seed=seed
                )
            training = Training(
                network, variant, numbers, settings, batches, monitored, seed, observer, interrupted, tracker
            )
            result = training.run(saved)
        self._adopt(network, sizes, result)
        if result.stopped == "interrupted":
            raise FitInterrupted
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Encode images to posterior means.

        Gray values are used without binarisation; variants with categories use each image's most probable one.

        Parameters
        ----------
        X : array of shape (n, P), (n, h, w), (n, h, w, 1) or (n, h, w, 3)
            Images like those of the fit.

        Returns
        -------
        ndarray of shape (n, Z)
            float32; 2 Z columns for two-level variants, the lower level first.

        Raises
        ------
        InputError
            The images have another number of pixels, a pixel is out of range, or the variant has no encoder.

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet.images import ImageVAE
        >>> X = np.random.default_rng(0).random((40, 16))
        >>> model = ImageVAE("hvae", latent_dim=2, hidden_dim=8, max_epochs=1, device="cpu").fit(X)
        >>> model.transform(X).shape
        (40, 4)
        """
        return self._map_batches(X, lambda pixels: self.network_.latents.codes(pixels))

    def category_probabilities(self, X: Any) -> NDArray[np.float32]:
        """Return q(c | x), the probability of each category given an image.

        Parameters
        ----------
        X : array of shape (n, P), (n, h, w), (n, h, w, 1) or (n, h, w, 3)
            Images like those of the fit.

        Returns
        -------
        ndarray of shape (n, K)
            float32, rows sum to 1.

        Raises
        ------
        InputError
            The variant has no categories, or the images do not fit the model.

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet.images import ImageVAE
        >>> X = np.random.default_rng(0).random((40, 16))
        >>> model = ImageVAE("indq", n_categories=3, latent_dim=2, hidden_dim=8, max_epochs=1, device="cpu").fit(X)
        >>> model.category_probabilities(X).shape
        (40, 3)
        """
        self._check_categories()
        return self._map_batches(X, lambda pixels: self.network_.latents.log_categories(pixels).exp())

    def reconstruct(self, X: Any) -> NDArray[np.float32]:
        """Decode the posterior means of images.

        Parameters
        ----------
        X : array of shape (n, P), (n, h, w), (n, h, w, 1) or (n, h, w, 3)
            Images like those of the fit.

        Returns
        -------
        ndarray of shape (n, P)
            float32 mean images.

        Raises
        ------
        InputError
            The images have another number of pixels, a pixel is out of range, or the variant has no encoder.

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet.images import ImageVAE
        >>> X = np.random.default_rng(0).random((40, 16))
        >>> model = ImageVAE(latent_dim=2, hidden_dim=8, max_epochs=1, device="cpu").fit(X)
        >>> model.reconstruct(X[:5]).shape
        (5, 16)
        """
        return self._map_batches(X, lambda pixels: self.network_.reconstruct(pixels))

    def decode(self, z: NDArray[np.floating], categories: NDArray[np.floating] | None = None) -> NDArray[np.float32]:
        """Decode latent codes to mean images.

        Parameters
        ----------
        z : ndarray of shape (n, Z)
            Codes, as `transform` returns them.
        categories : ndarray of shape (n, K), optional
            Category weights, for instance one-hot; required by variants whose decoder depends on c, and only by these.

        Returns
        -------
        ndarray of shape (n, P)
            float32 mean images.

        Raises
        ------
        InputError
            A shape is wrong, a number is not finite, or categories are missing or not accepted.

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet.images import ImageVAE
        >>> X = np.random.default_rng(0).random((40, 16))
        >>> model = ImageVAE(latent_dim=2, hidden_dim=8, max_epochs=1, device="cpu").fit(X)
        >>> model.decode(np.zeros((1, 2))).shape
        (1, 16)
        """
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
        """Draw images from the model.

        Latents are drawn from the prior, categories from q(c) averaged over the training images.

        Parameters
        ----------
        n_samples : int
            Number n of images.
        category : int or ndarray of shape (n,), optional
            Use this category for all samples, or one for each.
        random_state : int
            Seed of the draws; sample i is the same for every n.
        draw : bool
            Draw pixels from the likelihood; by default its mean is returned.

        Returns
        -------
        ndarray of shape (n, P)
            float32 images.

        Raises
        ------
        InputError
            A number is out of range, or the model does not have a category.

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet.images import ImageVAE
        >>> X = np.random.default_rng(0).random((40, 16))
        >>> model = ImageVAE("cp-vae", n_categories=3, latent_dim=2, hidden_dim=8, max_epochs=1, device="cpu").fit(X)
        >>> model.sample(4, category=2).shape
        (4, 16)
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
        """Return the evidence lower bound per image, in nats; higher is better.

        It is estimated with one draw per image and fixed noise. With a Bernoulli likelihood, gray images are
        binarised once, as validation images are in `fit`.

        Parameters
        ----------
        X : array of shape (n, P), (n, h, w), (n, h, w, 1) or (n, h, w, 3)
            Images like those of the fit.
        y : object
            Ignored, present for scikit-learn's interface.

        Returns
        -------
        float
            Mean over the images, nats.

        Raises
        ------
        InputError
            The variant has a deterministic encoder or none, or the images do not fit the model.

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet.images import ImageVAE
        >>> X = np.random.default_rng(0).random((40, 16))
        >>> model = ImageVAE(latent_dim=2, hidden_dim=8, max_epochs=1, device="cpu", random_state=0).fit(X)
        >>> model.score(X) < 0
        True
        """
        check_is_fitted(self)
        if not variant_of(self.variant).has_bound:
            why = "its encoder is deterministic" if variant_of(self.variant).has_encoder else "it has no encoder"
            raise InputError(f"{self.variant} has no evidence lower bound: {why}")
        network = self.network_.eval()
        with torch.inference_mode(), chosen_threads(threads_for(ROWS, self.sizes_)):
            total = sum(float(torch.stack(list(network.bound(batch).values())).sum()) for batch in self.batches(X))
        return -total / len(X)

    def batches(self, X: Any) -> ImageBatches:
        """Split images into batches on the model's device, preprocessed as for evaluation.

        Parameters
        ----------
        X : array of shape (n, P), (n, h, w), (n, h, w, 1) or (n, h, w, 3)
            Images like those of the fit.

        Returns
        -------
        ImageBatches
            Batches for inference, binarised once if the model is trained on binarised images.

        Raises
        ------
        InputError
            The images have another number of pixels, or a pixel is out of range.

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet.images import ImageVAE
        >>> X = np.random.default_rng(0).random((40, 16))
        >>> model = ImageVAE(latent_dim=2, hidden_dim=8, max_epochs=1, device="cpu").fit(X)
        >>> next(iter(model.batches(X[:7]))).pixels.shape
        torch.Size([7, 16])
        """
        check_is_fitted(self)
        rows, device = rows_at_once(self.network_.latents), self.network_.device
        return ImageBatches(self.fixed(self._known_pixels(X)), rows, device, binarise=False)

    def fixed(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Binarise pixels once, if the model is trained on binarised images.

        Parameters
        ----------
        pixels : ndarray of shape (n, P)
            uint8, or float32 in [0, 1].

        Returns
        -------
        ndarray of shape (n, P)
            float32 zeros and ones, or `pixels` unchanged.

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet.images import ImageVAE
        >>> ImageVAE().fixed(np.array([[0, 255]], np.uint8))
        array([[0., 1.]], dtype=float32)
        """
        return fixed_binarisation(pixels) if self.binarises else pixels

    @property
    def binarises(self) -> bool:
        """True if the model is trained on binarised images.

        Examples
        --------
        >>> from topicnet.images import ImageVAE
        >>> ImageVAE().binarises, ImageVAE(likelihood="gaussian").binarises
        (True, False)
        """
        return self.binarise == "auto" and self._likelihood() == "bernoulli"

    def _likelihood(self) -> str:
        return resolve_likelihood(variant_of(self.variant), self.likelihood, getattr(self, "image_shape_", None))

    @usual_torch()
    @usual_gradients()
    def restore(
        self, n_pixels: int, tensors: Mapping[str, Tensor], ending: Mapping[str, Any], shape: Shape = None
    ) -> None:
        """Restore a fitted model from saved weights, on the CPU.

        Parameters
        ----------
        n_pixels : int
            Number P of pixels.
        tensors : mapping of str to Tensor
            State of the network.
        ending : mapping
            History, best epoch, best loss, reason for stopping, and number of training images.
        shape : tuple of int, optional
            Height and width of the images, and 3 for colour.

        Raises
        ------
        InputError
            The tensors do not fit this variant with these parameters.

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet.images import ImageVAE
        >>> X = np.random.default_rng(0).random((40, 16))
        >>> model = ImageVAE(latent_dim=2, hidden_dim=8, max_epochs=1, device="cpu").fit(X)
        >>> ending = {"history": [], "best_epoch": 1, "best_loss": 0.0, "stopped": "done", "n_images": 40}
        >>> copy = ImageVAE(latent_dim=2, hidden_dim=8)
        >>> copy.restore(16, model.network_.state_dict(), ending)
        >>> np.array_equal(copy.transform(X), model.transform(X))
        True
        """
        sizes = self.check_parameters(n_pixels, shape)
        self.image_shape_ = shape
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
            likelihood=self._likelihood(),
            estimator=resolve_estimator(variant, self.estimator),
            n_images=n_images,
        )

    def _training_settings(self, variant: Variant, n_batches: int) -> TrainingSettings:
        epochs = default_epochs(n_batches, variant.steps) if self.max_epochs is None else self.max_epochs
        one_cycle, warm_up, rate = self.schedule == "one-cycle", self.warm_up, self.learning_rate
        if warm_up is None:
            warm_up = min(100, epochs // 10) if variant.warms_up else 0
        if rate is None and variant.learning_rate is not None:
            rate = variant.learning_rate
        elif rate is None:
            rate = ONE_CYCLE_RATE if one_cycle and variant.drops is None else RATE
        fraction = warm_up if isinstance(warm_up, float) else min(warm_up, epochs) / epochs
        normalise = self.optimizer == "adam_normgrad"
        return TrainingSettings(epochs, self.patience, rate, fraction, one_cycle, normalise)

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
        """Return the pixels of images that fit the model."""
        check_is_fitted(self)
        pixels = self._pixels(X, "X")
        if pixels.shape[1] != self.n_features_in_:
            raise InputError(f"images of {pixels.shape[1]} pixels given, expected {self.n_features_in_}")
        return pixels

    @usual_torch()
    def _map_batches(self, X: Any, function: Callable[[Tensor], Tensor]) -> NDArray[np.float32]:
        pixels = self._known_pixels(X)
        device = self.network_.eval().device
        with torch.inference_mode(), chosen_threads(threads_for(ROWS, self.sizes_)):
            parts = torch.split(torch.as_tensor(pixels), ROWS)
            results = [function(to_unit_interval(part.to(device))).float().cpu() for part in parts]
        return np.asarray(torch.cat(results).numpy())

    def _check_categories(self) -> None:
        check_is_fitted(self)
        if self.network_.latents.n_categories is None:
            raise InputError(f"{self.variant} has no categories")


def _shape_of(X: Any) -> Shape:
    """Return height and width of images, and 3 for colour; None for vectors (n, P)."""
    given = np.asarray(X).shape[1:]
    if len(given) < 2:
        return None
    return given[:2] if len(given) == 3 and given[2] == 1 else tuple(given)
