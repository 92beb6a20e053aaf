"""PDF and Word files for the tests, written by hand."""

import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

_SCHEMA = "http://schemas.openxmlformats.org"
_WORD = f"{_SCHEMA}/wordprocessingml/2006/main"
_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml"
_RELATION = f"{_SCHEMA}/officeDocument/2006/relationships"


def write_pdf(path: Path, pages: list[str]) -> Path:
    """Write a PDF with one page per text; an empty text gives a page without text, like a scan."""
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for i, text in enumerate(pages):
        shown = " ".join(f"({line}) Tj 0 -14 Td" for line in text.split("\n")) if text else ""
        content = f"BT /F1 12 Tf 50 700 Td {shown} ET" if text else "0 0 100 100 re f"
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {5 + 2 * i} 0 R >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    data, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(data)}\n%%EOF\n"
    path.write_bytes(data + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{end}".encode())
    return path


def write_docx(path: Path, body: str, footnotes: str = "") -> Path:
    """Write a Word file from the XML of its body; see `paragraph`."""
    notes = (
        f'<Override PartName="/word/footnotes.xml" ContentType="{_TYPE}.footnotes+xml"/>' if footnotes else "",
        f'<Relationship Id="rId9" Type="{_RELATION}/footnotes" Target="footnotes.xml"/>' if footnotes else "",
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_SCHEMA}/package/2006/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override '
        f'PartName="/word/document.xml" ContentType="{_TYPE}.document.main+xml"/>{notes[0]}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{_SCHEMA}/package/2006/relationships"><Relationship Id="rId1" '
        f'Type="{_RELATION}/officeDocument" Target="word/document.xml"/></Relationships>',
        "word/_rels/document.xml.rels": f'<Relationships xmlns="{_SCHEMA}/package/2006/relationships">{notes[1]}'
        "</Relationships>",
        "word/document.xml": f'<w:document xmlns:w="{_WORD}"><w:body>{body}</w:body></w:document>',
    }
    if footnotes:
        parts["word/footnotes.xml"] = (
            f'<w:footnotes xmlns:w="{_WORD}"><w:footnote>{footnotes}</w:footnote></w:footnotes>'
        )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{content}')
    return path


def paragraph(text: str) -> str:
    """Make the XML of a paragraph."""
    return f'<w:p><w:r><w:t xml:space="preserve">{escape(text)}</w:t></w:r></w:p>'
