"""From lists and tables in memory to documents."""

from __future__ import annotations

import datetime
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
_LOOKED_AT = 100  # rows of a LazyFrame, to see of what kind its texts are
_NO_MARKERS = MissingValues(())


def is_table(texts: Any) -> bool:
    """Return whether texts come as a table, recognised by name: none of these libraries need be installed."""
    return type(texts).__name__ in _TABLES


def table_of(texts: Any) -> Any:
    """Return what tables of the same documents should be like: a pandas index, "polars", "pyarrow", or None."""
    library = _library_of(texts)
    if library == "pandas" and type(texts).__name__ in ("DataFrame", "Series"):
        return texts.index
    return library if library in ("polars", "pyarrow") else None


def _library_of(texts: Any) -> str:
    return type(texts).__module__.partition(".")[0]


def documents_of_frame(
    frame: Any, text_column: str | Sequence[str], id_column: str | None, missing: MissingValues = _NO_MARKERS
) -> Documents:
    """Documents from a table; columns other than the text and the id become metadata.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame, polars.LazyFrame, pyarrow.Table or datasets.Dataset
        Or another table that narwhals knows.
    text_column : str or sequence of str
        Of several columns the texts are joined by newlines.
    missing : MissingValues
        Empties the cells that hold only a marker of a missing value.

    Raises
    ------
    InputError
        Something that is no table, or texts that are none.
    CorpusError
        A column that is not there, or two of one name.
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
    """Documents from a table, `batch_docs` rows at a time; see `documents_of_frame`.

    A LazyFrame is computed whole first. Nested columns of a datasets.Dataset are dropped.

    Raises
    ------
    InputError, CorpusError
        As `documents_of_frame` does: at once what is wrong with the table, while iterating what is wrong with texts.
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
    """The columns with the text of each row joined in the first of its columns, the missing parts left out."""
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
    """Documents from texts in memory; None, NaN and NA are empty documents.

    A list of words is the words with spaces between; white space inside a word becomes "_", as in a phrase.

    Raises
    ------
    InputError
        Something that is not a text, or another number of ids than of texts.
    """
    if isinstance(texts, str) or isinstance(ids, str):
        raise InputError("one text was given, expected a list of texts (or ids): put it in brackets")
    unordered = isinstance(texts, bytes | Mapping | AbstractSet) or not isinstance(texts, Iterable)
    if unordered or type(texts).__name__ in ("DataFrame", "Table"):
        raise InputError(
            f"{type(texts).__name__} given, expected a list of texts: give one column of a table, as in table['text']"
        )
    return _documents(texts.to_pylist() if _library_of(texts) == "pyarrow" else texts, ids, 1, missing)  # type: ignore[attr-defined]


def are_word_lists(texts: Any, text_column: str | Sequence[str]) -> bool:
    """Return whether the first text that is not missing is a list of words; an iterator is not looked into."""
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


def _joined(number: int, words: Any) -> str:
    """The words of a list with spaces between."""
    listed = list(words)
    for word in listed:
        if not isinstance(word, str):
            raise InputError(f"texts[{number}] is a list that holds {type(word).__name__}, expected words (str)")
    return " ".join(word if word.isalnum() else JOINT.join(word.split()) for word in listed)


def _documents(texts: Iterable[Any], ids: Sequence[Any] | None, first: int, missing: MissingValues) -> Documents:
    """Documents whose numbers begin at `first`."""
    listed = ["" if _is_missing(text) else text for text in texts]
    of_words = _is_word_list(next((text for text in listed if not (isinstance(text, str) and not text)), None))
    for number, text in enumerate(listed, first - 1):
        if of_words and _is_word_list(text):
            listed[number - first + 1] = _joined(number, text)
        elif not isinstance(text, str) or (of_words and text):
            expected = "a list of words as those before it" if of_words else "str"
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
    """An id as text; a whole number without decimals, as a table with gaps keeps its numbers as floats."""
    whole = isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53
    return str(int(cell)) if whole else str(cell)


def _is_missing(cell: Any) -> bool:
    """None, NaN, and pandas' NA and NaT (told by name, as pandas may not be loaded)."""
    return cell is None or (isinstance(cell, float) and cell != cell) or type(cell).__name__ in ("NAType", "NaTType")


def _unicode(text: str) -> str:
    """Replace lone surrogates, which no file can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def plain(cell: Any) -> Any:
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


def _table(frame: Any, n_rows: int) -> tuple[list[str], Iterator[_Columns]]:
    """Names of the columns of a table, and their cells, `n_rows` rows at a time."""
    if _library_of(frame) == "datasets":  # told by name: it need not be installed
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
    """The columns of a table of another library, such as a pyarrow.Table, which narwhals reads."""
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
    """The columns of a datasets.Dataset that hold scalars; asked for as columns, as rows cost 20 times as much."""
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
