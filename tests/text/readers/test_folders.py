"""Folders, patterns and several sources as one corpus."""

from __future__ import annotations

import os

import polars as pl
import pytest

from tests.support.readers import numbers, read, refusal, write
from topicnet.errors import CorpusError
from topicnet.text.readers.documents import Documents, SkippedRows
from topicnet.text.readers.folders import split_ending
from topicnet.text.readers.read import read_documents


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Posts.CSV.gz", ("Posts", "csv")),
        ("a.b.ndjson.zst", ("a.b", "jsonl")),
        ("a.parquet", ("a", "parquet")),
        ("a.parquet.gz", ("a.parquet.gz", "")),
        ("a.csv.bz2", ("a.csv.bz2", "")),
        ("gz", ("gz", "")),
    ],
)
def test_the_ending_tells_the_format(name, parts):
    assert split_ending(name) == parts


def test_the_folder_of_a_text_is_metadata_where_there_are_several(tmp_path):
    write(tmp_path / "a.txt", "one")
    (tmp_path / "x" / "y").mkdir(parents=True)
    assert read(tmp_path).metadata == [{}]
    write(tmp_path / "x" / "y" / "b.txt.gz", "two")
    assert [row["folder"] for row in read(tmp_path).metadata] == ["", "x/y"]
    assert read(tmp_path / "x").metadata == [{"folder": "y"}]


def test_a_folder_of_tables_is_one_corpus_in_the_order_of_their_paths(tmp_path):
    write(tmp_path / "b.jsonl", '{"text": "two", "year": 1999}')
    write(tmp_path / "a.csv.gz", "text;n\none;1\n")
    (tmp_path / "c=1").mkdir()
    pl.DataFrame({"text": ["three"]}).write_parquet(tmp_path / "c=1" / "0.parquet")
    write(tmp_path / "README.md", "no")
    docs = read(tmp_path)
    assert docs == Documents(numbers(3), ["one", "two", "three"], [{"n": "1"}, {"year": 1999}, {}])


def test_a_folder_of_texts_and_tables_is_refused(tmp_path):
    write(tmp_path / "a.txt", "one")
    write(tmp_path / "b.csv", "text\ntwo\nthree\n")
    message = refusal(tmp_path)
    assert "holds 1 .txt file(s), such as a.txt, and 1 table(s), such as b.csv, expected one kind" in message
    assert f"'{tmp_path}/*.csv'" in message
    assert read(tmp_path, file_format="txt") == Documents(["a.txt"], ["one"], [{}])
    assert read(f"{tmp_path}/*.csv").texts == read(tmp_path, file_format="csv").texts == ["two", "three"]
    assert f"no jsonl files in {tmp_path}" in refusal(tmp_path, file_format="jsonl")


def test_an_empty_folder_says_what_it_could_hold(tmp_path):
    message = refusal(tmp_path)
    assert f"no .txt or .txt.gz files in {tmp_path}, expected one a document, nor tables (.csv, " in message


def test_a_file_of_bad_bytes_in_a_folder_can_be_skipped(tmp_path):
    for name, content in {"a.txt": b"one", "b.txt": b"caf\xe9", "c.txt": b"\0"}.items():
        write(tmp_path / name, content)
    skipped = SkippedRows()
    assert read(tmp_path, skipped=skipped) == Documents(["a.txt"], ["one"], [{}])
    assert skipped.listed == [
        f"{tmp_path / 'b.txt'}: the byte 0xe9, expected text in 'utf-8'",
        f"{tmp_path / 'c.txt'}: a NUL byte",
    ]


def test_several_sources_are_numbered_as_one(tmp_path):
    texts = write(tmp_path / "b.txt", "one\ntwo\n")
    rows = write(tmp_path / "a.jsonl", '{"text": "three"}\n{"text": "four", "id": "x"}\n')
    docs = read([str(texts), rows, texts])
    assert docs.texts == ["one", "two", "three", "four", "one", "two"]
    assert docs.ids == ["1", "2", "3", "x", "5", "6"]
    assert [b.ids for b in read_documents([texts, rows], batch_docs=3)] == [["1", "2", "3"], ["x"]]


def test_a_pattern_is_its_files_in_sorted_order(tmp_path, monkeypatch):
    (tmp_path / "x" / "y").mkdir(parents=True)
    (tmp_path / "folder.txt").mkdir()
    for name in ("b.txt", "a.txt", "x/c.txt", "x/y/d.txt", "e.csv"):
        write(tmp_path / name, f"text of\n{name}\n")
    assert read(f"{tmp_path}/*.txt").texts[1::2] == ["a.txt", "b.txt"]
    assert read(tmp_path / "**" / "*.txt").texts[1::2] == ["a.txt", "b.txt", "x/c.txt", "x/y/d.txt"]
    assert read([f"{tmp_path}/[b].txt", f"{tmp_path}/?.txt"]).texts[1::2] == ["b.txt", "a.txt", "b.txt"]
    monkeypatch.chdir(tmp_path)
    assert read("*.txt").ids == numbers(4)


def test_a_name_that_is_a_file_is_no_pattern(tmp_path):
    write(tmp_path / "a[1]*.txt", "itself")
    write(tmp_path / "a1.txt", "another")
    assert read(tmp_path / "a[1]*.txt").texts == ["itself"]
    assert read(tmp_path / "a[1].txt").texts == ["another"]


def test_a_source_that_is_not_there_is_refused_at_once(tmp_path):
    with pytest.raises(CorpusError, match=r"no file matches .*none\*\.csv, expected at least one"):
        read_documents(f"{tmp_path}/none*.csv")
    with pytest.raises(CorpusError, match="no source was given"):
        read_documents([])
    with pytest.raises(CorpusError, match="no such file or folder"):
        read_documents([write(tmp_path / "a.txt", ""), tmp_path / "b.txt"])
    write(tmp_path / "a.md", "")
    with pytest.raises(CorpusError, match="unknown format of"):
        read_documents(f"{tmp_path}/*")
    assert "no file matches a\\x00*" in refusal("a\0*")


def test_a_pattern_through_a_folder_that_may_not_be_read_is_refused(tmp_path, monkeypatch):
    def denied(_: object) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os.path, "isfile", denied)
    write(tmp_path / "a.txt", "")
    assert f"cannot read {tmp_path}/*.txt: Permission denied" in refusal(f"{tmp_path}/*.txt")
