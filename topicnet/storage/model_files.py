"""Files of saved models: tensors, and a header with checksums of every file and of itself.

::

    model/model.safetensors   tensors
    model/model.json          format, entries, checksums of the other files and of itself
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from topicnet._version import __version__
from topicnet.errors import BundleError
from topicnet.storage import atomic, formats

if TYPE_CHECKING:
    from torch import Tensor

TENSORS, HEADER = "model.safetensors", "model.json"


def write_tensors(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors in the safetensors format, creating the folder if needed."""
    from safetensors.torch import save

    content = save({name: value.detach().cpu().contiguous() for name, value in tensors.items()})
    formats.write_bytes(folder / TENSORS, content)


def write_header(folder: Path, entries: Mapping[str, Any], others: Iterable[str] = (TENSORS,)) -> None:
    """Write the header, with the version of topicnet and checksums of the other files."""
    added = {"topicnet": __version__, "sha256": {name: formats.sha256(folder / name) for name in others}}
    header = json.loads(formats.json_text({**entries, **added}))
    formats.write_json(folder / HEADER, header | {"checksum": formats.json_checksum(header)})


def json_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return an estimator's parameters as JSON values, with null for those without one, such as a RandomState."""
    return {name: _json_value(value) for name, value in parameters.items()}


def _json_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return json_parameters(value)
    plain = value.item() if hasattr(value, "dtype") and value.ndim == 0 else value  # a numpy scalar
    if isinstance(plain, float) and math.isinf(plain):
        return str(plain)  # written as text, because JSON has no infinities
    return plain if isinstance(plain, str | int | float | bool | None) else None


def folder_of(path: str | Path) -> Path:
    """Return the model folder, given the path of the run or of the model folder itself."""
    folder = Path(path)
    atomic.restore(folder)
    inner = folder / "model"
    return inner if not (folder / HEADER).is_file() and (inner / HEADER).is_file() else folder


def check_there(folder: Path, what: str = "model", command: str = "topicnet fit") -> None:
    """Raise BundleError if a folder holds no saved model; `what` and `command` appear in the message."""
    if not (folder / HEADER).is_file():
        raise BundleError(
            f"no {what} in {str(folder)!r}: expected a run folder of `{command}`, with model/{HEADER} in it"
        )


def read_header(
    folder: Path,
    *,
    what: str,
    command: str,
    newest: int,
    refuse: Callable[[Any], str | None],
    types: Mapping[str, type],
) -> dict[str, Any]:
    """Read and check the header, but not the files that it lists; see `checked_file`.

    Parameters
    ----------
    folder : Path
        Model folder.
    what, command : str
        Kind of model, and the command that writes its runs, for messages.
    newest : int
        Newest format that this version reads.
    refuse : callable
        Given a header of another kind, returns a description of it and of the expected kind; else None, in which case
        the header has an integer as format.
    types : mapping of str to type
        Required entries and their types.

    Raises
    ------
    BundleError
        The header is missing, damaged, of another kind or of a newer format.
    """
    check_there(folder, what, command)
    try:
        header = json.loads((folder / HEADER).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(folder, f"{HEADER} cannot be read") from error
    if (instead := refuse(header)) is not None:
        raise BundleError(f"{str(folder)!r} {instead}")
    if header["format"] > newest:
        raise BundleError(
            f"{str(folder)!r} has format {header['format']}, this version of topicnet ({__version__}) reads up"
            f" to {newest}: update topicnet"
        )
    checksum = header.pop("checksum", None)
    if checksum != formats.json_checksum(header):
        raise damaged(folder, f"the checksum of {HEADER} differs")
    if any(not isinstance(header.get(name), kind) for name, kind in ({"sha256": dict} | dict(types)).items()):
        raise damaged(folder, f"{HEADER} lacks an entry")
    return dict(header)


def checked_file(folder: Path, header: Mapping[str, Any], name: str) -> Path:
    """Return the path of a file of the model after comparing its checksum with the header.

    Raises
    ------
    BundleError
        The file differs or cannot be read.
    """
    try:
        found = formats.sha256(folder / name)
    except OSError as error:
        raise damaged(folder, f"{name} cannot be read") from error
    if found != header["sha256"].get(name):
        raise damaged(folder, f"the checksum of {name} differs")
    return folder / name


def read_tensors(folder: Path, header: Mapping[str, Any]) -> dict[str, Tensor]:
    """Read the tensors of a model.

    Raises
    ------
    BundleError
        They differ from those that were written, or are not in the safetensors format.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        with torch.inference_mode(False):  # tensors created in a caller's inference mode cannot be trained
            return load(checked_file(folder, header, TENSORS).read_bytes())
    except SafetensorError as error:
        raise damaged(folder, str(error).splitlines()[0]) from error


def history_of(header: Mapping[str, Any]) -> list[dict[str, float]]:
    """Return the rows of the history, with null (JSON has no NaN) as NaN."""
    return [{name: math.nan if value is None else value for name, value in row.items()} for row in header["history"]]


def damaged(folder: Path, reason: str) -> BundleError:
    """Build the error for a damaged model."""
    return BundleError(f"the model in {str(folder)!r} is damaged ({reason}): copy it again or fit again")
