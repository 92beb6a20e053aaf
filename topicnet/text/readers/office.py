"""Readers of the text of PDF and Word files, one document per file."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from topicnet.errors import CorpusError
from topicnet.text.readers.documents import LONE_SURROGATE, ReadingLog, shown
from topicnet.text.readers.limits import MAX_CELL_BYTES, check_archive, regular_file
from topicnet.text.readers.open_text import File, installed, reading

OFFICE = ("pdf", "docx")
_MAX_PAGES = 100_000
_MAX_CONTENT = 1 << 24  # bytes of drawing instructions on a page
_MAX_PART = 1 << 27  # bytes of a part of a Word file
_MAX_LISTED = 5
_HYPHEN = re.compile(r"(?<=[^\W\d_])-\n(?=[^\W\d_])")  # a word hyphenated at the end of a line
_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"  # second copy of a text box
_BREAKS = {f"{_WORD}tab": "\t", f"{_WORD}br": "\n", f"{_WORD}cr": "\n", f"{_WORD}noBreakHyphen": "-"}


class Scans:
    """Collector of the PDF files that have pages without text, such as scanned paper, for a report."""

    def __init__(self) -> None:
        self._files: list[str] = []
        self._n_files = self._n_texts = 0

    def note(self, name: str, n_blank: int, n_pages: int) -> None:
        """Count a file that has blank pages."""
        if n_blank:
            self._n_files += 1
            pages = f"all {n_pages} pages" if n_blank == n_pages else f"{n_blank} of {n_pages} pages"
            if self._n_files <= _MAX_LISTED:
                self._files.append(f"{name} ({pages})" if n_pages > 1 else f"{name} (its only page)")

    def note_text(self, text: str) -> None:
        """Count a document that holds text."""
        self._n_texts += bool(text.strip())

    def report(self, log: ReadingLog) -> None:
        """Log a notice about the scanned files.

        Raises
        ------
        CorpusError
            No document of the source holds text, and at least one is a scan.
        """
        if not self._n_files:
            return
        more = f" and {self._n_files - _MAX_LISTED:,} more" if self._n_files > _MAX_LISTED else ""
        pages = f"pages without text, probably scans: {', '.join(self._files)}{more}"
        if not self._n_texts:
            raise CorpusError(f"{pages}; expected text. Run OCR on them first")
        log.notice(f"{pages}; their content is not read. Run OCR on them first to include it")


def office_text(file: File, kind: str, scans: Scans) -> str:
    """Extract the text of a PDF or Word file.

    Parameters
    ----------
    file : File
    kind : {"pdf", "docx"}
    scans : Scans
        Collects pages without text.

    Raises
    ------
    CorpusError
        The file cannot be read, is encrypted, or exceeds a size limit.
    """
    path = regular_file(file)
    text = _pdf_text(file, path, scans) if kind == "pdf" else _docx_text(file, path)
    if len(text) > MAX_CELL_BYTES:
        raise CorpusError(
            f"{file.name} holds {len(text) / 1e6:,.0f} MB of text, expected at most {MAX_CELL_BYTES / 1e6:,.0f} MB."
            " Split it"
        )
    return LONE_SURROGATE.sub("\ufffd", text).replace("\0", " ")


# --- PDF ---


def _pdf_text(file: File, path: Path, scans: Scans) -> str:
    library = installed("pypdf", file.name)
    log = logging.getLogger("pypdf")
    if not log.handlers:
        log.addHandler(logging.NullHandler())  # do not show its warnings about repaired files
    with path.open("rb") as data:
        try:
            reader = _open_pdf(file, library, data)
            pages = list(_pages(file, reader))
        except (CorpusError, OSError):
            raise
        except Exception as error:  # the library raises all kinds of errors for damaged files
            raise _damaged(file, "PDF", error) from error
    scans.note(file.name, sum(not page.strip() for page in pages), len(pages))
    return _HYPHEN.sub(_hyphen_kept, "\n".join(page.strip("\n") for page in pages)).strip("\n")


def _open_pdf(file: File, library: Any, data: Any) -> Any:
    """Open a PDF file, trying the empty password, which opens files that only restrict printing or copying."""
    reader = library.PdfReader(data)
    try:
        if reader.is_encrypted and not reader.decrypt(""):
            raise CorpusError(
                f"{file.name} is encrypted, expected a PDF without a password. Save it without one, or leave it out"
            )
    except library.errors.DependencyError as error:
        raise CorpusError(
            f"{file.name} is encrypted by AES, which needs cryptography: install cryptography, or save it without a"
            " password"
        ) from error
    if len(reader.pages) > _MAX_PAGES:
        raise CorpusError(f"{file.name} has {len(reader.pages):,} pages, expected at most {_MAX_PAGES:,}. Split it")
    return reader


def _pages(file: File, reader: Any) -> Iterator[str]:
    n_characters = 0
    for number, page in enumerate(reader.pages, 1):
        contents = page.get_contents()
        size = 0 if contents is None else len(contents.get_data())
        if size > _MAX_CONTENT or n_characters > MAX_CELL_BYTES:
            what, most = (size, _MAX_CONTENT) if size > _MAX_CONTENT else (n_characters, MAX_CELL_BYTES)
            raise CorpusError(
                f"page {number} of {file.name} decompresses to {what / 1e6:,.0f} MB, expected at most {most / 1e6:,.0f}"
                " MB. Split it, or leave it out"
            )
        text = page.extract_text()
        n_characters += len(text)
        yield text


def _hyphen_kept(match: re.Match[str]) -> str:
    """Return what to keep of a hyphen at a line end: nothing if a lower-case letter follows."""
    following = match.string[match.end()]
    return "" if following.islower() else "-"


# --- Word ---


def _docx_text(file: File, path: Path) -> str:
    """Extract the paragraphs of body, tables and notes in order, with tracked changes accepted."""
    library = installed("docx", file.name)
    with path.open("rb") as data:
        start = data.read(4)
    if start == b"\xd0\xcf\x11\xe0":  # container of old or encrypted Word files
        raise CorpusError(
            f"{file.name} is an old or encrypted Word file, expected .docx without a password. Save it as .docx again"
        )
    check_archive(file, path, "Word", _MAX_PART, "Split it, or leave it out")
    try:
        with reading(file.name):
            document = library.Document(str(path))
        roots = [document.element.body, *_notes(document)]
        return "\n".join(_paragraph(one) for root in roots for one in root.iter(f"{_WORD}p"))
    except CorpusError:
        raise
    except Exception as error:  # the library raises all kinds of errors for damaged files
        raise _damaged(file, "Word", error) from error


def _notes(document: Any) -> Iterator[Any]:
    """Yield the footnotes and endnotes."""
    from docx.oxml.parser import parse_xml

    for relation in document.part.rels.values():
        if relation.reltype.rpartition("/")[2] in ("footnotes", "endnotes") and not relation.is_external:
            yield parse_xml(relation.target_part.blob)


def _paragraph(paragraph: Any) -> str:
    """Return the text of a paragraph without text boxes in it, whose paragraphs are read separately."""
    parts: list[str] = []
    if any(above.tag == _FALLBACK for above in paragraph.iterancestors()):
        return ""
    for node in paragraph.iter(f"{_WORD}t", *_BREAKS):
        nearest = next(above for above in node.iterancestors(f"{_WORD}p"))
        if nearest is paragraph:
            parts.append(node.text or "" if node.tag == f"{_WORD}t" else _BREAKS[node.tag])
    return "".join(parts)


def _damaged(file: File, kind: str, error: Exception) -> CorpusError:
    reason = shown(str(error).split("\n")[0]) or type(error).__name__
    return CorpusError(
        f"{file.name} is not a readable {kind} file ({reason}). Write it again, or leave it out with --skip-bad-rows"
    )
