"""Tables in the library of the documents that a run was fitted to: pandas by default, polars or pyarrow."""

from __future__ import annotations

from typing import Any

import polars as pl


def frame_like(table: pl.DataFrame, library: str, index: Any = None, index_column: str | None = None) -> Any:
    """Convert a polars table to a library.

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
        In pandas, whole numbers of which some are missing are Int64.
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
    """The values of a column as pandas takes them."""
    import pandas as pd

    if column.dtype == pl.String:
        return column.to_list()
    if column.name.startswith("top_"):
        return pd.array(column.to_list(), dtype="Int64")
    return column.to_numpy()
