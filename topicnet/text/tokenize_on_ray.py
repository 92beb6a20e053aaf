"""Cutting texts into words on all machines of a Ray cluster, by Ray Data."""

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

BATCHES_A_CORE = 4  # handed to the cluster at a time
MOST_CHARACTERS = 200_000_000  # of these: this process holds no more of the texts


def tokenize_on_ray(
    options: TextOptions, batches: Iterable[Documents]
) -> Iterator[tuple[Documents, Iterable[Tokenized]]]:
    """Cut the texts of all batches on the cluster this process is connected to.

    This process reads; each task cuts one batch, and gives its different words and the number of each that stands
    there. A task that is lost with its machine is done again by another.
    """
    here = TextOptions(
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
            _tokenize_table, batch_size=None, batch_format="pyarrow", fn_args=(here,)
        )
        cuts = map(_tokenized_of, _found(done.iter_batches(batch_size=None, batch_format="pyarrow")))
        for documents, some in zip(window, pieces, strict=True):
            found = list(islice(cuts, len(some)))
            if sum(len(one.lengths) for one in found) != sum(map(len, some)):
                raise ParallelError(
                    "Ray Data gave the words of other texts than it was given: fit without --engine ray"
                )
            # Hashed here: another machine's hashes may be others.
            yield (
                documents,
                [
                    one._replace(hashes=text_hashes(pl.Series(piece, dtype=pl.String)))
                    for one, piece in zip(found, some, strict=True)
                ],
            )


def _windows(batches: Iterable[Documents]) -> Iterator[list[Documents]]:
    """As many small batches as keep the cluster busy, or as this process should hold at a time."""
    most = BATCHES_A_CORE * max(1, int(ray.cluster_resources().get("CPU", 1)))
    window: list[Documents] = []
    n_characters = 0
    for documents in small_batches(batches):
        window.append(documents)
        n_characters += sum(map(len, documents.texts))
        if len(window) == most or n_characters > MOST_CHARACTERS:
            yield window
            window, n_characters = [], 0
    if window:
        yield window


def _found(tables: Iterator[Any]) -> Iterator[Any]:
    """The same, and one line where the cluster does not give them."""
    try:
        yield from tables
    except ray.exceptions.RayError as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise ParallelError(
            f"the cluster could not cut the texts ({lines[-1] if lines else type(error).__name__}): topicnet, and what"
            " its tokenizer needs, have to be installed on every machine"
        ) from error


def _tokenize_table(table: Any, options: TextOptions) -> Any:
    """One row with all that a `Tokenized` of these texts holds; runs on any machine of the cluster."""
    words, _, lengths, blank, _ = tokenize_texts(_with_tokenizer(options), pl.Series(table["text"]).to_list())
    numbered = WordNumbers([])
    numbers = numbered.encode(words)
    row = {"words": [numbered.listed()], "numbers": [numbers], "lengths": [lengths], "blank": [blank]}
    return pl.DataFrame(row).to_arrow()


@cache
def _with_tokenizer(options: TextOptions) -> TextOptions:
    """Equal options, always the same: a tokenizer takes seconds to load."""
    return options


def _tokenized_of(table: Any) -> Tokenized:
    row = pl.from_arrow(table)
    assert isinstance(row, pl.DataFrame)
    parts = {name: row[name][0] for name in row.columns}
    numbers, lengths, blank = (parts[name].to_numpy() for name in ("numbers", "lengths", "blank"))
    return Tokenized(parts["words"], numbers, lengths, blank, np.zeros(0, dtype=np.uint64))
