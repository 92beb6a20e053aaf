"""Reading of whole sources, and the error messages and notices of readers."""

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from topicnet.errors import CorpusError
from topicnet.text import readers
from topicnet.text.readers.documents import Documents, ReadingLog, ReadingOptions, SkippedRows
from topicnet.text.readers.read import read_documents

anything = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


def write(path: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    """Write a file, compressed if its name ends in .gz."""
    data = content if isinstance(content, bytes) else content.encode(encoding)
    path.write_bytes(gzip.compress(data, 1) if path.name.lower().endswith(".gz") else data)
    return path


def batches_of(
    source: Any, *, skipped: SkippedRows | None = None, batch_docs: int = 10_000, **options: Any
) -> Iterator[Documents]:
    """Read a source in batches; malformed rows are skipped if a record for them is given."""
    log = ReadingLog(SkippedRows() if skipped is None else skipped)
    given = ReadingOptions(**options, skip_bad_rows=skipped is not None)
    return read_documents(source, given, log, batch_docs=batch_docs)


def read(path: str | Path, **options: Any) -> Documents:
    """Read a source; returns its batches joined."""
    batches = list(batches_of(path, **options))
    assert all(batches_are_sound(batches, options.get("batch_docs", 10_000)))
    return Documents(
        [i for b in batches for i in b.ids],
        [t for b in batches for t in b.texts],
        [m for b in batches for m in b.metadata],
    )


def batches_are_sound(batches: list[Documents], batch_docs: int) -> Iterable[bool]:
    """Check that batches are aligned, not empty, and full except the last."""
    for i, batch in enumerate(batches):
        yield len(batch.ids) == len(batch.texts) == len(batch.metadata)
        yield 1 <= len(batch.ids) <= batch_docs
        yield len(batch.ids) == batch_docs or i == len(batches) - 1 or is_full(batch, batches[i + 1])


def is_full(batch: Documents, following: Documents) -> bool:
    """Check that the next document would have exceeded the limit on characters."""
    return sum(map(len, [*batch.texts, following.texts[0]])) > readers.read._BATCH_CHARACTERS


def refusal(path: str | Path, **options: Any) -> str:
    """Return the message of the CorpusError that reading raises."""
    with pytest.raises(CorpusError) as caught:
        list(batches_of(path, **options))
    message = str(caught.value)
    assert message.isprintable()  # one line
    return message


def numbers(n: int) -> list[str]:
    """Return the default ids of n documents."""
    return [str(i) for i in range(1, n + 1)]


def notices(source: Any, **options: Any) -> list[str]:
    """Return the notices from reading a source, each a printable line."""
    log = ReadingLog()
    for _ in read_documents(source, ReadingOptions(**options), log):
        pass
    assert all(line.isprintable() for line in log.notices)
    return log.notices
