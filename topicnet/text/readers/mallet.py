"""Readers of the corpora of other topic-modelling tools: MALLET's instance files and OCTIS folders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from topicnet.errors import CorpusError
from topicnet.text.readers.delimited import unquoted
from topicnet.text.readers.documents import Row
from topicnet.text.readers.header_rows import USUAL_NAMES, is_split_header
from topicnet.text.readers.open_text import File

OCTIS_CORPUS, OCTIS_VOCABULARY = "corpus.tsv", "vocabulary.txt"
OCTIS_COLUMNS = ["text", "split", "label"]
_SAMPLED = 64  # lines examined to decide whether the first is a header
_FIELDS = re.compile("[ \t]+")


def mallet_rows(file: File) -> Iterator[Row]:
    """Yield the rows of a file of lines ``name label text...``, skipping blank lines as MALLET does.

    Examples
    --------
    >>> import io
    >>> file = File(Path("a.mallet"), opener=lambda: io.BufferedReader(io.BytesIO(b"doc1 en a b c\\n")))
    >>> list(mallet_rows(file))
    [('doc1', 'a b c', {'label': 'en'})]
    """
    for number, line in file.numbered():
        if not line.strip(" \t\r"):
            continue
        fields = _FIELDS.split(line, maxsplit=2)
        if len(fields) < 2:
            why = "one field, expected a name, a label and the text"
            file.refuse(number, why, f"{file.at(number)} has {why}. Separate them by white space")
            continue
        yield fields[0], fields[2] if len(fields) == 3 else "", {"label": fields[1]}


def octis_rows(file: File) -> Iterator[Row]:
    """Yield the rows of an OCTIS ``corpus.tsv``: text, split and label, or only the first one or two.

    Each line is one document, with its line number as id. A header line is skipped and does not count.
    """
    records = unquoted(file, file.lines())
    first = list(islice(records, _SAMPLED))
    n_names = int(_has_header(file, [fields for _, fields in first]))
    if n_names:
        file.log.notice(f"line 1 of {file.name} is a header and not a document: {', '.join(first[0][1])}")
    n_columns = 0
    for line, fields in chain(first[n_names:], records):
        n_columns = n_columns or len(fields)
        if n_columns > len(OCTIS_COLUMNS):
            raise CorpusError(
                f"{file.at(line)} has {n_columns} fields, expected 1 to 3: text, split, label. Read it as tsv instead,"
                " with --text-column"
            )
        if fields and len(fields) != n_columns:
            why = f"{len(fields)} field(s), expected {n_columns}"
            file.refuse(line, why, f"{file.at(line)} has {why} as in the first line. Separate them by single tabs")
            continue
        text, *rest = fields or [""]
        yield str(line - n_names), text, dict(zip(OCTIS_COLUMNS[1:], rest, strict=False))


def _has_header(file: File, rows: list[list[str]]) -> bool:
    if not rows or not rows[0] or rows[0][0].strip().casefold() not in USUAL_NAMES:
        return False
    words = octis_vocabulary(file.path.parent) if file.path is not None and len(rows[0]) == 1 else None
    return is_split_header(rows[0], rows[1:], set(words or ()))


def is_octis(folder: Path) -> bool:
    """Return whether a folder has the files of an OCTIS corpus."""
    return (folder / OCTIS_CORPUS).is_file() and (folder / OCTIS_VOCABULARY).is_file()


def octis_vocabulary(folder: str | Path) -> list[str] | None:
    """Read the vocabulary of an OCTIS folder, in the order of ``vocabulary.txt``; None for any other folder.

    Parameters
    ----------
    folder : str or Path

    Raises
    ------
    CorpusError
        The vocabulary cannot be read.
    """
    folder = Path(folder)
    if not is_octis(folder):
        return None
    return [line for line in File(folder / OCTIS_VOCABULARY).lines() if line]
