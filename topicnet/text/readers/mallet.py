"""The files of other tools: MALLET's one document a line, and the folders of OCTIS."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from topicnet.errors import CorpusError
from topicnet.text.readers.delimited import unquoted
from topicnet.text.readers.documents import Row
from topicnet.text.readers.open_text import File

OCTIS_CORPUS, OCTIS_VOCABULARY = "corpus.tsv", "vocabulary.txt"
_OCTIS_COLUMNS = ["text", "split", "label"]
_FIELDS = re.compile("[ \t]+")


def mallet_rows(file: File) -> Iterator[Row]:
    """Rows of lines ``name label text...``; blank lines are skipped, as MALLET skips them."""
    for number, line in file.numbered():
        if not line.strip(" \t\r"):
            continue
        fields = _FIELDS.split(line, maxsplit=2)
        if len(fields) < 2:
            why = "one field, expected a name, a label and the text"
            file.refuse(number, why, f"{file.at(number)} has {why}. Part them by white space")
            continue
        yield fields[0], fields[2] if len(fields) == 3 else "", {"label": fields[1]}


def octis_rows(file: File) -> Iterator[Row]:
    """Rows of a ``corpus.tsv``: text, split and label, or the first of these; every line is one, its number the id."""
    n_columns = 0
    for line, fields in unquoted(file, file.lines()):
        n_columns = n_columns or len(fields)
        if n_columns > len(_OCTIS_COLUMNS):
            raise CorpusError(
                f"{file.at(line)} has {n_columns} fields, expected 1 to 3: text, split, label. Read it as tsv instead"
            )
        if fields and len(fields) != n_columns:
            why = f"{len(fields)} field(s), expected {n_columns}"
            file.refuse(line, why, f"{file.at(line)} has {why} as in the first line. Part them by single tabs")
            continue
        text, *rest = fields or [""]
        yield str(line), text, dict(zip(_OCTIS_COLUMNS[1:], rest, strict=False))


def is_octis(folder: Path) -> bool:
    """Whether a folder is laid out as OCTIS lays out a corpus."""
    return (folder / OCTIS_CORPUS).is_file() and (folder / OCTIS_VOCABULARY).is_file()


def octis_vocabulary(folder: str | Path) -> list[str] | None:
    """The words of an OCTIS folder in the order of its ``vocabulary.txt``; None for any other folder.

    Raises
    ------
    CorpusError
        The vocabulary cannot be read.
    """
    folder = Path(folder)
    if not is_octis(folder):
        return None
    return [line for line in File(folder / OCTIS_VOCABULARY).lines() if line]
