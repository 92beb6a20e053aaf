"""Checks of an image job before anything is read and before torch is imported."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from topicnet.errors import InputError
from topicnet.images.data.idx import is_idx_folder
from topicnet.images.data.load import KNOWN, NAMED
from topicnet.images.data.picture_folder import picture_files
from topicnet.images.model.variants import components_in, resolve_parameters, variant_of
from topicnet.images.workflows.config import ImageConfig
from topicnet.runtime.device_names import check_device_name
from topicnet.runtime.extras import check_installed, is_installed
from topicnet.storage.overlap import Named, check_apart
from topicnet.storage.run_folder import RECORD, Destination
from topicnet.training.resumable import check_destination, unfinished_of


def run_name(config: ImageConfig) -> str:
    """Return the default name of a run folder: NAME-VARIANT."""
    name = Path(os.path.realpath(config.data)).name if config.data not in NAMED else config.data
    return f"{name.removesuffix('.gz').removesuffix('.npz') or 'images'}-{config.variant}"


def check_fit(config: ImageConfig, destination: Destination, config_file: Path | None) -> None:
    """Check the variant, images, device and output folder of a fit.

    Raises
    ------
    TopicnetError
        One of them cannot be used, as reported by the fit itself.
    """
    variant_of(config.variant)
    resolve_parameters(config.variant, config.parameters)
    check_device_name(config.device)
    check_source(config.data)
    target = destination.folder(run_name(config))
    check_apart([target, unfinished_of(target).folder], inputs_of(config.data, config_file))
    check_destination(target, overwrite=destination.overwrite, resume=destination.resume)


def check_comparison(config: ImageConfig, variants: Iterable[str], out: Path | None, config_file: Path | None) -> None:
    """Check the variants, images, device and output folder of a comparison, with the errors of `check_fit`."""
    for name in variants:
        variant_of(name)
    check_device_name(config.device)
    check_source(config.data)
    check_apart([out], inputs_of(config.data, config_file))


def check_source(data: str) -> None:
    """Raise InputError if the images do not exist."""
    if data not in NAMED and (data == "" or not os.path.exists(data)):
        raise InputError(f"there is no {data!r}; expected {KNOWN}. Check the name")
    if data in NAMED or is_installed("PIL"):
        return
    if os.path.isdir(data) and not is_idx_folder(Path(data)) and picture_files(Path(data)):
        check_installed(f"reading images from {data!r}", ["PIL"])


def check_information(options: Mapping[str, str | bool | None], *, wanted: bool) -> None:
    """Raise InputError for options of a bound on information that is not wanted, or components that cannot exist."""
    given = [name for name, value in options.items() if value not in (None, False)]
    if given and not wanted:
        raise InputError(f"--{given[0]} given without --information, which it belongs to: add it, or leave both out")
    components = options["components"]
    components_in(components if isinstance(components, str) else None)


def inputs_of(data: str, config_file: Path | None = None) -> list[Named]:
    """Return the paths that a fit or an evaluation reads."""
    images = [] if data in NAMED else [("the images", Path(data))]
    return images if config_file is None else [*images, ("the configuration", config_file)]


def check_outputs(run: Path, outputs: Iterable[Path | None], data: str | None = None) -> None:
    """Raise OutputError for outputs that overlap a finished run or the images: `data`, by default those of the run."""
    if data is None:
        try:
            data = str(json.loads((run / RECORD).read_text("utf-8"))["data"]["source"])
        except (OSError, ValueError, LookupError, TypeError):  # reported when the run is loaded
            data = NAMED[0]
    check_apart(outputs, [("the run", run), *inputs_of(data)])


def check_drawing(run: Path) -> None:
    """Raise InputError, with the pip extra to install, if the library that draws the pictures of a run is missing."""
    try:
        shape = json.loads((run / "model" / "model.json").read_text("utf-8"))["shape"]
    except (OSError, ValueError, LookupError, TypeError):  # reported when the run is loaded
        return
    if shape is None:
        check_installed("a chart", ["matplotlib"])
    else:
        check_installed("a gallery of images", ["PIL"])
