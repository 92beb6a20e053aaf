"""Structures that grow while a corpus is counted: word ids, arrays in memory or on disk, and a checksum."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from topicnet.storage import mapped
from topicnet.text.readers.documents import Documents


class WordNumbers:
    """Growing map from words to ids: the words given first have the ids from 0, and each new word gets the next.

    Parameters
    ----------
    first : list of str
        Words that get the first ids, in this order.
    """

    def __init__(self, first: list[str]) -> None:
        self.categories = pl.Categories.random("topicnet")
        self.dtype = pl.Categorical(self.categories)
        self.alive = pl.Series(first, dtype=self.dtype)  # polars drops categories that no series uses

    def encode(self, flat: pl.Series) -> NDArray[np.int32]:
        """Return the id of each word, adding new words."""
        # The streaming engine casts in several threads, so the order of the ids of new words may vary.
        query = flat.rename("word").to_frame().lazy().select(pl.col("word").cast(self.dtype))
        coded = query.collect(engine="streaming").to_series()
        self.alive = pl.concat([self.alive.head(1), coded.head(1)])
        return coded.to_physical().to_numpy().view(np.int32)

    def listed(self) -> pl.Series:
        """Return all words, in the order of their ids."""
        return self.categories.to_series() if len(self.alive) else pl.Series([], dtype=pl.String)


class Checksum:
    """SHA-256 of documents (ids, texts and the lengths of both), independent of the batch size."""

    def __init__(self) -> None:
        self.parts = {name: hashlib.sha256() for name in ("ids", "texts", "lengths")}

    def add(self, documents: Documents) -> None:
        """Add more documents."""
        self.parts["ids"].update("".join(documents.ids).encode("utf-8"))
        self.parts["texts"].update("".join(documents.texts).encode("utf-8"))
        both = zip(documents.ids, documents.texts, strict=True)
        lengths = np.fromiter((len(part) for pair in both for part in pair), dtype="<i8", count=2 * len(documents.ids))
        self.parts["lengths"].update(lengths.tobytes())

    def hexdigest(self) -> str:
        """Return one checksum of everything added."""
        return hashlib.sha256(b"".join(part.digest() for part in self.parts.values())).hexdigest()


class GrowingArray:
    """Array that grows piece by piece, in memory or in a file.

    Parameters
    ----------
    path : Path or None
        The file; None for memory.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.parts: list[NDArray[np.int32]] = []
        self.file = None if path is None else mapped.ArrayFile(path, np.int32)

    def append(self, part: NDArray[np.int32]) -> None:
        """Add a piece."""
        if self.file is None:
            self.parts.append(part)
        else:
            self.file.append(part)

    def whole(self) -> NDArray[np.int32]:
        """Return all pieces as one array, memory-mapped if they are in a file."""
        if self.file is None or self.path is None:
            return np.concatenate([np.zeros(0, dtype=np.int32), *self.parts])
        self.file.close()
        mapped: NDArray[np.int32] = np.load(self.path, mmap_mode="r", allow_pickle=False)
        return mapped

    def discard(self) -> None:
        """Free the memory, or delete the file."""
        self.parts.clear()
        if self.path is not None:
            self.path.unlink()
