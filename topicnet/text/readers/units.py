"""Splitting of text files into documents: lines, paragraphs or whole files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from topicnet.errors import CorpusError
from topicnet.text.readers.documents import Row, Value
from topicnet.text.readers.layouts import MAX_CHARACTERS, MAX_LINES, Layout, layout_of, records_of
from topicnet.text.readers.open_text import File

UNITS = ("line", "paragraph", "file")


def unit_rows(file: File, unit: str | None, name: str = "", *, of_several: bool = False) -> Iterator[Row]:
    """Yield the rows of a text file.

    Parameters
    ----------
    file : File
    unit : {"line", "paragraph", "file"}, optional
        The part of the file that is one document. By default a line, and the first lines are examined: a layout that
        does not hold one document per line is rejected or logged.
    name : str
        Id of the document if it is the whole file.
    of_several : bool
        Add the column ``file`` with `name` to each line or paragraph.
    """
    match unit:
        case "file":
            return file_rows(file, name, {})
        case "paragraph":
            rows = _paragraph_rows(file)
        case "line":
            rows = _line_rows(file)
        case _:
            rows = _default_line_rows(file)
    return _named(rows, name) if of_several else rows


def file_rows(file: File, name: str, metadata: dict[str, Value]) -> Iterator[Row]:
    """Yield the row of a file that is one document; nothing if it is skipped."""
    text = file.text()
    if file.options.unit is None and (layout := records_of(text)) is not None:
        raise CorpusError(f"{file.name} looks like {layout.description}: {layout.remedy}")
    if file.skips and (why := file.fault(text)):
        file.log.skipped.add(file.name, why)
        return
    yield name, text, metadata


def _named(rows: Iterable[Row], name: str) -> Iterator[Row]:
    for key, text, _ in rows:
        yield key, text, {"file": name}


def _line_rows(file: File) -> Iterator[Row]:
    for _number, line in file.numbered():
        yield "", line, {}


def _default_line_rows(file: File) -> Iterator[Row]:
    """Yield the lines as rows after examining the first ones; log an unusual layout at the end, with the count."""
    lines = file.lines()
    first: list[str] = []
    n_characters = 0
    for line in lines:
        first.append(line)
        n_characters += len(line)
        if len(first) >= MAX_LINES or n_characters >= MAX_CHARACTERS:
            break
    layout = layout_of(first, file.options.text_column)
    if layout is not None and layout.is_refused:
        raise CorpusError(f"{file.name} looks like {layout.description}: {layout.remedy}")
    lines = chain(_drained(first), lines)
    if layout is None and not file.skips:
        for line in lines:
            yield "", line, {}
        return
    number = 0
    for number, line in enumerate(lines, 1):
        if file.is_sound(number, line):  # checked here, so that skipped rows keep their number
            yield "", line, {}
    if layout is not None:
        _note(file, layout, number)


def _drained(first: list[str]) -> Iterator[str]:
    """Yield the examined lines, then free their memory."""
    yield from first
    first.clear()


def _note(file: File, layout: Layout, n_lines: int) -> None:
    file.log.notice(
        f"{file.name} looks like {layout.description}: one document per line gives {n_lines:,} documents;"
        f" {layout.remedy}"
    )


def _paragraph_rows(file: File) -> Iterator[Row]:
    """Yield the blocks of lines between blank lines as rows."""
    parts: list[str] = []
    n_paragraphs = n_characters = begins = number = 0
    for number, line in enumerate(file.lines(), 1):
        if line.strip():
            begins = begins if parts else number
            parts.append(line)
            n_characters += len(line) + 1
            if n_characters > file.options.max_document_size:
                raise file.too_long(f"the paragraph on {file.at(begins)}")
        elif parts:
            n_paragraphs += 1
            yield from _paragraph(file, begins, parts)
            parts, n_characters = [], 0
    if parts:
        n_paragraphs += 1
        yield from _paragraph(file, begins, parts)
    if n_paragraphs == 1 and number > 1:
        file.log.notice(f"{file.name} is a single paragraph: no blank line separates its {number:,} lines")


def _paragraph(file: File, begins: int, parts: list[str]) -> Iterator[Row]:
    text = "\n".join(parts)
    if not file.skips or file.is_sound(begins, text):
        yield "", text, {}
