"""The configuration of a run, from a YAML file and the command line; estimators check their own arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from topicnet.errors import ConfigError
from topicnet.storage.formats import read_yaml


class FitConfig(BaseModel):
    """Everything that decides the result of `topicnet fit`.

    `parameters` go to the model untouched, under the names of its documentation; the other fields have the names of
    the command line's options.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    corpus: str | list[str] | None = None
    model: str = "etm"
    topics: int = Field(default=20, ge=1)
    seed: int = Field(default=0, ge=0, lt=2**32)
    seeds: int = Field(default=1, ge=1)
    device: str = "auto"
    lang: str | None = None
    tokenizer: str | None = None
    lemmatize: bool = False
    phrases: bool = False
    stop_words: str | None = None
    add_stop_words: str | None = None
    vocabulary: str | None = None
    drop_urls: bool = False
    drop_emails: bool = False
    strip_html: bool = False
    keep_numbers: bool = False
    text_column: str = "text"
    id_column: str | None = None
    label_column: str | None = None
    time_column: str | None = None
    keep_columns: list[str] = Field(default_factory=list)
    encoding: str = "utf-8"
    file_format: str | None = None
    skip_bad_rows: bool = False
    min_df: int | float | None = None
    max_df: int | float | None = None
    max_vocab: int = Field(default=20_000, ge=1)
    keep_corpus: bool = True
    keep_texts: bool = False
    passages: int | None = Field(default=None, ge=1, lt=1_000_000_000)
    engine: Literal["local", "ray"] = "local"
    workers: int | None = Field(default=None, ge=1)
    parameters: dict[str, Any] = Field(default_factory=dict)


def read_config(path: Path | None, given: dict[str, Any]) -> FitConfig:
    """Combine a YAML file with what was given on the command line, which wins.

    Parameters
    ----------
    path : Path, optional
    given : dict
        Field values; None stands for "not given". `parameters` are merged one by one.

    Raises
    ------
    ConfigError
        The file cannot be read, or an entry is unknown or impossible.
    """
    entries = read_yaml(path, "topics: 20") if path is not None else {}
    parameters = {} if entries.get("parameters") is None else entries["parameters"]
    if not isinstance(parameters, dict):
        raise ConfigError(f"{path}: parameters is {type(parameters).__name__}, expected names with values")
    given = dict(given)
    extra = {name: value for name, value in (given.pop("parameters", None) or {}).items() if value is not None}
    entries = entries | {name: value for name, value in given.items() if value is not None}
    try:
        return FitConfig(**(entries | {"parameters": parameters | extra}))
    except ValidationError as error:
        first = error.errors()[0]
        # Of what may be one of two kinds, pydantic names the kind too.
        where = ".".join(str(part) for part in first["loc"] if part not in ("str", "list[str]", "int", "float"))
        place = f"{path}: " if path is not None else ""
        if first["type"] == "extra_forbidden":
            known = ", ".join(FitConfig.model_fields)
            raise ConfigError(f"{place}there is no entry {where!r}, expected one of: {known}") from error
        expected = _expected(first)
        raise ConfigError(f"{place}{where}={first['input']!r} given, expected {expected}".replace("\n", " ")) from error


def _expected(problem: Any) -> str:
    """What pydantic's complaint asks for, in our words."""
    bounds = problem.get("ctx", {})
    if problem["type"] == "literal_error":
        return str(bounds["expected"]).replace("'", "")
    if "ge" in bounds:
        return f"{bounds['ge']} or more"
    if "lt" in bounds:
        return f"less than {bounds['lt']}"
    kinds = {
        "int": "a whole number",
        "float": "a number",
        "string": "text",
        "bool": "true or false",
        "dict": "names",
        "list": "a list",
    }
    return next((word for kind, word in kinds.items() if problem["type"].startswith(kind)), str(problem["msg"]))
