"""Storage of image models as safetensors and JSON with checksums; loading never executes code.

::

    model/model.safetensors   tensors of the network
    model/model.json          format, estimator parameters, size and shape of the images, history, checksums
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topicnet.errors import InputError
from topicnet.images.data.checks import CHANNELS
from topicnet.images.data.load import Shape, channels_of
from topicnet.images.model.estimator import ImageVAE
from topicnet.images.model.variants import variant_of
from topicnet.storage import model_files
from topicnet.storage.model_files import HEADER, damaged, history_of

FORMAT = 3  # 2: models with a `head`, which is linear in format 1; 3: colour, or convolutions
KIND = "images"  # distinguishes the header from that of a topic model
HEADER_TYPES = {"parameters": dict, "n_pixels": int, "history": list, "ending": dict}
INFINITE = ("inf", "-inf")  # as written by `json_parameters`


@dataclass(frozen=True)
class SavedModel:
    """Fitted model with the shape of its images.

    Attributes
    ----------
    model : ImageVAE
        The model, on the CPU after loading.
    shape : (int, int), (int, int, 3) or None
        Height and width of an image, and 3 for colour; None for vectors.
    """

    model: ImageVAE
    shape: Shape


def save_model(saved: SavedModel, folder: Path) -> None:
    """Write a fitted model into a staged folder."""
    model = saved.model
    model_files.write_tensors(folder, model.network_.state_dict())
    header = {
        "format": _format_of(saved),
        "kind": KIND,
        "parameters": model_files.json_parameters(model.get_params(deep=False)),
        "n_pixels": model.n_features_in_,
        "shape": saved.shape,
        "history": model.history_,
        "ending": {
            "best_epoch": model.best_epoch_,
            "best_loss": model.best_loss_,
            "stopped": model.stopped_,
            "n_images": model.n_images_,
        },
    }
    model_files.write_header(folder, header)


def _format_of(saved: SavedModel) -> int:
    """Return the oldest format that can hold a model, so that earlier versions read what they can."""
    if saved.model.architecture != "dense" or channels_of(saved.shape) > 1:
        return FORMAT
    return 2 if "head" in saved.model.parameters_ else 1


def load_model(path: str | Path) -> SavedModel:
    """Load the model of a run folder, or of a model folder.

    Raises
    ------
    BundleError
        There is no image model, or it is damaged, of another kind, or of a newer format.
    """
    folder = model_files.folder_of(path)
    header = model_files.read_header(
        folder,
        what="image model",
        command="topicnet images fit",
        newest=FORMAT,
        refuse=_other_than_images,
        types=HEADER_TYPES,
    )
    if "shape" not in header:  # null for vectors
        raise damaged(folder, f"{HEADER} lacks an entry")
    return _restored(folder, header)


def _other_than_images(header: Any) -> str | None:
    if isinstance(header, dict) and header.get("kind") == KIND and isinstance(header.get("format"), int):
        return None
    topics = isinstance(header, dict) and "vocab_size" in header
    what = "a topic model of `topicnet fit`" if topics else "not an image model of topicnet"
    return f"is {what}: expected a run folder of `topicnet images fit`"


def _restored(folder: Path, header: dict[str, Any]) -> SavedModel:
    tensors = model_files.read_tensors(folder, header)
    try:
        sizes = header["shape"]
        model = ImageVAE(**_with_linear_head(header["format"], _parsed_parameters(header["parameters"])))
        loss = header["ending"].get("best_loss")
        ending = header["ending"] | {"best_loss": math.nan if loss is None else loss, "history": history_of(header)}
        shape = None if sizes is None else tuple(int(size) for size in sizes)
        if shape is not None and (shape[2:] not in ((), (CHANNELS,)) or len(shape) < 2):
            raise ValueError(f"images of shape {shape}")
        model.restore(header["n_pixels"], tensors, ending, shape)
    except (InputError, AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise damaged(folder, reason) from error
    return SavedModel(model, shape)


def _parsed_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    """Convert infinite parameters, saved as strings, back to floats.

    No variant has a string parameter with the value "inf" or "-inf".
    """
    named = parameters.get("parameters")
    if named is None:
        return parameters
    infinite = {name: float(value) for name, value in named.items() if value in INFINITE}
    return parameters | {"parameters": named | infinite}


def _with_linear_head(file_format: int, parameters: dict[str, Any]) -> dict[str, Any]:
    """Add the parameter that models of format 1 lack, if their variant has it."""
    if file_format > 1 or "head" not in variant_of(parameters["variant"]).parameters:
        return parameters
    return parameters | {"parameters": {**(parameters.get("parameters") or {}), "head": "linear"}}
