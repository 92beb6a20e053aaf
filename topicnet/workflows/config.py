"""The configuration of a run; estimators check their own arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from topicnet.storage.config_file import read_config_file
from topicnet.text.readers.documents import MAX_DOCUMENT_SIZE


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
    text_column: str | list[str] = "text"
    id_column: str | None = None
    label_column: str | None = None
    time_column: str | None = None
    keep_columns: list[str] = Field(default_factory=list)
    encoding: str = "utf-8"
    file_format: str | None = None
    skip_bad_rows: bool = False
    sheet: str | int | None = None
    query: str | None = None
    table: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    escape: str | None = None
    skip_rows: int | None = Field(default=None, ge=0)
    header_row: int | None = Field(default=None, ge=0)
    missing: str | list[str] | None = None
    drop_duplicates: bool = False
    min_tokens: int = Field(default=0, ge=0)
    unit: Literal["line", "paragraph", "file"] | None = None
    max_document_size: int = Field(default=MAX_DOCUMENT_SIZE, ge=1)
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
    """Read a YAML file of options, overridden by those given; see `read_config_file`."""
    return read_config_file(FitConfig, path, given, "topics: 20")
