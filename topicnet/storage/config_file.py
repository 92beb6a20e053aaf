"""Configuration files: YAML, overridden by given values and validated by a pydantic model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from topicnet.errors import ConfigError
from topicnet.storage.formats import read_yaml

Config = TypeVar("Config", bound=BaseModel)

# Names of value types in error messages, by pydantic's names.
KINDS = {
    "int": "a whole number", "float": "a number", "string": "text", "bool": "true or false",
    "dict": "names with values", "list": "a list",
}  # fmt: skip


def read_config_file(kind: type[Config], path: Path | None, given: dict[str, Any], example: str) -> Config:
    """Combine the entries of a YAML file with given values, which take precedence.

    Parameters
    ----------
    kind : type
        Pydantic model to create; its field `parameters` is merged entry by entry.
    path : Path, optional
        YAML file; without it, only the given values are used.
    given : dict
        Field values; None means "not given".
    example : str
        An entry such as ``topics: 20``, shown if the file holds no named entries.

    Returns
    -------
    BaseModel
        The validated configuration.

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
    """Convert text that is a number to that number, because YAML reads 5e-4 as text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _is_plain(value: Any) -> bool:
    """Return whether a value can be represented in JSON, unlike dates, bytes, sets and infinities."""
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(name, str) and _is_plain(one) for name, one in value.items())
    if isinstance(value, int | float):
        return math.isfinite(value) if isinstance(value, float) else abs(value) < 2**63
    return value is None or isinstance(value, str) or hasattr(value, "dtype")  # arrays are checked by the model


def _complaint(error: ValidationError, kind: type[BaseModel]) -> str:
    """Describe the first validation error."""
    problems: list[Any] = error.errors()
    first = problems[0]
    if first["type"].startswith("int"):  # a field that takes both kinds of numbers reports each
        own = (one for one in problems if one["loc"][0] == first["loc"][0])
        first = next((one for one in own if one["type"].startswith("float")), first)
    # For union types, pydantic adds the type to the location.
    where = ".".join(str(part) for part in first["loc"] if part not in ("str", "list[str]", "int", "float"))
    if first["type"] == "extra_forbidden":
        return f"unknown entry {where!r}, expected one of: {', '.join(kind.model_fields)}"
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
