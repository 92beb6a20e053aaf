"""Readers of Parquet files, slice by slice, and of polars tables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from topicnet.errors import CorpusError
from topicnet.text.readers.documents import Columns, Row, no_column, shown
from topicnet.text.readers.in_memory import plain
from topicnet.text.readers.limits import MAX_GROUP_BYTES, regular_file
from topicnet.text.readers.open_text import File, reading
from topicnet.text.readers.parquet_footer import read_footer

_FIRST_ROWS, _MAX_ROWS = 100, 20_000  # of a slice
_SLICE_BYTES = 1 << 24
_FREE_TEXT_BYTES, _FREE_ROWS = 1 << 32, 100_000_000  # always allowed, whatever the size of the file
_MAX_PER_BYTE = 1000  # beyond that: bytes of text, or rows, per byte of the file
_UNCHANGED = (pl.Boolean, pl.String, pl.Null, pl.Date, pl.Datetime)
_KEY = "\0id"  # a name that no column of a file has
_MAX_EXACT = 2**53  # larger floats do not represent every integer
_TEXT_KINDS = (pl.String, pl.Categorical, pl.Enum, pl.Null, pl.Binary)


def parquet_rows(file: File, columns: Columns) -> Iterator[Row]:
    """Yield the rows of a Parquet file, reading slice by slice, without nested and binary columns."""
    path = regular_file(file)
    with _library_errors(file, "Parquet", ValueError):
        size = _check_footer(file, path)
    with _library_errors(file, "Parquet"):
        table = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        schema = dict(table.collect_schema())
        table, schema = _rename_columns(table, schema, columns)
        table = _select_columns(file, table, schema, columns)
        start, n_rows, n_bytes = 0, _FIRST_ROWS, 0
        while (part := table.slice(start, n_rows).collect()).height:
            n_bytes += int(part[columns.text].str.len_bytes().sum())
            if n_bytes > max(_FREE_TEXT_BYTES, _MAX_PER_BYTE * size):
                raise CorpusError(
                    f"{file.name} of {size / 1e6:,.1f} MB holds more than {n_bytes / 1e9:,.1f} GB of text, expected at"
                    f" most {_MAX_PER_BYTE:,} times its size. Drop the repeated rows"
                )
            yield from _rows(part, columns)
            start += part.height
            row_bytes = max(part.estimated_size() // part.height, 1)
            n_rows = min(max(_SLICE_BYTES // int(row_bytes), 1), _MAX_ROWS, 2 * n_rows)


def _check_footer(file: File, path: Path) -> int:
    """Check the sizes in the footer against the limits and return the size of the file in bytes.

    Raises
    ------
    CorpusError
        A row group or the number of rows exceeds its limit.
    ValueError
        The footer is damaged.
    """
    with reading(file.name):
        footer, size = read_footer(path), os.stat(path).st_size
    if footer is None:
        return size
    if footer.largest_group > MAX_GROUP_BYTES:
        raise CorpusError(
            f"{file.name} has a row group of {footer.largest_group / 1e9:,.1f} GB, expected at most"
            f" {MAX_GROUP_BYTES / 1e9:,.1f} GB. Write it with smaller row groups"
        )
    if footer.n_rows > max(_FREE_ROWS, _MAX_PER_BYTE * size):
        raise CorpusError(
            f"{file.name} of {size / 1e6:,.1f} MB states {footer.n_rows:,} rows, expected at most"
            f" {max(_FREE_ROWS, _MAX_PER_BYTE * size):,}. Drop the repeated rows"
        )
    return size


def table_rows(file: File, table: pl.DataFrame, columns: Columns) -> Iterator[Row]:
    """Yield the rows of a table in memory, converted like those of a Parquet file."""
    yield from _rows(_select_columns(file, table.lazy(), dict(table.schema), columns).collect(), columns)


def _rename_columns(
    table: pl.LazyFrame, schema: dict[str, pl.DataType], columns: Columns
) -> tuple[pl.LazyFrame, dict[str, pl.DataType]]:
    """Rename columns to the requested names that they match apart from white space and Unicode normalisation."""
    names = columns.renaming(schema)
    if not names:
        return table, schema
    return table.rename(names), {names.get(name, name): kind for name, kind in schema.items()}


def _select_columns(file: File, table: pl.LazyFrame, schema: dict[str, pl.DataType], columns: Columns) -> pl.LazyFrame:
    """Select the text, the id and all scalar columns, with texts as strings.

    Raises
    ------
    CorpusError
        A requested column is missing, or a text column does not hold text.
    """
    if not columns.are_in(schema):
        raise no_column(file.name, schema, columns)
    kinds = {name: schema[name] for name in columns.texts}
    for name, kind in kinds.items():
        if not isinstance(kind, _TEXT_KINDS) and (name == columns.text or kind.is_nested()):
            raise CorpusError(
                f"{file.name} has {kind} in the column {name!r}, expected text. Convert it, or name another column"
                " with --text-column"
            )
    asked = (columns.text, columns.key)
    no_scalars = (pl.Binary, pl.Object)
    kept = [name for name, kind in schema.items() if not (kind.is_nested() or isinstance(kind, no_scalars))]
    table = table.with_columns(pl.col(name).cast(pl.String) for name in columns.more)
    kept += columns.more
    return table.select(
        pl.col(columns.text).cast(pl.String),
        *(pl.col(name) for name in schema if name in kept and name not in asked),
        *([_key(columns.key, schema[columns.key]).alias(_KEY)] if columns.key in schema else []),
    )


def _key(name: str, kind: pl.DataType) -> pl.Expr:
    """Convert ids to text, without decimals for integers stored as floats, as in columns with missing values."""
    if not kind.is_float():
        return pl.col(name)
    whole = pl.col(name).is_finite() & (pl.col(name) % 1 == 0) & (pl.col(name).abs() < _MAX_EXACT)
    text = pl.col(name).fill_nan(None).cast(pl.String)
    return pl.when(whole).then(pl.col(name).cast(pl.Int64, strict=False).cast(pl.String)).otherwise(text)


def _rows(part: pl.DataFrame, columns: Columns) -> Iterator[Row]:
    keys = part[_KEY].to_list() if _KEY in part.columns else [None] * part.height
    names = [name for name in part.columns if name not in (columns.text, _KEY)]
    cells = [_cells(part[name]) for name in names]
    metadata = zip(*cells, strict=True) if cells else [()] * part.height
    for key, text, row in zip(keys, part[columns.text], metadata, strict=True):
        yield "" if key is None else str(key), text or "", dict(zip(names, row, strict=True))


def _cells(column: pl.Series) -> list[Any]:
    if column.dtype.is_float():
        return column.fill_nan(None).to_list()
    whole = column.dtype.is_integer() and column.dtype not in (pl.UInt64, pl.Int128, pl.UInt128)
    if whole or column.dtype in _UNCHANGED:
        return column.to_list()
    return [plain(cell) for cell in column.to_list()]


@contextmanager
def _library_errors(file: File, kind: str, *errors: type[Exception]) -> Iterator[None]:
    """Raise errors of the libraries about a file as CorpusError."""
    damaged: tuple[type[BaseException], ...] = (pl.exceptions.PolarsError, pl.exceptions.PanicException, *errors)
    try:
        with reading(file.name):
            yield
    except damaged as error:
        reason = shown(str(error).split("\n")[0])
        raise CorpusError(
            f"{file.name} is not a readable {kind} file ({reason}). Write it again, or name its format with --format"
        ) from error
