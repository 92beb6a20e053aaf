"""Choice of the vocabulary: pruning of words by document frequency."""

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
    """Bounds on the document frequency of the words in the vocabulary.

    Parameters
    ----------
    min_df : int or float, optional
        Lowest document frequency of a word: a number of documents if int, a fraction (0.0 to 1.0) of the documents
        that contain words if float. By default it grows with the corpus (2 at a few hundred documents, 5 at 10,000,
        16 at 100,000); a corpus of fewer than 20 documents keeps every word.
    max_df : int or float, optional
        Highest document frequency of a word, in the same units. By default 0.5; a corpus of fewer than 20 documents
        keeps every word.
    max_vocab : int, default 20,000
        Keep at most this many words, those with the highest document frequency.
    passages : int, optional
        Length in words of the passages that documents are split into, if they are. In a corpus of fewer than 20
        documents, document frequencies are then counted over passages.

    Raises
    ------
    InputError
        A bound is neither a whole number from 1 nor a fraction from 0.0 to 1.0, or `max_vocab` is below 1.

    Examples
    --------
    >>> import topicnet
    >>> texts = ["Cats chase mice.", "Mice fear cats.", "Dogs chase cats."]
    >>> options = topicnet.TextOptions(pruning=topicnet.Pruning(min_df=2, max_df=0.9))
    >>> topicnet.Corpus.from_texts(texts, options=options).vocabulary
    ['chase', 'mice']
    """

    min_df: int | float | None = None
    max_df: int | float | None = None
    max_vocab: int = 20_000
    passages: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("min_df", self.min_df), ("max_df", self.max_df)):
            whole = isinstance(value, int) and value >= 1
            fraction = isinstance(value, float) and 0 <= value <= 1
            if value is not None and not whole and not fraction:
                raise InputError(f"{name}={value!r} given, expected a whole number from 1, or a fraction such as 0.5")
        if self.max_vocab < 1:
            raise InputError(f"max_vocab={self.max_vocab} given, expected 1 word or more")

    def bounds(self, n_docs: int) -> tuple[int, int]:
        """Return the lowest and the highest document frequency that is kept, in documents.

        Parameters
        ----------
        n_docs : int
            Number of documents that contain words.

        Returns
        -------
        low : int
            Lowest document frequency that is kept.
        high : int
            Highest document frequency that is kept.

        Examples
        --------
        >>> Pruning().bounds(10_000)
        (5, 5000)
        """
        small = n_docs < SMALL_CORPUS
        # The slack absorbs rounding errors, so that 0.07 of 100 documents is 7.
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
        """Return the positions of the words to keep, in alphabetical order of the words.

        Parameters
        ----------
        words : list of str or polars Series of str, length W
            The candidate words.
        document_frequency : ndarray of shape (W,), int
            Number of documents that contain each word.
        n_docs : int
            Number of documents that contain words.
        n_stop_words : int, default 0
            Number of stop words removed earlier, for the error message.

        Returns
        -------
        ndarray of shape (V,), int
            Positions in `words`.

        Raises
        ------
        CorpusError
            No word is left.

        Examples
        --------
        >>> import numpy as np
        >>> Pruning(min_df=2).keep(["dogs", "mice", "cats"], np.array([1, 3, 2]), n_docs=30)
        array([2, 1])
        """
        low, high = self.bounds(n_docs)
        kept = np.flatnonzero((document_frequency >= max(1, low)) & (document_frequency <= high))
        if len(kept) == 0:
            raise CorpusError(_empty_vocabulary(document_frequency, low, high, n_docs, n_stop_words))
        names = pl.Series(words, dtype=pl.String).gather(kept)
        frequent = pl.DataFrame({"at": kept, "word": names, "documents": -document_frequency[kept]})
        chosen = frequent.sort("documents", "word").head(self.max_vocab).sort("word")
        return chosen["at"].to_numpy().astype(np.intp)


def _empty_vocabulary(document_frequency: NDArray[np.intp], low: int, high: int, n_docs: int, n_stop_words: int) -> str:
    """Write the error message for an empty vocabulary, with the number of words that each bound removed."""
    rare, common = int((document_frequency < max(1, low)).sum()), int((document_frequency > high).sum())
    stop_words = f", after {n_stop_words:,} stop words in the text" if n_stop_words else ""
    return (
        f"no word is left of {len(document_frequency):,}: {rare:,} in fewer than {low} document(s) (--min-df) and"
        f" {common:,} in more than {high} (--max-df), of {n_docs:,} documents that contain words{stop_words}; lower"
        " --min-df, raise --max-df, or check --lang and --stop-words"
    )
