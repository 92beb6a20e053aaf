"""Reader of tagged records of bibliographic databases (Web of Science, RIS, PubMed), one document per record."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from topicnet.errors import CorpusError
from topicnet.text.readers.documents import LONE_SURROGATE, Columns, Row, Value, no_column, shown
from topicnet.text.readers.open_text import File

_LIST_TAGS = frozenset({"AU", "A1", "AF", "FAU", "KW", "MH", "OT", "AID", "LID"})  # one item per line or tag
_BULKY = frozenset({"AD", "AUID", "C1", "CR", "EM", "OI", "RI", "RP"})  # addresses, references: not metadata
_MAX_CHARACTERS = 1 << 24  # of a record
_YEAR = re.compile(r"\b(1[5-9]|20|21)\d\d\b")
_DOI = re.compile(r"\s*\[doi\]$", re.IGNORECASE)
_KEYWORDS = re.compile(r"\s*;\s*")


@dataclass(frozen=True)
class _Layout:
    """Description of a tagged format.

    Attributes
    ----------
    title : str
        Name of the format, for messages.
    tag : re.Pattern
        Matches a line that starts a field; its groups are the tag and the value.
    start : str
        Tag of the first line of a record.
    end : str
        Tag that ends a record; "" if a blank line does.
    shape : str
        Outline of a record, for messages.
    columns : dict of str to tuple of str
        Tags that may hold each column; the first one present is used.
    ids : tuple of str
        Tags that may hold the id.
    around : frozenset of str
        Tags between records, without content.
    indented : bool
        Continuation lines begin with white space; otherwise any line without a tag continues the field.
    """

    title: str
    tag: re.Pattern[str]
    start: str
    end: str
    shape: str
    columns: dict[str, tuple[str, ...]]
    ids: tuple[str, ...]
    around: frozenset[str] = frozenset()
    indented: bool = True


@dataclass
class _Record:
    """The fields of one record, with a list of values for each tag."""

    line: int
    fields: dict[str, list[str]] = field(default_factory=dict)
    last: str = ""
    n_characters: int = 0
    fault: str = ""  # description of its fault, or ""

    def add(self, tag: str, value: str) -> None:
        """Start a field, or another item of an existing field."""
        self.fields.setdefault(tag, []).append(value)
        self.last = tag
        self.n_characters += len(value)

    def extend(self, value: str) -> None:
        """Continue the last field; in author fields, each line is a new item."""
        values = self.fields[self.last]
        if self.last in ("AU", "AF") and value:
            values.append(value)
        elif value:
            values[-1] = f"{values[-1]} {value}" if values[-1] else value
        self.n_characters += len(value)

    def value(self, *tags: str) -> str:
        """Return the first of these fields that is not empty, as one line."""
        for tag in tags:
            values = [value for value in self.fields.get(tag, ()) if value]
            if values:
                return ("; " if tag in _LIST_TAGS else " ").join(values)
        return ""


_WOS = _Layout(
    title="Web of Science",
    tag=re.compile(r"([A-Z][A-Z0-9])(?: (.*)|)$"),
    start="PT",
    end="ER",
    shape="PT J ... ER",
    columns={
        "title": ("TI",), "abstract": ("AB",), "year": ("PY", "EA"), "authors": ("AU", "AF", "BA"),
        "journal": ("SO",), "keywords": ("DE", "ID"), "doi": ("DI",),
    },
    ids=("UT",),
    around=frozenset({"FN", "VR", "EF"}),
)  # fmt: skip
_RIS = _Layout(
    title="RIS",
    tag=re.compile(r"([A-Z][A-Z0-9]) {1,3}-(?: (.*)|)$"),
    start="TY",
    end="ER",
    shape="TY  - ... ER  -",
    columns={
        "title": ("TI", "T1", "CT", "BT"), "abstract": ("AB", "N2"), "year": ("PY", "Y1", "DA"),
        "authors": ("AU", "A1"), "journal": ("JO", "JF", "T2", "JA", "J2"), "keywords": ("KW",), "doi": ("DO",),
    },
    ids=("ID", "AN", "UT"),
    indented=False,
)  # fmt: skip
_PUBMED = _Layout(
    title="PubMed",
    tag=re.compile(r"(?=.{4}-)([A-Z][A-Z0-9]{1,3}) {0,2}-(?: (.*)|)$"),
    start="PMID",
    end="",
    shape="PMID- ...",
    columns={
        "title": ("TI", "BTI"), "abstract": ("AB",), "year": ("DP", "DEP"), "authors": ("FAU", "AU"),
        "journal": ("JT", "TA"), "keywords": ("OT", "MH"), "doi": ("AID", "LID"),
    },
    ids=("PMID",),
)  # fmt: skip


def wos_rows(file: File, columns: Columns) -> Iterator[Row]:
    """Yield the rows of a plain-text export of Web of Science (``savedrecs.txt``)."""
    return _rows(file, columns, _WOS)


def ris_rows(file: File, columns: Columns) -> Iterator[Row]:
    """Yield the rows of a RIS file, as written by reference managers and databases.

    Examples
    --------
    >>> import io, pathlib
    >>> data = b"TY  - JOUR\\nTI  - A title\\nAB  - An abstract\\nPY  - 1999\\nER  - \\n"
    >>> file = File(pathlib.Path("a.ris"), opener=lambda: io.BufferedReader(io.BytesIO(data)))
    >>> [(text, metadata["year"]) for _, text, metadata in ris_rows(file, Columns())]
    [('A title\\nAn abstract', 1999)]
    """
    return _rows(file, columns, _RIS)


def pubmed_rows(file: File, columns: Columns) -> Iterator[Row]:
    """Yield the rows of a PubMed (MEDLINE) export, ``.nbib``."""
    return _rows(file, columns, _PUBMED)


def _rows(file: File, columns: Columns, layout: _Layout) -> Iterator[Row]:
    """Yield a row per record: title and abstract, or the requested column or tag, and the other columns."""
    names = ("text", *layout.columns)
    for asked in (columns.text, columns.id):
        if asked is not None and asked not in (*names, "id") and not re.fullmatch("[A-Z][A-Z0-9]{1,3}", asked):
            raise no_column(file.name, names, columns)
    n_records, seen = 0, columns.text in names
    used = {columns.text, *layout.ids, *(tag for tags in layout.columns.values() for tag in tags), layout.start}
    for record in _records(file, layout):
        n_records += 1
        found = _columns(record, layout)
        seen = seen or columns.text in record.fields
        key = record.value(*layout.ids) if columns.key == "id" else _requested(record, found, columns.key)
        text = _text(found) if columns.text == "text" else _requested(record, found, columns.text)
        found.pop(columns.text, None)
        found.pop(columns.key, None)
        others = {tag: record.value(tag) for tag in record.fields if tag not in used and tag not in _BULKY}
        yield key, text, {**found, **others}
    if n_records and not seen:
        raise CorpusError(
            f"no record of {file.name} has the tag {columns.text!r}, expected one of: {', '.join(names)}, or a tag of"
            " the file. Name one with --text-column"
        )


def _columns(record: _Record, layout: _Layout) -> dict[str, Value]:
    found: dict[str, Value] = {name: record.value(*tags) or None for name, tags in layout.columns.items()}
    year = _YEAR.search(str(found["year"] or ""))
    found["year"] = int(year[0]) if year else None
    if layout is _PUBMED:
        ids = [value for tag in layout.columns["doi"] for value in record.fields.get(tag, ())]
        found["doi"] = next((_DOI.sub("", value) for value in ids if _DOI.search(value)), None)
    if found["keywords"] is not None:
        found["keywords"] = "; ".join(_KEYWORDS.split(str(found["keywords"])))
    return found


def _requested(record: _Record, found: dict[str, Value], name: str) -> str:
    """Return a column, or the field with this tag."""
    value = found[name] if name in found else record.value(name)
    return "" if value is None else str(value)


def _text(found: dict[str, Value]) -> str:
    return "\n".join(str(found[name]) for name in ("title", "abstract") if found[name])


# --- records ---


def _records(file: File, layout: _Layout) -> Iterator[_Record]:
    """Yield the well-formed records in order; a malformed one raises, or is recorded if rows may be skipped."""
    record: _Record | None = None
    n_found = n_stray = 0
    for number, line in enumerate(file.lines(), 1):
        match = layout.tag.match(line)
        tag, value = (match[1], (match[2] or "").strip()) if match else ("", line.strip())
        if tag == layout.start:
            n_found += 1
            yield from _closed(file, record, layout, at_end=False)
            record = _Record(number)
        if record is None:
            if tag and tag not in layout.around and tag != layout.end:
                raise _no_start(file, number, tag, layout)
            n_stray += bool(value and not tag)
            continue
        if file.skips and (why := file.fault(line)):
            record.fault = record.fault or f"{why} on line {number}"
        if (tag == layout.end and tag) or (not value and not tag and not layout.end):
            yield from _closed(file, record, layout, at_end=True)
            record = None
        elif not record.fault:
            _take(record, number, line, tag, value, layout)
    yield from _closed(file, record, layout, at_end=not layout.end)
    if n_stray and not n_found:
        raise CorpusError(
            f"{file.name} has no {layout.title} record, expected {layout.shape}. Name its format with --format (wos,"
            " ris or pubmed; tsv for a tab-delimited export)"
        )
    if n_stray:
        lines = "1 line" if n_stray == 1 else f"{n_stray:,} lines"
        file.log.notice(f"skipped {lines} of {file.name} outside its {layout.title} records")


def _take(record: _Record, number: int, line: str, tag: str, value: str, layout: _Layout) -> None:
    """Add a line to a record, or record its fault."""
    if tag in layout.around:
        record.fault = f"no {layout.end} before {tag} on line {number}"
    elif tag:
        record.add(tag, value)
    elif value and layout.indented and not line[:1].isspace():
        record.fault = f"line {number} is neither a tag nor indented"
    elif record.last:
        record.extend(value)
    if record.n_characters > _MAX_CHARACTERS:
        record.fault = f"more than {_MAX_CHARACTERS >> 20} million characters by line {number}"
        record.fields.clear()


def _closed(file: File, record: _Record | None, layout: _Layout, *, at_end: bool) -> Iterator[_Record]:
    """Yield the record if it is well-formed; `at_end` is True if its last line was found."""
    if record is None:
        return
    why = record.fault or ("" if at_end or not layout.end else f"no {layout.end} line at its end")
    if not why:
        yield record
        return
    message = f"the record on {file.at(record.line)} has {why}, expected {layout.shape}. Fix or remove it"
    if why.startswith("line "):
        message = f"the record on {file.at(record.line)}: {why}, expected {layout.shape}. Fix or remove it"
    file.refuse(record.line, LONE_SURROGATE.sub("\ufffd", why), message)


def _no_start(file: File, number: int, tag: str, layout: _Layout) -> CorpusError:
    return CorpusError(
        f"{file.at(number)} has the tag {shown(tag)!r} before any {layout.start}, expected {layout.title} records"
        f" ({layout.shape}). Fix it, or name its format with --format"
    )
