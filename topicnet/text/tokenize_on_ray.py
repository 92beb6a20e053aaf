"""Tokenisation on a Ray cluster, with Ray Data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import polars as pl
import ray

from topicnet.errors import ParallelError
from topicnet.text.growing_arrays import WordNumbers
from topicnet.text.readers.documents import Documents
from topicnet.text.tokens.options import TextOptions
from topicnet.text.tokens.tokenize import Tokenized, in_pieces, small_batches, text_hashes, tokenize_texts

BATCHES_PER_CORE = 4  # submitted to the cluster at a time
MAX_CHARACTERS = 200_000_000  # most characters submitted at a time, which bounds the memory of this process


def tokenize_on_ray(
    options: TextOptions, batches: Iterable[Documents]
) -> Iterator[tuple[Documents, Iterable[Tokenized]]]:
    """Tokenise the texts of all batches on the cluster that this process is connected to.

    This process reads the documents. Each task tokenises one batch and returns its distinct words and, for each token,
    the number of its word. Ray repeats tasks that are lost with their machine.

    Parameters
    ----------
    options : TextOptions
    batches : iterable of Documents

    Yields
    ------
    documents : Documents
        A small batch, in input order.
    tokenized : iterable of Tokenized
        Its words.

    Raises
    ------
    ParallelError
        A task failed, or returned words for other texts than it was given.
    """
    needed = TextOptions(
        lang=options.lang,
        tokenizer=options.tokenizer,
        lemmatize=options.lemmatize,
        cleaning=options.cleaning,
        fold_letters=options.fold_letters,
    )
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    for window in _windows(batches):
        pieces = [list(in_pieces(documents.texts)) for documents in window]
        tables = [pl.DataFrame({"text": pl.Series(piece, dtype=pl.String)}) for some in pieces for piece in some]
        done = ray.data.from_arrow([table.to_arrow() for table in tables]).map_batches(
            _tokenize_table, batch_size=None, batch_format="pyarrow", fn_args=(needed,)
        )
        tokenized = map(_tokenized_of, _results(done.iter_batches(batch_size=None, batch_format="pyarrow")))
        for documents, some in zip(window, pieces, strict=True):
            found = list(islice(tokenized, len(some)))
            if sum(len(one.lengths) for one in found) != sum(map(len, some)):
                raise ParallelError(
                    "Ray Data returned words for other texts than it was given: fit without --engine ray"
                )
            # Hashes are computed here, since they can differ between machines.
            yield (
                documents,
                [
                    one._replace(hashes=text_hashes(pl.Series(piece, dtype=pl.String)))
                    for one, piece in zip(found, some, strict=True)
                ],
            )


def _windows(batches: Iterable[Documents]) -> Iterator[list[Documents]]:
    """Yield lists of small batches, large enough to keep the cluster busy and small enough for this process."""
    most = BATCHES_PER_CORE * max(1, int(ray.cluster_resources().get("CPU", 1)))
    window: list[Documents] = []
    n_characters = 0
    for documents in small_batches(batches):
        window.append(documents)
        n_characters += sum(map(len, documents.texts))
        if len(window) == most or n_characters > MAX_CHARACTERS:
            yield window
            window, n_characters = [], 0
    if window:
        yield window


def _results(tables: Iterator[Any]) -> Iterator[Any]:
    """Yield the tables of the tasks, and turn Ray's errors into one-line ones."""
    try:
        yield from tables
    except ray.exceptions.RayError as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise ParallelError(
            f"the cluster could not tokenise the texts ({lines[-1] if lines else type(error).__name__}): install"
            " topicnet and the packages of its tokenizer on every machine"
        ) from error


def _tokenize_table(table: Any, options: TextOptions) -> Any:
    """Tokenise texts on any machine of the cluster, and return the fields of their `Tokenized` in one row."""
    words, _, lengths, blank, _ = tokenize_texts(_with_tokenizer(options), pl.Series(table["text"]).to_list())
    numbered = WordNumbers([])
    numbers = numbered.encode(words)
    row = {"words": [numbered.listed()], "numbers": [numbers], "lengths": [lengths], "blank": [blank]}
    return pl.DataFrame(row).to_arrow()


@cache
def _with_tokenizer(options: TextOptions) -> TextOptions:
    """Return one cached object for equal options, so that their tokenizer, which is slow to load, loads once."""
    return options


def _tokenized_of(table: Any) -> Tokenized:
    """Rebuild a `Tokenized` from a row of `_tokenize_table`."""
    row = pl.from_arrow(table)
    assert isinstance(row, pl.DataFrame)
    parts = {name: row[name][0] for name in row.columns}
    numbers, lengths, blank = (parts[name].to_numpy() for name in ("numbers", "lengths", "blank"))
    return Tokenized(parts["words"], numbers, lengths, blank, np.zeros(0, dtype=np.uint64))
