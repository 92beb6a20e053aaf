"""Tests of text files read by lines, paragraphs or whole files, and of layout detection."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import polars as pl
import pytest

from tests.support.readers import notices, numbers, read, refusal, write
from topicnet.errors import CorpusError
from topicnet.text.readers.documents import Documents, SkippedRows
from topicnet.text.readers.layouts import layout_of
from topicnet.text.readers.read import read_documents

PROSE = (
    "The harbour was quiet that morning, and the boats that had come in before the storm lay side by side along the"
    " wall while the men mended their nets and spoke of nothing in particular. Nobody had seen the pilot since the"
    " evening before, and nobody asked after him, for he was known to keep his own hours and his own counsel."
)
WOS = "FN Clarivate Analytics Web of Science\nVR 1.0\n" + "".join(
    f"PT J\nAU Smith, J\n   Doe, A\nTI Title {i}\nSO JOURNAL\nAB An abstract\n   continued\nPY 1999\nER\n\n"
    for i in range(5)
)
RIS = "TY  - JOUR\nAU  - Smith, J\nTI  - A title\nAB  - An abstract\nER  - \n\n" * 3
MEDLINE = "PMID- 123\nOWN - NLM\nTI  - A title\n      continued\nAB  - An abstract\nAU  - Smith J\n\n" * 3
ENDNOTE = "%0 Journal Article\n%A Smith\n%T A title\n%X An abstract\n\n" * 3
BIBTEX = "@article{smith99,\n  title = {A title},\n  year = 1999\n}\n" * 3
OVID = "<1>\nUnique Identifier\n  123\nTitle\n  A title\nAbstract\n  An abstract\n\n" * 2
R_ROWS = "".join(f'"{i}" {i} "river fish {i}"\n' for i in range(9))


def wrapped(width: int, paragraphs: int = 4) -> str:
    return "\n\n".join(textwrap.fill(PROSE, width) for _ in range(paragraphs)) + "\n"


# --- units ---


def test_a_file_is_read_by_lines_paragraphs_or_whole(tmp_path):
    path = write(tmp_path / "a.txt", "\none\r\ntwo\r\n \r\n\nthree\n")
    assert read(path).texts == ["", "one", "two", " ", "", "three"]
    assert read(path, unit="paragraph") == Documents(["1", "2"], ["one\ntwo", "three"], [{}, {}])
    assert read(path, unit="file") == Documents(["a.txt"], ["\none\r\ntwo\r\n \r\n\nthree\n"], [{}])
    assert "unknown unit 'page', expected one of: line, paragraph, file. Use --unit" in refusal(path, unit="page")


def test_files_folders_and_patterns_give_the_same_documents(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b-c").mkdir()
    for name in ("b/1.txt", "b/2.txt.gz", "b-c/3.txt", "z.txt"):
        write(tmp_path / name, f"text of\n\n{name}\n")
    files = [tmp_path / name for name in ("b-c/3.txt", "b/1.txt", "b/2.txt.gz", "z.txt")]
    folder = read(tmp_path)
    assert folder.ids == ["b-c/3.txt", "b/1.txt", "b/2.txt.gz", "z.txt"]
    assert read(f"{tmp_path}/**/*.txt*") == read(files) == read([str(path) for path in files]) == folder
    assert read(f"{tmp_path}/b/*") == read(files[1:3]) == read(tmp_path / "b")
    for unit, n_docs in (("line", 12), ("paragraph", 8)):
        lines = read(tmp_path, unit=unit)
        assert lines == read(f"{tmp_path}/**/*.txt*", unit=unit) == read(files, unit=unit)
        assert (len(lines.ids), lines.metadata[0], lines.ids[-1]) == (n_docs, {"file": "b-c/3.txt"}, str(n_docs))


def test_several_text_files_are_logged_as_one_document_each(tmp_path):
    files = [write(tmp_path / name, "one\ntwo\n") for name in ("a.txt", "b.txt", "c.txt")]
    expected = "3 .txt files, one document per file; for one per line give --unit line"
    assert notices(files) == notices(f"{tmp_path}/*.txt") == [expected]
    assert notices(tmp_path) == notices(files, unit="line") == notices(files[0]) == []
    table = write(tmp_path / "d.csv", "text\nthree\n")
    assert read([*files, table]).texts == ["one", "two"] * 3 + ["three"]
    assert notices([*files, table]) == [
        "3 .txt files among other files, one document per line; for one per file give --unit file"
    ]
    assert "--unit applies only to .txt files" in notices(table, unit="paragraph")[0]


def test_a_paragraph_with_bad_bytes_can_be_skipped(tmp_path):
    path = write(tmp_path / "a.txt", b"one\ntwo\n\ncaf\xe9\nthree\n\nfour\n")
    skipped = SkippedRows()
    assert read(path, unit="paragraph", skipped=skipped).texts == ["one\ntwo", "four"]
    assert skipped.listed == [f"line 4 of {path}: the byte 0xe9, expected text in 'utf-8'"]


def test_a_file_without_blank_lines_is_logged_as_one_paragraph(tmp_path):
    path = write(tmp_path / "a.txt", "one\ntwo\nthree\n")
    assert notices(path, unit="paragraph") == [f"{path} is a single paragraph: no blank line separates its 3 lines"]


# --- layouts ---


@pytest.mark.parametrize(
    ("content", "source", "remedy"),
    [
        (WOS, "Web of Science (PT, AU, TI, AB, ER)", "--format wos"),
        ("\ufeff" + WOS, "Web of Science (PT, AU, TI, AB, ER)", "--format wos"),
        (RIS, "RIS", "--format ris"),
        (MEDLINE, "PubMed", "--format pubmed"),
        (ENDNOTE, "EndNote", "export it as RIS or CSV"),
        (BIBTEX, "BibTeX", "export it as RIS or CSV"),
        (OVID, "Ovid", "export it as RIS or CSV"),
    ],
)
def test_tagged_records_are_rejected_as_lines(tmp_path, content, source, remedy):
    path = write(tmp_path / "savedrecs.txt", content)
    message = refusal(path)
    assert message.startswith(f"{path} looks like tagged records of {source}")
    assert remedy in message
    assert "or give --unit line to read it as it is" in message
    assert len(read(path, unit="line").ids) == content.count("\n")


@pytest.mark.parametrize("width", [45, 65, 72, 100])
def test_wrapped_prose_is_logged_with_the_number_of_lines(tmp_path, width):
    path = write(tmp_path / "book.txt", wrapped(width))
    n_lines = wrapped(width).count("\n")
    (line,) = notices(path)
    assert f"looks like running text, wrapped at the ends of lines: one document per line gives {n_lines} doc" in line
    assert "for one document per paragraph give --unit paragraph, for a single document --unit file" in line
    assert notices(path, unit="line") == notices(path, unit="paragraph") == []
    assert read(path, unit="paragraph").ids == numbers(4)


@pytest.mark.parametrize("indent", ["  ", "    ", "\t"])
def test_wrapped_prose_with_indents_or_chapters_is_logged(tmp_path, indent):
    indented = "\n".join(textwrap.fill(PROSE, 70, initial_indent=indent) for _ in range(4))
    chapters = "\n\n".join(f"CHAPTER {i}\n\n{textwrap.fill(PROSE, 70)}" for i in range(4))
    for content in (indented, chapters):
        assert "looks like running text" in notices(write(tmp_path / "book.txt", content + "\n"))[0]


def test_wrapped_prose_without_blank_lines_is_logged(tmp_path):
    path = write(tmp_path / "book.txt", textwrap.fill(PROSE * 8, 65) + "\n")
    assert "looks like running text" in notices(path)[0]


@pytest.mark.parametrize(
    ("content", "description"),
    [
        ("id\ttext\n" + "1\tsome text\n" * 5, "a table of 2 columns between tabs (id, text)"),
        ("ham\tGo until then\n" * 5, "a table of 2 columns between tabs, without a header"),
        ('date,"text"\n' + '1999,"some, text"\n' * 5, "a table of 2 columns between commas (date, text)"),
        ("year;answer;n\n" + "1999;a, b;1\n" * 5, "a table of 3 columns between semicolons (year, answer, n)"),
        ('"id" "text"\n' + R_ROWS, "a table of R's write.table (id, text)"),
        (json.dumps({"id": 1, "text": "a"}) + "\n" + '{"id": 2}\n' * 3, "JSON objects, one per line (id, text)"),
    ],
)
def test_tables_are_logged(tmp_path, content, description):
    path = write(tmp_path / "a.txt", content)
    (line,) = notices(path)
    assert f"{path} looks like {description}: one document per line gives {content.count(chr(10))} documents" in line
    assert "--format" in line


@pytest.mark.parametrize(
    "lines",
    [
        ["a b", "c d"],
        ["roses are red, violets are blue"] * 9,
        ["one text of some length", "", "another one, longer than the first", "", "short"] * 9,
        ["text, with words", "and more, of them", "in lines, of two"] * 5,
        [PROSE, PROSE[:50], PROSE[:200], "", "ok"] * 9,
        ["OK I will", "NO WAY", "AU pair wanted", "TI is a brand", "ER doctors"] * 4,
        ["<1>", "Title", "one", "two"],
        ["one text a line, of some length.", "  another, indented", "and a third one of them", "\tand a fourth."] * 9,
        ["Answer 1", "", PROSE[:60], PROSE[:120], "", "Answer 2", "", PROSE[:90], PROSE, ""] * 5,
        ["<html><p>a page a line</p></html>"] * 9,
        ["<b> bold </b>", "<doc> in a line", "</b>"],
        ["1", "2", "From here on it was 10:30", "Subject: fish"],
        ['"quoted words" "twice"', "and then not", '"again"'],
        ['"one"', '"two"', '"three"', '"four"'],
        ["From Monday on we met at 10:30", "The room: empty", "and quiet"],
        ["{curly} text", "{more} of it", "{and} more"],
        ["AI is a field", "PT is a trainer", "ER is a room"] * 5,
    ],
)
def test_one_document_per_line_is_not_mistaken_for_another_layout(lines):
    assert layout_of(lines) is None


@pytest.mark.parametrize(
    ("content", "description"),
    [
        ("{\\rtf1\\ansi\n\\pard fish\n}\n", "RTF"),
        ("<!DOCTYPE html>\n<html>\n<p>fish</p>\n", "HTML"),
        ('<?xml version="1.0"?>\n<a>\n<b>fish</b>\n</a>\n', "XML"),
        ("<DOC>\n<TEXT>\nfish\n</TEXT>\n</DOC>\n", "XML"),
        ("1\n00:00:01,000 --> 00:00:02,000\nfish\n\n", "subtitles"),
        ("From a@b.org Thu Jan  1 10:00:00 1998\nSubject: fish\n\nriver\n", "an mbox e-mail archive"),
    ],
)
def test_marked_up_text_is_logged(tmp_path, content, description):
    path = write(tmp_path / "a.txt", content)
    (line,) = notices(path)
    assert line.startswith(f"{path} looks like {description}: one document per line gives")


@pytest.mark.parametrize("content", [WOS, "\ufeff" + RIS, "\n" + MEDLINE, ENDNOTE, BIBTEX, OVID])
def test_tagged_records_in_several_files_are_rejected_as_documents(tmp_path, content):
    (tmp_path / "d").mkdir()
    paths = [write(tmp_path / "d" / name, content) for name in ("a.txt", "b.txt")]
    for source in (tmp_path / "d", paths, f"{tmp_path}/d/*.txt"):
        message = refusal(source)
        assert message.startswith(f"{paths[0]} looks like tagged records of")
        assert message.endswith(", or give --unit file to read each file as one document")
        assert len(read(source, unit="file").ids) == 2


def test_tagged_records_in_text_files_of_a_folder_are_read_by_their_format(tmp_path):
    (tmp_path / "d").mkdir()
    for name in ("a.txt", "b.txt"):
        write(tmp_path / "d" / name, RIS)
    source = tmp_path / "d"
    assert len(read(source, file_format="ris", text_column="abstract").ids) == 6


def test_only_the_first_lines_are_examined(tmp_path):
    path = write(tmp_path / "a.txt", "one, two\nplain text\n" * 300 + WOS)
    assert len(read(path).ids) == 600 + WOS.count("\n")


# --- limits ---


@pytest.mark.parametrize(
    ("name", "content", "where"),
    [
        ("a.txt", "short\n" + "x" * 101 + "\n", "line 2 of"),
        ("a.jsonl", '{"text": "' + "x" * 100 + '"}\n', "line 1 of"),
        ("a.csv", 'text\n"' + "x\n" * 60 + '"\n', "a cell of the row on line 2 of"),
        ("a.tsv", "text\tn\n" + "x" * 200 + "\t1\n", "line 2 of"),
        ("a.mallet", "a b " + "x" * 100, "line 1 of"),
    ],
)
def test_a_document_over_the_limit_is_rejected(tmp_path, name, content, where):
    path = write(tmp_path / name, content)
    message = refusal(path, max_document_size=100)
    assert message.startswith(f"{where} {path} has more than 100 characters, the most a document may have.")
    assert message.endswith("or raise --max-document-size")
    assert read(path, max_document_size=300).ids


def test_a_file_or_paragraph_over_the_limit_is_rejected(tmp_path):
    path = write(tmp_path / "a.txt", "word\n" * 30)
    for unit, where in (("file", ""), ("paragraph", "the paragraph on line 1 of ")):
        message = refusal(path, unit=unit, max_document_size=100)
        assert message.startswith(f"{where}{path} has more than 100 characters")
    assert refusal(tmp_path, max_document_size=100).startswith(f"{path} has more than 100 characters")


def test_a_file_that_changes_while_it_is_read_is_rejected(tmp_path):
    def grow(path: Path) -> None:
        with path.open("a") as file:
            file.write("more\n")

    def replace(path: Path) -> None:
        path.unlink()
        path.write_text("one\ntwo\n")

    for change in (grow, replace, Path.unlink):
        path = write(tmp_path / "a.txt", "one\ntwo\n")
        batches = read_documents(path, batch_docs=1)
        assert next(batches).texts == ["one"]
        change(path)
        with pytest.raises(CorpusError, match=r"a\.txt has changed while it was read"):
            list(batches)


def test_a_cell_over_the_limit_for_documents_is_rejected(tmp_path):
    pl.DataFrame({"id": ["a", "b"], "text": ["short", "x" * 101]}).write_parquet(tmp_path / "a.parquet")
    assert refusal(tmp_path / "a.parquet", max_document_size=100).startswith("document b has more than 100 characters")
