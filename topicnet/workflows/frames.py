"""Conversion of output tables to the dataframe library of the input documents: pandas (default), polars or pyarrow."""

from __future__ import annotations

from typing import Any

import polars as pl


def frame_like(table: pl.DataFrame, library: str, index: Any = None, index_column: str | None = None) -> Any:
    """Convert a polars table to the given dataframe library.

    Parameters
    ----------
    table : polars.DataFrame
    library : {"pandas", "polars", "pyarrow"}
    index : pandas.Index, optional
        The index of the rows of a pandas table; by default they are numbered.
    index_column : str, optional
        A column of row numbers, which becomes the name of the index of a pandas table.

    Returns
    -------
    pandas.DataFrame, polars.DataFrame or pyarrow.Table
        In pandas, top_topic and top_component, which may have missing values, are Int64.
    """
    if library == "polars":
        return table
    import narwhals as nw

    if library != "pandas":
        return nw.from_native(table, eager_only=True).to_arrow()
    import pandas as pd

    # Column by column: polars' own conversion to pandas needs pyarrow, which is not among the dependencies.
    names = [name for name in table.columns if name != index_column]
    if index_column is not None:
        index = pd.RangeIndex(table.height, name=index_column)
    return pd.DataFrame({name: _values(table[name]) for name in names}, index=index)


def _values(column: pl.Series) -> Any:
    """Return the values of a column in a form that `pandas.DataFrame` accepts."""
    import pandas as pd

    if column.dtype == pl.String:
        return column.to_list()
    if column.name.startswith("top_"):
        return pd.array(column.to_list(), dtype="Int64")
    return column.to_numpy()
