"""Tests of PDF and Word files, alone, in folders and matched by patterns."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.office import paragraph, write_docx, write_pdf
from tests.support.readers import read, refusal, write
from topicnet.text.readers import office
from topicnet.text.readers.documents import Documents, ReadingLog, ReadingOptions, SkippedRows
from topicnet.text.readers.read import read_documents

pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed")
pytest.importorskip("docx", reason="python-docx is not installed")


def test_the_pages_of_a_pdf_are_one_document(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", ["The first exam-\nple of\nlines", "Second page"])
    assert read(path) == Documents(["a.pdf"], ["The first example of\nlines\nSecond page"], [{}])
    assert read(write_pdf(tmp_path / "b.pdf", ["Anglo-\nSaxon"])).texts == ["Anglo-Saxon"]


def test_the_paragraphs_tables_and_notes_of_a_word_file_are_one_document(tmp_path):
    body = (
        paragraph("One & two") + f"<w:tbl><w:tr><w:tc>{paragraph('cell')}</w:tc></w:tr></w:tbl>"
        "<w:p><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t></w:r><w:ins><w:r><w:t>inserted</w:t></w:r></w:ins>"
        "<w:del><w:r><w:delText>deleted</w:delText></w:r></w:del></w:p>"
    )
    path = write_docx(tmp_path / "a.docx", body, footnotes=paragraph("a note"))
    assert read(path) == Documents(["a.docx"], ["One & two\ncell\na\tbinserted\na note"], [{}])


def test_a_folder_may_mix_them_with_texts(tmp_path):
    (tmp_path / "x").mkdir()
    write_pdf(tmp_path / "x" / "b.pdf", ["two"])
    write_docx(tmp_path / "c.docx", paragraph("three"))
    write(tmp_path / "a.txt", "one")
    write(tmp_path / "~$c.docx", b"open" * 40)
    docs = read(tmp_path)
    assert (docs.ids, docs.texts) == (["a.txt", "c.docx", "x/b.pdf"], ["one", "three", "two"])
    assert [row["folder"] for row in docs.metadata] == ["", "", "x"]
    assert read(tmp_path, file_format="pdf").ids == ["x/b.pdf"]


def test_a_pattern_gives_the_same_as_the_folder(tmp_path):
    for name in ("b", "a"):
        write_pdf(tmp_path / f"{name}.pdf", [name])
    assert read(str(tmp_path / "*.pdf")) == read(tmp_path) == Documents(["a.pdf", "b.pdf"], ["a", "b"], [{}, {}])
    assert read([tmp_path / "b.pdf", tmp_path / "a.pdf"]).ids == ["b.pdf", "a.pdf"]


@pytest.mark.parametrize("pages", [[""], ["", ""], ["", "", ""]])
def test_a_scan_alone_is_rejected(tmp_path, pages):
    path = write_pdf(tmp_path / "scan.pdf", pages)
    assert f"pages without text, probably scans: {path} (" in refusal(path)
    assert "Run OCR on them first" in refusal(tmp_path)


def test_a_scan_among_other_files_is_empty_and_logged(tmp_path):
    write_pdf(tmp_path / "a.pdf", ["text"])
    write_pdf(tmp_path / "b.pdf", ["", ""])
    write_pdf(tmp_path / "c.pdf", ["text", ""])
    log = ReadingLog()
    docs = list(read_documents(tmp_path, ReadingOptions(), log))
    assert docs[0].texts == ["text", "", "text"]
    assert len(log.notices) == 1
    assert (
        f"{tmp_path / 'b.pdf'} (all 2 pages), {tmp_path / 'c.pdf'} (1 of 2 pages); their content is" in log.notices[0]
    )


def encrypted(path: Path, password: str) -> Path:
    writer = pypdf.PdfWriter(clone_from=str(write_pdf(path, ["secret text"])))
    writer.encrypt(password, "owner", algorithm="RC4-128")
    writer.write(path)
    return path


def test_an_encrypted_pdf_is_rejected_unless_its_password_is_empty(tmp_path):
    assert read(encrypted(tmp_path / "a.pdf", "")).texts == ["secret text"]
    path = encrypted(tmp_path / "b.pdf", "word")
    assert f"{path} is encrypted, expected a PDF without a password" in refusal(path)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.pdf", b""),
        ("a.pdf", b"%PDF-1.4\nnothing"),
        ("a.docx", b"PK\3\4"),
        ("a.docx", b"\xd0\xcf\x11\xe0" + bytes(600)),
    ],
)
def test_a_damaged_file_is_named_and_can_be_skipped(tmp_path, name, data):
    path = write(tmp_path / name, data)
    assert str(path) in refusal(path)
    write(tmp_path / "b.txt", "text")
    skipped = SkippedRows()
    assert read(tmp_path, skipped=skipped).ids == ["b.txt"]
    assert (skipped.count, skipped.listed[0].split(": ")[0]) == (1, str(path))


def test_a_word_file_over_the_size_limit_is_rejected(tmp_path):
    path = tmp_path / "a.docx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", bytes(140_000_000))
    assert f"{path} would decompress to 0.1 GB (word/document.xml), expected at most 0.1 GB" in refusal(path)


@pytest.mark.parametrize(
    ("limit", "message"),
    [("_MAX_CONTENT", "page 1 of"), ("_MAX_PAGES", "has 1 pages"), ("MAX_CELL_BYTES", "holds 0")],
)
def test_a_pdf_over_the_size_limits_is_rejected(tmp_path, monkeypatch, limit, message):
    monkeypatch.setattr(office, limit, 0)
    path = write_pdf(tmp_path / "a.pdf", ["text"])
    assert message in refusal(path)


@pytest.mark.parametrize(("name", "module"), [("a.pdf", "pypdf"), ("a.docx", "docx")])
def test_without_the_extra_the_message_says_what_to_install(tmp_path, monkeypatch, name, module):
    path = write(tmp_path / name, b"x")
    monkeypatch.setitem(sys.modules, module, None)
    library = "python-docx" if module == "docx" else module
    missing = f"needs {library}, which is not installed: pip install 'topicnet-neural[documents]'"
    assert refusal(path) == f"reading {path} {missing}"
    assert missing in refusal(tmp_path, skipped=SkippedRows()) if module == "pypdf" else True
