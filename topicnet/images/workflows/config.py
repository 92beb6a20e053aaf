"""Configuration of an image run, from a YAML file and the command line; `ImageVAE` checks the values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from topicnet.storage.config_file import read_config_file


class ImageConfig(BaseModel):
    """Everything that determines the result of `topicnet images fit`, named like its options.

    Attributes
    ----------
    variant : str
        Name in `VARIANTS`.
    data : str
        Source of the images, see `load_images`.
    categories : int or None
        Number of categories, `n_categories` of the estimator.
    latent_dim : int or None
        Dimension of the latent space.
    hidden_dim : int
        Width of the hidden layers.
    layers : int
        Number of gated layers, `n_layers` of the estimator.
    architecture : str
        Kind of the layers: dense, or conv for pictures.
    likelihood : str or None
        Likelihood; None for the variant's own, or in colour for the logistic in place of a Bernoulli.
    estimator : str or None
        Gradient estimator of categories.
    epochs : int or None
        Number of epochs, `max_epochs` of the estimator.
    batch_size : int
        Images per training step.
    learning_rate : float or None
        Highest learning rate.
    warm_up : int, float or None
        Epochs (an integer) or fraction of the run (a float) in which the divergences are phased in.
    schedule : str
        Course of the learning rate.
    optimizer : str
        Name of the optimiser.
    patience : int
        Stop after this many epochs without a better validation loss.
    information_every : int or None
        Epochs between measurements of the information of decoded images about the code; None for no measurement.
    parameters : dict
        Parameters of the variant, such as {"beta": 8}.
    device : str
        Device of the fit.
    seed : int
        Seed, `random_state` of the estimator.
    experiment : dict, optional
        Settings that benchmarks read from the same file; a fit ignores them.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    variant: str = "vae"
    data: str = "digits"
    categories: int | None = None
    latent_dim: int | None = None
    hidden_dim: int = 300
    layers: int = 2
    architecture: str = "dense"
    likelihood: str | None = None
    estimator: str | None = None
    epochs: int | None = None
    batch_size: int = 100
    learning_rate: float | None = None
    warm_up: int | float | None = None
    schedule: str = "one-cycle"
    optimizer: str = "adam"
    patience: int = 50
    information_every: int | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    device: str = "auto"
    seed: int = Field(default=0, ge=0, lt=2**32)
    experiment: dict[str, Any] | None = Field(default=None, exclude=True)


def read_config(path: Path | None, given: dict[str, Any]) -> ImageConfig:
    """Combine a YAML file with command-line values, which take precedence; see `read_config_file`."""
    return read_config_file(ImageConfig, path, given, "variant: cp-vae")
