"""Recognition of text files that do not hold one document per line, such as tagged records, tables or HTML."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from topicnet.text.readers.documents import text_columns

MAX_LINES, MAX_CHARACTERS = 400, 1 << 16  # examined at the start of a file
_AS_IT_IS = "or give --unit line to read it as it is"
_NO_LINES = ", not one document per line"
_WOS_TAGS = frozenset(("AU", "AF", "TI", "SO", "AB", "PY", "UT", "DE", "ID", "DT", "LA", "C1", "CR", "DI", "ER"))
_WOS = re.compile(r"[A-Z][A-Z0-9](?: |$)")
_MIN_TAGS = 3
_RIS = re.compile(r"[A-Z][A-Z0-9]  - ?")
_MEDLINE = re.compile(r"[A-Z]{2,4} *- ")
_ENDNOTE = re.compile(r"%[0-9A-Z~@!^] ")
_RECORDS_BEGIN = re.compile(r"\s*(?:FN |PT |TY  - |PMID- |%0 |<1>|@[A-Za-z]+\{)")
_OVID_FIELDS = frozenset(("Unique Identifier", "Title", "Authors", "Author", "Abstract", "Source", "Journal Name"))
_BIBTEX = re.compile(r"@[A-Za-z]+\{[^,\s]+,\s*$")
_MOSTLY = 0.6
_CAPTION = re.compile(r"(?:\d+:)?\d\d:\d\d[,.]\d{3} --> ")
_MBOX = re.compile(r"From \S+@?\S* .*\d\d:\d\d")
_MAIL_HEADER = re.compile(r"[A-Z][A-Za-z-]+: ")
_QUOTED_NAMES = re.compile(r'"[^"]{1,40}"(?: "[^"]{1,40}")*')
_NAMES = frozenset(  # column names that show a line with commas to be a header and not a sentence
    ("text", "id", "title", "abstract", "body", "content", "comment", "answer", "response", "date", "year", "time",
     "author", "label", "category", "document", "tweet", "message", "review", "rating", "user", "name", "url"),
)  # fmt: skip
TAB = "\t"
_DELIMITERS = {TAB: "tabs", ",": "commas", ";": "semicolons", "|": "vertical bars"}
_MIN_ROWS = 3
_MAX_NAME = 40
_MIN_WIDTH, _MAX_WIDTH = 30, 130  # line width of wrapped prose, in characters
_MIN_WRAPPED = 8
_INDENT = re.compile(r"(?: {2,8}|\t)\S")
_SENTENCE_ENDS = ".!?:;\"'”’»)"
_MIN_SINGLE_PARAGRAPH = 20  # minimum lines if the whole file is one paragraph


@dataclass(frozen=True)
class Layout:
    """A recognised layout.

    Attributes
    ----------
    description : str
        Description of the layout, for messages.
    remedy : str
        Advice on how to read such a file, for messages.
    is_refused : bool
        Raise an error instead of logging a notice.
    """

    description: str
    remedy: str
    is_refused: bool = False


def layout_of(lines: Sequence[str], text_column: str | Sequence[str] = "text") -> Layout | None:
    """Recognise the layout of a file from its first lines.

    Parameters
    ----------
    lines : sequence of str
    text_column : str or sequence of str
        Requested text columns, which help to recognise a header.

    Returns
    -------
    Layout or None
        None if each line looks like one document.

    Examples
    --------
    >>> layout = layout_of(["id\\ttext", "1\\ta first text", "2\\ta second text", "3\\ta third text"])
    >>> layout.description
    'a table of 2 columns between tabs (id, text)'
    """
    lines = [line.removeprefix("\ufeff") for line in lines]
    filled = [line for line in lines if line.strip()]
    if filled and (layout := _marked_up(filled)) is not None:
        return layout
    if len(filled) < _MIN_ROWS:
        return None
    return (
        _tagged(filled)
        or _json(filled)
        or _table_of_r(filled)
        or _table(filled, text_columns(text_column))
        or _wrapped(lines)
    )


def records_of(text: str) -> Layout | None:
    """Recognise tagged records at the start of a text that should be one document; None if there are none.

    Examples
    --------
    >>> records_of("TY  - JOUR\\nAU  - Smith, J\\nTI  - A title\\nER  - \\n").description
    'tagged records of RIS (TY, AU, TI, AB, ER), not one document'
    """
    head = text[:MAX_CHARACTERS].removeprefix("\ufeff")
    if _RECORDS_BEGIN.match(head) is None:
        return None
    filled = [line for line in head.splitlines()[:MAX_LINES] if line.strip()]
    layout = _tagged(filled) if len(filled) >= _MIN_ROWS else None
    if layout is None:
        return None
    remedy = layout.remedy.removesuffix(_AS_IT_IS) + "or give --unit file to read each file as one document"
    return Layout(layout.description.removesuffix(_NO_LINES) + ", not one document", remedy, is_refused=True)


def _marked_up(filled: list[str]) -> Layout | None:
    """Recognise RTF, HTML, XML, subtitles and mbox files from the first lines."""
    first, second = filled[0].strip(), filled[1].strip() if len(filled) > 1 else ""
    low = first.lower()
    if low[:5] == second.lower()[:5]:
        return None  # each line is a whole page or record
    if first.startswith("{\\rtf"):
        return Layout("RTF", "save it as plain text or as .docx")
    if low.startswith(("<!doctype html", "<html")):
        return Layout("HTML", "for one document give --unit file and --strip-html")
    is_nested = re.fullmatch(r"<([a-z]\w*)(?: [^<>]*)?>", low)
    if low.startswith("<?xml") or (is_nested and any(line.strip().lower() == f"</{is_nested[1]}>" for line in filled)):
        return Layout("XML", "convert it to CSV or JSON lines, one document per row")
    if (first == "WEBVTT" or first.isdigit()) and any(_CAPTION.match(line) for line in filled[1:4]):
        return Layout("subtitles", "for one document give --unit file, for one document per caption --unit paragraph")
    if _MBOX.match(first) and _MAIL_HEADER.match(second):
        return Layout("an mbox e-mail archive", "convert it to CSV or JSON lines, one document per row")
    return None


def _table_of_r(filled: list[str]) -> Layout | None:
    """Recognise the default output of R's write.table: space-separated, with quoted strings and row names."""
    if not _QUOTED_NAMES.fullmatch(filled[0].strip()):
        return None
    try:
        rows = list(csv.reader(filled, delimiter=" ", strict=True))
    except csv.Error:
        return None
    names, widths = rows[0], {len(row) for row in rows[1 : max(_MIN_ROWS, len(rows) - 1)]}  # the last may be cut off
    if not (widths == {len(names) + 1} or (len(names) > 1 and widths == {len(names)})) or len(set(names)) < len(names):
        return None
    return Layout(
        f"a table of R's write.table ({', '.join(names[:6])})",
        f"for its columns write it with write.csv(..., row.names = FALSE) and give --format csv, {_AS_IT_IS}",
    )


def _tagged(filled: list[str]) -> Layout | None:
    """Recognise records of bibliographic databases, with one field per line."""
    continued = [line for line in filled if not line.startswith("  ")]
    tags = [line[:2] for line in continued if _WOS.match(line)]
    if len(tags) >= 0.9 * len(continued) and "PT" in tags and len(_WOS_TAGS & set(tags)) >= _MIN_TAGS:
        return _records("Web of Science (PT, AU, TI, AB, ER)", "read it with --format wos")
    if any(line.startswith("TY  - ") for line in filled) and _fraction(_RIS, filled) >= _MOSTLY:
        return _records("RIS (TY, AU, TI, AB, ER)", "read it with --format ris")
    if any(line.startswith("PMID- ") for line in filled) and _fraction(_MEDLINE, continued) >= _MOSTLY:
        return _records("PubMed (PMID, TI, AB, AU)", "read it with --format pubmed")
    if any(line.startswith("%0 ") for line in filled) and _fraction(_ENDNOTE, filled) >= _MOSTLY:
        return _records("EndNote (%0, %A, %T, %X)", "export it as RIS or CSV")
    if filled[0].strip() == "<1>" and len(_OVID_FIELDS & {line.strip() for line in filled}) >= _MIN_TAGS - 1:
        return _records("Ovid (<1>, Unique Identifier, Title, Abstract)", "export it as RIS or CSV")
    if _BIBTEX.match(filled[0]):
        return _records("BibTeX (@article{...})", "export it as RIS or CSV")
    return None


def _records(source: str, remedy: str) -> Layout:
    return Layout(f"tagged records of {source}{_NO_LINES}", f"{remedy}, {_AS_IT_IS}", is_refused=True)


def _fraction(pattern: re.Pattern[str], lines: list[str]) -> float:
    return sum(pattern.match(line) is not None for line in lines) / max(1, len(lines))


def _json(filled: list[str]) -> Layout | None:
    """Recognise JSON objects, one per line."""
    if not all(line.startswith("{") for line in filled[:_MIN_ROWS]):
        return None
    try:
        records = [json.loads(line) for line in filled[:_MIN_ROWS]]
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(record, dict) and record for record in records):
        return None
    keys = ", ".join(list(records[0])[:6])
    return Layout(f"JSON objects, one per line ({keys})", f"for their texts give --format jsonl, {_AS_IT_IS}")


def _table(filled: list[str], named: tuple[str, ...]) -> Layout | None:
    """Recognise rows of equal length that have a header with a usual column name or are separated by tabs."""
    for delimiter, name in _DELIMITERS.items():
        if delimiter not in filled[0]:
            continue
        rows = _rows(filled, delimiter)
        if rows is None:
            continue
        header = [cell.strip() for cell in rows[0]]
        n_known = sum(cell.lower() in _NAMES or cell in named for cell in header)
        n_known -= delimiter != TAB and any(cell.startswith(" ") for cell in rows[0])  # as in a sentence
        is_header = all(0 < len(cell) <= _MAX_NAME for cell in header) and len(set(header)) == len(header)
        if is_header and n_known > 0:
            columns = ", ".join(header[:6]) + (", ..." if len(header) > 6 else "")
            return Layout(
                f"a table of {len(header)} columns between {name} ({columns})",
                f"for its columns give --format {'tsv' if delimiter == TAB else 'csv'} and --text-column, {_AS_IT_IS}",
            )
        if delimiter == TAB:
            return Layout(
                f"a table of {len(header)} columns between tabs, without a header",
                "for its columns give --format tsv and the number of the text's column as --text-column, or give"
                " --unit line to read it as it is",
            )
    return None


def _rows(filled: list[str], delimiter: str) -> list[list[str]] | None:
    """Split the lines into rows; None for fewer than three rows, a single column, or rows of different length."""
    try:
        rows = list(csv.reader(filled, delimiter=delimiter, strict=True))
    except csv.Error:  # a quote within a text, or a truncated last record
        rows = [line.split(delimiter) for line in filled]
    rows = rows[:-1] if len(rows) > _MIN_ROWS else rows  # the last may be truncated
    width = len(rows[0])
    return rows if width > 1 and len(rows) >= _MIN_ROWS and all(len(row) == width for row in rows) else None


def _wrapped(lines: list[str]) -> Layout | None:
    """Recognise paragraphs whose lines, except the last, break where the next word did not fit."""
    lines = _without_headings(_split_at_indents(lines))
    pairs = [(line.rstrip(), after.strip()) for line, after in pairwise(lines)]
    followed = [(line, after) for line, after in pairs if line and after]
    ends = [line for line, after in pairs if line and not after]
    blocks = len(ends)
    has_sentences = any(". " in line for line, _ in followed)
    if ends:
        has_sentences = 2 * sum(line[-1] in _SENTENCE_ENDS for line in ends) >= blocks
    if not has_sentences or len(followed) < max(_MIN_WRAPPED, 1.5 * blocks):
        return None
    lengths = sorted(len(line) for line, _ in followed)
    width = lengths[int(0.95 * (len(lengths) - 1))]
    full = sum(len(line) + 1 + len(after.split(" ", 1)[0]) > width for line, after in followed) / len(followed)
    like = sum(length >= 0.75 * width for length in lengths) / len(lengths)
    within = sum(after[:1].islower() and line[-1:] not in ".!?" for line, after in followed) / len(followed)
    is_unclear = blocks < 2 and (len(followed) < _MIN_SINGLE_PARAGRAPH or full < 0.9 or within < 0.4)
    if not _MIN_WIDTH <= width <= _MAX_WIDTH or lengths[-1] > 2 * _MAX_WIDTH or like < 0.8 or full < 0.75 or is_unclear:
        return None
    return Layout(
        "running text, wrapped at the ends of lines",
        "for one document per paragraph give --unit paragraph, for a single document --unit file",
    )


def _split_at_indents(lines: list[str]) -> list[str]:
    """Insert a blank line before each indented line, if indents mark the paragraphs."""
    begins = [_INDENT.match(line) is not None for line in lines]
    if not 2 <= sum(begins) <= len(lines) / 2 or not all(map(str.strip, lines)):
        return lines
    return [part for line, is_first in zip(lines, begins, strict=True) for part in ([""] * is_first + [line])]


def _without_headings(lines: list[str]) -> list[str]:
    """Remove headings: short lines between blank lines that do not end like a sentence."""
    blank = [True, *(not line.strip() for line in lines), True]
    return [
        line
        for place, line in enumerate(lines, 1)
        if blank[place]
        or not (blank[place - 1] and blank[place + 1])
        or len(line) > _MAX_NAME
        or line.rstrip()[-1] in _SENTENCE_ENDS
    ]
