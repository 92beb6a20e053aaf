"""Document-topic and topic-word tables of a run: built, written (CSV, Parquet, NPZ) and read."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from topicnet.errors import BundleError, InputError
from topicnet.evaluate.coherence import top_words
from topicnet.storage import atomic, formats
from topicnet.text.corpus import Corpus
from topicnet.text.passages import in_passages
from topicnet.text.status import OK
from topicnet.workflows.bundle import Bundle, check_reading_order

FORMATS = ("csv", "parquet", "npz")
ARRAY_SLICE = 1_000_000  # characters of a string array that are converted at a time


def doc_topic_table(
    ids: list[str],
    status: list[str],
    theta: NDArray[np.float32],
    unit: str = "topic",
    kept: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Build the table of doc_topic.csv, or of doc_component.csv.

    top_topic is null for documents without known words. The columns of `kept` (D, ...) follow the last topic. One with
    the name of a column of the table gets "_" appended until its name is free.

    Raises
    ------
    InputError
        `kept` has another number of rows than there are documents.
    """
    best = pl.Series(theta.argmax(1) if theta.size else np.zeros(0, dtype=np.int64), dtype=pl.Int64)
    frame = pl.DataFrame({"doc_id": ids, "status": status}, schema={"doc_id": pl.String, "status": pl.String})
    frame = frame.with_columns(pl.when(pl.col("status") == OK).then(best).alias(f"top_{unit}"))
    columns = [pl.Series(f"{unit}_{k}", theta[:, k]) for k in range(theta.shape[1])]
    return frame.with_columns(columns + _kept_columns(kept, len(ids), _own_columns(unit)))


def passage_table(bundle: Bundle, corpus: Corpus, refine: int = 0) -> pl.DataFrame:
    """Build the table of passages.csv: doc_id, passage, tokens, top_topic and theta of each passage of a corpus."""
    check_reading_order(corpus, f"passages of {bundle.text['passages']} words")
    cut = in_passages(corpus, bundle.text["passages"])
    theta = bundle.model.transform(cut.counts, refine=refine)
    status = np.where(cut.n_tokens > 0, OK, corpus.status[cut.document])
    table = doc_topic_table([corpus.ids[row] for row in cut.document], status.tolist(), theta).drop("status")
    place = [pl.Series("passage", cut.number), pl.Series("tokens", cut.n_tokens)]
    return table.select("doc_id").with_columns(place).hstack(table.drop("doc_id").get_columns())


def topic_word_table(beta: NDArray[np.float32], vocabulary: list[str], n: int, unit: str = "topic") -> pl.DataFrame:
    """Build the table of topic_word.csv, or component_word.csv: the n most probable words of rows of beta (K, V)."""
    words = top_words(beta, n)
    n_topics, n_words = words.shape
    return pl.DataFrame(
        {
            unit: np.repeat(np.arange(n_topics), n_words),
            "rank": np.tile(np.arange(1, n_words + 1), n_topics),
            "word": [vocabulary[i] for i in words.ravel()],
            "probability": np.take_along_axis(beta, words, axis=1).ravel(),
        }
    )


def read_doc_topic(folder: Path, n_topics: int, unit: str = "topic") -> pl.DataFrame:
    """Read doc_topic.csv, or doc_component.csv, without the kept columns.

    The values are bitwise those written.
    """
    name = f"doc_{unit}.csv"
    kinds: dict[str, Any] = {"doc_id": pl.String, "status": pl.String, f"top_{unit}": pl.Int64}
    kinds |= {f"{unit}_{k}": pl.Float32 for k in range(n_topics)}
    try:
        header = pl.read_csv(folder / name, n_rows=0, infer_schema=False, glob=False).columns
        foreign = header[: len(kinds)] != list(kinds)
        if foreign or any(re.fullmatch(_own_columns(unit), column) for column in header[len(kinds) :]):
            raise pl.exceptions.SchemaError("columns of another table")
        table = pl.read_csv(folder / name, columns=list(kinds), schema_overrides=kinds, infer_schema=False, glob=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise BundleError(f"{name} in {str(folder)!r} cannot be read: copy the run again or repeat the fit") from error
    table = table.with_columns(pl.col("doc_id").fill_null(""))
    if any(table[column].null_count() for column in table.columns if column != f"top_{unit}"):
        raise BundleError(f"{name} in {str(folder)!r} is truncated: copy the run again or repeat the fit")
    return table.with_columns(_unguarded(table["doc_id"]))


def _unguarded(cells: pl.Series) -> pl.Series:
    """Remove the quote that keeps a spreadsheet from evaluating a cell as a formula."""
    bare = cells.str.strip_prefix("'")
    return bare.zip_with(cells.str.starts_with("'") & bare.str.contains(formats.FORMULA_START), cells)


def read_kept(folder: Path, n_topics: int) -> pl.DataFrame:
    """Read the kept metadata columns of doc_topic.csv, as text."""
    header = pl.read_csv(folder / "doc_topic.csv", n_rows=0, infer_schema=False, glob=False).columns
    names = header[3 + n_topics :]  # after doc_id, status, top_topic and the topics
    if not names:
        return pl.DataFrame()
    table = pl.read_csv(folder / "doc_topic.csv", columns=names, infer_schema=False, glob=False)
    return pl.DataFrame([_unguarded(cells).rename(formats.unguarded(cells.name)) for cells in table.get_columns()])


def choose_format(path: Path, asked: str | None) -> str:
    """Return the requested format, or the one of the file's ending.

    Raises
    ------
    InputError
        The format is unknown.
    """
    name = asked if asked is not None else path.suffix.removeprefix(".").lower()
    if name not in FORMATS:
        given = f"--format {asked!r}" if asked is not None else f"file {str(path)!r}"
        raise InputError(f"{given} given, expected one of {', '.join(FORMATS)}: give --format or one of these endings")
    return name


def write_doc_table(
    path: Path,
    ids: list[str],
    status: list[str],
    theta: NDArray[np.float32],
    file_format: str,
    *,
    unit: str = "topic",
    kept: pl.DataFrame | None = None,
    overwrite: bool,
) -> None:
    """Write theta with ids and status as a table, or as an NPZ of the arrays `theta`, `doc_id` and `status`.

    For components the array is named `component`. The columns of `kept` follow the topics in a table and are separate
    arrays in an NPZ, where a missing number is NaN and any other missing value the empty string.
    """
    if file_format != "npz":
        write_table(path, doc_topic_table(ids, status, theta, unit, kept), file_format, overwrite=overwrite)
        return
    name = "theta" if unit == "topic" else unit
    columns = _kept_columns(kept, len(ids), rf"doc_id|status|{name}")
    arrays: dict[str, NDArray[Any] | pl.Series] = {
        "doc_id": pl.Series(ids, dtype=pl.String),
        "status": pl.Series(status, dtype=pl.String),
        name: theta,
    }
    _write_arrays(path, overwrite, arrays | {column.name: _array_of(column) for column in columns})


def write_word_table(
    path: Path,
    beta: NDArray[np.float32],
    vocabulary: list[str],
    top: int,
    file_format: str,
    *,
    unit: str = "topic",
    overwrite: bool,
) -> None:
    """Write the top words of each topic as a table, or the whole `beta` with `vocabulary` as an NPZ.

    For components the array is named `component_word`.
    """
    if file_format == "npz":
        arrays = {"beta" if unit == "topic" else f"{unit}_word": beta}
        _write_arrays(path, overwrite, {"vocabulary": pl.Series(vocabulary, dtype=pl.String)} | arrays)
    else:
        write_table(
            path, topic_word_table(beta, vocabulary, top or len(vocabulary), unit), file_format, overwrite=overwrite
        )


def write_table(path: Path, table: pl.DataFrame, file_format: str, *, overwrite: bool) -> None:
    """Write a table as CSV or Parquet, atomically."""
    with atomic.atomic_file(path, overwrite=overwrite) as part, atomic.disk_errors(path):
        formats.write_table(part, table, parquet=file_format == "parquet")


def _write_arrays(path: Path, overwrite: bool, arrays: dict[str, NDArray[Any] | pl.Series]) -> None:
    """Write an NPZ file of named arrays.

    `numpy.savez` cannot be used, because it rejects an array named like its argument `file`.
    """
    with (
        atomic.atomic_file(path, overwrite=overwrite) as part,
        atomic.disk_errors(path),
        zipfile.ZipFile(part, "w", compression=zipfile.ZIP_DEFLATED) as archive,
    ):
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as handle:
                _write_array(handle, array)


def _own_columns(unit: str) -> str:
    """Return a regular expression for the table's own column names, for any number of topics."""
    return rf"doc_id|status|top_{unit}|{unit}_\d+"


def _kept_columns(kept: pl.DataFrame | None, n_docs: int, own: str) -> list[pl.Series]:
    """Return the kept metadata columns, renamed where they match `own`, the pattern of the table's own names.

    Categories become text, so that a cell that a spreadsheet would run as a formula gets its quote.
    """
    if kept is None or kept.width == 0:
        return []
    if kept.height != n_docs:
        raise InputError(f"{kept.height} rows of kept columns given for {n_docs} documents, expected one each")
    taken = set(kept.columns)
    columns = []
    for column in kept.get_columns():
        name = column.name
        while re.fullmatch(own, name) or (name != column.name and name in taken):
            name += "_"
        taken.add(name)
        text = isinstance(column.dtype, pl.Categorical | pl.Enum)
        columns.append((column.cast(pl.String) if text else column).rename(name))
    return columns


def _array_of(column: pl.Series) -> NDArray[Any] | pl.Series:
    """Return a numeric column as an array, with NaN for missing values.

    Other columns, and numbers that would not be kept exactly, are returned as text.
    """
    if column.dtype.is_integer() or column.dtype.is_float() or column.dtype == pl.Boolean:
        numbers = column if column.null_count() == 0 else column.cast(pl.Float64)
        array = numbers.to_numpy()
        if array.dtype.kind in "biuf" and numbers.cast(column.dtype).equals(column):
            return array
    return column.cast(pl.String).fill_null("")


def _write_array(handle: IO[bytes], values: NDArray[Any] | pl.Series) -> None:
    if isinstance(values, np.ndarray):
        np.lib.format.write_array(handle, values, allow_pickle=False)
        return
    # Every string of the array takes 4 bytes times the longest one, so the array is built in slices.
    longest = max(1, int(values.str.len_chars().max() or 0))  # type: ignore[arg-type]
    header = {"descr": f"<U{longest}", "fortran_order": False, "shape": (len(values),)}
    np.lib.format.write_array_header_1_0(handle, header)
    rows = max(1, ARRAY_SLICE // longest)
    for begin in range(0, len(values), rows):
        handle.write(np.array(values[begin : begin + rows].to_list(), dtype=f"<U{longest}").tobytes())
