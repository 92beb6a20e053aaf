"""The tables of a run: documents by topics and topics by words, as CSV, Parquet or NPZ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from topicnet import files
from topicnet.bundle import Bundle
from topicnet.errors import BundleError, InputError
from topicnet.evaluate.coherence import top_words
from topicnet.text.counts import OK

FORMATS = ("csv", "parquet", "npz")


def doc_topic_table(ids: list[str], status: list[str], theta: NDArray[np.float32]) -> pl.DataFrame:
    """The table of doc_topic.csv; top_topic is null for a document without known words."""
    best = pl.Series(theta.argmax(1) if theta.size else np.zeros(0, dtype=np.int64), dtype=pl.Int64)
    frame = pl.DataFrame({"doc_id": ids, "status": status}, schema={"doc_id": pl.String, "status": pl.String})
    frame = frame.with_columns(pl.when(pl.col("status") == OK).then(best).alias("top_topic"))
    columns = [pl.Series(f"topic_{k}", theta[:, k]) for k in range(theta.shape[1])]
    return frame.with_columns(columns)


def topic_word_table(bundle: Bundle, n: int) -> pl.DataFrame:
    """The table of topic_word.csv: the n most probable words of each topic."""
    beta = bundle.model.components_
    words = top_words(beta, n)
    n_topics, n_words = words.shape
    return pl.DataFrame(
        {
            "topic": np.repeat(np.arange(n_topics), n_words),
            "rank": np.tile(np.arange(1, n_words + 1), n_topics),
            "word": [bundle.vocabulary[i] for i in words.ravel()],
            "probability": np.take_along_axis(beta, words, axis=1).ravel(),
        }
    )


def read_doc_topic(folder: Path, n_topics: int) -> pl.DataFrame:
    """Read doc_topic.csv back, bit for bit."""
    kinds: dict[str, Any] = {"doc_id": pl.String, "status": pl.String, "top_topic": pl.Int64}
    kinds |= {f"topic_{k}": pl.Float32 for k in range(n_topics)}
    try:
        table = pl.read_csv(folder / "doc_topic.csv", schema=kinds)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise BundleError(f"doc_topic.csv in {str(folder)!r} cannot be read: copy the run again or fit anew") from error
    table = table.with_columns(pl.col("doc_id").fill_null(""))
    if any(table[name].null_count() for name in table.columns if name != "top_topic"):
        raise BundleError(f"doc_topic.csv in {str(folder)!r} is cut off: copy the run again or fit anew")
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


def write_doc_topic(
    path: Path,
    ids: list[str],
    status: list[str],
    theta: NDArray[np.float32],
    file_format: str,
    *,
    overwrite: bool,
) -> None:
    """Write theta with ids and status: a table, or an NPZ of arrays `theta`, `doc_id`, `status`."""
    if file_format == "npz":
        _write_arrays(path, overwrite, theta=theta, doc_id=np.array(ids, dtype=str), status=np.array(status, dtype=str))
    else:
        _write_table(path, doc_topic_table(ids, status, theta), file_format, overwrite)


def write_topic_word(path: Path, bundle: Bundle, top: int, file_format: str, *, overwrite: bool) -> None:
    """Write the top words of each topic as a table, or an NPZ of the whole `beta` with `vocabulary`."""
    if file_format == "npz":
        words = np.array(bundle.vocabulary, dtype=str)
        _write_arrays(path, overwrite, beta=bundle.model.components_, vocabulary=words)
    else:
        _write_table(path, topic_word_table(bundle, top or len(bundle.vocabulary)), file_format, overwrite)


def _write_table(path: Path, table: pl.DataFrame, file_format: str, overwrite: bool) -> None:
    with files.whole_file(path, overwrite=overwrite) as part, files.disk_errors(path):
        files.write_table(part, table, parquet=file_format == "parquet")


def _write_arrays(path: Path, overwrite: bool, **arrays: NDArray[np.generic]) -> None:
    with (
        files.whole_file(path, overwrite=overwrite) as part,
        files.disk_errors(path),
        part.open("wb") as handle,
    ):
        np.savez_compressed(handle, **arrays)  # type: ignore[arg-type]
