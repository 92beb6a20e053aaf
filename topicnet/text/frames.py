"""From lists and tables in memory to documents."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np
import polars as pl

from topicnet.errors import CorpusError, InputError
from topicnet.text.readers import Documents


def documents_of_frame(frame: Any, text_column: str, id_column: str | None) -> Documents:
    """Documents from a pandas or polars table; columns other than the text and the id become metadata.

    Raises
    ------
    CorpusError
        A column that is not there, or two of one name.
    """
    columns = _columns(frame)
    for column in (text_column, *([id_column] if id_column else [])):
        if column not in columns:
            raise CorpusError(f"no column {column!r} in the table; it has: {', '.join(columns)}")
    ids = None if id_column is None else columns[id_column]
    documents = documents_of_texts(columns[text_column], ids)
    others = [name for name in columns if name not in (text_column, id_column)]
    cells = [[_plain(cell) for cell in columns[name]] for name in others]
    metadata = [dict(zip(others, row, strict=True)) for row in zip(*cells, strict=True)] or documents.metadata
    return Documents(documents.ids, documents.texts, metadata)


def documents_of_texts(texts: Iterable[Any], ids: Sequence[Any] | None) -> Documents:
    """Documents from texts in memory; None, NaN and NA are empty documents.

    Raises
    ------
    InputError
        Something that is not a text, or another number of ids than of texts.
    """
    if isinstance(texts, str) or isinstance(ids, str):
        raise InputError("one text was given, expected a list of texts (or ids): put it in brackets")
    unordered = isinstance(texts, bytes | Mapping | AbstractSet) or not isinstance(texts, Iterable)
    if unordered or type(texts).__name__ == "DataFrame":
        raise InputError(
            f"{type(texts).__name__} given, expected a list of texts: give one column of a table, as in table['text']"
        )
    listed = ["" if _is_missing(text) else text for text in texts]
    for number, text in enumerate(listed):
        if not isinstance(text, str):
            raise InputError(f"texts[{number}] is {type(text).__name__}, expected str (None for an empty document)")
    given = [None] * len(listed) if ids is None else list(ids)
    if len(given) != len(listed):
        raise InputError(f"{len(given)} ids were given for {len(listed)} texts: expected one each")
    names = [str(n) if _is_missing(i) else _unicode(str(i)) for n, i in enumerate(given, 1)]
    return Documents(names, [_unicode(text) for text in listed], [{} for _ in listed])


def _is_missing(cell: Any) -> bool:
    """None, NaN, and pandas' NA and NaT (told by name, as pandas may not be loaded)."""
    return cell is None or (isinstance(cell, float) and cell != cell) or type(cell).__name__ in ("NAType", "NaTType")


def _unicode(text: str) -> str:
    """Replace lone surrogates, which no file can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _plain(cell: Any) -> Any:
    """A table's cell as metadata: a scalar that Parquet can hold, or its text."""
    if _is_missing(cell):
        return None
    value = cell.item() if isinstance(cell, np.generic) else cell
    if isinstance(value, datetime.datetime) and type(value) is not datetime.datetime:
        return value.to_pydatetime()  # type: ignore[attr-defined]  # pandas' own kind of datetime
    if isinstance(value, datetime.date):
        return value
    if isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    return _unicode(str(value))


def _columns(frame: Any) -> dict[str, list[Any]]:
    """The columns of a pandas or polars table, by name."""
    if isinstance(frame, pl.DataFrame):
        return {name: frame[name].to_list() for name in frame.columns}
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise InputError(f"{type(frame).__name__} given, expected a pandas or polars DataFrame")
    names = [str(name) for name in frame.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise CorpusError(f"the table has several columns named {twice[0]!r}: rename them")
    return {name: frame.iloc[:, i].tolist() for i, name in enumerate(names)}
