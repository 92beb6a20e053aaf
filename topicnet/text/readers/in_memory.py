"""Conversion of lists and of pandas, polars and Hugging Face tables in memory to batches of documents."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from topicnet.errors import CorpusError, InputError
from topicnet.text.phrases import JOINT
from topicnet.text.readers.documents import Columns, Documents, text_columns
from topicnet.text.readers.missing import MissingValues

_Columns = dict[str, list[Any]]
_TABLES = ("DataFrame", "LazyFrame", "Dataset", "DatasetDict", "Table", "DuckDBPyRelation")
_LOOKED_AT = 100  # rows of a LazyFrame examined to detect the type of its texts
_NO_MARKERS = MissingValues(())


def is_table(texts: Any) -> bool:
    """Return whether texts are in a table, recognised by type name, because its library need not be installed.

    Examples
    --------
    >>> is_table(pl.DataFrame({"text": ["a b"]})), is_table(["a b"])
    (True, False)
    """
    return type(texts).__name__ in _TABLES


def table_of(texts: Any) -> Any:
    """Return what output tables should match: the index of pandas, "polars", "pyarrow", or None for anything else."""
    texts = _native(texts)
    library = _library_of(texts)
    if library == "pandas" and type(texts).__name__ in ("DataFrame", "Series"):
        return texts.index
    return library if library in ("polars", "pyarrow") else None


def _library_of(texts: Any) -> str:
    return type(texts).__module__.partition(".")[0]


def _native(texts: Any) -> Any:
    """Return the table or column that narwhals has wrapped; anything else as it is."""
    return texts.to_native() if _library_of(texts) == "narwhals" else texts


def documents_of_frame(
    frame: Any, text_column: str | Sequence[str], id_column: str | None, missing: MissingValues = _NO_MARKERS
) -> Documents:
    """Convert a table to documents; columns other than the text and the id become metadata.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame, polars.LazyFrame, pyarrow.Table or datasets.Dataset
        Or another table that narwhals knows.
    text_column : str or sequence of str
        Column of the text; the texts of several columns are joined by newlines.
    id_column : str, optional
        Column of the ids; None to number the documents from 1.
    missing : MissingValues
        Empties the cells that hold only a missing-value marker.

    Returns
    -------
    Documents

    Raises
    ------
    InputError
        `frame` is not a table, or a text is not a string.
    CorpusError
        A column is missing, or two columns have the same name.

    Examples
    --------
    >>> frame = pl.DataFrame({"text": ["a b", "c"], "year": [1999, 2001]})
    >>> documents_of_frame(frame, "text", None).metadata
    [{'year': 1999}, {'year': 2001}]
    """
    batches = list(documents_in_batches(frame, text_column, id_column, missing=missing))
    begins = np.cumsum([0, *(len(batch.ids) for batch in batches)]).tolist()
    return Documents(
        [i for batch in batches for i in batch.ids],
        [text for batch in batches for text in batch.texts],
        [row for batch in batches for row in batch.metadata],
        numbered=[begin + at for begin, batch in zip(begins, batches, strict=False) for at in batch.numbered],
    )


def documents_in_batches(
    frame: Any,
    text_column: str | Sequence[str],
    id_column: str | None,
    batch_docs: int = 10_000,
    missing: MissingValues = _NO_MARKERS,
) -> Iterator[Documents]:
    """Convert a table to batches of documents; see `documents_of_frame` for the parameters.

    A LazyFrame is collected completely first. Nested columns of a datasets.Dataset are dropped.

    Parameters
    ----------
    frame, text_column, id_column, missing
        See `documents_of_frame`.
    batch_docs : int
        Maximum number of documents in a batch.

    Raises
    ------
    InputError, CorpusError
        As in `documents_of_frame`: faults of the table immediately, faults of the texts during iteration.
    """
    if batch_docs < 1:
        raise InputError(f"batch_docs is {batch_docs}, expected at least 1. Give a larger number")
    names, slices = _table(frame, batch_docs)
    texts = text_columns(text_column)
    wanted = Columns(texts[0], id_column, texts[1:])
    renaming = wanted.renaming(names)
    found = [renaming.get(name, name) for name in names]
    for column in (*texts, *([id_column] if id_column else [])):
        if column not in found:
            raise CorpusError(f"no column {column!r} in the table; it has: {', '.join(names)}")
    if renaming:
        slices = ({renaming.get(name, name): cells for name, cells in columns.items()} for columns in slices)
    if wanted.more:
        slices = (_with_joined_texts(columns, texts, missing) for columns in slices)
    return _batches(slices, texts[0], id_column, missing)


def _with_joined_texts(columns: _Columns, texts: tuple[str, ...], missing: MissingValues) -> _Columns:
    """Join the text columns of each row into the first one, skipping missing parts."""
    joined = []
    for row in zip(*(columns[name] for name in texts), strict=True):
        parts = [part for part in row if not _is_missing(part) and part != ""]
        parts = [part for part in parts if not (isinstance(part, str) and missing.has(part))]
        odd = next((part for part in parts if not isinstance(part, str)), None)
        joined.append("\n".join(parts) if odd is None else odd)
    return {texts[0]: joined} | {name: cells for name, cells in columns.items() if name not in texts}


def _batches(
    slices: Iterator[_Columns], text_column: str, id_column: str | None, missing: MissingValues
) -> Iterator[Documents]:
    first = 1
    for columns in slices:
        ids = None if id_column is None else columns[id_column]
        documents = _documents(columns[text_column], ids, first, missing)
        others = [name for name in columns if name not in (text_column, id_column)]
        cells = [[plain(cell) for cell in columns[name]] for name in others]
        rows = (dict(zip(others, row, strict=True)) for row in zip(*cells, strict=True))
        metadata = [missing.cells(row) for row in rows] or documents.metadata
        yield replace(documents, metadata=metadata)
        first += len(documents.ids)


def documents_of_texts(
    texts: Iterable[Any], ids: Sequence[Any] | None, missing: MissingValues = _NO_MARKERS
) -> Documents:
    """Convert texts in memory to documents; None, NaN and NA become empty documents.

    Parameters
    ----------
    texts : iterable of str or of lists of str
        A list of words is joined by spaces; white space inside a word becomes "_", as in a phrase.
    ids : sequence, optional
        One id per text; None to number the documents from 1.
    missing : MissingValues
        Empties the texts that are only a missing-value marker.

    Raises
    ------
    InputError
        A text is not a string, or the numbers of ids and texts differ.

    Examples
    --------
    >>> documents = documents_of_texts([["new york", "city"], None], ids=None)
    >>> documents.texts, documents.ids
    (['new_york city', ''], ['1', '2'])
    """
    if isinstance(texts, os.PathLike) or (isinstance(texts, str) and os.path.isfile(texts)):
        raise InputError(
            f"the file {os.fspath(texts)!r} given, expected texts: read it first, such as with pandas.read_csv"
        )
    if isinstance(texts, str) or isinstance(ids, str):
        raise InputError("one text was given, expected a list of texts (or ids): put it in brackets")
    unordered = isinstance(texts, bytes | Mapping | AbstractSet) or not isinstance(texts, Iterable)
    if unordered or type(texts).__name__ in ("DataFrame", "Table"):
        raise InputError(
            f"{type(texts).__name__} given, expected a list of texts: give one column of a table, as in table['text']"
        )
    return _documents(texts.to_pylist() if _library_of(texts) == "pyarrow" else texts, ids, 1, missing)  # type: ignore[attr-defined]


def are_word_lists(texts: Any, text_column: str | Sequence[str]) -> bool:
    """Return whether the first text that is not missing is a list of words; False for an iterator.

    Examples
    --------
    >>> are_word_lists([None, ["a", "b"]], "text"), are_word_lists(["a b"], "text")
    (True, False)
    """
    if type(texts).__name__ == "LazyFrame":
        texts = texts.head(_LOOKED_AT).collect()
    if type(texts).__name__ == "DataFrame":
        column = text_columns(text_column)[0]
        texts = texts[column] if column in texts.columns else ()
    elif _library_of(texts) == "pyarrow":
        column = text_columns(text_column)[0]
        is_column = type(texts).__name__ != "Table"
        texts = texts if is_column else texts[column] if column in texts.column_names else None
        texts = [] if texts is None else texts[:_LOOKED_AT].to_pylist()
    if isinstance(texts, str | bytes | Iterator) or not isinstance(texts, Iterable):
        return False
    return _is_word_list(next((text for text in texts if not _is_missing(text)), None))


def _is_word_list(text: Any) -> bool:
    return isinstance(text, list | tuple | np.ndarray | pl.Series)


def _join_words(number: int, words: Any) -> str:
    """Join the words of a list by spaces; `number` is the position of the list in the texts."""
    listed = list(words)
    for word in listed:
        if not isinstance(word, str):
            raise InputError(f"texts[{number}] is a list that holds {type(word).__name__}, expected words (str)")
    return " ".join(word if word.isalnum() else JOINT.join(word.split()) for word in listed)


def _documents(texts: Iterable[Any], ids: Sequence[Any] | None, first: int, missing: MissingValues) -> Documents:
    """Convert texts to documents numbered from `first`."""
    listed = ["" if _is_missing(text) else text for text in texts]
    of_words = _is_word_list(next((text for text in listed if not (isinstance(text, str) and not text)), None))
    for number, text in enumerate(listed, first - 1):
        if of_words and _is_word_list(text):
            listed[number - first + 1] = _join_words(number, text)
        elif not isinstance(text, str) or (of_words and text):
            expected = "a list of words like those before it" if of_words else "str"
            raise InputError(
                f"texts[{number}] is {type(text).__name__}, expected {expected} (None for an empty document)"
            )
    given = [None] * len(listed) if ids is None else list(ids)
    if len(given) != len(listed):
        raise InputError(f"{len(given)} ids were given for {len(listed)} texts: expected one each")
    names = ["" if _is_missing(i) else _unicode(_as_id(i)) for i in given]
    numbered = [at for at, name in enumerate(names) if not name or missing.has(name)]
    for at in numbered:
        names[at] = str(first + at)
    return Documents(names, [missing.text(_unicode(text)) for text in listed], [{} for _ in listed], numbered=numbered)


def _as_id(cell: Any) -> str:
    """Convert an id to text, without decimals for an integer stored as a float, as in columns with missing values."""
    whole = isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53
    return str(int(cell)) if whole else str(cell)


def _is_missing(cell: Any) -> bool:
    """Return whether a cell is None, NaN, or pandas' NA or NaT (recognised by name, as pandas may not be loaded)."""
    return cell is None or (isinstance(cell, float) and cell != cell) or type(cell).__name__ in ("NAType", "NaTType")


def _unicode(text: str) -> str:
    """Replace lone surrogates, which cannot be encoded."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def plain(cell: Any) -> Any:
    """Convert a cell to metadata: a scalar that Parquet can hold, or else a string.

    Examples
    --------
    >>> plain(np.float32(0.5)), plain(float("nan")), plain([1, 2])
    (0.5, None, '[1, 2]')
    """
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


def _table(frame: Any, n_rows: int) -> tuple[list[str], Iterator[_Columns]]:
    """Return the column names of a table and an iterator over slices of `n_rows` rows."""
    frame = _native(frame)
    if _library_of(frame) == "datasets":  # by name, as it need not be installed
        return _hugging_face(frame, n_rows)
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if isinstance(frame, pl.DataFrame):
        return frame.columns, (part.to_dict(as_series=False) for part in frame.iter_slices(n_rows))
    import narwhals as nw

    if not nw.dependencies.is_pandas_dataframe(frame):
        return _narwhals(frame, n_rows)
    names = [str(name) for name in frame.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise CorpusError(f"the table has several columns named {twice[0]!r}: rename them")
    parts = (frame.iloc[start : start + n_rows] for start in range(0, len(frame), n_rows))
    return names, ({name: part.iloc[:, i].tolist() for i, name in enumerate(names)} for part in parts)


def _narwhals(frame: Any, n_rows: int) -> tuple[list[str], Iterator[_Columns]]:
    """Return the column names and slices of a table of another library that narwhals reads, such as pyarrow."""
    import narwhals as nw

    try:
        table = nw.from_native(frame)
    except TypeError as error:
        raise InputError(
            f"{type(frame).__name__} given, expected a pandas or polars DataFrame, a LazyFrame, a pyarrow Table or a"
            " datasets.Dataset"
        ) from error
    eager = table.collect() if isinstance(table, nw.LazyFrame) else table
    starts = range(0, len(eager), n_rows)
    return eager.columns, (eager[start : start + n_rows].to_dict(as_series=False) for start in starts)


def _hugging_face(frame: Any, n_rows: int) -> tuple[list[str], Iterator[_Columns]]:
    """Return names and slices of the scalar columns of a datasets.Dataset, read by column (20 times as fast)."""
    kind = type(frame).__name__
    if kind.endswith("DatasetDict"):
        splits = ", ".join(map(str, frame))
        raise InputError(f"{kind} given, expected one of its splits ({splits}): name it, as in dataset['train']")
    if kind != "Dataset":
        raise InputError(f"{kind} given, expected a datasets.Dataset: load it without streaming")
    scalar = {"Value", "ClassLabel"}
    names = [
        name
        for name, feature in frame.features.items()
        if type(feature).__name__ in scalar and "binary" not in feature.dtype
    ]
    plain_rows = frame.select_columns(names).with_format(None)
    return names, (plain_rows[start : start + n_rows] for start in range(0, len(frame), n_rows))
