"""Which words are counted: document frequencies and pruning."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from topicnet.errors import CorpusError, InputError

SMALL_CORPUS = 20  # documents; below it every word is kept


@dataclass(frozen=True)
class Pruning:
    """Bounds on the document frequency of a word.

    Attributes
    ----------
    min_df, max_df : int or float, optional
        A whole number counts documents, a share below or at 1.0 is of the documents that hold words. By default
        `min_df` grows with the corpus (2 at a few hundred documents, 5 at 10,000, 16 at 100,000) and `max_df` is
        0.5; a corpus below 20 documents keeps every word.
    max_vocab : int
        At most this many words, the most frequent by document frequency.
    passages : int, optional
        Words of the passages that documents are cut into; a corpus below 20 documents counts them as its documents.
    """

    min_df: int | float | None = None
    max_df: int | float | None = None
    max_vocab: int = 20_000
    passages: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("min_df", self.min_df), ("max_df", self.max_df)):
            whole = isinstance(value, int) and value >= 1
            share = isinstance(value, float) and 0 <= value <= 1
            if value is not None and not whole and not share:
                raise InputError(f"{name}={value!r} given, expected a whole number from 1, or a share such as 0.5")
        if self.max_vocab < 1:
            raise InputError(f"max_vocab={self.max_vocab} given, expected 1 word or more")

    def bounds(self, n_docs: int) -> tuple[int, int]:
        """Lowest and highest document frequency kept, in documents, among n_docs with words."""
        small = n_docs < SMALL_CORPUS
        # A hair of slack: 0.07 of 100 documents is 7, whatever floating point makes of it.
        low = math.ceil(self.min_df * n_docs - 1e-9) if isinstance(self.min_df, float) else self.min_df
        high = math.floor(self.max_df * n_docs + 1e-9) if isinstance(self.max_df, float) else self.max_df
        if low is None:
            low = 1 if small else max(2, round(math.sqrt(n_docs) / 20))
        if high is None:
            high = n_docs if small else n_docs // 2
        return low, high

    def keep(
        self,
        words: list[str] | pl.Series,
        document_frequency: NDArray[np.intp],
        n_docs: int,
        *,
        n_stop_words: int = 0,
    ) -> NDArray[np.intp]:
        """Positions of the words to keep, in alphabetical order of the words.

        Parameters
        ----------
        words : list or Series of str
        document_frequency : ndarray
            Of each word.
        n_docs : int
            Documents that hold words.
        n_stop_words : int
            Occurrences of stop words, left out before; named in the message of a corpus of which no word is kept.

        Raises
        ------
        CorpusError
            No word is left.
        """
        low, high = self.bounds(n_docs)
        kept = np.flatnonzero((document_frequency >= max(1, low)) & (document_frequency <= high))
        if len(kept) == 0:
            raise CorpusError(_none_left(document_frequency, low, high, n_docs, n_stop_words))
        names = pl.Series(words, dtype=pl.String).gather(kept)
        frequent = pl.DataFrame({"at": kept, "word": names, "documents": -document_frequency[kept]})
        chosen = frequent.sort("documents", "word").head(self.max_vocab).sort("word")
        return chosen["at"].to_numpy().astype(np.intp)


def _none_left(document_frequency: NDArray[np.intp], low: int, high: int, n_docs: int, n_stop_words: int) -> str:
    """The message of a corpus of which no word is kept: which filter took how many."""
    rare, common = int((document_frequency < max(1, low)).sum()), int((document_frequency > high).sum())
    stop_words = f", after {n_stop_words:,} stop words in the text" if n_stop_words else ""
    return (
        f"no word is left of {len(document_frequency):,}: {rare:,} in fewer than {low} document(s) (--min-df) and"
        f" {common:,} in more than {high} (--max-df), of {n_docs:,} documents that hold words{stop_words}; lower"
        " --min-df, raise --max-df, or check --lang and --stop-words"
    )
