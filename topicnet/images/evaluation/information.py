"""Lower bound on the mutual information between the code of a fitted model and the images decoded from it.

E log Q(code | image) + H(code) <= I(code; image), with the code from q(. | x') for test images x', or from the prior,
and the image drawn from p(x | code) (Barber & Agakov 2003; Serdega & Kim 2020). This is information about the decoded
image, not about x': I(c; x') is exact, and reported by `evaluate`. A mean image has no noise, so that it can carry any
number of nats about a continuous code; taking it is an option.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from topicnet.errors import InputError
from topicnet.images.data.load import ImageData
from topicnet.images.evaluation.code_parts import Decoded, part_of
from topicnet.images.evaluation.decoded_information import PredictorTraining, bound_of
from topicnet.images.evaluation.drawn_codes import Origin
from topicnet.images.model.estimator import ImageVAE
from topicnet.images.model.settings import MOST_THREADS, check_name
from topicnet.images.model.variants import components_in
from topicnet.runtime.threads import chosen_threads
from topicnet.runtime.torch_state import usual_gradients
from topicnet.training.checks import check_count

LEAST_IMAGES, MOST_IMAGES = 20, 10_000
LEAST_DRAWS = 10_000  # draws per epoch, and of the measurement
BATCH = 200


def information_bound(
    model: ImageVAE,
    data: ImageData,
    *,
    components: str | Sequence[int] | None = None,
    drawn_from: Origin | None = None,
    image: Decoded = "draw",
    seed: int = 0,
    epochs: int = 30,
) -> dict[str, Any]:
    """Estimate a lower bound on the mutual information between decoded images and the code of a fitted model.

    A network Q learns to predict a part of the code from the decoded image, on fresh draws in each epoch from one half
    of the test images (at most 10,000), or from the prior. The result is measured on draws from the other half. The
    model is not changed.

    Parameters
    ----------
    model : ImageVAE
        A fitted model of any variant.
    data : ImageData
        The images; the test split is used.
    components : str or sequence of int, optional
        The part of the code: "c", "z", or dimensions of z, such as "3,17" or [3, 17]. By default what training makes
        informative: c, or the dimensions chosen by vmi-z; otherwise z.
    drawn_from : {"posterior", "prior"}, optional
        Draw codes from q(. | x') of test images, or from the prior. By default from the posterior, except where its
        density is not known: with a deterministic encoder, and for z of both levels.
    image : {"draw", "mean"}
        Predict the code from an image drawn from p(x | code), or from its mean. A squared error, which is no
        distribution, always gives the mean.
    seed : int
        Seed of the split, the draws and the training of Q.
    epochs : int
        Most epochs, of 10,000 draws or more, for which Q is trained; it stops early when predictions for held-out
        draws no longer improve.

    Returns
    -------
    dict
        ``of``: "c", "z" or dimensions of it. ``drawn_from`` and ``image`` as above. ``bound``: nats, with a 95 %
        interval over images or draws from ``low`` to ``high``. All are clipped: to [0, H] for categories, and at 0 for
        z, whose differential entropy is no upper limit. ``entropy``: H of the code, which ``entropy_of`` names, exact
        for categories and for z from N(0, I), otherwise estimated at the draws. ``log_q``: E log Q, the bound before
        clipping without the entropy. ``n_images``: images that codes are drawn from, 0 for the prior. ``n_draws``,
        ``epochs``.

    Raises
    ------
    InputError
        The model does not have the components, the density of codes is not known, there are fewer than 20 test images,
        or the images have another size.

    See Also
    --------
    evaluate : Measures I(c; x) of data x exactly, and I(x; z) over the test images.

    Notes
    -----
    Q for z is a Gaussian with independent dimensions. Dependence between the dimensions given the image makes the bound
    looser, and never invalid. The interval does not contain this gap.

    References
    ----------
    Barber & Agakov (2003), "The IM Algorithm: A Variational Approach to Information Maximization", NIPS.

    Serdega & Kim (2020), "VMI-VAE: Variational Mutual Information Maximization Framework for VAE With Discrete and
    Continuous Priors".

    Examples
    --------
    >>> from dataclasses import replace
    >>> from topicnet.images import ImageVAE, information_bound, load_images
    >>> from topicnet.images.data.checks import Split
    >>> images = load_images("digits")
    >>> images = replace(images, test=Split(images.test.pixels[:40], None))
    >>> model = ImageVAE(latent_dim=2, hidden_dim=8, max_epochs=1, device="cpu").fit(images.train.pixels)
    >>> found = information_bound(model, images, components=[1], drawn_from="prior", epochs=1)
    >>> found["of"], found["entropy_of"], round(found["entropy"], 4)
    ('z_1', 'h(p(z)), exact', 1.4189)
    """
    check_is_fitted(model)
    check_count("epochs", epochs)
    check_count("seed", seed, least=0)
    check_name("image", image, get_args(Decoded))
    if drawn_from is not None:
        check_name("drawn_from", drawn_from, get_args(Origin))
    part = part_of(model.network_, components_in(components), drawn_from, image)
    pixels = _test_pixels(model, data)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(pixels))
    halves = pixels[order[len(order) // 2 :]], pixels[order[: len(order) // 2]]
    sizes = model.n_features_in_, model.sizes_.hidden_dim
    with chosen_threads(MOST_THREADS), usual_gradients():
        return bound_of(part, halves, sizes, rng, PredictorTraining(epochs, LEAST_DRAWS, BATCH))


def _test_pixels(model: ImageVAE, data: ImageData) -> NDArray[Any]:
    if data.n_pixels != model.n_features_in_:
        raise InputError(f"images of {data.n_pixels} pixels given, expected {model.n_features_in_}, as the model has")
    if len(data.test.pixels) < LEAST_IMAGES:
        raise InputError(
            f"{len(data.test.pixels)} test images given, expected {LEAST_IMAGES} or more: Q is trained on half of them"
        )
    return model.fixed(data.test.pixels[:MOST_IMAGES])
