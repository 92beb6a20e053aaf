"""Images decoded over a grid of two latent components, with the others fixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from topicnet.core.counter_rng import Noise
from topicnet.errors import InputError
from topicnet.images.drawing.latent_space import grid_picture
from topicnet.images.geometry.latent_space import decoding_space
from topicnet.images.model.estimator import ImageVAE
from topicnet.images.model.latents import CategoricalLatents
from topicnet.images.model.settings import MOST_THREADS
from topicnet.images.workflows.pictures import MOST_TILE_PIXELS
from topicnet.images.workflows.views import PRIOR_DRAWS, WIDEST_SPAN, check_category
from topicnet.runtime.threads import chosen_threads
from topicnet.training.checks import check_count, check_number

MOST_STEPS = 60

Array = NDArray[np.float64]
Images = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LatentGrid:
    """Images decoded over a grid of two latent components.

    Attributes
    ----------
    dims : (int, int)
        Components along the x and the y axis.
    values : (ndarray of shape (n,), ndarray of shape (n,))
        Their values, ascending.
    images : ndarray of shape (n, n, P)
        Mean images; the first index is that of the y axis.
    quantiles : bool
        Whether the values are quantiles of the prior.
    category : int or None
        Category of all images, if the decoder depends on one.
    """

    dims: tuple[int, int]
    values: tuple[Array, Array]
    images: Images
    quantiles: bool
    category: int | None

    def picture(self, shape: tuple[int, ...] | None, title: str) -> bytes:
        """Draw the grid as a PNG.

        Raises
        ------
        InputError
            The data are not images.
        """
        if shape is None:
            raise InputError("a grid of vectors was asked for; expected a model of images: use traverse for vectors")
        i, j = (f"z_{dim}" for dim in self.dims)
        return grid_picture(self.images.clip(0.0, 1.0), shape, self.values, (i, j), title)


def latent_grid(
    model: ImageVAE,
    dims: tuple[int, int],
    *,
    image: NDArray[Any] | None = None,
    steps: int = 20,
    span: float | None = None,
    category: int | None = None,
) -> LatentGrid:
    """Decode images over a grid of two latent components.

    Parameters
    ----------
    model : ImageVAE
        A fitted model.
    dims : (int, int)
        Components along the x and the y axis.
    image : ndarray of shape (P,), optional
        Image whose code gives the other components; by default the mean of the prior.
    steps : int
        Number of values along each axis, from 2 to 60.
    span : float, optional
        Space the values evenly over this many standard deviations of the prior below and above its mean; by default
        they are the quantiles (i + 1/2) / steps of the prior, which gives each image the same prior probability.
    category : int, optional
        By default the most probable one of the image or, without an image, the one used most in training.

    Returns
    -------
    LatentGrid
        The values and the decoded images.

    Raises
    ------
    InputError
        The model does not have the category or component, or a number is out of range.
    """
    latents = model.network_.latents
    check_category(model, category)
    check_count("--steps", steps, least=2, most=MOST_STEPS)
    if span is not None:
        check_number("--span", span, above=0.0, most=WIDEST_SPAN)
    if len(set(dims)) != 2 or not all(0 <= dim < latents.latent_dim for dim in dims):
        raise InputError(f"components {dims} given, expected two different ones from 0 to {latents.latent_dim - 1}")
    if steps * steps * model.n_features_in_ > MOST_TILE_PIXELS:
        raise InputError(
            f"--steps {steps} given for images of {model.n_features_in_} pixels, expected at most {MOST_TILE_PIXELS:,}"
            " pixels in all: lower --steps"
        )
    held = category
    if held is None and isinstance(latents, CategoricalLatents):
        held = (
            int(latents.category_weights.argmax())
            if image is None
            else int(model.category_probabilities(image[None])[0].argmax())
        )
    decoded_category = held if latents.decodes_categories else None
    with torch.no_grad(), chosen_threads(MOST_THREADS):
        noise = Noise.of(0, np.arange(PRIOR_DRAWS), model.network_.device)
        prior = torch.cat(latents.sample(noise, PRIOR_DRAWS, category if held is None else held), -1)
        draws = prior[:, : latents.latent_dim].double().cpu().numpy()
    space = decoding_space(model, decoded_category)
    base = draws.mean(0) if image is None else space.encode(image[None])[0].numpy()
    if span is None:
        at = (np.arange(steps) + 0.5) / steps
        values = tuple(np.quantile(draws[:, dim], at) for dim in dims)
    else:
        offsets = np.linspace(-span, span, steps)
        values = tuple(draws[:, dim].mean() + draws[:, dim].std() * offsets for dim in dims)
    codes = np.tile(base, (steps, steps, 1))
    codes[:, :, dims[0]], codes[:, :, dims[1]] = values[0][None], values[1][:, None]
    images = space.decode(codes.reshape(-1, codes.shape[-1])).reshape(steps, steps, -1)
    return LatentGrid(dims, (values[0], values[1]), images, span is None, decoded_category)
