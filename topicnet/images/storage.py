"""A saved image model: safetensors + JSON, checksummed, and nothing in it is ever executed.

::

    model/model.safetensors   the network's tensors
    model/model.json          format, parameters of the estimator, size and shape of the images, history, checksums
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import topicnet
from topicnet import files
from topicnet.errors import BundleError, InputError
from topicnet.images.estimator import ImageVAE

FORMAT = 1
KIND = "images"  # by which the header of an image model is told from that of a topic model
TENSORS, HEADER = "model.safetensors", "model.json"
HEADER_TYPES = {"parameters": dict, "n_pixels": int, "history": list, "ending": dict, "sha256": dict}
ENDLESS = ("inf", "-inf")  # JSON has no such numbers: parameters that are, are written as words


@dataclass(frozen=True)
class SavedModel:
    """A fitted model with the form of its images.

    Attributes
    ----------
    model : ImageVAE
        Fitted; on the CPU once it is loaded.
    shape : (int, int) or None
        Height and width of an image; None for vectors.
    """

    model: ImageVAE
    shape: tuple[int, int] | None


def save_model(saved: SavedModel, folder: Path) -> None:
    """Write a fitted model into a staged folder."""
    from safetensors.torch import save

    model = saved.model
    state = model.network_.state_dict()
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    files.write_bytes(folder / TENSORS, save(tensors))
    header = {
        "format": FORMAT,
        "kind": KIND,
        "topicnet": topicnet.__version__,
        "parameters": _json_parameters(model),
        "n_pixels": model.n_features_in_,
        "shape": saved.shape,
        "history": model.history_,
        "ending": {
            "best_epoch": model.best_epoch_,
            "best_loss": model.best_loss_,
            "stopped": model.stopped_,
            "n_images": model.n_images_,
        },
        "sha256": {TENSORS: files.sha256(folder / TENSORS)},
    }
    header = json.loads(files.json_text(header))
    files.write_json(folder / HEADER, header | {"checksum": files.json_checksum(header)})


def load_model(path: str | Path) -> SavedModel:
    """Load the model of a run folder, or a model folder itself.

    Raises
    ------
    BundleError
        There is none, or it is damaged, foreign or of a newer format.
    """
    folder = Path(path)
    if not (folder / HEADER).is_file() and (folder / "model" / HEADER).is_file():
        folder = folder / "model"
    header = _read_header(folder)
    try:
        content = (folder / TENSORS).read_bytes()
        changed = files.sha256(folder / TENSORS) != header["sha256"].get(TENSORS)
    except OSError as error:
        raise BundleError(_damaged(folder, f"{TENSORS} cannot be read")) from error
    if changed:
        raise BundleError(_damaged(folder, f"the checksum of {TENSORS} differs"))
    return _restored(folder, header, content)


def _restored(folder: Path, header: dict[str, Any], content: bytes) -> SavedModel:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        height_width = header["shape"]
        model = ImageVAE(**_back(header["parameters"]))
        # JSON has no NaN: a loss that was not measured was written as null.
        history = [{name: math.nan if v is None else v for name, v in row.items()} for row in header["history"]]
        loss = header["ending"].get("best_loss")
        ending = header["ending"] | {"best_loss": math.nan if loss is None else loss, "history": history}
        model.restore(header["n_pixels"], load(content), ending)
        shape = None if height_width is None else (int(height_width[0]), int(height_width[1]))
    except (SafetensorError, InputError, AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise BundleError(_damaged(folder, reason)) from error
    return SavedModel(model, shape)


def _read_header(folder: Path) -> dict[str, Any]:
    path = folder / HEADER
    if not path.is_file():
        raise BundleError(
            f"no image model in {str(folder)!r}: expected a run folder of `topicnet images fit`, with model/{HEADER}"
            " in it"
        )
    try:
        header = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(_damaged(folder, f"{HEADER} cannot be read")) from error
    if not isinstance(header, dict) or header.get("kind") != KIND or not isinstance(header.get("format"), int):
        topics = isinstance(header, dict) and "vocab_size" in header
        what = "a topic model of `topicnet fit`" if topics else "no image model of topicnet"
        raise BundleError(f"{str(path)!r} is {what}: expected a run folder of `topicnet images fit`")
    if header["format"] > FORMAT:
        raise BundleError(
            f"{str(folder)!r} has format {header['format']}, this version of topicnet ({topicnet.__version__}) reads up"
            f" to {FORMAT}: update topicnet"
        )
    checksum = header.pop("checksum", None)
    if checksum != files.json_checksum(header):
        raise BundleError(_damaged(folder, f"the checksum of {HEADER} differs"))
    if "shape" not in header or any(not isinstance(header.get(key), kind) for key, kind in HEADER_TYPES.items()):
        raise BundleError(_damaged(folder, f"{HEADER} lacks an entry"))
    return header


def _damaged(folder: Path, reason: str) -> str:
    return f"the model in {str(folder)!r} is damaged ({reason}): copy it again or fit anew"


def _json_parameters(model: ImageVAE) -> dict[str, Any]:
    """The parameters as JSON values; a RandomState object has none and is left out."""
    kept = {name: _plain(value) for name, value in model.get_params(deep=False).items()}
    if not isinstance(kept["random_state"], int | None):
        kept["random_state"] = None
    return kept


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and math.isinf(value):
        return str(value)
    return {name: _plain(one) for name, one in value.items()} if isinstance(value, Mapping) else value


def _back(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters as they were: none of a variant is called so itself."""
    named = parameters.get("parameters")
    if named is None:
        return parameters
    endless = {name: float(value) for name, value in named.items() if value in ENDLESS}
    return parameters | {"parameters": named | endless}
