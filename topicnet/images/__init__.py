"""Variational autoencoders for images, or any vectors in [0, 1]: 27 variants of one model with one training loop.

Every name below is imported on first use, so that reading images does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from topicnet.images.data.load import ImageData, load_images
    from topicnet.images.evaluation.evaluate import evaluate
    from topicnet.images.evaluation.information import information_bound
    from topicnet.images.geometry.latent_space import ImageGeodesic, LatentSpace
    from topicnet.images.model.estimator import ImageVAE
    from topicnet.images.model.variants import VARIANTS

__all__ = [
    "VARIANTS",
    "ImageData",
    "ImageGeodesic",
    "ImageVAE",
    "LatentSpace",
    "evaluate",
    "information_bound",
    "load_images",
]

_HOMES = {
    "ImageData": "topicnet.images.data.load",
    "load_images": "topicnet.images.data.load",
    "ImageVAE": "topicnet.images.model.estimator",
    "evaluate": "topicnet.images.evaluation.evaluate",
    "information_bound": "topicnet.images.evaluation.information",
    "ImageGeodesic": "topicnet.images.geometry.latent_space",
    "LatentSpace": "topicnet.images.geometry.latent_space",
    "VARIANTS": "topicnet.images.model.variants",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
