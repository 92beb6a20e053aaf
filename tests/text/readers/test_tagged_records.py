"""Tests of tagged records (Web of Science, RIS, PubMed): one document each, with fields as columns."""

from __future__ import annotations

import pytest

from tests.support.readers import read, refusal, write
from topicnet.text.readers.documents import ReadingLog, ReadingOptions, SkippedRows
from topicnet.text.readers.read import read_documents

WOS = """FN Clarivate Analytics Web of Science
VR 1.0
PT J
AU Author, A
   Other, B
TI On the health
   question
SO JOURNAL OF X
DE wards; beds;nurses
AB Hospital and ward,
   that ward.
PY 2000
DI 10.1/x
TC 12
CR Old A, 1990
   Old B, 1991
UT WOS:1
ER

PT J
TI On rail
PY 2001
UT WOS:2
ER

EF
"""
RIS = """TY  - JOUR
AU  - Author, A
AU  - Other, B
TI  - On the health question
AB  - Hospital and ward,
that ward.
PY  - 2000/05//
JO  - Journal of X
KW  - wards
KW  - beds
DO  - 10.1/x
ID  - r1
ER  -

TY  - BOOK
T1  - On rail
N2  - Trains run.
Y1  - 2001
ER  -
"""
PUBMED = """
PMID- 111
OWN - NLM
TI  - On the health
      question
AB  - Hospital and ward,
      that ward.
FAU - Author, A
FAU - Other, B
DP  - 2000 Jan 5
JT  - Journal of X
OT  - wards
OT  - beds
LID - 10.1/x [doi]
LID - S1 [pii]

PMID- 222
TI  - On rail
DP  - 2001
"""
KINDS = [("wos", WOS), ("ris", RIS), ("pubmed", PUBMED)]


@pytest.mark.parametrize(("kind", "content"), KINDS)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_record_is_a_document_of_title_and_abstract(tmp_path, kind, content, newline):
    path = write(tmp_path / "savedrecs.txt", "\ufeff" + content.replace("\n", newline))
    docs = read(path, file_format=kind)
    assert docs.texts[0] == "On the health question\nHospital and ward, that ward."
    assert docs.texts[1].startswith("On rail")
    assert docs.ids == {"wos": ["WOS:1", "WOS:2"], "ris": ["r1", "2"], "pubmed": ["111", "222"]}[kind]
    first = docs.metadata[0]
    assert {name: first[name] for name in ("title", "abstract", "year", "authors", "doi")} == {
        "title": "On the health question", "abstract": "Hospital and ward, that ward.", "year": 2000,
        "authors": "Author, A; Other, B", "doi": "10.1/x",
    }  # fmt: skip
    assert str(first["journal"]).lower() == "journal of x"
    assert str(first["keywords"]).startswith("wards; beds")
    assert [row["year"] for row in docs.metadata] == [2000, 2001]


@pytest.mark.parametrize(("name", "content"), [("a.ris", RIS), ("a.nbib", PUBMED), ("a.ris.gz", RIS)])
def test_the_extension_gives_the_kind(tmp_path, name, content):
    assert len(read(write(tmp_path / name, content)).ids) == 2


@pytest.mark.parametrize(
    ("column", "texts"),
    [("abstract", ["Hospital and ward, that ward.", ""]), ("title", ["On the health question", "On rail"]),
     ("DE", ["wards; beds;nurses", ""])],
)  # fmt: skip
def test_another_column_or_tag_may_be_the_text(tmp_path, column, texts):
    path = write(tmp_path / "a.txt", WOS)
    docs = read(path, file_format="wos", text_column=column)
    assert docs.texts == texts
    assert column not in docs.metadata[0]


def test_another_column_or_tag_may_be_the_id_and_other_tags_are_kept(tmp_path):
    path = write(tmp_path / "a.txt", WOS)
    docs = read(path, file_format="wos", id_column="doi")
    assert docs.ids == ["10.1/x", "2"]
    assert docs.metadata[0]["TC"] == "12"
    assert "CR" not in docs.metadata[0]


def test_a_missing_column_or_tag_is_rejected(tmp_path):
    path = write(tmp_path / "a.txt", WOS)
    assert f"no column 'body' in {path}; it has: text, title, abstract" in refusal(
        path, file_format="wos", text_column="body"
    )
    assert f"no record of {path} has the tag 'ZZ'" in refusal(path, file_format="wos", text_column="ZZ")


@pytest.mark.parametrize(
    ("kind", "content", "line", "why"),
    [
        ("wos", "PT J\nTI A\nER\nPT J\nTI B\n", 4, "no ER line at its end"),
        ("wos", "PT J\nTI A\nPT J\nTI B\nER\n", 1, "no ER line at its end"),
        ("wos", "PT J\nTI A\nbroken line\nER\n", 1, "line 3 is neither a tag nor indented"),
        ("ris", "TY  - JOUR\nTI  - A\n", 1, "no ER line at its end"),
        ("pubmed", "PMID- 1\nTI  - A\nbroken line\n", 1, "line 3 is neither a tag nor indented"),
    ],
)
def test_a_malformed_record_is_rejected_or_skipped(tmp_path, kind, content, line, why):
    path = write(tmp_path / "a.txt", content)
    message = refusal(path, file_format=kind)
    assert f"the record on line {line} of {path}" in message
    assert why in message
    skipped = SkippedRows()
    n_docs = len(read(path, file_format=kind, skipped=skipped).ids)
    assert (n_docs, skipped.count) == (content.count("TI") - 1, 1)
    assert skipped.listed == [f"line {line} of {path}: {why}"]


def test_a_record_with_bad_bytes_is_skipped_completely(tmp_path):
    path = write(tmp_path / "a.ris", RIS.replace("ward", "w\xe4rd").encode("latin-1"))
    assert "expected text in 'utf-8'" in refusal(path)
    assert len(read(path, encoding="latin-1").ids) == 2
    skipped = SkippedRows()
    assert read(path, skipped=skipped).ids == ["2"]
    assert "the byte 0xe4" in skipped.listed[0]


def test_lines_outside_the_records_are_skipped_with_a_notice(tmp_path):
    path = write(tmp_path / "a.ris", "JSTOR CITATION LIST\n\n" + RIS)
    log = ReadingLog()
    assert sum(len(batch.ids) for batch in read_documents(path, ReadingOptions(), log)) == 2
    assert log.notices == [f"skipped 1 line of {path} outside its RIS records"]


@pytest.mark.parametrize(
    ("kind", "content"), [("wos", "PT\tAU\tTI\nJ\tA\tB\n"), ("ris", "some text\nmore\n"), ("pubmed", "a\n\nb\n")]
)
def test_a_file_without_records_is_rejected(tmp_path, kind, content):
    path = write(tmp_path / "a.txt", content)
    assert f"{path} has no " in refusal(path, file_format=kind)


def test_a_field_before_a_record_and_a_record_without_end_are_rejected(tmp_path):
    path = write(tmp_path / "a.ris", "TI  - lost\n" + RIS)
    assert f"line 1 of {path} has the tag 'TI' before any TY" in refusal(path)


@pytest.mark.parametrize("kind", ["wos", "ris", "pubmed"])
def test_an_empty_file_has_no_documents(tmp_path, kind):
    assert list(read_documents(write(tmp_path / "a.txt", "\n\n"), ReadingOptions(file_format=kind))) == []
