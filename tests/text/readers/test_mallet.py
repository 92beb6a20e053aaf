"""Tests of the readers of MALLET files and OCTIS folders."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.readers import numbers, read, refusal, write
from topicnet.text.readers.documents import Documents, ReadingLog, SkippedRows
from topicnet.text.readers.mallet import is_octis
from topicnet.text.readers.read import octis_vocabulary, read_documents

words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n\r\t "), min_size=1, max_size=6)
gaps = st.text(" \t", min_size=1, max_size=3)


@given(st.lists(st.tuples(words, gaps, words, gaps, words.map(lambda word: f"{word} \t{word} ")), max_size=8))
def test_mallet_lines_are_read_as_written(tmp_path_factory, rows):
    content = "\ufeff" + "".join("".join(row) + "\r\n" for row in rows)
    docs = read(write(tmp_path_factory.mktemp("mallet") / "a.mallet", content))
    assert docs == Documents([r[0] for r in rows], [r[4] for r in rows], [{"label": r[2]} for r in rows])


def test_blank_lines_are_skipped_and_a_text_may_be_missing(tmp_path):
    docs = read(write(tmp_path / "a.mallet.gz", "\nd1 en one two\n \t\nd2\ten\nd3 en \n d4 en three\n"))
    assert docs.ids == ["d1", "d2", "d3", "4"]  # leading white space means an empty name
    assert docs.texts == ["one two", "", "", "en three"]
    assert [row["label"] for row in docs.metadata] == ["en", "en", "en", "d4"]


def test_only_spaces_and_tabs_separate_the_fields(tmp_path):
    docs = read(write(tmp_path / "a.mallet", "d\u3000 1\x0b\u00a0 t\u3000\n"))
    assert docs == Documents(["d\u3000"], ["t\u3000"], [{"label": "1\x0b\u00a0"}])


def test_a_short_line_is_rejected_or_skipped(tmp_path):
    path = write(tmp_path / "a.mallet", "d1 en one\n\nd2\nd3 en three\n")
    assert f"line 3 of {path} has one field, expected a name, a label and the text" in refusal(path)
    skipped = SkippedRows()
    assert read(path, skipped=skipped).ids == ["d1", "d3"]
    assert skipped.listed == [f"line 3 of {path}: one field, expected a name, a label and the text"]


def octis(folder, content, vocabulary="one\ntwo\n"):
    folder.mkdir()
    write(folder / "corpus.tsv", content)
    write(folder / "vocabulary.txt", vocabulary)
    write(folder / "metadata.json", "{}")
    return folder


def test_an_octis_folder_is_read_without_quoting(tmp_path):
    folder = octis(tmp_path / "M10", '"one two\ttrain\t1\n\nthree\tval\t0\r\n\ttest\t\n')
    docs = read(folder)
    assert docs.ids == numbers(4)  # the id is the line number
    assert docs.texts == ['"one two', "", "three", ""]
    assert docs.metadata == [
        {"split": "train", "label": "1"},
        {},
        {"split": "val", "label": "0"},
        {"split": "test", "label": ""},
    ]
    assert docs == read(folder / "corpus.tsv", file_format="octis") == read(folder, file_format="octis")


@pytest.mark.parametrize(("row", "metadata"), [("a b", {}), ("a b\tval", {"split": "val"})])
def test_an_octis_corpus_may_have_fewer_columns(tmp_path, row, metadata):
    docs = read(octis(tmp_path / "x", f"{row}\n{row}\n"))
    assert docs == Documents(["1", "2"], ["a b"] * 2, [metadata] * 2)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("text\tsplit\tlabel", "a b\ttrain\tx"),
        ("documents\tpart", "a b\tval"),
        ("Document\tset\tTopic number", "a b\ttest\t1"),
        ("text", "a b"),
    ],
)
def test_a_header_of_an_octis_corpus_is_not_a_document(tmp_path, header, row):
    log = ReadingLog()
    folder = octis(tmp_path / "x", f"{header}\n{row}\n{row}\n")
    (batch,) = read_documents(folder, None, log)
    assert (batch.ids, batch.texts) == (["1", "2"], ["a b", "a b"])
    names = ", ".join(header.split("\t"))
    assert log.notices == [f"line 1 of {folder / 'corpus.tsv'} is a header and not a document: {names}"]


@pytest.mark.parametrize("first", ["text\ttrain\tlabel", "text body\tsplit\tlabel", "words\tval\t3"])
def test_a_document_that_looks_like_a_header_is_kept(tmp_path, first):
    assert len(read(octis(tmp_path / "x", f"{first}\na b\ttrain\tx\n")).ids) == 2
    assert read(octis(tmp_path / "y", "text\na b\n", "text\nb\n")).texts == ["text", "a b"]


def test_octis_rows_of_another_length_are_rejected_or_skipped(tmp_path):
    folder = octis(tmp_path / "x", "one\ttrain\ntwo\nthree\tval\n")
    assert f"line 2 of {folder / 'corpus.tsv'} has 1 field(s), expected 2 as in the first line" in refusal(folder)
    skipped = SkippedRows()
    assert read(folder, skipped=skipped).ids == ["1", "3"]
    assert skipped.listed == [f"line 2 of {folder / 'corpus.tsv'}: 1 field(s), expected 2"]
    assert "has 4 fields, expected 1 to 3" in refusal(octis(tmp_path / "y", "a\tb\tc\td\n"))


def test_the_vocabulary_of_an_octis_folder(tmp_path):
    folder = octis(tmp_path / "x", "one\n", "\ufeffone\r\n\nzwei drei\nécole")
    assert is_octis(folder)
    assert octis_vocabulary(folder) == octis_vocabulary(str(folder)) == ["one", "zwei drei", "école"]
    (folder / "corpus.tsv").unlink()
    assert octis_vocabulary(folder) is None
    assert octis_vocabulary(tmp_path / "none") is None


@pytest.mark.data
@pytest.mark.parametrize(("name", "n_docs", "n_words"), [("m10", 8355, 1696), ("dblp", 54_595, 1513)])
def test_corpora_published_by_octis_are_read(shared_data, name, n_docs, n_words):
    docs = read(shared_data / name)
    assert len(docs.ids) == n_docs
    assert {row["split"] for row in docs.metadata} == {"train", "val", "test"}
    vocabulary = octis_vocabulary(shared_data / name)
    assert vocabulary is not None
    assert len(vocabulary) == n_words
    assert {word for text in docs.texts for word in text.split()} <= set(vocabulary)
    assert read(shared_data / name / "corpus.tsv", text_column="1").texts == docs.texts
