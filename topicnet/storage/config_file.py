"""Read a configuration: a YAML file, overridden by what was given beside it, checked by a pydantic model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from topicnet.errors import ConfigError
from topicnet.storage.formats import read_yaml

Config = TypeVar("Config", bound=BaseModel)

# What pydantic calls a kind of value, and what we call it.
KINDS = {
    "int": "a whole number", "float": "a number", "string": "text", "bool": "true or false",
    "dict": "names with values", "list": "a list",
}  # fmt: skip


def read_config_file(kind: type[Config], path: Path | None, given: dict[str, Any], example: str) -> Config:
    """Combine the entries of a YAML file with those given, which win.

    Parameters
    ----------
    kind : type
        The pydantic model to make; its field `parameters` is merged entry by entry.
    path : Path, optional
        The YAML file; without one only what was given counts.
    given : dict
        Field values; None stands for "not given".
    example : str
        An entry such as ``topics: 20``, shown when the file holds no named entries.

    Raises
    ------
    ConfigError
        The file cannot be read, or an entry is unknown or impossible.
    """
    place = "" if path is None else f"{path}: "
    entries = {} if path is None else read_yaml(path, example)
    named = {} if entries.get("parameters") is None else entries["parameters"]
    if not isinstance(named, dict) or not all(isinstance(name, str) for name in named):
        found = named if isinstance(named, dict) else type(named).__name__
        raise ConfigError(f"{place}parameters is {found}, expected names with values")
    named = named | {name: value for name, value in (given.get("parameters") or {}).items() if value is not None}
    entries = entries | {name: value for name, value in given.items() if value is not None}
    for name, field in kind.model_fields.items():
        if name in entries and field.annotation == float | None:
            entries[name] = _number(entries[name])
    named = {name: value.item() if getattr(value, "shape", None) == () else value for name, value in named.items()}
    for name, value in named.items():
        if not _is_plain(value):
            raise ConfigError(
                f"{place}{name}={' '.join(repr(value).split())[:60]} given, expected a finite number, a word, true or"
                " false, or a list of these"
            )
    entries["parameters"] = {name: _number(value) for name, value in named.items()}
    try:
        return kind(**entries)
    except ValidationError as error:
        raise ConfigError(" ".join(f"{place}{_complaint(error, kind)}".split())) from error


def _number(value: Any) -> Any:
    """Read a word that is a number as that number: YAML takes 5e-4 for a word."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _is_plain(value: Any) -> bool:
    """Return whether JSON has the value, too: no date, bytes, set or infinity, which YAML and Python know."""
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(name, str) and _is_plain(one) for name, one in value.items())
    if isinstance(value, int | float):
        return math.isfinite(value) if isinstance(value, float) else abs(value) < 2**63
    return value is None or isinstance(value, str) or hasattr(value, "dtype")  # the model looks at arrays itself


def _complaint(error: ValidationError, kind: type[BaseModel]) -> str:
    """The first of pydantic's complaints in our words."""
    first: Any = error.errors()[0]
    # Where a value may be of several kinds, pydantic names the kind as well.
    where = ".".join(str(part) for part in first["loc"] if part not in ("str", "list[str]", "int", "float"))
    if first["type"] == "extra_forbidden":
        return f"there is no entry {where!r}, expected one of: {', '.join(kind.model_fields)}"
    return f"{where}={first['input']!r} given, expected {_expected(first)}"


def _expected(problem: Any) -> str:
    bounds = problem.get("ctx", {})
    if problem["type"] == "literal_error":
        return str(bounds["expected"]).replace("'", "")
    if "ge" in bounds:
        return f"{bounds['ge']} or more"
    if "lt" in bounds:
        return f"less than {bounds['lt']}"
    return next((word for kind, word in KINDS.items() if problem["type"].startswith(kind)), str(problem["msg"]))
