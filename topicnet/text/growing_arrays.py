"""What a count keeps as it goes: numbers of words, arrays that grow, and a checksum of all that was read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from topicnet.storage import mapped
from topicnet.text.readers.documents import Documents


class Words:
    """Numbers of words, in the order they are met, from 0; those given first come first."""

    def __init__(self, first: list[str]) -> None:
        self.categories = pl.Categories.random("topicnet")
        self.kind = pl.Categorical(self.categories)
        self.alive = pl.Series(first, dtype=self.kind)  # polars forgets categories that no data has

    def encode(self, flat: pl.Series) -> NDArray[np.int32]:
        """The number of each word, new words included."""
        # The streaming engine casts in every thread; words met first by two of them have numbers in either order.
        query = flat.rename("word").to_frame().lazy().select(pl.col("word").cast(self.kind))
        coded = query.collect(engine="streaming").to_series()
        self.alive = pl.concat([self.alive.head(1), coded.head(1)])
        return coded.to_physical().to_numpy().view(np.int32)

    def listed(self) -> pl.Series:
        """All words, by number."""
        return self.categories.to_series() if len(self.alive) else pl.Series([], dtype=pl.String)


class Checksum:
    """SHA-256 of documents, however they come in batches: of ids, of texts, and of how long each of them is."""

    def __init__(self) -> None:
        self.parts = {name: hashlib.sha256() for name in ("ids", "texts", "lengths")}

    def add(self, documents: Documents) -> None:
        """Go on with more documents."""
        self.parts["ids"].update("".join(documents.ids).encode("utf-8"))
        self.parts["texts"].update("".join(documents.texts).encode("utf-8"))
        both = zip(documents.ids, documents.texts, strict=True)
        lengths = np.fromiter((len(part) for pair in both for part in pair), dtype="<i8", count=2 * len(documents.ids))
        self.parts["lengths"].update(lengths.tobytes())

    def hexdigest(self) -> str:
        """All of it in one."""
        return hashlib.sha256(b"".join(part.digest() for part in self.parts.values())).hexdigest()


class Store:
    """An array that grows: a list of pieces, or a file of them."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.parts: list[NDArray[np.int32]] = []
        self.file = None if path is None else mapped.ArrayFile(path, np.int32)

    def append(self, part: NDArray[np.int32]) -> None:
        if self.file is None:
            self.parts.append(part)
        else:
            self.file.append(part)

    def whole(self) -> NDArray[np.int32]:
        """All pieces as one array, a mapped one where they are in a file."""
        if self.file is None or self.path is None:
            return np.concatenate([np.zeros(0, dtype=np.int32), *self.parts])
        self.file.close()
        mapped: NDArray[np.int32] = np.load(self.path, mmap_mode="r", allow_pickle=False)
        return mapped

    def discard(self) -> None:
        self.parts.clear()
        if self.path is not None:
            self.path.unlink()
