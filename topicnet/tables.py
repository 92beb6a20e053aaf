"""The tables of a run: documents by topics and topics by words, as CSV, Parquet or NPZ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from topicnet import files
from topicnet.errors import BundleError, InputError
from topicnet.evaluate.coherence import top_words
from topicnet.text.counts import OK

FORMATS = ("csv", "parquet", "npz")


def doc_topic_table(ids: list[str], status: list[str], theta: NDArray[np.float32], unit: str = "topic") -> pl.DataFrame:
    """The table of doc_topic.csv, or of doc_component.csv; top_topic is null for a document without known words."""
    best = pl.Series(theta.argmax(1) if theta.size else np.zeros(0, dtype=np.int64), dtype=pl.Int64)
    frame = pl.DataFrame({"doc_id": ids, "status": status}, schema={"doc_id": pl.String, "status": pl.String})
    frame = frame.with_columns(pl.when(pl.col("status") == OK).then(best).alias(f"top_{unit}"))
    columns = [pl.Series(f"{unit}_{k}", theta[:, k]) for k in range(theta.shape[1])]
    return frame.with_columns(columns)


def topic_word_table(beta: NDArray[np.float32], vocabulary: list[str], n: int, unit: str = "topic") -> pl.DataFrame:
    """The table of topic_word.csv, or of component_word.csv: the n most probable words of each row of beta (K, V)."""
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
    """Read doc_topic.csv, or doc_component.csv, back, bit for bit."""
    name = f"doc_{unit}.csv"
    kinds: dict[str, Any] = {"doc_id": pl.String, "status": pl.String, f"top_{unit}": pl.Int64}
    kinds |= {f"{unit}_{k}": pl.Float32 for k in range(n_topics)}
    try:
        table = pl.read_csv(folder / name, schema=kinds)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise BundleError(f"{name} in {str(folder)!r} cannot be read: copy the run again or fit anew") from error
    table = table.with_columns(pl.col("doc_id").fill_null(""))
    if any(table[column].null_count() for column in table.columns if column != f"top_{unit}"):
        raise BundleError(f"{name} in {str(folder)!r} is cut off: copy the run again or fit anew")
    bare = pl.col("doc_id").str.strip_prefix("'")
    was_guarded = pl.col("doc_id").str.starts_with("'") & bare.str.contains(files.FORMULA_START)
    return table.with_columns(pl.when(was_guarded).then(bare).otherwise(pl.col("doc_id")).alias("doc_id"))


def choose_format(path: Path, asked: str | None) -> str:
    """The format asked for, or the one the file's ending names.

    Raises
    ------
    InputError
        Neither names a known format.
    """
    name = asked if asked is not None else path.suffix.removeprefix(".").lower()
    if name not in FORMATS:
        given = f"--format {asked!r}" if asked is not None else f"file {str(path)!r}"
        raise InputError(f"{given} given, expected one of {', '.join(FORMATS)}: give --format or such an ending")
    return name


def write_doc_table(
    path: Path,
    ids: list[str],
    status: list[str],
    theta: NDArray[np.float32],
    file_format: str,
    *,
    unit: str = "topic",
    overwrite: bool,
) -> None:
    """Write theta with ids and status: a table, or an NPZ of arrays `theta`, `doc_id`, `status`.

    Of components, the array is named `component`.
    """
    if file_format == "npz":
        arrays = {"theta" if unit == "topic" else unit: theta}
        _write_arrays(path, overwrite, doc_id=np.array(ids, dtype=str), status=np.array(status, dtype=str), **arrays)
    else:
        _write_table(path, doc_topic_table(ids, status, theta, unit), file_format, overwrite)


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
    """Write the top words of each topic as a table, or an NPZ of the whole `beta` with `vocabulary`.

    Of components, the array is named `component_word`.
    """
    if file_format == "npz":
        arrays = {"beta" if unit == "topic" else f"{unit}_word": beta}
        _write_arrays(path, overwrite, vocabulary=np.array(vocabulary, dtype=str), **arrays)
    else:
        _write_table(path, topic_word_table(beta, vocabulary, top or len(vocabulary), unit), file_format, overwrite)


def _write_table(path: Path, table: pl.DataFrame, file_format: str, overwrite: bool) -> None:
    with files.whole_file(path, overwrite=overwrite) as part, files.disk_errors(path):
        files.write_table(part, table, parquet=file_format == "parquet")


def _write_arrays(path: Path, overwrite: bool, **arrays: NDArray[Any]) -> None:
    with (
        files.whole_file(path, overwrite=overwrite) as part,
        files.disk_errors(path),
        part.open("wb") as handle,
    ):
        np.savez_compressed(handle, **arrays)  # type: ignore[arg-type]
