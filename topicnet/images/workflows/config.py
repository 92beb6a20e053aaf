"""The configuration of an image run, from a YAML file and the command line; `ImageVAE` checks what a model can be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from topicnet.errors import ConfigError
from topicnet.storage.formats import read_yaml


class ImageConfig(BaseModel):
    """Everything that decides the result of `topicnet images fit`, under the names of its options.

    Attributes
    ----------
    parameters : dict
        The variant's own, such as {"beta": 8}.
    experiment : dict, optional
        What benchmarks read of the same file; a fit does not look at it.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    variant: str = "vae"
    data: str = "digits"
    categories: int | None = None
    latent_dim: int | None = None
    hidden_dim: int = 300
    layers: int = 2
    likelihood: str | None = None
    estimator: str | None = None
    epochs: int | None = None
    batch_size: int = 100
    learning_rate: float | None = None
    warm_up: int | None = None
    schedule: str = "one-cycle"
    optimizer: str = "adam"
    patience: int = 50
    parameters: dict[str, Any] = Field(default_factory=dict)
    device: str = "auto"
    seed: int = Field(default=0, ge=0, lt=2**32)
    experiment: dict[str, Any] | None = Field(default=None, exclude=True)


def read_config(path: Path | None, given: dict[str, Any]) -> ImageConfig:
    """Combine a YAML file with what was given on the command line, which wins.

    Parameters
    ----------
    path : Path, optional
    given : dict
        Field values; None stands for "not given". `parameters` are merged one by one.

    Raises
    ------
    ConfigError
        The file cannot be read, or an entry is unknown or of a wrong kind.
    """
    place = "" if path is None else f"{path}: "
    entries = {} if path is None else read_yaml(path, "variant: cp-vae")
    named = entries.get("parameters") or {}
    if not isinstance(named, dict) or not all(isinstance(name, str) for name in named):
        raise ConfigError(f"{place}parameters is {named!r}, expected names with values, such as beta: 8")
    named = named | (given.get("parameters") or {})
    entries = entries | {name: value for name, value in given.items() if value is not None}
    if "learning_rate" in entries:
        entries["learning_rate"] = _number(entries["learning_rate"])
    entries["parameters"] = {name: _number(value) for name, value in named.items()}
    try:
        return ImageConfig(**entries)
    except ValidationError as error:
        raise ConfigError(" ".join(f"{place}{_complaint(error)}".split())) from error


def _number(value: Any) -> Any:
    """A word that is a number as that number: YAML takes 5e-4 for a word."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _complaint(error: ValidationError) -> str:
    """The first of pydantic's complaints in our words."""
    first: Any = error.errors()[0]
    where = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        return f"there is no entry {where!r}, expected one of: {', '.join(ImageConfig.model_fields)}"
    bounds = first.get("ctx", {})
    kinds = {"int": "a whole number", "float": "a number", "string": "text", "dict": "names with values"}
    expected = next((word for kind, word in kinds.items() if first["type"].startswith(kind)), str(first["msg"]))
    if "ge" in bounds:
        expected = f"{bounds['ge']} or more"
    if "lt" in bounds:
        expected = f"less than {bounds['lt']}"
    return f"{where}={first['input']!r} given, expected {expected}"
